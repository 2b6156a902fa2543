"""Every kind of check: right answers pass, wrong ones fail and say where and why."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError

from harness import checks as ck
from harness.checks.preservation import Continuous, Keeps, Limits, Untouched
from harness.checks.proxies import sentences
from harness.scenario import load_scenario, shipped_dir
from harness.story import Field, Place, Selector, Story, parse_story
from tests import mutations as mu
from tests.strategies import ENGLISH, KOREAN

Settings = dict[str, Any]
Finding = tuple[int | None, str | None, str]  # turn, field, why

PICKED = {  # the members of AnyCheck, by kind
    get_args(cls.model_fields["kind"].annotation)[0]: cls
    for cls in get_args(get_args(ck.AnyCheck)[0])
}
ALWAYS = {cls.model_fields["kind"].default: cls for cls in ck.ALWAYS}
PRESERVING = {"structure", "untouched", "language", "limits", "keeps", "continuous"}


def make(kind: str, settings: Settings) -> ck.Check:
    """A check as a scenario has it."""
    values = {"id": "it", "kind": kind, **settings}
    if kind in ALWAYS:
        return ALWAYS[kind].model_validate(values)
    adapter: TypeAdapter[ck.Check] = TypeAdapter(ck.AnyCheck)
    return adapter.validate_python(values)


def edit(story: Story, leaves: dict[str, str | int]) -> Story:
    """The story with other values at these selectors."""
    for text, value in leaves.items():
        for field, _ in Selector.parse(text).select(story):
            story = mu.with_leaf(story, field, value)
    return story


def present(story: Story | None) -> Story:
    assert story is not None
    return story


# --- known answers ---

BAKERY, KITES = KOREAN.stock_names
ICE = "🔥 얼음 빵집"
RENAMED = edit(KOREAN, {f"1.stocks[{BAKERY}].name": ICE})
RETAGGED = edit(KOREAN, {"2.news_tag": KITES})
WITH_HAN = edit(KOREAN, {"1.news": "火요일에 만나요."})
BLANK = edit(ENGLISH, {"1.news": " "})
SHORTER = present(mu.drop_last_turn(KOREAN))
REVERSED = present(mu.reverse_stocks(KOREAN))
CLOSE = "1.stocks[Kite Hill].current_value"  # 40
OPENS = "*.stocks[Dragon Bakery].before_value"  # 100, 120
CLOSE_FIELD = "stocks[Kite Hill].current_value"

PASSES: list[tuple[str, Settings, Story, Story]] = [
    ("structure", {}, KOREAN, edit(KOREAN, {"1.news": "새 소식이에요."})),
    ("structure", {"renamed": {BAKERY: ICE}}, KOREAN, RENAMED),
    ("untouched", {"touches": []}, KOREAN, KOREAN),
    ("untouched", {"touches": ["*.news"]}, KOREAN, edit(KOREAN, {"*.news": "새 소식이에요."})),
    ("untouched", {"touches": [], "renamed": {BAKERY: ICE}}, KOREAN, RENAMED),
    ("language", {"language": "ko"}, KOREAN, edit(KOREAN, {"1.news": "AI 로봇이 왔어요! 2+2=4"})),
    ("language", {"language": "ko"}, KOREAN, edit(KOREAN, {"1.news": "OK!"})),
    ("language", {"language": "ko"}, WITH_HAN, edit(WITH_HAN, {"1.news": "또 火요일이에요."})),
    ("language", {"language": "en"}, ENGLISH, edit(ENGLISH, {"1.news": "Café, déjà vu…"})),
    ("limits", {"max_chars": 40}, ENGLISH, edit(ENGLISH, {"1.news": "x" * 40})),
    ("limits", {"max_chars": 40}, BLANK, BLANK),
    ("keeps", {"at": ["1.news"], "least": 0.6}, ENGLISH, edit(ENGLISH, {"1.news": "Strong wind"})),
    ("keeps", {"at": ["1.news"], "least": 1}, BLANK, edit(BLANK, {"1.news": "New."})),
    ("continuous", {}, KOREAN, KOREAN),
    ("continuous", {}, KOREAN, edit(KOREAN, {f"3.stocks[{KITES}].before_value": 1})),
    (
        "continuous",
        {"stock": KITES},
        KOREAN,
        edit(KOREAN, {f"2.stocks[{BAKERY}].before_value": 1}),
    ),
    ("replaced", {"old": "축제", "new": "잔치"}, KOREAN, edit(KOREAN, {"3.news": "잔치예요."})),
    ("replaced", {"old": "축제", "new": "큰 축제"}, KOREAN, edit(KOREAN, {"3.news": "큰 축제!"})),
    ("replaced", {"old": "golden", "new": "gold"}, ENGLISH, edit(ENGLISH, {"1.result": "gold"})),
    ("replaced", {"old": "ow", "new": "-"}, ENGLISH, edit(ENGLISH, {"1.news": "So-w tomorr-."})),
    ("equals", {"at": ["2.news_tag"], "value": KITES}, KOREAN, RETAGGED),
    ("equals", {"at": [CLOSE], "value": 45}, ENGLISH, edit(ENGLISH, {CLOSE: 45})),
    ("changed", {"at": ["2.news_tag"]}, KOREAN, RETAGGED),
    (
        "contains",
        {"at": ["1.news"], "all_of": ["rain", "snow"], "any_of": ["now", "then"]},
        ENGLISH,
        edit(ENGLISH, {"1.news": "First rain, then snow."}),
    ),
    ("absent", {"at": ["*.news"], "words": ["wind"]}, ENGLISH, edit(ENGLISH, {"1.news": "Rain."})),
    ("shifted", {"at": [CLOSE], "add": -50}, ENGLISH, edit(ENGLISH, {CLOSE: 0})),
    (
        "shifted",
        {"at": [OPENS], "percent": 12.5},
        ENGLISH,
        edit(ENGLISH, {OPENS: 112, OPENS.replace("*", "2"): 135}),
    ),
    (
        "length",
        {"at": ["*.news"], "least": 3, "most": 4},
        KOREAN,
        edit(KOREAN, {"*.news": "소식!"}),
    ),
    ("length", {"at": ["1.news"], "most": 4}, KOREAN, edit(KOREAN, {"1.news": ""})),
    (
        "sentence_length",
        {"at": ["1.news"], "most": 4.0, "least": 4.0},
        KOREAN,
        edit(KOREAN, {"1.news": "와, 비다! 해 가 나요…"}),
    ),
    (
        "sentence_endings",
        {"at": ["*.news"], "any_of": ["arr", "matey"], "share": 0.5},
        ENGLISH,
        edit(ENGLISH, {"1.news": "Wind, arr! Sail, matey.", "2.news": "No flour. None."}),
    ),
    (
        "required_words",
        {"at": ["*.news"], "words": ["sea", "ship", "sail"], "least": 2},
        ENGLISH,
        edit(ENGLISH, {"1.news": "A ship!", "2.news": "It sails."}),
    ),
]

FAILS: list[tuple[str, Settings, Story, Story, Finding]] = [
    ("structure", {}, KOREAN, SHORTER, (None, None, "has 2 turns, expected 3")),
    (
        "structure",
        {},
        KOREAN,
        REVERSED,
        (1, "stocks", f"stocks are {KITES}, {BAKERY}; expected {BAKERY}, {KITES}"),
    ),
    (
        "structure",
        {"renamed": {BAKERY: ICE}},
        KOREAN,
        KOREAN,
        (1, "stocks", f"stocks are {BAKERY}, {KITES}; expected {ICE}, {KITES}"),
    ),
    (
        "untouched",
        {"touches": ["1.news", "2.result"]},
        ENGLISH,
        edit(ENGLISH, {"*.news": "New.", CLOSE: 41}),
        (1, CLOSE_FIELD, "was not to change: 40 became 41 (and 1 more)"),
    ),
    (
        "untouched",
        {"touches": [], "renamed": {BAKERY: ICE}},
        KOREAN,
        edit(RENAMED, {"1.news": ICE}),
        (1, "news", f"was not to change: '내일은 바람이 불어요.' became '{ICE}'"),
    ),
    (
        "untouched",
        {"touches": []},
        KOREAN,
        SHORTER,
        (None, None, "cannot be compared: the number of turns or stocks differs"),
    ),
    (
        "language",
        {"language": "ko"},
        KOREAN,
        edit(KOREAN, {"2.result": "연이 火焰 높이 날았어요."}),
        (2, "result", "brings in han letters"),
    ),
    (
        "language",
        {"language": "ko"},
        KOREAN,
        edit(KOREAN, {"2.result": "The kites flew high 연."}),
        (2, "result", "is no longer ko"),
    ),
    (
        "language",
        {"language": "en"},
        ENGLISH,
        edit(ENGLISH, {"1.stocks[Kite Hill].expectation": "It may 올라요."}),
        (1, "stocks[Kite Hill].expectation", "brings in hangul letters"),
    ),
    (
        "limits",
        {"max_chars": 40},
        ENGLISH,
        edit(ENGLISH, {"1.news": " \n"}),
        (1, "news", "is blank"),
    ),
    (
        "limits",
        {"max_chars": 40},
        ENGLISH,
        edit(ENGLISH, {"2.news": "x" * 41}),
        (2, "news", "has 41 characters, at most 40 are allowed"),
    ),
    (
        "keeps",
        {"at": ["1.news"], "least": 0.6},
        ENGLISH,
        edit(ENGLISH, {"1.news": "Strong strong rain"}),
        (1, "news", "keeps 1 of its 3 words, at least 60% must stay"),
    ),
    ("keeps", {"at": ["3.news"], "least": 0.1}, KOREAN, SHORTER, (3, "news", "is gone")),
    (
        "continuous",
        {},
        ENGLISH,
        edit(ENGLISH, {CLOSE: 41}),
        (2, "stocks[Kite Hill].before_value", "is 40, but turn 1 closed at 41"),
    ),
    (
        "continuous",
        {},
        KOREAN,
        SHORTER,
        (None, None, "cannot be judged: the number of turns or stocks differs"),
    ),
    (
        "replaced",
        {"old": "빵집", "new": "떡집"},
        KOREAN,
        KOREAN,
        (1, f"stocks[{BAKERY}].name", "still has '빵집' (and 6 more)"),
    ),
    (
        "replaced",
        {"old": "축제", "new": "잔치"},
        KOREAN,
        edit(KOREAN, {"3.news": "소식이 없어요."}),
        (3, "news", "does not have '잔치'"),
    ),
    (
        "replaced",
        {"old": "golden", "new": "gold"},
        ENGLISH,
        ENGLISH,
        (1, "result", "still has 'golden'"),
    ),
    (
        "equals",
        {"at": ["2.news_tag"], "value": KITES},
        KOREAN,
        KOREAN,
        (2, "news_tag", f"is '{BAKERY}', expected '{KITES}'"),
    ),
    (
        "equals",
        {"at": [CLOSE], "value": 45},
        ENGLISH,
        ENGLISH,
        (1, CLOSE_FIELD, "is 40, expected 45"),
    ),
    (
        "changed",
        {"at": ["*.news"]},
        ENGLISH,
        edit(ENGLISH, {"1.news": "New."}),
        (2, "news", "is unchanged"),
    ),
    ("changed", {"at": ["3.news"]}, KOREAN, SHORTER, (3, "news", "is gone")),
    (
        "contains",
        {"at": ["1.news"], "all_of": ["wind", "rain"]},
        ENGLISH,
        ENGLISH,
        (1, "news", "does not have 'rain'"),
    ),
    (
        "contains",
        {"at": ["*.news"], "any_of": ["rain", "wind"]},
        ENGLISH,
        ENGLISH,
        (2, "news", "has none of rain, wind"),
    ),
    (
        "absent",
        {"at": ["*.news"], "words": ["rain", "Flour"]},
        ENGLISH,
        ENGLISH,
        (2, "news", "still has 'Flour'"),
    ),
    (
        "shifted",
        {"at": [CLOSE], "add": 5},
        ENGLISH,
        edit(ENGLISH, {CLOSE: 46}),
        (1, CLOSE_FIELD, "is 46, expected 45 (it was 40)"),
    ),
    (
        "shifted",
        {"at": [CLOSE], "percent": -10.0},
        ENGLISH,
        edit(ENGLISH, {CLOSE: 34}),
        (1, CLOSE_FIELD, "is 34, expected 36 (it was 40)"),
    ),
    ("shifted", {"at": ["1.news"], "add": 5}, ENGLISH, ENGLISH, (1, "news", "is not a price")),
    (
        "length",
        {"at": ["1.news"], "most": 8},
        ENGLISH,
        ENGLISH,
        (1, "news", "has 21 characters, at most 8 are asked for"),
    ),
    (
        "length",
        {"at": ["1.news"], "least": 22},
        ENGLISH,
        ENGLISH,
        (1, "news", "has 21 characters, at least 22 are asked for"),
    ),
    (
        "sentence_length",
        {"at": ["1.news"], "most": 17.5},
        ENGLISH,
        ENGLISH,
        (None, None, "mean sentence has 18.0 characters, at most 17.5 wanted"),
    ),
    (
        "sentence_length",
        {"at": ["1.news"], "least": 19.0},
        ENGLISH,
        ENGLISH,
        (None, None, "mean sentence has 18.0 characters, at least 19 wanted"),
    ),
    (
        "sentence_length",
        {"at": ["1.news"], "most": 9.0},
        ENGLISH,
        BLANK,
        (None, None, "has no sentences"),
    ),
    (
        "sentence_endings",
        {"at": ["*.news"], "any_of": ["arr", "out"], "share": 0.6},
        ENGLISH,
        ENGLISH,
        (None, None, "1 of 2 sentences end in arr, out; at least 60% wanted"),
    ),
    (
        "sentence_endings",
        {"at": ["1.news"], "any_of": ["arr"], "share": 0.6},
        ENGLISH,
        BLANK,
        (None, None, "0 of 0 sentences end in arr; at least 60% wanted"),
    ),
    (
        "required_words",
        {"at": ["*.news"], "words": ["wind", "ship"], "least": 2},
        ENGLISH,
        ENGLISH,
        (None, None, "has 1 of the words wind, ship; 2 wanted"),
    ),
    (
        "required_words",
        {"at": ["3.news"], "words": ["None"], "least": 1},
        KOREAN,
        SHORTER,
        (None, None, "has 0 of the words None; 1 wanted"),
    ),
]


@pytest.mark.parametrize(("kind", "settings", "original", "edited"), PASSES)
def test_passes(kind: str, settings: Settings, original: Story, edited: Story) -> None:
    result = make(kind, settings).judge(original, edited)
    assert (result.id, result.kind) == ("it", kind)
    assert (result.ok, result.turn, result.field, result.why) == (True, None, None, None)


@pytest.mark.parametrize(("kind", "settings", "original", "edited", "finding"), FAILS)
def test_fails(
    kind: str, settings: Settings, original: Story, edited: Story, finding: Finding
) -> None:
    result = make(kind, settings).judge(original, edited)
    assert not result.ok
    assert (result.turn, result.field, result.why) == finding


def test_every_kind_has_known_answers() -> None:
    kinds = set(PICKED) | set(ALWAYS)
    assert {case[0] for case in PASSES} == kinds
    assert {case[0] for case in FAILS} == kinds


def test_roles() -> None:
    classes = {**PICKED, **ALWAYS}
    assert {kind for kind, cls in classes.items() if cls.role == "preservation"} == PRESERVING
    assert {kind for kind, cls in classes.items() if cls.proxy} == {
        "sentence_length",
        "sentence_endings",
        "required_words",
    }


def test_a_proxy_is_labelled_in_its_result() -> None:
    proxy = make("required_words", {"at": ["1.news"], "words": ["wind"], "least": 1})
    assert proxy.judge(ENGLISH, ENGLISH).proxy
    assert not make("changed", {"at": ["1.news"]}).judge(ENGLISH, ENGLISH).proxy


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("unknown", {}),
        ("changed", {"at": []}),
        ("changed", {"at": ["news"]}),
        ("changed", {"at": ["1.news"], "least": 1}),
        ("untouched", {"touches": ["everything"]}),
        ("language", {"language": "fr"}),
        ("replaced", {"old": "", "new": "x"}),
        ("contains", {"at": ["1.news"]}),
        ("contains", {"at": ["1.news"], "all_of": [""]}),
        ("absent", {"at": ["1.news"], "words": []}),
        ("shifted", {"at": [CLOSE]}),
        ("shifted", {"at": [CLOSE], "add": 1, "percent": 1.0}),
        ("shifted", {"at": [CLOSE], "percent": float("nan")}),
        ("length", {"at": ["1.news"], "least": -1}),
        ("keeps", {"at": ["1.news"], "least": 0.0}),
        ("keeps", {"at": ["1.news"], "least": 1.1}),
        ("sentence_length", {"at": ["1.news"]}),
        ("sentence_endings", {"at": ["1.news"], "any_of": ["x"], "share": 0.0}),
        ("required_words", {"at": ["1.news"], "words": ["x"], "least": 2}),
    ],
)
def test_settings_that_could_not_be_meant_are_refused(kind: str, settings: Settings) -> None:
    with pytest.raises(ValidationError):
        make(kind, settings)


@pytest.mark.parametrize(
    ("value", "add", "percent", "expected"),
    [
        (40, 5, None, 45),
        (40, -50, None, 0),
        (15, None, 10.0, 17),
        (100, None, -12.5, 88),
        (40, None, -150.0, 0),
    ],
)
def test_shift(value: int, add: int | None, percent: float | None, expected: int) -> None:
    assert ck.shift(value, add, percent) == expected


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("...", []),
        ("No mark", ["No mark"]),
        ("One. Two!  Three?!", ["One", "Two", "Three"]),
        ('"Stop!" he said. 3.5 kites~! 😀', ["Stop", "he said", "3.5 kites"]),
    ],
)
def test_sentences(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


# --- mutations that preservation checks must catch ---


def spoiled(
    check: ck.Check, original: Story, answer: Story
) -> Iterator[tuple[Field | None, Story]]:
    """The right answer spoiled in each way that the check must catch, and where."""
    if check.kind == "structure":
        yield from ((None, story) for change in mu.STRUCTURE if (story := change(answer)))
    elif isinstance(check, Untouched):
        touched = _covered(check.touches, original)
        yield from (hit for hit in mu.altered(answer) if hit[0].place not in touched)
    elif check.kind == "language":
        yield from mu.with_foreign_letters(answer)
        yield from mu.translated(answer)
    elif isinstance(check, Limits):
        yield from mu.blanked(answer)
        yield from mu.overlong(answer, check.max_chars)
    elif isinstance(check, Keeps):
        kept = _covered(check.at, original)
        yield from (hit for hit in mu.retold(answer) if hit[0].place in kept)
    elif isinstance(check, Continuous):
        joints = {field.place for field, _ in mu.broken_joints(original)}
        joints &= _covered(check.selectors(), original)
        yield from (hit for hit in mu.broken_joints(answer) if hit[0].place in joints)


def _covered(selectors: list[str], story: Story) -> set[Place]:
    chosen = [Selector.parse(text) for text in selectors]
    return {field.place for selector in chosen for field, _ in selector.select(story)}


def assert_catches(check: ck.Check, original: Story, answer: Story, every: int = 1) -> None:
    """The check catches its mutations; of those in single leaves, each ``every``-th is tried."""
    assert check.judge(original, answer).ok
    cases = list(spoiled(check, original, answer))
    assert cases, f"nothing puts {check.id} to the test"
    for number, (field, story) in enumerate(cases):
        if field is not None and number % every:
            continue
        assert parse_story(story.to_data()) == story  # the format alone does not give it away
        result = check.judge(original, story)
        assert not result.ok, f"{check.id} misses {field or story.to_json()}"
        if field is not None and field.name != "name":  # which changes in every turn
            assert result.turn == field.turn
            assert (result.field or "").endswith(field.name)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("structure", {}),
        ("untouched", {"touches": ["1.news", "*.stocks[*].description"]}),
        ("language", {"language": "ko"}),
        ("limits", {"max_chars": 40}),
        ("keeps", {"at": ["*.result", "2.news"], "least": 0.1}),
        ("continuous", {}),
        ("continuous", {"stock": KITES}),
    ],
)
def test_catches_every_mutation_of_a_small_story(kind: str, settings: Settings) -> None:
    assert kind in PRESERVING
    assert_catches(make(kind, settings), KOREAN, KOREAN)


def test_every_structural_mutation_applies_to_the_small_story() -> None:
    assert all(change(KOREAN) for change in mu.STRUCTURE)


SHIPPED = sorted(
    path for part in ("full", "short") for path in (shipped_dir() / part).rglob("*.toml")
)


def test_scenarios_are_shipped() -> None:
    assert SHIPPED


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_catches_every_mutation_of_a_shipped_reference(path: Path) -> None:
    scenario = load_scenario(path)
    for check in scenario.checks:
        if check.role == "preservation":
            assert_catches(check, scenario.story, scenario.reference, every=5)
