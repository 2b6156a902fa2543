"""Locust stays out of the package: importing it replaces sockets and threads for everybody."""

import ast
import subprocess
import sys
from pathlib import Path

import harness

ROOT = Path(harness.__file__).parent
SUPPORT = ROOT / "locust_support"
REPLACING = ("locust", "gevent", "geventhttpclient")
PURE = ("curves", "merging", "parts", "sse", "trials", "verdicts")


def _imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_nothing_else_imports_it() -> None:
    for path in ROOT.rglob("*.py"):
        if SUPPORT not in path.parents:
            for name in _imported(path):
                assert name.split(".")[0] not in REPLACING, path
                if name.startswith("harness.locust_support"):
                    assert name.split(".")[2] in PURE, path


def test_what_needs_no_locust_imports_none() -> None:
    """So that it can be tested, and parts put together, without its replacing anything."""
    names = ", ".join(f"harness.locust_support.{name}" for name in PURE)
    code = f"import sys, {names}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(REPLACING) & set(done.stdout.split())
