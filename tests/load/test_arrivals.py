"""Schedules: exact where they are regular, right in mean and spread where they are drawn."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.errors import InputError
from harness.load.arrivals import MOST_REQUESTS, Arrivals, Floats, window_full


def offsets(
    rate: str,
    arrival: str = "poisson",
    *,
    seed: int = 0,
    duration: float | None = None,
    requests: int | None = None,
) -> Floats:
    return Arrivals.parse(rate, arrival).offsets(seed, duration=duration, requests=requests)


def test_constant_gaps_are_equal_and_the_first_request_is_at_once() -> None:
    assert offsets("4", "constant", requests=4).tolist() == [0, 0.25, 0.5, 0.75]
    assert offsets("4", "constant", duration=1).tolist() == [0, 0.25, 0.5, 0.75]
    assert offsets("3", "constant", duration=1 / 3).tolist() == [0]


def test_a_schedule_ends_with_its_duration_or_its_requests_whichever_comes_first() -> None:
    assert len(offsets("10", "constant", duration=2, requests=5)) == 5
    assert len(offsets("10", "constant", duration=2, requests=500)) == 20
    assert offsets("10", duration=2, requests=500).max() < 2


def test_the_same_seed_gives_the_same_schedule_and_its_beginning_does_not_depend_on_its_end() -> (
    None
):
    one = offsets("50", seed=3, duration=10)
    assert one.tolist() == offsets("50", seed=3, duration=10).tolist()
    assert one.tolist() != offsets("50", seed=4, duration=10).tolist()
    assert offsets("50", seed=3, requests=100).tolist() == one[:100].tolist()


@pytest.mark.parametrize(
    ("arrival", "cv"), [("poisson", 1.0), ("gamma:0.5", 0.5), ("gamma:2", 2.0), ("gamma:1", 1.0)]
)
def test_gaps_have_the_mean_and_the_spread_asked_for(arrival: str, cv: float) -> None:
    gaps = np.diff(offsets("200", arrival, requests=100_000), prepend=0.0)
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.03)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.03)


@pytest.mark.parametrize("cv", [0.2, 2.0, 5.0])
def test_bursts_send_no_more_than_the_rate_from_the_first_second_on(cv: float) -> None:
    found = [offsets("10", f"gamma:{cv}", seed=seed, duration=60) for seed in range(3000)]
    for until in (1, 10):
        counts = np.array([(one < until).sum() for one in found])
        spread = counts.std() / np.sqrt(counts.size)
        assert counts.mean() == pytest.approx(10 * until, abs=4 * spread + 0.02)


def test_a_full_window_holds_exactly_the_rate() -> None:
    for arrival in ("constant", "poisson", "gamma:3"):
        for seed in range(50):
            found = window_full(421.5, arrival, seed, 843)
            assert len(found) == 843
            assert found[0] >= 0
            assert found[-1] <= 843 / 421.5
            assert (np.diff(found) >= 0).all()
    assert window_full(4, "constant", 0, 4).tolist() == [0, 0.25, 0.5, 0.75]


@pytest.mark.parametrize(
    ("arrival", "cv"), [("poisson", 1.0), ("gamma:0.5", 0.5), ("gamma:2", 2.0)]
)
def test_a_full_window_keeps_the_spread_asked_for(arrival: str, cv: float) -> None:
    gaps = np.diff(window_full(200, arrival, 1, 100_000))
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.001)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.03)


def test_poisson_arrivals_lie_anywhere_in_a_full_window() -> None:
    found = np.concatenate([window_full(10, "poisson", seed, 20) for seed in range(500)])
    assert stats.kstest(found / 2, "uniform").pvalue > 0.01


def test_a_ramp_has_the_rate_of_its_moment() -> None:
    ramp = offsets("0..100", "constant", duration=20)
    assert len(ramp) == 1000
    # After t seconds 2.5 t² are due.
    assert ramp == pytest.approx(np.sqrt(np.arange(1000) / 2.5))
    drawn = offsets("100..0", duration=1000)
    counts, _ = np.histogram(drawn, bins=10, range=(0, 1000))
    assert counts == pytest.approx(100 * np.arange(95, 0, -10), rel=0.1)


def test_steps_share_the_duration_or_have_their_own() -> None:
    for steps in (offsets("10,40,20", "constant", duration=30), offsets("10@10,40@10,20@10s")):
        counts, _ = np.histogram(steps, bins=3, range=(0, 30))
        assert counts == pytest.approx([100, 400, 200], rel=0.25)
    cut = offsets("10@10,40@10", "constant", duration=15)
    assert len(cut) == 300
    assert len(offsets("0@10,40@10", "constant")) == 400
    assert offsets("0@10,40@10", "constant").min() == 10
    mixed = offsets("0..10@2,10@2,10..0@2", "constant")
    assert np.histogram(mixed, bins=3, range=(0, 6))[0].tolist() == [10, 20, 10]


def test_a_ramp_cut_short_keeps_its_slope() -> None:
    whole = offsets("10..110@100", "constant")
    assert offsets("10..110@100", "constant", duration=50) == pytest.approx(whole[whole < 50])


@given(
    parts=st.lists(
        st.tuples(st.floats(0.01, 500), st.none() | st.floats(0.01, 500), st.floats(0.1, 10)),
        min_size=1,
        max_size=5,
    ),
    arrival=st.sampled_from(["constant", "poisson", "gamma:0.3", "gamma:3"]),
    seed=st.integers(0, 2**40),
)
def test_offsets_ascend_within_the_schedule(
    parts: list[tuple[float, float | None, float]], arrival: str, seed: int
) -> None:
    rate = ",".join(
        f"{a:.4f}" + ("" if b is None else f"..{b:.4f}") + f"@{s:.4f}" for a, b, s in parts
    )
    try:
        found = offsets(rate, arrival, seed=seed)
    except InputError:  # so low a rate that nothing is due
        return
    assert found.dtype == np.float64
    assert found[0] >= 0
    assert (np.diff(found) >= 0).all()
    assert found[-1] <= sum(round(s, 4) for _, _, s in parts) + 1e-6
    if arrival == "constant":
        expected = sum((a + (a if b is None else b)) / 2 * s for a, b, s in parts)
        assert len(found) == pytest.approx(expected, abs=1 + 0.001 * expected)


@pytest.mark.parametrize(
    ("rate", "arrival", "duration", "requests", "says"),
    [
        ("ten", "poisson", 1, None, "'ten' is no rate"),
        ("", "poisson", 1, None, "is no rate"),
        ("-1", "poisson", 1, None, "is no rate"),
        ("1e5", "poisson", 1, None, "is no rate"),
        ("1,,2", "poisson", 1, None, "'' is no rate"),
        ("nan", "poisson", 1, None, "is no rate"),
        ("10000000", "poisson", 1, None, "at most 1,000,000 per second"),
        ("0", "poisson", 1, None, "nothing would be sent"),
        ("0..0@5", "poisson", None, None, "nothing would be sent"),
        ("5@0", "poisson", None, None, "lasts no time"),
        ("5@3,6", "poisson", 9, None, "to every part, or to none"),
        ("5", "poisson", None, None, "give --duration or --requests"),
        ("5..9", "poisson", None, 5, "give --duration"),
        ("5,9", "poisson", None, 5, "give --duration"),
        ("0.001", "poisson", 0.001, None, "is empty"),
        ("1000000", "poisson", 1000, None, "more than 50,000,000"),
        ("1", "constant", None, MOST_REQUESTS + 1, "more than 50,000,000"),
        ("5", "uniform", 1, None, "write poisson, constant or gamma:CV"),
        ("5", "gamma", 1, None, "write poisson"),
        ("5", "gamma:0", 1, None, "write poisson"),
        ("5", "gamma:11", 1, None, "write poisson"),
        ("5", "poisson:2", 1, None, "write poisson"),
    ],
)
def test_wrong_input_is_one_clear_line(
    rate: str, arrival: str, duration: float | None, requests: int | None, says: str
) -> None:
    with pytest.raises(InputError, match=says.replace("(", r"\(")) as caught:
        offsets(rate, arrival, duration=duration, requests=requests)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_text_is_read_or_refused(rate: str, arrival: str) -> None:
    try:
        made = Arrivals.parse(rate, arrival)
    except InputError:
        return
    assert all(math.isfinite(stretch.a + stretch.b) for stretch in made.stretches)
