"""Servers for tests that answer with scripted bytes, each connection on a thread of its own."""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from harness.load.columns import Failure
from harness.load.engine import ClosedLoop, LoadResult, OpenLoop, run_load
from harness.load.glance import Glance
from harness.load.stamps import ROOM
from harness.load.target import Deck, Request, Stream, Target

TOKEN = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}]}\n\n'
DONE = b"data: [DONE]\n\n"
END = b"0\r\n\r\n"  # of a chunked answer


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def chunked(*events: bytes) -> bytes:
    """Events, each in an HTTP chunk of its own."""
    return b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)


def streamed(*events: bytes) -> bytes:
    """A whole streamed answer."""
    return STREAM_HEAD + chunked(*events) + END


class Peer:
    """One client's connection; ``number`` counts them from 0."""

    def __init__(self, sock: socket.socket, number: int) -> None:
        self.sock = sock
        self.number = number

    def request(self) -> bytes:
        """The next request with its body; empty when the client has gone."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += (more := self.sock.recv(65536))
            if not more:
                return b""
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line[15:])
        while len(body) < length:
            body += self.sock.recv(65536)
        return head + b"\r\n\r\n" + body

    def send(self, *parts: bytes) -> None:
        """Send each part as a segment of its own."""
        for part in parts:
            self.sock.sendall(part)

    def answer(self, body: bytes = b"{}", status: str = "200 OK", *headers: str) -> None:
        """A whole answer on a connection that stays open."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def reset(self) -> None:
        """Break the connection without a goodbye."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Script = Callable[[Peer], None]


def answer_all(peer: Peer) -> None:
    """Answer every request at once."""
    while peer.request():
        peer.answer()


@contextmanager
def serve(
    script: Script, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Hand every connection to ``script``, and close it afterwards; gives the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family, backlog=512)
    peers: list[socket.socket] = []

    def talk(sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            if tls is not None:
                sock = tls.wrap_socket(sock, server_side=True)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peers.append(sock)
            script(Peer(sock, number))
        sock.close()

    def accept() -> None:
        number = 0
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                threads.append(threading.Thread(target=talk, args=(sock, number), daemon=True))
                threads[-1].start()
                number += 1

    threads = [threading.Thread(target=accept, daemon=True)]
    threads[0].start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        threads[0].join(5)
        for sock in peers:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in threads[1:]:
            thread.join(5)


class Late:
    """A ``progress`` that keeps the loop from reading until the server has ``released`` it.

    It does so from the first look at a request in flight; ``wanted=False``: from when the server
    asks for it.
    """

    def __init__(self, wanted: bool = True) -> None:
        self.released, self._wanted, self._holding = (threading.Event() for _ in range(3))
        if wanted:
            self._wanted.set()

    def __call__(self, look: Callable[[], Glance]) -> None:
        if look().in_flight and self._wanted.is_set():
            self._holding.set()
            self.released.wait(10)

    def hold(self) -> None:
        """Return when the loop reads no more."""
        self._wanted.set()
        assert self._holding.wait(10)

    def answering(self, peer: Peer) -> None:
        """Answer a request at once, and let the client read it much later."""
        peer.request()
        self.hold()
        peer.answer()
        time.sleep(0.4)
        self.released.set()
        peer.request()  # an end that comes while the answer waits would be stamped in its place


def until_stamped(ours: socket.socket, theirs: socket.socket) -> None:
    """The kernel begins to stamp some time after the first socket on the machine asks for it."""
    for _ in range(500):
        theirs.sendall(b"?")
        if ours.recvmsg(100, ROOM)[1]:
            return
        time.sleep(0.01)
    raise AssertionError("nothing is stamped")


def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def deck(target: Target, body: bytes = b"{}") -> Deck:
    """One small request over and over."""
    return Deck(target, [Request("POST", "/x", (("Content-Type", "application/json"),), body)])


def drive(
    port: int,
    *,
    requests: int = 1,
    users: int = 1,
    offsets: Sequence[float] | None = None,
    stream: Stream | None = None,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    body: bytes = b"{}",
    **options: object,
) -> LoadResult:
    """A short run against ``port``: closed, or open at ``offsets``."""
    target = Target(host, port, tls, stream)
    loop = (
        ClosedLoop(users, requests=requests)
        if offsets is None
        else OpenLoop(np.array(offsets, np.float64))
    )
    return run_load(target, deck(target, body), loop, **options)  # type: ignore[arg-type]


def failures(result: LoadResult) -> list[str]:
    """How each request ended, in small letters."""
    return [Failure(code).name.lower() for code in result.columns.failure]
