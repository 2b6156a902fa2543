"""The five ways of asking for an edit, each with its clock."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from harness.clock import Clock
from harness.demo.asked import Batch
from harness.demo.client import Answer, Client, JobState, Problem, Token

Way: TypeAlias = Literal["async", "batch", "stream", "job", "sync"]
WAYS: tuple[Way, ...] = ("async", "batch", "stream", "job", "sync")
State: TypeAlias = Literal["waiting", "queued", "running", "done", "failed", "cancelled"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")


@dataclass(slots=True)
class Progress:
    """One way being gone, for any number of onlookers, on other threads too.

    ``results`` are in the order of ``edits``, and empty until the end: only a batch has several.
    ``text`` is what the model has said so far, where that comes piece by piece; ``job`` is the id
    of the background job. Stamps are clock seconds; None: not yet, or never.
    """

    way: Way
    edits: Batch
    clock: Clock
    watch: "Callable[[Progress], None] | None" = None
    state: State = "waiting"
    began: float | None = None
    first_text: float | None = None
    ended: float | None = None
    text: str = ""
    job: str | None = None
    results: tuple[Answer | Problem, ...] = field(default=())

    @property
    def elapsed(self) -> float | None:
        """Seconds since it began, up to its end."""
        if self.began is None:
            return None
        return (self.clock.now() if self.ended is None else self.ended) - self.began

    @property
    def ttft(self) -> float | None:
        """Seconds to the first piece of text; None where text does not come piece by piece."""
        if self.began is None or self.first_text is None:
            return None
        return self.first_text - self.began

    @property
    def over(self) -> bool:
        return self.state in ENDED

    def begin(self) -> None:
        self.began = self.clock.now()
        self.move("queued" if self.way == "job" else "running")

    def move(self, state: State) -> None:
        self.state = state
        self._tell()

    def hear(self, text: str) -> None:
        """Take a piece of the model's text."""
        if self.first_text is None:
            self.first_text = self.clock.now()
        self.text += text
        self._tell()

    def end(self, *results: Answer | Problem) -> None:
        """Take what came of it."""
        self.ended = self.clock.now()
        self.results = results
        problems = [result for result in results if isinstance(result, Problem)]
        if any(problem.type == "cancelled" for problem in problems):
            self.move("cancelled")
        else:
            self.move("failed" if len(problems) == len(results) else "done")

    def _tell(self) -> None:
        if self.watch is not None:
            self.watch(self)


async def go(progress: Progress, client: Client) -> None:
    """Go one way to its end, which ``progress`` shows; only cancellation escapes."""
    progress.begin()
    try:
        await _GO[progress.way](progress, client)
    except Problem as problem:
        progress.end(problem)


async def go_in_turn(ways: Sequence[Progress], url: str) -> None:
    """Go several ways, each when the one before has ended. None is left under way, whatever
    happens.
    """
    try:
        async with Client(url) as client:
            for progress in ways:
                await go(progress, client)
    finally:
        for progress in ways:
            if not progress.over:
                progress.end(Problem("internal", "the demo itself failed"))


async def _once(progress: Progress, client: Client) -> None:
    progress.end(await client.edit(progress.edits[0].body()))


async def _blocking(progress: Progress, client: Client) -> None:
    progress.end(await client.edit_blocking(progress.edits[0].body()))


async def _batch(progress: Progress, client: Client) -> None:
    bodies = [asked.body() for asked in progress.edits]
    progress.end(*await client.edit_many(bodies, parallel=len(bodies)))


async def _stream(progress: Progress, client: Client) -> None:
    async with aclosing(client.stream(progress.edits[0].body())) as events:
        async for event in events:
            if isinstance(event, Token):
                progress.hear(event.text)
            else:
                progress.end(event)


async def _job(progress: Progress, client: Client) -> None:
    progress.job = await client.submit(progress.edits[0].body())
    async with aclosing(client.follow(progress.job)) as events:
        async for event in events:
            match event:
                case Token():
                    progress.hear(event.text)
                case JobState("queued" | "running" as state):
                    progress.move(state)
                case Answer():
                    progress.end(event)


_GO: dict[Way, Callable[[Progress, Client], Awaitable[None]]] = {
    "async": _once,
    "batch": _batch,
    "stream": _stream,
    "job": _job,
    "sync": _blocking,
}
