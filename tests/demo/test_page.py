"""The page in Streamlit's own test runner, on a real service: asking, running, reading."""

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from harness.demo.asked import FIRST
from harness.demo.options import Options
from harness.demo.ways import WAYS
from harness.report.publish import report
from harness.scenario import shipped_dir
from tests.report.golden import DATA
from tests.report.pages import load_run
from tests.test_serve import serving

EXAMPLE = shipped_dir().parent / "reports" / "example-local"
CLAIM = EXAMPLE.with_name("example-local-latency")
SLOW = ("--provider", "sim:report-2025", "--time-scale", "100")
SHORT = "short-ko-news"


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    """A service that answers at once, and one that takes minutes."""
    with ExitStack() as stack:
        yield {
            "quick": stack.enter_context(serving())[1],
            "slow": stack.enter_context(serving(*SLOW, "--grace", "0"))[1],
        }


def script(options: object) -> None:
    from typing import cast

    from harness.demo.options import Options
    from harness.demo.page import show

    show(cast(Options, options))


def open_page(url: str, runs: Path = Path("nowhere"), lang: str = "en", **more: str) -> AppTest:
    options = Options(url, "sim:null", 1.0, runs, lang, **more)
    return checked(AppTest.from_function(script, default_timeout=30, args=(options,)).run())


def checked(app: AppTest) -> AppTest:
    assert not app.exception, app.exception[0].message
    return app


def text(app: AppTest) -> str:
    """Everything that stands on the page by way of HTML."""
    return "\n".join(str(element.proto.body) for element in app.html)


def run_until(app: AppTest, sign: str) -> AppTest:
    """Let the page be drawn again until it shows ``sign``; the test's own time-out is the limit."""
    while not re.search(sign, text(app)):
        checked(app.run())
    return app


def cards(app: AppTest) -> dict[str, str]:
    """Way → its card."""
    found = re.findall(r'<article class="way.*?</article>', text(app), re.DOTALL)
    return dict(zip(WAYS, found, strict=True))


def test_the_first_look(urls: dict[str, str]) -> None:
    app = open_page(urls["quick"])
    assert app.selectbox(key="scenario").value == FIRST["en"]
    assert "6 checks will judge the result." in text(app)
    assert all("not run yet" in card for card in cards(app).values())
    assert not app.button(key="run-all").disabled


@pytest.mark.parametrize("way", WAYS)
def test_each_way_by_its_own_button(urls: dict[str, str], way: str) -> None:
    app = open_page(urls["quick"], scenario=SHORT)
    checked(app.button(key=f"run-{way}").click().run())
    run_until(app, "way done")
    shown = cards(app)
    assert [name for name, card in shown.items() if "not run yet" not in card] == [way]
    assert "all 6 checks hold" in shown[way]
    assert "<ins>사과 축제가 열려요.</ins>" in text(app)


def test_all_five_in_korean(urls: dict[str, str]) -> None:
    app = open_page(urls["quick"], lang="ko")
    assert app.selectbox(key="scenario").value == FIRST["ko"]
    checked(app.button(key="run-all").click().run())
    while any("way done" not in card for card in cards(app).values()):
        checked(app.run())
    for card in cards(app).values():
        assert re.search(r"<b>\d+\.\d\d</b>", card)
        assert "모두 통과" in card
    assert "<del>불꽃</del><ins>별똥</ins>" in text(app)
    checked(app.segmented_control(key="shown").set_value("batch").run())
    assert [tab.label for tab in app.tabs] == ["1번째 수정", "2번째 수정", "3번째 수정"]


def test_the_language_takes_its_scenario_along(urls: dict[str, str]) -> None:
    app = open_page(urls["quick"])
    checked(app.segmented_control(key="lang").set_value("ko").run())
    assert app.selectbox(key="scenario").value == FIRST["ko"]
    checked(app.selectbox(key="scenario").set_value(SHORT).run())
    checked(app.segmented_control(key="lang").set_value("en").run())
    assert app.selectbox(key="scenario").value == SHORT
    assert "Run all five" in [button.label for button in app.button]


def test_a_job_is_cancelled(urls: dict[str, str]) -> None:
    app = open_page(urls["slow"], scenario=SHORT)
    checked(app.button(key="run-job").click().run())
    while "cancel" not in [button.key for button in app.button]:
        checked(app.run())
    assert app.button(key="run-all").disabled
    checked(app.button(key="cancel").click().run())
    run_until(app, "way cancelled")
    assert "The job was cancelled." in text(app)
    assert not app.button(key="run-all").disabled


def test_a_service_that_has_gone() -> None:
    app = open_page("http://127.0.0.1:9", scenario=SHORT)
    checked(app.button(key="run-all").click().run())
    while sum("way failed" in card for card in cards(app).values()) < len(WAYS):
        checked(app.run())
    assert "The service cannot be reached; is it still running?" in text(app)


def test_another_request_has_no_checks(urls: dict[str, str]) -> None:
    app = open_page(urls["quick"], scenario=SHORT)
    checked(app.text_area(key=f"request-{SHORT}").set_value("더 신나게 바꿔 줘").run())
    assert "No checks will judge" in text(app)
    checked(app.button(key="run-async").click().run())
    run_until(app, "nobody wrote checks")
    checked(app.text_area(key=f"request-{SHORT}").set_value("  ").run())
    assert "Write an edit request first." in text(app)
    assert app.button(key="run-all").disabled


def test_a_story_of_ones_own(urls: dict[str, str]) -> None:
    app = open_page(urls["quick"])
    checked(app.segmented_control(key="source").set_value("own").run())
    assert "A good story: 7 turns, 3 stocks." in text(app)
    good = app.text_area(key="own-story").value or ""
    bad = '[{"turn_number": 1, "<script>alert(1)</script>": 2}]'
    checked(app.text_area(key="own-story").set_value(bad).run())
    assert "Turn 1: unknown field &#x27;&lt;script&gt;alert(1)&lt;/script&gt;&#x27;" in text(app)
    assert app.button(key="run-all").disabled
    checked(app.segmented_control(key="view").set_value("runs").run())
    checked(app.segmented_control(key="view").set_value("ways").run())
    assert app.text_area(key="own-story").value == bad  # it was not lost meanwhile
    hostile = good.replace("Rexie gave", "<script>alert(1)</script> gave")
    checked(app.text_area(key="own-story").set_value(hostile).run())
    checked(app.button(key="run-stream").click().run())
    run_until(app, "nobody wrote checks")
    assert "<script" not in text(app)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; gave" in text(app)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """One of every kind, a run without summary and report, and what cannot be read."""
    for name in ("good", "bare", "broken"):
        shutil.copytree(EXAMPLE, tmp_path / name)
    for name in ("summary.json", "index.html"):
        (tmp_path / "bare" / name).unlink()
    (tmp_path / "broken" / "records.jsonl").write_text("no record\n")
    for name, sign in (("other", "run.json"), ("scribbled", "claims.json")):
        (tmp_path / name).mkdir()
        (tmp_path / name / sign).write_text("{}")
    (tmp_path / "nothing").mkdir()
    shutil.copytree(CLAIM, tmp_path / "claim")
    load_run(tmp_path / "load")
    (tmp_path / "search").mkdir()
    shutil.copy(DATA / "capacity.json", tmp_path / "search")
    return tmp_path


def recorded(runs: Path, name: str, lang: str = "en") -> AppTest:
    app = open_page("http://127.0.0.1:9", runs, lang)
    checked(app.segmented_control(key="view").set_value("runs").run())
    return checked(app.selectbox(key="run").set_value(runs / name).run())


def frame(app: AppTest) -> str:
    """The page that is shown within the page."""
    (found,) = app.get("iframe")
    return str(found.proto.srcdoc)


def test_every_kind_of_run_is_listed(runs: Path) -> None:
    assert recorded(runs, "good").selectbox(key="run").options == [
        "bare",
        "broken",
        "claim · verdicts on claims",
        "claim/local-latency",
        "good",
        "load · load run",
        "other",
        "scribbled · verdicts on claims",
        "search · search for capacity",
    ]


def test_a_run_itself_as_the_folder(runs: Path) -> None:
    app = open_page("http://127.0.0.1:9", runs / "good")
    checked(app.segmented_control(key="view").set_value("runs").run())
    assert app.selectbox(key="run").options == ["good"]


def test_a_recorded_run(runs: Path) -> None:
    app = recorded(runs, "good")
    assert "a real model" in text(app)
    assert "started 2026-11-22 21:45 UTC" in text(app)
    assert re.search(r"sync<span>n = 16</span>.*?38 %<span>\[18, 61\]</span>", text(app))
    assert "—<span>n = 16 &lt; 72</span>" in text(app)  # p95 of too few trials
    checked(app.toggle(key="report").set_value(True).run())
    assert '<html lang="en">' in frame(app)
    outcomes = app.selectbox(key="outcome").options
    assert {"all", "ok", "wrong", "malformed"} <= set(outcomes)
    checked(app.selectbox(key="outcome").set_value("wrong").run())
    assert "✗ fails" in text(app)
    checked(app.selectbox(key="outcome").set_value("malformed").run())
    assert "The model&#x27;s answer" in text(app)
    checked(app.selectbox(key="pipeline").set_value("sync").run())
    assert all(" · sync · " in option for option in app.selectbox(key="trial").options)


def test_a_recorded_run_in_korean(runs: Path) -> None:
    """The report too, whose file is in English, and what the checks say."""
    app = recorded(runs, "good", "ko")
    assert "2026-11-22 21:45 UTC 시작" in text(app)
    assert "11.3초<span>[8.7, 15.7]</span>" in text(app)
    checked(app.toggle(key="report").set_value(True).run())
    assert '<html lang="ko">' in frame(app)
    checked(app.selectbox(key="outcome").set_value("wrong").run())
    failed = re.findall(r"<b>✗ 실패</b>.*?</li>", text(app))
    assert failed
    assert all(re.search("[가-힣].*[가-힣]", why.partition("</b>")[2]) for why in failed)


def test_a_load_run(runs: Path) -> None:
    app = recorded(runs, "load")
    assert re.search(r"<strong[^>]*>p95 of the response time: ", text(app))
    assert re.search(r"<table.*?load<span>n = 200</span>", text(app))
    checked(app.toggle(key="report").set_value(True).run())
    assert 'id="load"' in frame(app)
    checked(app.selectbox(key="outcome").set_value("error").run())
    assert all(" · load · " in option for option in app.selectbox(key="trial").options)


def test_more_trials_than_anybody_reads(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.demo.page_runs.MOST_TRIALS", 5)
    app = recorded(runs, "good")
    assert "The first 5 of 64 trials" in text(app)
    assert len(app.selectbox(key="trial").options) == 5


def test_verdicts_on_claims(runs: Path) -> None:
    app = recorded(runs, "claim", "ko")
    assert "local-latency" in text(app)
    assert re.search(r"<b>[가-힣 ]+</b>", text(app))
    assert frame(app) == (CLAIM / "index.html").read_text("utf-8")


def test_a_search_for_capacity(runs: Path) -> None:
    assert 'id="load-curve"' in frame(recorded(runs, "search", "ko"))


def test_a_comparison_with_other_runs(runs: Path) -> None:
    report([runs / "bare", runs / "good"], "html", "en")
    app = recorded(runs, "good")
    checked(app.toggle(key="comparison").set_value(True).run())
    assert frame(app) == (runs / "good" / "comparison.html").read_text("utf-8")


def test_runs_that_lack_something(runs: Path) -> None:
    app = recorded(runs, "bare")
    assert "38 %" in text(app)
    checked(app.toggle(key="report").set_value(True).run())
    assert "<svg" in frame(app)
    for name in ("broken", "other", "scribbled"):
        app = recorded(runs, name)
        assert "This run cannot be read." in text(app)
        assert name in text(app)


def test_no_runs(tmp_path: Path) -> None:
    app = open_page("http://127.0.0.1:9", tmp_path)
    checked(app.segmented_control(key="view").set_value("runs").run())
    assert "No recorded runs" in text(app)


def test_a_run_that_is_too_large(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.demo.recorded.MOST_BYTES", 10)
    assert "too many for this page" in text(recorded(runs, "good"))
