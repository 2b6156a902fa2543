"""The kernel's stamps, and its clock beside ours."""

import socket
import time
from collections.abc import Iterator

import pytest

from harness.load.stamps import ROOM, SURE_S, TRIES, KernelClock, ask_for_stamps
from tests.load.raw_server import until_stamped


def test_what_a_socket_receives_is_stamped_when_it_comes() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as ours,
    ):
        ask_for_stamps(ours)
        with listener.accept()[0] as theirs:
            until_stamped(ours, theirs)
            before = time.perf_counter()
            theirs.sendall(b"now")
            after = time.perf_counter()
            time.sleep(0.05)
            data, [(level, _, stamp)], _, _ = ours.recvmsg(100, ROOM)
    assert (data, level) == (b"now", socket.SOL_SOCKET)
    assert before - 0.001 < KernelClock().moment(stamp) < after + 0.001 + 0.04


def test_a_socket_that_cannot_stamp_is_left_alone() -> None:
    sock = socket.socket()
    sock.close()
    ask_for_stamps(sock)


def clocks(monkeypatch: pytest.MonkeyPatch, *looks: tuple[float, float]) -> KernelClock:
    """A clock whose comparisons find so many seconds ahead, and take so long."""
    every = [looks[0]] * TRIES + list(looks[1:])

    def ours() -> Iterator[float]:
        for begin, (_, took) in enumerate(every):
            yield from (float(begin), begin + took)

    def theirs() -> Iterator[float]:
        for begin, (ahead, took) in enumerate(every):
            yield begin + took / 2 + ahead

    mine, kernels = ours(), theirs()
    monkeypatch.setattr(time, "perf_counter", lambda: next(mine))
    monkeypatch.setattr(time, "time", lambda: next(kernels))
    return KernelClock()


def test_a_clock_that_was_set_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = clocks(monkeypatch, (5.0, 0.0), (5.001, 0.0), (4.998, 0.0), (4.9985, 0.0))
    assert clock.ahead == pytest.approx(5.0)
    for _ in range(3):
        clock.compare()
    assert clock.ahead == pytest.approx(4.9985)
    assert clock.moved_s == pytest.approx(0.003)


def test_a_comparison_that_was_interrupted_counts_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = clocks(monkeypatch, (5.0, 0.0), (5.1, 2 * SURE_S))
    clock.compare()
    assert clock.ahead == pytest.approx(5.0)
    assert clock.moved_s == 0.0
