"""Events as they come: tokens told from the rest, exactly, however the bytes are cut."""

import json
from itertools import pairwise

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


def event(data: str, name: str | None = None) -> bytes:
    return (f"event: {name}\n" if name else "").encode() + f"data: {data}\n\n".encode()


@st.composite
def read_answers(draw: st.DrawFn) -> list[bytes]:
    """An answer in HTTP chunks as it is read: mostly to where a chunk ends, somewhere anywhere."""
    texts, end = draw(answers())
    groups = draw(st.just([]) | st.lists(st.integers(1, 3), max_size=12))
    cuts = draw(st.just([]) | st.lists(st.integers(0, 10_000), max_size=20))
    line = draw(st.sampled_from([b"%x", b"%X", b"%04x", b"%x;a=b"]))
    data = b"".join(
        b"%b\r\n%b\r\n" % (line % len(event), event)
        for text in texts
        for event in [f"data: {text}{end}{end}".encode()]
    )
    ends = [at + 4 for at in range(len(data)) if data.startswith(b"\n\n\r\n", at)]
    edges = {0, len(data), *ends[:: (groups or [1])[0]]} | {cut % (len(data) + 1) for cut in cuts}
    return [data[a:b] for a, b in pairwise(sorted(edges))]


def parsed(reads: list[bytes]) -> tuple[OpenAIEvents, bytes]:
    """The events and the body of an answer whose reads came at 1, 2, 3, … s."""
    reply, events, body = ReplyParser(), OpenAIEvents(), b""
    reply.feed(CHUNKED)
    for moment, read in enumerate(reads, 1):
        for piece in reply.feed(read):
            body += piece
            events.feed(piece, float(moment))
    return events, body


def assert_same(one: OpenAIEvents, other: OpenAIEvents) -> None:
    for name in ("first", "last", "token_chunks", "other_chunks", "tokens", "ended", "broken"):
        first, second = getattr(one, name), getattr(other, name)
        assert first == second or first != first != second != second, name
    assert one.gaps == other.gaps


@given(read_answers(), st.booleans())
def test_chunks_taken_whole_count_as_those_that_are_parsed(reads: list[bytes], keep: bool) -> None:
    reply, events, pieces = ReplyParser(), OpenAIEvents(), list[bytes]()
    reply.feed(CHUNKED)
    for moment, read in enumerate(reads, 1):
        if events.framed and reply.between_chunks:
            before = len(pieces)
            if size := events.take_chunks(read, float(moment), pieces if keep else None):
                assert not keep or sum(map(len, pieces[before:])) == size
                continue
            assert len(pieces) == before
        for piece in reply.feed(read):
            pieces.append(piece)
            events.feed(piece, float(moment))
    expected, body = parsed(reads)
    assert_same(events, expected)
    assert b"".join(pieces) == body or not keep


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


def test_moments_that_are_not_known_are_none() -> None:
    events = OpenAIEvents()
    events.feed(event(chunk("a")), 1.0)
    events.feed(event(chunk("b")) + event(chunk("c")), 2.0)
    events.lose(1)
    events.feed(event(chunk("d")), 3.0)
    assert list(map(str, events.gaps)) == ["nan", "nan", "1.0"]
    assert (events.first, events.first_lost, events.last) == (1.0, False, 3.0)


def test_the_last_of_chunks_taken_whole_is_known_though_one_without_a_token_came_before() -> None:
    events = OpenAIEvents()
    events.feed(event(chunk("a")), 1.0)
    events.feed(event(chunk("")), 2.0)
    data = event(chunk("b"))
    assert events.take_chunks(2 * (b"%x\r\n%b\r\n" % (len(data), data)), 3.0, None)
    events.lose(1)
    assert events.last == 3.0


def test_a_token_before_what_bears_none_is_lost_as_well() -> None:
    events = OpenAIEvents()
    events.feed(event(chunk("a")) + event(chunk("b")) + event(chunk("")), 1.0)
    events.lose(0)
    assert (events.first, events.first_lost, str(events.last)) == (1.0, True, "nan")
    events.feed(event(chunk("c")), 2.0)
    events.feed(event(chunk("d")), 2.5)
    assert list(map(str, events.gaps)) == ["nan", "nan", "0.5"]
    assert events.token_chunks == 4


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
