"""Where a run was made: versions, machine, git revision. No names of users or hosts."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import psutil

from harness import __version__

PACKAGES = (
    "aiohttp",
    "asyncio-throttle",
    "matplotlib",
    "numpy",
    "orjson",
    "pandas",
    "scipy",
    "statsmodels",
    "urllib3",
    "uvloop",
    "xllamacpp",
)


def describe() -> dict[str, Any]:
    """Versions and machine, as the manifest keeps them; None for what is not known."""
    return {
        "harness": __version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpus": usable_cpus(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "git": _git(),
    }


def usable_cpus() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git() -> str | None:
    """The revision of the checkout that this package runs from, ``-dirty`` when it has changes."""
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=here,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
