"""The demo as its visitors see it: the command, its page in Chromium, the real service behind."""

import json
import re
import signal
from collections.abc import Iterator

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from harness.demo.asked import FIRST
from harness.demo.ways import WAYS
from tests.demo.test_page import EXAMPLE
from tests.report.test_browser import CHROMIUM, FLAGS
from tests.runs import start

pytestmark = pytest.mark.browser

# Times grow with the story: half a second for a short one, some seconds for a full one.
PROFILE = """\
[edit]
ttft_s = { mean = 0.1 }
itl_s = { mean = 0.004 }
[summary]
ttft_s = { mean = 0.0 }
total_s = { mean = 0.05 }
[answers]
right = 1.0
"""
SHORT = "short-ko-price"
PATIENCE_MS = 20_000


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page's URL. The command must end cleanly, and all its processes with it."""
    profile = tmp_path_factory.mktemp("demo") / "steady.toml"
    profile.write_text(PROFILE)
    child = start(
        *("demo", "--json", "--lang", "ko", "--scenario", SHORT, "--provider", f"sim:{profile}"),
        *("--runs", str(EXAMPLE.parent)),
    )
    assert child.stdout is not None
    said = json.loads(child.stdout.readline())
    yield said["url"]
    left = psutil.Process(child.pid).children(recursive=True)
    assert len(left) >= 2
    child.send_signal(signal.SIGTERM)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out, err) == (0, "", "")
    assert not psutil.wait_procs(left, timeout=10)[1]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(browser: Browser, address: str) -> Iterator[tuple[Page, list[str]]]:
    """The page, and what went wrong on it: it may ask nothing of the network, put no error on the
    console, and run nothing that is not its own.
    """
    tab = browser.new_page()
    tab.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    problems: list[str] = []
    tab.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("dialog", lambda dialog: problems.append(dialog.message))
    tab.on("request", lambda r: None if _ours(r.url, address) else problems.append(r.url))
    tab.goto(address)
    expect(tab.get_by_role("button", name="다섯 가지 모두 실행")).to_be_enabled()
    yield tab, problems
    tab.close()


@pytest.fixture
def tab(opened: tuple[Page, list[str]]) -> Iterator[Page]:
    """The page at its usual width, for tests in any order."""
    tab, problems = opened
    tab.set_viewport_size({"width": 1280, "height": 1000})
    yield tab
    assert problems == []


def _ours(url: str, address: str) -> bool:
    return url.startswith((address, address.replace("http", "ws"), "data:", "blob:", "about:"))


def press(tab: Page, name: str) -> None:
    tab.get_by_role("button", name=name, exact=True).click()


def choose(tab: Page, name: str) -> None:
    tab.get_by_role("radio", name=name, exact=True).click()


def select(tab: Page, box: str, name: str) -> None:
    field = tab.get_by_role("combobox", name=box, exact=True)
    if field.input_value() != name:
        field.fill(name)
        tab.get_by_role("option", name=name, exact=True).click()


def ask_shipped(tab: Page, scenario: str, request: str) -> None:
    """Choose a shipped scenario, whose request holds ``request``."""
    choose(tab, "다섯 가지 방식")
    choose(tab, "준비된 시나리오")
    select(tab, "시나리오", scenario)
    expect(tab.get_by_role("textbox", name="수정 요청")).to_have_value(re.compile(request))
    expect(tab.get_by_role("button", name="다섯 가지 모두 실행")).to_be_enabled()


def test_all_five_ways(tab: Page) -> None:
    ask_shipped(tab, SHORT, "current_value를 90으로")
    press(tab, "다섯 가지 모두 실행")
    expect(tab.locator(".st-key-way-stream .tail")).to_contain_text("turn_number")
    expect(tab.locator(".st-key-way-sync .way.running")).to_be_visible()
    for way in WAYS:
        card = tab.locator(f".st-key-way-{way}")
        expect(card.locator(".way.done")).to_be_visible()
        assert re.fullmatch(r"\d+\.\d\d", card.locator(".clock b").inner_text())
        assert "모두 통과" in card.locator(".live").inner_text()
        assert ("첫 글자" in card.inner_text()) == (way in ("stream", "job"))
    expect(tab.locator(".result .turn ins").first).to_be_visible()
    shapes = tab.evaluate(SHAPES)
    assert len(set(shapes)) == 3
    choose(tab, "병렬 묶음")
    expect(tab.get_by_role("tab")).to_have_count(3)


def test_a_job_is_followed_and_cancelled(tab: Page) -> None:
    ask_shipped(tab, FIRST["ko"], "불꽃 마법사")
    press(tab, "작업 시작")
    expect(tab.locator(".st-key-way-job .state")).to_contain_text("처리 중")
    expect(tab.locator(".st-key-way-job .live")).to_contain_text("7턴 중")
    press(tab, "취소")
    expect(tab.locator(".st-key-way-job .way.cancelled")).to_be_visible()
    expect(tab.get_by_text("작업을 취소했습니다.").first).to_be_visible()
    expect(tab.get_by_role("button", name="다섯 가지 모두 실행")).to_be_enabled()


def test_on_a_phone_with_a_hostile_story(tab: Page) -> None:
    """The simulated model hands the story back with a word more, and so every tag in it."""
    tab.set_viewport_size({"width": 390, "height": 844})
    choose(tab, "다섯 가지 방식")
    choose(tab, "내 이야기")
    editor = tab.get_by_label("이야기(JSON)")
    editor.fill('[{"turn_number": 1}]')
    editor.blur()
    expect(tab.get_by_text("1턴: 필드가 없습니다: 'result'")).to_be_visible()
    editor.fill(json.dumps(HOSTILE))
    editor.blur()
    expect(tab.get_by_text("올바른 이야기입니다. 턴 1개, 종목 1개.")).to_be_visible()
    press(tab, "비동기 실행")
    expect(tab.locator(".result .turn ins")).to_contain_text("고침")
    expect(tab.locator(".result .happens")).to_contain_text("<img src=x onerror=alert(1)>")
    assert tab.locator("#root .result :is(script, img)").count() == 0
    assert tab.evaluate(WIDTHS) == [390, 390]
    assert tab.evaluate(OUTSIDE) == []


def test_a_recorded_run_with_its_report(tab: Page) -> None:
    choose(tab, "기록된 실행")
    select(tab, "실행", EXAMPLE.name)
    expect(tab.locator("table.arms tbody tr")).to_have_count(4)
    tab.get_by_text("전체 보고서").click()
    frame = tab.frame_locator("iframe")
    expect(frame.locator("figure svg").first).to_be_attached()
    tab.set_viewport_size({"width": 390, "height": 844})
    expect(tab.locator(".story, .reply").first).to_be_attached()
    assert tab.evaluate(WIDTHS) == [390, 390]


HOSTILE = [
    {
        "turn_number": 1,
        "result": "<img src=x onerror=alert(1)><script>alert(2)</script>",
        "news": "[link](javascript:alert(3)) $x$ **b** <b onmouseover=alert(4)>b</b>",
        "news_tag": "<script>alert(5)</script>",
        "stocks": [
            {
                "name": "<script>alert(5)</script>",
                "risk_level": "</textarea><script>alert(6)</script>",
                "description": "<style>*{display:none}</style>",
                "before_value": 1,
                "current_value": 2,
                "expectation": "</article></div><iframe src=javascript:alert(7)>",
            }
        ],
    }
]
WIDTHS = """[document.documentElement.scrollWidth,
  document.querySelector('[data-testid="stMain"]').scrollWidth]"""
# Buttons and texts that stick out of the window.
OUTSIDE = """
[...document.querySelectorAll("button, .way, .story p, .result p, textarea")]
  .filter(e => e.getClientRects().length)
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => e.outerHTML.slice(0, 80))
"""
# Two Hangul syllables and a character that no font has.
SHAPES = """
["가", "힣", "\\u{10FFFD}"].map(char => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 40;
  const pen = canvas.getContext("2d");
  pen.font = `30px ${getComputedStyle(document.querySelector(".story")).fontFamily}`;
  pen.fillText(char, 2, 32);
  return canvas.toDataURL();
})
"""
