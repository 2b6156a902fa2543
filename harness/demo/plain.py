"""The demo in the terminal: the five ways one after the other, with their clocks."""

from collections.abc import Sequence
from itertools import islice
from typing import Any, TextIO

from harness.clock import MonotonicClock
from harness.demo.asked import Batch
from harness.demo.client import Client
from harness.demo.results import Result, results
from harness.demo.ways import WAYS, Progress, go
from harness.demo.words import Words
from harness.plain import plain, table
from harness.report.differences import Piece, pieces
from harness.story import altered

MOST_CHANGES = 6
MOST_CHARS = 90  # of a text that is shown
AROUND = 16  # characters of what is kept, on each side of a difference
_SIGNS = {"kept": ("", ""), "gone": ("[-", "-]"), "come": ("{+", "+}")}


async def run_plain(url: str, batch: Batch, words: Words, out: TextIO) -> list[Progress]:
    """Go all five ways through the service at ``url``, telling of each on ``out``."""
    clock = MonotonicClock()
    gone = []
    async with Client(url) as client:
        for number, way in enumerate(WAYS, start=1):
            edits = batch if way == "batch" else batch[:1]
            about = words(f"about.{way}", n=len(edits))
            _say(out, f"\n{number}. {words(f'way.{way}')}: {about}")
            progress = Progress(way, edits, clock, watch=_Teller(words, out))
            await go(progress, client)
            for line in _told(progress, words):
                _say(out, f"   {line}")
            gone.append(progress)
    return gone


def closing(gone: Sequence[Progress], words: Words) -> str:
    """The clocks as a table, and whether all ways brought a story."""
    head = [words(f"plain.head_{name}") for name in ("way", "elapsed", "ttft", "result")]
    rows = [head]
    for progress in gone:
        ttft = words("plain.no_ttft") if progress.ttft is None else f"{progress.ttft:.2f} s"
        result = " / ".join(_verdict(result, words) for result in results(progress))
        rows.append([words(f"way.{progress.way}"), f"{progress.elapsed:.2f} s", ttft, result])
    bad = [words(f"way.{progress.way}") for progress in failed(gone)]
    last = words("plain.some_failed", ways=", ".join(bad)) if bad else words("plain.all_done")
    return f"{table(rows, right=(1, 2))}\n\n{last}"


def failed(gone: Sequence[Progress]) -> list[Progress]:
    """The ways that brought no edited story for at least one of their edits."""
    return [
        progress
        for progress in gone
        if any(result.story is None for result in results(progress)) or not progress.results
    ]


def as_json(gone: Sequence[Progress]) -> dict[str, Any]:
    """The clocks and the results for machines; times in seconds, null where there is none."""
    return {
        "ways": [
            {
                "way": progress.way,
                "state": progress.state,
                "elapsed_s": progress.elapsed,
                "ttft_s": progress.ttft,
                "results": [_item(result) for result in results(progress)],
            }
            for progress in gone
        ],
        "failed": len(failed(gone)),
    }


class _Teller:
    """Prints each change of state once, and how many turns have come."""

    def __init__(self, words: Words, out: TextIO) -> None:
        self._words = words
        self._out = out
        self._told: set[str] = set()

    def __call__(self, progress: Progress) -> None:
        said = self._words(f"state.{progress.state}")
        turns = min(progress.text.count('"turn_number"'), len(progress.edits[0].story.turns))
        if turns and not progress.over:
            all_ = len(progress.edits[0].story.turns)
            said += f" · {self._words('run.turns', n=turns, all=all_)}"
        if said not in self._told:
            self._told.add(said)
            _say(self._out, f"   {progress.elapsed or 0.0:6.2f} s  {said}")


def _told(progress: Progress, words: Words) -> list[str]:
    """Each result in a few lines: its verdict, its summary, its first differences."""
    lines = []
    found = results(progress)
    for number, result in enumerate(found, start=1):
        name = f"{words('result.edit', n=number)}: " if len(found) > 1 else ""
        lines.append(f"{name}{_verdict(result, words)}")
        if result.problem is not None:
            lines.append(f"  {result.problem.detail}")
        if result.story is None:
            continue
        if result.summary:
            lines.append(f"  {words('result.summary')}: {result.summary}")
        changed = altered(result.asked.story, result.story)
        for field, old, new in islice(changed, MOST_CHANGES if len(found) == 1 else 1):
            place = words("checks.at", n=field.turn, field=field.path)
            lines.append(f"  {place}: {_shown(pieces(old, new))}")
        left = len(changed) - (MOST_CHANGES if len(found) == 1 else 1)
        if left > 0:
            lines.append(f"  {words('result.more', n=left)}")
    return lines


def _verdict(result: Result, words: Words) -> str:
    if result.problem is not None:
        return words.known(f"problem.{result.problem.type}", words("problem.other"))
    if not result.checks:
        return words("checks.unjudged")
    failed_, all_ = result.failed_checks, len(result.checks)
    if failed_:
        return words("checks.some_fail", k=failed_, n=all_)
    return words("checks.all_hold", n=all_)


def _shown(parts: Sequence[Piece]) -> str:
    """A difference in one line: what is kept only near what is not."""
    shown = ""
    for number, (kind, text) in enumerate(parts):
        if kind == "kept" and len(text) > 2 * AROUND:
            head = text[:AROUND] if number else ""
            tail = text[-AROUND:] if number < len(parts) - 1 else ""
            text = f"{head}…{tail}"
        elif len(text) > MOST_CHARS:
            text = f"{text[:MOST_CHARS]}…"
        before, after = _SIGNS[kind]
        shown += f"{before}{text}{after}"
    return shown


def _item(result: Result) -> dict[str, Any]:
    problem = result.problem
    return {
        "scenario": result.asked.chapter,
        "summary": result.summary,
        "checks": [{"id": check.id, "ok": check.ok, "why": check.why} for check in result.checks],
        "error": problem and {"type": problem.type, "message": problem.detail},
    }


def _say(out: TextIO, line: str) -> None:
    print("\n".join(plain(part) for part in line.split("\n")), file=out, flush=True)
