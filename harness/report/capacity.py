"""The page of a search for capacity: the rate that holds, the curve, every step, how to repeat."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.report import digits
from harness.report.closing import environment, hashed
from harness.report.facts import again, minute, simulated_label
from harness.report.figures.load_curve import Texts, load_curve_figure
from harness.report.html import document
from harness.report.markup import Html, options, tag
from harness.report.opening import simulated
from harness.report.scene import exhibit
from harness.report.searched import (
    CAPACITY,
    Step,
    outcome,
    quantile,
    success,
    time_unit,
    why,
)
from harness.report.tables import definitions, plain_table, scrolling, simple_table
from harness.report.words import Words, language
from harness.store import RECORDS

_TARGET = re.compile(r"p95\s*<=?\s*([\d.]+)\s*(ms|s)?")


def capacity_page(found: Mapping[str, Any], folder: Path, lang: str) -> str:
    """``index.html`` of a search; ``found``: the figures of ``capacity.json``."""
    words = Words(language(lang))
    title = words("capacity.title")
    made = words("meta.made", when=minute(found["run"]["started"]))
    steps = sorted(found["steps"], key=lambda step: step["offered"])
    parts = [
        tag(
            "header",
            tag("p", title, " · ", made, class_="eyebrow"),
            tag("h1", found["target"]),
            tag("p", words("capacity.slo"), " ", tag("code", ", ".join(found["slo"]))),
            simulated(found, words),
        ),
        tag(
            "section",
            tag("h2", words("heading.conclusion")),
            *(tag("p", options(line), class_="lead") for line in _sentences(found, words)),
            class_="conclusion",
            id="result",
        ),
        _figure(found, steps, words),
        _steps(steps, words),
        environment(found, words),
        _reproduce(found, folder, words),
    ]
    return document(title, tag("main", *parts), words)


def _sentences(found: Mapping[str, Any], words: Words) -> Iterator[str]:
    yield outcome(found["capacity"], words)
    if found["capacity"] is not None:
        knee = found["knee"]
        yield (
            words("capacity.no_knee")
            if knee is None
            else words("capacity.knee", rate=digits.significant(knee["offered"], 4))
        )
    if unsettled := [step for step in found["steps"] if not step["consistent"]]:
        yield words("capacity.unsettled", n=len(unsettled))
    if found["interrupted"]:
        yield words("capacity.interrupted")


def _figure(found: Mapping[str, Any], steps: Sequence[Step], words: Words) -> Html:
    factor, unit = time_unit(steps)
    shown = words(f"unit.{unit}")
    match = next((m for text in found["slo"] if (m := _TARGET.match(text))), None)
    target = None if match is None else float(match[1]) * (0.001 if match[2] == "ms" else 1.0)
    label = simulated_label(found, words)
    texts = Texts(
        words("axis.p50_p95", unit=shown) + (f" ({label})" if label else ""),
        words("axis.offered"),
        words("axis.achieved"),
        words("capacity.target"),
        words("capacity.knee_mark"),
    )
    knee = found["knee"]["offered"] if found["knee"] else None
    title = words("capacity.curve")
    svg = load_curve_figure(steps, texts, title, factor=factor, target=target, knee=knee)
    head = [words("capacity.offered"), words("capacity.achieved"), f"p50, {shown}", f"p95, {shown}"]
    rows = [
        [
            digits.significant(step["offered"], 4),
            digits.significant(step["achieved"], 4),
            *(quantile(step, name, factor, words) for name in ("p50", "p95")),
        ]
        for step in steps
    ]
    table = plain_table(head, rows, words, title)
    text, missing = words("capacity.caption"), words("capacity.undrawn")
    return exhibit("load-curve", title, svg, text, missing, table)


def _steps(steps: Sequence[Step], words: Words) -> Html:
    """Every step with what decides it, then why those that do not hold do not."""
    factor, unit = time_unit(steps)
    title, p95 = words("capacity.steps"), f"p95, {words(f'unit.{unit}')}"
    names = ("offered", "verdict", "achieved", "success", "throughput")
    offered, verdict, achieved, right, throughput = (words(f"capacity.{name}") for name in names)
    head = [offered, verdict, "n", achieved, p95, right, throughput]
    rows = [
        [
            digits.significant(step["offered"], 4),
            words(f"held.{step['verdict']}"),
            f"{step['requests']:,}",
            digits.significant(step["achieved"], 4),
            quantile(step, "p95", factor, words),
            success(step, words),
            _number(step["throughput"]),
        ]
        for step in steps
    ]
    reasons = [tag("li", options(_reason(step, words))) for step in steps if step["reasons"]]
    return tag(
        "section",
        tag("h2", title),
        scrolling(simple_table(head, rows), title),
        tag("p", words("table.interval_mark"), class_="small"),
        tag("h3", words("capacity.why")) if reasons else None,
        tag("ul", *reasons) if reasons else None,
        id="steps",
    )


def _reason(step: Step, words: Words) -> str:
    return words(
        "capacity.step",
        rate=digits.significant(step["offered"], 4),
        verdict=words(f"held.{step['verdict']}"),
        why=why(step, words),
    )


def _reproduce(found: Mapping[str, Any], folder: Path, words: Words) -> Html:
    """The command, the seed, and what identifies the figures and the records of each step."""
    status = "interrupted" if found["interrupted"] else "complete"
    pairs = [
        (words("reproduce.seed"), found["run"]["config"]["seed"]),
        (words("reproduce.status"), words(f"reproduce.{status}")),
        (words("reproduce.git"), tag("code", found["run"]["environment"]["git"] or "—")),
        (words("capacity.figures"), hashed(folder / CAPACITY)),
    ]
    records = [
        (tag("code", step["folder"]), hashed(folder / step["folder"] / RECORDS))
        for step in found["steps"]
    ]
    return tag(
        "section",
        tag("h2", words("heading.reproduce")),
        tag("p", words("reproduce.command")),
        tag("pre", tag("code", again(found)), class_="command"),
        definitions(pairs),
        tag("details", tag("summary", words("capacity.records")), definitions(records)),
        id="reproduce",
    )


def _number(value: float | None) -> str:
    return "—" if value is None or not math.isfinite(value) else digits.significant(value, 4)
