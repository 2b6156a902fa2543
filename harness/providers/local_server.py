"""A real local model behind an OpenAI-compatible URL: llama.cpp's server in a child process."""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from harness.environment import usable_cpus
from harness.errors import InputError
from harness.providers import weights

CHILD = Path(__file__).with_name("local_child.py")
ENGINE = "xllamacpp"
STDERR_LINES = 40
# "0.00.147.999 E llama_model_load: error loading model: …"
_ENGINE_ERROR = re.compile(r"\d+\.\d\d\.\d{3}\.\d{3} E +(?P<text>.*)")


class LocalServer:
    """Starts the server, says where it is, and leaves nothing behind.

    ``model`` is a GGUF file (None: the pinned one of ``make local-model``). ``slots`` requests run
    at once, each in a context of its own of ``context`` tokens, prompt and answer together; a
    longer prompt is refused with 400. ``threads`` None is every CPU that this process may use.

    ``prompt_cache`` lets a slot keep the processed prompt for the next request that begins alike.
    It is off, because whichever arm came second with a scenario would find it warm.

    ``start`` and ``stop`` block and may be called from different threads; a server starts once.
    """

    def __init__(
        self,
        model: Path | None = None,
        *,
        slots: int = 4,
        context: int = 4096,
        threads: int | None = None,
        prompt_cache: bool = False,
    ) -> None:
        if slots < 1:
            raise InputError(f"local model: slots is {slots}; it must be 1 or more")
        if context < 256:
            raise InputError(f"local model: context is {context} tokens; it must be 256 or more")
        if threads is not None and threads < 1:
            raise InputError(f"local model: threads is {threads}; it must be 1 or more")
        self._given = model
        self._slots = slots
        self._context = context
        self._threads = threads or usable_cpus()
        self._prompt_cache = prompt_cache
        self._model: Path | None = None
        self._url: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._drain: threading.Thread | None = None
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._lock = threading.Lock()  # held while the process is made or ended
        self._stopped = False

    @property
    def model(self) -> Path:
        """The GGUF file. Raises InputError when it is missing or is none."""
        if self._model is None:
            path = weights.default_model() if self._given is None else self._given
            _require_gguf(path)
            self._model = path.resolve()
        return self._model

    @property
    def base_url(self) -> str:
        """``http://127.0.0.1:PORT/v1``; only after ``start``."""
        if self._url is None:
            raise RuntimeError("the local server has not been started")
        return f"{self._url}/v1"

    @property
    def pid(self) -> int | None:
        """The child's process id; None before ``start`` and after ``stop``."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """Whether the child is up; after a crash ``failure`` says what it said last."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = 120.0) -> Self:
        """Start the child and wait until it can take requests, at most ``timeout`` seconds.

        Raises InputError in one line, with nothing left running, when it cannot.
        """
        model = self.model
        if importlib.util.find_spec(ENGINE) is None:
            raise InputError(
                "the local model's engine is not installed; install it with `pip install -e "
                "'.[local]'` in the project's folder (Linux x86_64), or point --provider at a URL"
            )
        settings = {
            "model": str(model),
            "slots": self._slots,
            "context": self._context,
            "threads": self._threads,
            "prompt_cache": self._prompt_cache,
        }
        with self._lock:
            if self._stopped or self._process is not None:
                raise RuntimeError("a local server starts once")
            # By path and with -P, so that neither the package nor the working directory is
            # imported. A session of its own: Ctrl-C reaches the parent, which then ends it.
            process = self._process = subprocess.Popen(
                [sys.executable, "-P", str(CHILD), json.dumps(settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        assert process.stdout is not None
        assert process.stderr is not None
        self._drain = threading.Thread(target=self._read, args=(process.stderr,), daemon=True)
        self._drain.start()
        try:
            line = _first_line(process.stdout, timeout)
            if line is None:
                raise InputError(f"{model.name}: the engine was not ready within {timeout:g} s")
            if not line:
                process.wait(10)
                self._drain.join(1)
                raise InputError(f"{model.name}: {self.failure() or 'the engine was stopped'}")
            self._url = json.loads(line)["url"]
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self, grace: float = 3.0) -> None:
        """End the child: SIGTERM, and SIGKILL after ``grace`` seconds. Again does nothing."""
        with self._lock:
            self._stopped = True
            process, self._process = self._process, None
            if process is None:
                return
            process.terminate()
            try:
                process.wait(grace)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._drain is not None:
            self._drain.join(1)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()

    def failure(self) -> str | None:
        """Why the child died, in one line; None while it runs or after ``stop``."""
        code = self._process.poll() if self._process else None
        if code is None:
            return None
        if code == -signal.SIGILL:
            return "the engine met an instruction that this CPU lacks; it needs AVX2"
        if code == -signal.SIGKILL:
            return "the engine was killed, probably for want of memory; try fewer slots"
        lines = list(self._stderr)
        errors = [match["text"] for line in lines if (match := _ENGINE_ERROR.match(line))]
        if self._url is None and errors:  # the first names the cause, the rest its consequences
            return f"the engine could not start: {errors[0]}"
        last = " / ".join(line.strip() for line in lines[-2:]) or f"exit status {code}"
        return f"the engine ended: {last}"

    def describe(self) -> dict[str, str | int | bool | None]:
        """Engine, model and settings, for the manifest; reads the whole model once."""
        model = self.model
        try:
            version = importlib.metadata.version(ENGINE)
        except importlib.metadata.PackageNotFoundError:
            version = None
        return {
            "engine": ENGINE,
            "engine_version": version,
            "model": model.name,
            "size_bytes": model.stat().st_size,
            "sha256": weights.SHA256 if self._given is None else _sha256(model),
            "slots": self._slots,
            "context_per_slot": self._context,
            "threads": self._threads,
            "prompt_cache": self._prompt_cache,
            "kv_unified": False,
            "use_jinja": True,
        }

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _read(self, stderr: IO[bytes]) -> None:
        """Keep the child's last lines; unread, a full pipe would stop it."""
        for line in stderr:
            self._stderr.append(line.decode("utf-8", "replace").rstrip())


def _require_gguf(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give a GGUF model") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give a GGUF model") from error
    if magic != b"GGUF":
        raise InputError(f"{path}: not a GGUF model (it does not begin with 'GGUF')")


def _first_line(stdout: IO[bytes], timeout: float) -> bytes | None:
    """The first line; empty when the stream ends without one, None when none comes in time."""
    deadline = time.monotonic() + timeout
    line = b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([stdout], [], [], left)[0]:
            return None
        chunk = os.read(stdout.fileno(), 4096)
        if not chunk:
            return b""
        line += chunk
    return line


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
