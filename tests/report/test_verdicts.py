"""Verdicts in words: each with its figures, in both languages, labelled, and as strict JSON."""

import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from harness.claims import Claim, ClaimFile, VerdictName
from harness.experiments import Options
from harness.gates import Effect, Gate
from harness.judge import Result
from harness.planning import plan
from harness.published import Evidence
from harness.report.digits import finite, number, significant
from harness.report.plans import print_plans
from harness.report.verdict_words import evidence, grounds, headline
from harness.report.verdicts import print_results, write_results
from harness.report.words import LANGS, Lang, Words
from harness.stats.verdict import Qualifier

HANGUL = re.compile("[가-힣]")
ENGLISH = re.compile(r"[A-Za-z]{2,}")
NAMES = {"sync", "async", "harness", "claim", "ms", "aa", "treatment", "drift"}
SIMULATED = Options(None, 0, 0.02, False)
REAL = Options("local:model", 0, 1.0, False)
QUALIFIERS: dict[VerdictName, tuple[Qualifier | None, ...]] = {
    "supported": (None, "understated"),
    "refuted": ("overstated", "no_effect", "too_small", "reversed"),
    "inconclusive": (None, "direction_only"),
    "not_testable": (None,),
    "invalid_run": (None,),
}
CASES = [
    (verdict, qualifier, lang)
    for verdict, qualifiers in QUALIFIERS.items()
    for qualifier in qualifiers
    for lang in LANGS
]


def claim(**changes: Any) -> Claim:
    raw: dict[str, Any] = {
        "id": "x",
        "sentence": "B is about 15 % faster <script>alert(1)</script>.",
        "sentence_ko": "약 15 % 빠르다 <script>alert(1)</script>.",
        "source": "<script>somewhere</script>",
        "kind": "about",
        "estimand": "response_time_gm",
        "reduction": 0.15,
        "scenarios": ["short-en-news"],
        "arms": {"baseline": {"pipeline": "sync"}, "candidate": {"pipeline": "async"}},
    }
    return Claim(ClaimFile.model_validate(raw | changes), "claim.toml")


def gate(name: str = "G1_aa", effect: Effect = "inconclusive", **changes: Any) -> Gate:
    made = Gate(name, False, 0.12, 0.08, "log ratio", effect, "A/A is wide", "run more blocks")
    return replace(made, **changes)


def result(**changes: Any) -> Result:
    made = Result(
        claim="x",
        evidence=Evidence("not_testable", -0.15, ("one_measurement", "same_path")),
        verdict="supported",
        qualifier=None,
        estimand="response_time_gm",
        estimate=0.85,
        ci=(0.82, 0.88),
        confidence=0.95,
        threshold=0.925,
        n=24,
        n_blocks=24,
        blocks_needed=60,
        mde=0.041,
        gates=(),
        reasons=(),
        method="paired t on log ratios of blocks",
        warnings=(),
    )
    return replace(made, **changes)


def said(found: Result, lang: Lang = "en", of: Claim | None = None) -> str:
    return "\n".join(grounds(of or claim(), found, Words(lang)))


def words_left(text: str) -> set[str]:
    """English words in a Korean text, but for names."""
    return set(ENGLISH.findall(text)) - NAMES


def test_cases_are_all_there_are() -> None:
    assert set(QUALIFIERS) == set(get_args(VerdictName))
    named = {qualifier for some in QUALIFIERS.values() for qualifier in some if qualifier}
    assert named == set(get_args(Qualifier))


@pytest.mark.parametrize(("verdict", "qualifier", "lang"), CASES)
@pytest.mark.parametrize("kind", ["about", "any"])
def test_every_verdict_has_its_words_and_figures(
    verdict: VerdictName,
    qualifier: Qualifier | None,
    lang: Lang,
    kind: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mine = claim(kind=kind)
    broken = {"not_testable": "G0_treatment", "invalid_run": "G6_drift"}.get(verdict)
    gates = () if broken is None else (gate(broken, verdict),)  # type: ignore[arg-type]
    reasons = () if broken is None else (broken,)
    found = result(verdict=verdict, qualifier=qualifier, gates=gates, reasons=reasons)
    print_results([(mine, found)], tmp_path, SIMULATED, as_json=False, lang=lang)
    text = capsys.readouterr().out
    for part in ("−15.0", "−18.0", "−12.0", "95 %", "n = 24", "sync", "async", "× 0.02"):
        assert part in text
    assert "{" not in text
    first = text.splitlines()[0]
    assert ("simulated" if lang == "en" else "시뮬레이션") in first
    assert headline(mine, found, Words(lang)) in first
    assert ("−7.5 %" in text) is (broken is None)
    if broken is not None:
        assert broken in text
        assert ("A/A is wide" in text) is (lang == "en")
    if lang == "ko":
        assert not words_left(headline(mine, found, Words("ko")))
        assert not words_left("\n".join(grounds(mine, found, Words("ko"))))
        assert not words_left(evidence(found, Words("ko")))


def test_published_figures_have_a_verdict_of_their_own() -> None:
    found = result()
    assert evidence(found, Words("en")).count("; ") == 1
    assert "not testable — one measurement" in evidence(found, Words("en"))
    enough = replace(found, evidence=Evidence("supported", -0.15, ()))
    assert evidence(enough, Words("en")).endswith(": supported")
    assert evidence(enough, Words("ko")).endswith(": 지지됨")


def test_qualifiers_say_what_they_measure_against() -> None:
    en, ko = Words("en"), Words("ko")
    none = result(verdict="refuted", qualifier="no_effect")
    assert "within ±5 %" in headline(claim(), none, en)
    assert "±7 % 이내" in headline(claim(equivalence=0.07), none, ko)
    success = claim(estimand="success", gain=0.1)
    assert "within ±5 percentage points" in headline(success, none, en)
    assert "±5 %p 이내" in headline(success, none, ko)
    small = result(verdict="refuted", qualifier="too_small")
    assert "half of what is claimed" in headline(claim(), small, en)
    assert "smaller than the margin that counts" in headline(claim(kind="any"), small, en)
    over = result(verdict="refuted", qualifier="overstated")
    assert "smaller than the margin that counts" in headline(claim(kind="any"), over, en)


def test_success_is_in_percentage_points() -> None:
    mine = claim(estimand="success", gain=0.1)
    found = result(estimand="success", estimate=0.08, ci=(0.02, 0.14), threshold=0.05, mde=None)
    english, korean = said(found, "en", mine), said(found, "ko", mine)
    assert "+8.0 percentage points" in english
    assert "above +5.0 percentage points" in english
    assert "n = 24 trials" in english
    assert "+8.0 %p" in korean
    assert "+5.0 %p 위" in korean


@pytest.mark.parametrize(
    ("estimand", "unit", "english", "korean"),
    [
        ("response_time_mean", "s", "7.40 s", "7.40초"),
        ("throughput", "per_s", "7.40 per s", "7.40건/초"),
        ("peak_threads", "threads", "7.40 threads", "7.40개 스레드"),
        ("peak_rss_mb", "MB", "7.40 MB", "7.40 MB"),
        ("success", "rate", "740.0 %", "740.0 %"),
    ],
)
def test_values_have_their_unit(estimand: str, unit: str, english: str, korean: str) -> None:
    arms = {"candidate": {"pipeline": "async"}}
    mine = claim(kind="absolute", estimand=estimand, value=8.0, unit=unit, arms=arms)
    found = result(estimand=estimand, estimate=7.4, ci=(7.0, None), threshold=8.8)
    assert english in said(found, "en", mine)
    assert "no bound" in said(found, "en", mine)
    assert korean in said(found, "ko", mine)


def test_what_cannot_be_bounded_is_said() -> None:
    assert "not estimable" in said(result(estimate=None, ci=(None, None)))
    assert "−18.0 to no bound" in said(result(ci=(0.82, None)))
    assert "−18.0 to ∞" in said(result(ci=(0.82, math.inf)))
    assert "no bound to −12.0" in said(result(ci=(math.nan, 0.88)))


def test_the_line_tells_when_the_claim_is_supported() -> None:
    assert "supported if the whole interval lies below −7.5 %" in said(result())
    assert "전체 구간이 −7.5 % 아래에 있으면 지지된다" in said(result(), "ko")


def test_what_more_blocks_would_do() -> None:
    open_ = result(verdict="inconclusive")
    assert "about 60 blocks would decide" in said(open_)
    assert "4.1 %" in said(open_)
    near = replace(open_, blocks_needed=24)
    assert "more blocks may not decide" in said(near)
    assert "블록을 늘려도 판단하지 못할 수 있다" in said(near, "ko")
    assert "would decide" not in said(near)
    wide = replace(near, gates=(gate(),), reasons=("G1_aa",))
    assert "near the line" not in said(wide)


@pytest.mark.parametrize(
    ("effect", "english"),
    [
        ("invalid_run", "the baseline differs from itself"),
        ("inconclusive", "is too wide"),
        ("not_testable", "was not run against itself"),
    ],
)
def test_the_reason_of_a_gate_follows_its_effect(effect: Effect, english: str) -> None:
    found = result(verdict=effect, gates=(gate(effect=effect),), reasons=("G1_aa",))
    assert english in said(found)
    assert not words_left(said(found, "ko"))


@pytest.mark.parametrize(
    "warning",
    [
        "always valid: stopping inflates the estimate",
        "adjusted for the place of the arms within their blocks",
        "3 pairs are not positive: dropped",
        "heavy tails: Hodges–Lehmann 0.913 lies outside the interval",
        "Wilcoxon disagrees about a difference: p = 0.043",
        "1 shared scenarios: holds for these only",
        "time-outs reach the median: a bound is missing",
        "a mean is not positive: no ratio",
        "sync: the bounds are equal values: the interval has no width",
    ],
)
def test_warnings_are_shown_and_translated(warning: str) -> None:
    found = result(warnings=(warning,))
    assert warning in said(found)
    korean = said(found, "ko").splitlines()[-1]
    assert not words_left(korean) - {"Hodges", "Lehmann", "Wilcoxon"}
    assert set(re.findall(r"\d+(?:\.\d+)?", warning)) <= set(re.findall(r"\d+(?:\.\d+)?", korean))


def test_an_unknown_warning_is_left_as_it_is() -> None:
    assert "something: new" in said(result(warnings=("something: new",)), "ko")


@pytest.mark.parametrize(
    "method",
    [
        "paired t on log ratios of scenarios",
        "paired delta-t over blocks",
        "paired bootstrap of blocks, percentile",
        "t confidence sequence over blocks, g = 5",
        "t over 6 scenarios",
        "mean, t interval",
        "p95, order statistics",
    ],
)
def test_methods_are_shown_and_translated(method: str) -> None:
    assert f"method: {method}" in said(result(method=method))
    assert not words_left(said(result(method=method), "ko"))


@pytest.mark.parametrize(("options", "simulated"), [(SIMULATED, True), (REAL, False)])
def test_json_is_strict(
    options: Options, simulated: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = gate(value=math.nan, limit=math.inf)
    found = result(ci=(-math.inf, math.inf), mde=math.nan, gates=(wide,))
    print_results([(claim(), found)], tmp_path, options, as_json=True, lang="en")
    write_results(tmp_path, [(claim(), found)], options, "en")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    printed = json.loads(capsys.readouterr().out, parse_constant=refuse)
    kept = json.loads((tmp_path / "claims.json").read_text("utf-8"), parse_constant=refuse)
    assert kept == {"schema": 1, **printed}
    assert (printed["simulated"], printed["time_scale"]) == (simulated, options.time_scale)
    assert printed["claims"][0]["ci"] == [None, None]
    assert printed["claims"][0]["mde"] is None
    assert printed["claims"][0]["validity"]["checks"][0]["limit"] is None


def test_times_of_a_real_model_have_no_label(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_results([(claim(), result())], tmp_path, REAL, as_json=False, lang="en")
    assert "simulated" not in capsys.readouterr().out
    in_full = replace(SIMULATED, provider="sim:report-2025", time_scale=1.0)
    print_results([(claim(), result())], tmp_path, in_full, as_json=False, lang="en")
    assert "supported · simulated\n" in capsys.readouterr().out


@pytest.mark.parametrize("lang", LANGS)
def test_a_page_escapes_what_it_was_given(
    lang: Lang, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["harness", "claim", "my claims/x.toml"])
    gates = (gate(), gate("G0_treatment", "not_testable", ok=True, unit="differences"))
    found = result(verdict="inconclusive", gates=gates, reasons=("G1_aa",))
    write_results(tmp_path, [(claim(), found)], SIMULATED, lang)
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 2
    assert "× 0.02" in page
    assert "harness claim &#x27;my claims/x.toml&#x27;" in page
    assert ("A/A is wide" in page) is (lang == "en")


def test_a_korean_page_has_no_english_but_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["harness", "claim"])
    mine = claim(sentence_ko="약 15 % 빠르다.", source="보고서")
    units = ("log ratio", "points", "s", "of ideal", "of one core", "of trials", "differences")
    gates = tuple(gate("G6_drift", "invalid_run", unit=unit) for unit in units)
    found = result(verdict="invalid_run", gates=gates, reasons=("G6_drift",))
    write_results(tmp_path, [(mine, found)], SIMULATED, "ko")
    page = (tmp_path / "index.html").read_text("utf-8")
    body = page[page.index("<body>") :]
    assert not words_left(re.sub(r"<[^>]*>", " ", body))
    headings = re.findall(r"<(?:h1|h2|th|summary)\b[^>]*>([^<]*)<", body)
    assert headings
    assert all(HANGUL.search(text) or text.startswith("G6_") for text in headings)


def test_remedies_are_those_of_the_finding(tmp_path: Path) -> None:
    first = gate(remedy="find what favours one arm: its place, caches, connections")
    other = gate("G4_client", "invalid_run", remedy="something new")
    found = result(verdict="invalid_run", gates=(first, other), reasons=("G4_client",))
    write_results(tmp_path, [(claim(), found)], SIMULATED, "ko")
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "한쪽에 유리한 원인을 찾는다" in page
    assert "동시성을 낮추거나" in page
    assert "something new" not in page


@pytest.mark.parametrize(
    ("lang", "printed", "because"),
    [
        ("en", "G2_schedule: not measured", "what G2_schedule looks at was not measured"),
        ("ko", "G2_schedule: 측정되지 않음", "G2_schedule 관문에서 볼 값이 측정되지 않았다"),
    ],
)
def test_a_gate_without_a_value_has_no_limit_and_no_remedy_of_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lang: Lang, printed: str, because: str
) -> None:
    late = gate("G2_schedule", "invalid_run", value=None, limit=None, remedy="")
    found = result(verdict="invalid_run", gates=(late,), reasons=("G2_schedule",))
    assert because in said(found, lang)
    print_results([(claim(), found)], tmp_path, SIMULATED, as_json=False, lang=lang)
    line = next(line for line in capsys.readouterr().out.splitlines() if printed in line)
    words = Words(lang)
    assert words("claim.remedy") not in line
    assert words("claim.limit") not in line
    write_results(tmp_path, [(claim(), found)], SIMULATED, lang)
    table = (tmp_path / "index.html").read_text("utf-8").partition("<tbody>")[2]
    cells = re.findall(r"<td>([^<]*)</td>", table)
    assert cells[:2] == ["—", "—"]
    assert cells[2].startswith(words("validity.unknown"))
    assert cells[3] == ""


def test_numbers_that_are_not_finite() -> None:
    assert [significant(x) for x in (math.inf, -math.inf, math.nan)] == ["∞", "−∞", "—"]
    assert number(math.nan, 1) == "—"
    assert finite({"a": [1.5, (math.inf, "x")], "b": math.nan, "c": True}) == {
        "a": [1.5, [None, "x"]],
        "b": None,
        "c": True,
    }


def test_a_plan_for_a_value_has_no_other_arm_to_differ_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arms = {"candidate": {"pipeline": "async"}}
    mine = claim(kind="absolute", estimand="response_time_mean", value=8.0, unit="s", arms=arms)
    found = plan(mine)
    print_plans([found], [mine], as_json=False, lang="en")
    english = capsys.readouterr().out
    assert f"about {found.support} blocks to decide" in english
    assert "refute" not in english
    print_plans([found], [mine], as_json=False, lang="ko")
    assert not words_left(capsys.readouterr().out)
