"""What happened in a job, for any number of readers, within a bounded memory."""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]

EVENTS_PER_JOB = 8192


@dataclass(frozen=True, slots=True)
class Event:
    """What happened in a job: a change of ``state``, or ``data`` that the work pushed.

    ``number`` counts from 0; a gap between two events of a reader is what it was too slow or too
    late for.
    """

    number: int
    state: State | None
    data: Any = None


class EventLog:
    """One log, read by each at its own pace and with no copy.

    It keeps every change of state and, of what was pushed, the newest: EVENTS_PER_JOB at most, and
    half as many at least.
    """

    def __init__(self) -> None:
        self.pushed = 0
        """How many of those kept were pushed."""
        self._events: list[Event] = []
        self._next = 0
        self._ended = False
        self._news = asyncio.Event()  # set and cleared at once: it wakes whoever waits just then

    def change(self, state: State, *, last: bool = False) -> None:
        """Add a change of state; after the last one nothing is added any more."""
        self._ended = last
        self._add(state, None)

    def push(self, data: Any) -> None:
        """Add what the work tells."""
        if self._ended:
            return
        self.pushed += 1
        self._add(None, data)
        if self.pushed > EVENTS_PER_JOB:
            self.forget(EVENTS_PER_JOB // 2)  # not one by one: each time costs the log's length

    def forget(self, most: int) -> int:
        """Keep only the newest ``most`` of what was pushed; gives how many have gone."""
        gone = surplus = max(0, self.pushed - most)
        kept = []
        for event in self._events:
            if event.state is None and surplus:
                surplus -= 1
            else:
                kept.append(event)
        self._events = kept
        self.pushed -= gone
        return gone

    async def read(self) -> AsyncGenerator[Event, None]:
        """All events that are kept, then the new ones as they come, until the last."""
        number = 0
        while True:
            at = bisect_left(self._events, number, key=attrgetter("number"))
            if at < len(self._events):
                event = self._events[at]
                number = event.number + 1
                yield event
            elif self._ended:
                return
            else:
                await self._news.wait()

    async def wait(self) -> None:
        """Return when the last event is there."""
        while not self._ended:
            await self._news.wait()

    def _add(self, state: State | None, data: Any) -> None:
        self._events.append(Event(self._next, state, data))
        self._next += 1
        self._news.set()
        self._news.clear()
