"""A trace file of recorded traffic → the moments at which its requests came.

Only the moments are taken, as they were; what is sent is the workload's own. JSONL has one object
a line, CSV a header; of either, the first of these keys is read (whatever its case):

- ``timestamp_ms``: milliseconds
- ``timestamp``, ``arrived_at``, ``time``: seconds, or a date and time as in ISO 8601; beside
  ``hash_ids`` (Mooncake's traces) milliseconds
"""

import csv
import datetime
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import orjson

from harness.errors import InputError
from harness.load.arrivals import MOST_REQUESTS, Floats

KEYS = ("timestamp_ms", "timestamp", "arrived_at", "time")


def read_trace(path: Path, *, duration: float | None = None, requests: int | None = None) -> Floats:
    """Ascending seconds since the trace's first request, at most ``requests`` of them, all below
    ``duration``. Raises InputError naming the line.
    """
    found: list[float] = []
    first = last = 0.0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, moment in _moments(path, file):
                if not found:
                    first = moment
                elif moment < last:
                    raise InputError(
                        f"{path}: line {number}: is earlier than the one before; sort the trace"
                    )
                last = moment
                if len(found) == requests or (duration is not None and last - first >= duration):
                    break
                found.append(last - first)
                if len(found) > MOST_REQUESTS:
                    raise InputError(f"{path}: more than {MOST_REQUESTS:,} requests; --requests N")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a trace: {error}") from error
    if not found:
        raise InputError(f"{path}: holds no request; a trace is JSONL or CSV with a timestamp")
    return np.array(found)


def _moments(path: Path, file: Iterator[str]) -> Iterator[tuple[int, float]]:
    """(line number, seconds) of every request."""
    rows = _csv(path, file) if path.suffix.lower() == ".csv" else _jsonl(path, file)
    for number, row in rows:
        key = next((key for key in KEYS if key in row), None)
        if key is None:
            raise InputError(f"{path}: line {number}: has none of {', '.join(KEYS)}")
        moment = _seconds(row[key])
        if moment is None or not math.isfinite(moment):
            raise InputError(f"{path}: line {number}: {key}: {row[key]!r} is no moment")
        millis = key == "timestamp_ms" or (key == "timestamp" and "hash_ids" in row)
        yield number, moment / 1000 if millis else moment


def _jsonl(path: Path, file: Iterator[str]) -> Iterator[tuple[int, Mapping[str, object]]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InputError(f"{path}: line {number}: is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise InputError(f"{path}: line {number}: is not a JSON object")
        yield number, {key.lower(): value for key, value in row.items()}


def _csv(path: Path, file: Iterator[str]) -> Iterator[tuple[int, Mapping[str, object]]]:
    reader = csv.reader(file)
    header = [name.strip().lower() for name in next(reader, [])]
    for row in reader:
        if not row:
            continue
        if len(row) != len(header):
            raise InputError(
                f"{path}: line {reader.line_num}: has {len(row)} fields, the header {len(header)}"
            )
        yield reader.line_num, dict(zip(header, row, strict=True))


def _seconds(value: object) -> float | None:
    """A number, a number in text, or a date and time; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if not isinstance(value, str):
        return None
    try:
        return float(value)
    except ValueError:
        pass
    try:
        moment = datetime.datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp()
