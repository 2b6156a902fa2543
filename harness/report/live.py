"""The process that draws a run's dashboard, four times a second, so that the run need not.

Started by ``progress``. On its standard input it is told about the run in one line of JSON, then
what the run has to say, a line each time; when that ends it takes the dashboard off the terminal.
"""

import contextlib
import os
import select
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import psutil

from harness.report.live_screen import View, dashboard
from harness.report.live_sources import Glances, RunFolder, Source, Stretches
from harness.report.live_tally import Tally

DRAW_S = 0.25
NICENESS = 19


def main() -> None:
    """Draw on standard error until standard input ends."""
    from rich.console import Console
    from rich.live import Live

    os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    inbox = Inbox(sys.stdin.fileno())
    about = inbox.first()
    if about is None:
        return
    tally = Tally(
        about["began"],
        total=about["total"],
        already=about["already"],
        seconds=about["seconds"],
    )
    view = View(about["title"], about["folder"] is None, about["lang"])
    source = _source(about, tally)
    cpu = Cpu(about["pid"])
    console = Console(stderr=True)
    with Live(
        console=console,
        auto_refresh=False,
        transient=True,  # its figures are rough: only the exact ones stay
        redirect_stdout=False,
        redirect_stderr=False,
    ) as live:
        while not inbox.ended:
            for message in inbox.messages():
                source.told(message)
            now = time.monotonic()
            source.look(now)
            live.update(dashboard(view, tally, now, cpu.share()), refresh=True)


class Inbox:
    """Lines of JSON from a pipe; a line that is not whole is passed over."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._rest = b""
        self._come: deque[Mapping[str, Any]] = deque()
        self.ended = False

    def first(self) -> Mapping[str, Any] | None:
        """The first message, waiting for it; None when there is none."""
        while not self._come and not self.ended:
            self._wait(DRAW_S)
        return self._come.popleft() if self._come else None

    def messages(self) -> Iterator[Mapping[str, Any]]:
        """Those that come within a quarter of a second."""
        until = time.monotonic() + DRAW_S
        while not self.ended and (left := until - time.monotonic()) > 0:
            self._wait(left)
        while self._come:
            yield self._come.popleft()

    def _wait(self, seconds: float) -> None:
        if not select.select([self._handle], [], [], seconds)[0]:
            return
        data = os.read(self._handle, 1 << 16)
        self.ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            with contextlib.suppress(orjson.JSONDecodeError):
                self._come.append(orjson.loads(line))


class Cpu:
    """Processor time of another process, seen from outside."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._before = self._used()

    def share(self) -> float | None:
        """Of one core, since the last call; None where it cannot be told."""
        before, self._before = self._before, self._used()
        if before is None or self._before is None or self._before[1] <= before[1]:
            return None
        return (self._before[0] - before[0]) / (self._before[1] - before[1])

    def _used(self) -> tuple[float, float] | None:
        """(processor seconds so far, the moment)."""
        try:
            used = self._process.cpu_times()
        except psutil.Error:
            return None
        return used.user + used.system, time.monotonic()


def _source(about: Mapping[str, Any], tally: Tally) -> Source:
    if about["folder"] is None:
        return Glances(tally)
    tally.at_most = about["at_most"]
    stretches = Stretches(about["blocks"], about["slots"])
    return RunFolder(tally, Path(about["folder"]), stretches)


if __name__ == "__main__":
    main()
