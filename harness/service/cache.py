"""Answers kept for equal requests, and one call for those that are in flight together."""

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Generic, Literal, TypeVar

from harness.clock import Clock

V = TypeVar("V")

Hit = Literal["miss", "hit", "joined"]
"""Made for this caller; taken from the cache; or made for another who asked at the same time.
Only a miss has a latency that says anything of the provider.
"""


def cache_key(
    *, story: str, request: str, prompt_version: str, model: str, settings: Mapping[str, Any]
) -> str:
    """SHA-256, in hex digits, of all that decides an answer, as canonical JSON.

    ``story`` is compact JSON (``Story.to_json``), so that its spelling does not matter;
    ``settings`` hold JSON values.
    """
    parts = {
        "story": story,
        "request": request,
        "prompt_version": prompt_version,
        "model": model,
        "settings": dict(settings),
    }
    # ASCII only: a lone surrogate has no UTF-8
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


class _Flight(Generic[V]):
    """A call that is being made, and how many wait for it."""

    __slots__ = ("task", "waiting")

    def __init__(self, task: "asyncio.Task[V]") -> None:
        self.task = task
        self.waiting = 0


class Cache(Generic[V]):
    """At most ``most`` answers, least recently used ones dropped first, each for ``keep_s``
    seconds. One loop only; nothing is kept of a call that raises.
    """

    def __init__(self, most: int, keep_s: float, clock: Clock) -> None:
        self.hits_total = 0
        self.misses_total = 0
        self.joined_total = 0
        self._most = most
        self._keep_s = keep_s
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, V]] = OrderedDict()
        self._flights: dict[str, _Flight[V]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, key: str, make: Callable[[], Awaitable[V]]) -> tuple[V, Hit]:
        """The answer for ``key``, made by ``make`` if there is none, and where it came from.

        ``make`` runs as a task of its own, for all who ask while it runs; its exception reaches
        all of them. It is cancelled when the last of them is, and no sooner: so it must not hold
        one caller's deadline, which belongs around ``get``.
        """
        kept = self._kept.get(key)
        if kept is not None and self._clock.now() < kept[0]:
            self._kept.move_to_end(key)
            self.hits_total += 1
            return kept[1], "hit"
        flight = self._flights.get(key)
        hit: Hit = "joined"
        if flight is None:
            hit = "miss"
            self.misses_total += 1
            task = asyncio.create_task(_call(make))
            task.add_done_callback(partial(self._land, key))
            flight = self._flights[key] = _Flight(task)
        else:
            self.joined_total += 1
        return await self._wait(key, flight), hit

    def _land(self, key: str, task: "asyncio.Task[V]") -> None:
        flight = self._flights.get(key)
        if flight is not None and flight.task is task:
            del self._flights[key]
        # Asking for the exception keeps the loop quiet when nobody is left to be told of it.
        if not task.cancelled() and task.exception() is None:
            self._keep(key, task.result())

    async def _wait(self, key: str, flight: _Flight[V]) -> V:
        task = flight.task
        flight.waiting += 1
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            if flight.waiting == 1 and not task.done():
                if self._flights.get(key) is flight:
                    del self._flights[key]  # who comes now must not join a call that ends
                task.cancel()
                await asyncio.wait({task})
            raise
        finally:
            flight.waiting -= 1
        return task.result()

    def _keep(self, key: str, value: V) -> None:
        self._kept[key] = (self._clock.now() + self._keep_s, value)
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)


async def _call(make: Callable[[], Awaitable[V]]) -> V:
    return await make()
