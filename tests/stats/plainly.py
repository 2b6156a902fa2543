"""Samples and pairs the plain way, record by record: what the columns must give as well."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from harness.records import TrialRecord
from harness.stats.sample import BlockMeasure, BlockSample, Measure, Pairs, Sample, Successes

_Key: TypeAlias = tuple[int, str, int]
_Reading: TypeAlias = float | str  # a value, or the reason why there is none


def sample(
    records: Iterable[TrialRecord],
    pipeline: str,
    measure: Measure = "response_time",
    *,
    timeouts_as_inf: bool = False,
) -> Sample:
    """Seconds of the answered trials of ``pipeline`` that were not warm-up.

    ``timeouts_as_inf``: a trial that ended in a time-out counts as +∞ instead of being left out;
    for quantiles only.
    """
    found: list[tuple[_Key, float]] = []
    excluded: Counter[str] = Counter()
    for record in records:
        if record.pipeline != pipeline:
            continue
        reading = _reading(record, measure, timeouts_as_inf)
        if isinstance(reading, str):
            excluded[reading] += 1
        else:
            found.append((_key(record), reading))
    found.sort()
    return Sample(
        pipeline,
        measure,
        _floats([value for _, value in found]),
        _ints([key[0] for key, _ in found]),
        tuple(key[1] for key, _ in found),
        dict(excluded),
    )


def pairs(
    records: Iterable[TrialRecord],
    baseline: str,
    candidate: str,
    measure: Measure = "response_time",
    *,
    timeouts_as_inf: bool = False,
) -> Pairs:
    """Pair trial by trial: same block, scenario and repeat; values in seconds.

    A pair with a side unanswered, missing or unmeasured is dropped and counted; so are the pairs
    of blocks with records (of any pipeline) in more than one segment. Raises ValueError when a
    pipeline has the same trial twice in a whole block. ``timeouts_as_inf`` as in ``sample``.
    """
    kept = list(records)
    cut = cut_blocks(kept)
    sides: tuple[dict[_Key, _Reading], dict[_Key, _Reading]] = ({}, {})
    for record in kept:
        for side, name in zip(sides, (baseline, candidate), strict=True):
            if record.pipeline == name:
                key = _key(record)
                if key in side and record.block not in cut:
                    raise ValueError(f"{name} has trial {key} twice")
                side[key] = _reading(record, measure, timeouts_as_inf)
    return _paired(*sides, cut)


def block_values(
    records: Iterable[TrialRecord],
    pipeline: str,
    measure: BlockMeasure,
    *,
    target: float | None = None,
) -> BlockSample:
    """One value per block of ``pipeline``.

    ``makespan``: seconds from the first scheduled moment to the last end, for blocks in which
    every trial was answered. ``throughput``: answered trials per second of that time, which here
    runs to the last end of any trial. ``goodput``: the same for trials that are ok and have a
    response time of at most ``target`` seconds (None: ok suffices).
    """
    kept = list(records)
    cut = cut_blocks(kept)
    found = _block_readings(kept, pipeline, measure, target, cut)
    excluded = Counter(value for value in found.values() if isinstance(value, str))
    good = {b: v for b, v in sorted(found.items()) if not isinstance(v, str)}
    return BlockSample(
        pipeline, measure, _floats(list(good.values())), _ints(list(good)), dict(excluded)
    )


def block_pairs(
    records: Iterable[TrialRecord],
    baseline: str,
    candidate: str,
    measure: BlockMeasure,
    *,
    target: float | None = None,
) -> Pairs:
    """``block_values`` of two pipelines, paired by block; one side missing drops the pair."""
    kept = list(records)
    cut = cut_blocks(kept)
    a, b = (
        {(block, "", 0): value for block, value in found.items()}
        for found in (
            _block_readings(kept, name, measure, target, cut) for name in (baseline, candidate)
        )
    )
    return _paired(a, b, cut)


def successes(
    records: Iterable[TrialRecord], pipeline: str, *, target: float | None = None
) -> Successes:
    """Count right answers; with ``target``, only those within that many seconds (goodput)."""
    tallies: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    excluded: Counter[str] = Counter()
    for record in records:
        if record.pipeline != pipeline:
            continue
        if record.warmup or record.outcome == "cancelled":
            excluded["warmup" if record.warmup else "cancelled"] += 1
            continue
        tally = tallies[record.scenario]
        tally[0] += _good(record, target)
        tally[1] += 1
    by_scenario = {name: (k, n) for name, (k, n) in sorted(tallies.items())}
    return Successes(
        pipeline,
        sum(k for k, _ in by_scenario.values()),
        sum(n for _, n in by_scenario.values()),
        by_scenario,
        dict(excluded),
    )


def cut_blocks(records: Iterable[TrialRecord]) -> frozenset[int]:
    """Blocks with records of more than one segment: a resume cut them in half."""
    segments: dict[int, set[int]] = defaultdict(set)
    for record in records:
        segments[record.block].add(record.segment)
    return frozenset(block for block, found in segments.items() if len(found) > 1)


def _key(record: TrialRecord) -> _Key:
    return record.block, record.scenario, record.repeat


def _reading(record: TrialRecord, measure: Measure, timeouts_as_inf: bool) -> _Reading:
    if record.warmup:
        return "warmup"
    if not record.answered:
        timed_out = record.error is not None and record.error.type == "timeout"
        return np.inf if timeouts_as_inf and timed_out else record.outcome
    value: float | None = getattr(record, measure)
    return "not_measured" if value is None else value


def _paired(a: Mapping[_Key, _Reading], b: Mapping[_Key, _Reading], cut: frozenset[int]) -> Pairs:
    found: list[tuple[_Key, float, float]] = []
    excluded: Counter[str] = Counter()
    for key in sorted(a.keys() | b.keys()):
        x, y = a.get(key, "missing"), b.get(key, "missing")
        if key[0] in cut:
            excluded["cut_block"] += 1
        elif isinstance(x, str) or isinstance(y, str):
            excluded[_pair_reason({value for value in (x, y) if isinstance(value, str)})] += 1
        else:
            found.append((key, x, y))
    return Pairs(
        _floats([x for _, x, _ in found]),
        _floats([y for _, _, y in found]),
        _ints([key[0] for key, _, _ in found]),
        tuple(key[1] for key, _, _ in found),
        dict(excluded),
        len(cut & {key[0] for key in a.keys() | b.keys()}),
    )


def _pair_reason(reasons: set[str]) -> str:
    for reason in ("warmup", "missing", "partial", "incomplete"):
        if reason in reasons:
            return reason
    return "not_measured" if reasons == {"not_measured"} else "unanswered"


def _block_readings(
    records: Sequence[TrialRecord],
    pipeline: str,
    measure: BlockMeasure,
    target: float | None,
    cut: frozenset[int],
) -> dict[int, _Reading]:
    groups: dict[int, dict[str, list[TrialRecord]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        groups[record.block][record.pipeline].append(record)
    found: dict[int, _Reading] = {}
    for block, arms in groups.items():
        if pipeline in arms:
            size = max(len(trials) for trials in arms.values())
            found[block] = (
                "cut_block" if block in cut else _block(arms[pipeline], measure, target, size)
            )
    return found


def _block(
    trials: Sequence[TrialRecord], measure: BlockMeasure, target: float | None, size: int
) -> _Reading:
    if any(trial.warmup for trial in trials):
        return "warmup"
    if len(trials) < size:
        return "partial"
    if measure == "makespan" and not all(trial.answered for trial in trials):
        return "incomplete"
    ends = [trial.done for trial in trials if trial.done is not None]
    wall = max(ends) - min(trial.scheduled for trial in trials) if ends else 0.0
    if measure == "makespan" and ends:
        return wall
    if wall <= 0:
        return "not_measured"
    if measure == "throughput":
        return sum(trial.answered for trial in trials) / wall
    return sum(_good(trial, target) for trial in trials) / wall


def _good(record: TrialRecord, target: float | None) -> bool:
    if record.outcome != "ok":
        return False
    taken = record.response_time
    return target is None or (taken is not None and taken <= target)


def _floats(values: Sequence[float]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.array(values, np.float64)


def _ints(values: Sequence[int]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.array(values, np.int64)
