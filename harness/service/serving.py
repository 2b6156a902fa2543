"""A service on a socket: from listening to an end that leaves nothing behind."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from harness.service.app import make_app
from harness.service.service import Service

CLOSE_S = 0.5  # for connections to end once their requests have


class _AccessLog(AbstractAccessLogger):
    """Method, path, status and seconds: nothing that a header, a query or a body may hold."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        self.logger.info("%s %s %d %.3f s", request.method, request.path, response.status, time)


class _Terse(logging.Filter):
    """What aiohttp says of bytes that are no HTTP, in one line: without them and without where."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[0] is not None:
            record.msg = f"{record.msg}: {record.exc_info[0].__name__}"
            record.exc_info = None
        return True


_HTTP_LOG = logging.getLogger("harness.http")
_HTTP_LOG.addFilter(_Terse())


@asynccontextmanager
async def serving(
    service: Service,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    log_requests: bool = False,
) -> AsyncIterator[str]:
    """The service for as long as the block lasts; gives its URL (port 0: any free one).

    Leaving stops accepting at once, lets what is in flight end within the grace time, cancels the
    rest, and closes everything. A handler whose client hangs up is cancelled, and its call of the
    provider with it. Raises OSError when the address is taken.
    """
    log = logging.getLogger("harness.access") if log_requests else None
    runner = web.AppRunner(
        make_app(service),
        access_log=log,
        access_log_class=_AccessLog,
        handler_cancellation=True,
        logger=_HTTP_LOG,
        shutdown_timeout=CLOSE_S,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        await site.start()
        service.listening()
        service.start()
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{runner.addresses[0][1]}"
        await site.stop()
        await service.drain()
    finally:
        await runner.cleanup()
        await service.close()
