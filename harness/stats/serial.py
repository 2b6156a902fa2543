"""Quantiles, shares and means of what follows each other, with intervals that allow for it.

Requests that meet in a queue fare alike, so n of them say less than n independent ones. By how
much is estimated from batches of consecutive requests (batch means): the variance of the batches'
shares over what independence would give, the *design effect*. The interval is then that of
``n / design effect`` independent values. What lasts longer than a batch is not seen.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.stats import estimate
from harness.stats.estimate import Estimate
from harness.stats.sample import Floats, Ints

BATCHES = 30
FEWEST_BATCHES = 10
LEAST_STRETCH = 10
RISE = 0.5


def design_effect(hits: NDArray[np.bool_]) -> float:
    """At least 1. ``hits``: (n,) in order of time; 1 where too few or all alike to tell."""
    batches = min(BATCHES, hits.size // 2)
    if batches < FEWEST_BATCHES:
        return 1.0
    size = hits.size // batches
    shares = hits[: batches * size].reshape(batches, size).mean(axis=1)
    p = float(shares.mean())
    if not 0 < p < 1:
        return 1.0
    return max(1.0, size * float(shares.var(ddof=1)) / (p * (1 - p)))


def quantile(values: Floats, p: float, confidence: float = 0.95) -> Estimate:
    """The p-quantile by numpy's linear rule; the interval is of order statistics.

    ``values``: (n,) in order of time; +∞ stands for a request without an end. Raises ValueError
    unless 0 < p < 1.
    """
    whole = estimate.quantile(values, p, confidence)
    if whole.point is None:
        return whole
    effect = design_effect(values <= whole.point)
    if effect == 1.0:
        return whole
    ordered = np.sort(values)
    alike = max(1, int(values.size / effect))
    places = ((np.arange(alike) + 0.5) * values.size / alike).astype(np.int64)
    found = estimate.quantile(ordered[places], p, confidence)
    return replace(found, point=whole.point, n=values.size)


def share(hits: NDArray[np.bool_], confidence: float = 0.95) -> Estimate:
    """The share of ``hits``, (n,) in order of time: Wilson's interval."""
    n, k = int(hits.size), int(hits.sum())
    found = estimate.proportion(*independent(hits), confidence)
    return replace(found, point=k / n if n else None, n=n)


def independent(hits: NDArray[np.bool_]) -> tuple[int, int]:
    """(k, n) independent requests that say as much as these; ``hits``: (n,) in order of time."""
    if not hits.size:
        return 0, 0
    n = max(1, int(hits.size / design_effect(hits)))
    return min(n, round(int(hits.sum()) * n / hits.size)), n


def stretches(moments: Floats) -> Ints | None:
    """For each moment (n,), which of 10 to 30 equally large batches of ten or more consecutive ones
    it is in; None where there are too few for that.
    """
    batches = min(BATCHES, moments.size // LEAST_STRETCH)
    if batches < FEWEST_BATCHES:
        return None
    place = np.empty(moments.size, np.int64)
    place[np.argsort(moments, kind="stable")] = np.arange(moments.size)
    return place * batches // moments.size


def mean(values: Floats, confidence: float = 0.95) -> Estimate:
    """The mean with the t interval over batch means; ``values``: (n,) finite, in order of time."""
    batches = min(BATCHES, values.size // 2)
    if batches < FEWEST_BATCHES:
        return estimate.mean(values, confidence)
    size = values.size // batches
    means = values[: batches * size].reshape(batches, size).mean(axis=1)
    return replace(estimate.mean(means, confidence), point=float(values.mean()), n=int(values.size))


def rising(scheduled: Floats, times: Floats) -> bool:
    """Whether times grow while the load lasts: the sign of a queue that never gets shorter.

    ``scheduled``, ``times``: (n,) seconds in order of time. True when a line through the batch
    means rises with 97.5 % confidence, and from end to end by half of the mean or more: a queue
    that grows from nothing soon rises by twice its mean, one that is stable wanders less. The
    first tenth is left out, in which a stable queue fills up.
    """
    begin = times.size // 10
    x, y = scheduled[begin:], times[begin:]
    batches = min(BATCHES, x.size // 2)
    if batches < FEWEST_BATCHES:
        return False
    size = x.size // batches
    at, mean = (v[: batches * size].reshape(batches, size).mean(axis=1) for v in (x, y))
    if not np.ptp(at) > 0:
        return False
    from scipy import stats

    fit = stats.linregress(at, mean)
    least = fit.slope - stats.t.ppf(0.975, batches - 2) * fit.stderr
    return bool(least > 0 and fit.slope * np.ptp(at) > RISE * mean.mean())
