"""The HTTP provider against servers that fail in every way a server can."""

import asyncio
import json
import socket
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from harness.clock import MonotonicClock
from harness.errors import InputError
from harness.prompt import Prompt
from harness.providers import ProviderError, Recorder, openai_wire
from harness.providers.openai_http import HttpProvider
from harness.providers.openai_wire import KEY_VARIABLE, checked_base
from harness.records import Usage, to_dict
from harness.simulator.engine import Engine
from tests.serving import Connection, serve_app, serve_calls, serve_raw, serve_simulator
from tests.simulated import KEY, WAYS, Way, call, opened, profile, short

PROMPT = Prompt("edit", (("system", "be brief"), ("user", "안녕")), max_tokens=9, temperature=0.5)
ASYNC_WAYS: tuple[Way, ...] = ("awaitable", "streaming")
WHOLE_WAYS: tuple[Way, ...] = ("blocking", "awaitable")
every_way = pytest.mark.parametrize("way", WAYS)
whole_ways = pytest.mark.parametrize("way", WHOLE_WAYS)
Handle = Callable[[Connection], Awaitable[None]]


@asynccontextmanager
async def calling(
    handle: Handle, *, within: float = 10.0, key: str | None = None
) -> AsyncIterator[Recorder]:
    """A recorder whose provider calls a server that does ``handle`` with every call."""
    clock = MonotonicClock()
    async with (
        serve_calls(handle) as url,
        opened(HttpProvider(url, clock, timeout=within, key=key)) as provider,
    ):
        yield Recorder(provider, clock, "x")


async def failure(handle: Handle, way: Way, *, within: float = 10.0) -> ProviderError:
    """How a call fails; its attempt must tell the same."""
    async with calling(handle, within=within) as recorder:
        with pytest.raises(ProviderError) as caught:
            await call(recorder, PROMPT, way)
    (attempt,) = recorder.attempts
    assert attempt.error == caught.value.error
    assert "\n" not in caught.value.error.message
    assert len(caught.value.error.message) <= 220
    assert attempt.sent is not None
    assert attempt.done is not None
    assert attempt.sent <= attempt.done
    return caught.value


def answering(
    status: str = "200 OK", body: bytes = b"", *headers: str, length: int | None = None
) -> Handle:
    return lambda connection: connection.answer(status, body, *headers, length=length)


def completion(**more: object) -> bytes:
    choice = {"index": 0, "message": {"content": "네"}, "finish_reason": "stop"}
    return json.dumps({"choices": [choice], **more}).encode()


def event(text: str | None, finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    data = json.dumps({"choices": [choice], **more}, ensure_ascii=False)
    return f"data: {data}\n\n".encode()


def streaming(*parts: bytes) -> Handle:
    """A server that sends these bytes as a stream that ends where the connection does."""

    async def handle(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for part in parts:
            await connection.send(part)

    return handle


DONE = b"data: [DONE]\n\n"


# --- below HTTP ---


@every_way
async def test_a_refused_connection(way: Way) -> None:
    clock = MonotonicClock()
    async with serve_calls(answering()) as url:
        provider = HttpProvider(url, clock, timeout=5.0)
        await provider.open()
    async with opened(provider):
        with pytest.raises(ProviderError) as caught:
            await call(Recorder(provider, clock, "x"), PROMPT, way)
    assert caught.value.error.type == "connect"


@every_way
async def test_an_answer_without_tls_where_tls_is_spoken(way: Way) -> None:
    clock = MonotonicClock()

    async def plain(connection: Connection) -> None:
        await connection.reader.read(1)
        await connection.answer("400 No", b"this is no TLS")

    async with serve_calls(answering()) as url, serve_raw(plain) as other:
        provider = HttpProvider(url, clock, timeout=5.0)
        async with opened(provider):
            provider.base = other.replace("http:", "https:")
            with pytest.raises(ProviderError) as caught:
                await call(Recorder(provider, clock, "x"), PROMPT, way)
    assert caught.value.error.type == "connect"


async def reset(connection: Connection) -> None:
    connection.reset()


async def hang_up(connection: Connection) -> None:
    """Close without a word."""


async def reset_inside(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + event("a"))
    await asyncio.sleep(0)
    connection.reset()


@every_way
@pytest.mark.parametrize("handle", [reset, hang_up, reset_inside])
async def test_a_broken_connection(handle: Handle, way: Way) -> None:
    assert (await failure(handle, way)).error.type == "reset"


async def never(connection: Connection) -> None:
    await connection.reader.read()


async def never_after_head(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
    await connection.reader.read()


async def never_again(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + event("a"))
    await connection.reader.read()


@every_way
@pytest.mark.parametrize("handle", [never, never_after_head, never_again])
async def test_a_server_that_falls_silent(handle: Handle, way: Way) -> None:
    assert (await failure(handle, way, within=0.5)).error.type == "timeout"


async def trickle_body(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        await connection.send(b"x")
        await asyncio.sleep(0.01)


async def trickle_chunks(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await connection.send(b"1\r\nx\r\n")
        await asyncio.sleep(0.01)


async def trickle_head(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        await connection.send(b"x")
        await asyncio.sleep(0.01)


@every_way
@pytest.mark.parametrize("handle", [trickle_body, trickle_chunks, trickle_head])
async def test_a_server_that_trickles_cannot_outlast_the_time_out(handle: Handle, way: Way) -> None:
    began = time.perf_counter()
    assert (await failure(handle, way, within=0.2)).error.type == "timeout"
    assert time.perf_counter() - began < 5.0  # such a body alone would take 1,000 s


async def cut_chunk(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf")


async def cut_between_chunks(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")


@every_way
@pytest.mark.parametrize(
    "handle", [answering(body=b'{"choices"', length=1000), cut_chunk, cut_between_chunks]
)
async def test_a_body_cut_short(handle: Handle, way: Way) -> None:
    assert (await failure(handle, way)).error.type == "truncated"


async def no_http(connection: Connection) -> None:
    await connection.send(b"220 mail.example.org ESMTP\r\n\r\n")


async def bad_length(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\nX: y\r\n\r\n")


@every_way
async def test_a_server_of_another_protocol(way: Way) -> None:
    assert (await failure(no_http, way)).error.type == "protocol"


@every_way
async def test_a_head_that_makes_no_sense(way: Way) -> None:
    assert (await failure(bad_length, way)).error.type in ("protocol", "truncated")


@whole_ways
async def test_broken_compression(way: Way) -> None:
    handle = answering("200 OK", b"not gzip at all", "Content-Encoding: gzip")
    assert (await failure(handle, way)).error.type in ("protocol", "truncated")


@whole_ways
async def test_an_endless_answer_is_not_kept(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_wire, "MAX_ANSWER", 1000)
    error = await failure(answering(body=b"x" * 1001), way)
    assert error.error.type == "protocol"
    assert "1,000 bytes" in error.error.message


# --- statuses ---


@every_way
@pytest.mark.parametrize(
    ("status", "type_"),
    [
        ("400 Bad Request", "http_4xx"),
        ("401 Unauthorized", "http_4xx"),
        ("404 Not Found", "http_4xx"),
        ("429 Too Many Requests", "rate_limited"),
        ("500 Internal Server Error", "http_5xx"),
        ("503 Service Unavailable", "http_5xx"),
        ("204 No Content", "protocol"),
        ("201 Created", "protocol"),
    ],
)
async def test_statuses(way: Way, status: str, type_: str) -> None:
    body = b"" if status.startswith("204") else b'{"error": {"message": "why\\n  so"}}'
    error = (await failure(answering(status, body, "Retry-After: 100"), way)).error
    assert error.type == type_
    assert error.message == f"HTTP {status[:3]}: {'why so' if body else ''}"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error": "plain"}', "plain"),
        (b'{"error": {"code": 3}}', '{"error": {"code": 3}}'),
        (b"[1]", "[1]"),
        (b"<html>\n no \xff</html>", "<html> no \ufffd</html>"),
        (b"x" * 5000, "x" * 200),
        (b"[" * 100_000, "[" * 200),
        (b"", ""),
    ],
)
async def test_the_servers_own_reason(body: bytes, reason: str) -> None:
    error = await failure(answering("500 No", body), "awaitable")
    assert error.error.message == f"HTTP 500: {reason}"


@every_way
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(way: Way, status: int) -> None:
    visited = []

    async def elsewhere(request: web.Request) -> web.Response:
        visited.append(request.path)
        return web.Response(body=completion(), content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", elsewhere)
    async with serve_app(app) as other:
        error = await failure(answering(f"{status} Go", b"moved", f"Location: {other}/v1"), way)
    assert error.error.type == "protocol"
    assert error.error.message == f"HTTP {status}: moved"
    assert visited == []


# --- whole answers ---


@whole_ways
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": {}}',
        b'{"choices": [null]}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": {}}]}',
        b'{"choices": [{"message": []}]}',
        b'{"choices": [{"message": {"content": 5}}]}',
        b'{"choices": [{"message": {"content": [{"text": "a"}]}}]}',
        b"[" * 100_000,
    ],
    ids=lambda body: body[:40].decode("latin-1"),
)
async def test_an_answer_of_another_shape(way: Way, body: bytes) -> None:
    assert (await failure(answering(body=body), way)).error.type == "protocol"


@whole_ways
async def test_null_content_is_an_empty_answer(way: Way) -> None:
    body = b'{"choices": [{"message": {"content": null}}]}'
    async with calling(answering(body=body)) as recorder:
        assert await call(recorder, PROMPT, way) == ""
    assert recorder.attempts[0].error is None
    assert recorder.attempts[0].finish_reason is None
    assert recorder.replies == []


@whole_ways
async def test_lone_surrogates_in_an_answer_come_through(way: Way) -> None:
    body = b'{"choices": [{"message": {"content": "\\ud83d!"}}]}'
    async with calling(answering(body=body)) as recorder:
        assert await call(recorder, PROMPT, way) == "\ud83d!"


@whole_ways
@pytest.mark.parametrize(
    "extras",
    [
        {"usage": None, "x_sim": None},
        {"usage": [], "x_sim": []},
        {"usage": {"prompt_tokens": "7"}, "x_sim": {}},
        {"usage": {}, "x_sim": {"ttft_s": "soon", "total_s": None}},
    ],
)
async def test_extras_of_another_shape_are_left_out(way: Way, extras: dict[str, object]) -> None:
    async with calling(answering(body=completion(**extras))) as recorder:
        assert await call(recorder, PROMPT, way) == "네"
    assert recorder.attempts[0].usage is None
    assert recorder.attempts[0].sim is None


@whole_ways
async def test_cached_tokens_are_counted(way: Way) -> None:
    details = {"cached_tokens": 3}
    usage = {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": details}
    async with calling(answering(body=completion(usage=usage))) as recorder:
        await call(recorder, PROMPT, way)
    assert recorder.attempts[0].usage == Usage(prompt=7, completion=2, cached=3)


@every_way
async def test_what_is_sent(way: Way) -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def handle(connection: Connection) -> None:
        raise AssertionError("not reached")

    async def serve(connection: Connection) -> None:
        request = await connection.request()
        assert request is not None
        line, head, body = request
        if line.startswith("GET"):
            models = b'{"data": [{"id": "first"}, {"id": "second"}]}'
            await connection.answer("200 OK" if "models" in line else "404 No", models)
            return
        seen.append((head, body))
        if way == "streaming":
            await streaming(event("네", "stop"), DONE)(connection)
        else:
            await connection.answer(body=completion())

    clock = MonotonicClock()
    prompt = Prompt("edit", PROMPT.messages, 9, 0.5, schema={"type": "array"})
    async with (
        serve_raw(serve) as url,
        opened(HttpProvider(f"{url}/v1/", clock, timeout=5.0, key=KEY)) as provider,
    ):
        assert await call(Recorder(provider, clock, "x"), prompt, way) == "네"
    ((head, body),) = seen
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    assert f"authorization: bearer {KEY}".encode() in head.lower()
    assert b"x-harness-draw" not in head.lower()  # this is no simulator
    expected: dict[str, object] = {
        "model": "first",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "안녕"},
        ],
        "max_tokens": 9,
        "temperature": 0.5,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "edit", "schema": {"type": "array"}, "strict": True},
        },
    }
    if way == "streaming":
        expected |= {"stream": True, "stream_options": {"include_usage": True}}
    assert json.loads(body) == expected


async def test_connections_are_kept_alive() -> None:
    peers = []

    async def serve(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        if request.path.endswith("/models"):
            return web.json_response({"data": [{"id": "default"}]})
        if request.method == "GET":
            raise web.HTTPNotFound
        peers.append(request.transport.get_extra_info("peername"))
        if not (await request.json()).get("stream"):
            return web.Response(body=completion(), content_type="application/json")
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(event("네", "stop") + DONE)
        return response

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", serve)
    clock = MonotonicClock()
    async with serve_app(app) as url:
        # One connection blocks and one does not; anew after each stream; or anew for every call.
        for reuse, keep, expected in ((True, True, 2), (False, True, 4), (True, False, 6)):
            peers.clear()
            provider = HttpProvider(
                f"{url}/v1", clock, timeout=5.0, reuse_after_stream=reuse, keepalive=keep
            )
            async with opened(provider):
                for way in (*WHOLE_WAYS, "streaming", "streaming", *WHOLE_WAYS):
                    assert await call(Recorder(provider, clock, "x"), PROMPT, way) == "네"
            assert len(peers) == 6
            assert len(set(peers)) == expected


# --- streams ---


@pytest.mark.parametrize(
    "parts",
    [
        (event("a"), event("b", "stop")),
        (event("a"), event("b"), DONE),
        (event("a"), event("b"), event(None, "stop"), DONE),
        (b": hello\n\n", event("a") + event("b"), b'data: {"choices": []}\n\n', DONE),
        (event("a").replace(b"\n", b"\r\n"), event("b", "stop").replace(b"\n", b"\r\n")),
        (event("a"), event("b", "stop"), b"data: {not even JSO"),
        (event("a"), b'data: {"choices": [{"index": 0}]}\n\n', event("b", "stop")),
    ],
)
async def test_streams_that_are_whole(parts: tuple[bytes, ...]) -> None:
    async with calling(streaming(*parts)) as recorder:
        assert await call(recorder, PROMPT, "streaming") == "ab"
    (attempt,) = recorder.attempts
    assert attempt.error is None
    assert attempt.chunks == 2
    assert attempt.finish_reason in ("stop", None)


async def test_a_stream_split_inside_every_letter() -> None:
    whole = event("가나", None) + event("다", "stop", usage={"prompt_tokens": 1}) + DONE
    parts = [whole[i : i + 1] for i in range(len(whole))]
    async with calling(streaming(*parts)) as recorder:
        assert await call(recorder, PROMPT, "streaming") == "가나다"


@pytest.mark.parametrize(
    "parts", [(), (event("a"),), (event("a"), b"data: [DONE]"), (b"hello",), (completion(),)]
)
async def test_streams_that_end_too_soon(parts: tuple[bytes, ...]) -> None:
    assert (await failure(streaming(*parts), "streaming")).error.type == "truncated"


async def test_what_was_streamed_before_a_failure_is_kept() -> None:
    async with calling(streaming(event("a"), event("b"))) as recorder:
        with pytest.raises(ProviderError):
            await call(recorder, PROMPT, "streaming")
    assert recorder.replies == [(0, "edit", "ab")]
    assert recorder.attempts[0].chunks == 2
    assert recorder.attempts[0].first_token is not None


async def test_a_connection_that_breaks_after_the_end_does_no_harm() -> None:
    async def handle(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        data = event("ab") + DONE
        await connection.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")  # and no last chunk

    async with calling(handle) as recorder:
        assert await call(recorder, PROMPT, "streaming") == "ab"
    assert recorder.attempts[0].error is None
    assert recorder.attempts[0].done is not None


@pytest.mark.parametrize(
    ("part", "why"),
    [
        (b"data: {not JSON}\n\n", "not a streamed completion"),
        (b"data: 5\n\n", "not a streamed completion"),
        (b"data: null\n\n", "not a streamed completion"),
        (b'data: "error"\n\n', "not a streamed completion"),
        (b'data: {"choices": "ab"}\n\n', "not a streamed completion"),
        (b'data: {"choices": {"a": 1}}\n\n', "not a streamed completion"),
        (b'data: {"choices": [{"delta": {"content": 5}}]}\n\n', "not a streamed completion"),
        (b"data: " + b"[" * 100_000 + b"\n\n", "not a streamed completion"),
        (b"data: \xff\n\n", "not UTF-8"),
        (b"x" * 1_500_000, "a line has more than"),
        (b'data: {"error": {"message": "overloaded"}}\n\n', "overloaded"),
        (b'event: error\ndata: {"error": "overloaded"}\n\n', "overloaded"),
    ],
    ids=lambda part: part[:40].decode("latin-1") if isinstance(part, bytes) else None,
)
async def test_streams_of_another_protocol(part: bytes, why: str) -> None:
    error = (await failure(streaming(event("a"), part, DONE), "streaming")).error
    assert error.type == "protocol"
    assert why in error.message


async def test_leaving_a_stream_hangs_up() -> None:
    gone = asyncio.Event()

    async def handle(connection: Connection) -> None:
        await streaming(event("a"))(connection)
        assert await connection.reader.read() == b""
        gone.set()

    async with calling(handle) as recorder:
        stream = recorder.stream(PROMPT)
        assert await anext(stream) == "a"
        await stream.aclose()
        await asyncio.wait_for(gone.wait(), 5.0)


@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_cancellation_hangs_up(way: Way) -> None:
    here, gone = asyncio.Event(), asyncio.Event()

    async def handle(connection: Connection) -> None:
        here.set()
        assert await connection.reader.read() == b""
        gone.set()

    async with calling(handle) as recorder:
        task = asyncio.create_task(call(recorder, PROMPT, way))
        await here.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 5.0)
    assert recorder.attempts[0].error is None


# --- the key ---


@every_way
@pytest.mark.parametrize("before", [0, 150, 185, 195, 240])
@pytest.mark.parametrize("status", ["401 No", "500 No"])
async def test_the_key_is_cut_out_of_every_message(way: Way, before: int, status: str) -> None:
    """Wherever it stands: a key that is cut in two by the limit of a message must not show."""
    body = json.dumps({"error": {"message": "x" * before + f"bad key {KEY} given"}}).encode()
    await assert_no_key(answering(status, body), way)


@pytest.mark.parametrize("before", [0, 150, 175, 240])
async def test_the_key_is_cut_out_of_an_error_in_a_stream(before: int) -> None:
    data = json.dumps({"error": "x" * before + KEY}).encode()
    await assert_no_key(streaming(event("a"), b"data: " + data + b"\n\n"), "streaming")


@whole_ways
async def test_the_key_is_cut_out_of_a_plain_body(way: Way) -> None:
    await assert_no_key(answering("500 No", b"x" * 190 + KEY.encode()), way)


@every_way
async def test_the_key_is_cut_out_of_what_the_transport_says(way: Way) -> None:
    async def handle(connection: Connection) -> None:
        await connection.send(f"NOHTTP {KEY} 1\r\n\r\n".encode())

    await assert_no_key(handle, way, chain=False)


async def assert_no_key(handle: Handle, way: Way, *, chain: bool = True) -> None:
    async with calling(handle, key=KEY) as recorder:
        with pytest.raises(ProviderError) as caught:
            await call(recorder, PROMPT, way)
    shown = traceback.format_exception(caught.value, chain=chain)
    shown += [repr(caught.value), repr(caught.value.error)]
    shown.append(json.dumps([to_dict(attempt) for attempt in recorder.attempts]))
    for text in shown:
        for length in range(8, len(KEY) + 1):
            assert KEY[:length] not in text


@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY}\r\nX: y", f"{KEY}키", f"{KEY}\0"])
def test_a_key_that_no_header_may_hold(key: str) -> None:
    with pytest.raises(InputError, match=KEY_VARIABLE) as caught:
        HttpProvider("http://h/v1", MonotonicClock(), timeout=1.0, key=key)
    assert KEY not in str(caught.value)


async def test_the_key_goes_nowhere_but_into_its_header() -> None:
    engine = Engine(profile(), seed=1)
    async with serve_simulator(engine, KEY) as url:
        provider = HttpProvider(url, MonotonicClock(), timeout=5.0, key=KEY, scenarios=short()[:1])
        async with opened(provider):
            recorder = Recorder(provider, MonotonicClock(), "x")
            for way in WAYS:
                await call(recorder, PROMPT, way)
            kept = [to_dict(attempt) for attempt in recorder.attempts]
            assert KEY not in json.dumps([kept, provider.describe(), recorder.replies])


# --- preflight ---


async def refusal(url: str, **settings: object) -> str:
    """The one line with which ``open`` refuses; closing is still safe."""
    provider = HttpProvider(url, MonotonicClock(), timeout=0.3, **settings)  # type: ignore[arg-type]
    try:
        with pytest.raises(InputError) as caught:
            await provider.open()
    finally:
        await provider.close()
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)
    return str(caught.value)


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    message = await refusal(f"http://127.0.0.1:{port}/v1")
    assert f"http://127.0.0.1:{port}/v1/models: cannot be reached" in message


@pytest.mark.parametrize("handle", [reset, never, no_http])
async def test_no_useful_word_at_the_first_contact(handle: Handle) -> None:
    async with serve_raw(handle) as url:
        assert "cannot be reached" in await refusal(f"{url}/v1")


async def test_a_host_that_does_not_exist() -> None:
    assert "cannot be reached" in await refusal("http://no-such-host.invalid/v1")


async def test_a_key_is_wanted_or_refused() -> None:
    async with serve_simulator(Engine(profile(), seed=1), KEY) as url:
        assert await refusal(url) == f"{url}/models: 401: it wants a key; set {KEY_VARIABLE}"
        wrong = await refusal(url, key="wrong")
        assert wrong == f"{url}/models: 401: the key in {KEY_VARIABLE} was refused; set " + (
            KEY_VARIABLE
        )


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"data": []}', b'{"data": [{}]}', b"\xff", b"[" * 100_000]
)
@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "500 No"])
async def test_without_a_list_of_models(status: str, body: bytes) -> None:
    async def serve(connection: Connection) -> None:
        request = await connection.request()
        assert request is not None
        if request[0].startswith("GET"):
            await connection.answer(status, body)
        else:
            await connection.answer(body=completion())

    clock = MonotonicClock()
    async with (
        serve_raw(serve) as url,
        opened(HttpProvider(f"{url}/v1", clock, timeout=5.0)) as provider,
    ):
        about = provider.describe()
        assert about["model"] == "default"
        assert about["simulated"] is False
        assert await call(Recorder(provider, clock, "x"), PROMPT, "awaitable") == "네"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("401 No", "401: it wants a key"),
        ("403 No", "403: it wants a key"),
        ("404 Not Found", "404: is not there; does the URL end in /v1?"),
    ],
)
async def test_a_server_without_models_is_tried_once(status: str, said: str) -> None:
    async def serve(connection: Connection) -> None:
        request = await connection.request()
        assert request is not None
        await connection.answer("404 No" if request[0].startswith("GET") else status)

    async with serve_raw(serve) as url:
        assert said in await refusal(f"{url}/v1")


async def test_a_named_model_is_asked_for() -> None:
    async with serve_simulator(Engine(profile(), seed=1)) as url:
        provider = HttpProvider(url, MonotonicClock(), timeout=5.0, model="mine")
        async with opened(provider):
            assert provider.describe()["model"] == "mine"


@pytest.mark.parametrize("broken", ["refuses", "resets"])
async def test_a_simulator_that_takes_no_scenarios(broken: str) -> None:
    async def serve(connection: Connection) -> None:
        request = await connection.request()
        assert request is not None
        if request[0].startswith("GET /x-sim"):
            await connection.answer(body=b'{"time_scale": 1}')
        elif request[0].startswith("GET"):
            await connection.answer("404 No")
        elif broken == "resets":
            connection.reset()
        else:
            await connection.answer("500 No", b"no room")

    async with serve_raw(serve) as url:
        assert f"{url}/x-sim/scenarios" in await refusal(f"{url}/v1", scenarios=short()[:1])


@pytest.mark.parametrize("about", [b"", b"[]", b"{}", b"null", b"<html>", b"[" * 100_000])
async def test_another_server_is_not_taken_for_the_simulator(about: bytes) -> None:
    async def serve(connection: Connection) -> None:
        assert await connection.request() is not None
        await connection.answer(body=about)

    async with (
        serve_raw(serve) as url,
        opened(HttpProvider(f"{url}/v1", MonotonicClock(), timeout=5.0)) as provider,
    ):
        assert provider.describe()["simulated"] is False


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///v1",
        "https://:80/v1",
        "ftp://h/v1",
        "h/v1",
        "",
        "http://h:99999/v1",
        "http://h:0/v1",
        "http://h:x/v1",
        "http://[::1/v1",
        "http://h/v1?key=x",
        "http://h/v1#x",
        f"http://{KEY}@h/v1",
        f"http://me:{KEY}@h/v1",
    ],
)
def test_urls_that_cannot_be_right(url: str) -> None:
    with pytest.raises(InputError) as caught:
        checked_base(url)
    assert "\n" not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("url", ["http://h/v1", "https://h:8443/v1/", "http://[::1]:80/a/v1//"])
def test_urls_that_may_be(url: str) -> None:
    assert checked_base(url) == url.rstrip("/")
