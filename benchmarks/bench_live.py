"""What the live view costs the measurement: ``python -m benchmarks.bench_live [ROUNDS] [--cpu N]``.

Runs the same work in turns without a view, with the view as shipped (a process of its own), and
with two that draw in the measuring process itself: rich's own live display, and lines written by
hand, each on a thread. Standard error of the measuring process is a terminal that is read as fast
as it writes. ``--cpu``: the measuring process, and with it its view, is kept to that processor.
"""

import argparse
import json
import os
import pty
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

MODES = ("none", "process", "lines", "rich")
ROOT = Path(__file__).parent.parent
RATE, SECONDS, USERS = 1000, 5.0, 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", nargs="?", type=int, default=5)
    parser.add_argument("--cpu", type=int)
    parser.add_argument("--one", nargs=3, metavar=("WORK", "MODE", "URL"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        work, mode, url = args.one
        with view(mode) as tell:
            found = WORK[work](mode, tell, url)
        print(json.dumps(found))
        return
    with mock_server() as url:
        for work in WORK:
            seen = {mode: [] for mode in MODES}
            for _ in range(args.rounds):
                for mode in MODES:
                    seen[mode].append(one(work, mode, url, args.cpu))
            show(work, seen)


def show(work: str, seen: dict[str, list[dict[str, float]]]) -> None:
    """A table of medians, with the least and the most of the rounds."""
    print(f"\n{work}, {len(seen['none'])} rounds: median (least to most)\n")
    names = list(seen["none"][0])
    print("| view | " + " | ".join(names) + " |\n| --- |" + " --- |" * len(names))
    for mode, rows in seen.items():
        cells = []
        for name in names:
            values = sorted(row[name] for row in rows)
            middle = statistics.median(values)
            cells.append(f"{middle:,.4g} ({values[0]:,.4g} to {values[-1]:,.4g})")
        print(f"| {mode} | " + " | ".join(cells) + " |", flush=True)


def one(work: str, mode: str, url: str, cpu: int | None) -> dict[str, float]:
    """One measurement in a process of its own, whose standard error is a terminal."""
    master, slave = pty.openpty()
    env = {key: value for key, value in os.environ.items() if key != "CI"} | {"TERM": "xterm"}
    pinned = () if cpu is None else ("taskset", "-c", str(cpu))
    with subprocess.Popen(
        [*pinned, sys.executable, "-m", "benchmarks.bench_live", "--one", work, mode, url],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=slave,
    ) as process:
        os.close(slave)
        threading.Thread(target=drain, args=(master,), daemon=True).start()
        out = process.communicate()[0]
    found: dict[str, float] = json.loads(out)
    return found


def drain(master: int) -> None:
    try:
        while os.read(master, 1 << 16):
            pass
    except OSError:  # the other end is closed
        os.close(master)


@contextmanager
def mock_server() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        program = f"{folder}/mock_server"
        source = ROOT / "benchmarks" / "mock_server.c"
        subprocess.run(["cc", "-O2", "-o", program, str(source)], check=True)
        with subprocess.Popen(
            [program, "--port", "0"], stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            yield server.stdout.readline().removeprefix("listening on ").strip()
            server.terminate()


# --- the views ---


class Shared:
    """What the views that draw in this process know."""

    def __init__(self) -> None:
        from harness.report.live_tally import Tally

        self.tally = Tally(time.monotonic(), total=1000)

    def trial(self, record: Any) -> None:
        self.tally.done += 1
        self.tally.count(record.pipeline, record.outcome, record.response_time)

    def glance(self, look: Callable[[], Any]) -> None:
        seen = look()
        self.tally.done = seen.finished
        self.tally.arm("load").times.add(seen.times_s)


@contextmanager
def view(mode: str) -> Iterator[Shared | None]:
    """A view that draws in this process, where ``mode`` is one."""
    if mode in ("none", "process"):
        yield None
        return
    from harness.report.live_screen import View, dashboard, line

    shared, about = Shared(), View("bench", load=False, lang="en")

    def looked() -> float:
        now = time.monotonic()
        shared.tally.looked(now)
        return now

    if mode == "rich":
        from rich.console import Console
        from rich.live import Live

        def render() -> Any:
            return dashboard(about, shared.tally, looked(), 0.5)

        with Live(get_renderable=render, refresh_per_second=4, console=Console(stderr=True)):
            yield shared
        return
    stop = threading.Event()

    def draw() -> None:
        while not stop.wait(0.25):
            text = line(about, shared.tally, looked())
            lines = [f"\x1b[K{text[i : i + 90]}" for i in range(0, len(text), 90)]
            os.write(2, ("\n".join(lines) + f"\x1b[{len(lines)}F").encode())

    thread = threading.Thread(target=draw, daemon=True)
    thread.start()
    yield shared
    stop.set()
    thread.join()


# --- the work ---


def a_run(mode: str, shared: Shared | None, url: str) -> dict[str, float]:
    """``harness run`` against the simulated model in this process, fifty times faster than life."""
    from harness.clock import run_loop
    from harness.execute import record
    from harness.report.progress import show_run
    from harness.scenario import shipped_dir
    from harness.session import new_session
    from harness.store import RunWriter, read_run
    from harness.summary import summarise

    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "run"
        session = new_session(
            {
                "scenarios": [str(shipped_dir() / "short")],
                "pipelines": ["async"],
                "provider": "sim:report-2025",
                "time_scale": 0.02,
                "concurrency": 8,
                "repeats": 25,
            }
        )
        with (
            RunWriter.create(folder, session.manifest(["bench"])) as writer,
            show_run(session, folder, quiet=mode != "process", lang="en") as progress,
        ):
            run_loop(record(session, writer, shared.trial if shared else progress))
        run = read_run(folder)
        figures = summarise(run)
    lag = np.array([x for block in run.blocks if not block.warmup for x in block.lag_s])
    times = figures["pipelines"]["async"]
    return {
        "loop lag p50, ms": 1e3 * float(np.quantile(lag, 0.5)),
        "p99, ms": 1e3 * float(np.quantile(lag, 0.99)),
        "most, ms": 1e3 * float(lag.max()),
        "client's error p50, ms": 1e3 * figures["client_error_s"]["p50"],
        "its p99, ms": 1e3 * figures["client_error_s"]["p99"],
        "CPU a trial, ms": 1e3 * times["resources"]["cpu_s_per_trial"],
    }


def open_load(mode: str, shared: Shared | None, url: str) -> dict[str, float]:
    """1,000 requests a second, each answered after 100 ms."""
    from harness.load.engine import OpenLoop

    offsets = np.arange(int(RATE * SECONDS)) / RATE
    result = load(mode, shared, url, "/delay/100", OpenLoop(offsets, connections=150))
    columns, client = result.columns, result.client
    late = columns.sent - columns.scheduled
    response = columns.done - columns.scheduled
    return {
        "issue delay p50, ms": 1e3 * float(np.quantile(late, 0.5)),
        "its p99, ms": 1e3 * float(np.quantile(late, 0.99)),
        "response p50, ms": 1e3 * float(np.quantile(response, 0.5)),
        "response p99, ms": 1e3 * float(np.quantile(response, 0.99)),
        "loop lag p99, ms": 1e3 * float(np.quantile(client.loop_lag, 0.99)),
        "CPU, % of a core": 100 * client.cpu_share,
    }


def closed_load(mode: str, shared: Shared | None, url: str) -> dict[str, float]:
    """64 users who ask again at once."""
    from harness.load.engine import ClosedLoop

    workload = ClosedLoop(users=USERS, duration_s=SECONDS)
    result = load(mode, shared, url, "/delay/0", workload)
    response = result.columns.done - result.columns.scheduled
    return {
        "requests/s": len(result.columns) / result.duration_s,
        "response p50, ms": 1e3 * float(np.quantile(response, 0.5)),
        "response p99, ms": 1e3 * float(np.quantile(response, 0.99)),
        "loop lag p99, ms": 1e3 * float(np.quantile(result.client.loop_lag, 0.99)),
    }


def load(mode: str, shared: Shared | None, url: str, path: str, workload: Any) -> Any:
    from urllib.parse import urlsplit

    from harness.load.engine import run_load
    from harness.load.target import Deck, Request, Target
    from harness.report.progress import seldom, show_load

    where = urlsplit(url)
    assert where.hostname is not None
    assert where.port is not None
    target = Target(where.hostname, where.port)
    deck = Deck(target, [Request("GET", path, (), b"")])
    with show_load(url, total=None, seconds=SECONDS, quiet=mode != "process") as tell:
        progress = tell if shared is None else seldom(shared.glance)
        return run_load(target, deck, workload, progress=progress)


WORK: dict[str, Callable[[str, Shared | None, str], dict[str, float]]] = {
    "harness run": a_run,
    "harness load, 1,000/s": open_load,
    "harness load, 64 users": closed_load,
}

if __name__ == "__main__":
    main()
