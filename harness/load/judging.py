"""Whether the targets of a run hold, each with the interval that decides it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.load.capacity import Verdict
from harness.load.observed import Observed
from harness.load.slo import Held, Target, overall, request_limits
from harness.stats import estimate, serial
from harness.stats.estimate import Estimate

CONFIDENCE = 0.95
UNSETTLED = 0.10
OVERRUN = {"dropped", "achieved_share"}  # checks that a server breaks which falls far behind


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


def in_flight(observed: Observed) -> tuple[float, float] | None:
    """(L, λW) of the answered requests of an open loop, from its start until a mean gap after its
    last request: how many were in the system on average, and the rate of their arrivals times their
    mean response time. By Little's law the two are equal but for what is in the system when the
    load ends, so that a step too short for its queue to settle has the first far below the second.
    None where nothing was answered.
    """
    rows, n = observed.answered, observed.scheduled.size
    if not rows.any():
        return None
    window = float(observed.scheduled[-1]) * n / max(1, n - 1)
    began, times = observed.scheduled[rows], observed.response[rows]
    if not window:
        return None
    inside = np.minimum(began + times, window) - began
    return float(inside.sum()) / window, float(times.sum()) / window


def settled(found: tuple[float, float] | None) -> bool:
    """Whether ``in_flight`` keeps to Little's law within 10 %."""
    return found is not None and abs(found[0] - found[1]) <= UNSETTLED * found[1]


def judge(targets: Sequence[Target], observed: Observed, unfit: Mapping[str, str]) -> Judged:
    """Whether the rate of an open loop holds. ``unfit``: the checks that the client broke, with
    their remedies; its verdict is then that it cannot tell. But requests that could not be sent
    since a server is so far behind speak for themselves where those that were sent miss too.

    Targets alone do not suffice: above its capacity a server's queue grows as long as the load
    lasts, and a short stretch ends before that shows in a quantile.
    """
    rulings = tuple(rule(target, observed) for target in targets)
    if unfit and not (unfit.keys() <= OVERRUN and _missed(targets, observed.sent())):
        return Judged("invalid", rulings, tuple(unfit.values()))
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
    elif not settled(in_flight(observed)):
        reasons.append(
            "the load ended before its queue settled (Little's law is off by more than 10 %): "
            "raise --duration"
        )
        held = "undecided" if held == "held" else held
    verdicts: dict[Held, Verdict] = {"held": "holds", "missed": "misses", "undecided": "undecided"}
    return Judged(verdicts[held], rulings, tuple(reasons))


def _missed(targets: Sequence[Target], observed: Observed) -> bool:
    return overall([rule(target, observed).held for target in targets]) == "missed"


def least_requests(targets: Sequence[Target]) -> int:
    """Twice as many requests as the targets' intervals need to have both bounds."""
    return 2 * max(estimate.least_n(target.needed, CONFIDENCE) for target in targets)
