"""One contract for every provider: whatever calls it must not notice which it is."""

import asyncio
import json
from itertools import pairwise

import pytest

from harness.clock import Clock, ManualClock, MonotonicClock
from harness.prompt import Prompt, edit_prompt
from harness.providers import Provider, ProviderError, Recorder
from harness.providers.local import LocalProvider
from harness.providers.throttled import Throttled
from harness.records import Attempt
from harness.simulator.engine import Engine, Reply
from harness.simulator.profile import Faults
from tests.simulated import KEY, WAYS, Way, call, opened, profile, provided, short, times

KINDS = ("sim", "http", "throttled-sim", "throttled-http")
ASIDE = Prompt("summary", (("user", "무엇이 바뀌었나요?"),), max_tokens=50)
every_kind = pytest.mark.parametrize("kind", KINDS)
every_way = pytest.mark.parametrize("way", WAYS)


class HeldClock(ManualClock):
    """A clock on which nobody wakes up: what sleeps on it stays in flight."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


class WatchedEngine(Engine):
    """An engine that says when a call has reached it."""

    reached: asyncio.Event

    def plan(self, messages: list[tuple[str, str]], max_tokens: int | None, draw: str) -> Reply:
        self.reached.set()
        return super().plan(messages, max_tokens, draw)


def assert_in_order(attempt: Attempt, *, limited: bool, streamed: bool) -> None:
    """Every stamp that belongs to a good call is there, no other, and none before its time."""
    stamps = [attempt.due, attempt.sent, attempt.done]
    if limited:
        stamps.insert(1, attempt.admitted)
    else:
        assert attempt.admitted is None
    if streamed:
        stamps[-1:-1] = [attempt.first_token, attempt.last_token]
    else:
        assert (attempt.first_token, attempt.last_token, attempt.chunks) == (None, None, None)
    present = [stamp for stamp in stamps if stamp is not None]
    assert len(present) == len(stamps)
    assert all(earlier <= later for earlier, later in pairwise(present))


async def check_good_calls(provider: Provider, clock: Clock, prompt: Prompt, name: str) -> str:
    """The three ways give one text, with stamps, usage and status; gives that text."""
    limited = provider.describe().get("rate_limit") is not None
    texts = []
    for way in WAYS:
        recorder = Recorder(provider, clock, name)
        texts.append(await call(recorder, prompt, way))
        (attempt,) = recorder.attempts
        assert_in_order(attempt, limited=limited, streamed=way == "streaming")
        assert attempt.call == prompt.call
        assert attempt.status == 200
        assert attempt.error is None
        assert not attempt.stopped_early
        assert attempt.finish_reason in ("stop", "length")
        assert attempt.usage is not None
        assert attempt.usage.prompt > 0
        assert attempt.usage.completion > 0
        assert recorder.replies == [(0, prompt.call, texts[-1])]
        if way == "streaming":
            assert attempt.chunks is not None
            assert attempt.chunks > 1
    assert len(set(texts)) == 1
    assert texts[0]
    return texts[0]


async def check_early_close(provider: Provider, clock: Clock, prompt: Prompt) -> None:
    """Leaving a stream after its first token ends the call without a complaint."""
    recorder = Recorder(provider, clock, "early")
    stream = recorder.stream(prompt)
    first = await anext(stream)
    await stream.aclose()
    (attempt,) = recorder.attempts
    assert recorder.replies == [(0, prompt.call, first)]
    assert attempt.stopped_early
    assert attempt.error is None
    assert attempt.finish_reason is None
    assert attempt.chunks == 1
    assert attempt.sent is not None
    assert attempt.first_token is not None
    assert attempt.done is not None
    assert attempt.sent <= attempt.first_token <= attempt.done
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def check_closing_twice(provider: Provider) -> None:
    await provider.close()
    await provider.close()


# --- good calls ---


@every_kind
@pytest.mark.parametrize("prompt", [edit_prompt(short()[0]), ASIDE], ids=["edit", "summary"])
async def test_three_ways_one_answer(kind: str, prompt: Prompt) -> None:
    engine = Engine(profile(), seed=1)
    async with provided(kind, engine, scenarios=short()[:1]) as (provider, clock):
        text = await check_good_calls(provider, clock, prompt, "1|s|0|a")
    assert (text == short()[0].reference.to_json()) == (prompt.call == "edit")


@every_kind
@every_way
async def test_the_simulators_own_timing_is_no_more_than_what_the_caller_waits(
    kind: str, way: Way
) -> None:
    engine = Engine(profile(edit=times(0.01, 0.03)), seed=1)
    async with provided(kind, engine, scenarios=short()[:1]) as (provider, clock):
        recorder = Recorder(provider, clock, "t")
        await call(recorder, edit_prompt(short()[0]), way)
        (attempt,) = recorder.attempts
    assert attempt.sim is not None
    assert attempt.done is not None
    assert attempt.sent is not None
    waited = attempt.done - attempt.sent
    assert 0.01 - 1e-9 <= attempt.sim.ttft_s <= attempt.sim.total_s
    assert 0.03 - 1e-9 <= attempt.sim.total_s <= waited + 1e-9
    if way == "streaming":
        assert attempt.first_token is not None
        assert attempt.sim.ttft_s <= attempt.first_token - attempt.sent + 1e-9


async def test_every_provider_gives_the_same_answer_to_the_same_draw() -> None:
    answers = set()
    for kind in KINDS:
        engine = Engine(profile(), seed=KINDS.index(kind))
        async with provided(kind, engine) as (provider, clock):
            # Hangul, blanks and marks that a header cannot carry as they are.
            answers.add(await call(Recorder(provider, clock, "7|내 것 100%\n"), ASIDE, "blocking"))
            answers.add(await call(Recorder(provider, clock, "7|내 것 100%\n"), ASIDE, "streaming"))
    assert len(answers) == 1


@every_kind
@every_way
async def test_lone_surrogates_in_a_prompt_do_no_harm(kind: str, way: Way) -> None:
    prompt = Prompt("summary", (("user", "half a letter: \ud83d"),), max_tokens=50)
    async with provided(kind, Engine(profile(), seed=1)) as (provider, clock):
        assert await call(Recorder(provider, clock, "x"), prompt, way)


@every_kind
async def test_calls_at_once_do_not_mix(kind: str) -> None:
    scenarios = short()[:4]
    async with provided(kind, Engine(profile(), seed=1), scenarios=scenarios) as (provider, clock):
        texts = await asyncio.gather(
            *(
                call(Recorder(provider, clock, f"{i}"), edit_prompt(scenarios[i % 4]), WAYS[i % 3])
                for i in range(24)
            )
        )
    assert texts == [scenarios[i % 4].reference.to_json() for i in range(24)]


@every_kind
@every_way
async def test_an_answer_at_its_limit_says_so(kind: str, way: Way) -> None:
    prompt = Prompt("summary", (("user", "?"),), max_tokens=2)
    async with provided(kind, Engine(profile(), seed=1)) as (provider, clock):
        recorder = Recorder(provider, clock, "x")
        text = await call(recorder, prompt, way)
    assert len(text) == 6
    assert recorder.attempts[0].finish_reason == "length"
    assert recorder.attempts[0].usage is not None
    assert recorder.attempts[0].usage.completion == 2


# --- calls that end otherwise ---


@every_kind
async def test_leaving_a_stream_early(kind: str) -> None:
    engine = Engine(profile(edit=times(0.001, 60.0)), seed=1)
    async with provided(kind, engine, scenarios=short()[:1]) as (provider, clock):
        await check_early_close(provider, clock, edit_prompt(short()[0]))


@every_kind
@pytest.mark.parametrize("way", ["awaitable", "streaming"])
async def test_cancellation_keeps_what_was_stamped(kind: str, way: Way) -> None:
    engine = WatchedEngine(profile(summary=times(60.0, 60.0)), seed=1)
    engine.reached = asyncio.Event()
    async with provided(kind, engine, clock=HeldClock()) as (provider, clock):
        recorder = Recorder(provider, clock, "x")
        task = asyncio.create_task(call(recorder, ASIDE, way))
        await engine.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    (attempt,) = recorder.attempts
    assert attempt.sent is not None
    assert (attempt.admitted is not None) == kind.startswith("throttled")
    assert attempt.done is not None
    assert (attempt.first_token, attempt.error, attempt.usage) == (None, None, None)
    assert recorder.replies == []


@every_kind
@every_way
@pytest.mark.parametrize(
    ("fault", "status"), [("http_5xx", 503), ("rate_limited", 429), ("reset", None)]
)
async def test_simulated_faults_are_typed(
    kind: str, way: Way, fault: str, status: int | None
) -> None:
    engine = Engine(profile(faults=Faults.model_validate({fault: 1.0})), seed=1)
    async with provided(kind, engine) as (provider, clock):
        recorder = Recorder(provider, clock, "x")
        with pytest.raises(ProviderError) as caught:
            await call(recorder, ASIDE, way)
    (attempt,) = recorder.attempts
    assert caught.value.error.type == fault
    assert attempt.error == caught.value.error
    assert attempt.done is not None
    assert attempt.sent is not None
    assert attempt.sent <= attempt.done
    assert attempt.usage is None
    assert attempt.sim is None
    # A connection that breaks in a stream had already told its status.
    assert attempt.status == status or (fault, way, attempt.status) == ("reset", "streaming", 200)


# --- opening, closing, describing ---


@every_kind
async def test_closing_twice_is_safe(kind: str) -> None:
    async with provided(kind, Engine(profile(), seed=1)) as (provider, _):
        await check_closing_twice(provider)


@every_kind
async def test_opening_twice_is_safe(kind: str) -> None:
    async with provided(kind, Engine(profile(), seed=1)) as (provider, clock):
        await provider.open()
        assert await call(Recorder(provider, clock, "x"), ASIDE, "awaitable")


@every_kind
async def test_what_it_says_of_itself(kind: str) -> None:
    async with provided(kind, Engine(profile(), seed=1, time_scale=0.5)) as (provider, _):
        about = provider.describe()
    assert about["simulated"] is True
    assert about["model"] == "simulated quick"
    assert about["profile"] == "quick"
    assert about["time_scale"] == 0.5
    assert KEY not in json.dumps(about)
    assert ("rate_limit" in about) == kind.startswith("throttled")


@pytest.mark.local_model
async def test_the_local_model_keeps_the_contract() -> None:
    clock = MonotonicClock()
    local = LocalProvider(None, clock, timeout=60.0, slots=2)
    limited = Throttled(local, 100_000, clock)
    prompt = Prompt("summary", (("user", "Count: one, two, three,"),), max_tokens=6)
    async with opened(limited):  # opens the model within, which serves both
        for provider in (local, limited):
            await check_good_calls(provider, clock, prompt, "x")
            await check_early_close(provider, clock, prompt)
            recorder = Recorder(provider, clock, "x")
            task = asyncio.create_task(recorder.complete(prompt))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert [attempt.error for attempt in recorder.attempts] == [None]
            assert await call(recorder, prompt, "streaming")  # and it goes on
            about = provider.describe()
            assert about["simulated"] is False
            assert about["kind"] == "local"
        await check_closing_twice(limited)
