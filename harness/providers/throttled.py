"""A provider behind a rate limit: no more than so many calls leave in any window."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from asyncio_throttle.throttler import Throttler

from harness.clock import Clock
from harness.prompt import Prompt
from harness.providers.base import Completion, Provider, ProviderError, Trace


class Throttled:
    """``inner`` at no more than ``rate`` calls a second, admitted in the order in which they came.

    The wait is its own stamp (``Trace.admitted``). asyncio-throttle keeps a sliding window but
    serves its waiters in no order and lets each of them poll; one lock in front of it makes the
    queue fair and leaves a single poller. The limit is per process.
    """

    def __init__(self, inner: Provider, rate: float, clock: Clock) -> None:
        calls = max(1, int(rate))  # 2.5 a second is 2 in 0.8 s: the throttler counts whole calls
        self._inner = inner
        self._rate = rate
        self._clock = clock
        self._throttler = Throttler(rate_limit=calls, period=calls / rate)
        self._lock = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._inner.open()

    async def close(self) -> None:
        await self._inner.close()

    def describe(self) -> dict[str, Any]:
        return {**self._inner.describe(), "rate_limit": self._rate}

    async def _admit(self) -> None:
        async with self._lock:
            await self._throttler.acquire()  # type: ignore[no-untyped-call]

    def complete_blocking(self, prompt: Prompt, trace: Trace) -> Completion:
        assert self._loop is not None, "open() comes first"
        waiting = asyncio.run_coroutine_threadsafe(self._admit(), self._loop)
        try:
            waiting.result(prompt.left(self._clock.now()))
        except TimeoutError as error:
            waiting.cancel()
            raise ProviderError("timeout", "not admitted in time by the rate limit") from error
        trace.admitted = self._clock.now()
        return self._inner.complete_blocking(prompt, trace)

    async def complete(self, prompt: Prompt, trace: Trace) -> Completion:
        await self._admit()
        trace.admitted = self._clock.now()
        return await self._inner.complete(prompt, trace)

    async def stream(self, prompt: Prompt, trace: Trace) -> AsyncGenerator[str, None]:
        await self._admit()
        trace.admitted = self._clock.now()
        async with aclosing(self._inner.stream(prompt, trace)) as texts:
            async for text in texts:
                yield text
