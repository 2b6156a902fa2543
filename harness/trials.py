"""The trials of a run as columns: what figures need of each, packed; whole records on demand.

A record takes more than a kilobyte as an object, so a million of them fit no memory; their columns
take about 160 bytes each. Columns are made of records in memory or of the lines of a file alike.
"""

import gc
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import orjson
from numpy.typing import NDArray

from harness import records as rec
from harness.errors import InputError
from harness.packing import FIELDS, OUTCOME_CODES, Bools, Codes, Columns, Named, Row
from harness.records import ANSWERED, BlockRecord, TrialRecord
from harness.store import RECORDS, Run, read_blocks, read_manifest, whole_lines

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
CHUNK = 1_000  # lines that are taken apart at once
_PARTS_OF = ("failed_of", "client_error_of")  # places of trials, for parts of them
_NO_RECORD = (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError)


@dataclass(frozen=True, eq=False)
class Trials:
    """One entry a trial, in the order of the records; all arrays have the same length.

    Moments are seconds since the start of the trial's segment, NaN where they were not measured.
    Names of scenarios are sorted, so that their codes are in the order of their names.
    """

    pipeline: Named
    scenario: Named
    repeat: Ints
    block: Ints
    segment: Ints
    warmup: Bools
    outcome: Codes
    """Places in OUTCOMES."""
    scheduled: Floats
    eligible: Floats
    sent: Floats
    first_token: Floats
    done: Floats
    asked: Floats
    """When the pipeline asked for its first call."""
    uncounted: Floats
    """Seconds that are no part of the response time, as in ``TrialRecord``."""
    waited: Floats
    """Seconds that a rate limit kept calls after the first waiting."""
    attempts: Ints
    tokens: NDArray[np.int64]
    """(n, 3): prompt, completion, cached; NONE where the server did not count."""
    error: Named
    """The type of the error of a trial without an answer."""
    malformed: Named
    """The reason for which a reply holds no story."""
    kind: Named
    """What kind of failure: the reason, the error's type, or the kind of the first failed check."""
    failed: Named
    """Ids of failed checks: one entry a failed check, of the trial ``failed_of``."""
    failed_of: Ints
    client_error: Floats
    """Seconds: the client's time of a call less the simulator's own."""
    client_error_of: Ints
    """The trial of each ``client_error``."""
    record: Callable[[int], TrialRecord]
    """The whole record of a trial, by its place."""

    def __len__(self) -> int:
        return int(self.block.size)

    @classmethod
    def of(cls, records: "Records") -> "Trials":
        """The columns of ``records``, which are left as they are."""
        if isinstance(records, Trials):
            return records
        kept = list(records)
        columns = Columns(getattr)
        columns.add(list(map(attrgetter(*FIELDS), kept)))
        return cls(**columns.packed(), record=kept.__getitem__)

    @cached_property
    def answered(self) -> Bools:
        return np.isin(self.outcome, [OUTCOME_CODES[name] for name in ANSWERED])

    @cached_property
    def response_time(self) -> Floats:
        """As ``TrialRecord.response_time``; NaN where that is None. So are the two below."""
        return np.where(self.answered, self.done - self.scheduled - self.uncounted, np.nan)

    @cached_property
    def service_time(self) -> Floats:
        return np.where(self.answered, self.done - self.sent - self.waited, np.nan)

    @cached_property
    def ttft(self) -> Floats:
        return np.where(self.answered, self.first_token - self.sent, np.nan)

    @cached_property
    def slip(self) -> Floats:
        """Seconds from the moment a trial could begin until its first call was asked for."""
        return np.maximum(0.0, self.asked - self.eligible)

    @cached_property
    def blocks(self) -> tuple[Ints, Ints]:
        """The numbers of the blocks, rising; and the place of each trial's block among them."""
        found = np.unique(self.block, return_inverse=True)
        return found[0], found[1]

    @cached_property
    def cut_blocks(self) -> Ints:
        """Blocks with trials of more than one segment: a resume cut them in half."""
        blocks, place = self.blocks
        segments, segment = np.unique(self.segment, return_inverse=True)
        if segments.size < 2:
            return np.empty(0, np.int64)
        first = np.full(blocks.size, segments.size)
        np.minimum.at(first, place, segment)
        cut: Ints = blocks[np.unique(place[segment != first[place]])]
        return cut

    def ended(self, outcome: str) -> Bools:
        """Which trials ended so."""
        found: Bools = self.outcome == OUTCOME_CODES[outcome]
        return found

    def only(self, kept: Bools) -> "Trials":
        """The trials that are ``kept`` (n,), in their order; names keep their codes."""
        if kept.all():
            return self
        rows, place = np.flatnonzero(kept), np.cumsum(kept) - 1
        among = {"failed": kept[self.failed_of], "client_error": kept[self.client_error_of]}
        made: dict[str, Any] = {"record": lambda at: self.record(int(rows[at]))}
        for column in fields(self):
            name, values = column.name, getattr(self, column.name)
            which = among.get(name.removesuffix("_of"), rows)
            if isinstance(values, Named):
                made[name] = Named(values.codes[which], values.names)
            elif name in _PARTS_OF:
                made[name] = place[values[which]]
            elif name != "record":
                made[name] = values[which]
        return Trials(**made)


Records: TypeAlias = Iterable[TrialRecord] | Trials


@dataclass(frozen=True)
class Recorded:
    """A recorded run whose trials are columns."""

    folder: Path
    manifest: dict[str, Any]
    trials: Trials
    blocks: Sequence[BlockRecord]

    @classmethod
    def of(cls, run: "Run | Recorded") -> "Recorded":
        if isinstance(run, Recorded):
            return run
        return cls(run.folder, run.manifest, Trials.of(run.records), run.blocks)


def read_columns(folder: Path) -> Recorded:
    """Read a run of any size, finished or not. Raises InputError, as ``store.read_run`` does."""
    return Recorded(folder, read_manifest(folder), read_trials(folder), read_blocks(folder))


def read_trials(folder: Path) -> Trials:
    """The trials alone. Raises InputError for a line that is no record."""
    # Lines hold no cycles; looking for some takes a fifth of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _columns_of(folder / RECORDS)
    finally:
        if collecting:
            gc.enable()


def _columns_of(path: Path) -> Trials:
    columns, fields = Columns(dict.get), itemgetter(*FIELDS)
    starts, start = array("q"), 0
    rows: list[Row] = []
    for number, line in enumerate(whole_lines(path), start=1):
        try:
            found = orjson.loads(line)
            found.setdefault("uncounted", 0.0)  # of runs before there was such a thing
            rows.append(fields(found))
        except _NO_RECORD as error:
            raise _no_record(path, number, error) from error
        starts.append(start)
        start += len(line)
        if len(rows) == CHUNK:
            _add(columns, rows, path, len(starts) - len(rows) + 1)
            rows = []
    _add(columns, rows, path, len(starts) - len(rows) + 1)

    def record(place: int) -> TrialRecord:
        with path.open("rb") as file:
            file.seek(starts[place])
            return rec.trial_from_dict(orjson.loads(file.readline()))

    return Trials(**columns.packed(), record=record)


def _add(columns: Columns, rows: list[Row], path: Path, first: int) -> None:
    """Add lines; ``first`` is the number of the first. Raises InputError for one that is wrong."""
    try:
        columns.add(rows)
    except _NO_RECORD:
        for number, row in enumerate(rows, start=first):
            try:
                Columns(dict.get).add([row])
            except _NO_RECORD as error:
                raise _no_record(path, number, error) from error
        raise


def _no_record(path: Path, number: int, error: Exception) -> InputError:
    return InputError(f"{path}: line {number}: not a record: {error!r}")
