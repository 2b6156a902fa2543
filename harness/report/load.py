"""A load run, or a search for capacity, in the terminal."""

import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.plain import plain, table
from harness.report import digits
from harness.report.facts import is_unmeasured, repeated
from harness.report.layout import Style, terminal_columns, wrap
from harness.report.searched import Step, outcome, quantile, success, time_unit
from harness.report.table import Cell, Group, Row
from harness.report.textable import STACK_BELOW, Notes, lay_out
from harness.report.words import Words
from harness.summary import unbounded

if TYPE_CHECKING:
    from harness.load.curve import Point

NONE = "–"
ARM = "load"
ENGLISH = Words("en")
TIMES = (
    ("response time", "response_time_s"),
    ("service time", "service_time_s"),
    ("first token", "ttft_s"),
    ("between tokens", "itl_s"),
    ("issue delay", "issue_delay_s"),
)


def print_load(figures: Mapping[str, Any], folder: Path, command: Sequence[str]) -> None:
    """Print the figures of one load, made by ``command``, on standard output."""
    _print(load_lines(figures, folder, shlex.join(command), terminal_columns()))


def print_step(point: "Point") -> None:
    """Tell of one step of a search on standard error, as it ends."""
    print(f"\r{_told(asdict(point))}", file=sys.stderr)


def print_capacity(figures: Mapping[str, Any], folder: Path) -> None:
    """Print what a search for capacity found on standard output."""
    _print(capacity_lines(figures, folder, terminal_columns()))


def load_lines(
    figures: Mapping[str, Any], folder: Path, command: str, columns: int
) -> Iterator[str]:
    """Everything that is printed of one load, line by line."""
    offered = figures["offered_per_s"]
    asked = "" if offered is None else f" of {offered:.5g} offered"
    sent = (
        f"{figures['requests']:,} requests in {figures['duration_s']:.1f} s; "
        f"{figures['achieved_per_s']:.5g} sent per second{asked}; "
        f"throughput {_rate(figures['throughput_per_s'])}, "
        f"goodput {_rate(figures['goodput_per_s'])}"
    )
    head = f"{figures['target']}: {figures['workload']['text']}"
    yield from _wrapped([head, sent, *_outcomes(figures)], columns)
    yield ""
    yield from _table(list(_times(figures)), "load", f"n = {figures['requests']:,}", columns)
    yield ""
    said = []
    if figures["tokens"] is not None:
        tokens = figures["tokens"]
        said.append(
            f"tokens: {tokens['completion']:,} counted by the server in {tokens['n']:,} answers, "
            f"{_rate(tokens['completion_per_s'])}"
        )
    said += map(_target, (figures["slo"] or {"targets": ()})["targets"])
    said += _validity(figures["validity"])
    if figures["interrupted"]:
        said.append("Interrupted: what was sent until then is kept.")
    yield from _wrapped(said, columns)
    yield from _foot(folder, command)


def capacity_lines(figures: Mapping[str, Any], folder: Path, columns: int) -> Iterator[str]:
    """Everything that is printed of a search, line by line."""
    yield from _wrapped([f"{figures['target']}: {', '.join(figures['slo'])}"], columns)
    steps = sorted(figures["steps"], key=lambda step: step["offered"])
    if steps:
        yield from _table(list(_steps(steps)), "offered/s", f"{len(steps)} steps", columns)
    yield ""
    said = [_told(step) for step in steps if step["reasons"]]
    said.append(f"capacity: {outcome(figures['capacity'], ENGLISH)}")
    knee = figures["knee"]
    said.append(
        "knee: not shown by these intervals"
        if knee is None
        else f"knee: {knee['offered']:.4g}/s; beyond it waiting grows faster than throughput"
    )
    unsettled = [step for step in steps if not step["consistent"]]
    if unsettled:
        rates = ", ".join(f"{step['offered']:.4g}" for step in unsettled)
        said.append(f"not settled (Little's law is off by more than 10 %) at {rates} per second")
    if figures["interrupted"]:
        said.append("Interrupted: the steps until then are kept.")
    yield from _wrapped(said, columns)
    yield from _foot(folder, figures["run"]["command"])


def _foot(folder: Path, command: str) -> Iterator[str]:
    """Where the records are, and what to do next."""
    yield f"records: {folder}"
    yield f"{ENGLISH('terminal.again')} {repeated(command)}"
    yield f"{ENGLISH('terminal.report')} harness report {shlex.quote(str(folder))}"


def _told(step: Step) -> str:
    why = f": {'; '.join(step['reasons'])}" if step["reasons"] else ""
    return f"{digits.significant(step['offered'], 4)}/s {step['verdict']}{why}"


def _steps(steps: Sequence[Step]) -> Iterator[Group]:
    """Each step with what decides it, its verdict in the title."""
    factor, unit = time_unit(steps)
    for step in steps:
        p95 = quantile(step, "p95", factor, ENGLISH)
        cells = (
            ("sent/s", "", Cell(digits.significant(step["achieved"], 4))),
            ("n", "", Cell(f"{step['requests']:,}")),
            ("p95", unit, p95 if p95.text else Cell(f"{NONE} {p95.reason}")),
            ("success", "%", success(step, ENGLISH)),
        )
        rows = [Row(label, unit, {ARM: cell}) for label, unit, cell in cells]
        title = f"{digits.significant(step['offered'], 4)} {step['verdict']}"
        yield Group(step["folder"], title, rows)


def _table(groups: Sequence[Group], head: str, about: str, columns: int) -> Iterator[str]:
    """A line for each group; in a narrow terminal one below the other, as those of a run."""
    if columns < STACK_BELOW:
        notes, style = Notes(), Style(colour=False, marks=True)
        yield from lay_out(groups, {ARM: (head, about)}, notes, columns, style)
        yield from _wrapped(notes.lines(), columns)
        return
    heads = [f"{row.label}, {row.unit}" if row.unit else row.label for row in groups[0].rows]
    lines = [[head, *heads], *([group.title, *map(_text, group.rows)] for group in groups)]
    yield table(lines, right=range(1, len(heads) + 1))
    missing = {
        f"{NONE} {row.label}: {cell.reason}"
        for group in groups
        for row in group.rows
        if (cell := row.cells[ARM]).text is None
    }
    yield from _wrapped(sorted(missing), columns)


def _text(row: Row) -> str:
    cell = row.cells[ARM]
    return NONE if cell.text is None else f"{cell.text} {cell.interval or ''}".rstrip()


def _outcomes(figures: Mapping[str, Any]) -> Iterator[str]:
    parts = [f"{name} {count:,}" for name, count in figures["outcomes"].items() if count]
    success = figures["success"]
    if success["rate"] is not None:
        parts.append(f"success {_share(success['rate'], success['ci95'])}")
    yield ", ".join(parts)
    if figures["errors"]:
        yield "errors: " + ", ".join(f"{name} {n:,}" for name, n in figures["errors"].items())
    if figures["requests"] and figures["response_time_s"] is None:
        yield "No request was answered."


def _times(figures: Mapping[str, Any]) -> Iterator[Group]:
    """Each time; a quantile that its n cannot support is not shown."""
    for name, key in TIMES:
        found = figures[key]
        if found is not None:
            why = unbounded(key, found)
            cells = {"n": Cell(f"{found['n']:,}")}
            for point in ("mean", "p50", "p95", "p99", "max"):
                reason = why.get(point)
                cells[point] = Cell(None if reason else _seconds(found[point]), reason=reason)
            yield Group(key, name, [Row(label, "", {ARM: c}) for label, c in cells.items()])


def _target(target: Mapping[str, Any]) -> str:
    share = _share(target["share"], target["share_ci95"])
    needed = f"{100 * target['needed']:.4g} %"
    return f"{target['target']}: {target['held']} ({share} of requests keep to it, needed {needed})"


def _validity(validity: Mapping[str, Any]) -> Iterator[str]:
    broken = [check for check in validity["checks"] if not check["ok"]]
    if not broken:
        yield f"valid: all {len(validity['checks'])} checks of the client hold"
        return
    yield "INVALID: these figures are not the server's"
    for check in broken:
        if is_unmeasured(check):
            yield f"  {check['name']}: not measured"
            continue
        value = digits.significant(check["value"], 3)
        limit = digits.significant(check["limit"], 3)
        yield f"  {check['name']} {value} (limit {limit} {check['unit']}): {check['remedy']}"


def _share(value: float | None, bounds: Sequence[float] | None) -> str:
    if value is None:
        return NONE
    shown = "" if bounds is None else f" [{100 * bounds[0]:.4g}, {100 * bounds[1]:.4g}]"
    return f"{100 * value:.4g} %{shown}"


def _seconds(value: float) -> str:
    factor, unit = digits.time_unit([value])
    return f"{digits.significant(factor * value, 4)} {unit}"


def _rate(value: float | None) -> str:
    return NONE if value is None else f"{value:.5g}/s"


def _wrapped(texts: Iterable[str], columns: int) -> Iterator[str]:
    """Each text in lines of at most ``columns``."""
    for text in texts:
        margin = " " * (len(text) - len(text.lstrip()))
        yield from wrap(text, columns, f"{margin}  ", first=margin)


def _print(lines: Iterator[str]) -> None:
    for line in lines:
        print("\n".join(plain(part) for part in line.split("\n")))
