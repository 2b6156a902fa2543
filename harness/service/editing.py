"""One edit through a pipeline: deadline, cache, admission, and its outcome. Knows no HTTP."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from harness.clock import Clock, on_thread
from harness.pipelines import PipelineResult, Settings
from harness.pipelines.async_ import Async
from harness.pipelines.fallback import Fallback
from harness.pipelines.steps import edit_streaming
from harness.pipelines.sync import Sync
from harness.prompt import prompt_version, rule_summary
from harness.providers import Provider, Recorder
from harness.records import ErrorType, Malformed
from harness.service.admission import Admission, Full, Slot
from harness.service.cache import Cache, Hit, cache_key
from harness.service.patience import Patience, Wait
from harness.service.problems import ProblemError
from harness.service.reach import Reach
from harness.service.reading import Edit

Way = Literal["fallback", "async", "sync", "streaming"]
Show = Callable[[str], Awaitable[None]]
_SLOW_SHARE = 0.1  # of an edit's time that its reader may take before that hides the provider's
_TELLING: tuple[ErrorType, ...] = ("rate_limited", "timeout")  # before any other failure


class Edited(NamedTuple):
    """What came of an edit; ``hit`` None: there is no cache, or it was not asked."""

    story: str
    summary: str
    hit: Hit | None = None


class _Shown:
    """``show``, and for how long it has kept the edit waiting."""

    def __init__(self, show: Show, clock: Clock) -> None:
        self._show = show
        self._clock = clock
        self.waited_s = 0.0

    async def __call__(self, text: str) -> None:
        began = self._clock.now()
        try:
            await self._show(text)
        finally:
            self.waited_s += self._clock.now() - began


class Editor:
    """Edits stories through the harness's own pipelines.

    ``admission`` bounds the edits that await the provider, ``threads`` those that block one;
    ``deadline_s`` bounds an edit from when it was asked for. A blocking call cannot be cancelled:
    it keeps its thread's place until it ends, by its deadline at the latest.
    """

    def __init__(
        self,
        provider: Provider,
        clock: Clock,
        *,
        admission: Admission,
        threads: Admission,
        deadline_s: float,
        cache: Cache[Edited] | None = None,
        settings: Settings | None = None,
        seed: int = 0,
    ) -> None:
        self.admission = admission
        self.threads = threads
        self.cache = cache
        self.deadline_s = deadline_s
        self.reach = Reach()
        self._patience = Patience(deadline_s, clock)
        self._provider = provider
        self._clock = clock
        self._settings = settings or Settings()
        self._seed = seed
        self._served = itertools.count()
        self.pipelines: dict[Way, Async | Fallback] = {
            "async": Async(self._settings),
            "fallback": Fallback(self._settings),
        }
        self._sync = Sync(self._settings)
        self._on_threads: set[asyncio.Task[Edited]] = set()

    @property
    def busy(self) -> bool:
        """Whether any edit has a slot."""
        return self.admission.in_flight > 0 or self.threads.in_flight > 0

    async def edit(self, way: Way, edit: Edit, *, draw: str = "", fresh: bool = False) -> Edited:
        """The edited story. ``draw`` names the edit for a simulator; ``fresh`` passes the cache by.

        Raises whatever ``problems.problem`` knows.
        """
        if self.cache is None or fresh:
            return await self._make(way, edit, draw)
        # A call that others share must not end with one caller's patience: that is kept here.
        with self._patience.wait():
            edited, hit = await self.cache.get(
                self._key(way, edit), lambda: self._make(way, edit, draw)
            )
        return edited._replace(hit=hit)

    async def stream(
        self, edit: Edit, show: Show, *, draw: str = "", patient: bool = False
    ) -> Edited:
        """As ``edit``, awaiting ``show`` with each piece of the answer as it comes; never cached.

        While ``show`` waits nothing more is read, so a slow reader slows the provider's stream
        down and piles up nothing. ``patient`` edits wait for their turn as long as it takes, and
        come back when the queue is full or the provider does not answer; their deadline counts
        from their turn.
        """
        while True:
            try:
                return await self._awaited("streaming", edit, draw, show, patient=patient)
            except Full as full:
                if not patient:
                    raise
                await self._clock.sleep(full.retry_after_s)
            except ProblemError as problem:
                if not patient or problem.type != "not_ready":
                    raise
                await self.reach.wait(True)

    async def release(self) -> None:
        """Stop waiting for blocking calls that outlast the service; their threads end alone."""
        self._patience.close()
        left = list(self._on_threads)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _make(self, way: Way, edit: Edit, draw: str) -> Awaitable[Edited]:
        return self._blocking(edit, draw) if way == "sync" else self._awaited(way, edit, draw)

    async def _awaited(
        self, way: Way, edit: Edit, draw: str, show: Show | None = None, *, patient: bool = False
    ) -> Edited:
        if patient:
            async with self.admission.slot() as slot:
                with self._patience.wait() as wait:
                    return await self._in_slot(slot, wait, way, edit, draw, show)
        with self._patience.wait() as wait:
            async with self.admission.slot() as slot:
                return await self._in_slot(slot, wait, way, edit, draw, show)

    async def _in_slot(
        self, slot: Slot, wait: Wait, way: Way, edit: Edit, draw: str, show: Show | None
    ) -> Edited:
        self.reach.check()  # it may have fallen silent while this one waited for its turn
        shown = None if show is None else _Shown(show, self._clock)
        # Of use to a fallback's thread only, which no time-out of the loop can reach.
        recorder = self._recorder(way, draw, slot.entered + self.deadline_s)
        try:
            if way == "streaming":
                result = await edit_streaming(edit, recorder, self._settings, shown)
            else:
                result = await self.pipelines[way].edit(edit, recorder)
        finally:
            waited_s = 0.0 if shown is None else shown.waited_s
            self._tell(slot, recorder, late=wait.expired, waited_s=waited_s)
        return _usable(edit, result)

    async def _blocking(self, edit: Edit, draw: str) -> Edited:
        """A task of its own holds the place, so that it is kept as long as the thread is."""
        task = asyncio.create_task(self._on_thread(edit, draw))
        self._on_threads.add(task)
        task.add_done_callback(self._gone)
        with self._patience.wait():
            return await asyncio.shield(task)

    def _gone(self, task: asyncio.Task[Edited]) -> None:
        self._on_threads.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked may have left, and nobody else needs to know

    async def _on_thread(self, edit: Edit, draw: str) -> Edited:
        deadline = self._clock.now() + self.deadline_s
        async with self.threads.slot(deadline) as slot:
            self.reach.check()
            recorder = self._recorder("sync", draw, deadline)
            try:
                result = await on_thread(lambda: self._sync.edit(edit, recorder))
            finally:
                self._tell(slot, recorder, late=self._clock.now() >= deadline)
            return _usable(edit, result)

    def _recorder(self, way: Way, draw: str, deadline: float) -> Recorder:
        named = draw or f"{self._seed}|service|{next(self._served)}|{way}"
        return Recorder(self._provider, self._clock, named, deadline)

    def _tell(self, slot: Slot, recorder: Recorder, *, late: bool, waited_s: float = 0.0) -> None:
        """Tell the limit how the edit went; one that its caller gave up says nothing, nor how long
        one took that waited for its reader: meanwhile the provider may have gone on or not.
        """
        took_s = self._clock.now() - slot.entered - waited_s
        unclear = waited_s > _SLOW_SHARE * (took_s + waited_s)
        attempts = recorder.attempts
        self.reach.note(attempts, late=late and not unclear)
        errors: list[ErrorType] = []
        given_up = False
        for attempt in attempts:
            given_up |= attempt.stopped_early
            if attempt.error is not None:
                errors.append(attempt.error.type)
        failure: ErrorType | None = "timeout" if late else None
        if errors:
            failure = next((e for e in _TELLING if e in errors), errors[0])
        elif given_up and not late:
            return
        if not unclear or failure not in (None, "timeout"):
            slot.finished(took_s, failure)

    def _key(self, way: Way, edit: Edit) -> str:
        return cache_key(
            story=edit.story.to_json(),
            request=edit.request,
            prompt_version=prompt_version(),
            model=str(self._provider.describe().get("model")),
            settings={
                "language": edit.language,
                "summary": self._settings.summary,
                "constrained": self._settings.constrained,
                "way": way,
            },
        )


def _usable(edit: Edit, result: PipelineResult) -> Edited:
    if isinstance(result.story, Malformed):
        why = f"the model's answer holds no valid story: {result.story.why}"
        raise ProblemError("unusable_answer", why)
    return Edited(result.story.to_json(), result.summary or rule_summary(edit))
