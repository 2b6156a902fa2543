"""The progress bar of a run: counts, rate and time left, on standard error of a terminal."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from harness.records import OUTCOMES, TrialRecord
from harness.session import Session


@contextmanager
def show_progress(session: Session, *, quiet: bool) -> Iterator[Callable[[TrialRecord], None]]:
    """A function to call with each record; silent when ``quiet`` or without a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda record: None
        return
    counts: Counter[str] = Counter()
    bar = Progress(
        TextColumn("{task.fields[arm]:12}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[outcomes]}"),
        console=Console(stderr=True),
        refresh_per_second=4,
    )
    with bar:
        task = bar.add_task("", total=session.total, arm="", rate="", outcomes="")
        started = False

        def advance(record: TrialRecord) -> None:
            nonlocal started
            if not started:
                bar.update(task, completed=session.already)
                started = True
            counts[record.outcome] += 1
            shown = "  ".join(f"{name} {counts[name]}" for name in OUTCOMES if counts[name])
            speed = bar.tasks[0].speed
            rate = f"{speed:.1f}/s" if speed else ""
            bar.update(task, advance=1, arm=record.pipeline, rate=rate, outcomes=shown)

        yield advance
