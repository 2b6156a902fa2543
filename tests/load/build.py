"""Columns and results made by hand."""

from pathlib import Path
from typing import Any

import numpy as np

from harness.load.columns import Columns
from harness.load.engine import ClientHealth, LoadResult


def columns(n: int, **given: Any) -> Columns:
    """Requests one second apart that took 0.1 s each and were answered, unless ``given`` says
    otherwise; with ``token_chunks`` the gaps are 10, 20, 30 … ms.
    """
    scheduled = np.arange(n, dtype=np.float64)
    nan = np.full(n, np.nan)
    values: dict[str, Any] = {
        "index": np.arange(n),
        "scheduled": scheduled,
        "eligible": scheduled,
        "sent": scheduled + 0.001,
        "uncounted": np.zeros(n),
        "first_byte": scheduled + 0.05,
        "first_token": nan,
        "last_token": nan,
        "done": scheduled + 0.1,
        "size": np.full(n, 10),
        "tokens": np.full(n, -1),
        "gaps_at": np.zeros(n, np.int64),
        "body_at": np.full(n, -1),
        "connection": np.zeros(n, np.int64),
        "status": np.full(n, 200, np.int16),
        "failure": np.zeros(n, np.int8),
        "new_connection": np.zeros(n, bool),
        "retried": np.zeros(n, bool),
        "first_lost": np.zeros(n, bool),
        "token_chunks": np.zeros(n, np.int32),
        "other_chunks": np.zeros(n, np.int32),
        "gaps": np.zeros(0, np.float32),
        **given,
    }
    if "token_chunks" in given:
        counts = np.maximum(np.asarray(given["token_chunks"]) - 1, 0)
        values["gaps_at"] = given.get("gaps_at", np.concatenate([[0], np.cumsum(counts)[:-1]]))
        values["gaps"] = (0.01 * np.arange(1, counts.sum() + 1)).astype(np.float32)
    return Columns(**{name: np.asarray(value) for name, value in values.items()})


def client(**given: Any) -> ClientHealth:
    """A generator that fared well."""
    values: dict[str, Any] = {
        "cpu_s": 1.0,
        "wall_s": 10.0,
        "loop_lag": np.full(100, 1e-4, np.float32),
        "io_uring": True,
        "compiled": True,
        "unstamped": 0,
        "merged": 0,
        "first_merged": 0,
        "clock_moved_s": 0.0,
        "gc_pauses": (),
        "peak_rss_mb": 50.0,
        "peak_in_flight": 3,
        "connections_opened": 3,
        "retried": 0,
        "fd_limit": 1024,
        **given,
    }
    return ClientHealth(**values)


def result(made: Columns, *, bodies: Path | None = None, **given: Any) -> LoadResult:
    """A run of these requests."""
    return LoadResult(
        columns=made,
        client=given.pop("client", None) or client(),
        started=100.0,
        started_at=1_700_000_000.0,
        duration_s=float(np.nanmax(made.done)),
        interrupted=given.pop("interrupted", False),
        bodies=bodies,
    )
