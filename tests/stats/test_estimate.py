"""Estimates with known answers: ranks of K8, Wilson and Clopper–Pearson of K14."""

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from harness.stats.estimate import Estimate, least_n, mean, proportion, quantile


def test_the_mean_has_the_t_interval() -> None:
    found = mean([1.0, 2.0, 3.0, 4.0])
    half = stats.t.ppf(0.975, 3) * math.sqrt(5 / 3) / 2
    assert found.point == 2.5
    assert (found.lo, found.hi) == pytest.approx((2.5 - half, 2.5 + half))
    assert (found.n, found.confidence, found.warnings) == (4, 0.95, ())
    assert found.bounded


def test_a_bound_is_not_below_the_least_that_there_is() -> None:
    free, held = mean([4.0, 8.0]), mean([4.0, 8.0], least=0)
    assert free.lo is not None
    assert free.lo < 0
    assert (held.lo, held.hi, held.point) == (0, free.hi, free.point)
    assert mean([4.0, 4.1], least=0) == mean([4.0, 4.1])


@pytest.mark.parametrize(("values", "point"), [([], None), ([8.63], 8.63)])
def test_less_than_two_values_have_no_interval(values: list[float], point: float | None) -> None:
    found = mean(values)
    assert (found.point, found.lo, found.hi) == (point, None, None)
    assert found.warnings == (f"n = {len(values)} < 2",)
    assert not found.bounded


def test_equal_values_say_why_the_interval_has_no_width() -> None:
    found = mean([0.1] * 5)
    assert found.lo == found.hi == found.point == pytest.approx(0.1)
    assert found.warnings == ("all 5 values are equal: the interval has no width",)


@pytest.mark.parametrize("values", [[1.0, math.nan], [1.0, math.inf], [[1.0, 2.0]]])
def test_a_mean_of_unusable_values_is_an_error(values: list[float]) -> None:
    with pytest.raises(ValueError, match="values"):
        mean(values)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_confidence_is_a_fraction(confidence: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        mean([1.0, 2.0], confidence)


@pytest.mark.parametrize(
    ("n", "p", "lo", "hi"),
    [
        (100, 0.5, 40, 61),
        (100, 0.95, 90, 100),
        (100, 0.99, 97, None),
        (368, 0.99, 360, 368),
        (1, 0.5, None, None),
    ],
)
def test_quantile_bounds_are_the_known_ranks(
    n: int, p: float, lo: float | None, hi: float | None
) -> None:
    values = np.random.default_rng(1).permutation(np.arange(1.0, n + 1))
    found = quantile(values, p)
    assert (found.lo, found.hi) == (lo, hi)
    assert found.point == pytest.approx(np.quantile(values, p))
    assert bool(found.warnings) == (hi is None)


def test_a_quantile_without_a_bound_states_the_least_n() -> None:
    found = quantile(np.arange(32.0), 0.95)
    assert found.hi is None
    assert found.lo is not None
    assert found.warnings == ("n = 32 < 72",)


def test_a_quantile_among_equal_values_says_so() -> None:
    found = quantile([1.0] * 10, 0.5)
    assert found.lo == found.hi == 1.0
    assert "no width" in found.warnings[0]


def test_a_quantile_of_nothing_is_missing() -> None:
    assert quantile([], 0.5) == Estimate(
        None, None, None, 0, 0.95, "p50, order statistics", ("n = 0 < 6",)
    )


def test_timeouts_count_as_infinity_in_a_quantile() -> None:
    times = [*np.arange(1.0, 91.0), *[math.inf] * 10]
    p50, p95 = quantile(times, 0.5), quantile(times, 0.95)
    assert (p50.point, p50.lo, p50.hi) == (50.5, 40, 61)
    assert (p95.point, p95.lo, p95.hi) == (math.inf, 90, math.inf)
    assert not p95.bounded
    assert quantile([1.0, 2.0, math.inf], 0.5).point == 2.0
    assert quantile([1.0, 2.0, math.inf, math.inf], 0.5).point == math.inf


@pytest.mark.parametrize(
    ("p", "confidence", "n"),
    [(0.95, 0.95, 72), (0.99, 0.95, 368), (0.05, 0.95, 72), (0.5, 0.95, 6)],
)
def test_the_least_n_is_the_first_with_both_bounds(p: float, confidence: float, n: int) -> None:
    assert least_n(p, confidence) == n
    assert quantile(np.arange(float(n)), p, confidence).bounded
    assert not quantile(np.arange(float(n - 1)), p, confidence).bounded


@pytest.mark.parametrize("p", [0.0, 1.0, 95.0])
def test_a_quantile_lies_inside(p: float) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        quantile([1.0], p)


def test_proportion_is_wilson_inside_and_clopper_pearson_at_the_ends() -> None:
    inside = proportion(27, 30)
    assert inside.method == "Wilson"
    assert (inside.lo, inside.hi) == pytest.approx((0.743794, 0.965403), abs=1e-5)
    whole = proportion(30, 30)
    assert whole.method == "Clopper–Pearson"
    assert (whole.lo, whole.hi) == pytest.approx((0.025 ** (1 / 30), 1.0))
    none = proportion(0, 30)
    assert (none.lo, none.hi) == pytest.approx((0.0, 1 - 0.025 ** (1 / 30)))


@pytest.mark.parametrize("n", [30, 100, 300])
def test_all_right_has_a_lower_bound_of_about_one_less_three_point_seven_in_n(n: int) -> None:
    lo = proportion(n, n).lo
    assert lo is not None
    assert n * (1 - lo) == pytest.approx(3.7, abs=0.3)


def test_no_trials_have_no_rate() -> None:
    found = proportion(0, 0)
    assert (found.point, found.lo, found.hi, found.warnings) == (None, None, None, ("n = 0 < 1",))


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3)])
def test_impossible_counts_are_an_error(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="no proportion"):
        proportion(k, n)


def exact_coverage(method: str, n: int, p: float) -> float:
    """Coverage of an interval for a proportion, summed over the binomial distribution."""
    from statsmodels.stats.proportion import (  # type: ignore[import-untyped]
        proportion_confint,
    )

    k = np.arange(n + 1)
    lo, hi = proportion_confint(k, n, method=method)
    return float(stats.binom.pmf(k, n, p)[(lo <= p) & (p <= hi)].sum())


@pytest.mark.parametrize(
    ("method", "coverage"), [("normal", 0.782), ("wilson", 0.939), ("beta", 0.984)]
)
def test_coverage_at_n_30_and_p_95_is_known(method: str, coverage: float) -> None:
    assert exact_coverage(method, 30, 0.95) == pytest.approx(coverage, abs=0.0006)


def test_importing_the_package_loads_no_heavy_library() -> None:
    code = "\n".join(
        (
            "import sys, harness.stats.sequential, harness.stats.power, harness.stats.verdict",
            "sys.exit(bool({'scipy', 'statsmodels', 'pandas'} & set(sys.modules)))",
        )
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
