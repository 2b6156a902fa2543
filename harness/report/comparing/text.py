"""What every renderer says of two runs: figures as text, the verdict in one sentence."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.comparing import Caution, Compared, Facts, Outcome, Result, Row, Ruling
from harness.report import digits
from harness.report.facts import minute
from harness.report.words import Words

ENGLISH = Words("en")
REASONS = ("comparing_reason", "warning", "reason")
RESPONSE = ("gm", "mean", "p50", "p95", "p99")  # one unit for all of them
OPTIONAL = ("ttft", "cpu")  # rows that say nothing where nothing was measured
WORST: tuple[Outcome, ...] = ("fail", "undecided", "pass")
NAMED = 3  # broken gates that the verdict names
NONE = "—"
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)")
_NAME = re.compile(r"[a-z]+(?:_[a-z0-9]+)*")


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


def lines(compared: Compared, rulings: Sequence[Ruling], words: Words = ENGLISH) -> list[Line]:
    """The rows of a pipeline that have something to say. ``rulings``: of this pipeline."""
    made = []
    unit = _time_unit([row for row in compared.rows if row.metric in RESPONSE])
    for row in compared.rows:
        mine = [ruling.outcome for ruling in rulings if ruling.gate.metric == row.metric]
        if mine or row.metric not in OPTIONAL or row.change is not None:
            made.append(_line(row, worst(mine), unit, words))
    return made


def rulings_of(result: Result, compared: Compared) -> list[Ruling]:
    return [r for r in result.rulings if (r.a, r.b) == (compared.a, compared.b)]


def worst(outcomes: Sequence[Outcome]) -> str:
    """The outcome that decides; empty without any."""
    return next((outcome for outcome in WORST if outcome in outcomes), "")


def _line(row: Row, gate: str, response: tuple[float, str], words: Words) -> Line:
    factor, unit = response if row.metric in RESPONSE else _unit(row)
    levels = [None if value is None else factor * value for value in (row.a, row.b)]
    known = [value for value in levels if value is not None]
    places = digits.row_places(known, ())
    a, b = (NONE if value is None else digits.number(value, places) for value in levels)
    change, interval, reason = None, "", ""
    notes = [said(row.hold, words)] if row.hold else []
    if row.change is None or row.lo is None or row.hi is None:
        reason = said(row.missing, words)
    else:
        step = digits.row_places((), [(row.lo, row.hi)])
        mark = "~ " if row.lo <= 0 <= row.hi else ""
        change = mark + digits.number(row.change, step, sign=True)
        interval = digits.interval(row.lo, row.hi, step, sign=True)
        notes += [text for note in row.warnings if (text := said(note, words)) not in notes]
    shown = words.known(f"unit.{unit.replace(' ', '_')}", unit)
    label = f"{words(f'comparing.{row.metric}')}, {shown}"
    counts = words.translated(row.counts, "counts")
    return Line(label, a, b, change, interval, counts, gate, reason, tuple(notes))


def said(text: str, words: Words) -> str:
    """What a comparison says of a row, in the language of the report."""
    return "; ".join(_one_said(part, words) for part in text.split("; "))


def _one_said(text: str, words: Words) -> str:
    found = words.translated(text, *REASONS)
    run, colon, rest = text.partition(": ")
    if found != text or not colon or run not in ("A", "B", "A and B"):
        return found
    which = words("comparing.both_runs") if run == "A and B" else run
    return f"{which}: {words.translated(rest, *REASONS)}"


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


def verdict(result: Result, words: Words = ENGLISH) -> str:
    """The gates in one sentence, and what changed where there are none."""
    rulings, total = result.rulings, len(result.rulings)
    count = {outcome: sum(r.outcome == outcome for r in rulings) for outcome in WORST}
    if result.outcome is None:
        if barred := barring(result):
            return words("comparing.no_conclusion", why=doubt(barred[0], words))
        if not result.pipelines:
            return words("comparing.nothing")
        return "; ".join(effect(result, compared, words) for compared in result.pipelines) + "."
    if result.outcome == "pass":
        return words("comparing.pass_one" if total == 1 else "comparing.pass_all", n=total)
    rest = [f"{count[o]} {words(f'ruled.{o}')}" for o in WORST if count[o] and o != result.outcome]
    tail = f"; {', '.join(rest)}" if rest else ""
    decisive = [r for r in rulings if r.outcome == result.outcome]
    names = ", ".join(f"{who(r)} {r.gate.text}" for r in decisive[:NAMED])
    if len(decisive) > NAMED:
        names += words("comparing.and_more", n=len(decisive) - NAMED)
    key = f"comparing.{result.outcome}" + ("_one" if total == 1 else "")
    return f"{words(key, n=len(decisive), total=total)} ({names}){tail}."


def effect(result: Result, compared: Compared, words: Words = ENGLISH) -> str:
    """What happened to the response time of a pipeline, in words."""
    row = compared.row("gm")
    if row.change is None or row.lo is None or row.hi is None:
        why = said(row.missing, words)
        return words("comparing.not_known", name=compared.name, why=why)
    step = digits.row_places((), [(row.lo, row.hi)])
    shown = (
        f"{digits.number(row.change, step, sign=True)} % "
        f"{digits.interval(row.lo, row.hi, step, sign=True)}"
    )
    word = "slower" if row.lo > 0 else "faster" if row.hi < 0 else "no_difference"
    conclusion = words(f"comparing.{word}")
    if row.hold:
        conclusion = words("comparing.none_since", why=said(row.hold, words))
    elif barring(result):
        conclusion = words("comparing.none")
    return words("comparing.effect", name=compared.name, change=shown, word=conclusion)


def doubt(caution: Caution, words: Words = ENGLISH) -> str:
    """A doubt about a comparison in the language of the report, its times to the minute."""
    text = _STAMP.sub(lambda stamp: minute(stamp[0]), words.translated(caution.text, "caution"))
    if words.lang == ENGLISH.lang or not caution.name.startswith(("invalid", "unanswered")):
        return text
    return _NAME.sub(lambda name: words.known(f"check.{name[0]}", name[0]), text)


def barring(result: Result) -> list[Caution]:
    """The doubts that bar gates."""
    return [caution for caution in result.cautions if caution.bars != "none"]


def about(facts: Facts, words: Words = ENGLISH) -> str:
    """A run in a few words, after its folder."""
    kind = facts.provider.get("profile") or facts.provider.get("model")
    parts = [str(kind or words("comparing.unknown_provider"))]
    if facts.simulated:
        scale = "" if math.isclose(facts.time_scale, 1) else f" × {facts.time_scale:g}"
        parts.append(words("label.simulated") + scale)
    parts.append(words("comparing.trials", n=facts.trials))
    state = "valid" if facts.valid else "not_valid"
    parts.append(words(f"comparing.{state if facts.status == 'complete' else 'not_complete'}"))
    return ", ".join(parts)


def extra(result: Result, words: Words = ENGLISH) -> Iterator[str]:
    """Pipelines that were not compared."""
    for label, other, names in (("A", "B", result.only_a), ("B", "A", result.only_b)):
        if names:
            yield words("comparing.only", a=label, b=other, names=", ".join(names))
