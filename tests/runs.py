"""Runs for tests: the real command in child processes, and runs written by hand."""

import atexit
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.records import SCHEMA, Answer, TrialRecord
from harness.scenario import shipped_dir
from harness.store import RECORDS, RunWriter

SHORT = str(shipped_dir() / "short")
KEY = "HARNESS_API_KEY"
COMPILED = tempfile.TemporaryDirectory() if "PYTHONDONTWRITEBYTECODE" in os.environ else None
"""Where this process and its children share compiled modules if none may be written beside the
sources: a child starts in half the time. Those that ``before`` makes special share none: where
files may not grow, Python leaves torn ones.
"""
if COMPILED is not None:
    sys.pycache_prefix = COMPILED.name
    sys.dont_write_bytecode = False


def start(
    *args: str,
    key: str | None = None,
    cwd: Path | None = None,
    encoding: str = "utf-8",
    before: Callable[[], None] | None = None,
) -> subprocess.Popen[str]:
    """``harness ARGS`` as a child process with its output in pipes.

    ``key``: the key that it finds in its environment; ``encoding``: of its terminal; ``before``
    is called in the child before it becomes the harness.
    """
    environment = {name: value for name, value in os.environ.items() if name != KEY}
    environment["PYTHONIOENCODING"] = encoding
    if before is None and COMPILED is not None:
        del environment["PYTHONDONTWRITEBYTECODE"]
        environment["PYTHONPYCACHEPREFIX"] = COMPILED.name
    if key is not None:
        environment[KEY] = key
    child = subprocess.Popen(
        [sys.executable, "-m", "harness", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=environment,
        cwd=cwd,
        preexec_fn=before,
    )
    atexit.register(child.kill)  # does nothing to one that has ended, as all do in a good run
    return child


def finish(child: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for a child: exit code, standard output, standard error."""
    out, err = child.communicate(timeout=90)
    return child.returncode, out, err


@contextmanager
def simulator(*args: str, key: str | None = None) -> Iterator[str]:
    """The URL of a ``harness simulate`` child."""
    child = start("simulate", *args, key=key)
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        assert line.startswith("listening on "), finish(child)
        yield line.split()[-1]
    finally:
        child.terminate()
        finish(child)


def pause(child: subprocess.Popen[str], seconds: float) -> None:
    """Let a child run on for a moment; less when it ends."""
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def count_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def until_recorded(child: subprocess.Popen[str], folder: Path, count: int) -> None:
    """Wait until ``count`` trials are recorded; AssertionError if the child ends before."""
    while count_lines(folder / RECORDS) < count:
        assert child.poll() is None, finish(child)
        pause(child, 0.005)


def manifest(**changes: Any) -> dict[str, Any]:
    """``run.json`` of a complete run of two arms on two scenarios."""
    kept = {"digest": "0" * 64, "kind": "news", "language": "en", "turns": 1, "request": "Edit."}
    return {
        "schema": SCHEMA,
        "kind": "run",
        "status": "complete",
        "command": "harness run",
        "config": {"scenarios": [], "target": None},
        "arms": ["base", "cand"],
        "baseline": "base",
        "planned_trials": 0,
        "prompt_version": "0",
        "scenarios": {"s1": kept, "s2": kept},
        "provider": {"kind": "sim", "simulated": True, "time_scale": 1.0},
        "environment": {},
        "segments": [{"index": 0, "started": "2026-01-01T00:00:00+00:00", "ended": None}],
        **changes,
    }


def answers(record: TrialRecord) -> tuple[Answer, ...]:
    """The reply texts of a trial made up for the test."""
    return (
        Answer(record.trial, 0, "edit", f"[edited {record.scenario}]"),
        Answer(record.trial, 1, "summary", "바꾸었어요."),
    )


def write(folder: Path, records: list[TrialRecord], about: dict[str, Any] | None = None) -> Path:
    """A run on disk with these records."""
    with RunWriter.create(folder, about or manifest()) as writer:
        for record in records:
            writer.append(record, answers(record))
    return folder
