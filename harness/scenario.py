"""One fixture: a story, an edit request, the checks of the edited story, and a reference answer.

A scenario is a TOML file that names its story (JSON). Loading refuses whatever cannot be judged:
unknown keys, a story that breaks the format, a reference that fails its own checks, a change check
that passes on the unedited story.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError

from harness import checks as ck
from harness.errors import InputError, NothingThereError
from harness.records import CheckResult
from harness.story import Selector, Story, StoryError, fields, load_json_strict, parse_story

Kind = Literal["rename", "news", "stock", "price", "event", "tone"]
OTHER_DATA = ("claims", "profiles", "workloads")  # folders that hold other data than scenarios


class Shift(BaseModel):
    """Move the selected prices, as the check ``shifted`` demands it."""

    model_config = ConfigDict(extra="forbid", strict=True)
    at: ck.SelectorText
    add: int | None = None
    percent: Annotated[float | None, Field(allow_inf_nan=False)] = None


class Patch(BaseModel):
    """A reference answer written as edits of the story, applied in the order of these keys."""

    model_config = ConfigDict(extra="forbid", strict=True)
    replace: dict[str, str] = {}
    set: dict[ck.SelectorText, str | int] = {}
    append: dict[ck.SelectorText, str] = {}
    shift: list[Shift] = []


class ScenarioFile(BaseModel):
    """The keys of a scenario file."""

    model_config = ConfigDict(extra="forbid", strict=True)
    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    kind: Kind
    language: Literal["ko", "en"]
    tags: list[str] = []
    story: Annotated[str, Field(min_length=1)]
    request: Annotated[str, Field(pattern=r"\S")]
    touches: list[ck.SelectorText]
    renames: dict[str, str] = {}
    max_chars: Annotated[int, Field(gt=0)] = 300
    checks: Annotated[list[ck.AnyCheck], Field(min_length=1)]
    reference: Annotated[
        Annotated[str, Tag("file")] | Annotated[Patch, Tag("patch")],
        Discriminator(lambda value: "file" if isinstance(value, str) else "patch"),
    ]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A loaded fixture. ``digest`` is a SHA-256 over everything that bears on the result."""

    id: str
    kind: str
    language: str
    tags: tuple[str, ...]
    story: Story
    request: str
    reference: Story
    touches: tuple[str, ...]
    checks: tuple[ck.Check, ...]
    path: str
    digest: str

    def judge(self, edited: Story) -> list[CheckResult]:
        """Every check on an edited story, in the order in which they are listed."""
        return [check.judge(self.story, edited) for check in self.checks]


def shipped_dir() -> Path:
    """The scenarios that come with the package (or stand beside it in a checkout)."""
    here = Path(__file__).parent
    inside = here / "_scenarios"
    return inside if inside.is_dir() else here.parent / "scenarios"


def load_scenarios(paths: Iterable[str | Path]) -> list[Scenario]:
    """Load files and folders of scenarios, sorted by id.

    Raises InputError, one line naming file and key, for the first thing that is wrong.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise NothingThereError(
                f"{path}: no such file or folder; give a scenario file or a folder"
            )
        found = _files(path)
        if not found:
            raise NothingThereError(f"{path}: holds no scenarios (*.toml)")
        files += found
    scenarios: dict[str, Scenario] = {}
    for file in {file.resolve(): file for file in files}.values():
        scenario = load_scenario(file)
        if scenario.id in scenarios:
            other = scenarios[scenario.id].path
            raise InputError(f"{file}: id: {scenario.id!r} is already the id of {other}")
        scenarios[scenario.id] = scenario
    if not scenarios:
        raise NothingThereError("no scenarios were given; give a scenario file or a folder")
    return [scenarios[key] for key in sorted(scenarios)]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(
        file
        for file in path.rglob("*.toml")
        if not set(file.relative_to(path).parts[:-1]) & set(OTHER_DATA)
    )


def load_scenario(path: Path) -> Scenario:
    """Load and verify one scenario file. Raises InputError naming the file and the key."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # also numbers too long to read
        raise InputError(f"{path}: {error}") from error
    try:
        file = ScenarioFile.model_validate(raw)
    except ValidationError as error:
        raise InputError(f"{path}: {describe(error)}") from error
    story = _load_story(path, "story", file.story)
    if isinstance(file.reference, str):
        reference = _load_story(path, "reference", file.reference)
    else:
        reference = _apply(path, file.reference, story)
    for name in file.renames:
        if name not in story.stock_names:
            raise InputError(f"{path}: renames: {name!r} is not a stock of the story")
    checks: list[ck.Check] = [
        ck.Structure(id="structure", renamed=file.renames),
        ck.Untouched(id="untouched", touches=file.touches, renamed=file.renames),
        ck.Language(id="language", language=file.language),
        ck.Limits(id="limits", max_chars=file.max_chars),
        *file.checks,
    ]
    # `request` and everything judged; where the file lies and how it is tagged do not matter.
    content = json.dumps(
        [
            story.to_data(),
            reference.to_data(),
            file.model_dump(mode="json", exclude={"story", "reference", "tags"}),
        ],
        ensure_ascii=False,
        sort_keys=True,
    )
    scenario = Scenario(
        id=file.id,
        kind=file.kind,
        language=file.language,
        tags=tuple(file.tags),
        story=story,
        request=file.request.strip(),
        reference=reference,
        touches=tuple(file.touches),
        checks=tuple(checks),
        path=str(path),
        digest=hashlib.sha256(content.encode()).hexdigest(),
    )
    _verify(path, scenario)
    return scenario


def describe(error: ValidationError) -> str:
    """The first problem of a validation as ``key: what is wrong``."""
    first = error.errors()[0]
    key = ".".join(
        f"[{part}]" if isinstance(part, int) else str(part) for part in first["loc"]
    ).replace(".[", "[")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "unknown key"
    return f"{key or 'file'}: {message}{more}"


def _load_story(path: Path, key: str, name: str) -> Story:
    file = path.parent / name
    try:
        return parse_story(load_json_strict(file.read_text(encoding="utf-8")))
    except StoryError as error:
        raise InputError(f"{path}: {key}: {file}: {error}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: {key}: {file}: {error}") from error


def _apply(path: Path, patch: Patch, story: Story) -> Story:
    """The story with the patch applied; every edit must change something."""
    data = story.to_data()

    def place(text: str) -> list[tuple[dict[str, object], str]]:
        chosen = Selector.parse(text).select(story)
        if not chosen:
            raise InputError(f"{path}: reference: {text!r} matches no field of the story")
        return [
            (
                data[field.turn - 1]
                if field.stock is None
                else data[field.turn - 1]["stocks"][field.stock],
                field.name,
            )
            for field, _ in chosen
        ]

    for old, new in patch.replace.items():
        hits = 0
        for field, _ in fields(story):
            turn = data[field.turn - 1]
            owner = turn if field.stock is None else turn["stocks"][field.stock]
            value = owner[field.name]
            if isinstance(value, str) and old in value:
                owner[field.name] = value.replace(old, new)
                hits += 1
        if not hits:
            raise InputError(f"{path}: reference.replace: {old!r} does not occur in the story")
    for text, value in patch.set.items():
        for owner, name in place(text):
            owner[name] = value
    for text, value in patch.append.items():
        for owner, name in place(text):
            owner[name] = f"{owner[name]}{value}"
    for move in patch.shift:
        for owner, name in place(move.at):
            price = owner[name]
            if not isinstance(price, int):
                raise InputError(f"{path}: reference.shift: {move.at!r} is not a price")
            owner[name] = ck.shift(price, move.add, move.percent)
    try:
        return parse_story(data)
    except StoryError as error:
        raise InputError(f"{path}: reference: {error}") from error


def _verify(path: Path, scenario: Scenario) -> None:
    """Refuse checks that could not tell a right answer from a wrong one."""
    seen: set[str] = set()
    for check in scenario.checks:
        if check.id in seen:
            raise InputError(f"{path}: checks: two checks have the id {check.id!r}")
        seen.add(check.id)
        for text in check.selectors():
            if not Selector.parse(text).select(scenario.story):
                key = "touches" if check.kind == "untouched" else f"checks.{check.id}"
                raise InputError(f"{path}: {key}: {text!r} matches no field of the story")
        right = check.judge(scenario.story, scenario.reference)
        if not right.ok:
            raise InputError(
                f"{path}: reference: fails its own check {check.id!r}: {explain(right)}"
            )
        unedited = check.judge(scenario.story, scenario.story)
        if check.role == "change" and unedited.ok:
            raise InputError(
                f"{path}: checks.{check.id}: passes on the unedited story, so it shows no change"
            )
        if check.role == "preservation" and not unedited.ok and check.kind != "structure":
            raise InputError(
                f"{path}: checks.{check.id}: fails on the unedited story: {explain(unedited)}"
            )


def explain(result: CheckResult) -> str:
    """A failed check in words: turn, field, reason."""
    place = f"turn {result.turn}, {result.field}: " if result.turn is not None else ""
    return f"{place}{result.why}"
