"""What a pipeline is: it edits one scenario's story by calls to a provider."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from harness.providers import Recorder
from harness.records import Malformed
from harness.scenario import Scenario
from harness.story import Story

Dispatch = Literal["serial", "threads", "tasks", "batches"]
"""How the trials of a block are run: one after another on a thread of their own, on N threads,
as N tasks, or in groups of B tasks that wait for their slowest."""


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """The edited story, or why the reply holds none; and the summary if one was made."""

    story: Story | Malformed
    summary: str | None = None


class Pipeline(Protocol):
    """``edit`` is either ``async def`` or plain ``def``; the latter is called on a thread.

    It raises ProviderError when there is no answer; any other exception counts as ``internal``.
    """

    name: str

    def edit(
        self, scenario: Scenario, provider: Recorder
    ) -> PipelineResult | Awaitable[PipelineResult]: ...


@runtime_checkable
class Connected(Protocol):
    """A pipeline that holds something open for the length of a run."""

    async def open(self) -> None:
        """Take it. Raises InputError when that cannot be."""
        ...

    async def close(self) -> None:
        """Let it go; safe to call twice, and without ``open``."""
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """What every shipped pipeline can be told: whether to make the second call, and whether to
    ask the server to keep to the story's JSON Schema.
    """

    summary: bool = True
    constrained: bool = False
