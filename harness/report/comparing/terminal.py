"""Two runs compared, in the terminal: at most 100 columns, stacked below 80."""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence

from harness.comparing import Compared, Result
from harness.plain import plain
from harness.report.comparing.text import (
    NONE,
    Line,
    about,
    doubt,
    effect,
    extra,
    lines,
    measured,
    rulings_of,
    verdict,
    who,
    why,
)
from harness.report.layout import Style, left, right, width, wrap
from harness.report.textable import LONGEST_INLINE, STACK_BELOW, Notes

MAX_COLUMNS = 100
HEAD = ("", "A", "B", "change, %", "[95 %]", "n", "gate")
NUMBERS = (1, 2, 3)  # columns that are set flush right


def print_comparison(result: Result) -> None:
    """Print on standard output; in ASCII marks when that is no terminal."""
    encoding = sys.stdout.encoding or "utf-8"
    terminal = sys.stdout.isatty()
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    columns = min(MAX_COLUMNS, shutil.get_terminal_size((MAX_COLUMNS, 24)).columns)
    for line in render(result, columns, Style(colour=colour, marks=terminal)):
        print(line.encode(encoding, "backslashreplace").decode(encoding))


def render(result: Result, columns: int, style: Style) -> Iterator[str]:
    """Everything that is printed, line by line: the verdict first, the doubts last."""
    for line in wrap(_said(verdict(result), style), columns, "    "):
        yield style.bold(line)
    for label, facts in (("A", result.a), ("B", result.b)):
        text = f"{label}: {facts.folder} ({about(facts)})"
        yield from _dim(text, columns, style)
    marks = f"{result.scenarios} scenarios in common; change is B against A; ~ its interval has 0"
    yield from _dim(marks, columns, style)
    notes = Notes()
    tables = [_rows(result, compared, notes, style) for compared in result.pipelines]
    stacked = columns < STACK_BELOW or any(_taken(rows) > columns for rows in tables)
    for compared, rows in zip(result.pipelines, tables, strict=True):
        yield ""
        if result.outcome is not None:
            said = _said(effect(result, compared), style)
            yield from (style.bold(text) for text in wrap(said, columns, "  "))
        if stacked:
            yield from _stacked(_said(compared.name, style), rows[1:], style)
        else:
            yield from _aligned(rows, style)
    if listed := list(notes.lines()):
        yield ""
        for note in listed:
            yield from _dim(note, columns, style)
    if result.rulings:
        yield ""
        yield style.bold("Gates")
        yield from _gates(result, columns, style)
    doubts = [*map(doubt, result.cautions), *extra(result)]
    if doubts:
        yield ""
        yield style.bold("Warnings")
        for text in doubts:
            yield from wrap(_said(text, style), columns, "    ", first="  ")


def _rows(result: Result, compared: Compared, notes: Notes, style: Style) -> list[list[str]]:
    """The table of a pipeline as cells, its head first; without gates it has no column for them."""
    mine = rulings_of(result, compared)
    head = [_said(compared.name, style) if result.outcome is None else "", *HEAD[1:]]
    rows = [head, *(_cells(line, notes, style) for line in lines(compared, mine))]
    return rows if mine else [row[:-1] for row in rows]


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(width, column)) for column in zip(*rows, strict=True)]


def _taken(rows: Sequence[Sequence[str]]) -> int:
    """How many columns an aligned table takes."""
    widths = _widths(rows)
    return sum(widths) + 2 * (len(widths) - 1)


def _aligned(rows: Sequence[Sequence[str]], style: Style) -> Iterator[str]:
    """A line a metric, below the head."""
    widths = _widths(rows)
    for row in rows:
        cells = [
            right(cell, widths[i]) if i in NUMBERS else left(cell, widths[i])
            for i, cell in enumerate(row)
        ]
        text = "  ".join(cells).rstrip()
        yield style.bold(text) if row is rows[0] else text


def _cells(line: Line, notes: Notes, style: Style) -> list[str]:
    """One row, as long as HEAD."""
    beside = line.interval
    if line.change is None:
        beside = line.reason if len(line.reason) <= LONGEST_INLINE else notes.mark(line.reason)
    marks = "".join(f" {notes.mark(note)}" for note in line.notes)
    change = line.change or NONE
    row = (f"  {line.label}", line.a, line.b, change, beside + marks, line.n, line.gate)
    return [_said(cell, style) for cell in row]


def _stacked(name: str, rows: Sequence[Sequence[str]], style: Style) -> Iterator[str]:
    """Two lines a metric."""
    yield style.bold(name)
    for row in rows:
        yield f"{row[0]}: {row[1]} {_said('→', style)} {row[2]}"
        yield "    " + "  ".join(cell for cell in row[3:] if cell)


def _gates(result: Result, columns: int, style: Style) -> Iterator[str]:
    for ruling in result.rulings:
        head = f"  {ruling.outcome:9}  {who(ruling)} {ruling.gate.text}: "
        value = measured(ruling)
        text = why(ruling) if value == NONE else f"{value}, {why(ruling)}"
        yield from wrap(_said(text, style), columns, " " * 13, first=_said(head, style))


def _dim(text: str, columns: int, style: Style) -> Iterator[str]:
    for line in wrap(_said(text, style), columns, "    "):
        yield style.dim(line)


def _said(text: str, style: Style) -> str:
    """Text that a terminal can show and that does nothing to it."""
    safe = style.plain(plain(text))
    return safe if style.marks else safe.replace("→", "->")
