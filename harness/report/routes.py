"""The table of a Locust run: a row a route. Routes that are used at once are not compared."""

from collections.abc import Sequence

from harness.report.comparison import Summary
from harness.report.figures.canvas import Look
from harness.report.markup import Html, tag
from harness.report.table import Figure, Group, pointer
from harness.report.tables import data_of, figure_cell, scrolling, swatch
from harness.report.words import Words


def routes_table(
    summary: Summary, groups: Sequence[Group], looks: dict[str, Look], words: Words, name: str
) -> Html:
    """How many answers, how fast, how many right; ``groups`` are those of all figures."""
    rows = {(group.key, row.label): row for group in groups for row in group.rows}
    title = {group.key: group.title for group in groups}
    p50, p95 = (rows["response_time_s", words(f"row.{name}")] for name in ("p50", "p95"))
    right = rows["success", words("row.share")]
    head = [
        words("table.route"),
        f"{p50.label}, {p50.unit}",
        f"{p95.label}, {p95.unit}",
        f"{title['success']}, {right.unit}",
    ]
    body = []
    for arm in summary["pipelines"]:
        route = tag("th", swatch(looks[arm]), arm, _answered(summary, arm), scope="row")
        cells = (figure_cell(row.cells[arm]) for row in (p50, p95, right))
        body.append(tag("tr", route, *cells))
    table = tag(
        "table",
        tag("thead", tag("tr", *(tag("th", title, scope="col") for title in head))),
        tag("tbody", *body),
        class_="routes",
    )
    return scrolling(table, name)


def _answered(summary: Summary, arm: str) -> Html:
    """How many answers the times of a route are of."""
    times = summary["pipelines"][arm]["response_time_s"]
    at = pointer("pipelines", arm, "response_time_s", "n") if times else ""
    n = times["n"] if times else 0
    return tag("span", f"n = {n}", class_="below", **data_of(Figure(n, at)))
