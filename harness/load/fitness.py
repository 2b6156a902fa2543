"""Was the load generator fit to measure? The limits that docs/load.md lists, each with its remedy.

No figure of the server's has the client's own delays in it: ``Observed`` leaves them out, and what
came when nobody looked has the kernel's stamp or none. But a client that is often late sends
another load than the one that was asked for, and one that misses much has figures of the rest only.
Past these limits a run says nothing of the server under that load.
"""

import numpy as np

from harness.load.arrivals import Floats
from harness.load.engine import ClientHealth
from harness.load.observed import Observed
from harness.validity import Validity

LEAST_S = 0.002
TIME_SHARE = 0.01
CPU_SHARE = 0.90
ACHIEVED_SHARE = 0.99
OPEN_FILES_SHARE = 0.90
LATE_SHARE = 0.05
IDLE_SHARE = 0.01
LOST_SHARE = 0.10
PAUSE_S = 0.1
CLOCK_S = 0.001

_LATE = "the client sent requests late"
_LESS = "lower --rate or --users, or give the client a free processor"


def check_client(
    client: ClientHealth,
    observed: Observed,
    *,
    offered: float | None,
    achieved: float,
    whole: bool,
    tolerance_s: float = 0.0,
) -> list[Validity]:
    """Every check of a run. ``offered``, ``achieved``: requests per second (offered None: closed
    loop); ``whole``: the run was not interrupted.

    A request is late by more than 1 % of the median response time, or ``tolerance_s`` or 2 ms if
    that is more. In a closed loop there is no schedule, but its users are idle meanwhile. One pause
    lets as many requests loose at once as were due in it, so it must not be longer than the median
    response time, or 100 ms: what is in flight would more than double.
    """
    answered = observed.times("response")
    median = float(np.median(answered)) if answered.size else 0.0
    limit = max(LEAST_S, tolerance_s, TIME_SHARE * median)
    issued = observed.lateness[~np.isnan(observed.lateness)]
    checks = [
        _idle(observed, issued, limit) if offered is None else _late(issued, limit),
        _at_most(
            "issue_delay_max",
            float(issued.max()) if issued.size else None,
            max(limit, PAUSE_S, median),
            "s",
            f"the client stood still, and then sent at once what had been due: {_LESS}",
        ),
        *_noticing(client, observed, limit),
        _at_most(
            "gc_pause_max",
            max(client.gc_pauses, default=0.0),
            5 * limit,
            "s",
            "garbage collection held the client up: free memory on this machine",
        ),
        _at_most(
            "client_cpu_share",
            client.cpu_s / client.wall_s if client.wall_s > 0 else None,
            CPU_SHARE,
            "of one core",
            f"the client, not the server, was the limit: {_LESS}",
        ),
        _at_most(
            "open_files_share",
            client.peak_in_flight / client.fd_limit,
            OPEN_FILES_SHARE,
            "of the limit on open files",
            "sockets ran short: raise the limit with ulimit -n",
        ),
        _at_most(
            "dropped",
            float(observed.counts["dropped"]),
            0.0,
            "requests",
            "more requests were in flight than allowed: raise --max-in-flight or lower --rate",
        ),
    ]
    if offered is not None:
        share = achieved / offered
        ok = share >= ACHIEVED_SHARE
        name, remedy = "achieved_share", f"less load was sent than asked for: {_LESS}"
        if np.any(observed.issue_delay > observed.lateness):
            name, remedy = "carried_share", "the users were all busy: raise --users or lower --rate"
        checks.append(Validity(name, ok, share, ACHIEVED_SHARE, "of the rate", remedy))
    remedy = "the run was interrupted: run it again"
    checks.append(Validity("complete", whole, float(whole), 1.0, "run", remedy))
    return checks


def _late(issued: Floats, limit: float) -> Validity:
    """Whether the load kept to its schedule."""
    share = float((issued > limit).mean()) if issued.size else None
    return _at_most("late_share", share, LATE_SHARE, "of the requests", f"{_LATE}: {_LESS}")


def _idle(observed: Observed, issued: Floats, limit: float) -> Validity:
    """Whether the users of a closed loop were as busy as the answers let them be."""
    late, busy = float(issued[issued > limit].sum()), float(np.nansum(observed.service))
    share = (late / (late + busy) if late else 0.0) if issued.size else None
    return _at_most("idle_share", share, IDLE_SHARE, "of the users' time", f"{_LATE}: {_LESS}")


def _noticing(client: ClientHealth, observed: Observed, limit: float) -> list[Validity]:
    """Whether answers have the moments at which they came."""
    late = f"the client noticed answers late: {_LESS}"
    if not client.compiled and observed.gaps.size:
        late += ", or install this where there is a C compiler"
    if client.unstamped:
        return [_at_most("loop_lag_p99", _p99(client.loop_lag), limit, "s", late)]
    remedy = "the system's clock was set during the run: run it again"
    checks = [_at_most("clock_moved", client.clock_moved_s, CLOCK_S, "s", remedy)]
    if observed.gaps.size:
        share = client.merged / observed.gaps.size
        checks.append(_at_most("merged_share", share, LOST_SHARE, "of the chunks", late))
    if streams := int((~np.isnan(observed.ttft)).sum()):
        share = client.first_merged / streams
        checks.append(_at_most("first_merged_share", share, LOST_SHARE, "of the streams", late))
    return checks


def _p99(values: "np.ndarray[tuple[int], np.dtype[np.floating]]") -> float | None:
    return float(np.quantile(values, 0.99)) if values.size else None


def _at_most(name: str, value: float | None, limit: float, unit: str, remedy: str) -> Validity:
    return Validity(name, value is not None and value <= limit, value, limit, unit, remedy)
