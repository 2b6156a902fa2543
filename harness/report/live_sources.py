"""Where the live view learns from: the growing files of a run, or what a load says of itself."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import orjson

from harness.records import ANSWERED
from harness.report.live_tally import Tally
from harness.store import BLOCKS, RECORDS

LOAD = "load"


class Source(Protocol):
    """Keeps a tally up to date."""

    def told(self, message: Mapping[str, Any]) -> None:
        """The run says something of itself."""
        ...

    def look(self, now: float) -> None:
        """Bring the tally up to date."""
        ...


class Tail:
    """The lines that are added to a file, which need not exist yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0

    def lines(self) -> Iterator[bytes]:
        """The whole lines since the last time; one that is being written waits for the next."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._at)
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    self._at += len(line)
                    yield line
        except FileNotFoundError:
            return


class Stretches:
    """Which arm is running, and how many of its trials are in flight.

    A freed slot takes its next trial at once, so the plan and the finished trials tell both.
    ``blocks``: (index, trials of each arm, arms in order); ``slots``: of each arm.
    """

    def __init__(
        self, blocks: Sequence[tuple[int, int, Sequence[str]]], slots: Mapping[str, int]
    ) -> None:
        self._slots = slots
        self._left = {(index, arm): n for index, n, arms in blocks for arm in arms}
        self._order = iter(list(self._left))
        self._now = next(self._order, None)

    def finished(self, block: int, arm: str) -> None:
        """A trial of this arm has ended."""
        self._left[block, arm] -= 1
        while self._now is not None and self._left[self._now] <= 0:
            self._now = next(self._order, None)

    def running(self) -> tuple[str | None, int]:
        """The arm and how many of its trials are in flight; (None, 0) once all are done."""
        if self._now is None:
            return None, 0
        arm = self._now[1]
        return arm, min(self._slots[arm], self._left[self._now])


class RunFolder:
    """A run that is being recorded into a folder; the run itself tells nothing and pays nothing."""

    def __init__(self, tally: Tally, folder: Path, stretches: Stretches) -> None:
        self._tally = tally
        self._records = Tail(folder / RECORDS)
        self._blocks = Tail(folder / BLOCKS)
        self._stretches = stretches
        tally.done = 0  # those of before are in the files too

    def told(self, message: Mapping[str, Any]) -> None:
        """Nothing is told."""

    def look(self, now: float) -> None:
        """Read what has been recorded since the last time."""
        for line in self._records.lines():
            self._trial(orjson.loads(line))
        for line in self._blocks.lines():
            block = orjson.loads(line)
            if not block["warmup"]:
                self._tally.lag.add(block["lag_s"])
        self._tally.now_running, self._tally.in_flight = self._stretches.running()
        self._tally.looked(now)

    def _trial(self, trial: Mapping[str, Any]) -> None:
        arm, outcome = trial["pipeline"], trial["outcome"]
        if outcome != "cancelled":  # it will be run again
            self._tally.done += 1
            self._stretches.finished(trial["block"], arm)
        if not trial["warmup"]:
            answered = outcome in ANSWERED and trial["done"] is not None
            time = trial["done"] - trial["scheduled"] if answered else None
            self._tally.count(arm, outcome, time)


class Glances:
    """A load, which sends its counts and some response times four times a second."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._news = False

    def told(self, message: Mapping[str, Any]) -> None:
        """Take one glance: all counts so far, and times and lags since the last."""
        finished, failed = message["finished"], message["failed"]
        arm = self._tally.arm(LOAD)
        arm.outcomes["answered"], arm.outcomes["error"] = finished - failed, failed
        arm.times.add(message["times_s"])
        self._tally.done = finished
        self._tally.in_flight = message["in_flight"]
        self._tally.lag.add(message["lag_s"])
        self._news = True

    def look(self, now: float) -> None:
        """Note when something was told: a load that is over says no more, and its rate stays."""
        if self._news:
            self._tally.looked(now)
        self._news = False
