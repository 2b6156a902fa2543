"""When the requests of an open loop are wanted: every moment computed before the run, seeded.

A *rate* says how many are wanted per second as time goes by; a *process* says how they scatter
around it. The process is drawn at rate one and its time is then stretched so that the rate comes
out (the time-rescaling theorem), which is exact for a ramp or steps too. Moment i of a schedule is
the same however the schedule is shared out: n workers take ``offsets[k::n]``.
"""

import math
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.errors import InputError

Floats: TypeAlias = NDArray[np.float64]
Process = Literal["constant", "poisson", "gamma"]

MOST_REQUESTS = 50_000_000
MOST_RATE = 1e6  # per second
SALT = 0x10AD  # other draws of a run may use the same seed
_NUMBER = r"\d{1,9}(?:\.\d{1,9})?"
_STRETCH = re.compile(rf"(?P<a>{_NUMBER})(?:\.\.(?P<b>{_NUMBER}))?(?:@(?P<s>{_NUMBER})s?)?")
_RATES = "write R, a ramp A..B or steps R,R,R, each with its seconds if you like: 10..50@60,50@300"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a schedule whose rate goes in a straight line from ``a`` to ``b`` per second.

    ``seconds`` None: as long as the schedule, or its equal share of it, lasts.
    """

    a: float
    b: float
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Arrivals:
    """A rate over time, and the process around it.

    ``constant``: equal gaps, the first request at 0. ``poisson``: exponential gaps, as from many
    callers who do not know of each other. ``gamma``: gaps with the coefficient of variation
    ``cv``; below 1 more even than Poisson, above 1 in bursts. The run begins at any moment of such
    traffic, not at a request: else bursts would send more than the rate, most of it at the start.
    """

    stretches: tuple[Stretch, ...]
    process: Process = "poisson"
    cv: float = 1.0

    @classmethod
    def parse(cls, rate: str, arrival: str) -> "Arrivals":
        """Read ``--rate`` and ``--arrival``. Raises InputError."""
        stretches = tuple(_stretch(rate, part.strip()) for part in rate.split(","))
        if len({stretch.seconds is None for stretch in stretches}) > 1:
            raise InputError(f"--rate {rate!r}: give seconds to every part, or to none")
        if not any(stretch.a or stretch.b for stretch in stretches):
            raise InputError(f"--rate {rate!r}: nothing would be sent")
        return cls(stretches, *parse_arrival(arrival))

    def offsets(self, seed: int, *, duration: float | None, requests: int | None) -> Floats:
        """Ascending seconds from the start of the run at which a request is wanted.

        It ends after ``duration`` seconds, ``requests`` requests or the last stretch, whichever
        comes first. Raises InputError when it would never end, is too large, or is empty.
        """
        spans = self._spans(duration, requests)
        most = MOST_REQUESTS + 1 if requests is None else requests
        total = sum((a + b) / 2 * seconds for a, b, seconds in spans)
        if min(total, most) > MOST_REQUESTS:
            raise InputError(
                f"the schedule has more than {MOST_REQUESTS:,} requests; "
                "lower --rate, --duration or --requests"
            )
        found = _stretched(self._units(seed, total, most), spans)
        if not found.size:
            raise InputError("the schedule is empty: raise --rate or --duration")
        return found

    def seconds(self, duration: float | None) -> float | None:
        """How long the schedule lasts at most; None: as long as there are requests."""
        own = [stretch.seconds for stretch in self.stretches if stretch.seconds is not None]
        ends = [duration] if duration is not None else []
        return min([*ends, sum(own)] if own else ends, default=None)

    def _spans(
        self, duration: float | None, requests: int | None
    ) -> list[tuple[float, float, float]]:
        """(rate at its start, rate at its end, seconds) of each part, cut at ``duration``."""
        first = self.stretches[0]
        if first.seconds is None:
            seconds = math.inf if duration is None else duration / len(self.stretches)
            steady = len(self.stretches) == 1 and first.a == first.b
            if duration is None and not (steady and requests):
                needed = "--duration or --requests" if steady else "--duration"
                raise InputError(f"--rate: the schedule would never end; give {needed}")
            return [(stretch.a, stretch.b, seconds) for stretch in self.stretches]
        spans = []
        left = math.inf if duration is None else duration
        for stretch in self.stretches:
            assert stretch.seconds is not None
            kept = min(stretch.seconds, left)
            if kept > 0:
                end = stretch.a + (stretch.b - stretch.a) * kept / stretch.seconds
                spans.append((stretch.a, end, kept))
            left -= kept
        return spans

    def _units(self, seed: int, total: float, most: int) -> Floats:
        """Moments below ``total`` of the process at rate one, at most ``most``."""
        expected = min(float(most), total)
        if self.process == "constant":
            return np.arange(math.ceil(expected - 1e-9), dtype=np.float64)
        rng = np.random.default_rng([seed, SALT])
        chunk = int(expected + 6 * self.cv * math.sqrt(expected)) + 16
        shape = 1 / self.cv**2
        parts: list[Floats] = []
        reached, count = 0.0, 0
        while reached < total and count < most:
            if self.process == "poisson":
                gaps = rng.exponential(1.0, chunk)
            else:
                gaps = rng.gamma(shape, 1 / shape, chunk)
                if not parts:
                    # What is left of a gap in which a moment falls: longer ones catch more moments
                    # (the equilibrium renewal process).
                    gaps[0] = rng.gamma(shape + 1, 1 / shape) * rng.random()
            parts.append(reached + np.cumsum(gaps))
            reached, count = float(parts[-1][-1]), count + chunk
        units = np.concatenate(parts)[:most]
        return units[: int(np.searchsorted(units, total))]


def window_full(rate: float, arrival: str, seed: int, requests: int) -> Floats:
    """Ascending seconds of so many requests that fall into exactly ``requests / rate`` seconds, so
    that it is ``rate`` per second that is sent and not what a draw happens to be.

    One more is drawn, and time is stretched so that it comes at the end of the window. Of Poisson
    arrivals this is the law that they have given their number. Raises InputError for an unknown
    ``arrival``.
    """
    arrivals = Arrivals((Stretch(rate, rate, None),), *parse_arrival(arrival))
    drawn = arrivals.offsets(seed, duration=None, requests=requests + 1)
    offsets: Floats = drawn[:-1] * (requests / rate / drawn[-1])
    return offsets


def parse_arrival(text: str) -> tuple[Process, float]:
    """The process and its coefficient of variation. Raises InputError."""
    name, given, value = text.partition(":")
    if name == "constant" and not given:
        return "constant", 0.0
    if name == "poisson" and not given:
        return "poisson", 1.0
    if name == "gamma" and re.fullmatch(_NUMBER, value) and 0.01 <= float(value) <= 10:
        return "gamma", float(value)
    raise InputError(
        f"--arrival {text!r}: write poisson, constant or gamma:CV "
        "with a coefficient of variation from 0.01 to 10"
    )


def _stretch(rate: str, part: str) -> Stretch:
    match = _STRETCH.fullmatch(part)
    if match is None:
        raise InputError(f"--rate {rate!r}: {part!r} is no rate per second; {_RATES}")
    a = float(match["a"])
    b = a if match["b"] is None else float(match["b"])
    if max(a, b) > MOST_RATE:
        raise InputError(f"--rate {rate!r}: at most {MOST_RATE:,.0f} per second")
    seconds = None if match["s"] is None else float(match["s"])
    if seconds == 0:
        raise InputError(f"--rate {rate!r}: {part!r} lasts no time")
    return Stretch(a, b, seconds)


def _stretched(units: Floats, spans: list[tuple[float, float, float]]) -> Floats:
    """Moments at rate one → seconds: the inverse of the expected count up to each second.

    Within a span the count after t seconds is at + (b − a)t²/2d; of the two forms of its root the
    one without cancellation is taken.
    """
    parts = []
    begun, before = 0.0, 0.0
    for a, b, seconds in spans:
        whole = (a + b) / 2 * seconds
        first, last = np.searchsorted(units, (before, before + whole))
        u = units[first:last] - before
        root = np.sqrt(np.maximum(a * a + 2 * (b - a) / seconds * u, 0.0))
        bottom = a + root
        parts.append(begun + np.divide(2 * u, bottom, out=np.zeros_like(u), where=bottom > 0))
        begun, before = begun + seconds, before + whole
    # Rounding may set the last moment of a span a hair after the first of the next.
    return np.maximum.accumulate(np.concatenate(parts))
