"""The summary in the terminal."""

import copy
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from harness.report.layout import Style, width, wrap
from harness.report.markdown import run_markdown
from harness.report.opening import validity
from harness.report.terminal import lines, print_summary
from harness.report.words import Lang, Words
from harness.summary import summarise
from tests.report.build import trial, write
from tests.report.golden import DATA, same_as_golden

FOLDER = Path("reports/run-1")
PLAIN = Style(colour=False, marks=False)


@pytest.fixture
def summary() -> dict[str, Any]:
    """The summary of a run of five arms, from a file."""
    found: dict[str, Any] = json.loads((DATA / "summary.json").read_text("utf-8"))
    return found


def shown(summary: dict[str, Any], columns: int, lang: Lang = "en", style: Style = PLAIN) -> str:
    return "\n".join(lines(summary, FOLDER, Words(lang), columns, style)) + "\n"


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_piped(
    summary: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)  # some shells and test runners export it
    print_summary(summary, FOLDER, as_json=False)
    same_as_golden(capsys.readouterr().out, "terminal.txt")


def test_narrow(summary: dict[str, Any]) -> None:
    same_as_golden(shown(summary, 70), "terminal-70.txt")


def test_korean(summary: dict[str, Any]) -> None:
    same_as_golden(shown(summary, 100, "ko", Style(False, marks=True)), "terminal-ko.txt")


def test_broken_and_interrupted(summary: dict[str, Any]) -> None:
    check = summary["validity"]["checks"][0]
    check["ok"], check["value"] = False, 0.0123
    last = summary["validity"]["checks"][-1]
    last["ok"], last["value"] = False, 120.0
    summary["validity"]["valid"] = False
    text = shown(summary, 100)
    assert "Interrupted: 120 of 440 trials are recorded. Go on with:" in text
    assert "  harness run --resume --out reports/run-1\n" in text
    assert "start delay, p99: 12.3 ms, limit 10 ms\n" in text
    assert "    the client started trials late: lower --concurrency" in text


def unmeasured(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary of a run that was interrupted before anything was measured."""
    checks = summary["validity"]["checks"]
    for check in checks[:2]:
        check["ok"], check["value"] = False, None
    checks[-1]["ok"], checks[-1]["value"] = False, 0.0
    summary["validity"]["valid"] = False
    return summary


@pytest.mark.parametrize(
    ("lang", "count", "line"),
    [
        (
            "en",
            "Not valid: of 5 checks 1 broken, 2 not measured",
            "  event loop lag, p99: not measured",
        ),
        (
            "ko",
            "유효하지 않음: 검사 5개 중 1개 실패, 2개 측정되지 않음",
            "  이벤트 루프 지연 p99: 측정되지 않음",
        ),
    ],
)
def test_what_was_not_measured_is_not_broken(
    summary: dict[str, Any], lang: Lang, count: str, line: str
) -> None:
    found = shown(unmeasured(summary), 100, lang).splitlines()
    at = found.index(line)
    assert count in found
    assert not found[at + 1].startswith("    ")  # no remedy: nothing says that it is wanted
    words = Words(lang)
    assert (
        f"    {words.remedy('complete', 'the run was interrupted: go on with --resume')}" in found
    )
    strip = validity(summary, words)
    assert strip.count('<li class="unknown">') == 2
    assert strip.count(f"? {words('validity.unknown')}") == 2
    assert strip.count('class="remedy"') == 1
    assert words("validity.unmeasured", n=1, m=2, total=5) in strip
    assert f"- {line.strip()}" in run_markdown(summary, FOLDER, words).splitlines()


@pytest.mark.parametrize("columns", [100, 90, 80])
def test_no_line_of_the_table_is_too_wide(summary: dict[str, Any], columns: int) -> None:
    for lang in ("en", "ko"):
        for line in shown(summary, columns, lang).splitlines():
            if "harness run --provider" not in line:
                assert cell_len(line) <= columns, line


def test_columns_line_up_in_korean(summary: dict[str, Any]) -> None:
    """Every row of the tall table ends at the same column, counted as a terminal does."""
    two = {**summary, "pipelines": dict(list(summary["pipelines"].items())[:4])}
    text = shown(two, 100, "ko", Style(False, marks=True))
    ends = {cell_len(line) for line in text.splitlines() if "n = 80" in line or "[1" in line}
    assert len(ends) == 1


def test_ascii_when_piped(summary: dict[str, Any]) -> None:
    assert shown(summary, 100).isascii()


def test_json_is_one_object(summary: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(summary, FOLDER, as_json=True)
    assert json.loads(capsys.readouterr().out) == summary


def test_json_on_a_terminal_that_is_not_utf8(
    summary: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    summary["run"]["command"] = "harness run --out 보고서🦕"
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, "ascii", write_through=True))
    print_summary(summary, FOLDER, as_json=True)
    assert json.loads(raw.getvalue()) == summary
    print_summary(summary, FOLDER, as_json=False)


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour(
    summary: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    coloured: bool,
) -> None:
    for name, value in ({"NO_COLOR": "", "TERM": "xterm", "COLUMNS": "100"} | environment).items():
        monkeypatch.setenv(name, value)
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    print_summary(summary, FOLDER, as_json=False)
    assert ("\x1b[" in out.getvalue()) is coloured
    assert "—" in out.getvalue()


def test_missing_is_never_zero(tmp_path: Path) -> None:
    """One trial, which failed: nothing can be said of times."""
    run = write(tmp_path / "run", [trial("sync", outcome="error")], ["sync"])
    text = shown(summarise(run), 100)
    assert "no answers" in text
    assert "no whole block" in text
    mean = next(line for line in text.splitlines() if "mean" in line)
    assert "0" not in mean


@pytest.mark.parametrize("records", [[], [trial("sync", warmup=True)]])
def test_nothing_counted(tmp_path: Path, records: list[Any]) -> None:
    run = write(tmp_path / "run", records, ["sync", "async"], planned_trials=4)
    text = shown(summarise(run), 100)
    assert "no trials" in text
    assert "Interrupted" in text


def test_names_cannot_drive_the_terminal(summary: dict[str, Any]) -> None:
    evil = "a\x1b[31m\nb"
    summary = copy.deepcopy(summary)
    summary["pipelines"][evil] = summary["pipelines"].pop("streaming")
    for row in summary["comparisons"]:
        if row["candidate"] == "streaming":
            row["candidate"] = evil
    summary["run"]["command"] = f"harness run --out {evil}"
    assert "\x1b" not in shown(summary, 100)
    assert "\x1b" not in shown(summary, 70)


def test_long_reasons_become_notes(summary: dict[str, Any]) -> None:
    row = summary["comparisons"][0]
    row["warnings"] = ["all 4 values are equal: the interval has no width"]
    text = shown(summary, 100)
    assert ") all 4 values are equal: the interval has no width" in text


def test_widths() -> None:
    assert width("가나") == 4
    assert width("\x1b[1mab\x1b[0m") == 2
    assert list(wrap("ab cd ef", 5, "  ")) == ["ab cd", "  ef"]
    assert list(wrap("abcdefgh", 4)) == ["abcdefgh"]
    assert list(wrap("", 4)) == []
