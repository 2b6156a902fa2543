"""The story being edited: parse, validate, compare, address its fields.

Over 300 lines for one subject: the format, its fields, and the selectors that name them.

A story is a JSON array of turns; the names and types of its fields are fixed (see
``docs/scenarios.md``). ``parse_story`` accepts exactly that and says where anything else breaks it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeAlias

import orjson

STOCK_FIELDS: dict[str, type] = {
    "name": str,
    "risk_level": str,
    "description": str,
    "before_value": int,
    "current_value": int,
    "expectation": str,
}
TURN_FIELDS: dict[str, type] = {
    "turn_number": int,
    "result": str,
    "news": str,
    "news_tag": str,
    "stocks": list,
}
TURN_TEXTS = ("result", "news", "news_tag")
Place: TypeAlias = tuple[int, int | None, str]
_turn_texts = attrgetter(*TURN_TEXTS)
_stock_values = attrgetter(*STOCK_FIELDS)
_TYPE_WORDS = {str: "text", int: "a whole number", list: "an array"}
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Stock:
    """One shop or character and its price in a turn; values are whole game coins."""

    name: str
    risk_level: str
    description: str
    before_value: int
    current_value: int
    expectation: str


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the game; ``turn_number`` counts from 1."""

    turn_number: int
    result: str
    news: str
    news_tag: str
    stocks: tuple[Stock, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """All turns, numbered 1..n, each with the same stocks in the same order."""

    turns: tuple[Turn, ...]
    # Made on first use: every check walks them, and a story never changes.
    _fields: "tuple[tuple[Field, str | int], ...] | None" = field(
        default=None, init=False, repr=False, compare=False
    )
    _values: "dict[Place, str | int] | None" = field(
        default=None, init=False, repr=False, compare=False
    )
    _selected: "dict[tuple[str, ...], tuple[tuple[Field, str | int], ...]]" = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _json: dict[int | None, str] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def stock_names(self) -> tuple[str, ...]:
        return tuple(stock.name for stock in self.turns[0].stocks)

    def to_data(self) -> list[dict[str, Any]]:
        """The story as plain JSON data."""
        return [
            {
                "turn_number": turn.turn_number,
                "result": turn.result,
                "news": turn.news,
                "news_tag": turn.news_tag,
                "stocks": [{name: getattr(s, name) for name in STOCK_FIELDS} for s in turn.stocks],
            }
            for turn in self.turns
        ]

    def to_json(self, indent: int | None = None) -> str:
        """JSON with Hangul unescaped; compact, as the wire format has it, without ``indent``."""
        if indent not in self._json:
            self._json[indent] = _compact(self) if indent is None else _json(self, indent=indent)
        return self._json[indent]


def _compact(story: Story) -> str:
    try:
        return orjson.dumps(story.turns).decode()
    except orjson.JSONEncodeError:  # a number of more than 64 bits
        return _json(story, separators=(",", ":"))


def _json(story: Story, **style: Any) -> str:
    return json.dumps(story.to_data(), ensure_ascii=False, **style)


@dataclass(frozen=True, slots=True)
class Field:
    """Where a value stands in a story: ``3.news`` or ``3.stocks[NAME].description``.

    ``stock`` is the 0-based position of the stock, None for a field of the turn itself;
    ``stock_name`` is its name in the story the field was taken from.
    """

    turn: int
    name: str
    stock: int | None = None
    stock_name: str | None = None
    # Where it is, whatever the stock is called: (turn, position of the stock, name).
    place: Place = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "place", (self.turn, self.stock, self.name))

    @property
    def path(self) -> str:
        """The field within its turn, as a check reports it: ``stocks[NAME].description``."""
        return self.name if self.stock is None else f"stocks[{self.stock_name}].{self.name}"


class StoryError(ValueError):
    """A value that is not a story; ``where`` is the path of the offending part."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where = where
        self.why = why


def parse_story(data: object) -> Story:
    """Read JSON data as a story. Raises StoryError naming the first part that breaks the format."""
    if not isinstance(data, list):
        raise StoryError("story", "is not an array of turns")
    if not data:
        raise StoryError("story", "has no turns")
    turns: list[Turn] = []
    for number, item in enumerate(data, start=1):
        turns.append(parse_turn(item, number, turns[0] if turns else None))
    return Story(tuple(turns))


def parse_turn(data: object, number: int, first: Turn | None) -> Turn:
    """Read one turn that must be turn ``number`` and have the stocks of ``first`` (None: any)."""
    where = f"turn {number}"
    values = _fields(data, TURN_FIELDS, where)
    if values["turn_number"] != number:
        raise StoryError(where, f"turn_number is {values['turn_number']}, expected {number}")
    if not values["stocks"]:
        raise StoryError(where, "has no stocks")
    stocks = tuple(
        Stock(**_fields(item, STOCK_FIELDS, f"{where} stocks[{i}]"))
        for i, item in enumerate(values["stocks"])
    )
    names = [stock.name for stock in stocks]
    for i, name in enumerate(names):
        if not name.strip():
            raise StoryError(f"{where} stocks[{i}]", "name is blank")
    if len(set(names)) != len(names):
        raise StoryError(where, "two stocks have the same name")
    if first is not None:
        expected = [stock.name for stock in first.stocks]
        if names != expected:
            raise StoryError(where, f"stocks are {names}, turn 1 has {expected}")
    if values["news_tag"] != "all" and values["news_tag"] not in names:
        raise StoryError(
            where, f"news_tag {values['news_tag']!r} is neither 'all' nor the name of a stock"
        )
    return Turn(**{**values, "stocks": stocks})


def _fields(data: object, spec: dict[str, type], where: str) -> dict[str, Any]:
    """Exactly the fields of ``spec`` with exactly their types (a bool is not a number)."""
    if not isinstance(data, dict):
        raise StoryError(where, "is not an object")
    for key in data:
        if key not in spec:
            raise StoryError(where, f"unknown field {key!r}")
    for key, kind in spec.items():
        if key not in data:
            raise StoryError(where, f"field {key!r} is missing")
        value = data[key]
        if type(value) is not kind:
            raise StoryError(where, f"{key} is not {_TYPE_WORDS[kind]}")
        if isinstance(value, str) and _SURROGATE.search(value):
            raise StoryError(where, f"{key} holds a lone surrogate")
    return data


def load_json_strict(text: str) -> object:
    """``json.loads`` without NaN, Infinity or repeated keys.

    Raises ValueError or RecursionError.
    """
    return STRICT_DECODER.decode(text)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object repeats a key")
    return result


STRICT_DECODER = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_unique_keys)


def fields(story: Story) -> tuple[tuple[Field, str | int], ...]:
    """Every leaf of the story with its place, in reading order (turn numbers left out)."""
    if story._fields is None:
        layout = _layout(len(story.turns), story.stock_names)
        object.__setattr__(story, "_fields", tuple(zip(layout, _leaves(story), strict=True)))
    assert story._fields is not None
    return story._fields


def values(story: Story) -> "dict[Place, str | int]":
    """The value at every place of the story; not to be changed."""
    if story._values is None:
        object.__setattr__(story, "_values", {f.place: value for f, value in fields(story)})
    assert story._values is not None
    return story._values


def altered(original: Story, edited: Story) -> list[tuple[Field, str | int | None, str | int]]:
    """The leaves of ``edited`` that ``original`` does not have at the same place, with what it
    has there (None: no such place).
    """
    before = values(original)
    return [
        (field, old, value)
        for field, value in fields(edited)
        if (old := before.get(field.place)) != value
    ]


def selected(story: Story, selectors: "tuple[str, ...]") -> "tuple[tuple[Field, str | int], ...]":
    """The fields that any of the selectors covers, with their values, in reading order."""
    if selectors not in story._selected:
        chosen = [Selector.parse(text) for text in selectors]
        story._selected[selectors] = tuple(
            (field, value)
            for field, value in fields(story)
            if any(selector.matches(field) for selector in chosen)
        )
    return story._selected[selectors]


@lru_cache(maxsize=256)
def _layout(turns: int, stocks: tuple[str, ...]) -> tuple[Field, ...]:
    """The leaves of every story of that many turns and those stocks."""
    return tuple(
        field
        for turn in range(1, turns + 1)
        for field in (
            *(Field(turn, name) for name in TURN_TEXTS),
            *(
                Field(turn, name, position, stock)
                for position, stock in enumerate(stocks)
                for name in STOCK_FIELDS
            ),
        )
    )


def _leaves(story: Story) -> Iterator[str | int]:
    """The values of a story in the order of its layout."""
    for turn in story.turns:
        yield from _turn_texts(turn)
        for stock in turn.stocks:
            yield from _stock_values(stock)


@dataclass(frozen=True, slots=True)
class Change:
    """One leaf that differs between two stories of the same shape."""

    field: Field
    old: str | int
    new: str | int


def same_shape(a: Story, b: Story) -> bool:
    """Whether both have as many turns, and as many stocks in each turn."""
    return len(a.turns) == len(b.turns) and len(a.stock_names) == len(b.stock_names)


def diff(old: Story, new: Story) -> list[Change]:
    """Leaf by leaf, what ``new`` changes; fields are named as in ``old``.

    Raises ValueError if the stories differ in the number of turns or stocks.
    """
    if not same_shape(old, new):
        raise ValueError("stories of different shape cannot be compared field by field")
    return [
        Change(field, before, after)
        for (field, before), (_, after) in zip(fields(old), fields(new), strict=True)
        if before != after
    ]


_SELECTOR = re.compile(
    r"(?P<first>\*|[1-9][0-9]*)(?:-(?P<last>[1-9][0-9]*))?\."
    r"(?:(?P<turn_field>result|news|news_tag)"
    r"|stocks\[(?P<stock>.+)\]\.(?P<stock_field>name|risk_level|description"
    r"|before_value|current_value|expectation|\*))"
)


@dataclass(frozen=True, slots=True)
class Selector:
    """A set of fields: ``TURN.FIELD``, TURN being ``3``, ``2-5`` or ``*``, FIELD being ``news``,
    ``stocks[NAME].description``, ``stocks[*].name`` or ``stocks[NAME].*``.
    """

    text: str
    first: int | None
    last: int | None
    name: str | None
    stock: str | None

    @classmethod
    @lru_cache(maxsize=4096)
    def parse(cls, text: str) -> "Selector":
        """Raises ValueError when ``text`` is not of the form above."""
        match = _SELECTOR.fullmatch(text)
        if match is None or (match["first"] == "*" and match["last"]):
            raise ValueError(
                f"{text!r} does not name a field; write for example '3.news', '2-5.result' "
                "or '*.stocks[NAME].description'"
            )
        first = None if match["first"] == "*" else int(match["first"])
        last = int(match["last"]) if match["last"] else first
        if first is not None and last is not None and last < first:
            raise ValueError(f"{text!r}: the range of turns runs backwards")
        name = match["turn_field"] or match["stock_field"]
        return cls(text, first, last, None if name == "*" else name, match["stock"])

    def matches(self, field: Field) -> bool:
        """Whether the selector covers this field."""
        if self.first is not None and not self.first <= field.turn <= (self.last or self.first):
            return False
        if self.name is not None and self.name != field.name:
            return False
        if self.stock is None or field.stock is None:
            return self.stock is None and field.stock is None
        return self.stock in ("*", field.stock_name)

    def select(self, story: Story) -> list[tuple[Field, str | int]]:
        """The fields of ``story`` it covers, with their values; empty when there are none."""
        return [(field, value) for field, value in fields(story) if self.matches(field)]
