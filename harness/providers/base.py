"""What a provider is: it turns a Prompt into a Completion, blocking, awaitable or streaming."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Protocol

from harness.prompt import Prompt
from harness.records import CallError, ErrorType, SimTiming, Usage


@dataclass(slots=True)
class Trace:
    """The stamps of one call, filled in on the way by whoever knows them (clock seconds).

    It is passed down and not returned, so that a call that fails or is cancelled keeps what had
    been stamped until then.
    """

    admitted: float | None = None
    sent: float | None = None
    first_token: float | None = None
    last_token: float | None = None
    done: float | None = None
    status: int | None = None
    usage: Usage | None = None
    finish_reason: str | None = None
    chunks: int | None = None
    sim: SimTiming | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer; token usage and stamps are in the call's Trace."""

    text: str


class ProviderError(Exception):
    """A call that got no answer, with its type from ``records.ErrorType``."""

    def __init__(self, type_: ErrorType, message: str) -> None:
        super().__init__(f"{type_}: {message}")
        self.error = CallError(type_, message)


class Provider(Protocol):
    """A source of completions. Every call stamps ``trace`` and raises only ProviderError."""

    async def open(self) -> None:
        """Start what the provider needs. Raises InputError when it cannot be reached or used."""
        ...

    async def close(self) -> None:
        """Release what ``open`` took; safe to call twice."""
        ...

    def describe(self) -> dict[str, Any]:
        """What the manifest says of it (after ``open``); never a key. ``simulated`` is a bool."""
        ...

    def complete_blocking(self, prompt: Prompt, trace: Trace) -> Completion:
        """Answer while holding the calling thread; safe from several threads at once."""
        ...

    async def complete(self, prompt: Prompt, trace: Trace) -> Completion:
        """Answer without holding the loop."""
        ...

    def stream(self, prompt: Prompt, trace: Trace) -> AsyncGenerator[str, None]:
        """Yield the answer's text as it comes; closing the iterator ends the call."""
        ...
