"""What is asked of the service: an edit of a shipped scenario, or of somebody's own story."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from harness.demo.words import Words
from harness.errors import InputError
from harness.records import CheckResult
from harness.scenario import Scenario, load_scenarios, shipped_dir
from harness.story import Story, StoryError, load_json_strict, parse_story

BATCH = 3  # as many edits at once as the original service had
OWN = "own-story"
FIRST = {"ko": "ko-moonlight-rename-wizard", "en": "en-museum-rename-club"}

_HANGUL = re.compile("[가-힣]")
_WHERE = re.compile(r"turn (\d+)(?: (stocks\[\d+\]))?")


@dataclass(frozen=True, slots=True)
class Asked:
    """One edit. ``scenario`` has the checks of its result; None: nobody wrote any."""

    chapter: str
    story: Story
    request: str
    scenario: Scenario | None = None

    @property
    def language(self) -> str:
        """What the story is written in."""
        if self.scenario is not None:
            return self.scenario.language
        return "ko" if _HANGUL.search(self.story.to_json()) else "en"

    def body(self) -> dict[str, str]:
        """The edit as the service takes it."""
        return {
            "chapterId": self.chapter,
            "story": self.story.to_json(),
            "editRequest": self.request,
        }

    def judge(self, edited: Story) -> list[CheckResult]:
        """Every check of the scenario on an edited story; none without a scenario."""
        return [] if self.scenario is None else self.scenario.judge(edited)


Batch: TypeAlias = tuple[Asked, ...]


def shipped() -> list[Scenario]:
    """All scenarios that come with the package, sorted by id."""
    return load_scenarios([shipped_dir()])


def first_of(scenarios: Sequence[Scenario], lang: str, wanted: str | None = None) -> Scenario:
    """The scenario to begin with. Raises InputError when the wanted one is not there."""
    named = wanted or FIRST[lang]
    for scenario in scenarios:
        if scenario.id == named:
            return scenario
    raise InputError(f"{named}: no such scenario; `harness scenarios list` names them all")


def asked_of(scenario: Scenario, request: str | None = None) -> Asked:
    """The scenario's edit; with another ``request`` (line breaks aside) its checks say nothing
    any more.
    """
    if request is None or request.split() == scenario.request.split():
        return Asked(scenario.id, scenario.story, scenario.request, scenario)
    return Asked(scenario.id, scenario.story, request.strip())


def batch_of(asked: Asked, scenarios: Sequence[Scenario]) -> Batch:
    """The edit with others of the same story; where there are none, with itself again."""
    others = [
        asked_of(scenario)
        for scenario in scenarios
        if scenario.story == asked.story and scenario.request != asked.request
    ]
    return (asked, *others, *[asked] * BATCH)[:BATCH]


def read_own(text: str, words: Words) -> Story | str:
    """A story that somebody wrote, or in words what is wrong with it and where."""
    if not text.strip():
        return words("own.empty")
    try:
        return parse_story(load_json_strict(text))
    except StoryError as error:
        where = _WHERE.fullmatch(error.where)
        if where is None:
            place = words("own.story")
        else:
            place = words("own.turn", n=where[1]) + (f", {where[2]}" if where[2] else "")
        return f"{place}: {words.translated('story_error', error.why)}"
    except RecursionError:
        return words("own.deep")
    except ValueError as error:
        line, column = getattr(error, "lineno", None), getattr(error, "colno", None)
        if line is None:
            return words("own.not_json", why=words.translated("json_error", str(error)))
        return words("own.not_json_at", line=line, column=column)
