"""An edit without the web: lanes, deadlines, what the limit is told, metrics."""

import asyncio
from functools import partial
from typing import Any

import pytest

from harness.clock import ManualClock, MonotonicClock, on_thread
from harness.limits import AdaptiveLimit
from harness.prompt import edit_prompt
from harness.providers import ProviderError, Recorder, Trace
from harness.providers.openai_http import HttpProvider
from harness.providers.simulated import SimulatedProvider
from harness.providers.throttled import Throttled
from harness.records import ErrorType
from harness.service.admission import Admission
from harness.service.cache import Cache
from harness.service.editing import Edited, Editor, Way
from harness.service.problems import ProblemError
from harness.service.reading import Edit
from harness.simulator.engine import Engine
from tests.service.build import RIGHT, SCENARIO, SUMMARY, Model, failing, rightly, served, until
from tests.serving import serve_simulator
from tests.simulated import opened, profile, times

EDIT = Edit(SCENARIO.id, SCENARIO.story, SCENARIO.request, SCENARIO.language)
WAYS: tuple[Way, ...] = ("async", "fallback", "sync")


class Told(AdaptiveLimit):
    """A limit that keeps what it is told."""

    def __init__(self, most: int = 8) -> None:
        super().__init__(most, most, most)
        self.told: list[tuple[float | None, ErrorType | None]] = []

    def observe(
        self, latency_s: float | None, failure: ErrorType | None, in_flight: int, now: float
    ) -> None:
        self.told.append((latency_s, failure))


class Pieces(Model):
    """Four pieces, each half a second of the clock; then perhaps an error."""

    def __init__(self, clock: ManualClock, error: ErrorType | None = None) -> None:
        super().__init__()
        self._ticks = clock
        self._error = error

    async def stream(self, prompt: Any, trace: Trace) -> Any:
        size = len(RIGHT) // 4 + 1
        for i in range(0, len(RIGHT), size):
            await self._ticks.sleep(0.5)
            yield RIGHT[i : i + size]
        if self._error:
            raise ProviderError(self._error, "x")


def editor(model: Any, *, deadline_s: float = 20.0, cache: Cache[Edited] | None = None) -> Editor:
    clock = MonotonicClock()
    made = Editor(
        model,
        clock,
        admission=Admission(Told(), 8, clock),
        threads=Admission(Told(2), 8, clock),
        deadline_s=deadline_s,
        cache=cache,
        seed=7,
    )
    made.reach.answered()
    return made


def told(made: Editor, way: Way) -> list[tuple[float | None, ErrorType | None]]:
    lane = made.threads if way == "sync" else made.admission
    assert isinstance(lane.limit, Told)
    return lane.limit.told


@pytest.mark.parametrize("way", WAYS)
async def test_a_good_edit_tells_its_latency(way: Way) -> None:
    made = editor(Model())
    assert await made.edit(way, EDIT) == Edited(RIGHT, SUMMARY, None)
    ((latency, failure),) = told(made, way)
    assert latency is not None
    assert failure is None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", ["rate_limited", "timeout", "http_5xx"])
async def test_a_failure_tells_its_type(way: Way, error: ErrorType) -> None:
    made = editor(Model(failing(ProviderError(error, "x"))))
    with pytest.raises(ProviderError):
        await made.edit(way, EDIT)
    assert [failure for _, failure in told(made, way)] == [error]


async def test_a_refusal_behind_a_good_end_is_told_too() -> None:
    class Limited(Model):
        async def complete(self, prompt: Any, trace: Any) -> Any:
            raise ProviderError("rate_limited", "x")

    made = editor(Limited())
    assert (await made.edit("fallback", EDIT)).story == RIGHT
    assert told(made, "fallback")[0][1] == "rate_limited"


async def test_an_edit_that_its_caller_gave_up_tells_nothing() -> None:
    model = Model(held=True)
    made = editor(model)
    task = asyncio.create_task(made.edit("async", EDIT))
    await until(lambda: model.calls == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert told(made, "async") == []
    assert made.admission.in_flight == 0


async def test_the_deadline_is_told_as_a_timeout() -> None:
    made = editor(Model(held=True), deadline_s=0.02)
    with pytest.raises(TimeoutError):
        await made.edit("async", EDIT)
    assert [failure for _, failure in told(made, "async")] == ["timeout"]


async def test_a_thread_keeps_its_place_until_its_call_ends() -> None:
    model = Model(held=True)
    made = editor(model)
    tasks = [asyncio.create_task(made.edit("sync", EDIT)) for _ in range(2)]
    await until(lambda: model.calls == 2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert made.threads.in_flight == 2  # whoever asked has gone, the threads have not
    model.release()
    await until(lambda: made.threads.in_flight == 0)


async def test_release_lets_go_of_threads_that_still_block() -> None:
    model = Model(held=True)
    made = editor(model)
    task = asyncio.create_task(made.edit("sync", EDIT))
    await until(lambda: model.calls == 1)
    await made.release()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert made.threads.in_flight == 0
    model.release()


async def test_a_shared_call_outlives_the_caller_who_made_it() -> None:
    model = Model(held=True)
    made = editor(model, cache=Cache(4, 60.0, MonotonicClock()))
    first = asyncio.create_task(made.edit("async", EDIT))
    await until(lambda: model.calls == 1)
    second = asyncio.create_task(made.edit("async", EDIT))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    model.release()
    assert (await second).hit == "joined"
    assert (await made.edit("async", EDIT)).hit == "hit"
    assert (await made.edit("sync", EDIT)).hit == "miss"  # another way is another answer
    assert (await made.edit("async", EDIT._replace(language="en"))).hit == "miss"
    assert (await made.edit("async", EDIT, fresh=True)).hit is None


async def test_no_story_is_a_problem_and_no_failure_of_the_provider() -> None:
    made = editor(Model(lambda prompt: "no"))
    with pytest.raises(ProblemError, match="unusable_answer"):
        await made.edit("async", EDIT)
    assert [failure for _, failure in told(made, "async")] == [None]


# --- a reader who is slow ---


def streaming(
    model: Any, clock: ManualClock
) -> tuple[Editor, list[tuple[float | None, ErrorType | None]]]:
    limit = Told()
    lane = Admission(limit, 8, clock)
    made = Editor(model, clock, admission=lane, threads=lane, deadline_s=60.0)
    made.reach.answered()
    return made, limit.told


@pytest.mark.parametrize(("piece_s", "tells"), [(0.001, [(2.0, None)]), (1.0, [])])
async def test_a_slow_reader_is_not_taken_for_a_slow_provider(
    piece_s: float, tells: list[object]
) -> None:
    clock = ManualClock()
    made, told = streaming(Pieces(clock), clock)
    await made.stream(EDIT, lambda text: clock.sleep(piece_s))
    assert [(pytest.approx(latency), failure) for latency, failure in told] == tells


@pytest.mark.parametrize(
    ("error", "tells"), [("rate_limited", ["rate_limited"]), ("timeout", []), ("reset", ["reset"])]
)
async def test_what_a_slow_reader_cannot_be_blamed_for(error: ErrorType, tells: list[str]) -> None:
    clock = ManualClock()
    made, told = streaming(Pieces(clock, error), clock)
    with pytest.raises(ProviderError):
        await made.stream(EDIT, lambda text: clock.sleep(1.0))
    assert [failure for _, failure in told] == tells


async def test_a_deadline_that_a_slow_reader_has_used_up_is_no_timeout() -> None:
    clock = MonotonicClock()
    made = editor(Model(), deadline_s=0.05)
    with pytest.raises(TimeoutError):
        await made.stream(EDIT, lambda text: clock.sleep(3600.0))
    assert told(made, "streaming") == []
    assert made.reach.answers


# --- a deadline reaches a call that blocks ---


async def test_the_simulator_keeps_the_deadline_of_a_blocking_call() -> None:
    clock = ManualClock()
    provider = SimulatedProvider(Engine(profile(edit=times(0.1, 10.0)), 1), clock)
    recorder = Recorder(provider, clock, "x", deadline=3.0)
    with pytest.raises(ProviderError, match="timeout"):
        recorder.complete_blocking(edit_prompt(SCENARIO))
    assert clock.now() == 3.0
    with pytest.raises(ProviderError, match="timeout"):
        recorder.complete_blocking(edit_prompt(SCENARIO))  # there is no time left at all
    assert clock.now() == 3.0


async def test_a_blocking_call_over_http_keeps_its_deadline() -> None:
    clock = MonotonicClock()
    async with (
        serve_simulator(Engine(profile(edit=times(0.1, 3600.0)), 1)) as url,
        opened(HttpProvider(url, clock, timeout=60.0)) as provider,
    ):
        for left in (0.1, 0.0):
            prompt = edit_prompt(SCENARIO).drawn("", clock.now() + left)
            with pytest.raises(ProviderError, match="timeout"):
                await on_thread(partial(provider.complete_blocking, prompt, Trace()))
    assert clock.now() < 30.0


async def test_a_blocking_call_does_not_wait_for_the_rate_beyond_its_deadline() -> None:
    clock = MonotonicClock()
    async with opened(Throttled(Model(rightly), 0.01, clock)) as provider:
        await provider.complete(edit_prompt(SCENARIO), Trace())
        prompt = edit_prompt(SCENARIO).drawn("", clock.now() + 0.05)
        with pytest.raises(ProviderError, match="not admitted in time"):
            await on_thread(lambda: provider.complete_blocking(prompt, Trace()))


async def test_waiting_in_vain_for_a_turn() -> None:
    model = Model(held=True)
    made = editor(model, deadline_s=0.05)
    tasks = [asyncio.create_task(made.edit("async", EDIT)) for _ in range(9)]
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(item, TimeoutError) for item in found)
    assert model.calls == 8
    assert made.admission.in_flight == made.admission.waiting == 0


# --- metrics ---


async def test_the_metrics() -> None:
    async with served(cache=4) as (session, service):
        for _ in range(2):
            assert (await session.post("/edit-scenario-async", json={})).status == 422
        await service.editor.edit("async", EDIT)
        async with session.get("/metrics") as response:
            text = await response.text()
        async with session.get("/nowhere"):
            pass
        async with session.get("/metrics") as response:
            assert 'route="unmatched",status="404"' in await response.text()
    for line in (
        'harness_requests_total{route="/edit-scenario-async",status="422"} 2.0',
        'harness_limit{lane="async"} 3.0',
        'harness_limit{lane="threads"} 8.0',
        'harness_in_flight{lane="async"} 0.0',
        'harness_waiting{lane="threads"} 0.0',
        'harness_admitted_total{lane="async"} 1.0',
        'harness_rejected_total{lane="async"} 0.0',
        "harness_jobs_active 0.0",
        'harness_jobs_total{state="cancelled"} 0.0',
        "harness_cache_entries 1.0",
        'harness_cache_total{result="miss"} 1.0',
        "harness_limit_reason{",
        "harness_threads ",
        "harness_tasks ",
        "process_open_fds ",
        "process_resident_memory_bytes ",
    ):
        assert line in text
