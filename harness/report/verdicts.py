"""Verdicts on claims in the terminal, as JSON and as a page: plain words with their evidence.

Over 300 lines: all three say the same sentences, which are made here.
"""

import json
import math
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, get_args

from harness.claims import Claim, VerdictName
from harness.experiments import Options
from harness.gates import Gate
from harness.judge import Result
from harness.report.digits import finite, number, places, significant, time_unit
from harness.report.html import document
from harness.report.markup import Html, join, tag
from harness.report.words import LANGS, Words, language, texts
from harness.store import dump, write_atomically

Verdicts = Sequence[tuple[Claim, Result]]

POINTS = {"en": "percentage points", "ko": "%p"}


def print_results(
    results: Verdicts, folder: Path, options: Options, *, as_json: bool, lang: str
) -> None:
    """One JSON object, or a paragraph for each claim, on standard output."""
    if as_json:
        print(json.dumps(_data(results, options), ensure_ascii=False, allow_nan=False))
        return
    words = Words(language(lang))
    label = _label(options, words)
    for claim, result in results:
        print("\n".join(_lines(claim, result, label, words)), end="\n\n")
    print(words("claim.summary", **_counts(results)))
    print(words("claim.records", folder=folder))


def write_results(folder: Path, results: Verdicts, options: Options, lang: str) -> None:
    """``claims.json`` and ``index.html`` in ``folder``."""
    write_atomically(folder / "claims.json", dump({"schema": 1, **_data(results, options)}))
    page = _page(results, options, Words(language(lang)))
    write_atomically(folder / "index.html", page.encode())


def _data(results: Verdicts, options: Options) -> dict[str, Any]:
    """The verdicts as strict JSON has them, with what kind of times they rest on."""
    return {
        "simulated": _simulated(options),
        "time_scale": options.time_scale,
        "claims": [finite(result.to_dict()) for _, result in results],
    }


def _simulated(options: Options) -> bool:
    return options.provider is None or options.provider.startswith("sim")


def _label(options: Options, words: Words) -> str | None:
    """What must stand wherever times are shown; None for times of a real model."""
    if not _simulated(options):
        return None
    if options.time_scale == 1:
        return words("label.simulated")
    return words("label.simulated_scaled", scale=f"{options.time_scale:g}")


def _lines(claim: Claim, result: Result, label: str | None, words: Words) -> list[str]:
    """A verdict in words, from the most important down."""
    lines = [
        f"{claim.id}: {_labelled(headline(claim, result, words), label)}",
        f"  {words('claim.claim')}: {sentence(claim, words)} ({claim.file.source})",
    ]
    lines += [f"  {text}" for text in (*grounds(claim, result, words), evidence(result, words))]
    for gate in result.gates:
        if gate.ok is False:
            lines.append(f"  {_gate(gate, words)}; {words('claim.remedy')}: {_remedy(gate, words)}")
    return lines


def _labelled(text: str, label: str | None) -> str:
    return text if label is None else f"{text} · {label}"


def sentence(claim: Claim, words: Words) -> str:
    """The claim as published, in the language of the report."""
    return claim.file.sentence_ko if words.lang == "ko" else claim.file.sentence


def headline(claim: Claim, result: Result, words: Words) -> str:
    """The verdict with its qualifier."""
    verdict = words(f"verdict.{result.verdict}")
    if result.qualifier is None:
        return verdict
    key = f"qualifier.{result.qualifier}"
    if claim.file.kind == "any" and f"{key}_any" in texts():
        key = f"{key}_any"
    qualifier = words(
        key,
        equivalence=significant(round(100 * claim.file.equivalence, 9)),
        unit=POINTS[words.lang] if claim.file.estimand == "success" else "%",
    )
    return f"{verdict} ({qualifier})"


def grounds(claim: Claim, result: Result, words: Words) -> list[str]:
    """What the verdict rests on: the estimate, the line, the reasons, what more would take, how it
    was estimated and what to know of that.
    """
    found = [f"{words('claim.measured')}: {_measured(claim, result, words)}"]
    found += [_because(reason, result, words) for reason in result.reasons]
    if not result.reasons:
        found.append(_line(claim, result, words))
    found += _more(claim, result, words)
    found.append(f"{words('claim.method')}: {_translated(result.method, ('method',), words)}")
    found += [f"{words('claim.note')}: {_note(warning, words)}" for warning in result.warnings]
    return found


def _because(reason: str, result: Result, words: Words) -> str:
    """A reason in words; what a gate found may depend on what it makes of the verdict."""
    effects = [gate.effect for gate in result.gates if gate.name == reason and gate.ok is False]
    keys = [*(f"because.{reason}_{effect}" for effect in effects), f"because.{reason}"]
    return next((words(key) for key in keys if key in texts()), reason)


def _more(claim: Claim, result: Result, words: Words) -> list[str]:
    """What more blocks would do for a claim that is not decided."""
    needed = result.blocks_needed
    if result.verdict != "inconclusive" or not needed:
        return []
    if needed <= result.n_blocks:
        return [] if result.reasons else [words("claim.near")]
    if result.mde is None:
        return []
    unit = POINTS[words.lang] if claim.file.estimand == "success" else "%"
    return [words("claim.more", needed=needed, mde=number(100 * result.mde, 1), unit=unit)]


def _note(warning: str, words: Words) -> str:
    """A warning of an estimate, which may name an arm first, in the language of the report."""
    known = _translated(words.reason(warning), ("warning",), words)
    arm, colon, rest = warning.partition(": ")
    return f"{arm}: {words.reason(rest)}" if colon and known == warning else known


def _translated(text: str, sections: Iterable[str], words: Words) -> str:
    """An English text of the statistics or the gates, looked up in ``sections`` of the words; as
    it is where they do not have it.
    """
    if words.lang == LANGS[0]:
        return text
    for key, (english, _) in texts().items():
        if key.partition(".")[0] in sections:
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(english))
            if match := re.fullmatch(pattern, text):
                return words(key, **match.groupdict())
    return text


def evidence(result: Result, words: Words) -> str:
    """What the published figures by themselves can show."""
    reasons = result.evidence.reasons
    why = "; ".join(words.known(f"because.{reason}", reason) for reason in reasons)
    verdict = words(f"verdict.{result.evidence.verdict}")
    return f"{words('claim.published')}: {verdict}" + (f" — {why}" if why else "")


def _measured(claim: Claim, result: Result, words: Words) -> str:
    lo, hi = result.ci
    confidence = significant(100 * result.confidence, 3)
    arms = claim.file.arms
    if result.estimate is None or math.isnan(result.estimate):
        return words("claim.unknown")
    unit = words(f"claim.{_counted(claim)}")
    if claim.file.kind == "absolute":
        return words(
            "claim.value",
            candidate=arms.candidate.pipeline,
            value=_value(claim, result.estimate, words),
            confidence=confidence,
            lo=_value(claim, lo, words),
            hi=_value(claim, hi, words),
            n=result.n,
            unit=unit,
        )
    assert arms.baseline is not None
    points = claim.file.estimand == "success"
    shown = [
        None if x is None or math.isnan(x) else 100 * (x if points else x - 1)
        for x in (result.estimate, lo, hi)
    ]
    known = [x for x in shown[1:] if x is not None and math.isfinite(x)]
    decimals = places((known[1] - known[0]) / 2) if len(known) == 2 else 1
    change, low, high = (
        words("claim.no_bound") if x is None else number(x, decimals, sign=True) for x in shown
    )
    return words(
        "claim.points" if points else "claim.ratio",
        candidate=arms.candidate.pipeline,
        baseline=arms.baseline.pipeline,
        change=change,
        confidence=confidence,
        lo=low,
        hi=high,
        n=result.n,
        unit=unit,
    )


def _counted(claim: Claim) -> str:
    """What the n of a claim's estimate counts."""
    file = claim.file
    trials = {"success", "response_time_p95"}
    if file.estimand in trials or (file.kind == "absolute" and file.estimand.endswith("_p50")):
        return "trials"
    if file.scope == "scenarios like these" and file.estimand == "response_time_gm":
        return "blocks" if file.kind == "absolute" else "scenarios"
    return "blocks"


def _line(claim: Claim, result: Result, words: Words) -> str:
    """The line that the whole interval has to pass for the claim to be supported."""
    file = claim.file
    side = words("claim.above" if claim.swap else "claim.below")
    if file.kind == "absolute":
        line = _value(claim, result.threshold, words)
    elif file.estimand == "success":
        line = f"{number(100 * result.threshold, 1, sign=True)} {POINTS[words.lang]}"
    else:
        line = f"{number(100 * (result.threshold - 1), 1, sign=True)} %"
    return words("claim.line", side=side, line=line)


def _value(claim: Claim, value: float | None, words: Words) -> str:
    """A value in the claim's unit."""
    if value is None or math.isnan(value):
        return words("claim.no_bound")
    unit = claim.file.unit
    if unit == "rate":
        return f"{number(100 * value, 1)} %"
    if unit == "s":
        factor, name = time_unit([value])
        return words.amount(significant(value * factor, 3), words(f"unit.{name}"))
    names = {"per_s": "unit.per_s", "MB": "unit.mb", "threads": "claim.threads"}
    return words.amount(significant(value, 3), words(names[unit or "MB"]))


def _gate(gate: Gate, words: Words) -> str:
    """A broken gate with its figures. What it says of them is English, so only English has it."""
    value, limit = _gate_figures(gate, words)
    text = words("claim.broken", name=gate.name, value=value, limit=limit)
    return f"{text}{_why(gate, words)}"


def _why(gate: Gate, words: Words) -> str:
    return f": {gate.why}" if gate.ok is False and words.lang == "en" else ""


def _gate_figures(gate: Gate, words: Words) -> tuple[str, str]:
    """The value of a gate with its unit, and its limit in the same one."""
    known = [x for x in (gate.value, gate.limit) if x is not None]
    factor, unit = 1.0, words.known(f"gate_unit.{gate.unit.replace(' ', '_')}", gate.unit)
    if gate.unit == "s":
        factor, name = time_unit(known)
        unit = words(f"unit.{name}")
    elif gate.unit == "points":
        factor, unit = 100.0, POINTS[words.lang]
    value, limit = (
        "—" if x is None else significant(factor * x, 3) for x in (gate.value, gate.limit)
    )
    return value if gate.value is None else words.amount(value, unit), limit


def _remedy(gate: Gate, words: Words) -> str:
    """What to do about a broken gate, at least in general."""
    found = _translated(gate.remedy, ("mend",), words)
    if words.lang == "en" or found != gate.remedy:
        return found
    return words.known(f"mend.{gate.name}", gate.remedy)


def _counts(results: Verdicts) -> dict[str, int]:
    counts = Counter(result.verdict for _, result in results)
    return {name: counts[name] for name in get_args(VerdictName)}


def _page(results: Verdicts, options: Options, words: Words) -> str:
    """All verdicts on one page: words first, then gates."""
    parts = [
        tag("h1", words("claim.title")),
        tag("p", words("claim.summary", **_counts(results)), class_="lead"),
    ]
    label = _label(options, words)
    if label is not None:
        parts.append(tag("p", label))
    for claim, result in results:
        lines = [*grounds(claim, result, words), evidence(result, words)]
        parts.append(
            tag(
                "section",
                tag("h2", sentence(claim, words)),
                tag("p", tag("strong", _labelled(headline(claim, result, words), label))),
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
    names = {True: "holds", False: "fails", None: "does_not_apply"}
    rows = [
        tag(
            "tr",
            tag("th", gate.name, scope="row"),
            *(tag("td", figure) for figure in _gate_figures(gate, words)),
            tag("td", words(f"claim.{names[gate.ok]}"), _why(gate, words)),
            tag("td", _remedy(gate, words) if gate.ok is False else ""),
        )
        for gate in result.gates
    ]
    header = tag("tr", *(tag("th", words(f"claim.{name}"), scope="col") for name in heads))
    table = tag("table", tag("thead", header), tag("tbody", join(rows)))
    return tag("div", table, class_="scroll")
