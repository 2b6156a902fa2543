"""A load seen while it runs, for whoever shows how far it is."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Seconds = Sequence[float] | NDArray[np.float64]


class Glance(NamedTuple):
    """The counts so far, and what is new since the last glance."""

    finished: int
    failed: int
    in_flight: int
    lag_s: Seconds
    """How long the loop was held up, each time."""
    times_s: Seconds
    """Response times of answered requests: all of them, or a fair sample."""
