"""The tests behind the statistical gates: records or plain numbers → a value and its limit. Pure.

Each is a test of "no difference" at a two-sided ``level``, written as an effect
and the size that chance alone would exceed with that probability. What cannot be measured is None.
"""

import math
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from harness.records import TrialRecord
from harness.stats.compare import by_group
from harness.stats.sample import Floats, Pairs

LEAST_TOKEN_CHANGE = math.log(1.02)
POSITION_LEVEL = 0.01
_ROUNDING = 1e-9

Positions: TypeAlias = Mapping[int, tuple[int, int]]
"""Block number → places of baseline and candidate within it, from 0."""


@dataclass(frozen=True, slots=True)
class Margin:
    """An effect and the largest that is let pass, both in one unit; it holds if |value| ≤ limit."""

    value: float
    limit: float

    @property
    def ok(self) -> bool:
        return abs(self.value) <= self.limit + _ROUNDING


def autocorrelation(d: Floats, level: float) -> Margin | None:
    """Lag-1 autocorrelation of ``d`` (n,) in order, + 1/n for its bias; None for n < 3.

    r = Σ(dᵢ − d̄)(dᵢ₊₁ − d̄)/Σ(dᵢ − d̄)², limit z(1 − level/2)/√n.
    Source: Bartlett's large-sample error.
    """
    n = d.size
    if n < 3:
        return None
    from scipy import stats

    e = d - d.mean()
    r = float(e[:-1] @ e[1:] / (e @ e)) + 1 / n if np.ptp(d) > _ROUNDING else 0.0
    return Margin(r, float(stats.norm.isf(level / 2)) / math.sqrt(n))


def trend(d: Floats, level: float) -> Margin | None:
    """The fitted change of ``d`` (n,) from first to last, in its own unit; None for n < 3.

    Least squares on the order, limit t(n − 2)·se. Assumes independent normal errors.
    """
    if d.size < 3:
        return None
    from scipy import stats

    fit = stats.linregress(np.linspace(0, 1, d.size), d)
    return Margin(float(fit.slope), float(stats.t.isf(level / 2, d.size - 2) * fit.stderr))


def first_round(
    records: Iterable[TrialRecord], arms: Collection[str], level: float
) -> Margin | None:
    """Log response times of the first kept round less the others, all ``arms`` pooled.

    Times are centred per arm and scenario and averaged by block, as arms of one block rise
    together. Pooled t; df = N − B − 1 for N blocks, B of them in a round: B means of scenarios
    and two of groups are fitted. None with one round or no degree of freedom left.
    """
    found = [
        (record, math.log(time))
        for record in records
        if record.pipeline in arms
        and not record.warmup
        and (time := record.response_time) is not None
        and time > 0
    ]
    if not found:
        return None
    logs = np.array([time for _, time in found])
    cells = _codes((record.pipeline, record.scenario) for record, _ in found)
    centred = logs - by_group(logs, cells)[cells]
    blocks = _codes(record.block for record, _ in found)
    repeats = by_group(np.array([float(record.repeat) for record, _ in found]), blocks)
    x, first = by_group(centred, blocks), repeats == repeats.min()
    ones, rest = x[first], x[~first]
    df = x.size - x.size / np.unique(repeats).size - 1
    if not rest.size or df < 1:
        return None
    from scipy import stats

    squares = ((ones - ones.mean()) ** 2).sum() + ((rest - rest.mean()) ** 2).sum()
    error = math.sqrt(squares / df * (1 / ones.size + 1 / rest.size))
    return Margin(float(ones.mean() - rest.mean()), float(stats.t.isf(level / 2, df)) * error)


def token_change(
    records: Iterable[TrialRecord], baseline: str, candidate: str, level: float
) -> Margin | None:
    """Log ratio of output tokens, candidate / baseline; None for fewer than two blocks.

    Pairs of trials that were both right, so that cut-off and refused answers (which are unequal
    success) do not count; of each kind of call the last that was counted, so that a retry is no
    more work. t over blocks; the limit is at least ln 1.02.
    """
    tokens: dict[str, dict[tuple[int, str, int], int]] = {baseline: {}, candidate: {}}
    for record in records:
        if record.pipeline in tokens and not record.warmup and record.outcome == "ok":
            used = {a.call: a.usage.completion for a in record.attempts if a.usage is not None}
            if total := sum(used.values()):
                tokens[record.pipeline][record.block, record.scenario, record.repeat] = total
    a, b = tokens[baseline], tokens[candidate]
    both = sorted(a.keys() & b.keys())
    logs = np.array([math.log(b[key] / a[key]) for key in both])
    d = by_group(logs, _codes(key[0] for key in both)) if both else logs
    if d.size < 2:
        return None
    from scipy import stats

    error = float(d.std(ddof=1)) / math.sqrt(d.size)
    limit = float(stats.t.isf(level / 2, d.size - 1)) * error
    return Margin(float(d.mean()), max(LEAST_TOKEN_CHANGE, limit))


def cached_share(records: Iterable[TrialRecord], arm: str) -> float | None:
    """Cached tokens / prompt tokens of the calls whose cached tokens the server counted."""
    counted = [
        (attempt.usage.cached, attempt.usage.prompt)
        for record in records
        if record.pipeline == arm and not record.warmup
        for attempt in record.attempts
        if attempt.usage is not None and attempt.usage.cached is not None
    ]
    prompt = sum(tokens for _, tokens in counted)
    return sum(tokens for tokens, _ in counted) / prompt if prompt else None


def share_difference(
    baseline: tuple[int, int], candidate: tuple[int, int], level: float
) -> Margin | None:
    """Difference of two shares k/n in points, candidate less baseline; None for n = 0.

    Limit z(1 − level/2)·√(p̄(1 − p̄)(1/nA + 1/nB)), p̄ the pooled share: the score test of
    equality, whose size stays at or below ``level`` for all n (by enumeration).
    """
    (ka, na), (kb, nb) = baseline, candidate
    if not na or not nb:
        return None
    from scipy import stats

    pooled = (ka + kb) / (na + nb)
    error = math.sqrt(pooled * (1 - pooled) * (1 / na + 1 / nb))
    return Margin(kb / nb - ka / na, float(stats.norm.isf(level / 2)) * error)


def positions(records: Iterable[TrialRecord], baseline: str, candidate: str) -> Positions:
    """Where the two arms stood in each block that both have."""
    found: dict[str, dict[int, int]] = {baseline: {}, candidate: {}}
    for record in records:
        if record.pipeline in found:
            found[record.pipeline][record.block] = record.position
    a, b = found[baseline], found[candidate]
    return {block: (a[block], b[block]) for block in sorted(a.keys() & b.keys())}


def position_effect(pairs: Pairs, places: Positions) -> tuple[float, float] | None:
    """(p, β): the log ratio changes by β for each place that the candidate is later.

    Least squares of the blocks' mean log ratios on the centred difference of places; p two-sided,
    of β = 0. None for fewer than three blocks, when the difference never varies, or
    where a value has no logarithm. Raises
    KeyError for a block without places.
    """
    blocks, shift = _shifts(pairs, places)
    if (
        blocks.size < 3
        or not np.ptp(shift)
        or min(pairs.baseline.min(), pairs.candidate.min()) <= 0
    ):
        return None
    from scipy import stats

    logs = np.log(pairs.candidate) - np.log(pairs.baseline)
    fit = stats.linregress(shift - shift.mean(), by_group(logs, pairs.blocks))
    return float(fit.pvalue), float(fit.slope)


def adjusted(pairs: Pairs, places: Positions, level: float = POSITION_LEVEL) -> Pairs:
    """The pairs without a position effect that shows (p < ``level``); otherwise as they are.

    candidate·exp(−β(s − s̄)), s the difference of places: as if each block had the mean order.
    """
    found = position_effect(pairs, places)
    if found is None or found[0] >= level:
        return pairs
    blocks, shift = _shifts(pairs, places)
    factor = np.exp(-found[1] * (shift - shift.mean()))[np.searchsorted(blocks, pairs.blocks)]
    candidate = pairs.candidate * factor
    candidate.flags.writeable = False
    return replace(pairs, candidate=candidate)


def _shifts(pairs: Pairs, places: Positions) -> tuple[np.ndarray, Floats]:
    blocks = np.unique(pairs.blocks)
    return blocks, np.array([float(places[b][1] - places[b][0]) for b in blocks.tolist()])


def _codes(keys: Iterable[Hashable]) -> np.ndarray:
    """Each key's number in order of first appearance, for ``by_group``."""
    order: dict[Hashable, int] = {}
    return np.array([order.setdefault(key, len(order)) for key in keys], dtype=np.int64)
