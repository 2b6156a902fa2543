"""One pipeline of one run, as it is compared with another: its trials and blocks."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from harness import estimands
from harness.records import TrialRecord
from harness.stats import sample as sm
from harness.store import Run


@dataclass(frozen=True, slots=True)
class Arm:
    """A pipeline of a run, and the scenarios that are compared (warm-up is left out)."""

    run: Run
    name: str
    scenarios: AbstractSet[str]

    def trials(self) -> list[TrialRecord]:
        return [
            record
            for record in self.run.records
            if record.pipeline == self.name
            and not record.warmup
            and record.scenario in self.scenarios
        ]

    def readings(self, measure: sm.Measure) -> dict[str, list[tuple[int, float]]]:
        """Scenario → (round, seconds) of the answered trials."""
        found: dict[str, list[tuple[int, float]]] = {}
        for record in self.trials():
            value: float | None = getattr(record, measure) if record.answered else None
            if value is not None:
                found.setdefault(record.scenario, []).append((record.repeat, value))
        return found

    def quantile_sample(self, label: str) -> sm.Sample:
        """Response times with time-outs as +∞."""
        return replace(
            sm.sample(self.trials(), self.name, timeouts_as_inf=True),
            pipeline=label,
        )

    def unanswered(self) -> tuple[int, int]:
        """(trials without an answer, trials), cancelled ones left out."""
        counted = [record for record in self.trials() if record.outcome != "cancelled"]
        return sum(not record.answered for record in counted), len(counted)

    def block_values(self, metric: str) -> dict[int, float]:
        """Block → value, whole blocks only."""
        cut = sm.cut_blocks(self.run.records)
        if metric == "cpu":
            used = estimands.resource(self.run.blocks, self.name, "cpu_s")
            return {block: value for block, value in used.items() if block not in cut}
        measure: sm.BlockMeasure = "makespan" if metric == "makespan" else "throughput"
        found = sm.block_values(self.run.records, self.name, measure)
        return dict(zip(found.blocks.tolist(), found.values.tolist(), strict=True))

    def block_trials(self) -> dict[int, list[TrialRecord]]:
        """Block → this arm's trials in it, of every scenario."""
        found: dict[int, list[TrialRecord]] = {}
        for record in self.run.records:
            if record.pipeline == self.name and not record.warmup:
                found.setdefault(record.block, []).append(record)
        return found
