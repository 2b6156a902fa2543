"""Groups of figures as a table of text: on one line a row, on two, or stacked arm by arm."""

from collections.abc import Iterator, Mapping, Sequence

from harness.report.layout import Style, left, right, width
from harness.report.table import Cell, Group, Row

STACK_BELOW = 80
LONGEST_INLINE = 14  # characters of a reason that stands in the table itself
GAP = "  "


class Notes:
    """Reasons that are too long for the table, numbered in the order they come up."""

    def __init__(self) -> None:
        self._known: list[str] = []

    def mark(self, reason: str) -> str:
        if reason not in self._known:
            self._known.append(reason)
        return f"({self._known.index(reason) + 1})"

    def lines(self) -> Iterator[str]:
        for number, reason in enumerate(self._known, start=1):
            yield f"({number}) {reason}"


Texts = tuple[str, str]  # a value, and what stands beside it: its interval or a reason
Line = tuple[str, Mapping[str, Texts]]  # a label, and the texts of each arm


def lay_out(
    groups: Sequence[Group],
    headers: Mapping[str, tuple[str, str]],
    notes: Notes,
    columns: int,
    style: Style,
) -> Iterator[str]:
    """The table in the widest form that fits into ``columns``; stacked below 80.

    Arms that do not fit beside the others follow in a table of their own. ``headers``: each arm's
    two lines of heading, in the order of the columns.
    """
    tables = {
        joined: [(g.title, [_line(row, notes, style, joined) for row in g.rows]) for g in groups]
        for joined in (False, True)
    }
    if columns < STACK_BELOW:
        yield from _stacked(tables[False], headers, style)
        return
    wide = _Table(tables[False], headers, style, tall=False)
    if wide.width <= columns:
        yield from wide.lines()
        return
    arms = list(headers)
    while arms:
        for count in range(len(arms), 0, -1):
            some = {arm: headers[arm] for arm in arms[:count]}
            table = _Table(tables[True], some, style, tall=True)
            if table.width <= columns:
                break
        yield from table.lines()
        arms = arms[count:]
        if arms:
            yield ""


class _Table:
    """Columns of arms. ``tall``: what stands beside a value stands below it."""

    def __init__(
        self,
        groups: Sequence[tuple[str, Sequence[Line]]],
        headers: Mapping[str, tuple[str, str]],
        style: Style,
        tall: bool,
    ) -> None:
        self._groups, self._headers, self._style, self._tall = groups, headers, style, tall
        rows = [line for _, lines in groups for line in lines]
        self._label = max((width(label) for label, _ in rows), default=0)
        self._columns = {
            arm: self._column(arm, [cells[arm] for _, cells in rows if arm in cells])
            for arm in headers
        }

    @property
    def width(self) -> int:
        return self._label + sum(len(GAP) + sum(pair) for pair in self._columns.values())

    def _column(self, arm: str, mine: Sequence[Texts]) -> tuple[int, int]:
        """(width of the values, width of what stands beside them with its space)."""
        value = max((width(text) for text, _ in mine), default=0)
        beside = max((width(text) for _, text in mine), default=0)
        head = max(map(width, self._headers[arm]))
        if self._tall:
            return max(value, beside, head), 0
        return value, max(beside + (beside > 0), head - value)

    def lines(self) -> Iterator[str]:
        align = right if self._tall else left
        for i, paint in ((0, self._style.bold), (1, self._style.dim)):
            heads = (
                GAP + align(paint(self._headers[arm][i]), sum(columns))
                for arm, columns in self._columns.items()
            )
            yield (" " * self._label + "".join(heads)).rstrip()
        for title, rows in self._groups:
            yield self._style.bold(title)
            for label, cells in rows:
                yield from self._row(
                    label, {arm: cells.get(arm, ("", "")) for arm in self._columns}
                )

    def _row(self, label: str, cells: Mapping[str, Texts]) -> Iterator[str]:
        first, second = left(label, self._label), " " * self._label
        for arm, (text, beside) in cells.items():
            value, room = self._columns[arm]
            first += GAP + right(text, value)
            faint = self._style.dim(beside)
            if self._tall:
                second += GAP + right(faint, value)
            else:
                first += left(f" {faint}" if faint else "", room)
        yield first.rstrip()
        if self._tall and second.strip():
            yield second.rstrip()


def _stacked(
    groups: Sequence[tuple[str, Sequence[Line]]],
    headers: Mapping[str, tuple[str, str]],
    style: Style,
) -> Iterator[str]:
    """One arm below the other."""
    rows = [line for _, lines in groups for line in lines]
    room = max((width(label) for label, _ in rows), default=0)
    value = max((width(text) for _, cells in rows for text, _ in cells.values()), default=0)
    for i, (arm, (name, n)) in enumerate(headers.items()):
        if i:
            yield ""
        yield f"{style.bold(name)}  {style.dim(n)}"
        for title, lines in groups:
            mine = [(label, cells[arm]) for label, cells in lines if arm in cells]
            if mine:
                yield title
            for label, (text, beside) in mine:
                yield f"{left(label, room)}{GAP}{right(text, value)} {style.dim(beside)}".rstrip()


def _line(row: Row, notes: Notes, style: Style, joined: bool) -> Line:
    unit = f", {row.unit}" if row.unit else ""
    cells = {arm: _texts(cell, notes, style, joined) for arm, cell in row.cells.items()}
    return f"  {row.label}{unit}", cells


def _texts(cell: Cell, notes: Notes, style: Style, joined: bool) -> Texts:
    """``joined``: a missing value and its reason are one text."""
    reason = style.plain(cell.reason or "")
    if len(reason) > LONGEST_INLINE:
        reason = notes.mark(reason)
    if cell.text is None:
        dash = style.plain("—")
        return (f"{dash} {reason}", "") if joined else (dash, reason)
    mark = "~ " if cell.unresolved else ""
    beside = " ".join(text for text in (style.plain(cell.interval or ""), reason) if text)
    return style.plain(mark + cell.text), beside
