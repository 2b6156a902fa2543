"""The demo's words: both languages whole, and every problem has a sentence of its own."""

import re
import string

import pytest

from harness.demo.asked import read_own
from harness.demo.words import LANGS, Words, texts
from harness.service.problems import STATUSES
from harness.story import Story
from tests.strategies import KOREAN

SAME = {"runs.p50", "runs.p95", "plain.no_ttft"}
ITEMS = [
    (f"{section}.{name}", *pair)
    for section, names in texts().items()
    for name, pair in names.items()
]


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize(("key", "english", "korean"), ITEMS)
def test_both_languages_say_the_same(key: str, english: str, korean: str) -> None:
    assert english.strip()
    assert placeholders(english) == placeholders(korean)
    assert not re.search("[가-힣]", english)
    assert key in SAME or re.search("[가-힣]", korean)


@pytest.mark.parametrize("type_", [*STATUSES, "unreachable", "protocol"])
def test_every_problem_can_be_said(type_: str) -> None:
    for lang in LANGS:
        words = Words(lang)
        assert words.known(f"problem.{type_}", words("problem.other"))


def test_an_unknown_key_is_an_error() -> None:
    with pytest.raises(KeyError):
        Words("en")("page.nothing")
    with pytest.raises(ValueError, match="not in"):
        Words("fr")


GOOD = KOREAN.to_json()
TURN = GOOD[1 : GOOD.index('},{"turn_number":2')] + "}"


@pytest.mark.parametrize(
    ("text", "english", "korean"),
    [
        ("", "Paste a story", "붙여 넣으세요"),
        ("[1,", "look at line 1, column 4", "1번째 줄, 4번째 글자"),
        ("[NaN]", "NaN is not JSON", "JSON의 값이 아닙니다: NaN"),
        ('[{"a":1,"a":2}]', "repeats a key", "같은 키가 두 번"),
        ("[" * 5000, "nested too deeply", "지나치게 깊이"),
        ("{}", "Story: is not an array of turns", "이야기: 턴의 배열이 아닙니다"),
        ("[]", "Story: has no turns", "이야기: 턴이 하나도 없습니다"),
        ("[1]", "Turn 1: is not an object", "1턴: 객체가 아닙니다"),
        ('[{"x":1}]', "unknown field 'x'", "알 수 없는 필드가 있습니다: 'x'"),
        ('[{"turn_number":1}]', "field 'result' is missing", "필드가 없습니다: 'result'"),
        (GOOD.replace('"빵이 노릇노릇 구워졌어요."', "1"), "result is not text", "글이 아닙니다"),
        (GOOD.replace('"turn_number":1', '"turn_number":true'), "whole number", "정수가 아닙니다"),
        (GOOD.replace('"turn_number":2', '"turn_number":7'), "is 7, expected 2", "7입니다"),
        (f'[{TURN.split(chr(34) + "stocks")[0]}"stocks":1}}]', "not an array", "배열이 아닙니다"),
        (f'[{TURN.split(chr(34) + "stocks")[0]}"stocks":[]}}]', "no stocks", "종목이 하나도"),
        (
            GOOD.replace('"name":"바람 연날리기"', '"name":" "'),
            "Turn 1, stocks[1]",
            "1턴, stocks[1]",
        ),
        (GOOD.replace("바람 연날리기", "🔥 불꽃 빵집"), "the same name", "이름이 같은 종목"),
        (
            GOOD.replace('"news_tag":"all"', '"news_tag":"x"', 1),
            "neither 'all'",
            "종목 이름도 아닙니다",
        ),
        (GOOD.replace("축제", "\\ud800"), "lone surrogate", "깨진 문자"),
        (
            "바람 언덕".join(GOOD.rsplit("바람 연날리기", 2)[:2])
            + GOOD.rsplit("바람 연날리기", 1)[1],
            "turn 1 has",
            "1턴의 종목은",
        ),
    ],
)
def test_what_is_wrong_with_a_story_in_words(text: str, english: str, korean: str) -> None:
    for lang, wanted in (("en", english), ("ko", korean)):
        said = read_own(text, Words(lang))
        assert isinstance(said, str)
        assert wanted in said
        if lang == "ko":
            assert re.search("[가-힣]", said)


def test_a_good_story_is_read() -> None:
    assert read_own(GOOD, Words("ko")) == KOREAN
    assert isinstance(read_own(KOREAN.to_json(indent=2), Words("en")), Story)


def test_what_nobody_translated_stays_as_it_is() -> None:
    assert Words("ko").translated("story_error", "something new") == "something new"
