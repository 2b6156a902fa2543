"""Events as they come: tokens told from the rest, exactly, however the bytes are cut."""

import json
import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.dialects import OpenAIEvents, ServiceEvents
from harness.load.reply import ReplyParser
from harness.load.stream import EVENT_MAX, Events, tokens_said

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(
    content: object = None,
    *,
    role: str | None = None,
    finish: str | None = None,
    usage: dict[str, object] | None = None,
    spaced: bool = False,
    **extra: object,
) -> str:
    """One chunk of a chat completion as JSON."""
    delta: dict[str, object] = {} if role is None else {"role": role}
    if content is not None:
        delta["content"] = content
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    data = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": choices, **extra}
    if usage is not None:
        data["usage"] = usage
    return json.dumps(data, separators=(", ", ": ") if spaced else (",", ":"), ensure_ascii=False)


def feed(events: Events, data: bytes, cuts: list[int] | None = None) -> Events:
    """Feed ``data`` cut at ``cuts``; the moments are 1, 2, 3, …"""
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts or [])})
    for moment, (start, end) in enumerate(pairwise(edges), 1):
        events.feed(data[start:end], float(moment))
    return events


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[str], str]:
    """Chunks of an answer, and the line end of its stream."""
    spaced = draw(st.booleans())
    text = st.text(
        st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\\n{}:, '), max_size=12
    )
    texts = st.one_of(
        text,
        st.sampled_from(['"delta":{"content":"x', '","content":"', "[DONE]", '"usage":{}', ""]),
        st.none(),
    )
    chunks = [chunk(role="assistant", content="", spaced=spaced)] if draw(st.booleans()) else []
    plain = draw(st.booleans())
    contents: st.SearchStrategy[list[str | None]]
    usual = st.text(min_size=1, max_size=12)
    contents = st.lists(usual, min_size=4, max_size=12) if plain else st.lists(texts, max_size=8)
    for content in draw(contents):
        style = 4 if plain else draw(st.integers(0, 4))
        if style == 0:
            chunks.append(chunk(content, role="assistant", spaced=spaced))
        elif style == 1:
            chunks.append(chunk(content, spaced=spaced, usage={"completion_tokens": len(chunks)}))
        elif style == 2:
            chunks.append(chunk(content, spaced=spaced, logprobs={"content": "elsewhere"}))
        else:
            chunks.append(chunk(content, spaced=spaced))
    chunks.append(chunk(finish="stop", spaced=spaced))
    chunks.append(json.dumps({"choices": [], "usage": {"completion_tokens": 99}}))
    return chunks, draw(st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"]))


@given(answers(), st.lists(st.integers(0, 10_000), max_size=20), st.booleans(), st.booleans())
def test_counts_are_those_of_a_whole_parse(
    answer: tuple[list[str], str], cuts: list[int], comments: bool, by_event: bool
) -> None:
    chunks, end = answer
    parts = [f"data: {text}{end}{end}".encode() for text in chunks]
    if comments:
        parts = [part for text in parts for part in (f": ping{end}{end}".encode(), text)]
    parts.append(f"data: [DONE]{end}{end}".encode())
    events = OpenAIEvents()
    if by_event:
        for moment, part in enumerate(parts):
            events.feed(part, float(moment))
    else:
        feed(events, b"".join(parts), cuts)
    bearing = 0
    for text in chunks:
        choices = json.loads(text)["choices"]
        bearing += bool(choices and choices[0]["delta"].get("content"))
    assert events.token_chunks == bearing
    assert events.other_chunks == len(chunks) + 1 - bearing
    assert events.tokens == 99
    assert events.ended
    assert not events.broken
    assert len(events.gaps) == max(bearing - 1, 0)
    assert (events.first == events.first) == (bearing > 0)
    if bearing > 1:
        assert sum(events.gaps) == pytest.approx(events.last - events.first)


Stamped = tuple[float, bytes]


def event(data: str, name: str | None = None) -> bytes:
    return (f"event: {name}\n" if name else "").encode() + f"data: {data}\n\n".encode()


@given(
    answers(),
    st.just([]) | st.lists(st.integers(0, 10_000), max_size=20),
    st.just([]) | st.lists(st.integers(1, 3), max_size=12),
    st.booleans(),
    st.booleans(),
)
def test_chunks_taken_whole_count_as_those_that_are_parsed(
    made: tuple[list[str], str], cuts: list[int], groups: list[int], keep: bool, hold: bool
) -> None:
    """As the loop reads: chunks are laid aside and taken together, or by ``take_chunks``, and what
    these do not take goes through the parsers.
    """
    data = b"".join(
        b"%x\r\n%b\r\n" % (len(event), event)
        for text in made[0]
        for event in [f"data: {text}{made[1]}{made[1]}".encode()]
    )
    # Most reads end where a chunk does, some anywhere.
    ends = [at + 4 for at in range(len(data)) if data.startswith(b"\n\n\r\n", at)]
    edges = {0, len(data), *ends[:: (groups or [1])[0]]} | {cut % (len(data) + 1) for cut in cuts}
    reads = [data[a:b] for a, b in pairwise(sorted(edges))]

    def parse(reply: ReplyParser, events: OpenAIEvents, pieces: list[bytes], read: Stamped) -> None:
        for piece in reply.feed(read[1]):
            pieces.append(piece)
            events.feed(piece, read[0])

    found: list[tuple[OpenAIEvents, bytes]] = []
    for quick in (True, False):
        reply, events, pieces = ReplyParser(), OpenAIEvents(), list[bytes]()
        reply.feed(CHUNKED)
        kept = pieces if keep or not quick else None
        held: list[Stamped] = []
        for moment, read in enumerate([*reads, b""], 1):
            framed = quick and events.framed and reply.between_chunks
            short = framed and len(read) < events.short and read.endswith(events.ending)
            if short and hold:
                held.append((float(moment), read))
                continue
            if held:
                before = len(pieces)
                stamps = b"".join(struct.pack("@qq", 10, 13) for _ in held)  # with both line ends
                together = [b"\n" + bytes(7) + b"\r" + bytes(7) + data for _, data in held]
                moments = np.array([moment for moment, _ in held])
                size = events.take_held(together, stamps, moments, kept)
                assert kept is None or sum(map(len, pieces[before:])) == size
                for one in held if not size else ():
                    parse(reply, events, pieces, one)
                held = []
            if framed and events.framed and reply.between_chunks:
                before = len(pieces)
                if size := events.take_chunks(read, float(moment), kept):
                    assert kept is None or sum(map(len, pieces[before:])) == size
                    continue
                assert len(pieces) == before
            parse(reply, events, pieces, (float(moment), read))
        found.append((events, b"".join(pieces)))
    (quick_one, quick_body), (slow_one, slow_body) = found
    assert quick_body == slow_body or not keep
    for name in ("first", "last", "token_chunks", "other_chunks", "tokens", "ended", "broken"):
        one, other = getattr(quick_one, name), getattr(slow_one, name)
        assert one == other or one != one != other != other, name
    assert quick_one.gaps == slow_one.gaps


def on_the_wire(text: str) -> bytes:
    """A chunk of an answer in an HTTP chunk."""
    data = event(chunk(text))
    return b"%x\r\n%b\r\n" % (len(data), data)


def framed() -> OpenAIEvents:
    """Events that have seen a first token, at 1 s."""
    events, reply = OpenAIEvents(), ReplyParser()
    reply.feed(CHUNKED)
    for length in range(1, 400):  # other answers have made their lines of sizes known
        ReplyParser().feed(CHUNKED + b"%x\r\n" % length)
    for piece in reply.feed(on_the_wire("first")):
        events.feed(piece, 1.0)
    assert events.framed
    return events


def hold(events: OpenAIEvents, reads: list[bytes], pieces: list[bytes] | None = None) -> int:
    """Take ``reads`` that came at 2, 3, 4, … s together."""
    stamps = b"\n\r" * 8 * len(reads)
    moments = np.arange(2.0, 2.0 + len(reads))
    return events.take_held([b"\n\r" * 8 + read for read in reads], stamps, moments, pieces)


def test_chunks_laid_aside_are_taken_together() -> None:
    texts = ["a", "b" * 130, "가나다", "\\n", "c"]  # with size lines of two and three digits
    events, pieces = framed(), list[bytes]()
    size = hold(events, [on_the_wire(text) for text in texts], pieces)
    assert pieces == [event(chunk(text)) for text in texts]
    assert size == sum(map(len, pieces))
    assert (events.token_chunks, events.first, events.last) == (6, 1.0, 6.0)
    assert events.gaps.tolist() == [1.0] * 5


GOOD = on_the_wire("good")


@pytest.mark.parametrize(
    "read",
    [
        on_the_wire(""),
        GOOD.replace(b"good", b"go\nd"),
        GOOD.replace(b"good", b"go\rd"),
        GOOD.replace(b"good", b"\nood"),
        GOOD.replace(b'"good"', b'"",'),  # the text is empty, and something else stands there
        GOOD.replace(b"choices", b"chances"),
        b"1" + GOOD,  # longer than it says
        b"zz" + GOOD[2:],
        b"0" * 20 + GOOD,
        GOOD.replace(b"\r\n", b"\n\n", 1),
        GOOD[2:],
    ],
)
def test_what_is_no_plain_chunk_is_not_taken_with_the_others(read: bytes) -> None:
    events, pieces = framed(), list[bytes]()
    before = (events.token_chunks, events.last, events.gaps.tolist())
    for reads in ([read], [GOOD, read, GOOD]):
        assert hold(events, reads, pieces) == 0
    assert (events.token_chunks, events.last, events.gaps.tolist()) == before
    assert pieces == []


def test_each_token_has_its_moment() -> None:
    events = OpenAIEvents()
    for moment, data in enumerate([chunk(role="assistant", content=""), chunk("a"), chunk("b")]):
        events.feed(event(data), float(moment))
    assert (events.first, events.last, list(events.gaps)) == (1.0, 2.0, [1.0])


def test_a_chunk_with_several_tokens_is_one() -> None:
    events = feed(OpenAIEvents(), event(chunk("three whole words")))
    assert (events.token_chunks, events.tokens) == (1, -1)


def test_an_event_counts_when_it_is_whole() -> None:
    data = event(chunk("a"))
    events = feed(OpenAIEvents(), data, [10])
    assert events.first == 2.0


@pytest.mark.parametrize("content", ["", None])
def test_empty_content_after_tokens(content: str | None) -> None:
    events = feed(
        OpenAIEvents(), event(chunk("a")) + event(chunk(content)), [len(event(chunk("a")))]
    )
    assert (events.token_chunks, events.other_chunks) == (1, 1)


def test_several_events_in_one_piece_after_a_token() -> None:
    events = OpenAIEvents()
    for moment, data in enumerate([event(chunk("a")), event(chunk("b")) + event(chunk("c"))]):
        events.feed(data, float(moment))
    assert (events.token_chunks, list(events.gaps)) == (3, [1.0, 0.0])


def test_empty_content_beside_other_text_is_no_token() -> None:
    tool = '{"id":"1","choices":[{"delta":{"content":"","tool":"x"},"finish_reason":null}]}'
    token = '{"id":"1","choices":[{"delta":{"content":"x"},"finish_reason":null}]}'
    events = OpenAIEvents()
    for data in (token, tool, token):
        events.feed(event(data), 0.0)
    assert (events.token_chunks, events.other_chunks) == (2, 1)


def test_data_of_several_lines() -> None:
    first, _, rest = chunk("a", spaced=True).partition(", ")
    events = feed(OpenAIEvents(), f"data: {first},\ndata: {rest}\n\n".encode())
    assert events.token_chunks == 1


def test_the_end_beside_the_last_token() -> None:
    events = OpenAIEvents()
    for data in (chunk("a"), chunk("b"), chunk("c", finish="stop")):
        assert not events.ended
        events.feed(event(data), 0.0)
    assert events.ended
    assert events.token_chunks == 3


@pytest.mark.parametrize(
    "data",
    [
        "not json",
        "[]",
        '{"error":{"message":"overloaded"}}',
        '{"choices":[{"delta":{"content":7}}]}',
        '{"choices":[7]}',
        '{"choices":7}',
    ],
)
def test_malformed_events_break_the_stream(data: str) -> None:
    events = feed(OpenAIEvents(), event(chunk("a")) + event(data))
    assert events.broken
    assert (events.token_chunks, events.other_chunks) == (1, 1)


def test_an_event_without_end_breaks_the_stream() -> None:
    assert feed(OpenAIEvents(), b"data: " + b"x" * (EVENT_MAX + 1)).broken


@given(st.lists(st.integers(0, 10_000), max_size=20), st.sampled_from(["\n", "\r\n"]))
def test_the_services_own_events(cuts: list[int], end: str) -> None:
    data = b"".join(
        [
            event('{"text":"a"}', "token"),
            event("b", "token"),
            b": ping\n\n",
            event('{"story":"[]","usage":{"completion_tokens": 7}}', "result"),
        ]
    ).replace(b"\n", end.encode())
    events = feed(ServiceEvents(), data, cuts)
    assert (events.token_chunks, events.other_chunks, events.tokens) == (2, 1, 7)
    assert events.ended
    assert not events.broken


def test_the_services_tokens_one_by_one() -> None:
    events = ServiceEvents()
    for moment in range(5):
        events.feed(event('{"text":"a"}', "token"), float(moment))
    assert (events.token_chunks, list(events.gaps)) == (5, [1.0] * 4)


def test_the_services_error() -> None:
    events = feed(ServiceEvents(), event("a", "token") + event('{"detail":"no"}', "error"))
    assert events.broken
    assert not events.ended


def test_tokens_of_a_whole_answer() -> None:
    assert tokens_said(b'{"usage": {"completion_tokens": 12, "total_tokens": 20}}') == 12
    assert tokens_said(b'{"usage":{"completion_tokens":3}}') == 3
    assert tokens_said(b"{}") == -1
    assert tokens_said(b'{"completion_tokens": null}') == -1
