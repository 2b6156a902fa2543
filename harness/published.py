"""What a claim's published figures by themselves can show."""

import math
from dataclasses import dataclass
from typing import Literal

from harness.claims import Claim, VerdictName


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the published figures by themselves can show, by the same algebra as ours.

    ``change``: candidate over baseline − 1, None without both. ``reasons`` are codes of the words
    that reports use.
    """

    verdict: VerdictName
    change: float | None
    reasons: tuple[str, ...]


def evidence(claim: Claim) -> Evidence:
    """Judge the published figures alone, as independent measurements (Welch's t on logarithms)."""
    published = claim.file.published
    change = None
    if published.baseline and published.candidate:
        mean = [sum(side) / len(side) for side in (published.baseline, published.candidate)]
        change = mean[1] / mean[0] - 1
    reasons = []
    if claim.file.estimand == "success":
        few = not published.trials or published.right is None
    else:
        sides = [
            published.candidate,
            *([] if claim.file.kind == "absolute" else [published.baseline]),
        ]
        few = any(not side for side in sides)
        if not few and min(map(len, sides)) < 2:
            reasons.append("one_measurement")
    if few:
        reasons.append("no_figures")
    if published.same_path:
        reasons.append("same_path")
    if reasons:
        return Evidence("not_testable", change, tuple(reasons))
    return Evidence(_published_verdict(claim), change, ())


def _published_verdict(claim: Claim) -> VerdictName:
    from harness.stats import estimate
    from harness.stats import verdict as algebra

    file, published = claim.file, claim.file.published
    if file.estimand == "success" and (file.kind != "absolute" or published.trials is None):
        return "not_testable"
    if file.kind == "absolute":
        if file.estimand == "success":
            assert published.right is not None
            assert published.trials is not None
            found = estimate.proportion(published.right, published.trials, file.confidence)
        else:
            found = estimate.mean(published.candidate, file.confidence, least=0.0)
        better: Literal["lower", "higher"] = "higher" if claim.swap else "lower"
        return algebra.absolute_verdict(
            found.lo, found.hi, claim.value(1.0), margin=claim.margin, better=better
        ).verdict
    from scipy import stats

    logs = [[math.log(x) for x in side] for side in (published.candidate, published.baseline)]
    ci = stats.ttest_ind(*logs, equal_var=False).confidence_interval(file.confidence)
    lo, hi = math.exp(ci.low), math.exp(ci.high)
    sides = algebra.swapped(lo, hi) if claim.swap else (lo, hi)
    return algebra.verdict(
        *sides, claim.reduction, margin=claim.margin, equivalence=file.equivalence
    ).verdict
