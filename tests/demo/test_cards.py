"""The demo's HTML: other people's words stay text, and differences show in words and marks."""

import dataclasses
import re

import pytest

from harness.clock import ManualClock
from harness.demo.asked import Asked, asked_of
from harness.demo.cards import problem_html, result_html, story_html, way_card
from harness.demo.client import Answer, Problem
from harness.demo.results import Result, results
from harness.demo.ways import WAYS, Progress
from harness.demo.words import Words
from harness.story import Story, Turn
from tests.service.build import SCENARIO
from tests.strategies import ENGLISH, KOREAN

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
EN, KO = Words("en"), Words("ko")


def evil_story() -> Story:
    """Every text of it is markup."""
    turns = [
        Turn(
            turn.turn_number,
            EVIL,
            EVIL,
            f"{EVIL}0",
            tuple(
                dataclasses.replace(
                    stock, name=f"{EVIL}{i}", risk_level=EVIL, description=EVIL, expectation=EVIL
                )
                for i, stock in enumerate(turn.stocks)
            ),
        )
        for turn in KOREAN.turns
    ]
    return Story(tuple(turns))


def tags(markup: str) -> set[str]:
    return set(re.findall(r"<(\w+)", markup))


@pytest.mark.parametrize("words", [EN, KO])
def test_script_tags_stay_text(words: Words) -> None:
    asked = Asked(EVIL, evil_story(), EVIL)
    made = Progress("stream", (asked,), ManualClock())
    made.begin()
    made.hear(EVIL)
    found = [
        way_card("stream", made, 1, 1.0, words),
        result_html(Result(asked, KOREAN, EVIL, (), None), words),
        result_html(Result(Asked("x", KOREAN, EVIL), evil_story(), EVIL, (), None), words),
        problem_html(Problem(EVIL, EVIL), words),
        story_html(None, evil_story(), words, "ko"),
    ]
    for markup in found:
        assert "&lt;script&gt;" in markup
        assert not tags(markup) & {"script", "img"}


def test_differences_are_marked_and_counted() -> None:
    turn = dataclasses.replace(ENGLISH.turns[1], result="The kites flew low.")
    edited = Story((ENGLISH.turns[0], turn))
    shown = story_html(ENGLISH, edited, EN, "en")
    assert "The kites flew <del>high.</del><ins>low.</ins>" in shown
    assert "1 change · Marks:" in shown
    assert shown.count("<details") == 2
    assert shown.count(" open>") == 1
    assert shown.count("unchanged") == 1


def test_an_unchanged_story_says_so() -> None:
    shown = story_html(KOREAN, KOREAN, KO, "ko")
    assert "이야기가 그대로 돌아왔습니다." in shown
    assert "<del>" not in shown


def test_turns_that_came_and_went() -> None:
    shorter = Story(KOREAN.turns[:2])
    assert "3턴이 없어졌습니다." in story_html(KOREAN, shorter, KO, "ko")
    assert "<ins>모두 빵을 나누어 먹었어요.</ins>" in story_html(shorter, KOREAN, KO, "ko")


def test_a_failed_check_says_where_and_why() -> None:
    asked = asked_of(SCENARIO)
    made = Progress("async", (asked,), ManualClock())
    made.begin()
    made.end(Answer(SCENARIO.story.to_json(), ""))
    (result,) = results(made)
    assert result.failed_checks
    shown = result_html(result, EN)
    assert "✗ fails" in shown
    assert shown.index("✗ fails") < shown.index("✓ holds")
    assert f"wrong: {result.failed_checks} of {len(result.checks)} checks fail" in shown


def test_a_card_through_its_life() -> None:
    clock = ManualClock()
    made = Progress("stream", (Asked("x", KOREAN, "request"),), clock)
    assert "waiting its turn" in way_card("stream", made, 1, 0.0, EN)
    made.begin()
    clock.advance(0.5)
    made.hear('[{"turn_number": 1, "result": "빵')
    clock.advance(0.5)
    shown = way_card("stream", made, 1, 2.0, EN)
    assert "<b>1.00</b>" in shown
    assert "running · first text 0.50 s" in shown
    assert "turn 1 of 3" in shown
    assert shown.count("width:25.00%") == 2
    made.end(Problem("deadline", "too late"))
    assert "The edit was not done in time." in way_card("stream", made, 1, 2.0, EN)
    for way in WAYS:
        assert "not run yet" in way_card(way, None, 1, 0.0, EN)


def test_a_failed_batch_is_one_problem() -> None:
    made = Progress("batch", (Asked("x", KOREAN, "a"), Asked("y", KOREAN, "b")), ManualClock())
    made.begin()
    made.end(Problem("overloaded", "later"))
    assert made.state == "failed"
    assert "Too many edits are waiting" in way_card("batch", made, 2, 0.0, EN)
