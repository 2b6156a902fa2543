"""Differences of texts: nothing is lost, nothing invented, and they can be read."""

from hypothesis import given
from hypothesis import strategies as st

from harness.report.differences import changes, marked, pieces
from harness.story import Story, altered
from tests.strategies import KOREAN

TEXTS = st.text("ab 가나\n.", max_size=30)


def joined(old: str | int | None, new: str | int, *kinds: str) -> str:
    return "".join(piece.text for piece in pieces(old, new) if piece.kind in kinds)


@given(TEXTS, TEXTS)
def test_both_texts_can_be_read_off(old: str, new: str) -> None:
    assert joined(old, new, "kept", "gone") == old
    assert joined(old, new, "kept", "come") == new
    assert (old == new) == (joined(old, new, "gone", "come") == "")


def test_a_renamed_word_is_marked_alone() -> None:
    old, new = "불꽃 마법사가 상점을 열었어요.", "별똥 마법사가 상점을 열었어요."
    assert pieces(old, new) == [
        ("gone", "불꽃"),
        ("come", "별똥"),
        ("kept", " 마법사가 상점을 열었어요."),
    ]


def test_a_blank_between_two_changes_belongs_to_them() -> None:
    old, new = "one two three and so on", "1 2 three and so on"
    assert pieces(old, new)[:2] == [("gone", "one two"), ("come", "1 2")]


def test_texts_with_little_in_common_replace_each_other() -> None:
    old, new = "The clock strikes twelve at the museum", "Somebody polished the marble stairs"
    assert pieces(old, new) == [("gone", old), ("come", new)]


def test_numbers_and_what_was_not_there() -> None:
    assert pieces(100, 120) == [("gone", "100"), ("come", "120")]
    assert pieces(100, 100) == [("kept", "100")]
    assert pieces(None, "new") == [("come", "new")]


def test_changes_count_what_either_story_alone_has() -> None:
    shorter = Story(KOREAN.turns[:2])
    assert changes(KOREAN, KOREAN) == 0
    assert changes(KOREAN, shorter) == changes(shorter, KOREAN) == 3 + 2 * 6
    assert altered(KOREAN, shorter) == []


def test_marks_and_no_markup_of_others() -> None:
    assert marked("a <b> c", "a <i> c") == "a <del>&lt;b&gt;</del><ins>&lt;i&gt;</ins> c"
    assert marked("same", "same") == "same"
