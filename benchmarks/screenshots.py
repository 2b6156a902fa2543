"""Takes the pictures of ``docs/screenshots`` again: ``python -m benchmarks.screenshots [NAME…]``.

Runs, loads and the demo are the real ones, in a folder that is removed afterwards. What is measured
must be valid: on a busy machine the script tries again, then gives up with exit code 4. It needs
Chromium, tmux and Hangul fonts (Debian: ``apt-get install chromium tmux fonts-nanum``), a quiet
machine, and some minutes.
"""

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from harness.exit_codes import INVALID, OK
from tests.report.test_browser import CHROMIUM, FLAGS
from tests.runs import finish, simulator, start
from tests.test_serve import serving

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "screenshots"
MOST_BYTES = 200_000
TRIES = 4
PATIENCE_S = 120
SEARCH_S = 600  # for capacity, the longest command
SETTLE_MS = 1_000  # Streamlit's own movements
COLUMNS, LINES = 100, 48
SCALE = "0.02"
RUN = (
    f"harness run --provider sim:report-2025 --time-scale {SCALE} --repeats 2 "
    "--scenarios scenarios/full --group 8 --out reports/demo"
)
SIXTEEN = """\
capacity = 16
[edit]
ttft_s = { mean = 0.9, cv = 0.3 }
total_s = { mean = 6.3, cv = 0.17 }
[summary]
ttft_s = { mean = 0.5 }
total_s = { mean = 1.1 }
[answers]
right = 1.0
"""
SCREEN = """\
<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: {background}; color: {foreground}; width: max-content; }}
pre {{ margin: 0; padding: 16px 20px; font: 14px/1.35 "DejaVu Sans Mono", monospace; }}
</style><pre>{code}</pre>"""
COLOURS = TerminalTheme(
    (20, 23, 26),
    (230, 233, 236),
    [
        *((44, 50, 56), (240, 160, 75), (47, 191, 155), (240, 200, 100)),
        *((86, 180, 233), (217, 140, 200), (96, 200, 210), (230, 233, 236)),
    ],
)


class Invalid(Exception):  # noqa: N818 - the harness's own word
    """A measurement that its own checks call invalid."""


class Studio:
    """Makes what is to be seen, each thing once, and takes the pictures."""

    def __init__(self, folder: Path, browser: Browser) -> None:
        self.folder = folder
        self.browser = browser

    @cached_property
    def run(self) -> dict[str, str]:
        """A run in a terminal: its ``live`` screen and the one of its ``result``, as ANSI text."""
        return self._valid("reports/demo", "summary.json", lambda: terminal(RUN, self.folder))

    @property
    def run_report(self) -> Path:
        """The report of that run."""
        assert self.run
        return self.folder / "reports" / "demo" / "index.html"

    @cached_property
    def comparison(self) -> Path:
        """Two runs, compared in Korean."""
        for name, seed in (("main", "0"), ("branch", "1")):
            out = f"reports/{name}"
            command = [
                "run",
                "--provider",
                "sim:report-2025",
                "--time-scale",
                SCALE,
                "--repeats",
                "4",
            ]
            command += ["--seed", seed, "--scenarios", "scenarios/short", "--out", out]
            self._valid(out, "summary.json", lambda command=command: self.harness(*command))
        self.harness("report", "reports/main", "reports/branch", "--lang", "ko")
        return self.folder / "reports" / "branch" / "comparison.html"

    @cached_property
    def load(self) -> Path:
        """A load on the service, reported in Korean."""
        command = ["--rate", "20", "--duration", "30", "--scenarios", "scenarios/short"]
        command += ["--slo", "p95<1s,success>=0.85", "--out", "reports/load"]
        with serving("--provider", "sim:report-2025", "--time-scale", SCALE) as (_, url):
            load = ["load", f"{url}/edit-scenario-async", *command]
            self._valid("reports/load", "load.json", lambda: self.harness(*load))
        self.harness("report", "reports/load", "--lang", "ko")
        return self.folder / "reports" / "load" / "index.html"

    @cached_property
    def capacity(self) -> Path:
        """A search for the capacity of a model that answers 16 requests at a time."""
        profile = self.folder / "sixteen.toml"
        profile.write_text(SIXTEEN)
        command = ["load", "--find-capacity", "--slo", "p95<0.5s", "--rate", "20"]
        command += ["--duration", "10", "--scenarios", "scenarios/short", "--out", "reports/search"]
        with simulator("--profile", str(profile), "--time-scale", SCALE) as url:
            self._valid("reports/search", "capacity.json", lambda: self.harness(*command, url))
        self.harness("report", "reports/search")
        return self.folder / "reports" / "search" / "index.html"

    def harness(self, *args: str) -> None:
        """A command in the studio's folder; any verdict will do. Raises RuntimeError."""
        child = start(*args, cwd=self.folder)
        _, err = child.communicate(timeout=SEARCH_S)
        if child.returncode == 2:
            raise RuntimeError(err)

    @contextmanager
    def demo(
        self, *options: str, height: int, width: int = 1280, dark: bool = False
    ) -> Iterator[Page]:
        """The demo's page, once it can be used."""
        child = start("demo", "--json", "--runs", str(ROOT / "reports"), *options)
        assert child.stdout is not None
        try:
            url = json.loads(child.stdout.readline())["url"]
            with self.page(url, width, height, dark=dark) as page:
                expect(page.locator(".st-key-run-all button")).to_be_enabled()
                yield page
        finally:
            child.terminate()
            finish(child)

    @contextmanager
    def page(self, url: str, width: int, height: int, *, dark: bool = False) -> Iterator[Page]:
        """A page in the browser."""
        page = self.browser.new_page(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        page.goto(url)
        yield page
        page.close()

    def report(self, name: str, path: Path, width: int, height: int, *, dark: bool = False) -> None:
        """The top of a report."""
        with self.page(path.as_uri(), width, height, dark=dark) as page:
            shoot(page, name)

    def screen(self, name: str, ansi: str) -> None:
        """A terminal's screen."""
        console = Console(record=True, file=io.StringIO(), width=COLUMNS)
        console.print(Text.from_ansi(ansi.rstrip()))
        path = self.folder / f"{name}.html"
        html = console.export_html(theme=COLOURS, code_format=SCREEN, inline_styles=True)
        path.write_text(html, "utf-8")
        with self.page(path.as_uri(), 1000, 200) as page:
            shoot(page, name, "pre")

    def _valid(self, out: str, figures: str, make: Callable[[], T]) -> T:
        """What ``make`` gives, when the measurement in ``out`` is valid. Raises Invalid."""
        for _ in range(TRIES):
            shutil.rmtree(self.folder / out, ignore_errors=True)
            made = make()
            broken = broken_in(json.loads((self.folder / out / figures).read_text("utf-8")))
            if not broken:
                return made
            print(f"{out}: not valid: {', '.join(broken)}", file=sys.stderr)
        raise Invalid(f"{out}: not valid {TRIES} times; free the machine")


def broken_in(found: Mapping[str, Any]) -> list[str]:
    """What keeps a run, a load or a search from being valid, by its figures."""
    if "steps" in found:
        steps = (step for step in found["steps"] if step["verdict"] == "invalid")
        return [f"{step['offered']:.4g}/s" for step in steps]
    return [check["name"] for check in found["validity"]["checks"] if not check["ok"]]


def terminal(command: str, folder: Path) -> dict[str, str]:
    """A run typed into a terminal: its screen when half of it is done, and at its end."""
    tmux = ["tmux", "-L", f"harness-{os.getpid()}", "-f", "/dev/null"]
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "TMUX")}
    environment |= {"PS1": "$ ", "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"}
    window = ["new", "-d", "-x", str(COLUMNS), "-y", str(LINES), "bash", "--norc", "--noprofile"]
    subprocess.run([*tmux, *window], cwd=folder, env=environment, check=True)
    seen: dict[str, str] = {}
    until = time.monotonic() + PATIENCE_S
    try:
        while time.monotonic() < until:
            look = [*tmux, "capture-pane", "-p", "-e"]
            ansi = subprocess.run(look, check=True, stdout=subprocess.PIPE).stdout.decode()
            plain = Text.from_ansi(ansi).plain.rstrip()
            done = re.search(r"(\d+) of (\d+) trials", plain)
            if plain == "$":
                subprocess.run([*tmux, "send-keys", "-l", command], check=True)
                subprocess.run([*tmux, "send-keys", "Enter"], check=True)
            elif done and 2 * int(done[1]) > int(done[2]):
                seen.setdefault("live", ansi)
            elif plain.endswith("\n$"):
                return seen | {"result": ansi}
            time.sleep(0.2)
        raise TimeoutError(command)
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)


def shoot(page: Page, name: str, part: str | None = None) -> None:
    """A picture of what the browser shows, or of one element, in as many colours as it needs.

    Raises ValueError when it is too large.
    """
    path = FOLDER / f"{name}.png"
    if part is None:
        page.screenshot(path=path)
    else:
        page.locator(part).screenshot(path=path)
    plain = Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    plain.save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {size:,} bytes")
    if size > MOST_BYTES:
        raise ValueError(f"{path}: at most {MOST_BYTES:,} bytes")


# --- the demo ---


def ways(studio: Studio, name: str) -> None:
    """Two ways have been gone, the third is under way."""
    with studio.demo("--scenario", "short-en-event-dog", height=920) as page:
        page.get_by_role("button", name="Run all five").click()
        expect(page.locator(".st-key-way-stream .live")).to_contain_text("turn 2 of 3")
        shoot(page, name)


def result(studio: Studio, name: str, scenario: str, width: int, height: int, dark: bool) -> None:
    """All five have been gone; the story of the last."""
    asked = ("--scenario", scenario, "--lang", "ko")
    with studio.demo(*asked, width=width, height=height, dark=dark) as page:
        page.get_by_role("button", name="다섯 가지 모두 실행").click()
        expect(page.locator(".way.done")).to_have_count(5)
        expect(page.locator(".result .turn").first).to_be_visible()
        expect(page.get_by_role("button", name="다섯 가지 모두 실행")).to_be_enabled()
        page.mouse.move(0, 0)
        page.wait_for_timeout(SETTLE_MS)
        shoot(page, name)


def runs(studio: Studio, name: str) -> None:
    """A wrong trial of a recorded run."""
    with studio.demo("--lang", "ko", height=1250) as page:
        page.get_by_role("radio", name="기록된 실행", exact=True).click()
        for box, choice in (("실행", "example-local"), ("결과", "오답"), ("파이프라인", "async")):
            field = page.get_by_role("combobox", name=box, exact=True)
            if field.input_value() != choice:
                field.fill(choice)
                page.get_by_role("option", name=choice, exact=True).click()
            expect(field).to_have_value(choice)
        expect(page.locator(".result .checks .bad").first).to_be_visible()
        page.locator(".title h1").click()
        page.wait_for_timeout(SETTLE_MS)
        shoot(page, name)


PICTURES: dict[str, Callable[[Studio, str], None]] = {
    "terminal-live": lambda studio, name: studio.screen(name, studio.run["live"]),
    "terminal-result": lambda studio, name: studio.screen(name, studio.run["result"]),
    "run-1280": lambda studio, name: studio.report(name, studio.run_report, 1280, 1500),
    "run-390-dark": lambda studio, name: studio.report(
        name, studio.run_report, 390, 1600, dark=True
    ),
    "comparison-ko-390": lambda studio, name: studio.report(name, studio.comparison, 390, 1400),
    "load-ko": lambda studio, name: studio.report(name, studio.load, 1280, 1300),
    "capacity": lambda studio, name: studio.report(name, studio.capacity, 1280, 900),
    "demo-ways": ways,
    "demo-result-ko-dark": lambda studio, name: result(
        studio, name, "short-ko-tone", 1280, 1500, dark=True
    ),
    "demo-phone-ko": lambda studio, name: result(
        studio, name, "short-ko-price", 390, 3050, dark=False
    ),
    "demo-runs-ko": runs,
}


def main() -> int:
    """Take the pictures that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    wanted = parser.parse_args().names or list(PICTURES)
    if unknown := sorted(set(wanted) - PICTURES.keys()):
        parser.error(f"there is no picture {', '.join(unknown)}")
    expect.set_options(timeout=1e3 * PATIENCE_S)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        (Path(folder) / "scenarios").symlink_to(ROOT / "scenarios")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        studio = Studio(Path(folder), browser)
        try:
            for name in wanted:
                PICTURES[name](studio, name)
        except Invalid as why:
            print(why, file=sys.stderr)
            return INVALID
        finally:
            browser.close()
    return OK


if __name__ == "__main__":
    sys.exit(main())
