"""The figures of a run made by hand, each known without a computer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.records import (
    OUTCOMES,
    Attempt,
    BlockRecord,
    CheckResult,
    Malformed,
    SimTiming,
    TrialRecord,
    Usage,
)
from harness.store import Run, dump
from harness.summary import summarise
from tests.runs import manifest
from tests.stats.build import trial

TARGET = 2.0
FAILED = CheckResult("news-has-festival", "contains", False, 1, "news", "is not there")
PASSED = CheckResult("structure", "structure", True, None, None, None)

# What the design promises to scripts; there may be more.
SPREAD = ("n", "mean", "p50", "p95", "p99", "max")
TIMES = dict.fromkeys(SPREAD) | {"ci95": dict.fromkeys(("mean", "p50", "p95"))}
PER_BLOCK = dict.fromkeys(("n", "mean", "ci95"))
PIPELINE = {
    "trials": None,
    "outcomes": dict.fromkeys(OUTCOMES),
    "success": dict.fromkeys(("k", "n", "rate", "ci95")),
    "response_time_s": TIMES,
    "service_time_s": TIMES,
    "ttft_s": TIMES,
    "throughput_per_s": PER_BLOCK,
    "goodput_per_s": PER_BLOCK,
    "makespan_s": PER_BLOCK,
    "tokens": None,
    "resources": dict.fromkeys(("cpu_s_per_trial", "peak_rss_mb", "peak_threads", "peak_sockets")),
}
COMPARISON = dict.fromkeys(
    ("baseline", "candidate", "estimand", "ratio", "ci95", "change_percent", "n", "dropped_pairs")
) | dict.fromkeys(("verdict", "warnings"))
CHECK = dict.fromkeys(("name", "ok", "value", "limit", "remedy"))


def missing(found: Any, promised: Any, where: str = "summary") -> list[str]:
    """The promised keys that are not there; a figure may be null as a whole."""
    if promised is None or found is None:
        return []
    lost = [f"{where}.{key}" for key in promised if key not in found]
    for key in promised.keys() & found.keys():
        lost += missing(found[key], promised[key], f"{where}.{key}")
    return lost


def one(block: int, took: float | None, scenario: str, arm: str, **more: Any) -> TrialRecord:
    return trial(
        arm, took, scenario=scenario, block=block, repeat=block, scheduled=10.0 * block, **more
    )


def stretch(block: int, arm: str, cpu: float, rss: float | None, **more: Any) -> BlockRecord:
    peaks = {"peak_rss_mb": rss, "peak_threads": None, "peak_sockets": 0}
    values = {"warmup": False, "lag_s": (0.0,), **peaks, **more}
    return BlockRecord(
        block=block,
        pipeline=arm,
        segment=0,
        repeat=block,
        position=0,
        started=10.0 * block,
        ended=10.0 * block + 4,
        trials=2,
        cpu_s=cpu,
        **values,
    )


CALL = Attempt("edit", due=10.0, sent=10.25, done=11.0, sim=SimTiming(ttft_s=0.5, total_s=0.5))

RECORDS = [
    # Block 0: warm-up, absurdly slow, and nowhere to be seen in the figures.
    one(0, 900.0, "s1", "base", warmup=True, outcome="malformed"),
    one(0, 900.0, "s2", "cand", warmup=True, outcome="error", error="reset"),
    # Block 1: whole.
    replace(
        one(1, 1.0, "s1", "base"), usage=Usage(100, 10), checks=(PASSED, PASSED), attempts=(CALL,)
    ),
    replace(
        one(1, 3.0, "s2", "base", outcome="wrong"),
        usage=Usage(200, 20, cached=50),
        checks=(PASSED, FAILED),
    ),
    one(1, 0.5, "s1", "cand", ttft=0.125),
    one(1, 1.5, "s2", "cand", ttft=0.375),
    # Block 2: the baseline loses a trial.
    one(2, 2.0, "s1", "base"),
    one(2, 2.0, "s2", "base", outcome="error", error="timeout"),
    one(2, 1.0, "s1", "cand"),
    replace(
        one(2, 1.0, "s2", "cand", outcome="malformed"), malformed=Malformed("no_json", "words")
    ),
    # Block 3: cut in half by an interruption and a resume.
    one(3, None, "s1", "base", outcome="cancelled"),
    one(3, 1.0, "s1", "base", segment=1),
    one(3, 1.0, "s2", "base", segment=1),
    one(3, 7.0, "s1", "cand"),
    one(3, 7.0, "s2", "cand"),
]
BLOCKS = [
    stretch(0, "base", 99.0, 999.0, warmup=True),
    stretch(1, "base", 0.5, 50.0, peak_threads=3),
    stretch(2, "base", 0.25, 60.0),
]


def summary(
    records: list[TrialRecord] = RECORDS, blocks: list[BlockRecord] = BLOCKS, **about: Any
) -> dict[str, Any]:
    values = {"config": {"target": TARGET}, "planned_trials": len(records), **about}
    return summarise(Run(Path(), manifest(**values), records, blocks))


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return summary()


@pytest.fixture(scope="module")
def base(made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = made["pipelines"]["base"]
    return found


@pytest.fixture(scope="module")
def cand(made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = made["pipelines"]["cand"]
    return found


def rows(made: dict[str, Any], candidate: str = "cand") -> dict[str, dict[str, Any]]:
    return {row["estimand"]: row for row in made["comparisons"] if row["candidate"] == candidate}


def test_it_has_what_scripts_depend_on(made: dict[str, Any]) -> None:
    assert made["schema"] == 1
    top = ("schema", "run", "pipelines", "client_error_s", "comparisons", "validity")
    promised = dict.fromkeys(top) | {"client_error_s": dict.fromkeys(SPREAD)}
    assert missing(made, promised) == []
    for name, pipeline in made["pipelines"].items():
        assert missing(pipeline, PIPELINE, name) == []
        assert pipeline["outcomes"].keys() == set(OUTCOMES)
    for row in made["comparisons"]:
        assert missing(row, COMPARISON, row["estimand"]) == []
    assert all(not missing(check, CHECK, check["name"]) for check in made["validity"]["checks"])
    assert b"NaN" not in dump(made)


def test_counts(base: dict[str, Any], cand: dict[str, Any]) -> None:
    assert base["trials"] == 7
    nothing = dict.fromkeys(OUTCOMES, 0)
    assert base["outcomes"] == nothing | {"ok": 4, "wrong": 1, "error": 1, "cancelled": 1}
    assert base["errors"] == {"timeout": 1}
    assert base["failed_checks"] == {"news-has-festival": 1}
    assert cand["outcomes"] == nothing | {"ok": 5, "malformed": 1}
    assert cand["malformed"] == {"no_json": 1}


def test_success_leaves_out_the_cancelled_alone(base: dict[str, Any]) -> None:
    success = base["success"]
    assert (success["k"], success["n"]) == (4, 6)
    assert success["rate"] == pytest.approx(4 / 6)
    assert success["ci95"] == pytest.approx([0.300, 0.903], abs=0.001)  # Wilson, by hand


def test_latency_is_of_answered_trials(base: dict[str, Any], cand: dict[str, Any]) -> None:
    times = base["response_time_s"]
    assert (times["n"], times["p50"], times["max"]) == (5, 1.0, 3.0)
    assert times["mean"] == pytest.approx((1 + 3 + 2 + 1 + 1) / 5)
    assert times["excluded"] == {"error": 1, "cancelled": 1}
    assert times["ci95"]["p95"] is None
    assert times["warnings"]["p95"] == "n = 5 < 72"
    assert base["service_time_s"]["mean"] == pytest.approx(times["mean"] - 0.25)
    assert cand["response_time_s"]["n"] == 6


def test_the_first_token_counts_where_there_was_one(
    base: dict[str, Any], cand: dict[str, Any]
) -> None:
    assert base["ttft_s"] is None
    assert (cand["ttft_s"]["n"], cand["ttft_s"]["mean"]) == (2, 0.25)
    assert cand["ttft_s"]["excluded"] == {"not_measured": 4}


def test_whole_blocks_have_makespan_and_throughput(base: dict[str, Any]) -> None:
    makespan, throughput = base["makespan_s"], base["throughput_per_s"]
    assert (makespan["n"], makespan["mean"], makespan["ci95"]) == (1, 3.0, None)
    assert makespan["excluded"] == {"warmup": 1, "incomplete": 1, "cut_block": 1}
    assert throughput["n"] == 2
    assert throughput["mean"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert throughput["excluded"] == {"warmup": 1, "cut_block": 1}


def test_goodput_is_ok_within_the_target(base: dict[str, Any]) -> None:
    assert base["goodput_per_s"]["mean"] == pytest.approx((1 / 3 + 1 / 2) / 2)
    strict = summary(config={"target": 0.75})["pipelines"]
    assert strict["base"]["goodput_per_s"]["mean"] == 0.0
    assert strict["cand"]["goodput_per_s"]["mean"] == pytest.approx((1 / 1.5 + 0) / 2)


def test_tokens_that_were_counted(base: dict[str, Any], cand: dict[str, Any]) -> None:
    assert base["tokens"] == {"n": 2, "prompt": 300, "completion": 30, "cached": 50}
    assert cand["tokens"] is None


def test_resources_of_the_arm(base: dict[str, Any], cand: dict[str, Any]) -> None:
    assert base["resources"] == {
        "cpu_s_per_trial": pytest.approx(0.75 / 4),
        "peak_rss_mb": 60.0,
        "peak_threads": 3,
        "peak_sockets": 0,
    }
    assert set(cand["resources"].values()) == {None}


def test_the_client_error_is_measured_with_a_simulator(made: dict[str, Any]) -> None:
    assert made["client_error_s"] == {"n": 1, **dict.fromkeys(SPREAD[1:], 0.25)}
    assert summary(RECORDS[4:])["client_error_s"] is None


def test_comparisons_pair_within_whole_blocks(made: dict[str, Any]) -> None:
    found = rows(made)
    geometric = found["response_time_gm"]
    assert geometric["ratio"] == pytest.approx(0.5)
    assert geometric["change_percent"] == pytest.approx(-50)
    assert (geometric["n"], geometric["dropped_pairs"], geometric["cut_blocks"]) == (2, 1, 1)
    assert found["makespan"]["n"] == 1
    assert found["makespan"]["dropped_pairs"] == 1
    assert found["throughput"]["n"] == 2
    assert "goodput" in found
    assert all(row["cut_blocks"] == 1 for row in found.values())
    assert all(row["verdict"] is None for row in found.values())
    assert "goodput" not in rows(summary(config={"target": None}))


def test_the_run_is_described(made: dict[str, Any]) -> None:
    run = made["run"]
    assert (run["recorded_trials"], run["warmup_trials"], run["scenarios"]) == (15, 2, 2)
    assert (run["simulated"], run["time_scale"], run["baseline"]) == (True, 1.0, "base")
    broken = {check["name"] for check in made["validity"]["checks"] if not check["ok"]}
    assert broken == {"unanswered_share", "complete"}  # the cancelled trial is not done
    assert not made["validity"]["valid"]


def test_an_arm_that_got_no_answer_has_no_latency() -> None:
    lost = [one(1, 2.0, "s1", "base", outcome="error", error="http_5xx")]
    found = summary(lost)["pipelines"]["base"]
    for figure in ("response_time_s", "service_time_s", "ttft_s", "makespan_s", "tokens"):
        assert found[figure] is None, figure
    assert found["success"]["rate"] == 0.0  # measured: none of one
    assert found["throughput_per_s"]["mean"] == 0.0
    assert found["resources"]["cpu_s_per_trial"] == pytest.approx(0.75 / 4)


def test_a_run_without_records_has_no_figures() -> None:
    made = summary([], [], segments=[], provider=None, planned_trials=4)
    assert made["client_error_s"] is None
    for pipeline in made["pipelines"].values():
        success = pipeline["success"]
        assert (success["k"], success["n"], success["rate"], success["ci95"]) == (0, 0, None, None)
        measured = [key for key in PIPELINE if key.endswith("_s") or key == "tokens"]
        assert all(pipeline[key] is None for key in measured)
        assert set(pipeline["resources"].values()) == {None}
    assert all(row["ratio"] is None and row["n"] == 0 for row in made["comparisons"])
    assert not made["validity"]["valid"]
    assert (made["run"]["started"], made["run"]["time_scale"]) == (None, None)


def test_the_baseline_against_itself_is_one() -> None:
    again = [replace(record, pipeline="base@aa") for record in RECORDS if record.pipeline == "base"]
    made = summary([*RECORDS, *again], arms=["base", "base@aa", "cand"])
    assert list(made["pipelines"]) == ["base", "base@aa", "cand"]
    twin = rows(made, "base@aa")["response_time_gm"]
    assert (twin["baseline"], twin["ratio"]) == ("base", pytest.approx(1.0))
    assert rows(made)["response_time_gm"]["ratio"] == pytest.approx(0.5)


def test_the_order_of_records_does_not_matter(made: dict[str, Any]) -> None:
    assert summary(RECORDS[::-1], BLOCKS[::-1]) == made
