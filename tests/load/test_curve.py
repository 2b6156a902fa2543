"""The curve of a search: Little's law where a step settled, the knee where intervals show it."""

import re
from typing import Any

import numpy as np
import pytest

from harness.load.curve import Point, knee, point
from harness.load.judging import Judged
from harness.load.observed import CODE, Observed
from harness.load.results import spread
from tests.load.queues import observed, queue

HOLDS = Judged("holds", (), ())


def figures(seen: Observed, throughput: float = 10.0) -> dict[str, Any]:
    return {
        "requests": seen.scheduled.size,
        "achieved_per_s": 10.0,
        "throughput_per_s": throughput,
        "success": {"rate": 1.0, "ci95": [0.9, 1.0]},
        "response_time_s": spread(seen.times("response")),
    }


def at(rate: float, requests: int, server: Any, seed: int = 1, judged: Judged = HOLDS) -> Point:
    seen = server(rate, requests, seed)
    throughput = requests / float((seen.scheduled + seen.response).max())
    return point(rate, "step", figures(seen, throughput), judged, seen)


def test_littles_law_holds_where_a_step_settles_and_not_where_it_does_not() -> None:
    server = queue(4, lambda rng, n: rng.exponential(0.1, n))
    settled = at(30, 6000, server)
    assert settled.little == pytest.approx(1, abs=0.02)
    assert settled.consistent
    assert settled.in_flight == pytest.approx(30 * server(30, 6000, 1).response.mean(), rel=0.05)
    flooded = at(80, 800, server)
    assert not flooded.consistent


def test_a_server_that_is_quick_settles_in_a_short_step_too() -> None:
    server = queue(4, lambda rng, n: np.full(n, 0.005))
    found = [at(29, 144, server, seed) for seed in range(200)]
    assert all(step.consistent for step in found)


def test_what_the_client_could_not_time_or_few_were_answered_in_is_no_knee() -> None:
    server = queue(8, lambda rng, n: rng.exponential(0.05, n))
    unfit = [at(rate, 4000, server, judged=Judged("invalid", (), ())) for rate in (80, 110)]
    assert all(step.power is None and step.p95 is not None for step in unfit)
    others = [at(rate, 4000, server) for rate in (10, 159)]
    assert knee([*others, *unfit]) is None
    seen = server(110, 4000, 1)
    refused = np.arange(4000) % 10 == 0
    seen.outcome[refused] = CODE["error"]
    seen.response[refused] = np.nan
    assert point(110, "step", figures(seen), HOLDS, seen).power is None


def test_a_quantile_without_an_interval_says_why() -> None:
    few = at(10, 60, queue(8, lambda rng, n: rng.exponential(0.05, n)))
    assert few.unbounded == {"p95": "n = 60 < 72"}
    crowd = at(60, 600, queue(4, lambda rng, n: rng.exponential(0.1, n)))
    assert (crowd.requests, crowd.answered, crowd.p95_ci) == (600, 600, None)
    assert re.fullmatch(r"effective n = \d+ < 72", crowd.unbounded["p95"])


def test_the_knee_lies_where_power_is_highest() -> None:
    server = queue(8, lambda rng, n: rng.exponential(0.05, n))
    points = [at(rate, 4000, server) for rate in (10, 40, 80, 110, 130, 150, 159)]
    found = knee(points)
    assert found is not None
    assert 80 <= found.offered <= 150
    assert knee(list(reversed(points))) == found


def test_no_knee_where_intervals_do_not_show_one() -> None:
    server = queue(8, lambda rng, n: rng.exponential(0.05, n))
    assert knee([]) is None
    assert knee([at(rate, 4000, server) for rate in (10, 40)]) is None
    assert knee([at(rate, 4000, server) for rate in (5, 10, 20, 40)]) is None
    noisy = [at(rate, 40, server) for rate in (95, 100, 105, 110)]
    assert knee(noisy) is None


def test_a_step_without_an_answer_has_no_times() -> None:
    nothing = observed(np.arange(5.0), np.full(5, np.nan))
    nothing.outcome[:] = CODE["error"]
    found = point(1, "step", figures(nothing, 0.0), Judged("misses", (), ("why",)), nothing)
    assert (found.requests, found.answered) == (5, 0)
    assert found.p50 is found.p95 is found.power is found.little is None
    assert not found.consistent
    assert knee([found, found, found]) is None
