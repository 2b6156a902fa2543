"""What was read of the sockets: each piece gets its moment, is parsed, and is counted.

Most of a stream's chunks are laid aside where they are read, and taken together here: what is the
same for all of them is then done once, and code and data stay in the caches.
"""

from collections.abc import Callable

from harness.load.client_health import RunQueue
from harness.load.columns import NAN, Failure
from harness.load.connection import Connection
from harness.load.reply import BadReply
from harness.load.stamps import STAMP_SIZE, KernelClock, moments_of
from harness.load.tls import Received

HELD = 64  # chunks that are laid aside at most
FEW = 8  # of which fewer are taken one by one
LATE_S = 0.002  # chunks found together after as long may have come apart

END: Received = (b"", [], 0, None)
"""The server has ended the connection in good order."""
BROKEN: Received = (b"", [], -1, None)
"""The connection is broken."""


class Intake:
    """Takes reads of connections. ``finish`` is called with a connection whose answer is over, how,
    and when; ``broken`` with one that broke, how, and when; ``close`` with one to be closed.

    ``unstamped``, ``merged`` and ``first_merged`` are those of ``ClientHealth``. ``looked``: until
    then no socket had what was not read; to be kept up to date.
    """

    def __init__(
        self,
        finish: Callable[[Connection, Failure, float], None],
        broken: Callable[[Connection, Failure, float], None],
        close: Callable[[Connection], None],
    ) -> None:
        self._finish, self._broken, self._close = finish, broken, close
        self.unstamped = self.merged = self.first_merged = 0
        self.looked = 0.0
        self.kernel = KernelClock()
        self.run_queue = RunQueue()

    def begin(self) -> None:
        """The run proper starts: compare the clocks anew."""
        self.kernel = KernelClock()

    def take(self, reads: list[tuple[Connection, Received]], now: float) -> None:
        """Take what was read by ``now``, in this order."""
        moment = self.kernel.moment
        for connection, (data, stamps, broken, _) in reads:
            if connection.held:
                self.settle(connection, now)
            if connection.fd < 0:
                continue  # closed with what came before
            if connection.index < 0:  # what comes after the end
                self._close(connection)
                continue
            if stamps:
                came = moment(stamps[0][2])
                # The two clocks are compared to some microseconds only.
                if came > now:
                    came = now
                elif came < connection.latest:
                    came = connection.latest
            else:
                self.unstamped += bool(data)
                came = now
            connection.latest = came
            if connection.framed:
                events = connection.events
                assert events is not None
                before = events.token_chunks
                if size := events.take_chunks(data, came, connection.pieces):
                    connection.size += size
                    if events.token_chunks > before + 1 and self._late(came):
                        self.merged += events.token_chunks - before - 1
                    connection.look_for_chunks()
                    continue
            if data:
                self._parse(connection, data, came)
            elif broken < 0:
                self._broken(connection, Failure.RESET, now)
            else:
                self._ended(connection, now)

    def doubt(self, connection: Connection) -> None:
        """The latest of the reads that were laid aside may have several chunks."""
        held = connection.held
        if self._late(self.kernel.moment(held[-1][:STAMP_SIZE])):
            connection.doubtful.append(len(held) - 1)

    def settle(self, connection: Connection, now: float) -> None:
        """Take the chunks that were laid aside until ``now``."""
        held, connection.held = connection.held, []
        doubtful, connection.doubtful = connection.doubtful, []
        if len(held) >= FEW and self._settle_together(connection, held, doubtful, now):
            return
        events = connection.events
        assert events is not None
        for place, piece in enumerate(held):
            if connection.index < 0:  # bytes after the end
                self._close(connection)
                return
            came = min(max(self.kernel.moment(piece[:STAMP_SIZE]), connection.latest), now)
            connection.latest = came
            data, before = piece[STAMP_SIZE:], events.token_chunks
            if connection.framed and (size := events.take_chunks(data, came, connection.pieces)):
                connection.size += size
                if place in doubtful:
                    self.merged += events.token_chunks - before - 1
            else:
                self._parse(connection, data, came, place in doubtful)

    def _settle_together(
        self, connection: Connection, held: list[bytes], doubtful: list[int], now: float
    ) -> bool:
        """``settle`` in a few steps; False when it cannot be done so, and nothing was."""
        events = connection.events
        assert events is not None
        merged = 0
        if max(map(len, held)) >= connection.long:
            ending, single = events.ending, list[bytes]()
            for place, piece in enumerate(held):
                stamp = piece[:STAMP_SIZE]
                *chunks, _ = piece[STAMP_SIZE:].split(ending)
                single += [stamp + chunk + ending for chunk in chunks]
                if place in doubtful:
                    merged += len(chunks) - 1
            held = single
        stamps = b"".join([piece[:STAMP_SIZE] for piece in held])
        moments = moments_of(stamps, self.kernel.ahead, connection.latest, now)
        size = events.take_held(held, stamps, moments, connection.pieces)
        if not size:
            return False
        connection.latest = float(moments[-1])
        connection.size += size
        self.merged += merged
        return True

    def _parse(
        self, connection: Connection, data: bytes, came: float, late: bool | None = None
    ) -> None:
        """Take bytes of an answer that came at one moment. ``late``: see ``_late``, which is asked
        when this is None.
        """
        reply, events = connection.reply, connection.events
        if connection.first_byte is NAN:
            connection.first_byte = came
        try:
            pieces = reply.feed(data)
        except BadReply:
            self._finish(connection, Failure.PROTOCOL, came)
            return
        before = 0 if events is None else events.token_chunks
        for piece in pieces:
            connection.size += len(piece)
            if connection.pieces is not None:
                connection.pieces.append(piece)
            if events is not None and reply.head.status < 300:  # type: ignore[union-attr]
                events.feed(piece, came)
        if events is not None:
            # All but what came last has lost its moment, an event without a token among it too.
            lost = events.token_chunks - before - (not events.bare)
            if lost > 0 and (self._late(came) if late is None else late):
                self.merged += lost
                self.first_merged += before == 0
            connection.look_for_chunks()
        if reply.complete:
            self._finish(connection, connection.verdict(), came)

    def _late(self, came: float) -> bool:
        """Whether what was read together, the last of it at ``came``, may have come apart."""
        return came - self.looked > LATE_S or self.run_queue.waited_s() > LATE_S

    def _ended(self, connection: Connection, now: float) -> None:
        """The server has closed the connection in good order."""
        reply = connection.reply
        reply.close()
        if reply.complete:
            self.unstamped += 1  # its end has no stamp
            self._finish(connection, connection.verdict(), now)
        else:
            self._broken(connection, Failure.TRUNCATED if reply.head else Failure.RESET, now)
