"""JSON answers: as aiohttp makes them, and the short way for those that come most."""

import time
from collections.abc import Mapping
from email.utils import formatdate
from functools import lru_cache

import orjson
from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import SERVER_SOFTWARE

JSON = "application/json"


def answer_json(
    data: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """``data`` as a JSON response."""
    return web.Response(body=orjson.dumps(data), status=status, headers=headers, content_type=JSON)


def quick_json(request: web.Request, data: object) -> web.StreamResponse:
    """As ``answer_json`` with status 200, but where nothing about it is out of the ordinary its
    head is ready made: aiohttp works one out from a table of headers, which is a good part of what
    a short request costs.
    """
    return Quick(orjson.dumps(data)) if _ordinary(request) else answer_json(data)


class Quick(web.StreamResponse):
    """JSON with status 200 for a client of HTTP/1.1, sent in one piece with its head."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._json = body

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Sends the whole answer. Raises ConnectionResetError when the client has gone."""
        if self.prepared:
            return None
        body = self._json
        stays = self.keep_alive is not False and request.keep_alive
        end = b"\r\n\r\n" if stays else b"\r\nConnection: close\r\n\r\n"
        writer = request.writer
        # Before any headers of its own, aiohttp's writer sends what it is given as it is.
        await writer.write_eof(b"%b%d%b%b" % (_head(int(time.time())), len(body), end, body))
        # What a response of aiohttp sets when it was sent, and is asked for afterwards.
        self._keep_alive = stays
        self._eof_sent = True
        self._body_length = writer.output_size
        return writer


def _ordinary(request: web.Request) -> bool:
    """Whether it is HTTP/1.1, wants a body, and goes to nobody who may change the response."""
    if request.version != HttpVersion11 or request.method == hdrs.METH_HEAD:
        return False
    apps = request.match_info.apps
    return not any(app.middlewares or app.on_response_prepare for app in apps)


@lru_cache(maxsize=1)
def _head(second: int) -> bytes:
    """The head up to the length of the body, for one second since the epoch."""
    date = formatdate(second, usegmt=True)
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nDate: {date}\r\nServer: {SERVER_SOFTWARE}\r\n"
        "Content-Length: "
    ).encode()
