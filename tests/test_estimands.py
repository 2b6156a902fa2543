"""An estimand's name and records → its figure, with known answers."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from harness import estimands
from harness.records import BlockRecord, TrialRecord
from tests.stats.build import trial


def stretch(pipeline: str, block: int, **changes: object) -> BlockRecord:
    plain = BlockRecord(
        block=block,
        pipeline=pipeline,
        segment=0,
        repeat=1,
        position=0,
        warmup=False,
        started=0.0,
        ended=1.0,
        trials=4,
        cpu_s=0.2,
        peak_rss_mb=50.0,
        peak_threads=3,
        peak_sockets=0,
        lag_s=(0.001, 0.004),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def placed(record: TrialRecord, position: int) -> TrialRecord:
    return replace(record, position=position)


def two_arms(took: Callable[[int, int], tuple[float, float]]) -> list[TrialRecord]:
    """Twenty blocks; ``took`` gives both arms' seconds from block and place of the candidate."""
    records = []
    for block in range(20):
        later = block % 2
        a, b = took(block, later)
        records.append(placed(trial("a", a, block=block), 1 - later))
        records.append(placed(trial("b", b, block=block), later))
    return records


def test_ratios_of_response_times() -> None:
    records = two_arms(lambda block, later: (1.0 + block / 100, 0.8 * (1.0 + block / 100)))
    for name in ("response_time_gm", "response_time_mean", "response_time_p50"):
        assert estimands.ratio(name, records, [], "a", "b", 0.95).ratio == pytest.approx(0.8)
    p95 = estimands.ratio("response_time_p95", records, [], "a", "b", 0.95)
    assert p95.ratio == pytest.approx(0.8)
    assert p95.lo is None or p95.hi is None  # 20 trials bound no p95


def test_the_effect_of_a_place_within_the_block_is_taken_off() -> None:
    noise = [0.01 * math.sin(7 * block) for block in range(20)]
    records = two_arms(
        lambda block, later: (1.0, 0.9 * math.exp(noise[block] + (0.1 if later else -0.1)))
    )
    found = estimands.ratio("response_time_gm", records, [], "a", "b", 0.95)
    assert estimands.POSITION_WARNING in found.warnings
    assert found.ratio == pytest.approx(0.9, rel=0.01)
    assert found.lo is not None
    assert found.hi is not None
    assert found.hi / found.lo < 1.02  # with the effect left in: 1.1


def test_without_such_an_effect_nothing_is_adjusted() -> None:
    noise = [0.05 * math.sin(7 * block) for block in range(20)]
    records = two_arms(lambda block, later: (1.0, 0.9 * math.exp(noise[block])))
    found = estimands.ratio("response_time_gm", records, [], "a", "b", 0.95)
    assert estimands.POSITION_WARNING not in found.warnings


@pytest.mark.parametrize(
    ("name", "changes", "ratio"),
    [
        ("cpu_s", {"cpu_s": 0.1}, 0.5),
        ("cpu_s", {"trials": 8}, 0.5),  # for each trial
        ("peak_threads", {"peak_threads": 6}, 2.0),
        ("peak_rss_mb", {"peak_rss_mb": 100.0}, 2.0),
        ("loop_stall_s", {"lag_s": (0.4, 0.1)}, 100.0),
    ],
)
def test_resources_are_compared_block_by_block(
    name: str, changes: dict[str, object], ratio: float
) -> None:
    blocks = [
        made
        for i in range(3)
        for made in (stretch("a", i), stretch("b", i, **changes), stretch("b", 9 + i, warmup=True))
    ]
    found = estimands.ratio(name, [], blocks, "a", "b", 0.95)
    assert found.ratio == pytest.approx(ratio)
    assert found.n == 3


def test_a_block_that_one_arm_lacks_is_counted() -> None:
    blocks = [stretch("a", 0), stretch("b", 0), stretch("a", 1), stretch("b", 1), stretch("a", 2)]
    pairs = estimands.paired("cpu_s", [], blocks, "a", "b")
    assert (pairs.n, pairs.excluded) == (2, {"missing": 1})


def test_what_was_not_measured_is_left_out() -> None:
    blocks = [stretch("a", 0, lag_s=()), stretch("a", 1, peak_threads=None)]
    assert estimands.resource(blocks, "a", "loop_stall_s") == {1: 0.004}
    assert estimands.resource(blocks, "a", "peak_threads") == {0: 3.0}


def test_values_of_one_arm() -> None:
    records = [trial("a", 1.0, block=0), trial("a", 3.0, block=1)]
    mean = estimands.value("response_time_mean", records, [], "a", 0.95)
    assert (mean.point, mean.n) == (2.0, 2)
    right = estimands.value("success", records, [], "a", 0.95)
    assert (right.point, right.n) == (1.0, 2)
    assert right.lo is not None
    assert right.lo < 0.4
    assert estimands.value("makespan", records, [], "a", 0.95).point == pytest.approx(2.0)
    stall = estimands.value("loop_stall_s", [], [stretch("a", 0)], "a", 0.95)
    assert stall.point == 0.004


def test_no_time_rate_or_resource_is_bounded_below_zero() -> None:
    records = [trial("a", 0.1, block=0), trial("a", 3.0, block=1)]
    blocks = [stretch("a", 0, cpu_s=0.1), stretch("a", 1, cpu_s=3.0)]
    for estimand in ("response_time_gm", "makespan", "throughput", "goodput", "cpu_s"):
        found = estimands.value(estimand, records, blocks, "a", 0.95)
        assert found.lo == 0.0
        assert found.hi is not None


def test_gain_is_in_points() -> None:
    records = [
        trial(arm, 1.0, block=i, scenario=f"s{i}", outcome="ok" if arm == "b" or i else "wrong")
        for arm in "ab"
        for i in range(4)
    ]
    assert estimands.gain(records, "a", "b", 0.95).point == pytest.approx(0.25)


def test_success_is_no_ratio() -> None:
    with pytest.raises(ValueError, match="success is not a ratio"):
        estimands.ratio("success", [], [], "a", "b", 0.95)
