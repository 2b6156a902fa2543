"""What the process uses while an arm runs, and what the monitor itself does not count."""

import asyncio
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator

import pytest

from harness import monitor as under_test
from harness.monitor import Monitor


@pytest.fixture
async def monitor(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Monitor]:
    monkeypatch.setattr(under_test, "CALIBRATE_S", 0.03)
    made = Monitor()
    await made.start()
    yield made
    await made.stop()


def work(seconds: float) -> None:
    """Use the processor, and hold the loop, for so long."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


async def test_processor_time_is_this_stretchs_own(monitor: Monitor) -> None:
    monitor.begin()
    work(0.1)
    used = monitor.end()
    assert 0.05 < used.cpu_s < 10.0
    monitor.begin()
    again = monitor.end()
    assert 0.0 <= again.cpu_s < used.cpu_s
    assert again is not used


async def test_a_loop_that_is_held_up_shows(monitor: Monitor) -> None:
    monitor.begin()
    for _ in range(3):  # the beat begins to wait
        await asyncio.sleep(0)
    work(0.1)
    used = monitor.end()
    assert max(used.lag_s) > 0.05
    monitor.begin()
    assert monitor.end().lag_s == []


async def test_beats_come_while_the_loop_is_free(monitor: Monitor) -> None:
    monitor.begin()
    beats = 0
    while beats < 3:  # of 10 ms each
        await asyncio.sleep(0.001)
        beats = len(monitor.end().lag_s)
    assert all(lag >= 0 for lag in monitor.end().lag_s)


async def test_threads_and_memory_at_their_peak(monitor: Monitor) -> None:
    monitor.begin()
    told = threading.Event()
    threads = [threading.Thread(target=told.wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    used = monitor.end()
    told.set()
    for thread in threads:
        thread.join()
    monitor.end()  # a peak stays
    assert used.peak_threads is not None
    assert used.peak_threads >= 6  # the five and the main one
    assert used.peak_rss_mb is not None
    assert 10 < used.peak_rss_mb < 100_000


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_sockets_at_their_peak(monitor: Monitor) -> None:
    monitor.begin()
    assert monitor.end().peak_sockets == 0
    monitor.begin()
    with socket.socket(), socket.socket():
        monitor.end()
    assert monitor.end().peak_sockets == 2


async def test_where_sockets_cannot_be_told(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monitor.begin()
    assert monitor.end().peak_sockets is None


async def test_peaks_between_the_ends_are_seen_too(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread of its own samples while the loop is busy with something else."""
    sampled = threading.Event()
    plain = Monitor._sample

    def sample(self: Monitor) -> None:
        plain(self)
        if threading.current_thread() is not threading.main_thread():
            sampled.set()

    monkeypatch.setattr(Monitor, "_sample", sample)
    monitor.begin()
    assert sampled.wait(10.0)
    assert monitor.end().peak_rss_mb is not None


async def test_stopping_ends_its_thread_and_its_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "CALIBRATE_S", 0.001)
    before = asyncio.all_tasks()
    made = Monitor()
    await made.start()
    assert made._sampler.is_alive()
    await made.stop()
    await made.stop()
    made._sampler.join(10.0)
    assert not made._sampler.is_alive()
    assert asyncio.all_tasks() == before


async def test_stopping_what_never_started() -> None:
    made = Monitor()
    await made.stop()
    assert not made._sampler.is_alive()
