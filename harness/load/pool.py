"""The connections to one target: opened, watched by the poll, kept while idle, closed."""

import select
import socket

from harness.errors import InputError
from harness.load.columns import Failure
from harness.load.connection import Address, Connection
from harness.load.ring import make_ring
from harness.load.spotting import Spotter
from harness.load.target import Target

EVENTS = 1024  # that one poll gives at most
COARSE_S = 0.002


class Pool:
    """``idle`` connections are taken from the end, so that as few as possible stay in use.

    With a ``ring`` it receives from the connections that are ready, under their keys, and the poll
    only tells that it has something.
    """

    def __init__(self, target: Target, spotter: Spotter) -> None:
        """Raises InputError when the target's host has no address, or this is not Linux."""
        if not hasattr(select, "epoll"):
            raise InputError("the load engine needs Linux; elsewhere drive the server with Locust")
        self._target = target
        self._addresses = _addresses(target)
        self._spotter = spotter
        self._poll = select.epoll()
        self.ring = make_ring() if target.stream and target.tls is None else None
        if self.ring is not None:
            self._poll.register(self.ring.fd, select.EPOLLIN | select.EPOLLET)
        self.by_fd: dict[int, Connection] = {}
        self.idle: list[Connection] = []
        self.opened = 0

    def ready(self, wait: float) -> tuple[list[tuple[int, int]], bool]:
        """File numbers of sockets that are ready, after waiting ``wait`` seconds at most for the
        first, and whether it waited: then none was ready before.

        May return a little early with nothing.
        """
        ready = self._poll.poll(0, EVENTS)
        if ready or wait <= 0:
            return ready, False
        if wait > COARSE_S:
            # The poll rounds up to whole milliseconds: the last one is left to a finer wait.
            return self._poll.poll(wait - 0.001, EVENTS), True
        if select.select((self._poll,), (), (), wait)[0]:
            ready = self._poll.poll(0, EVENTS)
        return ready, True

    def open(self, connection: Connection) -> None:
        """Begin to open a connection. Raises OSError when the host takes it at no address."""
        connection.untried, connection.unopened = list(self._addresses), Failure.NONE
        self._try_next(connection)

    def advance(self, connection: Connection) -> bool:
        """Go on opening; True when ready. Raises OSError as ``open`` does."""
        wanted = connection.wants
        try:
            ready = connection.advance()
        except OSError as error:
            if not connection.untried:
                raise
            connection.opening_failed(error)
            self.close(connection)
            self._try_next(connection)
            return False
        if ready and self._target.stream:
            self._spotter.seat(connection)
        if ready and self.ring is not None:
            self._poll.unregister(connection.fd)
            self.receive(connection)
        elif connection.wants != wanted:
            self._poll.modify(connection.fd, connection.wants)
        if ready:  # the next ones try this address first
            self._addresses.remove(connection.address)
            self._addresses.insert(0, connection.address)
        return ready

    def send(self, connection: Connection, data: bytes | memoryview) -> None:
        """Send a request or what is left of it; what does not go now goes when there is room."""
        try:
            count = connection.send(data)
        except BlockingIOError:
            count = 0
        except OSError:
            return  # an answer may have come before the break: reading tells
        held = connection.tls is not None and connection.tls.held
        waited = connection.unsent is not None
        if count < len(data) or held or waited:
            connection.keep_unsent(data, count)
            waits = connection.unsent is not None
            if self.ring is None:
                self._poll.modify(connection.fd, connection.wants)
            elif waits and not waited:
                self._poll.register(connection.fd, select.EPOLLOUT)
            elif waited and not waits:
                self._poll.unregister(connection.fd)

    def receive(self, connection: Connection) -> None:
        """Let the ring receive from a connection."""
        assert self.ring is not None
        self.ring.watch(connection.fd, connection.key)

    def close(self, connection: Connection) -> None:
        """Close a connection, whatever its state."""
        if self.ring is not None and connection.unsent is not None:
            self._poll.unregister(connection.fd)  # which the ring's hold of it would keep there
        self.by_fd.pop(connection.fd, None)
        self._spotter.leave(connection)
        if connection.index < 0 and connection in self.idle:
            self.idle.remove(connection)
        connection.close(shut=self.ring is not None)  # the poll forgets what is closed

    def close_all(self) -> None:
        """Close every connection, the poll and the ring."""
        for connection in self.by_fd.values():
            connection.close(shut=self.ring is not None)
        self._poll.close()
        if self.ring is not None:
            self.ring.close()

    def _try_next(self, connection: Connection) -> None:
        while True:
            self.opened += 1
            try:
                connection.open(connection.untried.pop(0), self.opened - 1)
            except OSError as error:
                connection.close()
                if not connection.untried:
                    raise
                connection.opening_failed(error)
                continue
            self.by_fd[connection.fd] = connection
            self._poll.register(connection.fd, connection.wants)
            return


def _addresses(target: Target) -> list[Address]:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InputError(f"{target.host}: has no address: {error.strerror}") from error
    return [address for *_, address in found]
