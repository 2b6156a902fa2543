"""Change checks: what the request asked for, decided exactly."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from harness import story as st
from harness.checks.base import AtFields, Check, Finding, Text, short


class Replaced(Check):
    """``old`` became ``new`` in every text that had it, names and tags included."""

    kind: Literal["replaced"]
    old: Text
    new: Text

    def findings(self, original: st.Story, edited: st.Story) -> Iterator[Finding]:
        before = st.values(original)
        for field, value in st.fields(edited):
            if not isinstance(value, str):
                continue
            old = before.get(field.place, "")
            # An `old` within `new` is what was asked for; a `new` within `old` is not.
            rest = [value] if self.new in self.old else value.split(self.new)
            if any(self.old in part for part in rest):
                yield Finding(f"still has {self.old!r}", field.turn, field.path)
            elif self.old in str(old) and self.new not in value:
                yield Finding(f"does not have {self.new!r}", field.turn, field.path)


class Equals(AtFields):
    """The selected fields have exactly this value."""

    kind: Literal["equals"]
    value: str | int

    def problem(self, old: str | int, new: str | int) -> str | None:
        return None if new == self.value else f"is {short(new)}, expected {short(self.value)}"


class Changed(AtFields):
    """The selected fields differ from what they were."""

    kind: Literal["changed"]

    def problem(self, old: str | int, new: str | int) -> str | None:
        return "is unchanged" if new == old else None


class Contains(AtFields):
    """Each selected text has all words of ``all_of`` and at least one of ``any_of``."""

    kind: Literal["contains"]
    all_of: list[Text] = []
    any_of: list[Text] = []

    @model_validator(mode="after")
    def _something(self) -> "Contains":
        if not self.all_of and not self.any_of:
            raise ValueError("needs all_of or any_of")
        return self

    def problem(self, old: str | int, new: str | int) -> str | None:
        text = str(new)
        missing = [word for word in self.all_of if word not in text]
        if missing:
            return f"does not have {missing[0]!r}"
        if self.any_of and not any(word in text for word in self.any_of):
            return f"has none of {', '.join(self.any_of)}"
        return None


class Absent(AtFields):
    """The selected texts no longer have any of ``words``."""

    kind: Literal["absent"]
    words: list[Text] = Field(min_length=1)

    def problem(self, old: str | int, new: str | int) -> str | None:
        left = [word for word in self.words if word in str(new)]
        return f"still has {left[0]!r}" if left else None


class Shifted(AtFields):
    """The selected prices moved by ``add`` coins, or by ``percent`` (to the nearest coin, ±1)."""

    kind: Literal["shifted"]
    add: int | None = None
    percent: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one(self) -> "Shifted":
        if (self.add is None) == (self.percent is None):
            raise ValueError("needs either add or percent")
        return self

    def problem(self, old: str | int, new: str | int) -> str | None:
        if not isinstance(old, int) or not isinstance(new, int):
            return "is not a price"
        expected, slack = shift(old, self.add, self.percent), 0 if self.percent is None else 1
        if abs(new - expected) <= slack:
            return None
        return f"is {new}, expected {expected} (it was {old})"


class Length(AtFields):
    """The selected texts have at least ``least`` and at most ``most`` characters."""

    kind: Literal["length"]
    least: int = Field(default=0, ge=0)
    most: int | None = Field(default=None, gt=0)

    def problem(self, old: str | int, new: str | int) -> str | None:
        size = len(str(new))
        if size < self.least:
            return f"has {size} characters, at least {self.least} are asked for"
        if self.most is not None and size > self.most:
            return f"has {size} characters, at most {self.most} are asked for"
        return None


def shift(value: int, add: int | None, percent: float | None) -> int:
    """``value`` moved by ``add`` or by ``percent`` per cent, halves away from zero, not below 0."""
    if percent is None:
        return max(0, value + (add or 0))
    return max(0, int(value * (100 + percent) / 100 + 0.5))
