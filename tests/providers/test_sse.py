"""Server-sent events, however the bytes are split."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.providers.sse import MAX_LINE, SSEError, SSEReader

STREAM = (
    ": 안녕, a comment\n"
    "\n"
    "data: one\n"
    "\n"
    "event: message\r\n"
    "id: 7\r\n"
    "data: 둘 😀\r\n"
    "\r\n"
    "data:three\n"
    "data:  of\n"
    "data\n"
    "data:\n"
    "data: lines\n"
    "\n"
    "data:\n"
    "\n"
    "retry: 10\n"
    "\n"
    "\n"
    "data: [DONE]\n"
    "\n"
    "data: never ended\n"
).encode()
EVENTS = ["one", "둘 😀", "three\n of\n\nlines", "[DONE]"]


def read(*chunks: bytes) -> list[str]:
    reader = SSEReader()
    return [data for chunk in chunks for data in reader.feed(chunk)]


def test_events_of_a_whole_stream() -> None:
    assert read(STREAM) == EVENTS


def test_events_byte_by_byte() -> None:
    assert read(*(STREAM[i : i + 1] for i in range(len(STREAM)))) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_splits_make_no_difference(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert read(*(STREAM[a:b] for a, b in pairwise(edges))) == EVENTS


@given(st.lists(st.text(st.characters(exclude_characters="\r\n"), min_size=1), max_size=6))
def test_any_text_comes_through(texts: list[str]) -> None:
    stream = "".join(f"data: {text}\n\n" for text in texts).encode("utf-8", "surrogatepass")
    try:
        stream.decode()
    except UnicodeDecodeError:
        with pytest.raises(SSEError, match="not UTF-8"):
            read(stream)
    else:
        assert read(stream) == texts


@given(st.binary(max_size=200))
def test_any_bytes_are_events_or_an_error(data: bytes) -> None:
    try:
        events = read(data)
    except SSEError:
        assert b"data:" in data
    else:
        assert all(events)
        assert len(events) <= data.count(b"data:")


def test_an_event_is_out_as_soon_as_it_is_complete() -> None:
    reader = SSEReader()
    assert list(reader.feed(b"data: a\n")) == []
    assert list(reader.feed(b"\ndata: b")) == ["a"]
    assert list(reader.feed(b"\n\n")) == ["b"]


def test_bytes_that_are_not_utf8_only_matter_in_data() -> None:
    assert read(b": \xff\n\nid: \xfe\ndata: a\n\n") == ["a"]
    with pytest.raises(SSEError, match="not UTF-8"):
        read(b"data: \xff\n\n")


def test_a_line_without_end_is_given_up() -> None:
    reader = SSEReader()
    assert list(reader.feed(b"x" * MAX_LINE)) == []
    with pytest.raises(SSEError, match="1,000,000 bytes"):
        list(reader.feed(b"x"))


def test_many_lines_are_no_long_line() -> None:
    assert len(read(b"data: 123456\n\n" * 100_000)) == 100_000
