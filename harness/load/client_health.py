"""How the generator itself fared: processor time, lag of its loop, garbage collection, sockets."""

import gc
import os
import resource
import time
from array import array
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

WINDOW_S = 0.010
MARKS = 4  # two turns of the loop
GC_THRESHOLDS = (50_000, 50, 1_000)


own_time = time.thread_time
"""Seconds of the processor's time that this thread has used."""


@dataclass(frozen=True, slots=True)
class ClientHealth:
    """What the generator's own process did during a run; seconds unless named otherwise."""

    cpu_s: float
    """Processor time of the process, user and system."""
    wall_s: float
    loop_lag: npt.NDArray[np.float32]
    """For each 10 ms of the run with any traffic, the longest time for which the loop did not look
    at its sockets: what may have come late to its stamp by as much."""
    io_uring: bool
    """Chunks of streams were received through ``ring``; else sockets were read one by one."""
    compiled: bool
    """Chunks of streams could be told by compiled code (``spotting``); else each was parsed."""
    unstamped: int
    """Reads whose bytes bore no stamp of the kernel's, and so have that of this process."""
    merged: int
    """Chunks with tokens that were read together with a later one of their stream when this process
    had not looked, or not run, for a while: they have its moment, and may have come before."""
    first_merged: int
    """Of those, the first chunks of their streams."""
    clock_moved_s: float
    """The most by which the system's clock was set between two looks, 50 ms apart."""
    gc_pauses: tuple[float, ...]
    peak_rss_mb: float
    """The most that the process ever held, before the run too."""
    peak_in_flight: int
    connections_opened: int
    retried: int
    """Requests sent again since the server had closed the idle connection."""
    fd_limit: int
    """How many files and sockets the process may have open."""

    @property
    def cpu_share(self) -> float:
        """Processor time as a share of one core."""
        return self.cpu_s / self.wall_s if self.wall_s > 0 else 0.0


def raise_fd_limit() -> int:
    """Allow as many open sockets as the system does; gives the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Watch:
    """Watches between entering and leaving; keeps the garbage collector quiet meanwhile.

    What exists at the start is not collected, and collections of the rest are rare and timed.
    """

    def __init__(self) -> None:
        self.lag = array("f")
        self._longest = 0.0
        self._window_end = 0.0
        self._pauses: list[float] = []
        self._pause_began = 0.0
        self._thresholds = gc.get_threshold()
        self._cpu = self._wall = 0.0

    def __enter__(self) -> Self:
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        gc.callbacks.append(self._collected)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        gc.callbacks.remove(self._collected)
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()

    def begin(self) -> None:
        """The run proper starts: forget what opening connections took."""
        self.lag = array("f")
        self._longest = 0.0
        self._pauses = []
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def turned(self, woke: float, slept: float) -> None:
        """The loop has dealt with what was ready, from ``woke`` to ``slept``."""
        busy = slept - woke
        if busy > self._longest:
            self._longest = busy
        if slept >= self._window_end:
            self.lag.append(self._longest)
            self._longest = 0.0
            self._window_end = slept + WINDOW_S

    def health(
        self,
        *,
        peak_in_flight: int,
        connections_opened: int,
        retried: int,
        fd_limit: int,
        io_uring: bool,
        compiled: bool,
        unstamped: int,
        merged: int,
        first_merged: int,
        clock_moved_s: float,
    ) -> ClientHealth:
        """The figures since ``begin``."""
        return ClientHealth(
            cpu_s=time.process_time() - self._cpu,
            wall_s=time.perf_counter() - self._wall,
            loop_lag=np.frombuffer(self.lag, np.float32),
            io_uring=io_uring,
            compiled=compiled,
            unstamped=unstamped,
            merged=merged,
            first_merged=first_merged,
            clock_moved_s=clock_moved_s,
            gc_pauses=tuple(self._pauses),
            peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
            peak_in_flight=peak_in_flight,
            connections_opened=connections_opened,
            retried=retried,
            fd_limit=fd_limit,
        )

    def _collected(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._pause_began = time.perf_counter()
        else:
            self._pauses.append(time.perf_counter() - self._pause_began)


class Idleness:
    """How long this thread did not run: it slept, others had its processor, or the whole machine
    stood still. By the system's account of its processor time, at a few moments that are marked.
    """

    def __init__(self) -> None:
        self._marks = deque([(0.0, 0.0)] * MARKS, MARKS)

    def mark(self, now: float) -> None:
        """Note the processor time used by ``now``, the present."""
        self._marks.append((now, own_time()))

    def since(self, moment: float, now: float, own: float) -> float:
        """Seconds between ``moment`` and ``now``, by when ``own`` was used, in which it did not
        run, at least: what it used since the last mark before ``moment`` may all have come after
        it. Of what was before the oldest mark nothing is known, and nothing counted.
        """
        marks = iter(self._marks)
        began, used = next(marks)
        for mark in marks:
            if mark[0] > moment:
                break
            began, used = mark
        return max(0.0, now - max(moment, began) - (own - used))


class RunQueue:
    """How long this thread was ready to run but did not, since others had the processor.

    Linux's own account (``/proc/thread-self/schedstat``); where there is none, always 0.
    """

    def __init__(self) -> None:
        try:
            self._file = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        except OSError:
            self._file = -1
        self._former = self._latest = self._total()

    def look(self) -> None:
        """The sockets are looked at now."""
        self._former, self._latest = self._latest, self._total()

    def waited_s(self) -> float:
        """Seconds of waiting since the look before the latest."""
        return self._total() - self._former

    def close(self) -> None:
        """Let the file go."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _total(self) -> float:
        if self._file < 0:
            return 0.0
        return int(os.pread(self._file, 100, 0).split()[1]) / 1e9
