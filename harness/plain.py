"""Text for a terminal: columns that line up, and nothing that a model wrote acts on it."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.cells import cell_len, set_cell_size

_UNSAFE = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = "\u200c\u200d"  # emoji and some scripts are made with them


def plain(text: str) -> str:
    """``text`` with every control and invisible formatting character written as an escape."""
    return "".join(
        repr(char)[1:-1] if unicodedata.category(char) in _UNSAFE and char not in _JOINERS else char
        for char in text
    )


def table(
    rows: Sequence[Sequence[str]], *, right: Sequence[int] = (), width: int | None = None
) -> str:
    """Rows as lines with aligned columns, East Asian text counted as two cells a character.

    The columns of ``right`` are set flush right; lines are cut to ``width`` cells (None: never).
    """
    return "\n".join(table_lines(lambda: rows, right=right, width=width))


def table_lines(
    rows: Callable[[], Iterable[Sequence[str]]],
    *,
    right: Sequence[int] = (),
    width: int | None = None,
) -> Iterator[str]:
    """``table`` line by line, for rows that memory need not hold: they are asked for twice, for
    their widths and for their texts.
    """
    widths: list[int] = []
    for row in rows():
        cells = [cell_len(plain(cell)) for cell in row]
        widths = list(map(max, widths, cells)) if widths else cells
    for row in rows():
        padded = []
        for i, cell in enumerate(map(plain, row)):
            gap = " " * (widths[i] - cell_len(cell))
            padded.append(gap + cell if i in right else cell + gap)
        line = "  ".join(padded).rstrip()
        if width is not None and cell_len(line) > width:
            line = set_cell_size(line, width - 1) + "…"
        yield line


def indented(text: str) -> str:
    """Several lines, each made safe and moved two cells to the right."""
    return "\n".join(f"  {plain(line)}".rstrip() for line in text.split("\n"))
