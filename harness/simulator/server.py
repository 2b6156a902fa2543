"""The simulated LLM over HTTP: an OpenAI-compatible server that reports its own true timings."""

import asyncio
import hmac
import json
import socket
import struct
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from harness.prompt import DRAW_HEADER
from harness.records import Usage
from harness.simulator.answers import Known
from harness.simulator.engine import Engine, Reply
from harness.story import StoryError, parse_story

MAX_BODY = 64 * 1024 * 1024
ENGINE = web.AppKey("engine", Engine)
KEY = web.AppKey("key", str)
PLACES = web.AppKey("places", AbstractAsyncContextManager[object])


def make_app(engine: Engine, key: str | None = None) -> web.Application:
    """The server's application. With ``key`` every /v1 call must carry it as a bearer token."""
    app = web.Application(client_max_size=MAX_BODY)
    app[ENGINE] = engine
    app[KEY] = key or ""
    capacity = engine.profile.capacity
    app[PLACES] = nullcontext() if capacity is None else asyncio.Semaphore(capacity)
    app.add_routes(
        [
            web.post("/v1/chat/completions", chat),
            web.get("/v1/models", models),
            web.get("/health", health),
            web.get("/x-sim", about),
            web.post("/x-sim/scenarios", learn),
        ]
    )
    return app


def _error(status: int, message: str, kind: str) -> web.Response:
    body = {"error": {"message": message, "type": kind, "code": status}}
    return web.json_response(body, status=status)


def _refused(request: web.Request) -> web.Response | None:
    key = request.app[KEY]
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if key and not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), key.encode()):
        return _error(401, "the API key is missing or wrong", "invalid_api_key")
    return None


async def health(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def about(request: web.Request) -> web.Response:
    engine = request.app[ENGINE]
    body = {
        "profile": engine.profile.name,
        "time_scale": engine.time_scale,
        "seed": engine.seed,
    }
    return web.json_response(body)


async def models(request: web.Request) -> web.Response:
    if refusal := _refused(request):
        return refusal
    name = f"simulated {request.app[ENGINE].profile.name}"
    return web.json_response({"object": "list", "data": [{"id": name, "object": "model"}]})


async def learn(request: web.Request) -> web.Response:
    """Take scenarios with their right answers (see ``engine.registration``)."""
    if refusal := _refused(request):
        return refusal
    try:
        items = json.loads(await request.text())["scenarios"]
        for item in items:
            known = Known(parse_story(item["original"]), parse_story(item["reference"]))
            request.app[ENGINE].learn(str(item["prompt"]), known)
    except (ValueError, KeyError, TypeError, StoryError, RecursionError) as error:
        return _error(400, f"not a registration of scenarios: {error}", "invalid_request_error")
    return web.json_response({"learned": len(items)})


async def chat(request: web.Request) -> web.StreamResponse:
    received = time.perf_counter()
    if refusal := _refused(request):
        return refusal
    try:
        body = json.loads(await request.text())
        messages = [(str(m["role"]), _content(m["content"])) for m in body["messages"]]
        limit = body.get("max_tokens")
        stream = body.get("stream", False)
        if not messages or not isinstance(stream, bool) or not isinstance(limit, int | None):
            raise ValueError("messages, stream or max_tokens are not of the right type")
        if limit is not None and limit < 1:
            raise ValueError("max_tokens is less than 1")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return _error(400, f"not a chat completion request: {error}", "invalid_request_error")
    draw = unquote(request.headers.get(DRAW_HEADER, ""))
    reply = request.app[ENGINE].plan(messages, limit, draw)
    if reply.fault == "http_5xx":
        return _error(503, "simulated fault http_5xx", "server_error")
    if reply.fault == "rate_limited":
        return _error(429, "simulated fault rate_limited", "rate_limit_error")
    model = str(body.get("model") or f"simulated {request.app[ENGINE].profile.name}")
    async with request.app[PLACES]:
        if stream:
            return await _stream(request, reply, model, received)
        begun = time.perf_counter()
        await asyncio.sleep(_left(begun, reply.total_s / 2 if reply.fault else reply.total_s))
    if reply.fault:
        return _abort(request, web.Response())
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": reply.text},
        "finish_reason": reply.finish_reason,
    }
    total = time.perf_counter() - received
    answer = _envelope("chat.completion", model, [choice]) | {
        "usage": _usage(reply.usage),
        "x_sim": {"ttft_s": min(begun - received + reply.ttft_s, total), "total_s": total},
    }
    return web.Response(
        body=json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace"),
        content_type="application/json",
    )


async def _stream(
    request: web.Request, reply: Reply, model: str, received: float
) -> web.StreamResponse:
    begun = time.perf_counter()
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    response.headers["Cache-Control"] = "no-store"
    try:
        await response.prepare(request)
        first: float | None = None
        tokens = reply.tokens
        for i, (token, moment) in enumerate(zip(tokens, reply.moments(), strict=True)):
            if reply.fault and i >= len(tokens) // 2:
                return _abort(request, response)
            if (ahead := _left(begun, moment)) > 0:
                await asyncio.sleep(ahead)
            if first is None:
                first = time.perf_counter() - received
            choice = {"index": 0, "delta": {"content": token}, "finish_reason": None}
            await _send(response, _envelope("chat.completion.chunk", model, [choice]))
        if not tokens:
            await asyncio.sleep(_left(begun, reply.total_s))
            if reply.fault:
                return _abort(request, response)
        choice = {"index": 0, "delta": {}, "finish_reason": reply.finish_reason}
        await _send(response, _envelope("chat.completion.chunk", model, [choice]))
        total = time.perf_counter() - received
        timing = {"ttft_s": total if first is None else first, "total_s": total}
        last = _envelope("chat.completion.chunk", model, [])
        await _send(response, last | {"usage": _usage(reply.usage), "x_sim": timing})
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
    except ConnectionResetError:
        pass  # the caller has what it wanted, or has given up
    return response


async def _send(response: web.StreamResponse, event: dict[str, Any]) -> None:
    data = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")
    await response.write(b"data: " + data + b"\n\n")


def _abort(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Break the connection in the middle of the answer; nobody gets ``response``."""
    if request.transport is not None:
        # Without lingering, closing sends a reset and not a well-mannered end.
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return response


def _left(begun: float, moment: float) -> float:
    return max(0.0, begun + moment - time.perf_counter())


def _content(value: object) -> str:
    """A message's text: plain, or the list of parts that newer clients send."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(str(part["text"]) for part in value)
    raise TypeError("content is neither text nor a list of parts")


def _envelope(kind: str, model: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "chatcmpl-sim",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "choices": choices,
    }


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
    }


async def serve(
    engine: Engine, host: str, port: int, *, ready: Callable[[str], None], key: str | None = None
) -> None:
    """Serve until cancelled; calls ``ready`` with the URL when it does (port 0: any free one)."""
    runner = web.AppRunner(make_app(engine, key), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0][1]
        shown = f"[{host}]" if ":" in host else host
        ready(f"http://{shown}:{bound}/v1")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
