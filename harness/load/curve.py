"""The latency–throughput curve of a search: its points, its knee, and whether they are consistent.

The *power* of a point is its throughput over its mean response time; it is highest where more load
begins to buy more waiting than work (Kleinrock's knee).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.load.capacity import Verdict
from harness.load.judging import Judged, in_flight, settled
from harness.load.observed import Observed
from harness.stats import serial
from harness.summary import unbounded

ANSWERED = 0.95
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Point:
    """One step. Rates per second, times in seconds, intervals 95 %; None: not to be had.

    ``requests``: how many were wanted, ``answered``: of which so many were; ``unbounded``: of p50
    and p95, what has no interval, and why. ``power``: None too where the client was not fit or less
    than 95 % were answered, since the times are then not those of the load. ``in_flight``: mean
    number of requests in the system while load was offered; ``little``: that number over λW, see
    ``judging.in_flight``. Far from 1, the step was too short for its queue to settle: not
    ``consistent``.
    """

    offered: float
    folder: str
    requests: int
    answered: int
    achieved: float
    throughput: float | None
    verdict: Verdict
    reasons: tuple[str, ...]
    success: float | None
    success_ci: Interval | None
    p50: float | None
    p50_ci: Interval | None
    p95: float | None
    p95_ci: Interval | None
    unbounded: Mapping[str, str]
    power: float | None
    power_ci: Interval | None
    in_flight: float | None
    little: float | None
    consistent: bool


def point(
    rate: float, folder: str, figures: Mapping[str, Any], judged: Judged, observed: Observed
) -> Point:
    """The point of one step at so many requests per second; ``figures`` as ``results.figures``
    gives them.
    """
    times, success = figures["response_time_s"], figures["success"]
    throughput: float | None = figures["throughput_per_s"]
    common = (
        rate,
        folder,
        figures["requests"],
        0 if times is None else times["n"],
        figures["achieved_per_s"],
        throughput,
        judged.verdict,
        judged.reasons,
        success["rate"],
        _pair(success["ci95"]),
    )
    if times is None:
        return Point(*common, *(None,) * 4, {}, *(None,) * 4, consistent=False)
    why = unbounded("response_time_s", times)
    mean = serial.mean(observed.times("response"))
    little = in_flight(observed)
    power = power_ci = None
    whole = times["n"] >= ANSWERED * observed.trials.sum() and judged.verdict != "invalid"
    if whole and throughput is not None and mean.point:
        power = throughput / mean.point
        if mean.lo is not None and mean.hi is not None and mean.lo > 0:
            power_ci = throughput / mean.hi, throughput / mean.lo
    return Point(
        *common,
        times["p50"],
        _pair(times["ci95"]["p50"]),
        times["p95"],
        _pair(times["ci95"]["p95"]),
        {name: why[name] for name in ("p50", "p95") if name in why},
        power,
        power_ci,
        None if little is None else little[0],
        little[0] / little[1] if little is not None and little[1] > 0 else None,
        settled(little),
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


def _pair(bounds: Sequence[float] | None) -> Interval | None:
    return None if bounds is None else (bounds[0], bounds[1])
