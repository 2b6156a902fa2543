"""Two runs compared, as people and CI see them: golden files, and texts that do no harm."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from harness.comparing import Caution, Result, compare_runs, parse_gates
from harness.report.comparing.junit import junit
from harness.report.comparing.markdown import markdown
from harness.report.comparing.terminal import render
from harness.report.comparing.text import doubt, verdict
from harness.report.layout import Style, width
from harness.report.words import Words
from tests.report.golden import same_as_golden
from tests.two_runs import LATER, Times, run, times

GATES = (
    "p50<=+5%",
    "gm<=+10%,p95<=+5%",
    "success>=-2",
    "success>=0.9",
    "p50<3s",
    "throughput>=-5%",
)
NASTY = "a|b`c`<script>@team #1 *x* \x1b[2J\u202e\ufffe한글"
ASCII, MARKS = Style(colour=False, marks=False), Style(colour=False, marks=True)


def skewed(factor: float, seed: int) -> Times:
    rng = np.random.default_rng(seed)
    return {f"s{i}": list(factor * rng.lognormal(0, 0.1, 6)) for i in range(8)}


def settled(result: Result) -> Result:
    """The same with folders that do not depend on where the tests run."""
    a, b = replace(result.a, folder="reports/main"), replace(result.b, folder="reports/branch")
    return replace(result, a=a, b=b)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """sync is as before, async slower, batched gone, streaming new."""
    folder = tmp_path_factory.mktemp("runs")
    a = {"sync": times(), "async": skewed(0.5, 1), "batched": times(seed=2)}
    b = {"sync": times(seed=3), "async": skewed(0.65, 4), "streaming": times(seed=5)}
    sim = {"kind": "sim", "simulated": True, "profile": "report-2025", "time_scale": 0.5}
    return settled(
        compare_runs(
            run(folder / "a", a, provider=sim),
            run(folder / "b", b, provider=sim, started=LATER, config={"seed": 1, "concurrency": 4}),
            parse_gates(GATES),
        )
    )


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("runs")
    about = {"kind": "http", "simulated": False, "model": NASTY}
    a = run(folder / "a", {NASTY: times()}, provider=about)
    b = run(folder / "b", {NASTY: times(1.5)}, provider={**about, "model": f"{NASTY} 2"})
    return compare_runs(a, b, parse_gates(["gm<=+5%", "p99<=+5%"]))


@pytest.mark.parametrize(
    ("columns", "style", "name"),
    [(100, MARKS, "compare.txt"), (100, ASCII, "compare-ascii.txt"), (70, MARKS, "compare-70.txt")],
)
def test_the_terminal(made: Result, columns: int, style: Style, name: str) -> None:
    lines = list(render(made, columns, style))
    assert max(map(width, lines)) <= columns
    if not style.marks:
        assert "\n".join(lines).isascii()
    same_as_golden("\n".join(lines) + "\n", name)


def test_where_one_pipeline_has_no_room_all_are_stacked(made: Result) -> None:
    bare = replace(made, rulings=())
    texts = {columns: "\n".join(render(bare, columns, MARKS)) for columns in range(80, 101)}
    heads = {columns: text.count("change, %  [95 %]") for columns, text in texts.items()}
    assert set(heads.values()) <= {0, len(bare.pipelines)}
    assert heads[100]


def test_the_terminal_without_gates(made: Result) -> None:
    bare = replace(made, rulings=())
    text = "\n".join(render(bare, 100, MARKS))
    assert text.startswith("sync: response time ")
    assert "Gates" not in text
    assert "gate" not in text.splitlines()[4]


def test_markdown(made: Result) -> None:
    text = markdown(made)
    assert text.startswith("**Fail: ")
    same_as_golden(text, "compare.md")


def test_markdown_tables_are_whole(made: Result, hostile: Result) -> None:
    for result in (made, hostile, replace(made, rulings=())):
        heads = 0
        columns = 0
        for line in markdown(result).splitlines():
            if not line.startswith("|"):
                columns = 0
                continue
            cells = len(re.findall(r"(?<!\\)\|", line))
            heads += not columns
            columns = columns or cells
            assert cells == columns, line
        assert heads == len(result.pipelines) + bool(result.rulings)


def test_junit(made: Result) -> None:
    text = junit(made).decode()
    same_as_golden(text, "compare.xml")


def test_junit_counts_what_it_holds(made: Result, hostile: Result) -> None:
    for result in (made, hostile):
        root = ET.fromstring(junit(result))
        (suite,) = root
        cases = suite.findall("testcase")
        failures = suite.findall("testcase/failure")
        assert root.tag == "testsuites"
        for element in (root, suite):
            assert int(element.attrib["tests"]) == len(cases) == len(result.rulings)
            assert int(element.attrib["failures"]) == len(failures)
            assert element.attrib["errors"] == element.attrib["skipped"] == "0"
        assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases)
        for case, ruling in zip(cases, result.rulings, strict=True):
            failure = case.find("failure")
            assert (failure is None) == (ruling.outcome == "pass")
            if failure is not None:
                assert failure.get("type") == ruling.outcome
                assert failure.text


def test_text_from_outside_does_no_harm(hostile: Result) -> None:
    page = markdown(hostile)
    assert "<script>" not in re.sub(r"`[^`]*`", "", page)
    assert "@team" not in re.sub(r"`[^`]*`", "", page)
    terminal = "\n".join(render(hostile, 100, MARKS))
    xml = junit(hostile).decode()
    for text in (page, terminal, xml):
        assert "한글" in text
        for bad in ("\x1b", "\u202e"):
            assert bad not in text
    assert "\ufffe" not in xml


def test_an_invalid_run_has_no_conclusion(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", {"sync": times()}), run(tmp_path / "b", {"sync": times(2)}, lag=9.0)
    assert verdict(compare_runs(a, b)) == (
        "No conclusion: B: the run is not valid: loop_lag_p99 (see harness report)."
    )
    page = markdown(compare_runs(a, b, parse_gates(["gm<=+500%"])))
    assert page.startswith("**Undecided: 1 of 1 gate undecided (sync gm&lt;=+500%).**")
    assert "slower" not in page


def test_a_korean_doubt_has_names_of_checks_and_minutes() -> None:
    said = "B: the run is not valid: schedule_slip_p99, mine (see harness report)"
    found = doubt(Caution("invalid_b", said, "all"), Words("ko"))
    assert found == "B: 유효하지 않은 실행입니다: 시작 지연 p99, mine (harness report로 확인)"
    drift = (
        "drift between runs is not controlled: arms of one run are interleaved, two runs are not "
        "(A began 2026-11-27T06:25:37.885+00:00, B at an unknown time)"
    )
    found = doubt(Caution("drift", drift), Words("ko"))
    assert found.endswith("(A 시작 2026-11-27 06:25 UTC, B 시작 알 수 없음)")


def test_words_for_a_change(tmp_path: Path) -> None:
    a = run(tmp_path / "a", {"sync": times()})
    for factor, word in ((0.5, "faster"), (1.0, "no difference detected"), (2.0, "slower")):
        b = run(tmp_path / word, {"sync": times(factor, seed=1)})
        assert verdict(compare_runs(a, b)).endswith(f", {word}.")
    none: Times = {"s0": [None] * 3}
    lost = compare_runs(a, replace(run(tmp_path / "none", {"sync": none}), records=[]))
    assert verdict(lost).startswith("No conclusion: ")
