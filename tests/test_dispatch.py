"""The four ways of running trials: order, overlap, moments, and what a cancellation leaves."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import pytest

from harness.clock import Clock, ManualClock, MonotonicClock
from harness.dispatch import Pace, Slot, Wanted, run_batches, run_tasks, run_threads
from tests.virtual_time import VirtualClock, run_virtual


class Trial:
    """Takes ``seconds`` of its clock and notes when it ran."""

    def __init__(self, name: int, clock: Clock, seconds: float, log: list[tuple[str, int]]) -> None:
        self.name = name
        self.clock = clock
        self.seconds = seconds
        self.log = log
        self.span: tuple[float, float] | None = None

    async def run(self) -> None:
        began = self.clock.now()
        self.log.append(("begin", self.name))
        await self.clock.sleep(self.seconds)
        self.log.append(("end", self.name))
        self.span = (began, self.clock.now())

    def run_blocking(self) -> None:
        began = self.clock.now()
        self.log.append(("begin", self.name))
        self.clock.sleep_blocking(self.seconds)
        self.log.append(("end", self.name))
        self.span = (began, self.clock.now())


Run = Callable[..., Coroutine[Any, Any, None]]
Slots = list[Slot[Trial]]


def want(make: Callable[[], Trial]) -> Wanted[Trial]:
    """A trial as soon as a slot is free."""
    return Wanted(make, None)


def trials(
    clock: Clock, seconds: Sequence[float], offsets: Sequence[float | None] | None = None
) -> tuple[list[Wanted[Trial]], list[tuple[str, int]]]:
    log: list[tuple[str, int]] = []

    def wanted(i: int) -> Wanted[Trial]:
        offset = None if offsets is None else offsets[i]
        return Wanted(lambda: Trial(i, clock, seconds[i], log), offset)

    return [wanted(i) for i in range(len(seconds))], log


def virtual(
    run: Run,
    slots: int,
    seconds: Sequence[float],
    offsets: Sequence[float | None] | None = None,
    *,
    think: float = 0.0,
    keeping: float = 0.0,
    start: float = 0.0,
) -> tuple[Slots, list[tuple[str, int]]]:
    """Run these trials in virtual time; slots by trial. Keeping a record takes ``keeping``."""

    async def main() -> tuple[Slots, list[tuple[str, int]]]:
        clock = VirtualClock()
        await clock.sleep(start)
        jump = ManualClock()

        class Late(VirtualClock):
            """The virtual clock, moved on by what keeping the records took."""

            def now(self) -> float:
                return super().now() + jump.now()

        used = Late()
        wanted, log = trials(used, seconds, offsets)
        done: Slots = []

        def report(slot: Slot[Trial]) -> None:
            done.append(slot)
            jump.advance(keeping)

        await run(wanted, slots, Pace(used, used.now(), think), report)
        return sorted(done, key=lambda slot: slot.execution.name), log

    return run_virtual(main())


def most_at_once(log: list[tuple[str, int]]) -> int:
    most = now = 0
    for what, _ in log:
        now += 1 if what == "begin" else -1
        most = max(most, now)
    return most


def stamps(slots: Slots) -> list[tuple[float, float, float, float]]:
    return [
        tuple(round(x, 6) for x in (s.scheduled, s.eligible, s.own_done, s.done))  # type: ignore[misc]
        for s in slots
    ]


async def serial(
    clock: Clock, wanted: Sequence[Wanted[Trial]], think: float, keeping: float
) -> Slots:
    done: Slots = []

    def report(slot: Slot[Trial]) -> None:
        done.append(slot)
        assert isinstance(clock, ManualClock)
        clock.advance(keeping)

    await run_threads(wanted, 1, Pace(clock, clock.now(), think), report)
    return done


# --- serial ---


async def test_serial_runs_one_at_a_time_in_order() -> None:
    clock = ManualClock()
    wanted, log = trials(clock, [2.0, 1.0, 3.0])
    done = await serial(clock, wanted, 0.0, 0.0)
    assert log == [(what, i) for i in range(3) for what in ("begin", "end")]
    assert stamps(done) == [(0, 0, 2, 2), (2, 2, 3, 3), (3, 3, 6, 6)]


async def test_serial_in_a_closed_loop_leaves_out_bookkeeping_and_adds_thinking() -> None:
    clock = ManualClock(10.0)
    wanted, _ = trials(clock, [2.0, 2.0, 2.0])
    done = await serial(clock, wanted, think=1.0, keeping=0.25)
    # Wanted 1 s after the slot became free; the record of the former was kept before that.
    assert stamps(done) == [
        (11, 11, 13, 13),
        (14.25, 14.25, 16.25, 16.25),
        (17.5, 17.5, 19.5, 19.5),
    ]


async def test_serial_in_a_burst_counts_the_wait_for_those_before() -> None:
    clock = ManualClock(10.0)
    wanted, _ = trials(clock, [2.0, 2.0, 2.0], [0.0, 0.0, 0.0])
    done = await serial(clock, wanted, 0.0, 0.0)
    assert [slot.scheduled for slot in done] == [10.0] * 3
    assert [slot.eligible for slot in done] == [10.0, 12.0, 14.0]
    assert [slot.done - slot.scheduled for slot in done] == [2.0, 4.0, 6.0]


async def test_serial_at_a_rate_waits_for_the_moment_or_is_late() -> None:
    clock = ManualClock(10.0)
    wanted, _ = trials(clock, [2.0, 1.0, 1.0], [1.0, 1.5, 8.0])
    done = await serial(clock, wanted, 0.0, 0.0)
    assert stamps(done) == [(11, 11, 13, 13), (11.5, 13, 14, 14), (18, 18, 19, 19)]


async def test_nothing_to_do() -> None:
    pace = Pace(ManualClock(), 0.0, 0.0)
    seen: Slots = []
    for run in (run_tasks, run_batches, run_threads):
        await run([], 3, pace, seen.append)
    assert seen == []


# --- threads ---


class Meeting(Trial):
    """Ends only when as many as the barrier wants run at the same time."""

    barrier: threading.Barrier

    def run_blocking(self) -> None:
        self.log.append(("begin", self.name))
        self.barrier.wait(timeout=10.0)
        self.log.append(("end", self.name))


@pytest.mark.parametrize("slots", [1, 2, 5])
async def test_threads_really_overlap(slots: int) -> None:
    clock, log = MonotonicClock(), list[tuple[str, int]]()
    Meeting.barrier = threading.Barrier(slots)
    wanted = [want(partial(Meeting, i, clock, 0, log)) for i in range(slots * 4)]
    done: Slots = []
    here = threading.get_ident()

    def report(slot: Slot[Trial]) -> None:
        assert threading.get_ident() == here  # records are kept on the loop's own thread
        done.append(slot)

    await run_threads(wanted, slots, Pace(clock, clock.now(), 0.0), report)
    assert sorted(slot.execution.name for slot in done) == list(range(slots * 4))
    assert most_at_once(log) == slots
    assert all(slot.scheduled <= slot.eligible <= slot.own_done == slot.done for slot in done)


async def test_threads_leave_the_loop_free() -> None:
    clock = MonotonicClock()
    told = threading.Event()

    class Waiting(Trial):
        def run_blocking(self) -> None:
            assert told.wait(10.0)

    wanted = [want(partial(Waiting, 0, clock, 0, []))]
    done: Slots = []
    task = asyncio.create_task(run_threads(wanted, 1, Pace(clock, 0.0, 0.0), done.append))
    await asyncio.sleep(0)
    assert not task.done()
    told.set()  # only a free loop comes here
    await task
    assert len(done) == 1


# --- tasks ---


@pytest.mark.parametrize("slots", [1, 3, 7, 50])
def test_tasks_keep_their_number_in_flight_and_refill(slots: int) -> None:
    seconds = [1.0 + (i * 7 % 5) for i in range(30)]
    done, log = virtual(run_tasks, slots, seconds)
    assert [name for what, name in log if what == "begin"] == list(range(30))
    assert most_at_once(log) == min(slots, 30)
    # A slot is refilled at once: until the queue is empty, every end is followed by a begin.
    for i, (what, _) in enumerate(log):
        begun = sum(w == "begin" for w, _ in log[:i])
        if what == "end" and begun < 30:
            assert log[i + 1][0] == "begin"
    assert all(slot.own_done == slot.done for slot in done)
    assert all(
        slot.done - slot.scheduled == pytest.approx(seconds[i]) for i, slot in enumerate(done)
    )


def test_tasks_in_a_closed_loop_think_and_leave_out_bookkeeping() -> None:
    done, _ = virtual(run_tasks, 1, [2.0, 2.0], think=1.0, keeping=0.25, start=5.0)
    assert stamps(done) == [(6, 6, 8, 8), (9.25, 9.25, 11.25, 11.25)]


def test_tasks_in_a_burst() -> None:
    done, _ = virtual(run_tasks, 2, [2.0, 3.0, 2.0], [0.0, 0.0, 0.0], start=5.0)
    assert stamps(done) == [(5, 5, 7, 7), (5, 5, 8, 8), (5, 7, 9, 9)]


def test_tasks_at_a_rate() -> None:
    done, _ = virtual(run_tasks, 2, [3.0, 3.0, 3.0, 1.0], [0.5, 1.0, 1.5, 9.0], start=5.0)
    assert stamps(done) == [
        (5.5, 5.5, 8.5, 8.5),
        (6, 6, 9, 9),
        (6.5, 8.5, 11.5, 11.5),
        (14, 14, 15, 15),
    ]


# --- batches ---


def test_batches_wait_for_their_slowest() -> None:
    done, log = virtual(run_batches, 3, [1.0, 4.0, 2.0, 1.0, 1.5], start=5.0)
    assert stamps(done) == [
        (5, 5, 6, 9),
        (5, 5, 9, 9),
        (5, 5, 7, 9),
        (9, 9, 10, 10.5),
        (9, 9, 10.5, 10.5),
    ]
    assert log.index(("begin", 3)) > log.index(("end", 1))
    assert most_at_once(log) == 3


def test_batches_in_a_closed_loop_think_and_leave_out_bookkeeping() -> None:
    done, _ = virtual(run_batches, 2, [1.0, 2.0, 1.0], think=1.0, keeping=0.25)
    assert stamps(done) == [(1, 1, 2, 3), (1, 1, 3, 3), (4.5, 4.5, 5.5, 5.5)]


def test_batches_in_a_burst() -> None:
    done, _ = virtual(run_batches, 2, [1.0, 2.0, 1.0], [0.0] * 3, start=5.0)
    assert stamps(done) == [(5, 5, 6, 7), (5, 5, 7, 7), (5, 7, 8, 8)]


def test_batches_at_a_rate_start_with_their_last() -> None:
    done, _ = virtual(run_batches, 2, [1.0, 2.0, 1.0], [0.0, 3.0, 3.5], start=5.0)
    assert stamps(done) == [(5, 8, 9, 10), (8, 8, 10, 10), (8.5, 10, 11, 11)]


# --- cancellation ---


class Held(Trial):
    """Begins and does not end until it is let go."""

    begun: list[int]
    gone: threading.Event
    reached: asyncio.Event
    loop: asyncio.AbstractEventLoop
    enough: int
    threads: list[threading.Thread]

    def _begin(self) -> None:
        self.begun.append(self.name)
        if len(self.begun) == self.enough:
            self.loop.call_soon_threadsafe(self.reached.set)

    async def run(self) -> None:
        self._begin()
        await asyncio.Event().wait()

    def run_blocking(self) -> None:
        self.threads.append(threading.current_thread())
        self._begin()
        assert self.gone.wait(10.0)


WAYS: list[Any] = [
    pytest.param(run_threads, 1, id="serial"),
    pytest.param(run_threads, 3, id="threads"),
    pytest.param(run_tasks, 3, id="tasks"),
    pytest.param(run_batches, 3, id="batches"),
]


@pytest.mark.parametrize(("run", "slots"), WAYS)
async def test_a_cancellation_reports_what_is_in_flight_once_and_starts_no_more(
    run: Run, slots: int
) -> None:
    clock = MonotonicClock()
    Held.begun, Held.threads, Held.enough = [], [], slots
    Held.gone, Held.reached = threading.Event(), asyncio.Event()
    Held.loop = asyncio.get_running_loop()
    wanted = [want(partial(Held, i, clock, 0, [])) for i in range(10)]
    done: Slots = []
    task = asyncio.create_task(run(wanted, slots, Pace(clock, 0.0, 0.0), done.append))
    await asyncio.wait_for(Held.reached.wait(), 10.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    Held.gone.set()
    for thread in Held.threads:
        thread.join(10.0)
        assert not thread.is_alive()
    await asyncio.sleep(0)
    assert sorted(Held.begun) == list(range(slots))
    assert sorted(slot.execution.name for slot in done) == list(range(slots))
    assert all(slot.cancelled for slot in done)
    assert all(slot.scheduled <= slot.eligible <= slot.done for slot in done)


@pytest.mark.parametrize("run", [run_tasks, run_batches])
def test_what_had_ended_before_a_cancellation_is_not_cancelled(run: Run) -> None:
    async def main() -> None:
        clock = VirtualClock()
        wanted, log = trials(clock, [1.0, 5.0, 5.0, 5.0])
        done: Slots = []
        task = asyncio.create_task(run(wanted, 2, Pace(clock, 0.0, 0.0), done.append))
        await asyncio.sleep(3.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        by_name = {slot.execution.name: slot for slot in done}
        assert len(by_name) == len(done)
        assert not by_name[0].cancelled
        assert by_name[0].own_done == 1.0
        assert by_name[1].cancelled
        started = {name for what, name in log if what == "begin"}
        assert started == set(by_name)
        assert [slot.done for slot in done if slot.cancelled] == [3.0] * (len(done) - 1)

    run_virtual(main())


@pytest.mark.parametrize("run", [run_tasks, run_batches])
def test_a_cancellation_while_waiting_for_a_moment_starts_nothing(run: Run) -> None:
    async def main() -> None:
        clock = VirtualClock()
        wanted, log = trials(clock, [1.0, 1.0], [5.0, 6.0])
        done: Slots = []
        task = asyncio.create_task(run(wanted, 2, Pace(clock, 0.0, 0.0), done.append))
        await asyncio.sleep(3.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (log, done) == ([], [])

    run_virtual(main())


@pytest.mark.parametrize("slots", [1, 3])
async def test_threads_that_wait_for_a_moment_start_nothing_after_a_cancellation(
    slots: int,
) -> None:
    asleep, wake = threading.Semaphore(0), threading.Event()
    threads: list[threading.Thread] = []
    loop, reached = asyncio.get_running_loop(), asyncio.Event()

    class Sleepy(MonotonicClock):
        def sleep_blocking(self, seconds: float) -> None:
            threads.append(threading.current_thread())
            asleep.release()
            if len(threads) == slots:
                loop.call_soon_threadsafe(reached.set)
            assert wake.wait(10.0)

    clock = Sleepy()
    wanted, log = trials(clock, [0.0] * 6, [100.0] * 6)
    done: Slots = []
    task = asyncio.create_task(run_threads(wanted, slots, Pace(clock, 0.0, 0.0), done.append))
    await asyncio.wait_for(reached.wait(), 10.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    wake.set()
    for thread in threads:
        thread.join(10.0)
    await asyncio.sleep(0)
    assert len(threads) == slots
    assert (log, done) == ([], [])


async def test_a_thread_that_ends_after_the_loop_says_nothing(
    recwarn: pytest.WarningsRecorder,
) -> None:
    """Ctrl-C leaves the call in hand to end by itself, when there may be no loop any more."""
    gone, here = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []
    clock = MonotonicClock()

    class Lasting(Trial):
        def run_blocking(self) -> None:
            threads.append(threading.current_thread())
            here.set()
            assert gone.wait(10.0)

    def interrupted() -> None:
        async def main() -> None:
            wanted = [want(partial(Lasting, 0, clock, 0, []))]
            done: Slots = []
            task = asyncio.create_task(run_threads(wanted, 1, Pace(clock, 0.0, 0.0), done.append))
            await asyncio.get_running_loop().run_in_executor(None, here.wait)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert [slot.cancelled for slot in done] == [True]

        asyncio.run(main())

    outer = threading.Thread(target=interrupted)
    outer.start()
    outer.join(10.0)
    gone.set()
    threads[0].join(10.0)
    assert not threads[0].is_alive()
    assert not outer.is_alive()
    assert list(recwarn) == []


# --- a record that cannot be kept ---


@pytest.mark.parametrize(("run", "slots"), WAYS)
async def test_when_a_record_cannot_be_kept_the_rest_is_not_run(run: Run, slots: int) -> None:
    clock = ManualClock()
    wanted, log = trials(clock, [1.0] * 12)

    def full(slot: Slot[Trial]) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises((ExceptionGroup, OSError)) as caught:
        await run(wanted, slots, Pace(clock, 0.0, 0.0), full)
    error: BaseException = caught.value
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, OSError)
    assert error.errno == 28
    assert len([what for what, _ in log if what == "begin"]) <= slots
