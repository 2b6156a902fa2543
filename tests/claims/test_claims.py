"""Reading claim files, and what published figures can show by themselves."""

from pathlib import Path

import pytest

from harness.claims import Claim, ClaimFile, load_claims, share_alpha
from harness.errors import InputError
from harness.outlook import line_of, spread
from harness.published import evidence
from harness.scenario import load_scenarios, shipped_dir
from harness.stats import estimate

CLAIMS = shipped_dir() / "claims"
FILE = """
id = "x"
sentence = "B is about 15 % faster."
sentence_ko = "B가 약 15 % 빠르다."
source = "somewhere"
kind = "about"
estimand = "response_time_gm"
reduction = 0.15
scenarios = ["short-en-news"]
[arms.baseline]
pipeline = "sync"
[arms.candidate]
pipeline = "async"
"""


def loaded(folder: Path, text: str = FILE) -> Claim:
    path = folder / "claim.toml"
    path.write_text(text)
    return load_claims([path])[0]


def shipped() -> dict[str, Claim]:
    return {claim.id: claim for claim in load_claims([CLAIMS])}


def test_every_shipped_claim_names_known_scenarios_and_its_own_file() -> None:
    known = {scenario.id for scenario in load_scenarios([shipped_dir()])}
    for claim in shipped().values():
        assert set(claim.file.scenarios) <= known, claim.id
        assert Path(claim.path).stem == claim.id
        assert claim.file.sentence_ko != claim.file.sentence


def test_every_figure_of_the_report_has_a_claim() -> None:
    claims = shipped()
    published = {
        name: (claim.file.published.baseline, claim.file.published.candidate)
        for name, claim in claims.items()
    }
    assert published["async-15"] == published["async-15-endpoints"] == ([8.63], [7.34])
    assert published["later-12-slower"] == ([8.5], [9.5])
    assert published["mean-7-43"] == ([], [7.43])
    assert published["three-at-once"] == ([], [7.83])
    assert {"success-100", "resources-cpu", "resources-threads", "caller-not-blocked"} <= set(
        claims
    )
    assert {f"gain-at-{n}" for n in (3, 10, 30)} <= set(claims)
    assert {"keepalive-100-ms", "keepalive-650-ms", "fallback-after-failure"} <= set(claims)


def test_the_reports_15_percent_is_no_evidence_for_two_reasons() -> None:
    found = evidence(shipped()["async-15"])
    assert found.verdict == "not_testable"
    assert found.reasons == ("one_measurement", "same_path")
    assert found.change == pytest.approx(7.34 / 8.63 - 1)


def test_repeated_figures_of_different_code_can_be_tested(tmp_path: Path) -> None:
    text = FILE + "[published]\nbaseline = [8.0, 9.0]\ncandidate = [7.0, 7.5]\n"
    found = evidence(loaded(tmp_path, text))
    assert (found.verdict, found.reasons) == ("inconclusive", ())
    assert found.change == pytest.approx(7.25 / 8.5 - 1)


def test_published_figures_are_judged_by_the_same_algebra(tmp_path: Path) -> None:
    baseline = "[8.63, 7.9, 8.2, 9.1, 7.5, 8.8, 8.0, 9.4, 7.7, 8.5, 8.1, 9.0]"
    faster = "[6.9, 6.8, 7.1, 7.2, 7.0, 6.7, 7.3, 6.6, 6.9, 7.2, 7.1, 7.0]"
    text = FILE + f"[published]\nbaseline = {baseline}\ncandidate = {faster}\n"
    assert evidence(loaded(tmp_path, text)).verdict == "supported"
    same = text.replace(faster, baseline)
    assert evidence(loaded(tmp_path, same)).verdict == "refuted"
    assert evidence(shipped()["success-100"]).verdict == "inconclusive"  # 4 of 4: at least 40 %


def test_a_claim_without_figures_says_so(tmp_path: Path) -> None:
    assert evidence(loaded(tmp_path)).reasons == ("no_figures",)


@pytest.mark.parametrize(
    ("name", "scale", "threshold"),
    [
        ("async-15", 1.0, 1 - 0.15 / 2),
        # slower by 12 %: with the arms swapped a reduction by .12/1.12, half of it is the line
        ("later-12-slower", 1.0, 1 / (1 - 0.12 / 1.12 / 2)),
        ("mean-7-43", 1.0, 7.43 * 1.1),
        ("mean-7-43", 0.02, 7.43 * 1.1 * 0.02),
        ("success-100", 0.02, 0.98),
        ("three-at-once-ratio", 1.0, 0.98),
    ],
)
def test_thresholds_are_in_the_estimands_own_unit(
    name: str, scale: float, threshold: float
) -> None:
    assert shipped()[name].threshold(scale) == pytest.approx(threshold)


def test_latency_claims_have_one_request_in_flight_and_others_a_batch() -> None:
    claims = shipped()
    assert claims["async-15"].block_size == 1
    assert claims["three-at-once"].block_size == 3
    assert claims["gain-at-30"].block_size == 30


def test_the_line_is_half_the_claim(tmp_path: Path) -> None:
    import math

    assert line_of(loaded(tmp_path)) == pytest.approx(math.log(0.925))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("reduction = 0.15", ""), "kind = 'about') needs reduction"),
        (("reduction = 0.15", "reduction = 1.5"), "reduction"),
        (('kind = "about"', 'kind = "absolute"'), "needs value and unit"),
        (('kind = "about"', 'kind = "perhaps"'), "kind"),
        (('"response_time_gm"', '"speed"'), "estimand"),
        (('"response_time_gm"', '"goodput"'), "needs target"),
        (('"response_time_gm"', '"success"'), "needs gain"),
        (('[arms.baseline]\npipeline = "sync"', ""), "needs arms.baseline"),
        (('["short-en-news"]', '["short-en-news", "short-en-news"]'), "named twice"),
        (('["short-en-news"]', '["a", "b", "c"]\ngroup = 2'), "do not fill blocks of 2"),
        (('source = "somewhere"', 'source = "x"\nworkload = "often"'), "workload"),
        (('source = "somewhere"', 'source = "x"\ncolour = "red"'), "colour: unknown key"),
        (('pipeline = "async"', 'pipeline = "async"\nsim = { speed = 2 }'), "speed: unknown key"),
        (("id = ", "id == "), "claim.toml"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    with pytest.raises(InputError) as error:
        loaded(tmp_path, FILE.replace(*change))
    assert said in str(error.value)
    assert "claim.toml" in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_files_empty_folders_and_repeated_ids(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_claims([tmp_path / "none.toml"])
    with pytest.raises(InputError, match="holds no claims"):
        load_claims([tmp_path])
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text(FILE)
    with pytest.raises(InputError, match="already the id of"):
        load_claims([tmp_path])


def test_higher_is_better_is_read_with_the_arms_swapped(tmp_path: Path) -> None:
    claim = loaded(tmp_path, FILE.replace('"response_time_gm"', '"throughput"'))
    assert claim.swap
    assert claim.reduction == pytest.approx(0.15 / 1.15)
    worse = ClaimFile.model_validate(claim.file.model_dump() | {"direction": "worse"})
    assert not Claim(worse, "x").swap


def test_a_family_shares_its_error_rate(tmp_path: Path) -> None:
    claim = loaded(tmp_path, FILE.replace('source = "', 'family = "f"\nsource = "'))
    alone = loaded(tmp_path)
    assert share_alpha([claim])[0].file.confidence == pytest.approx(0.95)
    both = share_alpha([claim, alone, claim])
    assert [c.file.confidence for c in both] == pytest.approx([0.975, 0.95, 0.975])


def test_a_bound_held_at_zero_does_not_narrow_the_spread() -> None:
    claim = next(
        claim
        for claim in shipped().values()
        if claim.file.kind == "absolute" and claim.file.estimand != "success"
    )
    free, held = estimate.mean([0.1, 3.0]), estimate.mean([0.1, 3.0], least=0.0)
    assert free.lo is not None
    assert free.lo < 0 == held.lo
    assert spread(claim, held) == pytest.approx(spread(claim, free))
