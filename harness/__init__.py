"""A benchmarking and evaluation harness for LLM edit pipelines."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.sync_bridge import run_sync as run_sync

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "run_sync":  # not before: asyncio loads longer than the whole command line
        from harness.sync_bridge import run_sync

        return run_sync
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
