"""Records taken apart into columns, thousands at a time: an array for each number, codes for names.

Records in memory and lines of JSON alike: only the way in which their fields are looked up differs.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.records import OUTCOMES

Codes: TypeAlias = NDArray[np.int32]
Bools: TypeAlias = NDArray[np.bool_]
Row: TypeAlias = tuple[Any, ...]
"""The values of FIELDS."""

NONE = -1  # the code of what is not there
OUTCOME_CODES: dict[str, int] = {name: code for code, name in enumerate(OUTCOMES)}
_SECONDS = ("scheduled", "eligible", "sent", "first_token", "done", "uncounted")
FIELDS = (
    *("pipeline", "scenario", "repeat", "block", "segment", "warmup", "outcome"),
    *_SECONDS,
    *("error", "malformed", "usage", "attempts", "checks"),
)
_KINDS: tuple[tuple[str, Any], ...] = (
    *((name, np.float64) for name in (*_SECONDS, "asked", "waited", "client_error")),
    *((name, np.int64) for name in ("repeat", "block", "segment", "attempts")),
    *((name, np.int64) for name in ("failed_of", "client_error_of")),
    *((name, np.int64) for name in ("prompt", "completion", "cached")),
    ("warmup", np.bool_),
    ("outcome", np.int32),
)


@dataclass(frozen=True, eq=False)
class Named:
    """Names by code: ``codes`` has one place in ``names`` for each entry, NONE for no name."""

    codes: Codes
    names: tuple[str, ...]

    def code(self, name: str) -> int:
        """The code of a name; one that no entry has when it does not occur."""
        return self.names.index(name) if name in self.names else NONE - 1

    def counts(self, kept: Bools) -> dict[str, int]:
        """How often each name occurs among ``kept`` entries, the most frequent first."""
        codes = self.codes[kept & (self.codes != NONE)]
        found, first, counts = np.unique(codes, return_index=True, return_counts=True)
        return {self.names[found[i]]: int(counts[i]) for i in np.lexsort((first, -counts))}


class _Names:
    """Gives each name its code, in the order in which they are met."""

    def __init__(self) -> None:
        self._codes = [np.empty(0, np.int32)]
        self._known: dict[str | None, int] = {None: NONE}

    def add(self, names: Iterable[str | None]) -> None:
        known = self._known
        codes = [known.setdefault(name, len(known) - 1) for name in names]
        self._codes.append(np.array(codes, np.int32))

    def named(self, *, ordered: bool = False) -> Named:
        codes = np.concatenate(self._codes)
        names = [name for name in self._known if name is not None]
        if ordered and names:
            order = sorted(range(len(names)), key=names.__getitem__)
            places = np.empty(len(names), np.int32)
            places[order] = np.arange(len(names), dtype=np.int32)
            codes, names = places[codes], sorted(names)
        return Named(codes, tuple(names))


class Columns:
    """Takes rows of FIELDS, many at once; ``get`` looks up a field of one of their parts."""

    def __init__(self, get: Callable[[Any, str], Any]) -> None:
        self._get = get
        self._rows = 0
        self._names = {
            name: _Names()
            for name in ("pipeline", "scenario", "error", "malformed", "kind", "failed")
        }
        self._parts: dict[str, list[Any]] = {name: [np.empty(0, kind)] for name, kind in _KINDS}

    def add(self, rows: Sequence[Row]) -> None:
        """More rows. Raises KeyError, TypeError or ValueError when one is no record."""
        if not rows:
            return
        found = dict(zip(FIELDS, zip(*rows, strict=True), strict=True))
        get = self._get
        errors = [None if error is None else get(error, "type") for error in found["error"]]
        reasons = [None if why is None else get(why, "reason") for why in found["malformed"]]
        first = self._failed_checks(found["checks"])
        self._names["pipeline"].add(found["pipeline"])
        self._names["scenario"].add(found["scenario"])
        self._names["error"].add(errors)
        self._names["malformed"].add(reasons)
        self._names["kind"].add(
            reason or error or first.get(row)
            for row, (reason, error) in enumerate(zip(reasons, errors, strict=True))
        )
        self._put("outcome", [OUTCOME_CODES[outcome] for outcome in found["outcome"]])
        for name in ("repeat", "block", "segment", "warmup", *_SECONDS):
            self._put(name, found[name])
        self._put("attempts", [len(calls) for calls in found["attempts"]])
        self._put_usage(found["usage"])
        self._put_calls(found["attempts"])
        self._rows += len(rows)

    def _put(self, name: str, values: Sequence[Any]) -> None:
        self._parts[name].append(np.array(values, self._parts[name][0].dtype))

    def _put_usage(self, usages: Sequence[Any]) -> None:
        get = self._get
        for name in ("prompt", "completion", "cached"):
            counts = (None if usage is None else get(usage, name) for usage in usages)
            self._put(name, [NONE if count is None else count for count in counts])

    def _failed_checks(self, found: Sequence[Sequence[Any]]) -> dict[int, str]:
        """Keeps the failed checks; for each row with one, the kind of the first."""
        get = self._get
        failed = [
            (row, check)
            for row, checks in enumerate(found)
            for check in checks
            if not get(check, "ok")
        ]
        self._names["failed"].add([get(check, "id") for _, check in failed])
        self._put("failed_of", [self._rows + row for row, _ in failed])
        return {row: get(check, "kind") for row, check in reversed(failed)}

    def _put_calls(self, found: Sequence[Sequence[Any]]) -> None:
        get = self._get
        asked, waited = [], []
        errors, errors_of = [], []
        for row, calls in enumerate(found, start=self._rows):
            asked.append(get(calls[0], "due") if calls else None)
            wait = 0.0
            for call in calls[1:]:
                if (admitted := get(call, "admitted")) is not None:
                    wait += admitted - get(call, "due")
            waited.append(wait)
            for call in calls:
                if (sim := get(call, "sim")) is None:
                    continue
                sent, done = get(call, "sent"), get(call, "done")
                if sent is not None and done is not None:
                    errors.append(done - sent - get(sim, "total_s"))
                    errors_of.append(row)
        self._put("asked", asked)
        self._put("waited", waited)
        self._put("client_error", errors)
        self._put("client_error_of", errors_of)

    def packed(self) -> dict[str, Any]:
        """The columns of everything that was added, by name; tokens as (n, 3)."""
        made = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        tokens = np.stack([made.pop(name) for name in ("prompt", "completion", "cached")], axis=1)
        names = {
            name: found.named(ordered=name == "scenario") for name, found in self._names.items()
        }
        return {**names, **made, "tokens": tokens}
