"""The examples in docs/scenarios.md load, and its tables name what the code has."""

import json
import re
import tomllib
from pathlib import Path
from typing import get_args

from harness.checks import ALWAYS, AnyCheck, Check
from harness.scenario import Patch, ScenarioFile, load_scenarios

DOC = Path(__file__).parent.parent / "docs" / "scenarios.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", DOC.read_text("utf-8"), re.DOTALL | re.M)


def row(name: str) -> str:
    """The table row that begins with this name."""
    found = re.findall(rf"^\| `{re.escape(name)}` \|.*$", DOC.read_text("utf-8"), re.M)
    assert found, f"no row for {name}"
    return "\n".join(found)


def check_kinds() -> dict[str, type[Check]]:
    union = get_args(AnyCheck)[0]
    return {get_args(c.model_fields["kind"].annotation)[0]: c for c in get_args(union)}


def test_examples_load(tmp_path: Path) -> None:
    (story,) = blocks("json")
    examples = blocks("toml")
    assert len(examples) >= 2
    for number, example in enumerate(examples):
        file = tmp_path / tomllib.loads(example)["story"]
        file.parent.mkdir(exist_ok=True)
        file.write_text(story, encoding="utf-8")
        (tmp_path / f"{number}.toml").write_text(example, encoding="utf-8")
    assert len(load_scenarios([tmp_path])) == len(examples)
    assert isinstance(json.loads(story), list)


def test_every_key_of_a_scenario_file_is_explained() -> None:
    for key, field in ScenarioFile.model_fields.items():
        assert ("| required |" in row(key)) == field.is_required(), key
    for table in Patch.model_fields:
        assert f"[reference.{table}]" in DOC.read_text("utf-8")


def test_every_kind_of_check_is_explained_with_its_keys() -> None:
    for kind, check in check_kinds().items():
        for key in set(check.model_fields) - {"id", "kind"}:
            assert f"`{key}`" in row(kind), f"{kind}: {key}"
    for always in ALWAYS:
        assert row(str(always.model_fields["kind"].default))


def test_kinds_stand_under_their_role() -> None:
    part: dict[str, str] = {}
    heading = ""
    for line in DOC.read_text("utf-8").splitlines():
        if match := re.match(r"\| \*\*(\w+)\*\* \|", line):
            heading = match[1]
        elif (match := re.match(r"\| `(\w+)` \|", line)) and heading:
            part[match[1]] = heading
    expected = {k: "proxy" if c.proxy else c.role for k, c in check_kinds().items()}
    assert part == expected
