"""Preservation checks: what an edit must leave as it was."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from pydantic import Field

from harness import story as st
from harness.checks.base import AtFields, Check, Finding, SelectorText, Text, short

# --- judged for every scenario ---


class Structure(Check):
    """As many turns as before, numbered alike, with the same stocks in the same order.

    ``renamed`` maps stocks that the request renames to their new names.
    """

    role = "preservation"
    kind: Literal["structure"] = "structure"
    renamed: dict[str, str] = {}

    def findings(self, original: st.Story, edited: st.Story) -> Iterator[Finding]:
        if len(edited.turns) != len(original.turns):
            yield Finding(f"has {len(edited.turns)} turns, expected {len(original.turns)}")
        expected = [self.renamed.get(name, name) for name in original.stock_names]
        if list(edited.stock_names) != expected:
            names = ", ".join(edited.stock_names)
            yield Finding(f"stocks are {names}; expected {', '.join(expected)}", 1, "stocks")


class Untouched(Check):
    """Nothing outside ``touches`` differs, field by field; names follow ``renamed``."""

    role = "preservation"
    kind: Literal["untouched"] = "untouched"
    touches: list[SelectorText]
    renamed: dict[str, str] = {}

    def selectors(self) -> list[str]:
        return self.touches

    def findings(self, original: st.Story, edited: st.Story) -> Iterator[Finding]:
        if not st.same_shape(original, edited):
            yield Finding("cannot be compared: the number of turns or stocks differs")
            return
        allowed = [st.Selector.parse(text) for text in self.touches]
        for change in st.diff(original, edited):
            if any(selector.matches(change.field) for selector in allowed):
                continue
            if change.field.name in ("name", "news_tag") and (
                self.renamed.get(str(change.old)) == change.new
            ):
                continue
            yield Finding(
                f"was not to change: {short(change.old)} became {short(change.new)}",
                change.field.turn,
                change.field.path,
            )


class Language(Check):
    """Every text stays in the story's language: ``ko`` Hangul, ``en`` Latin letters.

    A text fails when less than half of its letters are of that script, or when it brings in
    letters of a script that the original text did not have (Chinese in Korean, say).
    """

    role = "preservation"
    kind: Literal["language"] = "language"
    language: Literal["ko", "en"]

    def findings(self, original: st.Story, edited: st.Story) -> Iterator[Finding]:
        own = "hangul" if self.language == "ko" else "latin"
        for field, old, value in st.altered(original, edited):
            if not isinstance(value, str) or field.name == "news_tag":
                continue
            was = "" if old is None else str(old)
            scripts, scripts_before = _scripts(value), _scripts(was)
            letters = sum(scripts.values())
            foreign = [s for s in scripts if s not in (own, "latin") and s not in scripts_before]
            if foreign:
                yield Finding(f"brings in {foreign[0]} letters", field.turn, field.path)
            elif (
                letters >= 4 and scripts.get(own, 0) * 2 < letters and _mostly(scripts_before, own)
            ):
                yield Finding(f"is no longer {self.language}", field.turn, field.path)


class Limits(Check):
    """No text is blank that was not, and none is longer than ``max_chars`` characters."""

    role = "preservation"
    kind: Literal["limits"] = "limits"
    max_chars: int

    def findings(self, original: st.Story, edited: st.Story) -> Iterator[Finding]:
        before = st.values(original)
        for field, value in st.fields(edited):
            if not isinstance(value, str):
                continue
            if not value.strip() and str(before.get(field.place, "")).strip():
                yield Finding("is blank", field.turn, field.path)
            elif len(value) > self.max_chars:
                why = f"has {len(value)} characters, at most {self.max_chars} are allowed"
                yield Finding(why, field.turn, field.path)


# --- added where a scenario needs them ---


class Keeps(AtFields):
    """The selected texts keep at least ``least`` (0–1) of their words as they were."""

    role = "preservation"
    kind: Literal["keeps"]
    least: float = Field(gt=0, le=1)

    def problem(self, old: str | int, new: str | int) -> str | None:
        words = str(old).split()
        left = list(str(new).split())
        kept = 0
        for word in words:
            if word in left:
                left.remove(word)
                kept += 1
        if kept >= self.least * len(words):
            return None
        return f"keeps {kept} of its {len(words)} words, at least {self.least:.0%} must stay"


class Continuous(Check):
    """Each selected stock opens a turn at the price at which it closed the turn before.

    ``stock`` is a name, or ``*`` for all. Only joints that were continuous before are judged.
    """

    role = "preservation"
    kind: Literal["continuous"]
    stock: Text = "*"

    def selectors(self) -> list[str]:
        return [f"*.stocks[{self.stock}].before_value"]

    def findings(self, original: st.Story, edited: st.Story) -> Iterator[Finding]:
        if not st.same_shape(original, edited):
            yield Finding("cannot be judged: the number of turns or stocks differs")
            return
        for earlier, later in pairwise(range(len(original.turns))):
            for i, name in enumerate(original.stock_names):
                if self.stock not in ("*", name) or not _joined(original, earlier, later, i):
                    continue
                if not _joined(edited, earlier, later, i):
                    close = edited.turns[earlier].stocks[i].current_value
                    yield Finding(
                        f"is {edited.turns[later].stocks[i].before_value}, but turn "
                        f"{earlier + 1} closed at {close}",
                        later + 1,
                        f"stocks[{name}].before_value",
                    )


def _joined(story: st.Story, earlier: int, later: int, stock: int) -> bool:
    opening = story.turns[later].stocks[stock].before_value
    return opening == story.turns[earlier].stocks[stock].current_value


_SCRIPTS = {  # written as escapes: normalising this file must not move a border
    "hangul": re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]"),
    "latin": re.compile(r"[A-Za-z\u00c0-\u024f]"),
    "han": re.compile(r"[\u3400-\u9fff\uf900-\ufaff]"),
    "kana": re.compile(r"[\u3040-\u30ff]"),
    "cyrillic": re.compile(r"[\u0400-\u04ff]"),
    "arabic": re.compile(r"[\u0600-\u06ff]"),
    "thai": re.compile(r"[\u0e00-\u0e7f]"),
}


def _scripts(text: str) -> dict[str, int]:
    counts = {name: len(pattern.findall(text)) for name, pattern in _SCRIPTS.items()}
    return {name: count for name, count in counts.items() if count}


def _mostly(scripts: dict[str, int], own: str) -> bool:
    return scripts.get(own, 0) * 2 >= sum(scripts.values())
