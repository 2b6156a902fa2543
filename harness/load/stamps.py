"""What the kernel says of time: its stamps of what has come, told on this process's own clock, and
how long a connection took to open.
"""

import contextlib
import socket
import struct
import time

STAMP_SIZE = 16
ROOM = socket.CMSG_SPACE(STAMP_SIZE)
"""For one stamp, beside the bytes that ``recvmsg`` gives."""
TRIES = 5
SURE_S = 2e-5  # two clocks read within this were read without interruption
_SO_TIMESTAMPNS = 35  # of Linux, as x86 and Arm number it; Python has no name for it

_INFO = struct.Struct("=68xI28xI")  # tcp_info's tcpi_rtt, in µs, and tcpi_total_retrans
_parts = struct.Struct("@qq").unpack  # whole seconds and nanoseconds since 1970


def ask_for_stamps(sock: socket.socket) -> None:
    """Have the kernel stamp what ``sock`` receives; where it cannot, nothing bears a stamp."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def opening_s(sock: socket.socket) -> float | None:
    """The round trip in which the kernel opened a TCP connection over which nothing has been sent,
    in seconds; None where it does not say, or had to ask twice.
    """
    try:
        found = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
    except OSError:
        return None
    if len(found) < _INFO.size:
        return None
    trip_us, asked_again = _INFO.unpack(found)
    return trip_us / 1e6 if trip_us and not asked_again else None


class KernelClock:
    """The clock of the stamps, the system's, beside ``time.perf_counter``.

    ``ahead``: by how many seconds it is ahead. ``moved_s``: the most by which that changed from one
    comparison to the next, because somebody set the clock.
    """

    def __init__(self) -> None:
        self.ahead, _ = min((_compare() for _ in range(TRIES)), key=lambda seen: seen[1])
        self.moved_s = 0.0

    def moment(self, stamp: bytes) -> float:
        """A stamp on this process's clock."""
        seconds, nanoseconds = _parts(stamp)
        return float(seconds + nanoseconds * 1e-9 - self.ahead)

    def compare(self) -> None:
        """Look at both clocks again; what was known stands if this thread was interrupted."""
        ahead, took = _compare()
        if took < SURE_S:
            self.moved_s = max(self.moved_s, abs(ahead - self.ahead))
            self.ahead = ahead


def _compare() -> tuple[float, float]:
    before, there, after = time.perf_counter(), time.time(), time.perf_counter()
    return there - (before + after) / 2, after - before
