"""Small ways of spoiling an edit, each of which a preservation check must catch.

A mutation turns a valid story into another valid story; it returns None where a story offers
nothing to spoil (two stocks cannot be swapped where there is one).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from harness.story import Field, Story, Turn, fields

Mutation = Callable[[Story], Story | None]


def _each_turn(story: Story, change: Callable[[Turn], Turn]) -> Story:
    return Story(tuple(change(turn) for turn in story.turns))


# --- structure ---


def drop_last_turn(story: Story) -> Story | None:
    return Story(story.turns[:-1]) if len(story.turns) > 1 else None


def repeat_last_turn(story: Story) -> Story:
    last = story.turns[-1]
    return Story((*story.turns, replace(last, turn_number=last.turn_number + 1)))


def reverse_stocks(story: Story) -> Story | None:
    if len(story.stock_names) < 2:
        return None
    return _each_turn(story, lambda turn: replace(turn, stocks=turn.stocks[::-1]))


def drop_last_stock(story: Story) -> Story | None:
    if len(story.stock_names) < 2:
        return None
    gone = story.stock_names[-1]
    return _each_turn(
        story,
        lambda turn: replace(
            turn,
            news_tag="all" if turn.news_tag == gone else turn.news_tag,
            stocks=turn.stocks[:-1],
        ),
    )


def add_stock(story: Story) -> Story:
    return _each_turn(
        story,
        lambda turn: replace(
            turn, stocks=(*turn.stocks, replace(turn.stocks[0], name="+" + turn.stocks[0].name))
        ),
    )


def rename_last_stock(story: Story) -> Story:
    name = story.stock_names[-1]
    return _rename(story, len(story.stock_names) - 1, f"{name} {name}")


STRUCTURE: tuple[Mutation, ...] = (
    drop_last_turn,
    repeat_last_turn,
    reverse_stocks,
    drop_last_stock,
    add_stock,
    rename_last_stock,
)


def _rename(story: Story, position: int, name: str) -> Story:
    old = story.stock_names[position]

    def renamed(turn: Turn) -> Turn:
        stocks = list(turn.stocks)
        stocks[position] = replace(stocks[position], name=name)
        tag = name if turn.news_tag == old else turn.news_tag
        return replace(turn, news_tag=tag, stocks=tuple(stocks))

    return _each_turn(story, renamed)


# --- one leaf ---


def with_leaf(story: Story, field: Field, value: str | int) -> Story:
    """The story with another value in one place; a name changes in all turns."""
    if field.name == "name":
        assert field.stock is not None
        return _rename(story, field.stock, str(value))
    change: dict[str, Any] = {field.name: value}
    turns = list(story.turns)
    turn = turns[field.turn - 1]
    if field.stock is not None:
        stocks = list(turn.stocks)
        stocks[field.stock] = replace(stocks[field.stock], **change)
        change = {"stocks": tuple(stocks)}
    turns[field.turn - 1] = replace(turn, **change)
    return Story(tuple(turns))


def altered(story: Story) -> Iterator[tuple[Field, Story]]:
    """Every story that differs in one leaf: a text repeated, a price one coin up, another tag."""
    for field, value in fields(story):
        if field.name == "news_tag":
            other: str | int = story.stock_names[0] if value == "all" else "all"
        else:
            other = value + 1 if isinstance(value, int) else f"{value} {value}."
        yield field, with_leaf(story, field, other)


def _texts(story: Story) -> Iterator[tuple[Field, str]]:
    """The free texts: neither names nor tags, which the format itself guards."""
    for field, value in fields(story):
        if isinstance(value, str) and field.name not in ("name", "news_tag"):
            yield field, value


def with_foreign_letters(story: Story) -> Iterator[tuple[Field, Story]]:
    """Every story with a few Chinese letters at the end of one text."""
    for field, value in fields(story):
        if isinstance(value, str) and field.name != "news_tag":
            yield field, with_leaf(story, field, f"{value} 火焰")


def translated(story: Story) -> Iterator[tuple[Field, Story]]:
    """Every story with one text in another language: English in Korean, Russian in English."""
    for field, value in _texts(story):
        korean = any("가" <= letter <= "힣" for letter in value)
        yield (
            field,
            with_leaf(story, field, "Everybody went home." if korean else "Все пошли домой."),
        )


def blanked(story: Story) -> Iterator[tuple[Field, Story]]:
    """Every story with one text blanked."""
    for field, _ in _texts(story):
        yield field, with_leaf(story, field, " \n")


def overlong(story: Story, max_chars: int) -> Iterator[tuple[Field, Story]]:
    """Every story with one text a character longer than ``max_chars``."""
    for field, value in _texts(story):
        yield field, with_leaf(story, field, value.ljust(max_chars + 1, "."))


def retold(story: Story) -> Iterator[tuple[Field, Story]]:
    """Every story with no word of one text left."""
    for field, value in _texts(story):
        words = [f"~{word}~" for word in value.split()]
        yield field, with_leaf(story, field, " ".join(words))


def broken_joints(story: Story) -> Iterator[tuple[Field, Story]]:
    """Every story in which one price joint that held no longer does."""
    for field, value in fields(story):
        if field.name == "before_value" and field.turn > 1:
            assert isinstance(field.stock, int)
            assert isinstance(value, int)
            if value == story.turns[field.turn - 2].stocks[field.stock].current_value:
                yield field, with_leaf(story, field, value + 1)
