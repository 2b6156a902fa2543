"""The story format: what is accepted, where the rest is refused, differences, selectors."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.story import (
    Change,
    Field,
    Selector,
    Story,
    StoryError,
    diff,
    fields,
    load_json_strict,
    parse_story,
    parse_turn,
    same_shape,
)
from tests.mutations import altered, drop_last_stock, drop_last_turn
from tests.strategies import ENGLISH, KOREAN, stories

# --- parsing ---


def test_parses_its_own_data() -> None:
    assert parse_story(KOREAN.to_data()) == KOREAN
    assert KOREAN.stock_names == ("🔥 불꽃 빵집", "바람 연날리기")


@given(stories())
def test_json_roundtrip(story: Story) -> None:
    assert parse_story(load_json_strict(story.to_json())) == story


def test_json_is_compact_and_keeps_hangul() -> None:
    text = KOREAN.to_json()
    assert text.startswith('[{"turn_number":1,"result":"빵이 노릇노릇 구워졌어요.","news":')
    assert json.loads(text) == KOREAN.to_data()


@given(stories(), st.sampled_from([0, -(2**63), 2**64 - 1, 2**64, 10**30]))
def test_compact_json_is_that_of_the_standard_library(story: Story, value: int) -> None:
    data = story.to_data()
    data[0]["stocks"][0]["current_value"] = value
    data[0]["news"] += '"\\/\b\f\n\r\t\x1f\x7f\u2028😀'
    expected = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    assert parse_story(data).to_json() == expected


def _set(path: list[str | int], value: object) -> object:
    """The English story's data with one part set; a value of ``...`` deletes the part."""
    data: Any = ENGLISH.to_data()
    owner = data
    for step in path[:-1]:
        owner = owner[step]
    if value is ...:
        del owner[path[-1]]
    else:
        owner[path[-1]] = value
    return data


NAMES = "['Dragon Bakery', 'Kite Hill']"


@pytest.mark.parametrize(
    ("data", "where", "why"),
    [
        (None, "story", "is not an array of turns"),
        ({"story_data": []}, "story", "is not an array of turns"),
        ("[]", "story", "is not an array of turns"),
        ([], "story", "has no turns"),
        (_set([1], "x"), "turn 2", "is not an object"),
        (_set([0, "extra"], 1), "turn 1", "unknown field 'extra'"),
        (_set([1, "news"], ...), "turn 2", "field 'news' is missing"),
        (_set([0, "turn_number"], True), "turn 1", "turn_number is not a whole number"),
        (_set([0, "turn_number"], 1.0), "turn 1", "turn_number is not a whole number"),
        (_set([0, "turn_number"], 0), "turn 1", "turn_number is 0, expected 1"),
        (_set([1, "turn_number"], 3), "turn 2", "turn_number is 3, expected 2"),
        (_set([0, "result"], None), "turn 1", "result is not text"),
        (_set([0, "news"], "a\ud83d"), "turn 1", "news holds a lone surrogate"),
        (_set([0, "stocks"], {}), "turn 1", "stocks is not an array"),
        (_set([0, "stocks"], []), "turn 1", "has no stocks"),
        (_set([0, "stocks", 1], 7), "turn 1 stocks[1]", "is not an object"),
        (_set([1, "stocks", 0, "price"], 7), "turn 2 stocks[0]", "unknown field 'price'"),
        (
            _set([0, "stocks", 1, "risk_level"], ...),
            "turn 1 stocks[1]",
            "field 'risk_level' is missing",
        ),
        (
            _set([0, "stocks", 0, "before_value"], "100"),
            "turn 1 stocks[0]",
            "before_value is not a whole number",
        ),
        (_set([0, "stocks", 1, "name"], " "), "turn 1 stocks[1]", "name is blank"),
        (
            _set([0, "stocks", 1, "name"], "Dragon Bakery"),
            "turn 1",
            "two stocks have the same name",
        ),
        (
            _set([1, "stocks"], ENGLISH.to_data()[1]["stocks"][::-1]),
            "turn 2",
            f"stocks are ['Kite Hill', 'Dragon Bakery'], turn 1 has {NAMES}",
        ),
        (
            _set([1, "stocks"], ENGLISH.to_data()[1]["stocks"][:1]),
            "turn 2",
            f"stocks are ['Dragon Bakery'], turn 1 has {NAMES}",
        ),
        (
            _set([0, "news_tag"], "Dragon"),
            "turn 1",
            "news_tag 'Dragon' is neither 'all' nor the name of a stock",
        ),
    ],
)
def test_says_where_and_why_data_is_no_story(data: object, where: str, why: str) -> None:
    with pytest.raises(StoryError) as caught:
        parse_story(data)
    assert (caught.value.where, caught.value.why) == (where, why)
    assert str(caught.value) == f"{where}: {why}"


def test_a_turn_alone_may_have_any_stocks() -> None:
    second = ENGLISH.to_data()[1]
    assert parse_turn(second, 2, None) == ENGLISH.turns[1]
    with pytest.raises(StoryError, match="stocks are"):
        parse_turn(second, 2, KOREAN.turns[0])


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["turn_number", "result", "news", "news_tag", "stocks", "name"]), inner
        ),
    ),
    max_leaves=12,
)


@given(values)
def test_any_other_data_is_refused_cleanly(data: object) -> None:
    try:
        story = parse_story(data)
    except StoryError:
        return
    assert story.to_data() == data


@pytest.mark.parametrize(
    "text", ["NaN", "[Infinity]", '{"a": 1, "a": 1}', "9" * 5000, "[1] x", "", '"\n"']
)
def test_strict_json_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        load_json_strict(text)


def test_strict_json_refuses_the_deepest_nesting() -> None:
    with pytest.raises(RecursionError):
        load_json_strict("[" * 100_000)


# --- fields and differences ---


def test_fields_come_in_reading_order() -> None:
    listed = list(fields(ENGLISH))
    assert len(listed) == 2 * (3 + 2 * 6)
    assert [(field.turn, field.path, value) for field, value in listed[:5]] == [
        (1, "result", "The bread turned golden."),
        (1, "news", "Strong wind tomorrow."),
        (1, "news_tag", "all"),
        (1, "stocks[Dragon Bakery].name", "Dragon Bakery"),
        (1, "stocks[Dragon Bakery].risk_level", "high risk"),
    ]
    assert listed[-1] == (Field(2, "expectation", 1, "Kite Hill"), "It may rise.")


def test_equal_stories_have_no_difference() -> None:
    assert diff(KOREAN, KOREAN) == []


def test_a_difference_names_the_old_field() -> None:
    turns = tuple(
        replace(
            turn,
            news_tag="Toast" if turn.news_tag == "Dragon Bakery" else turn.news_tag,
            stocks=(replace(turn.stocks[0], name="Toast"), *turn.stocks[1:]),
        )
        for turn in ENGLISH.turns
    )
    assert diff(ENGLISH, Story(turns)) == [
        Change(Field(1, "name", 0, "Dragon Bakery"), "Dragon Bakery", "Toast"),
        Change(Field(2, "news_tag"), "Dragon Bakery", "Toast"),
        Change(Field(2, "name", 0, "Dragon Bakery"), "Dragon Bakery", "Toast"),
    ]


@settings(max_examples=30)
@given(stories(max_turns=2, max_stocks=2))
def test_every_altered_leaf_is_a_difference(story: Story) -> None:
    for field, other in altered(story):
        changes = diff(story, other)
        assert field in [change.field for change in changes]
        if field.name != "name":  # which changes in every turn, and in the tags
            assert len(changes) == 1


def test_stories_of_different_shape_have_no_difference_field_by_field() -> None:
    for shorter in (drop_last_turn(KOREAN), drop_last_stock(KOREAN)):
        assert shorter is not None
        assert not same_shape(KOREAN, shorter)
        with pytest.raises(ValueError, match="different shape"):
            diff(KOREAN, shorter)


# --- selectors ---


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("1.result", ["1 result"]),
        ("2.news_tag", ["2 news_tag"]),
        ("*.news", ["1 news", "2 news", "3 news"]),
        ("2-3.news", ["2 news", "3 news"]),
        ("3-3.news", ["3 news"]),
        ("2-9.news", ["2 news", "3 news"]),
        ("9.news", []),
        ("1.stocks[바람 연날리기].current_value", ["1 stocks[바람 연날리기].current_value"]),
        ("1.stocks[없음].name", []),
        (
            "2.stocks[*].name",
            ["2 stocks[🔥 불꽃 빵집].name", "2 stocks[바람 연날리기].name"],
        ),
        (
            "3.stocks[🔥 불꽃 빵집].*",
            [
                f"3 stocks[🔥 불꽃 빵집].{name}"
                for name in (
                    "name",
                    "risk_level",
                    "description",
                    "before_value",
                    "current_value",
                    "expectation",
                )
            ],
        ),
    ],
)
def test_selectors_choose(text: str, chosen: list[str]) -> None:
    selected = Selector.parse(text).select(KOREAN)
    assert [f"{field.turn} {field.path}" for field, _ in selected] == chosen
    everything = dict(fields(KOREAN))
    assert all(everything[field] == value for field, value in selected)


def test_all_stocks_and_fields_of_all_turns() -> None:
    assert len(Selector.parse("*.stocks[*].*").select(KOREAN)) == 3 * 2 * 6


def test_a_stock_name_may_hold_brackets() -> None:
    selector = Selector.parse("1.stocks[a].name].name")
    assert selector.stock == "a].name"


@pytest.mark.parametrize(
    "text",
    [
        *("", "news", "1", "1.", ".news", "1.title", "1.turn_number", "1.stocks", "1.*", "*.*"),
        *("0.news", "-1.news", "01.news", "1-.news", "-2.news", "*-2.news", "1-*.news", "1,2.news"),
        *(
            "1.stocks[].name",
            "1.stocks[a]",
            "1.stocks[a].price",
            "1.stocks.name",
            "1.stocks[*]name",
        ),
        *(" 1.news", "1.news ", "1.news\n", "1.NEWS", "１.news", "1٣.news", "9" * 5000 + ".news"),
    ],
)
def test_what_names_no_field_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Selector.parse(text)


def test_a_range_may_not_run_backwards() -> None:
    with pytest.raises(ValueError, match="runs backwards"):
        Selector.parse("3-2.news")


SELECTOR_PARTS = (
    *("1", "2", "0", "9" * 5000, "*", "-", ".", "[", "]", "stocks", "stocks[", "].", "a", "\n"),
    *("news", "news_tag", "result", "name", "description", "current_value", " ", "١", "가"),
)


@given(st.one_of(st.text(), st.lists(st.sampled_from(SELECTOR_PARTS)).map("".join)))
def test_any_text_is_a_selector_or_a_value_error(text: str) -> None:
    try:
        selector = Selector.parse(text)
    except ValueError:
        return
    assert selector.text == text
    for field, _ in selector.select(KOREAN):
        assert selector.matches(field)


@settings(max_examples=30)
@given(stories(max_turns=2, max_stocks=2))
def test_every_field_can_be_selected_by_its_path(story: Story) -> None:
    for field, value in fields(story):
        if "\n" not in field.path:  # a name of several lines has no selector but the star
            chosen = Selector.parse(f"{field.turn}.{field.path}").select(story)
            assert (field, value) in chosen
            assert len(chosen) == 1 or field.stock_name == "*"
