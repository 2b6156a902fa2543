"""Which checks failed how often: a row per check, a column of bars per arm, all from 0."""

from collections.abc import Mapping, Sequence

from matplotlib.ticker import NullLocator

from harness.report.figures.canvas import SMALL, Canvas, Look, colour, drawn, shorten
from harness.report.markup import Html

_ROW, _HEAD = 26, 30  # pixels
MOST_ROWS = 15


def checks_figure(
    counts: Mapping[str, Mapping[str, int]],
    arms: Sequence[str],
    names: Mapping[str, str],
    looks: Mapping[str, Look],
    label: str,
) -> Html | None:
    """``counts``: check → arm → failures, the most frequent first. None without a failure."""
    rows = dict(list(counts.items())[:MOST_ROWS])
    most = max((n for found in rows.values() for n in found.values()), default=0)
    if not most:
        return None

    def height(narrow: bool) -> float:
        return (
            _HEAD * (len(arms) if narrow else 1) * (0.72 if narrow else 1)
            + 12
            + len(rows) * (_ROW + 16 * narrow)
        )

    def paint(canvas: Canvas) -> None:
        left = 4.0 if canvas.narrow else 232.0
        head = _HEAD * len(arms) * 0.72 if canvas.narrow else _HEAD
        step = (canvas.width - left) / len(arms)
        axes = canvas.axes(left, 0, canvas.width, canvas.height)
        axes.set_xlim(left, canvas.width)
        axes.set_ylim(canvas.height, 0)
        axes.grid(visible=False)
        axes.xaxis.set_major_locator(NullLocator())
        axes.yaxis.set_major_locator(NullLocator())
        scale = (step - 34) / most
        for i, arm in enumerate(arms):
            x = left + i * step
            if canvas.narrow:
                text = f"{i + 1}  {shorten(names[arm], 30)}"
                canvas.write(4, 10 + i * _HEAD * 0.72, text, size=SMALL, token=looks[arm].token)
            else:
                canvas.write(x, 14, shorten(names[arm], int(step / 8)), size=SMALL, bold=True)
        y = head + 4.0
        for check, found in rows.items():
            line = y + _ROW / 2 + 16 * canvas.narrow
            canvas.write(
                left if canvas.narrow else 0,
                y + (10 if canvas.narrow else _ROW / 2),
                shorten(check, 44 if canvas.narrow else 30),
                size=SMALL,
            )
            for i, arm in enumerate(arms):
                x, count = left + i * step, found.get(arm, 0)
                axes.plot([x, x], [line - 9, line + 9], color=colour("muted"), linewidth=1)
                axes.barh(line, count * scale, 12, x, color=looks[arm].colour, alpha=0.85)
                canvas.write(
                    x + count * scale + 6,
                    line,
                    f"{count}",
                    size=SMALL,
                    token="ink" if count else "muted",
                )
            y += _ROW + 16 * canvas.narrow

    return drawn("checks", label, height, paint)
