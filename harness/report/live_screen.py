"""A tally as people see it: the dashboard of a terminal, and the one line where there is none."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.plain import plain
from harness.report import digits
from harness.report.live_tally import ArmTally, Histogram, Tally
from harness.report.words import LANGS, Lang, Words

if TYPE_CHECKING:
    from rich.console import RenderableType

MAX_COLUMNS = 100
NONE = "–"
TEXTS = {
    "done": ("{done:,} trials", "시행 {done:,}건"),
    "of": ("{done:,} of {total:,} trials", "시행 {total:,}건 중 {done:,}건"),
    "load_done": ("{done:,} requests", "요청 {done:,}건"),
    "load_of": ("{done:,} of {total:,} requests", "요청 {total:,}건 중 {done:,}건"),
    "elapsed": ("{time} elapsed", "{time} 경과"),
    "left": ("about {time} left", "약 {time} 남음"),
    "rate": ("{rate}/s", "초당 {rate}건"),
    "in_flight": ("in flight {n}", "진행 중 {n}건"),
    "at_most": ("in flight ≤ {n}", "진행 중 최대 {n}건"),
    "running": ("now {arm}", "현재 {arm}"),
    "warmup": ("warming up", "예열 중"),
    "client": (
        "client: loop lag p99 {lag}, CPU {cpu}",
        "클라이언트: 루프 지연 p99 {lag}, CPU {cpu}",
    ),
    "answered": ("answered", "응답"),
    "of_core": ("{share:.0%} of one core", "코어 1개의 {share:.0%}"),
}
"""Key → its English and its Korean text."""

QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


@dataclass(frozen=True, slots=True)
class View:
    """What does not change during a run; ``load``: its trials are plain requests."""

    title: str
    load: bool
    lang: Lang

    def say(self, key: str, **values: object) -> str:
        """The text of ``key`` in the view's language."""
        return TEXTS[key][LANGS.index(self.lang)].format(**values)


def dashboard(view: View, tally: Tally, now: float, cpu_share: float | None) -> "RenderableType":
    """All of a tally, at most 100 columns wide. ``cpu_share``: of one core (None: not known)."""
    from rich.console import Group
    from rich.constrain import Constrain
    from rich.text import Text

    lines: list[RenderableType] = [
        Text(plain(view.title), style="bold", overflow="ellipsis", no_wrap=True)
    ]
    lines += [_progress_bar(view, tally, now), Text("  ".join(_pace(view, tally)))]
    if tally.arms:
        lines.append(_arms(view, tally))
    lines.append(Text(_client(view, tally, cpu_share)))
    return Constrain(Group(*lines), MAX_COLUMNS)


def line(view: View, tally: Tally, now: float) -> str:
    """A tally in one line; times are those of the arm that is running, or the only one."""
    parts = [*_progress(view, tally, now), *_pace(view, tally)]
    for arm in tally.arms:
        if arm == (tally.now_running or arm):
            times = tally.arms[arm].times
            parts += [f"{name} {_time(times, p)}" for name, p in QUANTILES[:2]]
    for name in _outcomes(tally):
        n = sum(each.outcomes[name] for each in tally.arms.values())
        parts.append(f"{_column(view, name)} {n:,}")
    return ", ".join(parts)


def _progress_bar(view: View, tally: Tally, now: float) -> "RenderableType":
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    said = Text("  ".join(_progress(view, tally, now)))
    share = tally.share(now)
    if share is None:
        return said
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_row(ProgressBar(total=1.0, completed=share, width=30), said)
    return grid


def _progress(view: View, tally: Tally, now: float) -> Iterator[str]:
    key = "done" if tally.total is None else "of"
    yield view.say(f"load_{key}" if view.load else key, done=tally.done, total=tally.total)
    yield view.say("elapsed", time=_clock(tally.elapsed(now)))
    left = tally.left(now)
    if left is not None:
        yield view.say("left", time=_clock(left))


def _pace(view: View, tally: Tally) -> Iterator[str]:
    if tally.rate is not None:
        yield view.say("rate", rate=digits.significant(tally.rate, 3))
    if tally.in_flight is not None:
        yield view.say("at_most" if tally.at_most else "in_flight", n=tally.in_flight)
    if tally.now_running is not None:
        yield view.say("running", arm=plain(tally.now_running))
        if not tally.arms:
            yield view.say("warmup")


def _arms(view: View, tally: Tally) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    words = Words(view.lang)
    names = _outcomes(tally)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("" if view.load else words("table.pipeline"), no_wrap=True)
    for heading in (*(name for name, _ in QUANTILES), *(_column(view, name) for name in names)):
        table.add_column(heading, justify="right", no_wrap=True)
    for arm, mine in tally.arms.items():
        times = (_time(mine.times, p) for _, p in QUANTILES)
        name = words("group.response_time_s") if view.load else plain(arm)
        table.add_row(*map(Text, (name, *times, *_counts(mine, names))))
    return table


def _counts(arm: ArmTally, names: list[str]) -> Iterator[str]:
    all_of_them = sum(arm.outcomes.values())
    for name in names:
        n = arm.outcomes[name]
        yield f"{n:,} ({n / all_of_them:.0%})" if n and n < all_of_them else f"{n:,}"


def _outcomes(tally: Tally) -> list[str]:
    """Every outcome that has been seen, the good ones first."""
    from harness.records import OUTCOMES

    seen = {name for arm in tally.arms.values() for name, n in arm.outcomes.items() if n}
    return [name for name in ("answered", *OUTCOMES) if name in seen]


def _column(view: View, name: str) -> str:
    return view.say(name) if name in TEXTS else Words(view.lang)(f"outcome.{name}")


def _client(view: View, tally: Tally, cpu_share: float | None) -> str:
    cpu = NONE if cpu_share is None else view.say("of_core", share=cpu_share)
    return view.say("client", lag=_time(tally.lag, 0.99), cpu=cpu)


def _time(times: Histogram, p: float) -> str:
    """A quantile with its unit, or a dash where there are too few values for it."""
    value = times.quantile(p)
    if value is None:
        return NONE
    factor, unit = digits.time_unit([value])
    return f"{digits.significant(factor * value, 3)} {unit}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
