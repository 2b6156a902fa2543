"""How trials ended: a bar of all trials per arm, from 0, in patterns as well as shades."""

from collections.abc import Mapping

from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullLocator

from harness.records import OUTCOMES, Outcome
from harness.report.figures.canvas import SMALL, Canvas, colour, drawn, shorten, text_width
from harness.report.markup import Html

_ROW, _BAR, _AXIS, _KEY, _LINE = 38, 18, 50, 24, 20  # pixels
HATCHES: dict[Outcome, str | None] = {
    "ok": None,
    "wrong": "////",
    "malformed": "xxxx",
    "error": None,
    "cancelled": "||||",  # dots would be circles by the thousand
    "dropped": "----",
}


def outcomes_figure(
    counts: Mapping[str, Mapping[str, int]],
    names: Mapping[str, str],
    outcome_names: Mapping[str, str],
    axis: str,
    label: str,
) -> Html | None:
    """``counts``: arm → outcome → trials. None without any trial."""
    most = max((sum(found.values()) for found in counts.values()), default=0)
    shown = [o for o in OUTCOMES if any(found.get(o) for found in counts.values())]
    if not most:
        return None

    called = {arm: shorten(names[arm], 24) for arm in counts}
    texts = {
        arm: " · ".join(f"{outcome_names[o]} {found[o]}" for o in OUTCOMES if found.get(o))
        for arm, found in counts.items()
    }

    def keys(narrow: bool) -> int:
        return -(-len(shown) // 3) if narrow else 1

    def height(narrow: bool) -> float:
        return keys(narrow) * _KEY + 8 + len(counts) * (_ROW + 2 * _LINE * narrow) + _AXIS

    def paint(canvas: Canvas) -> None:
        left, right = 6.0, canvas.width - 14.0
        if not canvas.narrow:
            left = 20 + max(text_width(name, bold=True) for name in called.values())
            right -= 14 + max(text_width(text, SMALL) for text in texts.values())
        top = keys(canvas.narrow) * _KEY + 8
        _legend(canvas, shown, outcome_names, left)
        axes = canvas.axes(left, top, right, canvas.height - _AXIS)
        axes.set_xlim(0, most)
        axes.set_ylim(canvas.height - _AXIS, top)
        axes.xaxis.set_major_locator(
            MaxNLocator(4 if canvas.narrow else 6, steps=[1, 2, 5, 10], integer=True)
        )
        axes.yaxis.set_major_locator(NullLocator())
        canvas.title_axis(left, right, axis)
        y = float(top)
        for arm, found in counts.items():
            line = y + _ROW / 2
            if canvas.narrow:
                canvas.write(4, y + 10, called[arm], bold=True)
                canvas.write(4, y + 10 + _LINE, texts[arm], size=SMALL)
                line = y + 12 + 2 * _LINE
            else:
                canvas.write(0, line, called[arm], bold=True)
                canvas.write(right + 14, line, texts[arm], size=SMALL)
            start = 0
            for outcome in OUTCOMES:
                if count := found.get(outcome, 0):
                    axes.barh(
                        line,
                        count,
                        _BAR,
                        start,
                        linewidth=1,
                        facecolor=colour(f"outcome-{outcome}"),
                        edgecolor=colour("ground"),
                        hatch=HATCHES[outcome],
                    )
                    start += count
            y += _ROW + 2 * _LINE * canvas.narrow

    return drawn("outcomes", label, height, paint)


def _legend(
    canvas: Canvas, shown: list[Outcome], outcome_names: Mapping[str, str], left: float
) -> None:
    """A sample of each pattern with its name."""
    for i, outcome in enumerate(shown):
        row, column = divmod(i, 3) if canvas.narrow else (0, i)
        x, y = left + column * 112, row * _KEY + 12
        canvas.figure.add_artist(
            Rectangle(
                (x / canvas.width, 1 - (y + 6) / canvas.height),
                18 / canvas.width,
                12 / canvas.height,
                facecolor=colour(f"outcome-{outcome}"),
                edgecolor=colour("ground"),
                hatch=HATCHES[outcome],
                linewidth=1,
            )
        )
        canvas.write(x + 25, y, outcome_names[outcome], size=SMALL)
