"""Verdicts on claims in the terminal, as JSON and as a page: plain words with their evidence."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from harness.claims import Claim, VerdictName
from harness.experiments import Options
from harness.gates import Gate
from harness.judge import Result
from harness.report.digits import number, places, significant, time_unit
from harness.report.html import document
from harness.report.markup import Html, join, tag
from harness.report.words import Words, language
from harness.store import dump, write_atomically

Verdicts = Sequence[tuple[Claim, Result]]


def print_results(results: Verdicts, folder: Path, *, as_json: bool, lang: str) -> None:
    """One JSON object, or a paragraph for each claim, on standard output."""
    if as_json:
        print(json.dumps({"claims": [r.to_dict() for _, r in results]}, ensure_ascii=False))
        return
    words = Words(language(lang))
    for claim, result in results:
        print("\n".join(_lines(claim, result, words)), end="\n\n")
    print(words("claim.summary", **_counts(results)))
    print(words("claim.records", folder=folder))


def write_results(folder: Path, results: Verdicts, options: Options, lang: str) -> None:
    """``claims.json`` and ``index.html`` in ``folder``."""
    data = {"schema": 1, "claims": [result.to_dict() for _, result in results]}
    write_atomically(folder / "claims.json", dump(data))
    page = _page(results, options, Words(language(lang)))
    write_atomically(folder / "index.html", page.encode())


def _lines(claim: Claim, result: Result, words: Words) -> list[str]:
    """A verdict in words, from the most important down."""
    lines = [
        f"{claim.id}: {headline(result, words)}",
        f"  {words('claim.claim')}: {sentence(claim, words)} ({claim.file.source})",
    ]
    lines += [f"  {text}" for text in (*grounds(claim, result, words), evidence(result, words))]
    for gate in result.gates:
        if gate.ok is False:
            lines.append(f"  {_gate(gate, words)}; {words('claim.remedy')}: {_remedy(gate, words)}")
    return lines


def sentence(claim: Claim, words: Words) -> str:
    """The claim as published, in the language of the report."""
    return claim.file.sentence_ko if words.lang == "ko" else claim.file.sentence


def headline(result: Result, words: Words) -> str:
    """The verdict with its qualifier."""
    verdict = words(f"verdict.{result.verdict}")
    return f"{verdict} ({words(f'qualifier.{result.qualifier}')})" if result.qualifier else verdict


def grounds(claim: Claim, result: Result, words: Words) -> list[str]:
    """What the verdict rests on: the estimate, the line, the reasons, what more would take."""
    found = [f"{words('claim.measured')}: {_measured(claim, result, words)}"]
    found += [words(f"because.{reason}") for reason in result.reasons]
    if not result.reasons:
        found.append(_line(claim, result, words))
    if result.verdict == "inconclusive" and result.blocks_needed and result.mde is not None:
        found.append(
            words("claim.more", needed=result.blocks_needed, mde=number(100 * result.mde, 1))
        )
    return found


def evidence(result: Result, words: Words) -> str:
    """What the published figures by themselves can show."""
    why = "; ".join(words(f"because.{reason}") for reason in result.evidence.reasons)
    verdict = words("claim.testable") if not why else words("verdict.not_testable")
    return f"{words('claim.published')}: {verdict}" + (f" — {why}" if why else "")


def _measured(claim: Claim, result: Result, words: Words) -> str:
    lo, hi = result.ci
    confidence = significant(100 * result.confidence, 3)
    arms = claim.file.arms
    if result.estimate is None:
        return words("claim.unknown")
    unit = words("claim.trials" if claim.file.estimand == "success" else "claim.blocks")
    if claim.file.kind == "absolute":
        return words(
            "claim.value",
            candidate=arms.candidate.pipeline,
            value=_value(claim, result.estimate),
            confidence=confidence,
            lo=_value(claim, lo),
            hi=_value(claim, hi),
            n=result.n_blocks,
            unit=unit,
        )
    assert arms.baseline is not None
    points = claim.file.estimand == "success"
    shown = [
        None if x is None else 100 * (x if points else x - 1) for x in (result.estimate, lo, hi)
    ]
    decimals = 1 if None in shown else places((shown[2] - shown[1]) / 2)  # type: ignore[operator]
    change, low, high = (
        words("claim.unknown") if x is None else number(x, decimals, sign=True) for x in shown
    )
    return words(
        "claim.points" if points else "claim.ratio",
        candidate=arms.candidate.pipeline,
        baseline=arms.baseline.pipeline,
        change=change,
        confidence=confidence,
        lo=low,
        hi=high,
        n=result.n_blocks,
        unit=unit,
    )


def _line(claim: Claim, result: Result, words: Words) -> str:
    """The line that the whole interval has to pass for the claim to be supported."""
    file = claim.file
    below = claim.lower_is_better != (file.direction == "worse")
    side = words("claim.below" if below else "claim.above")
    if file.kind == "absolute":
        return words("claim.line_value", side=side, line=_value(claim, result.threshold))
    change = result.threshold if file.estimand == "success" else result.threshold - 1
    return words("claim.line_ratio", side=side, line=number(100 * change, 1, sign=True))


def _value(claim: Claim, value: float | None) -> str:
    """A value in the claim's unit."""
    if value is None:
        return "—"
    unit = claim.file.unit
    if unit == "s":
        factor, name = time_unit([value])
        return f"{significant(value * factor, 3)} {name}"
    if unit == "rate":
        return f"{number(100 * value, 1)} %"
    return f"{significant(value, 3)} {'/s' if unit == 'per_s' else unit}"


def _gate(gate: Gate, words: Words) -> str:
    return words(
        "claim.broken",
        name=gate.name,
        value="—" if gate.value is None else significant(gate.value, 3),
        unit=gate.unit,
        limit="—" if gate.limit is None else significant(gate.limit, 3),
    )


def _remedy(gate: Gate, words: Words) -> str:
    return gate.remedy if words.lang == "en" else words(f"mend.{gate.name}")


def _counts(results: Verdicts) -> dict[str, int]:
    counts = Counter(result.verdict for _, result in results)
    return {name: counts[name] for name in get_args(VerdictName)}


def _page(results: Verdicts, options: Options, words: Words) -> str:
    """All verdicts on one page: words first, then gates."""
    parts = [
        tag("h1", words("claim.title")),
        tag("p", words("claim.summary", **_counts(results)), class_="lead"),
    ]
    if options.provider is None or options.provider.startswith("sim"):
        parts.append(tag("p", words("claim.simulated", scale=f"{options.time_scale:g}")))
    for claim, result in results:
        lines = [*grounds(claim, result, words), evidence(result, words)]
        parts.append(
            tag(
                "section",
                tag("h2", sentence(claim, words)),
                tag("p", tag("strong", headline(result, words))),
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
    parts.append(tag("pre", tag("code", " ".join(["harness", *sys.argv[1:]]))))
    return document(words("claim.title"), tag("main", *parts), words)


def _gates_in_short(result: Result, words: Words) -> str:
    broken = [gate.name for gate in result.gates if gate.ok is False]
    return ", ".join(broken) if broken else words("claim.held")


def _gate_table(result: Result, words: Words) -> Html:
    heads = ("gate", "value_column", "limit", "outcome", "remedy")
    names = {True: "holds", False: "fails", None: "does_not_apply"}
    rows = [
        tag(
            "tr",
            tag("th", gate.name, scope="row"),
            tag("td", "—" if gate.value is None else f"{significant(gate.value, 3)} {gate.unit}"),
            tag("td", "—" if gate.limit is None else significant(gate.limit, 3)),
            tag("td", words(f"claim.{names[gate.ok]}")),
            tag("td", _remedy(gate, words) if gate.ok is False else ""),
        )
        for gate in result.gates
    ]
    header = tag("tr", *(tag("th", words(f"claim.{name}"), scope="col") for name in heads))
    table = tag("table", tag("thead", header), tag("tbody", join(rows)))
    return tag("div", table, class_="scroll")
