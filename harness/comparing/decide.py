"""A gate and a comparison → pass, fail or undecided. What is not known never passes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from harness import estimands
from harness.comparing.arm import Arm
from harness.comparing.caution import Caution
from harness.comparing.expression import Gate
from harness.comparing.rows import CONFIDENCE, ESTIMANDS, QUANTILES, Row
from harness.stats import compare, estimate, serial
from harness.stats import sample as sm
from harness.stats.estimate import Estimate
from harness.validity import UNANSWERED_SHARE

Outcome = Literal["pass", "fail", "undecided"]

LEAST_WIDTH = 1e-9  # relative; below this an interval is rounding
MOST_TIMES = 100  # as much data as anyone would be told to gather


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a gate says of one pipeline.

    ``a``, ``b``: the pipeline's name in each run; None when there is none to compare. ``value``,
    ``lo``, ``hi`` and ``limit`` are in the gate's unit; the first three None when not known.
    ``limit`` is the gate's own, times the time scale where times are simulated. ``reason``: why.
    """

    gate: Gate
    a: str | None
    b: str | None
    outcome: Outcome
    reason: str
    value: float | None
    lo: float | None
    hi: float | None
    limit: float


def rule(gate: Gate, row: Row, b: Arm, cautions: Sequence[Caution], time_scale: float) -> Ruling:
    """Decide ``gate`` for one pipeline: on ``row``, or on B alone for a limit on B itself.

    Whole interval inside → pass; wholly outside → fail; anything else, and whatever a caution or
    the row's ``hold`` bars → undecided. ``time_scale``: of B, 1 for a real model.
    """
    barring = [c for c in cautions if c.bars == "all" or (c.bars == "relative" and gate.relative)]
    if gate.relative:
        value, lo, hi, limit = row.change, row.lo, row.hi, gate.limit
        hold, missing, size = row.hold, row.missing, 100.0
    else:
        found = _alone(b, gate.metric)
        value, lo, hi = found.point, found.lo, found.hi
        missing = "; ".join(found.warnings) or "too little is known"
        limit = _scaled(gate, time_scale)
        hold, size = _hold_alone(b, gate.metric), abs(value or 0.0)
    outcome, reason = _decide(gate, lo, hi, value, limit, missing, size)
    held = "; ".join([c.text for c in barring] + ([hold] if hold else []))
    if held and not (outcome == "fail" and _only_failures(gate, barring)):
        outcome, reason = "undecided", held
    return Ruling(gate, None, None, outcome, reason, value, lo, hi, limit)


def undecided(gate: Gate, reason: str, a: str | None = None) -> Ruling:
    """A gate with nothing to decide on."""
    return Ruling(gate, a, None, "undecided", reason, None, None, None, gate.limit)


def overall(rulings: Sequence[Ruling]) -> Outcome | None:
    """Fail if any fails, else undecided if any is, else pass; None without a gate."""
    found = {ruling.outcome for ruling in rulings}
    for outcome in ("fail", "undecided", "pass"):
        if outcome in found:
            return outcome
    return None


def _decide(
    gate: Gate,
    lo: float | None,
    hi: float | None,
    value: float | None,
    limit: float,
    missing: str,
    size: float,
) -> tuple[Outcome, str]:
    """``missing``: why there may be no interval; ``size``: what its width is measured against, to
    tell it from rounding.
    """
    if lo is None or hi is None or value is None or any(math.isnan(v) for v in (lo, hi, value)):
        return "undecided", f"no interval: {missing}"
    inside = [_inside(gate, bound, limit) for bound in (lo, hi)]
    if not any(inside):
        return "fail", "the whole interval is outside"
    if not all(inside):
        return "undecided", "the limit lies within the interval" + _more(lo, hi, value, limit)
    if hi - lo <= LEAST_WIDTH * max(size, abs(value)):
        return "undecided", "the interval has no width: values without spread prove nothing"
    return "pass", "the whole interval is inside"


def _inside(gate: Gate, value: float, limit: float) -> bool:
    match gate.op:
        case "<=":
            return value <= limit
        case "<":
            return value < limit
        case ">=":
            return value >= limit
        case _:
            return value > limit


def _more(lo: float, hi: float, value: float, limit: float) -> str:
    """How much more data would decide, if the value stays what it is; widths shrink as 1/√n."""
    gap, side = abs(limit - value), (hi - value if limit > value else value - lo)
    if gap == 0 or not math.isfinite(side) or (side / gap) ** 2 > MOST_TIMES:
        return ""
    return f"; about {math.ceil((side / gap) ** 2 + 0.1)} times the data would decide"


def _only_failures(gate: Gate, barring: Sequence[Caution]) -> bool:
    """Whether a broken success gate is spared: unanswered trials are its very subject."""
    return gate.metric == "success" and all(c.name.startswith("unanswered") for c in barring)


def _alone(arm: Arm, metric: str) -> Estimate:
    """B by itself, in seconds, per second or as a share, over blocks or trials."""
    if metric in QUANTILES:
        return arm.quantile(QUANTILES[metric], CONFIDENCE)
    if arm.in_one_block and metric == "success":
        return serial.share(arm.right, CONFIDENCE)
    if arm.in_one_block and metric == "mean":
        found = sm.sample(arm.trials, arm.name, in_order=True)
        return serial.mean(found.values, CONFIDENCE)
    if metric in ("gm", "ttft"):
        return _geometric(arm, "ttft" if metric == "ttft" else "response_time")
    return estimands.value(ESTIMANDS[metric], arm.run.trials, arm.run.blocks, arm.name, CONFIDENCE)


def _geometric(arm: Arm, measure: sm.Measure) -> Estimate:
    """The geometric mean, with Student's t over the blocks' mean logs; seconds."""
    sample = sm.sample(arm.trials, arm.name, measure, in_order=arm.in_one_block)
    if sample.n and sample.values.min() <= 0:
        why = ("a value is not positive: no geometric mean",)
        return Estimate(None, None, None, sample.n, CONFIDENCE, "none", why)
    if arm.in_one_block:
        found = serial.mean(np.log(sample.values), CONFIDENCE)
    else:
        found = estimate.mean(compare.by_group(np.log(sample.values), sample.blocks), CONFIDENCE)
    point, lo, hi = (
        None if side is None else math.exp(side) for side in (found.point, found.lo, found.hi)
    )
    over = "batches" if arm.in_one_block else "blocks"
    return replace(found, point=point, lo=lo, hi=hi, method=f"geometric mean, t over {over}")


def _hold_alone(arm: Arm, metric: str) -> str | None:
    lost, trials = arm.unanswered()
    if arm.hold and (metric in QUANTILES or metric in ("gm", "mean", "ttft")):
        return f"B: {arm.hold}"
    if metric == "success" or not trials or lost / trials <= UNANSWERED_SHARE:
        return None
    return f"B: {lost} of {trials} trials got no answer, more than 5 %"


def _scaled(gate: Gate, time_scale: float) -> float:
    """The limit in measured time: the simulator's clock does not drive the processor's."""
    if gate.unit == "s" and gate.metric != "cpu":
        return gate.limit * time_scale
    return gate.limit / time_scale if gate.unit == "/s" else gate.limit
