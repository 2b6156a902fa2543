"""What of a text has changed, word by word, for any renderer; and how much of a story."""

import difflib
import re
from typing import Literal, NamedTuple

from harness.report.markup import Html, join, tag
from harness.story import Story, values

LEAST_KEPT = 0.3  # of the longer text; below it, one replaces the other
_MARKS = {"gone": "del", "come": "ins"}
_WORDS = re.compile(r"\s+|\S+")


class Piece(NamedTuple):
    """A part of a text: kept, only in the old one, or only in the new one."""

    kind: Literal["kept", "gone", "come"]
    text: str


def pieces(old: str | int | None, new: str | int) -> list[Piece]:
    """``new`` with what it leaves out of ``old`` and what it adds; old None: all is new.

    Texts that have little in common are replaced whole, since word by word nobody could read them.
    """
    if old == new:
        return [Piece("kept", str(new))]
    if not isinstance(old, str) or not isinstance(new, str):
        return _swap("" if old is None else str(old), str(new))
    a, b = _WORDS.findall(old), _WORDS.findall(new)
    matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
    parts: list[Piece] = []
    gone = come = ""
    for kind, i, j, k, m in matcher.get_opcodes():
        before, after = "".join(a[i:j]), "".join(b[k:m])
        if kind != "equal" or (gone + come and not before.strip() and m < len(b)):
            gone, come = gone + before, come + after  # a blank between two changes is part of them
        else:
            parts += [*_swap(gone, come), Piece("kept", before)]
            gone = come = ""
    parts += _swap(gone, come)
    kept = sum(len(part.text) for part in parts if part.kind == "kept")
    return parts if kept >= LEAST_KEPT * max(len(old), len(new)) else _swap(old, new)


def marked(old: str | int | None, new: str | int) -> Html:
    """``pieces`` as markup: what is gone struck out, what has come underlined."""
    return join(
        tag(_MARKS[piece.kind], piece.text) if piece.kind in _MARKS else piece.text
        for piece in pieces(old, new)
    )


def _swap(gone: str, come: str) -> list[Piece]:
    parts = (Piece("gone", gone), Piece("come", come))
    return [part for part in parts if part.text]


def changes(before: Story, after: Story) -> int:
    """How many fields of ``before`` or ``after`` the other does not have, or has otherwise."""
    old, new = values(before), values(after)
    return sum(old.get(place) != new.get(place) for place in old.keys() | new.keys())
