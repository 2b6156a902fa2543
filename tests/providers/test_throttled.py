"""The rate limit, with the real throttler, in virtual time."""

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import asyncio_throttle.throttler
import pytest

from harness.clock import on_thread
from harness.prompt import Prompt
from harness.providers import Completion, ProviderError, Recorder, Trace
from harness.providers.throttled import Throttled
from tests.simulated import WAYS, Way, call
from tests.virtual_time import VirtualClock, run_virtual

PROMPT = Prompt("edit", (("user", "x"),), max_tokens=5)


class Inner:
    """Notes when each call is let through; a call takes no time."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.through: list[tuple[float, str]] = []
        self.events: list[str] = []

    async def open(self) -> None:
        self.events.append("open")

    async def close(self) -> None:
        self.events.append("close")

    def describe(self) -> dict[str, Any]:
        return {"simulated": True}

    def complete_blocking(self, prompt: Prompt, trace: Trace) -> Completion:
        trace.sent = self.clock.now()
        self.through.append((trace.sent, prompt.draw))
        if prompt.draw.startswith("fail"):
            raise ProviderError("reset", "gone")
        return Completion("a")

    async def complete(self, prompt: Prompt, trace: Trace) -> Completion:
        return self.complete_blocking(prompt, trace)

    async def stream(self, prompt: Prompt, trace: Trace) -> AsyncGenerator[str, None]:
        self.complete_blocking(prompt, trace)
        try:
            yield "a"
            yield "b"
        finally:
            self.events.append("stream ended")


def most_within(moments: list[float], seconds: float) -> int:
    """The most moments in any window of this length, its end included."""
    return max(sum(start <= m <= start + seconds for m in moments) for start in moments)


@pytest.fixture
def throttle_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the throttler read the loop's clock instead of the real one."""
    clock = SimpleNamespace(monotonic=lambda: asyncio.get_running_loop().time())
    monkeypatch.setattr(asyncio_throttle.throttler, "time", clock)


pytestmark = pytest.mark.usefixtures("throttle_time")


async def opened(rate: float) -> tuple[Throttled, Inner, VirtualClock]:
    clock = VirtualClock()
    inner = Inner(clock)
    throttled = Throttled(inner, rate, clock)
    await throttled.open()
    return throttled, inner, clock


@pytest.mark.parametrize("way", ["awaitable", "streaming"])
def test_first_come_first_served_and_never_more_than_the_rate(way: Way) -> None:
    async def main() -> None:
        throttled, inner, clock = await opened(20)
        recorders = [Recorder(throttled, clock, f"{i:03}") for i in range(130)]

        async def later(i: int) -> None:
            await asyncio.sleep(i * 0.001)  # all within the first 0.13 s
            await call(recorders[i], PROMPT, way)

        await asyncio.gather(*map(later, range(130)))
        assert [draw[:3] for _, draw in inner.through] == [f"{i:03}" for i in range(130)]
        moments = [moment for moment, _ in inner.through]
        assert most_within(moments, 1.0) == 20
        assert 6.0 <= moments[-1] <= 6.2  # six full windows wait, each polled to 10 ms
        for i, recorder in enumerate(recorders):
            (attempt,) = recorder.attempts
            assert attempt.due == pytest.approx(i * 0.001)
            assert attempt.admitted is not None
            assert attempt.due <= attempt.admitted == attempt.sent == moments[i]

    run_virtual(main())


def test_calls_that_keep_to_the_rate_do_not_wait() -> None:
    async def main() -> None:
        throttled, inner, clock = await opened(10)
        for i in range(50):
            recorder = Recorder(throttled, clock, str(i))
            await recorder.complete(PROMPT)
            assert recorder.attempts[0].admitted == recorder.attempts[0].due
            await asyncio.sleep(0.101)
        assert len(inner.through) == 50

    run_virtual(main())


@pytest.mark.parametrize("rate", [0.01, 0.4, 0.7, 1.0, 1.99, 2.5, 3.14159, 9.99, 50.5])
def test_rates_that_are_no_whole_number(rate: float) -> None:
    """Such a rate holds over its own short window, and no burst is larger than a second's worth."""

    async def main() -> None:
        throttled, inner, clock = await opened(rate)
        count = max(8, int(rate * 4))
        await asyncio.gather(
            *(Recorder(throttled, clock, "x").complete(PROMPT) for _ in range(count))
        )
        moments = [moment for moment, _ in inner.through]
        burst = max(1, int(rate))
        assert most_within(moments, 0.0) == burst
        assert most_within(moments, burst / rate - 1e-6) == burst
        least = (count - 1) // burst * (burst / rate)  # windows that must have passed
        assert least <= moments[-1] <= least * 1.03 + 0.02

    run_virtual(main())


def test_blocking_and_asynchronous_calls_share_the_limit() -> None:
    async def main() -> None:
        throttled, inner, clock = await opened(5)
        admit, moments = throttled._admit, list[float]()

        async def noted() -> None:
            await admit()
            moments.append(clock.now())  # a thread wakes up some time later

        throttled._admit = noted  # type: ignore[method-assign]
        recorders = [Recorder(throttled, clock, str(i)) for i in range(24)]
        await asyncio.gather(*(call(r, PROMPT, WAYS[i % 3]) for i, r in enumerate(recorders)))
        assert len(moments) == len(inner.through) == 24
        assert most_within(moments, 1.0) == 5
        for recorder in recorders:
            (attempt,) = recorder.attempts
            assert attempt.admitted is not None
            assert attempt.due <= attempt.admitted

    run_virtual(main())


def test_blocking_calls_wait_off_the_loop() -> None:
    async def main() -> None:
        throttled, _, clock = await opened(1)
        recorder = Recorder(throttled, clock, "x")

        def two() -> None:
            recorder.complete_blocking(PROMPT)
            recorder.complete_blocking(PROMPT)

        await on_thread(two)
        first, second = recorder.attempts
        assert first.admitted is not None
        assert second.admitted is not None
        assert first.admitted < 0.1
        assert second.admitted > 0.9

    run_virtual(main())


def test_a_waiter_that_gives_up_does_not_hold_the_queue() -> None:
    async def main() -> None:
        throttled, inner, clock = await opened(1)
        recorders = [Recorder(throttled, clock, str(i)) for i in range(4)]
        tasks = [asyncio.create_task(recorder.complete(PROMPT)) for recorder in recorders]
        await asyncio.sleep(0.5)
        tasks[1].cancel()  # polls
        tasks[2].cancel()  # queues behind it
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [
            *(Completion, asyncio.CancelledError, asyncio.CancelledError, Completion)
        ]
        assert [draw[0] for _, draw in inner.through] == ["0", "3"]
        for recorder in recorders[1:3]:
            (attempt,) = recorder.attempts
            assert (attempt.admitted, attempt.sent) == (None, None)
            assert attempt.done == 0.5

    run_virtual(main())


@pytest.mark.parametrize("way", WAYS)
def test_failures_pass_through(way: Way) -> None:
    async def main() -> None:
        throttled, _, clock = await opened(5)
        recorder = Recorder(throttled, clock, "fail")
        with pytest.raises(ProviderError, match="gone"):
            await call(recorder, PROMPT, way)
        assert recorder.attempts[0].admitted is not None

    run_virtual(main())


def test_closing_a_stream_ends_the_one_within_at_once() -> None:
    async def main() -> None:
        throttled, inner, _ = await opened(5)
        stream = throttled.stream(PROMPT, Trace())
        assert await anext(stream) == "a"
        await stream.aclose()
        assert inner.events == ["open", "stream ended"]

    run_virtual(main())


def test_it_opens_closes_and_describes_what_it_wraps() -> None:
    async def main() -> None:
        throttled, inner, _ = await opened(2.5)
        assert throttled.describe() == {"simulated": True, "rate_limit": 2.5}
        await throttled.close()
        await throttled.close()
        assert inner.events == ["open", "close", "close"]

    run_virtual(main())
