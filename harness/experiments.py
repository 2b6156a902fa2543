"""Plans what claims need: arms they share run once, blocks until each can be judged.

A little over 300 lines: an experiment, its arms and its stopping belong together.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.claims import ArmFile, Claim
from harness.errors import InputError
from harness.execute import ArmSpec
from harness.gates import ClientReplay
from harness.judge import QUANTILES, Arms, Data, decide, measure
from harness.manifest import new_manifest
from harness.outlook import line_of, spread
from harness.pipelines import Settings, make_pipeline
from harness.planning import first_look
from harness.providers import ProviderSettings, check_provider
from harness.replay import worst
from harness.scenario import Scenario
from harness.simulator.profile import NO_OVERRIDES
from harness.stats import power, sequential
from harness.stats.sequential import FIRST_LOOK
from harness.store import read_run
from harness.workload import Block, Workload, plan_round

LEAST_REPLAY_RATE = 25.0  # trials a second: a slower replay would only take longer


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says for all claims alike; ``provider`` None: the simulator."""

    provider: str | None
    seed: int
    time_scale: float
    sequential: bool
    timeout: float = 300.0


class Experiment:
    """Claims that share blocks, as a plan (see ``execute.Plan``).

    Each distinct baseline is run a second time (A/A). Rounds are whole; round 0 is warm-up. A
    claim is finished when it has the blocks that its own spread asks for (re-estimated blind
    after half of those that its stated variance asks for), when the sequential rule has decided,
    or when its budget is spent; arms that no unfinished claim needs are left out of further
    rounds. ``now`` gives the seconds by which budgets run.
    """

    def __init__(
        self,
        claims: Sequence[Claim],
        scenarios: Sequence[Scenario],
        options: Options,
        folder: Path,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        first = claims[0]
        self.claims = list(claims)
        self.scenarios = {scenario.id: scenario for scenario in scenarios}
        self.seed = options.seed
        self.workload = Workload.parse(first.file.workload)
        self.folder = folder
        self.options = options
        self._now = now
        self._by_name: dict[str, ArmSpec] = {}
        self._treatment: dict[str, str] = {}
        self.arms: dict[str, Arms] = {claim.id: self._arms(claim) for claim in claims}
        self._ended: dict[str, int] = {}  # finished claims, with the first block that is not theirs
        self._targets: dict[str, int] = {}  # blocks to run to, once they have been estimated

    @property
    def specs(self) -> list[ArmSpec]:
        return list(self._by_name.values())

    def rounds(self) -> Iterable[Sequence[Block]]:
        """Whole rounds, as long as a claim needs them."""
        began = self._now()
        repeat = blocks = kept = 0
        while active := [claim for claim in self.claims if claim.id not in self._ended]:
            needed = {name for claim in active for name in self.arms[claim.id].names}
            made = plan_round(
                list(self.scenarios),
                [spec.name for spec in self.specs if spec.name in needed],
                self.workload,
                repeat=repeat,
                warmup=repeat == 0,
                group=self.claims[0].block_size,
                seed=self.seed,
                first=blocks,
            )
            yield made
            blocks += len(made)
            kept += len(made) if repeat else 0
            repeat += 1
            minutes = (self._now() - began) / 60
            least = min(self._look(claim) for claim in active)
            if kept and (kept >= least or any(_late(claim, minutes) for claim in active)):
                data = self._recorded()
                for claim in active:
                    if _late(claim, minutes) or self._done(claim, data, kept, len(made)):
                        self._ended[claim.id] = blocks

    def _done(self, claim: Claim, data: Data, kept: int, round_size: int) -> bool:
        if kept >= claim.file.budget.blocks:
            return True
        if kept < self._look(claim):
            return False
        if (g := self.sequential_g(claim)) is not None:
            found = measure(claim, self.arms[claim.id], data, g)
            return decide(claim, found, data.time_scale).verdict != "inconclusive"
        if claim.id not in self._targets:
            self._targets[claim.id] = self._needed(claim, data, round_size)
        return kept >= self._targets[claim.id]

    def _look(self, claim: Claim) -> int:
        """The blocks after which a claim is looked at for the first time."""
        first = FIRST_LOOK if self.sequential_g(claim) is not None else first_look(claim)
        return min(first, claim.file.budget.blocks)

    def _needed(self, claim: Claim, data: Data, round_size: int) -> int:
        """Blocks to run to. Only the spread is looked at, never the direction."""
        found = measure(claim, self.arms[claim.id], data)
        budget = claim.file.budget
        # Of one arm, the spread of its A/A difference decides: that is wider by the root of two.
        sd = spread(claim, found)
        if claim.file.kind == "absolute" and sd is not None:
            sd *= math.sqrt(2)
        if sd is None or claim.file.estimand in ("success", *QUANTILES):
            return budget.blocks
        if sd == 0 or claim.file.scope != "these scenarios":
            return min(budget.blocks, budget.least)
        return power.reestimated_n(
            sd,
            line_of(claim),
            budget.blocks,
            round_size,
            claim.file.confidence,
            n_min=min(budget.least, budget.blocks),
        )

    def sequential_g(self, claim: Claim) -> float | None:
        """The sequence's g for a claim that is run by the sequential rule, else None."""
        logs = ("response_time_gm", "throughput", "makespan", "cpu_s")
        if not self.options.sequential or claim.file.kind == "absolute":
            return None
        if claim.file.estimand not in logs or claim.file.scope != "these scenarios":
            return None
        return sequential.tuned_g(claim.file.budget.blocks)

    def data(self, claim: Claim, replays: Mapping[str, ClientReplay]) -> Data:
        """What was recorded for ``claim``: no block that others needed after it was finished."""
        data, end = self._recorded(), self._ended[claim.id]
        mine = [replays[arm] for arm in self.arms[claim.id].names if arm in replays]
        return replace(
            data,
            records=[record for record in data.records if record.block < end],
            blocks=[block for block in data.blocks if block.block < end],
            replay=worst(mine),
        )

    def _recorded(self) -> Data:
        run = read_run(self.folder)
        return Data(
            run.records,
            run.blocks,
            {spec.name: _slots(spec) for spec in self.specs},
            self._treatment,
            None,
            self.options.time_scale,
        )

    def replay_rates(self) -> dict[str, float]:
        """Arm → twice the rate at which it finished trials, per second, or more; no A/A arms."""
        trials: Counter[str] = Counter()
        seconds: Counter[str] = Counter()
        for block in read_run(self.folder).blocks:
            if not block.warmup and not block.pipeline.endswith("@aa"):
                trials[block.pipeline] += block.trials
                seconds[block.pipeline] += block.ended - block.started  # type: ignore[assignment]
        return {
            arm: max(2 * trials[arm] / seconds[arm], LEAST_REPLAY_RATE)
            for arm in trials
            if seconds[arm] > 0
        }

    def manifest(self, command: Sequence[str]) -> dict[str, Any]:
        """``run.json`` of the experiment, before its first segment."""
        config = {
            "claims": [claim.id for claim in self.claims],
            "provider": self.specs[0].provider.spec,
            "workload": self.claims[0].file.workload,
            "concurrency": max(spec.slots for spec in self.specs),
            "seed": self.seed,
            "time_scale": self.options.time_scale,
            "sequential": self.options.sequential,
            "treatment": self._treatment,
            "target": None,
        }
        names = [spec.name for spec in self.specs]
        return new_manifest("claims", command, config, names, self.scenarios.values(), None)

    def _arms(self, claim: Claim) -> Arms:
        file = claim.file
        baseline = None if file.arms.baseline is None else self._arm(claim, file.arms.baseline)
        candidate = self._arm(claim, file.arms.candidate)
        if baseline == candidate:
            baseline, candidate = candidate, self._twin(candidate)
        return Arms(baseline, candidate, self._twin(baseline or candidate))

    def _arm(self, claim: Claim, arm: ArmFile) -> str:
        file = claim.file
        concurrency = arm.concurrency or file.concurrency
        name = _name(claim, arm)
        if name not in self._by_name:
            pipeline, dispatch = make_pipeline(arm.pipeline, Settings())
            if file.estimand == "loop_stall_s":
                dispatch = "tasks"  # called right on the loop, as a careless caller would
            slots = (arm.batch_size or concurrency) if dispatch == "batches" else concurrency
            provider = self._provider(claim, arm, slots)
            self._by_name[name] = ArmSpec(name, pipeline, dispatch, slots, provider)
            self._treatment[name] = json.dumps(
                arm.model_dump(mode="json", exclude={"pipeline", "concurrency", "batch_size"}),
                sort_keys=True,
            )
        return name

    def _twin(self, name: str) -> str:
        twin = f"{name}@aa"
        if twin not in self._by_name:
            self._by_name[twin] = replace(self._by_name[name], name=twin)
            self._treatment[twin] = self._treatment[name]
        return twin

    def _provider(self, claim: Claim, arm: ArmFile, slots: int) -> ProviderSettings:
        spec = self.options.provider or f"sim:{claim.file.profile}"
        simulated = spec.partition(":")[0] == "sim"
        if arm.sim != NO_OVERRIDES and not simulated:
            raise InputError(
                f"{claim.path}: arms: [sim] is for the simulated provider, not for {spec}"
            )
        settings = ProviderSettings(
            spec=f"sim:{claim.file.profile}" if spec == "sim" else spec,
            seed=self.seed,
            time_scale=self.options.time_scale,  # which make_provider refuses for a real model
            timeout=self.options.timeout,
            model=arm.model,
            slots=slots,
            keepalive=arm.keepalive,
            overrides=arm.sim,
        )
        check_provider(settings)
        return settings


def arm_name(arm: ArmFile, concurrency: int) -> str:
    """A readable name that tells arms of different settings apart: ``async,keepalive=false``."""
    settings = arm.model_dump(mode="json", exclude_defaults=True, exclude={"pipeline"})
    settings |= {f"sim.{key}": value for key, value in settings.pop("sim", {}).items()}
    if settings.get("concurrency") == concurrency:
        del settings["concurrency"]
    return ",".join(
        [arm.pipeline, *(f"{key}={json.dumps(value)}" for key, value in settings.items())]
    )


def group_claims(claims: Sequence[Claim]) -> list[list[Claim]]:
    """Claims that share blocks because they share arms, in the order of their first.

    They must agree on scenarios, workload, concurrency, block size and profile. Others would gain
    nothing from each other, and would lie further apart within their blocks.
    """
    groups: list[tuple[tuple[Any, ...], set[str], list[Claim]]] = []
    for claim in claims:
        file = claim.file
        same = (file.workload, file.concurrency, claim.block_size, file.profile)
        key: tuple[Any, ...] = (*file.scenarios, *same)
        arms = {
            _name(claim, arm)
            for arm in (file.arms.baseline, file.arms.candidate)
            if arm is not None
        }
        related = [group for group in groups if group[0] == key and group[1] & arms]
        members = [other for group in related for other in group[2]]
        at = groups.index(related[0]) if related else len(groups)
        for group in related:
            groups.remove(group)
            arms |= group[1]
        groups.insert(at, (key, arms, [*members, claim]))
    return [members for _, _, members in groups]


def _name(claim: Claim, arm: ArmFile) -> str:
    """An arm's name in its experiment."""
    on_loop = ",on-loop" if claim.file.estimand == "loop_stall_s" else ""
    return arm_name(arm, claim.file.concurrency) + on_loop


def _late(claim: Claim, minutes: float) -> bool:
    return minutes >= claim.file.budget.minutes


def _slots(spec: ArmSpec) -> int:
    return 1 if spec.dispatch == "serial" else spec.slots
