"""Experiments on planted truths: real pipelines and records, a simulated model, virtual time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.claims import Claim, ClaimFile
from harness.execute import record
from harness.experiments import Experiment, Options
from harness.judge import Result, judge
from harness.replay import replay_client
from harness.scenario import load_scenarios, shipped_dir
from harness.store import RunWriter
from tests.virtual_time import VirtualClock, run_virtual

SCENARIOS = ("short-en-news", "short-en-price", "short-ko-news", "short-ko-price")
PROFILE = """
[edit]
ttft_s = { mean = 1.0, cv = 0.2 }
total_s = { mean = 6.3, cv = 0.09 }

[summary]
ttft_s = { mean = 0.3, cv = 0.2 }
total_s = { mean = 1.1, cv = 0.09 }

[answers]
right = 1.0
"""
# Where waiting costs nothing the monitor's beat is most of the work: a faster life has fewer.
TIME_SCALE = 0.1


def claim(folder: Path, **changes: Any) -> Claim:
    """ "About 15 % faster" between two asynchronous arms, with ``changes`` of the file's keys.

    The arms differ in keep-alive alone, which costs nothing here: a treatment without effect.
    """
    profile = folder / "planted.toml"
    profile.write_text(PROFILE)
    data: dict[str, Any] = {
        "id": "planted",
        "sentence": "B is about 15 % faster than A.",
        "sentence_ko": "B가 A보다 약 15 % 빠르다.",
        "source": "planted",
        "kind": "about",
        "estimand": "response_time_gm",
        "reduction": 0.15,
        "scenarios": list(SCENARIOS),
        "profile": str(profile),
        "arms": arms(),
        "budget": {"blocks": 140},
    }
    return Claim(ClaimFile.model_validate(data | changes), "planted.toml")


def arms(baseline: dict[str, Any] | None = None, candidate: dict[str, Any] | None = None) -> Any:
    """Two asynchronous arms with what their simulated models do differently."""
    return {
        "baseline": {"pipeline": "async", "keepalive": False, "sim": baseline or {}},
        "candidate": {"pipeline": "async", "sim": candidate or {}},
    }


def run(
    folder: Path,
    tested: Claim,
    *,
    seed: int = 1,
    sequential: bool = False,
    meanwhile: Callable[[], None] | None = None,
) -> Result:
    """Run what ``tested`` needs and judge it; ``meanwhile`` is called after every trial."""
    scenarios = [s for s in load_scenarios([shipped_dir() / "short"]) if s.id in SCENARIOS]
    options = Options(None, seed, TIME_SCALE, sequential)
    experiment = Experiment([tested], scenarios, options, folder / "run")

    async def main() -> Result:
        clock = VirtualClock()
        with RunWriter.create(experiment.folder, experiment.manifest(["test"])) as writer:
            whole = await record(
                experiment, writer, lambda trial: meanwhile() if meanwhile else None, clock
            )
        assert whole
        replays = await replay_client(experiment, experiment.replay_rates(), clock)
        data = experiment.data(tested, replays)
        g = experiment.sequential_g(tested)
        return judge(tested, experiment.arms[tested.id], data, g)

    return run_virtual(main())
