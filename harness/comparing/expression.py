"""A gate as it is written: ``p95<=+5%``, ``success>=-2``, ``p95<8s``.

A limit with a sign or ``%`` bounds the change from A to B; one without bounds B itself. A gate
guards one side only, the one that a metric gets worse on.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.errors import InputError

Unit = Literal["%", "points", "s", "/s", "share"]

TIMES = ("gm", "mean", "p50", "p95", "p99", "ttft", "makespan", "cpu")
METRICS = (*TIMES[:-1], "throughput", "success", "cpu")
HIGHER_IS_BETTER = ("throughput", "success")

_PATTERN = re.compile(
    r"(?P<metric>[a-z][a-z0-9]*)\s*(?P<op><=|>=|<|>)\s*"
    r"(?P<sign>[+-]?)(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(?P<unit>%|ms|s|/s)?"
)


@dataclass(frozen=True, slots=True)
class Gate:
    """What must hold for every compared pipeline.

    ``limit`` is in ``unit``: percent of A (``%``), percentage points (``points``: success), or for
    a limit on B itself seconds (``s``), trials per second (``/s``), a share of trials (``share``).
    """

    text: str
    metric: str
    op: Literal["<=", "<", ">=", ">"]
    limit: float
    unit: Unit

    @property
    def relative(self) -> bool:
        """Whether it bounds the change from A to B, not B itself."""
        return self.unit in ("%", "points")


def parse_gates(texts: Sequence[str]) -> list[Gate]:
    """All gates, in the order given; one text may hold several with commas between them.

    Raises InputError for one that is not exactly in the grammar, or is given twice.
    """
    gates = [parse_gate(part) for text in texts for part in text.split(",")]
    for i, gate in enumerate(gates):
        if gate.text in [other.text for other in gates[:i]]:
            raise InputError(f"--gate {gate.text!r}: is given twice")
    return gates


def parse_gate(text: str) -> Gate:
    """One gate. Raises InputError with what to write instead."""
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise _wrong(text, "is no gate; write METRIC, <= < >= or >, and a limit, such as p95<=+5%")
    metric, op, sign, unit = match["metric"], match["op"], match["sign"], match["unit"] or ""
    if metric not in METRICS:
        raise _wrong(text, f"no metric {metric!r}; known are {', '.join(METRICS)}")
    higher = metric in HIGHER_IS_BETTER
    if op.startswith("<") == higher:
        better, use = ("higher", ">= or >") if higher else ("lower", "<= or <")
        raise _wrong(text, f"{metric} is better when {better}: use {use}")
    value = float(match["number"])
    limit, kind = (
        _change(text, metric, -value if sign == "-" else value, sign, unit)
        if sign or unit == "%"
        else _level(text, metric, value, unit)
    )
    assert math.isfinite(limit)
    written = f"{metric}{op}{sign}{match['number']}{unit}"
    return Gate(written, metric, op, limit, kind)  # type: ignore[arg-type]  # op: by the pattern


def _change(text: str, metric: str, value: float, sign: str, unit: str) -> tuple[float, Unit]:
    """A limit on the change from A to B."""
    if metric == "success":
        if not sign or unit not in ("", "%"):
            raise _wrong(text, "write -2 for a change in points, or 0.99 for the rate itself")
        if abs(value) > 100:
            raise _wrong(text, "a change of success is at most 100 points")
        return value, "points"
    if unit != "%":
        raise _wrong(text, "a change is in percent: end it with %, or leave out its sign")
    if value <= -100:
        raise _wrong(text, "a change must be above -100%")
    return value, "%"


def _level(text: str, metric: str, value: float, unit: str) -> tuple[float, Unit]:
    """A limit on B itself."""
    if metric == "success":
        if unit or not 0 < value <= 1:
            raise _wrong(text, "a rate is above 0 and at most 1; points need a sign, such as -2")
        return value, "share"
    if metric == "throughput":
        if unit != "/s" or value == 0:
            raise _wrong(text, "say how many per second, such as 5/s, or a change, such as -5%")
        return value, "/s"
    if unit not in ("s", "ms") or value == 0:
        raise _wrong(text, "give a time, such as 8s or 800ms, or a change, such as +5%")
    return value / 1000 if unit == "ms" else value, "s"


def _wrong(text: str, why: str) -> InputError:
    return InputError(f"--gate {text.strip()!r}: {why}")
