"""Prompts: what is sent, and the summaries that come back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import prompt as under_test
from harness.prompt import (
    SUMMARY_MAX_CHARS,
    Prompt,
    clean_summary,
    edit_prompt,
    prompt_version,
    rule_summary,
    summary_prompt,
)
from harness.scenario import Scenario
from harness.story import Story
from tests.mutations import drop_last_turn
from tests.simulated import shipped
from tests.strategies import ENGLISH

every_scenario = pytest.mark.parametrize("scenario", shipped(), ids=lambda s: s.id)


@every_scenario
def test_the_edit_holds_the_whole_story_and_the_request(scenario: Scenario) -> None:
    prompt = edit_prompt(scenario)
    (system, rules), (user, text) = prompt.messages
    assert (system, user, prompt.call) == ("system", "user", "edit")
    assert scenario.story.to_json() in text
    assert scenario.request in text
    assert text.index(scenario.story.to_json()) < text.index(scenario.request)
    assert "JSON" in rules
    hangul = any("가" <= letter <= "힣" for letter in rules)
    assert hangul == (scenario.language == "ko")
    # Even at a token for each character the right answer fits.
    assert prompt.max_tokens >= len(scenario.reference.to_json())
    assert prompt.temperature == 0.0
    assert prompt.schema is None


@every_scenario
def test_the_summary_names_what_changed(scenario: Scenario) -> None:
    prompt = summary_prompt(scenario, scenario.reference)
    text = prompt.messages[-1][1]
    assert prompt.call == "summary"
    assert scenario.request in text
    assert 1 <= text.count(" → ") <= 8
    assert len(text) < 8 * 200 + len(scenario.request)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_summary_of_nothing_and_of_another_shape(language: str) -> None:
    scenario = next(s for s in shipped() if s.language == language and len(s.story.turns) > 1)
    shorter = drop_last_turn(scenario.story)
    assert isinstance(shorter, Story)
    nothing = {"ko": "- 없음", "en": "- nothing"}[language]
    for edited in (scenario.story, shorter, ENGLISH):
        assert nothing in summary_prompt(scenario, edited).messages[-1][1]


def test_a_draw_changes_nothing_but_its_name() -> None:
    prompt = edit_prompt(shipped()[0], {"type": "array"})
    named = prompt.drawn("1|s|0|a")
    assert named.draw == "1|s|0|a"
    assert named.drawn("") == prompt
    assert prompt.draw == ""


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("", None),
        (" \n\t ", None),
        ("  한\n 문장.\n", "한 문장."),
        ("x" * 119 + " yz", "x" * 119 + " "),
    ],
)
def test_a_summary_is_one_line(text: str, summary: str | None) -> None:
    assert clean_summary(text) == summary


@given(st.text())
def test_any_summary_is_within_its_limit(text: str) -> None:
    summary = clean_summary(text)
    assert (summary is None) == (not text.strip())
    if summary is not None:
        assert 0 < len(summary) <= SUMMARY_MAX_CHARS
        assert len(summary.splitlines()) == 1


@every_scenario
def test_a_summary_by_rule(scenario: Scenario) -> None:
    summary = rule_summary(scenario)
    assert 0 < len(summary) <= SUMMARY_MAX_CHARS
    assert " ".join(scenario.request.split())[:20] in summary
    assert "\n" not in summary


@given(st.text(min_size=1).filter(lambda text: bool(text.strip())))
def test_any_summary_by_rule_is_within_its_limit(request: str) -> None:
    summary = rule_summary(replace(shipped()[0], request=request))
    assert 0 < len(summary) <= SUMMARY_MAX_CHARS
    assert len(summary.splitlines()) == 1


def test_the_version_follows_the_wording(monkeypatch: pytest.MonkeyPatch) -> None:
    version = prompt_version()
    assert len(version) == 12
    assert version == prompt_version()
    monkeypatch.setitem(under_test._EDIT_SYSTEM, "en", "Edit the full story.")
    assert prompt_version() != version


def test_a_drawn_prompt_is_the_same_but_for_its_name_and_deadline() -> None:
    prompt = Prompt("edit", (("user", "x"),), 7, 0.5, {"type": "array"}, "before", 1.0)
    assert prompt.drawn("after", 2.0) == replace(prompt, draw="after", deadline=2.0)
    assert prompt.drawn("after").deadline is None
