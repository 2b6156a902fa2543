"""What a claim will take: known figures of the method, and a pilot."""

from pathlib import Path

import pytest

from harness.claims import load_claims
from harness.cli import main
from harness.planning import plan
from harness.scenario import shipped_dir
from tests.claims.test_claims import FILE, loaded

CLAIMS = shipped_dir() / "claims"


@pytest.mark.parametrize(
    ("cv", "rho", "support", "refute"),
    [(0.10, 0.5, 13, 15), (0.20, 0.0, 89, 104), (0.20, 0.5, 46, 53), (0.20, 0.8, 20, 23)],
)
def test_blocks_are_those_of_the_method(
    tmp_path: Path, cv: float, rho: float, support: int, refute: int
) -> None:
    found = plan(loaded(tmp_path, FILE + f"[plan]\ncv = {cv}\nrho = {rho}\n"))
    assert (found.support, found.refute) == (support, refute)
    assert found.blocks == refute


def test_noise_alone_gives_the_published_difference(tmp_path: Path) -> None:
    (claim,) = load_claims([CLAIMS / "async-15.toml"])
    found = plan(claim)
    assert found.published_n == 1
    assert found.noise is not None
    # 14.95 %, not 15: slightly more often than the table of the method
    assert found.noise["0.1"] == pytest.approx(0.126, abs=0.008)
    assert found.noise["0.3"] == pytest.approx(0.349, abs=0.012)


def test_time_tokens_and_money_follow_from_blocks_and_arms(tmp_path: Path) -> None:
    text = FILE + "[plan]\nedit_s = 10.0\nprompt_tokens = 1000\ncompletion_tokens = 500\n"
    found = plan(loaded(tmp_path, text), time_scale=0.5, prices=(2.0, 8.0))
    assert found.arms == 3
    blocks = found.blocks + 1  # the round of warm-up costs as much as any other
    assert found.minutes == pytest.approx(blocks * 3 * 5.0 / 60)
    assert found.prompt_tokens == blocks * 3 * 1000
    assert found.cost == pytest.approx(blocks * 3 * (1000 * 2.0 + 500 * 8.0) / 1e6)
    assert plan(loaded(tmp_path, text)).cost is None


def test_blocks_are_whole_rounds_and_so_is_the_warm_up() -> None:
    (claim,) = load_claims([CLAIMS / "async-15.toml"])
    found = plan(claim)
    assert found.blocks % 6 == 0
    assert found.minutes == pytest.approx((found.blocks + 6) * 3 * 7.4 / 60)
    assert found.budget_minutes == claim.file.budget.minutes


@pytest.mark.parametrize(
    ("estimand", "factor", "least"),
    [("response_time_p50", 1.2533, 30), ("response_time_p95", 2.1132, 300)],
)
def test_a_quantile_takes_more_blocks_and_never_fewer_than_its_interval_needs(
    tmp_path: Path, estimand: str, factor: float, least: int
) -> None:
    text = FILE.replace("response_time_gm", estimand)
    wide = plan(loaded(tmp_path, text + "[plan]\ncv = 0.6\n"))
    usual = plan(loaded(tmp_path, FILE + "[plan]\ncv = 0.6\n"))
    assert usual.refute is not None
    # blocks go with the square of the spread, but for the 4 that a fixed N adds
    assert wide.blocks == pytest.approx(usual.refute * factor**2, rel=0.02, abs=8)
    narrow = plan(loaded(tmp_path, text + "[plan]\ncv = 0.01\n"))
    assert narrow.blocks == least


def test_the_spread_of_success_is_not_known_without_a_pilot() -> None:
    claims = {claim.id: claim for claim in load_claims([CLAIMS])}
    found = plan(claims["success-100"])
    assert (found.support, found.refute) == (None, None)
    assert found.blocks == found.budget_blocks


def test_resources_and_sizes_that_nobody_knows_stay_open() -> None:
    claims = {claim.id: claim for claim in load_claims([CLAIMS])}
    cpu = plan(claims["resources-cpu"])
    assert (cpu.support, cpu.refute) == (None, None)
    assert cpu.blocks == cpu.budget_blocks
    at_once = plan(claims["three-at-once-ratio"])
    assert at_once.support is not None  # published: 22.29 s against 7.83 s
    assert at_once.support <= at_once.blocks < 10


def test_a_pilot_gives_spread_times_and_tokens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pilot = tmp_path / "pilot"
    command = ["run", "--time-scale", "0.002", "--provider", "sim:report-2025"]
    short = str(shipped_dir() / "short")
    options = ["--concurrency", "1", "--repeats", "1", "--warmup", "0", "--pipelines", "sync,async"]
    assert main([*command, *options, "--scenarios", short, "--out", str(pilot), "--json"]) == 0
    capsys.readouterr()
    file = str(CLAIMS / "async-15.toml")
    assert main(["claim", file, "--plan", "--pilot", str(pilot), "--lang", "ko"]) == 0
    said = capsys.readouterr().out
    assert str(pilot) in said
    assert "블록" in said


def test_a_pilot_without_trials_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(CLAIMS / "async-15.toml")
    assert main(["claim", file, "--plan", "--pilot", str(tmp_path)]) == 2
    assert "holds no run" in capsys.readouterr().err
