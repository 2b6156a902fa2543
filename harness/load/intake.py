"""What was read of the sockets: each piece gets its moment, is parsed, and is counted.

Most of a stream's chunks are told by their bytes, many at a time (``Spotter``); the others, and the
answers that are no streams, are parsed here.
"""

from collections.abc import Callable

from harness.load.client_health import RunQueue
from harness.load.columns import NAN, Failure
from harness.load.connection import Connection
from harness.load.pacing import NEVER
from harness.load.reply import BadReply
from harness.load.spotting import Spotter
from harness.load.stamps import KernelClock
from harness.load.tls import Received

FEW = 8  # reads of which fewer are sooner parsed one by one
LATE_S = 0.002  # chunks found together after as long may have come apart

END: Received = (b"", [], 0, None)
"""The server has ended the connection in good order."""
BROKEN: Received = (b"", [], -1, None)
"""The connection is broken."""


class Intake:
    """Takes reads of connections. ``finish`` is called with a connection whose answer is over, how,
    and when; ``broken`` with one that broke, how, and when; ``close`` with one to be closed.

    ``unstamped`` and ``first_merged`` are those of ``ClientHealth``. ``looked``: until
    then no socket had what was not read; to be kept up to date.
    """

    def __init__(
        self,
        finish: Callable[[Connection, Failure, float], None],
        broken: Callable[[Connection, Failure, float], None],
        close: Callable[[Connection], None],
        spotter: Spotter,
        *,
        streams: bool,
    ) -> None:
        self._finish, self._broken, self._close = finish, broken, close
        self._spotter, self._streams = spotter, streams
        self.unstamped = self._merged = self.first_merged = 0
        self.looked = 0.0
        self.kernel = KernelClock()
        self.run_queue = RunQueue()

    def begin(self) -> None:
        """The run proper starts: compare the clocks anew."""
        self.kernel = KernelClock()

    def take(self, reads: list[tuple[Connection, Received]], now: float) -> None:
        """Take what was read by ``now``: first those chunks that can be told, then all else in this
        order.
        """
        if self._streams and len(reads) >= FEW:
            left = self._spotter.spot_reads(reads, self.kernel.ahead, now, self.late())
            if len(left) < len(reads):
                reads = [reads[place] for place in left]
        self.parse(reads, now)

    def parse(self, reads: list[tuple[Connection, Received]], now: float) -> None:
        """Take what was read by ``now`` in this order, none of it told before."""
        moment, spotter = self.kernel.moment, self._spotter
        for connection, (data, stamps, broken, _) in reads:
            if connection.fd < 0:
                continue  # closed with what came before
            if connection.index < 0:  # what comes after the end
                self._close(connection)
                continue
            spotter.settle(connection)
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
                    if events.token_chunks > before + 1 and came > self.late():
                        self._merged += events.token_chunks - before - 1
                        events.lose(before)
                    spotter.expect(connection)
                    continue
            if data:
                self._parse(connection, data, came)
            elif broken < 0:
                self._broken(connection, Failure.RESET, now)
            else:
                self._ended(connection, now)

    def _parse(self, connection: Connection, data: bytes, came: float) -> None:
        """Take bytes of an answer that came at one moment."""
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
            if lost > 0 and came > self.late():
                self._merged += lost
                self.first_merged += before == 0
                events.lose(before)
            connection.look_for_chunks()
            self._spotter.expect(connection)
        if reply.complete:
            self._finish(connection, connection.verdict(), came)

    @property
    def merged(self) -> int:
        """That of ``ClientHealth``."""
        return self._merged + self._spotter.merged

    def late(self) -> float:
        """What is read together, and of which the last came after this, may have come apart."""
        return -NEVER if self.run_queue.waited_s() > LATE_S else self.looked + LATE_S

    def _ended(self, connection: Connection, now: float) -> None:
        """The server has closed the connection in good order."""
        reply = connection.reply
        reply.close()
        if reply.complete:
            self.unstamped += 1  # its end has no stamp
            self._finish(connection, connection.verdict(), now)
        else:
            self._broken(connection, Failure.TRUNCATED if reply.head else Failure.RESET, now)
