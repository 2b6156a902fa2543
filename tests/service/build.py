"""A service on the test's own loop, and a model that does what the test says."""

import asyncio
import io
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

from harness.clock import MonotonicClock
from harness.errors import InputError
from harness.prompt import Prompt
from harness.providers import Completion, Provider, ProviderError, Trace
from harness.service.service import Service
from harness.service.serving import serving
from harness.service.settings import ServiceSettings
from tests.simulated import short

SCENARIO = next(s for s in short() if s.language == "ko")
BODY = {
    "chapterId": SCENARIO.id,
    "story": SCENARIO.story.to_json(),
    "editRequest": SCENARIO.request,
}
RIGHT = SCENARIO.reference.to_json()
SUMMARY = "하나를 고쳤어요."
EDITS = ("/edit-scenario", "/edit-scenario-async", "/edit-scenario-sync")
ONE_EDIT = (*EDITS, "/edit-scenario-stream", "/jobs")
Reply = Callable[[Prompt], str]


def rightly(prompt: Prompt) -> str:
    return RIGHT if prompt.call == "edit" else SUMMARY


def failing(error: Exception) -> Reply:
    def reply(prompt: Prompt) -> str:
        raise error

    return reply


class Model:
    """Answers with ``reply``; while ``held``, it lets every call wait.

    ``calls`` counts them, ``cancelled`` those that were given up; ``piece`` is how many characters
    a stream brings at a time, ``given`` how many it has brought.
    """

    def __init__(self, reply: Reply = rightly, *, held: bool = False, piece: int = 40) -> None:
        self.reply = reply
        self.piece = piece
        self.calls = 0
        self.cancelled = 0
        self.given = 0
        self.deadlines: list[float | None] = []
        self.draws: list[str] = []
        self.unreachable = 0
        self.refusal: Exception = InputError("nobody there")
        self.opened = self.closed = 0
        self._free = threading.Event()
        self._release = asyncio.Event()
        if not held:
            self.release()

    def release(self) -> None:
        """Let all calls go on, now and later."""
        self._free.set()
        self._release.set()

    async def open(self) -> None:
        self.opened += 1
        if self.opened <= self.unreachable:
            raise self.refusal

    async def close(self) -> None:
        self.closed += 1

    def describe(self) -> dict[str, Any]:
        return {"kind": "test", "simulated": True, "model": "test"}

    def complete_blocking(self, prompt: Prompt, trace: Trace) -> Completion:
        self._note(prompt)
        left = prompt.left(0.0)
        if not self._free.wait(5.0 if left is None else min(left, 5.0)):
            raise ProviderError("timeout", "held too long")
        return Completion(self.reply(prompt))

    async def complete(self, prompt: Prompt, trace: Trace) -> Completion:
        self._note(prompt)
        await self._wait()
        return Completion(self.reply(prompt))

    async def stream(self, prompt: Prompt, trace: Trace) -> AsyncGenerator[str, None]:
        self._note(prompt)
        text = self.reply(prompt)
        whole = False
        try:
            for i in range(0, len(text), self.piece):
                if i:
                    await self._release.wait()
                self.given += len(text[i : i + self.piece])
                yield text[i : i + self.piece]
            whole = True
        finally:
            self.cancelled += not whole

    def _note(self, prompt: Prompt) -> None:
        self.calls += 1
        self.deadlines.append(prompt.deadline)
        self.draws.append(prompt.draw)

    async def _wait(self) -> None:
        try:
            await self._release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


@asynccontextmanager
async def served(
    provider: Provider | None = None,
    *,
    token: str | None = None,
    headers: dict[str, str] | None = None,
    wait: bool = True,
    **settings: Any,
) -> AsyncIterator[tuple[aiohttp.ClientSession, Service]]:
    """A client's session on a service around ``provider``, ready unless ``wait`` is False."""
    made = ServiceSettings(**{"grace": 0.5, "deadline": 20.0, **settings})
    service = Service(provider or Model(), MonotonicClock(), made, token)
    async with serving(service) as url, aiohttp.ClientSession(url, headers=headers) as session:
        if wait:
            await service.wait_ready()
        yield session, service


async def asked(
    session: aiohttp.ClientSession, path: str, body: object = None, **more: Any
) -> tuple[int, Any]:
    """Status and JSON of a POST with ``body`` as JSON (bytes go as they are)."""
    data = io.BytesIO(
        body if isinstance(body, bytes) else orjson.dumps(BODY if body is None else body)
    )
    headers = {"Content-Type": "application/json", **more.pop("headers", {})}
    async with session.post(path, data=data, headers=headers, **more) as response:
        return response.status, await response.json()


async def got(session: aiohttp.ClientSession, path: str, **more: Any) -> tuple[int, Any]:
    async with session.get(path, **more) as response:
        return response.status, await response.json()


def events(text: str) -> list[tuple[str, Any]]:
    """The type and the data of every event of a stream."""
    found = []
    for block in text.split("\n\n"):
        if block:
            kind, _, data = block.partition("\n")
            found.append((kind.removeprefix("event: "), orjson.loads(data.removeprefix("data: "))))
    return found


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop run until ``condition`` holds; the test's own time-out is the limit."""
    while not condition():  # noqa: ASYNC110 - what it waits for is far from telling
        await asyncio.sleep(0.001)


def address(session: aiohttp.ClientSession) -> tuple[str, int]:
    """Host and port of the service, for those who speak to it without a client."""
    base = session._base_url
    assert base is not None
    assert base.host is not None
    assert base.port is not None
    return base.host, base.port


async def pipelined(session: aiohttp.ClientSession, requests: list[bytes]) -> list[bytes]:
    """The bodies of the answers to whole requests, sent one upon the other on one connection."""
    reader, writer = await asyncio.open_connection(*address(session))

    async def send() -> None:
        for request in requests:
            writer.write(request)
            await writer.drain()

    sending = asyncio.create_task(send())
    answers = []
    for _ in requests:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        answers.append(await reader.readexactly(length))
    await sending
    writer.close()
    await writer.wait_closed()
    return answers
