"""The page of a run: one self-contained file that asks nothing of the network."""

from pathlib import Path
from typing import Any

from harness.report.closing import environment, reproduce
from harness.report.comparison import Summary, candidates, comparison, of_routes
from harness.report.exhibits import Exhibits
from harness.report.facts import caption, simulated_label
from harness.report.figures.canvas import looks
from harness.report.gallery import Gallery
from harness.report.loading import section as load_section
from harness.report.markup import Html, join, tag
from harness.report.opening import conclusion, header, validity
from harness.report.routes import routes_table
from harness.report.tables import comparison_table, swatch
from harness.report.words import Words, language
from harness.store import Run
from harness.trials import Recorded

_AT_THE_END = ("figures", "failures", "environment", "reproduce")
# What the load's own section says already.
_LOADED = (
    *("response_time_s", "service_time_s", "ttft_s"),
    *("makespan_s", "throughput_per_s", "goodput_per_s"),
)
# The page loads nothing; densities are images within it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(run: Run | Recorded, summary: dict[str, Any], lang: str) -> str:
    """``index.html`` of a run, in ``lang`` ("en" or "ko"). Raises ValueError for another one."""
    words = Words(language(lang))
    run = Recorded.of(run)
    body = tag(
        "main",
        header(summary, words),
        conclusion(summary, run.folder, words),
        validity(summary, words),
        load_section(summary, words) if "load" in summary else None,
        _measured(summary, words),
        tag(
            "section",
            tag("h2", words("heading.figures")),
            Exhibits(summary, run, words).all(),
            id="figures",
        ),
        Gallery(run, words).html(),
        environment(summary, words),
        reproduce(run, summary, words),
    )
    title = f"{' · '.join(summary['pipelines'])} · {words('page.title')}"
    return document(title, join([_contents(summary, words), body]), words)


def document(title: str, body: Html, words: Words) -> str:
    """A whole page, with its style within it and nothing to load."""
    head = [
        Html('<meta charset="utf-8">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        Html('<meta name="color-scheme" content="light dark">'),
        tag("title", title),
        tag("style", Html(Path(__file__).with_name("page.css").read_text("utf-8"))),
    ]
    whole = tag("html", tag("head", join(head, "\n")), tag("body", body), lang=words.lang)
    # A folder may have a name that is no UTF-8.
    return f"<!doctype html>\n{whole}\n".encode("utf-8", "replace").decode()


def _contents(summary: Summary, words: Words) -> Html:
    found = {"result": "conclusion", "validity": "validity"}
    if "load" in summary:
        found["load"] = "load"
    found[_about(summary)] = _about(summary)
    found |= {name: name for name in _AT_THE_END}
    links = (
        tag("a", words(f"heading.{heading}"), href=f"#{section}")
        for section, heading in found.items()
    )
    return tag("nav", *links, aria_label=words("page.nav"))


def _about(summary: Summary) -> str:
    """What the table of figures is: only where there are several pipelines does it compare."""
    if candidates(summary):
        return "comparison"
    return "answers" if "load" in summary else "measured"


def _measured(summary: Summary, words: Words) -> Html:
    """The table of all pipelines, with what takes more room folded below it."""
    groups = [
        group
        for group in comparison(summary, words)
        if "load" not in summary or group.key not in _LOADED
    ]
    baseline, label = summary["run"]["baseline"], simulated_label(summary, words)
    about = _about(summary)
    title = words(f"heading.{about}")
    found = looks(list(summary["pipelines"]), baseline)
    headers: dict[str, tuple[object, object]] = {}
    for arm, figures in summary["pipelines"].items():
        n = (figures["response_time_s"] or {"n": 0})["n"]
        compared = about == "comparison" and arm == baseline
        below = f"n = {n}" + (f" · {words('label.baseline')}" if compared else "")
        headers[arm] = (join([swatch(found[arm]), arm]), below)
    if of_routes(summary):
        first, more = routes_table(summary, groups, found, words, title), groups
    else:
        main = [group for group in groups if not group.detail]
        first = comparison_table(main, headers, label, words, title)
        more = [group for group in groups if group.detail]
    return tag(
        "section",
        tag("h2", title),
        first,
        tag("p", caption(summary, words), class_="small"),
        tag(
            "details",
            tag("summary", words("table.detail")),
            comparison_table(more, headers, label, words, title),
        )
        if more
        else None,
        id=about,
    )
