"""Targets of a load run as they are written: ``p95<8s,success>=0.99,ttft_p95<1s``; and what an
interval says of them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.errors import InputError

Held = Literal["held", "missed", "undecided"]
Measure = Literal["response", "service", "ttft", "itl"]
_HOW = "write such as p95<8s, ttft_p95<800ms, itl_p99<50ms or success>=0.99"
_PATTERN = re.compile(
    r"(?P<metric>[a-z][a-z0-9_.]*)\s*(?P<op><=|>=|<|>)\s*"
    r"(?P<number>\d{1,9}(?:\.\d{1,9})?)\s*(?P<unit>%|ms|s)?"
)
_TIME = re.compile(r"(?:(?P<measure>response|service|ttft|itl)_)?p(?P<p>\d{1,2}(?:\.\d{1,3})?)")


@dataclass(frozen=True, slots=True)
class Target:
    """One demand: a share of the requests of at least ``needed`` (0 < needed < 1) is as it should.

    ``measure`` and ``limit``: their times are at most ``limit`` seconds (that a quantile p keeps to
    a limit is the same as that a share p of the values does); both None: they are right.
    """

    text: str
    metric: str
    measure: Measure | None
    limit: float | None
    needed: float

    def held(self, low: float | None, high: float | None) -> Held:
        """What an interval of the share decides; None: the data cannot bound that side."""
        if low is not None and low >= self.needed:
            return "held"
        return "missed" if high is not None and high < self.needed else "undecided"


def parse_slo(text: str) -> tuple[Target, ...]:
    """Every target of ``--slo``. Raises InputError."""
    targets = tuple(_target(part.strip()) for part in text.split(","))
    for i, target in enumerate(targets):
        if target.metric in [other.metric for other in targets[:i]]:
            raise InputError(f"--slo: {target.metric} is given twice")
    return targets


def with_success(targets: Sequence[Target]) -> tuple[Target, ...]:
    """The targets, and where none is about success, that as large a share of the answers is right
    as must be within the limits of time.
    """
    if any(target.measure is None for target in targets):
        return tuple(targets)
    needed = max(target.needed for target in targets)
    return (*targets, Target(f"success>={needed:g}", "success", None, None, needed))


def overall(found: Sequence[Held]) -> Held:
    """All targets together: one missed is missed; else one undecided is undecided."""
    if "missed" in found:
        return "missed"
    return "undecided" if "undecided" in found else "held"


def request_limits(targets: Sequence[Target]) -> Mapping[Measure, float]:
    """What goodput demands of a single request: the tightest limit, in seconds, that the targets
    set for a quantile of its response time and of its TTFT.
    """
    limits: dict[Measure, float] = {}
    for target in targets:
        if target.measure in ("response", "ttft") and target.limit is not None:
            limits[target.measure] = min(target.limit, limits.get(target.measure, target.limit))
    return limits


def _target(text: str) -> Target:
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise InputError(f"--slo {text!r}: is no target; {_HOW}")
    metric, op, unit = match["metric"], match["op"], match["unit"] or ""
    value = float(match["number"])
    time = _TIME.fullmatch(metric)
    if time is None and metric != "success":
        raise InputError(f"--slo {text!r}: no metric {metric!r}; {_HOW}")
    if op.startswith("<") == (time is None):
        use = ">= or >" if time is None else "< or <="
        raise InputError(f"--slo {text!r}: {metric} needs {use}")
    written = f"{metric}{op}{match['number']}{unit}"
    if time is not None:
        p = float(time["p"]) / 100
        if unit not in ("s", "ms") or value == 0:
            raise InputError(f"--slo {text!r}: give a time, such as 8s or 800ms")
        if p == 0:
            raise InputError(f"--slo {text!r}: p0 is no quantile; {_HOW}")
        measure: Measure = time["measure"] or "response"  # type: ignore[assignment]
        return Target(written, metric, measure, value / 1000 if unit == "ms" else value, p)
    share = value / 100 if unit == "%" else value
    if unit not in ("", "%") or not 0 < share <= 1:
        raise InputError(f"--slo {text!r}: give a share such as 0.99 or 99%")
    if share == 1:
        raise InputError(f"--slo {text!r}: no sample can show that none ever fails; write 0.999")
    return Target(written, metric, None, None, share)
