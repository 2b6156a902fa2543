"""One stall of a server, as Locust's users and as the load engine's schedule see it.

``python -m benchmarks.stall_figure`` runs both against ``mock_server.c``, which answers after 20 ms
and once stands still for 2 s, and draws ``docs/figures/stall.png`` from what they measured. Where
the engine finds its client not fit to measure, it measures again; then the exit code is 4, and the
figure stays as it was.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.mock_server import running
from harness.exit_codes import INVALID, OK
from harness.store import read_run

ROOT = Path(__file__).resolve().parents[1]
FIGURE = ROOT / "docs" / "figures" / "stall.png"
USERS, RATE, SECONDS = 10, 100, 12
STALL_AT, STALL_S = 5.0, 2.0
TRIES = 4
STALL = ("--stall-at", str(STALL_AT), "--stall-for", str(STALL_S))
INK, MUTED, SHADE, DOT = "#1f2328", "#59636e", "#e8ecf0", "#0969da"

Times = NDArray[np.float64]
"""(n, 2): seconds from the first request at which each was wanted, and until its answer."""


def locust_times(folder: Path) -> Times:
    """What the users see, who come again only when they are answered."""
    out = folder / "locust"
    script = Path(__file__).with_name("stall_locustfile.py")
    command = [sys.executable, "-m", "locust", "-f", script, "--headless", "--only-summary"]
    command += ["-u", str(USERS), "-r", str(USERS), "-t", f"{SECONDS}s", "--loglevel", "ERROR"]
    with running(*STALL) as url:
        environment = os.environ | {"STALL_OUT": str(out)}
        subprocess.run([*command, "-H", url], check=True, env=environment, stderr=subprocess.PIPE)
    return _from_first(np.loadtxt(out))


def engine_times(folder: Path) -> tuple[Times, str]:
    """What callers see who come by the clock, answered or not; and what the engine has against its
    own measuring (nothing: empty).
    """
    out = folder / "engine"
    with running(*STALL) as url:
        command = [sys.executable, "-m", "harness", "load", f"{url}/delay/20", "--api", "get"]
        command += ["--rate", str(RATE), "--arrival", "constant", "--duration", str(SECONDS)]
        done = subprocess.run([*command, "--out", str(out), "--json"], stdout=subprocess.PIPE)
    checks = json.loads(done.stdout)["validity"]["checks"]
    broken = [
        f"{check['name']} {check['value']:.2g} {check['unit']}"
        for check in checks
        if not check["ok"]
    ]
    records = read_run(out).records
    times = np.array([(record.scheduled, record.response_time or np.nan) for record in records])
    return _from_first(times), ", ".join(broken)


def _from_first(times: Times) -> Times:
    times = times[np.argsort(times[:, 0])]
    times[:, 0] -= times[0, 0]
    return times


def facts(times: Times) -> str:
    """The figures of one side, as the drawing and the documentation have them."""
    took = times[:, 1]
    p50, p95, p99 = np.quantile(took, [0.5, 0.95, 0.99])
    late = int((took > 0.1).sum())
    return (
        f"{late} of {took.size:,} requests took over 0.1 s;  "
        f"p50 {_shown(p50)}, p95 {_shown(p95)}, p99 {_shown(p99)}"
    )


def _shown(seconds: float) -> str:
    return f"{1e3 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def draw(sides: dict[str, Times]) -> Figure:
    """One panel a side, on the same scales; the stall is shaded."""
    figure = Figure(figsize=(8.8, 5.2), layout="constrained")
    panels = figure.subplots(len(sides), 1, sharex=True, sharey=True)
    for axes, (title, times) in zip(panels, sides.items(), strict=True):
        axes.axvspan(STALL_AT, STALL_AT + STALL_S, color=SHADE, linewidth=0)
        axes.scatter(times[:, 0], times[:, 1], s=5, color=DOT, linewidth=0)
        axes.set_title(f"{title}\n", loc="left", fontsize=11, color=INK, fontweight="bold")
        axes.text(0, 1.04, facts(times), transform=axes.transAxes, fontsize=9, color=MUTED)
        axes.set_ylabel("response time, s", fontsize=9, color=MUTED)
        axes.tick_params(length=0, labelsize=9, labelcolor=MUTED)
        axes.grid(axis="y", color=SHADE)
        axes.set_axisbelow(True)
        axes.set_ylim(-0.06, STALL_S * 1.1)
        axes.set_xlim(0, SECONDS)
        for side in axes.spines.values():
            side.set_visible(False)
    panels[0].annotate(
        "the server stands still",
        (STALL_AT + STALL_S + 0.15, STALL_S * 0.5),
        fontsize=9,
        color=MUTED,
    )
    panels[-1].set_xlabel("moment at which the request was wanted, s", fontsize=9, color=MUTED)
    return figure


def main() -> int:
    """Measure, print the figures, draw."""
    with tempfile.TemporaryDirectory() as name:
        for number in range(TRIES):
            engine, invalid = engine_times(Path(name) / f"try-{number}")
            if not invalid:
                break
            print(f"invalid: {invalid}", file=sys.stderr)
        else:
            print("free the machine and run this again", file=sys.stderr)
            return INVALID
        sides = {
            f"Locust: {USERS} users, one request each 0.1 s if answered": locust_times(Path(name)),
            f"harness load: {RATE} requests per second by the clock": engine,
        }
    for title, times in sides.items():
        print(f"{title}: {facts(times)}")
    FIGURE.parent.mkdir(exist_ok=True)
    draw(sides).savefig(FIGURE, dpi=160)
    print(FIGURE.relative_to(ROOT))
    return OK


if __name__ == "__main__":
    sys.exit(main())
