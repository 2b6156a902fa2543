"""What this process uses while an arm runs: processor, memory, threads, sockets, loop lag."""

import asyncio
import math
import os
import sys
import threading
import time
from dataclasses import dataclass, field

import psutil

from harness.clock import Clock, MonotonicClock

HEARTBEAT_S = 0.010
SAMPLE_S = 0.050
CALIBRATE_S = 0.3
LAG_DIGITS = 5  # 10 µs, finer than the loop's own timers


@dataclass(slots=True)
class Usage:
    """What was used between ``begin`` and ``end``. Peaks are None where they cannot be told."""

    cpu_s: float = 0.0
    peak_rss_mb: float | None = None
    peak_threads: int | None = None
    peak_sockets: int | None = None
    lag_s: list[float] = field(default_factory=list)


class Monitor:
    """Samples this process on a thread of its own, and beats every 10 ms on the event loop.

    Its own cost is measured on an idle loop at the start and taken off the processor time. The
    sockets that were open then, and its own thread, do not count either. ``clock`` None: the real
    one.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or MonotonicClock()
        self._process = psutil.Process()
        self._stop = threading.Event()
        self._now = Usage()
        self._idle_rate = 0.0
        self._own_sockets = 0
        self._mark = (0.0, 0.0)
        self._due = math.inf
        self._sampler = threading.Thread(target=self._sample_on, daemon=True)
        self._beat: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to watch; takes 0.3 s to learn its own cost."""
        self._own_sockets = _sockets() or 0
        self._sampler.start()
        self._beat = asyncio.create_task(self._heartbeat())
        cpu, wall = time.process_time(), self._clock.now()
        await self._clock.sleep(CALIBRATE_S)
        self._idle_rate = (time.process_time() - cpu) / (self._clock.now() - wall)

    async def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._beat is not None:
            self._beat.cancel()
            await asyncio.gather(self._beat, return_exceptions=True)

    def begin(self) -> None:
        """Forget what was, and count from now."""
        self._now = Usage()
        self._due = max(self._due, self._clock.now())
        self._sample()
        self._mark = (time.process_time(), self._clock.now())

    def end(self) -> Usage:
        """What was used since ``begin``. A beat that is overdue by now counts with its delay."""
        self._beat_late()
        cpu, wall = time.process_time() - self._mark[0], self._clock.now() - self._mark[1]
        self._sample()
        self._now.cpu_s = max(0.0, cpu - self._idle_rate * wall)
        return self._now

    async def _heartbeat(self) -> None:
        while True:
            self._due = self._clock.now() + HEARTBEAT_S
            await self._clock.sleep(HEARTBEAT_S)
            self._beat_late()

    def _beat_late(self) -> None:
        """Note by how much the beat that is due now came late; once for each beat."""
        late = self._clock.now() - self._due
        if late >= 0:
            self._now.lag_s.append(round(late, LAG_DIGITS))
            self._due = math.inf

    def _sample_on(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            self._sample()

    def _sample(self) -> None:
        now = self._now
        rss = self._process.memory_info().rss / 1e6
        now.peak_rss_mb = rss if now.peak_rss_mb is None else max(now.peak_rss_mb, rss)
        threads = threading.active_count() - self._sampler.is_alive()
        now.peak_threads = max(now.peak_threads or 0, threads)
        if (sockets := _sockets()) is not None:
            now.peak_sockets = max(now.peak_sockets or 0, sockets - self._own_sockets)


def _sockets() -> int | None:
    """Open sockets of this process; None where the platform does not list them."""
    if not sys.platform.startswith("linux"):
        return None
    count = 0
    with os.scandir("/proc/self/fd") as entries:
        for entry in entries:
            try:
                count += os.readlink(entry.path).startswith("socket:")
            except OSError:
                continue  # closed meanwhile
    return count
