"""A load run as a folder in the harness's format, and its columns packed beside the records.

``records.jsonl`` has the lines that ``records.TrialRecord`` has, written straight from the columns
some thousands at a time; ``columns.npz`` holds every array as measured, the gaps between tokens
too, which the records do not.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from harness.errors import InputError
from harness.load.checking import Checked, Reader, read_body
from harness.load.columns import Columns, Failure
from harness.load.engine import LoadResult
from harness.load.manifest import ARM
from harness.load.observed import Observed
from harness.records import OUTCOMES, Answer, BlockRecord
from harness.store import ANSWERS, BLOCKS, RECORDS

COLUMNS = "columns.npz"
CHUNK = 10_000
MOST_LAGS = 10_000
MOST_ANSWERS = 1_000  # of each outcome: the failure gallery, not an archive


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """A run that is over, and what was asked in it.

    ``names``: the scenarios; ``which``: (n,) place in ``names`` of what each request asked for.
    """

    result: LoadResult
    observed: Observed
    checked: Checked | None
    names: Sequence[str]
    which: NDArray[np.int32]
    streamed: bool


def write_records(folder: Path, played: Played) -> None:
    """Write records, the block's line and the columns. Raises InputError when it cannot."""
    try:
        with (folder / RECORDS).open("wb") as file:
            for chunk in record_lines(played):
                file.write(chunk)
        (folder / BLOCKS).write_bytes(
            orjson.dumps(_block(played.result), option=orjson.OPT_APPEND_NEWLINE)
        )
        columns = played.result.columns
        arrays = {field.name: getattr(columns, field.name) for field in fields(columns)}
        np.savez(folder / COLUMNS, outcome=played.observed.outcome, which=played.which, **arrays)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from error


def record_lines(played: Played) -> Iterator[bytes]:
    """The lines of ``records.jsonl``, ten thousand at a time."""
    columns = played.result.columns
    fixed = _Fixed(played)
    repeats = repeats_of(played.which)
    stamps = _stamps(columns)
    for start in range(0, len(columns), CHUNK):
        part = slice(start, start + CHUNK)
        rows = zip(
            played.which[part].tolist(),
            repeats[part].tolist(),
            *(_moments(array[part]) for array in stamps),
            played.observed.outcome[part].tolist(),
            columns.failure[part].tolist(),
            columns.status[part].tolist(),
            columns.tokens[part].tolist(),
            columns.token_chunks[part].tolist(),
            _places(played.checked, part, len(columns)),
            strict=True,
        )
        yield b"".join(map(fixed.line, rows))


def repeats_of(which: NDArray[np.int32]) -> NDArray[np.int64]:
    """How often each request's scenario had been asked for before it."""
    order = np.argsort(which, kind="stable")
    ordered = which[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if which.size else order
    lengths = np.diff(np.r_[starts, which.size])
    found = np.empty(which.size, np.int64)
    found[order] = np.arange(which.size) - np.repeat(starts, lengths)
    return found


def write_answers(folder: Path, played: Played, read: Reader) -> None:
    """Write the first thousand answers of every outcome. Raises InputError when it cannot."""
    try:
        with (folder / ANSWERS).open("wb") as file:
            for answer in _answers(played, read):
                file.write(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from error


def _answers(played: Played, read: Reader) -> Iterator[Answer]:
    columns, bodies = played.result.columns, played.result.bodies
    assert bodies is not None, "answers are kept only when bodies are"
    repeats = repeats_of(played.which)
    kept = columns.answered
    with bodies.open("rb") as file:
        for code in np.unique(played.observed.outcome[kept]).tolist():
            mine = kept & (played.observed.outcome == code)
            for row in np.flatnonzero(mine)[:MOST_ANSWERS].tolist():
                body = read_body(file, columns, row)
                text = read(body)
                trial = _trial(played.names[int(played.which[row])], int(repeats[row]))
                whole = text if isinstance(text, str) else body.decode("utf-8", "replace")
                yield Answer(trial, 0, "edit", whole)


class _Fixed:
    """Makes lines; holds what does not change from one to the next."""

    def __init__(self, played: Played) -> None:
        self._names = played.names
        self._mode = "stream" if played.streamed else "async"
        verdicts = played.checked.verdicts if played.checked is not None else ()
        self._malformed = [verdict.malformed for verdict in verdicts]
        self._checks = [
            orjson.Fragment(orjson.dumps(verdict.checks)) if verdict.checks else ()
            for verdict in verdicts
        ]

    def line(self, row: tuple[Any, ...]) -> bytes:
        (which, repeat, scheduled, eligible, sent, uncounted, first, last, done, *rest) = row
        outcome, failure, status, tokens, chunks, verdict = rest
        error = _error(failure, status)
        name = self._names[which]
        ended = None if OUTCOMES[outcome] in ("cancelled", "dropped") else done
        attempt = {
            "call": "edit",
            "due": sent,
            "admitted": None,
            "sent": sent,
            "first_token": first,
            "last_token": last,
            "done": done,
            "status": status or None,
            "error": error,
            "usage": None,
            "finish_reason": None,
            "chunks": chunks if self._mode == "stream" else None,
            "stopped_early": False,
            "sim": None,
            "mode": self._mode,
        }
        return orjson.dumps(
            {
                "trial": _trial(name, repeat),
                "scenario": name,
                "pipeline": ARM,
                "repeat": repeat,
                "block": 0,
                "position": 0,
                "segment": 0,
                "warmup": False,
                "scheduled": scheduled,
                "eligible": eligible,
                "sent": sent,
                "first_token": first,
                "last_token": last,
                "done": ended,
                "own_done": ended,
                "outcome": OUTCOMES[outcome],
                "error": error,
                "malformed": None if verdict < 0 else self._malformed[verdict],
                "attempts": () if sent is None else (attempt,),
                "usage": None,
                "checks": () if verdict < 0 else self._checks[verdict],
                "summary": None,
                "completion_tokens": tokens if tokens >= 0 else None,
                "uncounted": None if sent is None else uncounted,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )


def _trial(name: str, repeat: int) -> str:
    return f"{name}/{ARM}/{repeat}"


def _error(failure: int, status: int) -> dict[str, str] | None:
    if failure in (Failure.NONE, Failure.DROPPED, Failure.CANCELLED):
        return None
    return {"type": Failure(failure).name.lower(), "message": f"HTTP {status}" if status else ""}


def _stamps(columns: Columns) -> tuple[NDArray[np.float64], ...]:
    return (
        columns.scheduled,
        columns.eligible,
        columns.sent,
        columns.uncounted,
        np.where(columns.first_lost, np.nan, columns.first_token),
        columns.last_token,
        columns.done,
    )


def _moments(array: NDArray[np.float64]) -> list[float | None]:
    """As Python numbers, None for NaN."""
    values: list[float | None] = array.tolist()
    for i in np.flatnonzero(np.isnan(array)).tolist():
        values[i] = None
    return values


def _places(checked: Checked | None, part: slice, n: int) -> list[int]:
    if checked is None:
        return [-1] * len(range(*part.indices(n)))
    found: list[int] = checked.which[part].tolist()
    return found


def _block(result: LoadResult) -> BlockRecord:
    """The whole run as the one block that it is, with what the client used."""
    client = result.client
    thin = max(1, -(-client.loop_lag.size // MOST_LAGS))
    return BlockRecord(
        block=0,
        pipeline=ARM,
        segment=0,
        repeat=0,
        position=0,
        warmup=False,
        started=0.0,
        ended=result.duration_s,
        trials=len(result.columns),
        cpu_s=client.cpu_s,
        peak_rss_mb=client.peak_rss_mb,
        peak_threads=None,
        peak_sockets=client.connections_opened,
        lag_s=tuple(client.loop_lag[::thin].astype(float).tolist()),
    )
