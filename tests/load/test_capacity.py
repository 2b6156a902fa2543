"""The search for capacity: its policy step by step, and on simulated queues."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.arrivals import Floats
from harness.load.capacity import MOST_STEPS, PRECISION, Capacity, Plan, Tried, Verdict, found
from harness.load.capacity import next_rate as following
from harness.load.finding import SETTLING
from harness.load.judging import judge, least_requests
from harness.load.observed import CODE, Observed
from harness.load.searching import Step, search
from harness.load.slo import parse_slo, with_success
from tests.load.queues import mmk_rate, queue

PLAN = Plan(start=10, lowest=0.1, highest=10_000)


def steps_of(holds: "dict[float, Verdict] | float", plan: Plan = PLAN) -> list[Tried]:
    """The search on a server that holds up to a rate."""
    tried: list[Tried] = []
    while (rate := following(tried, plan)) is not None:
        assert isinstance(holds, float)
        tried.append(Tried(rate, "holds" if rate <= holds else "misses"))
    return tried


def test_doubles_then_halves_on_a_log_scale_then_confirms() -> None:
    rates = [step.rate for step in steps_of(50.0)]
    assert rates[:4] == [10, 20, 40, 80]
    assert rates[4] == pytest.approx((40 * 80) ** 0.5)
    assert rates[-1] == found(steps_of(50.0)).rate
    assert rates.count(rates[-1]) == 2


@given(capacity=st.floats(0.2, 9_000), start=st.floats(0.1, 10_000))
def test_ends_within_its_precision_of_the_capacity(capacity: float, start: float) -> None:
    tried = steps_of(capacity, Plan(start, 0.1, 10_000))
    result = found(tried)
    assert result.rate is not None
    assert result.rate <= capacity <= result.rate * (1 + PRECISION)
    assert result.above is not None
    assert result.above > capacity
    assert result.limit == "server"
    assert len(tried) < 30


def test_the_ends_of_the_range() -> None:
    assert found(steps_of(1e9)) == Capacity(10_000, None, "schedule", True)
    assert found(steps_of(0.0)) == Capacity(None, 0.1, "nothing holds", False)
    assert steps_of(0.0)[-1].rate == 0.1


def test_a_client_that_cannot_do_more_is_the_limit_and_not_the_server() -> None:
    tried = [Tried(10, "holds"), Tried(20, "invalid")]
    assert found(tried) == Capacity(10, 20, "client", False)
    assert found([*tried, Tried(20, "misses")]).limit == "server"
    assert found([Tried(10, "invalid")]) == Capacity(None, 10, "client", False)
    once = [Tried(5, "holds"), Tried(5, "holds"), Tried(10, "holds"), Tried(10, "invalid")]
    assert found(once) == Capacity(5, 10, "client", True)


def test_what_could_not_be_told_is_no_miss() -> None:
    assert found([Tried(10, "misses"), Tried(5, "undecided")]).limit == "undecided"
    assert found([Tried(10, "undecided"), Tried(5, "misses")]).limit == "nothing holds"
    assert found([Tried(10, "undecided"), Tried(5, "holds")]).limit == "server"


def test_a_client_that_is_not_fit_at_two_rates_ends_the_search() -> None:
    tried = [Tried(10, "holds"), Tried(20, "invalid")]
    assert following(tried, PLAN) == pytest.approx(math.sqrt(200))
    tried.append(Tried(14, "invalid"))
    assert following(tried, PLAN) == 10  # which must hold twice
    tried.append(Tried(10, "holds"))
    assert following(tried, PLAN) is None
    assert found(tried) == Capacity(10, 14, "client", True)
    tried.append(Tried(10, "misses"))
    assert following(tried, PLAN) == 5  # it is the server that fails now
    assert following([Tried(10, "invalid")], PLAN) == 5
    assert following([Tried(10, "invalid"), Tried(5, "invalid")], PLAN) is None


def test_a_client_that_was_not_fit_gets_a_second_look_as_long_as_the_first() -> None:
    looks: list[tuple[float, int]] = []

    def look(rate: float, requests: int) -> tuple[Verdict, None]:
        looks.append((rate, requests))
        return "invalid", None

    plan = Plan(10, 0.1, 1000)
    steps = list(search(plan, look, requests=100, seconds=20))
    assert [step.rate for step in steps] == [10, 5]
    assert looks == [(10, 200), (10, 200), (5, 100), (5, 100)]


def test_a_second_look_that_cannot_tell_is_followed_by_a_longer_one() -> None:
    looks: list[tuple[float, int]] = []
    verdicts: list[Verdict] = ["invalid", "undecided", "holds", "misses", "holds"]

    def look(rate: float, requests: int) -> tuple[Verdict, None]:
        looks.append((rate, requests))
        return verdicts[min(len(looks), len(verdicts)) - 1], None

    steps = search(Plan(10, 0.1, 1000), look, requests=100, seconds=20)
    assert next(steps).verdict == "holds"
    assert looks == [(10, 200), (10, 200), (10, 800)]


def test_what_holds_only_once_does_not_hold() -> None:
    tried = [Tried(10, "holds"), Tried(10.4, "misses")]
    assert following(tried, PLAN) == 10
    tried.append(Tried(10, "undecided"))
    assert following(tried, PLAN) == 5
    tried += [Tried(5, "holds"), Tried(9.9, "holds"), Tried(9.9, "holds")]
    assert following(tried, PLAN) is None
    assert found(tried) == Capacity(9.9, 10, "server", True)


def test_a_server_that_flickers_does_not_keep_the_search_for_ever() -> None:
    rng = np.random.default_rng(0)
    tried: list[Tried] = []
    while (rate := following(tried, PLAN)) is not None:
        tried.append(Tried(rate, "holds" if rng.random() < 0.5 else "misses"))
    assert len(tried) <= MOST_STEPS


def test_nothing_tried_has_no_answer() -> None:
    with pytest.raises(ValueError, match="nothing was tried"):
        found([])


# --- on simulated queues ---


def capacity_of(
    server: object, slo: str, seed: int, start: float = 5.0, seconds: float = 20.0
) -> tuple[Capacity, list[Step[Observed]]]:
    targets = parse_slo(slo)
    seeds = itertools.count(1000 * seed)

    def look(rate: float, requests: int) -> tuple[Verdict, Observed]:
        seen: Observed = server(rate, requests, next(seeds))  # type: ignore[operator]
        return judge(targets, seen, {}).verdict, seen

    plan = Plan(start, 0.01, 10_000)
    steps = list(search(plan, look, requests=least_requests(targets), seconds=seconds))
    return found([Tried(step.rate, step.verdict) for step in steps]), steps


@pytest.mark.parametrize("seed", range(5))
def test_finds_the_capacity_of_an_mmk_queue(seed: int) -> None:
    mean, servers, limit = 0.05, 8, 0.4
    truth = mmk_rate(servers, mean, 0.95, limit)
    server = queue(servers, lambda rng, n: rng.exponential(mean, n))
    result, _ = capacity_of(server, f"p95<{limit}s,success>=0.99", seed)
    assert result.rate == pytest.approx(truth, rel=0.10)
    assert result.limit == "server"


def test_finds_the_capacity_of_servers_with_a_steady_pace() -> None:
    server = queue(4, lambda rng, n: np.full(n, 0.1))
    truth = max(
        rate
        for rate in np.arange(35, 39, 0.2)
        if np.quantile(server(rate, 60_000, 1).response, 0.95) < 0.5
    )
    rates = [capacity_of(server, "p95<0.5s", seed)[0].rate or 0 for seed in range(7)]
    assert np.median(rates) == pytest.approx(truth, rel=0.10)
    assert all(0.8 * truth < rate < 1.05 * truth for rate in rates)


def test_a_queue_that_grows_does_not_hold_however_loose_the_target() -> None:
    server = queue(2, lambda rng, n: rng.exponential(0.1, n))
    result, _ = capacity_of(server, "p95<60s", 2)
    assert result.rate == pytest.approx(20, rel=0.10)


def test_a_server_that_answers_fast_nonsense_has_no_capacity() -> None:
    def instant(rng: np.random.Generator, n: int) -> Floats:
        return np.full(n, 1e-4)

    result, steps = capacity_of(queue(100, instant, wrong=0.5), "p95<1s,success>=0.99", 1)
    assert result == Capacity(None, steps[-1].rate, "nothing holds", False)


def test_a_target_of_time_alone_asks_for_as_many_right_answers() -> None:
    times = parse_slo("p95<1s,ttft_p90<1s")
    assert [target.text for target in with_success(times)] == [
        "p95<1s", "ttft_p90<1s", "success>=0.95",
    ]  # fmt: skip
    own = parse_slo("p95<1s,success>=0.5")
    assert with_success(own) == own


@pytest.mark.parametrize("seed", range(3))
def test_an_empty_server_that_fills_up_has_no_more_capacity_than_it_can_keep(seed: int) -> None:
    server = queue(100, lambda rng, n: np.full(n, 8.0))
    result, _ = capacity_of(server, "p95<30s", seed, start=2.0, seconds=SETTLING * 8.0)
    assert result.rate == pytest.approx(12.5, rel=0.10)
    # Steps as short as an answer or so see the server fill up, and say that they cannot tell.
    result, _ = capacity_of(server, "p95<30s", seed, start=32.0, seconds=10.0)
    assert result.rate is None or result.rate <= 12.5 * 1.05


def test_drops_of_a_server_far_behind_are_a_miss_and_those_of_a_narrow_gate_are_not() -> None:
    server = queue(10, lambda rng, n: np.full(n, 0.1))
    unfit = {"dropped": "raise --max-in-flight", "achieved_share": "lower --rate"}
    targets = parse_slo("p95<0.2s,success>=0.99")

    def judged(rate: float, **other: str) -> Verdict:
        seen = server(rate, 2000, 1)
        dropped = np.arange(2000) % 5 == 0
        seen.outcome[dropped] = CODE["dropped"]
        seen.response[dropped] = np.nan
        return judge(targets, seen, unfit | other).verdict

    assert judged(150) == "misses"
    assert judged(50) == "invalid", "those that were sent hold"
    assert judged(150, client_cpu_share="lower --rate") == "invalid"


def test_what_cannot_be_told_is_looked_at_longer_and_then_does_not_hold() -> None:
    looked: list[tuple[float, int]] = []

    def look(rate: float, requests: int) -> tuple[Verdict, None]:
        looked.append((rate, requests))
        return ("holds" if rate < 11 else "undecided"), None

    steps = list(search(Plan(10, 1, 20), look, requests=100, seconds=1))
    assert looked[:3] == [(10, 100), (20, 100), (20, 400)]
    assert looked[-1][1] == 400  # what held is confirmed by a longer look
    assert steps[1].verdict == "undecided"
    assert found([Tried(step.rate, step.verdict) for step in steps]).rate == pytest.approx(
        11, rel=0.06
    )
