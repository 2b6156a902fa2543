"""Tables of a page: the comparison, and the plain ones beside figures."""

from collections.abc import Iterable, Mapping, Sequence

from harness.report.figures.canvas import Look
from harness.report.markup import Html, join, tag
from harness.report.table import Cell, Figure, Group, Row
from harness.report.words import Words


def comparison_table(
    groups: Sequence[Group],
    headers: Mapping[str, tuple[object, object]],
    label: str | None,
    words: Words,
    name: str,
) -> Html:
    """Rows of metrics, columns of arms. ``headers``: each arm's name and the line below it;
    ``label`` stands beside the title of groups that show times; ``name``: of the whole table.
    """
    head = tag(
        "tr",
        tag("th", words("table.metric"), scope="col"),
        *(
            tag("th", name, tag("span", below, class_="below"), scope="col")
            for name, below in headers.values()
        ),
    )
    bodies = [
        tag(
            "tbody",
            tag("tr", tag("th", _title(group, label), colspan=len(headers) + 1, scope="rowgroup")),
            *(_row(row, headers) for row in group.rows),
        )
        for group in groups
    ]
    table = tag(
        "table", tag("thead", head), *bodies, class_="comparison", style=f"--arms: {len(headers)}"
    )
    return scrolling(table, name)


def plain_table(
    head: Sequence[str], rows: Sequence[Sequence[object]], words: Words, name: str
) -> Html:
    """The data of a figure, folded away; the first cell of a row is its heading."""
    table = simple_table(head, rows)
    summary = tag("summary", words("heading.data"))
    return tag("details", summary, scrolling(table, f"{words('heading.data')}: {name}"))


def simple_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Html:
    """A table as it is; the first cell of a row is its heading."""
    return tag(
        "table",
        tag("thead", tag("tr", *(tag("th", text, scope="col") for text in head))),
        tag("tbody", *(_plain_row(row) for row in rows)),
        class_="plain",
    )


def definitions(
    pairs: Iterable[tuple[object, object]], class_: str | None = None, lang: str | None = None
) -> Html:
    """Names with their values."""
    rows = (tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs)
    return tag("dl", *rows, class_=class_, lang=lang)


def swatch(look: Look) -> Html:
    """A spot in the colour by which the figures know an arm."""
    return tag("span", class_="swatch", style=f"--series: var(--{look.token})")


def figure_cell(cell: Cell, name: str = "td") -> Html:
    """A figure with its interval, or a dash with the reason. Its place in ``summary.json`` and
    its value there go with it as data.
    """
    if cell.text is None:
        shown = [tag("span", "—", class_="value none"), _beside(cell.reason)]
    else:
        mark = "~ " if cell.unresolved else ""
        shown = [
            tag("span", mark + cell.text, class_="value"),
            tag("span", cell.interval, class_="interval") if cell.interval else None,
            _beside(cell.reason),
        ]
    return tag(name, *(part for part in shown if part), **data_of(cell.figure))


def data_of(figure: Figure | None) -> dict[str, object]:
    """Attributes that say which number of ``summary.json`` an element shows."""
    if figure is None or not figure.pointer:
        return {}
    value = "null" if figure.value is None else repr(figure.value)
    return {"data_key": figure.pointer, "data_value": value}


def _title(group: Group, label: str | None) -> Html:
    badge = tag("span", label, class_="badge") if label and group.timed else None
    return join([group.title, " " if badge else None, badge])


def _row(row: Row, headers: Mapping[str, object]) -> Html:
    unit = tag("span", row.unit, class_="unit") if row.unit else None
    cells = [
        figure_cell(row.cells[arm]) if arm in row.cells else tag("td", class_="blank")
        for arm in headers
    ]
    return tag("tr", tag("th", row.label, " ", unit, scope="row"), *cells)


def _plain_row(row: Sequence[object]) -> Html:
    cells = [
        figure_cell(value) if isinstance(value, Cell) else tag("td", value) for value in row[1:]
    ]
    return tag("tr", tag("th", row[0], scope="row"), *cells)


def _beside(reason: str | None) -> Html | None:
    return tag("span", reason, class_="reason") if reason else None


def scrolling(table: Html, name: str) -> Html:
    """Wide tables scroll by themselves, with the keyboard too, and never widen the page."""
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=name)
