"""Comparisons with known answers (K2, the published reports) and their coverage (K5)."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from harness.stats.compare import (
    block_ratio,
    by_group,
    family_confidence,
    gm_ratio,
    hodges_lehmann,
    holm,
    mean_ratio,
    median_ratio,
    quantile_ratio,
    sensitivity,
    success_difference,
)
from harness.stats.estimate import proportion
from harness.stats.sample import Pairs, Sample, Successes
from tests.stats.draw import A, B, correlated, log_sd


def bounds(lo: float | None, hi: float | None) -> tuple[float, float]:
    assert lo is not None
    assert hi is not None
    return lo, hi


def test_the_worked_example_has_its_known_ratio_and_interval() -> None:
    found = gm_ratio(Pairs.of(A, B))
    assert found.ratio == pytest.approx(0.891625, abs=5e-7)
    assert (found.lo, found.hi) == pytest.approx((0.864143, 0.919981), abs=5e-7)
    assert (found.n, found.dropped_pairs, found.warnings) == (12, 0, ())
    assert found.change_percent == pytest.approx(-10.8375, abs=1e-4)
    assert found.p_value == pytest.approx(stats.ttest_rel(np.log(B), np.log(A)).pvalue)
    assert found.sd == pytest.approx(np.std(np.log(B) - np.log(np.array(A)), ddof=1))


def test_one_call_against_one_call_has_no_interval() -> None:
    for found in (gm_ratio(Pairs.of([8.63], [7.34])), mean_ratio(Pairs.of([8.63], [7.34]))):
        assert found.ratio == pytest.approx(0.8505, abs=1e-4)
        assert (found.lo, found.hi, found.sd, found.p_value) == (None, None, None, None)
        assert found.warnings == ("n = 1 < 2",)


def test_the_two_published_reports_together_say_nothing() -> None:
    found = gm_ratio(Pairs.of([8.63, 8.5], [7.34, 9.5]))
    assert found.ratio == pytest.approx(0.975, abs=5e-4)
    assert (found.lo, found.hi) == pytest.approx((0.17, 5.53), abs=0.005)


def test_no_pairs_have_no_ratio() -> None:
    nothing = Pairs.of([], [])
    for found in (gm_ratio(nothing), mean_ratio(nothing), median_ratio(nothing)):
        assert (found.ratio, found.lo, found.hi, found.n) == (None, None, None, 0)
        assert found.warnings


def test_pairs_of_a_block_count_once() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.uniform(1, 2, (2, 12))
    blocks = np.repeat(np.arange(4), 3)
    found = gm_ratio(Pairs.of(a, b, blocks))
    d = np.log(b / a).reshape(4, 3).mean(axis=1)
    by_hand = gm_ratio(Pairs.of(np.ones(4), np.exp(d)))
    assert found.n == 4
    assert (found.ratio, found.lo, found.hi) == pytest.approx(
        (by_hand.ratio, by_hand.lo, by_hand.hi)
    )


def test_scenarios_are_the_replicates_when_the_claim_is_about_scenarios_like_these() -> None:
    names = [f"s{i}" for i in range(5)] * 2
    b = [0.8, 0.9, 0.7, 0.8, 0.9] * 2
    found = gm_ratio(Pairs.of([1.0] * 10, b, scenarios=names), scope="scenarios like these")
    by_hand = gm_ratio(Pairs.of([1.0] * 5, b[:5]))
    assert found.n == 5
    assert (found.lo, found.hi) == pytest.approx((by_hand.lo, by_hand.hi))
    few = gm_ratio(
        Pairs.of([1.0] * 8, b[:8], scenarios=["x", "y"] * 4), scope="scenarios like these"
    )
    assert (few.n, few.lo, few.hi, few.warnings) == (2, None, None, ("n = 2 < 5",))


def test_values_without_a_logarithm_are_dropped_and_counted() -> None:
    found = gm_ratio(Pairs.of([1.0, 1.0, 0.0, 1.0], [0.9, 0.8, 1.0, 0.7]))
    assert (found.n, found.dropped_pairs) == (3, 1)
    assert found.warnings == ("1 pairs are not positive: dropped",)


def test_identical_pairs_say_why_the_interval_has_no_width() -> None:
    found = gm_ratio(Pairs.of([2.0, 3.0], [1.0, 1.5]))
    assert found.lo == found.hi == found.ratio == pytest.approx(0.5)
    assert "no width" in found.warnings[0]
    assert found.p_value is None


def test_the_delta_method_matches_its_formula() -> None:
    found = mean_ratio(Pairs.of(A, B))
    a, b = np.array(A), np.array(B)
    e = b / b.mean() - a / a.mean()
    half = stats.t.ppf(0.975, 11) * e.std(ddof=1) / math.sqrt(12)
    theta = math.log(b.mean() / a.mean())
    assert (found.ratio, found.lo, found.hi) == pytest.approx(
        (math.exp(theta), math.exp(theta - half), math.exp(theta + half))
    )


def test_a_mean_of_zero_has_no_ratio() -> None:
    found = mean_ratio(Pairs.of([0.0, 0.0], [1.0, 2.0]))
    assert (found.ratio, found.lo) == (None, None)
    assert found.warnings


def test_the_median_ratio_is_seeded_and_needs_thirty_blocks() -> None:
    a, b = correlated(np.random.default_rng(11), 0.2, 0.5, (40,), ratio=0.85)
    found = median_ratio(Pairs.of(a, b), seed=1)
    assert found == median_ratio(Pairs.of(a, b), seed=1)
    assert found != median_ratio(Pairs.of(a, b), seed=2)
    lo, hi = bounds(found.lo, found.hi)
    assert found.ratio == pytest.approx(np.median(b) / np.median(a))
    assert lo < np.median(b) / np.median(a) < hi
    few = median_ratio(Pairs.of(a[:29], b[:29]))
    assert (few.lo, few.hi, few.warnings) == (None, None, ("n = 29 < 30",))


def test_the_median_ratio_resamples_whole_blocks() -> None:
    rng = np.random.default_rng(12)
    a, b = correlated(rng, 0.2, 0.5, (30,), ratio=0.85)
    alone = median_ratio(Pairs.of(a, b), seed=3)
    blocks = np.repeat(np.arange(30), 2)
    doubled = median_ratio(Pairs.of(np.repeat(a, 2), np.repeat(b, 2), blocks), seed=3)
    assert doubled.n == 30
    assert (doubled.ratio, doubled.lo, doubled.hi) == pytest.approx(
        (alone.ratio, alone.lo, alone.hi)
    )
    ragged = median_ratio(Pairs.of(np.repeat(a, 2)[:-1], np.repeat(b, 2)[:-1], blocks[:-1]))
    assert ragged.n == 30
    assert ragged.lo is not None


def test_a_median_may_stand_beside_timeouts_but_not_among_them() -> None:
    a, b = correlated(np.random.default_rng(13), 0.2, 0.5, (60,), ratio=0.85)
    few, half = b.copy(), b.copy()
    few[:3], half[:29], both = np.inf, np.inf, np.where(np.arange(60) < 40, np.inf, a)
    found = median_ratio(Pairs.of(a, few))
    assert found.ratio == pytest.approx(np.median(few) / np.median(a))
    assert found.hi is not None
    found = median_ratio(Pairs.of(a, half))
    assert found.lo is not None
    assert (found.hi, found.warnings) == (None, ("time-outs reach the median: a bound is missing",))
    found = median_ratio(Pairs.of(both, both))
    assert (found.ratio, found.lo, found.hi) == (None, None, None)


def test_timeouts_have_no_mean() -> None:
    endless = Pairs.of([1.0, 2.0, 3.0], [1.0, np.inf, 2.0])
    for compare in (gm_ratio, mean_ratio):
        with pytest.raises(ValueError, match="finite"):
            compare(endless)


def as_sample(values: np.ndarray, blocks: np.ndarray | None = None) -> Sample:
    ids = np.arange(values.size) if blocks is None else blocks
    return Sample("arm", "response_time", values, ids, ("",) * values.size, {})


def test_the_quantile_ratio_follows_mover() -> None:
    a, b = np.arange(1.0, 101.0), np.arange(1.0, 101.0) / 2
    found = quantile_ratio(as_sample(a), as_sample(b), 0.95)
    theta, low, high = (math.log(value) for value in (np.quantile(a, 0.95), 90, 100))
    half = math.hypot(theta - low, high - theta)
    assert found.estimand == "response_time_p95"
    assert (found.ratio, found.lo, found.hi) == pytest.approx(
        (0.5, 0.5 * math.exp(-half), 0.5 * math.exp(half))
    )
    assert (found.n, found.warnings) == (100, ())


def test_a_quantile_without_bounds_is_not_compared() -> None:
    a = np.arange(1.0, 101.0)
    found = quantile_ratio(as_sample(a[:71]), as_sample(a), 0.95)
    assert (found.lo, found.hi, found.n) == (None, None, 71)
    assert found.warnings == ("arm: n = 71 < 72",)
    timed_out = np.where(a > 90, np.inf, a)
    found = quantile_ratio(as_sample(a), as_sample(timed_out), 0.95)
    assert (found.ratio, found.lo, found.hi) == (None, None, None)
    assert "time-out" in found.warnings[0]


def test_trials_that_share_a_block_are_flagged_in_a_quantile_ratio() -> None:
    a = np.arange(1.0, 101.0)
    found = quantile_ratio(as_sample(a), as_sample(a, np.repeat(np.arange(50), 2)), 0.5)
    assert found.lo is not None
    assert "independent" in found.warnings[0]


def test_blocks_are_compared_by_log_ratio() -> None:
    found = block_ratio(Pairs.of([4.0, 2.0, 3.0], [2.0, 1.1, 1.4]), estimand="throughput")
    assert found == gm_ratio(Pairs.of([4.0, 2.0, 3.0], [2.0, 1.1, 1.4]), estimand="throughput")


def test_a_block_without_completions_is_not_left_out() -> None:
    found = block_ratio(Pairs.of([1.0, 1.0, 1.0], [1.0, 0.0, 0.5]), estimand="goodput")
    assert found.ratio == pytest.approx(0.5)
    assert (found.n, found.dropped_pairs) == (3, 0)
    assert found.warnings == ("blocks at 0: ratio of means",)


def tally(k: list[int], n: list[int]) -> Successes:
    by = {f"s{i}": pair for i, pair in enumerate(zip(k, n, strict=True))}
    return Successes("arm", sum(k), sum(n), by, {})


def newcombe(k: int, base: int, n: int) -> tuple[float, float]:
    """Newcombe's hybrid score interval (1998, method 10) of k/n − base/n."""
    b, a = proportion(k, n), proportion(base, n)
    d = k / n - base / n
    (bl, bu), (al, au) = bounds(b.lo, b.hi), bounds(a.lo, a.hi)
    return (
        d - math.hypot(k / n - bl, au - base / n),
        d + math.hypot(bu - k / n, base / n - al),
    )


def test_the_success_difference_takes_the_wider_interval() -> None:
    even = success_difference(tally([9, 9, 9], [10] * 3), tally([8, 8, 8], [10] * 3))
    assert even.method == "Newcombe"
    assert even.point == pytest.approx(-0.1)
    assert (even.lo, even.hi) == pytest.approx(newcombe(24, 27, 30))
    uneven = success_difference(tally([10, 10, 10], [10] * 3), tally([10, 10, 4], [10] * 3))
    assert uneven.method == "t over 3 scenarios"
    half = 4.302653 * 0.2
    assert (uneven.lo, uneven.hi) == pytest.approx((max(-1, -0.2 - half), -0.2 + half))


def test_the_success_difference_of_one_scenario_or_none() -> None:
    one = success_difference(tally([9], [10]), tally([10], [10]))
    assert one.method == "Newcombe"
    assert one.warnings
    none = success_difference(tally([], []), tally([1], [1]))
    assert (none.point, none.lo, none.hi, none.n) == (None, None, None, 0)


def test_all_right_on_both_sides_still_has_a_width() -> None:
    found = success_difference(tally([10, 10], [10, 10]), tally([10, 10], [10, 10]))
    lo, hi = bounds(found.lo, found.hi)
    assert lo < -0.1
    assert hi > 0.1


def test_hodges_lehmann_is_the_median_of_walsh_averages() -> None:
    assert hodges_lehmann(np.array([1.0, 2.0, 9.0])) == 3.5
    assert hodges_lehmann(np.array([4.0])) == 4.0


def test_sensitivity_agrees_on_clean_data_and_flags_heavy_tails() -> None:
    clean = Pairs.of(A, B)
    assert sensitivity(clean, gm_ratio(clean)).warnings == ()
    d = np.concatenate([np.full(19, -0.1) + np.linspace(-0.01, 0.01, 19), [9.0]])
    heavy = Pairs.of(np.ones(20), np.exp(d))
    found = sensitivity(heavy, gm_ratio(heavy))
    assert found.ratio == pytest.approx(math.exp(-0.1), abs=0.01)
    assert any("Wilcoxon" in text for text in found.warnings)
    narrow = replace(gm_ratio(heavy), lo=1.2, hi=1.5)
    assert any("heavy tails" in text for text in sensitivity(heavy, narrow).warnings)


def test_sensitivity_of_too_little_or_of_no_difference() -> None:
    one = Pairs.of([2.0], [1.0])
    found = sensitivity(one, gm_ratio(one))
    assert (found.ratio, found.p_value, found.warnings) == (0.5, None, ("n = 1 < 2",))
    same = Pairs.of([1.0, 2.0], [1.0, 2.0])
    assert sensitivity(same, gm_ratio(same)).p_value == 1.0


def test_holm_keeps_the_order_given() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx((0.06, 0.03, 0.06))
    assert holm([]) == ()


def test_a_family_shares_its_error() -> None:
    assert family_confidence(1) == 0.95
    assert family_confidence(5) == pytest.approx(0.99)
    with pytest.raises(ValueError, match="at least one"):
        family_confidence(0)


def test_groups_are_averaged_in_their_order() -> None:
    assert by_group(np.array([1.0, 5.0, 3.0]), np.array([7, 2, 7])).tolist() == [5.0, 2.0]


def t_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The t interval of each row."""
    n = values.shape[1]
    half = stats.t.ppf(0.975, n - 1) * values.std(axis=1, ddof=1) / math.sqrt(n)
    return values.mean(axis=1) - half, values.mean(axis=1) + half


def gm_intervals(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logs of the bounds of ``gm_ratio``, one row of pairs at a time."""
    return t_interval(np.log(b / a))


def mean_intervals(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logs of the bounds of ``mean_ratio``, one row of pairs at a time."""
    mean_a, mean_b = a.mean(axis=1, keepdims=True), b.mean(axis=1, keepdims=True)
    return t_interval(np.log(mean_b / mean_a) + b / mean_b - a / mean_a)


def covers(interval: tuple[np.ndarray, np.ndarray], truth: float) -> float:
    return float(((interval[0] <= truth) & (truth <= interval[1])).mean())


def test_the_vectorised_intervals_are_the_real_ones() -> None:
    a, b = correlated(np.random.default_rng(50), 0.2, 0.5, (20, 10), ratio=0.85)
    for many, one in ((gm_intervals, gm_ratio), (mean_intervals, mean_ratio)):
        found = [one(Pairs.of(x, y)) for x, y in zip(a, b, strict=True)]
        logs = np.log([bounds(c.lo, c.hi) for c in found])
        assert np.stack(many(a, b), axis=1) == pytest.approx(logs)


@pytest.mark.parametrize("n", [10, 30, 100])
def test_the_paired_log_t_and_delta_t_cover(n: int) -> None:
    a, b = correlated(np.random.default_rng([5, n]), 0.2, 0.5, (4000, n), ratio=0.85)
    assert 0.935 <= covers(gm_intervals(a, b), math.log(0.85)) <= 0.965
    assert 0.935 <= covers(mean_intervals(a, b), math.log(0.85)) <= 0.965


def test_scenario_means_cover_where_pooled_trials_do_not() -> None:
    rng = np.random.default_rng(51)
    scenarios, repeats, truth = 6, 10, math.log(0.85)
    effect = truth + 0.1 * rng.standard_normal((4000, scenarios, 1))
    d = effect + log_sd(0.2) * rng.standard_normal((4000, scenarios, repeats))
    assert 0.935 <= covers(t_interval(d.mean(axis=2)), truth) <= 0.965
    assert covers(t_interval(d.reshape(4000, -1)), truth) < 0.88


def test_the_log_t_fails_for_means_when_variances_differ_and_the_delta_t_does_not() -> None:
    rng = np.random.default_rng(52)
    a, b = (
        np.exp(log_sd(cv) * rng.standard_normal((4000, 100)) - log_sd(cv) ** 2 / 2)
        for cv in (0.1, 0.3)
    )
    assert covers(gm_intervals(a, b), 0.0) < 0.80
    assert 0.935 <= covers(mean_intervals(a, b), 0.0) <= 0.965


def test_bootstrap_and_mover_cover() -> None:
    rng = np.random.default_rng(53)
    a, b = correlated(rng, 0.2, 0.5, (300, 100), ratio=0.85)
    p50 = [median_ratio(Pairs.of(x, y), resamples=499) for x, y in zip(a, b, strict=True)]
    p95 = [quantile_ratio(as_sample(x), as_sample(y), 0.95) for x, y in zip(a, b, strict=True)]
    for found in (p50, p95):
        lo, hi = np.array([bounds(c.lo, c.hi) for c in found]).T
        assert covers((lo, hi), 0.85) >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / 300)
