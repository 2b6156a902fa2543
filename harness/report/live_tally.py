"""What a run has done so far: counts, rate, time left, and percentiles from a histogram.

For a view of work under way only. Its percentiles are true to 1 %; those of reports are exact.
"""

import math
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

RATIO = 1.02  # of a bin's ends, so its middle is within 1 % of every value in it
LEAST = 1e-6
WINDOW_S = 10.0
_STEP = math.log(RATIO)


class Histogram:
    """Counts of positive values in bins of equal ratio; anything below 1e-6 counts as that."""

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()
        self.n = 0

    def add(self, values: Iterable[float]) -> None:
        """Count ``values``, each finite."""
        for value in values:
            self._bins[math.floor(math.log(max(value, LEAST)) / _STEP)] += 1
            self.n += 1

    def quantile(self, p: float) -> float | None:
        """The value below which a share ``p`` lies; None with fewer than one value beyond it."""
        if self.n * (1 - p) < 1 - 1e-9:
            return None
        left = p * self.n
        for place in sorted(self._bins):
            left -= self._bins[place]
            if left < 0:
                return math.exp((place + 0.5) * _STEP)
        return None


@dataclass(slots=True)
class ArmTally:
    """What one arm has done so far; ``times`` are response times in seconds, warm-up left out."""

    outcomes: Counter[str] = field(default_factory=Counter)
    times: Histogram = field(default_factory=Histogram)


class Tally:
    """A run so far; moments are seconds on any one clock.

    ``total``: trials that there will be, ``already`` of them done by ``began``; ``seconds``: how
    long it will last (None: not known). ``at_most``: ``in_flight`` is a bound, since trials may be
    waiting for their moment.
    """

    def __init__(
        self, began: float, *, total: int | None, already: int = 0, seconds: float | None = None
    ) -> None:
        self.total = total
        self.seconds = seconds
        self.done = already
        self.arms: dict[str, ArmTally] = {}
        self.now_running: str | None = None
        self.in_flight: int | None = None
        self.at_most = False
        self.lag = Histogram()
        self._began = began
        self._already = already
        self._seen = deque([(began, already)])

    def arm(self, name: str) -> ArmTally:
        """The tally of an arm, which begins with its first trial."""
        return self.arms.setdefault(name, ArmTally())

    def count(self, arm: str, outcome: str, response_time: float | None) -> None:
        """One trial that is no warm-up has ended; its response time in seconds, if it has one."""
        mine = self.arm(arm)
        mine.outcomes[outcome] += 1
        if response_time is not None:
            mine.times.add((response_time,))

    def looked(self, now: float) -> None:
        """Note that the counts are those of ``now``: what rates are made of."""
        self._seen.append((now, self.done))
        while len(self._seen) > 2 and self._seen[1][0] <= now - WINDOW_S:
            self._seen.popleft()

    def elapsed(self, now: float) -> float:
        return now - self._began

    @property
    def rate(self) -> float | None:
        """Trials per second over the last ten seconds; None before the first look."""
        (first, before), (last, done) = self._seen[0], self._seen[-1]
        return (done - before) / (last - first) if last > first else None

    def left(self, now: float) -> float | None:
        """Seconds still to go: of the time that was set, or at the pace since the start."""
        if self.seconds is not None:
            return max(0.0, self.seconds - self.elapsed(now))
        done = self.done - self._already
        if self.total is None or done < 1 or self.elapsed(now) <= 0:
            return None
        return max(0, self.total - self.done) * self.elapsed(now) / done

    def share(self, now: float) -> float | None:
        """How much of the run is over, from 0 to 1; None where nothing bounds it."""
        if self.total is not None:
            return min(1.0, self.done / self.total) if self.total else 1.0
        if self.seconds:
            return min(1.0, self.elapsed(now) / self.seconds)
        return None
