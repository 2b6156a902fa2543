"""Every kind of page that there is, made from small runs, for tests that look at them all."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.records import Outcome
from harness.report.html import page
from harness.report.publish import PAGE, publish, report, summary_of
from harness.report.searched import CAPACITY
from harness.validity import LOAD
from tests.report.build import trial, whole, write
from tests.report.golden import DATA


def run_page(folder: Path, lang: str) -> str:
    whole(folder / "run")
    return page(*summary_of(folder / "run"), lang)


def comparison(folder: Path, lang: str) -> str:
    for name in ("a", "b"):
        whole(folder / name, arms=("sync", "async", *(("batched",) if name == "b" else ())))
    return report([folder / "a", folder / "b"], "html", lang).read_text("utf-8")


def load_page(folder: Path, lang: str) -> str:
    load_run(folder / "load")
    publish(folder / "load", lang)
    return (folder / "load" / PAGE).read_text("utf-8")


def capacity_page(folder: Path, lang: str) -> str:
    shutil.copy(DATA / "capacity.json", folder / CAPACITY)
    publish(folder, lang)
    return (folder / PAGE).read_text("utf-8")


def locust_page(folder: Path, lang: str) -> str:
    locust_run(folder / "run")
    return page(*summary_of(folder / "run"), lang)


def locust_run(folder: Path, **changes: Any) -> None:
    """A run of several routes at once, each a block, as Locust leaves it; all kinds of failures."""
    ends: list[Outcome] = [*["ok"] * 36, "wrong", "malformed", "error", "cancelled"]  # type: ignore[list-item]
    records = [
        trial(route, i % 8, block, start=0.2 * i, took=0.1 + 0.001 * i, outcome=ends[i % 40])
        for block, route in enumerate(ROUTES)
        for i in range(80)
    ]
    write(folder, records, ROUTES, kind="locust", planned_trials=None, **changes)


def load_run(folder: Path) -> None:
    """A load of one arm in one block, as ``harness load`` leaves it."""
    records = [
        trial("load", i % 8, 0, start=0.05 * i, outcome="error" if i % 20 == 7 else "ok")
        for i in range(200)
    ]
    write(folder, records, ["load"], kind="load", planned_trials=None)
    shutil.copy(DATA / "load.json", folder / LOAD)


ROUTES = ("edit-scenario", "edit-scenario-async", "edit-scenario-stream", "jobs")
PAGES: dict[str, Callable[[Path, str], str]] = {
    "run": run_page,
    "comparison": comparison,
    "load": load_page,
    "locust": locust_page,
    "capacity": capacity_page,
}
