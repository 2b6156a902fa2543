"""One time-out for many: each task gets equally long, so a single timer serves them all."""

import asyncio
from types import TracebackType
from typing import Any

from harness.clock import Clock

_SLACK_S = 0.001  # a loop's timers may come this much before the clock says so


class Patience:
    """Time-outs of ``seconds`` each. One loop only.

    ``asyncio.timeout`` arms a timer of the loop for each task, which is a good part of what a
    short request costs. Since all have the same length they end in the order in which they began.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self.seconds = seconds
        self._clock = clock
        self._waits: dict[Wait, float] = {}  # in the order of their ends
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = (
            None  # asking for it anew costs a system call
        )

    def wait(self) -> "Wait":
        """A block that is left with TimeoutError when its time is over (``with``)."""
        return Wait(self)

    def close(self) -> None:
        """Disarm the timer; who still waits is not disturbed any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self, wait: "Wait") -> "asyncio.Task[Any]":
        """Count from now on; gives the task that ``wait`` is for."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        task = asyncio.current_task(self._loop)
        assert task is not None
        self._waits[wait] = self._clock.now() + self.seconds
        if self._timer is None:
            self._arm(self.seconds)
        return task

    def _arm(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._ring)

    def _ring(self) -> None:
        """End those whose time is over; the timer goes on for as long as anybody is left."""
        now = self._clock.now()
        for wait, end in self._waits.items():
            if end > now + _SLACK_S:
                self._arm(end - now)
                return
            wait.expire()
        self._timer = None


class Wait:
    """One task's time-out. ``expired`` tells whether it has struck."""

    __slots__ = ("_cancelling", "_patience", "_task", "expired")

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self.expired = False

    def expire(self) -> None:
        """Cancel the task, once."""
        if not self.expired:
            self.expired = True
            self._task.cancel()

    def __enter__(self) -> "Wait":
        task = self._task = self._patience._begin(self)
        self._cancelling = task.cancelling()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """As ``asyncio.timeout`` does: somebody else's cancellation is left alone."""
        del self._patience._waits[self]
        if not self.expired:
            return
        alone = self._task.uncancel() <= self._cancelling
        if alone and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from error
