"""Server-sent events: an edit's tokens as they come, and a job's events."""

from contextlib import aclosing
from typing import Any

import orjson
from aiohttp import ClientConnectionResetError, web

from harness.service.intake import draw, taken
from harness.service.job_routes import find, outcome
from harness.service.problems import reported
from harness.service.reading import read_edit
from harness.service.service import Service
from harness.service.wire import EditRequest, edit_answer


class Events:
    """One answer of server-sent events, which begins with the first of them.

    Sending waits while the reader is slower than the writer. Raises ConnectionResetError when the
    reader has gone.
    """

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._response: web.StreamResponse | None = None

    @property
    def begun(self) -> bool:
        return self._response is not None

    async def send(self, kind: str, data: Any) -> None:
        """One event of type ``kind`` with ``data`` as JSON."""
        if self._response is None:
            self._response = await self._begin()
        await self._response.write(b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(data)))

    async def end(self) -> web.StreamResponse:
        """The whole answer, ended."""
        if self._response is None:
            self._response = await self._begin()
        await self._response.write_eof()
        return self._response

    async def _begin(self) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",  # or nginx would hold the tokens back
            }
        )
        await response.prepare(self._request)
        return response


class StreamRoutes:
    """``/edit-scenario-stream`` and ``/jobs/{id}/events``."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def edit_stream(self, request: web.Request) -> web.StreamResponse:
        """A failure before the first token is an answer with its own status; after it, an event."""
        self._service.check_open()
        edit = read_edit(await taken(request, EditRequest))
        events = Events(request)

        async def show(text: str) -> None:
            await events.send("token", {"text": text})

        try:
            edited = await self._service.editor.stream(edit, show, draw=draw(request))
        except ClientConnectionResetError:
            raise
        except Exception as error:
            if not events.begun:
                raise
            found = reported("/edit-scenario-stream", error)
            await events.send("error", found.body())
        else:
            await events.send("result", edit_answer(edit.id, edited.story, edited.summary))
        return await events.end()

    async def job_events(self, request: web.Request) -> web.StreamResponse:
        job = find(self._service, request)
        events = Events(request)
        async with aclosing(job.events()) as happened:
            async for event in happened:
                if event.state is not None:
                    await events.send("state", {"state": event.state})
                else:
                    await events.send("token", event.data)
        result, error = outcome(job)
        if result is not None:
            await events.send("result", result)
        if error is not None:
            await events.send("error", error)
        return await events.end()
