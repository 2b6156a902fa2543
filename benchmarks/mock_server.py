"""Compiles and runs ``mock_server.c``, a server faster than any client, and reads its log."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

SOURCE = Path(__file__).with_suffix(".c")
STOP_S = 20
TRUTH = np.dtype([(name, "<f8") for name in ("arrived", "first", "last", "end", "tokens")])


def build() -> Path:
    """The compiled server, from a cache. Raises FileNotFoundError without a C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise FileNotFoundError("the mock server needs a C compiler (Debian: apt-get install gcc)")
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"harness-mock-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    program = folder / f"mock_server-{digest}"
    if not program.exists():
        fresh = program.with_suffix(f".{os.getpid()}")
        flags = ["-O2", "-Wall", "-Wextra", "-Werror"]
        subprocess.run([compiler, *flags, "-o", fresh, SOURCE], check=True, timeout=60)
        fresh.rename(program)
    return program


@contextmanager
def running(*options: str, log: Path | None = None, core: int | None = None) -> Iterator[str]:
    """A server on a free port; gives its URL. ``options`` are those of ``mock_server.c``.

    ``log`` is written when the block ends. ``core``: the processor that it is bound to.
    """
    logged = () if log is None else ("--log", log)
    pinned = () if core is None else ("taskset", "-c", str(core))
    command: list[str | Path] = [*pinned, build(), *options, *logged]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().removeprefix("listening on ").strip()
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def read_truth(log: Path) -> npt.NDArray[np.void]:
    """The server's own stamps, one row a request in order of their ends: see ``TRUTH``."""
    return np.fromfile(log, TRUTH)
