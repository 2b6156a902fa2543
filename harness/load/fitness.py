"""Was the load generator fit to measure? The limits that docs/load.md lists, each with its remedy.

What a generator is late by through its own work is in the response times of its schedule: past the
limit they are not the server's. What its machine held up is not, and what came when nobody looked
has the kernel's stamp or none; but a client that was often held up sent another load than the one
that was asked for, and one that missed much has figures of the rest only.
"""

from collections.abc import Iterator

import numpy as np

from harness.load.engine import ClientHealth
from harness.load.observed import Observed
from harness.validity import Validity

LEAST_S = 0.002
TIME_SHARE = 0.01
CPU_SHARE = 0.90
ACHIEVED_SHARE = 0.99
OPEN_FILES_SHARE = 0.90
HELD_UP_SHARE = 0.02
IDLE_SHARE = 0.01
IDLE_FREE_S = 0.0005  # what sending takes at most when nothing is in the way
LOST_SHARE = 0.10
PAUSE_S, PAUSE_SHARE = 0.1, 0.1
CLOCK_S = 0.001

_LATE = "the client sent requests late"
_QUIET = "run it again on a quiet machine, or give the client a free processor"
_LESS = "lower --rate or --users, or give the client a free processor"


def check_client(
    client: ClientHealth,
    observed: Observed,
    *,
    closed: bool,
    offered: float | None,
    achieved: float,
    whole: bool,
    tolerance_s: float = 0.0,
) -> list[Validity]:
    """Every check of a run. ``closed``: a closed loop; ``offered``, ``achieved``: requests per
    second (offered None: not defined); ``whole``: the run was not interrupted.

    Delays are held against 1 % of the median response time, or ``tolerance_s`` or 2 ms if more.
    """
    answered = observed.times("response")
    median = float(np.median(answered)) if answered.size else 0.0
    limit = max(LEAST_S, tolerance_s, TIME_SHARE * median)
    checks = [
        *_sending(observed, closed, limit, median),
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
            "client_sockets",
            float(observed.no_socket.sum()),
            0.0,
            "requests",
            "this machine ran out of local ports or sockets: widen net.ipv4.ip_local_port_range, "
            "raise the limit with ulimit -n, or lower --rate or --users",
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
        if observed.waited.any():
            name, remedy = "carried_share", "the users were all busy: raise --users or lower --rate"
        checks.append(Validity(name, ok, share, ACHIEVED_SHARE, "of the rate", remedy))
    remedy = "the run was interrupted: run it again"
    checks.append(Validity("complete", whole, float(whole), 1.0, "run", remedy))
    return checks


def _sending(observed: Observed, closed: bool, limit: float, median: float) -> Iterator[Validity]:
    """Whether the load was the one that was asked for.

    A schedule must be kept. Those who wait for answers, users or the callers of a schedule, must
    not be idle on the client's account. One pause lets as many requests loose at once as were due
    in it, so where that was more than one it must be short beside the response times; in a closed
    loop no longer than they are.
    """
    sent = ~np.isnan(observed.lateness)
    late, held_up = observed.lateness[sent], observed.uncounted[sent]
    longest = max(limit, PAUSE_S, median if closed else PAUSE_SHARE * median)
    if not closed:
        yield _at_most("issue_delay_p99", _p99(late - held_up), limit, "s", f"{_LATE}: {_LESS}")
        share = float((held_up > limit).mean()) if held_up.size else None
        remedy = f"this machine stood still while requests were due: {_QUIET}"
        yield _at_most("held_up_share", share, HELD_UP_SHARE, "of the requests", remedy)
    if closed or observed.waited.any():
        answered = ~np.isnan(observed.service)
        idle = float(np.maximum(0.0, observed.lateness[answered] - IDLE_FREE_S).sum())
        whole = idle + float(observed.service[answered].sum())
        share = (idle / whole if idle else 0.0) if late.size else None
        yield _at_most("idle_share", share, IDLE_SHARE, "of the users' time", f"{_LATE}: {_LESS}")
    over = late > limit
    if not closed:
        over &= np.append(over[1:], False) | np.insert(over[:-1], 0, False)
    pause = float(late[over].max(initial=0.0)) if late.size else None
    remedy = f"the client stood still, and then sent at once what had been due: {_QUIET}"
    yield _at_most("issue_delay_max", pause, longest, "s", remedy)


def _noticing(client: ClientHealth, observed: Observed, limit: float) -> Iterator[Validity]:
    """Whether answers have the moments at which they came."""
    late = f"the client noticed answers late: {_LESS}"
    if not client.compiled and observed.gaps.size:
        late += ", or install this where there is a C compiler"
    if client.unstamped:
        yield _at_most("loop_lag_p99", _p99(client.loop_lag), limit, "s", late)
    else:
        remedy = "the system's clock was set during the run: run it again"
        yield _at_most("clock_moved", client.clock_moved_s, CLOCK_S, "s", remedy)
    if observed.gaps.size:
        share = float(np.isnan(observed.gaps).mean())
        yield _at_most("merged_share", share, LOST_SHARE, "of the gaps", late)
    streams = ~np.isnan(observed.ttft)
    if streams.any():
        share = 1 - float(observed.first_known[streams].mean())
        yield _at_most("first_merged_share", share, LOST_SHARE, "of the streams", late)


def _p99(values: "np.ndarray[tuple[int], np.dtype[np.floating]]") -> float | None:
    return float(np.quantile(values, 0.99)) if values.size else None


def _at_most(name: str, value: float | None, limit: float, unit: str, remedy: str) -> Validity:
    return Validity(name, value is not None and value <= limit, value, limit, unit, remedy)
