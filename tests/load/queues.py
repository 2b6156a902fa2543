"""Simulated queues: k servers, first come first served."""

import heapq
import math
from collections.abc import Callable

import numpy as np
from scipy import optimize, stats

from harness.load.arrivals import Arrivals, Floats
from harness.load.observed import CODE, Observed


def departures(arrivals: Floats, service: Floats, servers: int) -> Floats:
    """When each request leaves; all in seconds."""
    free = [0.0] * servers
    out = np.empty_like(arrivals)
    for i, (at, taken) in enumerate(zip(arrivals.tolist(), service.tolist(), strict=True)):
        out[i] = max(at, heapq.heappop(free)) + taken
        heapq.heappush(free, float(out[i]))
    return out


def observed(arrivals: Floats, done: Floats, *, wrong: float = 0.0, seed: int = 0) -> Observed:
    """The requests as a perfect client would see them; a share of the answers is wrong."""
    n = len(arrivals)
    outcome = np.full(n, CODE["ok"], np.int8)
    outcome[np.random.default_rng([seed, 7]).random(n) < wrong] = CODE["wrong"]
    return Observed(
        outcome=outcome,
        scheduled=arrivals,
        issue_delay=np.zeros(n),
        lateness=np.zeros(n),
        uncounted=np.zeros(n),
        waited=np.zeros(n, bool),
        response=done - arrivals,
        service=done - arrivals,
        ttft=np.full(n, np.nan),
        first_known=np.ones(n, bool),
        no_socket=np.zeros(n, bool),
        gaps=np.zeros(0, np.float32),
    )


def queue(
    servers: int, draw: Callable[[np.random.Generator, int], Floats], *, wrong: float = 0.0
) -> Callable[[float, int, int], Observed]:
    """(rate, requests, seed) → what a client would observe under Poisson arrivals."""

    def look(rate: float, requests: int, seed: int) -> Observed:
        arrivals = Arrivals.parse(f"{rate:.6f}", "poisson").offsets(
            seed, duration=None, requests=requests
        )
        service = draw(np.random.default_rng([seed, 3]), requests)
        done = departures(arrivals, service, servers)
        return observed(arrivals, done, wrong=wrong, seed=seed)

    return look


def mmk_rate(servers: int, mean: float, p: float, limit: float) -> float:
    """The rate at which the p-quantile of an M/M/k queue's response time is ``limit`` seconds.

    P(T > t) = e^{-μt} (1 − C) + C P(service + wait > t), C by Erlang, the wait exponential with
    rate kμ − λ when there is one.
    """
    mu = 1 / mean

    def beyond(rate: float) -> float:
        load = rate / mu
        blocked = stats.poisson.pmf(servers, load) / stats.poisson.cdf(servers, load)
        waits = blocked / (1 - load / servers * (1 - blocked))
        decay = servers * mu - rate
        after = (decay * math.exp(-mu * limit) - mu * math.exp(-decay * limit)) / (decay - mu)
        return float((1 - waits) * math.exp(-mu * limit) + waits * after)

    top = servers * mu
    return float(optimize.brentq(lambda rate: beyond(rate) - (1 - p), 0.01 * top, 0.999 * top))
