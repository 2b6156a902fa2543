"""The one clock: reading it, sleeping on it; and the bridge between loop and threads."""

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Monotonic seconds and the two ways of waiting; tests pass one that never really sleeps."""

    def now(self) -> float:
        """Monotonic seconds from an arbitrary origin."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait without holding the event loop; 0 or less still yields once."""
        ...

    def sleep_blocking(self, seconds: float) -> None:
        """Wait holding the calling thread; 0 or less returns at once."""
        ...


class MonotonicClock:
    """The real clock, counted from its own creation so that stamps stay small and exact."""

    def __init__(self) -> None:
        self._origin = time.perf_counter()

    def now(self) -> float:
        return time.perf_counter() - self._origin

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    def sleep_blocking(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds)


class ManualClock:
    """Time that moves only when somebody sleeps on it: for tests and for planning."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Move time forward by ``seconds``."""
        with self._lock:
            self._now += seconds

    async def sleep(self, seconds: float) -> None:
        self.advance(max(0.0, seconds))
        await asyncio.sleep(0)

    def sleep_blocking(self, seconds: float) -> None:
        self.advance(max(0.0, seconds))


def run_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` on a new event loop, uvloop where the platform has it."""
    if sys.platform == "win32":
        return asyncio.run(main)
    import uvloop

    return uvloop.run(main)


async def on_thread(function: Callable[[], T]) -> T:
    """Call ``function`` on a thread of its own and wait for it without holding the loop.

    Unlike an executor's, the thread never keeps the process alive: when the waiting task is
    cancelled the call is left to end by itself, and its result is dropped.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def body() -> None:
        result: T | None = None
        caught: BaseException | None = None
        try:
            result = function()
        except BaseException as error:
            caught = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, caught)

    threading.Thread(target=body, daemon=True).start()
    return await future
