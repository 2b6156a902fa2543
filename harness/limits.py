"""How many calls may be in flight: a limit that follows what the server can take. Pure."""

import math
from typing import Literal

from harness.records import ErrorType

Reason = Literal["start", "growth", "latency", "probe", "rate_limited", "timeout"]
"""Why the limit last moved: it was used and there was room; calls stood in a queue; the baseline
was looked for with fewer calls; the server refused a call; a call took too long.
"""

_LEFT_AFTER: dict[ErrorType, tuple[float, Reason]] = {
    "rate_limited": (0.9, "rate_limited"),  # told at once, so a little is enough
    "timeout": (0.7, "timeout"),  # told late
}
_WINDOW = 5  # calls: the fewest that make a mean
_PROBE_EVERY = 30  # windows
_PROBE_SOON = 3  # windows: at the start, and when a fall for latency puts the baseline in doubt
_PROBE_SHARE = 0.4  # of the calls in flight: with half, one server is never seen without a queue
_DRIFT = 0.1  # of the way that the baseline goes down to a lower mean


class AdaptiveLimit:
    """A concurrency limit between ``least`` and ``most`` (equal: fixed), beginning at ``start``.

    Once a window, which is as many calls as the limit and so about a round trip, it asks how many
    calls stood in the server's queue: by Little's law ``in flight × (1 − baseline ÷ latency)``, as
    TCP Vegas does (Brakmo and Peterson, 1995). As in Netflix's concurrency-limits (Gradient2), the
    square root of those in flight is the queue that keeps a server busy through noise. With a
    shorter one the limit, if it was used, grows by one or half that root; with a longer one it
    falls by at most one; with one more than twice as long, at once to what the server did without
    a queue. A refusal leaves nine tenths of the limit, a time-out seven, once a round trip; no
    fall leaves less than half.

    The baseline is the mean latency where no queue is of the limit's own making. That can be seen
    only with fewer calls in flight, so now and then, and soon after a steep fall, one window is
    run with 0.4 of them, as BBR probes the round-trip time, and its mean becomes the baseline.
    This tells a server that has become slower for good from one that has too much to do.
    """

    def __init__(self, least: int = 1, most: int = 64, start: int = 3) -> None:
        if not 1 <= least <= start <= most:
            raise ValueError(f"not 1 ≤ least ≤ start ≤ most: {least}, {start}, {most}")
        self._least = least
        self._most = most
        self._limit = float(start)
        self._reason: Reason = "start"
        self._whole = start  # what holds now: the limit in whole calls, or fewer during a probe
        self._probing = False
        self._until_probe = _PROBE_SOON
        self._baseline: float | None = None
        self._recent: float | None = None
        self._load: float | None = None
        self._restart(-math.inf)

    @property
    def limit(self) -> int:
        """How many calls may be in flight now."""
        return self._whole

    def observe(
        self, latency_s: float | None, failure: ErrorType | None, in_flight: int, now: float
    ) -> None:
        """Learn from one call that has ended.

        ``latency_s``: seconds from its start to its end (None: not known, it counts as begun just
        now); ``failure``: why it got no answer, or None if it got one, whose latency is then
        needed; ``in_flight``: calls in flight at its end, itself included; ``now``: monotonic
        seconds. Of the failures only refusals and time-outs say something of the load.
        """
        if now - (latency_s or 0.0) <= self._since:
            return  # begun under another limit, or in the moment of its change
        if failure is None:
            if latency_s is None:
                raise ValueError("an answered call has a latency")
            self._calls += 1
            self._latency_sum += latency_s
            self._in_flight_sum += in_flight
            self._used |= in_flight >= self._whole
            if self._calls >= _WINDOW and self._calls >= self._whole:
                self._end_window(now)
        elif failure in _LEFT_AFTER:
            share, reason = _LEFT_AFTER[failure]
            self._probing = False
            self._fall(min(self._limit, in_flight) * share, reason, now)

    def state(self) -> dict[str, float | str | None]:
        """For metrics: the ``limit`` now; of the last window the mean calls ``in_flight`` and
        their mean latency ``recent_s``; ``baseline_s``; and the ``reason`` of the last move.
        """
        return {
            "limit": self.limit,
            "in_flight": self._load,
            "recent_s": self._recent,
            "baseline_s": self._baseline,
            "reason": self._reason,
        }

    def _restart(self, since: float) -> None:
        """Begin a window of calls that were sent after ``since``."""
        self._since = since
        self._calls = 0
        self._latency_sum = 0.0
        self._in_flight_sum = 0
        self._used = False

    def _end_window(self, now: float) -> None:
        recent = self._recent = self._latency_sum / self._calls
        load = self._load = self._in_flight_sum / self._calls
        used = self._used
        # Calls that were sent before the window's end count for the next one too: the small moves
        # change little for them, and after the large ones the window begins anew.
        self._restart(self._since)
        if self._probing:
            self._probing = False
            self._whole = int(self._limit)
            self._baseline = recent
            self._until_probe = _PROBE_EVERY
            return
        if self._baseline is None:
            self._baseline = recent
        elif recent < self._baseline:
            self._baseline += _DRIFT * (recent - self._baseline)
        self._follow(load, load * (1 - self._baseline / recent) if recent else 0.0, used, now)
        self._until_probe -= 1
        if self._until_probe <= 0 and load >= 2:  # a call by itself has no queue to hide
            self._probing = True
            self._whole = max(self._least, int(min(load, self._limit) * _PROBE_SHARE))
            self._reason = "probe"
            self._restart(now)

    def _follow(self, load: float, queue: float, used: bool, now: float) -> None:
        """Move the limit towards a queue of the root of the load."""
        root = math.sqrt(load)
        room = root - queue
        if room < -root:
            self._until_probe = min(self._until_probe, _PROBE_SOON)
            self._fall(load + room, "latency", now)
        elif room < 0:
            self._move(self._limit + max(-1.0, room), "latency")
        elif used:
            self._move(self._limit + min(max(1.0, root / 2), room), "growth")

    def _fall(self, limit: float, reason: Reason, now: float) -> None:
        self._move(max(self._limit / 2, min(self._limit, limit)), reason)
        self._restart(now)

    def _move(self, limit: float, reason: Reason) -> None:
        self._limit = min(max(limit, float(self._least)), float(self._most))
        self._whole = int(self._limit)
        self._reason = reason
