"""The timeline figure: one block, arm by arm, with every trial in the lane that it took."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from harness.records import TrialRecord
from harness.report.figures.canvas import SMALL, Canvas, Look, colour, drawn, shorten
from harness.report.markup import Html

_LANE, _GAP, _AXIS, _HEAD = 13, 16, 50, 22  # pixels
MOST_LANES, MOST_BARS = 24, 240  # drawn for an arm


@dataclass(frozen=True, slots=True)
class Bar:
    """One trial, in seconds since its arm began the block: it ran from ``start`` to ``end`` and
    its caller had it at ``back`` (later where a batch held it back).
    """

    trial: TrialRecord
    lane: int
    start: float
    end: float
    back: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """One arm's bars of the block, as many lanes as were busy at once, and its barriers."""

    bars: Sequence[Bar]
    lanes: int
    barriers: Sequence[float]

    @property
    def length(self) -> float:
        return max((bar.back for bar in self.bars), default=0.0)


def representative_block(records: Sequence[TrialRecord], arms: Sequence[str]) -> int | None:
    """The block whose baseline took the median time, of those that every arm answered whole;
    failing that, of those with any trial that came to an end. None without one.
    """
    lengths: dict[int, float] = {}
    whole: dict[int, bool] = {}
    groups: dict[int, list[TrialRecord]] = defaultdict(list)
    for record in records:
        if not record.warmup:
            groups[record.block].append(record)
    for block, trials in groups.items():
        ends = [t.done for t in trials if t.done is not None and t.pipeline == arms[0]]
        if not any(t.done is not None and t.sent is not None for t in trials):
            continue
        starts = [t.scheduled for t in trials if t.pipeline == arms[0]]
        lengths[block] = max(ends) - min(starts) if ends else 0.0
        whole[block] = {t.pipeline for t in trials} == set(arms) and all(t.answered for t in trials)
    good = [block for block in lengths if whole[block]] or list(lengths)
    good.sort(key=lambda block: (lengths[block], block))
    return good[len(good) // 2] if good else None


def stretches(
    records: Sequence[TrialRecord], block: int, arms: Sequence[str]
) -> dict[str, Stretch]:
    """Each arm's trials of a block, put into the lowest lane that was free."""
    found = {}
    for arm in arms:
        mine = [
            r
            for r in records
            if r.block == block and r.pipeline == arm and r.sent is not None and r.done is not None
        ]
        if mine:
            found[arm] = _stretch(sorted(mine, key=lambda r: (r.sent or 0.0, r.trial)))
    return found


def _stretch(trials: Sequence[TrialRecord]) -> Stretch:
    zero = min(trial.scheduled for trial in trials)
    free: list[float] = []
    bars = []
    held: dict[float, int] = defaultdict(int)
    for trial in trials:
        start, back = (trial.sent or 0.0) - zero, (trial.done or 0.0) - zero
        end = back if trial.own_done is None else min(back, trial.own_done - zero)
        lane = next((i for i, until in enumerate(free) if until <= start + 1e-9), len(free))
        free[lane : lane + 1] = [back]
        bars.append(Bar(trial, lane, start, end, back))
        held[round(back, 6)] += 1
    last = max(bar.back for bar in bars)
    barriers = sorted(back for back, count in held.items() if count > 1 and back < last)
    return Stretch(bars, len(free), barriers)


def timeline_figure(
    found: Mapping[str, Stretch],
    names: Mapping[str, str],
    looks: Mapping[str, Look],
    axis: str,
    label: str,
    lengths: Mapping[str, str],
) -> Html:
    """A panel per arm on one axis of seconds. ``lengths``: how long each arm took, as text."""
    lanes = {arm: min(stretch.lanes, MOST_LANES) for arm, stretch in found.items()}

    def height(narrow: bool) -> float:
        return sum(_LANE * n + _GAP + _HEAD for n in lanes.values()) + _AXIS

    def paint(canvas: Canvas) -> None:
        left, right = 12, canvas.width - (54 if canvas.narrow else 72)
        axes = canvas.axes(left, 0, right, canvas.height - _AXIS)
        axes.set_xlim(0, max(stretch.length for stretch in found.values()) * 1.005)
        axes.set_ylim(canvas.height - _AXIS, 0)
        axes.xaxis.set_major_locator(MaxNLocator(4 if canvas.narrow else 8, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(NullLocator())
        canvas.title_axis(left, right, axis)
        y = 0.0
        for arm, stretch in found.items():
            look = looks[arm]
            canvas.write(0, y + 13, shorten(names[arm], 30), bold=True)
            y += _HEAD
            bottom = y + _LANE * lanes[arm]
            for bar in stretch.bars[:MOST_BARS]:
                if bar.lane < lanes[arm]:
                    _bar(axes, bar, y + _LANE * bar.lane, look)
            for barrier in stretch.barriers:
                axes.plot([barrier] * 2, [y - 1, bottom], color=colour("ink"), linewidth=1.4)
            axes.plot([stretch.length] * 2, [y - 3, bottom + 2], color=look.colour, linewidth=1.4)
            at, _ = axes.transData.transform((stretch.length, 0))
            canvas.write(float(at) + 6, (y + bottom) / 2, lengths[arm], size=SMALL)
            y = bottom + _GAP

    return drawn("timeline", label, height, paint)


def _bar(axes: Axes, bar: Bar, y: float, look: Look) -> None:
    """The trial's own time solid, hatched if it is not right; the wait for its batch pale."""
    right = bar.trial.outcome == "ok"
    axes.barh(
        y + _LANE / 2,
        bar.end - bar.start,
        _LANE - 3,
        bar.start,
        color=look.colour,
        alpha=0.85 if right else 1,
        linewidth=0.8,
        edgecolor=colour("ground"),
        hatch=None if right else "//////",
    )
    if bar.back > bar.end:
        axes.barh(
            y + _LANE / 2,
            bar.back - bar.end,
            _LANE - 3,
            bar.end,
            color=look.colour,
            alpha=0.22,
            linewidth=0,
        )
