"""Workload × arms → records. Knows no prompt, model or score."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Protocol

from harness.clock import Clock
from harness.dispatch import Pace, Slot, Wanted, run_batches, run_tasks, run_threads
from harness.monitor import Monitor
from harness.records import Answer, BlockRecord, TrialRecord
from harness.trial import Arm, TrialKey, TrialRun
from harness.workload import Block, Workload


class Sink(Protocol):
    """Where records go; each call keeps its record before it returns."""

    def append(self, record: TrialRecord, answers: Sequence[Answer]) -> None: ...

    def append_block(self, block: BlockRecord) -> None: ...


def trial_id(scenario: str, arm: str, repeat: int, again: int = 0) -> str:
    """The unique id of a trial; ``again`` counts repeats of one that was cancelled."""
    suffix = f"~{again}" if again else ""
    return f"{scenario}/{arm}/{repeat}{suffix}"


async def run_blocks(
    blocks: Sequence[Block],
    arms: Mapping[str, Arm],
    workload: Workload,
    *,
    clock: Clock,
    monitor: Monitor,
    sink: Sink,
    segment: int,
    finished: Collection[str],
    cancelled: Mapping[str, int],
    progress: Callable[[TrialRecord], None],
) -> None:
    """Run every trial that is not ``finished`` (by trial id).

    ``cancelled`` says how often a trial was cancelled before; it runs again under another id.
    On cancellation, the trials in flight are recorded as such before this raises CancelledError.
    """
    for block in blocks:
        for position, name in enumerate(block.arms):
            keys = [
                (key, None if block.offsets is None else block.offsets[i])
                for i, key in enumerate(_keys(block, name, position, cancelled))
                if key.trial not in finished
            ]
            if keys:
                stretch = _Stretch(block, position, arms[name], clock, sink, segment, progress)
                await stretch.run(keys, workload, monitor)


def _keys(block: Block, arm: str, position: int, cancelled: Mapping[str, int]) -> list[TrialKey]:
    keys = []
    for scenario in block.scenarios:
        plain = trial_id(scenario, arm, block.repeat)
        trial = trial_id(scenario, arm, block.repeat, cancelled.get(plain, 0))
        keys.append(TrialKey(trial, scenario, block.repeat, block.index, position, block.warmup))
    return keys


class _Stretch:
    """One arm's stretch of one block."""

    def __init__(
        self,
        block: Block,
        position: int,
        arm: Arm,
        clock: Clock,
        sink: Sink,
        segment: int,
        progress: Callable[[TrialRecord], None],
    ) -> None:
        self._block = block
        self._position = position
        self._arm = arm
        self._clock = clock
        self._sink = sink
        self._segment = segment
        self._progress = progress

    async def run(
        self, keys: Sequence[tuple[TrialKey, float | None]], workload: Workload, monitor: Monitor
    ) -> None:
        wanted = [Wanted(partial(self._arm.start, key), offset) for key, offset in keys]
        monitor.begin()
        started = self._clock.now()
        pace = Pace(self._clock, started, workload.think)
        try:
            await self._dispatch(wanted, pace)
        except ExceptionGroup as group:  # the sink failed: for every trial in flight alike
            raise group.exceptions[0] from group
        ended = self._clock.now()
        used = monitor.end()
        self._sink.append_block(
            BlockRecord(
                block=self._block.index,
                pipeline=self._arm.name,
                segment=self._segment,
                repeat=self._block.repeat,
                position=self._position,
                warmup=self._block.warmup,
                started=started,
                ended=ended,
                trials=len(wanted),
                cpu_s=used.cpu_s,
                peak_rss_mb=used.peak_rss_mb,
                peak_threads=used.peak_threads,
                peak_sockets=used.peak_sockets,
                lag_s=tuple(used.lag_s),
            )
        )

    async def _dispatch(self, wanted: Sequence[Wanted[TrialRun]], pace: Pace) -> None:
        slots = self._arm.slots
        match self._arm.dispatch:
            case "serial":
                await run_threads(wanted, 1, pace, self._keep)
            case "threads":
                await run_threads(wanted, slots, pace, self._keep)
            case "tasks":
                await run_tasks(wanted, slots, pace, self._keep)
            case "batches":
                await run_batches(wanted, slots, pace, self._keep)

    def _keep(self, slot: Slot[TrialRun]) -> None:
        record, answers = self._arm.record(slot, self._segment)
        self._sink.append(record, answers)
        self._progress(record)
