"""Targets: the grammar, and what an interval decides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InputError
from harness.load.slo import Held, overall, parse_slo, request_limits


def test_the_grammar() -> None:
    p95, success, ttft, itl, service = parse_slo(
        "p95<8s, success>=0.99,ttft_p95 < 800ms,itl_p99.9<=50ms,service_p50<2.5s"
    )
    assert (p95.metric, p95.measure) == ("p95", "response")
    assert p95.limit == 8
    assert p95.needed == 0.95
    assert success.measure is None
    assert success.limit is None
    assert success.needed == 0.99
    assert (ttft.measure, ttft.limit, ttft.text) == ("ttft", 0.8, "ttft_p95<800ms")
    assert (itl.measure, itl.limit) == ("itl", 0.05)
    assert itl.needed == pytest.approx(0.999)
    assert service.measure == "service"
    assert parse_slo("success>=99%")[0].needed == 0.99


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no target"),
        ("p95", "is no target"),
        ("p95<8s,", "is no target"),
        ("p95<eight", "is no target"),
        ("p95<8", "give a time"),
        ("p95<0s", "give a time"),
        ("p95>8s", "p95 needs < or <="),
        ("success<0.9", "success needs >= or >"),
        ("success>=1.5", "give a share"),
        ("success>=0", "give a share"),
        ("success>=1", "no sample can show"),
        ("success>=0.9s", "give a share"),
        ("p0<1s", "p0 is no quantile"),
        ("latency<1s", "no metric 'latency'"),
        ("mean<1s", "no metric 'mean'"),
        ("p95<8s,p95<9s", "given twice"),
    ],
)
def test_wrong_targets_are_refused(text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_slo(text)
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["p95<8s", "success>=0.95"])
@pytest.mark.parametrize(
    ("low", "high", "held"),
    [
        (0.95, 1.0, "held"),
        (0.97, None, "held"),
        (0.94, 0.96, "undecided"),
        (0.90, 0.949, "missed"),
        (None, 0.5, "missed"),
        (0.5, None, "undecided"),
        (None, None, "undecided"),
    ],
)
def test_only_a_whole_interval_decides(
    text: str, low: float | None, high: float | None, held: Held
) -> None:
    assert parse_slo(text)[0].held(low, high) == held


def test_the_worst_target_decides() -> None:
    assert overall(["held", "held"]) == "held"
    assert overall(["held", "undecided"]) == "undecided"
    assert overall(["undecided", "missed", "held"]) == "missed"
    assert overall([]) == "held"


def test_goodput_takes_the_tightest_limits_of_whole_requests() -> None:
    targets = parse_slo("p95<8s,p50<2s,ttft_p95<1s,itl_p99<50ms,success>=0.9,service_p95<1s")
    assert request_limits(targets) == {"response": 2, "ttft": 1}


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        targets = parse_slo(text)
    except InputError:
        return
    assert all(0 < target.needed < 1 for target in targets)
