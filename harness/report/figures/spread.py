"""The distribution figure: a histogram of response times per arm, its median and interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator, NullLocator

from harness.report.figures.canvas import SMALL, Canvas, Look, colour, drawn, shorten, text_width
from harness.report.markup import Html
from harness.stats.sample import Floats

_ROW, _AXIS, _NAME, _NOTE = 76, 50, 22, 18  # pixels
_MOST_BINS, _LEAST_BINS = 60, 12


@dataclass(frozen=True, slots=True)
class Spread:
    """One arm: its response times in the unit of the axis, its median with interval in that unit
    (None: not given), and two short texts for the row.
    """

    name: str
    values: Floats
    median: float | None
    bounds: tuple[float, float] | None
    note: str
    median_text: str


def spread_figure(
    spreads: Mapping[str, Spread], looks: Mapping[str, Look], axis: str, label: str
) -> Html | None:
    """A histogram per arm, all on one axis and with the same bins. None without any value."""
    edges = _edges([spread.values for spread in spreads.values() if spread.values.size])
    if edges is None:
        return None

    def height(narrow: bool) -> float:
        return len(spreads) * (_ROW + (_NAME + _NOTE) * narrow) + _AXIS

    def paint(canvas: Canvas) -> None:
        left, right = 4.0, canvas.width - 4.0
        if not canvas.narrow:
            found = spreads.values()
            left = 20 + max(_beside(spread) for spread in found)
            right -= 12 + max(text_width(spread.median_text) for spread in found)
        axes = canvas.axes(left, 0, right, canvas.height - _AXIS)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(canvas.height - _AXIS, 0)
        axes.xaxis.set_major_locator(MaxNLocator(4 if canvas.narrow else 8, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(NullLocator())
        canvas.title_axis(left, right, axis)
        shares = {
            arm: np.histogram(s.values, edges)[0] / max(1, s.values.size)
            for arm, s in spreads.items()
        }
        top = max(float(share.max()) for share in shares.values())
        y = 0.0
        for arm, spread in spreads.items():
            look = looks[arm]
            if canvas.narrow:
                canvas.write(4, y + 12, _called(spread), bold=True)
                canvas.write(4, y + _NAME + 8, spread.note, size=SMALL, token="muted")
                y += _NAME + _NOTE
            else:
                canvas.write(0, y + _ROW - 38, _called(spread), bold=True)
                canvas.write(0, y + _ROW - 20, spread.note, size=SMALL, token="muted")
                canvas.write(canvas.width, y + _ROW - 20, spread.median_text, align="right")
            base = y + _ROW - 16
            heights = base - shares[arm] / top * (_ROW - 26)
            axes.stairs(heights, edges, baseline=base, fill=True, color=look.colour, alpha=0.3)
            axes.stairs(heights, edges, baseline=base, color=look.colour, linewidth=1.2)
            if spread.bounds is not None:
                axes.plot(spread.bounds, [base + 7] * 2, color=look.colour, linewidth=2.4)
            if spread.median is not None:
                axes.plot(
                    [spread.median],
                    [base + 7],
                    look.marker,
                    color=look.colour,
                    markersize=8,
                    markeredgecolor=colour("ground"),
                )
            y += _ROW

    return drawn("spread", label, height, paint)


def _called(spread: Spread) -> str:
    return shorten(spread.name, 24)


def _beside(spread: Spread) -> float:
    """Pixels that the name and the note take beside a histogram."""
    return max(text_width(_called(spread), bold=True), text_width(spread.note, SMALL))


def _edges(samples: Sequence[Floats]) -> Floats | None:
    """Bins for all samples together: Freedman and Diaconis' width for the pool, within reason."""
    if not samples:
        return None
    pool = np.concatenate(samples)
    lo, hi = float(pool.min()), float(pool.max())
    pad = max(0.04 * (hi - lo), 0.05 * hi, 1e-9)
    lo, hi = max(0.0, lo - pad), hi + pad
    found = len(np.histogram_bin_edges(pool, "fd")) - 1
    return np.linspace(lo, hi, min(_MOST_BINS, max(_LEAST_BINS, found)) + 1)
