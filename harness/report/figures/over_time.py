"""The time figure: percentiles, rate, trials in flight and failures, on one axis of time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from harness.records import OUTCOMES
from harness.report.figures.canvas import SMALL, Canvas, Look, colour, drawn, shorten
from harness.report.figures.outcomes import HATCHES
from harness.report.figures.tail import apart, log_ticks
from harness.report.markup import Html
from harness.report.windows import Windows
from harness.stats.sample import Floats

_MARKED = 24  # windows, at most, whose points can be told apart
_LATENCY, _PANEL, _TITLE, _AXIS = 190, 78, 26, 50  # pixels


@dataclass(frozen=True, slots=True)
class Texts:
    """Titles of the panels, of the axis of time, and what else is written."""

    latency: str
    rate: str
    in_flight: str
    failed: str
    axis: str
    offered: str
    answered: str
    warmup: str


def over_time_figure(
    found: Windows,
    names: Mapping[str, str],
    looks: Mapping[str, Look],
    texts: Texts,
    label: str,
    *,
    factor: float,
    offered: bool,
) -> Html:
    """``factor``: from seconds to the unit of response times; ``offered``: draw that rate too."""
    arms = [arm for arm in found.p50 if np.isfinite(found.p50[arm]).any()]

    def height(narrow: bool) -> float:
        legend = 18 * len(arms) if narrow else 0
        return 4 * _TITLE + legend + _LATENCY + 3 * _PANEL + _AXIS

    def paint(canvas: Canvas) -> None:
        left, right = (40, canvas.width - 24) if canvas.narrow else (56, canvas.width - 150)
        panels = _panels(canvas, found, left, right, 18 * len(arms) if canvas.narrow else 0)
        axes, y = next(panels)
        canvas.write(0, y, texts.latency, size=SMALL, token="muted")
        _latency(canvas, axes, found, arms, names, looks, factor, (y, right))
        if found.warmup:
            at = axes.transData.transform((found.warmup[0][0], 0))[0] + 4
            canvas.write(at, y + 20 + 18 * len(arms) * canvas.narrow, texts.warmup, size=SMALL,
                         token="muted")  # fmt: skip
        axes, y = next(panels)
        canvas.write(0, y, texts.rate, size=SMALL, token="muted")
        _steps(axes, found.edges, found.answered)
        if offered:
            axes.stairs(
                found.offered, found.edges, baseline=None, color=colour("series-1"),
                linewidth=1.4, linestyle=(0, (5, 2)),
            )  # fmt: skip
            _from_zero(axes, np.concatenate([found.answered, found.offered]))
            if not canvas.narrow:
                canvas.write(right + 12, y + 24, texts.answered, size=SMALL)
                canvas.write(right + 12, y + 42, f"- - {texts.offered}", size=SMALL,
                             token="series-1")  # fmt: skip
        axes, y = next(panels)
        canvas.write(0, y, texts.in_flight, size=SMALL, token="muted")
        _steps(axes, found.edges, found.in_flight)
        axes, y = next(panels)
        canvas.write(0, y, texts.failed, size=SMALL, token="muted")
        _failures(axes, found)
        count = 4 if canvas.narrow else 8
        axes.xaxis.set_major_locator(MaxNLocator(count, steps=[1, 2, 5, 10]))
        canvas.title_axis(left, right, texts.axis)

    return drawn("over-time", label, height, paint)


def _panels(
    canvas: Canvas, found: Windows, left: float, right: float, legend: float
) -> Iterator[tuple[Axes, float]]:
    """Each panel's axes and the height at which its title stands."""
    top = 0.0
    for i, size in enumerate((_LATENCY, _PANEL, _PANEL, _PANEL)):
        start = top + _TITLE + (legend if i == 0 else 0)
        axes = canvas.axes(left, start, right, start + size)
        axes.set_xlim(0, found.edges[-1])
        axes.grid(axis="y", color=colour("line"), linewidth=1)
        axes.grid(visible=False, axis="x")
        axes.xaxis.set_major_locator(NullLocator())
        for low, high in found.warmup:
            axes.axvspan(low, high, color=colour("shade"), linewidth=0, zorder=0)
        if i:
            axes.axhline(0, color=colour("muted"), linewidth=1)
        yield axes, top + 12
        top = start + size


def _latency(
    canvas: Canvas,
    axes: Axes,
    found: Windows,
    arms: Sequence[str],
    names: Mapping[str, str],
    looks: Mapping[str, Look],
    factor: float,
    place: tuple[float, float],
) -> None:
    """p50 and p99 on a logarithmic scale, over the density of all trials."""
    y, right = place
    shift = np.log10(factor)
    shown = np.concatenate([side[arm] for side in (found.p50, found.p99) for arm in arms])
    shown = np.log10(shown[np.isfinite(shown)]) + shift
    low, high = float(shown.min()), float(shown.max())
    if found.density is not None:
        low, high = min(low, found.heights[0] + shift), max(high, found.heights[1] + shift)
        _density(axes, found.density, found.edges[-1], [h + shift for h in found.heights])
    middle, reach = (low + high) / 2, max((high - low) / 2 * 1.06, 0.022)
    axes.set_ylim(middle - reach, middle + reach)
    ticks = log_ticks(10 ** (middle - reach), 10 ** (middle + reach))
    axes.yaxis.set_major_locator(FixedLocator([float(np.log10(tick)) for tick in ticks]))
    axes.yaxis.set_ticklabels([f"{tick:g}" for tick in ticks])
    middles = (found.edges[1:] + found.edges[:-1]) / 2
    ends = []
    for i, arm in enumerate(arms):
        look = looks[arm]
        for side, text, thick in ((found.p99, "p99", 1.1), (found.p50, "p50", 2.0)):
            values = np.log10(side[arm]) + shift
            known = np.flatnonzero(np.isfinite(values))
            if not known.size:
                continue
            axes.plot(
                middles,
                values,
                color=look.colour,
                linewidth=thick,
                linestyle=look.dash,
                marker=look.marker if middles.size <= _MARKED else None,
                markersize=5 if text == "p50" else 3,
                markeredgewidth=0,
            )
            _, at = axes.transData.transform((0, values[known[-1]]))
            ends.append((canvas.height - float(at), f"{shorten(names[arm], 12)} {text}", look))
        if canvas.narrow:
            canvas.write(4, y + 20 + 18 * i, shorten(names[arm], 30), size=SMALL, token=look.token)
    if not canvas.narrow:
        for at, text, look in apart(ends, 16):
            canvas.write(right + 12, at, text, size=SMALL, token=look.token)


def _density(axes: Axes, cells: Floats, span: float, heights: Sequence[float]) -> None:
    """Grey by its alpha alone, so that it suits a light and a dark ground."""
    image = np.full((*cells.T.shape, 4), 0.5)
    image[..., 3] = 0.55 * np.sqrt(cells.T / cells.max())
    axes.imshow(
        image,
        extent=(0, span, heights[0], heights[1]),
        origin="lower",
        aspect="auto",
        interpolation="none",
    )


def _steps(axes: Axes, edges: Floats, values: Floats) -> None:
    """A line of steps from 0, with gaps where nothing is known."""
    axes.stairs(values, edges, baseline=0, fill=True, color=colour("muted"), alpha=0.25)
    axes.stairs(values, edges, baseline=None, color=colour("ink"), linewidth=1.3)
    _from_zero(axes, values)
    axes.yaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))


def _from_zero(axes: Axes, values: Floats) -> None:
    """Room for all values, and some above."""
    top = float(np.nanmax(values)) if np.isfinite(values).any() else 0.0
    axes.set_ylim(0, (top or 1.0) * 1.12)


def _failures(axes: Axes, found: Windows) -> None:
    """Bars from 0, one kind of failure upon the other."""
    base = np.zeros(found.edges.size - 1)
    for outcome in OUTCOMES:
        counts = found.failed.get(outcome)
        if counts is None or not counts.any():
            continue
        axes.bar(
            found.edges[:-1],
            counts,
            np.diff(found.edges),
            base,
            align="edge",
            facecolor=colour(f"outcome-{outcome}"),
            edgecolor=colour("ground"),
            hatch=HATCHES[outcome],
            linewidth=0.6,
        )
        base = base + counts
    axes.set_ylim(0, (float(base.max()) or 1.0) * 1.12)
    axes.yaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10], integer=True))
