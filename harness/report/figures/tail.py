"""The tail figure: response time against percentile, where the data bear it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import FixedLocator, NullLocator

from harness.report.figures.canvas import SMALL, Canvas, Look, colour, drawn, shorten, text_width
from harness.report.markup import Html
from harness.stats.estimate import Estimate, quantile
from harness.stats.sample import Floats

LEAST_BEYOND = 10  # values that must lie beyond the last point drawn
LEAST_N = 4 * LEAST_BEYOND  # so that a curve reaches from the median to p75 at least
_FIRST = 0.5
_POINTS, _BAND_POINTS = 120, 24
_TICKS = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999)


@dataclass(frozen=True, slots=True)
class Curve:
    """One arm's quantiles: shape (m,) each; ``lo`` and ``hi`` at ``band_p``, NaN for no bound."""

    p: Floats
    values: Floats
    band_p: Floats
    lo: Floats
    hi: Floats
    n: int

    def at(self, p: float) -> float:
        """The quantile at ``p``, which lies within the curve."""
        return float(np.interp(p, self.p, self.values))


def tail_curve(
    values: Floats, bounded: Callable[[Floats, float], Estimate] = quantile
) -> Curve | None:
    """Quantiles from the median to where ten values lie beyond; None for fewer than LEAST_N.

    ``bounded`` gives a quantile its interval.
    """
    n = values.size
    if n < LEAST_N:
        return None
    first, last = np.log10([1 - _FIRST, LEAST_BEYOND / n])
    p = 1 - np.logspace(first, last, _POINTS)
    band = 1 - np.logspace(first, last, _BAND_POINTS)
    found = [bounded(values, float(q)) for q in band]
    lo, hi = (
        np.array([np.nan if b is None else b for b in side], dtype=np.float64)
        for side in ([e.lo for e in found], [e.hi for e in found])
    )
    return Curve(p, np.quantile(values, p), band, lo, hi, n)


def tail_figure(
    curves: Mapping[str, Curve],
    names: Mapping[str, str],
    looks: Mapping[str, Look],
    axes_labels: tuple[str, str],
    label: str,
) -> Html:
    """x: percentile, evenly in −log10(1 − p); y: time, logarithmic, ticks at 1, 2 and 5.

    ``curves`` are in the unit of the y axis.
    """

    labels = {arm: f"{shorten(names[arm], 18)}, n = {curve.n}" for arm, curve in curves.items()}

    def height(narrow: bool) -> float:
        return 340 + narrow * (20 * len(curves) - 20)

    def paint(canvas: Canvas) -> None:
        left, right = 44.0, canvas.width - 8.0
        if not canvas.narrow:
            left, right = 64.0, right - 14 - max(map(text_width, labels.values()))
        top = 26 + canvas.narrow * 20 * len(curves)
        axes = canvas.axes(left, top, right, canvas.height - 56)
        axes.grid(axis="y", color=colour("line"), linewidth=1)
        far = max(float(_x(curve.p[-1])) for curve in curves.values())
        axes.set_xlim(float(_x(_FIRST)), far + 0.02 * (far - float(_x(_FIRST))))
        shown = [p for p in _TICKS if _x(p) <= far and (p != 0.75 or far < 1.3)]
        axes.xaxis.set_major_locator(FixedLocator([float(_x(p)) for p in shown]))
        axes.xaxis.set_ticklabels([f"p{100 * p:g}" for p in shown])
        axes.set_yscale("log")
        lo = min(float(np.nanmin([c.values[0], *c.lo])) for c in curves.values())
        hi = max(float(np.nanmax([c.values[-1], *c.hi])) for c in curves.values())
        middle = (lo * hi) ** 0.5
        axes.set_ylim(min(lo, middle / 1.05) / 1.04, max(hi, middle * 1.05) * 1.04)
        ticks = log_ticks(*axes.get_ylim())
        axes.yaxis.set_major_locator(FixedLocator(ticks))
        axes.yaxis.set_ticklabels([f"{tick:g}" for tick in ticks])
        axes.yaxis.set_minor_locator(NullLocator())
        canvas.write(left, top - 14, axes_labels[1], size=SMALL, token="muted")
        canvas.title_axis(left, right, axes_labels[0])
        ends = []
        for i, (arm, curve) in enumerate(curves.items()):
            look = looks[arm]
            bounded = np.isfinite(curve.lo) & np.isfinite(curve.hi)
            axes.fill_between(
                _x(curve.band_p[bounded]),
                curve.lo[bounded],
                curve.hi[bounded],
                color=look.colour,
                alpha=0.13,
                linewidth=0,
            )
            axes.plot(
                _x(curve.p), curve.values, color=look.colour, linewidth=2, linestyle=look.dash
            )
            axes.plot(
                _x(curve.p[-1:]), curve.values[-1:], look.marker, color=look.colour, markersize=7
            )
            if canvas.narrow:
                canvas.write(28, 12 + 20 * i, labels[arm], size=SMALL)
                _key(canvas, look, 12 + 20 * i)
            else:
                _, at = axes.transData.transform((0, curve.values[-1]))
                ends.append((canvas.height - float(at), labels[arm], look))
        for y, text, look in apart(ends):
            canvas.write(right + 14, y, text, token=look.token)

    return drawn("tail", label, height, paint)


def _x(p: Floats | float) -> Floats:
    return -np.log10(1 - np.asarray(p, dtype=np.float64))


def _key(canvas: Canvas, look: Look, y: float) -> None:
    """A short piece of an arm's line, for the legend of a narrow drawing."""
    from matplotlib.lines import Line2D

    h = 1 - y / canvas.height
    canvas.figure.add_artist(
        Line2D([0, 22 / canvas.width], [h, h], color=look.colour, linewidth=2, linestyle=look.dash)
    )


def apart(ends: list[tuple[float, str, Look]], room: float = 19) -> list[tuple[float, str, Look]]:
    """Labels moved down until none stands on another."""
    found: list[tuple[float, str, Look]] = []
    for y, text, look in sorted(ends, key=lambda end: end[0]):
        found.append((max(y, found[-1][0] + room) if found else y, text, look))
    return found


def log_ticks(lo: float, hi: float) -> list[float]:
    """1, 2, 5 and their tenfolds in range; finer ones where fewer than three of them are."""
    for steps in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7), tuple(np.arange(10, 100, 2) / 10)):
        powers = range(int(np.floor(np.log10(lo))), int(np.ceil(np.log10(hi))) + 1)
        ticks = [float(f"{s * 10.0**p:g}") for p in powers for s in steps]
        ticks = [tick for tick in ticks if lo <= tick <= hi]
        if len(ticks) >= 3:
            break
    return ticks
