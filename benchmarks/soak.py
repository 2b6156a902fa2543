"""Does the service keep what it should let go? A steady rate, a model with faults, and slopes.

``python -m benchmarks.soak --minutes 10`` runs the simulator, the service and a pacer, each a
process of its own. Every route takes its turn, and some clients leave in the middle. Memory, tasks,
open files (sockets among them) and threads are read from ``/metrics`` once the warm-up is over. The
growth of each is given with its 95 % interval and held against what is allowed: wholly below it is
flat (exit code 0), wholly above it grows (1), anything else is unclear (3): run it for longer.
"""

import argparse
import asyncio
import itertools
import json
import random
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import aiohttp
import numpy as np
import statsmodels.api as sm  # type: ignore[import-untyped]

from harness.exit_codes import INCONCLUSIVE, OK, REFUTED
from harness.scenario import load_scenarios, shipped_dir

PROFILE = """
[edit]
ttft_s = { mean = 0.05, cv = 0.3 }
total_s = { mean = 0.2, cv = 0.3 }
[summary]
ttft_s = { mean = 0.02, cv = 0.3 }
total_s = { mean = 0.05, cv = 0.3 }
[answers]
right = 0.9
wrong = 0.04
malformed = 0.03
truncated = 0.03
[faults]
http_5xx = 0.02
rate_limited = 0.01
reset = 0.02
"""
SERVE = ("--concurrency", "64", "--jobs", "100", "--jobs-keep", "5", "--cache", "20")
SAMPLE_S = 0.25
WARM_SHARE, WARM_MOST_S = 0.4, 120.0  # the limit is found, caches fill, the heap finds its size
ROUTES = (
    "/edit-scenario",
    "/edit-scenario-async",
    "/edit-scenario-sync",
    "/edit-scenario-stream",
    "/edit-scenarios",
    "/jobs",
)
MEASURES: dict[str, tuple[str, float]] = {
    "memory": ("process_resident_memory_bytes", 6e6),
    "tasks": ("harness_tasks", 6.0),
    "files": ("process_open_fds", 6.0),
    "threads": ("harness_threads", 2.0),
}
"""What is watched: its name in /metrics, and how much it may grow after the warm-up. At 20 requests
a second a leak of one task or socket in a hundred requests is 7 in a minute, and 96 in ten.
"""
Verdict = Literal["flat", "GROWS", "unclear"]
EXIT: dict[Verdict, int] = {"flat": OK, "unclear": INCONCLUSIVE, "GROWS": REFUTED}


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth of one measure from the first sample to the last, with its 95 % interval."""

    name: str
    mean: float
    growth: float
    low: float
    high: float
    allowed: float

    @property
    def verdict(self) -> Verdict:
        if self.high <= self.allowed:
            return "flat"
        return "GROWS" if self.low > self.allowed else "unclear"


def slope(name: str, times: Sequence[float], values: Sequence[float], allowed: float) -> Slope:
    """Least squares over time; the interval allows for samples that resemble their neighbours
    (Newey and West, 1987).
    """
    lags = max(1, int(4 * (len(times) / 100) ** (2 / 9)))
    design = sm.add_constant(np.asarray(times))
    fit = sm.OLS(np.asarray(values), design).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
    span = times[-1] - times[0]
    low, high = fit.conf_int(0.05)[1] * span
    return Slope(
        name, float(np.mean(values)), float(fit.params[1] * span), float(low), float(high), allowed
    )


@contextmanager
def _child(*command: str) -> Iterator[str]:
    """A harness command that listens; gives its URL, and demands a clean end."""
    line = [sys.executable, "-m", "harness", *command, "--json"]
    child = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield json.loads(child.stdout.readline())["url"]
    finally:
        child.send_signal(signal.SIGTERM)
        if child.wait(60) != 0:
            raise SystemExit(f"{command[0]} ended with {child.returncode}")


class _Load:
    """Requests at a steady rate, whatever becomes of them; ``outcomes`` counts what did."""

    def __init__(self, session: aiohttp.ClientSession, rate: float) -> None:
        self._session = session
        self._rate = rate
        self._rng = random.Random(0)
        self._bodies = [
            {"chapterId": s.id, "story": s.story.to_json(), "editRequest": s.request}
            for s in load_scenarios([shipped_dir() / "short"])
        ]
        self._running: set[asyncio.Task[None]] = set()
        self.outcomes: Counter[str] = Counter()

    async def run(self, seconds: float) -> None:
        """The i-th request leaves at i/rate: a late one does not delay those after it."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for i in itertools.count():
            due = began + i / self._rate
            if due - began >= seconds:
                break
            await asyncio.sleep(max(0.0, due - loop.time()))
            task = asyncio.create_task(self._one(ROUTES[i % len(ROUTES)]))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        await asyncio.gather(*self._running)

    async def _one(self, path: str) -> None:
        body: dict[str, Any] = self._rng.choice(self._bodies)
        if path == "/edit-scenarios":
            body = {"scenarios": [body, body]}
        leaving = self._rng.random() < 0.1
        patience = self._rng.uniform(0.0, 0.2) if leaving else 60.0
        outcome = "left"
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                try:
                    outcome = await self._asked(path, body)
                except aiohttp.ClientError as error:
                    outcome = type(error).__name__
        self.outcomes[f"{path} {outcome}"] += 1

    async def _asked(self, path: str, body: dict[str, Any]) -> str:
        async with self._session.post(path, json=body) as response:
            answer = await response.read()
        if path == "/jobs" and response.status == 202 and self._rng.random() < 0.3:
            id_ = json.loads(answer)["id"]
            async with self._session.delete(f"/jobs/{id_}") as response:
                return f"cancelled {response.status}"
        return str(response.status)


async def _watch(session: aiohttp.ClientSession, seconds: float) -> list[list[float]]:
    """Rows of the time and every measure, until ``seconds`` have passed."""
    loop = asyncio.get_running_loop()
    began, rows = loop.time(), []
    while (now := loop.time() - began) < seconds:
        async with session.get("/metrics") as response:
            text = await response.text()
        found = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[:1] != "#")
        rows.append([now, *(float(found[name]) for name, _ in MEASURES.values())])
        await asyncio.sleep(SAMPLE_S)
    return rows


async def soak(url: str, seconds: float, rate: float) -> tuple[list[Slope], Counter[str]]:
    """The slopes after the warm-up, and what became of the requests."""
    # Connections that are kept would be counted as growth for as long as their number grows.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(url, connector=connector) as session:
        load = _Load(session, rate)
        rows, _ = await asyncio.gather(_watch(session, seconds), load.run(seconds))
    return slopes(rows, min(WARM_SHARE * seconds, WARM_MOST_S)), load.outcomes


def slopes(rows: Sequence[Sequence[float]], warm_s: float) -> list[Slope]:
    """The slope of every measure over ``rows`` of a time and its values, from ``warm_s`` on."""
    kept = [row for row in rows if row[0] >= warm_s]
    times = [row[0] for row in kept]
    return [
        slope(name, times, [row[i] for row in kept], allowed)
        for i, (name, (_, allowed)) in enumerate(MEASURES.items(), 1)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "soak.toml"
        profile.write_text(PROFILE, encoding="utf-8")
        with (
            _child("simulate", "--profile", str(profile)) as model,
            _child("serve", "--provider", model, *SERVE) as url,
        ):
            found, outcomes = asyncio.run(soak(url, given.minutes * 60, given.rate))
    show: Callable[[float], str] = "{:,.3g}".format
    for made in found:
        print(
            f"{made.name}: mean {show(made.mean)}, growth {show(made.growth)} "
            f"[{show(made.low)}, {show(made.high)}], allowed {show(made.allowed)}: "
            f"{made.verdict}"
        )
    for outcome, count in sorted(outcomes.items()):
        print(f"{outcome}: {count}")
    verdicts = {made.verdict for made in found}
    return next(EXIT[v] for v in ("GROWS", "unclear", "flat") if v in verdicts)


if __name__ == "__main__":
    sys.exit(main())
