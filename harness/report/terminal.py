"""A run's summary in the terminal: the comparison, its validity, and what to do next."""

import json
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.plain import plain
from harness.report import digits
from harness.report.comparison import Summary, candidates, comparison
from harness.report.facts import (
    again,
    broken_text,
    is_unmeasured,
    progress,
    simulated_label,
    unheld,
    workload,
)
from harness.report.layout import Style, terminal_columns, wrap
from harness.report.textable import Notes, lay_out
from harness.report.words import Lang, Words


def print_summary(
    summary: dict[str, Any], folder: Path, *, as_json: bool, lang: Lang = "en"
) -> None:
    """Print the summary of the run in ``folder`` on standard output.

    ``as_json``: exactly one JSON object. Otherwise at most 100 columns; in ASCII marks when
    standard output is no terminal, in bold and dim when it is one and ``NO_COLOR`` is not set.
    """
    encoding = sys.stdout.encoding or "utf-8"
    if as_json:
        ascii_only = not encoding.lower().startswith("utf")
        print(json.dumps(summary, ensure_ascii=ascii_only, indent=1))
        return
    terminal = sys.stdout.isatty()
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    style = Style(colour=colour, marks=terminal)
    for line in lines(summary, folder, Words(lang), terminal_columns(), style):
        print(line.encode(encoding, "backslashreplace").decode(encoding))


def lines(
    summary: Summary, folder: Path, words: Words, columns: int, style: Style
) -> Iterator[str]:
    """Everything that is printed, line by line."""
    yield from _head(summary, folder, words, columns, style)
    yield ""
    notes = Notes()
    groups = [group for group in comparison(summary, words) if not group.detail]
    yield from lay_out(groups, _headers(summary), notes, columns, style)
    yield ""
    for note in (*notes.lines(), _rests_on(summary, words)):
        for line in wrap(style.plain(note), columns, "    "):
            yield style.dim(line)
    yield ""
    yield from _foot(summary, folder, words, columns, style)


def _head(
    summary: Summary, folder: Path, words: Words, columns: int, style: Style
) -> Iterator[str]:
    run, config = summary["run"], summary["run"]["config"]
    baseline = run["baseline"] if candidates(summary) else None
    names = [
        f"{plain(arm)} ({words('label.baseline')})" if arm == baseline else plain(arm)
        for arm in summary["pipelines"]
    ]
    for line in wrap(f"{words('terminal.title')}: {', '.join(names)}", columns, "    "):
        yield style.bold(line)
    label = simulated_label(summary, words)
    shape = words(
        "terminal.shape",
        scenarios=run["scenarios"],
        repeats=config["repeats"],
        counted=run["recorded_trials"] - run["warmup_trials"],
        warmup=run["warmup_trials"],
    )
    how = words(
        "terminal.how",
        provider=plain(config["provider"]) + (f" ({label})" if label else ""),
        workload=workload(config["workload"], words),
        concurrency=config["concurrency"],
        seed=config["seed"],
    )
    marks = words("terminal.intervals")
    if baseline is not None:
        marks += f" · {words('terminal.changes', baseline=plain(baseline))}"
    for text in (shape, how, marks):
        for line in wrap(style.plain(text), columns, "    "):
            yield style.dim(line)
    if (short := progress(summary)) is not None:
        yield ""
        yield style.bold(words("terminal.interrupted", done=short[0], planned=short[1]))
        yield f"  harness run --resume --out {shlex.quote(str(folder))}"


def _headers(summary: Summary) -> dict[str, tuple[str, str]]:
    """Each arm's name and the number of its answered trials."""
    return {
        arm: (plain(arm), f"n = {(figures['response_time_s'] or {'n': 0})['n']}")
        for arm, figures in summary["pipelines"].items()
    }


def _rests_on(summary: Summary, words: Words) -> str:
    """How many blocks the changes of each candidate rest on, and how many pairs were lost."""
    parts = []
    for arm in candidates(summary):
        rows = {r["estimand"]: r for r in summary["comparisons"] if r["candidate"] == arm}
        if not {"response_time_gm", "makespan"} <= rows.keys():
            continue
        n, m = rows["response_time_gm"]["n"], rows["makespan"]["n"]
        key = "terminal.n_blocks" if n == m else "terminal.n_blocks_makespan"
        part = words(key, arm=plain(arm), n=n, m=m)
        if lost := rows["response_time_gm"]["dropped_pairs"]:
            part += ", " + words("terminal.dropped", n=lost)
        parts.append(part)
    return words("terminal.blocks", arms="; ".join(parts)) if parts else ""


def _foot(
    summary: Summary, folder: Path, words: Words, columns: int, style: Style
) -> Iterator[str]:
    if summary["client_error_s"] is not None:
        yield from wrap(style.plain(_client(summary, words)), columns, "    ")
    checks = summary["validity"]["checks"]
    broken = [check for check in checks if not check["ok"]]
    text = unheld(checks, "terminal", words)
    yield style.bold(text) if broken else text
    for check in broken:
        text = broken_text(check, words)
        yield from wrap(style.plain(text), columns, "  ", first="  ")
        if is_unmeasured(check):
            continue
        remedy = words.remedy(check["name"], check["remedy"])
        for line in wrap(style.plain(remedy), columns, "    ", first="    "):
            yield style.dim(line)
    yield f"{words('terminal.again')} {plain(again(summary))}"
    yield f"{words('terminal.report')} {folder / 'index.html'}"


def _client(summary: Summary, words: Words) -> str:
    error = summary["client_error_s"]
    factor, unit = digits.time_unit([error["p99"]])
    return words(
        "terminal.client",
        p50=digits.significant(factor * error["p50"]),
        p99=digits.significant(factor * error["p99"]),
        unit=words(f"unit.{unit}"),
        n=error["n"],
    )
