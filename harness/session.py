"""One ``harness run``: from a configuration to a recorded run, new or resumed."""

import asyncio
import datetime
import os
import shlex
import signal
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness import environment
from harness.clock import Clock, MonotonicClock
from harness.config import RunConfig, make_config
from harness.errors import InputError
from harness.monitor import Monitor
from harness.pipelines import Dispatch, Pipeline, Settings, make_pipeline
from harness.prompt import prompt_version
from harness.providers import Provider, ProviderSettings, make_provider
from harness.records import SCHEMA, TrialRecord
from harness.runner import run_blocks, trial_id
from harness.scenario import Scenario, load_scenarios
from harness.store import RunWriter, read_run
from harness.trial import Arm
from harness.workload import Workload, plan_blocks

Progress = Callable[[TrialRecord], None]


class Session:
    """A run that is about to be made: everything checked, nothing started.

    ``total`` trials are planned, of which ``already`` were recorded before (a resume).
    """

    def __init__(self, config: RunConfig, scenarios: Sequence[Scenario]) -> None:
        self.config = config
        self.scenarios = {scenario.id: scenario for scenario in scenarios}
        settings = Settings(summary=config.summary, constrained=config.constrained)
        self._made: dict[str, tuple[Pipeline, Dispatch]] = {}
        for spec in config.arms:
            base, _, mark = spec.partition("@")
            if mark not in ("", "aa") or (mark and base not in config.pipelines):
                raise InputError(
                    f"--pipelines: {spec!r}: only '@aa' of a pipeline that is also named is known"
                )
            pipeline, dispatch = make_pipeline(base, settings)
            name = f"{pipeline.name}@aa" if mark else pipeline.name
            if name in self._made:
                raise InputError(
                    f"--pipelines: two are named {name!r}; to compare one with itself add --aa"
                )
            self._made[name] = (pipeline, dispatch)
        self.workload = Workload.parse(config.workload)
        self.blocks = plan_blocks(
            list(self.scenarios),
            list(self._made),
            self.workload,
            repeats=config.repeats,
            warmup=config.warmup,
            group=config.block_size,
            seed=config.seed,
        )
        self.already = 0

    @property
    def arm_names(self) -> list[str]:
        return list(self._made)

    @property
    def total(self) -> int:
        return sum(len(block.scenarios) * len(block.arms) for block in self.blocks)

    def arms(self, provider: Provider, clock: Clock) -> dict[str, Arm]:
        """The arms, ready to start trials."""
        config = self.config
        return {
            name: Arm(
                name,
                pipeline,
                dispatch,
                slots=config.slots_per_batch if dispatch == "batches" else config.concurrency,
                provider=provider,
                scenarios=self.scenarios,
                clock=clock,
                seed=config.seed,
            )
            for name, (pipeline, dispatch) in self._made.items()
        }

    def manifest(self, command: Sequence[str]) -> dict[str, Any]:
        """``run.json`` of a new run, before its first segment."""
        return {
            "schema": SCHEMA,
            "kind": "run",
            "status": "running",
            "command": shlex.join(command),
            "config": self.config.model_dump(mode="json"),
            "arms": self.arm_names,
            "baseline": self.arm_names[0],
            "planned_trials": self.total,
            "prompt_version": prompt_version(),
            "scenarios": {
                s.id: {
                    "digest": s.digest,
                    "kind": s.kind,
                    "language": s.language,
                    "turns": len(s.story.turns),
                    "request": s.request,
                }
                for s in self.scenarios.values()
            },
            "provider": None,
            "environment": environment.describe(),
            "segments": [],
        }


async def record(session: Session, writer: RunWriter, progress: Progress) -> bool:
    """Run what is not recorded yet; True when every trial is there, False when interrupted.

    SIGINT and SIGTERM end it cleanly, with the trials in flight recorded as cancelled; a second
    signal ends it at once. Raises InputError when the provider cannot be used.
    """
    finished, cancelled = _recorded(writer.folder)
    session.already = len(finished)
    clock, began = MonotonicClock(), _wall_clock()
    config = session.config
    provider = make_provider(
        ProviderSettings(
            spec=config.provider,
            seed=config.seed,
            time_scale=config.time_scale,
            timeout=config.timeout,
            model=config.model,
            rate_limit=config.rate_limit,
            slots=max(config.concurrency, config.slots_per_batch),
        ),
        clock,
        list(session.scenarios.values()),
    )
    monitor = Monitor()
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if interrupted:
            os._exit(130)
        interrupted = True
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    segment: dict[str, Any] = {}
    try:
        await provider.open()
        await monitor.start()
        segment = _open_segment(writer, provider, began)
        await run_blocks(
            session.blocks,
            session.arms(provider, clock),
            session.workload,
            clock=clock,
            monitor=monitor,
            sink=writer,
            segment=len(writer.manifest["segments"]) - 1,
            finished=finished,
            cancelled=cancelled,
            progress=progress,
        )
    except asyncio.CancelledError:
        if not interrupted:
            raise
        task.uncancel()
    finally:
        await monitor.stop()
        await provider.close()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        if segment:
            segment["ended"] = _wall_clock()
            writer.manifest["status"] = "interrupted" if interrupted else "complete"
            writer.save_manifest()
    return not interrupted


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
    }
    writer.manifest["provider"] = about
    writer.manifest["status"] = "running"
    writer.manifest["segments"].append(segment)
    writer.save_manifest()
    return segment


def _recorded(folder: Path) -> tuple[set[str], Counter[str]]:
    """Trials that are done, and how often each was cancelled (by its plain id)."""
    finished: set[str] = set()
    cancelled: Counter[str] = Counter()
    for trial in read_run(folder).records:
        if trial.outcome == "cancelled":
            cancelled[trial_id(trial.scenario, trial.pipeline, trial.repeat)] += 1
        else:
            finished.add(trial.trial)
    return finished, cancelled


def _wall_clock() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def new_session(values: dict[str, Any]) -> Session:
    """Check a configuration and load what it names. Raises InputError."""
    config = make_config(values)
    return Session(config, load_scenarios(config.scenarios))


def resumed_session(folder: Path, given: dict[str, Any]) -> tuple[Session, RunWriter]:
    """The session of an unfinished run. ``given`` are options named again, which must be the same.

    Raises InputError when an option, a scenario or a prompt is not what it was.
    """
    writer = RunWriter.resume(folder)
    try:
        manifest = writer.manifest
        kept = manifest["config"]
        asked = make_config({**kept, **given}).model_dump(mode="json")
        for key, value in asked.items():
            if value != kept[key]:
                raise InputError(
                    f"{folder}: --{key.replace('_', '-')} was {kept[key]!r}, now {value!r}; "
                    "leave it out to resume, or start a new run with another --out"
                )
        session = new_session(kept)
        for name, scenario in session.scenarios.items():
            if manifest["scenarios"].get(name, {}).get("digest") != scenario.digest:
                raise InputError(f"{scenario.path}: has changed since the run in {folder} began")
        if set(manifest["scenarios"]) != set(session.scenarios):
            raise InputError(f"{folder}: scenarios have been added or removed since the run began")
        if manifest["prompt_version"] != prompt_version():
            raise InputError(f"{folder}: the prompts have changed since the run began")
    except BaseException:
        writer.close()
        raise
    return session, writer
