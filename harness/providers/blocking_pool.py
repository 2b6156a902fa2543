"""urllib3 with one deadline for the whole answer: what the blocking calls go through."""

import http.client
import io
import socket
import time
from typing import Any

import urllib3

from harness.providers.openai_wire import Body


def blocking_pool() -> urllib3.PoolManager:
    """Connections to be kept alive. Pools are per host, and 1,024 connections are more threads
    than anyone blocks on; a call is made once and never again by itself.
    """
    pool = urllib3.PoolManager(maxsize=1024, retries=False)
    pool.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
    return pool


class _BoundedReader(io.RawIOBase):
    """The bytes of a socket until its time-out has passed in all, not anew with each of them.

    Otherwise a server that trickles outlasts any time-out of a blocking call.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        self._end = time.monotonic() + (sock.gettimeout() or float("inf"))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(None if left == float("inf") else left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), sock))


class _Connection(urllib3.connection.HTTPConnection):
    response_class = _BoundedResponse


class _TLSConnection(urllib3.connection.HTTPSConnection):
    response_class = _BoundedResponse


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


def read_blocking(response: urllib3.BaseHTTPResponse) -> bytes:
    """The body. Raises ProviderError when it is too large."""
    body = Body()
    for part in response.stream(65536):
        body.add(part)
    return bytes(body)
