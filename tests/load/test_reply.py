"""The reply parser: every framing, split anywhere; what is not HTTP is refused."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load import reply
from harness.load.reply import HEAD_MAX, LINE_MAX, BadReply, ReplyParser


def parse(
    data: bytes, cuts: list[int] | None = None, *, eof: bool = False
) -> tuple[ReplyParser, bytes]:
    """The parser and the body, after feeding ``data`` in parts cut at ``cuts``."""
    parser = ReplyParser()
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts or [])})
    body = b""
    for start, end in pairwise(edges):
        if parser.complete:
            break
        for piece in parser.feed(data[start:end]):
            assert piece
            body += piece
    if eof:
        parser.close()
    return parser, body


def chunked(parts: list[bytes], trailer: bytes = b"", extension: bytes = b"") -> bytes:
    chunks = b"".join(b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts if part)
    return chunks + b"0\r\n" + trailer + b"\r\n"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
CUTS = st.lists(st.integers(0, 10_000), max_size=12)


@given(st.binary(max_size=200), CUTS)
def test_a_length_split_anywhere(body: bytes, cuts: list[int]) -> None:
    parser, got = parse(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body, cuts)
    assert parser.complete
    assert parser.head == reply.Head(200, len(body), True)
    assert got == body


@given(
    st.lists(st.binary(max_size=60), max_size=6),
    st.sampled_from([b"", b"X-Sum: 1\r\n", b"A: 1\r\nB: 2\r\n"]),
    st.sampled_from([b"", b";name=value", b" ;x"]),
    CUTS,
)
def test_chunks_split_anywhere(
    parts: list[bytes], trailer: bytes, extension: bytes, cuts: list[int]
) -> None:
    data = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(parts, trailer, extension)
    parser, got = parse(data, cuts)
    assert parser.complete
    assert parser.keep
    assert got == b"".join(parts)


@given(st.binary(max_size=60), CUTS)
def test_a_body_until_the_end(body: bytes, cuts: list[int]) -> None:
    data = b"HTTP/1.0 200 OK\r\n\r\n" + body
    assert not parse(data, cuts)[0].complete
    parser, got = parse(data, cuts, eof=True)
    assert parser.complete
    assert got == body


@given(CUTS)
def test_interim_heads_are_passed_over(cuts: list[int]) -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    parser, got = parse(interim + HEAD + b"Content-Length: 2\r\n\r\nok", cuts)
    assert parser.complete
    assert got == b"ok"


def test_many_interim_heads_at_once() -> None:
    data = b"HTTP/1.1 100 Continue\r\n\r\n" * 3000 + HEAD + b"Content-Length: 0\r\n\r\n"
    assert parse(data)[0].complete


@given(st.binary(max_size=300), CUTS)
def test_anything_else_is_refused_or_awaited(data: bytes, cuts: list[int]) -> None:
    try:
        parser, _ = parse(data, cuts)
    except BadReply:
        return
    assert not parser.complete or data.startswith(b"HTTP/1.")


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(status: int) -> None:
    parser, _ = parse(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status)
    assert parser.complete
    assert parser.head is not None
    assert parser.head.keep_alive


@pytest.mark.parametrize(
    ("head", "keep"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0", True),
        (b"HTTP/1.1 200\r\nContent-Length: 0", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 3", True),
        (b"HTTP/1.1 200 OK", False),
    ],
)
def test_whether_the_connection_stays(head: bytes, keep: bool) -> None:
    parser = ReplyParser()
    parser.feed(head + b"\r\n\r\n")
    assert parser.head is not None
    assert parser.head.keep_alive is keep


def test_bytes_after_the_end_forbid_reuse() -> None:
    for data in (
        HEAD + b"Content-Length: 2\r\n\r\nokHTTP/1.1",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked([b"ok"]) + b"x",
    ):
        parser, got = parse(data)
        assert parser.complete
        assert not parser.keep
        assert got == b"ok"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: x\x00y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1_0\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * (LINE_MAX + 1),
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * HEAD_MAX,
    ],
)
def test_what_is_not_http_is_refused(data: bytes) -> None:
    with pytest.raises(BadReply):
        parse(data)


def test_one_reply_after_another() -> None:
    parser = ReplyParser()
    for body in (b"a", b"bb", b""):
        parser.reset()
        pieces = parser.feed(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert b"".join(pieces) == body
        assert parser.complete


def test_memory_of_heads_is_bounded() -> None:
    for number in range(2 * reply.REMEMBERED + 10):
        parse(HEAD + b"X-Request: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % number)
        parse(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;n=%d\r\nx\r\n0\r\n\r\n" % number)
    assert len(reply._heads) <= reply.REMEMBERED
    assert len(reply.sizes) <= reply.REMEMBERED
