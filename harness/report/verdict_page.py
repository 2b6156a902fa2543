"""Verdicts on claims as one page: words first, then what they rest on, then the gates."""

import shlex
import sys

from harness.experiments import Options
from harness.gates import Gate
from harness.judge import Result
from harness.report.html import document
from harness.report.markup import Html, join, tag
from harness.report.verdict_words import (
    Verdicts,
    counts,
    evidence,
    gate_figures,
    grounds,
    headline,
    label,
    labelled,
    remedy,
    sentence,
    why,
)
from harness.report.words import Words


def verdict_page(results: Verdicts, options: Options, words: Words) -> str:
    """All verdicts on one page: words first, then gates."""
    shown = label(options, words)
    parts = [
        tag(
            "header",
            tag("h1", words("claim.title")),
            tag("p", words("claim.summary", **counts(results)), class_="lead"),
            tag("p", shown) if shown is not None else None,
        )
    ]
    for claim, result in results:
        lines = [*grounds(claim, result, words), evidence(result, words)]
        parts.append(
            tag(
                "section",
                tag("h2", sentence(claim, words)),
                tag("p", tag("strong", labelled(headline(claim, result, words), claim, shown))),
                tag("ul", *(tag("li", line) for line in lines)),
                tag("p", f"{words('claim.source')}: {claim.file.source}", class_="small"),
                tag(
                    "details",
                    tag("summary", f"{words('claim.gate')}: {_gates_in_short(result, words)}"),
                    _gate_table(result, words),
                ),
                id=claim.id,
            )
        )
    parts.append(tag("pre", tag("code", shlex.join(["harness", *sys.argv[1:]]))))
    return document(words("claim.title"), tag("main", *parts), words)


def _gates_in_short(result: Result, words: Words) -> str:
    broken = [gate.name for gate in result.gates if gate.ok is False]
    return ", ".join(broken) if broken else words("claim.held")


def _gate_table(result: Result, words: Words) -> Html:
    heads = ("gate", "value_column", "limit", "outcome", "remedy")
    rows = [
        tag(
            "tr",
            tag("th", gate.name, scope="row"),
            *(tag("td", figure) for figure in gate_figures(gate, words)),
            tag("td", words(_outcome(gate)), why(gate, words)),
            tag("td", remedy(gate, words) if gate.ok is False else ""),
        )
        for gate in result.gates
    ]
    header = tag("tr", *(tag("th", words(f"claim.{name}"), scope="col") for name in heads))
    table = tag("table", tag("thead", header), tag("tbody", join(rows)))
    return tag("div", table, class_="scroll")


def _outcome(gate: Gate) -> str:
    """The key of how a gate fared: one without a value holds as little, but is not past a limit."""
    if gate.ok is False and gate.value is None:
        return "validity.unknown"
    names = {True: "holds", False: "fails", None: "does_not_apply"}
    return f"claim.{names[gate.ok]}"
