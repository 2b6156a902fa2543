"""Bodies of answers on their way to one file, written by a thread so that the loop never waits."""

import threading
from pathlib import Path
from queue import SimpleQueue

from harness.errors import InputError


class Spool:
    """Appends bodies to ``path``. Raises InputError when the file cannot be opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = 0
        self._queue: SimpleQueue[list[bytes] | None] = SimpleQueue()
        self._error: OSError | None = None
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise self._failed(error) from error
        self._writer = threading.Thread(target=self._write, name="spool", daemon=True)
        self._writer.start()

    def add(self, pieces: list[bytes], size: int) -> int:
        """Take a body of ``size`` bytes; gives the place in the file at which it begins."""
        at = self._size
        self._size += size
        self._queue.put(pieces)
        return at

    def check(self) -> None:
        """Raises InputError when writing has failed."""
        if self._error is not None:
            raise self._failed(self._error)

    def close(self) -> None:
        """Write what is left. Raises InputError when that failed."""
        self._queue.put(None)
        self._writer.join()
        try:
            self._file.close()
        except OSError as error:
            self._error = self._error or error
        self.check()

    def _write(self) -> None:
        while (pieces := self._queue.get()) is not None:
            if self._error is None:
                try:
                    self._file.writelines(pieces)
                except OSError as error:
                    self._error = error

    def _failed(self, error: OSError) -> InputError:
        return InputError(f"{self._path}: answers cannot be written: {error.strerror}")
