"""Whether the targets of a run hold, each with the interval that decides it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.load.capacity import Verdict
from harness.load.observed import Observed
from harness.load.slo import Held, Target, overall, request_limits
from harness.stats import estimate, serial
from harness.stats.estimate import Estimate

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Ruling:
    """A target with what was measured.

    ``value``: the quantile in seconds, or the share of successes; None: nothing was measured.
    ``share``: of the requests that keep to the target, with the interval that decides.
    """

    target: Target
    value: float | None
    share: Estimate
    held: Held


def rule(target: Target, observed: Observed) -> Ruling:
    """Hold one target against a run."""
    if target.measure is None:
        share = serial.share(observed.ok[observed.trials], CONFIDENCE)
        value = share.point
    else:
        assert target.limit is not None
        times = observed.times_to_hold(target.measure)
        share = serial.share(times <= target.limit, CONFIDENCE)
        value = estimate.quantile(times, target.needed).point
    return Ruling(target, value, share, target.held(share.lo, share.hi))


def good(observed: Observed, targets: Sequence[Target]) -> NDArray[np.bool_]:
    """Which requests goodput counts: ok, and each time within what the targets allow."""
    kept = observed.ok.copy()
    for measure, limit in request_limits(targets).items():
        kept &= observed.most(measure) <= limit
    return kept


@dataclass(frozen=True, slots=True)
class Judged:
    """What a stretch of load at one rate shows. ``reasons``: why it does not hold."""

    verdict: Verdict
    rulings: tuple[Ruling, ...]
    reasons: tuple[str, ...]


def judge(targets: Sequence[Target], observed: Observed, unfit: Sequence[str]) -> Judged:
    """Whether the rate of an open loop holds. ``unfit``: why the client cannot tell, if it cannot.

    Targets alone do not suffice: above its capacity a server's queue grows as long as the load
    lasts, and a short stretch ends before that shows in a quantile.
    """
    rulings = tuple(rule(target, observed) for target in targets)
    if unfit:
        return Judged("invalid", rulings, tuple(unfit))
    reasons = [
        f"{ruling.target.text} {'is missed' if ruling.held == 'missed' else 'is not certain'}"
        for ruling in rulings
        if ruling.held != "held"
    ]
    held = overall([ruling.held for ruling in rulings])
    answered = observed.answered
    if serial.rising(observed.scheduled[answered], observed.response[answered]):
        reasons.append("response times rise as long as the load lasts: the queue may never empty")
        held = "undecided" if held == "held" else held
    verdicts: dict[Held, Verdict] = {"held": "holds", "missed": "misses", "undecided": "undecided"}
    return Judged(verdicts[held], rulings, tuple(reasons))


def least_requests(targets: Sequence[Target]) -> int:
    """Twice as many requests as the targets' intervals need to have both bounds."""
    return 2 * max(estimate.least_n(target.needed, CONFIDENCE) for target in targets)
