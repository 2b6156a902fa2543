"""``harness serve`` as a process of its own."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import pytest

from harness.cli import main
from tests.service.build import BODY, RIGHT

SERVE = (sys.executable, "-m", "harness", "serve", "--provider", "sim:null", "--json")


@contextmanager
def serving(*options: str, **env: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, once it says that it listens; gives its process and its URL."""
    child = subprocess.Popen(
        [*SERVE, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **env},
    )
    try:
        assert child.stdout is not None
        said = json.loads(child.stdout.readline())
        assert said["startup_s"] > 0
        yield child, said["url"]
    finally:
        child.kill()
        child.communicate()


def ask(url: str, **headers: str) -> tuple[int, dict[str, object]]:
    request = urllib.request.Request(
        url, json.dumps(BODY).encode(), {"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_it_serves_the_shipped_scenarios_and_stops_cleanly() -> None:
    with serving() as (child, url):
        for path in ("/edit-scenario", "/edit-scenario-async", "/edit-scenario-sync"):
            status, answer = ask(url + path)
            assert (status, answer["story"]) == (200, RIGHT)
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=30)
        assert (child.returncode, out, err) == (0, "", "")


def test_a_token_from_the_environment() -> None:
    with serving("--token-env", "MY_TOKEN", MY_TOKEN="sesame") as (child, url):
        assert ask(f"{url}/edit-scenario")[0] == 401
        assert ask(f"{url}/edit-scenario", Authorization="Bearer sesame")[0] == 200
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=30)
        assert (child.returncode, out, err) == (0, "", "")


async def test_a_stop_with_edits_in_flight() -> None:
    """An hour's edits: the grace time passes, they are cancelled, and the process ends."""
    options = ("--provider", "sim:report-2025", "--time-scale", "100", "--grace", "0.2")
    with serving(*options) as (child, url):
        async with aiohttp.ClientSession(url) as session:

            async def edit(path: str) -> int:
                async with session.post(path, json=BODY) as response:
                    return response.status

            paths = ("/edit-scenario", "/edit-scenario-stream", "/edit-scenario-sync")
            asking = [asyncio.create_task(edit(path)) for path in paths]
            async with session.post("/jobs", json=BODY) as response:
                assert response.status == 202
            while True:
                async with session.get("/metrics") as response:
                    text = await response.text()
                if (
                    'in_flight{lane="async"} 3.0' in text
                    and 'in_flight{lane="threads"} 1.0' in text
                ):
                    break
            child.send_signal(signal.SIGTERM)
            found = await asyncio.gather(*asking, return_exceptions=True)
        assert found[0] == found[2] == 503
        out, err = await asyncio.to_thread(child.communicate, timeout=30)
        assert (child.returncode, out, err) == (0, "", "")


def test_a_second_signal_ends_it_at_once() -> None:
    options = ("--provider", "sim:report-2025", "--time-scale", "100", "--grace", "3600")
    with serving(*options) as (child, url):
        urllib.request.urlopen(
            urllib.request.Request(
                f"{url}/jobs", json.dumps(BODY).encode(), {"Content-Type": "application/json"}
            )
        ).close()
        child.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.5)  # it waits for the job
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=30)
        assert child.returncode == 130


def test_a_stop_before_the_provider_answers() -> None:
    child = subprocess.Popen(
        [*SERVE, "--provider", "http://127.0.0.1:9/v1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stderr is not None
        assert "waiting for the provider" in child.stderr.readline()
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=30)
        assert (child.returncode, out, err) == (0, "", "")
    finally:
        child.kill()
        child.communicate()


def test_an_address_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as (_, url):
        port = url.rpartition(":")[2]
        done = subprocess.run([*SERVE, "--port", port], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "cannot listen" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--port", "70000"], "--port: is 70000"),
        (["--provider", "simm"], "no such provider"),
        (["--provider", "http://x/v1", "--time-scale", "0.5"], "--time-scale"),
        (["--time-scale", "0"], "--time-scale: is 0"),
        (["--time-scale", "nan"], "--time-scale"),
        (["--rate-limit", "0"], "--rate-limit"),
        (["--concurrency", "0"], "--concurrency"),
        (["--deadline", "-1"], "--deadline"),
        (["--cache-keep", "inf"], "--cache-keep"),
        (["--queue", "-1"], "--queue"),
        (["--token-env", "NO_SUCH_VARIABLE_AT_ALL"], "NO_SUCH_VARIABLE_AT_ALL"),
    ],
)
def test_wrong_options(options: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *options]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert len(said.splitlines()) == 1


def test_a_token_that_no_header_may_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MY_TOKEN", "비밀")
    assert main(["serve", "--token-env", "MY_TOKEN"]) == 2
    said = capsys.readouterr().err
    assert "MY_TOKEN" in said
    assert "비밀" not in said
