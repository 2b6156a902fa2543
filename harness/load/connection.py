"""One connection to the target without blocking, and the request that it carries now."""

import contextlib
import errno
import select
import socket
import time
from collections.abc import Callable
from typing import Any, Literal

from harness.load.columns import NAN, Failure
from harness.load.reply import ReplyParser
from harness.load.stamps import ask_for_stamps, opening_s
from harness.load.stream import Events
from harness.load.target import Target
from harness.load.tls import Received, Tls

RECEIVE = 65_536

State = Literal["opening", "handshake", "ready"]
Address = tuple[Any, ...]

_OK = Failure.NONE
_NO_SOCKET = frozenset(
    (errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
)
_FAILURES = {4: Failure.HTTP_4XX, 5: Failure.HTTP_5XX}


class Connection:
    """A socket and its request; ``index`` is -1 while it carries none.

    ``wants`` is what the poll should watch for; ``unsent`` what the socket did not take of the
    request, empty where only TLS still has something to send. ``first_byte`` is the object ``NAN``
    until the answer begins. ``pieces`` is None where bodies are not kept. ``latest`` is the moment
    at which the newest bytes came, or the request went. ``framed``: what comes next may be taken by
    ``Events.take_chunks``. ``key``: where ``Spotter`` has it, -1 for nowhere.
    ``untried``: the addresses that are left; ``unopened``: how the first one failed, if it has.

    ``receive(size, stamps.ROOM)`` gives what ``socket.recvmsg`` does: what has come, empty when the
    server has ended the connection, and the kernel's stamp of its last byte; ``send(data)`` how
    many bytes went; both raise BlockingIOError when nothing came or went, OSError when the
    connection broke.
    """

    __slots__ = (
        "_socket",
        "_target",
        "address",
        "eligible",
        "events",
        "fd",
        "first_byte",
        "framed",
        "index",
        "key",
        "latest",
        "marks",
        "number",
        "opened",
        "pieces",
        "receive",
        "reply",
        "scheduled",
        "send",
        "sent",
        "size",
        "state",
        "tls",
        "uncounted",
        "unopened",
        "unsent",
        "untried",
        "wants",
    )

    def __init__(self, target: Target) -> None:
        """Neither open nor carrying a request."""
        self.reply = ReplyParser()
        self.index = self.number = self.fd = self.key = -1
        self.scheduled = self.eligible = self.sent = self.latest = self.uncounted = NAN
        self.first_byte = self.opened = NAN
        self.marks = 0
        self.size = 0
        self.framed = False
        self.events: Events | None = None
        self.pieces: list[bytes] | None = None
        self.tls: Tls | None = None
        self.unsent: memoryview | None = None
        self.state: State = "opening"
        self.wants = select.EPOLLOUT
        self.address: Address = ()
        self.untried: list[Address] = []
        self.unopened = _OK
        self.receive: Callable[[int, int], Received]
        self.send: Callable[[bytes | memoryview], int]
        self._target = target
        self._socket: socket.socket

    def carry(
        self,
        index: int,
        scheduled: float,
        eligible: float,
        sent: float,
        uncounted: float,
        marks: int,
        events: Events | None,
        pieces: list[bytes] | None,
    ) -> None:
        """Take on a request."""
        self.index = index
        self.scheduled = scheduled
        self.eligible = eligible
        self.sent = self.latest = sent
        self.uncounted = uncounted
        self.marks = marks
        self.events = events
        self.pieces = pieces
        self.first_byte = NAN
        self.size = 0
        self.framed = False
        self.reply.reset()

    def look_for_chunks(self) -> None:
        """Note whether an HTTP chunk comes next whose bytes but for its token are known."""
        events = self.events
        self.framed = events is not None and events.framed and self.reply.between_chunks

    def open(self, address: Address, number: int) -> None:
        """Begin to open, as connection ``number``. Raises OSError when that fails at once."""
        self.number = number
        self.address = address
        self.opened = time.perf_counter()
        self.state = "opening"
        self.wants = select.EPOLLOUT
        self.tls = None
        self.unsent = None
        family = socket.AF_INET6 if len(address) == 4 else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self.fd = self._socket.fileno()
        self.receive, self.send = self._socket.recvmsg, self._socket.send
        self._socket.setblocking(False)
        ask_for_stamps(self._socket)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = self._socket.connect_ex(address)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, "cannot connect")

    def advance(self) -> bool:
        """Go on opening; True when ready. Raises OSError when the server or TLS refuses."""
        if self.state == "opening":
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, "cannot connect")
            if self._target.tls is not None:
                self.tls = Tls(self._socket, self._target.tls, self._target.host)
                self.receive, self.send = self.tls.receive, self.tls.send
            self.state = "handshake"
        if self.tls is not None and not self.tls.handshake(RECEIVE):
            self.wants = select.EPOLLOUT if self.tls.held else select.EPOLLIN
            return False
        self.state = "ready"
        self.wants = select.EPOLLIN
        return True

    def opening_failed(self, error: OSError) -> Failure:
        """How opening failed. It is the first address that counts, which is the one that has worked
        if any has: that others refuse, or have no way to them, says nothing.
        """
        self.unopened = self.unopened or (
            Failure.NO_SOCKET if error.errno in _NO_SOCKET else Failure.CONNECT
        )
        return self.unopened

    def count_opening(self, now: float) -> float:
        """Leave out of the time since ``sent`` what opening took beside the kernel's own round
        trip, which is this process's delay; gives that, in seconds. It cannot be told apart where
        TLS is opened as well.
        """
        trip = None if self.tls is not None else opening_s(self._socket)
        late = 0.0 if trip is None else max(0.0, now - self.opened - trip)
        self.sent += late
        self.latest = self.sent
        return late

    def close(self, *, shut: bool = False) -> None:
        """Close at once. ``shut``: though somebody else, a ring, still holds the socket."""
        if self.fd >= 0:
            self.fd = -1
            if shut:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    @property
    def said_goodbye(self) -> bool:
        """The server has ended TLS, though not the connection."""
        return self.tls is not None and self.tls.ended

    def keep_unsent(self, data: bytes | memoryview, count: int) -> None:
        """Only ``count`` bytes of ``data`` went: watch for room for the rest, if any."""
        held = self.tls is not None and self.tls.held
        self.unsent = memoryview(data)[count:] if count < len(data) or held else None
        self.wants = select.EPOLLIN | (select.EPOLLOUT if self.unsent is not None else 0)

    def verdict(self) -> Failure:
        """How a request with a complete reply ended."""
        head = self.reply.head
        assert head is not None
        status = head.status
        if 200 <= status < 300:
            events = self.events
            if events is None:
                return _OK
            if events.broken:
                return Failure.PROTOCOL
            return _OK if events.ended else Failure.TRUNCATED
        if status == 429:
            return Failure.RATE_LIMITED
        return _FAILURES.get(status // 100, Failure.PROTOCOL)
