"""One pipeline of one run, as it is compared with another: its trials and blocks, in columns."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from harness import estimands
from harness.comparing.ratios import Readings
from harness.stats import sample as sm
from harness.trials import Floats, Ints, Recorded, Trials


@dataclass(frozen=True)
class Arm:
    """A pipeline of a run, and the scenarios that are compared (warm-up is left out)."""

    run: Recorded
    name: str
    scenarios: AbstractSet[str]

    @cached_property
    def whole(self) -> Trials:
        """The trials of every scenario."""
        of = self.run.trials
        return of.only(~of.warmup & (of.pipeline.codes == of.pipeline.code(self.name)))

    @cached_property
    def trials(self) -> Trials:
        """The trials that are compared."""
        known = [name in self.scenarios for name in self.whole.scenario.names]
        return self.whole.only(np.array(known, np.bool_)[self.whole.scenario.codes])

    def readings(self, measure: sm.Measure) -> Readings:
        """Seconds of the answered trials."""
        trials, values = self.trials, getattr(self.trials, measure)
        kept = ~np.isnan(values)
        codes = trials.scenario.codes[kept].astype(np.int64)
        return Readings(trials.scenario.names, codes, trials.repeat[kept], values[kept])

    def quantile_sample(self, label: str) -> sm.Sample:
        """Response times with time-outs as +∞."""
        return replace(sm.sample(self.trials, self.name, timeouts_as_inf=True), pipeline=label)

    def unanswered(self) -> tuple[int, int]:
        """(trials without an answer, trials), cancelled ones left out."""
        counted = ~self.trials.ended("cancelled")
        return int((counted & ~self.trials.answered).sum()), int(counted.sum())

    def block_values(self, metric: str) -> tuple[Ints, Floats]:
        """(blocks, their values), whole blocks only."""
        trials = self.run.trials
        if metric == "cpu":
            used = estimands.resource(self.run.blocks, self.name, "cpu_s")
            blocks = np.array(list(used), np.int64)
            kept = ~np.isin(blocks, trials.cut_blocks)
            return blocks[kept], np.array(list(used.values()), np.float64)[kept]
        measure: sm.BlockMeasure = "makespan" if metric == "makespan" else "throughput"
        found = sm.block_values(trials, self.name, measure)
        return found.blocks, found.values

    def block_readings(self, metric: str) -> Readings | None:
        """The values of whole blocks as those of their scenarios, as far as these are compared;
        None where a block holds several.
        """
        trials, (_, place) = self.whole, self.whole.blocks
        first = np.unique(place, return_index=True)[1]
        codes = trials.scenario.codes.astype(np.int64)
        if (codes != codes[first][place]).any():
            return None
        blocks, values = self.block_values(metric)
        held = np.isin(blocks, trials.block)
        rows = first[np.searchsorted(trials.blocks[0], blocks[held])]
        known = [name in self.scenarios for name in trials.scenario.names]
        kept = np.array(known, np.bool_)[codes[rows]]
        rows = rows[kept]
        return Readings(trials.scenario.names, codes[rows], trials.repeat[rows], values[held][kept])

    @property
    def work(self) -> frozenset[str]:
        """The scenarios that the blocks of this arm hold."""
        names = self.whole.scenario.names
        return frozenset(names[code] for code in np.unique(self.whole.scenario.codes).tolist())

    @property
    def largest_block(self) -> int:
        """Trials of this arm in its largest block."""
        return int(np.bincount(self.whole.blocks[1], minlength=1).max())
