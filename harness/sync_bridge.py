"""Async code from synchronous code, whether or not an event loop is already running."""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

from harness.clock import run_loop

T = TypeVar("T")


def run_sync(coroutine: Coroutine[Any, Any, T], *, timeout: float | None = None) -> T:
    """Run ``coroutine`` to its end on an event loop of its own, and give its result.

    Where no loop is running, that loop runs on this thread; where one is (a notebook, Streamlit,
    a callback), on a thread of its own, while this one waits. What belongs to the running loop
    cannot be awaited by ``coroutine``: that loop stands still meanwhile.

    The coroutine sees the caller's context variables. Its exception comes out as it is. After
    ``timeout`` seconds (None: no bound), and on Ctrl-C, the coroutine is cancelled and waited for,
    then TimeoutError or KeyboardInterrupt is raised; a second Ctrl-C no longer waits.
    """
    if not asyncio.iscoroutine(coroutine):
        raise TypeError(f"run_sync takes a coroutine, not {type(coroutine).__name__}")
    if _loop_is_running():
        return _Call(coroutine, timeout).result()
    return run_loop(_bounded(coroutine, timeout))


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _bounded(coroutine: Coroutine[Any, Any, T], seconds: float | None) -> T:
    async with asyncio.timeout(seconds):
        return await coroutine


class _Call(Generic[T]):
    """One coroutine on a thread of its own."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], timeout: float | None) -> None:
        self._coroutine = coroutine
        self._timeout = timeout
        self._begun = threading.Event()  # or it never will
        self._ended = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._results: list[T] = []
        self._error: BaseException | None = None

    def result(self) -> T:
        """Wait for the coroutine's end on the calling thread."""
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(self._body,), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads
            self._coroutine.close()
            raise
        try:
            self._ended.wait()  # not join(), which takes the thread for ended when interrupted
        except BaseException:  # Ctrl-C, or what another signal's handler raises
            self._cancel()
            self._ended.wait()
            raise
        thread.join()
        if self._error is not None:
            raise self._error
        return self._results[0]

    def _body(self) -> None:
        try:
            self._results.append(run_loop(self._main()))
        except BaseException as error:
            self._error = error
        finally:
            self._begun.set()
            self._ended.set()

    async def _main(self) -> T:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._begun.set()
        return await _bounded(self._coroutine, self._timeout)

    def _cancel(self) -> None:
        self._begun.wait()
        if self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it has just ended
                self._loop.call_soon_threadsafe(self._task.cancel)
