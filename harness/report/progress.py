"""Tells on standard error how far a run is: a dashboard on a terminal, elsewhere a line at times.

A process of its own draws the dashboard (``live``), since drawing holds up whoever does it for
milliseconds. It costs a run nothing, and a load some microseconds four times a second.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import orjson

from harness.plain import plain
from harness.report.facts import simulated_label
from harness.report.live_screen import View, line
from harness.report.live_sources import Glances
from harness.report.live_tally import Tally
from harness.report.words import Lang, Words

if TYPE_CHECKING:
    from harness.load.glance import Glance
    from harness.records import TrialRecord
    from harness.session import Session

Look: TypeAlias = "Callable[[], Glance]"
LOOK_S = 0.25
LINE_S = 10.0
GIVE_UP_S = 2.0


@contextmanager
def show_run(
    session: "Session", folder: Path, *, quiet: bool, lang: Lang
) -> Iterator[Callable[["TrialRecord"], None]]:
    """A function to call with each record. ``quiet``: nothing is shown."""
    view = View(f"harness run: {_provider(session, lang)}", load=False, lang=lang)
    if quiet or session.already >= session.total:
        yield lambda record: None
    elif _on_terminal():
        with _drawing(view, _about_run(session, folder)):
            yield lambda record: None  # it reads the folder
    else:
        tally = Tally(time.monotonic(), total=session.total, already=session.already)
        say = _lines(view, tally)

        def count(record: "TrialRecord") -> None:
            tally.done += record.outcome != "cancelled"
            tally.now_running = record.pipeline
            if not record.warmup:
                tally.count(record.pipeline, record.outcome, record.response_time)
            say()

        yield count


@contextmanager
def show_load(
    text: str, *, total: int | None, seconds: float | None, quiet: bool, lang: Lang = "en"
) -> Iterator[Callable[[Look], None]]:
    """A function to call as often as you like, which has a look four times a second at most.

    ``text``: the target and the workload. The load ends after ``total`` requests or ``seconds``
    (None: not by that). ``quiet``: nothing is shown.
    """
    view = View(f"harness load: {text}", load=True, lang=lang)
    if quiet:
        yield lambda look: None
    elif _on_terminal():
        about = {"folder": None, "total": total, "already": 0, "seconds": seconds}
        with _drawing(view, about) as tell:
            yield seldom(lambda look: tell(look()._asdict()))
    else:
        tally = Tally(time.monotonic(), total=total, seconds=seconds)
        glances, say = Glances(tally), _lines(view, tally)

        def count(look: Look) -> None:
            glances.told(look()._asdict())
            say()

        yield seldom(count)


def _on_terminal() -> bool:
    """Whether standard error can be drawn upon."""
    dumb = os.environ.get("TERM", "dumb") in ("dumb", "unknown")
    return sys.stderr.isatty() and not dumb and not os.environ.get("CI")


def _provider(session: "Session", lang: Lang) -> str:
    config = session.config
    if not config.provider.startswith("sim"):
        return config.provider
    known = {"run": {"simulated": True, "time_scale": config.time_scale}}
    return f"{config.provider} ({simulated_label(known, Words(lang))})"


def _about_run(session: "Session", folder: Path) -> dict[str, Any]:
    workload = session.workload
    return {
        "folder": str(folder.absolute()),
        "total": session.total,
        "already": session.already,
        "seconds": None,
        "at_most": workload.kind == "rate" or workload.think > 0,
        "blocks": [(block.index, len(block.scenarios), block.arms) for block in session.blocks],
        "slots": {
            spec.name: 1 if spec.dispatch == "serial" else spec.slots for spec in session.specs
        },
    }


@contextmanager
def _drawing(view: View, about: Mapping[str, Any]) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """A process that draws, and a function that tells it something, if it has room to listen."""
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "harness.report.live"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the run, which then ends the drawing
    )
    pipe = child.stdin
    assert pipe is not None
    handle = pipe.fileno()

    def tell(message: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):  # full or gone: the view is not worth waiting for
            os.write(handle, orjson.dumps(message, option=_OPTIONS))

    known = {"title": view.title, "lang": view.lang, "pid": os.getpid(), "began": time.monotonic()}
    tell({**known, **about})
    os.set_blocking(handle, False)
    try:
        yield tell
    finally:
        _end(child, pipe)


_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY


def _end(child: "subprocess.Popen[bytes]", pipe: IO[bytes]) -> None:
    pipe.close()
    try:
        child.wait(GIVE_UP_S)
    except subprocess.TimeoutExpired:  # the terminal takes nothing
        child.kill()
        child.wait()


def seldom(take: Callable[[Look], None]) -> Callable[[Look], None]:
    """``take``, four times a second at most."""
    due = 0.0

    def seldom(look: Look) -> None:
        nonlocal due
        now = time.monotonic()
        if now >= due:
            due = now + LOOK_S
            take(look)

    return seldom


def _lines(view: View, tally: Tally) -> Callable[[], None]:
    """Prints the tally on standard error when ten seconds have passed since the last time."""
    due = time.monotonic() + LINE_S

    def say() -> None:
        nonlocal due
        now = time.monotonic()
        if now >= due:
            due = now + LINE_S
            tally.looked(now)
            print(plain(line(view, tally, now)), file=sys.stderr, flush=True)

    return say
