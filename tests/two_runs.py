"""Runs made by hand for the tests of ``harness compare``: valid, whole, and known in advance."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from harness.records import Attempt, BlockRecord, ErrorType, TrialRecord
from harness.store import Run, RunWriter, read_run
from tests.runs import answers, manifest
from tests.stats.build import trial

Times: TypeAlias = Mapping[str, Sequence[float | None]]
"""Scenario → response time in each round, seconds; None is a time-out."""

STARTED = "2026-01-01T00:00:00+00:00"
LATER = "2026-01-02T00:00:00+00:00"


def times(factor: float = 1.0, *, scenarios: int = 8, rounds: int = 6, seed: int = 0) -> Times:
    """Times around 1 to 2 s with 2 % of noise, times ``factor``."""
    rng = np.random.default_rng(seed)
    return {
        f"s{i}": [factor * (1 + i / scenarios) * x for x in rng.normal(1, 0.02, rounds)]
        for i in range(scenarios)
    }


def build(
    folder: Path,
    arms: Mapping[str, Times],
    *,
    group: bool = False,
    wrong: int = 0,
    error: ErrorType = "timeout",
    ttft: float | None = None,
    cpu: float = 0.01,
    lag: float = 0.0,
    digests: str = "0",
    started: str = STARTED,
    config: Mapping[str, Any] | None = None,
    **about: Any,
) -> Path:
    """A run on disk. A block is one scenario in one round; with ``group`` a whole round.

    ``wrong``: so many trials of each arm, the first ones, hold a wrong answer. ``ttft``: share of
    the response time after which the first token came. ``lag``: of the event loop, seconds.
    ``digests``: what the scenarios' digests are made from.
    """
    records: list[TrialRecord] = []
    blocks: list[BlockRecord] = []
    scenarios = list(dict.fromkeys(name for found in arms.values() for name in found))
    for arm, found in arms.items():
        mine = []
        rounds = max((len(row) for row in found.values()), default=0)
        for number in range(rounds):
            for place, name in enumerate(found):
                block = number if group else number * len(scenarios) + scenarios.index(name)
                start = 1000.0 * block + (100.0 * place if group else 0)
                mine.append(_trial(arm, name, number, block, start, found[name][number], error))
                if not group or place == 0:
                    size = len(found) if group else 1
                    blocks.append(_block(arm, block, number, size, cpu, lag))
        for i, record in enumerate(mine[:wrong]):
            mine[i] = replace(record, outcome="wrong")
        if ttft is not None:
            mine = [_streamed(record, ttft) for record in mine]
        records += mine
    kept = {"kind": "news", "language": "en", "turns": 1, "request": "Edit."}
    values: dict[str, Any] = {
        "arms": list(arms),
        "baseline": next(iter(arms)),
        "planned_trials": len(records),
        "config": {"target": None, "concurrency": 1, "workload": "closed", "seed": 0}
        | dict(config or {}),
        "scenarios": {name: {**kept, "digest": f"{digests}-{name}"} for name in scenarios},
        "provider": {"kind": "http", "simulated": False, "model": "small"},
        "segments": [{"index": 0, "started": started, "ended": None, "host": "bench"}],
        **about,
    }
    with RunWriter.create(folder, manifest(**values)) as writer:
        for record in records:
            writer.append(record, answers(record))
        for stretch in blocks:
            writer.append_block(stretch)
    return folder


def run(folder: Path, arms: Mapping[str, Times], **options: Any) -> Run:
    """``build``, read again."""
    return read_run(build(folder, arms, **options))


def _trial(
    arm: str, name: str, number: int, block: int, start: float, took: float | None, error: ErrorType
) -> TrialRecord:
    made = trial(
        arm,
        took,
        scenario=name,
        repeat=number,
        block=block,
        scheduled=start,
        delay=0.0,
        outcome="error" if took is None else "ok",
        error=error if took is None else None,
    )
    end = start + (took or 0.0)
    return replace(made, done=end, attempts=(Attempt("edit", due=start, sent=start, done=end),))


def _streamed(record: TrialRecord, share: float) -> TrialRecord:
    if record.sent is None or record.done is None or not record.answered:
        return record
    return replace(record, first_token=record.sent + share * (record.done - record.sent))


def _block(arm: str, block: int, number: int, size: int, cpu: float, lag: float) -> BlockRecord:
    return BlockRecord(
        block=block,
        pipeline=arm,
        segment=0,
        repeat=number,
        position=0,
        warmup=False,
        started=1000.0 * block,
        ended=1000.0 * block + 900,
        trials=size,
        cpu_s=cpu * size * (1 + 0.01 * (block % 5)),
        peak_rss_mb=50.0,
        peak_threads=1,
        peak_sockets=1,
        lag_s=(lag,),
    )
