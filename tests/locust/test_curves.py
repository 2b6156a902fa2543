"""How many users there are as time goes by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.locust_support.curves import CURVES, ramp, spike, step


@given(st.sampled_from(sorted(CURVES)), st.floats(0, 1, exclude_max=True), st.integers(1, 100_000))
def test_there_is_somebody_and_never_more_than_the_peak(name: str, over: float, peak: int) -> None:
    assert 1 <= CURVES[name](over, peak) <= peak


@pytest.mark.parametrize("name", sorted(CURVES))
def test_the_peak_is_reached(name: str) -> None:
    assert max(CURVES[name](i / 1000, 50) for i in range(1000)) == 50


def test_what_they_are() -> None:
    tenths = [i / 10 for i in range(10)]
    assert [ramp(over, 10) for over in tenths] == list(range(1, 11))
    assert [spike(over, 50) for over in tenths] == [5, 5, 5, 5, 50, 50, 5, 5, 5, 5]
    assert [step(over, 10) for over in tenths] == [2, 2, 4, 4, 6, 6, 8, 8, 10, 10]
