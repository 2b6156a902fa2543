"""What the simulated model says, judged as the harness judges real answers."""

import math
import random
from collections import Counter
from itertools import pairwise

import pytest

from harness.edits import read_story
from harness.records import Malformed
from harness.scenario import Scenario
from harness.simulator import answers
from harness.simulator.answers import Known, attempt_edit, edit_reply, find_story, wrong_edit
from harness.simulator.profile import Answers, Dress
from harness.story import Story, fields, parse_story
from tests.simulated import profile, shipped
from tests.strategies import ENGLISH, KOREAN

DRESSES = {
    "bare": Dress(),
    "fenced": Dress(fenced=1),
    "wrapped": Dress(wrapped=1),
    "chatty": Dress(chatty=1),
}
every_scenario = pytest.mark.parametrize("scenario", shipped(), ids=lambda s: s.id)
every_dress = pytest.mark.parametrize("dress", DRESSES.values(), ids=DRESSES)


def known(scenario: Scenario) -> Known:
    return Known(scenario.story, scenario.reference)


def verdict(scenario: Scenario, text: str) -> str:
    story = read_story(text)
    if isinstance(story, Malformed):
        return "malformed"
    return "ok" if all(check.ok for check in scenario.judge(story)) else "wrong"


@every_scenario
@every_dress
def test_a_right_answer_is_judged_right_in_every_dress(scenario: Scenario, dress: Dress) -> None:
    for seed in range(4):
        text, finish = edit_reply(known(scenario), profile(dress=dress), random.Random(seed))
        assert finish == "stop"
        assert read_story(text) == scenario.reference
        assert verdict(scenario, text) == "ok"


@every_scenario
def test_every_wrong_edit_is_judged_wrong(scenario: Scenario) -> None:
    seen = set()
    for seed in range(25):
        story = wrong_edit(known(scenario), random.Random(seed))
        assert parse_story(story.to_data()) == story
        assert verdict(scenario, story.to_json()) == "wrong"
        seen.add(story)
    assert scenario.story in seen
    assert len(seen) > 1


@every_scenario
def test_whatever_a_neighbour_changes_is_judged_wrong(scenario: Scenario) -> None:
    """Every field that the way may choose."""

    class Chosen(random.Random):
        """Takes one given place in the first choice, any in the next."""

        def __init__(self, place: int, step: int) -> None:
            super().__init__(0)
            self._turns = iter((place, step))

        def choice(self, seq):  # type: ignore[no-untyped-def]
            return seq[next(self._turns) % len(seq)]

    kept = [
        field
        for (field, before), (_, after) in zip(
            fields(scenario.story), fields(scenario.reference), strict=True
        )
        if before == after and field.name in ("current_value", "risk_level")
    ]
    assert kept
    for place in range(len(kept)):
        story = answers._neighbour_changed(known(scenario), Chosen(place, step=place))
        assert verdict(scenario, story.to_json()) == "wrong"


@every_scenario
def test_a_later_turn_copied_is_judged_wrong(scenario: Scenario) -> None:
    story = answers._later_turn_copied(known(scenario), random.Random(0))
    assert verdict(scenario, story.to_json()) == "wrong"


@every_scenario
@every_dress
def test_every_truncated_answer_is_malformed(scenario: Scenario, dress: Dress) -> None:
    cut_off = profile(answers=Answers(right=0, truncated=1), dress=dress)
    for seed in range(8):
        text, finish = edit_reply(known(scenario), cut_off, random.Random(seed))
        assert finish == "length"
        assert isinstance(read_story(text), Malformed)


@pytest.mark.parametrize("text", answers.MALFORMED)
def test_every_malformed_answer_is_malformed(text: str) -> None:
    assert isinstance(read_story(text), Malformed)


def test_shares_are_those_of_the_profile() -> None:
    shares = {"ok": 0.6, "wrong": 0.2, "malformed": 0.2}
    mixed = profile(
        answers=Answers(right=0.6, wrong=0.2, malformed=0.12, truncated=0.08),
        dress=Dress(fenced=0.3, wrapped=0.2, chatty=0.2),
    )
    rng = random.Random(20250601)
    counts: Counter[str] = Counter()
    cut_off = total = 0
    for _ in range(20):
        for scenario in shipped():
            text, finish = edit_reply(known(scenario), mixed, rng)
            counts[verdict(scenario, text)] += 1
            cut_off += finish == "length"
            total += 1
    for outcome, share in shares.items():
        assert abs(counts[outcome] / total - share) < 3 * math.sqrt(share * (1 - share) / total)
    assert abs(cut_off / total - 0.08) < 3 * math.sqrt(0.08 * 0.92 / total)


def test_dresses_have_their_shares() -> None:
    dressed = profile(dress=Dress(fenced=0.3, wrapped=0.2, chatty=0.1))
    rng, total = random.Random(7), 3000
    counts: Counter[str] = Counter()
    for _ in range(total):
        text, _ = edit_reply(Known(ENGLISH, ENGLISH), dressed, rng)
        counts[text[0] if text[0] in "`{[" else "chatty"] += 1
    for mark, share in (("`", 0.3), ("{", 0.2), ("chatty", 0.1), ("[", 0.4)):
        assert abs(counts[mark] / total - share) < 3 * math.sqrt(share * (1 - share) / total)


# --- stories it does not know ---


@pytest.mark.parametrize("story", [KOREAN, ENGLISH])
def test_an_unknown_story_gets_some_valid_edit(story: Story) -> None:
    found = find_story([("system", "edit"), ("user", f"Story:\n{story.to_json()}\n\nMake it fun")])
    assert found == story
    attempt = attempt_edit(story)
    assert attempt.original == story
    assert attempt.reference != story
    assert parse_story(attempt.reference.to_data()) == attempt.reference
    for seed in range(40):  # wrong, in a way that the shape allows
        wrong = wrong_edit(attempt, random.Random(seed))
        assert parse_story(wrong.to_data()) == wrong
        assert wrong != attempt.reference


def test_a_story_of_one_turn_can_be_got_wrong_too() -> None:
    single = attempt_edit(Story(KOREAN.turns[:1]))
    for seed in range(20):
        assert wrong_edit(single, random.Random(seed)) != single.reference


def test_the_edit_runs_ahead_of_itself() -> None:
    copied = answers._later_turn_copied(Known(KOREAN, KOREAN), random.Random(0))
    for now, later in pairwise(range(len(KOREAN.turns))):
        assert copied.turns[now].news == KOREAN.turns[later].news
    assert copied.turns[-1] == KOREAN.turns[-1]


@pytest.mark.parametrize(
    "text", ["", "hello", "[{", '[{"turn_number": 1}]', "[{" * 100_000, '[{"a": NaN}]']
)
def test_what_is_no_story_is_not_found(text: str) -> None:
    assert find_story([("user", text)]) is None
    assert find_story([]) is None
