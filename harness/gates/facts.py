"""What an arm did, from its records alone: facts for the gates on treatment and client. Pure.

All times are seconds. A *stay* is the time between ``eligible`` and ``own_done``.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from statistics import median_low

from harness.records import BlockRecord, TrialRecord
from harness.workload import Workload

HELD_BACK_S = 0.001


def usual_calls(records: Iterable[TrialRecord]) -> tuple[tuple[str, str | None], ...] | None:
    """The commonest sequence of (call, mode) over right trials; None without any."""
    found = Counter(
        tuple((attempt.call, attempt.mode) for attempt in record.attempts)
        for record in records
        if record.outcome == "ok" and record.attempts
    )
    return min(found, key=lambda calls: (-found[calls], str(calls))) if found else None


def usual_in_flight(records: Iterable[TrialRecord]) -> int | None:
    """Most trials at once between ``eligible`` and ``own_done``: the median over blocks.

    A trial that ends at the moment another begins does not overlap it.
    """
    peaks = [_most_at_once(_stays(trials)) for trials in _by_block(records).values()]
    return median_low(peaks) or None if peaks else None


def holds_back(records: Iterable[TrialRecord]) -> bool:
    """Whether in most blocks some answer came over 1 ms after its own end: a batch waits."""
    held = [
        any(
            trial.done - trial.own_done > HELD_BACK_S
            for trial in trials
            if trial.done is not None and trial.own_done is not None
        )
        for trials in _by_block(records).values()
    ]
    return bool(held) and sum(held) * 2 > len(held)


def little_gap(trials: Sequence[TrialRecord], block: BlockRecord) -> float:
    """|L − λW|/L of one block; 1 when nothing of it was recorded.

    L: mean number in flight within the block, from the records' stays cut to the block; λ: trials
    that were begun (``BlockRecord.trials``) per second; W: their mean stay. The wall time cancels,
    so lost records and stamps outside the block remain. Source: Little, Oper. Res. 9 (1961).
    """
    stays = _stays(trials)
    inside = sum(max(0.0, min(b, block.ended) - max(a, block.started)) for a, b in stays)
    if inside <= 0:
        return 1.0
    mean = sum(b - a for a, b in stays) / len(stays)
    return abs(inside - block.trials * mean) / inside


def efficiency(
    trials: Sequence[TrialRecord], block: BlockRecord, slots: int, workload: Workload
) -> float | None:
    """Ideal over actual makespan of one block, the measured stays taken as given; about 1.

    Actual: from the block's start to the last own end, so that keeping the last record is not
    counted. None when a trial never ended.
    """
    done = sorted(trials, key=lambda trial: trial.eligible or 0.0)
    stays = [b - a for a, b in _stays(done)]
    if not stays or len(stays) < len(trials):
        return None
    wanted = [0.0] * len(stays)
    if workload.kind == "rate":
        wanted = [trial.scheduled - block.started for trial in done]
    ideal = makespan(stays, wanted, slots, barriers=holds_back(trials), think=workload.think)
    actual = max(b for _, b in _stays(done)) - block.started
    return ideal / actual if actual > 0 else None


def makespan(
    stays: Sequence[float],
    wanted: Sequence[float],
    slots: int,
    *,
    barriers: bool,
    think: float = 0.0,
) -> float:
    """Seconds in which ``slots`` would finish, taking each item in order as a slot is free.

    ``wanted``: the earliest moment of each item; ``think``: seconds before each. With
    ``barriers`` items go in groups of ``slots``, each begun when all of it is wanted and the
    group before it is done. Source: Graham's list scheduling.
    """
    if barriers:
        free = 0.0
        for i in range(0, len(stays), slots):
            free = max(free + think, *wanted[i : i + slots]) + max(stays[i : i + slots])
        return free
    ends = [0.0] * slots
    for stay, moment in zip(stays, wanted, strict=True):
        heapq.heapreplace(ends, max(ends[0] + think, moment) + stay)
    return max(ends)


def _by_block(records: Iterable[TrialRecord]) -> dict[int, list[TrialRecord]]:
    groups: dict[int, list[TrialRecord]] = defaultdict(list)
    for record in records:
        groups[record.block].append(record)
    return groups


def _stays(records: Iterable[TrialRecord]) -> list[tuple[float, float]]:
    """(eligible, own_done) of the trials that ended."""
    return [
        (record.eligible, record.own_done)
        for record in records
        if record.eligible is not None and record.own_done is not None
    ]


def _most_at_once(stays: Iterable[tuple[float, float]]) -> int:
    steps = sorted(step for a, b in stays for step in ((a, 1), (b, -1)))
    return max(accumulate((change for _, change in steps)), default=0)
