"""``harness load`` as a user has it: against the simulator in a process of its own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import cli
from harness.commands.load import OVER
from harness.load import fitness, recording
from harness.load.recording import Played
from harness.load.session import HELD_BACK
from harness.report.progress import show_load
from harness.store import read_answers, read_manifest, read_run
from tests.load.test_arrivals import offsets
from tests.runs import finish, start
from tests.test_serve import serving

PROFILE = """
{more}
[edit]
ttft_s = {{ mean = 0.004 }}
total_s = {{ mean = {total} }}
[summary]
ttft_s = {{ mean = 0.004 }}
total_s = {{ mean = {total} }}
[answers]
right = {right}
malformed = {malformed}
"""
SHORT = "scenarios/short"


@contextmanager
def simulator(
    folder: Path, *, total: float = 0.01, right: float = 1.0, more: str = ""
) -> Iterator[str]:
    """``harness simulate`` in a child process; gives its base URL."""
    profile = folder / "profile.toml"
    text = PROFILE.format(total=total, right=right, malformed=1 - right, more=more)
    profile.write_text(text)
    command = [sys.executable, "-m", "harness", "simulate", "--profile", str(profile)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield child.stdout.readline().split()[-1]
        finally:
            child.terminate()
            child.wait(20)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with simulator(tmp_path_factory.mktemp("simulator")) as found:
        yield found


@pytest.fixture(autouse=True)
def _slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether this machine is quiet enough to measure on is not what these tests ask."""
    monkeypatch.setattr(fitness, "LEAST_S", 5.0)
    monkeypatch.setattr(fitness, "CPU_SHARE", 10.0)
    for name in ("LOST_SHARE", "IDLE_SHARE", "HELD_UP_SHARE"):
        monkeypatch.setattr(fitness, name, 1.0)
    monkeypatch.setattr(fitness, "PAUSE_S", 5.0)
    monkeypatch.setattr(fitness, "ACHIEVED_SHARE", 0.5)


def load(*args: object, out: Path) -> int:
    return cli.main(["load", *map(str, args), "--out", str(out)])


def figures(
    capsys: pytest.CaptureFixture[str], *args: object, out: Path
) -> tuple[int, dict[str, Any]]:
    code = load(*args, "--json", out=out)
    return code, json.loads(capsys.readouterr().out)


def test_an_open_loop_is_recorded_and_reported(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    args = (url, "--rate", 100, "--duration", 1, "--scenarios", SHORT, "--seed", 3)
    code, found = figures(capsys, *args, out=out)
    assert code == 0
    schedule = offsets("100", seed=3, duration=1)
    assert found["requests"] == len(schedule)
    assert found["outcomes"]["ok"] == len(schedule)
    assert found["tokens"]["n"] == len(schedule)
    with np.load(out / "columns.npz") as columns:
        assert columns["scheduled"] == pytest.approx(schedule, abs=1e-6)
    run = read_run(out)
    assert run.manifest["status"] == "complete"
    assert run.manifest["provider"]["simulated"] is True
    assert len(run.manifest["scenarios"]) == len({record.scenario for record in run.records})
    assert all(check.ok for record in run.records for check in record.checks)
    assert len(read_answers(out)) == len(schedule)
    assert not (out / ".bodies").exists()
    assert json.loads((out / "load.json").read_bytes()) == found
    # Every reader of runs reads it.
    assert cli.main(["report", str(out)]) == 0
    assert (out / "index.html").exists()
    assert cli.main(["show", str(out)]) == 0
    assert cli.main(["show", str(out), run.records[0].trial]) == 0
    assert cli.main(["compare", str(out), str(out), "--gate", "success>=0.5"]) == 0


def test_streams_by_users_and_the_words_of_the_terminal(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    code = load(url, "--users", 3, "--requests", 12, "--stream", "--slo", "p50<20s", out=out)
    assert code == 0
    shown = capsys.readouterr().out
    for text in ("closed, 3 users", "12 requests in", "first token", "p50<20s: held", "valid:"):
        assert text in shown
    assert str(out) in shown
    assert "Interrupted" not in shown


def test_a_target_that_is_missed_or_cannot_be_told(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = (url, "--users", 4, "--requests", 80)
    assert load(*args, "--slo", "p95<1ms", out=tmp_path / "missed") == 1
    assert "p95<1ms: missed" in capsys.readouterr().out
    assert load(*args, "--slo", "p99<9s", out=tmp_path / "few") == 3
    assert "p99<9s: undecided" in capsys.readouterr().out


def test_fast_nonsense_is_a_failure_with_scenarios_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulator(tmp_path, right=0.0) as url:
        args = (url, "--users", 4, "--requests", 120, "--slo", "success>=0.9")
        code, blind = figures(capsys, *args, out=tmp_path / "blind")
        assert (code, blind["outcomes"]["ok"]) == (0, 120)
        code, seen = figures(capsys, *args, "--scenarios", SHORT, out=tmp_path / "seen")
        assert (code, seen["outcomes"]["malformed"]) == (1, 120)
        assert seen["goodput_per_s"] == 0
        step = ("--duration", 0.1, "--find-capacity", "--slo", "success>=0.6")
        code, none = figures(
            capsys, url, *step, "--rate", 400, "--scenarios", SHORT, out=tmp_path / "none"
        )
        assert code == 1
        assert none["capacity"]["rate"] is None
        # Targets of time alone ask for right answers too.
        step = ("--duration", 0.1, "--find-capacity", "--slo", "p60<9s")
        code, none = figures(
            capsys, url, *step, "--rate", 400, "--scenarios", SHORT, out=tmp_path / "fast"
        )
        assert (code, none["slo"]) == (1, ["p60<9s", "success>=0.6"])
        assert none["capacity"]["rate"] is None


def test_an_unfit_client_is_invalid(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitness, "CPU_SHARE", 0.0)
    assert load(url, "--users", 1, "--requests", 3, "--slo", "p50<1ms", out=tmp_path / "run") == 4
    shown = capsys.readouterr().out
    assert "INVALID" in shown
    assert "client_cpu_share" in shown


def test_a_trace_is_replayed(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "trace.jsonl"
    moments = [0, 0.05, 0.3, 0.31]
    trace.write_text("".join(f'{{"timestamp": {100 + m}}}\n' for m in moments))
    code, found = figures(capsys, url, "--trace", trace, out=tmp_path / "run")
    assert code == 0
    assert found["requests"] == 4
    with np.load(tmp_path / "run" / "columns.npz") as columns:
        assert columns["scheduled"] == pytest.approx(moments, abs=1e-6)
    cut = ("--trace", trace, "--requests", 3, "--duration", 60)
    code, found = figures(capsys, url, *cut, out=tmp_path / "cut")
    assert (code, found["requests"]) == (0, 3)
    assert found["offered_per_s"] == pytest.approx(3 / 0.45), "a mean gap after the last"


def test_a_route_that_streams_is_recorded_as_streamed(tmp_path: Path) -> None:
    with serving() as (_, url):
        args = (f"{url}/edit-scenario-stream", "--users", 1, "--requests", 2)
        load(*args, out=tmp_path / "run")
    assert read_run(tmp_path / "run").manifest["config"]["stream"] is True


def test_finds_the_capacity_of_the_simulator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with simulator(tmp_path, total=0.05, more="capacity = 4") as url:
        args = (url, "--find-capacity", "--rate", 70, "--arrival", "constant", "--duration", 0.5)
        code, found = figures(capsys, *args, "--slo", "p50<0.15s", out=tmp_path / "run")
        assert load(*args, "--slo", "p50<1s", out=tmp_path / "run") == 2
    assert capsys.readouterr().err.endswith("holds another run or search; give another --out\n")
    assert code == 0
    assert found["capacity"]["limit"] == "server"
    # The loop of the simulator adds a little to the 50 ms that a call takes.
    assert found["capacity"]["rate"] == pytest.approx(80, rel=0.10)
    assert found["capacity"]["above"] > found["capacity"]["rate"]
    for step in found["steps"]:
        assert read_run(tmp_path / "run" / step["folder"]).records
    assert json.loads((tmp_path / "run" / "capacity.json").read_bytes()) == found
    assert found["run"]["config"]["seed"] == 0
    for step in found["steps"]:
        if step["verdict"] != "invalid":
            assert step["achieved"] == pytest.approx(step["offered"], rel=0.01)


def test_a_search_that_is_stopped_before_its_first_step(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with simulator(tmp_path, total=5.0) as url:
        command = [sys.executable, "-m", "harness", "load", url, "--find-capacity"]
        command += ["--slo", "p50<60s", "--out", str(out)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            deadline = time.monotonic() + 30
            while not out.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            time.sleep(1.0)
            os.kill(child.pid, signal.SIGINT)
            printed, _ = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "No step was finished" in printed
    found = json.loads((out / "capacity.json").read_bytes())
    assert (found["interrupted"], found["steps"], found["capacity"]) == (True, [], None)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_its_records_are_kept(url: str, tmp_path: Path, stop: signal.Signals) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "harness", "load", url, "--users", "2", "--duration", "60"]
    command += ["--out", str(out), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        deadline = time.monotonic() + 30
        while not (out / "run.json").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.0)
        os.kill(child.pid, stop)
        printed, _ = child.communicate(timeout=60)
    assert child.returncode == 130
    found = json.loads(printed)
    assert found["interrupted"] is True
    assert found["outcomes"]["ok"] > 0
    run = read_run(out)
    assert run.manifest["status"] == "interrupted"
    assert len(run.records) == found["requests"]


def interrupt_while_writing(url: str, out: Path, stop: signal.Signals) -> "subprocess.Popen[str]":
    """A load that was over when the signal came, and that waits for a reader of its records."""
    args = ("--users", "2", "--duration", "1", "--scenarios", SHORT, "--out", str(out))
    child = start("load", url, *args)
    while not (out / "run.json").exists():
        assert child.poll() is None, finish(child)
        time.sleep(0.01)
    os.mkfifo(out / "records.jsonl")
    assert child.stderr is not None
    assert child.stderr.readline() == OVER + "\n"
    time.sleep(0.3)
    child.send_signal(stop)
    assert child.stderr.readline() == HELD_BACK + "\n"
    return child


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_records_are_written_waits(
    url: str, tmp_path: Path, stop: signal.Signals
) -> None:
    out = tmp_path / "run"
    child = interrupt_while_writing(url, out, stop)
    records = (out / "records.jsonl").read_bytes()
    code, printed, complaint = finish(child)
    assert (code, complaint) == (130, "")
    assert printed.endswith(f"Report: harness report {out}\n")
    found = json.loads((out / "load.json").read_bytes())
    assert found["interrupted"] is False
    assert found["outcomes"]["ok"] == found["requests"] == records.count(b"\n") > 0
    assert read_manifest(out)["status"] == "complete"
    assert len(read_answers(out)) == min(found["requests"], recording.MOST_ANSWERS)
    assert (out / "columns.npz").exists()
    assert not (out / ".bodies").exists()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_leaves_at_once(url: str, tmp_path: Path, stop: signal.Signals) -> None:
    out = tmp_path / "run"
    child = interrupt_while_writing(url, out, stop)
    child.send_signal(stop)
    assert finish(child) == (130, "", "")
    assert not (out / "load.json").exists()
    assert read_manifest(out)["status"] == "running"


@pytest.mark.parametrize(("begun", "status"), [(False, "interrupted"), (True, "complete")])
def test_a_signal_just_before_or_after_the_load(
    url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    begun: bool,
    status: str,
) -> None:
    """Neither is lost, nor is the load: the view of it begins before it and ends after it."""

    @contextmanager
    def interrupted(*args: Any, **options: Any) -> Iterator[Any]:
        if not begun:
            os.kill(os.getpid(), signal.SIGINT)
        with show_load(*args, **options) as progress:
            yield progress
        if begun:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("harness.commands.load.show_load", interrupted)
    out, seconds = tmp_path / "run", 0.5 if begun else 60
    started = time.monotonic()
    code, found = figures(capsys, url, "--users", 2, "--duration", seconds, out=out)
    assert code == 130
    assert time.monotonic() - started < 30
    assert found["interrupted"] is (not begun)
    run = read_run(out)
    assert run.manifest["status"] == status
    assert len(run.records) == found["requests"]


def test_a_signal_while_a_step_is_written_ends_the_search(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = recording.write_records

    def interrupted(folder: Path, played: Played) -> None:
        if folder.name == "step-02":
            os.kill(os.getpid(), signal.SIGINT)
        write(folder, played)

    monkeypatch.setattr(recording, "write_records", interrupted)
    out = tmp_path / "run"
    args = (url, "--find-capacity", "--rate", 40, "--duration", 0.5, "--slo", "p50<9s")
    code, found = figures(capsys, *args, out=out)
    assert code == 130
    assert found["interrupted"] is True
    assert [step["folder"] for step in found["steps"]] == ["step-01", "step-02"]
    assert json.loads((out / "capacity.json").read_bytes()) == found
    assert json.loads((out / "step-02" / "load.json").read_bytes())["interrupted"] is False
    assert read_run(out / "step-02").manifest["status"] == "complete"
    assert not (out / "step-03").exists()


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_what_comes_after_the_load_is_said(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    load(url, "--users", 1, "--requests", 2, *options, out=tmp_path / "run")
    said = capsys.readouterr()
    assert said.err.splitlines() == ([] if options else [OVER])
    assert OVER not in said.out


def test_a_service_says_what_model_is_behind_it(tmp_path: Path) -> None:
    with serving("--port", "0") as (_, url):
        load(f"{url}/edit-scenario-async", "--users", 1, "--requests", 2, out=tmp_path / "run")
        # This route streams without being told to.
        few = ("--users", 1, "--requests", 2, "--slo", "ttft_p50<9s")
        assert load(f"{url}/edit-scenario-stream", *few, out=tmp_path / "streamed") == 3
    provider = read_run(tmp_path / "run").manifest["provider"]
    assert (provider["simulated"], provider["profile"]) == (True, "null")
    assert provider["model"] == "simulated null"


def test_callers_carry_a_rate(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ("load", url, "--rate", "100", "--arrival", "constant", "--requests", "30")
    cli.main([*args, "--users", "1", "--model", "m", "--json", "--out", str(tmp_path / "run")])
    found = json.loads(capsys.readouterr().out)
    assert found["workload"]["text"] == "rate=100, constant, 30 requests, 1 users"
    assert found["outcomes"]["ok"] == 30
    assert found["in_flight"]["peak"] == 1
    assert found["response_time_s"]["p50"] > found["service_time_s"]["p50"]
    record = read_run(tmp_path / "run").records[-1]
    assert record.eligible is not None
    assert record.scheduled < record.eligible <= (record.sent or 0)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "how much load: --users N"),
        (("--rate", 1, "--trace", "t"), "only one of --rate R and --trace"),
        (("--users", 1, "--rate", 2, "--think", 1), "--think and --spread are for --users without"),
        (("--users", 0), "--users: is 0"),
        (("--rate", "fast"), "'fast' is no rate"),
        (("--rate", 5, "--think", 1), "are for --users"),
        (("--rate", 5, "--arrival", "x"), "--arrival 'x'"),
        (("--users", 5, "--arrival", "constant"), "--arrival is for --rate"),
        (("--rate", 5, "--duration", 0), "--duration: is 0"),
        (("--rate", 5, "--duration", "nan"), "--duration: is nan"),
        (("--rate", 5, "--seed", -1), "--seed: is -1"),
        (("--rate", 5, "--slo", "p95"), "is no target"),
        (("--rate", 5, "--slo", ""), "is no target"),
        (("--rate", 5, "--slo", "ttft_p95<1s"), "'ttft_p95<1s': only streams have tokens"),
        (("--find-capacity", "--slo", "success>=0.99999999"), "to be certain; ask for less"),
        (("--users", 1, "--think", -1), "--think: must be"),
        (("--trace", "none.jsonl"), "none.jsonl: cannot be read"),
        (("--find-capacity",), "needs --slo"),
        (("--find-capacity", "--slo", "p50<1s", "--users", 1), "leave out --users"),
        (("--find-capacity", "--slo", "p50<1s", "--rate", "1..2"), "begins at one rate"),
        (("--users", 1, "--api", "service", "--stream"), "streams at /edit-scenario-stream"),
        (("--users", 1, "--api", "service", "--model", "m"), "--model is for --api openai"),
        (("--users", 1, "--api", "get", "--scenarios", SHORT), "a plain GET has no edit"),
        (("--users", 1, "--scenarios", "nowhere"), "nowhere"),
    ],
)
def test_wrong_input_is_one_line_and_sends_nothing(
    url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    args: tuple[object, ...],
    says: str,
) -> None:
    out = tmp_path / "run"
    assert load(url, *args, out=out) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_urls_and_folders_that_cannot_be_right(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    for wrong, says in (
        (closed, "is the server running?"),
        ("ftp://host/v1", "not a URL to load"),
        ("http://user:secret@host/v1", "the URL holds a password"),
        ("http://host:99999/v1", "not a URL"),
        ("http://127.0.0.1/", "say --api"),
    ):
        assert load(wrong, "--users", 1, out=tmp_path / "run") == 2
        error = capsys.readouterr().err
        assert says in error
        assert "secret" not in error
    nobody = closed.removesuffix("v1")
    assert load(nobody, "--api", "get", "--users", 1, out=tmp_path / "run") == 2
    assert "is the server running?" in capsys.readouterr().err
    full = tmp_path / "full"
    args = (url, "--users", 1, "--requests", 2)
    assert load(*args, out=full) == 0
    assert load(*args, out=full) == 2
    assert "holds another run" in capsys.readouterr().err
    shutil.rmtree(full)
    full.write_text("")
    assert load(*args, out=full) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_a_run_without_any_answer_has_not_succeeded(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = url.removesuffix("v1") + "nowhere"
    args = (nowhere, "--api", "get", "--users", 1, "--requests", 3)
    assert load(*args, out=tmp_path / "run") == 1
    shown = capsys.readouterr().out
    assert "http_4xx 3" in shown
    assert "No request was answered." in shown


def test_the_key_is_sent_and_written_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    key = "sk-test-51f0c9"
    monkeypatch.setenv("HARNESS_API_KEY", key)
    out = tmp_path / "run"
    assert load(url, "--users", 1, "--requests", 2, out=out) == 0
    assert key not in capsys.readouterr().out
    for path in out.rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes()
    monkeypatch.setenv("HARNESS_API_KEY", "schlüssel")
    assert load(url, "--users", 1, out=tmp_path / "other") == 2
    assert "no header may" in capsys.readouterr().err
