"""Server-sent events as they come: which of them bear tokens, and when.

Events that bear tokens differ within one answer only in their text. So the bytes before and after
the text of the first are kept, and an event with the same bytes around another text is stamped
without being parsed. Any other is parsed, so that the count is exact whatever the server's style.
"""

import re
from array import array

from harness.load.reply import sizes

EVENT_MAX = 1_000_000
CR, LF = 13, 10
_NAN = float("nan")

_TOKENS_SAID = re.compile(rb'"completion_tokens":\s?([0-9]{1,18})')
_EVENT_END = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")


def tokens_said(data: bytes) -> int:
    """The last count of completion tokens in an answer; -1 when there is none."""
    found = _TOKENS_SAID.findall(data) if b'"completion_tokens"' in data else ()
    return int(found[-1]) if found else -1


class Events:
    """The events of one answer. Moments are those given to ``feed``; NaN: no token came, or when
    is not known.

    ``gaps`` holds seconds between token-bearing events, float32, NaN where the moment of one of the
    two is not known. ``first_lost``: the first came by ``first``, but when is not known. ``tokens``
    is the server's own count, -1 without one. ``bare``: the newest event bears no token. ``ended``:
    the answer came to its own end. ``broken``: an event was malformed or told of an error.
    """

    __slots__ = (
        "_after",
        "_rest",
        "_text",
        "bare",
        "before",
        "broken",
        "ended",
        "ending",
        "first",
        "first_lost",
        "gaps",
        "last",
        "other_chunks",
        "token_chunks",
        "tokens",
    )

    def __init__(self) -> None:
        self.first = self.last = _NAN
        self.first_lost = False
        self.gaps = array("f")
        self.token_chunks = 0
        self.other_chunks = 0
        self.tokens = -1
        self.bare = True
        self.ended = False
        self.broken = False
        self._rest = b""
        # The bytes around a token's text, and where it begins.
        self.before = self._after = self.ending = b""
        self._text = 0

    @property
    def framed(self) -> bool:
        """The next bytes begin an event, and those around a token's text are known."""
        return self._text > 0 and not self._rest

    def take_counted(self, gaps: bytes, last: float) -> None:
        """``take_chunks`` for what ``Spotter`` has counted: one chunk for each of these float32."""
        before = len(self.gaps)
        self.gaps.frombytes(gaps)
        self.token_chunks += len(self.gaps) - before
        self.last = last

    def take_chunks(self, data: bytes, now: float, pieces: list[bytes] | None) -> int:
        """``feed`` for what is most frequent: whole HTTP chunks, each with one event that bears a
        token, all of which came at ``now``.

        Gives the size of the events, which are added to ``pieces``; or 0 when ``data`` is something
        else, and nothing was done. Only to be called when ``framed``.
        """
        before, ending, into, over = self.before, self.ending, self._text, len(self.ending)
        count = total = at = 0
        end = len(data)
        events: list[bytes] = []
        while at < end:
            start = data.find(b"\r\n", at) + 2
            size = sizes.get(data[at : start - 2], 0)
            text = start + into
            at = start + size + 2
            if not (
                size
                and data.startswith(before, start)
                and data.startswith(ending, at - over)
                and text <= at - over
                and data[text] != ending[0]
                and data.find(b"\n", text) == at - 4
                and data.find(b"\r", text) == at - 2
            ):
                return 0
            count += 1
            total += size
            if pieces is not None:
                events.append(data[start : at - 2])
        if not count:
            return 0
        self.gaps.append(now - self.last)
        for _ in range(1, count):
            self.gaps.append(0.0)
        self.last = now
        self.token_chunks += count
        self.bare = False
        if pieces is not None:
            pieces += events
        return total

    def lose(self, before: int) -> None:
        """Forget when those events came that followed the first ``before`` that bear tokens, since
        all were found at one time though they may have come apart: only that of the last is known.
        """
        since = max(before - 1, 0)
        unknown = len(self.gaps) - since
        self.gaps[since:] = array("f", [_NAN]) * unknown
        if before == 0:
            self.first_lost = True
        if self.bare:
            self.last = _NAN

    def feed(self, piece: bytes, now: float) -> None:
        """Take the next bytes, which came at ``now``."""
        text = self._text
        if (
            text
            and not self._rest
            and piece.startswith(self.before)
            and piece.endswith(self._after)
            and piece[text] != self._after[0]
            and piece.find(LF, text) == len(piece) - 2
            and CR not in piece
        ):
            self.gaps.append(now - self.last)
            self.last = now
            self.token_chunks += 1
            self.bare = False
            return
        if not self._rest and piece[:6] == b"data: " and _one_line(piece):
            self._take(piece[:-2], b"message", piece[6:-2], now)
            return
        data = self._rest + piece
        at = 0
        while (end := _EVENT_END.search(data, at)) is not None:
            event = data[at : end.start()]
            at = end.end()
            self._take(event, *_fields(event), now)
        self._rest = data[at:]
        if len(self._rest) > EVENT_MAX:
            self.broken = True
            self._rest = b""

    def _take(self, event: bytes, name: bytes, content: bytes, now: float) -> None:
        """Take an event without its end, which came at ``now``."""
        if not content:
            return
        if not self._bears(name, content):
            self.other_chunks += 1
            self.bare = True
            return
        if self.token_chunks == 0:
            self.first = now
            self._learn(event + b"\n\n", content)
            self.ending = self._after + b"\r\n"
        else:
            self.gaps.append(now - self.last)
        self.last = now
        self.token_chunks += 1
        self.bare = False

    def _bears(self, name: bytes, data: bytes) -> bool:
        """Whether an event bears a token; notes what else it says."""
        raise NotImplementedError

    def _learn(self, event: bytes, data: bytes) -> None:
        """Remember the bytes around the text of a token, if it can be known by them."""
        raise NotImplementedError


def _one_line(event: bytes) -> bool:
    """Whether this is one event of one line, with its end."""
    end = len(event) - 2
    return event.find(b"\n") == end and event[end + 1] == LF and CR not in event


def _fields(event: bytes) -> tuple[bytes, bytes]:
    """An event's name and its data, which is empty for comments."""
    name, lines = b"message", []
    for line in event.splitlines():
        field, _, value = line.partition(b":")
        if field == b"data":
            lines.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return name, b"\n".join(lines)
