"""What a claim's figures leave open: the line, their spread, the blocks that would decide. Pure."""

import math

from harness.claims import Claim
from harness.stats import power
from harness.stats import verdict as algebra
from harness.stats.compare import Comparison
from harness.stats.estimate import Estimate

NO_LIMIT = 100_000  # what is needed is said however much it is


def line_of(claim: Claim) -> float:
    """c: the log ratio (negative) that decides; for a claim of a value ln(1 + margin), which for
    success is in points.
    """
    if claim.file.kind == "absolute" and claim.file.estimand == "success":
        return claim.margin * claim.value(1.0)
    if claim.file.kind == "absolute":
        return math.log1p(claim.margin)
    if claim.file.estimand == "success":
        assert claim.file.gain is not None
        return -claim.file.gain / 2
    return algebra.claim_line(claim.reduction, claim.margin)


def spread(claim: Claim, found: Comparison | Estimate) -> float | None:
    """The sd of one replicate on the scale of ``line_of``; None when the figures bound none.

    Of a comparison its own; otherwise what the interval implies: relative to the value for a value,
    in points for success, of logarithms for the rest.
    """
    if isinstance(found, Comparison) and found.sd is not None:
        return found.sd
    lo, hi, confidence = found.lo, found.hi, found.confidence
    point = found.ratio if isinstance(found, Comparison) else found.point
    if point is None or lo is None or hi is None or not math.isfinite(hi - lo) or found.n < 2:
        return None
    if isinstance(found, Comparison):
        half = (math.log(hi) - math.log(lo)) / 2 if lo > 0 else math.inf
    elif claim.file.kind == "absolute" and claim.file.estimand != "success":
        width = (hi - lo) / 2 if lo > 0 else hi - point  # a bound that was held at 0 is too near
        half = width / point if point > 0 else math.inf
    else:
        half = (hi - lo) / 2
    return power.implied_sd(half, found.n, confidence) if math.isfinite(half) else None


def outlook(
    claim: Claim, found: Comparison | Estimate, blocks: int
) -> tuple[int | None, float | None]:
    """How many blocks would decide, and the smallest change that ``blocks`` show; None: unknown."""
    sd, confidence = spread(claim, found), claim.file.confidence
    if not sd or not blocks:
        return None, None
    needed = power.reestimated_n(sd, line_of(claim), NO_LIMIT * found.n, confidence=confidence)
    mde = power.detectable_reduction(sd, found.n, confidence=confidence)
    if mde is not None and claim.file.estimand == "success":
        mde = -math.log1p(-mde)  # points have no logarithm to undo
    return math.ceil(needed * blocks / found.n), mde
