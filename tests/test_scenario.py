"""Loading scenarios: what is refused and how it is said, patches, digests, the shipped fixtures."""

import json
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from harness.errors import InputError
from harness.scenario import Scenario, load_scenario, load_scenarios, shipped_dir
from harness.story import Selector, StoryError, diff, fields, parse_story

HEAD = """
id = "rain"
kind = "news"
language = "en"
tags = ["full"]
story = "story.json"
request = "Let the news of turn 1 say that rain is coming."
touches = ["1.news"]
"""
CHECK = """
[[checks]]
id = "rain-comes"
kind = "contains"
at = ["1.news"]
all_of = ["rain"]
"""
REFERENCE = """
[reference.set]
"1.news" = "A week of rain is coming."
"""
GOOD = HEAD + CHECK + REFERENCE


def stock(name: str, before: int, after: int) -> dict[str, Any]:
    return {
        "name": name,
        "risk_level": "low risk",
        "description": "Sells cold lemonade.",
        "before_value": before,
        "current_value": after,
        "expectation": "Likes hot days.",
    }


def turn(number: int, *stocks: dict[str, Any]) -> dict[str, Any]:
    return {
        "turn_number": number,
        "result": "The sun shone all day long.",
        "news": "A hot week is coming.",
        "news_tag": "all",
        "stocks": list(stocks),
    }


STORY = [
    turn(1, stock("🍋 Lemon Stand", 100, 120), stock("Kite Hut", 50, 45)),
    turn(2, stock("🍋 Lemon Stand", 120, 90), stock("Kite Hut", 45, 60)),
]


def write(folder: Path, toml: str = GOOD, story: object = STORY, name: str = "rain.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "story.json").write_text(json.dumps(story, ensure_ascii=False), encoding="utf-8")
    file = folder / name
    file.write_text(toml, encoding="utf-8")
    return file


def refusal(*paths: Path) -> str:
    """The message with which the paths are refused; always one line."""
    with pytest.raises(InputError) as caught:
        load_scenarios(paths)
    message = str(caught.value)
    assert message.strip()
    assert len(message.splitlines()) == 1
    return message


def test_loads_what_the_file_says(tmp_path: Path) -> None:
    scenario = load_scenario(write(tmp_path))
    assert (scenario.id, scenario.kind, scenario.language) == ("rain", "news", "en")
    assert scenario.tags == ("full",)
    assert scenario.request == "Let the news of turn 1 say that rain is coming."
    assert scenario.story.stock_names == ("🍋 Lemon Stand", "Kite Hut")
    assert scenario.reference.turns[0].news == "A week of rain is coming."
    assert scenario.reference.turns[1] == scenario.story.turns[1]
    kinds = [check.kind for check in scenario.checks]
    assert kinds == ["structure", "untouched", "language", "limits", "contains"]


def test_blanks_around_the_request_do_not_count(tmp_path: Path) -> None:
    toml = GOOD.replace('"Let the news', '"""\n Let the news').replace(
        'is coming."\ntouches', 'is coming.\n"""\ntouches'
    )
    assert load_scenario(write(tmp_path, toml)).request.startswith("Let the news")


def test_folders_are_searched_and_sorted_by_id(tmp_path: Path) -> None:
    write(tmp_path / "b", GOOD.replace('id = "rain"', 'id = "a-first"'))
    write(tmp_path / "a", GOOD.replace('id = "rain"', 'id = "b-second"'))
    for other in ("claims", "profiles", "workloads"):
        write(tmp_path / other, "not = 'a scenario'")
    assert [s.id for s in load_scenarios([tmp_path])] == ["a-first", "b-second"]


def test_a_file_given_twice_is_loaded_once(tmp_path: Path) -> None:
    file = write(tmp_path)
    assert len(load_scenarios([file, tmp_path])) == 1
    assert len(load_scenarios([file, tmp_path / ".." / tmp_path.name])) == 1


# --- what is refused ---


def test_no_such_file(tmp_path: Path) -> None:
    assert "nothing.toml: no such file" in refusal(tmp_path / "nothing.toml")


def test_empty_folder(tmp_path: Path) -> None:
    assert f"{tmp_path}: holds no scenarios" in refusal(tmp_path)


def test_folder_with_other_data_only(tmp_path: Path) -> None:
    write(tmp_path / "claims")
    assert "holds no scenarios" in refusal(tmp_path)


def test_no_paths_at_all() -> None:
    assert "no scenarios were given" in refusal()


def test_bad_toml(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, HEAD + "touches = oh no"))
    assert "rain.toml" in message
    assert "line" in message


@pytest.mark.parametrize("value", ["[" * 100_000, "9" * 5_000, "2024-13-45", "nan"])
def test_toml_that_the_parser_gives_up_on(tmp_path: Path, value: str) -> None:
    assert "rain.toml: " in refusal(write(tmp_path, f"max_chars = {value}\n{GOOD}"))


@pytest.mark.parametrize("percent", ["inf", "-inf", "nan"])
def test_per_cent_that_is_no_number(tmp_path: Path, percent: str) -> None:
    at = "1.stocks[Kite Hut].current_value"
    check = f'[[checks]]\nid = "p"\nkind = "shifted"\nat = ["{at}"]\npercent = {percent}\n'
    message = refusal(write(tmp_path, HEAD + CHECK + check + REFERENCE))
    assert "rain.toml: checks[1].shifted.percent" in message
    shift = f'[[reference.shift]]\nat = "{at}"\npercent = {percent}\n'
    message = refusal(write(tmp_path, HEAD + CHECK + REFERENCE + shift))
    assert "rain.toml: reference" in message
    assert "percent" in message


def test_bad_utf8(tmp_path: Path) -> None:
    file = write(tmp_path)
    file.write_bytes(GOOD.encode().replace(b"rain is", b"\xff\xfe is"))
    message = refusal(file)
    assert "rain.toml" in message
    assert "utf-8" in message


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("tags =", "tag =", "tag: unknown key"),
        ("all_of =", "al_of =", "al_of: unknown key"),
        ('kind = "contains"', 'kind = "conatins"', "checks[0]"),
        ('kind = "news"', 'kind = "weather"', "kind"),
        ('language = "en"', 'language = "fr"', "language"),
        ('id = "rain"\n', "", "id"),
        ('id = "rain"\n', 'id = "Rain Day"\n', "id"),
        ('id = "rain"\n', "id = 7\n", "id"),
        ('tags = ["full"]', "tags = [1]", "tags[0]"),
        ('all_of = ["rain"]', "", "needs all_of or any_of"),
        ('at = ["1.news"]', "at = []", "checks[0].contains.at"),
        (CHECK, "checks = []\n", "checks"),
        ("touches", "max_chars = 0\ntouches", "max_chars"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path: Path, old: str, new: str, key: str) -> None:
    assert old in GOOD
    message = refusal(write(tmp_path, GOOD.replace(old, new, 1)))
    assert "rain.toml" in message
    assert key in message


@pytest.mark.parametrize("blank", ['""', '"  "', '"""\n\t\n"""'])
def test_blank_request(tmp_path: Path, blank: str) -> None:
    request = '"Let the news of turn 1 say that rain is coming."'
    message = refusal(write(tmp_path, GOOD.replace(request, blank)))
    assert "rain.toml: request" in message


@pytest.mark.parametrize(
    ("reference", "keys"),
    [
        ('[reference]\nsett = { "1.news" = "rain" }', ("reference", "sett: unknown key")),
        ('[reference.set]\n"1.nws" = "rain"', ("reference", "set", "1.nws")),
        ('[[reference.shift]]\nat = "1.news"\nby = 3', ("reference", "shift[0]", "by")),
        ("", ("reference",)),
    ],
)
def test_a_wrong_key_inside_the_reference_is_named(
    tmp_path: Path, reference: str, keys: tuple[str, ...]
) -> None:
    message = refusal(write(tmp_path, HEAD + CHECK + reference))
    assert "rain.toml" in message
    for key in keys:
        assert key in message


def test_a_key_with_a_line_break_does_not_break_the_message(tmp_path: Path) -> None:
    assert "unknown key" in refusal(write(tmp_path, '"a\\nb" = 1\n' + GOOD))


def test_words_with_a_line_break_do_not_break_the_message(tmp_path: Path) -> None:
    toml = GOOD.replace('all_of = ["rain"]', 'any_of = ["rain\\nsnow"]')
    assert "'rain-comes'" in refusal(write(tmp_path, toml))


def test_renamed_stock_that_is_not_in_the_story(tmp_path: Path) -> None:
    toml = GOOD.replace("touches =", 'renames = { "Lemon Stand" = "Stand" }\ntouches =')
    message = refusal(write(tmp_path, toml))
    assert "rain.toml: renames" in message
    assert "'Lemon Stand'" in message


def test_duplicate_id_across_files(tmp_path: Path) -> None:
    one = write(tmp_path, name="one.toml")
    two = write(tmp_path, name="two.toml")
    message = refusal(tmp_path)
    assert "two.toml: id: 'rain'" in message
    assert "one.toml" in message
    assert "two.toml" in refusal(one, two)


def test_duplicate_check_id(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, HEAD + CHECK + CHECK + REFERENCE))
    assert "rain.toml: checks" in message
    assert "'rain-comes'" in message


def test_check_id_that_is_taken_by_a_check_of_every_scenario(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, GOOD.replace("rain-comes", "untouched")))
    assert "rain.toml: checks" in message
    assert "'untouched'" in message


@pytest.mark.parametrize(
    "selector", ["3.news", "1.stocks[Lemon Stand].name", "2.stocks[kite hut].*", "4-9.result"]
)
def test_selector_that_matches_nothing(tmp_path: Path, selector: str) -> None:
    in_check = GOOD.replace('at = ["1.news"]', f'at = ["1.news", "{selector}"]')
    message = refusal(write(tmp_path, in_check))
    assert "rain.toml: checks.rain-comes" in message
    assert selector in message
    in_touches = GOOD.replace('touches = ["1.news"]', f'touches = ["1.news", "{selector}"]')
    message = refusal(write(tmp_path, in_touches))
    assert "rain.toml: touches" in message
    assert selector in message


def test_stock_of_continuous_that_is_not_in_the_story(tmp_path: Path) -> None:
    check = '[[checks]]\nid = "goes-on"\nkind = "continuous"\nstock = "Lemon"\n'
    message = refusal(write(tmp_path, HEAD + CHECK + check + REFERENCE))
    assert "rain.toml: checks.goes-on" in message
    assert "Lemon" in message


@pytest.mark.parametrize(
    "selector",
    [
        "",
        "news",
        "1",
        "0.news",
        "-1.news",
        "01.news",
        "1-*.news",
        "*-2.news",
        "2-1.news",
        "1.turn_number",
        "1.stocks",
        "1.*",
        "1.stocks[].name",
        "1.stocks[Kite Hut]",
        "1.stocks[Kite Hut].price",
        "1.news ",
    ],
)
def test_malformed_selector(tmp_path: Path, selector: str) -> None:
    in_check = GOOD.replace('at = ["1.news"]', f'at = ["{selector}"]')
    message = refusal(write(tmp_path, in_check))
    assert "rain.toml: checks[0].contains.at[0]" in message
    assert repr(selector) in message
    in_touches = GOOD.replace('touches = ["1.news"]', f'touches = ["{selector}"]')
    message = refusal(write(tmp_path, in_touches))
    assert "rain.toml: touches[0]" in message
    assert repr(selector) in message


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("[", "Expecting value"),
        ("NaN", "NaN is not JSON"),
        ('[{"turn_number": NaN}]', "NaN is not JSON"),
        ("[-Infinity]", "-Infinity is not JSON"),
        ('[{"turn_number": 1, "turn_number": 1}]', "repeats a key"),
        ("[" * 100_000, "recursion"),
        ("{}", "is not an array of turns"),
        ("[]", "has no turns"),
        ("[7]", "turn 1: is not an object"),
    ],
)
def test_bad_story_json(tmp_path: Path, text: str, why: str) -> None:
    file = write(tmp_path)
    (tmp_path / "story.json").write_text(text, encoding="utf-8")
    message = refusal(file)
    assert "rain.toml: story: " in message
    assert "story.json" in message
    assert why in message


def test_story_that_is_not_utf8(tmp_path: Path) -> None:
    file = write(tmp_path)
    (tmp_path / "story.json").write_bytes(b'["\xff"]')
    message = refusal(file)
    assert "rain.toml: story: " in message
    assert "story.json" in message


def test_story_file_that_is_not_there(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, GOOD.replace("story.json", "gone.json")))
    assert "rain.toml: story: " in message
    assert "gone.json" in message


def spoil(turn_index: int, **values: object) -> Callable[[list[dict[str, Any]]], None]:
    def edit(story: list[dict[str, Any]]) -> None:
        story[turn_index].update(values)

    return edit


def spoil_stock(turn_index: int, **values: object) -> Callable[[list[dict[str, Any]]], None]:
    def edit(story: list[dict[str, Any]]) -> None:
        story[turn_index]["stocks"][0].update(values)

    return edit


def drop(turn_index: int, key: str) -> Callable[[list[dict[str, Any]]], None]:
    def edit(story: list[dict[str, Any]]) -> None:
        del story[turn_index][key]

    return edit


def swap_stocks(story: list[dict[str, Any]]) -> None:
    story[1]["stocks"].reverse()


def lose_stock(story: list[dict[str, Any]]) -> None:
    story[1]["stocks"].pop()


def drop_price(story: list[dict[str, Any]]) -> None:
    del story[1]["stocks"][0]["current_value"]


@pytest.mark.parametrize(
    ("edit", "where", "why"),
    [
        (spoil(1, news=7), "turn 2", "news is not text"),
        (spoil(1, news=None), "turn 2", "news is not text"),
        (spoil(0, stocks={}), "turn 1", "stocks is not an array"),
        (spoil(0, stocks=[]), "turn 1", "has no stocks"),
        (spoil(0, turn_number="1"), "turn 1", "turn_number is not a whole number"),
        (spoil(0, turn_number=True), "turn 1", "turn_number is not a whole number"),
        (spoil_stock(1, current_value=9.5), "turn 2 stocks[0]", "current_value is not a whole"),
        (spoil_stock(1, current_value="9"), "turn 2 stocks[0]", "current_value is not a whole"),
        (spoil_stock(0, name=" "), "turn 1 stocks[0]", "name is blank"),
        (spoil_stock(0, name="Kite Hut"), "turn 1", "two stocks have the same name"),
        (drop(1, "news"), "turn 2", "field 'news' is missing"),
        (drop_price, "turn 2 stocks[0]", "field 'current_value' is missing"),
        (spoil(0, weather="sun"), "turn 1", "unknown field 'weather'"),
        (spoil_stock(1, colour="red"), "turn 2 stocks[0]", "unknown field 'colour'"),
        (spoil(1, turn_number=3), "turn 2", "turn_number is 3, expected 2"),
        (spoil(0, turn_number=0), "turn 1", "turn_number is 0, expected 1"),
        (spoil(1, news_tag="Lemon Stand"), "turn 2", "news_tag 'Lemon Stand'"),
        (spoil(1, news_tag=""), "turn 2", "news_tag ''"),
        (spoil_stock(1, name="🍋 Lemon Stall"), "turn 2", "turn 1 has"),
        (swap_stocks, "turn 2", "turn 1 has"),
        (lose_stock, "turn 2", "turn 1 has"),
        (spoil(0, news="\ud800"), "turn 1", "lone surrogate"),
    ],
)
def test_story_that_breaks_the_format(
    tmp_path: Path, edit: Callable[[list[dict[str, Any]]], None], where: str, why: str
) -> None:
    story = deepcopy(STORY)
    edit(story)
    file = write(tmp_path)
    (tmp_path / "story.json").write_text(json.dumps(story), encoding="utf-8")
    message = refusal(file)
    assert "rain.toml: story: " in message
    assert f"story.json: {where}: " in message
    assert why in message


def test_reference_that_fails_its_own_check(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, GOOD.replace("A week of rain", "A week of snow")))
    assert "rain.toml: reference: fails its own check 'rain-comes'" in message
    assert "turn 1, news" in message


def test_reference_that_changes_a_neighbour(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, GOOD + '"2.news" = "A week of rain is coming."\n'))
    assert "rain.toml: reference: fails its own check 'untouched'" in message
    assert "turn 2, news" in message


def test_change_check_that_passes_on_the_unedited_story(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, GOOD.replace('all_of = ["rain"]', 'all_of = ["coming"]')))
    assert "rain.toml: checks.rain-comes: passes on the unedited story" in message


def test_preservation_check_that_fails_on_the_unedited_story(tmp_path: Path) -> None:
    story = deepcopy(STORY)
    story[0]["news"] = "A hot week is coming. " * 20
    message = refusal(write(tmp_path, story=story))
    assert "rain.toml: checks.limits: fails on the unedited story" in message
    assert "turn 1, news" in message


# --- the reference: a patch or a whole story ---


def changed(toml: str, check: str, reference: str) -> str:
    return toml.replace(CHECK, check).replace(REFERENCE, reference)


ANY_CHANGE = '[[checks]]\nid = "changed"\nkind = "changed"\nat = {at}\n'


def patched(tmp_path: Path, touches: str, reference: str, head: str = "") -> Scenario:
    toml = GOOD.replace('touches = ["1.news"]', f"touches = {touches}\n{head}")
    return load_scenario(
        write(tmp_path, changed(toml, ANY_CHANGE.format(at=touches or "[]"), reference))
    )


def test_patch_set_takes_text_and_numbers(tmp_path: Path) -> None:
    at = '["*.stocks[Kite Hut].current_value", "2.result"]'
    reference = '[reference.set]\n"*.stocks[Kite Hut].current_value" = 7\n"2.result" = "Done."\n'
    edited = patched(tmp_path, at, reference).reference
    assert [turn.stocks[1].current_value for turn in edited.turns] == [7, 7]
    assert [turn.result for turn in edited.turns] == ["The sun shone all day long.", "Done."]


def test_patch_append_adds_to_the_end(tmp_path: Path) -> None:
    edited = patched(tmp_path, '["1-2.news"]', '[reference.append]\n"1-2.news" = " Hooray!"\n')
    assert [turn.news for turn in edited.reference.turns] == ["A hot week is coming. Hooray!"] * 2


def test_patch_shift_moves_prices(tmp_path: Path) -> None:
    at = '["*.stocks[Kite Hut].before_value", "1.stocks[🍋 Lemon Stand].current_value"]'
    reference = (
        '[[reference.shift]]\nat = "*.stocks[Kite Hut].before_value"\npercent = 10.0\n'
        '[[reference.shift]]\nat = "1.stocks[🍋 Lemon Stand].current_value"\nadd = -130\n'
    )
    edited = patched(tmp_path, at, reference).reference
    assert [turn.stocks[1].before_value for turn in edited.turns] == [55, 50]
    assert edited.turns[0].stocks[0].current_value == 0


def test_patch_replace_renames_everywhere(tmp_path: Path) -> None:
    story = deepcopy(STORY)
    story[1].update(news_tag="Kite Hut", news="The Kite Hut flies.")
    toml = GOOD.replace(
        'touches = ["1.news"]', 'touches = ["2.news"]\nrenames = { "Kite Hut" = "Kite Barn" }'
    )
    check = '[[checks]]\nid = "r"\nkind = "replaced"\nold = "Kite Hut"\nnew = "Kite Barn"\n'
    reference = '[reference.replace]\n"Kite Hut" = "Kite Barn"\n'
    edited = load_scenario(write(tmp_path, changed(toml, check, reference), story)).reference
    assert edited.stock_names == ("🍋 Lemon Stand", "Kite Barn")
    assert (edited.turns[1].news_tag, edited.turns[1].news) == ("Kite Barn", "The Kite Barn flies.")


def test_patch_applies_replace_then_set_then_append_then_shift(tmp_path: Path) -> None:
    reference = (
        '[reference.append]\n"1.news" = " Three."\n[reference.set]\n"1.news" = "Two."\n'
        '[reference.replace]\n"A hot week is" = "One is"\n'
    )
    edited = patched(tmp_path, '["*.news"]', reference).reference
    assert [turn.news for turn in edited.turns] == ["Two. Three.", "One is coming."]


def test_reference_may_be_a_story_file(tmp_path: Path) -> None:
    story = deepcopy(STORY)
    story[0]["news"] = "A week of rain is coming."
    toml = GOOD.replace(REFERENCE, "").replace(
        "touches =", 'reference = "right.json"\ntouches =', 1
    )
    file = write(tmp_path, toml)
    (tmp_path / "right.json").write_text(json.dumps(story), encoding="utf-8")
    assert load_scenario(file).reference == parse_story(story)
    (tmp_path / "right.json").write_text("[]", encoding="utf-8")
    message = refusal(file)
    assert "rain.toml: reference: " in message
    assert "right.json" in message


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ('[reference.replace]\nsnow = "rain"', ("reference.replace", "'snow'")),
        ('[reference.set]\n"9.news" = "rain"', ("reference", "'9.news'")),
        ('[reference.append]\n"9.news" = "rain"', ("reference", "'9.news'")),
        ('[[reference.shift]]\nat = "1.news"\nadd = 1', ("reference.shift", "'1.news'")),
        ('[reference.set]\n"1.stocks[Kite Hut].current_value" = "x"', ("reference", "turn 1")),
        ('[reference.set]\n"2.stocks[Kite Hut].name" = "x"', ("reference", "turn 2")),
    ],
)
def test_patch_that_cannot_be_applied(
    tmp_path: Path, reference: str, words: tuple[str, ...]
) -> None:
    message = refusal(write(tmp_path, HEAD + CHECK + reference))
    assert "rain.toml" in message
    for word in words:
        assert word in message


# --- the digest ---


def test_digest_does_not_depend_on_place_or_tags(tmp_path: Path) -> None:
    here = load_scenario(write(tmp_path / "here")).digest
    there = load_scenario(write(tmp_path / "there" / "deep", name="other.toml")).digest
    retagged = load_scenario(write(tmp_path / "tags", GOOD.replace('"full"', '"mine"'))).digest
    assert here == there == retagged
    assert len(here) == 64


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("rain is coming.", "rain is near."),
        ("A week of rain", "Two weeks of rain"),
        ('all_of = ["rain"]', 'all_of = ["rain", "week"]'),
        ('touches = ["1.news"]', 'touches = ["1.news", "2.news"]'),
        ('id = "rain"', 'id = "shower"'),
    ],
)
def test_digest_changes_with_what_is_judged(tmp_path: Path, old: str, new: str) -> None:
    before = load_scenario(write(tmp_path)).digest
    assert load_scenario(write(tmp_path, GOOD.replace(old, new, 1))).digest != before


def test_digest_changes_with_the_story(tmp_path: Path) -> None:
    before = load_scenario(write(tmp_path)).digest
    story = deepcopy(STORY)
    story[1]["result"] = "The sun hid."
    assert load_scenario(write(tmp_path, story=story)).digest != before


# --- the fixtures that are shipped ---


@cache
def shipped() -> list[Scenario]:
    return load_scenarios([shipped_dir() / "full", shipped_dir() / "short"])


def test_shipped_scenarios_are_many_and_varied() -> None:
    scenarios = shipped()
    assert len(scenarios) >= 30
    big = {
        s.story.to_json()
        for s in scenarios
        if len(s.story.turns) == 7 and len(s.story.stock_names) == 3
    }
    assert len(big) >= 5
    assert {s.kind for s in scenarios} == {"rename", "news", "stock", "price", "event", "tone"}
    assert {s.language for s in scenarios} == {"ko", "en"}


def test_shipped_short_scenarios_are_short() -> None:
    scenarios = load_scenarios([shipped_dir() / "short"])
    assert len(scenarios) >= 8
    for scenario in scenarios:
        turns = {1: "one-turn", 3: "three-turn"}[len(scenario.story.turns)]
        assert set(scenario.tags) == {"short", turns}
        assert scenario.id.startswith(f"short-{scenario.language}-")
        assert len(scenario.story.to_json()) < 800


def test_shipped_references_are_right_and_unedited_stories_wrong() -> None:
    for scenario in shipped():
        right = [result.id for result in scenario.judge(scenario.reference) if not result.ok]
        assert not right, f"{scenario.id}: {right}"
        unedited = scenario.judge(scenario.story)
        assert not all(result.ok for result in unedited), scenario.id


def test_shipped_scenarios_notice_a_changed_neighbour() -> None:
    for scenario in shipped():
        untouched = next(check for check in scenario.checks if check.kind == "untouched")
        touched = [Selector.parse(text) for text in scenario.touches]
        for field, value in fields(scenario.story):
            if field.name in ("name", "news_tag") or any(s.matches(field) for s in touched):
                continue
            data = scenario.reference.to_data()
            owner = data[field.turn - 1]
            if field.stock is not None:
                owner = owner["stocks"][field.stock]
            owner[field.name] = value + 1 if isinstance(value, int) else f"{value} !"
            result = untouched.judge(scenario.story, parse_story(data))
            assert not result.ok, f"{scenario.id}: {field.turn}.{field.path}"


def test_shipped_scenarios_notice_a_change_that_was_forgotten() -> None:
    for scenario in shipped():
        for change in diff(scenario.story, scenario.reference):
            data = scenario.reference.to_data()
            turn = data[change.field.turn - 1]
            place = turn if change.field.stock is None else turn["stocks"][change.field.stock]
            place[change.field.name] = change.old
            try:
                undone = parse_story(data)
            except StoryError:
                continue  # a stock renamed in all turns but one is no story
            assert not all(check.ok for check in scenario.judge(undone)), (
                f"{scenario.id}: turn {change.field.turn}, {change.field.path}"
            )


def test_shipped_tone_scenarios_say_that_their_checks_are_proxies() -> None:
    for scenario in shipped():
        if scenario.kind == "tone":
            assert any(result.proxy for result in scenario.judge(scenario.reference)), scenario.id
