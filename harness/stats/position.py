"""Does an arm's place within its block matter? The effect, and the pairs freed of it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from harness.records import TrialRecord
from harness.stats.compare import by_group
from harness.stats.sample import Floats, Ints, Pairs

POSITION_LEVEL = 0.01
ROUNDING = 1e-9  # a spread of log ratios no larger than this is none

Positions: TypeAlias = Mapping[int, tuple[int, int]]
"""Block number → places of baseline and candidate within it, from 0."""


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
    of β = 0. None for fewer than three blocks, when the difference never varies, or where a value
    has no logarithm. Raises KeyError for a block without places.
    """
    blocks, shift = _shifts(pairs, places)
    if (
        blocks.size < 3
        or not np.ptp(shift)
        or min(pairs.baseline.min(), pairs.candidate.min()) <= 0
    ):
        return None
    from scipy import stats

    d = by_group(np.log(pairs.candidate) - np.log(pairs.baseline), pairs.blocks)
    if np.ptp(d) <= ROUNDING:
        return 1.0, 0.0
    fit = stats.linregress(shift - shift.mean(), d)
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


def _shifts(pairs: Pairs, places: Positions) -> tuple[Ints, Floats]:
    blocks = np.unique(pairs.blocks)
    return blocks, np.array([float(places[b][1] - places[b][0]) for b in blocks.tolist()])
