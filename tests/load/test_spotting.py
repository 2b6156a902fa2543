"""Chunks told by their bytes count as those that are parsed, and whatever else is left."""

import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load import spotting
from harness.load.connection import Connection
from harness.load.dialects import OpenAIEvents, ServiceEvents
from harness.load.spotting import AFTER, BEFORE, HELD, LIBRARY, Spotter, _load
from harness.load.target import Target
from harness.load.tls import Received
from tests.load.test_stream import CHUNKED, assert_same, chunk, event, parsed, read_answers

TARGET = Target("127.0.0.1", 80, None, "openai")


def read(data: bytes, moment: float | None) -> Received:
    """What came at a moment, which is stamped unless None."""
    if moment is None:
        return data, [], 0, None
    seconds = int(moment)
    return data, [(0, 0, struct.pack("@qq", seconds, round((moment - seconds) * 1e9)))], 0, None


def on_the_wire(text: str) -> bytes:
    """A chunk of an answer in an HTTP chunk."""
    data = event(chunk(text))
    return b"%x\r\n%b\r\n" % (len(data), data)


def carry(spotter: Spotter, pieces: list[bytes] | None = None) -> Connection:
    """A connection that carries a request."""
    connection = Connection(TARGET)
    spotter.seat(connection)
    connection.carry(0, 0.0, 0.0, 0.0, 0, OpenAIEvents(), pieces)
    connection.reply.feed(CHUNKED)
    return connection


def parse(spotter: Spotter, connection: Connection, data: bytes, moment: float) -> None:
    """As ``Intake`` does what was left."""
    spotter.settle(connection)
    events = connection.events
    assert events is not None
    for piece in connection.reply.feed(data):
        connection.size += len(piece)
        if connection.pieces is not None:
            connection.pieces.append(piece)
        events.feed(piece, moment)
    connection.look_for_chunks()
    spotter.expect(connection)


def framed(spotter: Spotter, pieces: list[bytes] | None = None, moment: float = 1.0) -> Connection:
    """A connection that had a first token."""
    connection = carry(spotter, pieces)
    parse(spotter, connection, on_the_wire("first"), moment)
    assert connection.framed
    return connection


def spot(
    spotter: Spotter, reads: Sequence[tuple[Connection, bytes, float | None]], now: float = 1e6
) -> list[int]:
    """The places of those that are left."""
    received = [(connection, read(data, moment)) for connection, data, moment in reads]
    return list(spotter.spot_reads(received, 0.0, now))


@given(read_answers(), st.booleans())
def test_chunks_told_count_as_those_that_are_parsed(reads: list[bytes], keep: bool) -> None:
    spotter = Spotter(4, keep=keep)
    connection = carry(spotter, [] if keep else None)
    for moment, data in enumerate(reads, 1):
        if spot(spotter, [(connection, data, moment)]):
            parse(spotter, connection, data, moment)
    spotter.settle(connection)
    expected, body = parsed(reads)
    assert isinstance(connection.events, OpenAIEvents)
    assert_same(connection.events, expected)
    assert connection.size == len(body)
    assert connection.pieces is None or b"".join(connection.pieces) == body


def test_chunks_of_several_connections_are_told_together() -> None:
    texts = ["a", "b" * 130, "가나다", "\\n", "c"]  # with size lines of two and three digits
    spotter = Spotter(8, keep=True)
    connections = [framed(spotter, []) for _ in texts]
    for turn in (2.0, 3.0):
        reads = [
            (connection, on_the_wire(text), turn)
            for connection, text in zip(connections, texts, strict=True)
        ]
        assert spot(spotter, reads) == []
        assert spotter.newest == turn
    for connection, text in zip(connections, texts, strict=True):
        assert connection.pieces == [event(chunk(each)) for each in ("first", text, text)]
        spotter.settle(connection)
        events = connection.events
        assert events is not None
        assert connection.size == sum(map(len, connection.pieces))
        assert (events.token_chunks, events.first, events.last) == (3, 1.0, 3.0)
        assert events.gaps.tolist() == [1.0, 1.0]
        assert connection.latest == 3.0


GOOD = on_the_wire("good")


@pytest.mark.parametrize(
    "data",
    [
        on_the_wire(""),
        GOOD.replace(b"good", b"go\nd"),
        GOOD.replace(b"good", b"go\rd"),
        GOOD.replace(b"good", b"\nood"),
        GOOD.replace(b'"good"', b'"",'),  # the text is empty, and something else stands there
        GOOD.replace(b"choices", b"chances"),
        GOOD.replace(b"null}]}", b"true}]}"),
        b"1" + GOOD,  # longer than it says
        b"zz" + GOOD[2:],
        b"0" * 20 + GOOD,
        b"\r\n" + GOOD,
        GOOD.replace(b"\r\n", b"\n\n", 1),
        GOOD[2:],
        GOOD[:-1],
        GOOD + b"\n",
        GOOD + GOOD,
        GOOD.partition(b"\r\n")[0],
        b"",
        b"5",
        b"5\r\n",
        b"0\r\n\r\n",
        b"7fffffff\r\n\r\n",
    ],
)
def test_what_is_no_plain_chunk_is_left_with_all_that_follows(data: bytes) -> None:
    spotter = Spotter(4, keep=False)
    one, other = framed(spotter), framed(spotter)
    reads = [(one, GOOD, 2.0), (one, data, 3.0), (other, GOOD, 4.0), (one, GOOD, 5.0)]
    assert spot(spotter, reads) == [1, 3]
    assert spotter.newest == 4.0
    for connection, last in ((one, 2.0), (other, 4.0)):
        spotter.settle(connection)
        assert connection.events is not None
        assert (connection.events.token_chunks, connection.events.last) == (2, last)
    assert spot(spotter, [(one, GOOD, 6.0)]) == []  # the next turn begins anew


def test_what_bears_no_stamp_is_left() -> None:
    spotter = Spotter(4, keep=False)
    assert spot(spotter, [(framed(spotter), GOOD, None)]) == [0]
    assert spotter.newest == 0.0


def test_moments_stay_between_the_former_chunk_and_now() -> None:
    spotter = Spotter(4, keep=False)
    connection = framed(spotter, moment=4.0)
    reads = [(connection, GOOD, moment) for moment in (3.5, 6.0, 5.0, 9.0)]
    assert spot(spotter, reads, now=8.0) == []
    assert spotter.newest == 4.0  # of the first of its connection
    spotter.settle(connection)
    assert connection.events is not None
    assert connection.events.gaps.tolist() == [0.0, 2.0, 0.0, 2.0]


def test_more_chunks_than_a_row_holds() -> None:
    spotter = Spotter(4, keep=False)
    connection = framed(spotter)
    reads = [(connection, GOOD, 2.0 + turn) for turn in range(HELD + 3)]
    left = spot(spotter, reads)
    assert left == [HELD, HELD + 1, HELD + 2]
    spotter.settle(connection)
    assert spot(spotter, [reads[place] for place in left]) == []
    spotter.settle(connection)
    assert connection.events is not None
    assert connection.events.token_chunks == HELD + 4
    assert connection.events.gaps.tolist() == [1.0] * (HELD + 3)


def test_keys_are_never_anothers() -> None:
    spotter = Spotter(1, keep=False)
    first = framed(spotter)
    key = first.key
    assert spotter.seated(key) is first
    spotter.leave(first)
    spotter.leave(first)
    assert spotter.seated(key) is None
    second = framed(spotter)
    assert second.key % (1 << 20) == key % (1 << 20)
    assert spotter.seated(key) is None
    assert spotter.seated(12345) is None
    first.key = key  # something of the first that comes late
    assert spot(spotter, [(first, GOOD, 2.0), (second, GOOD, 2.0)]) == [0]


def test_connections_that_expect_no_chunks() -> None:
    spotter = Spotter(4, keep=False)
    connection = framed(spotter)
    connection.framed = False
    spotter.expect(connection)
    assert spot(spotter, [(connection, GOOD, 2.0)]) == [0]
    stranger = Connection(TARGET)
    spotter.expect(stranger)
    spotter.settle(stranger)
    assert spot(spotter, [(stranger, GOOD, 2.0)]) == [0]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [(0, 0, True), (BEFORE - 100, AFTER - 40, True), (BEFORE, 0, False), (0, AFTER, False)],
)
def test_chunks_with_too_much_around_their_text_are_left(
    before: int, after: int, told: bool
) -> None:
    spotter = Spotter(4, keep=False)
    connection = carry(spotter)
    start = '{"id":"%s","choices":[{"delta":{"content":"' % ("x" * before)
    data = event(start + 'a"},"logprobs":"%s"}]}' % ("x" * after))
    wire = b"%x\r\n%b\r\n" % (len(data), data)
    parse(spotter, connection, wire, 1.0)
    assert connection.framed
    assert (spot(spotter, [(connection, wire, 2.0)]) == []) == told


def test_the_services_tokens() -> None:
    spotter = Spotter(4, keep=False)
    connection = carry(spotter)
    connection.events = ServiceEvents()
    data = event('{"text":"가"}', "token")
    wire = b"%x\r\n%b\r\n" % (len(data), data)
    parse(spotter, connection, wire, 1.0)
    other = event('{"text":"나나"}', "result")
    reads = [(connection, wire, 2.0), (connection, b"%x\r\n%b\r\n" % (len(other), other), 3.0)]
    assert spot(spotter, reads) == [1]


def test_without_the_library_all_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spotting, "_library", None)
    spotter = Spotter(4, keep=False)
    assert spot(spotter, [(framed(spotter), GOOD, 2.0)]) == [0]
    assert list(spotter.spot_reads([], 0.0, 0.0)) == []


def test_a_library_of_another_version_is_not_used(tmp_path: Path) -> None:
    assert _load(LIBRARY) is not None
    assert _load(tmp_path / "none.so") is None
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    code = LIBRARY.with_name("spot.c").read_text("utf-8")
    other = code.replace("HELD = 64", "HELD = 32")
    for name, text, usable in (("same", code, True), ("other", other, False)):
        source, library = tmp_path / f"{name}.c", tmp_path / f"{name}.so"
        source.write_text(text, "utf-8")
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
        assert (_load(library) is not None) == usable
