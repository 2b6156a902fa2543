"""Records → samples and pairs, with every exclusion counted.

Nothing here computes a statistic. The order of the records never matters: values come out ordered
by block, scenario and repeat. The caller's data are neither sorted nor changed. All times are
seconds. Over 300 lines: trials, blocks and pairs are left out by the same rules, kept in one place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from harness.packing import Bools
from harness.records import OUTCOMES
from harness.trials import Floats as Floats  # both are of use wherever samples are
from harness.trials import Ints as Ints
from harness.trials import Records, Trials

Measure = Literal["response_time", "service_time", "ttft"]
BlockMeasure = Literal["makespan", "throughput", "goodput"]

DROPPED = ("missing", "unanswered", "not_measured")
"""Reasons by which a pair is lost to a failure rather than left out by design."""

# Why a reading has no value; 0: it has one.
_REASONS = (
    *("", "missing", "warmup", "cut_block", "partial", "incomplete", "not_measured"),
    *("unanswered", *OUTCOMES),
)
_REASON = {name: code for code, name in enumerate(_REASONS)}


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One pipeline's measurements.

    ``values``, ``blocks``, ``scenarios``: one entry per measured trial, shape (n,); read-only.
    ``excluded``: reason → number of trials left out: ``warmup``, ``error``, ``cancelled``,
    ``dropped``, ``not_measured`` (answered, but without this stamp). Reasons that did not occur
    are absent.
    """

    pipeline: str
    measure: Measure
    values: Floats
    blocks: Ints
    scenarios: tuple[str, ...]
    excluded: dict[str, int]

    @property
    def n(self) -> int:
        return int(self.values.size)


@dataclass(frozen=True, slots=True, eq=False)
class BlockSample:
    """One value per block of one pipeline; ``excluded`` counts blocks.

    ``values`` and ``blocks`` have shape (n,) and are read-only. Reasons: ``warmup``,
    ``cut_block``, ``partial`` (fewer trials than another arm had in that block), ``incomplete``
    (makespan only: a trial was never answered), ``not_measured`` (no end is known).
    """

    pipeline: str
    measure: BlockMeasure
    values: Floats
    blocks: Ints
    excluded: dict[str, int]

    @property
    def n(self) -> int:
        return int(self.values.size)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Baseline and candidate, measured on the same thing in the same block.

    All arrays have shape (n,) and are read-only; ``scenarios`` has n names (empty for a measure
    of a whole block). ``excluded``: reason → pairs left out: ``warmup``, ``cut_block``, those of
    DROPPED, and for measures of blocks those of BlockSample. ``cut_blocks``: blocks with records
    of more than one segment.
    """

    baseline: Floats
    candidate: Floats
    blocks: Ints
    scenarios: tuple[str, ...]
    excluded: dict[str, int]
    cut_blocks: int

    @property
    def n(self) -> int:
        return int(self.baseline.size)

    @property
    def dropped_pairs(self) -> int:
        """Pairs lost because a side is missing, unanswered or unmeasured."""
        lost = (*DROPPED, "partial", "incomplete")
        return sum(self.excluded.get(reason, 0) for reason in lost)

    @classmethod
    def of(
        cls,
        baseline: ArrayLike,
        candidate: ArrayLike,
        blocks: Sequence[int] | Ints | None = None,
        scenarios: Sequence[str] | None = None,
    ) -> "Pairs":
        """Pairs from plain numbers, such as published figures; each its own block by default.

        Raises ValueError unless all are one-dimensional and equally long.
        """
        a, b = _frozen(baseline), _frozen(candidate)
        ids = np.arange(a.size) if blocks is None else np.asarray(blocks)
        names = ("",) * a.size if scenarios is None else tuple(scenarios)
        if a.ndim != 1 or not a.shape == b.shape == ids.shape == (len(names),):
            raise ValueError("pairs need one-dimensional data of equal length")
        return cls(a, b, _frozen_ints(ids), names, {}, 0)


@dataclass(frozen=True, slots=True)
class Successes:
    """``k`` successes in ``n`` trials; ``by_scenario``: name → (k, n).

    Warm-up and cancelled trials are left out and counted in ``excluded``; every other trial
    without success, answered or not, is a failure.
    """

    pipeline: str
    k: int
    n: int
    by_scenario: dict[str, tuple[int, int]]
    excluded: dict[str, int]


def sample(
    records: Records,
    pipeline: str,
    measure: Measure = "response_time",
    *,
    timeouts_as_inf: bool = False,
    in_order: bool = False,
) -> Sample:
    """Seconds of the answered trials of ``pipeline`` that were not warm-up.

    ``timeouts_as_inf``: a trial that ended in a time-out counts as +∞ instead of being left out;
    for quantiles only. ``in_order``: as they were scheduled, not block by block.
    """
    trials = Trials.of(records)
    found = _readings(trials, pipeline, measure, timeouts_as_inf)
    kept = found.reasons == 0
    rows, values = found.rows[kept], found.values[kept]
    order = np.lexsort(
        (trials.scheduled[rows],)
        if in_order
        else (values, trials.repeat[rows], trials.scenario.codes[rows], trials.block[rows])
    )
    rows = rows[order]
    return Sample(
        pipeline,
        measure,
        _frozen(values[order]),
        _frozen_ints(trials.block[rows]),
        _named(trials, rows),
        _tally(found.reasons),
    )


def pairs(
    records: Records,
    baseline: str,
    candidate: str,
    measure: Measure = "response_time",
    *,
    timeouts_as_inf: bool = False,
) -> Pairs:
    """Pair trial by trial: same block, scenario and repeat; values in seconds.

    A pair with a side unanswered, missing or unmeasured is dropped and counted; so are the pairs
    of blocks with records (of any pipeline) in more than one segment. Raises ValueError when a
    pipeline has the same trial twice in a whole block. ``timeouts_as_inf`` as in ``sample``.
    """
    trials = Trials.of(records)
    cut = trials.cut_blocks
    sides = [_readings(trials, name, measure, timeouts_as_inf) for name in (baseline, candidate)]
    keys = _keys(trials)
    for name, side in zip((baseline, candidate), sides, strict=True):
        whole = side.rows[~np.isin(trials.block[side.rows], cut)]
        _, first, counts = np.unique(keys[whole], return_index=True, return_counts=True)
        if counts.size and counts.max() > 1:
            twice = int(whole[first[counts > 1].min()])
            key = (
                int(trials.block[twice]),
                trials.scenario.names[trials.scenario.codes[twice]],
                int(trials.repeat[twice]),
            )
            raise ValueError(f"{name} has trial {key} twice")
    return _paired(trials, keys, sides[0], sides[1], cut)


def block_values(
    records: Records,
    pipeline: str,
    measure: BlockMeasure,
    *,
    target: float | None = None,
) -> BlockSample:
    """One value per block of ``pipeline``.

    ``makespan``: seconds from the first scheduled moment to the last end, for blocks in which
    every trial was answered. ``throughput``: answered trials per second of that time, which here
    runs to the last end of any trial. ``goodput``: the same for trials that are ok and have a
    response time of at most ``target`` seconds (None: ok suffices).
    """
    trials = Trials.of(records)
    found = _block_readings(trials, pipeline, measure, target, trials.cut_blocks)
    kept = found.reasons == 0
    return BlockSample(
        pipeline,
        measure,
        _frozen(found.values[kept]),
        _frozen_ints(trials.block[found.rows[kept]]),
        _tally(found.reasons),
    )


def block_pairs(
    records: Records,
    baseline: str,
    candidate: str,
    measure: BlockMeasure,
    *,
    target: float | None = None,
) -> Pairs:
    """``block_values`` of two pipelines, paired by block; one side missing drops the pair."""
    trials = Trials.of(records)
    cut = trials.cut_blocks
    a, b = (_block_readings(trials, name, measure, target, cut) for name in (baseline, candidate))
    found = _paired(trials, trials.block, a, b, cut)
    return replace(found, scenarios=("",) * found.n)


def successes(records: Records, pipeline: str, *, target: float | None = None) -> Successes:
    """Count right answers; with ``target``, only those within that many seconds (goodput)."""
    trials = Trials.of(records)
    mine = trials.pipeline.codes == trials.pipeline.code(pipeline)
    cancelled = trials.ended("cancelled") & ~trials.warmup
    kept = mine & ~trials.warmup & ~cancelled
    scenarios = trials.scenario
    n = np.bincount(scenarios.codes[kept], minlength=len(scenarios.names))
    good = kept & _good(trials, target)
    k = np.bincount(scenarios.codes[good], minlength=len(scenarios.names))
    excluded = {
        "warmup": int((mine & trials.warmup).sum()),
        "cancelled": int((mine & cancelled).sum()),
    }
    return Successes(
        pipeline,
        int(k.sum()),
        int(n.sum()),
        {name: (int(k[i]), int(n[i])) for i, name in enumerate(scenarios.names) if n[i]},
        {reason: count for reason, count in excluded.items() if count},
    )


def cut_blocks(records: Records) -> frozenset[int]:
    """Blocks with records of more than one segment: a resume cut them in half."""
    return frozenset(Trials.of(records).cut_blocks.tolist())


@dataclass(frozen=True, slots=True, eq=False)
class _Readings:
    """One reading each of some trials: ``rows``, where a trial stands (of a block: any of its
    trials); ``values``, NaN where ``reasons``, which are codes of _REASONS, is not 0.
    """

    rows: Ints
    values: Floats
    reasons: Ints


def _keys(trials: Trials) -> Ints:
    """A number for each trial, in the order of block, scenario and repeat."""
    _, block = trials.blocks
    repeats, repeat = np.unique(trials.repeat, return_inverse=True)
    keys: Ints = (block * len(trials.scenario.names) + trials.scenario.codes) * len(
        repeats
    ) + repeat
    return keys


def _readings(trials: Trials, pipeline: str, measure: Measure, timeouts_as_inf: bool) -> _Readings:
    rows = np.flatnonzero(trials.pipeline.codes == trials.pipeline.code(pipeline))
    values: Floats = getattr(trials, measure)[rows]
    lost = ~trials.answered[rows]
    reasons = np.where(np.isnan(values), _REASON["not_measured"], 0)
    reasons[lost] = trials.outcome[rows][lost] + _REASON[OUTCOMES[0]]
    if timeouts_as_inf:
        late = lost & (trials.error.codes[rows] == trials.error.code("timeout"))
        values[late], reasons[late] = np.inf, 0
    reasons[trials.warmup[rows]] = _REASON["warmup"]
    return _Readings(rows, values, reasons)


def _paired(trials: Trials, keys: Ints, a: _Readings, b: _Readings, cut: Ints) -> Pairs:
    """Readings with the same key, which is one of ``keys`` for each trial."""
    found, first = np.unique(np.concatenate([keys[a.rows], keys[b.rows]]), return_index=True)
    rows = np.concatenate([a.rows, b.rows])[first]
    x, y = (_at(found, keys, side) for side in (a, b))
    in_cut = np.isin(trials.block[rows], cut)
    kept = ~in_cut & (x.reasons == 0) & (y.reasons == 0)
    sides = np.stack([x.reasons, y.reasons])
    reasons = np.full(found.size, _REASON["unanswered"])
    unmeasured = np.isin(sides, [0, _REASON["not_measured"]]).all(axis=0)
    reasons[unmeasured] = _REASON["not_measured"]
    for name in ("incomplete", "partial", "missing", "warmup"):
        reasons[(sides == _REASON[name]).any(axis=0)] = _REASON[name]
    reasons[in_cut] = _REASON["cut_block"]
    reasons[kept] = 0
    return Pairs(
        _frozen(x.values[kept]),
        _frozen(y.values[kept]),
        _frozen_ints(trials.block[rows[kept]]),
        _named(trials, rows[kept]),
        _tally(reasons),
        np.unique(trials.block[rows[in_cut]]).size,
    )


def _at(wanted: Ints, keys: Ints, side: _Readings) -> _Readings:
    """The readings of ``side`` in the order of the ``wanted`` keys; the last of several."""
    values = np.full(wanted.size, np.nan)
    reasons = np.full(wanted.size, _REASON["missing"])
    at = np.searchsorted(wanted, keys[side.rows])
    values[at], reasons[at] = side.values, side.reasons
    return _Readings(wanted, values, reasons)


def _block_readings(
    trials: Trials, pipeline: str, measure: BlockMeasure, target: float | None, cut: Ints
) -> _Readings:
    arms = max(1, len(trials.pipeline.names))
    blocks, block = trials.blocks
    sizes = np.bincount(block * arms + trials.pipeline.codes, minlength=blocks.size * arms).reshape(
        blocks.size, arms
    )
    mine = trials.pipeline.codes == trials.pipeline.code(pipeline)
    of = block[mine]

    def count(which: Bools) -> Ints:
        counts: Ints = np.bincount(block[mine & which], minlength=blocks.size)
        return counts

    size, answered = count(mine), count(trials.answered)
    start, end = np.full(blocks.size, np.inf), np.full(blocks.size, -np.inf)
    np.minimum.at(start, of, trials.scheduled[mine])
    np.fmax.at(end, of, trials.done[mine])
    wall = np.where(np.isfinite(end), end - start, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        done = answered if measure == "throughput" else count(_good(trials, target))
        values = wall if measure == "makespan" else done / wall
    reasons = np.zeros(blocks.size, np.int64)
    reasons[~np.isfinite(end) if measure == "makespan" else wall <= 0] = _REASON["not_measured"]
    if measure == "makespan":
        reasons[answered < size] = _REASON["incomplete"]
    reasons[size < sizes.max(axis=1, initial=0)] = _REASON["partial"]
    reasons[count(trials.warmup) > 0] = _REASON["warmup"]
    reasons[np.isin(blocks, cut)] = _REASON["cut_block"]
    rows = np.zeros(blocks.size, np.int64)
    rows[of] = np.flatnonzero(mine)
    kept = size > 0
    return _Readings(rows[kept], values[kept], reasons[kept])


def _good(trials: Trials, target: float | None) -> Bools:
    right = trials.ended("ok")
    if target is None:
        return right
    return right & (trials.response_time <= target)


def _tally(reasons: Ints) -> dict[str, int]:
    counts = np.bincount(reasons, minlength=len(_REASONS)).tolist()
    return {name: n for name, n in zip(_REASONS[1:], counts[1:], strict=True) if n}


def _named(trials: Trials, rows: Ints) -> tuple[str, ...]:
    return tuple(map(trials.scenario.names.__getitem__, trials.scenario.codes[rows].tolist()))


def _frozen(values: ArrayLike) -> Floats:
    array = np.array(values, dtype=np.float64)
    array.flags.writeable = False
    return array


def _frozen_ints(values: ArrayLike) -> Ints:
    array = np.array(values, dtype=np.int64)
    array.flags.writeable = False
    return array
