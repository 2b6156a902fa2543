"""A load run, or a search for capacity, in the terminal."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.plain import plain, table
from harness.report import digits
from harness.report.facts import is_unmeasured
from harness.summary import unbounded

if TYPE_CHECKING:
    from harness.load.curve import Point

NONE = "–"
TIMES = (
    ("response time", "response_time_s"),
    ("service time", "service_time_s"),
    ("first token", "ttft_s"),
    ("between tokens", "itl_s"),
    ("issue delay", "issue_delay_s"),
)


def print_load(figures: Mapping[str, Any], folder: Path) -> None:
    """Print the figures of one load on standard output."""
    _print(load_lines(figures, folder))


def print_step(point: "Point") -> None:
    """Tell of one step of a search on standard error, as it ends."""
    why = f": {'; '.join(point.reasons)}" if point.reasons else ""
    print(f"\r{point.offered:.4g}/s {point.verdict}{why}", file=sys.stderr)


def print_capacity(figures: Mapping[str, Any], folder: Path) -> None:
    """Print what a search for capacity found on standard output."""
    _print(capacity_lines(figures, folder))


def load_lines(figures: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Everything that is printed of one load, line by line."""
    yield f"{figures['target']}: {figures['workload']['text']}"
    offered = figures["offered_per_s"]
    asked = "" if offered is None else f" of {offered:.5g} offered"
    yield (
        f"{figures['requests']:,} requests in {figures['duration_s']:.1f} s; "
        f"{figures['achieved_per_s']:.5g} sent per second{asked}; "
        f"throughput {_rate(figures['throughput_per_s'])}, "
        f"goodput {_rate(figures['goodput_per_s'])}"
    )
    yield from _outcomes(figures)
    yield ""
    yield table(list(_times(figures)), right=range(1, 7))
    yield from _unbounded(figures)
    yield ""
    if figures["tokens"] is not None:
        tokens = figures["tokens"]
        yield (
            f"tokens: {tokens['completion']:,} counted by the server in {tokens['n']:,} answers, "
            f"{_rate(tokens['completion_per_s'])}"
        )
    for target in (figures["slo"] or {"targets": ()})["targets"]:
        yield _target(target)
    yield from _validity(figures["validity"])
    if figures["interrupted"]:
        yield "Interrupted: what was sent until then is kept."
    yield f"records: {folder}"


def capacity_lines(figures: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Everything that is printed of a search, line by line."""
    yield f"{figures['target']}: {', '.join(figures['slo'])}"
    rows: list[Sequence[str]] = [
        ("offered/s", "achieved/s", "p50", "p95", "95 % interval", "success", "")
    ]
    rows += [_step(step) for step in sorted(figures["steps"], key=lambda step: step["offered"])]
    yield table(rows, right=range(6))
    yield ""
    yield _found(figures["capacity"])
    knee = figures["knee"]
    yield (
        "knee: not shown by these intervals"
        if knee is None
        else f"knee: {knee['offered']:.4g}/s; beyond it waiting grows faster than throughput"
    )
    unsettled = [step for step in figures["steps"] if not step["consistent"]]
    if unsettled:
        rates = ", ".join(f"{step['offered']:.4g}" for step in unsettled)
        yield f"not settled (Little's law is off by more than 10 %) at {rates} per second"
    if figures["interrupted"]:
        yield "Interrupted: the steps until then are kept."
    yield f"records: {folder}"


def _found(capacity: Mapping[str, Any] | None) -> str:
    if capacity is None:
        return "capacity: no step was finished"
    rate, above, limit = capacity["rate"], capacity["above"], capacity["limit"]
    if rate is not None and not capacity["confirmed"]:
        return f"capacity: not known yet; {rate:.4g}/s held once"
    if rate is None and limit == "client":
        return f"capacity: not to be told; even at {above:.4g}/s this client was not fit to measure"
    if rate is None and limit == "undecided":
        return (
            f"capacity: not to be told; even at {above:.4g}/s the targets are not certain: "
            "raise --duration or --requests"
        )
    if rate is None:
        return f"capacity: none; the targets do not hold even at {above:.4g}/s"
    if limit == "schedule":
        return f"capacity: at least {rate:.4g}/s, the highest rate that was tried"
    if limit == "client":
        return (
            f"capacity: at least {rate:.4g}/s; at {above:.4g}/s this client is the limit: "
            "give it a free processor or a faster machine"
        )
    return f"capacity: {rate:.4g}/s holds with confidence, {above:.4g}/s does not"


def _step(step: Mapping[str, Any]) -> tuple[str, ...]:
    bounds = step["p95_ci"]
    return (
        f"{step['offered']:.4g}",
        f"{step['achieved']:.4g}",
        _seconds(step["p50"]),
        _seconds(step["p95"]),
        NONE if bounds is None else f"{_seconds(bounds[0])} … {_seconds(bounds[1])}",
        _share(step["success"], None),
        step["verdict"],
    )


def _outcomes(figures: Mapping[str, Any]) -> Iterator[str]:
    parts = [f"{name} {count:,}" for name, count in figures["outcomes"].items() if count]
    success = figures["success"]
    if success["rate"] is not None:
        parts.append(f"success {_share(success['rate'], success['ci95'])}")
    yield ", ".join(parts)
    if figures["errors"]:
        yield "errors: " + ", ".join(f"{name} {n:,}" for name, n in figures["errors"].items())
    if figures["requests"] and figures["response_time_s"] is None:
        yield "No request was answered."


def _times(figures: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    """A row for each time; a quantile that its n cannot support is not shown."""
    columns = ("mean", "p50", "p95", "p99", "max")
    yield "", "n", *columns
    for name, key in TIMES:
        found = figures[key]
        if found is not None:
            left_out = unbounded(key, found)
            shown = (NONE if column in left_out else _seconds(found[column]) for column in columns)
            yield name, f"{found['n']:,}", *shown


def _unbounded(figures: Mapping[str, Any]) -> Iterator[str]:
    """Why quantiles are not shown, each reason once."""
    found = {
        f"{NONE} {point}: {why}"
        for _, key in TIMES
        if figures[key] is not None
        for point, why in unbounded(key, figures[key]).items()
    }
    yield from sorted(found)


def _target(target: Mapping[str, Any]) -> str:
    share = _share(target["share"], target["share_ci95"])
    needed = f"{100 * target['needed']:.4g} %"
    return f"{target['target']}: {target['held']} ({share} of requests keep to it, needed {needed})"


def _validity(validity: Mapping[str, Any]) -> Iterator[str]:
    broken = [check for check in validity["checks"] if not check["ok"]]
    if not broken:
        yield f"valid: all {len(validity['checks'])} checks of the client hold"
        return
    yield "INVALID: these figures are not the server's"
    for check in broken:
        if is_unmeasured(check):
            yield f"  {check['name']}: not measured"
            continue
        value = digits.significant(check["value"], 3)
        limit = digits.significant(check["limit"], 3)
        yield f"  {check['name']} {value} (limit {limit} {check['unit']}): {check['remedy']}"


def _share(value: float | None, bounds: Sequence[float] | None) -> str:
    if value is None:
        return NONE
    shown = "" if bounds is None else f" [{100 * bounds[0]:.4g}, {100 * bounds[1]:.4g}]"
    return f"{100 * value:.4g} %{shown}"


def _seconds(value: float | None) -> str:
    if value is None:
        return NONE
    factor, unit = digits.time_unit([value])
    return f"{digits.significant(factor * value, 4)} {unit}"


def _rate(value: float | None) -> str:
    return NONE if value is None else f"{value:.5g}/s"


def _print(lines: Iterator[str]) -> None:
    for line in lines:
        print("\n".join(plain(part) for part in line.split("\n")))
