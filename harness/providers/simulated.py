"""The simulated model in process: the engine's replies on this process's own clock."""

import math
import threading
from collections.abc import AsyncGenerator
from typing import Any

from harness.clock import Clock
from harness.prompt import Prompt
from harness.providers.base import Completion, ProviderError, Trace
from harness.records import ErrorType, SimTiming
from harness.simulator.engine import Engine, Reply

FAULTS: dict[str, tuple[ErrorType, int | None]] = {
    "http_5xx": ("http_5xx", 503),
    "rate_limited": ("rate_limited", 429),
    "reset": ("reset", None),
}


class SimulatedProvider:
    """The simulated LLM without a network between.

    A call that finds no idle connection first pays for a new one, as the engine's overrides have
    it; without ``keepalive`` none is ever idle.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        *,
        timeout: float = math.inf,
        keepalive: bool = True,
    ) -> None:
        self._timeout = timeout
        self._engine = engine
        self._clock = clock
        self._keepalive = keepalive
        self._idle = 0  # connections
        self._lock = threading.Lock()  # over _idle

    async def open(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        """Nothing to release."""

    def describe(self) -> dict[str, Any]:
        engine = self._engine
        return {
            "kind": "sim",
            "simulated": True,
            "profile": engine.profile.name,
            "time_scale": engine.time_scale,
            "model": f"simulated {engine.profile.name}",
        }

    def complete_blocking(self, prompt: Prompt, trace: Trace) -> Completion:
        reply = self._begin(prompt, trace)
        left = prompt.left(self._clock.now())
        timeout = self._timeout if left is None else min(self._timeout, left)
        self._clock.sleep_blocking(min(self._connect() + _length(reply), timeout))
        return self._end(reply, trace, timeout)

    async def complete(self, prompt: Prompt, trace: Trace) -> Completion:
        reply = self._begin(prompt, trace)
        await self._clock.sleep(min(self._connect() + _length(reply), self._timeout))
        return self._end(reply, trace, self._timeout)

    async def stream(self, prompt: Prompt, trace: Trace) -> AsyncGenerator[str, None]:
        reply = self._begin(prompt, trace)
        if delay := self._connect():
            await self._clock.sleep(delay)
        if reply.fault:
            await self._clock.sleep(_length(reply))
            self._end(reply, trace, self._timeout)
        trace.chunks = 0
        received = self._clock.now()
        for token, moment in zip(reply.tokens, reply.moments(), strict=True):
            ahead = received + min(moment, self._timeout) - self._clock.now()
            if ahead > 0:
                await self._clock.sleep(ahead)
            if moment > self._timeout:
                break
            trace.last_token = self._clock.now()
            if trace.first_token is None:
                trace.first_token = trace.last_token
            trace.chunks += 1
            yield token
        if not reply.text:
            await self._clock.sleep(min(reply.total_s, self._timeout))
        self._end(reply, trace, self._timeout)

    def _connect(self) -> float:
        """Seconds that the connection of this call takes; 0 when an idle one is at hand."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
                return 0.0
        return self._engine.overrides.connect_s * self._engine.time_scale

    def _begin(self, prompt: Prompt, trace: Trace) -> Reply:
        trace.sent = self._clock.now()
        return self._engine.plan(list(prompt.messages), prompt.max_tokens, prompt.draw)

    def _end(self, reply: Reply, trace: Trace, timeout: float) -> Completion:
        """Stamp the end; raises ProviderError when the reply is a fault or came too late."""
        trace.done = self._clock.now()
        with self._lock:
            self._idle += self._keepalive and reply.fault != "reset"
        if _length(reply) > timeout:
            raise ProviderError("timeout", f"no answer within {timeout:g} s")
        if reply.fault:
            type_, trace.status = FAULTS[reply.fault]
            raise ProviderError(type_, f"simulated fault {reply.fault}")
        trace.status = 200
        trace.usage = reply.usage
        trace.finish_reason = reply.finish_reason
        # The times that were drawn, so that what sleeping and this process add shows as an error.
        trace.sim = SimTiming(ttft_s=reply.ttft_s, total_s=reply.total_s)
        return Completion(reply.text)


def _length(reply: Reply) -> float:
    """Seconds until the whole answer, or the fault: refused at once, reset half-way."""
    if reply.fault == "reset":
        return reply.total_s / 2
    return 0.0 if reply.fault else reply.total_s
