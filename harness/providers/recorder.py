"""What a pipeline calls: a provider that keeps every attempt and reply of one trial."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field

from harness.clock import Clock
from harness.prompt import Call, Prompt
from harness.providers.base import Completion, Provider, ProviderError, Trace
from harness.records import Attempt, CallError, Mode


@dataclass(slots=True)
class _Call:
    """One call under way: what it is given, and the text that has come."""

    prompt: Prompt
    trace: Trace
    due: float
    parts: list[str] = field(default_factory=list)


class Recorder:
    """``provider`` as one trial sees it; ``attempts`` grows with each call.

    ``replies`` holds (attempt, call, text) for each that brought any text. ``draw`` identifies
    the trial for the simulator: ``seed|scenario|round|arm``. ``deadline`` is that of every call, in
    clock seconds (None: the provider's own time-out).
    """

    def __init__(
        self, provider: Provider, clock: Clock, draw: str, deadline: float | None = None
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._draw = draw
        self._deadline = deadline
        self._calls = 0
        self._streams: list[AsyncGenerator[str, None]] = []
        self.attempts: list[Attempt] = []
        self.replies: list[tuple[int, Call, str]] = []

    def complete_blocking(self, prompt: Prompt) -> Completion:
        """Answer while holding the thread. Raises ProviderError."""
        with self._attempt(prompt, "blocking") as call:
            completion = self._provider.complete_blocking(call.prompt, call.trace)
            call.parts.append(completion.text)
            return completion

    async def complete(self, prompt: Prompt) -> Completion:
        """Answer without holding the loop. Raises ProviderError."""
        with self._attempt(prompt, "async") as call:
            completion = await self._provider.complete(call.prompt, call.trace)
            call.parts.append(completion.text)
            return completion

    async def call(
        self, prompt: Prompt, answer: Callable[[Prompt, Trace], Awaitable[Completion]]
    ) -> Completion:
        """As ``complete``, but ``answer`` makes the call: for a pipeline that asks elsewhere.

        The call counts as sent when ``answer`` is called, unless that stamps the trace itself.
        """
        with self._attempt(prompt, "async") as call:
            call.trace.sent = self._clock.now()
            completion = await answer(call.prompt, call.trace)
            call.parts.append(completion.text)
            return completion

    def stream(self, prompt: Prompt) -> AsyncGenerator[str, None]:
        """Yield text as it comes; closing the iterator ends the call. Raises ProviderError."""
        self._streams.append(self._stream(prompt))
        return self._streams[-1]

    async def close(self) -> None:
        """End the streams that a pipeline left without closing them, so that they are kept too."""
        for stream in self._streams:
            with suppress(RuntimeError):  # a task that the pipeline left behind is reading it
                await stream.aclose()

    async def _stream(self, prompt: Prompt) -> AsyncGenerator[str, None]:
        with self._attempt(prompt, "stream") as call:
            async with aclosing(self._provider.stream(call.prompt, call.trace)) as texts:
                async for text in texts:
                    call.parts.append(text)
                    yield text

    @contextmanager
    def _attempt(self, prompt: Prompt, mode: Mode) -> Iterator[_Call]:
        """Keep the attempt however it ends: answered, failed, cancelled or closed early."""
        self._calls += 1
        named = prompt.drawn(f"{self._draw}|{prompt.call}|{self._calls}", self._deadline)
        call = _Call(named, Trace(), self._clock.now())
        error: CallError | None = None
        whole = False
        try:
            yield call
            whole = True
        except ProviderError as failure:
            error = failure.error
            raise
        finally:
            trace = call.trace
            attempt = Attempt(
                call=prompt.call,
                due=call.due,
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
                stopped_early=not whole and error is None,
                sim=trace.sim,
                mode=mode,
            )
            self.attempts.append(attempt)
            if text := "".join(call.parts):
                self.replies.append((len(self.attempts) - 1, prompt.call, text))
