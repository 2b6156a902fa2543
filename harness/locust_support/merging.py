"""The parts of a run → one run: records in order of time, every trial named, the manifest ended."""

import datetime
import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.locust_support.parts import Line, Part, parts, remove_parts
from harness.records import Answer, BlockRecord
from harness.store import RunWriter

PATIENCE_S = 60.0  # as long as Locust's master waits for its workers
POLL_S = 0.05
TOGETHER = "locust"  # what a process used for several routes at once belongs to none of them


def merge(writer: RunWriter, wait: Callable[[float], None]) -> int:
    """Put the parts into the run, and end it; how many trials there are.

    Each route is a block by itself: users of several routes at once are no pairs to be compared.
    Waits for processes that still write, with ``wait(seconds)``. A part whose process was killed
    makes the run ``interrupted``; what it wrote is kept. Raises InputError.
    """
    found = parts(writer.folder)
    settled = _settled(found, wait)
    repeats: Counter[tuple[str, str]] = Counter()
    blocks: dict[str, int] = {}
    for line in heapq.merge(*(part.lines() for part in found), key=_written):
        record = line.record
        key = record.pipeline, record.scenario
        name = f"{record.scenario}/{record.pipeline}/{repeats[key]}"
        answers = () if line.text is None else (Answer(name, 0, "edit", line.text),)
        block = blocks.setdefault(record.pipeline, len(blocks))
        writer.append(replace(record, trial=name, repeat=repeats[key], block=block), answers)
        repeats[key] += 1
    arms = sorted(blocks)
    used = [part.used for part in found if part.used is not None]
    for each in _blocks(used, arms):
        writer.append_block(each)
    whole = settled and bool(found) and len(used) == len(found)
    manifest = writer.manifest
    if arms:
        manifest["arms"], manifest["baseline"] = arms, arms[0]
    manifest["status"] = "complete" if whole else "interrupted"
    manifest["segments"][0]["ended"] = datetime.datetime.now(datetime.UTC).isoformat(
        timespec="milliseconds"
    )
    writer.save_manifest()
    if settled:
        remove_parts(writer.folder)
    return repeats.total()


def _settled(found: Sequence[Part], wait: Callable[[float], None]) -> bool:
    """Whether every process has ended its part within the time that it is given."""
    for _ in range(round(PATIENCE_S / POLL_S)):
        if not any(part.being_written for part in found):
            return True
        wait(POLL_S)
    return False


def _written(line: Line) -> float:
    """When a line was written, as near as matters: parts are in this order or nearly so."""
    record = line.record
    done = record.attempts[-1].done if record.attempts else None
    return record.scheduled if done is None else done


def _blocks(used: Sequence[BlockRecord], arms: Sequence[str]) -> list[BlockRecord]:
    """What the processes used. It is a route's own only where one process drove one route."""
    if len(used) == 1 and len(arms) == 1:
        return [replace(used[0], pipeline=arms[0])]
    return [replace(block, block=i, pipeline=TOGETHER) for i, block in enumerate(used)]
