"""Simulated models for tests, and the three ways of calling any provider."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import cache
from typing import Literal

from harness.clock import Clock, ManualClock, MonotonicClock, on_thread
from harness.prompt import Prompt
from harness.providers import Provider, Recorder
from harness.providers.openai_http import HttpProvider
from harness.providers.simulated import SimulatedProvider
from harness.providers.throttled import Throttled
from harness.scenario import Scenario, load_scenarios, shipped_dir
from harness.simulator.engine import Engine
from harness.simulator.profile import Answers, CallTimes, Dist, Dress, Faults, Profile
from tests.serving import serve_simulator

Way = Literal["blocking", "awaitable", "streaming"]
WAYS: tuple[Way, ...] = ("blocking", "awaitable", "streaming")
KEY = "sk-test-7f3a9c51e0"
RIGHT = Answers(right=1.0)


def times(first: float, total: float) -> CallTimes:
    return CallTimes(ttft_s=Dist(mean=first), total_s=Dist(mean=total))


def profile(
    *,
    edit: CallTimes | None = None,
    summary: CallTimes | None = None,
    answers: Answers = RIGHT,
    dress: Dress | None = None,
    faults: Faults | None = None,
) -> Profile:
    """A profile of a few milliseconds that answers rightly unless told otherwise."""
    return Profile(
        name="quick",
        edit=edit or times(0.002, 0.006),
        summary=summary or times(0.001, 0.002),
        answers=answers,
        dress=dress or Dress(),
        faults=faults or Faults(),
    )


@cache
def shipped() -> tuple[Scenario, ...]:
    return tuple(load_scenarios([shipped_dir()]))


@cache
def short() -> tuple[Scenario, ...]:
    return tuple(load_scenarios([shipped_dir() / "short"]))


@asynccontextmanager
async def provided(
    kind: str, engine: Engine, *, scenarios: Sequence[Scenario] = (), clock: Clock | None = None
) -> AsyncIterator[tuple[Provider, Clock]]:
    """An open provider on ``engine``: ``sim`` or ``http``, either behind ``throttled-``.

    In process the clock is a manual one unless given; over HTTP it is real and a key is needed.
    """
    inner: Provider
    if kind.endswith("http"):
        clock = MonotonicClock()
        async with serve_simulator(engine, KEY) as url:
            inner = HttpProvider(url, clock, timeout=20.0, key=KEY, scenarios=scenarios)
            async with opened(_wrapped(kind, inner, clock)) as provider:
                yield provider, clock
        return
    clock = clock or ManualClock()
    engine.register(scenarios)
    inner = SimulatedProvider(engine, clock)
    async with opened(_wrapped(kind, inner, clock)) as provider:
        yield provider, clock


def _wrapped(kind: str, inner: Provider, clock: Clock) -> Provider:
    return Throttled(inner, 100_000, clock) if kind.startswith("throttled") else inner


@asynccontextmanager
async def opened(provider: Provider) -> AsyncIterator[Provider]:
    try:
        await provider.open()
        yield provider
    finally:
        await provider.close()


async def call(recorder: Recorder, prompt: Prompt, way: Way) -> str:
    """The whole answer, asked for in one of the three ways."""
    if way == "blocking":
        return (await on_thread(lambda: recorder.complete_blocking(prompt))).text
    if way == "awaitable":
        return (await recorder.complete(prompt)).text
    async with aclosing(recorder.stream(prompt)) as texts:
        return "".join([text async for text in texts])
