"""Servers on the test's own loop: the simulator, any aiohttp application, and raw sockets."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from harness.simulator.engine import Engine
from harness.simulator.server import make_app


@asynccontextmanager
async def serve_app(app: web.Application) -> AsyncIterator[str]:
    """``app`` on a free port; gives its URL without a path."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serve_simulator(engine: Engine, key: str | None = None) -> AsyncIterator[str]:
    """The simulator; gives its base URL, ``…/v1``."""
    async with serve_app(make_app(engine, key)) as url:
        yield f"{url}/v1"


class Connection:
    """One client's connection to a raw server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self) -> tuple[str, bytes, bytes] | None:
        """Request line, head and body of the next request; None when the client has gone."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.split(b"\r\n"):
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            body = await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return head.partition(b"\r\n")[0].decode(), head, body

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(
        self, status: str = "200 OK", body: bytes = b"", *headers: str, length: int | None = None
    ) -> None:
        """A whole answer on a connection that is closed after it."""
        size = len(body) if length is None else length
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {size}", "Connection: close", *headers]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def reset(self) -> None:
        """Break the connection without a goodbye."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def serve_raw(handle: Callable[[Connection], Awaitable[None]]) -> AsyncIterator[str]:
    """A TCP server that hands every connection to ``handle`` and closes it afterwards."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.CancelledError):
                await handle(Connection(reader, writer))
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


@asynccontextmanager
async def serve_calls(handle: Callable[[Connection], Awaitable[None]]) -> AsyncIterator[str]:
    """A raw server that lists one model, and whose ``POST``s, read whole, go to ``handle``.

    Gives a base URL, ``…/v1``.
    """

    async def serve(connection: Connection) -> None:
        request = await connection.request()
        if request is None:
            return
        if request[0].startswith("GET /v1/models"):
            await connection.answer(body=b'{"data": [{"id": "default"}]}')
        elif request[0].startswith("GET"):
            await connection.answer("404 Not Found", b"not here")
        else:
            await handle(connection)

    async with serve_raw(serve) as url:
        yield f"{url}/v1"
