"""One pipeline in two runs: a row for each metric, from the records alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.comparing.arm import Arm
from harness.comparing.expression import METRICS
from harness.comparing.ratios import Between, Mean, Readings, paired, unpaired
from harness.stats import compare
from harness.stats import sample as sm
from harness.validity import UNANSWERED_SHARE

ESTIMANDS = {
    "gm": "response_time_gm",
    "mean": "response_time_mean",
    "p50": "response_time_p50",
    "p95": "response_time_p95",
    "p99": "response_time_p99",
    "ttft": "ttft_gm",
    "makespan": "makespan",
    "throughput": "throughput",
    "success": "success",
    "cpu": "cpu_s",
}
CONFIDENCE = 0.95
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
LEAST_ROUNDS = 10  # of a load, for the spread of its stretches to show beside its scenarios'
PER_BLOCK = ("makespan", "throughput", "cpu")


@dataclass(frozen=True, slots=True)
class Row:
    """One metric of a pipeline in both runs.

    ``a``, ``b``: seconds, trials per second, or a share of trials; None where the data cannot give
    them. ``change`` and its interval ``lo``, ``hi``: percent of A, for success points; each None
    when unknown. ``ratio``: B/A; None for success. ``n``: replicates, ``counts``: the same in
    words. ``hold``: why no gate may rest on this row; None when one may.
    """

    metric: str
    a: float | None
    b: float | None
    ratio: float | None
    change: float | None
    lo: float | None
    hi: float | None
    n: int
    counts: str
    method: str
    warnings: tuple[str, ...]
    hold: str | None = None

    @property
    def unit(self) -> Literal["%", "points"]:
        return "points" if self.metric == "success" else "%"

    @property
    def missing(self) -> str:
        """Why there is no interval."""
        reasons = [text for text in self.warnings if not text.endswith("as independent")]
        return "; ".join(reasons) or "too little is known"

    @property
    def estimand(self) -> str:
        return ESTIMANDS[self.metric]


def compare_arms(a: Arm, b: Arm, confidence: float, *, matched: bool) -> list[Row]:
    """A row for each metric of METRICS, in that order.

    ``matched``: the arms' scenarios are the same, and are paired; otherwise the runs did different
    work and everything is unpaired.
    """
    difference = _success(a, b, matched, confidence)
    hold = _unequal(a, b, difference)
    rows = []
    for metric in METRICS:
        if metric == "success":
            rows.append(difference)
        elif metric in QUANTILES:
            rows.append(_quantile(a, b, metric, confidence))
        elif metric in PER_BLOCK:
            rows.append(_per_block(a, b, metric, matched, confidence))
        else:
            rows.append(_per_trial(a, b, metric, matched, confidence))
    return [row if row.metric == "success" or row.hold else replace(row, hold=hold) for row in rows]


def _unequal(a: Arm, b: Arm, success: Row) -> str | None:
    """Why times and rates of the two cannot be weighed: failures hide in them."""
    for label, arm in (("A", a), ("B", b)):
        lost, trials = arm.unanswered()
        if trials and lost / trials > UNANSWERED_SHARE:
            return f"{label}: {lost} of {trials} trials got no answer, more than 5 %"
    if success.hi is not None and success.hi < 0:
        return "B has fewer right answers"
    return None


def _per_trial(a: Arm, b: Arm, metric: str, matched: bool, confidence: float) -> Row:
    measure: sm.Measure = "ttft" if metric == "ttft" else "response_time"
    mean: Mean = "arithmetic" if metric == "mean" else "geometric"
    sides = a.readings(measure), b.readings(measure)
    matched = matched and min(a.rounds, b.rounds) >= LEAST_ROUNDS if _loads(*sides) else matched
    if metric == "ttft" and not all(side.value.size for side in sides):
        return _none(metric, "not streamed in both runs", "0 scenarios")
    row = _row(metric, _between(*sides, mean, metric, matched, confidence))
    return replace(row, hold=a.hold or b.hold)


def _between(
    a: Readings, b: Readings, mean: Mean, metric: str, matched: bool, confidence: float
) -> Between:
    one_each = len(a.measured) == len(b.measured) == 1
    if matched and not (_loads(a, b) and one_each):
        return paired(a, b, mean, ESTIMANDS[metric], confidence)
    if any((side.value <= 0).any() for side in (a, b)):
        return unpaired([0.0], [0.0], mean, ESTIMANDS[metric], confidence, "scenarios")
    if _loads(a, b):
        of = [side.means_of_parts(mean).tolist() for side in (a, b)]
        return unpaired(of[0], of[1], mean, ESTIMANDS[metric], confidence, "stretches")
    of = [side.means(mean).tolist() for side in (a, b)]
    return unpaired(of[0], of[1], mean, ESTIMANDS[metric], confidence, "scenarios")


def _loads(a: Readings, b: Readings) -> bool:
    return a.parts == b.parts == "stretches"


def _quantile(a: Arm, b: Arm, metric: str, confidence: float) -> Row:
    p = QUANTILES[metric]
    alone = [arm.quantile(p, confidence) for arm in (a, b)]
    counts = f"{alone[0].n} + {alone[1].n} trials"
    if any((arm.trials.response_time <= 0).any() for arm in (a, b)):
        return _none(metric, "a value is not positive: no ratio", counts)
    levels = [
        None if found.lo is None or found.hi is None else _finite(found.point) for found in alone
    ]
    notes = [
        f"{label}: {text}"
        for label, found in zip("AB", alone, strict=True)
        for text in found.warnings
    ]
    several = [arm.trials.blocks[0].size < len(arm.trials) for arm in (a, b)]
    if any(many and not arm.in_one_block for many, arm in zip(several, (a, b), strict=True)):
        notes.append(compare.TAKEN_AS_INDEPENDENT)
    found = compare.mover(alone[0], alone[1], ESTIMANDS[metric], notes)
    row = _row(metric, Between(levels[0], levels[1], found, counts))
    return replace(row, hold=a.hold or b.hold)


def _per_block(a: Arm, b: Arm, metric: str, matched: bool, confidence: float) -> Row:
    """Paired over scenarios where each block is one scenario, else unpaired over blocks."""
    values = [arm.block_values(metric)[1].tolist() for arm in (a, b)]
    if not all(values):
        return _none(metric, "no whole block in one of the runs", "0 blocks")
    readings = [arm.block_readings(metric) for arm in (a, b)] if matched else [None, None]
    if readings[0] is not None and readings[1] is not None:
        between = _between(readings[0], readings[1], "geometric", metric, True, confidence)
        return _row(metric, between)
    found = unpaired(values[0], values[1], "geometric", ESTIMANDS[metric], confidence, "blocks")
    return replace(_row(metric, found), hold=_other_blocks(a, b, metric))


def _other_blocks(a: Arm, b: Arm, metric: str) -> str | None:
    """Why whole blocks of two runs are not alike; None when they are."""
    if a.work != b.work:
        return "the blocks of the runs hold other scenarios"
    if metric == "makespan" and a.largest_block != b.largest_block:
        return f"blocks of {a.largest_block} trials in A, of {b.largest_block} in B"
    return None


def _success(a: Arm, b: Arm, matched: bool, confidence: float) -> Row:
    right = [arm.successes() for arm in (a, b)]
    if not matched:
        right = [replace(found, by_scenario={}) for found in right]
    found = compare.success_difference(right[0], right[1], confidence)
    rates = [float(arm.right.mean()) if arm.right.size else None for arm in (a, b)]
    if rates[0] is not None and rates[1] is not None:
        found = replace(found, point=rates[1] - rates[0])
    return Row(
        "success",
        rates[0],
        rates[1],
        None,
        _times(100, found.point),
        _times(100, found.lo),
        _times(100, found.hi),
        found.n,
        f"{a.right.size} + {b.right.size} trials",
        found.method,
        found.warnings,
    )


def _row(metric: str, between: Between) -> Row:
    found = between.comparison
    return Row(
        metric,
        between.a,
        between.b,
        _finite(found.ratio),
        _finite(found.change_percent),
        None if found.lo is None else 100 * (found.lo - 1),
        None if found.hi is None else 100 * (found.hi - 1),
        found.n,
        between.counts,
        found.method,
        _merged(found.warnings),
    )


def _merged(warnings: Sequence[str]) -> tuple[str, ...]:
    """``A: x`` and ``B: x`` as ``A and B: x``."""
    both = {
        text[3:] for text in warnings if text.startswith("A: ") and f"B: {text[3:]}" in warnings
    }
    found = [
        f"A and B: {text[3:]}" if text[3:] in both and text[:3] in ("A: ", "B: ") else text
        for text in warnings
    ]
    return tuple(dict.fromkeys(found))


def _none(metric: str, why: str, counts: str) -> Row:
    return Row(metric, None, None, None, None, None, None, 0, counts, "none", (why,))


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
