"""One client under one load: its command, what it used and said, and what the server saw of it.

Server and client have a core each. Every child has a time limit, and nothing here is a client's
word alone: rates and times are of the server's own log.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from benchmarks.load_clients import SPREAD_S
from benchmarks.load_peers import peer_command
from benchmarks.mock_server import read_truth, running

SERVER_CORE, CLIENT_CORE = 0, 1
ROOT = Path(__file__).parents[1]
PYCACHE = Path(tempfile.gettempdir()) / f"harness-bench-pycache-{os.getuid()}"
FEWEST = 6  # requests of a client that works
START_S = 60  # a child may need so long to start and to end

Kind = Literal["plain", "stream", "open", "trace"]


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of load. ``number``: in flight, or for ``open`` requests per second.

    ``seconds``: how long it lasts, ``requests`` in place of it; ``server``: its options; ``rounds``
    None: as many as the benchmark makes, else so many. ``limit_s``: after which a client is given
    up. ``callers``: so many carry an open loop, which only ours knows.
    """

    name: str
    kind: Kind
    number: int
    clients: tuple[str, ...]
    seconds: float
    server: tuple[str, ...] = ()
    requests: int | None = None
    rounds: int | None = None
    limit_s: float = 60.0
    callers: int | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """What one client did; seconds, unless named otherwise. ``reported``: as it says itself;
    ``true``: as the server saw it.

    ``cpu_ms``: a request, while the load lasted (of wrk and peers: of the whole life);
    ``core_share``: processor time over the load's (None: it is known of the whole life only);
    ``rss_mb``: the most of its whole life, of one process; ``run_rss_mb``: until the load was over;
    ``first_s``: from the command to the first request; ``after_s``: from the last answer to its
    end, its report included; ``spacing``: p99 of how far gaps between arrivals at the server differ
    from the schedule's. ``broken``: which of its own checks failed (None: it has none).
    """

    requests: int
    per_second: float
    cpu_ms: float
    core_share: float | None
    rss_mb: float
    run_rss_mb: float | None
    first_s: float
    after_s: float
    reported: dict[str, float | None]
    true: dict[str, float]
    spacing: float | None
    broken: list[str] | None


@dataclass(frozen=True, slots=True)
class Said:
    """What a client says of itself: times and processor time in seconds."""

    reported: dict[str, float | None] = field(default_factory=dict)
    cpu_s: float | None = None
    rss_mb: float | None = None
    broken: list[str] | None = None


def run(job: Job, client: str) -> Ran:
    """One client under one load. Raises RuntimeError with the reason when it does not end well."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "truth"
        offsets = _offsets(job)
        (folder / "trace.jsonl").write_text(
            "".join(f'{{"timestamp": {moment:.6f}}}\n' for moment in offsets)
        )
        with running(*job.server, log=log, core=SERVER_CORE) as url:
            began = time.perf_counter()
            printed, usage = _timed(_command(job, client, url, folder), folder, job.limit_s)
            ended = time.perf_counter()
        truth = read_truth(log)
    if job.kind == "stream":
        truth = truth[truth["tokens"] > 0]
    if len(truth) < min(job.number, FEWEST):
        said_last = _last_line(printed) or "nothing"
        raise RuntimeError(f"the server saw {len(truth)} requests of it; it said: {said_last}")
    said = _said(client, printed)
    arrived, last = np.sort(truth["arrived"]), float(truth["end"].max())
    lasted = max(last - float(arrived[0]), 1e-9)
    cpu_s = said.cpu_s or usage.ru_utime + usage.ru_stime
    return Ran(
        requests=len(truth),
        per_second=_per_second(job, arrived, truth["end"]),
        cpu_ms=1000 * cpu_s / len(truth),
        core_share=None if said.cpu_s is None else said.cpu_s / lasted,
        rss_mb=usage.ru_maxrss * 1024 / 1e6,
        run_rss_mb=said.rss_mb,
        first_s=float(arrived[0]) - began,
        after_s=ended - last,
        reported=said.reported,
        true=_true(truth),
        spacing=_spacing(arrived, offsets),
        broken=said.broken,
    )


def _per_second(
    job: Job, arrived: npt.NDArray[np.float64], ended: npt.NDArray[np.float64]
) -> float:
    """Requests sent per second of an open loop, else answers per second; of streams that begin one
    by one while all users are there.
    """
    start, stop = float(arrived[0]), float(arrived[-1])
    if job.kind in ("open", "trace"):
        return len(arrived) / (stop - start + 1 / job.number)
    if job.kind == "plain" or job.requests or stop - start <= 2 * SPREAD_S:
        return len(ended) / (float(ended.max()) - start)
    start += SPREAD_S
    stop -= (stop - start) % SPREAD_S  # whole turns: users have their answers at a few phases only
    return float(np.count_nonzero((ended > start) & (ended <= stop))) / (stop - start)


def _offsets(job: Job) -> npt.NDArray[np.float64]:
    """The moments of an open loop, seconds from its start; those of a trace have gaps drawn from an
    exponential distribution.
    """
    count = round(job.seconds * job.number)
    if job.kind == "open":
        return np.arange(count) / job.number
    if job.kind == "trace":
        return np.cumsum(np.random.default_rng(1).exponential(1 / job.number, count)).round(6)
    return np.zeros(0)


def _spacing(arrived: npt.NDArray[np.float64], offsets: npt.NDArray[np.float64]) -> float | None:
    """p99 of how far the gaps between arrivals differ from the schedule's."""
    both = min(len(arrived), len(offsets))
    if both < 2:
        return None
    off = np.abs(np.diff(arrived[:both]) - np.diff(offsets[:both]))
    return float(np.percentile(off, 99))


def _true(truth: npt.NDArray[np.void]) -> dict[str, float]:
    """Quantiles of the server's own times; between tokens, of each stream's mean gap."""
    times = {"response": truth["end"] - truth["arrived"]}
    streamed = truth[truth["tokens"] > 1]
    if len(streamed):
        times["ttft"] = streamed["first"] - streamed["arrived"]
        times["itl"] = (streamed["last"] - streamed["first"]) / (streamed["tokens"] - 1)
    return {
        f"{name} p{p}": float(np.percentile(values, p))
        for name, values in times.items()
        for p in (50, 99)
    }


def _command(job: Job, client: str, url: str, folder: Path) -> list[str]:
    pin = ["taskset", "-c", str(CLIENT_CORE)]
    if client == "wrk":
        seconds = f"-d{max(1, round(job.seconds))}s"
        return [*pin, "wrk", "-t1", f"-c{job.number}", seconds, "--latency", url]
    peer = peer_command(client, job.kind == "stream", url, job.number, folder)
    if peer is not None:
        return [*pin, *peer]
    if client != "harness":
        script = str(Path(__file__).with_name("load_clients.py"))
        rest = [client, job.kind, url, str(job.seconds), str(job.number)]
        return [*pin, sys.executable, script, *rest]
    command = [*pin, sys.executable, "-m", "harness", "load", "--json", "--out", f"{folder}/run"]
    if job.kind == "stream":
        command += [f"{url}/v1", "--stream", "--model", "m", "--users", str(job.number)]
        command += ["--spread", f"{0 if job.requests else SPREAD_S:g}"]
    else:
        command += [url, "--api", "get"]
    if job.kind == "plain":
        command += ["--users", str(job.number)]
    elif job.kind == "open":
        command += ["--rate", str(job.number), "--arrival", "constant"]
        command += ["--users", str(job.callers)] if job.callers else []
    elif job.kind == "trace":
        return [*command, "--trace", str(folder / "trace.jsonl")]
    if job.requests is not None:
        return [*command, "--requests", str(job.requests)]
    return [*command, "--duration", f"{job.seconds:g}"]


def _timed(command: Sequence[str], folder: Path, limit_s: float) -> tuple[str, Any]:
    """Standard output, and what the process used. Raises RuntimeError."""
    # As a user runs it: modules compiled once, though the environment may forbid it.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": str(PYCACHE), "PYTHONPATH": str(ROOT)}
    out, errors = folder / "stdout", folder / "stderr"
    with out.open("wb") as stdout, errors.open("wb") as stderr:
        child = subprocess.Popen(
            command, stdout=stdout, stderr=stderr, env=environment, start_new_session=True
        )
        until = time.monotonic() + limit_s + START_S
        while True:
            done, status, usage = os.wait4(child.pid, os.WNOHANG)
            if done:
                break
            if time.monotonic() > until:
                os.killpg(child.pid, signal.SIGKILL)
                os.wait4(child.pid, 0)
                child.returncode = -signal.SIGKILL
                raise RuntimeError(f"not over after {limit_s + START_S:g} s")
            time.sleep(0.01)
    child.returncode = os.waitstatus_to_exitcode(status)
    printed = out.read_text("utf-8", "replace")
    if not printed.strip():
        last = _last_line(errors.read_text("utf-8", "replace"))
        raise RuntimeError(last or f"said nothing, exit code {child.returncode}")
    return printed, usage


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


def _said(client: str, printed: str) -> Said:
    if client == "wrk":
        found = re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", printed)
        unit = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
        return Said({f"response p{p}": float(value) * unit[u] for p, value, u in found})
    try:
        data = json.loads(printed.strip().splitlines()[-1])
    except ValueError:
        return Said()  # peers print for people
    ours = client == "harness"
    names = {
        "response": "response_time_s" if ours else "response_s",
        "service": "service_time_s",
        "ttft": "ttft_s",
        "itl": "itl_s",
        "issue delay": "issue_delay_s",
    }
    reported: dict[str, float | None] = {}
    for name, key in names.items():
        if data.get(key):
            reported |= {f"{name} p{p}": data[key][f"p{p}"] for p in (50, 99)}
    if not ours:
        return Said(reported, data["cpu_s"])
    return Said(reported, data["client"]["cpu_s"], data["client"]["peak_rss_mb"], _broken(data))


def _broken(data: Mapping[str, Any]) -> list[str]:
    return [check["name"] for check in data["validity"]["checks"] if not check["ok"]]
