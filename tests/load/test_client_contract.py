"""The engine and aiohttp, the harness's ordinary client, report the same of the same servers."""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from harness.load.columns import Failure
from harness.load.engine import OpenLoop, run_load
from harness.load.target import Deck, Request, Target
from harness.providers.openai_wire import status_type, transport_type
from harness.providers.sse import SSEReader
from tests.load.raw_server import Peer, Script, closed_port, serve

SHORT_S = 0.3  # the time-out where the server stalls
LONG_S = 20.0
HEAD = b"HTTP/1.1 200 OK\r\n"
TOKEN = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
DONE = b"data: [DONE]\n\n"


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


@dataclass(frozen=True)
class Report:
    """What a client says of one request; moments in seconds from its sending."""

    status: int
    body: bytes
    failure: str
    token_chunks: int
    first_token: float
    done: float

    def same_as(self, other: "Report") -> bool:
        """Equal but for moments, which agree to what a busy machine allows."""
        return (
            (self.status, self.body, self.failure, self.token_chunks)
            == (other.status, other.body, other.failure, other.token_chunks)
            and np.isclose(self.first_token, other.first_token, atol=1, equal_nan=True).item()
            and abs(self.done - other.done) < 1
        )


def with_engine(port: int, stream: bool, timeout_s: float) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        target = Target("127.0.0.1", port, None, "openai" if stream else None)
        result = run_load(
            target,
            Deck(target, [Request("POST", "/x", (), b"{}")]),
            OpenLoop(np.zeros(1)),
            timeout_s=timeout_s,
            bodies=Path(folder) / "bodies",
        )
        body = (Path(folder) / "bodies").read_bytes()
    columns = result.columns
    return Report(
        status=int(columns.status[0]),
        body=body,
        failure=Failure(columns.failure[0]).name.lower(),
        token_chunks=int(columns.token_chunks[0]),
        first_token=float(columns.first_token[0] - columns.sent[0]),
        done=float(columns.done[0] - columns.sent[0]),
    )


async def with_aiohttp(port: int, stream: bool, timeout_s: float) -> Report:
    status, body, failure, tokens, first, ended = 0, b"", "none", 0, float("nan"), False
    reader = SSEReader()
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    sent = time.perf_counter()
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            async with session.post(
                f"http://127.0.0.1:{port}/x", data=b"{}", allow_redirects=False
            ) as response:
                status = response.status
                if not response.ok or status >= 300:
                    failure = status_type(status)
                async for piece in response.content.iter_any():
                    body += piece
                    now = time.perf_counter()
                    for data in reader.feed(piece) if stream else ():
                        ended = ended or data == "[DONE]"
                        if '"content":"a"' in data:
                            tokens += 1
                            first = first if tokens > 1 else now - sent
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = failure if ended else transport_type(error)
    if stream and failure == "none" and not ended:
        failure = "truncated"
    return Report(status, body, failure, tokens, first, time.perf_counter() - sent)


def says(*parts: bytes, pause: float = 0.0, then: Script | None = None) -> Script:
    """A server that sends ``parts`` and closes."""

    def script(peer: Peer) -> None:
        peer.request()
        for part in parts:
            peer.send(part)
            time.sleep(pause)
        if then is not None:
            then(peer)

    return script


def stay(peer: Peer) -> None:
    time.sleep(2 * SHORT_S)


def one_by_one(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


SERVERS = {
    "length": says(HEAD + b"Content-Length: 2\r\n\r\nok"),
    "length 0": says(HEAD + b"Content-Length: 0\r\n\r\n"),
    "byte by byte": says(*one_by_one(HEAD + b"Content-Length: 2\r\n\r\nok"), pause=0.001),
    "body later": says(HEAD + b"Content-Length: 4\r\n\r\n", b"ab", b"cd", pause=0.03),
    "no content": says(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "until close": says(b"HTTP/1.0 200 OK\r\n\r\n", b"whatever", pause=0.02),
    "until close, 1.1": says(HEAD + b"Connection: close\r\n\r\nwhatever"),
    "chunked": says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(b"ab", b"cde", b"")),
    "trailers": says(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(b"ab") + b"0\r\nX-Sum: 1\r\n\r\n"
    ),
    "chunk extension": says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nok\r\n0\r\n\r\n"),
    "chunks byte by byte": says(
        *one_by_one(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(b"ab", b"")),
        pause=0.001,
    ),
    "100 first": says(b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"Content-Length: 2\r\n\r\nok"),
    "404": says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"),
    "429": says(b"HTTP/1.1 429 Slow down\r\nContent-Length: 2\r\n\r\nno"),
    "302": says(b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n"),
    "500": says(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"),
    "503 chunked": says(
        b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b"x", b"")
    ),
    "closes without a word": says(),
    "closes in the head": says(b"HTTP/1.1 200 OK\r\nContent-"),
    "closes in the body": says(HEAD + b"Content-Length: 9\r\n\r\nab"),
    "closes in a chunk": says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
    "closes before the last chunk": says(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(b"a")
    ),
    "resets without a word": says(then=Peer.reset),
    "resets in the body": says(HEAD + b"Content-Length: 9\r\n\r\nab", pause=0.05, then=Peer.reset),
    "garbage": says(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "two lengths": says(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    "says nothing": says(then=stay),
    "does not end": says(HEAD + b"Content-Length: 9\r\n\r\nab", then=stay),
}

SSE = HEAD + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAMS = {
    "whole": says(SSE + chunks(ROLE, TOKEN, TOKEN, DONE, b"")),
    "event by event": says(
        SSE, chunks(ROLE), chunks(TOKEN), chunks(TOKEN), chunks(DONE) + b"0\r\n\r\n", pause=0.03
    ),
    "byte by byte": says(*one_by_one(SSE + chunks(TOKEN, DONE, b"")), pause=0.0005),
    "no DONE": says(SSE + chunks(TOKEN, b"")),
    "closes after DONE": says(SSE + chunks(TOKEN, DONE)[:-2]),
    "closes before DONE": says(SSE + chunks(TOKEN)),
    "resets after a token": says(SSE + chunks(TOKEN), pause=0.05, then=Peer.reset),
    "429": says(b"HTTP/1.1 429 No\r\nContent-Length: 2\r\n\r\nno"),
    "until close": says(b"HTTP/1.0 200 OK\r\n\r\n" + TOKEN, TOKEN, DONE, pause=0.02),
    "comments": says(SSE + chunks(b": ping\n\n", TOKEN, b": ping\n\n", DONE, b"")),
    "stalls": says(SSE + chunks(TOKEN), then=stay),
}

CASES = [pytest.param(script, False, id=name) for name, script in SERVERS.items()] + [
    pytest.param(script, True, id=f"stream: {name}") for name, script in STREAMS.items()
]
STALLING = (SERVERS["says nothing"], SERVERS["does not end"], STREAMS["stalls"])


@pytest.mark.parametrize(("script", "stream"), CASES)
async def test_both_clients_report_the_same(script: Script, stream: bool) -> None:
    timeout_s = SHORT_S if script in STALLING else LONG_S
    with serve(script) as port:
        theirs = await with_aiohttp(port, stream, timeout_s)
        ours = await asyncio.to_thread(with_engine, port, stream, timeout_s)
    assert ours.same_as(theirs), f"\n{ours}\n{theirs}"


async def test_refused() -> None:
    port = closed_port()
    theirs = await with_aiohttp(port, False, LONG_S)
    ours = await asyncio.to_thread(with_engine, port, False, LONG_S)
    assert ours.same_as(theirs), f"\n{ours}\n{theirs}"
    assert ours.failure == "connect"
