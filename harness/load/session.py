"""One load from its options to its figures and its folder.

What is needed only after the load is imported after it, so that the first request leaves early.
"""

import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.load import manifest
from harness.load.arrivals import Floats
from harness.load.asking import Work
from harness.load.engine import ClosedLoop, LoadResult, OpenLoop, run_load, signals
from harness.load.glance import Glance
from harness.load.slo import Target
from harness.store import RunWriter, dump, write_atomically

if TYPE_CHECKING:
    from harness.load.observed import Observed
    from harness.scenario import Scenario

SPOOL = ".bodies"
FIGURES = "load.json"
HELD_BACK = "interrupted: writing what was recorded; again to leave at once"
AHEAD_S, MOST_AHEAD = 0.2, 2_000

Progress = Callable[[Callable[[], Glance]], None]
"""Called now and then with a function that has a look at the load."""


@dataclass(frozen=True, slots=True)
class Options:
    """What every load of a session has in common.

    ``scenarios``: answers are judged against them (none: a complete 2xx answer is ok). ``config``:
    the options as the manifest keeps them; ``command``: as typed.
    """

    work: Work
    scenarios: "Sequence[Scenario]" = field(repr=False)
    targets: tuple[Target, ...]
    timeout_s: float
    max_in_flight: int
    config: dict[str, Any]
    command: Sequence[str]


@dataclass(frozen=True, slots=True)
class Load:
    """A workload as the engine takes it and as people write it; ``window_s``: seconds over which an
    open loop sends (None: closed).
    """

    workload: OpenLoop | ClosedLoop
    text: str
    window_s: float | None


Shown = Callable[[Load], AbstractContextManager[Progress]]
"""Shows how far a load is."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A load that is over, all of it recorded."""

    result: LoadResult
    observed: "Observed"
    figures: dict[str, Any]
    stopped: bool
    """A signal came, be it when nothing was left to send: the caller is to end."""


def open_load(
    offsets: Floats, text: str, most: int, duration: float | None, *, callers: int | None = None
) -> Load:
    """An open loop with at most ``most`` requests in flight, or one in which requests wait for the
    first free of so many ``callers``. Without a ``duration`` its window ends a mean gap after its
    last request. As many connections are opened ahead as are needed if answers take 0.2 s: at a
    high rate the client would be late with opening them beside its first requests.
    """
    last = float(offsets[-1])
    window = duration if duration is not None else last + last / max(1, len(offsets) - 1)
    if callers is None:
        soon = int(offsets.searchsorted(offsets[0] + AHEAD_S))
        ahead = min(soon, most, MOST_AHEAD)
        return Load(OpenLoop(offsets, most, connections=ahead), text, window or None)
    loop = OpenLoop(offsets, callers, waits=True, connections=callers)
    return Load(loop, f"{text}, {callers} users", window or None)


def run(
    load: Load,
    options: Options,
    folder: Path,
    shown: Shown,
    tolerance_s: float = 0.0,
) -> Loaded:
    """Run one load, judge its answers, keep records and figures. Raises InputError.

    The first SIGINT or SIGTERM loses nothing: it ends the load, or waits until all is written. One
    more after ``HELD_BACK`` was said raises KeyboardInterrupt. ``shown``: shows the load until it
    is over. ``tolerance_s``: see ``results.Asked``.
    """
    stop = threading.Event()
    spool = folder / SPOOL if options.scenarios else None
    with signals(stop.set), _begin(folder, load.text, options) as writer:
        try:
            with shown(load) as progress:
                result = run_load(
                    options.work.target,
                    options.work.deck,
                    load.workload,
                    timeout_s=options.timeout_s,
                    bodies=spool,
                    stop=stop,
                    progress=progress,
                )
            with signals(_hold_back(stop)):
                observed, found = _evaluate(load, options, result, folder, tolerance_s)
                manifest.ended(writer.manifest, result, options.work, options.scenarios)
                writer.save_manifest()
                write_atomically(folder / FIGURES, dump(found))
        finally:
            if spool is not None:
                spool.unlink(missing_ok=True)
    return Loaded(result, observed, found, stop.is_set())


def _begin(folder: Path, text: str, options: Options) -> RunWriter:
    """The folder of a load, before anything is sent. Raises InputError."""
    config = {**options.config, "workload": text}
    return RunWriter.create(folder, manifest.begun(options.command, config, options.work.about))


def _hold_back(stop: threading.Event) -> Callable[[], None]:
    """Takes a signal that comes while a load is written: the first is kept in ``stop`` and told of,
    the second raises KeyboardInterrupt.
    """
    held = False

    def take() -> None:
        nonlocal held
        if held:
            raise KeyboardInterrupt
        held = True
        stop.set()
        print(HELD_BACK, file=sys.stderr, flush=True)

    return take


def _evaluate(
    load: Load, options: Options, result: LoadResult, folder: Path, tolerance_s: float
) -> "tuple[Observed, dict[str, Any]]":
    """Judge and record what came; what was observed, and its figures."""
    from harness.load.observed import observe
    from harness.load.recording import Played, write_answers, write_records
    from harness.load.results import Asked, figures

    work = options.work
    which = work.deck.which(result.columns.index)
    checked = read = None
    bodies = result.bodies
    if bodies is not None and work.form is not None:
        from harness.load.checking import READERS, check_answers, with_unusable

        if work.form in ("edit", "edit_stream"):
            result = replace(result, columns=with_unusable(result.columns, bodies))
        read = READERS[work.form]
        checked = check_answers(result.columns, bodies, options.scenarios, which, read)
    observed = observe(result.columns, None if checked is None else checked.outcome)
    streamed = work.target.stream is not None
    played = Played(result, observed, checked, work.names, which, streamed)
    write_records(folder, played)
    if read is not None:
        write_answers(folder, played, read)
    asked = Asked(
        work.url,
        {"text": load.text},
        load.window_s,
        options.targets,
        tolerance_s,
        isinstance(load.workload, ClosedLoop),
    )
    return observed, figures(asked, result, observed)
