"""The simulator over HTTP: an OpenAI-compatible server that tells its own times."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from harness.prompt import DRAW_HEADER, edit_prompt
from harness.providers.sse import SSEReader
from harness.simulator.engine import Engine, registration
from harness.simulator.profile import Faults
from harness.simulator.server import make_app, serve
from tests.serving import serve_app, serve_simulator
from tests.simulated import KEY, profile, short, times

SCENARIO = short()[0]
ASK = {"messages": [{"role": "user", "content": "무엇이 바뀌었나요?"}]}


@asynccontextmanager
async def client(engine: Engine, key: str | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    """A session whose paths are the simulator's."""
    async with (
        serve_simulator(engine, key) as url,
        aiohttp.ClientSession(url.removesuffix("/v1")) as session,
    ):
        yield session


async def ask(session: aiohttp.ClientSession, body: object, **headers: str) -> tuple[int, Any]:
    path = "/v1/chat/completions"
    async with session.post(path, data=json.dumps(body), headers=headers) as response:
        return response.status, await response.json()


async def ask_stream(session: aiohttp.ClientSession, body: object, **headers: str) -> list[str]:
    path = "/v1/chat/completions"
    async with session.post(path, data=json.dumps(body), headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        reader = SSEReader()
        return [data async for piece in response.content.iter_any() for data in reader.feed(piece)]


def engine(**more: Any) -> Engine:
    made = Engine(profile(**more), seed=1)
    made.register([SCENARIO])
    return made


def edit_request(**more: object) -> dict[str, object]:
    prompt = edit_prompt(SCENARIO)
    messages = [{"role": role, "content": text} for role, text in prompt.messages]
    return {"messages": messages, "max_tokens": prompt.max_tokens, **more}


# --- answers ---


async def test_a_plain_answer() -> None:
    began = time.perf_counter()
    async with client(engine()) as session:
        status, answer = await ask(session, edit_request(model="mine"))
    waited = time.perf_counter() - began
    assert status == 200
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "mine"
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"] == {"role": "assistant", "content": SCENARIO.reference.to_json()}
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    assert 0.002 <= answer["x_sim"]["ttft_s"] <= answer["x_sim"]["total_s"] <= waited
    assert answer["x_sim"]["total_s"] >= 0.006


async def test_a_streamed_answer() -> None:
    began = time.perf_counter()
    async with client(engine()) as session:
        *events, end = await ask_stream(session, edit_request(stream=True))
    waited = time.perf_counter() - began
    assert end == "[DONE]"
    *tokens, finish, last = map(json.loads, events)
    assert {event["object"] for event in (*tokens, finish, last)} == {"chat.completion.chunk"}
    text = "".join(event["choices"][0]["delta"]["content"] for event in tokens)
    assert text == SCENARIO.reference.to_json()
    assert all(event["choices"][0]["finish_reason"] is None for event in tokens)
    assert finish["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == len(tokens)
    assert 0.002 <= last["x_sim"]["ttft_s"] <= last["x_sim"]["total_s"] <= waited


async def test_a_draw_gives_what_it_gives_in_process() -> None:
    made = engine()
    messages = list(edit_prompt(SCENARIO).messages)
    async with client(Engine(profile(), seed=99)) as session:
        async with session.post("/x-sim/scenarios", data=registration([SCENARIO])) as response:
            assert await response.json() == {"learned": 1}
        for i in range(5):
            expected = made.plan(messages, None, f"1|가|{i}").text
            header = {DRAW_HEADER: f"1|%EA%B0%80|{i}"}
            _, answer = await ask(session, edit_request(), **header)
            assert answer["choices"][0]["message"]["content"] == expected
            events = await ask_stream(session, edit_request(stream=True), **header)
            deltas = [json.loads(e)["choices"] for e in events[:-1]]
            assert "".join(c[0]["delta"].get("content", "") for c in deltas if c) == expected


async def test_content_may_come_in_parts() -> None:
    parts = [{"type": "text", "text": "Hello "}, {"type": "text", "text": "there"}]
    async with client(engine()) as session:
        status, answer = await ask(session, {"messages": [{"role": "user", "content": parts}]})
    assert status == 200
    assert answer["usage"]["prompt_tokens"] == len("Hello there") // 3


async def test_an_empty_answer_streams_too() -> None:
    class Mute(Engine):
        def plan(self, messages: Any, max_tokens: Any, draw: str) -> Any:
            return replace(super().plan(messages, max_tokens, draw), text="")

    async with client(Mute(profile(), 1)) as session:
        finish, last, end = await ask_stream(session, {**ASK, "stream": True})
        assert json.loads(finish)["choices"][0]["finish_reason"] == "stop"
        assert json.loads(last)["x_sim"]["total_s"] >= 0.002
        assert end == "[DONE]"
        _, answer = await ask(session, ASK)
        assert answer["choices"][0]["message"]["content"] == ""
    async with client(Mute(profile(faults=Faults(reset=1)), 1)) as session:
        with pytest.raises(aiohttp.ClientPayloadError):
            await ask_stream(session, {**ASK, "stream": True})


# --- refusals ---


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"\xff",
        b"null",
        b"[]",
        b"5",
        b"{}",
        b'{"messages": null}',
        b'{"messages": []}',
        b'{"messages": {}}',
        b'{"messages": "hello"}',
        b'{"messages": [null]}',
        b'{"messages": [{"role": "user"}]}',
        b'{"messages": [{"content": "a"}]}',
        b'{"messages": [{"role": "user", "content": 5}]}',
        b'{"messages": [{"role": "user", "content": null}]}',
        b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
        b'{"messages": [{"role": "user", "content": "a"}], "stream": "yes"}',
        b'{"messages": [{"role": "user", "content": "a"}], "max_tokens": "many"}',
        b'{"messages": [{"role": "user", "content": "a"}], "max_tokens": 0}',
        b'{"messages": [{"role": "user", "content": "a"}], "max_tokens": -5}',
        b"[" * 100_000,
    ],
    ids=lambda body: body[:70].decode("latin-1"),
)
async def test_requests_that_are_none(body: bytes) -> None:
    async with (
        client(engine()) as session,
        session.post("/v1/chat/completions", data=body) as response,
    ):
        assert response.status == 400
        error = (await response.json())["error"]
    assert error["type"] == "invalid_request_error"
    assert error["code"] == 400
    assert error["message"].startswith("not a chat completion request: ")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"scenarios": 5}',
        b'{"scenarios": null}',
        b'{"scenarios": {"a": 1}}',
        b'{"scenarios": [5]}',
        b'{"scenarios": [{}]}',
        b'{"scenarios": [{"prompt": "x", "original": [], "reference": []}]}',
        b'{"scenarios": [{"prompt": "x", "original": [{"turn_number": 1}], "reference": []}]}',
        b"[" * 100_000,
    ],
    ids=lambda body: body[:70].decode("latin-1"),
)
async def test_registrations_that_are_none(body: bytes) -> None:
    async with client(engine()) as session, session.post("/x-sim/scenarios", data=body) as response:
        assert response.status == 400
        error = (await response.json())["error"]
    assert error["message"].startswith("not a registration of scenarios: ")


async def test_a_key_is_demanded_where_it_costs_tokens() -> None:
    good = {"Authorization": f"Bearer {KEY}"}
    async with client(engine(), KEY) as session:
        for wrong in ({}, {"Authorization": "Bearer no"}, {"Authorization": "Bearer 키\udcff"}):
            status, answer = await ask(session, ASK, **wrong)
            assert status == 401
            assert answer["error"]["type"] == "invalid_api_key"
            assert KEY not in json.dumps(answer)
            async with session.get("/v1/models", headers=wrong) as response:
                assert response.status == 401
        assert (await ask(session, ASK, **good))[0] == 200
        async with session.get("/v1/models", headers=good) as response:
            assert response.status == 200
        for path in ("/health", "/x-sim"):
            async with session.get(path) as response:
                assert response.status == 200


async def test_bytes_that_are_no_text_in_a_header() -> None:
    async with serve_simulator(engine(), KEY) as url:
        port = int(url.split(":")[2].removesuffix("/v1"))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v1/models HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer \xff\r\n\r\n")
        assert b" 401 " in await reader.readline()
        writer.close()
        await writer.wait_closed()


async def test_bytes_that_are_no_text_in_a_draw() -> None:
    body = json.dumps(ASK).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n"
    async with serve_simulator(engine()) as url:
        port = int(url.split(":")[2].removesuffix("/v1"))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode() + DRAW_HEADER.encode() + b": \xff\r\n\r\n" + body)
        assert b" 200 " in await reader.readline()
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/models", "/v1/completions"])
async def test_other_paths_are_not_there(path: str) -> None:
    async with client(engine()) as session, session.get(path) as response:
        assert response.status == 404


async def test_what_it_says_of_itself() -> None:
    async with client(Engine(profile(), seed=5, time_scale=0.5)) as session:
        async with session.get("/x-sim") as response:
            about = await response.json()
        assert about == {"profile": "quick", "time_scale": 0.5, "seed": 5}
        async with session.get("/v1/models") as response:
            assert (await response.json())["data"][0]["id"] == "simulated quick"
        async with session.get("/health") as response:
            assert await response.json() == {"status": "ok"}


# --- faults and clients that go ---


async def test_faults_are_refused_at_once_or_broken_off() -> None:
    slow = times(60.0, 60.0)
    async with client(engine(faults=Faults(http_5xx=1), summary=slow)) as session:
        status, answer = await ask(session, ASK)
        assert (status, answer["error"]["code"]) == (503, 503)
    async with client(engine(faults=Faults(rate_limited=1), summary=slow)) as session:
        status, answer = await ask(session, {**ASK, "stream": True})
        assert (status, answer["error"]["type"]) == (429, "rate_limit_error")
    async with client(engine(faults=Faults(reset=1))) as session:
        with pytest.raises(aiohttp.ClientOSError):
            await ask(session, ASK)


async def test_a_planned_reset_is_not_logged_as_a_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with client(engine(faults=Faults(reset=1))) as session:
        with pytest.raises(aiohttp.ClientOSError):
            await ask(session, ASK)
        with pytest.raises(aiohttp.ClientPayloadError):
            await ask_stream(session, {**ASK, "stream": True})
    assert caplog.records == []


async def test_a_stream_ends_when_its_client_goes(caplog: pytest.LogCaptureFixture) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    @web.middleware
    async def watch(request: web.Request, handler: Any) -> web.StreamResponse:
        began.set()
        try:
            return await handler(request)  # type: ignore[no-any-return]
        finally:
            ended.set()

    made = engine(edit=times(0.001, 30.0))
    app = make_app(made)
    app.middlewares.append(watch)
    async with serve_app(app) as url, aiohttp.ClientSession(url) as session:
        before = asyncio.all_tasks()
        body = json.dumps(edit_request(stream=True))
        async with session.post("/v1/chat/completions", data=body) as response:
            await response.content.readline()
            assert not ended.is_set()
        # It notices when it writes: after one token's gap, long before the 30 s are over.
        await asyncio.wait_for(ended.wait(), 10.0)
        assert began.is_set()
        for _ in range(20):  # turns of the loop, in which what has ended goes away
            await asyncio.sleep(0)
        assert asyncio.all_tasks() <= before
    assert caplog.records == []


# --- serving ---


async def test_it_says_where_it_listens_and_stops_when_cancelled() -> None:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(engine(), "127.0.0.1", 0, ready=ready.set_result))
    url = await ready
    assert url.startswith("http://127.0.0.1:")
    assert url.endswith("/v1")
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/models") as response:
            assert response.status == 200
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{url}/models")


async def test_a_port_that_is_taken() -> None:
    async with serve_simulator(engine()) as url:
        port = int(url.split(":")[2].removesuffix("/v1"))
        with pytest.raises(OSError, match="address already in use"):
            await serve(engine(), "127.0.0.1", port, ready=lambda url: None)
