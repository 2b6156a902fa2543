"""The share of a run that one process writes: its records, and at its end what it used.

A lock is held for as long as the writer lives, so whoever puts the parts together can tell one
that is being written from one whose writer was killed.
"""

import fcntl
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from harness.errors import InputError
from harness.records import BlockRecord, TrialRecord, block_from_dict, trial_from_dict

PARTS = ".parts"
SUFFIX = ".jsonl"
MOST_ANSWERS = 1_000  # of each outcome and process: for the failure gallery, not an archive


@dataclass(frozen=True, slots=True)
class Line:
    """A trial as a part holds it. ``text``: the answer's; None: none, or not kept."""

    record: TrialRecord
    text: str | None


class PartWriter:
    """Writes ``.parts/NAME.jsonl`` in a run's folder. Every method raises InputError when the disk
    does not take it.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / PARTS / f"{name}{SUFFIX}"
        self._answers: Counter[str] = Counter()
        self.trials = 0
        try:
            self._path.parent.mkdir(exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL
            self._file = os.open(self._path, flags, 0o644)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise self._cannot(error) from error

    def write(self, record: TrialRecord, text: str | None) -> None:
        """Keep a trial, and its answer while there are few of its outcome."""
        self._answers[record.outcome] += text is not None
        kept = text if self._answers[record.outcome] <= MOST_ANSWERS else None
        self._write({"trial": record, "text": kept})
        self.trials += 1

    def close(self, used: BlockRecord) -> None:
        """Write what the process used, which marks the part as whole."""
        try:
            self._write({"used": used})
        finally:
            os.close(self._file)

    def _write(self, line: dict[str, Any]) -> None:
        view = memoryview(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            raise self._cannot(error) from error

    def _cannot(self, error: OSError) -> InputError:
        return InputError(f"{self._path}: cannot be written: {error.strerror}")


class Part:
    """A part, for reading."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.used: BlockRecord | None = None
        """What its process used; None until ``lines`` has run to the end, and where it was killed.
        """

    @property
    def being_written(self) -> bool:
        """Whether its writer still lives."""
        with self._path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def lines(self) -> Iterator[Line]:
        """Every whole line, in the order of writing; a torn last one is passed over."""
        with self._path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    return
                data = orjson.loads(line)
                if "used" in data:
                    self.used = block_from_dict(data["used"])
                else:
                    yield Line(trial_from_dict(data["trial"]), data["text"])


def parts(folder: Path) -> list[Part]:
    """The parts of a run, by name."""
    return [Part(path) for path in sorted((folder / PARTS).glob(f"*{SUFFIX}"))]


def remove_parts(folder: Path) -> None:
    """Remove them, once they are put together."""
    shutil.rmtree(folder / PARTS, ignore_errors=True)
