"""The kernel's stamps, and its clock beside ours."""

import socket
import struct
import time
from collections.abc import Iterator

import pytest

from harness.load.stamps import ROOM, SURE_S, TRIES, KernelClock, ask_for_stamps, opening_s
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


def test_the_kernel_tells_how_long_a_connection_took_to_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        before = time.perf_counter()
        with socket.create_connection(listener.getsockname()) as ours:
            took = time.perf_counter() - before
            time.sleep(0.05)
            trip = opening_s(ours)
    assert trip is not None
    assert 0 < trip <= took + 1e-6, "in whole microseconds"


def test_a_socket_that_was_not_opened_tells_nothing() -> None:
    with socket.socket() as ours:
        assert opening_s(ours) is None
    assert opening_s(ours) is None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        assert opening_s(other) is None


@pytest.mark.parametrize(
    ("trip_us", "again", "short", "expected"),
    [(250, 0, 0, 250e-6), (250, 1, 0, None), (0, 0, 0, None), (250, 0, 1, None)],
)
def test_only_an_opening_that_was_asked_for_once_is_told(
    trip_us: int, again: int, short: int, expected: float | None
) -> None:
    """``short``: so many bytes less than tcpi_total_retrans ends with."""

    class Socket:
        def getsockopt(self, _level: int, _option: int, size: int) -> bytes:
            said = b"\1" * 68 + struct.pack("=I28xI", trip_us, again)
            return said[: size - short]

    assert opening_s(Socket()) == expected  # type: ignore[arg-type]


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
