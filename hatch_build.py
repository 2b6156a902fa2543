"""Compiles the part of the load engine that is C, where there is a compiler; it works without."""

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE, LIBRARY = "harness/load/spot.c", "harness/load/_spot.so"


class CompileHook(BuildHookInterface):  # type: ignore[type-arg]
    """A wheel with the compiled part is for this platform, but for any Python."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        library, fresh = root / LIBRARY, root / f"{LIBRARY}.{os.getpid()}"
        compiler = shlex.split(os.environ.get("CC", "cc"))
        options = ["-O2", "-shared", "-fPIC", "-o", str(fresh), str(root / SOURCE)]
        try:
            subprocess.run([*compiler, *options], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            library.unlink(missing_ok=True)
            print(f"harness: streams will cost more, no C compiler: {error}", file=sys.stderr)
            return
        fresh.replace(library)  # a process that uses the former goes on with that
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
        build_data["artifacts"].append(LIBRARY)
