"""The load figure: response time against the offered rate, and what was achieved beside it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from harness.report.figures.canvas import SMALL, Canvas, colour, drawn
from harness.report.figures.tail import log_ticks
from harness.report.markup import Html

_TOP, _PANEL, _AXIS, _SMALL = 44, 250, 52, 220  # pixels
_SIDES = (("p50", "series-0", "-", "o"), ("p95", "series-1", (0, (5, 2)), "s"))


@dataclass(frozen=True, slots=True)
class Texts:
    """Titles of the axes, and what is written at the lines."""

    latency: str
    offered: str
    achieved: str
    target: str
    knee: str


def load_curve_figure(
    steps: Sequence[Mapping[str, Any]],
    texts: Texts,
    label: str,
    *,
    factor: float,
    target: float | None,
    knee: float | None,
) -> Html | None:
    """``steps`` as ``capacity.json`` has them; ``factor``: seconds to the unit of the axis.
    ``target``: seconds that p95 is to stay below; ``knee``: its offered rate, only where shown.
    A quantile without an interval is not drawn; None where there is no other.
    """
    known = sorted(
        (step for step in steps if any(step[f"{name}_ci"] for name, *_ in _SIDES)),
        key=lambda step: step["offered"],
    )
    if not known:
        return None

    def height(narrow: bool) -> float:
        return _TOP + _PANEL + _AXIS + (_TOP + _SMALL + _AXIS if narrow else 0)

    def paint(canvas: Canvas) -> None:
        if canvas.narrow:
            frames = [(48.0, canvas.width - 14), (48.0, canvas.width - 14)]
            tops = [_TOP, 2 * _TOP + _PANEL + _AXIS]
            sizes = [_PANEL, _SMALL]
        else:
            frames = [(56.0, 520.0), (620.0, canvas.width - 8)]
            tops, sizes = [_TOP, _TOP], [_PANEL, _PANEL]
        for i, draw in enumerate((_latency, _achieved)):
            left, right = frames[i]
            top, bottom = tops[i], tops[i] + sizes[i]
            axes = canvas.axes(left, top, right, bottom)
            axes.grid(axis="y", color=colour("line"), linewidth=1)
            canvas.write(
                left - 44, top - 34, (texts.latency, texts.achieved)[i], size=SMALL, token="muted"
            )
            canvas.write(
                (left + right) / 2, bottom + 36, texts.offered, size=SMALL, token="muted",
                align="center",
            )  # fmt: skip
            draw(canvas, axes, known, texts, (left, top, right), factor, target, knee)

    return drawn("load-curve", label, height, paint)


def _latency(
    canvas: Canvas,
    axes: Axes,
    steps: Sequence[Mapping[str, Any]],
    texts: Texts,
    place: tuple[float, float, float],
    factor: float,
    target: float | None,
    knee: float | None,
) -> None:
    """p50 and p95 of every step with their intervals; the target as a line."""
    left, top, _ = place
    rates = [step["offered"] for step in steps]
    values = [
        factor * value
        for step in steps
        for name, *_ in _SIDES
        if step[f"{name}_ci"] is not None
        for value in (step[name], *step[f"{name}_ci"])
    ]
    _log(axes, "x", rates, 4 if canvas.narrow else 6)
    _log(axes, "y", [*values, *([] if target is None else [factor * target])], 6)
    for i, (name, token, dash, marker) in enumerate(_SIDES):
        for step in steps:
            if step[f"{name}_ci"] is not None:
                ends = [factor * end for end in step[f"{name}_ci"]]
                axes.plot([step["offered"]] * 2, ends, color=colour(token), linewidth=1.6)
        axes.plot(
            rates,
            [math.nan if step[f"{name}_ci"] is None else factor * step[name] for step in steps],
            linestyle=dash,
            marker=marker,
            markersize=5,
            markeredgewidth=0,
            color=colour(token),
            linewidth=1.4,
        )
        canvas.write(left + 62 * i, top - 12, ("● ", "■ ")[i] + name, size=SMALL, token=token)
    if target is not None:
        axes.axhline(factor * target, color=colour("ink"), linewidth=1.2, linestyle=(0, (2, 2)))
        canvas.write(left + 124, top - 12, texts.target, size=SMALL)
    if knee is not None:
        axes.axvline(knee, color=colour("muted"), linewidth=1.2)
        at, _ = axes.transData.transform((knee, axes.get_ylim()[0]))
        canvas.write(float(at) - 6, top + 12, texts.knee, size=SMALL, token="muted", align="right")


def _achieved(
    canvas: Canvas,
    axes: Axes,
    steps: Sequence[Mapping[str, Any]],
    texts: Texts,
    place: tuple[float, float, float],
    factor: float,
    target: float | None,
    knee: float | None,
) -> None:
    """Sent per second against offered per second; on the diagonal all of the load was sent."""
    pairs = [(step["offered"], step["achieved"]) for step in steps]
    both = [value for pair in pairs for value in pair]
    _log(axes, "x", both, 3)
    _log(axes, "y", both, 5)
    axes.plot([min(both), max(both)], [min(both), max(both)], color=colour("muted"), linewidth=1)
    axes.plot(*zip(*pairs, strict=True), "o", color=colour("series-0"), markersize=5)


def _log(axes: Axes, side: str, values: Sequence[float], most: int) -> None:
    """A logarithmic axis with plain ticks at 1, 2 and 5."""
    low, high = min(values), max(values)
    middle = (low * high) ** 0.5
    limits = (min(low, middle / 1.05) / 1.12, max(high, middle * 1.05) * 1.12)
    ticks = log_ticks(*limits)
    ticks = ticks[:: -(-len(ticks) // most)]
    axis = axes.xaxis if side == "x" else axes.yaxis
    (axes.set_xscale if side == "x" else axes.set_yscale)("log")
    (axes.set_xlim if side == "x" else axes.set_ylim)(*limits)
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_ticklabels([f"{tick:g}" for tick in ticks])
