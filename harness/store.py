"""A run on disk: manifest, append-only records, blocks and answers; torn lines mended on resume.

Each line is one ``write`` straight to the file, the answers of a trial before its record, so a
killed process loses no trial whose record it had begun to keep, and at most one line is torn.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import orjson

from harness import records as rec
from harness.errors import InputError

T = TypeVar("T")
MANIFEST = "run.json"
RECORDS = "records.jsonl"
BLOCKS = "blocks.jsonl"
ANSWERS = "answers.jsonl"


class RunWriter:
    """The one writer of a run's folder; a lock keeps a second process out."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest
        self._lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise InputError(f"{folder}: another process is writing this run") from error
        self._files: dict[str, int] = {}

    @classmethod
    def create(cls, folder: Path, manifest: dict[str, Any]) -> "RunWriter":
        """A new run. Raises InputError when the folder holds another or cannot be written."""
        if (folder / MANIFEST).exists():
            raise InputError(
                f"{folder}: holds another run; give another --out, or --resume to go on with it"
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            writer = cls(folder, manifest)
            writer.save_manifest()
        except OSError as error:
            raise InputError(f"{folder}: cannot be written: {error.strerror}") from error
        return writer

    @classmethod
    def resume(cls, folder: Path) -> "RunWriter":
        """An existing run, its torn last lines cut off. Raises InputError when there is none."""
        manifest = read_manifest(folder)
        writer = cls(folder, manifest)
        for name in (RECORDS, BLOCKS, ANSWERS):
            _mend(folder / name)
        _drop_orphans(folder)
        return writer

    def append(self, record: rec.TrialRecord, answers: Sequence[rec.Answer]) -> None:
        """Keep one trial; when this returns, the kernel has it."""
        if answers:
            self._write(ANSWERS, b"".join(map(_line, answers)))
        self._write(RECORDS, _line(record))

    def append_block(self, block: rec.BlockRecord) -> None:
        """Keep one arm's stretch of one block."""
        self._write(BLOCKS, _line(block))

    def save_manifest(self) -> None:
        """Replace ``run.json`` in one step."""
        write_atomically(self.folder / MANIFEST, dump(self.manifest))

    def close(self) -> None:
        for handle in self._files.values():
            os.close(handle)
        self._files.clear()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, name: str, data: bytes) -> None:
        if name not in self._files:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._files[name] = os.open(self.folder / name, flags, 0o644)
        view = memoryview(data)
        while view:
            view = view[os.write(self._files[name], view) :]


@dataclass(frozen=True, slots=True)
class Run:
    """A recorded run, read whole."""

    folder: Path
    manifest: dict[str, Any]
    records: list[rec.TrialRecord]
    blocks: list[rec.BlockRecord]


def read_run(folder: Path) -> Run:
    """Read a run, finished or not; a torn last line is passed over. Raises InputError."""
    manifest = read_manifest(folder)
    return Run(
        folder,
        manifest,
        list(_lines(folder / RECORDS, rec.trial_from_dict)),
        list(_lines(folder / BLOCKS, rec.block_from_dict)),
    )


def read_answers(folder: Path) -> list[rec.Answer]:
    """The reply texts of a run. Raises InputError."""
    return list(_lines(folder / ANSWERS, rec.answer_from_dict))


def read_manifest(folder: Path) -> dict[str, Any]:
    """``run.json`` of a run's folder. Raises InputError when there is none or it is no manifest."""
    path = folder / MANIFEST
    try:
        manifest = orjson.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{folder}: holds no run ({MANIFEST} is missing)") from error
    except (OSError, orjson.JSONDecodeError) as error:
        raise InputError(f"{path}: {error}") from error
    if not isinstance(manifest, dict) or manifest.get("schema") != rec.SCHEMA:
        found = manifest.get("schema") if isinstance(manifest, dict) else None
        raise InputError(f"{path}: schema: is {found}, this version reads {rec.SCHEMA}")
    return manifest


def _line(record: Any) -> bytes:
    """A record as one line of JSON; lone surrogates, which UTF-8 cannot hold, become ``?``."""
    try:
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        text = json.dumps(rec.to_dict(record), ensure_ascii=False)
        return text.encode("utf-8", "replace") + b"\n"


def _lines(path: Path, read: Callable[[dict[str, Any]], T]) -> Iterator[T]:
    """Every whole line of a file; a last one without its newline is torn."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield read(orjson.loads(line))
            except (orjson.JSONDecodeError, KeyError, TypeError) as error:
                raise InputError(f"{path}: line {number}: not a record: {error!r}") from error


def _mend(path: Path) -> None:
    """Cut off a torn last line."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        end = size
        while end > 0:
            start = max(0, end - 65536)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end != size:
            file.truncate(end)


def _drop_orphans(folder: Path) -> None:
    """Cut the answers of a trial whose record did not make it; it will be run again."""
    path = folder / ANSWERS
    if not path.exists():
        return
    kept = {record.trial for record in _lines(folder / RECORDS, rec.trial_from_dict)}
    end = 0
    with path.open("r+b") as file:
        for line in file:
            if orjson.loads(line)["trial"] not in kept:
                break
            end += len(line)
        file.truncate(end)


def dump(data: Any) -> bytes:
    """Readable JSON with a closing newline."""
    return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file in one step, so that no reader sees half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    temporary.replace(path)
