"""What a page says of a load run: offered and achieved, the times of requests, the client's health.

All figures are those of ``load.json``, which ``summary.json`` holds under ``load``.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from harness.report import digits
from harness.report.comparison import Summary
from harness.report.markup import Html, tag
from harness.report.table import Cell, Figure, bounds, pointer, scaled
from harness.report.tables import data_of, definitions, scrolling, simple_table
from harness.report.words import Words
from harness.summary import unbounded

TIMES = ("response_time_s", "service_time_s", "ttft_s", "itl_s", "issue_delay_s")
_POINTS = ("mean", "p50", "p95", "p99", "max")


def statement(summary: Summary, words: Words) -> Iterator[Html]:
    """What the load showed, in sentences: the load, the answers, the targets."""
    load = summary["load"]
    sent = words(
        "load.sent",
        requests=f"{load['requests']:,}",
        seconds=digits.significant(load["duration_s"], 3),
        achieved=digits.significant(load["achieved_per_s"], 4),
    )
    parts = [tag("span", sent, **_data(load, "achieved_per_s"))]
    if load["offered_per_s"] is not None:
        shown = words("load.of_offered", offered=digits.significant(load["offered_per_s"], 4))
        parts.append(tag("span", " ", shown, **_data(load, "offered_per_s")))
    yield tag("p", *parts, class_="lead")
    times = load["response_time_s"]
    if times is None:
        yield tag("p", words("load.no_answer"), class_="lead")
    else:
        cell = _cell(times, "response_time_s", "p95", words)
        said = f"{cell.text} {cell.interval}" if cell.text else f"— ({cell.reason})"
        yield tag(
            "p",
            tag("strong", words("load.p95", p95=said), **data_of(cell.figure)),
            " ",
            words("load.answered", n=f"{times['n']:,}"),
            class_="lead",
        )
    for target in (load["slo"] or {"targets": ()})["targets"]:
        yield tag("p", tag("code", target["target"]), ": ", _ruling(target, words))
    if load["interrupted"]:
        yield tag("p", words("load.interrupted"))


def _ruling(target: Mapping[str, Any], words: Words) -> str:
    share = "—" if target["share"] is None else _percent(target["share"])
    pair = bounds(target["share_ci95"])
    interval = "" if pair is None else f" {digits.interval(100 * pair[0], 100 * pair[1], 2)}"
    return words(
        "load.target",
        held=words(f"held.{target['held']}"),
        share=share + interval,
        needed=_percent(target["needed"]),
    )


def section(summary: Summary, words: Words) -> Html:
    """The times of the requests as a table, then rates and the client's own health."""
    load = summary["load"]
    known = [name for name in TIMES if load[name] is not None]
    head = [words("table.metric"), "n", *(words(f"row.{point}") for point in _POINTS)]
    rows = [
        [
            words(f"group.{name}"),
            Cell(
                f"{load[name]['n']:,}", figure=Figure(load[name]["n"], pointer("load", name, "n"))
            ),
            *(_cell(load[name], name, point, words) for point in _POINTS),
        ]
        for name in known
    ]
    return tag(
        "section",
        tag("h2", words("heading.load")),
        tag("p", words("load.about"), class_="small"),
        scrolling(simple_table(head, rows), words("heading.load")) if rows else None,
        definitions(_facts(load, words), class_="settings"),
        tag("h3", words("heading.client")),
        tag("p", words("load.client"), class_="small"),
        definitions(_health(load["client"], words), class_="settings"),
        id="load",
    )


def _facts(load: Mapping[str, Any], words: Words) -> Iterator[tuple[object, object]]:
    rate = words("unit.per_s")
    for name in ("offered_per_s", "achieved_per_s", "throughput_per_s", "goodput_per_s"):
        yield words(f"load.{name}"), _shown(load, name, words, rate)
    yield words("load.dropped"), _shown(load, "dropped", words, "")
    yield words("axis.in_flight"), _shown(load["in_flight"], "mean", words, "", "in_flight")
    yield words("load.peak"), _shown(load["in_flight"], "peak", words, "", "in_flight")
    for name in ("opened", "waited_for", "retried"):
        yield words(f"load.{name}"), _shown(load["connections"], name, words, "", "connections")
    if load["tokens"] is not None:
        yield (
            words("load.tokens"),
            _shown(load["tokens"], "completion_per_s", words, words("unit.tokens_per_s"), "tokens"),
        )


def _health(client: Mapping[str, Any], words: Words) -> Iterator[tuple[object, object]]:
    share = client["cpu_share"]
    figure = Figure(share, pointer("load", "client", "cpu_share"))
    said = "—" if share is None else f"{_percent(share)} {words('check_unit.of one core')}"
    yield words("check.client_cpu_share"), tag("span", said, **data_of(figure))
    lag = client["loop_lag_s"]
    if lag is not None:
        cell = _cell(lag, "client/loop_lag_s", "p99", words)
        yield words("check.loop_lag_p99"), tag("span", cell.text, **data_of(cell.figure))
    yield words("load.gc_pauses"), _shown(client, "gc_pauses", words, "", "client")
    yield words("row.memory"), _shown(client, "peak_rss_mb", words, words("unit.mb"), "client")


def _cell(found: Mapping[str, Any], name: str, point: str, words: Words) -> Cell:
    """One time with its unit, and its interval in the same one; a quantile that n cannot support is
    not shown.
    """
    value: float = found[point]
    pair = bounds(found.get("ci95", {}).get(point))
    figure = Figure(value, pointer("load", *name.split("/"), point), pair)
    if why := unbounded(name, found).get(point):
        return Cell(None, None, words.reason(why), figure=figure)
    factor, unit = digits.time_unit([value])
    shown = words(f"unit.{unit}")
    if pair is None:
        return Cell(words.amount(digits.significant(factor * value, 3), shown), figure=figure)
    places = digits.row_places((), [scaled(pair, factor)])
    text = words.amount(digits.number(factor * value, places), shown)
    return Cell(text, digits.interval(*scaled(pair, factor), places), figure=figure)


def _shown(found: Mapping[str, Any], name: str, words: Words, unit: str, *above: str) -> Html:
    value = found[name]
    if value is None:
        return tag("span", "—")
    text = digits.significant(value, 4)
    figure = Figure(value, pointer("load", *above, name))
    return tag("span", words.amount(text, unit) if unit else text, **data_of(figure))


def _data(load: Mapping[str, Any], name: str) -> dict[str, object]:
    return data_of(Figure(load[name], pointer("load", name)))


def _percent(share: float) -> str:
    return f"{digits.significant(100 * share, 4)} %"
