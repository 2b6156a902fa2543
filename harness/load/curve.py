"""The latency–throughput curve of a search: its points, its knee, and whether they are consistent.

The *power* of a point is its throughput over its mean response time; it is highest where more load
begins to buy more waiting than work (Kleinrock's knee).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness.load.capacity import Verdict
from harness.load.judging import Judged
from harness.load.observed import Observed
from harness.stats import serial

CONSISTENT = 0.10
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Point:
    """One step. Rates per second, times in seconds, intervals 95 %; None: not to be had.

    ``in_flight``: mean number of requests in the system while load was offered, counted;
    ``little``: that number over λW, arrivals that were answered per second times their mean
    response time. Far from 1, the step was too short for its rate to settle.
    """

    offered: float
    folder: str
    achieved: float
    throughput: float | None
    verdict: Verdict
    reasons: tuple[str, ...]
    success: float | None
    p50: float | None
    p50_ci: Interval | None
    p95: float | None
    p95_ci: Interval | None
    power: float | None
    power_ci: Interval | None
    in_flight: float | None
    little: float | None

    @property
    def consistent(self) -> bool:
        """Whether Little's law holds within 10 %."""
        return self.little is not None and abs(self.little - 1) <= CONSISTENT

    def as_data(self) -> dict[str, Any]:
        return asdict(self) | {"consistent": self.consistent}


@dataclass(frozen=True, slots=True)
class Offered:
    """What a step asked for: requests per second, for so many seconds; its folder."""

    rate: float
    seconds: float
    folder: str


def point(
    offered: Offered, figures: Mapping[str, Any], judged: Judged, observed: Observed
) -> Point:
    """The point of one step; ``figures`` as ``results.figures`` gives them."""
    answered = ~np.isnan(observed.response)
    times = observed.response[answered]
    throughput: float | None = figures["throughput_per_s"]
    common = (
        offered.rate,
        offered.folder,
        figures["achieved_per_s"],
        throughput,
        judged.verdict,
        judged.reasons,
        figures["success"]["rate"],
    )
    if not times.size:
        return Point(*common, *(None,) * 8)
    p50, p95 = (serial.quantile(times, p) for p in (0.5, 0.95))
    mean = serial.mean(times)
    began = observed.scheduled[answered]
    inside = np.minimum(began + times, offered.seconds) - np.minimum(began, offered.seconds)
    in_flight = float(inside.sum()) / offered.seconds
    expected = times.size / offered.seconds * float(times.mean())
    power = power_ci = None
    if throughput is not None and mean.point:
        power = throughput / mean.point
        if mean.lo is not None and mean.hi is not None and mean.lo > 0:
            power_ci = throughput / mean.hi, throughput / mean.lo
    return Point(
        *common,
        p50.point,
        _pair(p50.lo, p50.hi),
        p95.point,
        _pair(p95.lo, p95.hi),
        power,
        power_ci,
        in_flight,
        in_flight / expected if expected > 0 else None,
    )


def knee(points: Sequence[Point]) -> Point | None:
    """The point of most power; None unless its interval lies above those of the lowest and of the
    highest rate, so that the curve is shown to bend and not only to scatter.
    """
    known = sorted((p for p in points if p.power_ci is not None), key=lambda p: p.offered)
    if len(known) < 3:
        return None
    best = max(known, key=lambda p: p.power or 0.0)
    ends = known[0], known[-1]
    if best in ends or best.power_ci is None:
        return None
    apart = all(end.power_ci is not None and end.power_ci[1] < best.power_ci[0] for end in ends)
    return best if apart else None


def _pair(low: float | None, high: float | None) -> Interval | None:
    return None if low is None or high is None else (low, high)
