"""A run made by hand for tests of reports: known outcomes, hostile texts, no clock."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.records import (
    SCHEMA,
    Answer,
    Attempt,
    BlockRecord,
    CallError,
    CheckResult,
    Malformed,
    Outcome,
    SimTiming,
    TrialRecord,
    Usage,
)
from harness.store import Run, RunWriter, read_run
from harness.story import Story, parse_story

ARMS = ("sync", "sync@aa", "async", "batched", "streaming")
SCRIPT = "<script>alert('x')</script>"
REQUEST = f"Change the news & nothing else {SCRIPT}"
"""What a scenario asks for; a page must show it as text."""


STORY = [
    {
        "turn_number": n,
        "result": "상어가 빵을 샀어요.",
        "news": f"{n}번째 소식이 왔어요.",
        "news_tag": "all",
        "stocks": [
            {
                "name": "상어 빵집",
                "risk_level": "저위험",
                "description": "빵을 굽는 곳입니다.",
                "before_value": 100,
                "current_value": 110,
                "expectation": "손님이 늘겠어요.",
            }
        ],
    }
    for n in (1, 2)
]


def story() -> Story:
    """The story that the made-up model hands back."""
    return parse_story(STORY)


def manifest(arms: Sequence[str], planned: int, **changes: Any) -> dict[str, Any]:
    """``run.json`` with everything that a real one has."""
    config = {
        "scenarios": ["scenarios"],
        "pipelines": [arm for arm in arms if "@" not in arm],
        "provider": "sim:report-2025",
        "concurrency": 4,
        "batch_size": None,
        "group": None,
        "workload": "closed",
        "repeats": 3,
        "warmup": 1,
        "seed": 7,
        "time_scale": 0.02,
        "summary": True,
        "aa": True,
        "rate_limit": None,
        "target": None,
        "timeout": 120.0,
        "model": None,
    }
    scenarios = {
        f"ko-tale-{i}": {
            "digest": "0" * 64,
            "kind": "news",
            "language": "ko",
            "turns": 2,
            "request": REQUEST,
        }
        for i in range(8)
    }
    return {
        "schema": SCHEMA,
        "kind": "run",
        "status": "complete",
        "command": "harness run --provider sim:report-2025 --scenarios 'reports/a <b>'",
        "config": config,
        "arms": list(arms),
        "baseline": arms[0],
        "planned_trials": planned,
        "prompt_version": "f47d0b2732ed",
        "scenarios": scenarios,
        "provider": {
            "kind": "sim",
            "simulated": True,
            "profile": "report-2025",
            "time_scale": 0.02,
            "model": "simulated report-2025",
        },
        "environment": {"harness": "0.1.0", "python": "3.11", "packages": {}, "git": None},
        "segments": [{"index": 0, "started": "2026-01-02T03:04:05.678+00:00", "ended": None}],
        **changes,
    }


def trial(
    arm: str,
    scenario: int = 0,
    block: int = 1,
    *,
    start: float = 0.0,
    took: float = 0.15,
    held: float = 0.0,
    outcome: Outcome = "ok",
    warmup: bool = False,
    client_error: float = 0.0004,
) -> TrialRecord:
    """One trial; ``held``: seconds for which a batch held its answer back."""
    name = f"ko-tale-{scenario}/{arm}/{block}"
    error = CallError("timeout", f"no answer {SCRIPT}") if outcome == "error" else None
    end = start + took
    attempt = Attempt(
        "edit",
        due=start + 0.0002,
        sent=start + 0.0003,
        first_token=start + took / 4 if arm == "streaming" else None,
        done=end,
        status=None if error else 200,
        error=error,
        usage=None if error else Usage(100, 200),
        sim=None if error else SimTiming(took / 5, took - client_error),
    )
    checks: tuple[CheckResult, ...] = ()
    if outcome in ("ok", "wrong"):
        right = outcome == "ok"
        why = None if right else f"was not to change: {SCRIPT}"
        checks = (
            CheckResult("structure", "structure", True, None, None, None),
            CheckResult(
                "untouched",
                "untouched",
                right,
                None if right else 1,
                None if right else "news",
                why,
            ),
        )
    return TrialRecord(
        trial=name,
        scenario=f"ko-tale-{scenario}",
        pipeline=arm,
        repeat=block,
        block=block,
        position=0,
        segment=0,
        warmup=warmup,
        scheduled=start,
        eligible=start,
        sent=start + 0.0003,
        first_token=attempt.first_token,
        last_token=None,
        done=end + held,
        own_done=end,
        outcome=outcome,
        error=error,
        malformed=Malformed("no_json", f"no array {SCRIPT}") if outcome == "malformed" else None,
        attempts=(attempt,),
        usage=attempt.usage,
        checks=checks,
        summary=None,
    )


def reply(record: TrialRecord) -> tuple[Answer, ...]:
    """What the model wrote: a story when the outcome has one."""
    if record.outcome == "error":
        return ()
    data = story().to_data()
    if record.outcome == "wrong":
        data[0]["news"] = f"{data[0]['news']} {SCRIPT}"
    text = json.dumps(data, ensure_ascii=False)
    return (Answer(record.trial, 0, "edit", f"Sorry {SCRIPT}" if record.malformed else text),)


def write(
    folder: Path, records: Sequence[TrialRecord], arms: Sequence[str] = ARMS, **changes: Any
) -> Run:
    """These records as a run on disk, with a stretch for each arm and block."""
    about = manifest(arms, changes.pop("planned_trials", len(records)), **changes)
    stretches = sorted({(r.block, r.pipeline, r.warmup) for r in records})
    with RunWriter.create(folder, about) as writer:
        for record in records:
            writer.append(record, reply(record))
        for block, arm, warmup in stretches:
            count = sum((r.block, r.pipeline) == (block, arm) for r in records)
            writer.append_block(
                BlockRecord(
                    block, arm, 0, block, 0, warmup, 0.0, 2.0, count, 0.05, 61.5, 2, 4, (0.001,)
                )
            )
    return read_run(folder)


def whole(folder: Path, *, blocks: int = 10, arms: Sequence[str] = ARMS) -> Run:
    """Every arm on eight scenarios in each block, four in flight but for ``sync``; some fail."""
    rng = np.random.default_rng(1)
    records = []
    for block in range(blocks + 1):
        for arm in arms:
            free = [0.0] if arm.startswith("sync") else [0.0] * 4
            took = rng.normal(0.15, 0.02, 8).clip(0.05)
            for i in range(8):
                lane = i % len(free)
                start = free[lane] + 0.0005
                if arm == "batched":
                    start = 0.22 * (i // 4)
                free[lane] = start + took[i]
                held = max(0.0, 0.21 - took[i]) if arm == "batched" else 0.0
                outcome: Outcome = "ok"
                if (block + i) % 9 == 0:
                    outcome = ("wrong", "malformed", "error")[(block + len(arm)) % 3]
                records.append(
                    trial(
                        arm,
                        i,
                        block,
                        start=start,
                        took=float(took[i]),
                        held=held,
                        outcome=outcome,
                        warmup=block == 0,
                    )
                )
    return write(folder, records, arms)
