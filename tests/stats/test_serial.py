"""Intervals of requests that follow each other: as wide as their likeness asks for."""

import numpy as np
import pytest

from harness.stats import estimate, serial
from harness.stats.sample import Floats


def alike(rng: np.random.Generator, n: int, rho: float) -> Floats:
    """A Gaussian series in which neighbours correlate by ``rho``; each value is standard normal."""
    noise = rng.normal(size=n) * np.sqrt(1 - rho**2)
    values = np.empty(n)
    values[0] = rng.normal()
    for i in range(1, n):
        values[i] = rho * values[i - 1] + noise[i]
    return values


def test_a_short_sample_has_the_interval_of_independent_values() -> None:
    x = np.random.default_rng(1).exponential(size=15)
    assert serial.quantile(x, 0.5) == estimate.quantile(x, 0.5)
    assert serial.mean(x) == estimate.mean(x)
    assert serial.share(x > 1) == estimate.proportion(int((x > 1).sum()), 15)
    assert serial.quantile(np.zeros(0), 0.5).point is None
    assert serial.share(np.zeros(0, bool)).point is None


@pytest.mark.parametrize(("rho", "effect"), [(0.0, 1.0), (0.9, 12.0)])
def test_the_design_effect_grows_with_likeness(rho: float, effect: float) -> None:
    rng = np.random.default_rng(2)
    found = [serial.design_effect(alike(rng, 3000, rho) > 0) for _ in range(30)]
    # For signs of a Gaussian series: 1 + 2 Σ (2/π) arcsin(ρ^k).
    lags = rho ** np.arange(1, 200)
    expected = 1 + 2 * (2 / np.pi) * np.arcsin(lags).sum()
    assert expected == pytest.approx(effect, rel=0.3)
    assert np.mean(found) == pytest.approx(expected, rel=0.35)


def test_intervals_hold_the_truth_of_a_series_that_is_alike() -> None:
    rng = np.random.default_rng(3)
    median = share = naive = means = 0
    for _ in range(100):
        x = alike(rng, 1000, 0.8)
        q = serial.quantile(x, 0.5)
        median += q.lo is not None and q.hi is not None and q.lo <= 0 <= q.hi
        s = serial.share(x > 0)
        share += s.lo is not None and s.hi is not None and s.lo <= 0.5 <= s.hi
        m = serial.mean(x)
        means += m.lo is not None and m.hi is not None and m.lo <= 0 <= m.hi
        plain = estimate.quantile(x, 0.5)
        naive += plain.lo is not None and plain.hi is not None and plain.lo <= 0 <= plain.hi
    assert min(median, share, means) >= 88
    assert naive < 70  # what the usual interval would do


def test_time_outs_are_endless_values() -> None:
    x = np.where(np.arange(400) % 10 == 0, np.inf, 1.0)
    assert serial.quantile(x, 0.5).point == 1.0
    assert serial.quantile(x, 0.95).point == np.inf


def test_times_that_rise_with_the_load_are_told_from_times_that_wander() -> None:
    rng = np.random.default_rng(4)
    at = np.cumsum(rng.exponential(0.01, 2000))
    level = 0.1 + 0.01 * rng.normal(size=2000)
    assert not serial.rising(at, level)
    assert serial.rising(at, level + 0.01 * at)
    assert not serial.rising(at, level - 0.001 * at)
    assert not serial.rising(at[:5], at[:5])
    assert not serial.rising(np.zeros(100), level[:100])
    false = sum(serial.rising(at, 1 + 0.3 * alike(rng, 2000, 0.9)) for _ in range(50))
    assert false == 0
