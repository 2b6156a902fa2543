"""What every renderer says of two runs: figures as text, the verdict in one sentence."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.comparing import Caution, Compared, Facts, Outcome, Result, Row, Ruling
from harness.report import digits

LABELS = {
    "gm": "response time, gm",
    "mean": "response time, mean",
    "p50": "response time, p50",
    "p95": "response time, p95",
    "p99": "response time, p99",
    "ttft": "TTFT, gm",
    "makespan": "makespan of a block",
    "throughput": "throughput",
    "success": "right answers",
    "cpu": "CPU per trial",
}
RESPONSE = ("gm", "mean", "p50", "p95", "p99")  # one unit for all of them
OPTIONAL = ("ttft", "cpu")  # rows that say nothing where nothing was measured
WORST: tuple[Outcome, ...] = ("fail", "undecided", "pass")
NAMED = 3  # broken gates that the verdict names
NONE = "—"


@dataclass(frozen=True, slots=True)
class Line:
    """A row as text. ``change`` None: not known, ``reason`` says why; ``gate``: the worst outcome
    of the gates on this metric, empty without any. ``notes``: what else is to be said.
    """

    label: str
    a: str
    b: str
    change: str | None
    interval: str
    n: str
    gate: str
    reason: str
    notes: tuple[str, ...]


def lines(compared: Compared, rulings: Sequence[Ruling]) -> list[Line]:
    """The rows of a pipeline that have something to say. ``rulings``: of this pipeline."""
    made = []
    unit = _time_unit([row for row in compared.rows if row.metric in RESPONSE])
    for row in compared.rows:
        mine = [ruling.outcome for ruling in rulings if ruling.gate.metric == row.metric]
        if mine or row.metric not in OPTIONAL or row.change is not None:
            made.append(_line(row, worst(mine), unit))
    return made


def rulings_of(result: Result, compared: Compared) -> list[Ruling]:
    return [r for r in result.rulings if (r.a, r.b) == (compared.a, compared.b)]


def worst(outcomes: Sequence[Outcome]) -> str:
    """The outcome that decides; empty without any."""
    return next((outcome for outcome in WORST if outcome in outcomes), "")


def _line(row: Row, gate: str, response: tuple[float, str]) -> Line:
    factor, unit = response if row.metric in RESPONSE else _unit(row)
    levels = [None if value is None else factor * value for value in (row.a, row.b)]
    known = [value for value in levels if value is not None]
    places = digits.row_places(known, ())
    a, b = (NONE if value is None else digits.number(value, places) for value in levels)
    change, interval, reason = None, "", ""
    notes = [row.hold] if row.hold else []
    if row.change is None or row.lo is None or row.hi is None:
        reason = row.missing
    else:
        step = digits.row_places((), [(row.lo, row.hi)])
        mark = "~ " if row.lo <= 0 <= row.hi else ""
        change = mark + digits.number(row.change, step, sign=True)
        interval = digits.interval(row.lo, row.hi, step, sign=True)
        notes += [text for text in row.warnings if text not in notes]
    label = f"{LABELS[row.metric]}, {unit}"
    return Line(label, a, b, change, interval, row.counts, gate, reason, tuple(notes))


def _unit(row: Row) -> tuple[float, str]:
    if row.metric == "success":
        return 100, "%"
    if row.metric == "throughput":
        return 1, "per s"
    return _time_unit([row])


def _time_unit(rows: Sequence[Row]) -> tuple[float, str]:
    return digits.time_unit(v for row in rows for v in (row.a, row.b) if v is not None)


# --- gates ---


def who(ruling: Ruling) -> str:
    """The pipeline that a ruling is about."""
    if ruling.a is None:
        return "no pipeline"
    return ruling.a if ruling.b in (None, ruling.a) else f"{ruling.a} → {ruling.b}"


def measured(ruling: Ruling) -> str:
    """The value that a gate was held against, with its interval and unit."""
    value, lo, hi = ruling.value, ruling.lo, ruling.hi
    if value is None or lo is None or hi is None:
        return NONE
    factor, unit = _gate_unit(ruling)
    places = digits.row_places((factor * value,), [(factor * lo, factor * hi)])
    sign = ruling.gate.relative
    text = digits.number(factor * value, places, sign=sign)
    return f"{text} {digits.interval(factor * lo, factor * hi, places, sign=sign)} {unit}".rstrip()


def why(ruling: Ruling) -> str:
    """The reason, and the limit where it is not the one that was written."""
    if ruling.limit == ruling.gate.limit:
        return ruling.reason
    factor, unit = _gate_unit(ruling)
    scaled = f"{digits.significant(factor * ruling.limit, 3)} {unit}".rstrip()
    return f"{ruling.reason}; the limit is {scaled} in simulated time"


def _gate_unit(ruling: Ruling) -> tuple[float, str]:
    match ruling.gate.unit:
        case "s":
            return digits.time_unit(v for v in (ruling.value, ruling.limit) if v is not None)
        case "/s":
            return 1, "per s"
        case "share":
            return 1, ""
        case unit:
            return 1, unit


# --- sentences ---


def verdict(result: Result) -> str:
    """The gates in one sentence, and what changed where there are none."""
    rulings, total = result.rulings, len(result.rulings)
    count = {outcome: sum(r.outcome == outcome for r in rulings) for outcome in WORST}
    if result.outcome is None:
        barred = barring(result)
        if barred:
            return f"No conclusion: {barred[0].text}."
        if not result.pipelines:
            return "No pipeline is in both runs: nothing is compared."
        return "; ".join(effect(result, compared) for compared in result.pipelines) + "."
    if result.outcome == "pass":
        return f"Pass: {_all(total)}."
    rest = [f"{count[o]} {_WORDS[o]}" for o in WORST if count[o] and o != result.outcome]
    tail = f"; {', '.join(rest)}" if rest else ""
    decisive = [r for r in rulings if r.outcome == result.outcome]
    names = ", ".join(f"{who(r)} {r.gate.text}" for r in decisive[:NAMED])
    more = f" and {len(decisive) - NAMED} more" if len(decisive) > NAMED else ""
    word = "broken" if result.outcome == "fail" else "undecided"
    head = f"{result.outcome.capitalize()}: {len(decisive)} of {_gates(total)} {word}"
    return f"{head} ({names}{more}){tail}."


_WORDS = {"fail": "broken", "undecided": "undecided", "pass": "held"}


def _gates(total: int) -> str:
    return f"{total} gate{'' if total == 1 else 's'}"


def _all(total: int) -> str:
    return "the gate holds" if total == 1 else f"all {total} gates hold"


def effect(result: Result, compared: Compared) -> str:
    """What happened to the response time of a pipeline, in words."""
    row = compared.row("gm")
    if row.change is None or row.lo is None or row.hi is None:
        return f"{compared.name}: change of response time not known ({row.missing})"
    step = digits.row_places((), [(row.lo, row.hi)])
    shown = (
        f"{digits.number(row.change, step, sign=True)} % "
        f"{digits.interval(row.lo, row.hi, step, sign=True)}"
    )
    word = "slower" if row.lo > 0 else "faster" if row.hi < 0 else "no difference detected"
    if row.hold or barring(result):
        word = f"no conclusion ({row.hold})" if row.hold else "no conclusion"
    return f"{compared.name}: response time {shown}, {word}"


def barring(result: Result) -> list[Caution]:
    """The doubts that bar gates."""
    return [caution for caution in result.cautions if caution.bars != "none"]


def about(facts: Facts) -> str:
    """A run in a few words, after its folder."""
    kind = facts.provider.get("profile") or facts.provider.get("model") or "unknown provider"
    scale = "" if math.isclose(facts.time_scale, 1) else f" × {facts.time_scale:g}"
    simulated = f", simulated{scale}" if facts.simulated else ""
    state = "valid" if facts.valid else "not valid"
    state = state if facts.status == "complete" else "not complete"
    return f"{kind}{simulated}, {facts.trials} trials, {state}"


def extra(result: Result) -> Iterator[str]:
    """Pipelines that were not compared."""
    for label, other, names in (("A", "B", result.only_a), ("B", "A", result.only_b)):
        if names:
            yield f"only in {label}, not compared: {', '.join(names)} (not in {other})"
