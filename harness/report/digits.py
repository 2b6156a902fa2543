"""Numbers as text: as many digits as the interval supports, one unit to a row.

The half-width of an interval has two significant digits; its value and everything beside it are
given to the same decimal place. Whole things are counted in whole numbers.
"""

import math
from collections.abc import Iterable
from typing import Any

MINUS = "\u2212"
MAX_DECIMALS = 6


def places(step: float) -> int:
    """Decimal places that show ``step`` (finite) with two significant digits; 0 for 10 and more."""
    if step <= 0:
        return 0
    exponent = int(f"{step:.1e}".partition("e")[2])
    return min(max(0, 1 - exponent), MAX_DECIMALS)


def row_places(values: Iterable[float], intervals: Iterable[tuple[float, float]]) -> int:
    """Decimal places for a row: from its narrowest interval, else three digits of its values.

    At most one place finer than the widest interval asks for, lest one arm of little spread fills
    the row with digits.
    """
    halves = [(hi - lo) / 2 for lo, hi in intervals if hi > lo and math.isfinite(hi - lo)]
    if halves:
        return min(places(min(halves)), places(max(halves)) + 1)
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return places(largest / 10)


def number(value: float, decimals: int, *, sign: bool = False) -> str:
    """A decimal number with a true minus sign; ``sign`` puts a plus before positive ones."""
    if math.isnan(value):
        return "—"
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{value:+.{decimals}f}" if sign else f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def interval(lo: float, hi: float, decimals: int, *, sign: bool = False) -> str:
    """``[lo, hi]``."""
    return f"[{number(lo, decimals, sign=sign)}, {number(hi, decimals, sign=sign)}]"


def significant(value: float, digits: int = 2) -> str:
    """A number by itself, such as a measured limit, with ``digits`` digits and no exponent."""
    if not math.isfinite(value) or (value == int(value) and abs(value) < 1e15):
        return number(value, 0)
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    return number(value, min(max(0, digits - 1 - exponent), MAX_DECIMALS))


def time_unit(seconds: Iterable[float]) -> tuple[float, str]:
    """(factor, unit) under which the largest of some times reads well: milliseconds below 1 s."""
    largest = max((value for value in seconds if math.isfinite(value)), default=0.0)
    return (1000.0, "ms") if largest < 1 else (1.0, "s")


def finite(data: Any) -> Any:
    """``data`` for strict JSON, which has no ∞ and no NaN: they become None, at any depth."""
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, dict):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    return data
