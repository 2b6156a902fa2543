"""Columns and verdicts → the times and outcomes that figures and targets are made of."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.load.arrivals import Floats
from harness.load.columns import Columns, Failure
from harness.load.slo import Measure
from harness.records import ANSWERED, OUTCOMES, Outcome

Codes = NDArray[np.int8]
Flags = NDArray[np.bool_]
CODE: dict[Outcome, int] = {name: i for i, name in enumerate(OUTCOMES)}


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """The requests of a run in the order of their schedule; all arrays but ``gaps`` are (n,).

    ``outcome``: place in ``records.OUTCOMES``. ``scheduled``: seconds from the start of the run.
    ``response``, ``service``, ``ttft``: seconds, NaN where there was no answer (or no stream);
    ``response`` counts from ``scheduled``, but without ``uncounted``. ``first_known``: ``ttft`` is
    what it was, and not only the most that it can have been.
    ``issue_delay``: seconds from ``scheduled`` until sent, ``lateness`` from when the client could
    send, ``uncounted`` those of them that are no part of ``response`` (see ``Columns``); NaN where
    nothing was sent. ``waited``: for a caller to be free, sent or not. ``no_socket``: the client's
    machine had none for it.
    ``gaps``: seconds between the token-bearing chunks of answered requests, one after another; NaN
    where the client was late to read them.
    """

    outcome: Codes
    scheduled: Floats
    issue_delay: Floats
    lateness: Floats
    uncounted: Floats
    waited: Flags
    response: Floats
    service: Floats
    ttft: Floats
    first_known: Flags
    no_socket: Flags
    gaps: NDArray[np.float32]

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many requests had each outcome."""
        found = np.bincount(self.outcome, minlength=len(OUTCOMES))
        return {name: int(found[code]) for name, code in CODE.items()}

    @property
    def answered(self) -> Flags:
        found: Flags = np.isin(self.outcome, [CODE[name] for name in ANSWERED])
        return found

    @property
    def trials(self) -> Flags:
        """What success counts: everything but what the end of the run cut off."""
        found: Flags = self.outcome != CODE["cancelled"]
        return found

    @property
    def ok(self) -> Flags:
        found: Flags = self.outcome == CODE["ok"]
        return found

    def times(self, measure: Measure) -> Floats:
        """The seconds of the answered requests that are known, in the order of the schedule."""
        if measure == "itl":
            return self.gaps[~np.isnan(self.gaps)].astype(np.float64)
        values: Floats = getattr(self, measure)
        known = ~np.isnan(values)
        return values[known & self.first_known if measure == "ttft" else known]

    def times_to_hold(self, measure: Measure) -> Floats:
        """What a target is held against, in the order of the schedule: the most that each can have
        been. What was not answered, or is not known, counts as endless, so that neither refusing,
        nor giving up, nor a late client can look fast.

        Of the gaps, a stream that was not answered misses as many as others have on average, and
        one at least; nobody knows where, so they lie evenly among the others.
        """
        if measure == "itl":
            gaps = np.where(np.isnan(self.gaps), np.inf, self.gaps).astype(np.float64)
            answered = int(self.answered.sum())
            lost = int(self.trials.sum()) - answered
            missed = lost * max(1, round(gaps.size / max(1, answered)))
            return np.insert(gaps, np.linspace(0, gaps.size, missed).astype(np.int64), np.inf)
        values = np.where(self.answered, self.most(measure), np.inf)
        return np.where(np.isnan(values), np.inf, values)[self.trials]

    def sent(self) -> "Observed":
        """As if the requests that could not be sent had never been wanted."""
        dropped = self.outcome == CODE["dropped"]
        return replace(self, outcome=np.where(dropped, CODE["cancelled"], self.outcome))

    def most(self, measure: Measure) -> Floats:
        """The most that each request can have taken had the client been on time: from the scheduled
        moment whatever the reason for which it left late; (n,), NaN where there is no such time.
        """
        values: Floats = getattr(self, measure)
        return values + self.uncounted if measure == "response" else values


def observe(columns: Columns, verdicts: Codes | None = None) -> Observed:
    """``verdicts``: outcome codes of the answered requests, from checking their answers; where it
    is None a complete 2xx answer is ok.
    """
    answered = columns.answered
    outcome = np.full(len(columns), CODE["error"], np.int8)
    outcome[answered] = CODE["ok"] if verdicts is None else verdicts[answered]
    outcome[columns.failure == Failure.DROPPED] = CODE["dropped"]
    outcome[columns.failure == Failure.CANCELLED] = CODE["cancelled"]
    return Observed(
        outcome=outcome,
        scheduled=columns.scheduled,
        issue_delay=columns.sent - columns.scheduled,
        lateness=columns.sent - columns.eligible,
        uncounted=columns.uncounted,
        waited=columns.eligible > columns.scheduled,
        response=_where(answered, columns.done - columns.scheduled - columns.uncounted),
        service=_where(answered, columns.done - columns.sent),
        ttft=_where(answered, columns.first_token - columns.sent),
        first_known=~columns.first_lost,
        no_socket=columns.failure == Failure.NO_SOCKET,
        gaps=_gaps(columns, answered),
    )


def _where(kept: Flags, values: Floats) -> Floats:
    return np.where(kept, values, np.nan)


def _gaps(columns: Columns, answered: Flags) -> NDArray[np.float32]:
    """The gaps of answered requests only, as they lie in memory."""
    counts = np.maximum(columns.token_chunks - 1, 0)
    if answered.all():
        return columns.gaps
    kept = np.zeros(len(columns.gaps) + 1, np.int32)
    rows = answered & (counts > 0)
    np.add.at(kept, columns.gaps_at[rows], 1)
    np.add.at(kept, columns.gaps_at[rows] + counts[rows], -1)
    return columns.gaps[np.cumsum(kept[:-1]) > 0]
