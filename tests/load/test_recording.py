"""A load run on disk: the lines are the records of any run, and every report reads them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest

from harness.errors import InputError
from harness.load.checking import Checked, Verdict, read_edit
from harness.load.columns import Failure
from harness.load.observed import observe
from harness.load.recording import (
    Played,
    record_lines,
    repeats_of,
    write_answers,
    write_records,
)
from harness.records import (
    CallError,
    CheckResult,
    Malformed,
    TrialRecord,
    to_dict,
    trial_from_dict,
)
from harness.store import read_answers
from tests.load.build import columns, result

NAN = float("nan")


def played() -> Played:
    """A right answer, a wrong one, one without a story, and one of each way to get none."""
    failure = [0, 0, 0, Failure.TIMEOUT, Failure.HTTP_5XX, Failure.DROPPED, Failure.CANCELLED]
    scheduled = np.arange(7.0)
    made = columns(
        7,
        failure=np.array(failure, np.int8),
        status=np.array([200, 200, 200, 0, 503, 0, 0], np.int16),
        sent=np.array([0.1, 1.1, 2.1, 3.1, 4.1, NAN, 6.1]),
        uncounted=np.array([0.05, 0, 0, 0, 0, NAN, 0]),
        done=scheduled + np.array([0.5, 0.5, 0.5, 10, 0.2, NAN, 0.4]),
        first_token=scheduled + np.array([0.3, 0.3, NAN, NAN, NAN, NAN, NAN]),
        tokens=np.array([64, -1, -1, -1, -1, -1, -1]),
        token_chunks=np.array([3, 3, 0, 0, 0, 0, 0], np.int32),
    )
    checks = (CheckResult("kept", "preservation", False, 2, "news", "changed"),)
    verdicts = [
        Verdict("ok", None, (replace(checks[0], ok=True),)),
        Verdict("wrong", None, checks),
        Verdict("malformed", Malformed("no_json", "nothing there"), ()),
    ]
    outcome = np.array([0, 1, 2, 3, 3, 3, 3], np.int8)
    checked = Checked(outcome, np.array([0, 1, 2, -1, -1, -1, -1], np.int32), verdicts)
    which = np.array([0, 1, 0, 1, 0, 1, 0], np.int32)
    return Played(result(made), observe(made, outcome), checked, ["a", "b"], which, streamed=True)


def records() -> list[TrialRecord]:
    lines = b"".join(record_lines(played())).splitlines()
    return [trial_from_dict(orjson.loads(line)) for line in lines]


def test_lines_have_every_key_of_a_record_and_say_the_same() -> None:
    lines = [orjson.loads(line) for line in b"".join(record_lines(played())).splitlines()]
    for line, record in zip(lines, records(), strict=True):
        whole = orjson.loads(orjson.dumps(to_dict(record)))
        assert line == whole | {"completion_tokens": line["completion_tokens"]}
    assert [line["completion_tokens"] for line in lines] == [64, *[None] * 6]


def test_records_say_what_happened() -> None:
    found = records()
    assert [record.outcome for record in found] == [
        *("ok", "wrong", "malformed", "error", "error", "dropped", "cancelled")
    ]
    assert len({record.trial for record in found}) == 7
    assert found[0].trial == "a/load/0"
    assert found[2].trial == "a/load/1"
    assert found[0].uncounted == 0.05
    assert found[0].response_time == pytest.approx(0.45), "that is no part of it"
    assert found[0].service_time == pytest.approx(0.4)
    assert found[0].ttft == pytest.approx(0.2)
    assert found[0].attempts[0].chunks == 3
    assert found[1].checks[0].why == "changed"
    assert found[2].malformed == Malformed("no_json", "nothing there")
    assert found[3].error == CallError("timeout", "")
    assert found[4].error == CallError("http_5xx", "HTTP 503")
    assert found[5].attempts == ()
    assert found[5].done is found[5].uncounted is None
    assert found[6].done is None
    assert found[6].error is None


def test_a_first_token_whose_moment_is_lost_has_none() -> None:
    made = columns(
        2, first_token=np.array([0.05, 1.05]), first_lost=np.array([False, True]),
        token_chunks=np.array([2, 2]),
    )  # fmt: skip
    which = np.zeros(2, np.int32)
    run = Played(result(made), observe(made), None, ["a"], which, streamed=True)
    lines = b"".join(record_lines(run)).splitlines()
    found = [trial_from_dict(orjson.loads(line)) for line in lines]
    assert [record.first_token for record in found] == [0.05, None]
    assert [record.attempts[0].first_token for record in found] == [0.05, None]
    assert [record.attempts[0].chunks for record in found] == [2, 2]


def test_repeats_count_a_scenario_apart() -> None:
    which = np.array([2, 0, 2, 2, 1, 0], np.int32)
    assert repeats_of(which).tolist() == [0, 0, 1, 2, 0, 1]
    assert repeats_of(np.zeros(0, np.int32)).tolist() == []


def test_columns_keep_what_records_do_not(tmp_path: Path) -> None:
    made = played()
    write_records(tmp_path, made)
    with np.load(tmp_path / "columns.npz") as kept:
        assert kept["gaps"] == pytest.approx([0.01, 0.02, 0.03, 0.04])
        assert kept["outcome"].tolist() == [0, 1, 2, 3, 3, 5, 4]
        np.testing.assert_array_equal(kept["done"], made.result.columns.done)
    block = orjson.loads((tmp_path / "blocks.jsonl").read_bytes())
    assert block["trials"] == 7
    assert block["cpu_s"] == 1.0


@pytest.mark.parametrize("last", ["<html>", ""])
def test_answers_are_kept_by_outcome(tmp_path: Path, last: str) -> None:
    bodies = [b'{"story": "right"}', b'{"story": "wrong"}', last.encode()]
    spool = tmp_path / "bodies"
    spool.write_bytes(b"".join(bodies))
    made = played()
    at = np.array([0, 18, 36 if last else -1, -1, -1, -1, -1])
    size = np.array([18, 18, len(last), 0, 0, 0, 0])
    kept = replace(made.result, columns=replace(made.result.columns, body_at=at, size=size))
    write_answers(tmp_path, replace(made, result=replace(kept, bodies=spool)), read_edit)
    assert [(a.trial, a.text) for a in read_answers(tmp_path)] == [
        ("a/load/0", "right"),
        ("b/load/0", "wrong"),
        ("a/load/1", last),
    ]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_records(tmp_path / "none", played())
    with pytest.raises(InputError, match="cannot be written"):
        write_answers(tmp_path / "none", played(), read_edit)
