"""The parts of a run → one run: records in order of time, every trial named, the manifest ended."""

import heapq
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import InputError
from harness.locust_support.parts import Line, Part, parts, remove_parts
from harness.records import Answer, BlockRecord
from harness.store import LINES, MANIFEST, RunWriter, read_manifest

PATIENCE_S = 60.0  # as long as Locust's master waits for its workers
POLL_S = 0.05
TOGETHER = "locust"  # what a process used for several routes at once belongs to none of them


def gather(folder: Path) -> None:
    """Put together the parts of a run whose Locust was killed, which makes it ``interrupted``.

    Every other folder is left as it is. Raises InputError while a process still writes the run.
    """
    if not (folder / MANIFEST).exists():
        return
    manifest = read_manifest(folder)
    if manifest.get("kind") != "locust" or manifest["status"] != "running":
        return
    with RunWriter.resume(folder) as writer:
        if any(part.being_written for part in parts(folder)):
            raise InputError(
                f"{folder}: Locust was killed, but workers of it still write; they notice within "
                "a minute: try again then"
            )
        merge(writer, time.sleep, whole=False)


def merge(writer: RunWriter, wait: Callable[[float], None], *, whole: bool) -> int:
    """Put the parts into the run, and give it its status; how many trials there are.

    Each route is a block by itself: users of several routes at once are no pairs to be compared.
    What began before all users were there is warm-up, in blocks of its own. Waits for processes
    that still write, with ``wait(seconds)``. ``whole``: the test went on for as long as it was to.
    If it did not, or a part's process was killed, the run is ``interrupted``; what was written is
    kept. Raises InputError.
    """
    manifest = writer.manifest
    spawned = manifest["segments"][0].get("spawned", 0.0)
    warm_until = math.inf if spawned is None else spawned
    for name in LINES:  # of a merge that was killed
        (writer.folder / name).unlink(missing_ok=True)
    found = parts(writer.folder)
    settled = _settled(found, wait)
    repeats: Counter[tuple[str, str]] = Counter()
    blocks: dict[tuple[str, bool], int] = {}
    for line in heapq.merge(*(part.lines() for part in found), key=_written):
        record = replace(line.record, warmup=line.record.scheduled < warm_until)
        key = record.pipeline, record.scenario
        name = f"{record.scenario}/{record.pipeline}/{repeats[key]}"
        answers = () if line.text is None else (Answer(name, 0, "edit", line.text),)
        block = blocks.setdefault((record.pipeline, record.warmup), len(blocks))
        writer.append(replace(record, trial=name, repeat=repeats[key], block=block), answers)
        repeats[key] += 1
    arms = sorted({arm for arm, _ in blocks})
    used = [part.used for part in found if part.used is not None]
    for each in _blocks(used, blocks):
        writer.append_block(each)
    ended = settled and bool(found) and len(used) == len(found)
    if arms:
        manifest["arms"], manifest["baseline"] = arms, arms[0]
    manifest["status"] = "complete" if whole and ended else "interrupted"
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


def _blocks(
    used: Sequence[BlockRecord], blocks: Mapping[tuple[str, bool], int]
) -> list[BlockRecord]:
    """What the processes used. It is a route's own only where one process drove one route."""
    counted = [(arm, block) for (arm, warmup), block in blocks.items() if not warmup]
    if len(used) == 1 and len(counted) == 1:
        return [replace(used[0], block=counted[0][1], pipeline=counted[0][0])]
    return [replace(block, block=i, pipeline=TOGETHER) for i, block in enumerate(used)]
