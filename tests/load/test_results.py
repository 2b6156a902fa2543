"""Figures of a load: exact quantiles, failures apart, rates defined; and the client's limits."""

from typing import Any

import numpy as np
import pytest

from harness.load.columns import Failure
from harness.load.observed import CODE, observe
from harness.load.results import Asked, figures, spread
from harness.load.slo import parse_slo
from tests.load.build import client, columns, result

STEADY = Asked("http://x/v1", {"text": "rate=1"}, 100.0)


def of(asked: Asked = STEADY, n: int = 100, **given: Any) -> dict[str, Any]:
    about = {key: given.pop(key) for key in ("client", "interrupted") if key in given}
    made = columns(n, **given)
    return figures(asked, result(made, **about), observe(made))


def failures(n: int, **counts: int) -> "np.ndarray[tuple[int], np.dtype[np.int8]]":
    found = np.zeros(n, np.int8)
    at = 0
    for name, count in counts.items():
        found[at : at + count] = Failure[name.upper()]
        at += count
    return found


def test_quantiles_are_numpys_and_from_the_scheduled_moment() -> None:
    rng = np.random.default_rng(1)
    scheduled = np.arange(500.0)
    eligible = scheduled + rng.exponential(0.2, 500)  # a caller had to be waited for
    uncounted = rng.exponential(0.001, 500)  # then this machine stood still
    sent = eligible + uncounted + rng.exponential(0.001, 500)  # and the client was late by itself
    done = sent + rng.exponential(1, 500)
    found = of(
        n=500, scheduled=scheduled, eligible=eligible, sent=sent, uncounted=uncounted, done=done
    )
    for key, times in (
        ("response_time_s", done - scheduled - uncounted),
        ("service_time_s", done - sent),
        ("issue_delay_s", sent - scheduled),
    ):
        expected = [times.mean(), *np.quantile(times, [0.5, 0.95, 0.99]), times.max()]
        assert [found[key][name] for name in ("mean", "p50", "p95", "p99", "max")] == expected
        assert found[key]["n"] == 500
    low, high = found["response_time_s"]["ci95"]["p50"]
    assert low < found["response_time_s"]["p50"] < high
    assert found["ttft_s"] is None
    assert found["itl_s"] is None


def test_requests_that_fare_alike_are_of_fewer_independent_ones() -> None:
    rng = np.random.default_rng(1)
    alike = spread(np.repeat(rng.exponential(1, 30), 20))
    apart = spread(rng.exponential(1, 600))
    assert alike is not None
    assert apart is not None
    assert alike["effective_n"]["p95"] < 72
    assert alike["ci95"]["p95"] is None
    assert apart["effective_n"]["p95"] > 300


def test_failures_are_counted_by_type_and_never_timed() -> None:
    failed = failures(100, timeout=3, http_5xx=2, connect=1, dropped=4, cancelled=5)
    done = np.arange(100.0) + np.where(failed == 0, 0.1, 300.0)
    sent = np.where(failed == Failure.DROPPED, np.nan, np.arange(100.0))
    found = of(failure=failed, done=done, sent=sent)
    assert found["outcomes"] == {
        "ok": 85,
        "wrong": 0,
        "malformed": 0,
        "error": 6,
        "cancelled": 5,
        "dropped": 4,
    }
    assert found["errors"] == {"timeout": 3, "connect": 1, "http_5xx": 2}
    assert found["dropped"] == 4
    assert found["response_time_s"]["n"] == 85
    assert found["response_time_s"]["max"] == pytest.approx(0.1)
    assert found["success"]["rate"] == pytest.approx(85 / 95)
    assert found["success"]["n"] == 95


def test_rates_are_what_their_definitions_say() -> None:
    found = of()
    assert found["offered_per_s"] == 1
    assert found["achieved_per_s"] == 1
    assert found["throughput_per_s"] == 1
    assert of(done=np.arange(100.0) + 25.0)["throughput_per_s"] == pytest.approx(100 / 124)
    late = of(sent=np.arange(100.0) * 1.5)
    assert late["achieved_per_s"] == pytest.approx(100 / 148.5)
    cut = of(Asked("x", {}, 500.0), interrupted=True)
    assert cut["offered_per_s"] == cut["achieved_per_s"] == pytest.approx(100 / 99.1)
    closed = of(Asked("x", {}, None, closed=True))
    assert closed["offered_per_s"] is None
    assert closed["achieved_per_s"] == closed["throughput_per_s"] == pytest.approx(100 / 99.1)


def test_a_request_that_hangs_does_not_lower_what_was_answered_per_second() -> None:
    failed = np.zeros(100, np.int8)
    failed[90] = Failure.TIMEOUT
    done = np.arange(100.0) + 0.1
    done[90] += 300.0
    found = of(failure=failed, done=done)
    assert found["throughput_per_s"] == found["goodput_per_s"] == 0.99
    assert found["duration_s"] == pytest.approx(390.1)
    closed = of(Asked("x", {}, None, closed=True), failure=failed, done=done)
    assert closed["throughput_per_s"] == pytest.approx(99 / 99.1)


def test_goodput_is_ok_and_within_the_targets() -> None:
    done = np.arange(100.0) + np.where(np.arange(100) < 30, 5.0, 0.1)
    found = of(Asked("x", {}, 100.0, parse_slo("p95<1s,p50<3s")), done=done)
    assert found["goodput_per_s"] == pytest.approx(0.7)
    assert found["throughput_per_s"] == pytest.approx(1.0)


def test_tokens_come_from_the_server_and_not_from_chunks() -> None:
    assert of(token_chunks=np.full(100, 8, np.int32))["tokens"] is None
    tokens = np.where(np.arange(100) < 50, 64, -1)
    found = of(tokens=tokens, token_chunks=np.full(100, 8, np.int32))["tokens"]
    assert found["completion"] == 3200
    assert found["n"] == 50
    assert found["token_chunks"] == 800


def test_gaps_of_failed_streams_are_left_out() -> None:
    chunks = np.array([3, 2, 4, 1], np.int32)
    failed = np.array([0, Failure.RESET, 0, 0], np.int8)
    made = columns(4, token_chunks=chunks, failure=failed)
    assert observe(made).gaps == pytest.approx([0.01, 0.02, 0.04, 0.05, 0.06])
    whole = columns(4, token_chunks=chunks)
    assert len(observe(whole).gaps) == 6
    mixed = columns(4, token_chunks=chunks, failure=failed, gaps_at=np.array([4, 3, 0, 0]))
    # Streams end in another order than they were scheduled.
    assert observe(mixed).gaps == pytest.approx([0.01, 0.02, 0.03, 0.05, 0.06])


def test_time_to_first_token_counts_from_sending() -> None:
    found = of(first_token=np.arange(100.0) + 0.031)
    assert found["ttft_s"]["p50"] == pytest.approx(0.030)


def test_what_the_client_missed_is_left_out_and_not_guessed() -> None:
    lost = np.arange(100) < 10
    first = np.arange(100.0) + np.where(lost, 0.5, 0.031)
    made = columns(100, first_token=first, first_lost=lost, token_chunks=np.full(100, 3))
    made.gaps[:50] = np.nan
    asked = Asked("http://x/v1", {}, 100.0, parse_slo("ttft_p50<1s,ttft_p60<0.4s,itl_p50<9s"))
    found = figures(asked, result(made), observe(made))
    assert found["ttft_s"]["n"] == 90
    assert found["ttft_s"]["max"] == pytest.approx(0.030)
    assert found["itl_s"]["n"] == 150
    assert found["itl_s"]["max"] == pytest.approx(2.0)
    assert found["response_time_s"]["n"] == found["service_time_s"]["n"] == 100
    # A target, and goodput, take the most that it can have been.
    assert [target["share"] for target in found["slo"]["targets"]] == [1.0, 0.9, 0.75]
    assert found["goodput_per_s"] == pytest.approx(0.9)


def test_a_target_takes_the_most_that_a_late_client_leaves_possible() -> None:
    held_up = 0.5 * (np.arange(100) % 4 == 0)
    sent = np.arange(100.0) + held_up
    asked = Asked("http://x/v1", {}, 100.0, parse_slo("p50<0.2s,service_p60<0.2s"))
    found = of(asked, sent=sent, uncounted=held_up, done=sent + 0.1)
    assert found["response_time_s"]["max"] == pytest.approx(0.1)
    assert [target["share"] for target in found["slo"]["targets"]] == [0.75, 1.0]
    assert found["goodput_per_s"] == pytest.approx(0.75)


def test_checked_answers_decide_what_is_ok() -> None:
    made = columns(4, failure=np.array([0, 0, 0, Failure.TIMEOUT], np.int8))
    verdicts = np.array([CODE["ok"], CODE["wrong"], CODE["malformed"], CODE["ok"]], np.int8)
    found = figures(STEADY, result(made), observe(made, verdicts))
    assert [found["outcomes"][name] for name in ("ok", "wrong", "malformed", "error")] == [1] * 4
    assert found["success"]["rate"] == 0.25
    assert found["response_time_s"]["n"] == 3


@pytest.mark.parametrize("kind", ["timeout", "dropped", "http_5xx", "rate_limited", "connect"])
def test_what_was_not_answered_is_endless_to_a_target(kind: str) -> None:
    failed = np.random.default_rng(1).permutation(failures(1000, **{kind: 80}))
    slow = Asked("x", {}, 1000.0, parse_slo("p95<1s"))
    missed = of(slow, n=1000, failure=failed)["slo"]
    assert missed["held"] == "missed"
    assert missed["targets"][0]["value"] is None
    assert missed["targets"][0]["share"] == 0.92
    cut = np.random.default_rng(1).permutation(failures(1000, cancelled=80))
    assert of(slow, n=1000, failure=cut)["slo"]["held"] == "held"
    held = of(slow, n=1000)["slo"]
    assert held["held"] == "held"
    assert held["targets"][0]["value"] == pytest.approx(0.1)
    few = of(slow, n=20)["slo"]
    assert few["held"] == "undecided"


def test_streams_that_hang_are_endless_to_the_targets_of_streams() -> None:
    hangs = np.random.default_rng(1).permutation(failures(1000, timeout=100))
    chunks = np.where(hangs == 0, 11, 6).astype(np.int32)
    asked = Asked("x", {}, 1000.0, parse_slo("itl_p95<1000s,ttft_p95<1s"))
    made = columns(1000, failure=hangs, token_chunks=chunks, first_token=np.arange(1000.0) + 0.03)
    found = figures(asked, result(made), observe(made))
    shares = [target["share"] for target in found["slo"]["targets"]]
    assert shares == pytest.approx([0.9, 0.9])
    assert [target["held"] for target in found["slo"]["targets"]] == ["missed", "missed"]
    assert found["itl_s"]["n"] == 9_000
    silent = columns(1000, first_token=np.where(np.arange(1000) < 80, np.nan, np.arange(1000.0)))
    found = figures(asked, result(silent), observe(silent))
    assert found["slo"]["targets"][1]["share"] == 0.92, "an answer without a token"


def test_nothing_measured_is_none() -> None:
    failed = failures(3, connect=3)
    found = of(n=3, failure=failed)
    assert found["response_time_s"] is None
    assert found["success"]["rate"] == 0
    assert spread(np.zeros(0)) is None


# --- validity ---


def broken(found: dict[str, Any]) -> list[str]:
    checks = found["validity"]["checks"]
    assert found["validity"]["valid"] == all(check["ok"] for check in checks)
    assert all(check["remedy"] for check in checks)
    return [check["name"] for check in checks if not check["ok"]]


def test_a_client_that_kept_up_is_valid() -> None:
    assert broken(of()) == []


def some(seconds: float, every: int, since: int = 0) -> "np.ndarray[tuple[int], Any]":
    """Delays of 100 requests: of one in so many."""
    return np.where((np.arange(100) - since) % every == 0, seconds, 0.0)


def held_up(by: "np.ndarray[tuple[int], Any]", took: float = 0.1) -> dict[str, Any]:
    """Requests that left so much late since their machine stood still."""
    sent = np.arange(100.0) + by
    return {"sent": sent, "uncounted": by, "done": sent + took}


@pytest.mark.parametrize(
    ("given", "check"),
    [
        ({"sent": np.arange(100.0) + some(0.003, 50)}, "issue_delay_p99"),
        (held_up(some(0.003, 34)), "held_up_share"),
        (held_up(some(0.11, 100) + some(0.003, 100, 1)), "issue_delay_max"),
        (
            {"client": client(loop_lag=np.full(100, 0.003, np.float32), unstamped=1)},
            "loop_lag_p99",
        ),
        ({"client": client(clock_moved_s=0.002)}, "clock_moved"),
        ({"client": client(gc_pauses=(0.001, 0.02))}, "gc_pause_max"),
        ({"client": client(cpu_s=9.5)}, "client_cpu_share"),
        ({"client": client(peak_in_flight=1000)}, "open_files_share"),
        ({"failure": failures(100, no_socket=1)}, "client_sockets"),
        ({"interrupted": True}, "complete"),
    ],
)
def test_each_limit_is_named_with_its_remedy(given: dict[str, Any], check: str) -> None:
    assert broken(of(**given)) == [check]


@pytest.mark.parametrize("unstamped", [0, 1])
def test_what_may_be_missed_of_streams(unstamped: int) -> None:
    late = client(loop_lag=np.full(100, 0.003, np.float32))
    assert broken(of(client=late)) == [], "reading late does no harm where the kernel stamps"
    made = columns(100, token_chunks=np.full(100, 11), first_token=np.arange(100.0) + 0.05)
    fit = client(unstamped=unstamped)
    for gaps, firsts, expected in (
        (100, 10, []),
        (101, 10, ["merged_share"]),
        (100, 11, ["first_merged_share"]),
    ):
        made.gaps[:] = np.where(np.arange(1000) < gaps, np.nan, 0.01)
        made.first_lost[:] = np.arange(100) < firsts
        assert broken(figures(STEADY, result(made, client=fit), observe(made))) == expected


def test_less_load_than_asked_for_is_invalid() -> None:
    failed = failures(100, dropped=2)
    sent = np.where(failed != 0, np.nan, np.arange(100.0))
    assert broken(of(failure=failed, sent=sent)) == ["dropped", "achieved_share"]
    stretched = np.arange(100.0) * 1.2
    found = of(sent=stretched, done=stretched + 0.1)
    assert {"achieved_share", "issue_delay_p99", "issue_delay_max"} == set(broken(found))


def test_callers_that_are_all_busy_are_named_and_not_the_client() -> None:
    stretched = np.arange(100.0) * 1.2
    found = of(eligible=stretched, sent=stretched, done=stretched + 0.1)
    assert broken(found) == ["carried_share"]
    assert found["issue_delay_s"]["max"] == pytest.approx(0.2 * 99)


def test_a_delay_is_held_against_the_times_that_it_spoils() -> None:
    slow = np.arange(100.0) + 1.0
    late = np.full(100, 0.009)
    assert broken(of(sent=np.arange(100.0) + late, done=slow)) == []
    assert broken(of(sent=np.arange(100.0) + 0.0111, done=slow + 0.01)) == ["issue_delay_p99"]
    loose = Asked("x", {}, 100.0, tolerance_s=0.05)
    assert broken(of(loose, sent=np.arange(100.0) + 0.011)) == []


def test_now_and_then_a_machine_stands_still() -> None:
    found = of(**held_up(some(0.09, 50)))
    assert broken(found) == []
    assert found["issue_delay_s"]["p99"] == pytest.approx(0.09)
    assert found["response_time_s"]["max"] == pytest.approx(0.1), "and that is not the server's"
    assert broken(of(**held_up(some(0.19, 100), took=2.0))) == []
    assert broken(of(**held_up(some(0.21, 100), took=2.0))) == [], "it left by itself"
    burst = some(0.21, 100) + some(0.15, 100, 1)
    assert broken(of(**held_up(burst, took=2.0))) == ["issue_delay_max"]


def test_a_client_that_is_slow_by_itself_shows_in_its_times() -> None:
    # It sends one by one what is due at once, so that the server never has a queue.
    sent = np.arange(100.0) + some(0.05, 20) + some(0.04, 20, 1)
    found = of(sent=sent, done=sent + 0.1)
    assert found["service_time_s"]["p99"] == pytest.approx(0.1)
    assert found["response_time_s"]["p95"] == pytest.approx(0.14, abs=0.01)
    assert broken(found) == ["issue_delay_p99"]


def test_users_of_a_closed_loop_are_idle_while_the_client_is_late() -> None:
    closed = Asked("x", {}, None, closed=True)
    found = of(closed, **held_up(some(0.05, 6), took=1.0))  # 0.85 % of their time
    assert broken(found) == []
    names = {check["name"] for check in found["validity"]["checks"]}
    assert not names & {"held_up_share", "issue_delay_p99"}, "there is no schedule"
    assert found["response_time_s"]["max"] == pytest.approx(1.0)
    (idle,) = (c["value"] for c in found["validity"]["checks"] if c["name"] == "idle_share")
    assert idle == pytest.approx(17 * 0.0495 / (17 * 0.0495 + 100))
    assert broken(of(closed, **held_up(some(0.05, 4), took=1.0))) == ["idle_share"]
    assert broken(of(closed, **held_up(some(0.4, 100), took=1.0))) == []
    always = held_up(np.full(100, 0.0019), took=0.001)  # below what is late, and most of the time
    assert broken(of(closed, **always)) == ["idle_share"]
    assert broken(of(closed, **held_up(np.full(100, 0.0004), took=0.001))) == []
    assert broken(of(closed, failure=failures(100, http_5xx=100))) == []
    assert broken(of(closed, failure=failures(100, connect=100), sent=np.full(100, np.nan))) == [
        "idle_share", "issue_delay_max",
    ]  # fmt: skip


def test_callers_of_a_schedule_must_not_be_idle_either() -> None:
    waited = np.arange(100.0) + some(0.05, 3)
    sent = waited + 0.0019
    assert broken(of(eligible=waited, sent=sent, done=sent + 1.0)) == []
    assert broken(of(eligible=waited, sent=sent, done=sent + 0.01)) == ["idle_share"]
    alone = np.arange(100.0)
    assert broken(of(eligible=alone, sent=alone + 0.0019, done=alone + 0.01)) == []


def test_a_schedule_that_is_due_at_once_is_a_schedule() -> None:
    sent = 0.001 * np.arange(100.0)
    found = of(
        Asked("x", {}, None),
        scheduled=np.zeros(100),
        eligible=np.zeros(100),
        sent=sent,
        done=sent + 1.0,
    )
    assert found["offered_per_s"] is None
    assert broken(found) == ["issue_delay_p99"]
