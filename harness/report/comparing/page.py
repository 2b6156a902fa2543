"""Runs compared, as a page: the verdict first, what to know of it, then tables and the effects."""

import shlex
from collections.abc import Sequence

from harness.comparing import Compared, Result, Row
from harness.report.comparing.text import about, barring, doubt, effect, extra, lines, verdict
from harness.report.figures.canvas import looks
from harness.report.figures.effect import Effect, effect_figure
from harness.report.html import document
from harness.report.markup import Html, join, tag
from harness.report.scene import exhibit
from harness.report.table import Cell, Figure, change
from harness.report.tables import definitions, scrolling, simple_table
from harness.report.words import Words, language

_FIGURES = {"gm": "less", "p95": "less", "makespan": "less", "throughput": "more"}


def comparison_page(results: Sequence[Result], lang: str) -> str:
    """Each result is a run against the first one."""
    words = Words(language(lang))
    title = words("comparing.title")
    folders = [results[0].a.folder, *(result.b.folder for result in results)]
    command = shlex.join(["harness", "report", *folders])
    parts = [
        tag("header", tag("p", title, class_="eyebrow"), tag("h1", _title(folders))),
        *(_compared(result, i, words) for i, result in enumerate(results, start=1)),
        tag(
            "section",
            tag("h2", words("heading.reproduce")),
            tag("pre", tag("code", command), class_="command"),
            id="reproduce",
        ),
    ]
    return document(title, tag("main", *parts), words)


def _title(folders: Sequence[str]) -> str:
    return " → ".join(folder.rstrip("/").rpartition("/")[2] for folder in folders)


def _compared(result: Result, number: int, words: Words) -> Html:
    """One run against the first."""
    doubts = [doubt(caution, words) for caution in result.cautions] + list(extra(result, words))
    runs = [
        (label, join([tag("code", facts.folder), f" ({about(facts, words)})"]))
        for label, facts in (("A", result.a), ("B", result.b))
    ]
    single = len(result.pipelines) == 1 and not barring(result)
    return tag(
        "section",
        tag(
            "section",
            tag("h2", words("heading.conclusion")),
            tag("p", tag("strong", verdict(result, words)), class_="lead")
            if barring(result) or not result.pipelines
            else None,
            *(
                tag("p", effect(result, found, words), class_="lead" if single else None)
                for found in result.pipelines
            ),
            definitions(runs),
            class_="conclusion",
        ),
        tag("h2", words("comparing.doubts")),
        tag("ul", *(tag("li", text) for text in doubts)),
        tag("h2", words("heading.comparison")),
        tag("p", words("comparing.about"), class_="small"),
        tag("p", words("comparing.common", n=result.scenarios), class_="small"),
        _effects(result, number, words),
        *(_table(found, words) for found in result.pipelines),
        id=f"comparison-{number}",
    )


def _table(compared: Compared, words: Words) -> Html:
    """The rows, and below them once what is to be said of several."""
    found = lines(compared, [], words)
    rows = [
        [line.label, line.a, line.b, Cell(line.change, line.interval, line.reason or None), line.n]
        for line in found
    ]
    head = [words("table.metric"), "A", "B", words("comparing.change"), "n"]
    notes: dict[str, list[str]] = {}
    for line in found:
        for note in line.notes:
            notes.setdefault(note, []).append(line.label.rpartition(", ")[0])
    return join(
        [
            tag("h3", compared.name),
            scrolling(simple_table(head, rows), compared.name),
            *(tag("p", f"{', '.join(of)}: {note}", class_="small") for note, of in notes.items()),
        ]
    )


def _effects(result: Result, number: int, words: Words) -> Html:
    """What changed, for every pipeline in one figure."""
    names = {found.name: found.name for found in result.pipelines}
    effects = [
        Effect(
            words(f"comparing.{metric}"),
            words(f"better.{better}"),
            {found.name: change(_figure(found.row(metric))) for found in result.pipelines},
        )
        for metric, better in _FIGURES.items()
        if any(found.row(metric).lo is not None for found in result.pipelines)
    ]
    title, axis = words("heading.effect", baseline="A"), words("comparing.axis")
    ident = f"effect-{number}"
    found = looks(list(names), "")
    svg = effect_figure(effects, names, found, axis, title, ident) if names else None
    missing = words("figure.effect_none", reason=words("comparing.nothing"))
    return exhibit(ident, title, svg, words("figure.effect"), missing, None)


def _figure(row: Row) -> Figure:
    pair = None if row.lo is None or row.hi is None else (row.lo, row.hi)
    return Figure(row.change, "", pair)
