"""Admission: order, bounds, deadlines, cancellation, what the limit is told, draining."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clock import ManualClock
from harness.limits import AdaptiveLimit
from harness.records import ErrorType
from harness.service.admission import Admission, DeadlinePassed, Full
from tests.virtual_time import VirtualClock, run_virtual


class Told(AdaptiveLimit):
    """A limit that moves only when the test says so, and remembers what it was told."""

    def __init__(self, limit: int) -> None:
        super().__init__(1, 1000, limit)
        self.told: list[tuple[float | None, ErrorType | None, int, float]] = []

    def observe(
        self, latency_s: float | None, failure: ErrorType | None, in_flight: int, now: float
    ) -> None:
        self.told.append((latency_s, failure, in_flight, now))

    def move(self, limit: int) -> None:
        self._move(limit, "growth")


class Guests:
    """Tasks that take a slot each and leave when they are told to."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.inside: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._leave: dict[str, asyncio.Event] = {}

    async def come(self, *names: str, deadline: float | None = None) -> None:
        for name in names:
            self._leave[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._stay(name, deadline))
        await settle()

    async def go(self, *names: str) -> None:
        for name in names:
            self._leave[name].set()
        await settle()

    async def _stay(self, name: str, deadline: float | None) -> None:
        async with self.admission.slot(deadline):
            self.inside.append(name)
            await self._leave[name].wait()
            self.inside.remove(name)


async def settle() -> None:
    """Let all that is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


def admission(limit: int, queue: int) -> tuple[Admission, Told, Guests]:
    told = Told(limit)
    made = Admission(told, queue, VirtualClock())
    return made, told, Guests(made)


def virtual(test: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
    """The test on a loop where waiting takes no time."""

    def run() -> None:
        run_virtual(test())

    run.__name__ = test.__name__
    return run


async def test_a_free_slot_is_taken_without_waiting_for_the_loop() -> None:
    made = Admission(AdaptiveLimit(2, 2, 2), 0, ManualClock())
    with pytest.raises(StopIteration):  # a coroutine that ends at its first step
        made.slot().__aenter__().send(None)
    assert (made.in_flight, made.admitted_total) == (1, 1)
    assert asyncio.all_tasks() == {asyncio.current_task()}


@virtual
async def test_no_more_enter_than_the_limit_and_the_rest_in_the_order_they_came() -> None:
    made, _, guests = admission(2, 10)
    await guests.come("a", "b", "c", "d", "e")
    assert guests.inside == ["a", "b"]
    assert (made.in_flight, made.waiting) == (2, 3)
    await guests.go("b")
    assert guests.inside == ["a", "c"]
    await guests.go("a", "c")
    assert guests.inside == ["d", "e"]
    await guests.go("d", "e")
    assert (made.in_flight, made.waiting, made.admitted_total) == (0, 0, 5)


@virtual
async def test_who_comes_late_does_not_overtake() -> None:
    _, _, guests = admission(1, 10)
    await guests.come("a", "b")
    guests._leave["a"].set()
    guests.tasks["late"] = asyncio.create_task(guests._stay("late", None))
    guests._leave["late"] = asyncio.Event()
    await settle()
    assert guests.inside == ["b"]
    await guests.go("b")
    assert guests.inside == ["late"]
    await guests.go("late")


@virtual
async def test_beyond_the_queue_all_are_refused_at_once() -> None:
    made, _, guests = admission(1, 2)
    await guests.come("a", "b", "c")
    with pytest.raises(Full) as refused:
        async with made.slot():
            pass
    assert refused.value.retry_after_s == 1.0
    assert "try again in 1 s" in str(refused.value)
    assert (made.rejected_total, made.in_flight, made.waiting) == (1, 1, 2)
    await guests.go("a", "b", "c")


@virtual
async def test_who_is_refused_is_told_how_long_those_before_it_take() -> None:
    made, _, guests = admission(2, 3)
    clock = VirtualClock()
    for _ in range(3):
        async with made.slot():
            await clock.sleep(6.0)
    await guests.come("a", "b", "c", "d", "e")
    with pytest.raises(Full) as refused:
        async with made.slot():
            pass
    assert refused.value.retry_after_s == pytest.approx(6.0 * (3 + 1) / 2)
    await guests.go("a", "b", "c", "d", "e")


@virtual
async def test_a_deadline_ends_the_wait() -> None:
    made, _, guests = admission(1, 10)
    clock = VirtualClock()
    await guests.come("a")
    with pytest.raises(DeadlinePassed):
        async with made.slot(clock.now() + 3.0):
            pass
    assert clock.now() == pytest.approx(3.0)
    assert (made.waiting, made.in_flight, made.expired_total) == (0, 1, 1)
    await guests.come("b")
    await guests.go("a")
    assert guests.inside == ["b"]
    await guests.go("b")


@virtual
async def test_a_deadline_that_has_passed_is_not_tried() -> None:
    made, _, _ = admission(1, 10)
    with pytest.raises(DeadlinePassed, match="deadline"):
        async with made.slot(0.0):
            pass
    assert (made.in_flight, made.admitted_total, made.expired_total) == (0, 0, 1)


@virtual
async def test_a_deadline_does_not_bind_those_who_have_entered() -> None:
    made, _, _ = admission(1, 10)
    clock = VirtualClock()
    async with made.slot(1.0):
        await clock.sleep(5.0)
    assert made.in_flight == 0


@virtual
async def test_a_waiter_that_is_cancelled_leaves_nothing_behind() -> None:
    made, _, guests = admission(1, 3)
    await guests.come("a", "b", "c", "d", deadline=100.0)
    guests.tasks["c"].cancel()
    await settle()
    assert made.waiting == 2
    await guests.go("a", "b")
    assert guests.inside == ["d"]
    await guests.go("d")
    assert (made.in_flight, made.waiting) == (0, 0)
    assert guests.tasks["c"].cancelled()


@virtual
async def test_a_slot_given_in_the_moment_of_cancellation_goes_to_the_next() -> None:
    made, _, guests = admission(1, 3)
    await guests.come("a", "b", "c")
    guests._leave["a"].set()
    waiter = next(iter(made._waiters))
    await asyncio.sleep(0)
    assert waiter.done()
    assert guests.inside == []  # b has its slot, but has not run yet
    guests.tasks["b"].cancel()
    await settle()
    assert guests.tasks["b"].cancelled()
    assert guests.inside == ["c"]
    await guests.go("c")
    assert made.in_flight == 0


@virtual
async def test_a_slot_is_not_given_to_a_waiter_that_was_cancelled_in_the_same_moment() -> None:
    made, _, guests = admission(1, 3)
    await guests.come("a", "b", "c")
    next(iter(made._waiters)).cancel()  # as its task's cancellation does first
    made._free()
    made.in_flight += 1  # what a still holds
    await settle()
    assert made.waiting == 0
    assert guests.inside == ["a", "c"]
    await guests.go("a", "c")


@virtual
async def test_a_deadline_in_the_moment_of_cancellation_frees_no_slot() -> None:
    made, _, guests = admission(1, 3)
    await guests.come("a")
    await guests.come("b", deadline=3.0)
    made._expire(next(iter(made._waiters)))
    guests.tasks["b"].cancel()
    await settle()
    assert guests.tasks["b"].cancelled()
    assert (made.in_flight, made.waiting) == (1, 0)
    await guests.go("a")


@virtual
async def test_waiters_wake_when_the_limit_grows_and_none_enters_when_it_falls() -> None:
    made, limit, guests = admission(2, 10)
    await guests.come("a", "b", "c", "d", "e", "f")
    limit.move(4)
    await guests.go("a")
    assert guests.inside == ["b", "c", "d", "e"]
    limit.move(2)
    await guests.go("b", "c")
    assert guests.inside == ["d", "e"]
    await guests.go("d")
    assert guests.inside == ["e", "f"]
    await guests.go("e", "f")
    assert made.in_flight == 0


@virtual
async def test_the_limit_is_told_how_each_call_went() -> None:
    made, limit, _ = admission(2, 10)
    clock = VirtualClock()
    async with made.slot() as slot:
        await clock.sleep(2.0)
        slot.finished(1.5)
    async with made.slot() as slot:
        await clock.sleep(3.0)
        slot.finished(failure="rate_limited")
    async with made.slot() as outer, made.slot() as inner:
        inner.finished(0.25, "timeout")
        outer.finished(0.5)
    assert limit.told == [
        (1.5, None, 1, 2.0),
        (3.0, "rate_limited", 1, 5.0),
        (0.25, "timeout", 2, 5.0),
        (0.5, None, 1, 5.0),
    ]


@virtual
async def test_the_limit_is_told_nothing_of_who_says_nothing() -> None:
    made, limit, _ = admission(2, 10)
    with pytest.raises(ZeroDivisionError):
        async with made.slot():
            raise ZeroDivisionError
    assert limit.told == []
    assert made.in_flight == 0


@virtual
async def test_draining_refuses_newcomers_and_serves_those_who_are_there() -> None:
    made, _, guests = admission(1, 10)
    await guests.come("a", "b")
    draining = asyncio.create_task(made.drain())
    await settle()
    with pytest.raises(Full):
        async with made.slot():
            pass
    await guests.go("a")
    assert guests.inside == ["b"]
    assert not draining.done()
    await guests.go("b")
    assert draining.done()
    await made.drain()  # again, and at once
    assert made.rejected_total == 1


@virtual
async def test_draining_does_not_wait_for_those_who_gave_up() -> None:
    made, _, guests = admission(1, 10)
    await guests.come("a")
    await guests.come("b", deadline=2.0)
    await guests.come("c")
    draining = asyncio.create_task(made.drain())
    await VirtualClock().sleep(2.5)
    guests.tasks["c"].cancel()
    guests.tasks["a"].cancel()
    await settle()
    assert draining.done()
    assert isinstance(guests.tasks["b"].exception(), DeadlinePassed)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.integers(1, 5)),
        st.tuples(st.just("go"), st.integers(0, 30)),
        st.tuples(st.just("cancel"), st.integers(0, 30)),
        st.tuples(st.just("limit"), st.integers(1, 6)),
        st.tuples(st.just("pass"), st.integers(1, 4)),
    ),
    max_size=40,
)


@given(steps=steps, queue=st.integers(0, 5))
def test_whatever_happens_it_counts_right_and_serves_in_order(
    steps: list[tuple[str, int]], queue: int
) -> None:
    async def play() -> None:
        made, limit, guests = admission(2, queue)
        clock = VirtualClock()
        entered: list[int] = []
        names = 0
        for what, number in steps:
            before = set(guests.inside)
            at_limit = made.in_flight >= limit.limit
            if what == "come":
                for _ in range(number):
                    await guests.come(str(names), deadline=clock.now() + 3.0)
                    names += 1
            elif what == "go" and str(number) in guests.inside:
                await guests.go(str(number))
            elif what == "cancel" and str(number) in guests.tasks:
                guests.tasks[str(number)].cancel()
                guests.inside = [name for name in guests.inside if name != str(number)]
                await settle()
            elif what == "limit":
                limit.move(number)
            elif what == "pass":
                await clock.sleep(float(number))
            new = sorted(map(int, set(guests.inside) - before))
            assert not (at_limit and what in ("come", "limit", "pass") and new)
            entered += new
            assert made.in_flight == len(guests.inside)
            assert made.waiting <= queue
        assert entered == sorted(entered)  # names are numbers in the order of coming
        await settle()
        for task in guests.tasks.values():
            task.cancel()
        results = await asyncio.gather(*guests.tasks.values(), return_exceptions=True)
        refused = sum(isinstance(result, Full) for result in results)
        expired = sum(isinstance(result, DeadlinePassed) for result in results)
        assert (made.rejected_total, made.expired_total) == (refused, expired)
        assert (made.in_flight, made.waiting) == (0, 0)

    run_virtual(play())
