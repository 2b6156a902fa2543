"""The formats of a run's files: old ones load, new fields do not hurt, nothing is lost."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import records as rec
from harness.errors import InputError
from harness.store import ANSWERS, BLOCKS, RECORDS, RunWriter, read_answers, read_run
from harness.summary import summarise
from tests.runs import manifest

GOLDEN = Path(__file__).parent / "data" / "run-v1"

# The contract of design and README: these do not change without a new schema number.
TRIAL_KEYS = {
    *("trial", "scenario", "pipeline", "repeat", "block", "segment", "warmup", "scheduled"),
    *("sent", "first_token", "last_token", "done", "outcome", "error", "attempts", "usage"),
    "checks",
}
ATTEMPT_KEYS = {"call", "due", "sent", "first_token", "done", "status", "error", "usage"}
CHECK_KEYS = {"id", "kind", "ok", "turn", "field", "why"}

READERS = {
    RECORDS: rec.trial_from_dict,
    BLOCKS: rec.block_from_dict,
    ANSWERS: rec.answer_from_dict,
}


def golden(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (GOLDEN / name).read_text("utf-8").splitlines()]


def holds(new: object, old: object) -> bool:
    """Whether all that ``old`` says stands in ``new``, which may say more."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(k in new and holds(new[k], old[k]) for k in old)
    if isinstance(old, list):
        return isinstance(new, list) and len(new) == len(old) and all(map(holds, new, old))
    return type(new) is type(old) and new == old


def as_json(record: object) -> Any:
    return json.loads(json.dumps(rec.to_dict(record)))


def grown(value: Any) -> Any:
    """The same data as a newer version would write it: more keys in every object."""
    if isinstance(value, dict):
        return {"newer": [1], **{key: grown(item) for key, item in value.items()}}
    return [grown(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", READERS)
def test_lines_of_schema_1_are_read_and_written_back(name: str) -> None:
    lines = golden(name)
    assert lines
    for line in lines:
        assert holds(as_json(READERS[name](line)), line)


@pytest.mark.parametrize("name", READERS)
def test_lines_of_newer_versions_load(name: str) -> None:
    for line in golden(name):
        assert READERS[name](grown(line)) == READERS[name](line)


def test_a_run_of_schema_1_still_has_its_figures() -> None:
    run = read_run(GOLDEN)
    assert len(read_answers(GOLDEN)) == 4
    pipelines = summarise(run)["pipelines"]
    assert pipelines["batched"]["response_time_s"]["mean"] == 0.75
    assert pipelines["streaming"]["ttft_s"]["mean"] == 0.125
    assert pipelines["batched"]["errors"] == {"timeout": 1}


def test_lines_have_what_scripts_depend_on() -> None:
    for line in golden(RECORDS):
        written = as_json(rec.trial_from_dict(line))
        assert written.keys() >= TRIAL_KEYS
        assert all(attempt.keys() >= ATTEMPT_KEYS for attempt in written["attempts"])
        assert all(check.keys() >= CHECK_KEYS for check in written["checks"])


def test_an_attempt_without_later_fields_loads() -> None:
    """Fields that came later have a default that says 'not measured'."""
    (line,) = [line for line in golden(RECORDS) if line["outcome"] == "wrong"]
    attempts = [{key: a[key] for key in ATTEMPT_KEYS} for a in line["attempts"]]
    checks = [{key: c[key] for key in CHECK_KEYS} for c in line["checks"]]
    record = rec.trial_from_dict({**line, "attempts": attempts, "checks": checks})
    assert record.attempts[0].sim is None
    assert record.attempts[0].last_token is None
    assert not record.checks[0].proxy


def test_times_of_a_record() -> None:
    trials = {record.outcome: record for record in map(rec.trial_from_dict, golden(RECORDS))}
    wrong = trials["wrong"]
    assert (wrong.response_time, wrong.service_time, wrong.ttft) == (1.5, 1.0625, 0.125)
    for outcome in ("error", "cancelled"):
        record = trials[outcome]
        assert (record.response_time, record.service_time, record.ttft) == (None, None, None)


@pytest.mark.parametrize("damage", ["[]", '"text"', "{}", "1", "null", "{", '{"trial": "x"}'])
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_line_is_named(tmp_path: Path, name: str, damage: str) -> None:
    folder = shutil.copytree(GOLDEN, tmp_path / "run")
    lines = (folder / name).read_text("utf-8").splitlines()
    (folder / name).write_text("\n".join([lines[0], damage, *lines[1:]]) + "\n", "utf-8")
    with pytest.raises(InputError, match=f"{name}: line 2: not a record"):
        read_answers(folder) if name == ANSWERS else read_run(folder)


# --- any record at all ---

times = st.floats(min_value=0, max_value=1e9, allow_nan=False)
texts = st.text(st.one_of(st.characters(), st.sampled_from('\ud800\udfff\u2028\x00\n"\\한')))
counts = st.integers(0, 2**53)
maybe_time = st.none() | times
usages = st.builds(rec.Usage, counts, counts, st.none() | counts)
errors = st.builds(rec.CallError, st.sampled_from(get_args(rec.ErrorType)), texts)
attempts = st.builds(
    rec.Attempt,
    call=st.sampled_from(["edit", "summary"]),
    due=times,
    **dict.fromkeys(("admitted", "sent", "first_token", "last_token", "done"), maybe_time),
    status=st.none() | st.integers(100, 599),
    error=st.none() | errors,
    usage=st.none() | usages,
    finish_reason=st.none() | texts,
    chunks=st.none() | counts,
    stopped_early=st.booleans(),
    sim=st.none() | st.builds(rec.SimTiming, times, times),
)
reasons = ["empty", "no_json", "truncated", "bad_json", "bad_story", "too_long"]
trials = st.builds(
    rec.TrialRecord,
    **dict.fromkeys(("trial", "scenario", "pipeline"), texts),
    **dict.fromkeys(("repeat", "block", "position", "segment"), counts),
    warmup=st.booleans(),
    scheduled=times,
    **dict.fromkeys(
        ("eligible", "sent", "first_token", "last_token", "done", "own_done"), maybe_time
    ),
    outcome=st.sampled_from(rec.OUTCOMES),
    error=st.none() | errors,
    malformed=st.none() | st.builds(rec.Malformed, st.sampled_from(reasons), texts),
    attempts=st.lists(attempts, max_size=3).map(tuple),
    usage=st.none() | usages,
    checks=st.lists(
        st.builds(
            rec.CheckResult,
            *(texts, texts, st.booleans(), st.none() | counts, st.none() | texts),
            *(st.none() | texts, st.booleans()),
        ),
        max_size=3,
    ).map(tuple),
    summary=st.none() | texts,
)
blocks = st.builds(
    rec.BlockRecord,
    block=counts,
    pipeline=texts,
    segment=counts,
    repeat=counts,
    position=counts,
    warmup=st.booleans(),
    started=times,
    ended=times,
    trials=counts,
    cpu_s=times,
    peak_rss_mb=maybe_time,
    peak_threads=st.none() | counts,
    peak_sockets=st.none() | counts,
    lag_s=st.lists(times, max_size=5).map(tuple),
)


def kept(value: Any) -> Any:
    """What UTF-8 can hold of a record's data: a lone surrogate becomes ``?``."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {key: kept(item) for key, item in value.items()}
    return type(value)(map(kept, value)) if isinstance(value, list | tuple) else value


@given(
    record=trials,
    block=blocks,
    answer=st.builds(rec.Answer, texts, counts, st.sampled_from(["edit", "summary"]), texts),
)
def test_any_record_survives_its_file(
    record: rec.TrialRecord, block: rec.BlockRecord, answer: rec.Answer
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with RunWriter.create(Path(folder), manifest()) as writer:
            writer.append(record, [answer])
            writer.append_block(block)
        run, answers = read_run(Path(folder)), read_answers(Path(folder))
    for before, after in ((record, run.records), (block, run.blocks), (answer, answers)):
        assert [rec.to_dict(item) for item in after] == [kept(rec.to_dict(before))]
