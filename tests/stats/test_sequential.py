"""The confidence sequence: its known constants (K2, K3) and what looking costs (K6)."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness.stats.compare import gm_ratio
from harness.stats.sample import Pairs
from harness.stats.sequential import (
    FIRST_LOOK,
    log_e_value,
    multiplier,
    sequential_gm_ratio,
    tuned_g,
)
from harness.stats.verdict import Judgement, verdict
from tests.stats.draw import A, B


@pytest.mark.parametrize(("n", "m"), [(10, 5.365037), (30, 3.285168), (100, 3.142779)])
def test_the_multiplier_is_known(n: int, m: float) -> None:
    assert multiplier(n) == pytest.approx(m, abs=5e-7)


def test_the_multiplier_is_infinite_below_eight() -> None:
    assert all(math.isinf(multiplier(n)) for n in range(2, 8))
    assert math.isfinite(multiplier(8))


@pytest.mark.parametrize("n", [8, 30, 100])
def test_the_e_value_at_the_radius_is_one_in_alpha(n: int) -> None:
    assert math.exp(log_e_value(multiplier(n), n)) == pytest.approx(20)


def test_the_e_value_is_known() -> None:
    assert log_e_value(3, 30) == pytest.approx(2.430695, abs=5e-7)


@pytest.mark.parametrize(("n", "alpha", "g"), [(1, 0.05, 5.0), (9, 0.0, 5.0), (9, 0.05, 0.0)])
def test_impossible_sequences_are_errors(n: int, alpha: float, g: float) -> None:
    with pytest.raises(ValueError, match="no sequence"):
        multiplier(n, alpha, g)


def test_impossible_e_values_are_errors() -> None:
    with pytest.raises(ValueError, match="no e-value"):
        log_e_value(1.0, 1)


def test_g_grows_with_the_horizon() -> None:
    assert (tuned_g(100), tuned_g(101)) == (5.0, 8.0)


def test_the_worked_example_is_not_yet_decided_when_looking_is_allowed() -> None:
    found = sequential_gm_ratio(Pairs.of(A, B))
    assert (found.lo, found.hi) == pytest.approx((0.837248, 0.949534), abs=5e-7)
    assert found.p_value is None
    assert found.method == "t confidence sequence over blocks, g = 5"
    assert "inflates" in found.warnings[0]
    assert verdict(found.lo, found.hi, 0.15) == Judgement("inconclusive", "direction_only")
    fixed = gm_ratio(Pairs.of(A, B))
    assert verdict(fixed.lo, fixed.hi, 0.15) == Judgement("supported")


def test_there_is_no_look_before_the_tenth_block() -> None:
    found = sequential_gm_ratio(Pairs.of(A[:9], B[:9]))
    assert found.ratio is not None
    assert (found.lo, found.hi) == (None, None)
    assert "n = 9 < 10" in found.warnings
    assert sequential_gm_ratio(Pairs.of(A[:10], B[:10])).lo is not None


def test_a_strict_alpha_may_need_more_than_ten_blocks() -> None:
    a, b = np.array(A), np.array(B)
    found = sequential_gm_ratio(Pairs.of(a[:10], b[:10]), confidence=1 - 1e-9)
    assert (found.lo, found.hi) == (None, None)


@pytest.mark.parametrize(
    ("horizon", "every_block", "every_ten", "sequence"),
    [(100, 0.334, 0.201, 0.022), (200, 0.390, 0.256, 0.027)],
)
def test_looking_costs_false_positives_unless_the_interval_allows_it(
    horizon: int, every_block: float, every_ten: float, sequence: float
) -> None:
    runs = 20_000
    x = np.random.default_rng(horizon).standard_normal((runs, horizon))
    n = np.arange(2, horizon + 1)
    mean = (x.cumsum(axis=1)[:, 1:]) / n
    spread = np.sqrt(((x * x).cumsum(axis=1)[:, 1:] - n * mean**2) / (n - 1))
    t = np.abs(mean) * np.sqrt(n) / spread
    fixed = t > np.asarray(stats.t.ppf(0.975, n - 1))
    always = t > np.array([multiplier(int(k), g=tuned_g(horizon)) for k in n])

    def near(found: Any, known: float) -> bool:
        # The known figures are simulated themselves, with at least 2,000 replications.
        error = math.sqrt(known * (1 - known) * (1 / runs + 1 / 2000))
        return bool(abs(found.mean() - known) <= 3 * error)

    assert near(fixed[:, n >= 5].any(axis=1), every_block)
    assert near(fixed[:, n % 10 == 0].any(axis=1), every_ten)
    assert near(fixed[:, -1], 0.05)
    assert near(always[:, n >= FIRST_LOOK].any(axis=1), sequence)
    assert always[:, n >= FIRST_LOOK].any(axis=1).mean() <= 0.05
