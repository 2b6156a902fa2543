"""Verdicts on claims in the terminal, as JSON, and into their folder."""

import json
from pathlib import Path
from typing import Any

from harness.claims import Claim
from harness.experiments import Options
from harness.judge import Result
from harness.report.digits import finite
from harness.report.verdict_page import verdict_page
from harness.report.verdict_words import (
    Verdicts,
    broken,
    counts,
    evidence,
    grounds,
    headline,
    is_simulated,
    label,
    labelled,
    remedy,
    sentence,
    why,
)
from harness.report.words import Words, language
from harness.store import dump, write_atomically


def print_results(
    results: Verdicts, folder: Path, options: Options, *, as_json: bool, lang: str
) -> None:
    """One JSON object, or a paragraph for each claim, on standard output."""
    if as_json:
        print(json.dumps(_data(results, options), ensure_ascii=False, allow_nan=False))
        return
    words = Words(language(lang))
    shown = label(options, words)
    for claim, result in results:
        print("\n".join(_lines(claim, result, shown, words)), end="\n\n")
    print(words("claim.summary", **counts(results)))
    print(words("claim.records", folder=folder))


def write_results(folder: Path, results: Verdicts, options: Options, lang: str) -> None:
    """``claims.json`` and ``index.html`` in ``folder``."""
    write_atomically(folder / "claims.json", dump({"schema": 1, **_data(results, options)}))
    page = verdict_page(results, options, Words(language(lang)))
    write_atomically(folder / "index.html", page.encode())


def _data(results: Verdicts, options: Options) -> dict[str, Any]:
    """The verdicts as strict JSON has them, with what kind of times they rest on."""
    return {
        "simulated": is_simulated(options),
        "time_scale": options.time_scale,
        "claims": [finite(result.to_dict()) for _, result in results],
    }


def _lines(claim: Claim, result: Result, shown: str | None, words: Words) -> list[str]:
    """A verdict in words, from the most important down."""
    lines = [
        f"{claim.id}: {labelled(headline(claim, result, words), claim, shown)}",
        f"  {words('claim.claim')}: {sentence(claim, words)} ({claim.file.source})",
    ]
    lines += [f"  {text}" for text in (*grounds(claim, result, words), evidence(result, words))]
    for gate in result.gates:
        if gate.ok is False:
            mend = remedy(gate, words)
            after = f"; {words('claim.remedy')}: {mend}" if mend else ""
            lines.append(f"  {broken(gate, words)}{why(gate, words)}{after}")
    return lines
