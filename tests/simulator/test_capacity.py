"""The simulator's capacity: so many calls at once, the others wait for their turn."""

import asyncio
import time
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

from harness.simulator.engine import Engine
from harness.simulator.profile import Profile
from tests.serving import serve_simulator
from tests.simulated import profile, times

ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "1"}]}


async def total_times(capacity: int | None, calls: int, *, stream: bool) -> tuple[float, list[Any]]:
    """Seconds until all of ``calls`` at once are answered, and their bodies."""
    made = profile(summary=times(0.02, 0.05)).model_copy(update={"capacity": capacity})
    async with (
        serve_simulator(Engine(made, 1)) as url,
        aiohttp.ClientSession() as session,
    ):

        async def ask() -> Any:
            async with session.post(
                f"{url}/chat/completions", json={**ASK, "stream": stream}
            ) as response:
                return await (response.text() if stream else response.json())

        began = time.perf_counter()
        answers = await asyncio.gather(*(ask() for _ in range(calls)))
        return time.perf_counter() - began, answers


@pytest.mark.parametrize("stream", [False, True])
async def test_calls_beyond_its_capacity_wait(stream: bool) -> None:
    taken, _ = await total_times(2, 6, stream=stream)
    assert taken >= 3 * 0.05
    taken, _ = await total_times(None, 6, stream=stream)
    assert taken < 3 * 0.05


async def test_its_own_timing_counts_the_wait() -> None:
    _, answers = await total_times(1, 3, stream=False)
    totals = sorted(answer["x_sim"]["total_s"] for answer in answers)
    firsts = sorted(answer["x_sim"]["ttft_s"] for answer in answers)
    assert totals[2] >= 3 * 0.05
    assert 2 * 0.05 <= firsts[2] <= totals[2]


def test_a_capacity_of_nothing_is_refused() -> None:
    data = profile().model_dump()
    with pytest.raises(ValidationError, match="capacity"):
        Profile.model_validate({**data, "capacity": 0})
