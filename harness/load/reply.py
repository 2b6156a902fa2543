"""HTTP/1 responses from bytes split anywhere: the head, the framing, the pieces of the body.

A server says the same head again and again, so heads and chunk sizes once parsed are remembered by
their bytes: parsing strictly in Python costs less than a C parser with its callbacks.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

CHUNKED = -1
UNTIL_CLOSE = -2
HEAD_MAX = 65_536
LINE_MAX = 8_192
REMEMBERED = 2_048
_TRAILER = -1
_BEGINNING = b"HTTP/1."

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: .*)?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")


class BadReply(ValueError):  # noqa: N818
    """What came is not HTTP/1."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a head says; ``length`` in bytes, or ``CHUNKED``, or ``UNTIL_CLOSE``."""

    status: int
    length: int
    keep_alive: bool


_heads: dict[bytes, Head] = {}
sizes: dict[bytes, int] = {}
"""Of chunks, by the lines that say them."""


class ReplyParser:
    """The replies of one connection, one after another; ``reset`` goes on to the next.

    ``head`` is None until it is there. ``complete``: the body has ended. ``keep``: so it has, and
    the connection can be used again.
    """

    __slots__ = ("_left", "_rest", "complete", "head", "keep")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.head: Head | None = None
        self.complete = False
        self.keep = False
        self._rest = b""
        # Bytes to come: of the body; or of a chunk with its line end, 0 before a size line.
        self._left = 0

    def feed(self, data: bytes) -> Sequence[bytes]:
        """The pieces of the body in ``data``, none of them empty. Raises BadReply."""
        head = self.head
        if head is None:
            end = data.find(b"\r\n\r\n")
            head = _heads.get(data[:end])
            if head is not None and head.length == len(data) - end - 4 and not self._rest:
                # A whole reply with a head seen before.
                self.head = head
                self.complete = True
                self.keep = head.keep_alive
                return (data[end + 4 :],) if head.length else ()
            if self._rest:
                data = self._rest + data
            head, data = self._take_head(data)
            if head is None:
                return ()
            self.head = head
            self._left = max(head.length, 0)
        length = head.length
        if length == CHUNKED:
            if self._left == 0 and not self._rest:
                end = data.find(b"\r\n")
                count = sizes.get(data[:end])
                if count and len(data) == end + count + 4 and data.endswith(b"\r\n"):
                    return (data[end + 2 : -2],)  # one whole chunk
            return self._chunks(data, head.keep_alive)
        if length == UNTIL_CLOSE:
            return (data,) if data else ()
        left = self._left - len(data)
        if left > 0:
            self._left = left
            return (data,) if data else ()
        self.complete = True
        # Bytes after the end belong to no reply.
        self.keep = head.keep_alive and left == 0
        if left < 0:
            data = data[:left]
        return (data,) if data else ()

    @property
    def between_chunks(self) -> bool:
        """The next bytes begin a chunk."""
        head = self.head
        return (
            head is not None
            and head.length == CHUNKED
            and self._left == 0
            and not self._rest
            and not self.complete
        )

    def close(self) -> None:
        """The server ended the connection: that completes a body without a length."""
        if self.head is not None and self.head.length == UNTIL_CLOSE:
            self.complete = True

    def _take_head(self, data: bytes) -> tuple[Head | None, bytes]:
        """The final head and what follows it; interim ones (100 Continue) are passed over."""
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if not data.startswith(_BEGINNING[: len(data)]) or len(data) > HEAD_MAX:
                    raise BadReply("the answer is not HTTP/1, or its head is too long")
                self._rest = data
                return None, b""
            raw = data[:end]
            head = _heads.get(raw) or _parse_head(raw)
            data = data[end + 4 :]
            if head.status >= 200:
                if len(_heads) >= REMEMBERED:
                    _heads.clear()
                _heads[raw] = head
                self._rest = b""
                return head, data

    def _chunks(self, data: bytes, keep_alive: bool) -> list[bytes]:
        if self._rest:
            data = self._rest + data
            self._rest = b""
        pieces: list[bytes] = []
        at, left, size = 0, self._left, len(data)
        while True:
            if left > 0:
                if size - at < left:
                    end = min(size, at + left - 2)
                    if end > at:
                        pieces.append(data[at:end])
                    self._left = left - (end - at)
                    self._rest = data[end:]
                    return pieces
                end = at + left - 2
                if not data.startswith(b"\r\n", end):
                    raise BadReply("a chunk does not end where its size says")
                if end > at:
                    pieces.append(data[at:end])
                at = end + 2
                left = 0
            end = data.find(b"\r\n", at)
            if end < 0:
                if size - at > LINE_MAX:
                    raise BadReply("a chunk's size or a trailer does not end")
                self._left = left
                self._rest = data[at:]
                return pieces
            line = data[at:end]
            at = end + 2
            if left == 0:
                count = sizes.get(line, -1)
                if count < 0:
                    count = _parse_size(line)
                left = count + 2 if count else _TRAILER
            elif not line:
                self.complete = True
                self.keep = keep_alive and at == size
                return pieces


def _parse_size(line: bytes) -> int:
    found = _SIZE.fullmatch(line)
    if found is None:
        raise BadReply("a chunk has no size")
    if len(sizes) >= REMEMBERED:
        sizes.clear()
    count = sizes[line] = int(found[1], 16)
    return count


def _parse_head(raw: bytes) -> Head:
    first, *lines = raw.split(b"\r\n")
    status_line = _STATUS.fullmatch(first)
    if status_line is None:
        raise BadReply("the answer has no HTTP/1 status line")
    lengths: set[bytes] = set()
    coding: list[bytes] = []
    connection: set[bytes] = set()
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _NAME.fullmatch(name) or _CONTROL.search(value):
            raise BadReply("a header is malformed")
        name = name.lower()
        if name == b"content-length":
            lengths.add(value.strip())
        elif name == b"transfer-encoding":
            coding += [part.strip().lower() for part in value.split(b",")]
        elif name == b"connection":
            connection |= {part.strip().lower() for part in value.split(b",")}
    status = int(status_line[2])
    keep = b"close" not in connection and (status_line[1] == b"1" or b"keep-alive" in connection)
    if status == 101:
        raise BadReply("the server switches to another protocol")
    if status < 200 or status in (204, 304):
        return Head(status, 0, keep)
    if coding:
        return Head(status, CHUNKED if coding[-1] == b"chunked" else UNTIL_CLOSE, keep)
    if not lengths:
        return Head(status, UNTIL_CLOSE, False)
    length = lengths.pop()
    if lengths or not _LENGTH.fullmatch(length):
        raise BadReply("the Content-Length is not one number")
    return Head(status, int(length), keep)
