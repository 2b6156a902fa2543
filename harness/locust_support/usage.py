"""What a Locust process uses while a test runs, and how late its greenlets are."""

import resource
import sys
import time
from array import array

import gevent

from harness.records import BlockRecord

HEARTBEAT_S = 0.010
MOST_LAGS = 10_000


class Usage:
    """Counts from its making until ``ended``."""

    def __init__(self, origin: float) -> None:
        """``origin``: the ``time.perf_counter()`` that moments count from."""
        self._origin = origin
        self._began = time.perf_counter()
        self._cpu = time.process_time()
        self._lags = array("f")
        self._beat = gevent.spawn(self._heartbeat)

    def ended(self, trials: int) -> BlockRecord:
        """What was used; ``lag_s`` is by how much a 10 ms heartbeat was late."""
        self._beat.kill(block=False)
        lags = self._lags[:: max(1, -(-len(self._lags) // MOST_LAGS))]
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return BlockRecord(
            block=0,
            pipeline="",
            segment=0,
            repeat=0,
            position=0,
            warmup=False,
            started=self._began - self._origin,
            ended=time.perf_counter() - self._origin,
            trials=trials,
            cpu_s=time.process_time() - self._cpu,
            peak_rss_mb=kilobytes / (1e6 if sys.platform == "darwin" else 976.5625),
            peak_threads=None,
            peak_sockets=None,
            lag_s=tuple(lags),
        )

    def _heartbeat(self) -> None:
        while True:
            due = time.perf_counter() + HEARTBEAT_S
            gevent.sleep(HEARTBEAT_S)
            self._lags.append(max(0.0, time.perf_counter() - due))
