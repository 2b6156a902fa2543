"""Figures for notebooks: matplotlib with Hangul, in the report's colours; values with intervals."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib import font_manager
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

COLOURS = ("#0072B2", "#C44E00", "#00876C", "#A23B82")
MARKERS = ("o", "s", "^", "D")
MUTED = "#5B6470"
Interval = tuple[float | None, float | None]


def set_up() -> None:
    """Prepare matplotlib for this process: fonts that have Hangul, colours, no frame."""
    families = ["DejaVu Sans"]
    found = importlib.util.find_spec("koreanize_matplotlib")
    if found is not None and found.origin is not None:
        for path in sorted((Path(found.origin).parent / "fonts").glob("NanumGothic*.ttf")):
            font_manager.fontManager.addfont(path)
        families.append("NanumGothic")
    plt.rcParams.update(
        {
            "font.family": families,
            "axes.prop_cycle": cycler(color=COLOURS),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlelocation": "left",
            "figure.figsize": (7.5, 3.6),
            "figure.dpi": 110,
            "figure.constrained_layout.use": True,
            "legend.frameon": False,
        }
    )


def trials(axes: Axes, samples: Mapping[str, ArrayLike]) -> None:
    """Every value of each sample as a dot in its row, the first on top; a bar at its median."""
    rng = np.random.default_rng(0)
    for row, sample in enumerate(samples.values()):
        values = np.asarray(sample, float)
        colour = COLOURS[row % len(COLOURS)]
        shift = rng.uniform(-0.25, 0.25, values.size)
        axes.plot(values, row + shift, MARKERS[row % 4], ms=4, alpha=0.55, mew=0, color=colour)
        if values.size:
            middle = float(np.median(values))
            axes.plot([middle, middle], [row - 0.38, row + 0.38], color="black", lw=2)
    _rows(axes, list(samples))


def intervals(
    axes: Axes, rows: Mapping[str, tuple[float, Interval]], looks: Sequence[int] | None = None
) -> None:
    """A dot and its interval in each row, the first on top; an open side is drawn as an arrow.

    ``looks``: the number of each row's look, for rows that belong together (None: all differ).
    """
    for row, (point, bounds) in enumerate(rows.values()):
        look = (row if looks is None else looks[row]) % len(COLOURS)
        colour = COLOURS[look]
        for bound, open_end in zip(bounds, ("<", ">"), strict=True):
            if bound is None:
                axes.plot(point, row, open_end, color=colour, ms=11, mfc="white")
            else:
                axes.plot([point, bound], [row, row], color=colour, lw=2)
        axes.plot(point, row, MARKERS[look], color=colour)
    _rows(axes, list(rows))


def curve(
    axes: Axes,
    x: Sequence[float],
    points: Sequence[float],
    bounds: Sequence[Interval | None],
    place: int,
    label: str,
) -> None:
    """Values with their intervals along x, in the look of number ``place``."""
    order = np.argsort(x)
    at, y = np.asarray(x, float)[order], np.asarray(points, float)[order]
    colour, marker = COLOURS[place % 4], MARKERS[place % 4]
    axes.plot(at, y, marker, ls="-" if place % 2 == 0 else "--", color=colour, label=label, ms=5)
    for position, interval in zip(x, bounds, strict=True):
        lo, hi = interval or (None, None)
        if lo is not None and hi is not None:
            axes.plot([position, position], [lo, hi], color=colour, lw=1.5, alpha=0.6)


def _rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
