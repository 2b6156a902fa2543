"""What tests need beyond Python. What is missing is named, and in CI nothing may be missing."""

import importlib.util
import os
import shutil
from collections import defaultdict

import hypothesis
import pytest

from harness.errors import InputError
from harness.providers.weights import default_model

# How long an example takes is a matter of what else the machine does.
hypothesis.settings.register_profile("any_machine", deadline=None)
hypothesis.settings.load_profile("any_machine")

LEFT_OUT = pytest.StashKey[dict[str, list[str]]]()


def _missing() -> dict[str, str]:
    """Marker → what its tests lack; only markers that cannot run here."""
    missing = {}
    if shutil.which("chromium") is None:
        missing["browser"] = "the program chromium (Debian: apt-get install chromium fonts-nanum)"
    try:
        default_model()
    except InputError:
        missing["local_model"] = "the local model (make local-model)"
    if importlib.util.find_spec("xllamacpp") is None:
        missing["local_model"] = "the package xllamacpp (Linux x86_64 only)"
    return missing


@pytest.fixture(autouse=True)
def own_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit, once imported, sets Matplotlib's backend for every process started later."""
    monkeypatch.delenv("MPLBACKEND", raising=False)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot run; in CI, refuse to start instead."""
    left_out: dict[str, list[str]] = defaultdict(list)
    for marker, need in _missing().items():
        for item in items:
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=f"needs {need}"))
                left_out[need].append(item.nodeid)
    config.stash[LEFT_OUT] = left_out
    if left_out and os.environ.get("CI"):
        raise pytest.UsageError(f"in CI no test may be left out, but these lack {list(left_out)}")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Name the tests that were left out, and what they need."""
    for need, names in config.stash.get(LEFT_OUT, {}).items():
        terminalreporter.section(f"left out for want of {need}")
        for name in names:
            terminalreporter.line(name)
