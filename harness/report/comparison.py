"""The comparison table of a summary: rows of metrics, columns of arms, for any renderer."""

from collections.abc import Mapping
from typing import Any

from harness.records import OUTCOMES
from harness.report import digits
from harness.report.table import (
    Cell,
    Figure,
    Group,
    Row,
    bounds,
    changed,
    counted,
    measured,
    plain,
    pointer,
)
from harness.report.words import Words

Summary = Mapping[str, Any]

CHANGES: dict[str, dict[str, str]] = {  # metric → label of the row → estimand
    "response_time_s": {"change_gm": "response_time_gm", "change_mean": "response_time_mean"},
    "makespan_s": {"change": "makespan"},
    "throughput_per_s": {"change": "throughput"},
    "goodput_per_s": {"change": "goodput"},
}


def comparison(summary: Summary, words: Words) -> list[Group]:
    """All groups, the most important first; those that no arm has figures for are left out."""
    groups = [
        _times(summary, "response_time_s", words),
        *([] if of_routes(summary) else [_blocks(summary, "makespan_s", words)]),
        _blocks(summary, "throughput_per_s", words),
        _success(summary, words),
        _outcomes(summary, words),
        _times(summary, "ttft_s", words),
        _resources(summary, words),
        _blocks(summary, "goodput_per_s", words),
        _times(summary, "service_time_s", words),
        _tokens(summary, words),
    ]
    return [group for group in groups if group.rows]


def of_routes(summary: Summary) -> bool:
    """Whether the arms are routes that Locust's users asked at the same time."""
    kind: str = summary["run"]["kind"]
    return kind == "locust"


def candidates(summary: Summary) -> list[str]:
    """All arms but the baseline; none of routes, which are not compared."""
    if of_routes(summary):
        return []
    return [arm for arm in summary["pipelines"] if arm != summary["run"]["baseline"]]


def change_figure(summary: Summary, candidate: str, estimand: str, words: Words) -> Figure:
    """A comparison as a change in percent."""
    for i, row in enumerate(summary["comparisons"]):
        if (row["candidate"], row["estimand"]) == (candidate, estimand):
            pair = bounds(row["ci95"])
            percent = pair and (100 * (pair[0] - 1), 100 * (pair[1] - 1))
            reason = "; ".join(words.reason(text, blocks=True) for text in row["warnings"])
            return Figure(
                row["change_percent"],
                pointer("comparisons", i, "change_percent"),
                percent,
                reason or (words("reason.no_pairs") if percent is None else None),
            )
    return Figure(None, "", reason=words("reason.no_pairs"))


def _changes(summary: Summary, metric: str, words: Words) -> list[Row]:
    known = {row["estimand"] for row in summary["comparisons"]}
    return [
        changed(
            words(f"row.{label}"),
            {arm: change_figure(summary, arm, estimand, words) for arm in candidates(summary)},
        )
        for label, estimand in CHANGES.get(metric, {}).items()
        if estimand in known
    ]


def _times(summary: Summary, metric: str, words: Words) -> Group:
    """Mean and quantiles of a latency."""
    found = {arm: figures[metric] for arm, figures in summary["pipelines"].items()}
    if metric != "response_time_s" and not any(found.values()):
        return Group(metric, "", ())
    factor, unit = digits.time_unit(times["p95"] for times in found.values() if times)
    nothing = words("reason.not_streamed" if metric == "ttft_s" else "reason.nothing_answered")

    def figure(arm: str, name: str) -> Figure:
        times, at = found[arm], pointer("pipelines", arm, metric, name)
        if not times:
            return Figure(None, at, reason=nothing)
        pair, warning = bounds(times["ci95"].get(name)), times["warnings"].get(name)
        reason = words.reason(warning, blocks=name == "mean") if warning else None
        if pair is None and reason is None:
            reason = words("reason.no_interval")
        return Figure(times[name], at, pair, reason)

    def row(name: str) -> Row:
        figures = {arm: figure(arm, name) for arm in found}
        label, shown = words(f"row.{name}"), words(f"unit.{unit}")
        return measured(label, shown, figures, factor, strict=name != "mean")

    rows = [row("mean"), *_changes(summary, metric, words)]
    rows += [row(name) for name in ("p50", "p95", "p99")]
    return Group(metric, words(f"group.{metric}"), rows, metric == "service_time_s", timed=True)


def _blocks(summary: Summary, metric: str, words: Words) -> Group:
    """A mean over blocks. Goodput without a target says little more than throughput."""
    found = {arm: figures[metric] for arm, figures in summary["pipelines"].items()}
    factor, unit = 1.0, "per_s"
    if metric == "makespan_s":
        factor, unit = digits.time_unit(figures["mean"] for figures in found.values() if figures)
    figures = {}
    for arm, mean in found.items():
        at = pointer("pipelines", arm, metric, "mean")
        if mean is None:
            figures[arm] = Figure(None, at, reason=words("reason.no_whole_block"))
            continue
        pair = bounds(mean["ci95"])
        reason = words("reason.few_blocks", n=mean["n"], least=2) if pair is None else None
        figures[arm] = Figure(mean["mean"], at, pair, reason)
    row = measured(words("row.mean"), words(f"unit.{unit}"), figures, factor, strict=False)
    detail = metric == "goodput_per_s" and summary["run"]["config"].get("target") is None
    rows = [row, *_changes(summary, metric, words)]
    return Group(metric, words(f"group.{metric}"), rows, detail, timed=True)


def _success(summary: Summary, words: Words) -> Group:
    """Right answers, with Wilson's interval of their share in percent."""
    arms = summary["pipelines"]
    counts, shares = {}, {}
    for arm, figures in arms.items():
        right, at = figures["success"], pointer("pipelines", arm, "success")
        none = None if right["n"] else words("reason.no_trials")
        shares[arm] = Figure(right["rate"], f"{at}/rate", bounds(right["ci95"]), none)
        text = None if none else f"{right['k']}/{right['n']}"
        counts[arm] = Cell(text, None, none, figure=Figure(right["k"], f"{at}/k"))
    rows = [
        Row(words("row.success"), "", counts),
        measured(words("row.share"), "%", shares, 100, strict=False),
    ]
    return Group("success", words("group.success"), rows)


def _outcomes(summary: Summary, words: Words) -> Group:
    """How trials ended; cancelled and dropped ones only where there are any."""
    arms = summary["pipelines"]
    rows = [
        counted(
            words(f"outcome.{name}"),
            {
                arm: Figure(found["outcomes"][name], pointer("pipelines", arm, "outcomes", name))
                for arm, found in arms.items()
            },
        )
        for name in OUTCOMES
        if name not in ("cancelled", "dropped")
        or any(figures["outcomes"][name] for figures in arms.values())
    ]
    return Group("outcomes", words("group.outcomes"), rows)


def _resources(summary: Summary, words: Words) -> Group:
    used = {arm: figures["resources"] for arm, figures in summary["pipelines"].items()}

    def figures(name: str) -> dict[str, Figure]:
        missing = words("reason.not_known")
        return {
            arm: plain(found[name], pointer("pipelines", arm, "resources", name), missing)
            for arm, found in used.items()
        }

    times = [found["cpu_s_per_trial"] for found in used.values()]
    factor, unit = digits.time_unit(time for time in times if time is not None)
    rows = [
        measured(
            words("row.cpu"),
            words(f"unit.{unit}"),
            figures("cpu_s_per_trial"),
            factor,
            strict=False,
        ),
        measured(words("row.memory"), words("unit.mb"), figures("peak_rss_mb"), strict=False),
        counted(words("row.threads"), figures("peak_threads")),
        counted(words("row.sockets"), figures("peak_sockets")),
    ]
    return Group("resources", words("group.resources"), rows)


def _tokens(summary: Summary, words: Words) -> Group:
    arms = summary["pipelines"]
    rows = [
        counted(
            words(f"row.{name}"),
            {
                arm: plain(
                    (figures["tokens"] or {}).get(name),
                    pointer("pipelines", arm, "tokens", name),
                    words("reason.not_counted"),
                )
                for arm, figures in arms.items()
            },
        )
        for name in ("prompt", "completion", "cached")
    ]
    calls = {
        arm: Figure(figures["attempts"], pointer("pipelines", arm, "attempts"))
        for arm, figures in arms.items()
    }
    return Group(
        "tokens", words("group.tokens"), [*rows, counted(words("row.attempts"), calls)], detail=True
    )
