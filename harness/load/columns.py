"""What a load run measured, packed: 124 bytes a request and 4 bytes a gap between tokens."""

import struct
from array import array
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from harness.load.stream import Events


class Failure(IntEnum):
    """How a request ended. The names, in small letters, are the error types of the records."""

    NONE = 0
    TIMEOUT = 1
    CONNECT = 2
    RESET = 3
    HTTP_4XX = 4
    HTTP_5XX = 5
    RATE_LIMITED = 6
    TRUNCATED = 7
    PROTOCOL = 8
    DROPPED = 9  # not sent, since too many were in flight at its moment
    CANCELLED = 10  # in flight, or due and not sent, when the run was stopped
    NO_SOCKET = 11  # this machine had no socket or no local port for it


NEW_CONNECTION = 1
RETRIED = 2
FIRST_LOST = 4

_ROW = struct.Struct("<qddddddddqqqqqhbBii")
_ROW_TYPE = np.dtype(
    [
        ("index", "<i8"),
        ("scheduled", "<f8"),
        ("eligible", "<f8"),
        ("sent", "<f8"),
        ("uncounted", "<f8"),
        ("first_byte", "<f8"),
        ("first_token", "<f8"),
        ("last_token", "<f8"),
        ("done", "<f8"),
        ("size", "<i8"),
        ("tokens", "<i8"),
        ("gaps_at", "<i8"),
        ("body_at", "<i8"),
        ("connection", "<i8"),
        ("status", "<i2"),
        ("failure", "i1"),
        ("marks", "u1"),
        ("token_chunks", "<i4"),
        ("other_chunks", "<i4"),
    ]
)
assert _ROW.size == _ROW_TYPE.itemsize
_pack = _ROW.pack
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Columns:
    """One entry a request, in order of ``index``; all arrays have the same length but ``gaps``.

    Moments are float64 seconds since the start of the run, NaN where the thing did not happen.
    """

    index: npt.NDArray[np.int64]
    """Place in the schedule (open loop) or in the order of issue (closed)."""
    scheduled: npt.NDArray[np.float64]
    eligible: npt.NDArray[np.float64]
    """From when the client could send: ``scheduled``, or when a caller was free if later."""
    sent: npt.NDArray[np.float64]
    """Just before the first byte left; on a new connection, by as much earlier as the network took
    to open it. NaN: never."""
    uncounted: npt.NDArray[np.float64]
    """Seconds between ``eligible`` and ``sent`` that are no part of the response time: those for
    which this thread did not run, since others had the processor or the machine stood still; in a
    closed loop, which keeps no schedule, all of them. NaN: not sent."""
    first_byte: npt.NDArray[np.float64]
    first_token: npt.NDArray[np.float64]
    """The latest moment at which it can have come, where ``first_lost``."""
    last_token: npt.NDArray[np.float64]
    """NaN too where it is not known, as that of ``gaps``."""
    done: npt.NDArray[np.float64]
    """The answer's last byte, or the moment at which the request was given up."""
    size: npt.NDArray[np.int64]
    """Bytes of the body as decoded (chunk framing taken off)."""
    tokens: npt.NDArray[np.int64]
    """Completion tokens as the server counted them; -1: it did not say."""
    gaps_at: npt.NDArray[np.int64]
    """Where the request's gaps begin in ``gaps``; there are max(token_chunks - 1, 0)."""
    body_at: npt.NDArray[np.int64]
    """Where the body begins in the spool file, ``size`` bytes long; -1: not kept."""
    connection: npt.NDArray[np.int64]
    """Number of the connection, in order of opening; -1: none."""
    status: npt.NDArray[np.int16]
    """HTTP status; 0: none came."""
    failure: npt.NDArray[np.int8]
    """A ``Failure``."""
    new_connection: npt.NDArray[np.bool_]
    """The request had to wait for its connection to open: part of its service time."""
    retried: npt.NDArray[np.bool_]
    """Sent again since the server had closed the idle connection; ``sent`` is the first time, but
    for what this process was late with opening another."""
    first_lost: npt.NDArray[np.bool_]
    """The first token was read with what followed it, by a client that was late: when it came is
    not known."""
    token_chunks: npt.NDArray[np.int32]
    """Events with at least one token."""
    other_chunks: npt.NDArray[np.int32]
    """Events without: roles, usage, end marks."""
    gaps: npt.NDArray[np.float32]
    """Seconds between token-bearing chunks, request after request; NaN where the client was late to
    read and the moment of one of the two is not known."""

    def __len__(self) -> int:
        return len(self.index)

    def gaps_of(self, row: int) -> npt.NDArray[np.float32]:
        """The gaps of one request, in seconds."""
        start = int(self.gaps_at[row])
        return self.gaps[start : start + max(int(self.token_chunks[row]) - 1, 0)]

    @property
    def answered(self) -> npt.NDArray[np.bool_]:
        """Which requests have a complete 2xx answer."""
        answered: npt.NDArray[np.bool_] = self.failure == Failure.NONE
        return answered


class Recorder:
    """Takes the rows of finished requests in any order, and gives the columns at the end."""

    def __init__(self) -> None:
        self._rows = bytearray()
        self._gaps = array("f")

    def add(
        self,
        index: int,
        scheduled: float,
        eligible: float,
        sent: float,
        uncounted: float,
        first_byte: float,
        done: float,
        size: int,
        tokens: int,
        body_at: int,
        connection: int,
        status: int,
        failure: int,
        marks: int,
        events: Events | None,
    ) -> None:
        """One finished request; moments on any one clock, NaN for none."""
        gaps_at = len(self._gaps)
        first = last = NAN
        bearing = other = 0
        if events is not None:
            first, last, tokens = events.first, events.last, events.tokens
            bearing, other = events.token_chunks, events.other_chunks
            marks |= FIRST_LOST if events.first_lost else 0
            self._gaps += events.gaps
        self._rows += _pack(
            index, scheduled, eligible, sent, uncounted, first_byte, first, last, done, size,
            tokens, gaps_at, body_at, connection, status, failure, marks, bearing, other,
        )  # fmt: skip

    def latest(self, since: int, most: int) -> npt.NDArray[np.float64]:
        """Response times, as ``Observed`` has them, of the answered among the last ``most`` rows
        that were added after the first ``since``.
        """
        size = _ROW.size
        end = len(self._rows)
        # A copy of its own, since an array that is looked into cannot grow.
        rows = np.frombuffer(self._rows[max(since * size, end - most * size) : end], _ROW_TYPE)
        rows = rows[rows["failure"] == Failure.NONE]
        times: npt.NDArray[np.float64] = rows["done"] - rows["scheduled"] - rows["uncounted"]
        return times

    def columns(self, origin: float) -> Columns:
        """All rows by index, moments counted from ``origin``."""
        rows = np.frombuffer(self._rows, _ROW_TYPE)
        rows = rows[np.argsort(rows["index"], kind="stable")]
        marks = rows["marks"]
        return Columns(
            index=rows["index"].copy(),
            scheduled=rows["scheduled"] - origin,
            eligible=rows["eligible"] - origin,
            sent=rows["sent"] - origin,
            uncounted=rows["uncounted"].copy(),
            first_byte=rows["first_byte"] - origin,
            first_token=rows["first_token"] - origin,
            last_token=rows["last_token"] - origin,
            done=rows["done"] - origin,
            size=rows["size"].copy(),
            tokens=rows["tokens"].copy(),
            gaps_at=rows["gaps_at"].copy(),
            body_at=rows["body_at"].copy(),
            connection=rows["connection"].copy(),
            status=rows["status"].copy(),
            failure=rows["failure"].copy(),
            new_connection=(marks & NEW_CONNECTION) != 0,
            retried=(marks & RETRIED) != 0,
            first_lost=(marks & FIRST_LOST) != 0,
            token_chunks=rows["token_chunks"].copy(),
            other_chunks=rows["other_chunks"].copy(),
            gaps=np.frombuffer(self._gaps, np.float32),
        )
