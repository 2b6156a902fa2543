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
    if columns < STACK_BELOW:
        yield from _stacked(groups, headers, notes, style)
        return
    wide = _Table(groups, headers, notes, style, tall=False)
    if wide.width <= columns:
        yield from wide.lines()
        return
    arms = list(headers)
    while arms:
        for count in range(len(arms), 0, -1):
            some = {arm: headers[arm] for arm in arms[:count]}
            table = _Table(groups, some, notes, style, tall=True)
            if table.width <= columns or count == 1:
                break
        yield from table.lines()
        arms = arms[count:]
        if arms:
            yield ""


class _Table:
    """Columns of arms. ``tall``: the interval stands below its value, not beside it."""

    def __init__(
        self,
        groups: Sequence[Group],
        headers: Mapping[str, tuple[str, str]],
        notes: Notes,
        style: Style,
        tall: bool,
    ) -> None:
        self._groups, self._headers, self._style, self._tall = groups, headers, style, tall
        self._cells = {
            (id(row), arm): _texts(cell, notes, style, joined=tall)
            for group in groups
            for row in group.rows
            for arm, cell in row.cells.items()
            if arm in headers
        }
        labels = [width(_label(row)) for group in groups for row in group.rows]
        self._label = max(labels, default=0)
        self._columns = {arm: self._column(arm) for arm in headers}

    @property
    def width(self) -> int:
        return self._label + sum(len(GAP) + sum(pair) for pair in self._columns.values())

    def _column(self, arm: str) -> tuple[int, int]:
        """(width of the value, width of what stands beside it with its space)."""
        mine = [texts for (_, owner), texts in self._cells.items() if owner == arm]
        value = max((width(text) for text, _ in mine), default=0)
        beside = max((width(text) for _, text in mine), default=0)
        head = max(map(width, self._headers[arm]))
        if self._tall:
            return max(value, beside, head), 0
        beside += beside > 0
        return value, max(beside, head - value)

    def lines(self) -> Iterator[str]:
        for i, paint in ((0, self._style.bold), (1, self._style.dim)):
            yield " " * self._label + "".join(
                GAP + paint(right(self._headers[arm][i], sum(columns)))
                if self._tall
                else GAP + paint(left(self._headers[arm][i], sum(columns)))
                for arm, columns in self._columns.items()
            )
        for group in self._groups:
            yield self._style.bold(group.title)
            for row in group.rows:
                yield from self._row(row)

    def _row(self, row: Row) -> Iterator[str]:
        empty = ("", "")
        cells = {arm: self._cells.get((id(row), arm), empty) for arm in self._columns}
        label = left(_label(row), self._label)
        if not self._tall:
            yield (
                label
                + "".join(
                    GAP
                    + right(text, self._columns[arm][0])
                    + self._style.dim(left(f" {beside}" if beside else "", self._columns[arm][1]))
                    for arm, (text, beside) in cells.items()
                )
            ).rstrip()
            return
        yield label + "".join(
            GAP + right(text, self._columns[arm][0]) for arm, (text, _) in cells.items()
        )
        if any(beside for _, beside in cells.values()):
            yield " " * self._label + "".join(
                GAP + self._style.dim(right(beside, self._columns[arm][0]))
                for arm, (_, beside) in cells.items()
            )


def _stacked(
    groups: Sequence[Group], headers: Mapping[str, tuple[str, str]], notes: Notes, style: Style
) -> Iterator[str]:
    """One arm below the other."""
    rows = [row for group in groups for row in group.rows]
    label = max((width(_label(row)) for row in rows), default=0)
    texts = {
        (id(row), arm): _texts(cell, notes, style)
        for row in rows
        for arm, cell in row.cells.items()
    }
    value = max((width(text) for text, _ in texts.values()), default=0)
    for i, (arm, (name, n)) in enumerate(headers.items()):
        if i:
            yield ""
        yield f"{style.bold(name)}  {style.dim(n)}"
        for group in groups:
            mine = [row for row in group.rows if arm in row.cells]
            if mine:
                yield group.title
            for row in mine:
                text, beside = texts[id(row), arm]
                line = f"{left(_label(row), label)}{GAP}{right(text, value)}"
                yield f"{line} {style.dim(beside)}" if beside else line


def _label(row: Row) -> str:
    return f"  {row.label}, {row.unit}" if row.unit and "%" not in row.label else f"  {row.label}"


def _texts(cell: Cell, notes: Notes, style: Style, *, joined: bool = False) -> tuple[str, str]:
    """(value, what stands beside it): the interval, else why there is none.

    ``joined``: a missing value and its reason are one text.
    """
    reason = style.plain(cell.reason or "")
    if len(reason) > LONGEST_INLINE:
        reason = notes.mark(reason)
    if cell.text is None:
        dash = style.plain("—")
        return (f"{dash} {reason}", "") if joined else (dash, reason)
    mark = "~ " if cell.unresolved else ""
    beside = " ".join(text for text in (style.plain(cell.interval or ""), reason) if text)
    return style.plain(mark + cell.text), beside
