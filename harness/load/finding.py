"""Finds the capacity of a server: loads of rising rate, each a run of its own, and their curve."""

import datetime
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness import environment
from harness.errors import InputError
from harness.load import capacity, curve, session
from harness.load.arrivals import MOST_REQUESTS, window_full
from harness.load.curve import Point
from harness.load.engine import ClosedLoop, run_load
from harness.load.judging import judge, least_requests
from harness.load.searching import LONGER, search
from harness.load.slo import Target, with_success
from harness.store import MANIFEST, dump, write_atomically

CAPACITY = "capacity.json"
GUESS_REQUESTS = 10
GUESS_S = 30.0
LOWEST_SHARE = 1 / 16  # of the rate that the search begins with
HIGHEST_RATE = 200_000.0
TOLERANCE = 0.05
SETTLING = 10  # times as long as an answer takes by itself does a step last at least


@dataclass(frozen=True, slots=True)
class Search:
    """How to search. ``start``: the first rate per second (None: what one user by himself
    gets); a step has at least ``requests`` requests and lasts at least ``seconds``, and ten times
    as long as that user waits for an answer, since a load that ends before its queue settles
    shows an empty server filling up.
    """

    start: float | None
    arrival: str
    seed: int
    requests: int
    seconds: float


class Interrupted(Exception):  # noqa: N818
    """The search was stopped; the steps so far are kept."""


def find(
    options: session.Options,
    how: Search,
    folder: Path,
    step_done: Callable[[Point], None],
    shown: session.Shown,
) -> dict[str, Any]:
    """Search, each step recorded in a folder of its own below ``folder``; the figures, also
    written as ``capacity.json`` after every step. Raises InputError.

    Where the targets leave it open, as large a share of the answers must be right as of the times
    must be within their limits: what is fast and wrong is no capacity.
    """
    options = replace(options, targets=with_success(options.targets))
    least = max(how.requests, least_requests(options.targets))
    if least * LONGER >= MOST_REQUESTS:
        raise InputError(f"--slo: takes {least:,} requests a step to be certain; ask for less")
    _new(folder)
    about = _about(options)
    looks, stopped = 0, False

    def look(rate: float, count: int) -> tuple[capacity.Verdict, Point]:
        nonlocal looks, stopped
        if stopped:
            raise Interrupted
        looks += 1
        name = f"step-{looks:02}"
        loaded = _step(options, how, rate, count, folder / name, how.seed + looks, shown)
        stopped = loaded.stopped
        if loaded.result.interrupted:
            raise Interrupted
        checks = loaded.figures["validity"]["checks"]
        unfit = {check["name"]: check["remedy"] for check in checks if not check["ok"]}
        judged = judge(options.targets, loaded.observed, unfit)
        point = curve.point(rate, name, loaded.figures, judged, loaded.observed)
        return judged.verdict, point

    points: list[Point] = []

    def keep(*, interrupted: bool = False) -> dict[str, Any]:
        figures = _figures(options, about, points, interrupted)
        write_atomically(folder / CAPACITY, dump(figures))
        return figures

    try:
        alone_s = _alone(options)
        start = how.start if how.start is not None else 1 / alone_s
        plan = capacity.Plan(start, start * LOWEST_SHARE, HIGHEST_RATE)
        seconds = max(how.seconds, SETTLING * alone_s)
        for step in search(plan, look, requests=least, seconds=seconds):
            points.append(step.seen)
            keep()
            step_done(step.seen)
    except Interrupted:
        return keep(interrupted=True)
    return keep(interrupted=stopped)


def _new(folder: Path) -> None:
    """A folder for the steps, before anything is sent. Raises InputError."""
    if any(any(folder.glob(name)) for name in (CAPACITY, MANIFEST, "step-*")):
        raise InputError(f"{folder}: holds another run or search; give another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror}") from error


def _step(
    options: session.Options,
    how: Search,
    rate: float,
    count: int,
    folder: Path,
    seed: int,
    shown: session.Shown,
) -> session.Loaded:
    offsets = window_full(rate, how.arrival, seed, count)
    text = f"{count} at {rate:.4g} per second, {how.arrival}"
    load = session.open_load(offsets, text, options.max_in_flight, count / rate)
    return session.run(load, options, folder, shown, _tolerance(options.targets))


def _tolerance(targets: Sequence[Target]) -> float:
    """5 % of the tightest limit, in seconds. To a target a late client makes the server look
    slower, never faster, so that what holds despite it holds.
    """
    limits = [target.limit for target in targets if target.limit is not None]
    return TOLERANCE * min(limits, default=0.0)


def _alone(options: session.Options) -> float:
    """For how many seconds one user by himself waits, whom any server that works can bear."""
    user = ClosedLoop(users=1, requests=GUESS_REQUESTS, duration_s=GUESS_S)
    work = options.work
    result = run_load(work.target, work.deck, user, timeout_s=options.timeout_s)
    if result.interrupted:
        raise Interrupted
    columns = result.columns
    times = (columns.done - columns.sent)[columns.answered]
    if not times.size:
        raise InputError(
            f"{work.url}: not one of {len(columns)} requests was answered; "
            "try harness load with --users 1 to see why"
        )
    return float(np.median(times))


def _about(options: session.Options) -> dict[str, Any]:
    """What makes the search again: its command and options, when it began, where, and on what."""
    about = options.work.about
    return {
        "command": shlex.join(options.command),
        "config": options.config,
        "provider": about,
        "simulated": bool(about["simulated"]),
        "time_scale": about.get("time_scale"),
        "started": datetime.datetime.now().astimezone().isoformat(timespec="milliseconds"),
        "environment": environment.describe(),
    }


def _figures(
    options: session.Options, about: dict[str, Any], points: list[Point], interrupted: bool
) -> dict[str, Any]:
    tried = [capacity.Tried(point.offered, point.verdict) for point in points]
    found = capacity.found(tried) if tried else None
    bend = curve.knee(points)
    return {
        "target": options.work.url,
        "slo": [target.text for target in options.targets],
        "capacity": None if found is None else asdict(found),
        "knee": None if bend is None else {"offered": bend.offered, "p95": bend.p95},
        "steps": [asdict(point) for point in points],
        "interrupted": interrupted,
        "run": about,
    }
