"""A run on disk: manifest, append-only records, blocks and answers; torn lines mended on resume.

Each line is one ``write`` straight to the file, the answers of a trial before its record, so a
killed process loses no trial whose record it had begun to keep, and at most one line is torn.
"""

import contextlib
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
MANIFEST_KEYS = (
    *("status", "command", "config", "arms", "baseline", "planned_trials", "prompt_version"),
    *("scenarios", "provider", "environment", "segments"),
)
LINES = (RECORDS, BLOCKS, ANSWERS)


class RunWriter:
    """The one writer of a run's folder; a lock keeps a second process out."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest
        self._files: dict[str, int] = {}
        self._failure = ""
        try:
            self._lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _cannot_write(folder, error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise InputError(f"{folder}: another process is writing this run") from error

    @classmethod
    def create(cls, folder: Path, manifest: dict[str, Any], or_else: str = "") -> "RunWriter":
        """A new run. Raises InputError when the folder cannot be written, or holds another run;
        ``or_else`` then says what can be done beside giving another folder.
        """
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder}: is not a folder; give another --out")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot_write(folder, error) from error
        writer = cls(folder, manifest)
        try:
            if _holds_run(folder):
                raise InputError(f"{folder}: holds another run; give another --out{or_else}")
            writer.save_manifest()
        except BaseException:
            writer.close()
            raise
        return writer

    @classmethod
    def resume(cls, folder: Path) -> "RunWriter":
        """An existing run, its torn last lines cut off. Raises InputError when there is none."""
        manifest = read_manifest(folder)
        writer = cls(folder, manifest)
        try:
            for name in LINES:
                _mend(folder / name)
            _drop_orphans(folder)
        except BaseException as error:
            writer.close()
            if isinstance(error, OSError):
                raise _cannot_write(folder, error) from error
            raise
        return writer

    def append(self, record: rec.TrialRecord, answers: Sequence[rec.Answer]) -> None:
        """Keep one trial; when this returns, the kernel has it. Raises InputError if it cannot."""
        if answers:
            self._write(ANSWERS, b"".join(map(_line, answers)))
        self._write(RECORDS, _line(record))

    def append_block(self, block: rec.BlockRecord) -> None:
        """Keep one arm's stretch of one block."""
        self._write(BLOCKS, _line(block))

    def save_manifest(self) -> None:
        """Replace ``run.json`` in one step."""
        write_atomically(self.folder / MANIFEST, dump(self.manifest))

    def drop_if_unbegun(self) -> None:
        """Leave nothing behind of a run that never got as far as its first segment."""
        if self.manifest["segments"]:
            return
        for name in (MANIFEST, ".lock"):
            (self.folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it holds something of somebody else's
            self.folder.rmdir()

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
        """Append. After one failure nothing more is written, so that only a last line is torn."""
        if self._failure:
            raise InputError(self._failure)
        try:
            if name not in self._files:
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                self._files[name] = os.open(self.folder / name, flags, 0o644)
            view = memoryview(data)
            while view:
                view = view[os.write(self._files[name], view) :]
        except OSError as error:
            self._failure = (
                f"{self.folder / name}: cannot be written: {error.strerror}; what is recorded is "
                f"kept: mend that, then go on with --resume --out {self.folder}"
            )
            raise InputError(self._failure) from error


@dataclass(frozen=True, slots=True)
class Run:
    """A recorded run, read whole."""

    folder: Path
    manifest: dict[str, Any]
    records: list[rec.TrialRecord]
    blocks: list[rec.BlockRecord]


def read_run(folder: Path) -> Run:
    """Read a run, finished or not; a torn last line is passed over. Raises InputError."""
    return Run(folder, read_manifest(folder), list(each_record(folder)), read_blocks(folder))


def each_record(folder: Path) -> Iterator[rec.TrialRecord]:
    """The records of a run, one after the other. Raises InputError."""
    return _lines(folder / RECORDS, rec.trial_from_dict)


def read_blocks(folder: Path) -> list[rec.BlockRecord]:
    """The stretches of a run's blocks. Raises InputError."""
    return list(_lines(folder / BLOCKS, rec.block_from_dict))


def read_answers(folder: Path) -> list[rec.Answer]:
    """The reply texts of a run. Raises InputError."""
    return list(each_answer(folder))


def each_answer(folder: Path) -> Iterator[rec.Answer]:
    """The reply texts of a run, one after the other. Raises InputError."""
    return _lines(folder / ANSWERS, rec.answer_from_dict)


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
    for key in MANIFEST_KEYS:
        if key not in manifest:
            raise InputError(f"{path}: {key}: is missing, so this is no manifest of a run")
    return manifest


def _line(record: Any) -> bytes:
    """A record as one line of JSON; lone surrogates, which UTF-8 cannot hold, become ``?``."""
    try:
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:
        text = json.dumps(rec.to_dict(record), ensure_ascii=False)
        return text.encode("utf-8", "replace") + b"\n"


def whole_lines(path: Path) -> Iterator[bytes]:
    """Every whole line of a file, none of one that does not exist; a last line without its newline
    is torn. Raises InputError.
    """
    if not path.exists():
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    with file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


def _lines(path: Path, read: Callable[[dict[str, Any]], T]) -> Iterator[T]:
    for number, line in enumerate(whole_lines(path), start=1):
        try:
            yield read(orjson.loads(line))
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
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
    kept = {record.trial for record in each_record(folder)}
    whole = 0
    for answer in _lines(path, rec.answer_from_dict):
        if answer.trial not in kept:
            break
        whole += 1
    with path.open("r+b") as file:
        for _ in range(whole):
            file.readline()
        file.truncate(file.tell())


def _holds_run(folder: Path) -> bool:
    """Whether a run has begun here; one whose provider never opened left only its manifest."""
    if any((folder / name).exists() for name in LINES):
        return True
    try:
        return bool(read_manifest(folder)["segments"])
    except InputError:
        return (folder / MANIFEST).exists()


def _cannot_write(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be written: {error.strerror}")


def dump(data: Any) -> bytes:
    """Readable JSON with a closing newline."""
    return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file in one step, so that no reader sees half of it. Raises InputError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _cannot_write(path, error) from error
