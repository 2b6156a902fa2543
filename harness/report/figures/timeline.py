"""The timeline figure: one block, arm by arm, with every trial in the lane that it took."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from harness.records import TrialRecord
from harness.report.figures.canvas import SMALL, Canvas, Look, colour, drawn, shorten
from harness.report.markup import Html
from harness.trials import Ints, Records, Trials

_LANE, _GAP, _AXIS, _HEAD = 13, 16, 50, 22  # pixels
MOST_LANES, MOST_BARS = 24, 240  # drawn for an arm
_MOST_READ = 1000  # trials of an arm whose lanes are found


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
    """One arm's bars of the block, as many lanes as were busy at once, and its barriers.

    ``trials`` began and ended; of very many, only the first have bars. ``length``: seconds until
    the last of all was back.
    """

    bars: Sequence[Bar]
    lanes: int
    barriers: Sequence[float]
    trials: int
    length: float

    @property
    def drawn(self) -> Sequence[Bar]:
        """The first bars, as many as are drawn."""
        return [bar for bar in self.bars[:MOST_BARS] if bar.lane < MOST_LANES]

    @property
    def drawn_lanes(self) -> int:
        """The lanes that the drawn bars take."""
        return max((bar.lane + 1 for bar in self.drawn), default=0)

    @property
    def drawn_until(self) -> float:
        """Seconds until the figure ends: the last of all, or of those drawn if there are more."""
        if self.trials <= MOST_BARS:
            return self.length
        return max(bar.back for bar in self.drawn)


def representative_block(records: Records, arms: Sequence[str]) -> int | None:
    """The block whose baseline took the median time, of those that every arm answered whole;
    failing that, of those with any trial that came to an end. None without one.
    """
    trials = Trials.of(records)
    kept = ~trials.warmup
    blocks, place = trials.blocks[0], trials.blocks[1][kept]
    ended = ~np.isnan(trials.done[kept])
    mine = trials.pipeline.codes[kept] == trials.pipeline.code(arms[0])
    start, end = np.full(blocks.size, np.inf), np.full(blocks.size, -np.inf)
    np.minimum.at(start, place[mine], trials.scheduled[kept][mine])
    np.fmax.at(end, place[mine], trials.done[kept][mine])
    length = np.where(np.isfinite(end), end - start, 0.0)
    shown = np.bincount(place[ended & ~np.isnan(trials.sent[kept])], minlength=blocks.size) > 0
    each = len(trials.pipeline.names)
    counts = np.bincount(place * each + trials.pipeline.codes[kept], minlength=blocks.size * each)
    present = (counts.reshape(blocks.size, each) > 0).sum(axis=1)
    lost = np.bincount(place[~trials.answered[kept]], minlength=blocks.size)
    whole = shown & (present == len(arms)) & (lost == 0)
    good = np.flatnonzero(whole if whole.any() else shown)
    if not good.size:
        return None
    order = np.lexsort((blocks[good], length[good]))
    return int(blocks[good[order[good.size // 2]]])


def stretches(records: Records, block: int, arms: Sequence[str]) -> dict[str, Stretch]:
    """Each arm's trials of a block, put into the lowest lane that was free."""
    trials = Trials.of(records)
    known = (trials.block == block) & ~np.isnan(trials.sent) & ~np.isnan(trials.done)
    found = {}
    for arm in arms:
        mine = np.flatnonzero(known & (trials.pipeline.codes == trials.pipeline.code(arm)))
        if mine.size:
            found[arm] = _stretch(trials, mine[np.argsort(trials.sent[mine], kind="stable")])
    return found


def _stretch(trials: Trials, rows: Ints) -> Stretch:
    zero = float(trials.scheduled[rows].min())
    length = float(trials.done[rows].max()) - zero
    free: list[float] = []
    bars = []
    held: dict[float, int] = defaultdict(int)
    for trial in map(trials.record, rows[:_MOST_READ].tolist()):
        start, back = (trial.sent or 0.0) - zero, (trial.done or 0.0) - zero
        end = back if trial.own_done is None else min(back, trial.own_done - zero)
        lane = next((i for i, until in enumerate(free) if until <= start + 1e-9), len(free))
        free[lane : lane + 1] = [back]
        bars.append(Bar(trial, lane, start, end, back))
        held[round(back, 6)] += 1
    barriers = sorted(back for back, count in held.items() if count > 1 and back < length)
    return Stretch(bars, len(free), barriers, rows.size, length)


def timeline_figure(
    found: Mapping[str, Stretch],
    names: Mapping[str, str],
    looks: Mapping[str, Look],
    axis: str,
    label: str,
    lengths: Mapping[str, str],
) -> Html:
    """A panel per arm on one axis of seconds. ``lengths``: how long each arm took, as text."""
    lanes = {arm: stretch.drawn_lanes for arm, stretch in found.items()}

    def height(narrow: bool) -> float:
        return sum(_LANE * n + _GAP + _HEAD for n in lanes.values()) + _AXIS

    def paint(canvas: Canvas) -> None:
        left, right = 12, canvas.width - (54 if canvas.narrow else 72)
        axes = canvas.axes(left, 0, right, canvas.height - _AXIS)
        until = max(stretch.drawn_until for stretch in found.values())
        axes.set_xlim(0, until * 1.005)
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
            for bar in stretch.drawn:
                _bar(axes, bar, y + _LANE * bar.lane, look)
            for barrier in stretch.barriers:
                if barrier <= until:
                    axes.plot([barrier] * 2, [y - 1, bottom], color=colour("ink"), linewidth=1.4)
            end = stretch.length
            if end <= until:
                axes.plot([end] * 2, [y - 3, bottom + 2], color=look.colour, linewidth=1.4)
                at, _ = axes.transData.transform((end, 0))
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
