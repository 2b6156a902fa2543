"""How many users there are as time goes by: ramp, spike, step."""

import math
from collections.abc import Callable
from typing import TypeAlias

Curve: TypeAlias = Callable[[float, int], int]
"""(share of the run that is over, from 0 to below 1; users at the peak) → users."""

STEPS = 5
SPIKE = (0.4, 0.6)
QUIET = 10  # times fewer users before and after the spike


def ramp(over: float, peak: int) -> int:
    """In a straight line from one user to the peak."""
    return min(peak, 1 + math.floor(over * peak))


def spike(over: float, peak: int) -> int:
    """A tenth of the peak, and all of it in the middle fifth."""
    return peak if SPIKE[0] <= over < SPIKE[1] else math.ceil(peak / QUIET)


def step(over: float, peak: int) -> int:
    """Five equal steps up to the peak."""
    return math.ceil(peak * (math.floor(over * STEPS) + 1) / STEPS)


CURVES: dict[str, Curve] = {"ramp": ramp, "spike": spike, "step": step}
