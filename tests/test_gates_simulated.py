"""The gates by simulation: how often they fail on clean runs, and catch planted faults.

K13 and K15 of the method. Seeds are pinned; blocks are what the fault needs (see ``evidence``).
"""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tests.gates_lib import Plan, draw, failing, gates, recorded

CLEAN = Plan()


def rates(plan: Plan, runs: int, seed: int) -> tuple[Counter[str], float]:
    """Failures by gate, and the share of runs that fail any."""
    rng = np.random.default_rng(seed)
    found = [failing(draw(rng, plan)) for _ in range(runs)]
    return Counter(name for bad in found for name in bad), sum(map(bool, found)) / runs


def test_clean_runs_fail_in_three_percent_at_most() -> None:
    found, any_of_them = rates(CLEAN, 2000, 21)
    assert any_of_them <= 0.03
    assert found["G1"] / 2000 == pytest.approx(0.011, abs=3 * 0.0022)


@pytest.mark.parametrize("plan", [Plan(blocks=24, cv=0.1), Plan(blocks=120, cv=0.15, rho=0)])
def test_so_do_shorter_and_longer_ones(plan: Plan) -> None:
    assert rates(plan, 600, 22)[1] <= 0.03


@pytest.mark.parametrize(
    ("gate", "plan"),
    [
        ("G6", Plan(blocks=108, cv=0.05, rho=0, drift=0.10)),
        ("G6", Plan(blocks=222, cv=0.1, rho=0.5, drift=0.10)),
        ("G7", Plan(blocks=60, slow=1.3)),
        ("G7", Plan(blocks=18, cv=0.15, rho=0, slow=1.3)),
        ("G8", Plan(blocks=24, tokens=1.1)),
        ("G8", Plan(blocks=84, fenced=0.3, tokens=1.1)),
        ("G9", Plan(blocks=186, lost=0.05)),
        ("G9", Plan(blocks=210, right=1.0, wrong=0.05)),
        ("G9", Plan(blocks=360, right=0.99, wrong=0.05)),
        ("G9", Plan(blocks=1002, wrong=0.05)),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.blocks} blocks",
)
def test_planted_faults_are_caught_four_times_in_five(gate: str, plan: Plan) -> None:
    assert rates(plan, 400, 23)[0][gate] / 400 >= 0.8


def test_a_twin_that_differs_by_ten_percent_is_caught_and_by_five_is_not() -> None:
    ten, five = (rates(replace(CLEAN, bias=bias), 600, 24)[0]["G1"] for bias in (1.1, 1.05))
    assert ten / 600 == pytest.approx(0.85, abs=3 * 0.0146)
    assert five / 600 == pytest.approx(0.23, abs=3 * 0.0172)


@pytest.mark.parametrize(
    ("plan", "least"),
    [
        (CLEAN, 0),
        (replace(CLEAN, bias=1.2), 9),
        (replace(CLEAN, slow=1.8), 9),
        (replace(CLEAN, tokens=1.2), 9),
        (replace(CLEAN, lost=0.3), 9),
        (replace(CLEAN, cv=0.02, drift=0.2), 9),
        (replace(CLEAN, right=1.0, wrong=0.5), 9),
    ],
    ids=["clean", "bias", "slow", "tokens", "lost", "drift", "wrong"],
)
def test_records_say_the_same_as_the_arrays(plan: Plan, least: int) -> None:
    rng, failures = np.random.default_rng(25), 0
    for _ in range(10):
        drawn = draw(rng, plan)
        bad = {name for name, gate in gates(recorded(rng, drawn)).items() if gate.ok is False}
        shortcut = failing(drawn)
        # Lost answers take times away, of which the arrays know nothing.
        judged = {"G9"} if plan.lost else {"G1", "G6", "G7", "G8", "G9"}
        assert bad & judged == shortcut & judged
        assert not bad & {"G0", "G2", "G3", "G4", "G5"}
        failures += bool(bad)
    assert failures >= least


def test_a_loop_stalled_fifty_milliseconds_twice_a_second_is_caught() -> None:
    rng = np.random.default_rng(26)
    plan = Plan(blocks=24, cv=0.1, stalled=True)
    caught = [gates(recorded(rng, draw(rng, plan)))["G3"].ok is False for _ in range(20)]
    assert sum(caught) >= 16
