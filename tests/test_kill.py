"""A run that is killed, interrupted or terminated loses nothing and does nothing twice."""

import datetime
import json
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.exit_codes import INTERRUPTED, OK
from harness.records import TrialRecord
from harness.store import LINES, MANIFEST, RECORDS, read_answers, read_manifest, read_run
from tests.runs import SHORT, count_lines, finish, pause, start, until_recorded

KILLS = 10
PROMPT = 3.0  # seconds, on a machine that has other things to do
WRITING = "interrupted: writing the summary and the page of what was recorded\n"
PROFILE = """\
[edit]
ttft_s = { mean = 0.12, cv = 0.3 }
total_s = { mean = 0.8, cv = 0.25 }
[summary]
ttft_s = { mean = 0.08, cv = 0.3 }
total_s = { mean = 0.2, cv = 0.25 }
[answers]
right = 0.8
wrong = 0.2
"""


def options(
    folder: Path, *, scale: float, repeats: int, pipelines: str = "sync,async,batched"
) -> list[str]:
    """``harness run`` of a simulated model that always says something: 24 trials a round."""
    profile = folder.parent / "talkative.toml"
    profile.write_text(PROFILE, "utf-8")
    return [
        *("run", "--scenarios", SHORT, "--pipelines", pipelines, "--concurrency", "4"),
        *("--provider", f"sim:{profile}", "--time-scale", str(scale)),
        *("--repeats", str(repeats), "--warmup", "1", "--out", str(folder)),
    ]


def plain_name(trial: TrialRecord) -> str:
    return f"{trial.scenario}/{trial.pipeline}/{trial.repeat}"


def check_whole(folder: Path) -> list[TrialRecord]:
    """Every planned trial is there once besides the cancelled ones, and its answers with it."""
    for name in LINES:
        data = (folder / name).read_bytes()
        assert data.endswith(b"\n")
        assert all(json.loads(line) for line in data.splitlines())
    run = read_run(folder)
    done = [trial for trial in run.records if trial.outcome != "cancelled"]
    assert Counter(plain_name(trial) for trial in done).most_common(1)[0][1] == 1
    assert len(done) == run.manifest["planned_trials"]
    assert len({trial.trial for trial in run.records}) == len(run.records)
    answers = Counter((answer.trial, answer.attempt) for answer in read_answers(folder))
    assert set(answers.values()) == {1}
    asked = {
        (trial.trial, number)
        for trial in run.records
        for number, attempt in enumerate(trial.attempts)
        if attempt.status == 200
    }
    assert asked == set(answers)
    segments = run.manifest["segments"]
    assert [segment["index"] for segment in segments] == list(range(len(segments)))
    assert {trial.segment for trial in run.records} <= set(range(len(segments)))
    return run.records


def resume(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Finish the run in this process; its summary."""
    assert main(["run", "--resume", "--out", str(folder), "--json"]) == OK
    summary: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert summary["run"]["status"] == "complete"
    assert [c["ok"] for c in summary["validity"]["checks"] if c["name"] == "complete"] == [True]
    return summary


def test_killed_ten_times(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    rng = random.Random(20250614)
    repeats = 7
    command = options(folder, scale=0.04, repeats=repeats)
    for number in range(KILLS):
        child = start(*command)
        before = count_lines(folder / RECORDS)
        until_recorded(child, folder, before + rng.randint(1, 10))
        pause(child, rng.uniform(0, 0.03))
        child.kill()
        code, out, _ = finish(child)
        assert (code, out) == (-signal.SIGKILL, "")
        assert len(read_manifest(folder)["segments"]) == number + 1
        assert before < len(read_run(folder).records) < 24 * (1 + repeats)
        command = ["run", "--resume", "--out", str(folder)]
    summary = resume(folder, capsys)
    records = check_whole(folder)
    assert not [trial for trial in records if trial.outcome == "cancelled"]
    # Blocks that a kill cut in half are left out of pairing, and counted.
    segments: dict[int, set[int]] = {}
    for trial in records:
        segments.setdefault(trial.block, set()).add(trial.segment)
    cut = sum(
        len(found) > 1
        for block, found in segments.items()
        if not next(trial.warmup for trial in records if trial.block == block)
    )
    assert cut > 0
    for row in summary["comparisons"]:
        assert row["cut_blocks"] >= cut
        assert row["n"] == repeats - cut
    assert summary["run"]["segments"] == KILLS + 1


def test_interrupted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By Ctrl-C and by SIGTERM alike; the two run side by side to save time."""
    children = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        folder = tmp_path / number.name
        children[number] = start(*options(folder, scale=0.06, repeats=2), "--json"), folder
    sent, caught = {}, 0
    for number, (child, folder) in children.items():
        until_recorded(child, folder, 30)
        child.send_signal(number)
        sent[number] = datetime.datetime.now(datetime.UTC)
    for number, (child, folder) in children.items():
        code, out, err = finish(child)
        assert (code, err) == (INTERRUPTED, WRITING)
        check_interrupted(folder, json.loads(out))
        assert delay(folder, sent[number]) < PROMPT
        cancelled = [t for t in read_run(folder).records if t.outcome == "cancelled"]
        caught += len(cancelled)
        resume(folder, capsys)
        records = check_whole(folder)
        again = {f"{plain_name(trial)}~1" for trial in cancelled}
        assert {trial.trial for trial in records if "~" in trial.trial} == again
        assert [trial for trial in records if trial.outcome == "cancelled"] == cancelled
    assert caught >= 1  # a signal may come between two trials, but hardly both


def delay(folder: Path, sent: datetime.datetime) -> float:
    """Seconds from a signal until the run had ended."""
    ended = datetime.datetime.fromisoformat(read_manifest(folder)["segments"][0]["ended"])
    return (ended - sent).total_seconds()


def check_interrupted(folder: Path, summary: dict[str, Any]) -> None:
    """What was in flight is cancelled, said to be so, and part of no rate or time."""
    run = read_run(folder)
    assert run.manifest["status"] == summary["run"]["status"] == "interrupted"
    assert summary == json.loads((folder / "summary.json").read_text("utf-8"))
    assert not summary["validity"]["valid"]
    cancelled = [trial for trial in run.records if trial.outcome == "cancelled"]
    assert len(cancelled) <= 4
    assert all((trial.done, trial.response_time) == (None, None) for trial in cancelled)
    for name, pipeline in summary["pipelines"].items():
        counted = sum(trial.pipeline == name and not trial.warmup for trial in cancelled)
        assert pipeline["outcomes"]["cancelled"] == counted
        assert pipeline["success"]["n"] == pipeline["trials"] - counted


def test_a_blocking_call_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """Its thread is left to itself; nothing of it reaches the terminal or the records."""
    folder = tmp_path / "run"
    child = start(*options(folder, scale=100, repeats=1, pipelines="sync"))
    while not (folder / MANIFEST).exists() or not read_manifest(folder)["segments"]:
        assert child.poll() is None, finish(child)
        pause(child, 0.02)
    pause(child, 0.2)
    child.send_signal(signal.SIGINT)
    sent = datetime.datetime.now(datetime.UTC)
    code, _, err = finish(child)
    assert (code, err) == (INTERRUPTED, WRITING)
    assert delay(folder, sent) < PROMPT
    (trial,) = read_run(folder).records
    assert (trial.outcome, trial.pipeline, trial.done) == ("cancelled", "sync", None)
    assert (folder / "summary.json").exists()
