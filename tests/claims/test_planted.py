"""Verdicts on planted truths. One edit varies by 8 %: the log ratio of a pair has an sd of 0.11."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.claims import load_claims
from harness.cli import main
from harness.judge import Result
from harness.stats import power
from tests.claims.planted import PROFILE, arms, claim, run

SD = power.paired_log_sd(0.08)
PLANNED = power.blocks_for_verdict(SD, 0.15, -0.078, power=0.99)


def broken(result: Result) -> list[str]:
    return [gate.name for gate in result.gates if gate.ok is False]


def test_a_true_15_percent_is_supported(tmp_path: Path) -> None:
    planned = {"blocks": 200, "least": PLANNED.support}
    faster = arms(candidate={"latency_factor": 0.85})
    result = run(tmp_path, claim(tmp_path, arms=faster, budget=planned))
    assert (result.verdict, broken(result)) == ("supported", [])
    assert result.n_blocks >= PLANNED.support
    assert result.estimate == pytest.approx(0.85, abs=0.04)


def test_no_difference_is_refuted_as_no_effect(tmp_path: Path) -> None:
    # Within ±5 % with power .99: both one-sided lines are 0.051 away.
    enough = {"blocks": 200, "least": power.paired_n(0.0513, SD, power=0.995)}
    result = run(tmp_path, claim(tmp_path, budget=enough))
    assert (result.verdict, result.qualifier) == ("refuted", "no_effect")
    assert broken(result) == []


def test_slower_is_refuted_as_reversed(tmp_path: Path) -> None:
    slower = arms(candidate={"latency_factor": 1.12})
    result = run(tmp_path, claim(tmp_path, arms=slower, budget={"blocks": 200, "least": 40}))
    assert (result.verdict, result.qualifier) == ("refuted", "reversed")


def test_a_starved_budget_is_inconclusive(tmp_path: Path) -> None:
    faster = arms(candidate={"latency_factor": 0.88})
    result = run(tmp_path, claim(tmp_path, arms=faster, budget={"blocks": 8}))
    assert result.verdict == "inconclusive"
    assert result.n_blocks == 8
    assert result.blocks_needed is not None
    assert result.mde is not None


def test_the_sequential_rule_stops_early_on_a_large_effect(tmp_path: Path) -> None:
    faster = arms(candidate={"latency_factor": 0.6})
    tested = claim(tmp_path, arms=faster, budget={"blocks": 100})
    result = run(tmp_path, tested, sequential=True)
    assert (result.verdict, result.qualifier) == ("supported", "understated")
    assert 10 <= result.n_blocks <= 24
    assert "confidence sequence" in result.method
    assert any("stopping inflates" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("factor", "expected"), [(0.85, ("supported", None)), (1.12, ("refuted", "reversed"))]
)
@pytest.mark.parametrize(
    ("estimand", "blocks"), [("response_time_p50", 120), ("response_time_p95", 300)]
)
def test_quantiles_have_the_verdict_of_the_planted_truth(
    tmp_path: Path, estimand: str, blocks: int, factor: float, expected: tuple[str, str | None]
) -> None:
    changed = arms(candidate={"latency_factor": factor})
    tested = claim(tmp_path, arms=changed, estimand=estimand, budget={"blocks": blocks})
    result = run(tmp_path, tested)
    assert ((result.verdict, result.qualifier), broken(result)) == (expected, [])
    assert result.n_blocks == blocks
    assert result.estimate == pytest.approx(factor, abs=0.06)
    assert result.blocks_needed is not None
    assert result.mde is not None


def test_a_percentile_without_a_bound_is_not_testable(tmp_path: Path) -> None:
    faster = arms(candidate={"latency_factor": 0.5})
    tested = claim(tmp_path, arms=faster, estimand="response_time_p95", budget={"blocks": 24})
    result = run(tmp_path, tested)
    assert result.verdict == "not_testable"
    assert "unbounded_quantile" in result.reasons


def test_success_says_how_many_blocks_would_decide(tmp_path: Path) -> None:
    better = {
        "estimand": "success",
        "reduction": None,
        "gain": 0.2,
        "arms": arms(baseline={"right": 0.8}, candidate={"right": 0.9}),
    }
    result = run(tmp_path, claim(tmp_path, budget={"blocks": 40}, **better))
    assert result.verdict == "inconclusive"
    # half the claim is 0.1 away; the shares vary by √(.8·.2 + .9·.1) = .5: (2.8 · .5 / .1)² = 196
    assert result.blocks_needed == pytest.approx(196, rel=0.35)
    assert result.mde == pytest.approx(2.8 * 0.5 / 40**0.5, rel=0.25)  # points


@pytest.mark.parametrize(
    ("planted", "gate", "verdict"),
    [
        ({"drift_per_call": 0.30 / 168}, "G6_drift", "invalid_run"),
        ({"right": 0.75}, "G9_success", "not_testable"),
        ({"length_factor": 1.10}, "G8_work", "not_testable"),
    ],
)
def test_a_planted_fault_trips_its_gate(
    tmp_path: Path, planted: dict[str, float], gate: str, verdict: str
) -> None:
    tested = claim(tmp_path, arms=arms(candidate=planted), budget={"blocks": 84, "least": 84})
    result = run(tmp_path, tested)
    assert gate in broken(result)
    assert result.verdict == verdict
    assert gate in result.reasons


def test_the_same_arm_twice_is_no_treatment(tmp_path: Path) -> None:
    same = {"baseline": {"pipeline": "async"}, "candidate": {"pipeline": "fallback"}}
    result = run(tmp_path, claim(tmp_path, arms=same, budget={"blocks": 40, "least": 40}))
    assert result.verdict == "not_testable"
    assert "G0_treatment" in result.reasons


@pytest.fixture
def busy() -> Iterator[None]:
    """Two threads that want the interpreter all the time."""
    done = threading.Event()

    def burn() -> None:
        while not done.is_set():
            sum(range(1000))

    threads = [threading.Thread(target=burn) for _ in range(2)]
    for thread in threads:
        thread.start()
    yield
    done.set()
    for thread in threads:
        thread.join()


@pytest.mark.usefixtures("busy")
def test_a_client_that_burns_its_processor_is_invalid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "planted.toml").write_text(PROFILE)
    file = tmp_path / "claim.toml"
    file.write_text(
        f"""
id = "burnt"
sentence = "Async is about 15 % faster than sync."
sentence_ko = "비동기가 약 15 % 빠르다."
source = "planted"
kind = "about"
estimand = "response_time_gm"
reduction = 0.15
scenarios = ["short-en-news", "short-ko-price"]
profile = "{tmp_path}/planted.toml"
[arms.baseline]
pipeline = "sync"
[arms.candidate]
pipeline = "async"
[budget]
blocks = 10
"""
    )
    folder = tmp_path / "out"
    code = main(["claim", str(file), "--time-scale", "0.01", "--json", "--out", str(folder)])
    (found,) = json.loads(capsys.readouterr().out)["claims"]
    assert code == 4
    assert found["verdict"] == "invalid_run"
    assert found["validity"]["valid"] is False
    assert {"G2_schedule", "G3_loop", "G4_client"} & set(found["reasons"])
    assert (folder / "claims.json").exists()
    assert load_claims([file])[0].id == "burnt"
