"""The client by itself: the same arms against a server that answers at once, at twice the load."""

import math
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from harness.clock import Clock, MonotonicClock
from harness.errors import InputError
from harness.execute import ArmSpec, Plan
from harness.gates import ClientReplay
from harness.monitor import Monitor
from harness.pipelines import Dispatch
from harness.providers import ProviderSettings, make_provider
from harness.records import Answer, BlockRecord, TrialRecord
from harness.runner import run_blocks
from harness.simulator.profile import NO_OVERRIDES
from harness.trial import Arm
from harness.validity import LEAST_SLIP_S
from harness.workload import Block, Workload

REPLAYS = 40  # trials of each arm at least
TRIES = 3


class _Nowhere:
    """A sink that keeps records in memory only."""

    def __init__(self) -> None:
        self.records: list[TrialRecord] = []
        self.blocks: list[BlockRecord] = []

    def append(self, record: TrialRecord, answers: Sequence[Answer]) -> None:
        self.records.append(record)

    def append_block(self, block: BlockRecord) -> None:
        self.blocks.append(block)


async def replay_client(
    plan: Plan, rates: Mapping[str, float], clock: Clock | None = None
) -> dict[str, ClientReplay]:
    """Run each arm of ``rates`` against a server that answers at once, at that many trials a
    second (twice what was measured), to see what the client itself adds and uses.

    The best of up to three tries counts, since what the client can do is looked for; what others
    on the machine took from it during the experiment shows in the gates G2 and G3.
    """
    clock = clock or MonotonicClock()
    found: dict[str, ClientReplay] = {}
    monitor = Monitor(clock)
    await monitor.start()
    try:
        for spec in plan.specs:
            if spec.name in rates:
                for _ in range(TRIES):
                    made = await _replay(plan, spec, rates[spec.name], clock, monitor)
                    found[spec.name] = min(found.get(spec.name, made), made, key=_p99)
                    if _p99(found[spec.name]) <= LEAST_SLIP_S:
                        break
    finally:
        await monitor.stop()
    return found


def _p99(replay: ClientReplay) -> float:
    return math.inf if replay.p99_s is None else replay.p99_s


def worst(replays: Sequence[ClientReplay]) -> ClientReplay | None:
    """The largest of each figure; one that an arm lacks is lacking. None without replays."""
    if not replays:
        return None

    def largest(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return max(known) if len(known) == len(values) else None

    return ClientReplay(
        p99_s=largest([replay.p99_s for replay in replays]),
        p50_s=largest([replay.p50_s for replay in replays]),
        cpu_share=largest([replay.cpu_share for replay in replays]),
    )


async def _replay(
    plan: Plan, spec: ArmSpec, rate: float, clock: Clock, monitor: Monitor
) -> ClientReplay:
    sink = _Nowhere()
    with _null_server(spec.provider) as null:
        provider = make_provider(null, clock, list(plan.scenarios.values()))
        try:
            await provider.open()
            arm = Arm(
                spec.name,
                spec.pipeline,
                _paced(spec.dispatch),
                slots=max(2 * spec.slots, 8),
                provider=provider,
                scenarios=plan.scenarios,
                clock=clock,
                seed=plan.seed,
            )
            names = tuple(plan.scenarios)
            workload = Workload("rate", rate=rate, arrival="constant")
            moments = tuple(workload.offsets(len(names), ()) or ())
            rounds = 1 + -(-REPLAYS // len(names))  # the first warms up
            await run_blocks(
                [Block(i, i, i == 0, names, (spec.name,), moments) for i in range(rounds)],
                {spec.name: arm},
                workload,
                clock=clock,
                monitor=monitor,
                sink=sink,
                segment=0,
                finished=(),
                cancelled={},
                progress=lambda record: None,
            )
        finally:
            await provider.close()
    kept = [block for block in sink.blocks if not block.warmup]
    times = [
        time
        for record in sink.records
        if not record.warmup and (time := record.response_time) is not None
    ]
    wall = sum(block.ended - block.started for block in kept)
    if not times or not wall:
        return ClientReplay(None, None, None)
    p50, p99 = np.quantile(times, [0.5, 0.99])
    cpu = sum(block.cpu_s for block in kept) / wall
    return ClientReplay(p99_s=float(p99), p50_s=float(p50), cpu_share=cpu)


def _paced(dispatch: Dispatch) -> Dispatch:
    """Batches would hold answers back on purpose; what is looked for is the client's own delay."""
    return "tasks" if dispatch == "batches" else dispatch


@contextmanager
def _null_server(settings: ProviderSettings) -> Iterator[ProviderSettings]:
    """The same way of calling, to a model that answers at once."""
    if settings.spec.partition(":")[0] == "sim":
        yield replace(settings, spec="sim:null", time_scale=1.0, overrides=NO_OVERRIDES)
        return
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "simulate", "--profile", "null"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("listening on "):
            raise InputError("the null server for the client's replay did not start")
        yield replace(settings, spec=line.split()[-1], model=None)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
