"""``/ws``: several edits on one WebSocket, their tokens, and cancelling them."""

import asyncio
from contextlib import suppress
from typing import Any

import orjson
from aiohttp import WSMsgType, web
from pydantic import TypeAdapter

from harness.service.problems import ProblemError, reported
from harness.service.reading import read_edit, read_message
from harness.service.service import Service
from harness.service.wire import BODY_BYTES, SocketEdit, SocketMessage, edit_answer

MOST_AT_ONCE = 16
PING_S = 30.0
CLOSE_S = 2.0  # for the client to answer a goodbye
_MESSAGE: TypeAdapter[Any] = TypeAdapter(SocketMessage)


class SocketRoutes:
    """``/ws``. A message that cannot be read is answered by an ``error`` without an id."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        # The heartbeat finds clients that have vanished without a word.
        made = web.WebSocketResponse(
            heartbeat=PING_S, timeout=CLOSE_S, max_msg_size=BODY_BYTES, compress=False
        )
        if not made.can_prepare(request):
            raise ProblemError("upgrade_required", "/ws speaks WebSocket only")
        if self._service.draining:
            self._service.check_open()
        await made.prepare(request)
        connection = _Connection(self._service, made)
        self._service.sockets.add(connection)
        try:
            await connection.serve()
        finally:
            self._service.sockets.discard(connection)
            await connection.cancel_all()
        return made


class _Connection:
    """One client and its edits in flight."""

    def __init__(self, service: Service, socket: web.WebSocketResponse) -> None:
        self._service = service
        self._socket = socket
        self._edits: dict[str, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Take messages until the connection ends."""
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                await self._take(message.data)
            elif message.type is WSMsgType.BINARY:
                await self._refuse(ProblemError("invalid_request", "send text, not bytes"))

    async def finish(self) -> None:
        """Let the edits in flight end, then say goodbye."""
        if self._edits:
            await asyncio.wait(set(self._edits.values()))
        await self._socket.close(code=1001, message=b"the service is stopping")

    async def cancel_all(self) -> None:
        """Give up what is in flight."""
        tasks = list(self._edits.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _take(self, text: str) -> None:
        try:
            message = read_message(_MESSAGE, text)
        except ProblemError as error:
            await self._refuse(error)
            return
        if isinstance(message, SocketEdit):
            try:
                self._begin(message)
            except ProblemError as error:
                await self._refuse(error, message.id)
        elif (task := self._edits.get(message.id)) is not None:
            task.cancel()
        else:
            await self._refuse(ProblemError("not_found", "no edit of this id"), message.id)

    def _begin(self, message: SocketEdit) -> None:
        self._service.check_open()
        if message.id in self._edits:
            raise ProblemError("invalid_request", "id: an edit of this id is in flight")
        if len(self._edits) >= MOST_AT_ONCE:
            why = f"at most {MOST_AT_ONCE} edits at once on one connection"
            raise ProblemError("overloaded", why)
        task = asyncio.create_task(self._edit(message))
        self._edits[message.id] = task
        task.add_done_callback(lambda _: self._edits.pop(message.id))

    async def _edit(self, message: SocketEdit) -> None:
        """One edit, to its result or error; a client that has gone gets neither."""

        async def show(text: str) -> None:
            await self._send({"type": "token", "id": message.id, "text": text})

        try:
            edit = read_edit(message)
            edited = await self._service.editor.stream(edit, show)
            answer = edit_answer(edit.id, edited.story, edited.summary)
            await self._send({"type": "result", "id": message.id, **answer})
        except ConnectionResetError:
            return
        except asyncio.CancelledError:
            await self._refuse(ProblemError("cancelled", "the edit was cancelled"), message.id)
        except Exception as error:
            await self._refuse(reported("/ws", error), message.id)

    async def _refuse(self, error: ProblemError, id_: str | None = None) -> None:
        with suppress(ConnectionResetError):
            body = {"type": "error", "id": id_, "error": error.body()}
            await self._send(body)

    async def _send(self, data: dict[str, Any]) -> None:
        await self._socket.send_str(orjson.dumps(data).decode())
