"""Chunks that bear a token, told by their bytes where they lie in memory: ``spot.c`` and its rows.

The chunks of one answer differ in the text between known bytes only. Those that are told are
stamped and counted in the row of their connection, and nothing is made of them. All others are for
the parsers; where the C code was not compiled (``hatch_build.py``), that is every chunk.
"""

import ctypes
import zlib
from collections.abc import Sequence
from pathlib import Path

from harness.load import ring
from harness.load.connection import Connection
from harness.load.ring import Ring, amount
from harness.load.stamps import STAMP_SIZE
from harness.load.stream import Events
from harness.load.tls import Received

HELD, BEFORE, AFTER = 64, 448, 64
SOURCE = Path(__file__).with_name("spot.c")
LIBRARY = Path(__file__).with_name("_spot.so")

_SEATS = 1 << 20
_LEAST = 64
SEVERAL = 8  # chunks of a read, on average, whose places are asked for at most
_NO_STAMP = bytes(STAMP_SIZE)


class _Row(ctypes.Structure):
    _fields_ = [
        ("key", ctypes.c_int64),
        ("last", ctypes.c_double),
        ("size", ctypes.c_int64),
        ("seen", ctypes.c_int64),
        ("left", ctypes.c_int64),
        ("count", ctypes.c_int32),
        ("into", ctypes.c_int32),
        ("over", ctypes.c_int32),
        ("gaps", ctypes.c_float * HELD),
        ("before", ctypes.c_ubyte * BEFORE),
        ("after", ctypes.c_ubyte * AFTER),
    ]


class _Event(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("key", "read", "start", "end")]


class _Turn(ctypes.Structure):
    _fields_ = [
        ("rows", ctypes.c_void_p),
        ("seats", ctypes.c_int64),
        ("ahead", ctypes.c_double),
        ("now", ctypes.c_double),
        ("late", ctypes.c_double),
        ("turn", ctypes.c_int64),
        ("newest", ctypes.c_double),
        ("merged", ctypes.c_int64),
        ("counted", ctypes.c_int64),
        ("room", ctypes.c_int64),
        ("events", ctypes.c_void_p),
    ]


def _load(path: Path) -> ctypes.CDLL | None:
    """The library, if it is there and was made of the ``spot.c`` that stands beside this."""
    try:
        layout = (
            zlib.crc32(SOURCE.read_bytes()),
            *map(ctypes.sizeof, (_Row, _Turn, _Event)), HELD, BEFORE, AFTER, _SEATS,
            ring.STAMPED, ring.STAMP, ring.HEAD, ring.STRIDE, ring.MORE,
        )  # fmt: skip
        library = ctypes.CDLL(str(path))
        there = (ctypes.c_int64 * len(layout)).in_dll(library, "layout")
        number, place = ctypes.c_int32, ctypes.c_void_p
        library.spot_entries.argtypes = [place, ctypes.c_char_p, number, place, place]
        library.spot_reads.argtypes = [place, place, place, place, ctypes.c_char_p, number, place]
    except (OSError, ValueError, AttributeError):
        return None
    # Stamps of other sizes are none of those that spot.c knows.
    return library if tuple(there) == layout and ctypes.sizeof(ctypes.c_long) == 8 else None


_library = _load(LIBRARY)


class Spotter:
    """``spot`` and ``spot_reads`` count the chunks that connections ``expect``; ``settle`` tells
    their events of them. Connections have a ``key`` from ``seat`` to ``leave``. ``compiled``: there
    is a library; else nothing is told.
    """

    def __init__(self, *, keep: bool) -> None:
        """``keep``: bodies are kept."""
        self.compiled = _library is not None
        self._seated: list[Connection | None] = []
        self._free: list[int] = []
        self._given = 0
        self._drawn: list[Events | None] = []  # whose chunks a row expects
        self._rows = (_Row * 0)()
        self._turn = _Turn()
        self._at = ctypes.addressof(self._turn)
        self._keep = keep
        self._left, self._events = (ctypes.c_int32 * 0)(), (_Event * 0)()

    def seat(self, connection: Connection) -> None:
        """Give a connection a key, which no other ever had."""
        if not self._free:
            self._grow()
        seat = self._free.pop()
        self._given += 1
        connection.key = self._given * _SEATS + seat
        self._seated[seat] = connection
        row = self._rows[seat]
        row.count = row.size = 0

    def leave(self, connection: Connection) -> None:
        """Take its key away."""
        if connection.key < 0:
            return
        seat = connection.key % _SEATS
        self._rows[seat].key = 0
        self._seated[seat] = self._drawn[seat] = None
        self._free.append(seat)
        connection.key = -1

    def seated(self, key: int) -> Connection | None:
        """The connection that has this key now."""
        seat = key % _SEATS
        connection = self._seated[seat] if seat < len(self._seated) else None
        return connection if connection is not None and connection.key == key else None

    def expect(self, connection: Connection) -> None:
        """Bring its row up to date with what it carries, ``framed`` and ``events.last``."""
        key = connection.key
        if key < 0 or _library is None:
            return
        seat = key % _SEATS
        row, events = self._rows[seat], connection.events
        if not connection.framed or events is None:
            row.key = 0
            return
        if self._drawn[seat] is not events:
            before, after = events.before, events.ending
            if len(before) > BEFORE or len(after) > AFTER:
                row.key = 0
                return
            row.into, row.over = len(before), len(after)
            ctypes.memmove(row.before, before, len(before))
            ctypes.memmove(row.after, after, len(after))
            self._drawn[seat] = events
        row.key, row.last = key, events.last

    def settle(self, connection: Connection) -> None:
        """Tell a connection's events of the chunks that were counted."""
        if connection.key < 0:
            return
        row, events = self._rows[connection.key % _SEATS], connection.events
        count = row.count
        if count and events is not None:
            events.take_counted(ctypes.string_at(row.gaps, 4 * count), row.last)
            connection.latest = max(connection.latest, row.last)
            connection.size += row.size
            row.count = row.size = 0

    def spot(
        self, entries: bytes, ring: Ring, ahead: float, now: float, late: float
    ) -> Sequence[int]:
        """Count the entries, in their order, that are nothing but chunks with a token each, and
        came by ``now``. ``ahead`` is that of ``KernelClock``. Chunks of one entry that came after
        ``late`` may have come apart: the moments of all but the last are lost.

        Gives the places of all other entries; what follows one of them on its connection is among
        them too.
        """
        number = amount(entries)
        if _library is None or not number:
            return range(number)
        left = self._begin(number, ahead, now, late)
        count = _library.spot_entries(self._at, entries, number, ring.address, left)
        for event in self._events[: self._turn.counted] if self._keep else ():
            self._kept(event.key, ring.memory[event.start : event.end])
        return left[:count]

    def spot_reads(
        self, reads: list[tuple[Connection, Received]], ahead: float, now: float, late: float
    ) -> Sequence[int]:
        """``spot`` for what was read of each connection."""
        number = len(reads)
        if _library is None:
            return range(number)
        left = self._begin(number, ahead, now, late)
        count = _library.spot_reads(
            self._at,
            (ctypes.c_int64 * number)(*[connection.key for connection, _ in reads]),
            (ctypes.c_char_p * number)(*[data for _, (data, *_) in reads]),
            (ctypes.c_int64 * number)(*[len(data) for _, (data, *_) in reads]),
            b"".join([stamps[0][2] if stamps else _NO_STAMP for _, (_, stamps, *_) in reads]),
            number,
            left,
        )
        if self._keep:
            for event in self._events[: self._turn.counted]:
                _, (data, *_) = reads[event.read]
                self._kept(event.key, data[event.start : event.end])
        return left[:count]

    @property
    def newest(self) -> float:
        """When the latest came of those that the last ``spot`` counted and that were the first of
        their connections in it; 0: none was.
        """
        return float(self._turn.newest)

    @property
    def merged(self) -> int:
        """How many chunks have lost their moments since the beginning."""
        return int(self._turn.merged)

    def _grow(self) -> None:
        """Make room for twice as many connections."""
        former = len(self._seated)
        more = max(former, _LEAST)
        rows = (_Row * (former + more))()
        ctypes.memmove(rows, self._rows, ctypes.sizeof(self._rows))
        self._rows = rows
        self._turn.rows, self._turn.seats = ctypes.addressof(rows), len(rows)
        self._seated += [None] * more
        self._drawn += [None] * more
        self._free += reversed(range(former, former + more))

    def _begin(
        self, number: int, ahead: float, now: float, late: float
    ) -> "ctypes.Array[ctypes.c_int32]":
        """A new turn, and room for the places of what is left."""
        if number > len(self._left):
            self._left = (ctypes.c_int32 * number)()
            room = SEVERAL * number if self._keep else 0
            self._events = (_Event * room)()
            self._turn.events = ctypes.addressof(self._events) if self._keep else None
            self._turn.room = room
        turn = self._turn
        turn.ahead, turn.now, turn.late = ahead, now, late
        turn.turn += 1
        turn.newest = turn.counted = 0
        return self._left

    def _kept(self, key: int, event: bytes) -> None:
        connection = self._seated[key % _SEATS]
        assert connection is not None
        assert connection.pieces is not None
        connection.pieces.append(event)
