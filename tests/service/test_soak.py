"""The soak test's own judgement: a leak that was planted is found, noise is none."""

import asyncio
from typing import Any

import numpy as np
import pytest

from benchmarks.soak import MEASURES, ROUTES, slopes, soak
from tests.service.build import Model, address, served

ALLOWED = [allowed for _, allowed in MEASURES.values()]


def rows(seconds: float, growth: float, noise: float, seed: int = 0) -> list[list[float]]:
    """Every measure grows by ``growth`` times what is allowed, after a steep start."""
    rng = np.random.default_rng(seed)
    times = np.arange(0.0, seconds, 0.25)
    made = []
    for t in times:
        warm = -20.0 * max(0.0, 1.0 - t / (0.3 * seconds))
        share = 5.0 + warm + growth * max(0.0, t / seconds - 0.4) / 0.6
        made.append([t, *(allowed * (share + rng.normal(0.0, noise)) for allowed in ALLOWED)])
    return made


@pytest.mark.parametrize(
    ("growth", "verdict"), [(0.0, "flat"), (-3.0, "flat"), (0.5, "flat"), (2.0, "GROWS")]
)
def test_growth_is_told_from_warming_up(growth: float, verdict: str) -> None:
    found = slopes(rows(60.0, growth, 0.5), 24.0)
    assert [made.verdict for made in found] == [verdict] * len(MEASURES)
    for made in found:
        assert made.low <= made.growth <= made.high


def test_too_much_noise_is_unclear() -> None:
    assert "unclear" in {made.verdict for made in slopes(rows(10.0, 1.0, 5.0), 4.0)}


def test_what_does_not_move_is_flat() -> None:
    still = [[t, *ALLOWED] for t in range(20)]
    assert {made.verdict for made in slopes(still, 0.0)} == {"flat"}


class Leaky(Model):
    """Every call leaves a task behind."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[asyncio.Task[Any]] = []

    async def complete(self, prompt: Any, trace: Any) -> Any:
        self.left.append(asyncio.create_task(asyncio.Event().wait()))
        return await super().complete(prompt, trace)


async def test_a_planted_leak_is_found() -> None:
    model = Leaky()
    async with served(model) as (session, _):
        host, port = address(session)
        found, outcomes = await soak(f"http://{host}:{port}", 2.5, 60.0)
    for task in model.left:
        task.cancel()
    await asyncio.gather(*model.left, return_exceptions=True)
    assert next(made for made in found if made.name == "tasks").verdict == "GROWS"
    assert {name.split()[0] for name in outcomes} == set(ROUTES)
