"""Background jobs: run a bounded number at once, follow, cancel, and keep results for a while.

All is in memory and on one loop. ``Jobs`` has five methods, so that a queue shared between
processes can take its place.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from harness.clock import Clock
from harness.service.event_log import Event, EventLog, State

T = TypeVar("T")

EVENTS_OF_ENDED_JOBS = 50_000


class KeyReused(Exception):  # noqa: N818 - what happened is the name
    """An idempotency key came again with another request."""


class TooMany(Exception):  # noqa: N818 - what happened is the name
    """As many jobs as there may be, and none of them has ended."""


class Closed(Exception):  # noqa: N818 - what happened is the name
    """No more jobs are taken: the service is shutting down."""


class Job(Generic[T]):
    """One unit of work, from its submission until it is forgotten. Stamps are clock seconds."""

    def __init__(self, created: float) -> None:
        self.id = secrets.token_urlsafe(16)
        self.state: State = "queued"
        self.created = created
        self.started: float | None = None
        self.finished: float | None = None
        self.result: T | None = None
        """What the work returned, once ``succeeded``."""
        self.error: BaseException | None = None
        """What the work raised, once ``failed``, without its traceback and its cause: they would
        keep the work's frames alive.
        """
        self._log = EventLog()
        self._log.change("queued")

    @property
    def ended(self) -> bool:
        """Succeeded, failed or cancelled: nothing will happen any more."""
        return self.finished is not None

    def push(self, data: Any) -> None:
        """Tell all who read the events; for the work, while it runs."""
        self._log.push(data)

    def events(self) -> AsyncGenerator[Event, None]:
        """All events, those of the past first; ends with the job.

        Who is too slow or too late misses what the log has dropped: all but the newest of what was
        pushed (see EventLog), and of ended jobs all but EVENTS_OF_ENDED_JOBS together.
        """
        return self._log.read()

    async def wait(self) -> None:
        """Return when the job has ended."""
        await self._log.wait()

    def _start(self, now: float) -> None:
        self.started = now
        self.state = "running"
        self._log.change("running")

    def _end(self, state: State, now: float) -> None:
        self.finished = now
        self.state = state
        self._log.change(state, last=True)


Work = Callable[[Job[T]], Awaitable[T]]


@dataclass(slots=True, eq=False)
class _Entry(Generic[T]):
    """A job with what only its queue may know."""

    job: Job[T]
    key: str | None
    fingerprint: str | None
    work: Work[T] | None  # until it starts
    task: "asyncio.Task[T] | None" = None  # while it runs


@dataclass(frozen=True, slots=True)
class Counts:
    """Jobs that are queued or running now, and how all others since the start have ended."""

    active: int
    completed: int
    failed: int
    cancelled: int


class Jobs(Generic[T]):
    """At most ``most`` jobs, ``parallel`` of them running at once in the order of submission.
    Ended ones are kept for ``keep_s`` seconds, or until their room is needed, oldest first.
    """

    def __init__(
        self, clock: Clock, *, most: int = 10_000, keep_s: float = 3600.0, parallel: int = 32
    ) -> None:
        self._clock = clock
        self._most = most
        self._keep_s = keep_s
        self._parallel = parallel
        self._entries: dict[str, _Entry[T]] = {}
        self._keys: dict[str, _Entry[T]] = {}
        self._queued: OrderedDict[str, _Entry[T]] = OrderedDict()
        self._running: dict[str, _Entry[T]] = {}
        self._ended: OrderedDict[str, _Entry[T]] = OrderedDict()  # in the order of their ends
        self._totals: dict[State, int] = {"succeeded": 0, "failed": 0, "cancelled": 0}
        self._logs: OrderedDict[str, EventLog] = OrderedDict()  # of those, with what was pushed
        self._events_kept = 0  # in these logs
        self._closed = False

    def submit(
        self,
        work: Work[T],
        *,
        idempotency_key: str | None = None,
        fingerprint: str | None = None,
    ) -> tuple[Job[T], bool]:
        """Take ``work`` on, to be started in its turn; gives the job and whether it is new.

        While a job with the same ``idempotency_key`` is remembered, that job is given instead,
        however it ended. Raises KeyReused if its ``fingerprint`` was another, TooMany, Closed.
        """
        now = self._clock.now()
        self._forget_expired(now)
        if idempotency_key is not None and (known := self._keys.get(idempotency_key)):
            if known.fingerprint != fingerprint:
                raise KeyReused("the idempotency key belongs to another request")
            return known.job, False
        if self._closed:
            raise Closed("no more jobs are taken: the service is shutting down")
        if len(self._entries) >= self._most:
            if not self._ended:
                raise TooMany(f"{self._most} jobs are queued or running")
            self._forget_oldest()
        entry = _Entry(Job[T](now), idempotency_key, fingerprint, work)
        self._entries[entry.job.id] = self._queued[entry.job.id] = entry
        if idempotency_key is not None:
            self._keys[idempotency_key] = entry
        self._start_next()
        return entry.job, True

    def get(self, id_: str) -> Job[T] | None:
        """The job, or None if there is none of that id (any more)."""
        self._forget_expired(self._clock.now())
        entry = self._entries.get(id_)
        return None if entry is None else entry.job

    def cancel(self, id_: str) -> Job[T] | None:
        """Cancel the job unless it has ended, and give it; None if there is none of that id.

        A queued job is cancelled at once; a running one when its work has let go: ``Job.wait``.
        """
        job = self.get(id_)
        if id_ in self._queued:
            self._end(self._queued.pop(id_), "cancelled")
        elif id_ in self._running:
            self._cancel_running(self._running[id_])
        return job

    def counts(self) -> Counts:
        """How many there are, for status and metrics."""
        return Counts(
            active=len(self._queued) + len(self._running),
            completed=self._totals["succeeded"],
            failed=self._totals["failed"],
            cancelled=self._totals["cancelled"],
        )

    async def close(self, grace: float) -> None:
        """Take no more jobs, cancel the queued ones, let the running ones go on for ``grace``
        seconds, cancel those that are left, and return when all have ended.
        """
        self._closed = True
        while self._queued:
            self._end(self._queued.popitem()[1], "cancelled")
        tasks = [entry.task for entry in self._running.values() if entry.task]
        if not tasks:
            return
        await asyncio.wait(tasks, timeout=grace)
        for entry in self._running.values():
            self._cancel_running(entry)
        await asyncio.wait(tasks)

    def _start_next(self) -> None:
        while self._queued and len(self._running) < self._parallel:
            id_, entry = self._queued.popitem(last=False)
            work, entry.work = entry.work, None
            assert work is not None
            entry.task = asyncio.create_task(_run(work, entry.job))
            entry.task.add_done_callback(partial(self._settle, entry))
            self._running[id_] = entry
            entry.job._start(self._clock.now())

    def _settle(self, entry: _Entry[T], task: "asyncio.Task[T]") -> None:
        """The end of a job's task, whether or not it ever began to run."""
        job = entry.job
        del self._running[job.id]
        entry.task = None
        if task.cancelled():
            self._end(entry, "cancelled")
        elif (error := task.exception()) is not None:
            error.__cause__ = error.__context__ = error.__traceback__ = None
            job.error = error
            self._end(entry, "failed")
        else:
            job.result = task.result()
            self._end(entry, "succeeded")
        self._start_next()

    def _end(self, entry: _Entry[T], state: State) -> None:
        job = entry.job
        entry.work = None
        self._totals[state] += 1
        self._ended[job.id] = entry
        job._end(state, self._clock.now())
        if job._log.pushed:
            self._logs[job.id] = job._log
            self._events_kept += job._log.pushed
        while self._events_kept > EVENTS_OF_ENDED_JOBS:
            self._events_kept -= self._logs.popitem(last=False)[1].forget(0)

    def _cancel_running(self, entry: _Entry[T]) -> None:
        # Once only: a second time would break into the work's own cleaning up.
        if entry.task is not None and not entry.task.cancelling():
            entry.task.cancel()

    def _forget_expired(self, now: float) -> None:
        while self._ended:
            oldest = next(iter(self._ended.values())).job
            if oldest.finished is None or now < oldest.finished + self._keep_s:
                return
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        id_, entry = self._ended.popitem(last=False)
        del self._entries[id_]
        if entry.key is not None:
            del self._keys[entry.key]
        if (log := self._logs.pop(id_, None)) is not None:
            self._events_kept -= log.pushed


async def _run(work: Work[T], job: Job[T]) -> T:
    return await work(job)
