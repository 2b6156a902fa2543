"""Text for terminals: display width, alignment, wrapping, marks in ASCII, bold and dim."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

MAX_COLUMNS = 100
_COLOUR = re.compile(r"\x1b\[\d*m")
_ASCII = str.maketrans(
    {"—": "-", "–": "-", "−": "-", "×": "x", "·": "|", "±": "+/-", "≤": "<=", "∞": "inf", "…": "."}
)


def terminal_columns() -> int:
    """How wide text for this terminal may be; 100 where there is none."""
    return min(MAX_COLUMNS, shutil.get_terminal_size((MAX_COLUMNS, 24)).columns)


def width(text: str) -> int:
    """Columns that ``text`` takes: Hangul and most emoji take two, marks and colours none."""
    from rich.cells import cell_len

    return cell_len(_COLOUR.sub("", text))


def left(text: str, columns: int) -> str:
    return text + " " * max(0, columns - width(text))


def right(text: str, columns: int) -> str:
    return " " * max(0, columns - width(text)) + text


def wrap(text: str, columns: int, indent: str = "", *, first: str = "") -> Iterator[str]:
    """``text`` in lines of at most ``columns``, broken at spaces; longer words are left whole.

    ``first`` begins the first line, ``indent`` the others.
    """
    line, empty = first, True
    for word in text.split():
        longer = line + word if empty else f"{line} {word}"
        if not empty and width(longer) > columns:
            yield line
            longer = indent + word
        line, empty = longer, False
    if not empty:
        yield line


@dataclass(frozen=True, slots=True)
class Style:
    """How words may look: ``colour`` allows bold and dim, ``marks`` allows other than ASCII."""

    colour: bool
    marks: bool

    def bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self.colour and text else text

    def dim(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[0m" if self.colour and text else text

    def plain(self, text: str) -> str:
        """``text`` with its typographic marks in ASCII where they may not be shown."""
        return text if self.marks else text.translate(_ASCII)
