"""What every report says of a search for capacity: what was found, and what each step showed.

All figures are those of ``capacity.json``.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from harness.report import digits
from harness.report.table import Cell, bounds, scaled
from harness.report.words import Words

CAPACITY = "capacity.json"  # as ``harness load`` writes it
Step = Mapping[str, Any]


def outcome(capacity: Mapping[str, Any] | None, words: Words) -> str:
    """The rate that holds, or why there is none, in one sentence."""
    if capacity is None:
        return words("capacity.none")
    rate, above, limit = capacity["rate"], capacity["above"], capacity["limit"]
    if rate is None:
        key = {"client": "unfit", "undecided": "undecided"}.get(limit, "nothing")
    else:
        key = limit if capacity["confirmed"] else "once"
    shown = {
        name: None if value is None else digits.significant(value, 4)
        for name, value in (("rate", rate), ("above", above))
    }
    return words(f"capacity.{key}", **shown)


def why(step: Step, words: Words) -> str:
    """Why a step does not hold; "" for one that does."""
    return "; ".join(words.translated(why, "why_step", "remedy") for why in step["reasons"])


def time_unit(steps: Iterable[Step]) -> tuple[float, str]:
    """(factor, unit) in which the quantiles of all steps are shown."""
    return digits.time_unit(end for step in steps for end in step["p95_ci"] or ())


def quantile(step: Step, name: str, factor: float, words: Words) -> Cell:
    """``p50`` or ``p95`` of a step; one without an interval is not shown, and why."""
    pair = bounds(step[f"{name}_ci"])
    if pair is None:
        reason = step["unbounded"].get(name)
        return Cell(
            None, None, words("reason.nothing_answered") if reason is None else words.reason(reason)
        )
    return _bounded(step[name], pair, factor)


def success(step: Step, words: Words) -> Cell:
    """The share of right answers in percent."""
    pair = bounds(step["success_ci"])
    if pair is None:
        return Cell(None, None, words("reason.no_trials"))
    return _bounded(step["success"], pair, 100)


def _bounded(value: float, pair: tuple[float, float], factor: float) -> Cell:
    low, high = scaled(pair, factor)
    places = digits.row_places((), [(low, high)])
    return Cell(digits.number(factor * value, places), digits.interval(low, high, places))
