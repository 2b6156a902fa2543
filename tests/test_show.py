"""``harness show``: rows that line up, everything about one trial, and no harm from its text."""

import io
import json
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from harness.cli import main
from harness.exit_codes import OK
from harness.plain import indented, plain, table
from harness.records import (
    OUTCOMES,
    Answer,
    Attempt,
    CallError,
    CheckResult,
    Malformed,
    TrialRecord,
    Usage,
)
from harness.report.listing import lines, listing
from harness.scenario import load_scenario
from harness.store import RunWriter
from tests.runs import SHORT, manifest
from tests.stats.build import trial

PATH = Path(SHORT) / "short-ko-news.toml"
SCENARIO = load_scenario(PATH)
RIGHT = SCENARIO.reference.to_json()
NASTY = "끝\x1b[2J\x1b]0;owned\x07\u202e\r다음\n둘째 줄"

CALLS = (
    Attempt("edit", due=10.0, sent=10.25, done=11.0, status=200, usage=Usage(282, 104)),
    Attempt("summary", due=11.0, sent=11.0, done=11.5, error=CallError("reset", "it broke")),
)


def named(name: str, **changes: Any) -> TrialRecord:
    record = replace(trial("async", 1.5, scenario=SCENARIO.id), trial=name, attempts=CALLS)
    return replace(record, **changes)


def make(folder: Path, trials: dict[TrialRecord, tuple[str, ...]], **about: Any) -> str:
    """A run of these trials with the texts of their answers."""
    kept = {SCENARIO.id: {"digest": SCENARIO.digest}}
    values = {"config": {"scenarios": [str(PATH)], "target": None}, "scenarios": kept, **about}
    with RunWriter.create(folder, manifest(**values)) as writer:
        for record, texts in trials.items():
            answers = [
                Answer(record.trial, i, "summary" if i else "edit", text)
                for i, text in enumerate(texts)
            ]
            writer.append(record, answers)
    return str(folder)


Show = Callable[..., str]


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Show:
    def run(*args: str) -> str:
        assert main(["show", *args]) == OK
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out

    return run


def wrong(name: str = "t/wrong") -> tuple[TrialRecord, str]:
    """A right edit in which one neighbouring value changed too."""
    data = SCENARIO.reference.to_data()
    data[0]["result"] = "모두 웃었어요.\x1b[31m"
    text = json.dumps(data, ensure_ascii=False)
    assert SCENARIO.reference != SCENARIO.story
    failed = CheckResult("untouched", "untouched", False, 1, "result", "was not to change")
    passed = CheckResult("structure", "structure", True, None, None, None)
    tone = CheckResult("tone", "sentence_endings", False, None, None, "사라졌어요", True)
    return named(name, outcome="wrong", checks=(passed, failed, tone), summary="고쳤어요."), text


def trials() -> dict[TrialRecord, tuple[str, ...]]:
    record, text = wrong()
    return {
        named("t/ok"): (RIGHT, "바꾸었어요."),
        named("t/warm", warmup=True): (RIGHT,),
        record: (f"```json\n{text}\n```", "바꾸었어요."),
        named("한글/이름/1", outcome="malformed", malformed=Malformed("no_json", "그냥\x1b말")): (
            NASTY,
        ),
        named("t/error", outcome="error", error=CallError("timeout", "too slow")): (),
        named("t/gone", outcome="cancelled", done=None, attempts=()): (),
    }


def test_a_row_for_each_trial(tmp_path: Path, show: Show) -> None:
    out = show(make(tmp_path, trials()))
    head, *rows, total = out.splitlines()
    assert head.split() == ["trial", "outcome", "seconds", "first", "failure"]
    assert [" ".join(row.split()) for row in rows] == [
        "t/ok ok 1.500",
        "t/warm ok (warm-up) 1.500",
        "t/wrong wrong 1.500 untouched: turn 1, result: was not to change",
        "한글/이름/1 malformed 1.500 no_json: 그냥\\x1b말",
        "t/error error – timeout: too slow",
        "t/gone cancelled –",
    ]
    assert total == "6 trials: ok 2, wrong 1, malformed 1, error 1, cancelled 1"


def test_rows_line_up_in_cells(tmp_path: Path, show: Show) -> None:
    rows = show(make(tmp_path, trials())).splitlines()[:-1]
    ends = {cell_len(row[: row.index("1.500") + 5]) for row in rows if "1.500" in row}
    assert ends == {cell_len(rows[0][: rows[0].index("seconds") + 7])}


def test_rows_of_one_outcome(tmp_path: Path, show: Show) -> None:
    run = make(tmp_path, trials())
    assert show(run, "--outcome", "ok").splitlines()[-1] == "2 trials: ok 2"
    assert show(run, "--outcome", "dropped").splitlines()[-1] == "0 trials"
    listed = json.loads(show(run, "--outcome", "error", "--json"))["trials"]
    assert [(row["trial"], row["failure"]) for row in listed] == [("t/error", "timeout: too slow")]


def long_run(folder: Path, *, right: int = 60, wrong: int = 45, late: int = 8) -> str:
    """So many trials of each outcome, right ones first; times of all but the late ones."""
    made: dict[TrialRecord, tuple[str, ...]] = {}
    for i in range(right):
        made[named(f"ok/{i}")] = ()
    for i in range(wrong):
        made[named(f"wrong/{i}", outcome="wrong")] = ()
    for i in range(late):
        made[named(f"late/{i}", outcome="error", error=CallError("timeout", "too slow"))] = ()
    return make(folder, made)


def test_of_a_long_run_the_failed_ones_are_shown(tmp_path: Path, show: Show) -> None:
    """As many of a kind as of any other, in the order of the records."""
    head, *rows, total, note = show(long_run(tmp_path)).splitlines()
    assert head.startswith("trial")
    expected = [f"wrong/{i}" for i in range(42)] + [f"late/{i}" for i in range(8)]
    assert [row.split()[0] for row in rows] == expected
    assert total == "113 trials: ok 60, wrong 45, error 8"
    assert note.startswith("50 are shown (some of each kind of failure), 63 are not; ")
    assert note.endswith("--outcome wrong,error shows only the failed ones, --all shows every one")


def test_of_a_long_run_without_failures_the_first_are_shown(tmp_path: Path, show: Show) -> None:
    *rows, total, note = show(long_run(tmp_path, wrong=0, late=0)).splitlines()[1:]
    assert [row.split()[0] for row in rows] == [f"ok/{i}" for i in range(50)]
    assert total == "60 trials: ok 60"
    assert note == "50 are shown (the first ones), 10 are not; --all shows every one"


def test_the_hint_names_the_failures_that_there_are(tmp_path: Path, show: Show) -> None:
    made: dict[TrialRecord, tuple[str, ...]] = {named(f"ok/{i}"): () for i in range(60)}
    lost = Malformed("no_json", "nothing")
    made[named("bad/0", outcome="malformed", malformed=lost)] = ()
    made[named("gone/0", outcome="cancelled", done=None, attempts=())] = ()
    note = show(make(tmp_path, made)).splitlines()[-1]
    assert "; --outcome malformed,cancelled shows only the failed ones" in note


def test_every_trial_of_a_long_run(tmp_path: Path, show: Show) -> None:
    run = long_run(tmp_path)
    *rows, total = show(run, "--all").splitlines()[1:]
    assert len(rows) == 113
    assert total == "113 trials: ok 60, wrong 45, error 8"
    assert len(json.loads(show(run, "--json"))["trials"]) == 113


@pytest.mark.parametrize("option", ["--all", "--json"])
def test_memory_need_not_hold_a_long_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    lost = CallError("timeout", "too slow " * 400)
    made = [named(f"late/{i}", outcome="error", error=lost) for i in range(300)]
    run = make(tmp_path, dict.fromkeys(made, ()))
    size = (tmp_path / "records.jsonl").stat().st_size
    monkeypatch.setattr("harness.trials.CHUNK", 10)
    printed = io.StringIO()
    monkeypatch.setattr(printed, "write", len)
    monkeypatch.setattr(sys, "stdout", printed)
    main(["show", run, option])  # what is imported late, and tables of characters
    tracemalloc.start()
    try:
        assert main(["show", run, option]) == OK
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 1_000_000
    assert peak < size / 2, "read whole, it takes several times its size"


def test_chosen_outcomes_of_a_long_run(tmp_path: Path, show: Show) -> None:
    run = long_run(tmp_path, wrong=70)
    *rows, total, note = show(run, "--outcome", "wrong").splitlines()[1:]
    assert [row.split()[0] for row in rows] == [f"wrong/{i}" for i in range(50)]
    assert total == "70 trials: wrong 70"
    assert note.endswith("(some of each kind of failure), 20 are not; --all shows every one")
    *rows, total = show(run, "--outcome", "wrong, error", "--all").splitlines()[1:]
    assert len(rows) == 78
    assert total == "78 trials: wrong 70, error 8"


def test_on_a_narrow_terminal_a_trial_is_stacked(tmp_path: Path) -> None:
    found = listing(Path(long_run(tmp_path, right=1, wrong=0, late=1)), OUTCOMES, every=True)
    *rows, total = "\n".join(lines(found, 20)).splitlines()
    right, failed = rows[:2], rows[2:]
    assert right[0] == "ok/0"
    assert right[1].startswith("  ok, ")
    assert failed == ["late/0", "  error, – s", "  timeout: too slow"]
    assert total == "2 trials: ok 1, error 1"
    assert next(lines(found, 79)) == "ok/0\n" + right[1]
    assert next(lines(found, 80)).startswith("trial ")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--outcome", "wrong,worse"], "'worse': no such outcome"),
        (["t/ok", "--all"], "--all: chooses rows"),
        (["t/ok", "--outcome", "ok"], "--outcome: chooses rows"),
    ],
)
def test_wrong_options_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], why: str
) -> None:
    assert main(["show", make(tmp_path, trials()), *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert why in captured.err


def test_rows_as_json(tmp_path: Path, show: Show) -> None:
    data = json.loads(show(make(tmp_path, trials()), "--json"))
    assert data["run"] == str(tmp_path)
    assert [row["outcome"] for row in data["trials"]][:3] == ["ok", "ok", "wrong"]
    assert data["trials"][0]["response_time_s"] == 1.5
    assert data["trials"][0]["failure"] is None
    assert data["trials"][4]["response_time_s"] is None


def test_what_no_response_time_counts_is_shown_with_the_waiting(tmp_path: Path, show: Show) -> None:
    made = {
        replace(record, uncounted=0.125) if record.trial == "t/ok" else record: said
        for record, said in trials().items()
    }
    lines = [" ".join(line.split()) for line in show(make(tmp_path, made), "t/ok").splitlines()]
    at = lines.index("waiting to be sent 0.250")
    assert lines[at + 1] == "of it not counted 0.125"
    assert "response time 1.375" in lines


def test_a_wrong_trial_is_explained(tmp_path: Path, show: Show) -> None:
    out = show(make(tmp_path, trials()), "t/wrong")
    assert out.startswith("t/wrong: wrong\nblock 1, repeat 1, segment 0\nrequest: ")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    for expected in (
        "waiting to be sent 0.250",
        "response time 1.500",
        "0 edit 0.250 0.750 200 282 + 104",
        "1 summary 1.000 0.500 – – reset: it broke",
        "✓ structure",
        "✗ untouched turn 1, result: was not to change",
        "✗ tone 사라졌어요",
        "고쳤어요.",
    ):
        assert expected in lines
    old = SCENARIO.story.turns[0].result
    assert f"1 result {old!r} → '모두 웃었어요.\\x1b[31m'" in lines
    assert any(line.startswith("1 news ") for line in lines)
    assert "answer of call 0 (edit)" in lines
    assert "answer of call 1 (summary)" in lines
    assert "\x1b" not in out


def test_a_trial_as_json(tmp_path: Path, show: Show) -> None:
    data = json.loads(show(make(tmp_path, trials()), "t/wrong", "--json"))
    assert (data["outcome"], data["response_time_s"], data["ttft_s"]) == ("wrong", 1.5, None)
    changed = {(change["turn"], change["field"]) for change in data["changes"]}
    assert changed == {(1, "result"), (1, "news")}
    assert [answer["call"] for answer in data["answers"]] == ["edit", "summary"]


def test_a_reply_cannot_act_on_the_terminal(tmp_path: Path, show: Show) -> None:
    out = show(make(tmp_path, trials()), "한글/이름/1")
    assert not set(out) & set("\x1b\x07\r\u202e")
    assert "끝\\x1b[2J\\x1b]0;owned\\x07\\u202e\\r다음\n  둘째 줄" in out
    assert "no_json: 그냥\\x1b말" in out


def test_what_is_not_there_is_left_out(tmp_path: Path, show: Show) -> None:
    run = make(tmp_path, trials())
    gone = show(run, "t/gone")
    assert gone.startswith("t/gone: cancelled")
    for heading in ("calls", "checks", "summary", "changes", "answer"):
        assert f"\n{heading}" not in gone
    assert "timeout: too slow" in show(run, "t/error")
    assert show(run, "t/warm").startswith("t/warm: ok, warm-up")
    assert json.loads(show(run, "t/gone", "--json"))["changes"] is None


def test_a_story_that_did_not_change(tmp_path: Path, show: Show) -> None:
    run = make(tmp_path, {named("t/same", outcome="wrong"): (SCENARIO.story.to_json(),)})
    assert "changes of the story, by turn\n  none" in show(run, "t/same")


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"config": {"scenarios": ["nowhere"]}}, "nowhere: no such file or folder"),
        ({"scenarios": {SCENARIO.id: {"digest": "other"}}}, "is not what it was in this run"),
        ({"scenarios": {}}, "is not what it was in this run"),
    ],
)
def test_a_scenario_that_is_not_what_it_was(
    tmp_path: Path, show: Show, about: dict[str, Any], why: str
) -> None:
    out = show(make(tmp_path, {named("t/ok"): (RIGHT,)}, **about), "t/ok")
    assert "cannot be shown: " in out
    assert why in out
    assert "answer of call 0 (edit)" in out


def test_the_batch_that_held_a_trial_back(tmp_path: Path, show: Show) -> None:
    out = show(make(tmp_path, {named("t/held", own_done=11.0): ()}), "t/held")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "to its own end 0.750" in lines
    assert "held back by its batch 0.500" in lines


def test_an_unknown_trial_names_the_closest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", make(tmp_path / "run", trials()), "t/erorr"]) == 2
    assert capsys.readouterr().err.endswith("no trial 't/erorr'; the closest is t/error\n")
    assert main(["show", make(tmp_path / "empty", {}), "t"]) == 2
    assert capsys.readouterr().err.endswith("no trial 't'; none is recorded yet\n")


# --- text for terminals ---


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("가나 abc é 😀", "가나 abc é 😀"),
        ("👩‍🚀", "👩‍🚀"),  # held together by a joiner
        ("a\tb\nc", "a\\tb\\nc"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\x9b31m\x7f", "\\x9b31m\\x7f"),
        ("\u202eabc\u2066\u200b\ufeff", "\\u202eabc\\u2066\\u200b\\ufeff"),
        ("\u2028\ud800", "\\u2028\\ud800"),
    ],
)
def test_plain(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_table_counts_cells() -> None:
    shown = table([("이름", "n"), ("a", "10")], right=(1,))
    assert shown == "이름   n\na     10"
    assert table([("ab", "한글입니다")], width=9) == "ab  한글…"
    assert table([("ab", "한글입니다")], width=8) == "ab  한 …"
    assert table([("a", "b\nc")]) == "a  b\\nc"


def test_indented() -> None:
    assert indented("a\n\nb\x1b") == "  a\n\n  b\\x1b"
