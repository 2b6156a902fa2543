"""Comparing loads: one block is worth as many independent trials as its order shows."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.comparing.arm import ALONE, Arm
from harness.comparing.decide import rule
from harness.comparing.expression import parse_gates
from harness.comparing.rows import Row, compare_arms
from harness.stats import estimate, serial
from harness.stats.compare import mover
from harness.trials import Floats, Recorded, Trials
from tests.stats.build import trial
from tests.stats.test_serial import alike

RHO = 0.8


def load(times: Floats, *, scenarios: int = 1, right: Sequence[bool] | None = None) -> Arm:
    """A trial a second, one after another of each scenario, all in one block; in a file's order,
    which is that in which they ended.
    """
    rows = [
        trial(
            "load",
            float(took),
            scenario=f"s{i % scenarios}",
            repeat=i // scenarios,
            scheduled=float(i),
            delay=0.0,
            outcome="ok" if right is None or right[i] else "wrong",
        )
        for i, took in enumerate(times)
    ]
    rows.sort(key=lambda record: record.done or 0.0)
    names = {f"s{i}" for i in range(scenarios)}
    return Arm(Recorded(Path(), {}, Trials.of(rows), ()), "load", names)


def rows(a: Arm, b: Arm) -> dict[str, Row]:
    return {row.metric: row for row in compare_arms(a, b, 0.95, matched=True)}


def series(seed: int, n: int = 600) -> Floats:
    return np.exp(0.3 * alike(np.random.default_rng(seed), n, RHO))


@pytest.mark.parametrize("scenarios", [1, 3])
def test_intervals_hold_the_truth_where_requests_fare_alike(scenarios: int) -> None:
    held = dict.fromkeys(("gm", "mean", "p50"), 0)
    naive = 0
    for seed in range(60):
        sides = [series(2 * seed, 1000), series(2 * seed + 1, 1000)]
        found = rows(*(load(times, scenarios=scenarios) for times in sides))
        for metric in held:
            row = found[metric]
            assert row.lo is not None
            assert row.hi is not None
            held[metric] += row.lo <= 0 <= row.hi
        a, b = (estimate.quantile(times, 0.5) for times in sides)
        plain = mover(a, b, "p50")
        assert plain.lo is not None
        assert plain.hi is not None
        naive += plain.lo <= 1 <= plain.hi
    assert min(held.values()) >= 51, held
    assert naive < 42, "what independent trials would give"


def test_one_scenario_is_compared_over_stretches() -> None:
    found = rows(load(series(1)), load(1.5 * series(2)))
    for metric in ("gm", "mean"):
        row = found[metric]
        assert row.method == "Welch's t over stretches"
        assert row.counts == "30 + 30 stretches"
        assert row.lo is not None
        assert row.lo > 0
    assert found["p50"].counts == "600 + 600 trials"
    assert found["gm"].ratio == pytest.approx(
        float(np.exp(np.log(1.5 * series(2)).mean() - np.log(series(1)).mean()))
    )


def test_scenarios_are_still_paired() -> None:
    found = rows(load(series(1), scenarios=4), load(series(2), scenarios=4))
    assert found["gm"].counts == "4 scenarios"
    assert "30 + 30 stretches" in found["gm"].method


@pytest.mark.parametrize("scenarios", [50, 200])
def test_many_scenarios_once_or_few_times_pass_no_gate_by_luck(scenarios: int) -> None:
    (gate,) = parse_gates(["gm<=+5%"])
    passed = held = 0
    for seed in range(60):
        a = load(series(2 * seed, 200), scenarios=scenarios)
        b = load(1.08 * series(2 * seed + 1, 200), scenarios=scenarios)
        row = rows(a, b)["gm"]
        assert row.counts == "20 + 20 stretches"
        assert row.lo is not None
        assert row.hi is not None
        held += row.lo <= 8 <= row.hi
        passed += rule(gate, row, b, (), 1.0).outcome == "pass"
    assert passed <= 4
    assert held >= 46


@pytest.mark.parametrize("metric", ["gm", "mean", "p50"])
def test_few_trials_in_one_block_decide_nothing(metric: str) -> None:
    a, b = load(series(1, 99), scenarios=9), load(series(2, 99), scenarios=9)
    row = rows(a, b)[metric]
    assert row.hold == ALONE
    for text in (f"{metric}<=+500%", f"{metric}<60s"):
        (gate,) = parse_gates([text])
        ruling = rule(gate, row, b, (), 1.0)
        assert ruling.outcome == "undecided"
        assert ALONE in ruling.reason
    assert rows(load(series(1, 100)), load(series(2, 100)))[metric].hold is None


def test_a_load_and_a_run_of_blocks_are_paired_over_scenarios() -> None:
    a = load(series(1), scenarios=4)
    records = [
        replace(a.trials.record(i), block=i // 4, scheduled=float(i)) for i in range(len(a.trials))
    ]
    b = Arm(Recorded(Path(), {}, Trials.of(records), ()), "load", a.scenarios)
    for row in (rows(a, b)["gm"], rows(b, a)["gm"]):
        assert row.counts == "4 scenarios"
        assert "stretches" not in row.method


def test_right_answers_count_as_many_as_their_order_shows() -> None:
    by_turns = [i % 10 > 0 for i in range(600)]
    at_once = [i >= 60 for i in range(600)]  # the first minute went wrong
    shuffled = np.random.default_rng(5).permutation(600)
    plain = rows(load(series(1), right=by_turns), load(series(1), right=by_turns))["success"]
    found = rows(load(series(1), right=at_once), load(series(1), right=at_once))["success"]
    assert plain.a == found.a == pytest.approx(0.9)
    assert plain.change == found.change == 0
    assert plain.hi is not None
    assert found.hi is not None
    assert found.hi > 3 * plain.hi
    assert found.counts == "600 + 600 trials"
    arm = load(series(1), right=at_once)
    mixed = [arm.trials.record(int(i)) for i in shuffled]
    other = Arm(Recorded(Path(), {}, Trials.of(mixed), ()), "load", {"s0"})
    assert rows(other, other)["success"].hi == found.hi, "whatever the order of the records"


@pytest.mark.parametrize("metric", ["p50", "p95", "gm", "mean", "success"])
def test_a_limit_on_one_load_is_held_against_the_same_interval(metric: str) -> None:
    times = series(3)
    scenarios = 1 if metric == "success" else 3
    right = (np.abs(np.sin(np.arange(600) / 40)) > 0.2).tolist()
    arm = load(times, right=right, scenarios=scenarios)
    expected = {
        "p50": serial.quantile(times, 0.5),
        "p95": serial.quantile(times, 0.95),
        "gm": serial.mean(np.log(times)),
        "mean": serial.mean(times),
        "success": serial.share(np.array(right)),
    }[metric]
    if metric == "gm":
        assert expected.lo is not None
        assert expected.hi is not None
        expected = replace(expected, lo=np.exp(expected.lo), hi=np.exp(expected.hi))
    (gate,) = parse_gates([f"{metric}>=0.5" if metric == "success" else f"{metric}<9s"])
    ruling = rule(gate, rows(arm, arm)[metric], arm, (), 1.0)
    assert ruling.outcome == "pass"
    assert (ruling.lo, ruling.hi) == pytest.approx((expected.lo, expected.hi))


def test_time_outs_count_in_the_tail_of_a_load() -> None:
    arm = load(series(4))
    records = [arm.trials.record(i) for i in range(len(arm.trials))]
    lost = [
        trial("load", None, scenario="s0", repeat=i, scheduled=float(i), outcome="error",
              error="timeout")
        if i % 10 == 0
        else record
        for i, record in enumerate(records)
    ]  # fmt: skip
    slow = Arm(Recorded(Path(), {}, Trials.of(lost), ()), "load", {"s0"})
    found = slow.quantile(0.95, 0.95)
    assert found.point == np.inf
    assert found.n == 600
