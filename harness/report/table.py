"""The comparison of a summary as rows of metrics and columns of arms, for any renderer.

Nothing is computed here: figures of ``summary.json`` are put into a unit and a number of digits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.records import OUTCOMES
from harness.report import digits
from harness.report.words import Words

BLOCK_METRICS = ("makespan_s", "throughput_per_s", "goodput_per_s")
TIME_METRICS = ("response_time_s", "ttft_s", "service_time_s")
CHANGES = {
    "response_time_s": {"change_mean": "response_time_mean", "change_gm": "response_time_gm"},
    "makespan_s": {"change": "makespan"},
    "throughput_per_s": {"change": "throughput"},
    "goodput_per_s": {"change": "goodput"},
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure. ``text`` None: it cannot be given, ``reason`` says why; a reason beside a text
    says why there is no interval. ``unresolved``: the interval of a change includes 0.
    ``pointer`` is the JSON pointer of ``value`` in ``summary.json``.
    """

    text: str | None
    interval: str | None = None
    reason: str | None = None
    unresolved: bool = False
    pointer: str | None = None
    value: float | None = None


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


def comparison(summary: Mapping[str, Any], words: Words) -> list[Group]:
    """All groups, the most important first; groups that no arm has are left out."""
    arms: Mapping[str, Any] = summary["pipelines"]
    groups = [
        _times(summary, "response_time_s", words),
        *(_blocks(summary, name, words) for name in BLOCK_METRICS[:2]),
        _success(arms, words),
        _outcomes(arms, words),
        _times(summary, "ttft_s", words),
        _resources(arms, words),
        _blocks(summary, "goodput_per_s", words),
        _times(summary, "service_time_s", words),
        _tokens(arms, words),
    ]
    return [group for group in groups if group.rows]


def change_of(
    summary: Mapping[str, Any], candidate: str, estimand: str
) -> tuple[int, Mapping[str, Any]] | None:
    """The place and the row of a comparison; None when the summary has none."""
    for i, row in enumerate(summary["comparisons"]):
        if row["candidate"] == candidate and row["estimand"] == estimand:
            return i, row
    return None


def change_bounds(row: Mapping[str, Any]) -> tuple[float, float] | None:
    """The interval of a comparison in percent; None without one."""
    ci = row["ci95"]
    if ci is None or ci[0] is None or ci[1] is None:
        return None
    return 100 * (ci[0] - 1), 100 * (ci[1] - 1)


def change_cell(at: int, row: Mapping[str, Any], decimals: int, words: Words) -> Cell:
    """A change in percent, shown only with its interval."""
    bounds, value = change_bounds(row), row["change_percent"]
    pointer = f"/comparisons/{at}/change_percent"
    reason = "; ".join(map(words.reason, row["warnings"])) or None
    if value is None or bounds is None:
        return Cell(None, None, reason or words("reason.no_pairs"), pointer=pointer, value=value)
    return Cell(
        digits.number(value, decimals, sign=True),
        digits.interval(*bounds, decimals, sign=True),
        reason,
        bounds[0] <= 0 <= bounds[1],
        pointer,
        value,
    )


def change_row(
    summary: Mapping[str, Any], estimand: str, label: str, words: Words
) -> Row | None:
    """The changes of all candidates in one estimand, to the same decimal place."""
    found = {
        arm: hit
        for arm in summary["pipelines"]
        if (hit := change_of(summary, arm, estimand)) is not None
    }
    if not found:
        return None
    rows = [row for _, row in found.values()]
    bounds = [b for row in rows if (b := change_bounds(row)) is not None]
    places = digits.row_places([row["change_percent"] or 0.0 for row in rows], bounds)
    cells = {arm: change_cell(at, row, places, words) for arm, (at, row) in found.items()}
    return Row(label, "%", cells)


def _changes(summary: Mapping[str, Any], metric: str, words: Words) -> list[Row]:
    wanted = CHANGES.get(metric, {})
    found = (
        change_row(summary, estimand, words(f"row.{label}"), words)
        for label, estimand in wanted.items()
    )
    return [row for row in found if row is not None]


def _times(summary: Mapping[str, Any], metric: str, words: Words) -> Group:
    """Mean and quantiles of a latency; a quantile is shown only with its interval."""
    arms: Mapping[str, Any] = summary["pipelines"]
    found = {arm: figures[metric] for arm, figures in arms.items()}
    title, detail = words(f"group.{metric}"), metric == "service_time_s"
    measured = [times for times in found.values() if times]
    if not measured and metric != "response_time_s":
        return Group(metric, title, (), detail)
    factor, unit = digits.time_unit(times["p95"] for times in measured)
    missing = words("reason.not_streamed" if metric == "ttft_s" else "reason.nothing_answered")

    def row(name: str) -> Row:
        shown = [times for times in measured if _pair(times["ci95"].get(name))]
        intervals = [_scaled(_pair(times["ci95"].get(name)), factor) for times in shown]
        places = digits.row_places((factor * times[name] for times in measured), intervals)
        cells = {
            arm: _time_cell(f"/pipelines/{_escape(arm)}/{metric}/{name}", times, name, factor,
                            places, missing, words)
            for arm, times in found.items()
        }
        return Row(words(f"row.{name}"), words(f"unit.{unit}"), cells)

    rows = [row("mean"), *_changes(summary, metric, words)]
    rows += [row(name) for name in ("p50", "p95", "p99")]
    return Group(metric, title, rows, detail, timed=True)


def _time_cell(
    pointer: str,
    times: Mapping[str, Any] | None,
    name: str,
    factor: float,
    places: int,
    missing: str,
    words: Words,
) -> Cell:
    if not times:
        return Cell(None, reason=missing)
    pair, value = _pair(times["ci95"].get(name)), times[name]
    warning = times.get("warnings", {}).get(name)
    reason = words.reason(warning) if warning else None
    if pair is None and name != "mean":
        return Cell(None, None, reason or words("reason.no_interval"), False, pointer, value)
    shown = None if pair is None else digits.interval(*_scaled(pair, factor), places)
    return Cell(digits.number(factor * value, places), shown, reason, False, pointer, value)


def _blocks(summary: Mapping[str, Any], metric: str, words: Words) -> Group:
    """A mean over blocks. Goodput without a target says no more than throughput and success."""
    arms: Mapping[str, Any] = summary["pipelines"]
    found = {arm: figures[metric] for arm, figures in arms.items()}
    measured = [figures for figures in found.values() if figures]
    title, timed = words(f"group.{metric}"), metric == "makespan_s"
    detail = metric == "goodput_per_s" and summary["run"]["config"].get("target") is None
    factor, unit = 1.0, "per_s"
    if timed:
        factor, unit = digits.time_unit(figures["mean"] for figures in measured)
    intervals = [_scaled(p, factor) for figures in measured if (p := _pair(figures["ci95"]))]
    places = digits.row_places((factor * figures["mean"] for figures in measured), intervals)
    cells = {}
    for arm, figures in found.items():
        if not figures:
            cells[arm] = Cell(None, reason=words("reason.no_whole_block"))
            continue
        pair = _pair(figures["ci95"])
        cells[arm] = Cell(
            digits.number(factor * figures["mean"], places),
            None if pair is None else digits.interval(*_scaled(pair, factor), places),
            f"n = {figures['n']} < 2" if pair is None else None,
            pointer=f"/pipelines/{_escape(arm)}/{metric}/mean",
            value=figures["mean"],
        )
    mean = Row(words("row.mean"), words(f"unit.{unit}"), cells)
    return Group(metric, title, [mean, *_changes(summary, metric, words)], detail, timed=True)


def _success(arms: Mapping[str, Any], words: Words) -> Group:
    cells = {}
    for arm, figures in arms.items():
        right = figures["success"]
        pair, pointer = _pair(right["ci95"]), f"/pipelines/{_escape(arm)}/success/k"
        if not right["n"]:
            cells[arm] = Cell(None, reason=words("reason.no_trials"))
            continue
        shown = None if pair is None else digits.interval(*_scaled(pair, 100), 1)
        rate = digits.number(100 * right["rate"], 1)
        cells[arm] = Cell(
            f"{right['k']}/{right['n']}",
            shown and f"{rate} % {shown}",
            pointer=pointer,
            value=right["k"],
        )
    return Group("success", words("group.success"), [Row(words("row.success"), "", cells)])


def _counts(
    arms: Mapping[str, Any], label: str, path: str, read: Callable[[Any], Any], missing: str
) -> Row:
    """A row of whole numbers; ``path`` is where they stand within an arm's figures."""
    cells = {
        arm: Cell(None, reason=missing)
        if (value := read(figures)) is None
        else Cell(f"{value}", pointer=f"/pipelines/{_escape(arm)}/{path}", value=value)
        for arm, figures in arms.items()
    }
    return Row(label, "", cells)


def _outcomes(arms: Mapping[str, Any], words: Words) -> Group:
    """How trials ended; cancelled and dropped ones only where there are any."""
    rows = [
        _counts(
            arms,
            words(f"outcome.{name}"),
            f"outcomes/{name}",
            lambda figures, name=name: figures["outcomes"][name],
            words("reason.no_trials"),
        )
        for name in OUTCOMES
        if name not in ("cancelled", "dropped")
        or any(figures["outcomes"][name] for figures in arms.values())
    ]
    return Group("outcomes", words("group.outcomes"), rows)


def _resources(arms: Mapping[str, Any], words: Words) -> Group:
    used = {arm: figures["resources"] for arm, figures in arms.items()}
    missing = words("reason.not_known")
    times = [found["cpu_s_per_trial"] for found in used.values()]
    factor, unit = digits.time_unit(time for time in times if time is not None)

    def measured(label: str, name: str, unit: str, factor: float) -> Row:
        values = [found[name] for found in used.values() if found[name] is not None]
        places = digits.row_places((factor * value for value in values), ())
        cells = {
            arm: Cell(None, reason=missing)
            if found[name] is None
            else Cell(
                digits.number(factor * found[name], places),
                pointer=f"/pipelines/{_escape(arm)}/resources/{name}",
                value=found[name],
            )
            for arm, found in used.items()
        }
        return Row(words(label), unit, cells)

    rows = [
        measured("row.cpu", "cpu_s_per_trial", words(f"unit.{unit}"), factor),
        measured("row.memory", "peak_rss_mb", words("unit.mb"), 1.0),
    ]
    rows += [
        _counts(
            arms,
            words(f"row.{name}"),
            f"resources/peak_{name}",
            lambda figures, name=name: figures["resources"][f"peak_{name}"],
            missing,
        )
        for name in ("threads", "sockets")
    ]
    return Group("resources", words("group.resources"), rows)


def _tokens(arms: Mapping[str, Any], words: Words) -> Group:
    rows = [
        _counts(
            arms,
            words(f"row.{name}"),
            f"tokens/{name}",
            lambda figures, name=name: (figures["tokens"] or {}).get(name),
            words("reason.not_counted"),
        )
        for name in ("prompt", "completion", "cached")
    ]
    rows.append(_counts(arms, words("row.attempts"), "attempts", lambda f: f["attempts"], ""))
    return Group("tokens", words("group.tokens"), rows, detail=True)


def _pair(ci: Sequence[float | None] | None) -> tuple[float, float] | None:
    """Both bounds of an interval, or None when it lacks one."""
    if ci is None or ci[0] is None or ci[1] is None:
        return None
    return ci[0], ci[1]


def _scaled(pair: tuple[float, float] | None, factor: float) -> tuple[float, float]:
    assert pair is not None
    return factor * pair[0], factor * pair[1]


def _escape(name: str) -> str:
    """A name as a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")
