"""The page in a real browser: nothing breaks or overflows, Hangul is drawn, all is printed."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, sync_playwright

from harness.report.words import LANGS
from tests.report.pages import PAGES

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
FIGURES = {"run": 8, "comparison": 1, "load": 5, "locust": 5, "capacity": 1}
"""Drawings on each kind of page, at least."""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    """The address of each kind of page in each language."""
    found: dict[tuple[str, str], str] = {}
    for kind, make in PAGES.items():
        for lang in LANGS:
            folder = tmp_path_factory.mktemp(f"{kind}-{lang}")
            path = folder / "page.html"
            path.write_text(make(folder, lang), "utf-8")
            found[kind, lang] = path.as_uri()
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        pytest.skip(f"needs {CHROMIUM} (Debian: apt-get install chromium fonts-nanum)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_page(
    browser: Browser,
    pages: dict[tuple[str, str], str],
    kind: str,
    lang: str,
    width: int,
    scheme: Literal["dark", "light"],
) -> None:
    url = pages[kind, lang]
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    tab = context.new_page()
    problems: list[str] = []
    tab.on("console", lambda message: problems.append(message.text))
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("dialog", lambda dialog: problems.append(dialog.message))
    tab.on(
        "request",
        lambda r: None if r.url == url or r.url.startswith("data:") else problems.append(r.url),
    )
    tab.goto(url)
    tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    drawings = tab.locator("figure svg:visible").count()
    assert drawings >= FIGURES[kind]
    assert tab.locator("figure svg.narrow:visible").count() == (drawings if width == 390 else 0)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 23, 26)")
    assert tab.evaluate(OUTSIDE) == []
    assert tab.evaluate(UPON_ANOTHER) == []
    assert tab.evaluate("document.scripts.length") == 0
    assert problems == []
    context.close()


def test_the_keyboard_reaches_links_tables_and_folded_parts(
    browser: Browser, pages: dict[tuple[str, str], str]
) -> None:
    tab = browser.new_page()
    tab.goto(pages["run", "en"])
    reached = set()
    for _ in range(40):
        tab.keyboard.press("Tab")
        reached.add(tab.evaluate("document.activeElement.tagName"))
    assert {"A", "DIV", "SUMMARY"} <= reached
    folded = tab.locator("details").first
    folded.locator("summary").first.focus()
    tab.keyboard.press("Enter")
    assert folded.evaluate("part => part.open")
    tab.close()


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


# Texts of a drawing that stand upon another.
UPON_ANOTHER = """
[...document.querySelectorAll("figure svg")].filter(svg => svg.getClientRects().length)
  .flatMap(svg => {
    const texts = [...svg.querySelectorAll("text")].map(t => [t, t.getBoundingClientRect()]);
    return texts.flatMap(([one, a], i) => texts.slice(i + 1).filter(([_, b]) =>
      Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
      Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 8
    ).map(([other]) => `${one.textContent} / ${other.textContent}`));
  })
"""


def test_hangul_is_drawn(browser: Browser, pages: dict[tuple[str, str], str]) -> None:
    """A Hangul syllable has its own shape, not the box of a missing glyph."""
    tab = browser.new_page()
    tab.goto(pages["run", "ko"])
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


PAPER = 703  # CSS pixels between the margins of A4


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("lang", LANGS)
def test_paper_is_white_and_wide_enough(
    browser: Browser, pages: dict[tuple[str, str], str], kind: str, lang: str
) -> None:
    """Whatever the reader's theme: dark on white, wide drawings, nothing beyond the margins."""
    tab = browser.new_page(viewport={"width": PAPER, "height": 1000}, color_scheme="dark")
    tab.emulate_media(media="print", color_scheme="dark")
    tab.goto(pages[kind, lang])
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.evaluate("getComputedStyle(document.body).color") == "rgb(26, 29, 33)"
    assert tab.locator("figure svg.wide:visible").count() >= FIGURES[kind]
    assert tab.locator("figure svg.narrow:visible").count() == 0
    assert tab.locator("table").count() == tab.locator("table:visible").count()
    assert tab.evaluate(BEYOND) == []
    assert tab.evaluate(OUTSIDE) == []
    tab.close()


# What sticks out of the paper, by its first words.
BEYOND = """
[...document.querySelectorAll("body *")].filter(part =>
    part.checkVisibility() && part.getBoundingClientRect().right > innerWidth + 1)
  .map(part => `${part.tagName}: ${part.textContent.slice(0, 40)}`)
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("lang", LANGS)
def test_headings_tables_and_figures_are_printed(
    browser: Browser,
    pages: dict[tuple[str, str], str],
    lang: str,
    scheme: Literal["dark", "light"],
    tmp_path: Path,
) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("needs pdftotext (Debian: apt-get install poppler-utils)")
    tab = browser.new_page(color_scheme=scheme)
    tab.goto(pages["run", lang])
    tab.pdf(path=tmp_path / "page.pdf", format="A4")
    wanted = {
        "headings": tab.locator("h1, h2, h3").all_text_contents(),
        "tables": tab.locator(".value, caption").all_text_contents(),
        "figures": tab.locator("figure svg.wide text").all_text_contents(),
    }
    tab.close()
    made = subprocess.run(
        ["pdftotext", "-raw", tmp_path / "page.pdf", "-"], capture_output=True, check=True
    )
    printed = _squeezed(made.stdout.decode())
    for what, texts in wanted.items():
        assert len(texts) > 10, what
        missing = [text for text in texts if _squeezed(text) not in printed]
        assert not missing, what


def _squeezed(text: str) -> str:
    """``text`` without its spaces, which a PDF places anew."""
    return re.sub(r"\s+", "", text)
