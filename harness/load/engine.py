"""A load run from start to end: what goes in, what comes out, and how it is interrupted."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from harness.load.client_health import ClientHealth, Watch
from harness.load.columns import Columns
from harness.load.glance import Glance
from harness.load.loop import Loop
from harness.load.pacing import ClosedLoop, OpenLoop
from harness.load.spool import Spool
from harness.load.target import Deck, Target

__all__ = ["ClientHealth", "ClosedLoop", "LoadResult", "OpenLoop", "run_load", "signals"]


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Everything a run measured; no verdict."""

    columns: Columns
    client: ClientHealth
    started: float
    """``time.perf_counter()`` at the start: what moments count from."""
    started_at: float
    """``time.time()`` at the start."""
    duration_s: float
    """From the start until the last request had ended."""
    interrupted: bool
    """Stopped by a signal or by ``stop`` before its end."""
    bodies: Path | None
    """The file of the bodies; see ``Columns.body_at``."""


def run_load(
    target: Target,
    deck: Deck,
    workload: OpenLoop | ClosedLoop,
    *,
    timeout_s: float = 300.0,
    connect_timeout_s: float = 10.0,
    bodies: Path | None = None,
    stop: threading.Event | None = None,
    progress: Callable[[Callable[[], Glance]], None] | None = None,
) -> LoadResult:
    """Run the whole workload and return; blocks the calling thread.

    ``timeout_s`` bounds a request from its sending, the opening of its connection included.
    ``bodies``: file to which the bodies of answers go (None: not kept). ``stop``: set it from
    another thread to end early, as SIGINT and SIGTERM do on the main thread. ``progress`` is called
    about twenty times a second with a function that has a look at the load. Raises InputError when
    the target's host has no address or the file of bodies cannot be written.
    """
    stop = stop or threading.Event()
    spool = Spool(bodies) if bodies is not None else None
    try:
        with signals(stop.set), Watch() as watch:
            loop = Loop(target, deck, workload, watch, spool, timeout_s, connect_timeout_s)
            try:
                loop.open_ahead(stop)
                started, started_at = time.perf_counter(), time.time()
                watch.begin()
                interrupted = loop.run(started, stop, progress)
                ended = time.perf_counter()
                client = loop.health()
            finally:
                loop.close()
    finally:
        if spool is not None:
            spool.close()
    return LoadResult(
        columns=loop.recorder.columns(started),
        client=client,
        started=started,
        started_at=started_at,
        duration_s=ended - started,
        interrupted=interrupted,
        bodies=bodies,
    )


@contextmanager
def signals(take: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM call ``take``, where handlers may be set at all; then the former do."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        take()

    numbers = (signal.SIGINT, signal.SIGTERM)
    former = [signal.signal(number, handle) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, former, strict=True):
            signal.signal(number, handler)
