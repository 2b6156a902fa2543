"""Numbers as text."""

import math

import pytest

from harness.report import digits


@pytest.mark.parametrize(
    ("step", "expected"),
    [(57, 0), (9.94, 1), (9.96, 0), (0.87, 2), (0.0995, 2), (0.0123, 3), (1e-12, 6), (0, 0)],
)
def test_two_significant_digits(step: float, expected: int) -> None:
    assert digits.places(step) == expected


def test_a_row_follows_its_narrowest_interval_within_reason() -> None:
    assert digits.row_places([150], [(140.0, 159.8), (149, 151)]) == 2 - 1
    assert digits.row_places([150], [(0.0, 100.0), (149.999, 150.001)]) == 1
    assert digits.row_places([123.4, 7.0], []) == 0
    assert digits.row_places([1.234], []) == 2
    assert digits.row_places([], []) == 0
    assert digits.row_places([math.inf], [(1.0, math.inf), (2.0, 2.0)]) == 0


@pytest.mark.parametrize(
    ("value", "decimals", "sign", "expected"),
    [
        (-71.18, 1, True, "−71.2"),
        (0.04, 1, True, "0.0"),
        (-0.04, 1, False, "0.0"),
        (5.0, 1, True, "+5.0"),
        (math.inf, 1, False, "∞"),
        (-math.inf, 1, False, "−∞"),
    ],
)
def test_number(value: float, decimals: int, sign: bool, expected: str) -> None:
    assert digits.number(value, decimals, sign=sign) == expected


def test_significant() -> None:
    assert digits.significant(464.0) == "464"
    assert digits.significant(10.969, 3) == "11.0"
    assert digits.significant(0.000412) == "0.00041"
    assert digits.significant(0.0) == "0"


def test_times_below_a_second_are_milliseconds() -> None:
    assert digits.time_unit([0.2, 0.9]) == (1000.0, "ms")
    assert digits.time_unit([0.2, 1.0]) == (1.0, "s")
    assert digits.time_unit([]) == (1000.0, "ms")
    assert digits.time_unit([math.inf]) == (1000.0, "ms")
