"""The short way out of a usual answer says what aiohttp's own says, and leaves the rest to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
import pytest
from aiohttp import web

from harness.service.answering import Quick, answer_json, quick_json
from tests.service.build import BODY, address, served
from tests.serving import serve_app

DATA = {"이야기": "고침"}
Head = tuple[bytes, dict[bytes, bytes]]
Answer = tuple[Head, bytes]


async def short(request: web.Request) -> web.StreamResponse:
    return quick_json(request, DATA)


async def long(request: web.Request) -> web.StreamResponse:
    return answer_json(DATA)


def both() -> web.Application:
    """The same answer on both ways."""
    app = web.Application()
    for path, handler in (("/short", short), ("/long", long)):
        app.router.add_route("*", path, handler)
    return app


@asynccontextmanager
async def connected(app: web.Application) -> AsyncIterator[Callable[..., Awaitable[Answer]]]:
    """Asks on a connection that stays; a function of the request's head and of whether a body comes
    back.
    """
    async with serve_app(app) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))

        async def ask(head: str, body: bool = True) -> Answer:
            writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
            return await _answer(reader, body)

        yield ask
        writer.close()
        await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader, body: bool = True) -> Answer:
    lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
    pairs = [line.split(b": ", 1) for line in lines[1:]]
    headers = {name: value for name, value in pairs if name != b"Date"}
    assert len(headers) == len(pairs) - 1  # the date, and nothing twice
    length = int(headers[b"Content-Length"]) if body else 0
    return (lines[0], headers), await reader.readexactly(length)


@pytest.mark.parametrize(
    "request_head",
    [
        "GET {path} HTTP/1.1\nHost: x",
        "POST {path} HTTP/1.1\nHost: x\nContent-Length: 0",
        "GET {path} HTTP/1.1\nHost: x\nConnection: keep-alive",
        "GET {path} HTTP/1.0\nConnection: keep-alive",
    ],
)
async def test_both_ways_say_the_same_and_keep_the_connection(request_head: str) -> None:
    async with connected(both()) as ask:
        found = [await ask(request_head.format(path=p)) for p in ("/short", "/long", "/short")]
    assert found[0] == found[1] == found[2]
    assert found[0][1].decode() == '{"이야기":"고침"}'


@pytest.mark.parametrize(
    "request_head",
    ["GET {path} HTTP/1.1\nHost: x\nConnection: close", "GET {path} HTTP/1.0"],
)
async def test_a_connection_that_is_to_be_closed_is(request_head: str) -> None:
    found = []
    async with serve_app(both()) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        for path in ("/short", "/long"):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(request_head.format(path=path).replace("\n", "\r\n").encode())
            writer.write(b"\r\n\r\n")
            found.append(await _answer(reader))
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
    assert found[0] == found[1]


async def test_a_service_that_ends_closes_the_connection() -> None:
    async def closing(request: web.Request) -> web.StreamResponse:
        response = await (short if request.path == "/short" else long)(request)
        response.force_close()
        return response

    app = web.Application()
    app.router.add_get("/{path}", closing)
    found = []
    for path in ("/short", "/long"):
        async with connected(app) as ask:
            found.append(await ask(f"GET {path} HTTP/1.1\nHost: x"))
    assert found[0] == found[1]
    assert found[0][0][1][b"Connection"] == b"close"


async def test_head_has_no_body() -> None:
    async with connected(both()) as ask:
        found = [
            await ask(f"HEAD {path} HTTP/1.1\nHost: x", body=False) for path in ("/short", "/long")
        ]
        assert found[0] == found[1]
        assert (await ask("GET /short HTTP/1.1\nHost: x"))[1]  # nothing was left on the connection


async def test_who_expects_to_be_let_go_on_is() -> None:
    async with served() as (session, _):
        reader, writer = await asyncio.open_connection(*address(session))
        body = orjson.dumps(BODY)
        writer.write(
            b"POST /edit-scenario-async HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        (status, _), answer = await _answer(reader)
        assert status == b"HTTP/1.1 200 OK"
        assert answer.startswith(b'{"chapterId"')
        writer.close()
        await writer.wait_closed()


async def test_an_application_may_change_its_responses() -> None:
    async def sign(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Signed"] = "yes"

    app = both()
    app.on_response_prepare.append(sign)
    async with connected(app) as ask:
        (_, headers), _ = await ask("GET /short HTTP/1.1\nHost: x")
    assert headers[b"X-Signed"] == b"yes"


@pytest.mark.parametrize("within", [False, True])
async def test_a_middleware_may_change_a_response(within: bool) -> None:
    @web.middleware
    async def sign(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        response = await handler(request)
        response.headers["X-Signed"] = "yes"
        response.set_cookie("a", "b")
        return response

    app = both()
    if within:
        outer = web.Application(middlewares=[sign])
        outer.add_subapp("/in", app)
    else:
        app.middlewares.append(sign)
    path = "/in/short" if within else "/short"
    async with connected(outer if within else app) as ask:
        (_, headers), _ = await ask(f"GET {path} HTTP/1.1\nHost: x")
    assert headers[b"X-Signed"] == b"yes"
    assert headers[b"Set-Cookie"].startswith(b"a=b")


async def test_what_aiohttp_asks_of_a_response_that_was_sent() -> None:
    """``Quick`` sets by hand what aiohttp's own response would have set."""
    sent: list[web.StreamResponse] = []

    async def keep(request: web.Request) -> web.StreamResponse:
        response = await (short if request.path == "/short" else long)(request)
        await response.prepare(request)
        await response.write_eof()
        sent.append(response)
        return response

    app = web.Application()
    app.router.add_get("/{path}", keep)
    async with connected(app) as ask:
        for path in ("/short", "/long"):
            await ask(f"GET {path} HTTP/1.1\nHost: x")
    mine, theirs = sent
    assert isinstance(mine, Quick)
    assert mine.prepared
    assert mine.keep_alive is theirs.keep_alive is True
    assert mine.body_length == theirs.body_length > 0
    assert await mine.prepare(None) is await theirs.prepare(None) is None  # type: ignore[arg-type]


async def test_a_client_that_has_gone_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    left = asyncio.Event()
    tried: list[BaseException] = []

    async def late(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        try:
            await quick_json(request, DATA).prepare(request)
        except ConnectionResetError as error:
            tried.append(error)
        finally:
            left.set()
        return answer_json(DATA)

    app = web.Application()
    app.router.add_get("/", late)
    async with serve_app(app) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await left.wait()
        writer.close()
    assert len(tried) == 1
    assert not caplog.messages
