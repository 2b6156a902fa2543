"""Streams of tokens: disconnects, slow readers, failures in mid-stream."""

import asyncio
import socket
from collections.abc import AsyncGenerator

import aiohttp
import orjson
import pytest
from aiohttp import ClientConnectionResetError, web

from harness.clock import MonotonicClock
from harness.prompt import Prompt
from harness.providers import ProviderError, Trace
from harness.providers.openai_http import HttpProvider
from harness.service.app import make_app
from harness.service.service import Service
from harness.service.settings import ServiceSettings
from harness.simulator.engine import Engine
from harness.simulator.server import make_app as make_simulator
from tests.service.build import BODY, RIGHT, SCENARIO, Model, events, served, until
from tests.serving import serve_app
from tests.simulated import profile, times

STREAM = "/edit-scenario-stream"


class Watched:
    """The simulator over HTTP, which notes the calls that were given up by whoever made them."""

    def __init__(self, engine: Engine) -> None:
        self.begun = 0
        self.given_up = 0

        @web.middleware
        async def watch(request: web.Request, handler: web.RequestHandler) -> web.StreamResponse:
            calling = request.path.endswith("/completions")
            self.begun += calling
            try:
                return await handler(request)  # type: ignore[operator,no-any-return]
            except asyncio.CancelledError:
                self.given_up += calling
                raise

        self.app = make_simulator(engine)
        self.app.middlewares.append(watch)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", [STREAM, "/edit-scenario", "/edit-scenario-async", "/ws", "/jobs"])
async def test_a_client_that_leaves_ends_the_call_at_the_simulator(path: str) -> None:
    slow = profile(edit=times(0.001, 3600.0))  # it streams for an hour
    watched = Watched(Engine(slow, seed=1))
    runner = web.AppRunner(watched.app, handler_cancellation=True, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        provider = HttpProvider(base, MonotonicClock(), timeout=20.0, scenarios=[SCENARIO])
        async with served(provider) as (session, service):
            await _leave(session, path, watched)
            await until(lambda: watched.given_up == 1)
            await until(lambda: service.editor.admission.in_flight == 0)
            assert watched.begun == 1
    finally:
        await runner.cleanup()


async def _leave(session: aiohttp.ClientSession, path: str, watched: Watched) -> None:
    """Begin an edit by any route, and go away once the simulator is at it."""
    if path == "/jobs":
        async with session.post(path, json=BODY) as response:
            job = await response.json()
        await until(lambda: watched.begun == 1)
        async with session.delete(f"/jobs/{job['id']}") as response:
            assert (await response.json())["state"] == "cancelled"
        return
    if path == "/ws":
        async with session.ws_connect(path) as socket_:
            await socket_.send_json({"type": "edit", "id": "1", **BODY})
            await socket_.receive()
        return
    asking = asyncio.create_task(_ask(session, path))
    await until(lambda: watched.begun == 1)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def _ask(session: aiohttp.ClientSession, path: str) -> None:
    async with session.post(path, json=BODY) as response:
        await response.read()


async def test_a_client_that_leaves_in_mid_stream() -> None:
    model = Model(held=True)
    async with served(model) as (session, service):
        async with session.post(STREAM, json=BODY) as response:
            assert response.status == 200
            await response.content.readany()
        response.close()
        await until(lambda: model.cancelled == 1)
        await until(lambda: service.editor.admission.in_flight == 0)
        assert not service.requests


async def test_a_client_that_is_found_gone_while_writing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def send(*_: object) -> None:
        raise ClientConnectionResetError("gone")

    monkeypatch.setattr("harness.service.streams.Events.send", send)
    model = Model(piece=10)
    async with served(model) as (session, service):
        async with session.post(STREAM, json=BODY):
            pass
        assert model.cancelled == 1
        assert f'route="{STREAM}",status="499"' in service.metrics.text().decode()
    assert not caplog.messages  # which is nothing that anybody has to know


async def test_a_slow_reader_holds_the_model_back() -> None:
    """Ten megabytes of chatter, and a client that reads none of it."""
    chatter = "이야기를 고치는 중입니다. " * 700_000
    model = Model(lambda prompt: chatter, piece=10_000)
    service = Service(model, MonotonicClock(), ServiceSettings(grace=0.1, deadline=60.0))
    runner = web.AppRunner(make_app(service), handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32_768)
    listening.bind(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    service.start()
    await service.wait_ready()
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
    reader.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(reader, listening.getsockname())
        body = orjson.dumps(BODY)
        head = (
            f"POST {STREAM} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        await loop.sock_sendall(reader, head.encode() + body)
        seen = -1
        while model.given != seen:  # until nothing moves any more
            seen = model.given
            await asyncio.sleep(0.1)
        assert 0 < model.given < len(chatter) / 10
        reader.close()
        await until(lambda: model.cancelled == 1)
    finally:
        reader.close()
        await service.drain()
        await runner.cleanup()
        await service.close()


async def test_a_failure_after_tokens_is_an_event() -> None:
    class Breaking(Model):
        async def stream(self, prompt: Prompt, trace: Trace) -> AsyncGenerator[str, None]:
            yield RIGHT[:20]
            raise ProviderError("reset", "gone")

    async with served(Breaking()) as (session, _), session.post(STREAM, json=BODY) as response:
        assert response.status == 200
        assert events(await response.text()) == [
            ("token", {"text": RIGHT[:20]}),
            (
                "error",
                {
                    "detail": "the model's server broke the connection",
                    "type": "provider_failed",
                },
            ),
        ]


async def test_a_defect_after_tokens_is_an_event_too(caplog: pytest.LogCaptureFixture) -> None:
    class Breaking(Model):
        async def stream(self, prompt: Prompt, trace: Trace) -> AsyncGenerator[str, None]:
            yield RIGHT[:20]
            raise ZeroDivisionError("secret")

    async with served(Breaking()) as (session, _), session.post(STREAM, json=BODY) as response:
        assert events(await response.text())[-1][1]["type"] == "internal"
    assert "secret" not in caplog.text


async def test_a_failure_before_any_token_has_its_status() -> None:
    class Breaking(Model):
        async def stream(self, prompt: Prompt, trace: Trace) -> AsyncGenerator[str, None]:
            raise ProviderError("timeout", "late")
            yield ""

    async with served(Breaking()) as (session, _), session.post(STREAM, json=BODY) as response:
        assert response.status == 504
        assert (await response.json())["type"] == "deadline"


async def test_a_stream_that_holds_no_story() -> None:
    async with (
        served(Model(lambda prompt: "Sorry.")) as (session, _),
        session.post(STREAM, json=BODY) as response,
    ):
        (first, (kind, data)) = events(await response.text())
    assert first == ("token", {"text": "Sorry."})
    assert (kind, data["type"]) == ("error", "unusable_answer")


async def test_the_deadline_in_mid_stream() -> None:
    model = Model(held=True)
    async with (
        served(model, deadline=0.1) as (session, _),
        session.post(STREAM, json=BODY) as response,
    ):
        assert events(await response.text())[-1][1]["type"] == "deadline"
    assert model.cancelled == 1


async def test_serve_app_is_enough() -> None:
    """The application runs under any aiohttp runner, as an embedder would have it."""
    service = Service(Model(), MonotonicClock())
    service.start()
    await service.wait_ready()
    async with (
        serve_app(make_app(service)) as url,
        aiohttp.ClientSession(url) as session,
        session.post(STREAM, json=BODY) as response,
    ):
        assert events(await response.text())[-1][0] == "result"
    await service.drain()
    await service.close()
