"""Server-sent events from lines, each with the moment at which it was whole."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Event(NamedTuple):
    """``kind``: its type, ``message`` when it names none; ``moment``: ``time.perf_counter()``."""

    kind: str
    data: bytes
    moment: float


def events(readline: Callable[[], bytes]) -> Iterator[Event]:
    """Every event with data. ``readline`` gives a line with its end, and nothing at the end."""
    kind, data = b"", list[bytes]()
    while line := readline():
        line = line.rstrip(b"\r\n")
        name, _, value = line.partition(b":")
        if name == b"event":
            kind = value.removeprefix(b" ")
        elif name == b"data":
            data.append(value.removeprefix(b" "))
        elif not line:
            if data:
                told = kind.decode("utf-8", "replace") or "message"
                yield Event(told, b"\n".join(data), time.perf_counter())
            kind, data = b"", []
