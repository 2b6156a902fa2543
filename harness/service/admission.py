"""Who may call the provider now: a fair, bounded queue in front of an adaptive limit."""

import asyncio
from collections import OrderedDict
from types import TracebackType

from harness.clock import Clock
from harness.limits import AdaptiveLimit
from harness.records import ErrorType

_SMOOTHING = 0.1  # of the service time, which only feeds the advice of when to come again


class Full(Exception):  # noqa: N818 - what happened is the name
    """No room to wait, or the service is draining. ``retry_after_s``: when to come again."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"the queue is full; try again in {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


class DeadlinePassed(Exception):  # noqa: N818 - what happened is the name
    """The deadline came before the turn."""

    def __init__(self) -> None:
        super().__init__("the deadline passed while waiting for a free slot")


class Admission:
    """At most ``limit.limit`` slots taken, at most ``queue`` waiting for one, first come first
    served. One loop only.
    """

    def __init__(self, limit: AdaptiveLimit, queue: int, clock: Clock) -> None:
        self.limit = limit
        self.in_flight = 0
        self.admitted_total = 0
        self.rejected_total = 0
        """Refused at once: no room to wait, or draining."""
        self.expired_total = 0
        """Gave up at their deadline."""
        self._most_waiting = queue
        self._clock = clock
        self._waiters: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._service_s: float | None = None
        self._idle: asyncio.Event | None = None  # there once draining has begun

    @property
    def waiting(self) -> int:
        """How many wait for a slot now."""
        return len(self._waiters)

    def slot(self, deadline: float | None = None) -> "Slot":
        """A slot, to be entered with ``async with``; ``deadline`` in seconds of the clock.

        Entering raises Full at once when there is no room to wait, and DeadlinePassed when the
        deadline comes first. Leaving frees the slot, however the body ended.
        """
        return Slot(self, deadline)

    def retry_after_s(self) -> float:
        """When one who is refused now would find room: the time that those before it take."""
        turns = (self.waiting + 1) / self.limit.limit
        return max(1.0, (self._service_s or 0.0) * turns)

    async def drain(self) -> None:
        """Refuse all who come from now on, and return when those who were there have left."""
        if self._idle is None:
            self._idle = asyncio.Event()
        self._tell_idle()
        await self._idle.wait()

    async def _enter(self, deadline: float | None, now: float) -> float:
        """Take a slot in one's turn; gives the moment of it."""
        if deadline is not None and now >= deadline:
            self.expired_total += 1
            raise DeadlinePassed
        if self._idle is not None or len(self._waiters) >= self._most_waiting:
            self._refuse()
        await self._wait(None if deadline is None else deadline - now)
        return self._clock.now()

    def _enter_at_once(self, deadline: float | None, now: float) -> bool:
        """Take a slot if one is free and nobody has to go first."""
        if (
            self.in_flight >= self.limit.limit
            or self._waiters
            or self._idle is not None
            or (deadline is not None and now >= deadline)
        ):
            return False
        self.in_flight += 1
        return True

    def _refuse(self) -> None:
        self.rejected_total += 1
        raise Full(self.retry_after_s())

    async def _wait(self, patience_s: float | None) -> None:
        """Wait until a slot was taken in this waiter's name."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters[waiter] = None
        timer = None if patience_s is None else loop.call_later(patience_s, self._expire, waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._waiters.pop(waiter, None)
                self._tell_idle()
            elif waiter.exception() is None:
                self._free()  # the slot came in the same moment as the cancellation
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _expire(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.done():
            del self._waiters[waiter]
            self.expired_total += 1
            waiter.set_exception(DeadlinePassed())
            self._tell_idle()

    def _leave(self, slot: "Slot") -> None:
        now = self._clock.now()
        held = now - slot.entered
        if slot.latency_s is not None or slot.failure is not None:
            latency = held if slot.latency_s is None else slot.latency_s
            self.limit.observe(latency, slot.failure, self.in_flight, now)
        before = held if self._service_s is None else self._service_s
        self._service_s = before + _SMOOTHING * (held - before)
        self._free()

    def _free(self) -> None:
        """Give up one slot, and take those that are free now for the first who wait."""
        self.in_flight -= 1
        while self._waiters and self.in_flight < self.limit.limit:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():  # else it was cancelled, but has not yet run to say so
                self.in_flight += 1
                waiter.set_result(None)
        if self._idle is not None:
            self._tell_idle()

    def _tell_idle(self) -> None:
        if self._idle is not None and not self.in_flight and not self._waiters:
            self._idle.set()


class Slot:
    """One place among those that may call the provider; tells the limit how the call went."""

    __slots__ = ("_admission", "_deadline", "entered", "failure", "latency_s")

    def __init__(self, admission: Admission, deadline: float | None) -> None:
        self._admission = admission
        self._deadline = deadline
        self.entered = 0.0
        """The moment it was taken, in seconds of the clock."""
        self.latency_s: float | None = None
        self.failure: ErrorType | None = None

    def finished(self, latency_s: float | None = None, failure: ErrorType | None = None) -> None:
        """Say how the call went: seconds from sending it to its end, and its error if it had one.

        Without a latency, that of a failed call is how long the slot was held. A body that never
        says so (cancelled, say) teaches the limit nothing.
        """
        self.latency_s = latency_s
        self.failure = failure

    async def __aenter__(self) -> "Slot":
        admission = self._admission
        now = admission._clock.now()
        if not admission._enter_at_once(self._deadline, now):
            now = await admission._enter(self._deadline, now)
        admission.admitted_total += 1
        self.entered = now
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._admission._leave(self)
