"""Recorded runs, read for the page: which there are, their figures, their trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from harness.edits import read_story
from harness.errors import InputError
from harness.records import TrialRecord
from harness.report import digits
from harness.store import MANIFEST, RECORDS, Run, read_answers, read_manifest, read_run
from harness.story import Story, StoryError, parse_story

MOST_BYTES = 64 * 1024 * 1024
SUMMARY, REPORT = "summary.json", "index.html"
Summary: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Recorded:
    """One run. ``summary`` is None when its folder has none."""

    run: Run
    summary: Summary | None

    @cached_property
    def replies(self) -> dict[str, str]:
        """Trial → the last reply to its edit call."""
        answers = read_answers(self.run.folder)
        return {answer.trial: answer.text for answer in answers if answer.call == "edit"}

    def trials(self, outcome: str | None, pipeline: str | None) -> list[TrialRecord]:
        """Those that count, of one outcome and pipeline; None: of any."""
        return [
            record
            for record in self.run.records
            if not record.warmup
            and outcome in (None, record.outcome)
            and pipeline in (None, record.pipeline)
        ]

    def request(self, record: TrialRecord) -> str | None:
        """What was asked, where the run keeps it."""
        found = self.run.manifest["scenarios"].get(record.scenario, {}).get("request")
        return None if found is None else str(found)

    def language(self, record: TrialRecord) -> str | None:
        found = self.run.manifest["scenarios"].get(record.scenario, {}).get("language")
        return None if found is None else str(found)

    def before(self, record: TrialRecord) -> Story | None:
        """The story that was to be edited, where the run keeps it."""
        try:
            return parse_story(self.run.manifest["scenarios"][record.scenario]["story"])
        except (KeyError, StoryError):
            return None

    def after(self, record: TrialRecord) -> Story | None:
        """The story in the trial's reply, if there is one."""
        found = read_story(self.replies.get(record.trial, ""))
        return found if isinstance(found, Story) else None


def find_runs(folder: Path) -> list[Path]:
    """The runs directly in a folder, by name."""
    return sorted(
        path.parent for path in folder.glob(f"*/{MANIFEST}") if _kind(path.parent) == "run"
    )


def size(folder: Path) -> int:
    """Bytes of a run's records."""
    path = folder / RECORDS
    return path.stat().st_size if path.exists() else 0


def stamp(folder: Path) -> int:
    """Another number whenever the run has been written to."""
    paths = (folder / name for name in (MANIFEST, RECORDS, SUMMARY))
    return max(path.stat().st_mtime_ns for path in paths if path.exists())


def read(folder: Path) -> Recorded:
    """Raises InputError."""
    path = folder / SUMMARY
    try:
        summary = orjson.loads(path.read_bytes()) if path.exists() else None
    except (OSError, orjson.JSONDecodeError) as error:
        raise InputError(f"{path}: {error}") from error
    return Recorded(read_run(folder), summary)


def rows(summary: Summary) -> list[list[tuple[str, str]]]:
    """The figures of each arm as (value, interval), both text: its name, right answers, response
    time p50 and p95, first token p50, throughput.
    """
    arms = summary["pipelines"]
    times = [arms[arm]["response_time_s"] for arm in arms]
    factor, unit = digits.time_unit(found["p95"] for found in times if found)
    return [
        [
            (arm, f"n = {figures['trials']}"),
            _share(figures["success"]),
            _time(figures["response_time_s"], "p50", factor, unit),
            _time(figures["response_time_s"], "p95", factor, unit),
            _time(figures["ttft_s"], "p50", factor, unit),
            _rate(figures["throughput_per_s"]),
        ]
        for arm, figures in arms.items()
    ]


def _kind(folder: Path) -> str | None:
    try:
        return str(read_manifest(folder).get("kind"))
    except InputError:
        return None


def _share(success: Mapping[str, Any]) -> tuple[str, str]:
    if success["rate"] is None:
        return "—", ""
    shown = digits.number(100 * success["rate"], 0)
    return f"{shown} %", _interval(success["ci95"], 100, 0)


def _time(found: Mapping[str, Any] | None, name: str, factor: float, unit: str) -> tuple[str, str]:
    """A quantile with its interval; without one it is not shown, and the reason stands there."""
    if found is None or found[name] is None:
        return "—", ""
    bounds = found["ci95"].get(name)
    if bounds is None or not _whole(bounds):
        return "—", str(found["warnings"].get(name) or "")
    places = _places([found[name]], bounds, factor)
    value = f"{digits.number(factor * found[name], places)} {unit}"
    return value, _interval(bounds, factor, places)


def _rate(found: Mapping[str, Any] | None) -> tuple[str, str]:
    if found is None or found["mean"] is None:
        return "—", ""
    places = _places([found["mean"]], found["ci95"], 1)
    return digits.number(found["mean"], places), _interval(found["ci95"], 1, places)


def _places(values: Sequence[float], bounds: Sequence[float] | None, factor: float) -> int:
    pairs = [(factor * bounds[0], factor * bounds[1])] if _whole(bounds) and bounds else []
    return digits.row_places([factor * value for value in values], pairs)


def _interval(bounds: Sequence[float] | None, factor: float, places: int) -> str:
    if bounds is None or not _whole(bounds):
        return ""
    return digits.interval(factor * bounds[0], factor * bounds[1], places)


def _whole(bounds: Sequence[float | None] | None) -> bool:
    return bounds is not None and None not in bounds
