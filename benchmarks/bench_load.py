"""Load generators side by side against a mock server far faster than any of them.

``python -m benchmarks.bench_load [--quick] [--peers] [--only TEXT] [--write]``: server and client
on a core each, clients in turn, medians of three rounds; ratios in one run count, absolute figures
move. What a client reports is held against the server's own log, and all of it against the goals.
``--write`` replaces this benchmark's part of ``RESULTS.md``; raw figures go beside it.
"""

import argparse
import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.load_goals import OURS, STALL_DELAY_S, STALL_RATE, STALL_S, Found, Goal, goals
from benchmarks.load_peers import PEERS, install
from benchmarks.load_run import Job, Ran, run

RESULTS = Path(__file__).with_name("RESULTS.md")
RAW = Path(__file__).with_name("results-load.json")
NOTES = Path(__file__).with_name("load-notes.md")
BEGIN, END = "<!-- load: begin -->", "<!-- load: end -->"
PEER_JOBS = ("small requests", "500 streams")

_DELAY = ("--delay-ms", "100")
_STALL = (
    "--delay-ms",
    f"{1000 * STALL_DELAY_S:g}",
    "--stall-at",
    "2",
    "--stall-for",
    f"{STALL_S:g}",
)
_AT_ONCE = ("--ttft-ms", "0", "--gap-ms", "0")
JOBS = (
    Job("small requests", "plain", 64, (OURS, "wrk", "aiohttp", "locust", "openai"), 2),
    Job("100 streams", "stream", 100, (OURS,), 4, rounds=1),
    # Longer than the others, so that one pause of the machine does not decide.
    Job("500 streams", "stream", 500, (OURS, "aiohttp", "locust", "openai"), 20),
    Job("1,000 streams", "stream", 1000, (OURS, "aiohttp", "locust"), 8),
    Job("2,000 streams", "stream", 2000, (OURS,), 4, rounds=1),
    Job("open loop, 300/s", "open", 300, (OURS, "aiohttp", "openai"), 3, _DELAY),
    Job("open loop, 1,000/s", "open", 1000, (OURS, "aiohttp"), 3, _DELAY),
    Job("open loop, 10,000/s", "open", 10_000, (OURS,), 3, _DELAY),
    Job("trace replay", "trace", 300, (OURS,), 6, ("--delay-ms", "20")),
    Job("stall, open loop", "open", STALL_RATE, (OURS,), 8, _STALL, rounds=1),
    Job("stall, twenty callers", "open", STALL_RATE, (OURS,), 8, _STALL, rounds=1, callers=20),
    Job("beyond the client", "open", 150_000, (OURS,), 1, rounds=1),
    Job("few streams", "stream", 64, (OURS,), 0, _AT_ONCE, requests=1_000, rounds=1),
    Job("many streams", "stream", 64, (OURS,), 0, _AT_ONCE, 100_000, 1, limit_s=120),
    Job("1 M requests", "plain", 64, (OURS,), 0, (), 1_000_000, 1, limit_s=120),
)


def quick(job: Job) -> Job:
    """The same load, shorter: it shows that everything works, not how well."""
    fewer = None if job.requests is None else max(1_000, job.requests // 20)
    stalled = "stall" in job.name
    return replace(job, seconds=job.seconds if stalled else min(job.seconds, 1.5), requests=fewer)


def measure(jobs: Sequence[Job], rounds: int, say: Callable[[str], None]) -> Found:
    """Every client under every load, rounds in turn; in place of its rounds, why it failed."""
    found: dict[str, dict[str, list[Ran] | str]] = {}
    for job in jobs:
        clients = found[job.name] = {client: _missing(client) or [] for client in job.clients}
        best = _best(found)
        if job.name == "beyond the client" and best:
            job = replace(job, number=round(2 * best))
        for number in range(job.rounds or rounds):
            for client in job.clients:
                kept = clients[client]
                if isinstance(kept, str) or (client in PEERS and number):
                    continue  # once is enough for ratios of hundreds
                try:
                    kept.append(run(job, client))
                    say(f"{job.name}, {client}, round {number + 1}: {kept[-1].per_second:,.0f}/s")
                except (RuntimeError, OSError, ValueError, KeyError) as error:
                    why = " ".join(str(error).split())[:200] or type(error).__name__
                    clients[client] = why
                    say(f"{job.name}, {client}: failed: {why}")
    return found


def _best(found: Found) -> float | None:
    """The most requests per second that ours did."""
    runs = found.get("small requests", {}).get(OURS, ())
    return max((ran.per_second for ran in runs if isinstance(ran, Ran)), default=None)


def _missing(client: str) -> str | None:
    """Why a client cannot be run; None: it can."""
    if client == "wrk" and not shutil.which("wrk"):
        return "is not installed (Debian: apt-get install wrk)"
    return install(client) if client in PEERS else None


# --- as Markdown ---

HEAD = (
    "client", "requests/s", "ours ÷ it", "CPU ms a request", "core", "MB", "first request, s",
    "reported p50/p99, ms", "server's p50/p99, ms", "ITL p50/p99, ms", "issue delay p99, ms",
    "gap error p99, ms", "valid",
)  # fmt: skip


def tables(found: Found) -> str:
    """Medians over the rounds, one table a load."""
    lines: list[str] = []
    for job, clients in found.items():
        lines += ["", f"### {job}", "", _line(HEAD), _line(["---"] * len(HEAD))]
        ours = clients.get(OURS, ())
        for client, runs in clients.items():
            if isinstance(runs, str):
                lines.append(_line([client, f"not run: {runs}", *[""] * (len(HEAD) - 2)]))
            elif runs:
                lines.append(_line([client, *_row(runs, ours)]))
    return "\n".join(lines).lstrip("\n")


def _row(runs: Sequence[Ran], ours: Sequence[Ran] | str) -> list[str]:
    def middle(figure: Callable[[Ran], float | None]) -> float | None:
        values = [value for ran in runs if (value := figure(ran)) is not None]
        return statistics.median(values) if values else None

    def pair(of: Callable[[Ran], dict[str, float | None] | dict[str, float]], kind: str) -> str:
        middling = middle(lambda ran: of(ran).get(f"{kind} p50"))
        late = middle(lambda ran: of(ran).get(f"{kind} p99"))
        return f"{_ms(middling)}/{_ms(late)}"

    rate = statistics.median(ran.per_second for ran in runs)
    kind = "ttft" if "ttft p50" in runs[-1].true else "response"
    best = (
        0.0 if isinstance(ours, str) or not ours else statistics.median(r.per_second for r in ours)
    )
    broken = None if runs[0].broken is None else sorted({b for r in runs for b in r.broken or ()})
    return [
        f"{rate:,.0f}",
        f"{best / rate:.2f}" if best else "–",
        f"{middle(lambda ran: ran.cpu_ms):.3f}",
        "–" if (core := middle(lambda ran: ran.core_share)) is None else f"{core:.2f}",
        f"{middle(lambda ran: ran.rss_mb):.0f}",
        f"{middle(lambda ran: ran.first_s):.2f}",
        pair(lambda ran: ran.reported, kind),
        pair(lambda ran: ran.true, kind),
        pair(lambda ran: ran.reported, "itl"),
        _ms(middle(lambda ran: ran.reported.get("issue delay p99"))),
        _ms(middle(lambda ran: ran.spacing)),
        "–" if broken is None else "no: " + ", ".join(broken) if broken else "yes",
    ]


def goal_table(reached: Sequence[Goal]) -> str:
    """Every goal with what was measured."""
    lines = [_line(["goal", "measured", "to reach", ""]), _line(["---"] * 4)]
    for goal in reached:
        value = "–" if goal.value is None else f"{goal.value:.4g}"
        sign = "≥" if goal.least else "≤"
        note = f" ({goal.note})" if goal.note else ""
        lines.append(_line([goal.text, value, f"{sign} {goal.limit:.4g}", goal.verdict + note]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1000 * seconds:.2f}"


def machine() -> str:
    """When, where and with which versions."""
    known = [f"Python {platform.python_version()}"]
    for name in ("aiohttp", "locust", "numpy", "openai", "uvloop"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            known.append(f"{name} {importlib.metadata.version(name)}")
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, timeout=10).stdout
        known.append(" ".join(said.split()[:2]))
    with contextlib.suppress(OSError):
        cpu = Path("/proc/cpuinfo").read_text("utf-8").partition("model name")[2]
        known.append(cpu.partition("\n")[0].strip("\t :"))
    now = datetime.datetime.now(datetime.UTC)
    busy = os.getloadavg()[0]
    return (
        f"{now:%Y-%m-%d %H:%M} UTC; {', '.join(known)}; {os.cpu_count()} processors, "
        f"Linux {platform.release()}; load average at the end {busy:.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round: does it work?")
    parser.add_argument("--peers", action="store_true", help=f"install and run {', '.join(PEERS)}")
    parser.add_argument("--only", metavar="TEXT", default="", help="loads whose name has this")
    parser.add_argument("--write", action="store_true", help="write benchmarks/RESULTS.md")
    args = parser.parse_args()
    if (os.cpu_count() or 1) < 2 or not shutil.which("taskset"):
        sys.exit("bench_load: needs taskset and two processors, one each for server and client")
    jobs = [job for job in JOBS if args.only in job.name]
    if args.peers:
        jobs = [_with_peers(job) for job in jobs]
    rounds = 1 if args.quick else 3
    found = measure(
        [quick(job) for job in jobs] if args.quick else jobs,
        rounds,
        lambda text: print(text, file=sys.stderr, flush=True),
    )
    text = (
        f"## Load\n\n{machine()}; {rounds} rounds, medians"
        f"{'; quick: short loads' if args.quick else ''}.\n\n### Goals\n\n"
        f"{goal_table(list(goals(found)))}\n\n{tables(found)}\n\n{NOTES.read_text('utf-8')}"
    )
    print(text)
    if args.write:
        _write(text, found)


def _with_peers(job: Job) -> Job:
    if job.name not in PEER_JOBS:
        return job
    return replace(job, clients=(*job.clients, *PEERS), limit_s=240)


def _write(text: str, found: Found) -> None:
    part = f"{BEGIN}\n{text}{END}\n"
    old = RESULTS.read_text("utf-8") if RESULTS.exists() else "# Results\n\n"
    before, _, rest = old.partition(BEGIN)
    RESULTS.write_text(before + part + rest.partition(f"{END}\n")[2], "utf-8")
    raw = {
        job: {
            client: runs if isinstance(runs, str) else [asdict(ran) for ran in runs]
            for client, runs in clients.items()
        }
        for job, clients in found.items()
    }
    RAW.write_text(json.dumps(raw, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
