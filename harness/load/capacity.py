"""The search for the highest rate that holds: which rate to try next, and what was found.

Pure: rates and rulings in, rates out. Rates are doubled until one does not hold, then halved on a
logarithmic scale between the two until they are close. What holds must do so twice, since the best
of several tries is partly luck.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["holds", "misses", "undecided", "invalid"]
Limit = Literal["server", "client", "schedule", "nothing holds", "undecided"]

PRECISION = 0.05
TIMES = 2
UNFIT = 2  # rates for which the client was not fit end the search for higher ones
MOST_STEPS = 60


@dataclass(frozen=True, slots=True)
class Tried:
    """A rate (requests per second) that was tried. ``invalid``: the client could not do it."""

    rate: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Plan:
    """Where to begin, and the lowest and highest rate to try, all per second."""

    start: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Capacity:
    """The highest rate that holds, per second, and the lowest tried above it that does not.

    ``rate`` None: none holds. ``above`` None: none was tried that does not. ``limit``: what kept
    the search from going higher: the server missed its targets (or could not be shown to hold
    them), the client was not fit for more, or the highest rate allowed was reached; where no rate
    holds, whether the lowest missed or could not be told. ``confirmed``: the rate held twice.
    """

    rate: float | None
    above: float | None
    limit: Limit
    confirmed: bool


def next_rate(tried: Sequence[Tried], plan: Plan) -> float | None:
    """The rate of the next step; None when the search is over."""
    if not tried:
        return plan.start
    if len(tried) >= MOST_STEPS:
        return None
    low, high = _bracket(tried)
    rates = {step.rate for step in tried if step.verdict == "invalid"}
    unfit = high in rates and len(rates) >= UNFIT
    if low is None:
        assert high is not None
        return max(high / 2, plan.lowest) if high > plan.lowest and not unfit else None
    if unfit:
        pass  # what is between is the client's business
    elif high is None:
        if low < plan.highest:
            return min(2 * low, plan.highest)
    elif high > low * (1 + PRECISION):
        return math.sqrt(low * high)
    return low if sum(step.rate == low for step in tried) < TIMES else None


def found(tried: Sequence[Tried]) -> Capacity:
    """What the steps show. Raises ValueError when there are none."""
    if not tried:
        raise ValueError("nothing was tried")
    low, high = _bracket(tried)
    confirmed = sum(step.rate == low for step in tried) >= TIMES
    return Capacity(low, high, _limit({s.verdict for s in tried if s.rate == high}, low), confirmed)


def _limit(above: set[Verdict], low: float | None) -> Limit:
    """``above``: verdicts on the lowest rate that did not always hold."""
    if not above:
        return "schedule"
    if above <= {"holds", "invalid"}:
        return "client"
    if low is not None:
        return "server"
    return "nothing holds" if "misses" in above else "undecided"


def _bracket(tried: Sequence[Tried]) -> tuple[float | None, float | None]:
    """(highest rate that always held, lowest that ever did not); the first is below the second."""
    high = min((step.rate for step in tried if step.verdict != "holds"), default=None)
    held = [step.rate for step in tried if high is None or step.rate < high]
    return max(held, default=None), high
