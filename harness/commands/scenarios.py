"""``harness scenarios``."""

import argparse
import json
import sys

from harness.errors import InputError, NothingThereError
from harness.exit_codes import OK, REFUTED
from harness.scenario import Scenario, load_scenarios, shipped_dir


def main(args: argparse.Namespace) -> int:
    """List the fixtures, or check them: exit 1 when one is wrong."""
    paths = args.paths or [shipped_dir()]
    try:
        scenarios = load_scenarios(paths)
    except InputError as error:
        if args.action == "list" or isinstance(error, NothingThereError):
            raise
        if args.json:
            print(json.dumps({"ok": False, "problem": str(error)}, ensure_ascii=False))
        else:
            print(f"harness: {error}", file=sys.stderr)
        return REFUTED
    if args.json:
        rows = [_row(scenario) for scenario in scenarios]
        print(json.dumps({"ok": True, "scenarios": rows}, ensure_ascii=False))
    elif args.action == "check":
        checks = sum(len(scenario.checks) for scenario in scenarios)
        print(f"{len(scenarios)} scenarios with {checks} checks: all references pass")
    else:
        for scenario in scenarios:
            turns = len(scenario.story.turns)
            print(f"{scenario.id:34} {scenario.language}  {scenario.kind:7} {turns} turns")
            print(f"    {scenario.request}")
    return OK


def _row(scenario: Scenario) -> dict[str, object]:
    return {
        "id": scenario.id,
        "kind": scenario.kind,
        "language": scenario.language,
        "turns": len(scenario.story.turns),
        "tags": scenario.tags,
        "request": scenario.request,
        "checks": [check.id for check in scenario.checks],
        "path": scenario.path,
    }
