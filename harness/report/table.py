"""What a table of figures is made of, and how figures of one row become text alike.

Nothing is computed here: figures of ``summary.json`` are put into a unit and a number of digits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.report import digits

Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of ``summary.json`` in its own unit, its interval, and where it stands there.

    ``value`` None: not known. ``reason``: what is to be said of it, above all why the value or
    the interval is missing. ``pointer`` is a JSON pointer.
    """

    value: float | None
    pointer: str
    bounds: Bounds | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure as text. ``text`` None: it cannot be given, and ``reason`` says why; a reason
    beside a text says why there is no interval. ``unresolved``: a change whose interval includes 0.
    """

    text: str | None
    interval: str | None = None
    reason: str | None = None
    unresolved: bool = False
    figure: Figure | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One metric. An arm without a cell has nothing to say in it (the baseline of a change)."""

    label: str
    unit: str
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one subject. ``detail``: left out where space is short. ``timed``: shows times."""

    key: str
    title: str
    rows: Sequence[Row]
    detail: bool = False
    timed: bool = False


def measured(
    label: str, unit: str, figures: Mapping[str, Figure], factor: float = 1.0, *, strict: bool
) -> Row:
    """A row of measurements, shown as ``factor`` times themselves to one decimal place.

    ``strict``: a value without an interval is not shown (a quantile that n cannot support).
    """
    values = [factor * f.value for f in figures.values() if f.value is not None]
    bounds = [scaled(f.bounds, factor) for f in figures.values() if f.bounds is not None]
    places = digits.row_places(values, bounds)

    def cell(figure: Figure) -> Cell:
        if figure.value is None or (strict and figure.bounds is None):
            return Cell(None, None, figure.reason, figure=figure)
        shown = figure.bounds and digits.interval(*scaled(figure.bounds, factor), places)
        text = digits.number(factor * figure.value, places)
        return Cell(text, shown, figure.reason, figure=figure)

    return Row(label, unit, {arm: cell(figure) for arm, figure in figures.items()})


def counted(label: str, figures: Mapping[str, Figure]) -> Row:
    """A row of whole numbers."""
    cells = {
        arm: Cell(None if f.value is None else f"{f.value:d}", None, f.reason, figure=f)
        for arm, f in figures.items()
    }
    return Row(label, "", cells)


def changed(label: str, figures: Mapping[str, Figure]) -> Row:
    """A row of changes in percent."""
    return Row(label, "%", {arm: change(figure) for arm, figure in figures.items()})


def change(figure: Figure) -> Cell:
    """One change in percent, shown only with its interval and in the digits that it supports."""
    if figure.value is None or figure.bounds is None:
        return Cell(None, None, figure.reason, figure=figure)
    lo, hi = figure.bounds
    places = digits.row_places((), [figure.bounds])
    text = digits.number(figure.value, places, sign=True)
    shown = digits.interval(lo, hi, places, sign=True)
    return Cell(text, shown, figure.reason, lo <= 0 <= hi, figure)


def plain(value: float | None, at: str, missing: str) -> Figure:
    """A figure that has no interval; ``missing`` says why it may be absent."""
    return Figure(value, at, reason=missing if value is None else None)


def bounds(ci: Sequence[float | None] | None) -> Bounds | None:
    """Both bounds of an interval in ``summary.json``, or None when it lacks one."""
    if ci is None or ci[0] is None or ci[1] is None:
        return None
    return ci[0], ci[1]


def scaled(pair: Bounds, factor: float) -> Bounds:
    return factor * pair[0], factor * pair[1]


def pointer(*parts: str | int) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
