"""Time, memory and size of the report of a million records: ``python -m benchmarks.bench_report``.

Makes a run of three pipelines by hand (no traffic), then runs ``harness report`` on it as a user
does. Exit code 1 when a limit is missed.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from harness import environment
from harness.records import SCHEMA
from harness.store import ANSWERS, BLOCKS, MANIFEST, RECORDS, dump

ARMS = ("sync", "async", "batched")
GROUP = 32  # scenarios of a block
SECONDS, MEGABYTES, PAGE_MB = 60, 1000, 5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--keep", metavar="DIR", help="leave the run in DIR")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(args.keep or temporary) / "run"
        began = time.perf_counter()
        count = make_run(folder, args.records)
        size = (folder / RECORDS).stat().st_size / 1e6
        print(f"{count:,} records ({size:,.0f} MB) made in {time.perf_counter() - began:.0f} s")
        return report(folder)


def report(folder: Path) -> int:
    """Run ``harness report`` and hold its figures against the limits."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "harness", "report", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    took = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = {
        "seconds": (took, SECONDS),
        "MB of memory": (used.ru_maxrss * 1024 / 1e6, MEGABYTES),
        "MB of index.html": ((folder / "index.html").stat().st_size / 1e6, PAGE_MB),
    }
    for name, (value, limit) in found.items():
        print(f"{name}: {value:.3g}, limit {limit}: {'ok' if value < limit else 'MISSED'}")
    print(f"processor time: {used.ru_utime + used.ru_stime:.1f} s")
    return int(any(value >= limit for value, limit in found.values()))


def make_run(folder: Path, records: int, seed: int = 1) -> int:
    """A run of about so many records; how many it has. A block of warm-up, some failures of every
    kind, slow drift, and the answers of the failures.
    """
    folder.mkdir(parents=True)
    blocks = max(2, round(records / (GROUP * len(ARMS))))
    rng = np.random.default_rng(seed)
    (folder / MANIFEST).write_bytes(dump(_manifest(blocks)))
    with (
        (folder / RECORDS).open("wb") as lines,
        (folder / ANSWERS).open("wb") as answers,
        (folder / BLOCKS).open("wb") as stretches,
    ):
        for line, reply, stretch in _blocks(rng, blocks):
            lines.write(line)
            answers.write(reply)
            stretches.write(stretch)
    return blocks * GROUP * len(ARMS)


def _blocks(rng: np.random.Generator, blocks: int) -> Iterator[tuple[bytes, bytes, bytes]]:
    """(records, answers, stretches) of one block after the other."""
    now = 0.0
    for block in range(blocks):
        arms = rng.permutation(len(ARMS))
        lines, replies, stretches = [], [], []
        for position, arm in enumerate(arms.tolist()):
            speed = (1.0, 0.9, 1.05)[arm] * (1 + 0.1 * np.sin(block / blocks * 9))
            took = rng.lognormal(np.log(0.15 * speed), 0.35, GROUP)
            ended = rng.choice(4, GROUP, p=(0.95, 0.02, 0.02, 0.01)).tolist()
            start = now + (np.cumsum(took) - took if arm == 0 else np.zeros(GROUP))
            for i, (begin, time_s) in enumerate(zip(start.tolist(), took.tolist(), strict=True)):
                record = _record(block, position, arm, i, begin, time_s, ended[i])
                lines.append(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
                if ended[i] in (1, 2):
                    answer = {"trial": record["trial"], "attempt": 0, "call": "edit", "text": "[{]"}
                    replies.append(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))
            over = float((start + took).max())
            stretch = _stretch(block, position, arm, now, over)
            stretches.append(orjson.dumps(stretch, option=orjson.OPT_APPEND_NEWLINE))
            now = over
        yield b"".join(lines), b"".join(replies), b"".join(stretches)


def _record(
    block: int, position: int, arm: int, i: int, start: float, took: float, ended: int
) -> dict[str, Any]:
    """One line of ``records.jsonl``. ``ended``: 0 ok, 1 wrong, 2 malformed, 3 error."""
    sent, done = start + 0.0002, start + took
    error = {"type": "timeout", "message": "no answer in 120 s"} if ended == 3 else None
    usage = None if error else {"prompt": 900, "completion": 700, "cached": None}
    why = {"reason": ("truncated", "no_json", "bad_json")[i % 3], "why": "the reply ends early"}
    checks = [
        {
            "id": name,
            "kind": name,
            "ok": not (ended == 1 and name == ("untouched", "news")[i % 2]),
            "turn": 1,
            "field": "news",
            "why": "was not to change",
            "proxy": False,
        }
        for name in ("structure", "untouched", "news", "language")
    ]
    attempt = {
        "call": "edit",
        "due": start + 0.0001,
        "admitted": None,
        "sent": sent,
        "first_token": None,
        "last_token": None,
        "done": done,
        "status": None if error else 200,
        "error": error,
        "usage": usage,
        "finish_reason": "stop",
        "chunks": None,
        "stopped_early": False,
        "sim": None if error else {"ttft_s": took / 5, "total_s": took - 0.0006},
        "mode": "async",
    }
    return {
        "trial": f"ko-tale-{i}/{ARMS[arm]}/{block}",
        "scenario": f"ko-tale-{i}",
        "pipeline": ARMS[arm],
        "repeat": block,
        "block": block,
        "position": position,
        "segment": 0,
        "warmup": block == 0,
        "scheduled": start,
        "eligible": start,
        "sent": sent,
        "first_token": None,
        "last_token": None,
        "done": done,
        "own_done": done,
        "outcome": ("ok", "wrong", "malformed", "error")[ended],
        "error": error,
        "malformed": why if ended == 2 else None,
        "attempts": [attempt],
        "usage": usage,
        "checks": checks if ended < 2 else [],
        "summary": None,
    }


def _stretch(block: int, position: int, arm: int, started: float, ended: float) -> dict[str, Any]:
    return {
        "block": block,
        "pipeline": ARMS[arm],
        "segment": 0,
        "repeat": block,
        "position": position,
        "warmup": block == 0,
        "started": started,
        "ended": ended,
        "trials": GROUP,
        "cpu_s": 0.05,
        "peak_rss_mb": 61.5,
        "peak_threads": 2,
        "peak_sockets": 4,
        "lag_s": [0.0005] * 20,
    }


def _manifest(blocks: int) -> dict[str, Any]:
    config = {
        "scenarios": ["made up"],
        "pipelines": list(ARMS),
        "provider": "sim:made-up",
        "concurrency": GROUP,
        "workload": "closed",
        "repeats": blocks - 1,
        "warmup": 1,
        "seed": 1,
        "target": None,
    }
    about = {"digest": "0" * 64, "kind": "news", "language": "ko", "turns": 2, "request": "바꿔 줘"}
    return {
        "schema": SCHEMA,
        "kind": "run",
        "status": "complete",
        "command": "python -m benchmarks.bench_report",
        "config": config,
        "arms": list(ARMS),
        "baseline": ARMS[0],
        "planned_trials": blocks * GROUP * len(ARMS),
        "prompt_version": "made up",
        "scenarios": {f"ko-tale-{i}": about for i in range(GROUP)},
        "provider": {"kind": "sim", "simulated": True, "profile": "made-up", "time_scale": 1.0},
        "environment": environment.describe(),
        "segments": [{"index": 0, "started": "2026-01-02T03:04:05.678+00:00", "ended": None}],
    }


if __name__ == "__main__":
    sys.exit(main())
