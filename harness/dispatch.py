"""The four ways of running a block's trials: serial, threads, tasks, batches.

Each takes the trials in order, stamps when a trial was wanted (``scheduled``) and when it could
begin (``eligible``: its slot was free too), runs it, and reports it. What a trial does is not
known here.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from harness.clock import Clock, on_thread


class Execution(Protocol):
    """One trial being run. It catches every failure of its own and keeps what happened."""

    async def run(self) -> None: ...

    def run_blocking(self) -> None: ...


E = TypeVar("E", bound=Execution)


@dataclass(frozen=True, slots=True)
class Wanted(Generic[E]):
    """A trial to run: how to start it, and when it is wanted, in seconds from the block's start
    (None: as soon as a slot is free).
    """

    start: Callable[[], E]
    offset: float | None


@dataclass(frozen=True, slots=True)
class Slot(Generic[E]):
    """A trial that was run, with its stamps in clock seconds; ``own_done`` is its own end,
    ``done`` when its caller had it.
    """

    execution: E
    scheduled: float
    eligible: float
    own_done: float
    done: float
    cancelled: bool = False


Report = Callable[[Slot[E]], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """What turns a trial into moments: the block's start and the think time of a closed loop."""

    clock: Clock
    start: float
    think: float

    def moments(self, wanted: Wanted[E], free: float) -> tuple[float, float]:
        """(scheduled, eligible) for a slot that became free at ``free``."""
        if wanted.offset is None:
            return free + self.think, free + self.think
        scheduled = self.start + wanted.offset
        return scheduled, max(scheduled, free)


async def run_tasks(wanted: Sequence[Wanted[E]], slots: int, pace: Pace, report: Report[E]) -> None:
    """At most ``slots`` trials in flight on this loop, each slot refilled as it is free."""
    queue = iter(wanted)
    async with asyncio.TaskGroup() as group:
        for _ in range(min(slots, len(wanted))):
            group.create_task(_task_slot(queue, pace, report))


async def _task_slot(queue: Iterator[Wanted[E]], pace: Pace, report: Report[E]) -> None:
    clock, free = pace.clock, pace.start
    for wanted in queue:
        scheduled, eligible = pace.moments(wanted, free)
        if (ahead := scheduled - clock.now()) > 0:
            await clock.sleep(ahead)
        execution = wanted.start()
        try:
            await execution.run()
        except asyncio.CancelledError:
            now = clock.now()
            report(Slot(execution, scheduled, eligible, now, now, cancelled=True))
            raise
        done = clock.now()
        report(Slot(execution, scheduled, eligible, done, done))
        free = clock.now()  # keeping the record is not the next trial's waiting time


async def run_batches(
    wanted: Sequence[Wanted[E]], size: int, pace: Pace, report: Report[E]
) -> None:
    """Groups of ``size`` trials at once; the next group starts when the slowest is back.

    With moments given, a group starts when its last trial is wanted. A caller has its answer when
    the batch returns.
    """
    clock, free = pace.clock, pace.start
    for first in range(0, len(wanted), size):
        batch = wanted[first : first + size]
        moments = [pace.moments(item, free) for item in batch]
        begin = max(eligible for _, eligible in moments)
        if (ahead := begin - clock.now()) > 0:
            await clock.sleep(ahead)
        executions = [item.start() for item in batch]
        ends: dict[int, float] = {}

        async def run_one(
            i: int, executions: list[E] = executions, ends: dict[int, float] = ends
        ) -> None:
            await executions[i].run()
            ends[i] = clock.now()

        cancelled = False
        try:
            async with asyncio.TaskGroup() as group:
                for i in range(len(batch)):
                    group.create_task(run_one(i))
        except asyncio.CancelledError:
            cancelled = True
            raise
        finally:
            done = clock.now()
            for i, (scheduled, _) in enumerate(moments):
                end = ends.get(i, done)
                report(
                    Slot(executions[i], scheduled, begin, end, done, cancelled and i not in ends)
                )
        free = clock.now()


async def run_threads(
    wanted: Sequence[Wanted[E]], slots: int, pace: Pace, report: Report[E]
) -> None:
    """The blocking trial on ``slots`` threads; with one slot, one trial after another.

    The loop stays free. On cancellation the threads are told to stop after the trial in hand,
    which is reported as cancelled at once and left to end by itself.
    """
    clock, loop = pace.clock, asyncio.get_running_loop()
    queue, lock, stop = iter(wanted), threading.Lock(), threading.Event()
    in_hand: dict[int, tuple[E, float, float]] = {}

    def finished(key: int, slot: Slot[E]) -> None:
        with lock:
            mine = in_hand.pop(key, None) is not None
        if mine:
            report(slot)

    def body(key: int) -> None:
        free = pace.start
        while not stop.is_set():
            with lock:
                item = next(queue, None)
            if item is None:
                return
            scheduled, eligible = pace.moments(item, free)
            if (ahead := scheduled - clock.now()) > 0:
                clock.sleep_blocking(ahead)
            execution = item.start()
            with lock:  # either it is in hand before the end, or it does not begin
                if stop.is_set():
                    return
                in_hand[key] = (execution, scheduled, eligible)
            execution.run_blocking()
            done = clock.now()
            if stop.is_set():
                return  # it was reported as cancelled
            slot = Slot(execution, scheduled, eligible, done, done)
            asyncio.run_coroutine_threadsafe(_call(finished, key, slot), loop).result()
            free = clock.now()

    try:
        async with asyncio.TaskGroup() as group:
            for key in range(min(slots, len(wanted))):
                group.create_task(on_thread(lambda key=key: body(key)))  # type: ignore[misc]
    except asyncio.CancelledError:
        with lock:
            stop.set()
            left = list(in_hand.values())
            in_hand.clear()
        now = clock.now()
        for execution, scheduled, eligible in left:
            report(Slot(execution, scheduled, eligible, now, now, cancelled=True))
        raise
    finally:
        stop.set()


async def _call(function: Callable[[int, Slot[E]], None], key: int, slot: Slot[E]) -> None:
    function(key, slot)
