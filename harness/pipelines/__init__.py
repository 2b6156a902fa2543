"""Pipelines, and how ``--pipelines`` names them."""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, get_args

from harness.errors import InputError
from harness.pipelines.async_ import Async
from harness.pipelines.base import Connected, Dispatch, Pipeline, PipelineResult, Settings
from harness.pipelines.batched import Batched
from harness.pipelines.fallback import Fallback
from harness.pipelines.service import OverHttp
from harness.pipelines.streaming import Streaming
from harness.pipelines.sync import Sync
from harness.pipelines.sync_threads import SyncThreads

__all__ = [
    "PIPELINES",
    "Connected",
    "Dispatch",
    "Pipeline",
    "PipelineResult",
    "Settings",
    "make_pipeline",
]

PIPELINES: dict[str, Callable[[Settings], Pipeline]] = {
    made.name: made for made in (Sync, SyncThreads, Async, Batched, Streaming, Fallback)
}


def make_pipeline(spec: str, settings: Settings) -> tuple[Pipeline, Dispatch]:
    """A shipped pipeline by name, ``service:URL``, or a user's own by ``module:object``, and how to
    run it.

    A user's object may be a class (called without arguments). It runs as tasks when its ``edit``
    is ``async def``, otherwise on threads, unless it has a ``dispatch`` of its own. Raises
    InputError when there is no such pipeline or it is not one.
    """
    if spec in PIPELINES:
        made = PIPELINES[spec](settings)
        return made, made.dispatch  # type: ignore[attr-defined]
    if spec.startswith("service:"):
        over_http = OverHttp(spec.removeprefix("service:"))
        return over_http, over_http.dispatch
    if ":" not in spec:
        known = ", ".join(PIPELINES)
        raise InputError(
            f"{spec!r}: no such pipeline; known are {known}, service:URL, or your module:object"
        )
    found = _import(spec)
    if not callable(getattr(found, "edit", None)):
        raise InputError(f"{spec}: has no method edit(scenario, provider)")
    name = getattr(found, "name", spec)
    if not isinstance(name, str) or not name.strip() or "@" in name:
        raise InputError(f"{spec}: its name must be a text without '@', not {name!r}")
    try:
        found.name = name
    except AttributeError as error:
        raise InputError(f"{spec}: takes no name of its own: {error}") from error
    awaits = inspect.iscoroutinefunction(found.edit)
    default = "tasks" if awaits else "threads"
    dispatch = getattr(found, "dispatch", default)
    if dispatch not in get_args(Dispatch):
        known = ", ".join(get_args(Dispatch))
        raise InputError(f"{spec}: its dispatch must be one of {known}, not {dispatch!r}")
    if awaits and dispatch in ("serial", "threads"):
        raise InputError(f"{spec}: its edit is async, so its dispatch cannot be {dispatch!r}")
    if not awaits and dispatch in ("tasks", "batches"):
        raise InputError(
            f"{spec}: its edit blocks, so its dispatch cannot be {dispatch!r}; make it async"
        )
    return cast(Pipeline, found), cast(Dispatch, dispatch)


def _import(spec: str) -> Any:
    module_name, _, path = spec.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise InputError(f"{spec}: cannot import {module_name}: {error!r}") from error
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise InputError(f"{spec}: {module_name} has no {path}") from error
    if not inspect.isclass(found):
        return found
    try:
        return found()
    except Exception as error:
        raise InputError(f"{spec}: cannot be made without arguments: {error!r}") from error
