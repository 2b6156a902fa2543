"""TLS over a socket that does not block, with the kernel's stamps of what comes.

Python's own wrapped sockets hide the socket's ``recvmsg`` and so the stamps; here TLS reads and
writes memory, and the bytes are passed on by hand.
"""

import contextlib
import socket
import ssl
from typing import Any

Received = tuple[bytes, list[tuple[int, int, bytes]], int, Any]


class Tls:
    """One connection's TLS. ``held``: encrypted bytes that the socket has not taken yet.
    ``ended``: the server has said goodbye; the socket itself may stay open.
    """

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self._socket = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._shaken = False
        self.held = b""
        self.ended = False

    def handshake(self, size: int) -> bool:
        """Go on with the handshake; True when it is over. Raises OSError when it fails."""
        if not self._shaken:
            with contextlib.suppress(BlockingIOError):
                self._take(self._socket.recv(size))
            try:
                self._tls.do_handshake()
                self._shaken = True
            except ssl.SSLWantReadError:
                pass
        self._flush()
        return self._shaken and not self.held

    def receive(self, size: int, room: int) -> Received:
        """As ``socket.recvmsg``: all that can be read by now, with the stamp of the last byte."""
        data, stamps, flags, address = self._socket.recvmsg(size, room)
        self._take(data)
        plain = b""
        try:
            while piece := self._tls.read(size):
                plain += piece
            self.ended = True
        except ssl.SSLWantReadError:
            if not plain:
                raise BlockingIOError from None
        except ssl.SSLEOFError:
            pass  # no goodbye: the framing of HTTP tells whether something is missing
        if self._outgoing.pending:
            self._flush()
        return plain, stamps, flags, address

    def send(self, data: bytes | memoryview) -> int:
        """As ``socket.send``, but all of ``data`` is taken, unless bytes are still held."""
        self._flush()
        if self.held:
            raise BlockingIOError
        if not data:
            return 0
        count = self._tls.write(data)
        self._flush()
        return count

    def _take(self, data: bytes) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        self.held += self._outgoing.read()
        if self.held:
            with contextlib.suppress(BlockingIOError):
                self.held = self.held[self._socket.send(self.held) :]
