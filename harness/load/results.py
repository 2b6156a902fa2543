"""A load run's figures, as ``harness load --json`` gives them: made once, shown anywhere."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness.load.arrivals import Floats
from harness.load.columns import Columns, Failure
from harness.load.engine import ClientHealth, LoadResult
from harness.load.fitness import check_client
from harness.load.judging import Ruling, good, rule
from harness.load.observed import Observed
from harness.load.slo import Target, overall
from harness.stats import serial
from harness.stats.estimate import Estimate

CONFIDENCE = 0.95
QUANTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for. ``workload`` is shown as it is; ``closed``: a closed loop; ``window_s``:
    seconds over which an open one was to send its requests (None: at once). ``tolerance_s``: by how
    much the client's own delays may spoil the times, where that is more than ``fitness`` allows.
    """

    target: str
    workload: Mapping[str, Any]
    window_s: float | None
    targets: tuple[Target, ...] = ()
    tolerance_s: float = 0.0
    closed: bool = False


def figures(asked: Asked, result: LoadResult, observed: Observed) -> dict[str, Any]:
    """Every figure of a run. Rates are per second, times in seconds.

    Achieved: requests sent over the window, or over the time until the last was sent if that is
    longer; of an interrupted load, over the time that it lasted. Throughput and goodput: complete,
    and good, answers over that time, or over the time until the last answer if that is longer; one
    request that hangs at the end does not lower them.
    """
    columns = result.columns
    sent = columns.sent[~np.isnan(columns.sent)]
    last = float(sent.max()) if sent.size else 0.0
    planned = result.duration_s if result.interrupted else asked.window_s
    offered = len(columns) / planned if asked.window_s is not None and planned else None
    window = max(planned or result.duration_s, last)
    achieved = sent.size / window if window > 0 else 0.0
    checks = check_client(
        result.client,
        observed,
        closed=asked.closed,
        offered=offered,
        achieved=achieved,
        whole=not result.interrupted,
        tolerance_s=asked.tolerance_s,
    )
    rulings = [rule(target, observed) for target in asked.targets]
    counts = observed.counts
    ended = columns.done[columns.answered]
    lasted = max(planned or 0.0, last, float(ended.max(initial=0.0))) or None
    return {
        "target": asked.target,
        "workload": dict(asked.workload),
        "offered_per_s": offered,
        "achieved_per_s": achieved,
        "duration_s": result.duration_s,
        "requests": len(columns),
        "dropped": counts["dropped"],
        "outcomes": counts,
        "errors": _errors(columns),
        "success": _share(serial.share(observed.ok[observed.trials], CONFIDENCE)),
        "response_time_s": spread(observed.times("response")),
        "service_time_s": spread(observed.times("service")),
        "ttft_s": spread(observed.times("ttft")),
        "itl_s": spread(observed.times("itl"), bounded=False),
        "issue_delay_s": spread(
            observed.issue_delay[~np.isnan(observed.issue_delay)], bounded=False
        ),
        "throughput_per_s": None if lasted is None else int(observed.answered.sum()) / lasted,
        "goodput_per_s": (
            None if lasted is None else int(good(observed, asked.targets).sum()) / lasted
        ),
        "tokens": _tokens(columns, lasted),
        "connections": {
            "opened": result.client.connections_opened,
            "waited_for": int(columns.new_connection.sum()),
            "retried": int(columns.retried.sum()),
        },
        "in_flight": _in_flight(columns, result.client, result.duration_s or None),
        "client": _client(result.client),
        "slo": _slo(rulings) if rulings else None,
        "validity": {
            "valid": all(check.ok for check in checks),
            "checks": [asdict(check) for check in checks],
        },
        "interrupted": result.interrupted,
    }


def spread(values: Floats, *, bounded: bool = True) -> dict[str, Any] | None:
    """n, mean, numpy's linear quantiles and maximum; None when there are no values.

    ``values``: (n,) in order of time. ``bounded``: with the 95 % intervals of the quantiles, and
    how many independent values tell as much of each.
    """
    if not values.size:
        return None
    found: dict[str, Any] = {"n": int(values.size), "mean": float(values.mean())}
    points = np.quantile(values, QUANTILES)
    names = [f"p{round(100 * p)}" for p in QUANTILES]
    found |= {name: float(point) for name, point in zip(names, points, strict=True)}
    found["max"] = float(values.max())
    if bounded:
        bounds = (serial.quantile(values, p, CONFIDENCE) for p in QUANTILES)
        found["ci95"] = {name: _ci(bound) for name, bound in zip(names, bounds, strict=True)}
        found["effective_n"] = {
            name: serial.independent(values <= found[name])[1] for name in names
        }
    return found


def _errors(columns: Columns) -> dict[str, int]:
    """How many requests had each type of error; dropped and cancelled ones are outcomes."""
    found = np.bincount(columns.failure, minlength=len(Failure))
    kept = [f for f in Failure if f not in (Failure.NONE, Failure.DROPPED, Failure.CANCELLED)]
    return {failure.name.lower(): int(found[failure]) for failure in kept if found[failure]}


def _tokens(columns: Columns, lasted: float | None) -> dict[str, Any] | None:
    """Completion tokens of the answers whose server counted them; None when none was counted.

    Chunks are no tokens: one may hold several, and what is streamed may hold none.
    """
    counted = columns.tokens[columns.answered & (columns.tokens >= 0)]
    if not counted.size:
        return None
    total = int(counted.sum())
    return {
        "n": int(counted.size),
        "completion": total,
        "completion_per_s": None if lasted is None else total / lasted,
        "token_chunks": int(columns.token_chunks[columns.answered].sum()),
    }


def _in_flight(
    columns: Columns, client: ClientHealth, lasted: float | None
) -> dict[str, float | int | None]:
    held = np.nan_to_num(columns.done - columns.sent).sum()
    return {"mean": None if lasted is None else float(held) / lasted, "peak": client.peak_in_flight}


def _client(client: ClientHealth) -> dict[str, Any]:
    return {
        "cpu_s": client.cpu_s,
        "cpu_share": client.cpu_s / client.wall_s if client.wall_s > 0 else None,
        "loop_lag_s": spread(client.loop_lag.astype(np.float64), bounded=False),
        "io_uring": client.io_uring,
        "compiled": client.compiled,
        "kernel_stamps": not client.unstamped,
        "merged_chunks": client.merged,
        "merged_first_chunks": client.first_merged,
        "gc_pauses": len(client.gc_pauses),
        "gc_pause_max_s": max(client.gc_pauses, default=None),
        "peak_rss_mb": client.peak_rss_mb,
        "fd_limit": client.fd_limit,
    }


def _slo(rulings: Sequence[Ruling]) -> dict[str, Any]:
    return {
        "held": overall([ruling.held for ruling in rulings]),
        "targets": [
            {
                "target": ruling.target.text,
                "held": ruling.held,
                "value": _finite(ruling.value),
                "share": ruling.share.point,
                "share_ci95": _ci(ruling.share),
                "needed": ruling.target.needed,
            }
            for ruling in rulings
        ],
    }


def _finite(value: float | None) -> float | None:
    """A quantile that some time-outs reach has no value that JSON could say."""
    return value if value is not None and np.isfinite(value) else None


def _share(found: Estimate) -> dict[str, Any]:
    return {"n": found.n, "rate": found.point, "ci95": _ci(found)}


def _ci(found: Estimate) -> list[float | None] | None:
    """Both bounds, or None when a side has none."""
    return None if found.lo is None or found.hi is None else [found.lo, found.hi]
