"""Records to samples: what is kept, what is left out, and that order never matters."""

import random

import numpy as np
import pytest

from harness.records import Outcome, TrialRecord
from harness.stats.sample import (
    Measure,
    Pairs,
    block_pairs,
    block_values,
    pairs,
    sample,
    successes,
)
from tests.stats.build import trial


def test_a_sample_holds_answered_trials_and_counts_the_rest() -> None:
    outcomes: tuple[Outcome, ...] = ("ok", "wrong", "malformed", "error", "cancelled", "dropped")
    records = [
        trial(block=i, took=float(i + 1), outcome=outcome) for i, outcome in enumerate(outcomes)
    ]
    records += [trial(block=9, warmup=True), trial("async", block=0), trial(block=8, took=None)]
    found = sample(records, "sync")
    assert found.values.tolist() == [1.0, 2.0, 3.0]
    assert found.blocks.tolist() == [0, 1, 2]
    assert found.scenarios == ("s1", "s1", "s1")
    assert found.excluded == {
        "error": 1,
        "cancelled": 1,
        "dropped": 1,
        "warmup": 1,
        "not_measured": 1,
    }
    assert found.n == 3


@pytest.mark.parametrize(
    ("measure", "value"), [("response_time", 2.0), ("service_time", 1.5), ("ttft", 0.25)]
)
def test_the_three_times(measure: Measure, value: float) -> None:
    found = sample([trial(took=2.0, delay=0.5, ttft=0.25)], "sync", measure)
    assert found.values.tolist() == [value]


def test_an_unstreamed_trial_has_no_ttft() -> None:
    found = sample([trial()], "sync", "ttft")
    assert found.n == 0
    assert found.excluded == {"not_measured": 1}


def test_timeouts_can_stand_for_infinity() -> None:
    records = [
        trial(block=1, took=2.0),
        trial(block=2, outcome="error", error="timeout"),
        trial(block=3, outcome="error", error="reset"),
        trial(block=4, outcome="error", error="timeout", warmup=True),
    ]
    found = sample(records, "sync", timeouts_as_inf=True)
    assert found.values.tolist() == [2.0, np.inf]
    assert found.excluded == {"error": 1, "warmup": 1}


def test_timeouts_can_stand_for_infinity_in_pairs() -> None:
    records = [trial("sync"), trial("async", outcome="error", error="timeout")]
    assert pairs(records, "sync", "async").n == 0
    found = pairs(records, "sync", "async", timeouts_as_inf=True)
    assert found.candidate.tolist() == [np.inf]


def grid() -> list[TrialRecord]:
    return [
        trial(name, took=float(base + block), scenario=scenario, block=block, repeat=block)
        for name, base in (("sync", 10), ("async", 20))
        for scenario in ("s1", "s2")
        for block in (1, 2, 3)
    ]


def test_pairs_match_block_scenario_and_repeat() -> None:
    found = pairs(grid(), "sync", "async")
    assert found.baseline.tolist() == [11, 11, 12, 12, 13, 13]
    assert found.candidate.tolist() == [21, 21, 22, 22, 23, 23]
    assert found.blocks.tolist() == [1, 1, 2, 2, 3, 3]
    assert found.scenarios == ("s1", "s2") * 3
    assert (found.excluded, found.dropped_pairs, found.cut_blocks) == ({}, 0, 0)


def test_the_order_of_records_does_not_matter_and_is_left_alone() -> None:
    records = grid()
    shuffled = records.copy()
    random.Random(3).shuffle(shuffled)
    before = shuffled.copy()
    a, b = pairs(records, "sync", "async"), pairs(iter(shuffled), "sync", "async")
    assert shuffled == before
    assert np.array_equal(a.baseline, b.baseline)
    assert np.array_equal(a.candidate, b.candidate)
    assert a.scenarios == b.scenarios
    assert np.array_equal(sample(records, "sync").values, sample(shuffled, "sync").values)


def test_values_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        sample(grid(), "sync").values[0] = 0.0


def test_a_lost_side_drops_the_pair_with_its_reason() -> None:
    records = [
        trial("sync", block=1),
        trial("async", block=1, outcome="error", error="timeout"),
        trial("sync", block=2),
        trial("sync", block=3, warmup=True),
        trial("async", block=3, warmup=True),
        trial("sync", block=4),
        trial("async", block=4, took=None),
        trial("sync", block=5),
        trial("async", block=5, outcome="wrong"),
        trial("sync", block=6, outcome="dropped"),
        trial("async", block=6, outcome="cancelled"),
    ]
    found = pairs(records, "sync", "async")
    assert found.blocks.tolist() == [5]
    assert found.excluded == {"unanswered": 2, "missing": 1, "warmup": 1, "not_measured": 1}
    assert found.dropped_pairs == 4


def test_blocks_cut_by_a_resume_are_left_out() -> None:
    records = [
        trial("sync", block=1),
        trial("async", block=1),
        trial("sync", block=2),
        trial("async", block=2, segment=1),
        trial("sync", block=3, segment=1),
        trial("async", block=3, segment=1),
        trial("sync", block=4),
        trial("async", block=4),
        trial("batched", block=4, segment=1),
    ]
    found = pairs(records, "sync", "async")
    assert found.blocks.tolist() == [1, 3]
    assert found.excluded == {"cut_block": 2}
    assert (found.cut_blocks, found.dropped_pairs) == (2, 0)
    assert block_values(records, "sync", "makespan").excluded == {"cut_block": 2}


def test_the_same_trial_twice_is_an_error_unless_a_resume_cut_its_block() -> None:
    again = [trial("sync", segment=0), trial("sync", segment=0)]
    with pytest.raises(ValueError, match="twice"):
        pairs(again, "sync", "async")
    resumed = [trial("sync", segment=0), trial("sync", segment=1)]
    assert pairs(resumed, "sync", "async").excluded == {"cut_block": 1}


def test_pairs_of_plain_numbers() -> None:
    found = Pairs.of([8.63], [7.34])
    assert (found.n, found.dropped_pairs, found.blocks.tolist()) == (1, 0, [0])
    with pytest.raises(ValueError, match="equal length"):
        Pairs.of([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="equal length"):
        Pairs.of([[1.0]], [[1.0]])


def burst(pipeline: str, ends: list[float], block: int = 1, **change: Outcome) -> list[TrialRecord]:
    return [
        trial(pipeline, took=end, scenario=f"s{i}", block=block, outcome=change.get(f"s{i}", "ok"))
        for i, end in enumerate(ends)
    ]


def test_makespan_throughput_and_goodput_of_a_block() -> None:
    records = burst("async", [1.0, 2.0, 4.0], s0="wrong")
    assert block_values(records, "async", "makespan").values.tolist() == [4.0]
    assert block_values(records, "async", "throughput").values.tolist() == [0.75]
    assert block_values(records, "async", "goodput").values.tolist() == [0.5]
    assert block_values(records, "async", "goodput", target=3.0).values.tolist() == [0.25]


def test_an_unfinished_block_has_a_throughput_but_no_makespan() -> None:
    records = burst("async", [1.0, 2.0, 4.0], s1="error")
    found = block_values(records, "async", "makespan")
    assert (found.n, found.excluded) == (0, {"incomplete": 1})
    assert block_values(records, "async", "throughput").values.tolist() == [0.5]


def test_a_block_without_any_end_or_length_is_not_measured() -> None:
    nothing = [trial(took=None, outcome="dropped")]
    assert block_values(nothing, "sync", "throughput").excluded == {"not_measured": 1}
    assert block_values([trial(took=0.0)], "sync", "goodput").excluded == {"not_measured": 1}


def test_block_pairs_need_both_arms_whole() -> None:
    records = [
        *burst("sync", [3.0, 6.0], block=1),
        *burst("async", [2.0, 3.0], block=1),
        *burst("sync", [3.0, 6.0], block=2),
        *burst("async", [2.0], block=2),
        *burst("sync", [3.0, 6.0], block=3),
        *burst("sync", [3.0, 6.0], block=4),
        *burst("async", [2.0, 3.0], block=4, s1="error"),
        trial("sync", block=0, warmup=True),
        trial("async", block=0, warmup=True),
    ]
    found = block_pairs(records, "sync", "async", "makespan")
    assert found.baseline.tolist() == [6.0]
    assert found.candidate.tolist() == [3.0]
    assert found.excluded == {"partial": 1, "missing": 1, "incomplete": 1, "warmup": 1}
    assert found.dropped_pairs == 3


def test_success_is_ok_among_trials_that_were_not_cancelled() -> None:
    outcomes: tuple[Outcome, ...] = ("ok", "wrong", "malformed", "error", "cancelled", "dropped")
    records = [trial(block=i, outcome=outcome) for i, outcome in enumerate(outcomes)]
    records += [trial(block=9, warmup=True), trial(block=8, scenario="s2", took=5.0)]
    found = successes(records, "sync")
    assert (found.k, found.n) == (2, 6)
    assert found.by_scenario == {"s1": (1, 5), "s2": (1, 1)}
    assert found.excluded == {"cancelled": 1, "warmup": 1}
    assert successes(records, "sync", target=2.0).k == 1
