"""The trials of a run as rows for a terminal: all of a short run, else the failed ones first."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from harness.errors import InputError
from harness.plain import table, table_lines
from harness.records import OUTCOMES, TrialRecord
from harness.report.textable import STACK_BELOW
from harness.scenario import explain
from harness.store import each_record
from harness.trials import read_trials

MOST = 50  # rows, unless all are asked for
NONE = "–"


@dataclass(frozen=True, slots=True)
class Listing:
    """Trials that are shown, and how many of each outcome there are.

    ``read``: the ``shown`` trials in the order of the records, read anew each time. ``failed``: of
    more trials than are shown, those that are not ok were taken first.
    """

    read: Callable[[], Iterable[TrialRecord]]
    shown: int
    counts: Counter[str]
    failed: bool

    @property
    def total(self) -> int:
        return self.counts.total()


def chosen(text: str | None) -> Collection[str]:
    """``wrong,error`` → outcomes; None: every one. Raises InputError for one that is none."""
    names = OUTCOMES if text is None else tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in OUTCOMES:
            known = ", ".join(OUTCOMES)
            raise InputError(f"--outcome {name!r}: no such outcome; known are {known}")
    return names


def listing(folder: Path, outcomes: Collection[str], *, every: bool) -> Listing:
    """The trials with these outcomes: ``every`` one, or at most MOST.

    Where there are more, the failed ones before the right ones, as many of each kind of failure as
    of any other, the first of each. Raises InputError for a folder that holds no run.
    """
    trials = read_trials(folder)
    rows = {name: np.flatnonzero(trials.ended(name)).tolist() for name in outcomes}
    counts = Counter({name: len(found) for name, found in rows.items() if found})
    if every:

        def read() -> Iterator[TrialRecord]:
            return (record for record in each_record(folder) if record.outcome in outcomes)

        return Listing(read, counts.total(), counts, failed=False)
    failed = [found[:MOST] for name, found in rows.items() if name != "ok" and found]
    some = counts.total() > MOST and bool(failed)
    places = _in_turn(failed) if some else sorted(chain.from_iterable(rows.values()))[:MOST]
    records = [trials.record(place) for place in places]
    return Listing(lambda: records, len(records), counts, some)


def _in_turn(kinds: list[list[int]]) -> list[int]:
    """At most MOST of all, one of each kind after the other; rising."""
    turns = chain.from_iterable(zip_longest(*kinds))
    return sorted([place for place in turns if place is not None][:MOST])


def failure(record: TrialRecord) -> str:
    """Why a trial is not ok, beginning with the first check that failed."""
    if record.error is not None:
        return f"{record.error.type}: {record.error.message}"
    if record.malformed is not None:
        return f"{record.malformed.reason}: {record.malformed.why}"
    for check in record.checks:
        if not check.ok:
            return f"{check.id}: {explain(check)}"
    return ""


def seconds(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def lines(found: Listing, width: int | None) -> Iterator[str]:
    """The table, cut to ``width`` cells (None: never), then the counts, and what is left out.

    Where it is narrow a trial has a line for its name, one for how it ended, one for why.
    """
    if width is not None and width < STACK_BELOW:
        for name, outcome, taken, why in map(_row, found.read()):
            parts = [name, f"  {outcome}, {taken} s", f"  {why}"]
            yield table([[part] for part in parts if part.strip()], width=width)
    else:
        head = ("trial", "outcome", "seconds", "first failure")
        yield from table_lines(
            lambda: chain([head], map(_row, found.read())), right=(2,), width=width
        )
    by_outcome = ", ".join(
        f"{name} {found.counts[name]}" for name in OUTCOMES if found.counts[name]
    )
    yield f"{found.total} trials{': ' if by_outcome else ''}{by_outcome}"
    if left := found.total - found.shown:
        which = "some of each kind of failure" if found.failed else "the first ones"
        hint = "--all shows every one"
        if found.failed and found.counts["ok"]:
            failed = ",".join(name for name in OUTCOMES if name != "ok" and found.counts[name])
            hint = f"--outcome {failed} shows only the failed ones, {hint}"
        yield f"{found.shown} are shown ({which}), {left} are not; {hint}"


def _row(record: TrialRecord) -> tuple[str, str, str, str]:
    outcome = f"{record.outcome} (warm-up)" if record.warmup else record.outcome
    return record.trial, outcome, seconds(record.response_time), failure(record)
