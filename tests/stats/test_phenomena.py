"""Why the design is what it is: coordinated omission, stragglers, drift (K7, K10, K11)."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from harness.stats.compare import block_ratio
from harness.stats.estimate import mean, quantile
from harness.stats.sample import block_pairs, sample
from tests.stats.build import trial
from tests.stats.draw import log_sd


def single_server(arrivals: list[float], service: float) -> list[tuple[float, float]]:
    """(start, end) of each request where one is served at a time, first come first served."""
    free, served = 0.0, []
    for arrival in arrivals:
        start = max(arrival, free)
        free = start + service
        served.append((start, free))
    return served


def test_latency_from_the_schedule_shows_what_service_time_hides() -> None:
    arrivals = [i / 10 for i in range(8)]
    records = [
        trial(block=i, scheduled=due, delay=start - due, took=end - due)
        for i, (due, (start, end)) in enumerate(
            zip(arrivals, single_server(arrivals, 0.5), strict=True)
        )
    ]
    assert mean(sample(records, "sync", "service_time").values).point == pytest.approx(0.5)
    response = sample(records, "sync").values
    assert mean(response).point == pytest.approx(1.9)
    assert quantile(response, 0.99).point == pytest.approx(3.272)
    assert response.max() == pytest.approx(3.3)


def test_a_planted_stall_raises_the_scheduled_p99() -> None:
    """One stall of 5 s: a client that waits records one bad request, the schedule many."""
    service = [5.0 if i == 50 else 0.05 for i in range(200)]
    free, response = 0.0, []
    for i, taken in enumerate(service):
        free = max(i / 10, free) + taken
        response.append(free - i / 10)
    hidden, shown = quantile(service, 0.95).point, quantile(response, 0.95).point
    assert hidden == pytest.approx(0.05)
    assert shown is not None
    assert shown > 4


@pytest.mark.parametrize(("cv", "ratio"), [(0.1, 0.3615), (0.2, 0.3891), (0.3, 0.4154)])
def test_three_at_once_take_as_long_as_the_slowest(cv: float, ratio: float) -> None:
    times = np.exp(log_sd(cv) * np.random.default_rng(10).standard_normal((40_000, 3)))
    logs = np.log(times.max(axis=1) / times.sum(axis=1))
    error = logs.std() / math.sqrt(logs.size)
    assert logs.mean() == pytest.approx(math.log(ratio), abs=3 * error + 5e-5 / ratio)


@pytest.mark.parametrize(
    ("cv", "speed_ups"),
    [(0.1, (2.76, 4.46, 8.61)), (0.2, (2.56, 4.01, 7.47)), (0.3, (2.38, 3.64, 6.55))],
)
def test_the_ideal_speed_up_is_less_than_k(cv: float, speed_ups: tuple[float, ...]) -> None:
    """k times the mean over the expected maximum of k, by quadrature."""
    sd = log_sd(cv)
    for k, known in zip((3, 5, 10), speed_ups, strict=True):

        def density(z: float, k: int = k) -> float:
            return float(math.exp(sd * z) * k * stats.norm.cdf(z) ** (k - 1) * stats.norm.pdf(z))

        slowest, _ = integrate.quad(density, -8, 8)
        assert k * math.exp(sd**2 / 2) / slowest == pytest.approx(known, abs=0.006)


def test_the_makespan_ratio_comes_out_of_the_records() -> None:
    rng = np.random.default_rng(101)
    records = []
    for block in range(300):
        one_by_one, at_once = np.exp(log_sd(0.2) * rng.standard_normal((2, 3)))
        for i, (end, taken) in enumerate(zip(one_by_one.cumsum(), at_once, strict=True)):
            for name, done in (("sync", end), ("async", taken)):
                records.append(
                    trial(name, took=float(done), scenario=f"s{i}", block=block, repeat=block)
                )
    found = block_ratio(block_pairs(records, "sync", "async", "makespan"))
    assert found.n == 300
    assert found.lo is not None
    assert found.hi is not None
    assert found.lo < 0.3891 < found.hi


def ar1(rng: np.random.Generator, runs: int, length: int, phi: float) -> np.ndarray:
    """Stationary AR(1) series, one per row."""
    x = rng.standard_normal((runs, length))
    x[:, 0] /= math.sqrt(1 - phi * phi)
    for i in range(1, length):
        x[:, i] += phi * x[:, i - 1]
    return x


@pytest.mark.parametrize(("each", "known"), [(4, 0.300), (5, 0.358)])
def test_one_arm_after_the_other_takes_drift_for_a_difference(each: int, known: float) -> None:
    """Identical arms, φ = .8; ``each`` runs per arm, first all of A and then all of B."""
    x = ar1(np.random.default_rng([11, each]), 20_000, 2 * each, 0.8)
    p = stats.ttest_ind(x[:, :each], x[:, each:], axis=1).pvalue
    assert (p < 0.05).mean() == pytest.approx(known, abs=3 * math.sqrt(0.36 * 0.64 / 20_000))


@pytest.mark.parametrize("blocks", [4, 10, 30])
def test_permuted_pairs_do_not(blocks: int) -> None:
    rng = np.random.default_rng([11, blocks])
    x = rng.permuted(ar1(rng, 20_000, 2 * blocks, 0.8).reshape(-1, blocks, 2), axis=2)
    p = stats.ttest_rel(x[..., 0], x[..., 1], axis=1).pvalue
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=3 * math.sqrt(0.05 * 0.95 / 20_000))
