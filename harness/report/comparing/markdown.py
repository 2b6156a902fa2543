"""Two runs compared as Markdown for a pull request: the verdict first, then the tables."""

import re
from collections.abc import Iterator, Sequence

from harness.comparing import Compared, Result
from harness.plain import plain
from harness.report.comparing.text import (
    ENGLISH,
    NONE,
    Line,
    about,
    doubt,
    effect,
    extra,
    lines,
    measured,
    rulings_of,
    verdict,
    who,
    why,
)
from harness.report.words import Words

_SPECIAL = re.compile(r"[\\`*_\[\]|~]")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", "#": "&#35;"})


def markdown(result: Result, words: Words = ENGLISH) -> str:
    """GitHub-flavoured Markdown that shows text from outside as it is, mentions included."""
    return "\n".join(_parts(result, words)) + "\n"


def _parts(result: Result, words: Words) -> Iterator[str]:
    yield f"**{text(verdict(result, words))}**"
    yield ""
    if result.outcome is not None:
        for compared in result.pipelines:
            yield f"- {text(effect(result, compared, words))}"
        yield ""
    yield f"A: {code(result.a.folder)} ({text(about(result.a, words))})  "
    yield f"B: {code(result.b.folder)} ({text(about(result.b, words))})  "
    yield words("comparing.marks", n=result.scenarios)
    for compared in result.pipelines:
        yield ""
        yield from _comparison(result, compared, words)
    if result.rulings:
        yield ""
        yield from _gates(result)
    doubts = [*(doubt(caution, words) for caution in result.cautions), *extra(result, words)]
    if doubts:
        yield ""
        yield words("comparing.warnings")
        yield ""
        yield from (f"- {text(said)}" for said in doubts)


def _comparison(result: Result, compared: Compared, words: Words) -> Iterator[str]:
    mine = rulings_of(result, compared)
    rows = lines(compared, mine, words)
    yield f"### {code(compared.name)}"
    yield ""
    yield from table(
        (
            words("comparing.metric_column"),
            *("A", "B"),
            words("comparing.change"),
            "n",
            *(("gate",) if mine else ()),
        ),
        "lrrrll" if mine else "lrrrl",
        [
            (
                line.label,
                line.a,
                line.b,
                _change(line, words),
                line.n,
                *((line.gate,) if mine else ()),
            )
            for line in rows
        ],
    )
    notes: dict[str, list[str]] = {}
    for line in rows:
        for note in line.notes:
            notes.setdefault(note, []).append(line.label.rpartition(", ")[0])
    if notes:
        yield ""
        yield from (f"- {text('; '.join(of))}: {text(note)}" for note, of in notes.items())


def _change(line: Line, words: Words) -> str:
    if line.change is None:
        return f"{NONE} {line.reason}"
    points = line.label.startswith(words("comparing.success"))
    unit = words("comparing.points") if points else "%"
    return f"{line.change} {unit} {line.interval}"


def _gates(result: Result) -> Iterator[str]:
    yield "### Gates"
    yield ""
    yield from table(
        ("gate", "pipeline", "result", "measured [95 %]", "why"),
        "lllrl",
        [
            (ruling.gate.text, who(ruling), ruling.outcome, measured(ruling), why(ruling))
            for ruling in result.rulings
        ],
    )


def table(head: Sequence[str], sides: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join('---' if side == 'l' else '--:' for side in sides)} |"
    for row in rows:
        yield f"| {' | '.join(map(text, row))} |"


def text(text: str) -> str:
    """Text that means nothing to Markdown, HTML or GitHub; in one line."""
    safe: str = plain(text).translate(_ENTITIES)
    return _SPECIAL.sub(r"\\\g<0>", safe)


def code(text: str) -> str:
    return "`" + plain(text).replace("`", "'") + "`"
