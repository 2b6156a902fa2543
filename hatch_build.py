"""Compiles the part of the load engine that is C, where there is a compiler; it works without."""

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
import zlib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE, LIBRARY = "harness/load/spot.c", "harness/load/_spot.so"


def compile_library(source: Path, library: Path) -> str | None:
    """Compile with ``CC``, or ``cc``; gives why that failed, or None.

    The library knows of which source it was made, so that ``spotting`` does not use an old one.
    """
    made_of = f"-DSOURCE={zlib.crc32(source.read_bytes())}"
    options = ["-O2", "-shared", "-fPIC", made_of, "-o", str(library), str(source)]
    try:
        compiler = shlex.split(os.environ.get("CC", "cc"))
        subprocess.run([*compiler, *options], check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        return f"{shlex.join(compiler)}: {error.stderr.strip() or error}"
    except (OSError, ValueError) as error:
        return f"no C compiler: {error}"
    return None


class CompileHook(BuildHookInterface[Any]):
    """A wheel with the compiled part is for this platform, but for any Python.

    Where the package is installed from its source tree the library goes there.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        self._folder = tempfile.TemporaryDirectory()
        made = Path(self._folder.name, "_spot.so")
        why = compile_library(root / SOURCE, made)
        if why is None and version == "editable":
            fresh = root / f"{LIBRARY}.{os.getpid()}"
            try:
                fresh.write_bytes(made.read_bytes())
                fresh.replace(root / LIBRARY)  # a process that uses the former goes on with that
            except OSError as error:
                why = str(error)
        elif why is None:
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["tag"] = f"py3-none-{platform}"
            build_data["pure_python"] = False
            build_data["force_include"][str(made)] = LIBRARY
        if why is not None:
            print(f"harness: not compiled, so streams will cost more: {why}", file=sys.stderr)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self._folder.cleanup()
