"""Locust on several processes: one run, whoever drove its users."""

import re
import signal
from itertools import accumulate
from pathlib import Path

import pytest

from harness.cli import main
from harness.store import read_run
from harness.summary import summarise
from tests.locust.children import (
    command,
    free_port,
    locust,
    recorded,
    started,
    until,
)


def test_two_processes_make_one_run(tmp_path: Path, url: str) -> None:
    out, port = tmp_path / "run", str(free_port())
    done = locust(
        *(url, "--processes", "2", "--master-port", port, "--master-bind-port", port),
        *("-u", "8", "-r", "8", "-t", "3s", "--harness-out", str(out)),
        *("Async", "Stream"),
    )
    assert done.returncode == 0, done.stderr
    run = recorded(out)
    assert [block.pipeline for block in run.blocks] == ["locust", "locust"]
    assert all(0 < block.trials < len(run.records) for block in run.blocks)
    assert sum(block.trials for block in run.blocks) == len(run.records)
    assert len(run.manifest["segments"]) == 1

    # One clock: in order of time over both processes, or nearly so (a user may be held up between
    # its answer and its record), and every figure from all records at once.
    ended = [r.attempts[-1].done or 0 for r in run.records if r.outcome == "ok"]
    latest = accumulate(ended, max)
    assert all(before - done < 0.5 for before, done in zip(latest, ended, strict=True))
    assert max(ended) - min(ended) > 1.5  # one process after the other would be far off
    ok = sum(record.outcome == "ok" and not record.warmup for record in run.records)
    figures = summarise(run)["pipelines"].values()
    assert sum(each["response_time_s"]["n"] for each in figures) == ok > 0
    told = re.search(r"(\d+) edits recorded", done.stderr)
    assert told
    assert int(told[1]) == len(run.records)


@pytest.mark.parametrize("killed", [False, True])
def test_a_master_and_its_worker(tmp_path: Path, url: str, killed: bool) -> None:
    """A worker that is killed leaves what it wrote, and a run that says it is not whole."""
    out, port = tmp_path / "run", str(free_port())
    common = ("--headless", "--only-summary", "-t", "3s", "-u", "4", "-r", "4", "Async")
    master = command(url, *common, "--harness-out", str(out), "--master-bind-port", port)
    worker = command(url, "--worker", "--master-port", port)
    with (
        started(*master, "--master", "--expect-workers", "1") as commander,
        started(*worker) as child,
    ):
        if killed:
            found = until("records", lambda: [p for p in out.glob(".parts/*") if p.stat().st_size])
            child.send_signal(signal.SIGKILL)
            assert len(found) == 1
        assert commander.wait(timeout=60) == 0
        if not killed:
            assert child.wait(timeout=60) == 0
    run = read_run(out) if killed else recorded(out)
    assert run.manifest["status"] == ("interrupted" if killed else "complete")
    assert any(record.outcome == "ok" for record in run.records)
    assert len(run.blocks) == (0 if killed else 1)
    broken = {c["name"] for c in summarise(run)["validity"]["checks"] if not c["ok"]}
    assert ("complete" in broken) == killed


def test_no_address_of_a_service_ends_all_processes(tmp_path: Path) -> None:
    out, port = tmp_path / "run", str(free_port())
    ports = ("--master-port", port, "--master-bind-port", port)
    done = locust("127.0.0.1:9", "--processes", "2", *ports, "-t", "1s", "--harness-out", str(out))
    assert done.returncode == 2
    assert done.stderr.count("write -H http://HOST:PORT") == 1
    assert "Traceback" not in done.stderr
    assert not out.exists()


def test_a_killed_master_s_workers_are_waited_for(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their parts are no run yet; once they have ended, any command makes one of them."""
    out, port = tmp_path / "run", str(free_port())
    options = ("--processes", "2", "--master-port", port, "--master-bind-port", port)
    line = command(url, "--headless", *options, "-u", "4", "-r", "4", "-t", "60s")
    with started(*line, "--harness-out", str(out), "Async") as child:

        def enough() -> bool:
            return sum(len(p.read_bytes().splitlines()) for p in out.glob(".parts/*")) > 8

        until("records", enough)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert main(["report", str(out)]) == 2
        assert "workers of it still write" in capsys.readouterr().err
    until("their end", lambda: main(["report", str(out)]) == 0)
    run = read_run(out)
    assert run.manifest["status"] == "interrupted"
    assert any(record.outcome == "ok" and not record.warmup for record in run.records)
