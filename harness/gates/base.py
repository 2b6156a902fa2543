"""What a gate says, and what makes it say so."""

from dataclasses import dataclass, replace
from typing import Any, Literal

Effect = Literal["invalid_run", "inconclusive", "not_testable"]

ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate.

    ``ok`` None: it does not apply to the claim. ``value`` None: not measured, and then it does
    not hold, whatever the limit. ``limit``: the most (for the slots' use in G5 and the differences
    in G0 the least) that holds. ``effect``: what a failure makes of the verdict. ``why``: one
    clause with the figures. ``remedy``: what to do about a failure; "" if nothing is known to help.
    """

    name: str
    ok: bool | None
    value: float | None
    limit: float | None
    unit: str
    effect: Effect
    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Margin:
    """An effect and the largest that is let pass, both in one unit; it holds if |value| ≤ limit,
    or with ``only_above`` if value ≤ limit.
    """

    value: float
    limit: float
    only_above: bool = False

    @property
    def ok(self) -> bool:
        size = self.value if self.only_above else abs(self.value)
        return size <= self.limit + ROUNDING


@dataclass(frozen=True, slots=True)
class Rule:
    """What all findings of one gate share. ``changes`` replace fields of a single finding."""

    name: str
    unit: str
    effect: Effect
    remedy: str

    def found(
        self, ok: bool | None, value: float | None, limit: float | None, why: str, **changes: Any
    ) -> Gate:
        gate = Gate(self.name, ok, value, limit, self.unit, self.effect, why, self.remedy)
        return replace(gate, **changes) if changes else gate

    def skipped(self, why: str) -> Gate:
        """It does not apply to the claim."""
        return self.found(None, None, None, why)

    def unmeasured(self, why: str, remedy: str = "", **changes: Any) -> Gate:
        """It cannot be told, so it does not hold. What mends a value beyond the limit does not help
        here; ``remedy``: what would bring a value.
        """
        return self.found(False, None, None, why, remedy=remedy, **changes)

    def at_most(self, value: float | None, limit: float, what: str) -> Gate:
        """Holds for seconds up to ``limit``."""
        if value is None:
            return self.unmeasured("an arm has no times to tell it by")
        why = f"{what}: p99 {1000 * value:.1f} ms, at most {1000 * limit:.1f} ms"
        return self.found(value <= limit, value, limit, why)

    def within(self, margin: Margin, what: str, **changes: Any) -> Gate:
        """Holds for an effect within its margin."""
        sign = "+" if margin.only_above else "±"
        why = f"{what} {margin.value:+.3f}, chance or tolerance explains {sign}{margin.limit:.3f}"
        return self.found(margin.ok, margin.value, margin.limit, why, **changes)
