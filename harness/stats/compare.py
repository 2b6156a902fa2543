"""Two arms → a ratio (candidate / baseline) with its interval.

One function per estimand; each states what it assumes. The replicate is the block: pairs of one
block count once. Ratios below 1 mean that the candidate has less. Nothing here gives a verdict.
Over 300 lines, of which half are the assumptions: the estimators share their small parts.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from harness.stats import estimate
from harness.stats.estimate import Estimate
from harness.stats.sample import Floats, Ints, Pairs, Sample, Successes

Scope = Literal["these scenarios", "scenarios like these"]

LEAST_SCENARIOS = 5
LEAST_FOR_MEDIAN = 30
TAKEN_AS_INDEPENDENT = "several trials in a block: the interval takes them as independent"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A ratio candidate / baseline and its two-sided interval at ``confidence``.

    ``n``: replicates (blocks, or scenarios for the scope "scenarios like these"; for quantiles
    the smaller arm). ``ratio``, ``lo``, ``hi``: None when not estimable. ``sd``: standard
    deviation of the replicates' log ratio, the ``s`` of planning; None where the method has
    none. ``p_value``: two-sided, of ratio = 1; None likewise.
    """

    estimand: str
    ratio: float | None
    lo: float | None
    hi: float | None
    n: int
    dropped_pairs: int
    confidence: float
    method: str
    warnings: tuple[str, ...] = ()
    sd: float | None = None
    p_value: float | None = None

    @property
    def change_percent(self) -> float | None:
        """The change in percent, negative for less; None without a ratio."""
        return None if self.ratio is None else 100 * (self.ratio - 1)


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """A rank-based second look; its warnings flag heavy tails and never override a comparison.

    ``ratio``: Hodges–Lehmann, exponentiated; ``p_value``: Wilcoxon's signed ranks, two-sided.
    """

    ratio: float | None
    p_value: float | None
    n: int
    warnings: tuple[str, ...] = ()


def gm_ratio(
    pairs: Pairs,
    confidence: float = 0.95,
    scope: Scope = "these scenarios",
    estimand: str = "response_time_gm",
) -> Comparison:
    """Ratio of geometric means: paired t on the log ratios, exponentiated (primary).

    Log ratios are averaged within a block first, and blocks are the replicates; for the scope
    "scenarios like these" within a scenario, and scenarios are (at least 5, else no interval).
    Assumes independent replicates whose mean log ratio is near normal. Pairs with a value that is
    not positive have no logarithm and are dropped and counted.
    Source: ``scipy.stats.ttest_1samp``.
    """
    kept, dropped, notes = _positive(pairs)
    logs = np.log(kept.candidate) - np.log(kept.baseline)
    if scope == "these scenarios":
        d, least, unit = by_group(logs, kept.blocks), 2, "blocks"
    else:
        d, least, unit = by_group(logs, _codes(kept.scenarios)), LEAST_SCENARIOS, "scenarios"
    mean = estimate.mean(d, confidence)
    if 2 <= d.size < least:
        mean = replace(mean, lo=None, hi=None, warnings=(estimate.few(d.size, least),))
    return Comparison(
        estimand,
        _exp(mean.point),
        _exp(mean.lo),
        _exp(mean.hi),
        d.size,
        dropped,
        confidence,
        f"paired t on log ratios of {unit}",
        notes + mean.warnings,
        sd=float(d.std(ddof=1)) if d.size >= 2 else None,
        p_value=_t_p_value(d),
    )


def mean_ratio(
    pairs: Pairs, confidence: float = 0.95, estimand: str = "response_time_mean"
) -> Comparison:
    """Ratio of arithmetic means by the paired delta method with Student's t.

    θ = ln(ȳB/ȳA), eᵢ = yBᵢ/ȳB − yAᵢ/ȳA, θ ± t(N − 1)·sd(e)/√N over the N block means; valid
    also when the arms' variances differ, where the log-t is not. Values may be 0, their means
    not. Source: delta method, see Fieller's alternative in Franz, arXiv:0710.2024.
    """
    a, b = by_group(pairs.baseline, pairs.blocks), by_group(pairs.candidate, pairs.blocks)
    n, method = a.size, "paired delta-t over blocks"
    none = Comparison(estimand, None, None, None, n, pairs.dropped_pairs, confidence, method, ())
    if n == 0:
        return replace(none, warnings=(estimate.few(0, 2),))
    if not np.isfinite([a, b]).all():
        raise ValueError("a ratio of means needs finite values")
    if a.mean() <= 0 or b.mean() <= 0:
        return replace(none, warnings=("a mean is not positive: no ratio",))
    theta = math.log(b.mean() / a.mean())
    e = b / b.mean() - a / a.mean()
    # e has mean 0, and sd(e) does not care for a shift: around 1, rounding is seen as no spread.
    spread = estimate.mean(e + 1, confidence)
    lo, hi = (None if side is None else theta + side - 1 for side in (spread.lo, spread.hi))
    return replace(
        none,
        ratio=math.exp(theta),
        lo=_exp(lo),
        hi=_exp(hi),
        warnings=spread.warnings,
        sd=float(e.std(ddof=1)) if n >= 2 else None,
    )


def median_ratio(
    pairs: Pairs,
    confidence: float = 0.95,
    *,
    seed: int = 0,
    resamples: int = 9999,
    estimand: str = "response_time_p50",
) -> Comparison:
    """Ratio of medians by the paired percentile bootstrap, whole blocks resampled.

    Needs at least 30 blocks, else no interval. The same seed gives the same interval. Time-outs
    may be +∞; a ratio or bound that they reach is None.
    Source: ``scipy.stats.bootstrap``.
    """
    kept, dropped, notes = _positive(pairs)
    a, b = _rows(kept.baseline, kept.blocks), _rows(kept.candidate, kept.blocks)
    n = a.shape[0]
    result = Comparison(
        estimand,
        _finite(float(np.nanmedian(b)) / float(np.nanmedian(a))) if n else None,
        None,
        None,
        n,
        dropped,
        confidence,
        "paired bootstrap of blocks, percentile",
        notes,
    )
    if n < LEAST_FOR_MEDIAN:
        return replace(result, warnings=(*notes, estimate.few(n, LEAST_FOR_MEDIAN)))
    from scipy import stats

    median = np.nanmedian if np.isnan(a).any() else np.median

    def statistic(index: Ints, axis: int = -1) -> Floats:
        drawn = index.astype(np.int64)
        shape = (*drawn.shape[:-1], -1)
        top, bottom = (median(rows[drawn].reshape(shape), axis=-1) for rows in (b, a))
        return np.asarray(top / bottom)

    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        # ∞/∞ and ∞ − ∞ come out as NaN, which means no bound.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        ci = stats.bootstrap(
            (np.arange(n),),
            statistic,
            vectorized=True,
            method="percentile",
            n_resamples=resamples,
            batch=max(1, 2_000_000 // a.size),
            confidence_level=confidence,
            rng=np.random.default_rng(seed),
        ).confidence_interval
    lo, hi = _finite(float(ci.low)), _finite(float(ci.high))
    if lo is None or hi is None:
        notes = (*notes, "time-outs reach the median: a bound is missing")
    return replace(result, lo=lo, hi=hi, warnings=notes)


def quantile_ratio(
    baseline: Sample, candidate: Sample, p: float, confidence: float = 0.95
) -> Comparison:
    """Ratio of p-quantiles: order-statistic intervals per arm, combined by ``mover``. Takes the
    values within an arm as independent.
    """
    a = estimate.quantile(baseline.values, p, confidence)
    b = estimate.quantile(candidate.values, p, confidence)
    notes = [
        f"{side.pipeline}: {text}"
        for side, found in ((baseline, a), (candidate, b))
        for text in found.warnings
    ]
    if any(np.unique(side.blocks).size < side.n for side in (baseline, candidate)):
        notes.append(TAKEN_AS_INDEPENDENT)
    return mover(a, b, f"{baseline.measure}_p{100 * p:g}", notes)


def mover(
    baseline: Estimate, candidate: Estimate, estimand: str, warnings: Sequence[str] = ()
) -> Comparison:
    """Ratio of two estimates, each with its own interval, combined on logs by MOVER.

    With θ and (l, u) the log estimate and its bounds per arm and Δ = θB − θA:
    L = Δ − √((θB − lB)² + (uA − θA)²), U = Δ + √((uB − θB)² + (θA − lA)²). Takes the arms as
    independent, which is cautious where pairing makes them rise together. An estimate may be +∞; an
    unbounded arm gives no interval.
    Source: Zou & Donner, Statistics in Medicine 27 (2008) 1693–1702.
    """
    a, b, notes = baseline, candidate, list(warnings)
    ratio = lo = hi = None
    ta, tb = _log(a.point), _log(b.point)
    if ta is not None and tb is not None:
        ratio = math.exp(tb - ta)
        la, ua, lb, ub = (_log(side) for side in (a.lo, a.hi, b.lo, b.hi))
        if la is not None and ua is not None and lb is not None and ub is not None:
            lo = math.exp(tb - ta - math.hypot(tb - lb, ua - ta))
            hi = math.exp(tb - ta + math.hypot(ub - tb, ta - la))
    if lo is None and None not in (a.lo, a.hi, b.lo, b.hi):
        notes.append("a quantile or its bound is zero or a time-out: no interval")
    return Comparison(
        estimand,
        ratio,
        lo,
        hi,
        min(a.n, b.n),
        0,
        a.confidence,
        "MOVER on logs of order-statistic intervals",
        tuple(notes),
    )


def block_ratio(pairs: Pairs, confidence: float = 0.95, estimand: str = "makespan") -> Comparison:
    """Ratio of throughput, makespan or goodput of blocks: log ratio, t over blocks.

    ``pairs``: from ``block_pairs``. Where a value is 0 (no completion in a block) there is no
    log ratio, and leaving such blocks out would hide failures: then the ratio of means by
    ``mean_ratio`` instead, with a warning.
    """
    if pairs.n and min(pairs.baseline.min(), pairs.candidate.min()) <= 0:
        result = mean_ratio(pairs, confidence, estimand)
        return replace(result, warnings=("blocks at 0: ratio of means", *result.warnings))
    return gm_ratio(pairs, confidence, estimand=estimand)


def success_difference(
    baseline: Successes, candidate: Successes, confidence: float = 0.95
) -> Estimate:
    """Success rate of the candidate less the baseline's, in [−1, 1].

    The wider of Newcombe's interval (independent trials) and Student's t on the differences of
    the scenarios that both arms have (scenarios as a sample; two or more). n is the smaller arm.
    Source: ``confint_proportions_2indep(method="newcomb")``, ``scipy.stats.ttest_1samp``.
    """
    n = min(baseline.n, candidate.n)
    if n == 0:
        return Estimate(None, None, None, 0, confidence, "Newcombe", (estimate.few(0, 1),))
    from statsmodels.stats.proportion import (  # type: ignore[import-untyped]
        confint_proportions_2indep,
    )

    ci = confint_proportions_2indep(
        candidate.k,
        candidate.n,
        baseline.k,
        baseline.n,
        method="newcomb",
        compare="diff",
        alpha=1 - confidence,
    )
    point = candidate.k / candidate.n - baseline.k / baseline.n
    newcombe = Estimate(point, float(ci[0]), float(ci[1]), n, confidence, "Newcombe")
    shared = sorted(baseline.by_scenario.keys() & candidate.by_scenario.keys())
    if len(shared) < 2:
        warning = f"{len(shared)} shared scenarios: holds for these only"
        return replace(newcombe, warnings=(warning,))
    differences = [
        _rate(candidate.by_scenario[name]) - _rate(baseline.by_scenario[name]) for name in shared
    ]
    t = estimate.mean(differences, confidence)
    if t.lo is None or t.hi is None or t.hi - t.lo <= float(ci[1]) - float(ci[0]):
        return newcombe
    lo, hi = max(-1.0, t.lo), min(1.0, t.hi)
    return Estimate(point, lo, hi, n, confidence, f"t over {len(shared)} scenarios")


def sensitivity(pairs: Pairs, comparison: Comparison) -> Sensitivity:
    """Look at ``gm_ratio``'s result again with ranks, over blocks.

    Flags a Hodges–Lehmann ratio outside the comparison's interval, and a Wilcoxon test that
    disagrees with it about ratio = 1. Assumes symmetric differences.
    Source: Hodges & Lehmann 1963 (median of the Walsh averages); ``scipy.stats.wilcoxon``.
    """
    kept, _, _ = _positive(pairs)
    d = by_group(np.log(kept.candidate) - np.log(kept.baseline), kept.blocks)
    if d.size < 2:
        ratio = math.exp(d[0]) if d.size else None
        return Sensitivity(ratio, None, d.size, (estimate.few(d.size, 2),))
    from scipy import stats

    hl = math.exp(hodges_lehmann(d))
    p_value = float(stats.wilcoxon(d).pvalue) if d.any() else 1.0
    notes = []
    if comparison.lo is not None and comparison.hi is not None:
        if not comparison.lo <= hl <= comparison.hi:
            notes.append(f"heavy tails: Hodges–Lehmann {hl:.3f} lies outside the interval")
        apart = not comparison.lo <= 1 <= comparison.hi
        if (p_value < 1 - comparison.confidence) != apart:
            notes.append(f"Wilcoxon disagrees about a difference: p = {p_value:.3f}")
    return Sensitivity(hl, p_value, d.size, tuple(notes))


def hodges_lehmann(d: Floats) -> float:
    """The median of all averages (dᵢ + dⱼ)/2, i ≤ j, of values of shape (n,), n ≥ 1; O(n²)."""
    i, j = np.triu_indices(d.size)
    return float(np.median((d[i] + d[j]) / 2))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values, in the order given.

    Source: ``statsmodels.stats.multitest.multipletests``.
    """
    if not p_values:
        return ()
    from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]

    return tuple(float(p) for p in multipletests(p_values, method="holm")[1])


def family_confidence(claims: int, alpha: float = 0.05) -> float:
    """The confidence of each of ``claims`` confirmatory intervals: 1 − alpha/claims (Bonferroni).

    Raises ValueError for claims < 1.
    """
    if claims < 1:
        raise ValueError("a family has at least one claim")
    return 1 - alpha / claims


def by_group(values: Floats, groups: Ints) -> Floats:
    """The mean of ``values`` (n,) in each distinct group (n,), ordered by group."""
    _, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    return np.bincount(index, weights=values, minlength=counts.size) / counts


def _codes(names: Sequence[str]) -> Ints:
    order = {name: code for code, name in enumerate(sorted(set(names)))}
    return np.array([order[name] for name in names], dtype=np.int64)


def _positive(pairs: Pairs) -> tuple[Pairs, int, tuple[str, ...]]:
    """The pairs with a log ratio, the number of dropped pairs now, and a warning if it grew."""
    good = (pairs.baseline > 0) & (pairs.candidate > 0)
    lost = int(pairs.n - good.sum())
    if not lost:
        return pairs, pairs.dropped_pairs, ()
    names = tuple(name for name, keep in zip(pairs.scenarios, good, strict=True) if keep)
    kept = Pairs.of(pairs.baseline[good], pairs.candidate[good], pairs.blocks[good], names)
    return kept, pairs.dropped_pairs + lost, (f"{lost} pairs are not positive: dropped",)


def _rows(values: Floats, blocks: Ints) -> Floats:
    """``values`` (n,) as one row per block, (blocks, most pairs in one), padded with NaN."""
    _, index, counts = np.unique(blocks, return_inverse=True, return_counts=True)
    rows = np.full((counts.size, int(counts.max(initial=0))), np.nan)
    order = np.argsort(index, kind="stable")
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    rows[index[order], np.arange(index.size) - starts] = values[order]
    return rows


def _t_p_value(d: Floats) -> float | None:
    if d.size < 2 or not estimate.varies(d):
        return None
    from scipy import stats

    return float(stats.ttest_1samp(d, 0).pvalue)


def _exp(value: float | None) -> float | None:
    """exp, with None for None and +∞ past the range of floats."""
    if value is None:
        return None
    return math.exp(value) if value < 709 else math.inf


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _rate(tally: tuple[int, int]) -> float:
    k, n = tally
    return k / n


def _log(value: float | None) -> float | None:
    """ln, with None for what has no finite logarithm."""
    return math.log(value) if value is not None and 0 < value < math.inf else None
