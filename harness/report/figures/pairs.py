"""The pairs figure: by how much each pair of trials differs, and the mean with its interval."""

from collections.abc import Mapping

import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator

from harness.report.figures.canvas import SMALL, Canvas, Look, colour, drawn, shorten
from harness.report.figures.effect import ratio_ticks
from harness.report.markup import Html
from harness.report.table import Cell
from harness.stats.sample import Floats

_ROW, _AXIS, _NAME = 76, 50, 22  # pixels
_MOST_BINS, _LEAST_BINS = 61, 11
_SHOWN = 0.99  # of the pairs lie on the axis at least; the rest is counted in its last bins


def pairs_figure(
    ratios: Mapping[str, Floats],
    changes: Mapping[str, Cell],
    names: Mapping[str, str],
    looks: Mapping[str, Look],
    axis: str,
    label: str,
) -> Html | None:
    """A histogram of candidate ÷ baseline per candidate on an axis of ratios, symmetric about no
    change. ``changes``: the mean, with its interval, below. None without a pair.
    """
    logs = {arm: np.log(found[found > 0]) for arm, found in ratios.items()}
    logs = {arm: found for arm, found in logs.items() if found.size}
    if not logs:
        return None
    pool = np.concatenate(list(logs.values()))
    reach = max(float(np.quantile(np.abs(pool), _SHOWN)), np.log(1.1)) * 1.06
    bins = int(np.clip(2 * np.sqrt(min(map(len, logs.values()))), _LEAST_BINS, _MOST_BINS)) | 1
    edges = np.linspace(-reach, reach, bins + 1)

    def height(narrow: bool) -> float:
        return len(logs) * (_ROW + _NAME * narrow) + _AXIS

    def paint(canvas: Canvas) -> None:
        left, right = (4, canvas.width - 4) if canvas.narrow else (178, canvas.width - 196)
        axes = canvas.axes(left, 0, right, canvas.height - _AXIS)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(canvas.height - _AXIS, 0)
        ticks = ratio_ticks(reach, (right - left) / 2)
        axes.xaxis.set_major_locator(FixedLocator([at for at, _ in ticks]))
        axes.xaxis.set_ticklabels([text for _, text in ticks])
        axes.yaxis.set_major_locator(NullLocator())
        axes.axvline(0, color=colour("muted"), linewidth=1.2)
        canvas.title_axis(left, right, axis)
        y = 0.0
        for arm, found in logs.items():
            look, cell = looks[arm], changes[arm]
            said = "" if cell.text is None else f"{cell.text} % {cell.interval}"
            n = f"n = {found.size:,}"
            if canvas.narrow:
                canvas.write(4, y + 12, shorten(names[arm], 22), bold=True)
                canvas.write(canvas.width - 4, y + 12, n, size=SMALL, token="muted", align="right")
                y += _NAME
            else:
                canvas.write(0, y + _ROW - 38, shorten(names[arm], 24), bold=True)
                canvas.write(0, y + _ROW - 20, n, size=SMALL, token="muted")
                canvas.write(canvas.width, y + _ROW - 20, shorten(said, 34), align="right")
            counts = np.histogram(np.clip(found, -reach, reach), edges)[0]
            base = y + _ROW - 16
            tops = base - counts / counts.max() * (_ROW - 26)
            axes.stairs(tops, edges, baseline=base, fill=True, color=look.colour, alpha=0.3)
            axes.stairs(tops, edges, baseline=base, color=look.colour, linewidth=1.2)
            figure = cell.figure
            if cell.text is not None and figure and figure.bounds and figure.value is not None:
                ends = [np.log1p(max(-99.99, end) / 100) for end in figure.bounds]
                axes.plot(ends, [base + 7] * 2, color=look.colour, linewidth=2.4)
                axes.plot(
                    [np.log1p(figure.value / 100)],
                    [base + 7],
                    look.marker,
                    color=look.colour,
                    markersize=8,
                    markeredgecolor=colour("ground"),
                )
            y += _ROW

    return drawn("pairs", label, height, paint)
