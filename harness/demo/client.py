"""Calls to the service over HTTP: the only module of the demo that knows its routes."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp

from harness.providers.sse import SSEError, SSEReader

TIMEOUT_S = 300.0
Body = Mapping[str, str]


class Answer(NamedTuple):
    """An edited story as JSON text, and one sentence on what changed."""

    story: str
    summary: str


class Token(NamedTuple):
    """A piece of the model's text."""

    text: str


class JobState(NamedTuple):
    """What has become of a background job: queued, running, succeeded, failed, cancelled."""

    state: str


class Problem(Exception):  # noqa: N818 - the service's own word
    """An edit that got no story. ``type`` is the service's, or ``unreachable`` or ``protocol``."""

    def __init__(self, type_: str, detail: str) -> None:
        super().__init__(f"{type_}: {detail}")
        self.type = type_
        self.detail = detail


class Client:
    """The service at ``url``; an asynchronous context manager. Every call may raise Problem."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            self._url, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def edit(self, body: Body) -> Answer:
        """One edit, awaited by the service."""
        return _answer(await self._json("POST", "/edit-scenario-async", body))

    async def edit_blocking(self, body: Body) -> Answer:
        """One edit by blocking calls, on one of the service's threads."""
        return _answer(await self._json("POST", "/edit-scenario-sync", body))

    async def edit_many(self, bodies: Sequence[Body], parallel: int) -> list[Answer | Problem]:
        """Several edits in one request, ``parallel`` at once, in the order in which they went."""
        asked = {"scenarios": list(bodies), "parallel": parallel}
        said = await self._json("POST", "/edit-scenarios", asked)
        with _expected():
            items = [_item(item) for item in said["results"]]
            if len(items) == len(bodies):
                return items
        raise _unexpected()

    async def stream(self, body: Body) -> AsyncGenerator[Token | Answer, None]:
        """One edit: the model's text as it comes, last the answer."""
        async with self._request("POST", "/edit-scenario-stream", body) as response:
            async for event in _events(response):
                if isinstance(event, JobState):
                    raise _unexpected()
                yield event
                if isinstance(event, Answer):
                    return
        raise Problem("protocol", "the stream broke off")

    async def submit(self, body: Body) -> str:
        """Begin a background job; gives its id."""
        said = await self._json("POST", "/jobs", body)
        with _expected():
            return str(said["id"])
        raise _unexpected()

    async def follow(self, job: str) -> AsyncGenerator[Token | JobState | Answer, None]:
        """A job's past and coming events; ends with its answer."""
        async with self._request("GET", f"/jobs/{job}/events") as response:
            async for event in _events(response):
                yield event
                if isinstance(event, Answer):
                    return
        raise Problem("protocol", "the job's events broke off")

    async def cancel(self, job: str) -> str:
        """Cancel a job unless it has ended; gives its state afterwards."""
        said = await self._json("DELETE", f"/jobs/{job}")
        with _expected():
            return str(said["state"])
        raise _unexpected()

    async def _json(self, method: str, path: str, body: object = None) -> Any:
        async with self._request(method, path, body) as response:
            with _expected():
                return await response.json()
            raise _unexpected()

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, body: object = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response that is not an error; what breaks while it is read is a Problem too."""
        assert self._session is not None, "enter the client first"
        try:
            async with self._session.request(method, path, json=body) as response:
                if response.status >= 400:
                    raise await _refusal(response)
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = " ".join((str(error) or type(error).__name__).split())[:200]
            raise Problem("unreachable", why) from error


async def _refusal(response: aiohttp.ClientResponse) -> Problem:
    with _expected():
        return _problem(await response.json())
    return Problem("protocol", f"HTTP {response.status}")


async def _events(
    response: aiohttp.ClientResponse,
) -> AsyncGenerator[Token | JobState | Answer, None]:
    """The server-sent events of a response; each kind is known by its field."""
    reader = SSEReader()
    try:
        async for chunk in response.content.iter_any():
            for data in reader.feed(chunk):
                yield _event(data)
    except SSEError as error:
        raise Problem("protocol", str(error)) from error


def _event(data: str) -> Token | JobState | Answer:
    """Raises Problem for the event ``error``, too."""
    with _expected():
        said = json.loads(data)
        if "text" in said:
            return Token(str(said["text"]))
        if "state" in said:
            return JobState(str(said["state"]))
        if "story" in said:
            return _answer(said)
        raise _problem(said)
    raise _unexpected()


def _item(said: Any) -> Answer | Problem:
    return _answer(said["result"]) if said["success"] else _problem(said["error"])


def _answer(said: Any) -> Answer:
    with _expected():
        return Answer(str(said["story"]), str(said["summary"]))
    raise _unexpected()


def _problem(said: Any) -> Problem:
    return Problem(str(said["type"]), str(said["detail"]))


def _expected() -> suppress:
    """Around reading what the service said, which may be anything."""
    return suppress(KeyError, TypeError, ValueError, aiohttp.ContentTypeError)


def _unexpected() -> Problem:
    return Problem("protocol", "the service answered what its contract does not know")
