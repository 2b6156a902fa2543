"""A run in windows of time: percentiles, rates, trials in flight and failures of each. Pure."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.packing import Bools
from harness.trials import Floats, Recorded, Trials

FAILED = ("wrong", "malformed", "error", "dropped")
LEAST_P50, LEAST_P99 = 5, 100  # answered trials of a window that has this percentile
_MOST, _FEWEST = 60, 4
_DENSE = 2_000  # trials from which single ones can no longer be told apart
_DENSITY = (240, 60)  # cells along time and along response time


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows between ``edges``, (w + 1,) seconds since the run began; the rest is (w,) each.

    ``p50``, ``p99``: arm → seconds, NaN where too few trials ended; ``answered``, ``offered``:
    trials per second that were answered, and that were to begin; ``in_flight``: mean; ``failed``:
    outcome → trials. All are NaN, or 0 for counts, while no segment of the run was going on.
    ``warmup``: stretches (from, to). ``density``: answered trials in cells of time and of log10
    response time between ``heights``; None for few trials.
    """

    edges: Floats
    p50: Mapping[str, Floats]
    p99: Mapping[str, Floats]
    answered: Floats
    offered: Floats
    in_flight: Floats
    failed: Mapping[str, Floats]
    warmup: Sequence[tuple[float, float]]
    density: Floats | None
    heights: tuple[float, float]


def windows(run: Recorded, arms: Sequence[str]) -> Windows | None:
    """The windows of a run; None when no trial was answered or the run took no time."""
    trials = run.trials
    offset = _offsets(run.manifest["segments"], trials)
    start, done = offset + trials.scheduled, offset + trials.done
    sent = offset + trials.sent
    kept = trials.answered & ~trials.warmup & ~np.isnan(done)
    ended = np.where(np.isnan(done), start, done)
    span = float(ended.max(initial=0.0))
    sizes = [int((kept & _of(trials, arm)).sum()) for arm in arms]
    if span <= 0 or not any(sizes):
        return None
    edges = np.linspace(0.0, span, _count(min(size for size in sizes if size)) + 1)
    width = edges[1] - edges[0]
    place = np.clip(np.searchsorted(edges, ended, "right") - 1, 0, edges.size - 2)
    going = _going(trials, start, ended, edges)
    times = trials.response_time
    p50, p99 = {}, {}
    for arm in arms:
        mine = kept & _of(trials, arm)
        p50[arm], p99[arm] = _quantiles(place[mine], times[mine], edges.size - 1)
    known = ~np.isnan(sent)
    return Windows(
        edges,
        p50,
        p99,
        _blank(_counts(place[trials.answered], edges) / width, going),
        _blank(np.histogram(start, edges)[0] / width, going),
        _blank(_in_flight(sent[known], ended[known], edges), going),
        {
            name: _counts(place[trials.ended(name) & ~trials.warmup], edges).astype(np.float64)
            for name in FAILED
        },
        _stretches(trials, start, ended),
        *_density(ended[kept], times[kept], span),
    )


def _count(least: int) -> int:
    """Windows for so many answered trials of the smallest arm: enough for p99, else for p50."""
    each = LEAST_P99 + 10 if least >= _FEWEST * LEAST_P99 * 2 else 2 * LEAST_P50
    return int(np.clip(least // each, _FEWEST, _MOST))


def _offsets(segments: Sequence[Mapping[str, Any]], trials: Trials) -> Floats:
    """Seconds from the start of the run to that of each trial's segment."""
    begun: dict[int, float] = {}
    for segment in segments:
        moment = datetime.datetime.fromisoformat(segment["started"])
        begun[int(segment["index"])] = moment.timestamp()
    zero = min(begun.values(), default=0.0)
    known, place = np.unique(trials.segment, return_inverse=True)
    since = np.array([begun.get(index, zero) - zero for index in known.tolist()], np.float64)
    found: Floats = since[place] if known.size else np.empty(0)
    return found


def _of(trials: Trials, arm: str) -> Bools:
    found: Bools = trials.pipeline.codes == trials.pipeline.code(arm)
    return found


def _counts(place: Any, edges: Floats) -> Any:
    return np.bincount(place, minlength=edges.size - 1)


def _going(trials: Trials, start: Floats, ended: Floats, edges: Floats) -> Bools:
    """Windows in which a segment of the run was going on for at least half of the time."""
    covered = np.zeros(edges.size - 1)
    for segment in np.unique(trials.segment).tolist():
        mine = trials.segment == segment
        low, high = float(start[mine].min()), float(ended[mine].max())
        covered += np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None)
    found: Bools = covered >= (edges[1] - edges[0]) / 2
    return found


def _blank(values: Floats, going: Bools) -> Floats:
    return np.where(going, values, np.nan)


def _quantiles(place: Any, times: Floats, count: int) -> tuple[Floats, Floats]:
    order = np.argsort(place, kind="stable")
    parts = np.split(times[order], np.searchsorted(place[order], np.arange(1, count)))
    p50, p99 = np.full(count, np.nan), np.full(count, np.nan)
    for i, values in enumerate(parts):
        if values.size >= LEAST_P50:
            p50[i] = np.quantile(values, 0.5)
        if values.size >= LEAST_P99:
            p99[i] = np.quantile(values, 0.99)
    return p50, p99


def _in_flight(sent: Floats, ended: Floats, edges: Floats) -> Floats:
    """Mean number in flight: the differences of all that trials have added up before each edge."""
    total = _before(sent, edges) - _before(ended, edges)
    found: Floats = np.diff(total) / np.diff(edges)
    return found


def _before(moments: Floats, edges: Floats) -> Floats:
    """For each edge, the seconds since every moment before it, added up."""
    ordered = np.sort(moments)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    n = np.searchsorted(ordered, edges)
    found: Floats = n * edges - sums[n]
    return found


def _stretches(trials: Trials, start: Floats, ended: Floats) -> list[tuple[float, float]]:
    """From the first to the last moment of each segment's warm-up."""
    found = []
    for segment in np.unique(trials.segment[trials.warmup]).tolist():
        mine = trials.warmup & (trials.segment == segment)
        found.append((float(start[mine].min()), float(ended[mine].max())))
    return found


def _density(
    ended: Floats, times: Floats, span: float
) -> tuple[Floats | None, tuple[float, float]]:
    known = times > 0
    if not known.any():
        return None, (0.0, 0.0)
    logs = np.log10(times[known])
    heights = float(logs.min()), float(logs.max())
    if known.sum() < _DENSE or heights[0] == heights[1]:
        return None, heights
    cells, _, _ = np.histogram2d(ended[known], logs, _DENSITY, ((0.0, span), heights))
    return cells, heights
