"""One sample → a point with its interval.

Every function assumes independent, identically distributed values: for trials that share a burst,
give it one value per block. A bound is None where the data cannot give one; a width of zero is
never made out of one value.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from harness.stats.sample import Floats


@dataclass(frozen=True, slots=True)
class Estimate:
    """A point, its two-sided interval at ``confidence``, and what it rests on.

    ``point`` is None when n = 0. ``lo`` and ``hi`` are None, each on its own, when the data
    cannot bound that side. All three share the unit of the data.
    """

    point: float | None
    lo: float | None
    hi: float | None
    n: int
    confidence: float
    method: str
    warnings: tuple[str, ...] = ()

    @property
    def bounded(self) -> bool:
        """Whether both sides have a finite bound."""
        sides = (self.lo, self.hi)
        return all(side is not None and math.isfinite(side) for side in sides)


def mean(values: ArrayLike, confidence: float = 0.95, *, least: float = -math.inf) -> Estimate:
    """The mean with Student's t interval.

    ``values``: shape (n,), finite, means near normal. ``least``: what no value can be below, such
    as 0 for times and rates. The t interval of few values reaches beyond it; the true mean does
    not, so that a bound moved to ``least`` covers it as often. No interval for n < 2. Raises
    ValueError on values that are not finite. Source: ``scipy.stats.ttest_1samp``.
    """
    x = checked(values, confidence)
    if not np.isfinite(x).all():
        raise ValueError("a mean needs finite values")
    method = "mean, t interval"
    if x.size < 2:
        point = float(x[0]) if x.size else None
        return Estimate(point, None, None, x.size, confidence, method, (few(x.size, 2),))
    point = float(x.mean())
    if not varies(x):
        return Estimate(point, point, point, x.size, confidence, method, (no_variation(x.size),))
    from scipy import stats

    lo, hi = stats.ttest_1samp(x, 0).confidence_interval(confidence)
    return Estimate(point, max(least, float(lo)), float(hi), x.size, confidence, method)


def quantile(values: ArrayLike, p: float, confidence: float = 0.95) -> Estimate:
    """The p-quantile by numpy's linear rule, with an interval of two order statistics.

    ``values``: shape (n,); +∞ stands for a time-out, so that the point or a bound may be +∞.
    Exact for continuous distributions of any shape. A side without a bound is None, and the
    warning names the least n that has both. Raises ValueError unless 0 < p < 1.
    Source: ``scipy.stats.quantile_test``.
    """
    x = checked(values, confidence)
    needed = least_n(p, confidence)
    method = f"p{100 * p:g}, order statistics"
    if x.size == 0:
        return Estimate(None, None, None, 0, confidence, method, (few(0, needed),))
    from scipy import stats

    ci: Any = stats.quantile_test(x, q=0, p=p).confidence_interval(confidence)  # stub: float
    lo, hi = _bound(ci.low), _bound(ci.high)
    warnings: tuple[str, ...] = ()
    if lo is None or hi is None:
        warnings = (few(x.size, needed),)
    elif lo == hi:
        warnings = ("the bounds are equal values: the interval has no width",)
    return Estimate(_linear(x, p), lo, hi, x.size, confidence, method, warnings)


def proportion(k: int, n: int, confidence: float = 0.95) -> Estimate:
    """k successes of n independent trials: Wilson's interval; Clopper–Pearson if k is 0 or n.

    No point and no interval for n = 0. Raises ValueError unless 0 <= k <= n.
    Source: ``scipy.stats.binomtest``.
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no proportion")
    _check_confidence(confidence)
    if n == 0:
        return Estimate(None, None, None, 0, confidence, "Wilson", (few(0, 1),))
    from scipy import stats

    method: Literal["exact", "wilson"] = "exact" if k in (0, n) else "wilson"
    lo, hi = stats.binomtest(k, n).proportion_ci(confidence, method=method)
    name = "Wilson" if method == "wilson" else "Clopper–Pearson"
    return Estimate(k / n, float(lo), float(hi), n, confidence, name)


def least_n(p: float, confidence: float = 0.95) -> int:
    """The least n for which the p-quantile has an interval bounded on both sides.

    All n values lie below the quantile with probability pⁿ, above it with (1 − p)ⁿ; either must
    be at most (1 − confidence)/2. Raises ValueError unless 0 < p < 1.
    """
    if not 0 < p < 1:
        raise ValueError(f"no quantile has p = {p}")
    _check_confidence(confidence)
    return math.ceil(math.log((1 - confidence) / 2) / math.log(max(p, 1 - p)))


def few(n: int, needed: int) -> str:
    """The warning for too few values."""
    return f"n = {n} < {needed}"


def no_variation(n: int) -> str:
    """The warning for a sample without spread, whose interval has no width."""
    return f"all {n} values are equal: the interval has no width"


def varies(x: Floats) -> bool:
    """Whether the spread is more than rounding; t methods lose all precision otherwise."""
    return bool(np.ptp(x) > 1e-12 * abs(x.mean()))


def checked(values: ArrayLike, confidence: float) -> Floats:
    """``values`` as a float array of shape (n,). Raises ValueError on NaN or another shape."""
    _check_confidence(confidence)
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or np.isnan(x).any():
        raise ValueError("values must be one-dimensional and without NaN")
    return x


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")


def _bound(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _linear(x: Floats, p: float) -> float:
    """numpy's linear rule; where it would interpolate towards +∞, that is +∞ and not NaN."""
    below = float(np.quantile(x, p, method="lower"))
    above = float(np.quantile(x, p, method="higher"))
    if below == above or above == math.inf:
        return above
    return float(np.quantile(x, p))
