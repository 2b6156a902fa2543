"""The page in a real browser: nothing breaks, nothing overflows, Hangul is drawn."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, sync_playwright

from harness.report.html import page
from harness.summary import summarise
from tests.report.build import whole

pytestmark = pytest.mark.browser

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
FIGURES = 6


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The address of the page in each language."""
    folder = tmp_path_factory.mktemp("pages")
    run = whole(folder / "run")
    summary = summarise(run)
    found = {}
    for lang in ("en", "ko"):
        path = folder / f"{lang}.html"
        path.write_text(page(run, summary, lang), "utf-8")
        found[lang] = path.as_uri()
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"needs {CHROMIUM} (Debian: apt-get install chromium fonts-nanum)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_page(
    browser: Browser, pages: dict[str, str], width: int, scheme: Literal["dark", "light"], lang: str
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    tab = context.new_page()
    problems: list[str] = []
    tab.on("console", lambda message: problems.append(message.text))
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("request", lambda r: None if r.url == pages[lang] else problems.append(r.url))
    tab.goto(pages[lang])
    tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert tab.locator("figure svg:visible").count() == FIGURES
    assert tab.locator("figure svg.narrow:visible").count() == (FIGURES if width == 390 else 0)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 26)")
    assert tab.evaluate(OUTSIDE) == []
    assert problems == []
    context.close()


# Texts of visible figures that stick out of their drawing by more than a pixel.
OUTSIDE = """
[...document.querySelectorAll("figure svg")].filter(svg => svg.getClientRects().length)
  .flatMap(svg => {
    const frame = svg.getBoundingClientRect();
    return [...svg.querySelectorAll("text")].filter(text => {
      const box = text.getBoundingClientRect();
      return box.left < frame.left - 1 || box.right > frame.right + 1 ||
        box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
    }).map(text => text.textContent);
  })
"""


def test_hangul_is_drawn(browser: Browser, pages: dict[str, str]) -> None:
    """A Hangul syllable has its own shape, not the box of a missing glyph."""
    tab = browser.new_page()
    tab.goto(pages["ko"])
    shapes = tab.evaluate(
        """() => ["가", "힣", "\\u{10FFFD}"].map(char => {
            const canvas = document.createElement("canvas");
            canvas.width = canvas.height = 40;
            const pen = canvas.getContext("2d");
            pen.font = `30px ${getComputedStyle(document.body).fontFamily}`;
            pen.fillText(char, 2, 32);
            return canvas.toDataURL();
        })"""
    )
    assert len(set(shapes)) == 3
    tab.close()
