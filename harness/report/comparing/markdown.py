"""Two runs compared as Markdown for a pull request: the verdict first, then the tables."""

import re
from collections.abc import Iterator, Sequence

from harness.comparing import Compared, Result
from harness.plain import plain
from harness.report.comparing.text import (
    NONE,
    Line,
    about,
    effect,
    extra,
    lines,
    measured,
    rulings_of,
    verdict,
    who,
    why,
)

_SPECIAL = re.compile(r"[\\`*_\[\]|~]")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", "#": "&#35;"})


def markdown(result: Result) -> str:
    """GitHub-flavoured Markdown that shows text from outside as it is, mentions included."""
    return "\n".join(_parts(result)) + "\n"


def _parts(result: Result) -> Iterator[str]:
    yield f"**{_text(verdict(result))}**"
    yield ""
    if result.outcome is not None:
        for compared in result.pipelines:
            yield f"- {_text(effect(result, compared))}"
        yield ""
    yield f"A: {_code(result.a.folder)} ({_text(about(result.a))})  "
    yield f"B: {_code(result.b.folder)} ({_text(about(result.b))})  "
    yield f"{result.scenarios} scenarios in common; \\~: the 95 % interval of the change includes 0"
    for compared in result.pipelines:
        yield ""
        yield from _comparison(result, compared)
    if result.rulings:
        yield ""
        yield from _gates(result)
    doubts = [*(caution.text for caution in result.cautions), *extra(result)]
    if doubts:
        yield ""
        yield "Warnings:"
        yield ""
        yield from (f"- {_text(text)}" for text in doubts)


def _comparison(result: Result, compared: Compared) -> Iterator[str]:
    mine = rulings_of(result, compared)
    rows = lines(compared, mine)
    yield f"### {_code(compared.name)}"
    yield ""
    yield from _table(
        ("metric", "A", "B", "change [95 %]", "n", *(("gate",) if mine else ())),
        "lrrrll" if mine else "lrrrl",
        [
            (line.label, line.a, line.b, _change(line), line.n, *((line.gate,) if mine else ()))
            for line in rows
        ],
    )
    notes: dict[str, list[str]] = {}
    for line in rows:
        for note in line.notes:
            notes.setdefault(note, []).append(line.label.rpartition(", ")[0])
    if notes:
        yield ""
        yield from (f"- {_text('; '.join(of))}: {_text(note)}" for note, of in notes.items())


def _change(line: Line) -> str:
    if line.change is None:
        return f"{NONE} {line.reason}"
    unit = "points" if line.label.startswith("right answers") else "%"
    return f"{line.change} {unit} {line.interval}"


def _gates(result: Result) -> Iterator[str]:
    yield "### Gates"
    yield ""
    yield from _table(
        ("gate", "pipeline", "result", "measured [95 %]", "why"),
        "lllrl",
        [
            (ruling.gate.text, who(ruling), ruling.outcome, measured(ruling), why(ruling))
            for ruling in result.rulings
        ],
    )


def _table(head: Sequence[str], sides: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' if side == 'l' else '--:' for side in sides)} |"
    for row in rows:
        yield f"| {' | '.join(map(_text, row))} |"


def _text(text: str) -> str:
    """Text that means nothing to Markdown, HTML or GitHub; in one line."""
    safe: str = plain(text).translate(_ENTITIES)
    return _SPECIAL.sub(r"\\\g<0>", safe)


def _code(text: str) -> str:
    return "`" + plain(text).replace("`", "'") + "`"
