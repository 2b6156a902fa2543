"""The adaptive limit: rule by rule, and in simulation against servers whose capacity changes."""

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.limits import AdaptiveLimit
from harness.records import ErrorType

# --- rule by rule ---


def feed(
    limit: AdaptiveLimit, latency_s: float, calls: int, now: float, in_flight: int | None = None
) -> float:
    """``calls`` answers, each of a call that began after the one before; gives the moment after."""
    for _ in range(calls):
        now += latency_s
        limit.observe(latency_s, None, limit.limit if in_flight is None else in_flight, now)
    return now


def test_it_begins_where_it_is_told_to() -> None:
    assert AdaptiveLimit().limit == 3
    assert AdaptiveLimit(least=2, most=9, start=5).limit == 5


@pytest.mark.parametrize(("least", "most", "start"), [(0, 4, 1), (3, 2, 3), (1, 4, 5), (2, 4, 1)])
def test_bounds_that_make_no_sense_are_refused(least: int, most: int, start: int) -> None:
    with pytest.raises(ValueError, match="least ≤ start ≤ most"):
        AdaptiveLimit(least, most, start)


def test_it_grows_by_one_a_window_while_it_is_used_and_latency_holds() -> None:
    limit = AdaptiveLimit()
    now = feed(limit, 1.0, 5, 0.0)
    assert limit.limit == 4
    feed(limit, 1.0, 5, now)
    assert limit.limit == 5
    assert limit.state()["reason"] == "growth"


def test_it_does_not_grow_while_it_is_not_used() -> None:
    limit = AdaptiveLimit(start=10)
    feed(limit, 1.0, 500, 0.0, in_flight=4)
    assert limit._limit == 10.0


def test_it_falls_to_what_the_server_did_without_a_queue() -> None:
    limit = AdaptiveLimit(start=20)
    now = feed(limit, 1.0, 20, 0.0)  # the baseline; it grows to 22
    feed(limit, 4.0, 22, now)  # of 22 calls, three quarters stand in a queue
    assert limit.limit == 11  # 22/4 + √22 is 10, but one fall takes half at most
    assert limit.state()["reason"] == "latency"


def test_a_longer_queue_than_wanted_takes_one_at_most() -> None:
    limit = AdaptiveLimit(start=16)
    now = feed(limit, 1.0, 16, 0.0)
    assert limit.limit == 18
    feed(limit, 1.5, 18, now)  # a queue of 6: more than the root of 18, but not twice as long
    assert limit._limit == 17.0


@pytest.mark.parametrize(("failure", "left"), [("rate_limited", 18), ("timeout", 14)])
def test_a_refusal_or_a_time_out_makes_it_fall(failure: ErrorType, left: int) -> None:
    limit = AdaptiveLimit(start=20)
    limit.observe(0.1, failure, 20, 1.0)
    assert limit.limit == left
    assert limit.state()["reason"] == failure


def test_it_falls_once_for_all_that_were_sent_before_the_fall() -> None:
    limit = AdaptiveLimit(start=20)
    for now in (2.0, 2.1, 2.2):
        limit.observe(1.0, "rate_limited", 20, now)
    assert limit.limit == 18
    limit.observe(0.1, "rate_limited", 18, 2.3)  # sent after the fall
    assert limit.limit == 16


def test_answers_sent_before_a_fall_say_nothing_of_the_limit_after_it() -> None:
    limit = AdaptiveLimit(start=20)
    limit.observe(0.0, "rate_limited", 20, 10.0)
    for now in range(11, 31):
        limit.observe(25.0, None, 20, float(now))
    assert limit.state()["recent_s"] is None


def test_a_failure_of_unknown_length_counts_as_sent_just_now() -> None:
    limit = AdaptiveLimit(start=20)
    limit.observe(None, "timeout", 20, 1.0)
    assert limit.limit == 14
    limit.observe(None, "timeout", 14, 1.5)
    assert limit.limit == 9


def test_a_refusal_counts_from_what_was_really_in_flight_but_takes_half_at_most() -> None:
    limit = AdaptiveLimit(start=20)
    limit.observe(0.1, "rate_limited", 12, 1.0)
    assert limit.limit == 10


@pytest.mark.parametrize("failure", ["http_4xx", "http_5xx", "connect", "protocol", "internal"])
def test_other_failures_say_nothing_of_the_load(failure: ErrorType) -> None:
    limit = AdaptiveLimit(start=20)
    limit.observe(0.1, failure, 20, 1.0)
    assert limit.limit == 20
    assert limit.state()["reason"] == "start"


def test_an_answer_without_a_latency_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="latency"):
        AdaptiveLimit().observe(None, None, 1, 1.0)


def test_now_and_then_it_looks_for_the_baseline_with_fewer_calls() -> None:
    limit = AdaptiveLimit(most=10, start=10)
    now = feed(limit, 1.0, 30, 0.0)
    assert (limit.limit, limit.state()["reason"]) == (4, "probe")
    now = feed(limit, 2.0, 5, now)  # of which the first began before the limit was lower
    assert (limit.limit, limit.state()["baseline_s"]) == (4, 1.0)
    now = feed(limit, 2.0, 1, now)
    assert limit.limit == 10
    assert limit.state()["baseline_s"] == 2.0  # slower even so: the server itself is
    now = feed(limit, 2.0, 10 * 29, now)
    assert limit.limit == 10
    feed(limit, 2.0, 10, now)
    assert limit.limit == 4


def test_a_refusal_ends_the_search_for_the_baseline() -> None:
    limit = AdaptiveLimit(most=10, start=10)
    now = feed(limit, 1.0, 30, 0.0)
    assert limit.limit == 4
    limit.observe(0.1, "rate_limited", 10, now + 1.0)
    assert limit.limit == 9


def test_a_call_by_itself_needs_no_search() -> None:
    limit = AdaptiveLimit(least=1, most=10, start=10)
    feed(limit, 1.0, 1000, 0.0, in_flight=1)
    assert limit.state()["reason"] == "start"


def test_a_server_that_takes_no_time_is_no_trouble() -> None:
    limit = AdaptiveLimit()
    feed(limit, 0.0, 5, 0.0)
    assert limit.limit == 4


def test_the_state_says_what_was_seen() -> None:
    limit = AdaptiveLimit()
    assert limit.state() == {
        "limit": 3,
        "in_flight": None,
        "recent_s": None,
        "baseline_s": None,
        "reason": "start",
    }
    feed(limit, 2.0, 5, 0.0, in_flight=2)
    assert limit.state() == {
        "limit": 3,
        "in_flight": 2.0,
        "recent_s": 2.0,
        "baseline_s": 2.0,
        "reason": "start",
    }


observations = st.tuples(
    st.floats(0.0, 100.0),
    st.sampled_from([None, None, None, "rate_limited", "timeout", "http_5xx"]),
    st.integers(1, 200),
    st.floats(0.0, 10.0),
)


@given(
    bounds=st.lists(st.integers(1, 100), min_size=3, max_size=3).map(sorted),
    calls=st.lists(observations, max_size=300),
)
def test_it_never_leaves_its_bounds(
    bounds: list[int], calls: list[tuple[float, ErrorType | None, int, float]]
) -> None:
    least, start, most = bounds
    limit = AdaptiveLimit(least, most, start)
    now = 0.0
    for latency, failure, in_flight, step in calls:
        now += step
        limit.observe(latency, failure, in_flight, now)
        assert least <= limit.limit <= most
        assert least <= limit._limit <= most


@given(calls=st.lists(observations, max_size=300))
def test_a_fixed_limit_is_fixed(
    calls: list[tuple[float, ErrorType | None, int, float]],
) -> None:
    limit = AdaptiveLimit(5, 5, 5)
    now = 0.0
    for latency, failure, in_flight, step in calls:
        now += step
        limit.observe(latency, failure, in_flight, now)
        assert limit.limit == 5


# --- in simulation ---


@dataclass(frozen=True)
class Phase:
    """A stretch of time in which the server is the same."""

    seconds: float
    capacity: int  # calls at full speed at once
    slowness: float = 1.0  # mean seconds of a call that does not wait


@dataclass
class Seen:
    """What came of one phase."""

    latencies: list[float] = field(default_factory=list)
    refused: int = 0
    timed_out: int = 0
    limit_seconds: float = 0.0
    late_limits: list[int] = field(default_factory=list)  # in the second half


Kind = Literal["queue", "sharing", "refusing"]


class Server:
    """Serves ``capacity`` calls at full speed. Any beyond stand in a queue, or share its speed
    with the others, or are refused.
    """

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.capacity = 0
        self.left: dict[int, float] = {}  # call → seconds of work, in the order of arrival

    def takes(self) -> bool:
        return self.kind != "refusing" or len(self.left) < self.capacity

    def _speeds(self) -> dict[int, float]:
        if self.kind == "sharing":
            speed = min(1.0, self.capacity / max(1, len(self.left)))
            return dict.fromkeys(self.left, speed)
        return dict.fromkeys(list(self.left)[: self.capacity], 1.0)

    def next_end(self) -> tuple[float, int] | None:
        """Seconds until a call ends if nothing changes, and which."""
        ends = [(self.left[call] / speed, call) for call, speed in self._speeds().items()]
        return min(ends, default=None)

    def work(self, seconds: float) -> None:
        for call, speed in self._speeds().items():
            self.left[call] -= speed * seconds


def simulate(
    limit: AdaptiveLimit,
    phases: Sequence[Phase],
    seed: int,
    *,
    kind: Kind = "queue",
    cv: float = 0.3,
    timeout: float | None = None,
) -> list[Seen]:
    """Callers who always want more, held back only by ``limit``; a refusal takes 0.05 s, and is
    tried again at once. Work is gamma distributed with the given coefficient of variation.
    """
    rng = random.Random(seed)
    server = Server(kind)
    sent: dict[int, float] = {}
    refusals: list[tuple[float, int]] = []
    seen = [Seen() for _ in phases]
    now, calls = 0.0, 0
    for phase, here in zip(phases, seen, strict=True):
        server.capacity = phase.capacity
        begin, end = now, now + phase.seconds
        while now < end:
            while len(sent) < limit.limit:
                calls += 1
                sent[calls] = now
                if server.takes():
                    work = rng.gammavariate(cv**-2, cv**2) if cv else 1.0
                    server.left[calls] = phase.slowness * work
                else:
                    refusals.append((now + 0.05, calls))
            due: list[tuple[float, int, str]] = [(end, 0, "phase")]
            if (ending := server.next_end()) is not None:
                due.append((now + ending[0], ending[1], "done"))
            if timeout is not None:
                due.append(min((at + timeout, call, "timeout") for call, at in sent.items()))
            due += [(at, call, "refused") for at, call in refusals[:1]]
            at, call, what = min(due)
            server.work(at - now)
            here.limit_seconds += limit.limit * (at - now)
            now = at
            if what == "phase":
                break
            latency = now - sent[call]
            if what == "done":
                here.latencies.append(latency)
                limit.observe(latency, None, len(sent), now)
            elif what == "timeout":
                here.timed_out += 1
                limit.observe(latency, "timeout", len(sent), now)
            else:
                here.refused += 1
                refusals.pop(0)
                limit.observe(latency, "rate_limited", len(sent), now)
            server.left.pop(call, None)
            del sent[call]
            if now > (begin + end) / 2:
                here.late_limits.append(limit.limit)
    return seen


def share(phase: Phase, seen: Seen) -> float:
    """What was done of what the server could do."""
    return len(seen.latencies) * phase.slowness / (phase.seconds * phase.capacity)


def slowdown(phase: Phase, seen: Seen) -> float:
    """Mean latency as a multiple of that of a call alone."""
    return statistics.fmean(seen.latencies) / phase.slowness


def mean_limit(phase: Phase, seen: Seen) -> float:
    return seen.limit_seconds / phase.seconds


CHANGING = [Phase(300, 8), Phase(300, 3), Phase(300, 12)]
SEEDS = range(3)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["queue", "sharing"])
@pytest.mark.parametrize("cv", [0.0, 0.3])
def test_it_follows_a_capacity_that_changes(seed: int, kind: Kind, cv: float) -> None:
    for phase, seen in zip(
        CHANGING, simulate(AdaptiveLimit(), CHANGING, seed, kind=kind, cv=cv), strict=True
    ):
        root = phase.capacity**0.5
        assert share(phase, seen) >= 0.9
        assert slowdown(phase, seen) <= 1.3 * (1 + 1 / root)  # a queue of the root is the aim
        assert phase.capacity <= mean_limit(phase, seen) <= phase.capacity + 2 * root
        assert max(seen.late_limits) <= phase.capacity + 4 * root


@pytest.mark.parametrize("seed", SEEDS)
def test_very_noisy_latency_does_not_make_it_collapse(seed: int) -> None:
    for phase, seen in zip(
        CHANGING, simulate(AdaptiveLimit(), CHANGING, seed, cv=0.6), strict=True
    ):
        assert share(phase, seen) >= 0.7
        assert slowdown(phase, seen) <= 2.5


@pytest.mark.parametrize("seed", SEEDS)
def test_it_finds_what_a_refusing_server_takes(seed: int) -> None:
    for phase, seen in zip(
        CHANGING, simulate(AdaptiveLimit(), CHANGING, seed, kind="refusing"), strict=True
    ):
        assert share(phase, seen) >= 0.87
        assert max(seen.late_limits) <= phase.capacity + 3
        assert seen.refused <= 0.15 * len(seen.latencies)


@pytest.mark.parametrize("seed", SEEDS)
def test_time_outs_hold_it_back(seed: int) -> None:
    free = simulate(AdaptiveLimit(12, 12, 12), CHANGING, seed, timeout=2.5)
    held = simulate(AdaptiveLimit(most=12), CHANGING, seed, timeout=2.5)
    assert free[1].timed_out > len(free[1].latencies)
    for phase, seen in zip(CHANGING, held, strict=True):
        assert share(phase, seen) >= 0.82
        assert seen.timed_out <= 0.1 * len(seen.latencies)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_server_that_is_slower_for_good_is_used_as_before(seed: int) -> None:
    phases = [Phase(300, 8), Phase(1500, 8, slowness=5.0), Phase(300, 8)]
    for phase, seen in zip(phases, simulate(AdaptiveLimit(), phases, seed), strict=True):
        assert share(phase, seen) >= 0.85
        assert slowdown(phase, seen) <= 3.0


@pytest.mark.parametrize("capacity", [1, 3, 8, 40])
def test_in_the_long_run_it_neither_starves_nor_runs_away(capacity: int) -> None:
    phase = Phase(2000 if capacity < 40 else 600, capacity)
    [seen] = simulate(AdaptiveLimit(most=500), [phase], seed=1)
    root = capacity**0.5
    assert share(phase, seen) >= 0.9
    assert max(seen.late_limits) <= capacity + 5 * root
    assert mean_limit(phase, seen) <= capacity + 2 * root
    middle = statistics.quantiles(seen.late_limits, n=20)
    assert middle[2] >= 0.4 * capacity  # below that only while the baseline is looked for
