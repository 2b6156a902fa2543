"""The live view says what is so, in time, on a terminal and without one, and leaves no trace."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from harness.clock import ManualClock, run_loop
from harness.execute import record
from harness.load.glance import Glance
from harness.report import progress
from harness.report.live import Cpu, Inbox
from harness.report.live_screen import MAX_COLUMNS, TEXTS, View, dashboard, line
from harness.report.live_sources import LOAD, Glances, RunFolder, Stretches, Tail
from harness.report.live_tally import Histogram, Tally
from harness.report.progress import show_load, show_run
from harness.session import new_session
from harness.stats.sample import sample
from harness.store import RunWriter, read_run
from harness.summary import summarise
from tests.report.screen import on_terminal

RUN = {
    "scenarios": ["scenarios/short"],
    "pipelines": ["async"],
    "provider": "sim:report-2025",
    "time_scale": 0.01,
    "repeats": 1,
}
TRIALS = 16  # of such a run, half of them to warm up


def run(out: Path, *, quiet: bool = False, lang: Any = "en", **more: Any) -> bool:
    """Record a run while it is shown, as ``harness run`` does, without its report."""
    session = new_session({**RUN, **more})
    with (
        RunWriter.create(out, session.manifest(["test"])) as writer,
        show_run(session, out, quiet=quiet, lang=lang) as shown,
    ):
        return run_loop(record(session, writer, shown))


def run_command(out: Path, **more: Any) -> tuple[str, str]:
    """The same, in a process of its own; exit code 130 when it was interrupted."""
    return "-c", (
        "import pathlib, sys\n"
        "from tests.report.test_live import run\n"
        f"sys.exit(0 if run(pathlib.Path({str(out)!r}), **{more!r}) else 130)\n"
    )


# --- figures ---


@given(st.lists(st.floats(1e-5, 1e5), min_size=1, max_size=300), st.floats(0, 0.999))
def test_a_quantile_is_within_one_percent(values: list[float], p: float) -> None:
    histogram = Histogram()
    histogram.add(values)
    found = histogram.quantile(p)
    if len(values) * (1 - p) < 1 - 1e-9:
        assert found is None
    else:
        ranked = sorted(values)
        true = {ranked[min(len(values) - 1, k)] for k in near(p * len(values))}
        assert found is not None
        assert min(abs(found / value - 1) for value in true) <= 0.0101


def near(rank: float) -> set[int]:
    """The places that a rank may mean, for rounding."""
    return {int(rank - 1e-6), int(rank + 1e-6)} - {-1}


def test_a_quantile_needs_a_value_beyond_it() -> None:
    histogram = Histogram()
    assert histogram.quantile(0.5) is None
    histogram.add([1.0] * 99)
    assert histogram.quantile(0.99) is None
    histogram.add([0.0])
    assert histogram.quantile(0.99) == pytest.approx(1.0, rel=0.01)


def test_rate_and_time_left() -> None:
    tally = Tally(100.0, total=50, already=10)
    assert (tally.rate, tally.left(100.0)) == (None, None)
    for second in range(1, 21):
        tally.done += 1
        tally.looked(100.0 + second)
    assert tally.rate == pytest.approx(1.0)
    assert tally.left(120.0) == pytest.approx(20.0)
    assert tally.share(120.0) == 30 / 50
    assert tally.elapsed(120.0) == 20.0
    tally.looked(130.0)  # nothing for ten seconds
    assert tally.rate == 0.0


def test_a_load_of_a_given_time() -> None:
    tally = Tally(0.0, total=None, seconds=10.0)
    assert tally.left(4.0) == 6.0
    assert tally.left(14.0) == 0.0
    assert tally.share(4.0) == 0.4
    endless = Tally(0.0, total=None)
    endless.done = 5
    assert endless.left(4.0) is None
    assert endless.share(4.0) is None
    assert Tally(0.0, total=0).share(1.0) == 1.0


# --- what it learns from ---


def test_stretches_follow_the_plan() -> None:
    stretches = Stretches([(0, 3, ("a", "b")), (1, 1, ("b", "a"))], {"a": 2, "b": 8})
    seen = [stretches.running()]
    for block, arm in [(0, "a")] * 3 + [(0, "b")] * 3 + [(1, "b"), (1, "a")]:
        stretches.finished(block, arm)
        seen.append(stretches.running())
    assert seen == [
        *(("a", 2), ("a", 2), ("a", 1)),
        *(("b", 3), ("b", 2), ("b", 1), ("b", 1)),
        *(("a", 1), (None, 0)),
    ]


def test_a_tail_waits_for_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    tail = Tail(path)
    assert list(tail.lines()) == []
    path.write_bytes(b"one\ntw")
    assert list(tail.lines()) == [b"one\n"]
    assert list(tail.lines()) == []
    path.write_bytes(b"one\ntwo\n")
    assert list(tail.lines()) == [b"two\n"]


def test_a_folder_gives_what_the_summary_gives(tmp_path: Path) -> None:
    assert run(tmp_path, quiet=True)
    kept = read_run(tmp_path)
    summary = summarise(kept)
    about = progress._about_run(new_session(RUN), tmp_path)
    tally = Tally(0.0, total=about["total"])
    stretches = Stretches(about["blocks"], about["slots"])
    RunFolder(tally, Path(about["folder"]), stretches).look(1.0)
    assert tally.done == tally.total == TRIALS
    assert (tally.now_running, tally.in_flight) == (None, 0)
    for arm, figures in summary["pipelines"].items():
        mine = tally.arms[arm]
        assert mine.outcomes == {name: n for name, n in figures["outcomes"].items() if n}
        assert mine.times.n == figures["response_time_s"]["n"]
        times = sorted(sample(kept.records, arm, "response_time").values)
        assert mine.times.quantile(0.5) == pytest.approx(times[len(times) // 2], rel=0.0101)
    assert tally.lag.n > 0


def test_a_trial_that_was_cancelled_is_still_to_do(tmp_path: Path) -> None:
    trial = {"pipeline": "a", "block": 0, "warmup": False, "scheduled": 1.0, "done": None}
    lines = [
        {**trial, "outcome": "cancelled"},
        {**trial, "outcome": "error"},
        {**trial, "outcome": "ok", "warmup": True, "done": 2.0},
    ]
    (tmp_path / "records.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    tally = Tally(0.0, total=4, already=3)
    RunFolder(tally, tmp_path, Stretches([(0, 4, ("a",))], {"a": 4})).look(1.0)
    assert tally.done == 2
    assert tally.arms["a"].outcomes == {"cancelled": 1, "error": 1}
    assert tally.arms["a"].times.n == 0
    assert (tally.now_running, tally.in_flight) == ("a", 2)


def test_glances_carry_all_counts_and_new_times() -> None:
    tally = Tally(0.0, total=100)
    glances = Glances(tally)
    glances.told(Glance(3, 1, 7, [0.001], [0.5, 0.5])._asdict())
    glances.told(Glance(8, 1, 4, [], [0.5])._asdict())
    glances.look(2.0)
    glances.look(9.0)
    assert tally.rate == 4.0, "as it was when it was last heard of"
    arm = tally.arms[LOAD]
    assert arm.outcomes == {"answered": 7, "error": 1}
    assert (arm.times.n, tally.lag.n, tally.done, tally.in_flight) == (3, 1, 8, 4)


def test_an_inbox_passes_over_what_is_cut() -> None:
    ours, theirs = os.pipe()
    inbox = Inbox(ours)
    os.write(theirs, b'{"a": 1}\n{"b": 2}\n{"c": \n{"d"')
    assert inbox.first() == {"a": 1}
    os.write(theirs, b": 4}\n")
    os.close(theirs)
    assert list(inbox.messages()) == [{"b": 2}, {"d": 4}]
    assert inbox.ended
    assert inbox.first() is None
    os.close(ours)


def test_processor_time_of_a_process_that_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        cpu = Cpu(process.pid)
        assert cpu.share() is not None
        process.communicate()
    assert cpu.share() is None


# --- what it says ---


def drawn(tally: Tally, lang: Any, columns: int, title: str = "t", load: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, width=columns, color_system=None)
    tally.looked(65.0)
    console.print(dashboard(View(title, load, lang), tally, 65.0, 0.123))
    return file.getvalue()


def a_tally() -> Tally:
    tally = Tally(0.0, total=300)
    for arm, seconds in (("sync", 8.0), ("비동기-파이프라인", 0.7)):
        for i in range(60):
            tally.count(arm, ("ok", "ok", "wrong", "malformed", "error")[i % 5], seconds)
    tally.done, tally.in_flight, tally.now_running = 130, 4, "sync"
    tally.lag.add([0.0012] * 200)
    return tally


def test_the_dashboard_in_english() -> None:
    shown = drawn(a_tally(), "en", 100, "harness run: sim (simulated, × 0.02)")
    assert [text.rstrip() for text in shown.splitlines()] == [
        "harness run: sim (simulated, × 0.02)",
        "━━━━━━━━━━━━━                   130 of 300 trials  1:05 elapsed  about 1:25 left",
        "2/s  in flight 4  now sync",
        "Pipeline              p50     p95  p99        ok     wrong  malformed     error",
        "sync               8.08 s  8.08 s    –  24 (40%)  12 (20%)   12 (20%)  12 (20%)",
        "비동기-파이프라인  693 ms  693 ms    –  24 (40%)  12 (20%)   12 (20%)  12 (20%)",
        "client: loop lag p99 1.20 ms, CPU 12% of one core",
    ]


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("columns", [60, 80, 100, 200])
def test_a_dashboard_fits(lang: str, columns: int) -> None:
    shown = drawn(a_tally(), lang, columns, "제목 " * 60)
    assert max(map(cell_len, shown.splitlines())) <= min(columns, MAX_COLUMNS)
    assert "\x1b" not in shown


def test_a_name_cannot_act_on_the_terminal() -> None:
    tally = a_tally()
    tally.count("x\x1b[2J[red]", "ok", 1.0)
    tally.now_running = "x\x1b[2J"
    shown = drawn(tally, "en", 100, "\x1b]0;evil\x07")
    assert "\x1b" not in shown
    assert "x\\x1b[2J[red]" in shown


def test_while_warming_up() -> None:
    tally = Tally(0.0, total=10)
    tally.now_running, tally.in_flight, tally.at_most = "async", 4, True
    shown = drawn(tally, "en", 100)
    assert "in flight ≤ 4  now async  warming up" in shown
    assert "client: loop lag p99 –" in shown


def test_a_load_has_requests() -> None:
    tally = Tally(0.0, total=None, seconds=130.0)
    Glances(tally).told(Glance(1000, 10, 64, [], [0.1] * 200)._asdict())
    shown = drawn(tally, "en", 100, load=True)
    assert "1,000 requests  1:05 elapsed  about 1:05 left" in shown
    assert "answered" in shown
    assert "990 (99%)" in shown


def test_one_line() -> None:
    assert line(View("t", False, "en"), a_tally(), 3700.0) == (
        "130 of 300 trials, 1:01:40 elapsed, about 1:20:38 left, in flight 4, now sync, "
        "p50 8.08 s, p95 8.08 s, ok 48, wrong 24, malformed 24, error 24"
    )


@pytest.mark.parametrize("key", TEXTS)
def test_both_languages(key: str) -> None:
    english, korean = TEXTS[key]
    assert any("가" <= char <= "힣" for char in korean)
    assert not any("가" <= char <= "힣" for char in english)
    assert set(english.split("{")[1:]) != set() or "{" not in korean


# --- on a terminal ---


def test_a_run_on_a_terminal(tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ("--scenarios", "scenarios/short", "--pipelines", "async", "--time-scale", "0.02")
    command = ("-m", "harness", "run", *options, "--lang", "ko", "--out", str(out))
    with on_terminal(command, columns=120, env={"NO_COLOR": "1"}) as seen:
        printed = seen.process.communicate()[0]
    assert seen.process.returncode == 0
    assert f"{out / 'index.html'}" in printed
    frames = [frame for frame in seen.frames() if "시행 32건 중" in frame]
    assert frames
    best = max(frames, key=len)
    for text in ("시뮬레이션, × 0.02", "경과", "초당", "p99", "정답", "루프 지연", "코어 1개의"):
        assert text in best
    screen = seen.screen()
    assert not "".join(screen.lines).strip(), "it takes itself off"
    assert screen.cursor_shown
    assert screen.widest <= MAX_COLUMNS
    assert screen.styles <= {"", "0", "1"}, "bold at most"


def test_ctrl_c_ends_both(tmp_path: Path) -> None:
    with on_terminal(run_command(tmp_path / "run", repeats=500)) as seen:
        wait_for(lambda: b"elapsed" in seen.said)
        drawing = psutil.Process(seen.process.pid).children()
        assert len(drawing) == 1
        seen.process.send_signal(signal.SIGINT)
        seen.process.communicate()
        assert not drawing[0].is_running()
    assert seen.process.returncode == 130
    assert seen.screen().cursor_shown


def test_a_run_outlives_its_view(tmp_path: Path) -> None:
    with on_terminal(run_command(tmp_path / "run", repeats=40)) as seen:
        wait_for(lambda: b"elapsed" in seen.said)
        psutil.Process(seen.process.pid).children()[0].kill()
        seen.process.communicate()
    assert seen.process.returncode == 0
    assert len(read_run(tmp_path / "run").records) == 41 * TRIALS // 2


def test_a_terminal_that_takes_nothing_holds_nobody_up(tmp_path: Path) -> None:
    code = (
        "import time\n"
        "from harness.load.glance import Glance\n"
        "from harness.report.progress import show_load\n"
        "times = [0.1] * 20_000\n"
        "with show_load('가' * 900, total=None, seconds=9, quiet=False, lang='ko') as tell:\n"
        "    end = time.monotonic() + 3\n"
        "    while time.monotonic() < end:\n"
        "        tell(lambda: Glance(1, 0, 1, [], times))\n"
        "        time.sleep(0.01)\n"
    )
    with on_terminal(["-c", code], read=False) as seen:
        assert seen.process.wait(timeout=30) == 0


LOAD_CODE = """
import os, time
from harness.load.glance import Glance
from harness.report.progress import show_load
quiet = "QUIET" in os.environ
with show_load("http://x, closed", total=900, seconds=None, quiet=quiet) as tell:
    for i in range(150):
        tell(lambda: Glance(2 * i, i // 10, 8, [0.001], [0.25] * 50))
        time.sleep(0.01)
"""


def test_a_load_on_a_terminal() -> None:
    with on_terminal(["-c", LOAD_CODE]) as seen:
        seen.process.communicate()
    assert seen.process.returncode == 0
    best = max(seen.frames(), key=len)
    for text in ("harness load: http://x, closed", "of 900 requests", "in flight 8", "248 ms"):
        assert text in best


def wait_for(condition: Any) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


# --- without one ---


@pytest.mark.parametrize("env", [{"CI": "true"}, {"TERM": "dumb"}, {"QUIET": "1"}])
def test_nothing_is_drawn_where_it_cannot_be(env: dict[str, str]) -> None:
    with on_terminal(["-c", LOAD_CODE], env=env) as seen:
        seen.process.communicate()
    assert seen.process.returncode == 0
    assert seen.said == b"", "a short load needs no line either"


def test_lines_without_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    assert run(tmp_path)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == TRIALS
    assert lines[-1].startswith(f"{TRIALS} of {TRIALS} trials, 0:0")
    assert "\x1b" not in "".join(lines)


def test_lines_of_a_load(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    monkeypatch.setattr(progress, "LOOK_S", 0.0)
    times = np.full(100, 0.25, np.float64)
    with show_load("x", total=None, seconds=60.0, quiet=False) as tell:
        tell(lambda: Glance(2, 0, 5, [], times))
        tell(lambda: Glance(9, 1, 5, [], times))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert said[1].startswith("9 requests, 0:00 elapsed, about 1:00 left")
    assert said[1].endswith("p50 248 ms, p95 248 ms, answered 8, error 1")


def test_a_quiet_load_is_not_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    with show_load("x", total=1, seconds=None, quiet=True) as tell:
        tell(lambda: pytest.fail("looked at"))
    assert capsys.readouterr().err == ""


def test_a_load_is_looked_at_four_times_a_second(
    capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    clock = ManualClock(1000.0)
    monkeypatch.setattr(time, "monotonic", clock.now)
    looks = 0

    def look() -> Glance:
        nonlocal looks
        looks += 1
        return Glance(0, 0, 0, [], [])

    with show_load("x", total=1, seconds=None, quiet=False) as tell:
        for _ in range(100):  # a second
            tell(look)
            clock.advance(0.01)
    assert looks == 4
    assert capsys.readouterr().err == ""
