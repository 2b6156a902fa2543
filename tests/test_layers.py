"""A module imports only from layers below its own, so the way from records to reports is one."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import harness

ROOT = Path(harness.__file__).parent

LAYERS = """
    clock
    sync_bridge
    __init__
    exit_codes errors plain
    story
    records
    checks
    scenario
    prompt edits
    packing store
    trials
    monitor environment
    limits
    simulator
    providers
    pipelines
    workload dispatch
    trial
    runner
    config manifest execute
    stats
    validity estimands
    claims
    published
    gates outlook
    judge summary comparing
    session planning replay startup
    experiments
    load
    report
    service
    demo locust_support
    commands
    cli
    __main__
"""
"""From the bottom up. Modules on one line do not import each other; a package is one layer, whose
modules may import each other without a cycle.
"""

ORDER = {name: i for i, line in enumerate(LAYERS.strip().splitlines()) for name in line.split()}


def _modules() -> dict[str, Path]:
    """Every module by its dotted name below ``harness`` (a package by its own)."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)] = path
    return found


MODULES = _modules()


def _imports(path: Path) -> Iterator[str]:
    """What a file imports from ``harness``, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "harness":
                    yield alias.name.removeprefix("harness").removeprefix(".") or "__init__"
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: line {node.lineno}: import by the full name"
            if node.module is None or node.module.split(".")[0] != "harness":
                continue
            base = node.module.removeprefix("harness").removeprefix(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}".removeprefix(".")
                yield inner if inner in MODULES else base or "__init__"


GRAPH = {name: set(_imports(path)) for name, path in MODULES.items()}


def _layer(module: str) -> str:
    return module.split(".")[0]


def _reach(module: str) -> set[str]:
    """The layers that a module needs, by any way."""
    seen: set[str] = set()
    todo = [module]
    while todo:
        for name in GRAPH.get(todo.pop(), ()):
            if name not in seen:
                seen.add(name)
                todo.append(name)
    return {_layer(name) for name in seen}


def test_every_module_has_a_layer() -> None:
    layers = {_layer(name) for name in MODULES}
    assert layers <= ORDER.keys(), f"give a layer to {sorted(layers - ORDER.keys())}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_only_from_below(module: str) -> None:
    for imported in GRAPH[module]:
        assert imported in MODULES, f"{module} imports {imported}, which does not exist"
        mine, theirs = _layer(module), _layer(imported)
        assert mine == theirs or ORDER[theirs] < ORDER[mine], f"{module} imports {imported}"


def test_no_cycles() -> None:
    # A package's own module gathers what the package offers, so it may import all of it.
    try:
        list(TopologicalSorter(GRAPH).static_order())
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


@pytest.mark.parametrize("module", ["dispatch", "runner", "workload"])
def test_the_engine_knows_no_prompt_model_or_score(module: str) -> None:
    known = {_layer(name) for name in GRAPH[module]}
    assert not known & {"prompt", "edits", "scenario", "checks", "simulator", "providers"}


@pytest.mark.parametrize("module", ["stats", "validity", "estimands", "summary", "comparing"])
def test_figures_need_only_records(module: str) -> None:
    running = {"providers", "pipelines", "simulator", "trial", "runner", "session", "dispatch"}
    assert not _reach(module) & running


def test_the_command_line_imports_lazily() -> None:
    heavy = {"numpy", "pandas", "scipy", "matplotlib", "aiohttp", "rich", "pydantic", "statsmodels"}
    code = "import sys, harness.cli; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert not heavy & set(done.stdout.split())


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_long_module_says_why(module: str) -> None:
    lines = MODULES[module].read_text("utf-8").splitlines()
    if len(lines) > 300:
        assert "300 lines" in "\n".join(lines[:10]), f"{module} has {len(lines)} lines"
