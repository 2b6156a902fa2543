"""The loop that sends requests when they are due and reads answers as they come.

One thread over the system's poll: sockets that are ready are read some at a time, streams through a
ring that they share with the kernel, and the schedule is looked at in between. That keeps requests
on time in the midst of many streams, which the turns of a general event loop do not. What comes is
stamped by the kernel, so that answers which wait here to be read look no slower, and the poll need
not be asked about each by itself. Over 300 lines: the hot path is one thing.
"""

import threading
import time
from collections.abc import Callable
from heapq import heappop, heappush

from harness.load.client_health import ClientHealth, Idleness, Watch, own_time, raise_fd_limit
from harness.load.columns import NAN, NEW_CONNECTION, RETRIED, Failure, Recorder
from harness.load.connection import RECEIVE, Connection
from harness.load.dialects import EVENTS
from harness.load.glance import Glance
from harness.load.intake import BROKEN, END, Intake
from harness.load.pacing import NEVER, ClosedLoop, OpenLoop, make_pacer
from harness.load.pool import Pool
from harness.load.ring import (
    ENDED,
    HEAD,
    MORE,
    SHORT_OF_ROOM,
    STAMP,
    STAMPED,
    STRIDE,
    Ring,
    some,
)
from harness.load.spool import Spool
from harness.load.spotting import Spotter
from harness.load.stamps import ROOM
from harness.load.stream import tokens_said
from harness.load.target import Deck, Target
from harness.load.tls import Received

TICK_S = 0.05  # how often time-outs and a wish to stop are looked for
OPENING = 64  # connections opened at once before the start
MOST_SHOWN = 250  # response times at each glance
SLIGHT_S = 0.0002  # how late a request is without further ado
BURST = 32  # requests sent in a row before the sockets are looked at again
MANY = 32  # streams in flight from which on chunks are read together
APART_S = 0.001  # the least time between two looks at many streams
TOGETHER = 32  # sockets that are read one after another
BATCHES = 64  # that are taken of the ring in one turn
AGAIN_S = 0.1  # after a request that found no server; refusals come at once, and users would spin

_OK = Failure.NONE
_NO_SERVER = frozenset((Failure.CONNECT, Failure.NO_SOCKET, Failure.RESET))
_clock = time.perf_counter


class Loop:
    """A run's requests in flight. Raises InputError when the target's host has no address."""

    def __init__(
        self,
        target: Target,
        deck: Deck,
        workload: OpenLoop | ClosedLoop,
        watch: Watch,
        spool: Spool | None,
        timeout_s: float,
        connect_timeout_s: float,
    ) -> None:
        self.recorder = Recorder()
        self._fd_limit = raise_fd_limit()
        self._keep = spool is not None or target.counts_tokens
        self._spotter = Spotter(keep=self._keep)
        self._pool = Pool(target, self._spotter)
        self._ring = self._pool.ring
        self._target = target
        self._wire = deck.wire
        self._pacer = make_pacer(workload)
        if isinstance(workload, OpenLoop):
            self._most, self._ahead = workload.max_in_flight, workload.connections
        else:
            self._most = self._ahead = workload.users
        self._closed = not isinstance(workload, OpenLoop)
        self._idleness = Idleness()
        self._waits = isinstance(workload, OpenLoop) and workload.waits
        self._free: list[float] = []  # since when each caller is, where requests wait for one
        self._watch = watch
        self._spool = spool
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._tick_s = min(TICK_S, timeout_s / 4, connect_timeout_s / 4)
        self._events = EVENTS[target.stream] if target.stream else None
        self._issued = self._in_flight = self._peak = 0
        self._finished = self._failed = self._retried = 0
        self._shown = self._shown_lag = 0
        self._taken_all = True  # nothing that had come was left in the last turn
        self._in_order = True  # the ring gives what came first first
        self._intake = Intake(
            self._finish,
            self._broken,
            self._pool.close,
            self._spotter,
            streams=target.stream is not None,
        )

    def open_ahead(self, stop: threading.Event) -> None:
        """Open connections before the start; those that fail are opened when they are needed."""
        pool = self._pool
        tried, until = 0, _clock() + self._connect_timeout_s
        while not stop.is_set() and _clock() < until:
            while tried < self._ahead and len(pool.by_fd) - len(pool.idle) < OPENING:
                tried += 1
                self._open(Connection(self._target))
            if tried == self._ahead and len(pool.by_fd) == len(pool.idle):
                break
            self._turn(pool.ready(self._tick_s)[0])

    def run(
        self,
        start: float,
        stop: threading.Event,
        progress: Callable[[Callable[[], Glance]], None] | None,
    ) -> bool:
        """Run the workload; True when it was stopped before its end."""
        pacer, poll, turned = self._pacer, self._pool.ready, self._watch.turned
        now, woke, tick = start, start, start + self._tick_s
        streams = together = self._events is not None
        pacer.begin(start)
        intake = self._intake
        intake.begin()
        if self._waits:
            self._free = [start] * self._most
        while pacer.due != NEVER or self._in_flight:
            full = self._waits and self._in_flight >= self._most
            wake = tick if full else min(pacer.due, tick)
            if not self._closed:
                self._idleness.mark(now)
            if not self._taken_all:
                wake = now
            if together and self._in_flight >= MANY and now < (look := woke + APART_S) < wake:
                time.sleep(look - now)
                now = _clock()
                together = not intake.unstamped  # else what waits to be read would look late
            ready, waited = poll(wake - now)
            former, woke = woke, _clock()
            if not self._closed:
                self._idleness.mark(woke)
            if self._taken_all and streams:
                intake.run_queue.look()
                # A poll that had to wait tells at once.
                intake.looked = woke if waited else former
            if pacer.due <= woke:
                self._issue_due(woke)
            self._turn(ready)
            now = _clock()
            if now >= tick:
                tick = now + self._tick_s
                intake.kernel.compare()
                self._expire(now)
                if self._spool is not None:
                    self._spool.check()
                if progress is not None:
                    progress(self._glance)
                if stop.is_set():
                    self._cancel(now)
                    return True
                now = _clock()
            turned(woke if ready else min(wake, woke), now)
        return False

    def _glance(self) -> Glance:
        """The load by now, with what is new since the last call."""
        lag = self._watch.lag[self._shown_lag :]
        times = self.recorder.latest(self._shown, MOST_SHOWN)
        self._shown, self._shown_lag = self._finished, self._shown_lag + len(lag)
        return Glance(self._finished, self._failed, self._in_flight, lag.tolist(), times)

    def health(self) -> ClientHealth:
        """What the run did to this process."""
        intake = self._intake
        intake.kernel.compare()
        return self._watch.health(
            peak_in_flight=self._peak,
            connections_opened=self._pool.opened,
            retried=self._retried,
            fd_limit=self._fd_limit,
            io_uring=self._ring is not None,
            compiled=self._spotter.compiled,
            unstamped=intake.unstamped,
            merged=intake.merged,
            first_merged=intake.first_merged,
            clock_moved_s=intake.kernel.moved_s,
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close_all()
        self._intake.run_queue.close()

    # --- what is ready ---

    def _turn(self, ready: list[tuple[int, int]]) -> None:
        """Deal with the sockets that are ready, some at a time, and with the schedule in between.

        Some are read before the first of them is dealt with: going to and fro between the system's
        code and this for each costs a sixth more, since neither then stays in the caches.
        """
        pacer, intake, connections = self._pacer, self._intake, self._pool.by_fd
        encrypted = self._target.tls is not None
        for start in range(0, len(ready), TOGETHER):
            reads: list[tuple[Connection, Received]] = []
            for fd, _ in ready[start : start + TOGETHER]:
                connection = connections.get(fd)
                if connection is None:
                    continue  # closed since the poll
                if connection.state != "ready":
                    self._advance(connection)
                    continue
                if self._ring is not None:
                    if connection.unsent is not None:
                        self._pool.send(connection, connection.unsent)
                    continue
                try:
                    read = connection.receive(RECEIVE, ROOM)
                    if connection.index < 0:  # its end, or bytes that nobody asked for
                        self._pool.close(connection)
                        continue
                    reads.append((connection, read))
                    if encrypted and connection.said_goodbye and read[0]:
                        reads.append((connection, END))  # which the poll will not tell
                except BlockingIOError:
                    if connection.unsent is not None:
                        self._pool.send(connection, connection.unsent)
                except OSError:
                    self._broken(connection, Failure.RESET, _clock())
            now = _clock()
            if pacer.due <= now:
                self._issue_due(now)
            intake.take(reads, now)
            now = _clock()
            if pacer.due <= now:
                self._issue_due(now)
        if self._ring is not None:
            self._turn_ring(self._ring)

    def _turn_ring(self, ring: Ring) -> None:
        """``_turn`` for what the ring receives."""
        pacer, intake, spotter = self._pacer, self._intake, self._spotter
        memory = ring.memory
        self._taken_all = False
        for _ in range(BATCHES):
            entries = ring.take()
            left = spotter.spot(entries, ring, intake.kernel.ahead, _clock(), intake.late())
            reads: list[tuple[Connection, Received]] = []
            for key, result, flags in some(entries, left):
                connection = spotter.seated(key)
                if connection is None:
                    continue  # closed since
                if connection.index < 0 and result != SHORT_OF_ROOM:  # as above
                    self._pool.close(connection)
                    continue
                if result > HEAD:
                    at = (flags >> 16) * STRIDE
                    stamps = []
                    if memory[at + STAMPED]:
                        stamps.append((0, 0, memory[at + STAMP : at + HEAD]))
                    reads.append((connection, (memory[at + HEAD : at + result], stamps, 0, None)))
                elif result == SHORT_OF_ROOM:
                    self._in_order = False
                else:
                    reads.append((connection, END if result in (HEAD, ENDED) else BROKEN))
                    continue
                if not flags & MORE:
                    self._pool.receive(connection)
            now = _clock()
            if pacer.due <= now:
                self._issue_due(now)
            if reads:
                intake.parse(reads, now)
                now = _clock()
                if pacer.due <= now:
                    self._issue_due(now)
            ring.give_back(entries)
            if ring.all_taken:
                self._taken_all = self._in_order
                self._in_order = True
                break
            if self._in_order:
                intake.looked = max(intake.looked, spotter.newest)

    def _advance(self, connection: Connection) -> None:
        """Go on opening a connection."""
        try:
            ready = self._pool.advance(connection)
        except OSError as error:
            self._give_up(connection, connection.opening_failed(error), _clock())
            return
        if ready and connection.index >= 0:
            now = _clock()
            late = connection.count_opening(now)
            if self._closed:
                connection.uncounted += late
            elif late > SLIGHT_S:
                idle = self._idleness.since(connection.opened, now, own_time())
                worked = now - connection.opened - idle
                connection.uncounted += max(0.0, late - worked)
            self._pool.send(connection, self._wire(connection.index))
        elif ready:
            self._pool.idle.append(connection)

    def _broken(self, connection: Connection, failure: Failure, now: float) -> None:
        """The connection ended before the answer did."""
        if connection.index < 0:
            self._pool.close(connection)
        elif connection.events is not None and connection.events.ended:
            # What breaks after the end of the stream does not matter.
            self._finish(connection, connection.verdict(), now)
        elif connection.first_byte is NAN and not connection.marks:
            # It was idle, and the server had closed it: that says nothing of this request.
            self._retried += 1
            connection.marks = NEW_CONNECTION | RETRIED
            self._pool.close(connection)
            self._open(connection)
        else:
            self._finish(connection, failure, now)

    # --- one request ---

    def _issue_due(self, now: float) -> None:
        """Send what is due by ``now``."""
        pacer, idle = self._pacer, self._pool.idle
        used = 0.0  # of the processor by now; asked for when the first is late
        for _ in range(BURST):
            if pacer.due > now:
                break
            full = self._in_flight >= self._most
            if full and self._waits:
                break
            scheduled = pacer.take()
            index = self._issued
            self._issued = index + 1
            if full:
                self._leave_out(index, scheduled, scheduled, Failure.DROPPED)
                continue
            eligible = max(scheduled, heappop(self._free)) if self._waits else scheduled
            self._in_flight += 1
            if self._in_flight > self._peak:
                self._peak = self._in_flight
            events = self._events() if self._events is not None else None
            pieces: list[bytes] | None = [] if self._keep else None
            sent = _clock()
            # A closed loop has no schedule to keep; its users are idle meanwhile.
            uncounted = sent - eligible
            if not self._closed:
                if uncounted <= SLIGHT_S:
                    uncounted = 0.0
                else:
                    used = used or own_time()
                    uncounted = self._idleness.since(eligible, now, used)
            if idle:
                connection = idle.pop()
                connection.carry(index, scheduled, eligible, sent, uncounted, 0, events, pieces)
                self._pool.send(connection, self._wire(index))
            else:
                connection = Connection(self._target)
                connection.carry(
                    index, scheduled, eligible, sent, uncounted, NEW_CONNECTION, events, pieces
                )
                self._open(connection)

    def _open(self, connection: Connection) -> None:
        try:
            self._pool.open(connection)
        except OSError as error:
            self._give_up(connection, connection.opening_failed(error), _clock())

    def _give_up(self, connection: Connection, failure: Failure, now: float) -> None:
        """Close a connection; the request that it carries, if any, has failed."""
        if connection.index >= 0:
            self._finish(connection, failure, now)
        else:
            self._pool.close(connection)

    def _finish(self, connection: Connection, failure: Failure, now: float) -> None:
        """Record how a request ended, and let the connection go or stay."""
        self._spotter.settle(connection)
        body_at, tokens, pieces = -1, -1, connection.pieces
        if pieces:
            if self._spool is not None:
                body_at = self._spool.add(pieces, connection.size)
            if self._target.counts_tokens:
                tokens = tokens_said(b"".join(pieces))
        reply = connection.reply
        head = reply.head
        self.recorder.add(
            connection.index, connection.scheduled, connection.eligible, connection.sent,
            connection.uncounted, connection.first_byte, now, connection.size, tokens, body_at,
            connection.number, head.status if head is not None else 0, failure, connection.marks,
            connection.events,
        )  # fmt: skip
        self._in_flight -= 1
        self._finished += 1
        if self._waits:
            heappush(self._free, now)
        free = now
        if failure is not _OK:
            self._failed += 1
            if failure in _NO_SERVER:
                free = max(now, connection.sent + AGAIN_S)
        if reply.keep and connection.unsent is None:
            connection.index = -1
            self._pool.idle.append(connection)
        else:
            self._pool.close(connection)
        self._pacer.freed(free)

    def _leave_out(self, index: int, scheduled: float, eligible: float, failure: Failure) -> None:
        """Record a request that is never sent."""
        self.recorder.add(
            index, scheduled, eligible, NAN, NAN, NAN, NAN, 0, -1, -1, -1, 0, failure, 0, None
        )
        self._finished += 1
        self._failed += 1

    def _expire(self, now: float) -> None:
        """Give up what has taken too long."""
        for connection in list(self._pool.by_fd.values()):
            late = connection.index >= 0 and now - connection.sent > self._timeout_s
            opening = connection.state != "ready"
            if late or (opening and now - connection.opened > self._connect_timeout_s):
                self._give_up(connection, Failure.TIMEOUT, now)

    def _cancel(self, now: float) -> None:
        """Stop: what is in flight, or was due and not sent, is recorded as cancelled."""
        pacer = self._pacer
        full = self._waits and self._in_flight >= self._most  # callers are free now, not before
        while pacer.due <= now:
            scheduled = pacer.take()
            self._leave_out(self._issued, scheduled, now if full else scheduled, Failure.CANCELLED)
            self._issued += 1
        pacer.stop()
        for connection in list(self._pool.by_fd.values()):
            if connection.index >= 0:
                self._finish(connection, Failure.CANCELLED, now)
