"""How many blocks: before a run, in the middle of one, and after an inconclusive one.

``sd`` is always the standard deviation of a replicate's log ratio (``Comparison.sd``); effects are
absolute log ratios; a reduction of 0.15 means a ratio of 0.85. Log ratios are taken as normal.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

CONFIDENCE = 0.95
POWER = 0.8


@dataclass(frozen=True, slots=True)
class Needed:
    """Blocks for a decisive verdict: ``support`` if the claim is true, ``refute`` if nothing is."""

    support: int
    refute: int


def log_sd(cv: float) -> float:
    """The sd of the logarithm of a lognormal time with coefficient of variation ``cv``."""
    return math.sqrt(math.log1p(cv * cv))


def paired_log_sd(cv: float, rho: float = 0.0) -> float:
    """The sd of the log ratio of two such times whose logarithms are correlated by ``rho``."""
    return log_sd(cv) * math.sqrt(2 * (1 - rho))


def paired_n(effect: float, sd: float, confidence: float = CONFIDENCE, power: float = POWER) -> int:
    """Replicates for a paired t interval to exclude a line ``effect`` away, with this power.

    Exact under normality (noncentral t). Raises ValueError unless effect and sd are positive.
    """
    return _least(effect / sd if sd > 0 else 0.0, 1, confidence, power)


def unpaired_n(
    effect: float, sd: float, confidence: float = CONFIDENCE, power: float = POWER
) -> int:
    """Trials per arm for two independent arms, ``sd`` that of one log time (pooled t)."""
    return _least(effect / (sd * math.sqrt(2)) if sd > 0 else 0.0, 2, confidence, power)


def blocks_for_verdict(
    sd: float,
    reduction: float,
    line: float,
    confidence: float = CONFIDENCE,
    power: float = POWER,
) -> Needed:
    """Blocks to be decisive about a claimed reduction, given the log line of its verdict.

    ``line``: c of the verdict, negative, nearer to 0 than ln(1 − reduction). Raises ValueError
    otherwise.
    """
    claimed = math.log1p(-reduction)
    return Needed(
        support=paired_n(line - claimed, sd, confidence, power),
        refute=paired_n(-line, sd, confidence, power),
    )


def reestimated_n(
    sd: float,
    line: float,
    n_max: int,
    round_size: int = 1,
    confidence: float = CONFIDENCE,
    power: float = POWER,
    n_min: int = 12,
) -> int:
    """The N to run to, from the sd of the first blocks alone (their mean stays hidden).

    clip(⌈((z(1 − α/2) + z(power))·sd/|line|)²⌉ + 4, n_min, n_max), rounded up to whole rounds of
    ``round_size`` blocks; so up to a round more than ``n_max``. The 4 make up for the estimated
    sd. Raises ValueError for line = 0.
    """
    if line == 0:
        raise ValueError("a line at ratio 1 cannot be told apart from no effect")
    wanted = math.ceil((_z(confidence, power) * sd / line) ** 2) + 4
    n = min(max(wanted, n_min), n_max)
    return math.ceil(n / round_size) * round_size


def detectable_reduction(
    sd: float | None,
    n: int,
    line: float = 0.0,
    confidence: float = CONFIDENCE,
    power: float = POWER,
) -> float | None:
    """The smallest true reduction that n blocks would put beyond ``line`` with this power.

    1 − exp(line − δ·sd/√n), δ the noncentrality of t(n − 1) with this power. None when sd is
    None or n < 2: no interval at all. ``line`` = 0 asks for any reduction.
    """
    if sd is None or n < 2:
        return None
    from scipy import special, stats

    t = float(stats.t.ppf((1 + confidence) / 2, n - 1))
    shift = float(special.nctdtrinc(n - 1, 1 - power, t))
    return -math.expm1(line - shift * sd / math.sqrt(n))


def implied_sd(half_width: float, n: int, confidence: float = CONFIDENCE) -> float:
    """The sd of one replicate that an interval of this half-width over n of them speaks of.

    half·√n/z(1 − α/2): for what has an interval but no spread of its own, such as a quantile or a
    share. In the unit of ``half_width``.
    """
    from scipy import special

    return half_width * math.sqrt(n) / float(special.ndtri((1 + confidence) / 2))


def quantile_sd(sd: float, p: float) -> float:
    """What stands for the sd of a value's logarithm when its p-quantile is estimated.

    sd·√(p(1 − p))/φ(z(p)): the large-sample error of a quantile of normal values, here logarithms,
    times √n; 1.25 sd for the median, 2.11 sd for p95.
    """
    from scipy import stats

    return sd * math.sqrt(p * (1 - p)) / float(stats.norm.pdf(stats.norm.ppf(p)))


def early_stopping_n(p: float, over: int = 1, confidence: float = 0.99) -> int:
    """The least n at which ``over`` values above a bound still show that the p-quantile obeys it.

    MLPerf LoadGen's early stopping with tolerance d = 0: the least n with
    P(Binomial(n, 1 − p) ≤ over) ≤ 1 − confidence. LoadGen itself starts from over = 1.
    Raises ValueError unless 0 < p < 1 and over ≥ 0.
    """
    if not 0 < p < 1 or over < 0:
        raise ValueError(f"no early stopping for p = {p} and {over} values over the bound")
    from scipy import stats

    n = over + 1
    while stats.binom.cdf(over, n, 1 - p) > 1 - confidence:
        n += 1
    return n


def chance_of_noise(
    cv: float,
    n: int,
    reduction: float,
    *,
    seed: int,
    simulations: int = 20_000,
) -> float:
    """How often two identical arms of n calls each show a lower mean by ``reduction`` or more.

    By simulation of independent lognormal times with coefficient of variation ``cv``; its
    standard error is √(p(1 − p)/simulations). The same seed gives the same answer.
    """
    rng = np.random.default_rng(seed)
    hits, batch = 0, max(1, 2_000_000 // n)
    for start in range(0, simulations, batch):
        shape = (2, min(batch, simulations - start), n)
        a, b = np.exp(log_sd(cv) * rng.standard_normal(shape)).mean(axis=2)
        hits += int((b <= (1 - reduction) * a).sum())
    return hits / simulations


def cv_of_no_effect(ratios: list[float]) -> float:
    """The noise per call that alone would explain such ratios of one call to one call.

    The coefficient of variation of lognormal times whose log ratio has the root mean square of
    these. Raises ValueError without ratios.
    """
    if not ratios:
        raise ValueError("no ratios")
    variance = sum(math.log(ratio) ** 2 for ratio in ratios) / len(ratios) / 2
    return math.sqrt(math.expm1(variance))


@cache
def _z(confidence: float, power: float) -> float:
    from scipy import stats

    return float(stats.norm.ppf((1 + confidence) / 2) + stats.norm.ppf(power))


def _least(effect: float, arms: int, confidence: float, power: float) -> int:
    """The least n per arm at which a t test sees ``effect`` (in sd of the difference).

    The normal approximation is never too high, so the search starts there. Only the near tail
    counts: a verdict in the wrong direction is no success.
    """
    if not effect > 0:
        raise ValueError("the effect and its sd must be positive")
    from scipy import stats

    n = max(2, math.floor((_z(confidence, power) / effect) ** 2))
    while True:
        df = arms * (n - 1)
        t = stats.t.ppf((1 + confidence) / 2, df)
        if stats.nct.sf(t, df, effect * math.sqrt(n)) >= power:
            return n
        n += 1
