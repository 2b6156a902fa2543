"""Judges the answers of a load run once it is over: the spooled bodies, against the scenarios."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from harness.edits import MAX_WHY, UNUSABLE, read_story
from harness.load.asking import Form
from harness.load.columns import Columns, Failure
from harness.load.observed import CODE, Codes
from harness.providers.sse import SSEError, SSEReader
from harness.records import CheckResult, Malformed, Outcome
from harness.scenario import Scenario
from harness.story import Story

Reader: TypeAlias = Callable[[bytes], str | Malformed]
"""The body of a complete 2xx answer → the text of the edit, or why there is none."""

REMEMBERED = 10_000  # different answers whose verdict is kept, since servers repeat themselves


@dataclass(frozen=True, slots=True)
class Verdict:
    """What judging an answer gave."""

    outcome: Outcome
    malformed: Malformed | None
    checks: tuple[CheckResult, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """Verdicts of all requests. ``outcome``: codes (n,), meaningful where the request was answered.
    ``which``: (n,) place in ``verdicts``, -1 where there was no answer to judge.
    """

    outcome: Codes
    which: NDArray[np.int32]
    verdicts: Sequence[Verdict]


def check_answers(
    columns: Columns,
    bodies: Path,
    scenarios: Sequence[Scenario],
    which: NDArray[np.int32],
    read: Reader,
) -> Checked:
    """Judge every answered request. ``which``: (n,) place in ``scenarios`` of what each asked for.

    Equal verdicts are kept once, so memory does not grow with the number of answers.
    """
    places: dict[Verdict, int] = {}
    outcome = np.full(len(columns), CODE["error"], np.int8)
    found = np.full(len(columns), -1, np.int32)

    @lru_cache(maxsize=REMEMBERED)
    def place(number: int, digest: bytes) -> int:
        verdict = _judge(scenarios[number], read(body))
        return places.setdefault(verdict, len(places))

    kept = columns.answered
    with bodies.open("rb") as file:
        for row in np.flatnonzero(kept).tolist():
            body = read_body(file, columns, row)
            found[row] = place(int(which[row]), hashlib.sha256(body).digest())
    verdicts = list(places)
    codes = np.array([CODE[verdict.outcome] for verdict in verdicts], np.int8)
    outcome[kept] = codes[found[kept]]
    return Checked(outcome, found, verdicts)


def with_unusable(columns: Columns, bodies: Path) -> Columns:
    """The columns of our own service, whose problem ``unusable_answer`` is that a model answered
    and its answer was no story: as in process that is an answer, and no failure of the server's.
    """
    refused = np.isin(columns.failure, (Failure.HTTP_5XX, Failure.PROTOCOL))
    failure = columns.failure.copy()
    with bodies.open("rb") as file:
        for row in np.flatnonzero(refused).tolist():
            if _problem(read_body(file, columns, row)) is not None:
                failure[row] = Failure.NONE
    return replace(columns, failure=failure)


def read_body(file: BinaryIO, columns: Columns, row: int) -> bytes:
    """The body of an answer from the spool file; an empty one has no place there."""
    at = int(columns.body_at[row])
    return b"" if at < 0 else os.pread(file.fileno(), int(columns.size[row]), at)


def _judge(scenario: Scenario, text: str | Malformed) -> Verdict:
    story = read_story(text) if isinstance(text, str) else text
    if not isinstance(story, Story):
        return Verdict("malformed", story, ())
    checks = tuple(scenario.judge(story))
    return Verdict("ok" if all(check.ok for check in checks) else "wrong", None, checks)


def read_completion(body: bytes) -> str | Malformed:
    """An OpenAI-compatible chat completion."""
    return _text(lambda: _said(orjson.loads(body)["choices"][0]["message"]["content"]))


def read_completion_stream(body: bytes) -> str | Malformed:
    """A streamed chat completion, event by event."""

    def text() -> str:
        events = [orjson.loads(data) for data in SSEReader().feed(body) if data != "[DONE]"]
        deltas = [event["choices"][0].get("delta", {}) for event in events if event.get("choices")]
        return "".join(_said(delta.get("content")) for delta in deltas)

    return _text(text)


def read_edit(body: bytes) -> str | Malformed:
    """An answer of the service."""
    return _problem(body) or _text(lambda: _said(orjson.loads(body)["story"]))


def read_edit_stream(body: bytes) -> str | Malformed:
    """A stream of the service: its ``result`` event, the only one with a story."""

    def text() -> str:
        events = (orjson.loads(data) for data in SSEReader().feed(body))
        return _said(next(event["story"] for event in events if "story" in event))

    return _problem(body) or _text(text)


def _problem(body: bytes) -> Malformed | None:
    """What the service says of a model's answer that was no story, alone or as a stream's event;
    None where it says nothing of the kind.
    """
    if UNUSABLE.encode() not in body:
        return None
    try:
        last = body if body.startswith(b"{") else list(SSEReader().feed(body))[-1]
        said = orjson.loads(last)
        if said["type"] == UNUSABLE:
            return Malformed("bad_story", str(said["detail"])[:MAX_WHY])
    except (ValueError, KeyError, IndexError, TypeError, SSEError):
        pass  # a story may hold the word too
    return None


READERS: dict[Form, Reader] = {
    "completion": read_completion,
    "completion_stream": read_completion_stream,
    "edit": read_edit,
    "edit_stream": read_edit_stream,
}


def _text(read: Callable[[], str]) -> str | Malformed:
    """What ``read`` gives, or why the body is not what it was taken for."""
    try:
        return read()
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, StopIteration, SSEError):
        return Malformed("no_json", "the answer has not the form of this API")


def _said(value: Any) -> str:
    """A text that may be null."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise TypeError("is not text")
