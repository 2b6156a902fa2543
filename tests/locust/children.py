"""Locust, and the service that it loads, as child processes: Locust may not be imported here."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from harness.store import Run, read_run

ROOT = Path(__file__).resolve().parents[2]
SHORT = str(ROOT / "scenarios" / "short")
PATIENCE_S = 60.0
RIGHT = """
[edit]
ttft_s = { mean = 0.03 }
total_s = { mean = 0.1 }
[summary]
ttft_s = { mean = 0.0 }
total_s = { mean = 0.01 }
[answers]
right = 1.0
"""
WRONG = RIGHT.replace("right = 1.0", "right = 0.0\nwrong = 1.0")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def service(folder: Path, profile: str = RIGHT, *options: str) -> Iterator[str]:
    """``harness serve`` before a simulated model of this profile; gives its URL."""
    file = folder / "profile.toml"
    file.write_text(profile, "utf-8")
    command = [sys.executable, "-m", "harness", "serve", "--json", "--provider", f"sim:{file}"]
    child = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert child.stdout is not None
        yield json.loads(child.stdout.readline())["url"]
    finally:
        child.terminate()
        child.communicate(timeout=PATIENCE_S)


def command(url: str, *options: str) -> list[str]:
    locust = [sys.executable, "-m", "locust", "-f", str(ROOT / "locustfile.py"), "-H", url]
    return [*locust, "--scenarios", SHORT, *options]


def locust(url: str, *options: str) -> "subprocess.CompletedProcess[str]":
    """Locust without its web UI, to its end."""
    return subprocess.run(
        command(url, "--headless", "--only-summary", *options),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        cwd=ROOT,
    )


@contextmanager
def started(*line: str) -> Iterator["subprocess.Popen[str]"]:
    """A Locust that goes on; whatever is left of it and its workers is killed at the end."""
    child = subprocess.Popen(
        line,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate(timeout=PATIENCE_S)


def until(what: str, seen: Any) -> Any:
    """Ask ``seen()`` until it gives something; an address that refuses gives nothing yet."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if found := seen():
                return found
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.05)
    raise AssertionError(f"never came: {what}")


def ask(url: str, form: bytes | None = None) -> bytes:
    with urllib.request.urlopen(url, form, timeout=PATIENCE_S) as response:
        found: bytes = response.read()
        return found


def recorded(folder: Path) -> Run:
    """A run that is whole: ended, its parts put together, every trial once."""
    run = read_run(folder)
    assert run.manifest["status"] == "complete"
    assert not (folder / ".parts").exists()
    assert len({record.trial for record in run.records}) == len(run.records) > 0
    return run
