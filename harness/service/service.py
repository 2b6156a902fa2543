"""The service without its web side: what it is made of, and its life from opening to closing."""

import asyncio
import contextlib
import time
from typing import Any, Protocol

import psutil

from harness.clock import Clock
from harness.errors import InputError
from harness.limits import AdaptiveLimit
from harness.pipelines import Settings
from harness.providers import Provider
from harness.service.admission import Admission
from harness.service.cache import Cache
from harness.service.editing import Editor
from harness.service.jobs import Jobs
from harness.service.metrics import Metrics
from harness.service.problems import LOG, reported, stopping
from harness.service.settings import ServiceSettings
from harness.service.wire import Model

PROBE_S = 1.0  # between two attempts to reach a provider that does not answer
LAST_S = 0.2  # for those who follow a job to hear how it ended, and for a last word to leave
START = 3  # edits in flight at first, as the original service has it

JobResult = dict[str, Any]


class Finishing(Protocol):
    """A connection that stays open until it is told to come to an end."""

    async def finish(self) -> None:
        """End when what is in flight on it has ended."""
        ...


class Service:
    """An editor, its jobs and its counts, around one provider. One loop only.

    ``token`` None: anybody may call. ``startup_s`` is None until ``listening`` is called.
    """

    def __init__(
        self,
        provider: Provider,
        clock: Clock,
        settings: ServiceSettings | None = None,
        token: str | None = None,
    ) -> None:
        self.settings = settings or ServiceSettings()
        self.clock = clock
        self.token = token
        self.metrics = Metrics()
        self.startup_s: float | None = None
        self.draining = False
        self.cancelling = False  # what is still in flight after the grace time
        self.requests: set[asyncio.Task[Any]] = set()
        """Requests being answered, as tasks."""
        self.sockets: set[Finishing] = set()
        made = self.settings
        limit = AdaptiveLimit(least=1, most=made.concurrency, start=min(START, made.concurrency))
        threads = AdaptiveLimit(least=made.threads, most=made.threads, start=made.threads)
        self.editor = Editor(
            provider,
            clock,
            admission=Admission(limit, made.queue, clock),
            threads=Admission(threads, made.queue, clock),
            deadline_s=made.deadline,
            cache=Cache(made.cache, made.cache_keep, clock) if made.cache else None,
            settings=Settings(summary=made.summary, constrained=made.constrained),
            seed=made.seed,
        )
        self.jobs: Jobs[JobResult] = Jobs(
            clock, most=made.jobs, keep_s=made.jobs_keep, parallel=made.concurrency
        )
        self.metrics.watch(self.editor, self.jobs)
        self._provider = provider
        self.loop: asyncio.AbstractEventLoop | None = None
        """That on which it was started."""
        self._reaching: asyncio.Task[None] | None = None
        self._wall_offset = time.time() - clock.now()

    @property
    def ready(self) -> bool:
        """Whether the provider answers and the service is not stopping."""
        return self.editor.reach.answers and not self.draining

    @property
    def model(self) -> dict[str, Any] | None:
        """What answers, as ``wire.Model`` has it; None until it has."""
        if not self.editor.reach.ever:
            return None
        about = self._provider.describe()
        return {name: about.get(name) for name in Model.model_fields}

    def wall(self, stamp: float | None) -> float | None:
        """Clock seconds as seconds since the epoch."""
        return None if stamp is None else stamp + self._wall_offset

    def check_open(self) -> None:
        """Raises ProblemError unless edits are taken."""
        if self.draining:
            raise stopping()
        self.editor.reach.check()

    def start(self) -> None:
        """Begin to reach for the provider; from then on, whenever it does not answer."""
        self.loop = asyncio.get_running_loop()
        self._reaching = asyncio.create_task(self._keep_open())

    def listening(self) -> None:
        """Note that connections are accepted from now on."""
        self.startup_s = time.time() - psutil.Process().create_time()

    async def wait_ready(self) -> None:
        """Return when the provider has answered."""
        await self.editor.reach.wait(True)

    async def _keep_open(self) -> None:
        """Open the provider, and again once it has fallen silent and no edit uses it any more."""
        reach = self.editor.reach
        while True:
            await self._open()
            await reach.wait(False)
            LOG.warning("the provider no longer answers: edits are refused until it does")
            while self.editor.busy and not reach.answers:
                await self.clock.sleep(PROBE_S)
            if not reach.answers:
                await self._provider.close()

    async def _open(self) -> None:
        told: str | None = None
        while True:
            try:
                await self._provider.open()
            except InputError as error:
                if str(error) != told:  # once, however long it lasts
                    told = str(error)
                    LOG.warning("waiting for the provider: %s", told)
            except Exception as error:
                reported("opening the provider", error)
            else:
                self.editor.reach.answered()
                return
            await self._provider.close()
            await self.clock.sleep(PROBE_S)

    async def drain(self) -> None:
        """Take no more edits; finish what is in flight within the grace time, cancel the rest.

        Jobs and requests have that time together, not one after the other.
        """
        self.draining = True
        grace = self.settings.grace
        jobs = asyncio.create_task(self.jobs.close(grace))
        finishing = [asyncio.create_task(socket.finish()) for socket in self.sockets]
        await self._wait_for_requests(grace)
        await jobs
        await self._wait_for_requests(LAST_S)
        self.cancelling = True
        for task in (*self.requests, *finishing):
            task.cancel()
        await self._wait_for_requests(LAST_S)
        await asyncio.gather(*finishing, return_exceptions=True)

    async def _wait_for_requests(self, seconds: float) -> None:
        if self.requests:
            await asyncio.wait(set(self.requests), timeout=seconds)

    async def close(self) -> None:
        """Release the provider; ``drain`` comes first."""
        if self._reaching is not None:
            self._reaching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reaching
        await self.editor.release()
        await self._provider.close()
