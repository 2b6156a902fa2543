"""One ``harness run``: from a configuration to a plan that can be recorded, new or resumed."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from harness.config import RunConfig, make_config
from harness.errors import InputError
from harness.execute import ArmSpec, recorded
from harness.manifest import new_manifest
from harness.pipelines import Dispatch, Pipeline, Settings, make_pipeline
from harness.prompt import prompt_version
from harness.providers import ProviderSettings, check_provider
from harness.scenario import Scenario, load_scenarios
from harness.store import RunWriter
from harness.workload import Block, Workload, plan_blocks


class Session:
    """A run that is about to be made: everything checked, nothing started.

    ``total`` trials are planned, of which ``already`` were recorded before (a resume).
    """

    def __init__(self, config: RunConfig, scenarios: Sequence[Scenario]) -> None:
        self.config = config
        self.scenarios = {scenario.id: scenario for scenario in scenarios}
        settings = Settings(summary=config.summary, constrained=config.constrained)
        made: dict[str, tuple[Pipeline, Dispatch]] = {}
        for spec in config.arms:
            base, _, mark = spec.partition("@")
            if mark not in ("", "aa") or (mark and base not in config.pipelines):
                raise InputError(
                    f"--pipelines: {spec!r}: only '@aa' of a pipeline that is also named is known"
                )
            pipeline, dispatch = make_pipeline(base, settings)
            name = f"{pipeline.name}@aa" if mark else pipeline.name
            if name in made:
                raise InputError(
                    f"--pipelines: two are named {name!r}; to compare one with itself add --aa"
                )
            made[name] = (pipeline, dispatch)
        provider = ProviderSettings(
            spec=config.provider,
            seed=config.seed,
            time_scale=config.time_scale,
            timeout=config.timeout,
            model=config.model,
            rate_limit=config.rate_limit,
            slots=max(config.concurrency, config.slots_per_batch),
        )
        check_provider(provider)
        self.specs = [
            ArmSpec(
                name,
                pipeline,
                dispatch,
                slots=config.slots_per_batch if dispatch == "batches" else config.concurrency,
                provider=provider,
            )
            for name, (pipeline, dispatch) in made.items()
        ]
        self.seed = config.seed
        self.workload = Workload.parse(config.workload)
        self.blocks = plan_blocks(
            list(self.scenarios),
            list(made),
            self.workload,
            repeats=config.repeats,
            warmup=config.warmup,
            group=config.block_size,
            seed=config.seed,
        )
        self.already = 0

    @property
    def arm_names(self) -> list[str]:
        return [spec.name for spec in self.specs]

    @property
    def total(self) -> int:
        return sum(len(block.scenarios) * len(block.arms) for block in self.blocks)

    def rounds(self) -> Iterable[Sequence[Block]]:
        """All blocks at once: nothing is decided on the way."""
        yield self.blocks

    def manifest(self, command: Sequence[str]) -> dict[str, Any]:
        """``run.json`` of a new run, before its first segment."""
        return new_manifest(
            "run",
            command,
            self.config.model_dump(mode="json"),
            self.arm_names,
            self.scenarios.values(),
            self.total,
        )


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
        for key, value in make_config(kept).model_dump(mode="json").items():
            if value != asked[key]:
                raise InputError(
                    f"{folder}: --{key.replace('_', '-')} was {value!r}, now {asked[key]!r}; "
                    "leave it out to resume, or start a new run with another --out"
                )
        session = new_session(kept)
        if set(manifest["scenarios"]) != set(session.scenarios):
            raise InputError(f"{folder}: scenarios have been added or removed since the run began")
        for name, scenario in session.scenarios.items():
            if manifest["scenarios"][name]["digest"] != scenario.digest:
                raise InputError(f"{scenario.path}: has changed since the run in {folder} began")
        if manifest["prompt_version"] != prompt_version():
            raise InputError(f"{folder}: the prompts have changed since the run began")
        session.already = len(recorded(folder)[0])
    except BaseException:
        writer.close()
        raise
    return session, writer
