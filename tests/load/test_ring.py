"""What the kernel puts into the ring, against real sockets."""

import contextlib
import ctypes
import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from harness.load import ring as rings
from harness.load.ring import (
    AT_ONCE,
    BUFFERS,
    HEAD,
    MORE,
    MOST,
    PIECE,
    SHORT_OF_ROOM,
    STAMP,
    STAMPED,
    STRIDE,
    Entry,
    Ring,
    amount,
    make_ring,
    some,
    told,
)
from harness.load.stamps import STAMP_SIZE, ask_for_stamps
from tests.load.raw_server import until_stamped


@pytest.fixture
def ring() -> Iterator[Ring]:
    made = make_ring()
    if made is None:
        pytest.skip("no io_uring here")
    made.give_back(made.take())  # the end of the sockets that it was tried with
    yield made
    made.close()


@contextlib.contextmanager
def pairs(count: int) -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Connections over loopback: ours, which asks for stamps, and theirs."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=count))
        made = []
        for _ in range(count):
            ours = stack.enter_context(socket.create_connection(listener.getsockname()))
            ask_for_stamps(ours)
            theirs = stack.enter_context(listener.accept()[0])
            theirs.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.append((ours, theirs))
        yield made


def bytes_of(ring: Ring, entry: Entry) -> bytes:
    _, result, flags = entry
    at = (flags >> 16) * STRIDE
    return ring.memory[at + HEAD : at + result]


def everything(ring: Ring) -> list[tuple[int, bytes]]:
    """All that comes, by number of the socket, until there is no more."""
    found = []
    while entries := ring.take():
        found += [(entry[0], bytes_of(ring, entry)) for entry in told(entries) if entry[1] > HEAD]
        ring.give_back(entries)
    return found


def test_pieces_stand_by_themselves_with_their_stamps(ring: Ring) -> None:
    with pairs(1) as [(ours, theirs)]:
        until_stamped(ours, theirs)
        ring.watch(ours.fileno(), 7)
        sent = []
        entries: list[Entry] = []
        for word in (b"one", b"two", b"three"):
            sent.append(time.time())
            theirs.sendall(word)
            entries += told(ring.take())
            time.sleep(0.02)
        assert [number for number, _, _ in entries] == [7, 7, 7]
        assert [bytes_of(ring, entry) for entry in entries] == [b"one", b"two", b"three"]
        for moment, (_, _, flags) in zip(sent, entries, strict=True):
            at = (flags >> 16) * STRIDE
            assert flags & MORE
            assert ring.memory[at + STAMPED]
            stamp = ring.memory[at + STAMP :][:STAMP_SIZE]
            seconds, nanoseconds = struct.unpack("@qq", stamp)
            assert -0.001 < seconds + nanoseconds / 1e9 - moment < 0.02


def test_ends_and_breaks_are_told(ring: Ring) -> None:
    with pairs(2) as [(ours, theirs), (others, broken)]:
        ring.watch(ours.fileno(), 1)
        ring.watch(others.fileno(), 2)
        assert ring.take() == b""
        theirs.close()
        broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        broken.close()
        (first, ended, last), (second, reset, more) = told(ring.take())
        assert (first, ended, last & MORE) == (1, HEAD, 0)
        assert (second, reset < 0, more & MORE) == (2, True, 0)


def test_a_socket_that_is_shut_here_is_let_go(ring: Ring) -> None:
    with pairs(1) as [(ours, theirs)]:
        ring.watch(ours.fileno(), 1)
        ring.take()
        ours.shutdown(socket.SHUT_RDWR)
        ours.close()
        assert theirs.recv(10) == b""
        [(number, result, flags)] = told(ring.take())
        assert (number, result, flags & MORE) == (1, HEAD, 0)


def test_large_things_come_in_several_pieces(ring: Ring) -> None:
    data = os.urandom(3 * PIECE + 5)
    with pairs(1) as [(ours, theirs)]:
        ring.watch(ours.fileno(), 1)
        sender = threading.Thread(target=theirs.sendall, args=(data,))
        sender.start()
        found = b""
        until = time.monotonic() + 10
        while len(found) < len(data) and time.monotonic() < until:
            found += b"".join(piece for _, piece in everything(ring))
        sender.join()
    assert found == data


def test_memory_and_queue_are_used_again_and_again(ring: Ring) -> None:
    rounds = 5 * BUFFERS // 16  # round the queue too, which is four times as long
    with pairs(16) as made:
        for number, (ours, _) in enumerate(made):
            ring.watch(ours.fileno(), number)
        for turn in range(rounds):
            for number, (_, theirs) in enumerate(made):
                theirs.sendall(b"%d %d" % (turn, number))
            assert everything(ring) == [(n, b"%d %d" % (turn, n)) for n in range(16)]


def test_without_room_nothing_is_lost(ring: Ring) -> None:
    """All memory is taken and not given back; the sockets are watched again."""
    with pairs(1) as [(ours, theirs)]:
        ring.watch(ours.fileno(), 1)
        held = b""
        for number in range(BUFFERS + 2):
            theirs.sendall(b"%5d" % number)
            held += ring.take()
        ends = [entry for entry in told(held) if not entry[2] & MORE]
        assert [result for _, result, _ in ends] == [SHORT_OF_ROOM]
        before = b"".join(bytes_of(ring, entry) for entry in told(held) if entry[1] > HEAD)
        ring.give_back(held)
        ring.watch(ours.fileno(), 1)
        after = b"".join(piece for _, piece in everything(ring))
    assert before + after == b"".join(b"%5d" % number for number in range(BUFFERS + 2))


def test_memory_is_counted_in_whatever_order_it_comes_back(ring: Ring) -> None:
    """Kernels before 6.15 may tell of the end of a stream later than of what came after it."""
    with pairs(1) as [(ours, theirs)]:
        ring.watch(ours.fileno(), 1)
        for turn in range(40):
            entries = []
            for number in range(3):
                theirs.sendall(b"%d" % number)
                entries.append(ring.take())
            found = [bytes_of(ring, entry) for entry in told(b"".join(entries))]
            assert found == [b"0", b"1", b"2"], turn
            ring.give_back(b"".join(entries[1:] + entries[:1]))
        for _ in range(BUFFERS):
            theirs.sendall(b"x")
            assert told(ring.take())[0][2] & MORE
        theirs.sendall(b"x")
        assert [result for _, result, _ in told(ring.take())] == [SHORT_OF_ROOM]


def test_nothing_is_left_open(ring: Ring) -> None:
    opened = sorted(os.listdir("/proc/self/fd"))
    with pairs(1) as [(ours, theirs)]:
        other = make_ring()
        assert other is not None
        other.watch(ours.fileno(), 1)
        theirs.sendall(b"x")
        other.close()
    assert sorted(os.listdir("/proc/self/fd")) == opened


def test_a_socket_is_received_from_at_once(ring: Ring) -> None:
    """Its number may soon be another's."""
    with pairs(2) as [(first, its), (second, others)]:
        number = first.fileno()
        ring.watch(number, 1)
        os.dup2(second.fileno(), number)
        others.sendall(b"to the second")
        its.sendall(b"to the first")
        assert [bytes_of(ring, entry) for entry in told(ring.take())] == [b"to the first"]


def test_those_that_had_something_first_are_received_from_first(ring: Ring) -> None:
    count = MOST + 2 * AT_ONCE + 5
    with pairs(count) as made:
        for number, (ours, _) in enumerate(made):
            ring.watch(ours.fileno(), number)
        ring.take()
        for _, theirs in made:
            theirs.sendall(b"a")
        first = ring.take()
        assert [number for number, _, _ in told(first)] == list(range(MOST))
        assert not ring.all_taken
        for _, theirs in made:
            theirs.sendall(b"b")
        ring.give_back(first)
        # The others were not received from in between, so theirs came together.
        rest = everything(ring)
        assert rest[: count - MOST] == [(number, b"ab") for number in range(MOST, count)]
        assert rest[count - MOST :] == [(number, b"b") for number in range(MOST)]
        assert ring.all_taken


def test_some_of_the_entries(ring: Ring) -> None:
    with pairs(3) as made:
        for number, (ours, theirs) in enumerate(made):
            theirs.sendall(b"%d" % number)
            ring.watch(ours.fileno(), number)
        entries = ring.take()
    assert amount(entries) == 3
    assert some(entries, [2, 0]) == [told(entries)[2], told(entries)[0]]


def test_a_signal_does_not_disturb(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is interrupted, as by Ctrl-C, is made again; any other failure is told."""
    call = rings._syscall
    codes = [errno.EINTR, errno.EINTR]

    def interrupted(*arguments: object) -> int:
        if not codes:
            return int(call(*arguments))
        ctypes.set_errno(codes.pop())
        return -1

    monkeypatch.setattr(rings, "_syscall", interrupted)
    with pairs(1) as [(ours, theirs)]:
        ring.watch(ours.fileno(), 1)
        theirs.sendall(b"x")
        assert everything(ring) == [(1, b"x")]
        codes.append(errno.EBADF)
        with pytest.raises(OSError, match="Bad file descriptor"):
            ring.take()


@pytest.mark.parametrize(
    ("attribute", "value"), [("platform.machine", lambda: "aarch64"), ("Ring", None)]
)
def test_where_it_is_forbidden_there_is_none(
    monkeypatch: pytest.MonkeyPatch, attribute: str, value: object
) -> None:
    def forbidden() -> Ring:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(f"harness.load.ring.{attribute}", value or forbidden)
    assert make_ring() is None


def test_a_kernel_that_cannot_receive_on_and_on_gives_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that knows the call, and says that the request is invalid."""
    opened = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(rings, "_MULTISHOT", 1 << 9)
    assert make_ring() is None
    assert len(os.listdir("/proc/self/fd")) == opened
