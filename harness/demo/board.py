"""The latest run of each way in one browser session, gone on threads beside Streamlit's own."""

import threading
from contextlib import suppress

from harness.clock import MonotonicClock, run_loop
from harness.demo.asked import Batch
from harness.demo.client import Client, Problem
from harness.demo.ways import Progress, Way, go_in_turn
from harness.sync_bridge import run_sync


class Board:
    """Starts ways, shows how far they are, cancels the job. ``url`` is the service's."""

    def __init__(self, url: str) -> None:
        self.progress: dict[Way, Progress] = {}
        self.latest: Progress | None = None
        """What came to its end last."""
        self._url = url
        self._clock = MonotonicClock()

    @property
    def running(self) -> bool:
        return any(not progress.over for progress in self.progress.values())

    @property
    def ended(self) -> int:
        """How many ways have a result."""
        return sum(progress.over for progress in self.progress.values())

    @property
    def longest(self) -> float:
        """Seconds that the slowest way has taken so far; 0 before the first."""
        return max((p.elapsed or 0.0 for p in self.progress.values()), default=0.0)

    def start(self, edits: dict[Way, Batch]) -> None:
        """Go the ways one after the other, so that none slows another; nothing while one runs."""
        if self.running or not edits:
            return
        made = [Progress(way, batch, self._clock, watch=self._note) for way, batch in edits.items()]
        self.progress.update({progress.way: progress for progress in made})
        # A daemon: when the page's server is stopped, nobody reads the answers any more.
        going = go_in_turn(made, self._url)
        threading.Thread(target=run_loop, args=(going,), daemon=True).start()

    def cancel(self) -> None:
        """Cancel the background job; returns when the service has let it go."""
        progress = self.progress.get("job")
        if progress is None or progress.over or progress.job is None:
            return
        with suppress(Problem):  # the job's own events say how it ended
            run_sync(self._cancel(progress.job))

    async def _cancel(self, job: str) -> None:
        async with Client(self._url) as client:
            await client.cancel(job)

    def _note(self, progress: Progress) -> None:
        if progress.over:
            self.latest = progress
