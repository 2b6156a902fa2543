"""The algebra of verdicts (K4) and how often each falls (K12)."""

import math

import numpy as np
import pytest
from scipy import stats

from harness.stats.verdict import (
    Judgement,
    Qualifier,
    VerdictName,
    absolute_verdict,
    claim_line,
    difference_verdict,
    slower_by,
    swapped,
    verdict,
)
from tests.stats.draw import log_sd


@pytest.mark.parametrize(
    ("lo", "hi", "name", "qualifier"),
    [
        (0.78, 0.90, "supported", None),
        (0.60, 0.75, "supported", "understated"),
        (0.94, 0.99, "refuted", "overstated"),
        (0.96, 1.04, "refuted", "no_effect"),
        (0.94, 1.03, "refuted", "too_small"),
        (1.02, 1.20, "refuted", "reversed"),
        (0.86, 0.98, "inconclusive", "direction_only"),
        (0.86, 1.05, "inconclusive", None),
    ],
)
def test_about_fifteen_percent(
    lo: float, hi: float, name: VerdictName, qualifier: Qualifier | None
) -> None:
    assert verdict(lo, hi, 0.15) == Judgement(name, qualifier)


def test_a_missing_bound_is_no_bound() -> None:
    assert verdict(None, 0.9, 0.15) == Judgement("supported")
    assert verdict(0.8, None, 0.15) == Judgement("inconclusive")
    assert verdict(1.1, None, 0.15) == Judgement("refuted", "reversed")
    assert verdict(None, None, 0.15) == Judgement("inconclusive")
    assert verdict(0.0, 0.9, 0.15) == Judgement("supported")


def test_any_improvement_has_its_line_at_the_margin() -> None:
    assert claim_line(None) == pytest.approx(math.log(0.98))
    assert verdict(0.90, 0.97, None) == Judgement("supported")
    assert verdict(0.50, 0.60, None) == Judgement("supported")
    assert verdict(0.90, 0.985, None) == Judgement("inconclusive", "direction_only")
    assert verdict(0.99, 1.02, None) == Judgement("refuted", "no_effect")
    assert verdict(0.99, 1.20, None) == Judgement("refuted", "too_small")


def test_two_thirds_and_more_cannot_be_understated() -> None:
    assert verdict(0.01, 0.02, 0.7) == Judgement("supported")
    assert verdict(0.01, 0.02, 0.6) == Judgement("supported", "understated")


@pytest.mark.parametrize(("reduction", "margin"), [(0.0, 0.02), (1.0, 0.02), (None, 0.0)])
def test_impossible_claims_are_errors(reduction: float | None, margin: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        claim_line(reduction, margin)


def test_the_line_of_a_claim_is_half_of_it() -> None:
    assert claim_line(0.15) == pytest.approx(math.log(0.925))


def test_higher_is_better_swaps_the_arms() -> None:
    lo, hi = swapped(1.1, 1.3)
    assert (lo, hi) == pytest.approx((1 / 1.3, 1 / 1.1))
    assert verdict(lo, hi, slower_by(0.2)) == Judgement("supported")
    assert swapped(None, 0.5) == (2.0, None)
    assert swapped(0.0, 0.5) == (2.0, None)


def test_slower_by_m_is_a_reduction_with_the_arms_swapped() -> None:
    assert slower_by(0.118) == pytest.approx(0.118 / 1.118)
    assert 1 / (1 - slower_by(0.118)) == pytest.approx(1.118)


@pytest.mark.parametrize(
    ("lo", "hi", "name", "qualifier"),
    [
        (0.06, 0.12, "supported", None),
        (0.16, 0.20, "supported", "understated"),
        (0.02, 0.20, "inconclusive", "direction_only"),
        (-0.02, 0.20, "inconclusive", None),
        (-0.20, -0.01, "refuted", "reversed"),
        (-0.04, 0.04, "refuted", "no_effect"),
        (-0.10, 0.04, "refuted", "too_small"),
        (None, None, "inconclusive", None),
    ],
)
def test_a_gain_in_success_of_ten_points(
    lo: float | None, hi: float | None, name: VerdictName, qualifier: Qualifier | None
) -> None:
    assert difference_verdict(lo, hi, 0.10) == Judgement(name, qualifier)


def test_a_large_gain_can_be_overstated() -> None:
    assert difference_verdict(0.02, 0.12, 0.3) == Judgement("refuted", "overstated")
    with pytest.raises(ValueError, match="gain"):
        difference_verdict(0.0, 0.1, 0.0)


@pytest.mark.parametrize(
    ("lo", "hi", "name"),
    [
        (7.0, 8.8, "supported"),
        (8.5, 9.0, "inconclusive"),
        (8.9, 9.5, "refuted"),
        (7.0, None, "inconclusive"),
    ],
)
def test_eight_seconds(lo: float, hi: float | None, name: VerdictName) -> None:
    assert absolute_verdict(lo, hi, 8.0) == Judgement(name)


@pytest.mark.parametrize(
    ("lo", "hi", "name"),
    [(0.91, 1.0, "supported"), (0.85, 0.95, "inconclusive"), (0.5, 0.8, "refuted")],
)
def test_all_right_within_a_tenth(lo: float, hi: float, name: VerdictName) -> None:
    assert absolute_verdict(lo, hi, 1.0, better="higher") == Judgement(name)


@pytest.mark.parametrize(
    ("truth", "n", "known"),
    [
        (0.15, 30, (0.617, 0.382, 0.0)),
        (0.15, 60, (0.905, 0.095, 0.0)),
        (0.075, 30, (0.026, 0.950, 0.024)),
        (0.075, 60, (0.025, 0.950, 0.025)),
        (0.0, 30, (0.0, 0.448, 0.552)),
        (0.0, 60, (0.0, 0.151, 0.849)),
    ],
)
def test_how_often_each_verdict_falls(
    truth: float, n: int, known: tuple[float, float, float]
) -> None:
    runs = 20_000
    rng = np.random.default_rng([12, n, round(1000 * truth)])
    # CV .2 and ρ .5: the log ratio has the sd of one log time.
    d = math.log1p(-truth) + log_sd(0.2) * rng.standard_normal((runs, n))
    half = stats.t.ppf(0.975, n - 1) * d.std(axis=1, ddof=1) / math.sqrt(n)
    lo, hi = np.exp(d.mean(axis=1) - half), np.exp(d.mean(axis=1) + half)
    found = [verdict(x, y, 0.15).verdict for x, y in zip(lo.tolist(), hi.tolist(), strict=True)]
    names: tuple[VerdictName, ...] = ("supported", "inconclusive", "refuted")
    for name, share in zip(names, known, strict=True):
        error = math.sqrt(max(share, 5e-4) * (1 - share) * (1 / runs + 1 / 2000))
        assert abs(found.count(name) / runs - share) <= 3 * error
