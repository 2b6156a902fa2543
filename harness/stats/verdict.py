"""The algebra of verdicts: an interval and a claim → a verdict. Pure; gates come before it.

A bound of None is no bound: the interval reaches to the end of the scale on that side. The
fractions named here are chosen, not derived, and belong to the claim file.
"""

import math
from dataclasses import dataclass
from typing import Literal

VerdictName = Literal["supported", "refuted", "inconclusive"]
Qualifier = Literal[
    "understated", "overstated", "no_effect", "too_small", "reversed", "direction_only"
]


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and what qualifies it; ``qualifier`` is None when nothing does."""

    verdict: VerdictName
    qualifier: Qualifier | None = None


def claim_line(reduction: float | None, margin: float = 0.02) -> float:
    """c, the log ratio that the whole interval must lie below.

    ln(1 − m/2) for a claim of "about m" (half the claim), ln(1 − margin) for a claim of any
    improvement (``reduction`` None). Raises ValueError unless the fraction lies in (0, 1).
    """
    fraction = margin if reduction is None else reduction / 2
    if not 0 < fraction < 1 or (reduction is not None and reduction >= 1):
        raise ValueError(f"a claimed reduction lies between 0 and 1: {reduction}, margin {margin}")
    return math.log1p(-fraction)


def verdict(
    lo: float | None,
    hi: float | None,
    reduction: float | None,
    *,
    margin: float = 0.02,
    equivalence: float = 0.05,
) -> Judgement:
    """Judge the ratio candidate / baseline, interval [lo, hi], lower being better.

    ``reduction``: the claimed m, such as 0.15; None claims any improvement beyond ``margin``.
    ``equivalence``: with the whole interval within ±|ln(1 − equivalence)| there is no effect.
    For higher-is-better, swap the arms with ``swapped``; for "slower by m" also ``slower_by``.
    """
    low, high = _log(lo, -math.inf), _log(hi, math.inf)
    line, equal = claim_line(reduction, margin), -math.log1p(-equivalence)
    if high < line:
        return Judgement("supported", "understated" if _beyond(high, reduction) else None)
    if low > line:
        if low > 0:
            return Judgement("refuted", "reversed")
        if -equal < low and high < equal:
            return Judgement("refuted", "no_effect")
        return Judgement("refuted", "overstated" if high < 0 else "too_small")
    return Judgement("inconclusive", "direction_only" if high < 0 else None)


def difference_verdict(
    lo: float | None, hi: float | None, gain: float, *, equivalence: float = 0.05
) -> Judgement:
    """Judge a gain in success, candidate − baseline, interval [lo, hi] in points (0.05 is 5 %).

    The line is half the claimed gain. ``equivalence``: points within which there is no effect.
    Raises ValueError unless 0 < gain ≤ 1.
    """
    if not 0 < gain <= 1:
        raise ValueError(f"a gain in success lies between 0 and 1, not {gain}")
    low, high = -1.0 if lo is None else lo, 1.0 if hi is None else hi
    if low > gain / 2:
        return Judgement("supported", "understated" if low > 1.5 * gain else None)
    if high < gain / 2:
        if high < 0:
            return Judgement("refuted", "reversed")
        if -equivalence < low and high < equivalence:
            return Judgement("refuted", "no_effect")
        return Judgement("refuted", "overstated" if low > 0 else "too_small")
    return Judgement("inconclusive", "direction_only" if low > 0 else None)


def absolute_verdict(
    lo: float | None,
    hi: float | None,
    value: float,
    *,
    margin: float = 0.1,
    better: Literal["lower", "higher"] = "lower",
) -> Judgement:
    """Judge a claimed value, such as 8 s, by the interval of one arm in the same unit.

    Supported when the whole interval lies on the claimed side of value × (1 + margin) (lower is
    better) or value × (1 − margin) (higher is), refuted when wholly beyond, else inconclusive.
    """
    low, high = -math.inf if lo is None else lo, math.inf if hi is None else hi
    if better == "higher":
        low, high, limit = -high, -low, -value * (1 - margin)
    else:
        limit = value * (1 + margin)
    if high <= limit:
        return Judgement("supported")
    return Judgement("refuted" if low > limit else "inconclusive")


def swapped(lo: float | None, hi: float | None) -> tuple[float | None, float | None]:
    """The interval of baseline / candidate from that of candidate / baseline."""
    return _inverse(hi), _inverse(lo)


def slower_by(m: float) -> float:
    """The reduction, arms swapped, that "slower by m" claims: m/(1 + m)."""
    return m / (1 + m)


def _beyond(high: float, reduction: float | None) -> bool:
    """Whether the upper log bound shows more than one and a half times the claimed reduction."""
    if reduction is None or 1.5 * reduction >= 1:
        return False
    return high < math.log1p(-1.5 * reduction)


def _inverse(bound: float | None) -> float | None:
    """1/bound; a lower bound of 0 says nothing above."""
    return None if bound is None or bound == 0 else 1 / bound


def _log(bound: float | None, unbounded: float) -> float:
    if bound is None:
        return unbounded
    return math.log(bound) if bound > 0 else -math.inf
