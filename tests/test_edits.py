"""Reading replies: what is found, what is refused and why, whole and as a stream."""

import json
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import edits
from harness.edits import MAX_WHY, StoryWatch, read_story
from harness.records import Malformed
from harness.story import STRICT_DECODER, Story, parse_story
from tests.strategies import ENGLISH, FRAGMENTS, KOREAN, chatter, chunks, stories, written

JSON = KOREAN.to_json()
OTHER = ENGLISH.to_json()
LAYOUTS = {
    "compact": JSON,
    "indented": json.dumps(KOREAN.to_data(), ensure_ascii=False, indent=2),
    "escaped": json.dumps(KOREAN.to_data()),
}


def reason(text: str) -> str:
    found = read_story(text)
    assert isinstance(found, Malformed)
    return found.reason


def watch(parts: Iterable[str]) -> Malformed | None:
    """What a watch says in the end; once given, a reason must stay."""
    watcher = StoryWatch()
    verdict = None
    for part in parts:
        now = watcher.feed(part)
        assert verdict is None or now == verdict
        verdict = now
    return verdict


def first_array_is_broken(text: str) -> bool:
    """Whether the first array that begins like a story is none, found the slow way."""
    for start in _arrays(text):
        item = text[start + 1 :].lstrip(" \t\r\n")[1:].lstrip(" \t\r\n")
        try:
            key, _ = STRICT_DECODER.raw_decode(item)
        except ValueError:
            continue
        if str(key).lower() in ("turn_number", "result", "news", "news_tag", "stocks"):
            return _story_at(text, start) is None
    return False


def slow_read(text: str) -> Story | None:
    """The last story, by trying every array in turn: quadratic, and plainly right."""
    found = None
    end = 0
    for start in _arrays(text):
        if start >= end and (hit := _story_at(text, start)):
            found, end = hit
    return found


def _arrays(text: str) -> list[int]:
    return [i for i, char in enumerate(text) if char == "["]


def _story_at(text: str, start: int) -> tuple[Story, int] | None:
    try:
        data, length = STRICT_DECODER.raw_decode(text[start:])
        return parse_story(data), start + length
    except (ValueError, RecursionError):
        return None


# Stories whole, stories with a piece cut out, and pieces that resemble the beginning of one.
scraps = st.one_of(
    st.sampled_from([*FRAGMENTS, OTHER, '{"story_data":' + JSON + "}", '[{"result":' + OTHER]),
    st.tuples(st.integers(0, len(OTHER)), st.integers(0, 40)).map(
        lambda cut: OTHER[: cut[0]] + OTHER[cut[0] + cut[1] :]
    ),
    st.text(max_size=5),
)
scrappy = st.lists(scraps, max_size=7).map("".join)


# --- what is found ---


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "\ufeff\n {}\n",
        "```json\n{}\n```",
        "```\n{}",
        '{{"story_data": {}}}',
        '{{"a": [1, {{"b": {{"story_data": {}, "note": "[ok]"}}}}]}}',
        '[{{"result": {}}}]',
        "Here it is [1] {{as asked}}:\n```json\n{}\n```\nI changed [{{turn 2}}].",
        'It "begins" with "[{{", like so: {} — done',
        '[{{"turn_number": 1, oh no, again: {}',
        "\0{}\0",
    ],
)
def test_finds_the_story_in_its_surroundings(layout: str, around: str) -> None:
    assert read_story(around.format(LAYOUTS[layout])) == KOREAN


def test_the_last_story_counts() -> None:
    assert read_story(f"Original: {JSON}\nEdited: {OTHER}\nDone.") == ENGLISH
    assert read_story(f"Draft: {OTHER}\nFinal: {JSON} [{{}}]") == KOREAN
    assert read_story(f'Story: {JSON}\nBegins like one: [{{"turn_number": 1}}]') == KOREAN


def test_field_names_may_be_escaped() -> None:
    text = JSON.replace('"turn_number"', r'"\u0074urn\u005Fnumber"')
    assert read_story(text) == KOREAN


@given(st.data())
def test_any_story_is_found_in_any_chatter(data: st.DataObject) -> None:
    story = data.draw(stories())
    text = data.draw(written(story))
    opened, closed = data.draw(
        st.sampled_from(
            [("", ""), ("```json\n", "\n```"), ('{"story_data": ', "}"), ('[{"x":', "")]
        )
    )
    before, after = data.draw(chatter()), data.draw(chatter())
    assert read_story(f"{before}{opened}{text}{closed}{after}") == story


@given(st.data())
def test_of_several_stories_the_last_is_found(data: st.DataObject) -> None:
    parts = []
    story = None
    for _ in range(3):
        story = data.draw(stories(max_turns=2, max_stocks=2))
        parts += [data.draw(chatter()), data.draw(written(story))]
    assert read_story("".join(parts)) == story


@settings(max_examples=300)
@given(scrappy)
def test_finds_what_the_slow_reader_finds(text: str) -> None:
    found = read_story(text)
    assert (found if isinstance(found, Story) else None) == slow_read(text)


# --- why nothing is found ---


@pytest.mark.parametrize(
    ("text", "why", "words"),
    [
        ("", "empty", "the reply is empty"),
        (" \n\t", "empty", "the reply is empty"),
        ("I cannot do that.", "no_json", "nothing in the reply begins like an array of objects"),
        ("[]", "no_json", "nothing in the reply begins like an array of objects"),
        ('{"turn_number": 1}', "no_json", "nothing in the reply begins like an array of objects"),
        ("[1, 2] {[ x", "no_json", "nothing in the reply begins like an array of objects"),
        (JSON[:-1], "truncated", f"the reply ends after {len(JSON) - 1} characters, inside an"),
        ("Sure: [{x: 1}]", "bad_json", "reply: Expecting property name enclosed in double quotes"),
        ('[{"news": NaN}]', "bad_json", "reply: NaN is not JSON"),
        ('[{"news": "a", "news": "b"}]', "bad_json", "reply: an object repeats a key"),
        ('[{"news": "a\nb"}]', "bad_json", "reply: Invalid control character"),
        (f'[{{"turn_number": {"9" * 5000}}}]', "bad_json", "reply: Exceeds the limit"),
        (f'[{{"news": {"[" * 5000}', "bad_json", "reply: is nested too deeply"),
        ('[{"title": "x"}]', "bad_story", "turn 1: unknown field 'title'"),
        ("[{}]", "bad_story", "turn 1: field 'turn_number' is missing"),
        (OTHER.replace('"Kite Hill"', '"Kite"', 1), "bad_story", "turn 2: stocks are ['Dragon"),
        (OTHER.replace("golden.", r"golden \ud83d."), "bad_story", "turn 1: result holds a lone"),
        (OTHER.replace("golden.", "golden \ud83d."), "bad_story", "turn 1: result holds a lone"),
    ],
)
def test_says_why_there_is_no_story(text: str, why: str, words: str) -> None:
    found = read_story(text)
    assert isinstance(found, Malformed)
    assert found.reason == why
    assert found.why.startswith(words)


def test_bad_json_says_where_and_shows_the_place() -> None:
    text = f"Here: {OTHER}".replace("The kites", 'The "kites"')
    place = text.index("kites")
    assert read_story(text) == Malformed(
        "bad_json",
        f"reply: Expecting ',' delimiter after {place} characters, "
        f"near {text[place - 20 : place + 20]!r}",
    )


def test_the_reason_belongs_to_the_array_most_like_a_story() -> None:
    broken = OTHER.replace('"news_tag":"all",', "")
    found = read_story(f'[{{x}}] {broken} and [{{"turn_number": "one"}}]')
    assert found == Malformed("bad_story", "turn 1: field 'news_tag' is missing")


def test_of_equals_the_reason_belongs_to_the_last() -> None:
    draft = OTHER.replace('"news_tag":"all",', "")
    final = OTHER.replace('"result":"The bread turned golden.",', "")
    found = read_story(f"{draft}\n{final}")
    assert found == Malformed("bad_story", "turn 1: field 'result' is missing")


def test_too_long() -> None:
    padding = edits.MAX_CHARS - len(JSON)
    assert read_story(" " * padding + JSON) == KOREAN
    assert read_story(" " * (padding + 1) + JSON) == Malformed(
        "too_long", "the reply has 2000001 characters, at most 2000000 are read"
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_truncation_is_called_so(layout: str) -> None:
    text = LAYOUTS[layout]
    for end in range(1, len(text)):
        assert reason(text[:end]) == "truncated", text[:end]


@given(st.data())
def test_every_truncation_of_any_story_is_called_so(data: st.DataObject) -> None:
    text = data.draw(written(data.draw(stories())))
    opened, closed = data.draw(
        st.sampled_from([("", ""), ("```json\n", "\n```"), ('{"story_data": ', "}")])
    )
    whole = f"{opened}{text}{closed}"
    end = data.draw(st.integers(len(opened) + 1, len(whole)))
    if end < len(opened) + len(text):
        assert reason(whole[:end]) == "truncated"
        assert watch([whole[:end]]) is None
    else:
        assert read_story(whole[:end]) == read_story(text)


# --- nothing breaks it ---


@given(st.one_of(st.text(), st.lists(st.sampled_from(FRAGMENTS)).map("".join), scrappy))
def test_no_text_breaks_the_readers(text: str) -> None:
    found = read_story(text)
    dropped = watch(text)
    for result in (found, dropped):
        if isinstance(result, Malformed):
            assert 0 < len(result.why) <= MAX_WHY
            assert result.why.isprintable()  # one line, and safe to write anywhere


ADVERSARIES = {
    "arrays": ("[" * 100_000, "truncated", None),
    "objects": ("{" * 100_000, "no_json", None),
    "quotes": ('"' * 100_000, "no_json", None),
    "nested": ('[{"a":' * 50_000, "bad_json", None),
    "nested stories": ('[{"stocks":' * 50_000, "truncated", None),
    "nested and closed": ('[{"stocks":' * 9_000 + "1" + "}]" * 9_000, "bad_story", "bad_json"),
    "deep in a turn": ('[{"stocks":' + "[" * 100_000, "bad_json", None),
    "open texts": ('[{"news":"\\"' * 50_000, "truncated", None),
    "open names": ('[{"turn_numbe' * 50_000, "truncated", None),
    "white space": ("[" + " " * 100_000, "truncated", None),
    "spaced arrays": ("[ " * 100_000, "truncated", None),
    "half stories": (OTHER[:-1] * 200, "truncated", "bad_json"),
    "small arrays": ('[{"news":1}],' * 50_000, "bad_story", "bad_story"),
    "long number": ('[{"news":' + "9" * 500_000 + "}]", "bad_json", "bad_json"),
    "long text": ('[{"news":"' + "가" * 500_000, "truncated", None),
}


@pytest.mark.parametrize("name", ADVERSARIES)
def test_adversaries_come_to_an_end(name: str) -> None:
    text, whole, streamed = ADVERSARIES[name]
    assert reason(text) == whole
    dropped = watch([text])
    assert (dropped.reason if dropped else None) == streamed


# --- streams ---


@given(st.data())
def test_watch_lets_every_story_pass(data: st.DataObject) -> None:
    story = data.draw(written(data.draw(stories())))
    text = f"{data.draw(chatter(broken_stories=False))}{story}{data.draw(chatter())}"
    assert watch(data.draw(chunks(text))) is None


@settings(max_examples=300)
@given(st.data())
def test_watch_dooms_a_readable_text_only_for_an_earlier_broken_story(data: st.DataObject) -> None:
    text = data.draw(scrappy)
    verdict = watch(data.draw(chunks(text)))
    if verdict is not None:
        assert first_array_is_broken(text)


@given(st.data())
def test_watch_does_not_depend_on_the_chunks(data: st.DataObject) -> None:
    text = data.draw(scrappy)
    assert watch(data.draw(chunks(text))) == watch([text]) == watch(text)


def test_watch_lets_a_story_pass_cut_anywhere() -> None:
    text = 'Sure [1]:\n[ {\n"news": "a \\"quoted\\" \\\\ \\u007b{[ b", "turn_number":1,\n'
    text += OTHER[OTHER.index('"result"') : OTHER.index('"news"')]
    text += OTHER[OTHER.index('"news_tag"') : OTHER.index("}]}") + 3] + " ] [{bye}]"
    assert isinstance(read_story(text), Story)
    for cut in range(len(text)):
        assert watch([text[:cut], text[cut:]]) is None


def test_watch_dooms_a_broken_story_before_a_good_one() -> None:
    text = f'[{{"turn_number": 1}}] {JSON}'
    assert read_story(text) == KOREAN
    assert watch([text]) == Malformed("bad_story", "turn 1: field 'result' is missing")


def test_watch_keeps_an_answer_that_has_a_story() -> None:
    assert watch([f'{JSON} [{{"turn_number": 1}}] [{{"news": oops}}]']) is None


def test_watch_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edits, "MAX_CHARS", len(JSON) + 1)
    watcher = StoryWatch()
    assert watcher.feed(JSON) is None
    assert watcher.feed(" ") is None
    too_long = watcher.feed(" ")
    assert too_long is not None
    assert too_long.reason == "too_long"
    assert watcher.feed("") == too_long


BREAKS = {
    "field missing": ('"news":', '"new":', "bad_story", "unknown field 'new'"),
    "not numbered": ('"turn_number":', '"turn_number":1', "bad_story", "turn_number is 1"),
    "price as text": ('"before_value":', '"before_value":"1","x":', "bad_story", "unknown field"),
    "not a number": ('"before_value":', '"before_value":NaN,"x":', "bad_json", "NaN is not JSON"),
    "quote in a text": ('"result":"', '"result":"a "b" ', "bad_json", "Expecting ',' delimiter"),
    "no comma": (',"news":', '"news":', "bad_json", "Expecting ',' delimiter"),
    "deep": ('"stocks":', '"stocks":' + "[" * 2_000, "bad_json", "is nested too deeply"),
}


@pytest.mark.parametrize("kind", BREAKS)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_watch_dooms_a_broken_turn_when_it_closes(kind: str, number: int) -> None:
    old, new, why, words = BREAKS[kind]
    turns = [json.dumps(turn, separators=(",", ":")) for turn in KOREAN.to_data()[:number]]
    turns[-1] = turns[-1].replace(old, new, 1)
    text = "[" + ",".join(turns)
    watcher = StoryWatch()
    assert watcher.feed(text[:-1]) is None
    verdict = watcher.feed(text[-1])
    assert verdict is not None
    assert verdict.reason == why
    assert verdict.why.startswith(f"turn {number}")
    assert words in verdict.why


def test_watch_dooms_a_turn_with_other_stocks_than_the_first() -> None:
    end = OTHER.rindex("]")
    verdict = watch([OTHER[:end].replace('"Kite Hill"', '"Kite"', 1)])
    assert verdict is not None
    assert verdict.why.startswith("turn 2: stocks are ['Dragon Bakery', 'Kite Hill'], turn 1 has")


@pytest.mark.parametrize(
    ("after_turn_1", "why"),
    [
        ("x", "turn 1 is followed by 'x', not by ',' or ']'"),
        (" {", "turn 1 is followed by '{', not by ',' or ']'"),
        (",]", "turn 2 begins with ']', not with '{'"),
        (", ,", "turn 2 begins with ',', not with '{'"),
        ("\n,\n[", "turn 2 begins with '[', not with '{'"),
    ],
)
def test_watch_dooms_what_stands_between_turns(after_turn_1: str, why: str) -> None:
    end = JSON.index("}]}") + 3
    assert watch([JSON[:end], *after_turn_1]) == Malformed("bad_json", why)
    assert watch([JSON[:end], *after_turn_1[:-1]]) is None
