"""Workloads: what may be written, the moments they give, and the plan of a run."""

import math
from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InputError
from harness.workload import Workload, plan_blocks, plan_round

WORKLOADS = (
    Workload(),
    Workload("burst"),
    Workload("rate", rate=3.0),
    Workload("rate", rate=3.0, arrival="constant"),
)


@pytest.mark.parametrize(
    ("text", "workload"),
    [
        ("closed", Workload("closed")),
        (" closed ", Workload("closed")),
        ("closed,think=0", Workload("closed", think=0.0)),
        ("closed, think=1.5", Workload("closed", think=1.5)),
        ("burst", Workload("burst")),
        ("rate=5", Workload("rate", rate=5.0)),
        ("rate=0.1,poisson", Workload("rate", rate=0.1)),
        ("rate=5 , constant", Workload("rate", rate=5.0, arrival="constant")),
    ],
)
def test_what_may_be_written(text: str, workload: Workload) -> None:
    assert Workload.parse(text) == workload


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", "open", "closed=1", "closed=", "closed,", "closed,think", "closed,think="),
        *("closed,think=-1", "closed,think=nan", "closed,think=inf", "closed,think=soon"),
        *(
            "closed,rest=1",
            "closed,think=1,think=2",
            "burst=3",
            "burst=",
            "burst,think=1",
            "burst,",
        ),
        *("rate", "rate=", "rate=0", "rate=-1", "rate=nan", "rate=inf", "rate=fast", "rate=5,"),
        *("rate=5,uniform", "rate=5,constant,poisson", "RATE=5", "rate=5\nconstant"),
    ],
)
def test_what_may_not(text: str) -> None:
    with pytest.raises(InputError, match=r"^--workload .*write closed, closed,think=") as caught:
        Workload.parse(text)
    assert "\n" not in str(caught.value)


# --- moments ---


def test_a_closed_loop_has_no_moments_and_a_burst_has_one() -> None:
    assert Workload("closed", think=2.0).offsets(5, [1]) is None
    assert Workload("burst").offsets(5, [1]) == [0.0] * 5


def test_constant_moments() -> None:
    offsets = Workload("rate", rate=4.0, arrival="constant").offsets(5, [1])
    assert offsets == [0.0, 0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("rate", [0.5, 20.0])
def test_poisson_moments(rate: float) -> None:
    count = 20_000
    offsets = Workload("rate", rate=rate).offsets(count, [1, 2, 3])
    assert offsets is not None
    gaps = [later - earlier for earlier, later in pairwise([0.0, *offsets])]
    assert min(gaps) >= 0
    # An exponential gap has its mean as its standard deviation, and is over it with chance 1/e.
    error = 4 / math.sqrt(count)
    assert sum(gaps) / count * rate == pytest.approx(1, abs=error)
    assert math.sqrt(sum(g * g for g in gaps) / count / 2) * rate == pytest.approx(1, abs=error)
    assert sum(g * rate > 1 for g in gaps) / count == pytest.approx(math.exp(-1), abs=error)


@given(st.sampled_from(WORKLOADS), st.integers(0, 40), st.lists(st.integers(0, 2**40), min_size=1))
def test_moments_ascend_and_depend_on_the_seed_alone(
    workload: Workload, count: int, seed: list[int]
) -> None:
    offsets = workload.offsets(count, seed)
    assert workload.offsets(count, list(seed)) == offsets
    if offsets is not None:
        assert len(offsets) == count
        assert all(0 <= earlier <= later for earlier, later in pairwise([0.0, *offsets]))


def test_another_seed_gives_other_moments() -> None:
    workload = Workload("rate", rate=1.0)
    assert workload.offsets(5, [1, 2]) != workload.offsets(5, [1, 3])


# --- the plan ---


@given(
    scenarios=st.integers(1, 12),
    arms=st.integers(1, 4),
    workload=st.sampled_from(WORKLOADS),
    repeats=st.integers(1, 3),
    warmup=st.integers(0, 2),
    group=st.integers(1, 15),
    seed=st.integers(0, 2**70),
)
def test_every_scenario_meets_every_arm_once_a_round(
    scenarios: int,
    arms: int,
    workload: Workload,
    repeats: int,
    warmup: int,
    group: int,
    seed: int,
) -> None:
    names = [f"s{i}" for i in range(scenarios)]
    pipelines = [f"p{i}" for i in range(arms)]

    def plan() -> object:
        return plan_blocks(
            names, pipelines, workload, repeats=repeats, warmup=warmup, group=group, seed=seed
        )

    blocks = plan_blocks(
        names, pipelines, workload, repeats=repeats, warmup=warmup, group=group, seed=seed
    )
    assert blocks == plan()
    trials = Counter(
        (scenario, arm, block.repeat)
        for block in blocks
        for scenario in block.scenarios
        for arm in block.arms
    )
    rounds = warmup + repeats
    assert set(trials) == {(s, p, r) for s in names for p in pipelines for r in range(rounds)}
    assert set(trials.values()) == {1}
    assert [block.index for block in blocks] == list(range(len(blocks)))
    assert [block.repeat for block in blocks] == sorted(block.repeat for block in blocks)
    assert all(block.warmup == (block.repeat < warmup) for block in blocks)
    for block in blocks:
        assert sorted(block.arms) == pipelines
        assert 1 <= len(block.scenarios) <= group
        if workload.kind == "closed":
            assert block.offsets is None
        else:
            assert block.offsets is not None
            assert len(block.offsets) == len(block.scenarios)
    # Only the last block of a round may be smaller.
    sizes = defaultdict(list)
    for block in blocks:
        sizes[block.repeat].append(len(block.scenarios))
    for found in sizes.values():
        assert set(found[:-1]) <= {group}
        assert len(found) == math.ceil(scenarios / group)


def test_arms_stand_in_every_order_alike() -> None:
    names, arms, rounds = [f"s{i}" for i in range(50)], ["a", "b", "c"], 40
    blocks = plan_blocks(names, arms, Workload(), repeats=rounds, warmup=0, group=1, seed=1)
    orders = Counter(block.arms for block in blocks)
    assert len(orders) == 6
    for count in orders.values():  # 2000 blocks, 333 ± 17 of each
        assert abs(count - 2000 / 6) < 5 * math.sqrt(2000 / 6 * 5 / 6)


def test_scenarios_stand_in_every_place_alike() -> None:
    names = [f"s{i}" for i in range(5)]
    blocks = plan_blocks(names, ["a"], Workload(), repeats=1000, warmup=0, group=5, seed=1)
    for place in range(5):
        counts = Counter(block.scenarios[place] for block in blocks)
        assert set(counts) == set(names)
        for count in counts.values():
            assert abs(count - 200) < 5 * math.sqrt(200 * 0.8)


def test_another_seed_another_plan() -> None:
    names = [f"s{i}" for i in range(20)]

    def orders(seed: int) -> list[tuple[str, ...]]:
        blocks = plan_blocks(names, ["a"], Workload(), repeats=2, warmup=0, group=20, seed=seed)
        return [block.scenarios for block in blocks]

    assert orders(1) != orders(2)
    assert orders(1)[0] != orders(1)[1]


def test_a_round_of_its_own_is_the_one_of_the_plan() -> None:
    names, arms, workload = ["x", "y", "z"], ["a", "b"], Workload("rate", rate=1.0)
    blocks = plan_blocks(names, arms, workload, repeats=2, warmup=1, group=2, seed=9)
    last = plan_round(
        names, arms, workload, repeat=2, warmup=False, group=2, seed=9, first=len(blocks) - 2
    )
    assert blocks[-2:] == last
