"""Looking at every block without losing the guarantee: a t confidence sequence.

All intervals of the sequence together hold the truth with the stated confidence, so a run may stop
at any look. It assumes independent normal log ratios. Stopping early favours large values: the
point of a stopped run is too far from 1, which every result says. Never go back to the t interval
after a look. Source: Lindon, Ham, Tingley & Bojinov, arXiv:2210.08589, Cor. 3.8.
"""

import math

from harness.stats import estimate
from harness.stats.compare import Comparison, Scope, gm_ratio
from harness.stats.sample import Pairs

FIRST_LOOK = 10


def tuned_g(n_max: int) -> float:
    """The mixture's g for runs of at most ``n_max`` blocks: 5, or 8 above 100."""
    return 8.0 if n_max > 100 else 5.0


def multiplier(n: int, alpha: float = 0.05, g: float = 5.0) -> float:
    """M(n): the interval is mean ± M·s/√n, for n values with standard deviation s.

    ν = n − 1, r = g/(g + n), a = (α²·r)^(1/(ν + 1)), M = √(ν(1 − a)/(a − r)); +∞ while a ≤ r.
    Raises ValueError for n < 2, an alpha outside (0, 1) or g ≤ 0.
    """
    if n < 2 or not 0 < alpha < 1 or g <= 0:
        raise ValueError(f"no sequence for n = {n}, alpha = {alpha}, g = {g}")
    r = g / (g + n)
    a = (alpha * alpha * r) ** (1 / n)
    return math.inf if a <= r else math.sqrt((n - 1) * (1 - a) / (a - r))


def log_e_value(t: float, n: int, g: float = 5.0) -> float:
    """ln of the e-value against mean 0, from the t statistic of n values; 1/α is decisive.

    ½ ln r + (ν + 1)/2 · (ln(1 + t²/ν) − ln(1 + r·t²/ν)). Raises ValueError for n < 2 or g ≤ 0.
    """
    if n < 2 or g <= 0:
        raise ValueError(f"no e-value for n = {n}, g = {g}")
    r, x = g / (g + n), t * t / (n - 1)
    return 0.5 * math.log(r) + 0.5 * n * (math.log1p(x) - math.log1p(r * x))


def sequential_gm_ratio(
    pairs: Pairs,
    confidence: float = 0.95,
    g: float = 5.0,
    scope: Scope = "these scenarios",
    estimand: str = "response_time_gm",
) -> Comparison:
    """``gm_ratio`` with the interval of the confidence sequence at the present n.

    No interval before n = 10. The p-value is None: fixed-n p-values do not survive looking.
    """
    fixed = gm_ratio(pairs, confidence, scope, estimand)
    unit = "blocks" if scope == "these scenarios" else "scenarios"
    lo = hi = None
    warnings = ["always valid: stopping inflates the estimate"]
    if fixed.n < FIRST_LOOK:
        warnings.append(estimate.few(fixed.n, FIRST_LOOK))
    elif fixed.ratio is not None and fixed.sd is not None and fixed.lo is not None:
        half = multiplier(fixed.n, 1 - confidence, g) * fixed.sd / math.sqrt(fixed.n)
        if math.isfinite(half):
            lo, hi = fixed.ratio * math.exp(-half), fixed.ratio * math.exp(half)
    return Comparison(
        estimand,
        fixed.ratio,
        lo,
        hi,
        fixed.n,
        fixed.dropped_pairs,
        confidence,
        f"t confidence sequence over {unit}, g = {g:g}",
        tuple(warnings) + fixed.warnings,
        sd=fixed.sd,
    )
