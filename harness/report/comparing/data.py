"""Two runs compared as one JSON object."""

import math
from dataclasses import asdict
from typing import Any

from harness.comparing import CONFIDENCE, Compared, Result, Row, Ruling
from harness.records import SCHEMA


def as_data(result: Result, exit_code: int) -> dict[str, Any]:
    """JSON data: finite numbers only, None for what is not known."""
    return {
        "schema": SCHEMA,
        "result": result.outcome,
        "exit_code": exit_code,
        "a": {**asdict(result.a), "valid": result.a.valid},
        "b": {**asdict(result.b), "valid": result.b.valid},
        "confidence": CONFIDENCE,
        "common_scenarios": result.scenarios,
        "only_a": list(result.only_a),
        "only_b": list(result.only_b),
        "warnings": [asdict(caution) for caution in result.cautions],
        "comparisons": [
            _comparison(compared, row) for compared in result.pipelines for row in compared.rows
        ],
        "gates": [_gate(ruling) for ruling in result.rulings],
    }


def _comparison(compared: Compared, row: Row) -> dict[str, Any]:
    """Named as in ``summary.json``; ``ci95`` is of the ratio, for success of the difference."""
    points = row.unit == "points"
    bounds = [row.lo, row.hi] if points else [_ratio(row.lo), _ratio(row.hi)]
    return {
        "baseline": compared.a,
        "candidate": compared.b,
        "metric": row.metric,
        "estimand": row.estimand,
        "a": _finite(row.a),
        "b": _finite(row.b),
        "ratio": _finite(row.ratio),
        "ci95": None if any(_finite(bound) is None for bound in bounds) else bounds,
        "change_percent": None if points else _finite(row.change),
        "change_points": _finite(row.change) if points else None,
        "n": row.n,
        "counts": row.counts,
        "method": row.method,
        "warnings": list(row.warnings),
        "hold": row.hold,
    }


def _gate(ruling: Ruling) -> dict[str, Any]:
    lo, hi = _finite(ruling.lo), _finite(ruling.hi)
    return {
        "gate": ruling.gate.text,
        "metric": ruling.gate.metric,
        "baseline": ruling.a,
        "candidate": ruling.b,
        "result": ruling.outcome,
        "reason": ruling.reason,
        "value": _finite(ruling.value),
        "ci95": None if lo is None or hi is None else [lo, hi],
        "limit": ruling.limit,
        "unit": ruling.gate.unit,
    }


def _ratio(change: float | None) -> float | None:
    return None if change is None else 1 + change / 100


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
