"""Each check of a run's validity holds on a fit run, and breaks for its own reason alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.records import Attempt, BlockRecord, SimTiming, TrialRecord
from harness.trials import Recorded, Trials
from harness.validity import LOAD, Validity, check_run, checks_of, client_errors, slip
from tests.stats.build import trial

LATE = "schedule_slip_p99"
NAMES = (LATE, "loop_lag_p99", "client_cpu_share", "unanswered_share", "complete")


def called(record: TrialRecord, late: float = 0.001, own: float | None = None) -> TrialRecord:
    """The trial with one call, asked for ``late`` seconds after it could begin, of which the
    simulator counts ``own`` seconds.
    """
    assert record.eligible is not None
    due = record.eligible + late
    sim = None if own is None else SimTiming(ttft_s=own, total_s=own)
    done = None if record.done is None else record.done
    return replace(record, attempts=(Attempt("edit", due=due, sent=due, done=done, sim=sim),))


def stretch(cpu: float = 0.1, lag: float = 0.001, warmup: bool = False) -> BlockRecord:
    lags = (lag,) * 100
    return BlockRecord(1, "sync", 0, 1, 0, warmup, 10.0, 11.0, 100, cpu, 50.0, 1, 0, lags)


FIT = [called(trial(scenario=f"s{i}")) for i in range(100)]


def check(
    records: list[TrialRecord] = FIT, block: BlockRecord | None = None, planned: int | None = 100
) -> dict[str, Validity]:
    found = check_run(records, [block or stretch()], planned=planned)
    return {validity.name: validity for validity in found}


def broken(found: dict[str, Validity]) -> list[str]:
    return [name for name, validity in found.items() if not validity.ok]


def test_a_fit_run_is_valid() -> None:
    found = check()
    assert tuple(found) == NAMES
    assert broken(found) == []
    assert found["client_cpu_share"].value == pytest.approx(0.1)
    assert found["unanswered_share"].value == 0
    assert found["complete"].value == 100
    assert all(validity.remedy for validity in found.values())


def test_late_trials_break_it() -> None:
    records = [*FIT[:98], *(called(record, late=0.5) for record in FIT[98:])]
    found = check(records)
    assert broken(found) == [LATE]
    assert found[LATE].value == pytest.approx(0.5)
    assert found[LATE].limit == pytest.approx(0.010)


def test_the_limit_grows_with_the_response_time() -> None:
    slow = [called(trial(took=10.0, scenario=f"s{i}"), late=0.09) for i in range(100)]
    found = check(slow)
    assert found[LATE].limit == pytest.approx(0.100)
    assert broken(found) == []


def test_one_late_trial_in_a_thousand_does_not() -> None:
    many = [called(trial(scenario=f"s{i}")) for i in range(1000)]
    assert broken(check([called(many[0], late=5.0), *many[1:]], planned=1000)) == []


def test_waiting_for_the_rate_limit_is_not_lateness() -> None:
    held = replace(FIT[0].attempts[0], admitted=15.0, sent=15.0)
    assert slip(replace(FIT[0], attempts=(held,))) == pytest.approx(0.001)


def test_a_trial_without_a_call_has_no_slip() -> None:
    assert slip(trial()) is None
    assert slip(replace(FIT[0], eligible=None)) is None


def test_a_held_up_loop_breaks_it() -> None:
    assert broken(check(block=stretch(lag=0.2))) == ["loop_lag_p99"]


def test_a_busy_client_breaks_it() -> None:
    found = check(block=stretch(cpu=0.71))
    assert broken(found) == ["client_cpu_share"]
    assert found["client_cpu_share"].value == pytest.approx(0.71)


def test_many_errors_break_it() -> None:
    lost = [called(trial(scenario=f"s{i}", outcome="error", error="timeout")) for i in range(6)]
    found = check([*FIT[6:], *lost])
    assert broken(found) == ["unanswered_share"]
    assert found["unanswered_share"].value == pytest.approx(0.06)


def test_wrong_and_malformed_answers_do_not() -> None:
    answered = [replace(record, outcome="wrong") for record in FIT[:50]]
    answered += [replace(record, outcome="malformed") for record in FIT[50:]]
    assert broken(check(answered)) == []


def test_missing_trials_break_it() -> None:
    found = check(planned=101)
    assert broken(found) == ["complete"]
    assert (found["complete"].value, found["complete"].limit) == (100, 101)


def test_cancelled_trials_are_missing_but_not_unanswered() -> None:
    cancelled = [replace(record, outcome="cancelled", done=None) for record in FIT[:50]]
    assert broken(check([*FIT[50:], *cancelled])) == ["complete"]


def test_what_is_planned_may_be_unknown() -> None:
    assert "complete" not in check(planned=None)


def test_what_was_not_measured_does_not_hold() -> None:
    found = {each.name: each for each in check_run([], [], planned=0)}
    assert broken(found) == [name for name in NAMES if name != "complete"]
    assert all(found[name].value is None for name in broken(found))


def test_warm_up_counts_for_completeness_alone() -> None:
    warm = [
        called(trial(scenario=f"w{i}", warmup=True, outcome="error", error="reset"), late=9.0)
        for i in range(100)
    ]
    assert broken(check([*FIT, *warm], planned=200)) == []
    assert broken(check(block=stretch(cpu=9.0, warmup=True))) == ["loop_lag_p99", NAMES[2]]


def test_the_client_error_is_what_the_simulator_did_not_take() -> None:
    records = [
        called(trial(took=1.0), late=0.0, own=0.75),
        called(trial(took=1.0, warmup=True), late=0.0, own=0.5),
        called(trial(took=None), late=0.0, own=0.5),
        called(trial(took=1.0), late=0.0),
    ]
    assert client_errors(records) == [pytest.approx(0.25)]


def test_a_load_run_has_the_checks_that_were_made_of_it(tmp_path: Path) -> None:
    check = {"name": "merged_share", "ok": False, "value": 0.1, "limit": 0.005}
    check |= {"unit": "of the chunks", "remedy": "lower --users"}
    (tmp_path / LOAD).write_text(json.dumps({"validity": {"checks": [check]}}), "utf-8")
    run = Recorded(tmp_path, {}, Trials.of(()), ())
    assert [(found.name, found.ok, found.value) for found in checks_of(run)] == [
        ("merged_share", False, 0.1)
    ]


@pytest.mark.parametrize(
    ("kind", "status", "whole"),
    [("load", "running", False), ("locust", "interrupted", False), ("locust", "complete", True)],
)
def test_a_load_that_was_cut_off_is_not_whole(
    tmp_path: Path, kind: str, status: str, whole: bool
) -> None:
    manifest = {"kind": kind, "status": status, "planned_trials": None}
    found = checks_of(Recorded(tmp_path, manifest, Trials.of(()), ()))
    (complete,) = (check for check in found if check.name == "complete")
    assert complete.ok is whole
