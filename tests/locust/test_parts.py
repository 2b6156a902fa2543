"""What processes wrote by themselves → one run."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.locust_support import parts
from harness.locust_support.merging import PATIENCE_S, gather, merge
from harness.locust_support.parts import PartWriter
from harness.locust_support.trials import Trial
from harness.locust_support.verdicts import CANCELLED, Verdict, failed
from harness.manifest import new_manifest
from harness.records import BlockRecord
from harness.scenario import load_scenarios
from harness.store import Run, RunWriter, read_answers, read_run
from harness.summary import summarise
from tests.locust.children import SHORT

SCENARIOS = load_scenarios([SHORT])[:2]


def never(seconds: float) -> None:
    raise AssertionError("nobody is to be waited for")


def trial(arm: str, scenario: int, done: float | None, verdict: Verdict, sent: float = 1) -> Trial:
    return Trial(
        arm, SCENARIOS[scenario], scheduled=sent, sent=sent, done=done, status=200, verdict=verdict
    )


def used(trials: int) -> BlockRecord:
    return BlockRecord(
        block=0,
        pipeline="",
        segment=0,
        repeat=0,
        position=0,
        warmup=False,
        started=0.0,
        ended=9.0,
        trials=trials,
        cpu_s=0.5,
        peak_rss_mb=50.0,
        peak_threads=None,
        peak_sockets=None,
        lag_s=(0.001,),
    )


@pytest.fixture
def writer(tmp_path: Path) -> RunWriter:
    manifest = new_manifest("locust", ["locust"], {"target": None}, ["a", "b"], SCENARIOS, None)
    manifest["segments"].append({"index": 0, "started": "2026-01-01T00:00:00+00:00", "ended": None})
    return RunWriter.create(tmp_path / "run", manifest)


def merged(writer: RunWriter, wait: Callable[[float], None] = never) -> Run:
    with writer:
        count = merge(writer, wait, whole=True)
    run = read_run(writer.folder)
    assert count == len(run.records)
    return run


def write(writer: RunWriter, name: str, *trials: Trial) -> None:
    part = PartWriter(writer.folder, name)
    for each in trials:
        part.write(each.record(0.5), each.verdict.text)
    part.close(used(part.trials))


OK = Verdict("ok", text="[1]")


def test_records_of_two_processes_come_in_order_of_time(writer: RunWriter) -> None:
    write(writer, "one", trial("b", 0, 2.0, OK), trial("b", 0, 4.0, failed("reset", "it broke")))
    write(writer, "two", trial("b", 0, 3.0, OK), trial("a", 1, 5.0, OK))
    run = merged(writer)
    ids = [record.trial for record in run.records]
    first, second = (scenario.id for scenario in SCENARIOS)
    assert ids == [f"{first}/b/0", f"{first}/b/1", f"{first}/b/2", f"{second}/a/0"]
    assert [record.repeat for record in run.records] == [0, 1, 2, 0]
    assert [record.block for record in run.records] == [0, 0, 0, 1]
    assert [record.done for record in run.records] == [1.5, 2.5, 3.5, 4.5]
    assert [record.scheduled for record in run.records] == [0.5] * 4
    assert run.records[2].error is not None
    assert [answer.trial for answer in read_answers(writer.folder)] == [ids[0], ids[1], ids[3]]
    assert (run.manifest["arms"], run.manifest["baseline"]) == (["a", "b"], "a")
    assert run.manifest["status"] == "complete"
    assert not (writer.folder / ".parts").exists()
    # Nobody knows how much of a process each route took.
    assert [(b.block, b.pipeline) for b in run.blocks] == [(0, "locust"), (1, "locust")]


def test_what_began_before_all_users_were_there_is_warm_up(writer: RunWriter) -> None:
    """And a block of its own, so that the rest has a throughput."""
    writer.manifest["segments"][0]["spawned"] = 1.0
    early, late = trial("b", 0, 2.0, OK), trial("b", 0, 3.0, OK, sent=2)  # the clock began at 0.5
    write(writer, "one", early, late)
    run = merged(writer)
    assert [(r.warmup, r.block, r.scheduled) for r in run.records] == [
        (True, 0, 0.5),
        (False, 1, 1.5),
    ]
    assert [(b.block, b.pipeline) for b in run.blocks] == [(1, "b")]
    figures = summarise(run)["pipelines"]["b"]
    assert figures["trials"] == figures["response_time_s"]["n"] == 1
    assert figures["throughput_per_s"]["mean"] == pytest.approx(1.0)


def test_users_that_were_never_all_there(writer: RunWriter) -> None:
    writer.manifest["segments"][0]["spawned"] = None
    write(writer, "one", trial("b", 0, 2.0, OK))
    assert [record.warmup for record in merged(writer).records] == [True]


def test_a_test_that_was_cut_short(writer: RunWriter) -> None:
    write(writer, "one", trial("a", 0, 2.0, OK))
    with writer:
        merge(writer, never, whole=False)
    assert read_run(writer.folder).manifest["status"] == "interrupted"


def test_what_a_killed_locust_left_is_gathered(writer: RunWriter) -> None:
    """Once nobody writes it any more; what a merge that was killed too had written is not twice."""
    part = PartWriter(writer.folder, "one")
    part.write(trial("a", 0, 2.0, OK).record(0.5), "[1]")
    with pytest.raises(InputError, match="another process is writing"):
        gather(writer.folder)
    writer.append(trial("a", 0, 2.0, OK).record(0.5), ())
    writer.close()
    with pytest.raises(InputError, match="workers of it still write"):
        gather(writer.folder)
    part.close(used(1))
    for _ in range(2):
        gather(writer.folder)
        run = read_run(writer.folder)
        assert [record.trial for record in run.records] == [f"{SCENARIOS[0].id}/a/0"]
        assert run.manifest["status"] == "interrupted"
        assert not (writer.folder / ".parts").exists()
    checks = {check["name"]: check for check in summarise(run)["validity"]["checks"]}
    assert not checks["complete"]["ok"]
    assert checks["complete"]["remedy"] == "the run was interrupted: run it again"


def test_other_folders_are_left_alone(tmp_path: Path, writer: RunWriter) -> None:
    gather(tmp_path)
    writer.manifest["kind"] = "run"
    writer.save_manifest()
    gather(writer.folder)
    assert read_run(writer.folder).manifest["status"] == "running"


def test_one_process_and_one_route(writer: RunWriter) -> None:
    write(writer, "one", trial("b", 0, 2.0, OK))
    run = merged(writer)
    assert run.manifest["arms"] == ["b"]
    assert [block.pipeline for block in run.blocks] == ["b"]


def test_what_was_cut_off_has_no_end(writer: RunWriter) -> None:
    unsent = Trial("a", SCENARIOS[0], scheduled=1.5)
    write(writer, "one", trial("a", 0, None, CANCELLED), trial("a", 0, 2.0, CANCELLED), unsent)
    run = merged(writer)
    assert {record.outcome for record in run.records} == {"cancelled"}
    assert {record.done for record in run.records} == {None}
    assert sorted(len(record.attempts) for record in run.records) == [0, 1, 1]


def test_no_edit_at_all(writer: RunWriter) -> None:
    write(writer, "one")
    run = merged(writer)
    assert (run.records, run.manifest["status"]) == ([], "complete")


def test_no_process_at_all(writer: RunWriter) -> None:
    with writer:
        assert merge(writer, never, whole=True) == 0
    assert read_run(writer.folder).manifest["status"] == "interrupted"


WRITE = """
import sys, time
from pathlib import Path
from harness.locust_support.parts import PartWriter
from tests.locust.test_parts import OK, trial
part = PartWriter(Path(sys.argv[1]), "other")
part.write(trial("a", 0, 2.0, OK).record(0), None)
print("written", flush=True)
time.sleep(60)
"""


def test_a_process_that_still_writes_is_waited_for_and_a_killed_one_is_missed(
    writer: RunWriter,
) -> None:
    write(writer, "one", trial("a", 0, 3.0, OK))
    command = [sys.executable, "-c", WRITE, str(writer.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "written\n"
        waits = 0

        def wait(seconds: float) -> None:
            nonlocal waits
            waits += 1
            if waits == 3:
                child.send_signal(signal.SIGKILL)
                child.wait()

        run = merged(writer, wait)
    assert waits == 3
    assert len(run.records) == 2
    assert len(run.blocks) == 1
    assert run.manifest["status"] == "interrupted"


def test_a_process_that_never_ends_is_not_waited_for_for_ever(writer: RunWriter) -> None:
    """Its part stays where it is."""
    part = PartWriter(writer.folder, "stuck")
    part.write(trial("a", 0, 2.0, OK).record(0), None)
    waited: list[float] = []
    run = merged(writer, waited.append)
    assert sum(waited) == pytest.approx(PATIENCE_S)
    assert len(run.records) == 1
    assert run.manifest["status"] == "interrupted"
    assert (writer.folder / ".parts" / "stuck.jsonl").exists()
    part.close(used(1))


def test_a_torn_line_is_passed_over(writer: RunWriter) -> None:
    write(writer, "one", trial("a", 0, 2.0, OK))
    with (writer.folder / ".parts" / "one.jsonl").open("rb+") as file:
        file.seek(-5, 2)
        file.truncate()
    run = merged(writer)
    assert len(run.records) == 1
    assert (run.blocks, run.manifest["status"]) == ([], "interrupted")


def test_answers_are_kept_while_there_are_few(
    writer: RunWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "MOST_ANSWERS", 2)
    wrong = Verdict("wrong", text="[2]")
    write(writer, "one", *(trial("a", 0, 2.0 + i, v) for i, v in enumerate([OK] * 4 + [wrong])))
    run = merged(writer)
    kept = [answer.text for answer in read_answers(writer.folder)]
    assert (len(run.records), kept) == (5, ["[1]", "[1]", "[2]"])


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        PartWriter(tmp_path / "nowhere", "one")
