"""The effect figure: how much each candidate changes each metric, with its interval."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.ticker import FixedLocator, NullLocator

from harness.report.digits import MINUS
from harness.report.figures.canvas import SMALL, Canvas, Look, colour, drawn, shorten
from harness.report.markup import Html
from harness.report.table import Cell

_HEAD, _ROW, _AXIS = 38, 30, 56  # pixels
_FACTORS = (1.02, 1.05, 1.1, 1.25, 1.5, 2, 3, 5, 10, 30, 100, 1000)
_LEAST_REACH = math.log(1.1)  # the axis shows at least -9 % to +10 %


@dataclass(frozen=True, slots=True)
class Effect:
    """One metric: its title, which way is better in words, and a change per candidate."""

    title: str
    better: str
    changes: Mapping[str, Cell]


def effect_figure(
    effects: Sequence[Effect],
    names: Mapping[str, str],
    looks: Mapping[str, Look],
    axis: str,
    label: str,
    ident: str = "effect",
) -> Html | None:
    """A row per metric and candidate on one axis of ratios, symmetric about no change.

    ``names``: what each candidate is called. None when no change has an interval.
    """
    reach = max((_reach(cell) for e in effects for cell in e.changes.values()), default=0.0)
    if reach <= 0:
        return None
    reach = max(reach, _LEAST_REACH) * 1.06
    rows = sum(len(effect.changes) for effect in effects)

    def height(narrow: bool) -> float:
        return len(effects) * _HEAD + rows * (_ROW + 16 * narrow) + _AXIS

    def paint(canvas: Canvas) -> None:
        _paint(canvas, effects, names, looks, axis, reach)

    return drawn(ident, label, height, paint)


def _reach(cell: Cell) -> float:
    """How far a change and its interval lie from none, as a logarithm of a ratio; 0 without one."""
    figure = cell.figure
    if cell.text is None or figure is None or figure.value is None or figure.bounds is None:
        return 0.0
    return max(abs(_log(value)) for value in (figure.value, *figure.bounds))


def _log(percent: float) -> float:
    return math.log(max(1e-4, 1 + percent / 100))


def _paint(
    canvas: Canvas,
    effects: Sequence[Effect],
    names: Mapping[str, str],
    looks: Mapping[str, Look],
    axis: str,
    reach: float,
) -> None:
    left, right = (6, canvas.width - 6) if canvas.narrow else (178, canvas.width - 196)
    bottom = canvas.height - _AXIS
    axes = canvas.axes(left, 0, right, bottom)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(bottom, 0)
    ticks = ratio_ticks(reach, (right - left) / 2)
    axes.xaxis.set_major_locator(FixedLocator([at for at, _ in ticks]))
    axes.xaxis.set_ticklabels([text for _, text in ticks])
    axes.yaxis.set_major_locator(NullLocator())
    axes.axvline(0, color=colour("muted"), linewidth=1.2)
    canvas.title_axis(left, right, axis)
    y = 0.0
    step = _ROW + 16 * canvas.narrow
    for effect in effects:
        if y:
            axes.axhline(y + 2, color=colour("line"), linewidth=1)
        canvas.write(4 if canvas.narrow else 0, y + _HEAD / 2 + 2, effect.title, bold=True)
        canvas.write(
            canvas.width - 4 * canvas.narrow,
            y + _HEAD / 2 + 2,
            effect.better,
            size=SMALL,
            token="muted",
            align="right",
        )
        y += _HEAD
        for arm, cell in effect.changes.items():
            name, line = shorten(names[arm], 24), y + step / 2
            if canvas.narrow:
                canvas.write(4, y + 9, name, size=SMALL)
                _value(canvas, y + 9, cell)
                line = y + 30
            else:
                canvas.write(12, line, name)
                _value(canvas, line, cell)
            figure, look = cell.figure, looks[arm]
            if cell.text is not None and figure and figure.bounds and figure.value is not None:
                lo, hi = map(_log, figure.bounds)
                axes.plot(
                    [lo, hi],
                    [line, line],
                    color=look.colour,
                    linewidth=2.4,
                    solid_capstyle="butt",
                )
                for end in (lo, hi):
                    axes.plot([end, end], [line - 4, line + 4], color=look.colour, linewidth=1.6)
                axes.plot(
                    [_log(figure.value)],
                    [line],
                    look.marker,
                    color=look.colour,
                    markersize=9,
                    markeredgecolor=colour("ground"),
                    markeredgewidth=1.2,
                )
            y += step


def _value(canvas: Canvas, y: float, cell: Cell) -> None:
    """The change in figures, at the right edge."""
    if cell.text is None:
        text = f"— {cell.reason or ''}"
    else:
        text = f"{'~ ' if cell.unresolved else ''}{cell.text} % {cell.interval}"
    size = SMALL if canvas.narrow else 13.0
    canvas.write(canvas.width - 4 * canvas.narrow, y, shorten(text, 34), size=size, align="right")


def ratio_ticks(reach: float, half: float) -> list[tuple[float, str]]:
    """Ratios and their inverses, in percent, with room for their labels (``half``: pixels)."""
    found = [(0.0, "0")]
    last, room = 0.0, 46 / half * reach
    for factor in reversed([f for f in _FACTORS if math.log(f) <= reach * 0.97]):
        at = math.log(factor)
        if (not last or last - at >= room) and at >= room:
            last = at
            found.append((at, f"+{100 * (factor - 1):.0f}"))
            found.append((-at, f"{MINUS}{100 * (1 - 1 / factor):.0f}"))
    return sorted(found)
