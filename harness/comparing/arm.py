"""One pipeline of one run, as it is compared with another: its trials and blocks, in columns."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from harness import estimands
from harness.comparing.ratios import Readings
from harness.packing import Bools
from harness.stats import estimate, serial
from harness.stats import sample as sm
from harness.stats.estimate import Estimate
from harness.trials import Floats, Ints, Recorded, Trials

ALONE = "fewer than 100 trials, all in one block: how alike they are is not known"


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
        found = serial.stretches(trials.scheduled[kept]) if self.in_one_block else None
        if found is not None:
            return Readings(trials.scenario.names, codes, found, values[kept], "stretches")
        return Readings(trials.scenario.names, codes, trials.repeat[kept], values[kept])

    @cached_property
    def rounds(self) -> int:
        """How often its scenarios were tried."""
        return int(np.unique(self.trials.repeat).size)

    @cached_property
    def in_one_block(self) -> bool:
        """No blocks tell how alike its trials are, as those of a load: only their order does."""
        return self.whole.blocks[0].size == 1

    @cached_property
    def hold(self) -> str | None:
        """Why no gate may rest on its times; None when one may."""
        if self.in_one_block and serial.stretches(self.trials.scheduled) is None:
            return ALONE
        return None

    def quantile(self, p: float, confidence: float) -> Estimate:
        """Of the response times, with time-outs as +∞."""
        found = sm.sample(self.trials, self.name, timeouts_as_inf=True, in_order=self.in_one_block)
        of = serial.quantile if self.in_one_block else estimate.quantile
        return of(found.values, p, confidence)

    def successes(self) -> sm.Successes:
        """Right answers; of one block, as of so many independent trials as say as much."""
        found = sm.successes(self.trials, self.name)
        if not self.in_one_block:
            return found
        k, n = serial.independent(self.right)
        return replace(found, k=k, n=n)

    @cached_property
    def right(self) -> Bools:
        """Which trials have a right answer, cancelled ones left out, in the order of their
        schedule.
        """
        counted = ~self.trials.ended("cancelled")
        order = np.argsort(self.trials.scheduled[counted], kind="stable")
        return self.trials.ended("ok")[counted][order]

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
