"""A provider that says what it is told to say, and a trial through any pipeline."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from harness.clock import Clock, ManualClock, on_thread
from harness.dispatch import Slot
from harness.pipelines import Dispatch, Pipeline, Settings, make_pipeline
from harness.prompt import Prompt
from harness.providers import Completion, Provider, ProviderError, Trace
from harness.records import Answer, TrialRecord
from harness.trial import Arm, TrialKey
from tests.simulated import short

SCENARIO = short()[0]
RIGHT = SCENARIO.reference.to_json()
TOKEN = 10  # characters


class Scripted:
    """Answers the n-th call with the n-th reply: a text, or the error to raise.

    Each call takes a second, each token of a stream too. ``calls`` has (way, call) of each,
    ``closed`` how many tokens each stream had given when it was closed.
    """

    def __init__(self, clock: Clock, *replies: str | ProviderError) -> None:
        self.clock = clock
        self.replies = list(replies)
        self.calls: list[tuple[str, str]] = []
        self.prompts: list[Prompt] = []
        self.closed: list[int] = []

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def describe(self) -> dict[str, Any]:
        return {"kind": "scripted", "simulated": True}

    def complete_blocking(self, prompt: Prompt, trace: Trace) -> Completion:
        reply = self._begin("blocking", prompt, trace)
        self.clock.sleep_blocking(1.0)
        return self._end(reply, trace)

    async def complete(self, prompt: Prompt, trace: Trace) -> Completion:
        reply = self._begin("awaitable", prompt, trace)
        await self.clock.sleep(1.0)
        return self._end(reply, trace)

    async def stream(self, prompt: Prompt, trace: Trace) -> AsyncGenerator[str, None]:
        reply = self._begin("streaming", prompt, trace)
        given = 0
        try:
            text = reply if isinstance(reply, str) else ""
            for i in range(0, len(text), TOKEN):
                await self.clock.sleep(1.0)
                trace.last_token = self.clock.now()
                if trace.first_token is None:
                    trace.first_token = trace.last_token
                given += 1
                yield text[i : i + TOKEN]
            self._end(reply, trace)
        finally:
            self.closed.append(given)

    def _begin(self, way: str, prompt: Prompt, trace: Trace) -> str | ProviderError:
        trace.sent = self.clock.now()
        self.calls.append((way, prompt.call))
        self.prompts.append(prompt)
        return self.replies.pop(0)

    def _end(self, reply: str | ProviderError, trace: Trace) -> Completion:
        trace.done = self.clock.now()
        if isinstance(reply, ProviderError):
            raise reply
        return Completion(reply)


def scripted(*replies: str | ProviderError) -> Scripted:
    return Scripted(ManualClock(), *replies)


def arm(pipeline: Pipeline, dispatch: Dispatch, provider: Provider, clock: Clock) -> Arm:
    scenarios = {SCENARIO.id: SCENARIO}
    return Arm(
        pipeline.name,
        pipeline,
        dispatch,
        slots=1,
        provider=provider,
        scenarios=scenarios,
        clock=clock,
        seed=1,
    )


async def trial(
    pipeline: str | Pipeline, provider: Scripted, settings: Settings | None = None
) -> tuple[TrialRecord, tuple[Answer, ...]]:
    """One trial, run the way the runner would run it."""
    dispatch: Dispatch
    if isinstance(pipeline, str):
        made, dispatch = make_pipeline(pipeline, settings or Settings())
    else:
        awaits = asyncio.iscoroutinefunction(pipeline.edit)
        made, dispatch = pipeline, "tasks" if awaits else "threads"
    used = arm(made, dispatch, provider, provider.clock)
    run = used.start(TrialKey("t", SCENARIO.id, 0, 0, 0, False))
    began = provider.clock.now()
    if dispatch in ("serial", "threads"):
        await on_thread(run.run_blocking)
    else:
        await run.run()
    done = provider.clock.now()
    return used.record(Slot(run, began, began, done, done), segment=0)
