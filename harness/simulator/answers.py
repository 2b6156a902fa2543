"""What the simulated model says: a right edit, or one of the ways in which real models fail."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from harness.simulator.profile import Profile
from harness.story import STRICT_DECODER, Story, StoryError, diff, fields, parse_story, same_shape

_HANGUL = re.compile("[가-힣]")
SUMMARIES = {
    "ko": (
        "요청하신 부분을 이야기에 맞게 고쳤어요.",
        "이야기의 해당 턴을 새 내용으로 바꾸었어요.",
        "말씀하신 대로 이야기를 다듬었어요.",
    ),
    "en": (
        "The story was changed as you asked.",
        "The turn in question has its new content.",
        "Your request is worked into the story.",
    ),
}
CHATTER = (
    ("네, 요청하신 대로 [이야기]를 고쳤습니다.\n\n", "\n\n더 바꿀 곳이 있으면 말씀해 주세요."),
    ("Sure! Here is the edited story {as requested}:\n\n", "\n\nLet me know what you think."),
)
MALFORMED = (
    "죄송하지만 이 요청은 도와드릴 수 없습니다.",
    '{"story_data": null}',
    "[{turn_number: 1, result: '따옴표가 없는 JSON'}]",
    "",
)


@dataclass(frozen=True, slots=True)
class Known:
    """A story that the simulator knows how to edit, with the right answer."""

    original: Story
    reference: Story


def find_story(messages: list[tuple[str, str]]) -> Story | None:
    """The first story in the last message (so an edit is told from any other call)."""
    text = messages[-1][1] if messages else ""
    start = text.find("[{")
    if start < 0:
        return None
    try:
        return parse_story(STRICT_DECODER.raw_decode(text, start)[0])
    except (StoryError, ValueError, RecursionError):
        return None


def summary_reply(messages: list[tuple[str, str]], rng: random.Random) -> str:
    """One sentence on what changed, in the language of the request."""
    korean = any(_HANGUL.search(text) for _, text in messages)
    return rng.choice(SUMMARIES["ko" if korean else "en"])


def attempt_edit(original: Story) -> Known:
    """The best edit of an unknown story: the simulator cannot read, so it extends turn 1."""
    data = original.to_data()
    data[0]["result"] += " (고침)"
    return Known(original, parse_story(data))


def edit_reply(known: Known, profile: Profile, rng: random.Random) -> tuple[str, str]:
    """The text of an edit and its finish reason (``stop``, or ``length`` when cut off)."""
    kind = rng.choices(
        ("right", "wrong", "malformed", "truncated"),
        (
            profile.answers.right,
            profile.answers.wrong,
            profile.answers.malformed,
            profile.answers.truncated,
        ),
    )[0]
    if kind == "malformed":
        return rng.choice(MALFORMED), "stop"
    story = wrong_edit(known, rng) if kind == "wrong" else known.reference
    text = _dress(story, profile, rng)
    if kind == "truncated":
        # Cut within the story, or a cut through closing chatter would leave a right answer.
        end = text.rindex("]")
        return text[: rng.randrange(end // 4, end)], "length"
    return text, "stop"


def _dress(story: Story, profile: Profile, rng: random.Random) -> str:
    dress = profile.dress
    style = rng.random()
    if style < dress.fenced:
        return f"```json\n{story.to_json(indent=1)}\n```"
    style -= dress.fenced
    if style < dress.wrapped:
        return f'{{"story_data": {story.to_json()}}}'
    style -= dress.wrapped
    if style < dress.chatty:
        before, after = rng.choice(CHATTER)
        return f"{before}{story.to_json()}{after}"
    return story.to_json()


def wrong_edit(known: Known, rng: random.Random) -> Story:
    """A valid story that does not do what was asked, in one of three ways real models show."""
    ways: tuple[Callable[[Known, random.Random], Story], ...] = (
        _neighbour_changed,
        _unchanged,
        _later_turn_copied,
    )
    return rng.choice(ways)(known, rng)


def _unchanged(known: Known, rng: random.Random) -> Story:
    return known.original


def _neighbour_changed(known: Known, rng: random.Random) -> Story:
    """The right edit, and a number or risk level that it leaves alone changed as well."""
    kept = [
        field
        for (field, before), (_, after) in zip(
            fields(known.original), fields(known.reference), strict=True
        )
        if before == after and field.name in ("current_value", "risk_level")
    ]
    if not kept:
        return known.original
    field = rng.choice(kept)
    data = known.reference.to_data()
    stock: dict[str, Any] = data[field.turn - 1]["stocks"][field.stock]
    if field.name == "current_value":
        stock["current_value"] += rng.choice((-3, 7, 25)) if stock["current_value"] > 3 else 7
    else:
        stock["risk_level"] += "!"
    return parse_story(data)


def _later_turn_copied(known: Known, rng: random.Random) -> Story:
    """Each turn's news and prices replaced by the next turn's: the edit runs ahead of itself."""
    data = known.reference.to_data()
    for earlier, later in pairwise(data):
        earlier["news"], earlier["news_tag"] = later["news"], later["news_tag"]
        for stock, source in zip(earlier["stocks"], later["stocks"], strict=True):
            stock["current_value"] = source["current_value"]
    copied = parse_story(data)
    if same_shape(copied, known.reference) and diff(copied, known.reference):
        return copied
    return _neighbour_changed(known, rng)  # a single turn has no later one
