"""A figure on matplotlib's SVG canvas, in pixels from the top left, made fit to stand in a page.

Text stays text. Colours are tokens that become CSS variables, so the page's theme decides them.
Every figure is drawn twice, wide and narrow; the page shows the one that fits.
"""

import importlib.util
import io
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.textpath import text_to_path

from harness.records import OUTCOMES
from harness.report.layout import width as columns_of
from harness.report.markup import Html, tag

WIDE, NARROW = 880, 356  # CSS pixels
SMALL, TEXT = 12.0, 13.0  # font sizes, CSS pixels

# Colours as matplotlib sees them → the CSS variables that they stand for.
_TOKENS = {
    "ink": "#010203",
    "muted": "#040506",
    "line": "#070809",
    "ground": "#0a0b0c",
    "shade": "#0d0e0f",
    "aa": "#101112",
    **{f"series-{i}": f"#2000{i:02x}" for i in range(6)},
    **{f"outcome-{name}": f"#3000{i:02x}" for i, name in enumerate(OUTCOMES)},
}
_DASHES = ("-", (0, (5, 2)), (0, (1.2, 1.8)), (0, (6, 2, 1.2, 2)), (0, (3, 1)), (0, (8, 2)))
_MARKERS = ("o", "s", "^", "D", "v", "P")


def colour(name: str) -> str:
    """The token of a colour of the page, to be given to matplotlib."""
    return _TOKENS[name]


@dataclass(frozen=True, slots=True)
class Look:
    """How an arm is told apart: by colour, dash and marker together."""

    token: str
    dash: Any
    marker: str

    @property
    def colour(self) -> str:
        return _TOKENS[self.token]


def looks(arms: Sequence[str], baseline: str) -> dict[str, Look]:
    """Each arm's look; the baseline's second run (A/A) is grey."""
    again = f"{baseline}@aa"
    others = [arm for arm in arms if arm != again]
    found = {
        arm: Look(f"series-{i % 6}", _DASHES[i % 6], _MARKERS[i % 6])
        for i, arm in enumerate(others)
    }
    if again in arms:
        found[again] = Look("aa", (0, (2, 2)), "o")
    return {arm: found[arm] for arm in arms}


def shorten(name: str, columns: int) -> str:
    """A name in at most so many columns, its middle left out."""
    if columns_of(name) <= columns:
        return name
    keep = max(1, (columns - 1) // 2)
    return f"{name[:keep]}…{name[-keep:]}"


def text_width(text: str, size: float = TEXT, *, bold: bool = False) -> float:
    """Pixels that ``text`` takes in the font that figures are drawn with, which is a wide one."""
    weight = "bold" if bold else "normal"
    font = font_manager.FontProperties(family=font_families(), size=size, weight=weight)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        found: float = text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]
    return found


class Canvas:
    """One drawing of ``width`` × ``height`` CSS pixels; y counts downwards."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.narrow = width < WIDE
        self.figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        FigureCanvasSVG(self.figure)

    def axes(self, left: float, top: float, right: float, bottom: float) -> Axes:
        """Axes between these edges: only a grid, no frame; ticks in the muted colour."""
        axes = self.figure.add_axes(
            (
                left / self.width,
                1 - bottom / self.height,
                (right - left) / self.width,
                (bottom - top) / self.height,
            )
        )
        axes.patch.set_alpha(0)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.tick_params(length=0, labelsize=SMALL, labelcolor=colour("muted"), pad=5, which="both")
        axes.grid(axis="x", color=colour("line"), linewidth=1)
        axes.set_axisbelow(True)
        return axes

    def write(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = TEXT,
        token: str = "ink",
        align: str = "left",
        bold: bool = False,
    ) -> None:
        """Text whose middle line is at ``y``."""
        self.figure.text(
            x / self.width,
            1 - y / self.height,
            text,
            fontsize=size,
            color=colour(token),
            ha=align,
            va="center_baseline",
            fontweight="bold" if bold else "normal",
        )

    def title_axis(self, left: float, right: float, text: str) -> None:
        """The title of the x axis, below its ticks."""
        middle = self.width / 2 if self.narrow else (left + right) / 2
        self.write(middle, self.height - 14, text, size=SMALL, token="muted", align="center")

    def svg(self, ident: str, label: str) -> Html:
        """The drawing for a page. ``ident`` keeps its references apart from other drawings."""
        out = io.StringIO()
        with warnings.catch_warnings():
            # A browser has glyphs that the fonts for measuring lack.
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            self.figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
        body = _clean(out.getvalue(), ident)
        return tag(
            "svg",
            Html(body),
            viewBox=f"0 0 {self.width:g} {self.height:g}",
            role="img",
            aria_label=label,
            class_="narrow" if self.narrow else "wide",
        )


def drawn(
    ident: str, label: str, height: Callable[[bool], float], paint: Callable[[Canvas], None]
) -> Html:
    """Both drawings of a figure. ``height`` tells the height of the narrow (True) or wide one."""
    parts = []
    with matplotlib.rc_context(_settings()):
        for width in (WIDE, NARROW):
            canvas = Canvas(width, height(width < WIDE))
            paint(canvas)
            parts.append(canvas.svg(f"{ident}-{width}", label))
    return Html("".join(parts))


@cache
def font_families() -> list[str]:
    """Families that matplotlib draws with, one with Hangul made known to it."""
    families = ["DejaVu Sans"]
    found = importlib.util.find_spec("koreanize_matplotlib")
    if found is not None and found.origin is not None:
        for path in sorted((Path(found.origin).parent / "fonts").glob("NanumGothic*.ttf")):
            font_manager.fontManager.addfont(path)
        families.append("NanumGothic")
    return families


@cache
def _settings() -> Any:  # keys of rcParams, which the stub lists one by one
    """Text as text, measured with fonts that have Hangul; no formulas in names."""
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "harness",
        "font.family": font_families(),
        "text.parse_math": False,
        "axes.unicode_minus": True,
        "hatch.linewidth": 1.0,
    }


_HEX = re.compile("|".join(_TOKENS.values()))
_VARIABLES = {value: f"var(--{name})" for name, value in _TOKENS.items()}
_USED = re.compile(r"(?:url\(#|xlink:href=\"#)([^\")]+)")
_GEOMETRY = re.compile(r' (?:d|x|y|width|height|transform)="[^"]*"')
_DROPPED = re.compile(
    r"<metadata>.*?</metadata>|<style .*?</style>|<!--.*?-->| font-family: [^;\"]*;"
    r'| transform="rotate\(-0 [^"]*"|<g id="[^"]*"/>',
    re.DOTALL,
)


def _clean(svg: str, ident: str) -> str:
    """What is within matplotlib's <svg>, without what a page has no use for."""
    body = svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]
    body = _DROPPED.sub("", body)
    used = set(_USED.findall(body))

    def name(match: re.Match[str]) -> str:
        return f' id="{ident}-{match[1]}"' if match[1] in used else ""

    body = re.sub(r' id="([^"]+)"', name, body)
    body = body.replace("url(#", f"url(#{ident}-")
    body = body.replace('xlink:href="#', f'href="#{ident}-')
    body = body.replace("font-weight: 700", "font-weight: 600")
    body = _HEX.sub(lambda match: _VARIABLES[match[0]], body)
    body = _GEOMETRY.sub(_rounded, body)
    return re.sub(r">\s+<", "><", body).strip()


def _rounded(attribute: re.Match[str]) -> str:
    """A place to a hundredth of a pixel, on one line."""
    short = re.sub(r"-?\d+\.\d{3,}", lambda n: f"{float(n[0]):.2f}", attribute[0])
    return " " + " ".join(short.split())
