"""``harness compare``: known changes are found, and what is not known never passes a gate."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from harness.cli import main
from harness.comparing import Result, Ruling, compare_runs, parse_gates, parse_pairs
from harness.comparing.expression import METRICS
from harness.comparing.ratios import Readings, paired, unpaired, welch
from harness.errors import InputError
from harness.exit_codes import INCONCLUSIVE, OK, REFUTED, WRONG_INPUT
from harness.stats.compare import success_difference
from harness.stats.sample import Successes
from harness.store import read_run
from tests.two_runs import LATER, Times, build, run, times


def two(
    folder: Path,
    b: Times,
    *gates: str,
    a: Times | None = None,
    more: Mapping[str, Times] | None = None,
    old: Mapping[str, Any] | None = None,
    both: Mapping[str, Any] | None = None,
    pairs: list[tuple[str, str]] | None = None,
    **new: Any,
) -> Result:
    """A run of ``a`` against one of ``b``; ``old``, ``new``, ``both``: how they are made; ``more``:
    other arms of the new one.
    """
    shared = dict(both or {})
    return compare_runs(
        run(folder / "a", {"sync": times() if a is None else a}, **{**shared, **(old or {})}),
        run(folder / "b", {"sync": b, **(more or {})}, started=LATER, **{**shared, **new}),
        parse_gates(gates),
        pairs,
    )


def readings(by_scenario: Mapping[str, Sequence[tuple[int, float]]]) -> Readings:
    """Scenario → (round, value), as columns."""
    names = tuple(sorted(by_scenario))
    rows = [(i, *row) for i, name in enumerate(names) for row in by_scenario[name]]
    scenario, number, value = zip(*rows, strict=True)
    return Readings(names, np.array(scenario, np.int64), np.array(number), np.array(value))


def one(result: Result) -> Ruling:
    (ruling,) = result.rulings
    return ruling


def names(result: Result) -> set[str]:
    return {caution.name for caution in result.cautions}


# --- the grammar ---


@pytest.mark.parametrize(
    ("text", "metric", "op", "limit", "unit"),
    [
        ("p95<=+5%", "p95", "<=", 5.0, "%"),
        (" gm < 3% ", "gm", "<", 3.0, "%"),
        ("mean<=10%", "mean", "<=", 10.0, "%"),
        ("gm<=-12.5%", "gm", "<=", -12.5, "%"),
        ("success>=-2", "success", ">=", -2.0, "points"),
        ("success>=-2%", "success", ">=", -2.0, "points"),
        ("success > +0", "success", ">", 0.0, "points"),
        ("throughput>=-5%", "throughput", ">=", -5.0, "%"),
        ("p95<8s", "p95", "<", 8.0, "s"),
        ("ttft<=800ms", "ttft", "<=", 0.8, "s"),
        ("success>=0.99", "success", ">=", 0.99, "share"),
        ("throughput>2.5/s", "throughput", ">", 2.5, "/s"),
    ],
)
def test_a_gate_is_read(text: str, metric: str, op: str, limit: float, unit: str) -> None:
    (gate,) = parse_gates([text])
    assert (gate.metric, gate.op, gate.limit, gate.unit) == (metric, op, limit, unit)
    assert gate.text == text.replace(" ", "")
    assert gate.relative == (unit in ("%", "points"))


def test_several_gates_in_one() -> None:
    assert [g.text for g in parse_gates(["p95<8s,gm<=+3%", "cpu<=+5%"])] == [
        "p95<8s",
        "gm<=+3%",
        "cpu<=+5%",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no gate"),
        ("p95", "is no gate"),
        ("p95=5%", "is no gate"),
        ("p95==+5%", "is no gate"),
        ("p95<=nan%", "is no gate"),
        ("p95<=inf%", "is no gate"),
        ("p95<=1e3%", "is no gate"),
        ("p95<=٥%", "is no gate"),
        ("p95<=+5%x", "is no gate"),
        ("p95<=+-5%", "is no gate"),
        ("p95<=" + "9" * 400 + "%", "is no gate"),
        ("p95<=+5%,", "is no gate"),
        ("p90<=+5%", "no metric 'p90'; known are gm, mean"),
        ("p95>=-5%", "p95 is better when lower"),
        ("throughput<=+5%", "throughput is better when higher"),
        ("p95<=+5", "a change is in percent"),
        ("p95<=+5s", "a change is in percent"),
        ("p95<=-100%", "must be above -100%"),
        ("p95<=8", "give a time"),
        ("p95<=0s", "give a time"),
        ("throughput>=5", "say how many per second"),
        ("success>=99%", "0.99 for the rate"),
        ("success>=2", "a rate is above 0"),
        ("success>=0", "a rate is above 0"),
        ("success>=-2s", "points"),
        ("success>=-101", "at most 100 points"),
    ],
)
def test_a_bad_gate_is_one_clear_line(
    text: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(tmp_path), str(tmp_path), "--gate", text]) == WRONG_INPUT
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("harness: --gate ")
    assert captured.err.count("\n") == 1
    assert why in captured.err


def test_a_gate_given_twice_is_wrong() -> None:
    with pytest.raises(InputError, match="given twice"):
        parse_gates(["p95<=+5%", "p95 <= +5%"])


# --- what is found ---


def test_a_known_change_is_found(tmp_path: Path) -> None:
    """Exactly 1.1 times the times of A: every ratio of times is 1.1, throughput its inverse."""
    result = two(tmp_path, times(1.1), both={"ttft": 0.25, "cpu": 0.5})
    (sync,) = result.pipelines
    assert [row.metric for row in sync.rows] == list(METRICS)
    for metric in ("gm", "mean", "p50", "ttft", "makespan"):
        row = sync.row(metric)
        assert row.ratio == pytest.approx(1.1)
        assert row.change == pytest.approx(10)
        assert row.a is not None
        assert row.b == pytest.approx(1.1 * row.a)
        assert row.lo is not None
        assert row.hi is not None
        assert row.lo < 10 < row.hi
    assert sync.row("throughput").change == pytest.approx(100 / 1.1 - 100)
    assert sync.row("cpu").change == pytest.approx(0, abs=1e-9)
    assert sync.row("cpu").a == pytest.approx(0.51, abs=0.001)
    assert sync.row("success").change == 0
    assert sync.row("success").unit == "points"
    for metric in ("gm", "mean", "ttft", "makespan", "throughput", "cpu"):
        assert sync.row(metric).counts == "8 scenarios"
    assert sync.row("p95").lo is None
    assert sync.row("p95").missing == "A and B: n = 48 < 72"
    assert sync.row("p99").missing == "A and B: n = 48 < 368"


def test_the_interval_is_students_over_scenarios(tmp_path: Path) -> None:
    """One round: only scenarios vary. Log ratios 0, .1, .2, .3 by hand."""
    a = {f"s{i}": [1.0 + i] for i in range(4)}
    b = {f"s{i}": [(1.0 + i) * math.exp(0.1 * i)] for i in range(4)}
    (sync,) = two(tmp_path, b, a=a).pipelines
    row = sync.row("gm")
    half = 3.182446 * math.sqrt(0.05 / 3) / 2  # t(3) · sd / √4
    assert row.ratio == pytest.approx(math.exp(0.15))
    assert row.lo == pytest.approx(100 * (math.exp(0.15 - half) - 1), rel=1e-6)
    assert row.hi == pytest.approx(100 * (math.exp(0.15 + half) - 1), rel=1e-6)
    assert (row.n, row.counts) == (4, "4 scenarios")
    assert "one round in a run" in row.warnings[0]


def test_each_scenario_counts_alike() -> None:
    """A scenario measured more often weighs no more."""
    a = readings({"s1": [(0, 1.0)], "s2": [(0, 1.0)]})
    b = readings({"s1": [(0, 2.0), (1, 2.0), (2, 2.0)], "s2": [(0, 8.0)]})
    assert paired(a, b, "geometric", "gm", 0.95).comparison.ratio == pytest.approx(4)
    assert paired(a, b, "arithmetic", "mean", 0.95).comparison.ratio == pytest.approx(5)


def test_the_interval_covers_what_rounds_have_in_common() -> None:
    """Rounds of a run share a level (5 %). Scenarios alone cover it badly, the wider one well."""
    rng = np.random.default_rng(7)
    replications, rounds, hits, naive = 400, 5, 0, 0
    for _ in range(replications):
        sides = []
        for _ in "ab":
            level = rng.normal(0, 0.05, rounds)
            noise = rng.normal(0, 0.05, (8, rounds))
            sides.append({f"s{i}": list(enumerate(np.exp(level + noise[i]))) for i in range(8)})
        found = paired(readings(sides[0]), readings(sides[1]), "geometric", "gm", 0.95).comparison
        assert found.lo is not None
        assert found.hi is not None
        hits += found.lo <= 1 <= found.hi
        d = [
            np.mean(np.log([v for _, v in sides[1][s]]))
            - np.mean(np.log([v for _, v in sides[0][s]]))
            for s in sides[0]
        ]
        naive += abs(np.mean(d)) <= 2.364624 * np.std(d, ddof=1) / math.sqrt(8)
    assert hits / replications >= 0.92
    assert naive / replications < 0.75


def test_false_alarms_without_any_change() -> None:
    """Independent noise: the interval misses 1 in about 5 % of comparisons, not more."""
    rng = np.random.default_rng(11)
    missed = 0
    for _ in range(600):
        sides = [
            {f"s{i}": list(enumerate(rng.lognormal(i, 0.2, 4))) for i in range(6)} for _ in "ab"
        ]
        found = paired(readings(sides[0]), readings(sides[1]), "geometric", "gm", 0.95).comparison
        assert found.lo is not None
        assert found.hi is not None
        missed += not found.lo <= 1 <= found.hi
    assert 0.005 <= missed / 600 <= 0.065


def test_welch_is_scipys() -> None:
    from scipy import stats

    a, b = np.array([1.0, 2.0, 4.0]), np.array([3.0, 3.5, 5.0, 7.0, 7.5])
    ci = stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.95)
    half = welch(a, b, 0.95)
    assert half == pytest.approx((ci.high - ci.low) / 2)
    found = unpaired(np.exp(a).tolist(), np.exp(b).tolist(), "geometric", "x", 0.95, "blocks")
    assert found.comparison.hi == pytest.approx(math.exp(ci.high))
    assert found.counts == "3 + 5 blocks"
    assert welch(a[:1], b, 0.95) is None
    assert welch(np.array([0.1] * 3), np.array([0.1 + 1e-17] * 3), 0.95) == 0


@pytest.mark.parametrize("values", [([], [1.0]), ([1.0], [1.0]), ([0.0, 1.0], [1.0, 2.0])])
def test_no_ratio_from_too_little(values: tuple[list[float], list[float]]) -> None:
    for mean in ("geometric", "arithmetic"):
        found = unpaired(*values, mean, "x", 0.95, "blocks").comparison
        assert found.lo is None
        assert found.hi is None
        assert found.warnings


def test_blocks_of_several_scenarios_are_unpaired(tmp_path: Path) -> None:
    result = two(tmp_path, times(1.5), "makespan<=+5%", both={"group": True})
    row = result.pipelines[0].row("throughput")
    assert row.counts == "6 + 6 blocks"
    assert row.method == "Welch's t over blocks"
    assert result.pipelines[0].row("gm").counts == "8 scenarios"


def test_a_limit_on_one_run_names_only_what_is_missing(tmp_path: Path) -> None:
    result = two(tmp_path, times(), "p95<8s,p95<=+5%", both={"group": True})
    alone, change = result.rulings
    assert alone.reason == "no interval: n = 48 < 72"
    assert change.reason == "no interval: A and B: n = 48 < 72"
    warnings = result.pipelines[0].row("p50").warnings
    assert "several trials in a block: the interval takes them as independent" in warnings


def test_blocks_of_another_size_decide_nothing(tmp_path: Path) -> None:
    result = two(tmp_path, times(0.5), "makespan<=+5%", both={"group": True}, group=False)
    assert one(result).outcome == "undecided"
    assert one(result).reason == "blocks of 8 trials in A, of 1 in B"


# --- gates ---


@pytest.mark.parametrize(
    ("factor", "gate", "outcome", "reason"),
    [
        (1.0, "gm<=+5%", "pass", "the whole interval is inside"),
        (1.2, "gm<=+5%", "fail", "the whole interval is outside"),
        (1.05, "gm<=+5%", "undecided", "the limit lies within the interval"),
        (0.8, "gm<=-10%", "pass", "inside"),
        (1.0, "gm<=-10%", "fail", "outside"),
        (1.2, "mean<=10%", "fail", "outside"),
        (0.8, "throughput>=+10%", "pass", "inside"),
        (1.2, "throughput>=-5%", "fail", "outside"),
        (1.2, "makespan<+5%", "fail", "outside"),
        (1.0, "cpu<=+5%", "pass", "inside"),
        (1.0, "success>=-2", "undecided", "the limit lies within the interval"),
        (1.0, "success>=-20%", "pass", "inside"),
        (1.0, "p95<=+5%", "undecided", "no interval: A and B: n = 48 < 72"),
        (1.0, "p99<=+5%", "undecided", "no interval: A and B: n = 48 < 368"),
        (1.0, "ttft<=+5%", "undecided", "no interval: not streamed in both runs"),
        (1.0, "p50<3s", "pass", "inside"),
        (1.0, "p50<500ms", "fail", "outside"),
        (1.0, "p95<8s", "undecided", "no interval: n = 48 < 72"),
        (1.0, "gm<3s", "pass", "inside"),
        (1.0, "mean<1s", "fail", "outside"),
        (1.0, "success>=0.9", "pass", "inside"),
        (1.0, "success>=0.99", "undecided", "within"),
        (1.0, "throughput>0.1/s", "pass", "inside"),
        (1.0, "throughput>100/s", "fail", "outside"),
        (1.0, "cpu<1s", "pass", "inside"),
        (1.0, "ttft<1s", "undecided", "no interval: n = 0 < 2"),
    ],
)
def test_gates(tmp_path: Path, factor: float, gate: str, outcome: str, reason: str) -> None:
    ruling = one(two(tmp_path, times(factor, seed=1), gate))
    assert (ruling.outcome, ruling.a, ruling.b) == (outcome, "sync", "sync")
    assert reason in ruling.reason


def test_a_tail_gate_with_enough_trials(tmp_path: Path) -> None:
    enough = {"scenarios": 8, "rounds": 50}
    for factor, outcome in ((0.5, "pass"), (2.0, "fail")):
        result = two(
            tmp_path / outcome,
            times(factor, seed=1, **enough),
            "p95<=+5%,p99<=+5%",
            "p50<=+5%",
            a=times(**enough),
        )
        assert {ruling.outcome for ruling in result.rulings} == {outcome}


@pytest.mark.parametrize(
    ("gates", "outcome"),
    [
        (["gm<=+50%"], "pass"),
        (["gm<=+50%", "mean<=+50%"], "pass"),
        (["gm<=+50%", "p99<=+50%"], "undecided"),
        (["p99<=+50%", "gm<=+5%"], "fail"),
        ([], None),
    ],
)
def test_one_broken_gate_breaks_all(tmp_path: Path, gates: list[str], outcome: str | None) -> None:
    assert two(tmp_path, times(1.2, seed=1), *gates).outcome == outcome


def test_every_compared_pipeline_has_to_pass(tmp_path: Path) -> None:
    gates = parse_gates(["gm<=+5%"])
    a = run(tmp_path / "a", {"sync": times(), "async": times(seed=1)})
    b = run(tmp_path / "b", {"async": times(1.3, seed=2), "sync": times(seed=3), "new": times()})
    result = compare_runs(a, b, gates)
    assert [(r.a, r.outcome) for r in result.rulings] == [("sync", "pass"), ("async", "fail")]
    assert result.only_b == ("new",)
    chosen = compare_runs(a, b, gates, [("sync", "sync")])
    assert [(r.a, r.outcome) for r in chosen.rulings] == [("sync", "pass")]
    crossed = compare_runs(a, b, gates, [("async", "sync"), ("sync", "new")])
    assert [(r.a, r.b) for r in crossed.rulings] == [("async", "sync"), ("sync", "new")]


def test_the_limit_itself_is_inside_only_when_it_says_so(tmp_path: Path) -> None:
    """A success of 48 of 48: Clopper–Pearson ends at exactly 1."""
    at = two(tmp_path, times(), "success>=-100")
    assert one(at).outcome == "pass"
    ruling = one(two(tmp_path / "2", times(), "success>=1"))
    assert (ruling.hi, ruling.outcome) == (1.0, "undecided")
    ruling = one(two(tmp_path / "3", times(), "success>1"))
    assert ruling.outcome == "fail"


def test_absolute_times_are_scaled_with_the_simulators(tmp_path: Path) -> None:
    sim = {"kind": "sim", "simulated": True, "profile": "default", "time_scale": 0.1}
    result = two(
        tmp_path, times(), "p50<8s", "p50<20s,throughput>0.01/s,cpu<8s", both={"provider": sim}
    )
    assert [r.outcome for r in result.rulings] == ["fail", "pass", "pass", "pass"]
    assert [r.limit for r in result.rulings] == pytest.approx([0.8, 2.0, 0.1, 8.0])


# --- failing closed ---


def test_one_scenario_is_no_sample(tmp_path: Path) -> None:
    gates = "gm<=+50%,mean<=+50%,makespan<=+50%,throughput>=-50%,cpu<=+50%"
    single = times(scenarios=1, rounds=30)
    result = two(tmp_path, single, gates, a=single)
    assert {r.outcome for r in result.rulings} == {"undecided"}
    assert {r.reason for r in result.rulings} == {"no interval: n = 1 < 2"}


@pytest.mark.parametrize("side", ["a", "b"])
def test_errors_alone_pass_nothing(tmp_path: Path, side: str) -> None:
    nothing: Times = {f"s{i}": [None] * 6 for i in range(8)}
    relative = ",".join(
        f"{name}>=-99%" if name in ("throughput", "success") else f"{name}<=+500%"
        for name in METRICS
        if name != "success"
    )
    absolute = "gm<100s,p50<100s,throughput>0.01/s"
    arms = (nothing, times()) if side == "a" else (times(), nothing)
    result = two(tmp_path, arms[1], relative, absolute if side == "b" else "p95<9s", a=arms[0])
    assert "pass" not in {r.outcome for r in result.rulings}
    for ruling in result.rulings:
        assert not any(v is not None and math.isnan(v) for v in (ruling.lo, ruling.hi))


def test_few_errors_in_one_arm_pass_nothing_either(tmp_path: Path) -> None:
    """6 of 48 trials are lost, among other arms' so few that the run itself is valid."""
    lost = {name: [None, *row[1:]] if name < "s6" else row for name, row in times(seed=1).items()}
    others = {f"other{i}": times(seed=2) for i in range(3)}
    result = two(tmp_path, lost, "gm<=+50%,success>=-50", "p50<9s", error="reset", more=others)
    assert result.b.valid
    outcomes = {r.gate.text: (r.outcome, r.reason) for r in result.rulings}
    assert outcomes["gm<=+50%"] == (
        "undecided",
        "B: 6 of 48 trials got no answer, more than 5 %",
    )
    assert outcomes["p50<9s"][0] == "undecided"
    assert outcomes["success>=-50"][0] == "pass"


def test_fast_but_wrong_passes_no_gate_on_time(tmp_path: Path) -> None:
    result = two(tmp_path, times(0.5), "gm<=+5%,success>=-2", wrong=24)
    assert [(r.outcome, r.reason) for r in result.rulings] == [
        ("undecided", "B has fewer right answers"),
        ("fail", "the whole interval is outside"),
    ]


@pytest.mark.parametrize(
    ("how", "name", "text"),
    [
        ({"lag": 5.0}, "invalid", "the run is not valid: loop_lag_p99"),
        ({"status": "interrupted"}, "interrupted", "the run is not complete"),
        ({"status": "running", "planned_trials": 1000}, "interrupted", "is not complete"),
        ({"planned_trials": 1000}, "invalid", "the run is not valid: complete"),
    ],
)
@pytest.mark.parametrize("side", ["a", "b"])
def test_unfit_runs_decide_nothing(
    tmp_path: Path, side: str, how: dict[str, Any], name: str, text: str
) -> None:
    old, new = (how, {}) if side == "a" else ({}, how)
    result = two(tmp_path, times(1.5), "gm<=+90%,gm<=+5%,p50<9s", old=old, **new)
    assert f"{name}_{side}" in names(result)
    assert all(r.outcome == "undecided" for r in result.rulings[:2])
    assert text in result.rulings[0].reason
    assert result.rulings[2].outcome == ("pass" if side == "a" else "undecided")  # on B alone


def test_a_run_that_only_lacks_answers_may_still_fail_on_success(tmp_path: Path) -> None:
    lost: Times = {name: [None] * 3 + list(row[3:]) for name, row in times().items()}
    result = two(tmp_path, lost, "success>=-2,success>=-90,success>=0.9")
    assert "unanswered_b" in names(result)
    assert [r.outcome for r in result.rulings] == ["fail", "undecided", "fail"]


def test_no_common_pipeline(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", {"sync": times()}), run(tmp_path / "b", {"async": times()})
    result = compare_runs(a, b, parse_gates(["gm<=+50%"]))
    assert result.pipelines == ()
    assert one(result).outcome == "undecided"
    assert "B has no pipeline sync" in one(result).reason


def test_a_pipeline_that_has_gone_cannot_pass(tmp_path: Path) -> None:
    gates = parse_gates(["gm<=+50%"])
    arms = {"sync": times(), "async": times(seed=1), "sync@aa": times(seed=2)}
    a, b = run(tmp_path / "a", arms), run(tmp_path / "b", {"sync": times(seed=3)})
    result = compare_runs(a, b, gates)
    assert [(r.a, r.b, r.outcome) for r in result.rulings] == [
        ("sync", "sync", "pass"),
        ("async", None, "undecided"),
    ]
    assert result.outcome == "undecided"
    assert result.only_a == ("async", "sync@aa")
    assert compare_runs(a, b, gates, [("sync", "sync")]).outcome == "pass"
    only_aa = compare_runs(run(tmp_path / "c", {"x@aa": times()}), b, gates)
    assert one(only_aa).reason == "no pipeline is in both runs"


def test_a_pipeline_without_records(tmp_path: Path) -> None:
    """An arm that the manifest names, and that never ran."""
    a, b = (run(tmp_path / name, {"sync": times(), "async": {}}) for name in "ab")
    result = compare_runs(a, b, parse_gates([f"{m}<=+50%" for m in ("gm", "p50", "cpu")]))
    assert [r.outcome for r in result.rulings if r.a == "async"] == ["undecided"] * 3


def test_values_without_spread_prove_nothing(tmp_path: Path) -> None:
    flat = {f"s{i}": [2.0] * 4 for i in range(8)}
    result = two(tmp_path, flat, "gm<=+5%,mean<=+5%,p50<=+5%,gm<9s,throughput>=-5%", a=flat)
    assert {r.outcome for r in result.rulings} == {"undecided"}
    assert {r.reason for r in result.rulings} == {
        "the interval has no width: values without spread prove nothing"
    }
    slower = {f"s{i}": [3.0] * 4 for i in range(8)}
    assert one(two(tmp_path / "2", slower, "gm<=+5%", a=flat)).outcome == "fail"


def test_times_that_are_not_positive_give_no_ratio(tmp_path: Path) -> None:
    odd: Times = {f"s{i}": [0.0, -1.0, 1.0, 1.0, 1.0, 1.0] for i in range(8)}
    gates = "gm<=+50%,mean<=+50%,p50<=+50%,ttft<=+50%,gm<9s"
    result = two(tmp_path, odd, gates, both={"ttft": 0.5})
    assert {r.outcome for r in result.rulings} == {"undecided"}
    unmatched = two(tmp_path / "2", odd, gates, digests="1")
    assert {r.outcome for r in unmatched.rulings} == {"undecided"}


def test_time_outs_count_in_the_tail(tmp_path: Path) -> None:
    """4 % of time-outs: p99 is not known, the mean leaves them out and p50 counts them."""
    late = {
        name: [None if (i, name) in {(0, "s0"), (0, "s1")} else x for i, x in enumerate(row)]
        for name, row in times().items()
    }
    result = two(tmp_path, late, "gm<=+50%")
    (sync,) = result.pipelines
    assert sync.row("p50").counts == "48 + 48 trials"
    assert sync.row("p99").b is None
    assert one(result).outcome == "pass"


# --- a run against itself ---


def test_a_run_against_itself(tmp_path: Path) -> None:
    """The ratio is 1; a gate passes only where the run's own spread is narrow enough for it."""
    for spread, outcome in ((0.02, "pass"), (0.3, "undecided")):
        rng = np.random.default_rng(5)
        noisy = {f"s{i}": list(rng.lognormal(0, spread, 5)) for i in range(6)}
        same = run(tmp_path / outcome, {"sync": noisy})
        result = compare_runs(same, same, parse_gates(["gm<=+5%"]))
        row = result.pipelines[0].row("gm")
        assert row.ratio == 1
        assert row.lo is not None
        assert row.hi is not None
        assert row.lo < 0 < row.hi
        assert "same_run" in names(result)
        assert "drift" not in names(result)
        assert one(result).outcome == outcome
        assert one(result).outcome == ("pass" if row.hi <= 5 else "undecided")


# --- scenarios ---


def test_other_scenarios_are_compared_but_decide_nothing(tmp_path: Path) -> None:
    result = two(tmp_path, times(0.5), "gm<=+50%,p50<=+50%,success>=-50,p50<9s", digests="1")
    assert result.scenarios == 0
    row = result.pipelines[0].row("gm")
    assert row.change == pytest.approx(-50)
    assert (row.counts, row.method) == ("8 + 8 scenarios", "Welch's t over scenarios")
    assert result.pipelines[0].row("mean").change == pytest.approx(-50)
    assert [r.outcome for r in result.rulings] == ["undecided"] * 3 + ["pass"]
    assert "no scenario is the same" in one(replace(result, rulings=result.rulings[:1])).reason


def test_only_the_common_scenarios_are_compared(tmp_path: Path) -> None:
    """Half of them; the other half is ten times slower in B."""
    b = {name: row for name, row in times(1.1).items() if name < "s4"}
    b.update({f"t{i}": [10.0] * 6 for i in range(4)})
    result = two(tmp_path, b, "gm<=+20%")
    assert result.scenarios == 4
    assert result.pipelines[0].row("gm").change == pytest.approx(10)
    assert result.pipelines[0].row("makespan").change == pytest.approx(10)
    assert result.pipelines[0].row("p50").counts == "24 + 24 trials"
    assert "left_out" in names(result)
    assert one(result).outcome == "pass"
    grouped = two(tmp_path / "2", b, "throughput>=-99%", both={"group": True})
    assert one(grouped).reason == "the blocks of the runs hold other scenarios"


# --- doubts ---


SIM = {"kind": "sim", "simulated": True, "profile": "default", "time_scale": 0.02}
UNKNOWN = {"kind": "http", "simulated": None, "url": "http://a/edit"}


@pytest.mark.parametrize(
    ("old", "new", "name", "text"),
    [
        ({}, {"provider": SIM}, "simulated_against_real", "A is real, B is simulated"),
        ({}, {"provider": None}, "provider_unknown", "does not say what model"),
        (
            {"provider": UNKNOWN},
            {"provider": {**UNKNOWN, "url": "http://b/edit"}},
            "provider_unknown",
            "does not say what model",
        ),
        ({"provider": {"kind": "http"}}, {"provider": None}, "provider_unknown", "does not say"),
        (
            {"provider": SIM},
            {"provider": {**SIM, "time_scale": 0.5}},
            "time_scale",
            "the time scale was 0.02 in A, is 0.5 in B",
        ),
    ],
)
def test_doubts_that_bar_gates(
    tmp_path: Path, old: dict[str, Any], new: dict[str, Any], name: str, text: str
) -> None:
    result = two(tmp_path, times(0.5), "gm<=+50%", old=old, **new)
    assert one(result).outcome == "undecided"
    (caution,) = (c for c in result.cautions if c.name == name)
    assert text in caution.text
    assert text in one(result).reason


@pytest.mark.parametrize(
    ("old", "new", "name", "text"),
    [
        ({}, {"config": {"concurrency": 4}}, "concurrency", "--concurrency was 1 in A, is 4 in B"),
        ({}, {"config": {"workload": "burst"}}, "workload", "was closed in A, is burst in B"),
        (
            {"config": {"summary": True}},
            {"config": {"summary": False}},
            "summary",
            "--summary was on in A, is off in B",
        ),
        (
            {"config": {"rate_limit": None}},
            {"config": {"rate_limit": 2.0}},
            "rate_limit",
            "--rate-limit was not set in A, is 2.0 in B",
        ),
        (
            {},
            {"provider": {"kind": "http", "simulated": False, "model": "large"}},
            "provider",
            "another provider: model small in A, large in B",
        ),
        (
            {"provider": SIM},
            {"provider": {**SIM, "profile": "report-2025"}},
            "provider",
            "profile default in A, report-2025 in B",
        ),
        ({"provider": UNKNOWN}, {"provider": UNKNOWN}, "provider_unknown", "the same URL"),
        ({"prompt_version": "1"}, {"prompt_version": "2"}, "prompt_version", "version 1 in A"),
        ({}, {"environment": {"cpus": 8}}, "environment", "cpus not set in A, 8 in B"),
        (
            {},
            {"segments": [{"started": LATER, "host": "other"}]},
            "environment",
            "host bench in A, other in B",
        ),
        ({"started": "2026-02-01T00:00:00+00:00"}, {}, "order", "A was made after B"),
        ({"provider": SIM}, {"provider": SIM}, "same_draws", "the same seed"),
        ({}, {}, "drift", "drift between runs is not controlled: arms of one run are interleaved"),
    ],
)
def test_doubts_that_only_warn(
    tmp_path: Path, old: dict[str, Any], new: dict[str, Any], name: str, text: str
) -> None:
    result = two(tmp_path, times(0.5), "gm<=+50%", old=old, **new)
    (caution,) = (c for c in result.cautions if c.name == name)
    assert text in caution.text
    assert one(result).outcome == "pass"


def test_equal_runs_raise_no_doubt_but_drift(tmp_path: Path) -> None:
    assert names(two(tmp_path, times(seed=1))) == {"drift"}


# --- the command ---


def compare(capsys: pytest.CaptureFixture[str], *args: str | Path) -> tuple[int, str, str]:
    code = main(["compare", *map(str, args)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return (
        build(tmp_path / "a", {"sync": times(), "async": times(0.5, seed=1)}),
        build(tmp_path / "b", {"sync": times(seed=2), "async": times(0.6, seed=3)}, started=LATER),
    )


@pytest.mark.parametrize(
    ("args", "expected", "first"),
    [
        ([], OK, "sync: response time "),
        (["--gate", "gm<=+50%"], OK, "Pass: all 2 gates hold."),
        (["--gate", "gm<=+50%", "--pipelines", "sync"], OK, "Pass: the gate holds."),
        (["--gate", "gm<=+5%"], REFUTED, "Fail: 1 of 2 gates broken (async gm<=+5%); 1 held."),
        (
            ["--gate", "p99<=+5%", "--pipelines", "sync"],
            INCONCLUSIVE,
            "Undecided: 1 of 1 gate undecided (sync p99<=+5%).",
        ),
        (
            ["--gate", "p99<=+5%", "--gate", "gm<=+5%"],
            REFUTED,
            "Fail: 1 of 4 gates broken (async gm<=+5%); 2 undecided, 1 held.",
        ),
        (["--pipelines", "sync=async"], OK, "sync -> async: response time -"),
    ],
)
def test_exit_codes_and_the_verdict_first(
    folders: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    args: list[str],
    expected: int,
    first: str,
) -> None:
    code, out, err = compare(capsys, *folders, *args)
    assert (code, err) == (expected, "")
    assert out.startswith(first)
    code, out, err = compare(capsys, *folders, *args, "--json")
    assert (code, err) == (expected, "")
    data = json.loads(out, parse_constant=pytest.fail)
    assert data["exit_code"] == expected


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["--pipelines", "nope"], "RUN_A"),
        (["--pipelines", "sync=nope"], "RUN_B"),
        (["--pipelines", "sync="], "neither NAME nor OLD=NEW"),
        (["--pipelines", "=sync"], "neither NAME nor OLD=NEW"),
        (["--pipelines", "a=b=c"], "neither NAME nor OLD=NEW"),
        (["--pipelines", "sync,sync"], "given twice"),
        (["--pipelines", "sync,"], "empty name"),
        (["--junit", "x.xml"], "nothing to test without --gate"),
        (["--gate"], "expected one argument"),
        (["--markdown", "no/such/folder.md"], "cannot be written"),
        (["--gate", "gm<=+5%", "--junit", "."], "is a folder"),
    ],
)
def test_wrong_usage_is_one_line(
    folders: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    why: str,
) -> None:
    monkeypatch.chdir(folders[0].parent)
    code, out, err = compare(capsys, *folders, *args)
    assert (code, out) == (WRONG_INPUT, "")
    assert err.startswith("harness: ")
    assert err.count("\n") == 1
    assert why in err


def test_no_run_is_one_line(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    for args in ((folders[0], folders[0] / "none"), (folders[0].parent, folders[1])):
        code, out, err = compare(capsys, *args, "--gate", "gm<=+5%")
        assert (code, out, err.count("\n")) == (WRONG_INPUT, "", 1)
        assert "holds no run" in err


def test_pairs() -> None:
    assert parse_pairs(["sync", " a = b "]) == [("sync", "sync"), ("a", "b")]


def test_json(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = compare(capsys, *folders, "--gate", "gm<=+5%", "--gate", "p99<=+5%", "--json")
    data = json.loads(out)
    assert data["result"] == "fail"
    assert data["a"]["folder"] == str(folders[0])
    assert data["a"]["valid"] is data["b"]["valid"] is True
    assert data["common_scenarios"] == 8
    rows = {(r["baseline"], r["metric"]): r for r in data["comparisons"]}
    assert len(rows) == 2 * len(METRICS)
    row = rows["async", "gm"]
    assert row["estimand"] == "response_time_gm"
    assert row["change_percent"] == pytest.approx(100 * (row["ratio"] - 1))
    assert row["ci95"][0] < row["ratio"] < row["ci95"][1]
    assert row["n"] == 8
    assert rows["sync", "p99"]["ci95"] is None
    success = rows["sync", "success"]
    assert (success["ratio"], success["change_percent"], success["change_points"]) == (
        None,
        None,
        0,
    )
    assert [(g["gate"], g["baseline"], g["result"]) for g in data["gates"]] == [
        ("gm<=+5%", "sync", "pass"),
        ("p99<=+5%", "sync", "undecided"),
        ("gm<=+5%", "async", "fail"),
        ("p99<=+5%", "async", "undecided"),
    ]
    assert data["gates"][1]["ci95"] is None
    assert [w["name"] for w in data["warnings"]] == ["drift"]


def test_json_with_time_outs_has_no_infinity(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {name: [*row[:20], *[None] * 20] for name, row in times(rounds=40).items()}
    a = build(tmp_path / "a", {"sync": times()})
    b = build(tmp_path / "b", {"sync": rows})
    code, out, _ = compare(capsys, a, b, "--gate", "p95<=+5%,p95<9s", "--json")
    assert code == INCONCLUSIVE
    data = json.loads(out, parse_constant=pytest.fail)
    assert data["gates"][1]["value"] is None
    code, out, _ = compare(capsys, a, b, "--gate", "p95<=+5%,p95<9s")
    assert code == INCONCLUSIVE


def test_files_are_written_whatever_the_result(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, tests = tmp_path / "gates.md", tmp_path / "gates.xml"
    args = ("--gate", "gm<=+5%", "--markdown", page, "--junit", tests)
    code, _, _ = compare(capsys, *folders, *args)
    assert code == REFUTED
    assert page.read_text("utf-8").startswith("**Fail: ")
    assert ET.parse(tests).getroot().get("failures") == "1"


def test_nothing_in_common_and_no_gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = build(tmp_path / "a", {"x": times()}), build(tmp_path / "b", {"y": times()})
    code, out, _ = compare(capsys, a, b)
    assert code == OK
    assert out.startswith("No pipeline is in both runs")
    assert compare(capsys, a, b, "--gate", "gm<=+5%")[0] == INCONCLUSIVE


def test_old_runs_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    old = Path(__file__).parent / "data" / "run-v1"
    code, out, _ = compare(capsys, old, old, "--gate", "gm<=+5%")
    assert code == INCONCLUSIVE
    assert read_run(old).records
    assert "Undecided" in out


# --- docs/compare.md ---

DOC = (Path(__file__).parent.parent / "docs" / "compare.md").read_text("utf-8")


def test_every_metric_is_explained() -> None:
    rows = re.findall(r"^\| (`.*?`) \| .* \| (?:scenarios|trials).* \|$", DOC, re.M)
    assert tuple(re.findall(r"`(\w+)`", " ".join(rows))) == METRICS


def test_every_gate_in_the_guide_is_one() -> None:
    found = re.findall(rf"`((?:{'|'.join(METRICS)})[<>]=?[^`]+)`", DOC)
    found += re.findall(r"--gate '([^']+)'", DOC)
    assert len(found) >= 10
    for text in found:
        assert parse_gates([text])


def test_the_number_of_trials_that_the_guide_gives() -> None:
    for n, enough in ((190, True), (180, False)):
        right = Successes("x", n, n, {}, {})
        low = success_difference(right, right).lo
        assert low is not None
        assert (low >= -0.02) == enough
