"""Chunks told by their bytes count as those that are parsed, and whatever else is left."""

import errno
import math
import re
import shutil
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load import spotting
from harness.load.connection import Connection
from harness.load.dialects import OpenAIEvents, ServiceEvents
from harness.load.ring import HEAD, MORE, STRIDE, make_ring
from harness.load.spotting import AFTER, BEFORE, HELD, LIBRARY, SEVERAL, Spotter, _load
from harness.load.target import Target
from harness.load.tls import Received
from hatch_build import CompileHook, compile_library
from tests.load.test_stream import CHUNKED, assert_same, chunk, event, parsed, read_answers

TARGET = Target("127.0.0.1", 80, None, "openai")
AHEAD = 1_000.25  # seconds, of the clock of the stamps; exact as a float

compiler = shutil.which("cc")
if compiler is None:
    pytest.skip("no C compiler", allow_module_level=True)


def read(data: bytes, moment: float | None) -> Received:
    """What came at a moment, which is stamped unless None."""
    return data, [] if moment is None else [(0, 0, stamp(moment))], 0, None


def stamp(moment: float) -> bytes:
    """As the kernel writes it."""
    seconds, nanoseconds = divmod(round((moment + AHEAD) * 1e9), 1_000_000_000)
    return struct.pack("@qq", seconds, nanoseconds)


def on_the_wire(text: str) -> bytes:
    """A chunk of an answer in an HTTP chunk."""
    data = event(chunk(text))
    return b"%x\r\n%b\r\n" % (len(data), data)


def carry(spotter: Spotter, pieces: list[bytes] | None = None) -> Connection:
    """A connection that carries a request."""
    connection = Connection(TARGET)
    spotter.seat(connection)
    connection.carry(0, 0.0, 0.0, 0.0, 0.0, 0, OpenAIEvents(), pieces)
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
    spotter: Spotter,
    reads: Sequence[tuple[Connection, bytes, float | None]],
    now: float = 1e6,
    late: float = 1e6,
) -> list[int]:
    """The places of those that are left."""
    received = [(connection, read(data, moment)) for connection, data, moment in reads]
    return list(spotter.spot_reads(received, AHEAD, now, late))


@given(read_answers(), st.booleans())
def test_chunks_told_count_as_those_that_are_parsed(reads: list[bytes], keep: bool) -> None:
    spotter = Spotter(keep=keep)
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
    spotter = Spotter(keep=True)
    connections = [framed(spotter, []) for _ in texts]
    for turn in (2.0, 3.5):
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
        assert (events.token_chunks, events.first, events.last) == (3, 1.0, 3.5)
        assert events.gaps.tolist() == [1.0, 1.5]
        assert connection.latest == 3.5


def odd(size: int, old: bytes, new: bytes) -> bytes:
    """A chunk with something else in its event, of which it says a size that is so much wrong."""
    data = event(chunk("good")).replace(old, new)
    assert old != new or size
    return b"%x\r\n%b\r\n" % (len(data) + size, data)


GOOD = on_the_wire("good")


@pytest.mark.parametrize(
    "data",
    [
        on_the_wire(""),
        odd(0, b"good", b"go\nd"),
        odd(0, b"good", b"go\rd"),
        odd(0, b"good", b"\nood"),
        odd(0, b'"good"', b'"","a":"b"'),  # the text is empty, and something else stands there
        odd(0, b"choices", b"chances"),
        odd(0, b"null}]}", b"true}]}"),
        odd(1, b"", b""),
        odd(-1, b"", b""),
        odd(-3, b"", b""),
        b"zz" + GOOD[2:],
        b"0" * 20 + GOOD,
        b"\r\n" + GOOD,
        GOOD.replace(b"\r\n", b"\n\n", 1),
        GOOD[2:],
        GOOD[:-1],
        GOOD + b"\n",
        GOOD + GOOD[:-1],
        GOOD + on_the_wire(""),
        GOOD * (HELD + 1),
        GOOD.partition(b"\r\n")[0],
        b"",
        b"5",
        b"5\r\n",
        b"0\r\n\r\n",
        b"7fffffff\r\n\r\n",
    ],
)
def test_what_is_no_plain_chunk_is_left_with_all_that_follows(data: bytes) -> None:
    spotter = Spotter(keep=False)
    one, other = framed(spotter), framed(spotter)
    reads = [(one, GOOD, 2.0), (one, data, 3.0), (other, GOOD, 4.0), (one, GOOD, 5.0)]
    assert spot(spotter, reads) == [1, 3]
    assert spotter.newest == 4.0
    for connection, last in ((one, 2.0), (other, 4.0)):
        spotter.settle(connection)
        assert connection.events is not None
        assert (connection.events.token_chunks, connection.events.last) == (2, last)
    assert spot(spotter, [(one, GOOD, 6.0)]) == []  # the next turn begins anew


def test_chunks_that_are_read_together() -> None:
    spotter = Spotter(keep=True)
    one, other = framed(spotter, []), framed(spotter, [])
    texts = ["a", "bc", "가"]
    several = b"".join(map(on_the_wire, texts))
    assert spot(spotter, [(one, several, 4.0), (other, GOOD, 5.0)], late=4.0) == []
    assert spotter.merged == 0, "in time: so the server sent them"
    assert spot(spotter, [(other, several, 6.0), (one, GOOD, 7.0)], late=5.9) == []
    assert spotter.merged == 2
    for connection, gaps in (
        (one, [3.0, 0.0, 0.0, 3.0]),
        (other, [4.0, math.nan, math.nan, math.nan]),
    ):
        spotter.settle(connection)
        assert connection.events is not None
        assert connection.events.token_chunks == 5
        assert list(connection.events.gaps) == pytest.approx(gaps, nan_ok=True)
        assert connection.size == sum(map(len, connection.pieces or ()))
    assert one.pieces == [event(chunk(text)) for text in ("first", *texts, "good")]
    assert other.pieces == [event(chunk(text)) for text in ("first", "good", *texts)]
    assert other.events is not None
    assert other.events.last == 6.0


def test_what_is_lost_stays_lost_until_a_moment_is_known() -> None:
    spotter = Spotter(keep=False)
    connection = framed(spotter)
    assert connection.events is not None
    connection.events.last = math.nan
    spotter.expect(connection)
    assert spot(spotter, [(connection, GOOD, 4.0), (connection, GOOD, 5.0)]) == []
    spotter.settle(connection)
    assert list(connection.events.gaps) == pytest.approx([math.nan, 1.0], nan_ok=True)


@pytest.mark.parametrize("keep", [False, True])
def test_more_chunks_than_there_is_room_for_are_left(keep: bool) -> None:
    spotter = Spotter(keep=keep)
    connection = framed(spotter, [] if keep else None)
    most = SEVERAL if keep else HELD
    assert spot(spotter, [(connection, GOOD * (most + 1), 2.0)]) == [0]
    assert spot(spotter, [(connection, GOOD * most, 2.0)]) == []
    spotter.settle(connection)
    assert connection.events is not None
    assert connection.events.token_chunks == 1 + most


@pytest.mark.parametrize("line", [b"%x", b"%X", b"%08x"])
def test_sizes_may_be_written_so(line: bytes) -> None:
    data = event(chunk("good" * 10))
    spotter = Spotter(keep=False)
    assert re.search(b"[a-f]", b"%x" % len(data))
    assert spot(spotter, [(framed(spotter), line % len(data) + b"\r\n%b\r\n" % data, 2.0)]) == []


def test_the_next_answer_looks_different() -> None:
    spotter = Spotter(keep=False)
    connection = framed(spotter)
    assert spot(spotter, [(connection, GOOD, 2.0)]) == []
    spotter.settle(connection)
    other = GOOD.replace(b"chatcmpl-1", b"chatcmpl-2")
    connection.carry(1, 0.0, 0.0, 0.0, 0.0, 0, OpenAIEvents(), None)
    connection.reply.feed(CHUNKED)
    parse(spotter, connection, other, 10.0)
    assert spot(spotter, [(connection, other, 12.0), (connection, GOOD, 13.0)]) == [1]
    spotter.settle(connection)
    assert connection.events is not None
    assert (connection.events.token_chunks, connection.events.gaps.tolist()) == (2, [2.0])


def entry(key: int, result: int, flags: int) -> bytes:
    """As the ring gives it."""
    return struct.pack("<QiI", key, result, flags)


def test_entries_of_the_ring() -> None:
    ring = make_ring()
    if ring is None:
        pytest.skip("no io_uring here")
    pieces: list[bytes] = []
    spotter = Spotter(keep=True)
    connections = [framed(spotter, []) for _ in range(7)]
    control = struct.pack("@QII", 0, 0, 0)
    for number in range(6):
        stamped = 32 if number != 1 else 0
        head = struct.pack("<IIII", 0, stamped, len(GOOD), 0) + control + stamp(2.0 + number)
        at = number * STRIDE
        ring.memory[at : at + HEAD + len(GOOD)] = head + GOOD
    whole, has_buffer = HEAD + len(GOOD), 1
    said = [
        (whole, MORE | has_buffer),
        (whole, MORE | has_buffer),  # without a stamp
        (whole, has_buffer),  # the socket must be watched again
        (HEAD, MORE | has_buffer),
        (-errno.ENOBUFS, 0),
        (whole, MORE | has_buffer),
    ]
    entries = b"".join(
        entry(connection.key, result, flags | number << 16)
        for number, (connection, (result, flags)) in enumerate(zip(connections, said, strict=False))
    )
    entries += entry(0, whole, MORE | has_buffer) + entry(1 << 62, whole, MORE | has_buffer)
    assert list(spotter.spot(entries, ring, AHEAD, 1e6, 1e6)) == [1, 2, 3, 4, 6, 7]
    assert spotter.newest == 7.0
    for number, connection in enumerate(connections):
        spotter.settle(connection)
        assert connection.events is not None
        assert connection.events.token_chunks == 1 + (number in (0, 5))
        pieces += connection.pieces or []
    assert pieces.count(event(chunk("good"))) == 2
    ring.close()


def test_what_bears_no_stamp_is_left() -> None:
    spotter = Spotter(keep=False)
    assert spot(spotter, [(framed(spotter), GOOD, None)]) == [0]
    assert spotter.newest == 0.0


def test_moments_stay_between_the_former_chunk_and_now() -> None:
    spotter = Spotter(keep=False)
    connection = framed(spotter, moment=4.0)
    reads = [(connection, GOOD, moment) for moment in (3.5, 6.0, 5.0, 9.0)]
    assert spot(spotter, reads, now=8.0) == []
    assert spotter.newest == 4.0  # of the first of its connection
    spotter.settle(connection)
    assert connection.events is not None
    assert connection.events.gaps.tolist() == [0.0, 2.0, 0.0, 2.0]


def test_more_chunks_than_a_row_holds() -> None:
    spotter = Spotter(keep=False)
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
    spotter = Spotter(keep=False)
    first = framed(spotter)
    key = first.key
    assert spotter.seated(key) is first
    assert spot(spotter, [(first, GOOD, 2.0)]) == []  # counted, and never settled
    spotter.leave(first)
    spotter.leave(first)
    first.key = key  # something of it that comes late
    assert spotter.seated(key) is None
    assert spot(spotter, [(first, GOOD, 3.0)]) == [0]
    second = framed(spotter)
    assert second.key % (1 << 20) == key % (1 << 20)
    assert spotter.seated(key) is None
    assert spotter.seated(12345) is None
    assert spot(spotter, [(first, GOOD, 4.0), (second, GOOD, 5.0)]) == [0]
    spotter.settle(second)
    assert second.events is not None
    assert (second.events.token_chunks, second.events.gaps.tolist()) == (2, [4.0])


def test_room_for_more_connections_is_made_as_they_come() -> None:
    spotter = Spotter(keep=False)
    first = framed(spotter)
    assert spot(spotter, [(first, GOOD, 2.0)]) == []
    connections = [first, *(framed(spotter) for _ in range(200))]
    assert spot(spotter, [(each, GOOD, 3.0) for each in connections]) == []
    for connection in connections:
        spotter.settle(connection)
        assert connection.events is not None
        assert connection.events.token_chunks == (3 if connection is first else 2)


def test_connections_that_expect_no_chunks() -> None:
    spotter = Spotter(keep=False)
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
    spotter = Spotter(keep=False)
    connection = carry(spotter)
    start = '{"id":"%s","choices":[{"delta":{"content":"' % ("x" * before)
    data = event(start + 'a"},"logprobs":"%s"}]}' % ("x" * after))
    wire = b"%x\r\n%b\r\n" % (len(data), data)
    parse(spotter, connection, wire, 1.0)
    assert connection.framed
    assert (spot(spotter, [(connection, wire, 2.0)]) == []) == told


def test_the_services_tokens() -> None:
    spotter = Spotter(keep=False)
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
    spotter = Spotter(keep=False)
    assert spot(spotter, [(framed(spotter), GOOD, 2.0)]) == [0]
    assert list(spotter.spot_reads([], 0.0, 0.0, 0.0)) == []


def test_a_library_of_another_version_is_not_used(tmp_path: Path) -> None:
    assert _load(LIBRARY) is not None, "make .venv/dev compiles it"
    assert _load(tmp_path / "none.so") is None
    other = tmp_path / "spot.c"
    for number, extra in enumerate(("", "/* another */")):
        other.write_text(spotting.SOURCE.read_text("utf-8") + extra, "utf-8")
        library = tmp_path / f"{number}.so"
        assert compile_library(other, library) is None
        assert (_load(library) is None) == bool(extra)


def test_a_library_whose_source_is_gone_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spotting, "SOURCE", tmp_path / "spot.c")
    assert _load(LIBRARY) is None


def test_a_library_without_the_functions_is_not_used(tmp_path: Path) -> None:
    source = tmp_path / "spot.c"
    source.write_text("const long layout[64];", "utf-8")
    assert compile_library(source, tmp_path / "_spot.so") is None
    assert _load(tmp_path / "_spot.so") is None


def hook(root: Path) -> CompileHook:
    """The hook of a source tree."""
    return CompileHook(str(root), {}, None, None, str(root), "wheel")  # type: ignore[arg-type]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree with nothing but the C code."""
    source = tmp_path / "harness/load/spot.c"
    source.parent.mkdir(parents=True)
    source.write_bytes(spotting.SOURCE.read_bytes())
    return tmp_path


def test_the_build_puts_the_library_where_it_is_used(tree: Path) -> None:
    for version, there in (("standard", False), ("editable", True)):
        data: dict[str, Any] = {"force_include": {}}
        building = hook(tree)
        building.initialize(version, data)
        assert (tree / "harness/load/_spot.so").exists() == there
        for path, place in data["force_include"].items():
            assert _load(Path(path)) is not None
            assert (place, data["pure_python"]) == ("harness/load/_spot.so", False)
            assert data["tag"].startswith("py3-none-linux")
        assert bool(data["force_include"]) != there
        building.finalize(version, data, "")
    assert _load(tree / "harness/load/_spot.so") is not None


@pytest.mark.parametrize(
    ("with_compiler", "why"),
    [("/no/such/cc", "no C compiler"), ("a'b", "no C compiler"), ("false", "false: ")],
)
def test_the_build_goes_on_without_a_library(
    tree: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    with_compiler: str,
    why: str,
) -> None:
    monkeypatch.setenv("CC", with_compiler)
    data: dict[str, Any] = {"force_include": {}}
    building = hook(tree)
    building.initialize("standard", data)
    building.finalize("standard", data, "")
    assert data == {"force_include": {}}
    assert why in capsys.readouterr().err


def test_the_build_says_where_it_may_not_write(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "harness/load/_spot.so").mkdir()
    building = hook(tree)
    building.initialize("editable", {})
    building.finalize("editable", {}, "")
    assert "directory" in capsys.readouterr().err
