"""What a pipeline calls: a provider that keeps every attempt and reply of one trial."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from harness.clock import Clock
from harness.prompt import Call, Prompt
from harness.providers.base import Completion, Provider, ProviderError, Trace
from harness.records import Attempt, CallError


class Recorder:
    """``provider`` as one trial sees it; ``attempts`` grows with each call.

    ``replies`` holds (attempt, call, text) for each that brought any text. ``draw`` identifies
    the trial for the simulator: ``seed|scenario|round|arm``.
    """

    def __init__(self, provider: Provider, clock: Clock, draw: str) -> None:
        self._provider = provider
        self._clock = clock
        self._draw = draw
        self._calls = 0
        self.attempts: list[Attempt] = []
        self.replies: list[tuple[int, Call, str]] = []

    def complete_blocking(self, prompt: Prompt) -> Completion:
        """Answer while holding the thread. Raises ProviderError."""
        due, trace = self._clock.now(), Trace()
        try:
            completion = self._provider.complete_blocking(self._named(prompt), trace)
        except ProviderError as error:
            self._keep(prompt, due, trace, "", error.error)
            raise
        self._keep(prompt, due, trace, completion.text, None)
        return completion

    async def complete(self, prompt: Prompt) -> Completion:
        """Answer without holding the loop. Raises ProviderError."""
        due, trace = self._clock.now(), Trace()
        try:
            completion = await self._provider.complete(self._named(prompt), trace)
        except ProviderError as error:
            self._keep(prompt, due, trace, "", error.error)
            raise
        except asyncio.CancelledError:
            self._keep(prompt, due, trace, "", None, stopped=True)
            raise
        self._keep(prompt, due, trace, completion.text, None)
        return completion

    async def stream(self, prompt: Prompt) -> AsyncGenerator[str, None]:
        """Yield text as it comes; leaving the loop early ends the call. Raises ProviderError."""
        due, trace, parts = self._clock.now(), Trace(), list[str]()
        error: CallError | None = None
        whole = False
        try:
            async with aclosing(self._provider.stream(self._named(prompt), trace)) as texts:
                async for text in texts:
                    parts.append(text)
                    yield text
            whole = True
        except ProviderError as failure:
            error = failure.error
            raise
        finally:
            self._keep(prompt, due, trace, "".join(parts), error, stopped=not whole and not error)

    def _named(self, prompt: Prompt) -> Prompt:
        self._calls += 1
        return prompt.drawn(f"{self._draw}|{prompt.call}|{self._calls}")

    def _keep(
        self,
        prompt: Prompt,
        due: float,
        trace: Trace,
        text: str,
        error: CallError | None,
        *,
        stopped: bool = False,
    ) -> None:
        attempt = Attempt(
            call=prompt.call,
            due=due,
            admitted=trace.admitted,
            sent=trace.sent,
            first_token=trace.first_token,
            last_token=trace.last_token,
            done=self._clock.now() if trace.done is None else trace.done,
            status=trace.status,
            error=error,
            usage=trace.usage,
            finish_reason=trace.finish_reason,
            chunks=trace.chunks,
            stopped_early=stopped,
            sim=trace.sim,
        )
        self.attempts.append(attempt)
        if text:
            self.replies.append((len(self.attempts) - 1, prompt.call, text))
