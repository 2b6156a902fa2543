"""``run.json`` of a new run: what was asked for, of what, and where."""

import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from harness import environment
from harness.prompt import prompt_version
from harness.records import SCHEMA
from harness.scenario import Scenario


def new_manifest(
    kind: str,
    command: Sequence[str],
    config: dict[str, Any],
    arms: Sequence[str],
    scenarios: Iterable[Scenario],
    planned_trials: int | None,
) -> dict[str, Any]:
    """The manifest before the first segment; the first of ``arms`` is the baseline.

    ``planned_trials`` None: decided on the way. Stories are kept, so that reports need no fixture.
    """
    return {
        "schema": SCHEMA,
        "kind": kind,
        "status": "running",
        "command": shlex.join(command),
        "config": config,
        "arms": list(arms),
        "baseline": arms[0],
        "planned_trials": planned_trials,
        "prompt_version": prompt_version(),
        "scenarios": {
            s.id: {
                "digest": s.digest,
                "kind": s.kind,
                "language": s.language,
                "turns": len(s.story.turns),
                "request": s.request,
                "story": s.story.to_data(),
                "reference": s.reference.to_data(),
            }
            for s in scenarios
        },
        "provider": None,
        "environment": environment.describe(),
        "segments": [],
    }
