"""The page of a search for capacity: the rate that holds, the curve, every step."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.report import digits
from harness.report.figures.load_curve import Texts, load_curve_figure
from harness.report.html import document
from harness.report.markup import Html, tag
from harness.report.scene import exhibit
from harness.report.tables import scrolling, simple_table
from harness.report.words import Words, language

_TARGET = re.compile(r"p95\s*<=?\s*([\d.]+)\s*(ms|s)?")


def capacity_page(found: Mapping[str, Any], folder: Path, lang: str) -> str:
    """``index.html`` of a search; ``found``: the figures of ``capacity.json``."""
    words = Words(language(lang))
    title = words("capacity.title")
    steps = sorted(found["steps"], key=lambda step: step["offered"])
    parts = [
        tag(
            "header",
            tag("p", title, class_="eyebrow"),
            tag("h1", found["target"]),
            tag("p", words("capacity.slo"), " ", tag("code", ", ".join(found["slo"]))),
        ),
        tag(
            "section",
            tag("h2", words("heading.conclusion")),
            *(tag("p", line, class_="lead") for line in _sentences(found, words)),
            class_="conclusion",
            id="result",
        ),
        _figure(found, words),
        tag("section", tag("h2", words("capacity.steps")), _steps(steps, words), id="steps"),
        tag("p", words("capacity.records"), " ", tag("code", folder), class_="small"),
    ]
    return document(title, tag("main", *parts), words)


def _sentences(found: Mapping[str, Any], words: Words) -> list[str]:
    capacity = found["capacity"]
    if capacity is None:
        return [words("capacity.none")]
    rate, above = (
        None if capacity[name] is None else digits.significant(capacity[name], 4)
        for name in ("rate", "above")
    )
    key = "nothing" if rate is None else capacity["limit"]
    lines = [words(f"capacity.{key}", rate=rate, above=above)]
    knee = found["knee"]
    lines.append(
        words("capacity.no_knee")
        if knee is None
        else words("capacity.knee", rate=digits.significant(knee["offered"], 4))
    )
    if unsettled := [step for step in found["steps"] if not step["consistent"]]:
        lines.append(words("capacity.unsettled", n=len(unsettled)))
    return lines + ([words("load.interrupted")] if found["interrupted"] else [])


def _figure(found: Mapping[str, Any], words: Words) -> Html:
    steps = found["steps"]
    factor, unit = digits.time_unit(step["p95"] for step in steps if step["p95"] is not None)
    match = next((m for text in found["slo"] if (m := _TARGET.match(text))), None)
    target = None if match is None else float(match[1]) * (0.001 if match[2] == "ms" else 1.0)
    texts = Texts(
        words("axis.p50_p95", unit=words(f"unit.{unit}")),
        words("axis.offered"),
        words("axis.achieved"),
        words("capacity.target"),
        words("capacity.knee_mark"),
    )
    knee = found["knee"]["offered"] if found["knee"] else None
    title = words("capacity.curve")
    svg = load_curve_figure(steps, texts, title, factor=factor, target=target, knee=knee)
    missing = words("capacity.none")
    return exhibit("load-curve", title, svg, words("capacity.caption"), missing, None)


def _steps(steps: list[Mapping[str, Any]], words: Words) -> Html:
    head = [words(f"capacity.{name}") for name in ("offered", "achieved", "throughput", "success")]
    head += ["p50", "p95", words("table.interval"), words("capacity.verdict")]
    rows = [
        [
            digits.significant(step["offered"], 4),
            digits.significant(step["achieved"], 4),
            _number(step["throughput"]),
            "—" if step["success"] is None else f"{digits.significant(100 * step['success'], 4)} %",
            _seconds(step["p50"], words),
            _seconds(step["p95"], words),
            "—"
            if step["p95_ci"] is None
            else " – ".join(_seconds(end, words) for end in step["p95_ci"]),
            words(f"held.{step['verdict']}"),
        ]
        for step in steps
    ]
    return scrolling(simple_table(head, rows), words("capacity.steps"))


def _number(value: float | None) -> str:
    return "—" if value is None or not math.isfinite(value) else digits.significant(value, 4)


def _seconds(value: float | None, words: Words) -> str:
    if value is None:
        return "—"
    factor, unit = digits.time_unit([value])
    return words.amount(digits.significant(factor * value, 3), words(f"unit.{unit}"))
