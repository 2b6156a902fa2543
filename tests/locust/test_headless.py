"""``locust --headless`` against the service."""

import re
import shutil
import signal
from collections import Counter
from pathlib import Path

import orjson
import pytest

from harness.cli import main
from harness.store import read_answers, read_run
from harness.summary import summarise
from tests.locust.children import (
    RIGHT,
    SHORT,
    WRONG,
    command,
    free_port,
    locust,
    recorded,
    service,
    started,
    until,
)

ROUTES = {
    "edit-scenario",
    "edit-scenario-async",
    "edit-scenario-sync",
    "edit-scenario-stream",
    "edit-scenarios",
    "jobs",
}


def test_every_route_is_used_and_recorded(tmp_path: Path, url: str) -> None:
    out, stats = tmp_path / "run", tmp_path / "stats"
    options = ("-u", "15", "-r", "15", "-t", "3s", "--harness-out", str(out))
    done = locust(url, *options, "--json-file", str(stats))
    again = locust(url, "-t", "1s", "--harness-out", str(out))
    assert done.returncode == 0, done.stderr
    run = recorded(out)
    assert set(run.manifest["arms"]) == {record.pipeline for record in run.records} == ROUTES
    assert run.manifest["kind"] == "locust"
    provider = run.manifest["provider"]
    assert (provider["url"], provider["simulated"]) == (url, True)
    counts = Counter(record.outcome for record in run.records)
    assert counts["ok"] > 20
    assert counts["ok"] + counts["cancelled"] == len(run.records)

    for record in run.records:
        assert record.sent is not None
        assert 0 <= record.scheduled <= record.sent
        streamed = record.pipeline == "edit-scenario-stream"
        if record.outcome == "ok":
            assert (record.first_token is not None) == streamed
        else:  # cut off at the end, before its first token or after
            assert record.first_token is None or streamed
        if record.outcome == "ok":
            assert record.done is not None
            assert record.done - record.sent >= 0.1
            assert all(check.ok for check in record.checks)

    # Locust's own count agrees: what was cut off by the end is only in the records.
    events = {
        (e["method"], e["name"]): e["num_requests"]
        for e in orjson.loads((tmp_path / "stats.json").read_bytes())
    }
    ok = Counter(record.pipeline for record in run.records if record.outcome == "ok")
    for route in ROUTES - {"edit-scenarios", "jobs"}:
        assert events["POST", f"/{route}"] == ok[route]
    assert events["TTFT", "/edit-scenario-stream"] == ok["edit-scenario-stream"]
    assert events["JOB", "/jobs"] == ok["jobs"]
    assert 3 * events["POST", "/edit-scenarios"] == ok["edit-scenarios"]

    summary = summarise(run)
    assert all(row["ratio"] is None for row in summary["comparisons"])  # routes are no pairs
    figures = summary["pipelines"]
    for route in ROUTES:
        assert figures[route]["success"]["k"] == figures[route]["response_time_s"]["n"] == ok[route]
        assert figures[route]["throughput_per_s"]["mean"] > 0

    # The folder holds a run now: another does not go over it.
    assert again.returncode == 2
    assert "holds another run" in again.stderr
    assert "Traceback" not in again.stderr
    assert recorded(out).records == run.records


def test_a_wrong_edit_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And every command reads the run as one of the harness's own."""
    out = tmp_path / "run"
    with service(tmp_path, WRONG) as url:
        done = locust(url, "-u", "8", "-r", "8", "-t", "3s", "--harness-out", str(out), "Async")
    assert done.returncode == 1
    run = recorded(out)
    assert {record.outcome for record in run.records} <= {"wrong", "cancelled"}
    wrong = [record for record in run.records if record.outcome == "wrong"]
    failed = {check.id for record in wrong for check in record.checks if not check.ok}
    assert failed
    told = set(re.findall(r"wrong: ([\w-]+)", done.stderr))
    assert told
    assert told <= failed
    texts = {answer.trial: answer.text for answer in read_answers(out)}
    assert all(texts[record.trial].startswith("[") for record in wrong)

    assert main(["report", str(out), "--json"]) == 0
    summary = orjson.loads(capsys.readouterr().out)
    figures = summary["pipelines"]["edit-scenario-async"]
    assert figures["outcomes"]["wrong"] == len(wrong) > 0
    assert figures["success"]["rate"] == 0
    assert figures["resources"]["cpu_s_per_trial"] > 0
    assert (out / "index.html").stat().st_size > 10_000
    assert main(["show", str(out)]) == 0
    shutil.copytree(out, tmp_path / "other")
    assert main(["compare", str(out), str(tmp_path / "other"), "--json"]) == 0


def test_nobody_listens(tmp_path: Path) -> None:
    out = tmp_path / "run"
    url = f"http://user:sesame@127.0.0.1:{free_port()}"
    done = locust(url, "-u", "12", "-r", "12", "-t", "1s", "--harness-out", str(out))
    assert done.returncode == 1
    run = recorded(out)
    lost = [record for record in run.records if record.outcome != "cancelled"]
    assert {(record.outcome, record.error and record.error.type) for record in lost} == {
        ("error", "connect")
    }
    assert {record.pipeline for record in lost} == ROUTES
    for file in (out / "run.json", out / "records.jsonl"):
        assert b"sesame" not in file.read_bytes()


def test_a_service_that_refuses(tmp_path: Path) -> None:
    out = tmp_path / "run"
    slow = RIGHT.replace("mean = 0.1 ", "mean = 0.5 ")
    with service(tmp_path, slow, "--concurrency", "1", "--queue", "0", "--jobs", "1") as url:
        done = locust(url, "-u", "15", "-r", "15", "-t", "3s", "--harness-out", str(out))
    assert done.returncode == 1
    run = recorded(out)
    refused = [record for record in run.records if record.outcome == "error"]
    assert {record.pipeline for record in refused} >= {
        "edit-scenario-async",
        "edit-scenario-stream",
    }
    assert all(record.error and record.error.type == "http_5xx" for record in refused)
    assert any(record.attempts[0].status == 503 for record in refused)
    assert "http_5xx: HTTP 503 overloaded" in done.stderr


def test_a_shape_sets_the_number_of_users(tmp_path: Path, url: str) -> None:
    out = tmp_path / "run"
    done = locust(
        url, "-u", "10", "-t", "5s", "--shape", "step", "--harness-out", str(out), "Async"
    )
    assert done.returncode == 0, done.stderr
    users = re.findall(r"Ramping to (\d+) users", done.stderr)
    assert users == ["2", "4", "6", "8", "10"]
    run = recorded(out)
    assert run.manifest["config"]["workload"] == "closed, 10 users, Locust, shape step, 5 s"
    assert not any(record.warmup for record in run.records)  # it goes up on purpose


def test_edits_before_all_users_are_there_are_warm_up(tmp_path: Path, url: str) -> None:
    out = tmp_path / "run"
    done = locust(url, "-u", "4", "-r", "2", "-t", "4s", "--harness-out", str(out), "Async")
    assert done.returncode == 0, done.stderr
    run = recorded(out)
    spawned = run.manifest["segments"][0]["spawned"]
    assert 0.5 < spawned < 3
    assert {record.warmup for record in run.records} == {True, False}
    assert all(record.warmup == (record.scheduled < spawned) for record in run.records)
    workload = run.manifest["config"]["workload"]
    assert workload == "closed, 4 users, Locust, 2 more each second, 4 s"


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_early_is_interrupted(
    tmp_path: Path, url: str, sign: signal.Signals
) -> None:
    out = tmp_path / "run"
    options = ("--headless", "-u", "4", "-r", "4", "-t", "60s", "--harness-out", str(out))
    with started(*command(url, *options, "Async")) as child:
        until("records", lambda: [p for p in out.glob(".parts/*") if p.stat().st_size])
        child.send_signal(sign)
        assert child.wait(timeout=60) == 0
    run = read_run(out)
    assert run.manifest["status"] == "interrupted"
    checks = {check["name"]: check["ok"] for check in summarise(run)["validity"]["checks"]}
    assert not checks["complete"]


@pytest.mark.parametrize("reader", ["report", "show", "compare"])
def test_what_a_killed_locust_recorded_is_not_lost(
    tmp_path: Path, url: str, reader: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    options = ("--headless", "-u", "4", "-r", "4", "-t", "60s", "--harness-out", str(out))
    with started(*command(url, *options, "Async")) as child:
        until("records", lambda: [p for p in out.glob(".parts/*") if p.stat().st_size])
    assert child.returncode == -signal.SIGKILL
    assert main([reader, str(out), *([str(out)] if reader == "compare" else [])]) == 0
    run = read_run(out)
    assert run.manifest["status"] == "interrupted"
    assert any(record.outcome == "ok" for record in run.records)
    assert not (out / ".parts").exists()
    assert "No trial" not in capsys.readouterr().out


def test_an_address_may_end_with_a_slash(tmp_path: Path, url: str) -> None:
    out = tmp_path / "run"
    done = locust(f"{url}/", "-u", "2", "-r", "2", "-t", "2s", "--harness-out", str(out), "Async")
    assert done.returncode == 0, done.stderr
    assert {record.outcome for record in recorded(out).records} <= {"ok", "cancelled"}


@pytest.mark.parametrize("host", ["", "127.0.0.1:8000", "user:sesame@127.0.0.1", "ftp://a"])
def test_no_address_of_a_service_is_one_clear_line(tmp_path: Path, host: str) -> None:
    done = locust(host, "-t", "1s", "--harness-out", str(tmp_path / "run"))
    assert done.returncode == 2
    assert "write -H http://HOST:PORT" in done.stderr
    assert "Traceback" not in done.stderr
    assert "sesame" not in done.stderr
    assert not (tmp_path / "run").exists()


IDLE = """
from locust import events, task
from harness.locust_support.plugin import install
from harness.locust_support.users import Editor
install(events)
class Idle(Editor):
    path = "/nothing"
    @task
    def rest(self):
        self.wait()
    def wait_time(self):
        return 0.1
"""


def test_a_run_without_an_edit_is_no_success(tmp_path: Path, url: str) -> None:
    file = tmp_path / "idle.py"
    file.write_text(IDLE)
    done = locust(url, "-f", str(file), "-t", "1s", "--harness-out", str(tmp_path / "run"))
    assert done.returncode == 4
    assert "no edit was recorded" in done.stderr


def test_user_kinds_go_before_scenarios() -> None:
    done = locust("http://127.0.0.1:9", "-t", "1s", "--scenarios", SHORT, "Async")
    assert done.returncode == 2
    assert re.search("Async: no such file .*; user kinds go before --scenarios", done.stderr)


def test_wrong_scenarios_are_one_clear_line() -> None:
    done = locust("http://127.0.0.1:9", "-t", "1s", "--scenarios", "/no/such/folder")
    assert done.returncode == 2
    assert "/no/such/folder: no such file or folder" in done.stderr
    assert "user kinds" not in done.stderr
    assert "Traceback" not in done.stderr
    assert SHORT not in done.stderr
