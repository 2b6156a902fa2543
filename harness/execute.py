"""From a plan to a recorded run: providers, rounds, segments, and a clean end on signals."""

import asyncio
import datetime
import gc
import os
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness import environment
from harness.clock import Clock, MonotonicClock
from harness.errors import InputError
from harness.exit_codes import INTERRUPTED
from harness.monitor import Monitor
from harness.pipelines import Connected, Dispatch, Pipeline
from harness.providers import Provider, ProviderSettings, make_provider
from harness.records import TrialRecord
from harness.runner import run_blocks, trial_id
from harness.scenario import Scenario
from harness.store import RunWriter, each_record
from harness.trial import Arm
from harness.workload import Block, Workload

Progress = Callable[[TrialRecord], None]


@dataclass(frozen=True, slots=True)
class ArmSpec:
    """An arm before anything is started; arms of equal provider settings share one provider."""

    name: str
    pipeline: Pipeline
    dispatch: Dispatch
    slots: int
    provider: ProviderSettings


class Plan(Protocol):
    """What is to be run. The first arm is the baseline."""

    @property
    def seed(self) -> int: ...

    @property
    def scenarios(self) -> Mapping[str, Scenario]: ...

    @property
    def specs(self) -> Sequence[ArmSpec]: ...

    @property
    def workload(self) -> Workload: ...

    def rounds(self) -> Iterable[Sequence[Block]]:
        """Stretches of blocks; the next is asked for when the former is recorded."""
        ...


async def record(
    plan: Plan, writer: RunWriter, progress: Progress, clock: Clock | None = None
) -> bool:
    """Run what is not recorded yet; True when every trial is there, False when interrupted.

    SIGINT and SIGTERM end it cleanly, with the trials in flight recorded as cancelled; a second
    signal ends it at once. ``clock`` None: the real one. Raises InputError when a provider cannot
    be used.
    """
    finished, cancelled = recorded(writer.folder)
    clock, began = clock or MonotonicClock(), _wall_clock()
    scenarios = list(plan.scenarios.values())
    providers = {
        settings: make_provider(settings, clock, scenarios)
        for settings in dict.fromkeys(spec.provider for spec in plan.specs)
    }
    connected = [spec.pipeline for spec in plan.specs if isinstance(spec.pipeline, Connected)]
    monitor = Monitor(clock)
    segment: dict[str, Any] = {}

    async def work() -> None:
        nonlocal segment
        for provider in providers.values():
            await provider.open()
        for pipeline in connected:
            await pipeline.open()
        await monitor.start()
        segment = _open_segment(writer, providers[plan.specs[0].provider], began)
        arms = _arms(plan, providers, clock)
        for blocks in plan.rounds():
            _settle_memory()
            await run_blocks(
                blocks,
                arms,
                plan.workload,
                clock=clock,
                monitor=monitor,
                sink=writer,
                segment=segment["index"],
                finished=finished,
                cancelled=cancelled,
                progress=progress,
            )

    # A task of its own: a signal that comes once it is done has nothing left to cancel.
    working = asyncio.create_task(work())
    loop = asyncio.get_running_loop()
    interrupted = whole = False

    def interrupt() -> None:
        nonlocal interrupted
        if interrupted:
            os._exit(INTERRUPTED)
        interrupted = True
        working.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        await working
        whole = True
    except asyncio.CancelledError:
        if not interrupted:
            raise
    finally:
        gc.unfreeze()
        await monitor.stop()
        async with AsyncExitStack() as stack:  # each is closed even when another fails to
            for held in (*providers.values(), *connected):
                stack.push_async_callback(held.close)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        if segment:
            segment["ended"] = _wall_clock()
            writer.manifest["status"] = "complete" if whole else "interrupted"
            writer.save_manifest()
    return whole


def _settle_memory() -> None:
    """Collect garbage now, and leave what is there alone from now on.

    A full collection walks every object of the libraries that are loaded, which takes tens of
    milliseconds and would fall into somebody's response time.
    """
    gc.collect()
    gc.freeze()


def recorded(folder: Path) -> tuple[set[str], Counter[str]]:
    """Trials that are done, and how often each was cancelled (by its plain id)."""
    finished: set[str] = set()
    cancelled: Counter[str] = Counter()
    for trial in each_record(folder):
        if trial.outcome == "cancelled":
            cancelled[trial_id(trial.scenario, trial.pipeline, trial.repeat)] += 1
        else:
            finished.add(trial.trial)
    return finished, cancelled


def _arms(
    plan: Plan, providers: Mapping[ProviderSettings, Provider], clock: Clock
) -> dict[str, Arm]:
    return {
        spec.name: Arm(
            spec.name,
            spec.pipeline,
            spec.dispatch,
            slots=spec.slots,
            provider=providers[spec.provider],
            scenarios=plan.scenarios,
            clock=clock,
            seed=plan.seed,
        )
        for spec in plan.specs
    }


def _open_segment(writer: RunWriter, provider: Provider, began: str) -> dict[str, Any]:
    """Note this process's stretch; the stamps of its records count from ``began``."""
    about = provider.describe()
    known = writer.manifest["provider"]
    if known is not None and {**known, "url": None} != {**about, "url": None}:
        raise InputError(
            f"{writer.folder}: was made with another provider ({known.get('model')}); "
            "resume with the same one, or start a new run"
        )
    segment = {
        "index": len(writer.manifest["segments"]),
        "started": began,
        "ended": None,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "environment": environment.describe(),
    }
    writer.manifest["provider"] = about
    writer.manifest["status"] = "running"
    writer.manifest["segments"].append(segment)
    writer.save_manifest()
    return segment


def _wall_clock() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
