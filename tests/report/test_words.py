"""Both languages say the same things, and Korean pages are Korean."""

import ast
import re
from pathlib import Path
from string import Formatter

import pytest

import harness.report
import harness.stats
from harness.records import OUTCOMES
from harness.report import facts
from harness.report.words import LANGS, Words, language, texts
from harness.validity import check_run

HANGUL = re.compile("[가-힣]")
# Words that are the same in Korean: names of metrics and units, and what only joins placeholders.
SAME = {
    "unit.ms",
    "unit.mb",
    "row.p50",
    "row.p95",
    "row.p99",
    "error.http_4xx",
    "error.http_5xx",
    "terminal.title",
    "environment.harness",
    "environment.python",
}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("key", texts())
def test_both_languages_have_the_same_placeholders(key: str) -> None:
    english, korean = texts()[key]
    assert english.strip()
    assert korean.strip()
    assert placeholders(english) == placeholders(korean)


@pytest.mark.parametrize("key", texts())
def test_korean_is_korean(key: str) -> None:
    english, korean = texts()[key]
    assert not HANGUL.search(english)
    assert HANGUL.search(korean) or key in SAME


# What follows a placeholder in these forms depends on how its value is spoken.
JOSA = re.compile(
    r"\((으|이|은|을|는|가|를|와|과)\)|\}['\"’)]*(은|는|이|가|을|를|과|와|로|으로)[ ,.]"
)


@pytest.mark.parametrize("key", texts())
def test_no_particle_hangs_on_a_placeholder(key: str) -> None:
    assert not JOSA.search(re.sub(r"\w+\(\{\w+\}\)", "이름", texts()[key][1]))


@pytest.mark.parametrize(
    ("workload", "korean"),
    [
        ("closed", "닫힌 루프"),
        ("closed,think=0.5", "닫힌 루프, 생각 시간 0.5초"),
        ("rate=5,constant", "초당 요청 5, 일정한 간격"),
        ("rate=20, poisson, 147 requests", "초당 요청 20, 푸아송 간격, 요청 147건"),
        (
            "rate=10..50@60,50@300, gamma:2.5, 900 requests, 8 users",
            "초당 요청 10..50@60,50@300, 감마 간격(변동 계수 2.5), 요청 900건, 사용자 8명",
        ),
        (
            "closed, 500 users, begun over 0.5 s, think 2 s, 60 s",
            "닫힌 루프, 사용자 500명, 0.5초에 걸쳐 시작, 생각 시간 2초, 60초",
        ),
        (
            "closed, 20 users, Locust, 20 more each second, 60 s",
            "닫힌 루프, 사용자 20명, Locust, 1초에 20명씩 추가, 60초",
        ),
        ("closed, 5 users, Locust, shape Steps", "닫힌 루프, 사용자 5명, Locust, 형태 Steps"),
        ("trace reports/a, b.csv, 4 users", "기록된 시각 reports/a, b.csv, 사용자 4명"),
    ],
)
def test_workloads(workload: str, korean: str) -> None:
    assert facts.workload(workload, Words("ko")) == korean
    assert facts.workload(workload, Words("en")) == workload


def test_every_key_that_is_written_out_exists() -> None:
    folder = Path(harness.report.__file__).parent
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                first = node.args[0] if node.args else None
                if name == "words" and isinstance(first, ast.Constant):
                    assert first.value in texts(), path.name


def test_remedies_are_those_of_the_checks() -> None:
    checks = check_run([], [], planned=1)
    for check in checks:
        assert Words("en").remedy(check.name, check.remedy) == check.remedy
        assert texts()[f"remedy.{check.name}"][0] == check.remedy
        assert HANGUL.search(Words("ko").remedy(check.name, check.remedy))
        assert f"check.{check.name}" in texts()


def test_outcomes_have_names() -> None:
    assert all(f"outcome.{name}" in texts() for name in OUTCOMES)


def test_warnings_of_estimates_in_korean() -> None:
    words = Words("ko")
    assert words.reason("n = 5 < 72") == "n = 5 < 72"
    assert words.reason("n = 1 < 2", blocks=True) == "블록 1 < 2"
    equal = words.reason("all 4 values are equal: the interval has no width")
    assert equal == "값 4개가 모두 같아 구간의 폭이 없습니다"
    assert HANGUL.search(words.reason("a mean is not positive: no ratio"))
    assert words.reason("something new") == "something new"


def test_every_warning_of_an_estimate_is_known() -> None:
    """The sentences of ``harness.stats`` that a summary can hold stand in the list of words."""
    known = {english for key, (english, _) in texts().items() if key.startswith("reason.")}
    folder = Path(harness.stats.__file__).parent
    code = (folder / "compare.py").read_text("utf-8") + (folder / "estimate.py").read_text("utf-8")
    said = re.findall(r'warnings=\("([^"]+)"|notes\.append\("([^"]+)"|warnings = \("([^"]+)"', code)
    assert said
    assert {next(filter(None, groups)) for groups in said} <= known


def test_amounts() -> None:
    assert Words("ko").amount("3", "건") == "3건"
    assert Words("en").amount("3", "trials") == "3 trials"


def test_only_two_languages() -> None:
    assert [language(lang) for lang in LANGS] == ["en", "ko"]
    with pytest.raises(ValueError, match="'fr'"):
        language("fr")
