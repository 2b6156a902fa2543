"""Columns say of every trial what its record says, whether they come from memory or from a file."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import InputError
from harness.packing import Named
from harness.records import Attempt, CheckResult, TrialRecord
from harness.stats import sample as sm
from harness.store import RECORDS, read_run
from harness.summary import summarise
from harness.trials import Recorded, Trials, read_columns
from tests.report.build import whole
from tests.stats import plainly
from tests.stats.build import trial

ARMS = ("sync", "async")
GOLDEN = Path(__file__).parent / "data" / "run-v1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole(tmp_path_factory.mktemp("whole") / "run").folder


def same(a: Trials, b: Trials) -> None:
    for field in fields(Trials):
        if field.name == "record":
            continue
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, Named):
            assert x.names == y.names, field.name
            x, y = x.codes, y.codes
        assert np.array_equal(x, y, equal_nan=x.dtype.kind == "f"), field.name


@pytest.mark.parametrize("old", [False, True])
def test_a_file_gives_the_columns_of_its_records(folder: Path, old: bool) -> None:
    path = GOLDEN if old else folder
    run, columns = read_run(path), read_columns(path)
    assert len(columns.trials) == len(run.records)
    same(columns.trials, Trials.of(run.records))
    assert columns.blocks == run.blocks
    places = {0, len(run.records) // 2, len(run.records) - 1}
    assert [columns.trials.record(i) for i in places] == [run.records[i] for i in places]
    assert summarise(columns) == summarise(run)


def test_each_time_is_the_records_own(folder: Path) -> None:
    run = read_run(folder)
    trials = Trials.of(run.records)
    for name in ("response_time", "service_time", "ttft"):
        expected = [getattr(record, name) for record in run.records]
        given_values = [None if np.isnan(x) else x for x in getattr(trials, name).tolist()]
        assert given_values == expected


def test_a_wait_for_the_rate_limit_is_taken_off_the_service_time() -> None:
    record = trial(took=2.0, delay=0.5)
    calls = (
        Attempt("edit", due=10.5, admitted=11.0),
        Attempt("summary", due=11.5, admitted=11.75),
    )
    waited = TrialRecord(**{f.name: getattr(record, f.name) for f in fields(record)})
    object.__setattr__(waited, "attempts", calls)
    assert Trials.of([waited]).service_time.tolist() == [waited.service_time] == [1.25]


def test_what_a_load_generator_was_late_by_is_no_response_time(
    tmp_path: Path, folder: Path
) -> None:
    record = replace(trial(took=2.0), uncounted=0.5)
    unsent = replace(trial(outcome="dropped", took=None), uncounted=None)
    assert Trials.of([record]).response_time.tolist() == [record.response_time] == [1.5]
    assert np.isnan(Trials.of([unsent]).response_time).all()
    for name in ("run.json", "blocks.jsonl"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    lines = [orjson.loads(line) for line in (folder / RECORDS).read_bytes().splitlines()]
    older = [{k: v for k, v in line.items() if k != "uncounted"} for line in lines]
    (tmp_path / RECORDS).write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in older))
    same(read_columns(tmp_path).trials, read_columns(folder).trials)


def test_names_are_counted_most_frequent_first() -> None:
    checks = [
        CheckResult(name, "kind", False, None, None, None) for name in ("b", "a", "a", "c", "b")
    ]
    record = trial(outcome="wrong")
    object.__setattr__(record, "checks", tuple(checks))
    failed = Trials.of([record]).failed
    assert list(failed.counts(np.ones(5, np.bool_)).items()) == [("b", 2), ("a", 2), ("c", 1)]
    assert Trials.of([record]).kind.names == ("kind",)


def test_a_line_that_is_no_record_is_named(tmp_path: Path, folder: Path) -> None:
    for name in ("run.json", "blocks.jsonl"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    lines = (folder / RECORDS).read_bytes().splitlines(keepends=True)[:3]
    for broken in (b"{}\n", b"7\n", b"{\n", lines[0].replace(b'"block":0', b'"block":null')):
        (tmp_path / RECORDS).write_bytes(b"".join([*lines[:2], broken]))
        with pytest.raises(InputError, match=r"records\.jsonl: line 3: not a record"):
            read_columns(tmp_path)
    (tmp_path / RECORDS).write_bytes(b"".join(lines)[:-1])
    assert len(read_columns(tmp_path).trials) == 2, "a torn line counts"


def test_nothing_at_all() -> None:
    trials = Trials.of([])
    assert len(trials) == 0
    assert sm.sample(trials, "sync").n == 0
    assert sm.pairs(trials, *ARMS).n == 0
    assert sm.block_values(trials, "sync", "makespan").n == 0
    assert Recorded.of(Recorded(Path(), {}, trials, [])).trials is trials


records = st.lists(
    st.builds(
        trial,
        st.sampled_from([*ARMS, "other"]),
        st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0, 1.1, 7.3])),
        scenario=st.sampled_from(["s2", "s1", "가"]),
        repeat=st.integers(1, 2),
        block=st.sampled_from([1, 2, 3, 40]),
        segment=st.sampled_from([0, 0, 0, 1]),
        warmup=st.sampled_from([False, False, False, True]),
        scheduled=st.sampled_from([0.0, 10.0, 10.3]),
        delay=st.sampled_from([0.0, 0.25]),
        ttft=st.sampled_from([None, 0.1]),
        outcome=st.sampled_from(["ok", "ok", "wrong", "malformed", "error", "cancelled"]),
        error=st.sampled_from([None, "timeout", "reset"]),
    ),
    max_size=30,
    unique_by=lambda r: (r.pipeline, r.scenario, r.repeat, r.block, r.segment),
)


def equal(found: object, expected: object) -> None:
    for field in fields(expected):  # type: ignore[arg-type]
        a, b = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(b, np.ndarray):
            assert a.tolist() == b.tolist(), field.name
        else:
            assert a == b, field.name


@settings(max_examples=80)
@given(records)
def test_samples_are_those_of_the_records_one_by_one(found: list[TrialRecord]) -> None:
    trials = Trials.of(found)
    for late in (False, True):
        for measure in ("response_time", "service_time", "ttft"):
            equal(
                sm.sample(trials, "sync", measure, timeouts_as_inf=late),
                plainly.sample(found, "sync", measure, timeouts_as_inf=late),
            )
        try:
            expected = plainly.pairs(found, *ARMS, timeouts_as_inf=late)
        except ValueError:
            with pytest.raises(ValueError, match="twice"):
                sm.pairs(trials, *ARMS, timeouts_as_inf=late)
        else:
            equal(sm.pairs(trials, *ARMS, timeouts_as_inf=late), expected)


@settings(max_examples=80)
@given(records, st.sampled_from([None, 1.0]))
def test_blocks_are_those_of_the_records_one_by_one(
    found: list[TrialRecord], target: float | None
) -> None:
    trials = Trials.of(found)
    assert sm.cut_blocks(trials) == plainly.cut_blocks(found)
    equal(
        sm.successes(trials, "sync", target=target),
        plainly.successes(found, "sync", target=target),
    )
    for measure in ("makespan", "throughput", "goodput"):
        equal(
            sm.block_values(trials, "sync", measure, target=target),
            plainly.block_values(found, "sync", measure, target=target),
        )
        equal(
            sm.block_pairs(trials, *ARMS, measure, target=target),
            plainly.block_pairs(found, *ARMS, measure, target=target),
        )


def test_some_trials_have_the_columns_of_their_records(folder: Path) -> None:
    run = read_run(folder)
    trials = read_columns(folder).trials
    chosen = (trials.repeat % 3 == 1) & ~trials.ended("ok")
    some = trials.only(chosen)
    places = np.flatnonzero(chosen).tolist()
    records = [run.records[place] for place in places]
    assert 0 < len(some) < len(trials)
    assert [some.record(i) for i in range(len(some))] == records
    assert sm.successes(some, "sync") == sm.successes(records, "sync")
    kept = np.ones(len(some), np.bool_)
    expected = Trials.of(records)
    for name in ("failed", "error", "malformed", "kind"):
        assert getattr(some, name).counts(kept[: getattr(some, name).codes.size]) == getattr(
            expected, name
        ).counts(kept[: getattr(expected, name).codes.size])
    assert some.failed_of.tolist() == expected.failed_of.tolist()
    assert some.client_error.tolist() == expected.client_error.tolist()
    assert some.client_error_of.tolist() == expected.client_error_of.tolist()
    assert trials.only(np.ones(len(trials), np.bool_)) is trials
