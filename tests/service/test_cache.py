"""The cache: what is kept, what is forgotten, and one call for all who ask together."""

import asyncio
import gc
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clock import ManualClock
from harness.service.cache import Cache, Hit, cache_key


class Source:
    """Answers when it is told to, and counts how often it was asked and cancelled."""

    def __init__(self) -> None:
        self.calls = 0
        self.cancelled = 0
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def make(self) -> str:
        self.calls += 1
        call = self.calls
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return f"answer {call}"


async def settle() -> None:
    """Let all that is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


def ask(cache: Cache[str], source: Source, key: str = "k") -> asyncio.Task[tuple[str, Hit]]:
    return asyncio.create_task(cache.get(key, source.make))


async def get(cache: Cache[str], key: str) -> Hit:
    async def make() -> str:
        return f"of {key}"

    value, hit = await cache.get(key, make)
    assert value == f"of {key}"
    return hit


async def test_an_answer_is_made_once_and_then_kept() -> None:
    cache: Cache[str] = Cache(10, 60.0, ManualClock())
    source = Source()
    source.go.set()
    assert await cache.get("k", source.make) == ("answer 1", "miss")
    assert await cache.get("k", source.make) == ("answer 1", "hit")
    assert source.calls == 1
    assert (len(cache), cache.misses_total, cache.hits_total, cache.joined_total) == (1, 1, 1, 0)


async def test_a_hit_needs_no_task_and_no_turn_of_the_loop() -> None:
    cache: Cache[str] = Cache(10, 60.0, ManualClock())
    await get(cache, "k")
    with pytest.raises(StopIteration) as ended:
        cache.get("k", Source().make).send(None)
    assert ended.value.value == ("of k", "hit")


async def test_an_answer_is_kept_for_its_time_only() -> None:
    clock = ManualClock()
    cache: Cache[str] = Cache(10, 60.0, clock)
    await get(cache, "k")
    clock.advance(59.9)
    assert await get(cache, "k") == "hit"
    clock.advance(0.1)
    assert await get(cache, "k") == "miss"
    assert len(cache) == 1
    clock.advance(59.9)
    assert await get(cache, "k") == "hit"  # the new answer has its own time


async def test_the_least_recently_used_makes_room() -> None:
    cache: Cache[str] = Cache(2, 60.0, ManualClock())
    assert [await get(cache, key) for key in "abacbab"] == [
        "miss",
        "miss",
        "hit",
        "miss",  # c, for which b goes
        "miss",
        "miss",
        "hit",
    ]
    assert len(cache) == 2


async def test_ten_equal_requests_in_flight_make_one_call() -> None:
    cache: Cache[str] = Cache(10, 60.0, ManualClock())
    source, other = Source(), Source()
    tasks = [ask(cache, source) for _ in range(10)]
    different = ask(cache, other, "another key")
    await settle()
    source.go.set()
    results = [await task for task in tasks]
    assert results == [("answer 1", "miss")] + [("answer 1", "joined")] * 9
    assert (source.calls, cache.misses_total, cache.joined_total) == (1, 2, 9)
    other.go.set()
    assert await different == ("answer 1", "miss")
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_failure_reaches_all_who_joined_and_is_not_kept() -> None:
    cache: Cache[str] = Cache(10, 60.0, ManualClock())
    source = Source()
    tasks = [ask(cache, source) for _ in range(3)]
    await settle()
    source.error = ValueError("no")
    source.go.set()
    for task in tasks:
        with pytest.raises(ValueError, match="no"):
            await task
    assert len(cache) == 0
    source.error = None
    assert await cache.get("k", source.make) == ("answer 2", "miss")


async def test_work_that_fails_before_it_can_be_awaited_is_a_failure_too() -> None:
    cache: Cache[str] = Cache(10, 60.0, ManualClock())

    def broken() -> Any:
        raise ValueError("at once")

    with pytest.raises(ValueError, match="at once"):
        await cache.get("k", broken)
    assert await get(cache, "k") == "miss"


@pytest.mark.parametrize("leaving", [0, 1, 2])
async def test_the_call_goes_on_while_anybody_waits(leaving: int) -> None:
    cache: Cache[str] = Cache(10, 60.0, ManualClock())
    source = Source()
    tasks = [ask(cache, source) for _ in range(3)]
    await settle()
    tasks[leaving].cancel()
    await settle()
    late = ask(cache, source)
    await settle()
    source.go.set()
    staying = [task for i, task in enumerate(tasks) if i != leaving]
    assert [(await task)[0] for task in [*staying, late]] == ["answer 1"] * 3
    assert tasks[leaving].cancelled()
    assert (source.calls, source.cancelled) == (1, 0)
    assert await cache.get("k", source.make) == ("answer 1", "hit")


async def test_the_call_ends_with_the_last_who_waits_and_leaves_no_task() -> None:
    cache: Cache[str] = Cache(10, 60.0, ManualClock())
    source = Source()
    tasks = [ask(cache, source) for _ in range(3)]
    await settle()
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert (source.calls, source.cancelled) == (1, 1)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert len(cache) == 0
    source.go.set()
    assert await cache.get("k", source.make) == ("answer 2", "miss")


async def test_who_comes_while_a_call_is_ending_gets_one_of_its_own() -> None:
    cache: Cache[str] = Cache(10, 60.0, ManualClock())
    letting_go = asyncio.Event()

    async def slow_to_end() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            await letting_go.wait()
        raise AssertionError

    leaving = asyncio.create_task(cache.get("k", slow_to_end))
    await settle()
    leaving.cancel()
    await settle()
    source = Source()
    new = [ask(cache, source) for _ in range(2)]
    await settle()
    letting_go.set()
    await settle()
    assert leaving.cancelled()
    source.go.set()
    assert [await task for task in new] == [("answer 1", "miss"), ("answer 1", "joined")]


async def test_who_is_cancelled_again_does_not_wait_for_the_call_to_end() -> None:
    cache: Cache[str] = Cache(10, 60.0, ManualClock())
    letting_go = asyncio.Event()

    async def slow_to_end() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            await letting_go.wait()
        raise AssertionError

    leaving = asyncio.create_task(cache.get("k", slow_to_end))
    await settle()
    for _ in range(2):
        assert not leaving.done()
        leaving.cancel()
        await settle()
    assert leaving.cancelled()
    letting_go.set()
    await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_call_that_fails_while_it_is_cancelled_says_nothing_to_the_loop() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    cache: Cache[str] = Cache(10, 60.0, ManualClock())

    async def fails_at_the_end() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("no")

    for times in (1, 2):
        leaving = asyncio.create_task(cache.get("k", fails_at_the_end))
        await settle()
        for _ in range(times):
            leaving.cancel()
            await asyncio.sleep(0)
        await settle()
        assert leaving.cancelled()
    gc.collect()
    assert complaints == []


async def test_a_call_that_ends_in_the_moment_of_the_cancellation_is_kept() -> None:
    cache: Cache[str] = Cache(10, 60.0, ManualClock())
    source = Source()
    leaving = ask(cache, source)
    await settle()
    flight = cache._flights["k"]
    source.go.set()
    while not flight.task.done():  # noqa: ASYNC110 - one turn of the loop at a time
        await asyncio.sleep(0)
    leaving.cancel()
    await settle()
    assert leaving.cancelled()
    assert await cache.get("k", source.make) == ("answer 1", "hit")


async def test_a_call_that_is_cancelled_from_outside_is_not_joined_for_ever() -> None:
    cache: Cache[str] = Cache(10, 60.0, ManualClock())
    source = Source()
    waiting = ask(cache, source)
    await asyncio.sleep(0)
    cache._flights["k"].task.cancel()  # before its first step
    with pytest.raises(asyncio.CancelledError):
        await waiting
    source.go.set()
    assert await cache.get("k", source.make) == ("answer 1", "miss")


# --- the key ---

BASE: dict[str, Any] = {
    "story": '[{"turn_number":1}]',
    "request": "더 재미있게",
    "prompt_version": "0123456789ab",
    "model": "m",
    "settings": {"temperature": 0.0, "summary": True},
}


def test_a_key_is_64_hex_digits_and_the_same_everywhere() -> None:
    text = (
        r'{"model":"m","prompt_version":"0123456789ab","request":"\ub354 \uc7ac\ubbf8\uc788\uac8c",'
        r'"settings":{"summary":true,"temperature":0.0},"story":"[{\"turn_number\":1}]"}'
    )
    key = cache_key(**BASE)
    assert key == hashlib.sha256(text.encode()).hexdigest()
    assert key == cache_key(**{**BASE, "settings": {"summary": True, "temperature": 0.0}})


@pytest.mark.parametrize(
    "change",
    [
        {"story": "[]"},
        {"request": "더 재미있게 "},
        {"prompt_version": "x"},
        {"model": "n"},
        {"settings": {"temperature": 0.5, "summary": True}},
        {"settings": {"temperature": 0.0}},
        {"story": BASE["request"], "request": BASE["story"]},
    ],
)
def test_whatever_decides_the_answer_changes_the_key(change: dict[str, Any]) -> None:
    assert cache_key(**{**BASE, **change}) != cache_key(**BASE)


def test_settings_that_are_no_json_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        cache_key(**{**BASE, "settings": {"temperature": float("nan")}})


texts = st.text(st.characters(exclude_categories=[]))  # lone surrogates too


@given(first=st.tuples(texts, texts, texts), second=st.tuples(texts, texts, texts))
def test_keys_are_equal_for_equal_requests_only(
    first: tuple[str, str, str], second: tuple[str, str, str]
) -> None:
    keys = [
        cache_key(story=story, request=request, prompt_version="1", model=model, settings={})
        for story, request, model in (first, second)
    ]
    assert (keys[0] == keys[1]) == (json.dumps(first) == json.dumps(second))
