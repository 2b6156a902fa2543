"""``run.json`` of a load run: with the same keys as any run's, so that every report reads it."""

import datetime
import hashlib
import shlex
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.load.engine import LoadResult
from harness.records import SCHEMA

if TYPE_CHECKING:
    from harness.load.asking import Work
    from harness.scenario import Scenario

ARM = "load"


def begun(command: Sequence[str], config: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    """What is known before the load; finding out the rest would delay the first request."""
    return {
        "schema": SCHEMA,
        "kind": "load",
        "status": "running",
        "command": shlex.join(command),
        "config": config,
        "arms": [ARM],
        "baseline": ARM,
        "planned_trials": None,
        "prompt_version": "",
        "scenarios": {},
        "provider": about,
        "environment": {},
        "segments": [],
    }


def ended(
    manifest: dict[str, Any], result: LoadResult, work: "Work", scenarios: "Sequence[Scenario]"
) -> None:
    """Complete ``manifest``, once the load is over."""
    from harness import environment
    from harness.prompt import prompt_version

    started = datetime.datetime.fromtimestamp(result.started_at).astimezone()
    over = started + datetime.timedelta(seconds=result.duration_s)
    manifest |= {
        "status": "interrupted" if result.interrupted else "complete",
        "prompt_version": prompt_version(),
        "scenarios": (
            {scenario.id: _of_scenario(scenario) for scenario in scenarios}
            or {name: _of_request(work, i) for i, name in enumerate(work.names)}
        ),
        "environment": environment.describe(),
        "segments": [
            {
                "index": 0,
                "started": started.isoformat(timespec="milliseconds"),
                "ended": over.isoformat(timespec="milliseconds"),
                "host": socket.gethostname(),
            }
        ],
    }


def _of_scenario(scenario: "Scenario") -> dict[str, Any]:
    return {
        "digest": scenario.digest,
        "kind": scenario.kind,
        "language": scenario.language,
        "turns": len(scenario.story.turns),
        "request": scenario.request,
        "story": scenario.story.to_data(),
        "reference": scenario.reference.to_data(),
    }


def _of_request(work: "Work", place: int) -> dict[str, Any]:
    """A request that is no scenario: the same bytes to the same path are the same work."""
    request = work.requests[place]
    told = f"{request.method} {request.path}\n".encode() + request.body
    return {
        "digest": hashlib.sha256(told).hexdigest(),
        "kind": "load",
        "language": "en",
        "turns": 0,
        "request": "",
        "story": [],
        "reference": [],
    }
