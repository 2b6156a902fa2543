"""When requests are due: a schedule that waits for nobody, or users who wait for their answers."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt

from harness.errors import InputError

NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Requests leave at ``offsets`` (seconds from the start, ascending) whatever comes back.

    More than ``max_in_flight`` at once are not sent but counted as dropped; or, if ``waits``, they
    wait until one of so many callers is free. ``connections`` are opened before the start.
    """

    offsets: npt.NDArray[np.float64]
    max_in_flight: int = 10_000
    waits: bool = False
    connections: int = 0

    def __post_init__(self) -> None:
        if len(self.offsets) and (self.offsets[0] < 0 or np.any(np.diff(self.offsets) < 0)):
            raise InputError("the moments of a schedule must ascend from 0 or later")
        if not np.all(np.isfinite(self.offsets)):
            raise InputError("the moments of a schedule must be finite numbers")
        if self.max_in_flight < 1:
            raise InputError("at least one request must be allowed in flight")


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """``users`` who each send, await the answer, think for ``think_s`` and send again.

    No request is issued after ``requests`` were or ``duration_s`` is over (None: no such end; one
    of the two is needed). The users' starts are spread evenly over ``spread_s`` seconds.
    """

    users: int
    requests: int | None = None
    duration_s: float | None = None
    think_s: float = 0.0
    spread_s: float = 0.0

    def __post_init__(self) -> None:
        if self.users < 1:
            raise InputError("a closed loop needs at least one user")
        if self.requests is None and self.duration_s is None:
            raise InputError("a closed loop needs an end: a number of requests or a duration")


class OpenPacer:
    """Gives the moments of an open loop, on the run's own clock, one by one."""

    def __init__(self, loop: OpenLoop) -> None:
        self._offsets = np.asarray(loop.offsets, np.float64)
        self._moments: Iterator[float] = iter(())
        self.due = NEVER

    def begin(self, now: float) -> None:
        """Start the schedule at ``now``."""
        # Unpacked once, since numpy's own numbers are slow one by one.
        self._moments = (now + offset for offset in array("d", self._offsets.tobytes()))
        self.due = next(self._moments, NEVER)

    def take(self) -> float:
        """The moment that is due; ``due`` becomes the next."""
        moment = self.due
        self.due = next(self._moments, NEVER)
        return moment

    def freed(self, moment: float) -> None:
        """An answer changes nothing."""

    def stop(self) -> None:
        """Nothing more is due."""
        self._moments = iter(())
        self.due = NEVER


class ClosedPacer:
    """Gives the moments at which users are ready, on the run's own clock."""

    def __init__(self, loop: ClosedLoop) -> None:
        self._loop = loop
        self._ready: list[float] = []
        self._think_s = loop.think_s
        self._left = loop.requests if loop.requests is not None else NEVER
        self._end = NEVER
        self.due = NEVER

    def begin(self, now: float) -> None:
        """Let the users come from ``now`` on."""
        loop = self._loop
        if loop.duration_s is not None:
            self._end = now + loop.duration_s
        # Evenly spread and ascending, so a heap already.
        self._ready = [now + loop.spread_s * user / loop.users for user in range(loop.users)]
        self.due = now if self._left > 0 and now < self._end else NEVER

    def take(self) -> float:
        """The moment that is due; ``due`` becomes the next."""
        self._left -= 1
        ready = self._ready
        moment = heappop(ready)
        self.due = ready[0] if ready and self._left > 0 and ready[0] < self._end else NEVER
        return moment

    def freed(self, moment: float) -> None:
        """A user who has the answer, or none, by ``moment`` will be ready after thinking."""
        moment += self._think_s
        heappush(self._ready, moment)
        if moment < self.due and moment < self._end and self._left > 0:
            self.due = moment

    def stop(self) -> None:
        """Nothing more is due."""
        self._left = 0
        self.due = NEVER


def make_pacer(loop: OpenLoop | ClosedLoop) -> OpenPacer | ClosedPacer:
    """The pacer of a loop, not yet begun."""
    return OpenPacer(loop) if isinstance(loop, OpenLoop) else ClosedPacer(loop)
