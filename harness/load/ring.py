"""Receiving through io_uring: what comes to many sockets, put by the kernel into shared memory.

Sockets are not asked one by one, and what comes to them is handed over in the order in which they
had something, with the kernel's stamps. Linux 6.1 or later on x86-64, where nothing forbids it
(Docker does); elsewhere ``make_ring`` gives None, and sockets are read one by one.
"""

import contextlib
import ctypes
import errno
import mmap
import os
import platform
import socket
import struct
from array import array
from collections.abc import Iterable

BUFFERS = 2_048
PIECE = 16_384
HEAD = 48  # before a piece: the kernel's own head, and a control message with the stamp
STAMPED, STAMP = 4, 32  # where in it is whether there is a stamp, and the stamp
STRIDE = HEAD + PIECE + 64  # not a power of two, else all heads would share few lines of the caches
MORE = 2  # a flag of an entry: the kernel goes on receiving
ENDED = 0
AT_ONCE = 20  # sockets that the kernel deals with before it returns
MOST = 60  # entries that are taken at a time
NOBODY = 0  # a key that no socket has
SHORT_OF_ROOM = -errno.ENOBUFS

Entry = tuple[int, int, int]

_SETUP, _ENTER, _REGISTER = 425, 426, 427
_QUEUES, _REQUESTS = 0, 0x10000000  # where its parts are mapped from
_OWN_SIZE = 1 << 3  # of the queue of entries
_ON_CALL = 1 << 12 | 1 << 13  # one thread only, whose calls are the moments at which it works
_WORK = 1
_EVENTFD, _BUFFER_RING = 4, 22
_RECVMSG, _SELECT_BUFFER, _MULTISHOT = 10, 1 << 5, 2
_HAS_BUFFER = 1
_WITH_BUFFER = bytes(flags & _HAS_BUFFER for flags in range(256))
_REQUEST_SIZE = 64
_ENTRY = struct.Struct("<QiI")
_FLAGS_AT = 12
_OFFER = struct.Struct("<QIHH")
_OFFERED = 7  # the last field of the first offer, in words of 16 bits: how far they go
_request = struct.Struct("<BBHiQQIIQHHIQQ").pack
_MASK = 0xFFFFFFFF

_syscall = ctypes.CDLL(None, use_errno=True).syscall


class Ring:
    """Sockets are watched under keys, numbers of the caller's; ``take`` gives what came to them.

    Entries are taken as the kernel writes them; ``told`` gives each as ``(key, result, flags)``. A
    ``result`` above ``HEAD`` is the length of a piece with its head; these begin in ``memory`` at
    ``(flags >> 16) * STRIDE``. ``HEAD`` or ``ENDED``: the other side has ended the connection;
    less: an error number, negated. Without ``MORE`` among the ``flags`` the socket is no longer
    watched. ``all_taken``: nothing was left of what had come. ``fd`` tells a poll that something
    has come, or was taken. Only for the thread that made it: the kernel works when this thread
    takes.
    """

    def __init__(self) -> None:
        """Raises OSError where the kernel has none of it or forbids it."""
        sizes = (ctypes.c_uint32 * 30)()
        sizes[1], sizes[2] = 4 * BUFFERS, _OWN_SIZE | _ON_CALL
        self._fd, self._offered = -1, BUFFERS
        self.all_taken = True
        self._mapped: list[mmap.mmap] = []
        self._views: list[memoryview] = []
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            self._fd = _call(_SETUP, BUFFERS // 4, ctypes.byref(sizes))
            self._map(list(sizes))
            self._offer_memory()
            _call(_REGISTER, self._fd, _EVENTFD, ctypes.byref(ctypes.c_int(self.fd)), 1)
        except BaseException:
            self.close()
            raise
        # Without a name, with room for the stamp's control message.
        header = struct.pack("<QIIQQQQQ", 0, 0, 0, 0, 0, 0, STAMP, 0)
        self._header = ctypes.create_string_buffer(header, len(header))

    def watch(self, fd: int, key: int) -> None:
        """Receive from a socket from now on."""
        at = self._words[self._request_tail]
        start = (at & self._last_request) * _REQUEST_SIZE
        self._requests[start : start + _REQUEST_SIZE] = _request(
            _RECVMSG, _SELECT_BUFFER, _MULTISHOT, fd, 0, ctypes.addressof(self._header), 1, 0,
            key, 0, 0, 0, 0, 0,
        )  # fmt: skip
        self._words[self._request_tail] = (at + 1) & _MASK
        self._work(1)

    def take(self) -> bytes:
        """What came first and was not taken yet, in order, ``MOST`` entries at most.

        Before that the kernel receives from some sockets, those that had something first. What
        comes to the others meanwhile joins what they have: who is late gets less to do, and catches
        up.
        """
        words = self._words
        head, tail = words[self._head], words[self._tail]
        for _ in range(MOST // AT_ONCE):
            former = tail
            self._work()
            tail = words[self._tail]
            more = (tail - former) & _MASK >= AT_ONCE
            if not more:
                break
        waiting = (tail - head) & _MASK
        count = min(waiting, MOST)
        self.all_taken = count == waiting and not more
        entries, size = self._entries, _ENTRY.size
        start = head & self._last_entry
        stop = (start + count) & self._last_entry
        at = entries + size * start
        if start <= stop:
            raw = self._queues[at : entries + size * stop]
        else:
            end = entries + size * (self._last_entry + 1)
            raw = self._queues[at:end] + self._queues[entries : entries + size * stop]
        words[self._head] = (head + count) & _MASK
        return raw

    def give_back(self, entries: bytes) -> None:
        """The memory of the entries that were taken last may be used again.

        The kernel uses pieces of memory in turn, so that what it is told of one turn holds for the
        next; only how far it may go has to be said.
        """
        pieces = entries[_FLAGS_AT :: _ENTRY.size].translate(_WITH_BUFFER).count(1)
        self._offered = (self._offered + pieces) & 0xFFFF
        self._offer[_OFFERED] = self._offered

    def close(self) -> None:
        """Receive no more, and let memory and sockets go."""
        for fd in (self._fd, self.fd):
            if fd >= 0:
                os.close(fd)
        for view in self._views:
            view.release()
        for mapped in self._mapped:  # which hold the ring, too
            mapped.close()

    def _work(self, requests: int = 0) -> None:
        """Let the kernel receive, for so many new requests too."""
        while _syscall(_ENTER, self._fd, requests, 0, _WORK, None, 0) < requests:
            if ctypes.get_errno() != errno.EINTR:
                raise _error()

    def _map(self, sizes: list[int]) -> None:
        """Map the two queues, of which the kernel said sizes and places."""
        requests, entries = sizes[0], sizes[1]
        of_requests, of_entries = sizes[10:20], sizes[20:30]
        shared = mmap.MAP_SHARED | mmap.MAP_POPULATE
        length = max(of_requests[6] + 4 * requests, of_entries[5] + _ENTRY.size * entries)
        self._queues = mmap.mmap(self._fd, length, shared, offset=_QUEUES)
        self._words = memoryview(self._queues).cast("I")
        self._mapped.append(self._queues)
        self._views.append(self._words)
        # Each request's place in the queue is its place in the array.
        places = of_requests[6] // 4
        self._words[places : places + requests] = memoryview(array("I", range(requests)))
        self._request_tail = of_requests[1] // 4
        self._head, self._tail = of_entries[0] // 4, of_entries[1] // 4
        self._entries = of_entries[5]
        self._requests = mmap.mmap(self._fd, requests * _REQUEST_SIZE, shared, offset=_REQUESTS)
        self._mapped.append(self._requests)
        self._last_request, self._last_entry = requests - 1, entries - 1

    def _offer_memory(self) -> None:
        """Tell the kernel of all the pieces of memory that it may fill."""
        self.memory = mmap.mmap(-1, BUFFERS * STRIDE)
        offers = mmap.mmap(-1, BUFFERS * _OFFER.size)
        self._mapped += [self.memory, offers]
        first = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        for number in range(BUFFERS):
            at = first + number * STRIDE
            _OFFER.pack_into(offers, number * _OFFER.size, at, HEAD + PIECE, number, 0)
        place = ctypes.addressof(ctypes.c_char.from_buffer(offers))
        about = struct.pack("<QIHHQQQ", place, BUFFERS, 0, 0, 0, 0, 0)
        _call(_REGISTER, self._fd, _BUFFER_RING, about, 1)
        self.address = first
        self._offer = memoryview(offers).cast("H")
        self._views.append(self._offer)
        self._offer[_OFFERED] = self._offered


def amount(entries: bytes) -> int:
    """How many there are."""
    return len(entries) // _ENTRY.size


def told(entries: bytes) -> list[Entry]:
    """Key, result and flags of each."""
    return list(_ENTRY.iter_unpack(entries))


def some(entries: bytes, places: Iterable[int]) -> list[Entry]:
    """``told`` of those at these places."""
    return [_ENTRY.unpack_from(entries, place * _ENTRY.size) for place in places]


def make_ring() -> Ring | None:
    """A ring that works, or None."""
    # Elsewhere what the kernel wrote might be seen in another order.
    if platform.machine() != "x86_64":
        return None
    try:
        ring = Ring()
    except OSError:
        return None
    here, there = socket.socketpair()
    with here, there, contextlib.suppress(OSError):
        ring.watch(here.fileno(), NOBODY)
        there.send(b"?")
        entries = ring.take()
        found = told(entries)
        if found and found[0][1] == HEAD + 1 and found[0][2] & MORE:
            ring.give_back(entries)
            return ring
    ring.close()
    return None


def _call(number: int, *arguments: object) -> int:
    result = int(_syscall(number, *arguments))
    if result < 0:
        raise _error()
    return result


def _error() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))
