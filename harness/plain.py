"""Text for a terminal: columns that line up, and nothing that a model wrote acts on it."""

import unicodedata
from collections.abc import Sequence

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
    safe = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*safe, strict=True)]
    lines = []
    for row in safe:
        cells = []
        for i, cell in enumerate(row):
            gap = " " * (widths[i] - cell_len(cell))
            cells.append(gap + cell if i in right else cell + gap)
        line = "  ".join(cells).rstrip()
        if width is not None and cell_len(line) > width:
            line = set_cell_size(line, width - 1) + "…"
        lines.append(line)
    return "\n".join(lines)


def indented(text: str) -> str:
    """Several lines, each made safe and moved two cells to the right."""
    return "\n".join(f"  {plain(line)}".rstrip() for line in text.split("\n"))
