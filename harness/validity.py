"""Was the client fit to measure? Each check with its value, limit and remedy.

The checks bind what the run says of its own measuring; the gates of claims build on them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import orjson

from harness.records import BlockRecord, TrialRecord
from harness.trials import Floats, Recorded, Records, Trials

LOAD = "load.json"  # as ``harness load`` writes it
LEAST_SLIP_S = 0.010
SLIP_SHARE = 0.01
CPU_SHARE = 0.70
UNANSWERED_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Validity:
    """One check. ``value`` None: it could not be measured, and the check does not hold."""

    name: str
    ok: bool
    value: float | None
    limit: float | None
    unit: str
    remedy: str


def slip(record: TrialRecord) -> float | None:
    """Seconds by which the client was late: from the moment a trial could begin until its first
    call was asked for. The rate limit's wait comes after that and is no fault of the client.
    """
    if record.eligible is None or not record.attempts:
        return None
    return max(0.0, record.attempts[0].due - record.eligible)


def client_errors(records: Records) -> list[float]:
    """Client's time less the simulator's own time of each call, in seconds; empty without one."""
    trials = Trials.of(records)
    found: list[float] = trials.client_error[~trials.warmup[trials.client_error_of]].tolist()
    return found


def checks_of(run: Recorded) -> list[Validity]:
    """The checks of a recorded run; a load has its own, made when it was over."""
    load = run.folder / LOAD
    if load.exists():
        return [
            Validity(**check) for check in orjson.loads(load.read_bytes())["validity"]["checks"]
        ]
    checks = check_run(run.trials, run.blocks, planned=run.manifest["planned_trials"])
    kind = run.manifest.get("kind")
    if kind in ("load", "locust"):  # they plan no trials; a load without its figures was killed
        whole = kind == "locust" and run.manifest["status"] == "complete"
        remedy = "the run was interrupted: run it again"
        checks.append(Validity("complete", whole, float(whole), 1.0, "run", remedy))
    return checks


def check_run(
    records: Records, blocks: Sequence[BlockRecord], *, planned: int | None
) -> list[Validity]:
    """The checks of a run. ``planned``: trials it should have (None: not known)."""
    trials = Trials.of(records)
    kept = ~trials.warmup
    times, slips = _known(trials.response_time[kept]), _known(trials.slip[kept])
    limit = max(LEAST_SLIP_S, SLIP_SHARE * float(np.median(times)) if times.size else 0.0)
    stretches = [block for block in blocks if not block.warmup]
    lags = [lag for block in stretches for lag in block.lag_s]
    wall = sum(block.ended - block.started for block in stretches)
    cpu = sum(block.cpu_s for block in stretches)
    ended = ~trials.ended("cancelled")
    counted = int((kept & ended).sum())
    unanswered = int((kept & ended & ~trials.answered).sum())
    checks = [
        _at_most(
            "schedule_slip_p99",
            _p99(slips),
            limit,
            "s",
            "the client started trials late: lower --concurrency or free the machine",
        ),
        _at_most(
            "loop_lag_p99",
            _p99(lags),
            limit,
            "s",
            "the event loop was held up: lower --concurrency or free the machine",
        ),
        _at_most(
            "client_cpu_share",
            cpu / wall if wall > 0 else None,
            CPU_SHARE,
            "of one core",
            "the client was short of processor time: lower --concurrency or use a slower rate",
        ),
        _at_most(
            "unanswered_share",
            unanswered / counted if counted else None,
            UNANSWERED_SHARE,
            "of trials",
            "too many trials got no answer for latency to mean much: see the errors",
        ),
    ]
    if planned is not None:
        checks.append(
            Validity(
                "complete",
                int(ended.sum()) >= planned,
                float(ended.sum()),
                float(planned),
                "trials",
                "the run was interrupted: go on with --resume",
            )
        )
    return checks


def _p99(values: Sequence[float] | Floats) -> float | None:
    return float(np.quantile(values, 0.99)) if len(values) else None


def _known(values: Floats) -> Floats:
    known: Floats = values[~np.isnan(values)]
    return known


def _at_most(name: str, value: float | None, limit: float, unit: str, remedy: str) -> Validity:
    return Validity(name, value is not None and value <= limit, value, limit, unit, remedy)
