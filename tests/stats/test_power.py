"""Planning: the table of sizes, decisive blocks, re-estimation, LoadGen's integers, noise (K1)."""

import math

import numpy as np
import pytest
from scipy import stats

from harness.stats.power import (
    Needed,
    blocks_for_verdict,
    chance_of_noise,
    cv_of_no_effect,
    detectable_reduction,
    early_stopping_n,
    log_sd,
    paired_log_sd,
    paired_n,
    reestimated_n,
    unpaired_n,
)
from harness.stats.verdict import claim_line

SIZES = {
    (0.05, 0.15): (3, 4, 4, 3),
    (0.10, 0.15): (8, 9, 6, 4),
    (0.15, 0.15): (15, 16, 9, 5),
    (0.20, 0.15): (25, 26, 14, 7),
    (0.30, 0.15): (53, 54, 28, 13),
    (0.05, 0.05): (16, 17, 10, 6),
    (0.10, 0.05): (61, 62, 32, 14),
    (0.15, 0.05): (134, 135, 69, 29),
    (0.20, 0.05): (235, 236, 119, 49),
    (0.30, 0.05): (516, 517, 260, 105),
}


@pytest.mark.parametrize(("cv", "reduction"), SIZES)
def test_sizes_to_see_a_reduction(cv: float, reduction: float) -> None:
    effect = -math.log1p(-reduction)
    unpaired = unpaired_n(effect, log_sd(cv))
    paired = [paired_n(effect, paired_log_sd(cv, rho)) for rho in (0.0, 0.5, 0.8)]
    assert (unpaired, *paired) == SIZES[cv, reduction]


@pytest.mark.parametrize(
    ("cv", "rho", "needed"),
    [
        (0.1, 0.5, Needed(13, 15)),
        (0.2, 0.0, Needed(89, 104)),
        (0.2, 0.5, Needed(46, 53)),
        (0.2, 0.8, Needed(20, 23)),
        (0.3, 0.5, Needed(97, 114)),
    ],
)
def test_blocks_for_a_decisive_verdict(cv: float, rho: float, needed: Needed) -> None:
    assert blocks_for_verdict(paired_log_sd(cv, rho), 0.15, claim_line(0.15)) == needed


def test_the_size_is_the_first_with_the_power() -> None:
    rng = np.random.default_rng(1)
    for n, enough in ((14, True), (13, False)):
        d = math.log(0.85) + paired_log_sd(0.2, 0.5) * rng.standard_normal((40_000, n))
        p = np.asarray(stats.ttest_1samp(d, 0, axis=1, alternative="less").pvalue)
        seen = (p < 0.025).mean()
        assert (seen >= 0.8) == enough


@pytest.mark.parametrize(("effect", "sd"), [(0.0, 1.0), (1.0, 0.0), (-0.1, 1.0)])
def test_no_size_can_see_nothing(effect: float, sd: float) -> None:
    for size in (paired_n, unpaired_n):
        with pytest.raises(ValueError, match="positive"):
            size(effect, sd)


def test_reestimation_follows_its_formula() -> None:
    line = claim_line(0.15)
    wanted = math.ceil(((1.959964 + 0.841621) * 0.2 / line) ** 2) + 4
    assert reestimated_n(0.2, line, 120) == wanted
    assert reestimated_n(0.2, line, 120, 6) == math.ceil(wanted / 6) * 6
    assert reestimated_n(0.01, line, 120) == 12
    assert reestimated_n(5.0, line, 120) == 120
    assert reestimated_n(5.0, line, 120, 7) == 126
    with pytest.raises(ValueError, match="line"):
        reestimated_n(0.2, 0.0, 120)


@pytest.mark.parametrize("sd", [0.14, 0.28])
def test_reestimation_keeps_its_promises(sd: float) -> None:
    """Wrong verdicts at the half claim at most .030 a side, the worst at sd .14; power ≥ .75."""
    rng = np.random.default_rng([2, round(100 * sd)])
    line, runs = claim_line(0.15), 20_000

    def decided(truth: float) -> tuple[float, float]:
        d = math.log1p(-truth) + sd * rng.standard_normal((runs, 300))
        n = np.array([reestimated_n(s, line, 300) for s in d[:, :10].std(axis=1, ddof=1).tolist()])
        mean, square = (
            np.take_along_axis(x.cumsum(axis=1), n[:, None] - 1, axis=1)[:, 0] / n
            for x in (d, d * d)
        )
        half = stats.t.ppf(0.975, n - 1) * np.sqrt((square - mean**2) / (n - 1))
        return float((mean + half < line).mean()), float((mean - half > line).mean())

    error = 3 * math.sqrt(0.03 * 0.97 / runs)
    assert max(decided(0.075)) <= 0.030 + error
    assert decided(0.15)[0] >= 0.75
    assert decided(0.0)[1] >= 0.75


@pytest.mark.parametrize("n", [2, 12, 46, 400])
def test_the_detectable_reduction_is_seen_with_its_power(n: int) -> None:
    found = detectable_reduction(0.2, n, line=claim_line(0.15))
    assert found is not None
    effect = claim_line(0.15) - math.log1p(-found)
    t = stats.t.ppf(0.975, n - 1)
    assert stats.nct.sf(t, n - 1, effect * math.sqrt(n) / 0.2) == pytest.approx(0.8, abs=1e-6)


def test_without_an_interval_nothing_is_detectable() -> None:
    assert detectable_reduction(None, 30) is None
    assert detectable_reduction(0.2, 1) is None


@pytest.mark.parametrize(
    ("p", "none_over", "one_over"), [(0.9, 44, 64), (0.95, 90, 130), (0.99, 459, 662)]
)
def test_early_stopping_has_loadgens_integers(p: float, none_over: int, one_over: int) -> None:
    assert early_stopping_n(p, 0) == none_over
    assert early_stopping_n(p) == one_over


@pytest.mark.parametrize(("p", "over"), [(0.0, 1), (1.0, 1), (0.9, -1)])
def test_early_stopping_of_no_quantile(p: float, over: int) -> None:
    with pytest.raises(ValueError, match="early stopping"):
        early_stopping_n(p, over)


NOISE = {
    0.05: (0.011, 0.000, 0.000, 0.000, 0.000),
    0.10: (0.125, 0.023, 0.005, 0.000, 0.000),
    0.15: (0.221, 0.092, 0.043, 0.008, 0.000),
    0.20: (0.281, 0.158, 0.098, 0.035, 0.001),
    0.30: (0.348, 0.251, 0.195, 0.113, 0.018),
}


@pytest.mark.parametrize("cv", NOISE)
def test_noise_alone_shows_fifteen_percent_this_often(cv: float) -> None:
    for n, known in zip((1, 3, 5, 10, 30), NOISE[cv], strict=True):
        found = chance_of_noise(cv, n, 0.15, seed=3, simulations=20_000)
        assert abs(found - known) <= 3 * math.sqrt(max(known, 5e-4) * (1 - known) / 20_000) + 5e-4


def test_noise_of_one_call_each_is_known_exactly() -> None:
    exact = stats.norm.cdf(math.log(0.85) / paired_log_sd(0.2))
    assert exact == pytest.approx(0.2809, abs=5e-5)
    found = chance_of_noise(0.2, 1, 0.15, seed=4, simulations=100_000)
    assert found == pytest.approx(exact, abs=3 * math.sqrt(0.2809 * 0.7191 / 100_000))


def test_the_published_reports_need_little_noise_to_be_nothing() -> None:
    assert cv_of_no_effect([7.34 / 8.63, 9.5 / 8.5]) == pytest.approx(0.098, abs=5e-4)
    with pytest.raises(ValueError, match="no ratios"):
        cv_of_no_effect([])
