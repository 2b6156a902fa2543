"""What was recorded, read for the page: what there is, a run's figures, its trials, its report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

import orjson

from harness.edits import read_story
from harness.errors import InputError
from harness.records import TrialRecord
from harness.report import digits
from harness.report.publish import PAGE, summary_of
from harness.report.searched import CAPACITY
from harness.report.words import Words
from harness.store import MANIFEST, RECORDS, Run, read_answers, read_run
from harness.story import Story, StoryError, parse_story
from harness.validity import LOAD

MOST_BYTES = 64 * 1024 * 1024
VERDICTS, COMPARISON = "claims.json", "comparison.html"  # as ``claim`` and ``report`` write them
Kind: TypeAlias = Literal["run", "load", "claims", "capacity"]
SIGNS: dict[str, Kind] = {
    VERDICTS: "claims",
    CAPACITY: "capacity",
    LOAD: "load",
    MANIFEST: "run",
}
"""A file that a folder holds → what the folder is; the first that fits."""
Summary: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Recorded:
    """One run, with its figures as ``summary.json`` has them."""

    run: Run
    summary: Summary

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


def kind_of(folder: Path) -> Kind | None:
    """What a folder holds; None: nothing that was recorded."""
    return next((kind for sign, kind in SIGNS.items() if (folder / sign).is_file()), None)


def find(folder: Path) -> list[Path]:
    """The folders that hold something recorded, ``folder`` itself or at most two levels below it
    (the runs of claims, the steps of a search), sorted by name.
    """
    signs = (path for depth in ("", "*/", "*/*/") for path in folder.glob(f"{depth}*.json"))
    return sorted({path.parent for path in signs if path.name in SIGNS})


def size(folder: Path) -> int:
    """Bytes of a run's records."""
    path = folder / RECORDS
    return path.stat().st_size if path.exists() else 0


def stamp(folder: Path) -> int:
    """Another number whenever the folder has been written to."""
    paths = (folder / name for name in (*SIGNS, RECORDS))
    return max((path.stat().st_mtime_ns for path in paths if path.exists()), default=0)


def read(folder: Path) -> Recorded:
    """Raises InputError."""
    return Recorded(read_run(folder), summary_of(folder)[1])


def report(folder: Path, lang: str) -> str:
    """The page of what a folder holds. It is made from the records, in ``lang``; that of verdicts,
    which need more than records, is as it was written. Raises InputError.
    """
    from harness.report.capacity import capacity_page
    from harness.report.html import page

    match kind_of(folder):
        case "claims":
            return written(folder / PAGE)
        case "capacity":
            return capacity_page(_json(folder / CAPACITY), folder, lang)
        case _:
            return page(*summary_of(folder), lang)


def written(path: Path) -> str:
    """A page as it was written. Raises InputError."""
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}") from error


def verdicts(folder: Path) -> list[tuple[str, str]]:
    """The claims of a folder and the verdict on each. Raises InputError."""
    path = folder / VERDICTS
    try:
        return [(found["claim"], found["verdict"]) for found in _json(path)["claims"]]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: {error!r}: holds no verdicts") from error


def _json(path: Path) -> Any:
    try:
        return orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise InputError(f"{path}: {error}") from error


def rows(summary: Summary, words: Words) -> list[list[tuple[str, str]]]:
    """The figures of each arm as (value, interval), both text: its name, right answers, response
    time p50 and p95, first token p50, throughput. Where a value cannot be given, the reason takes
    the place of its interval.
    """
    arms = summary["pipelines"]
    times = [arms[arm]["response_time_s"] for arm in arms]
    factor, unit = digits.time_unit(found["p95"] for found in times if found)

    def shown(found: Mapping[str, Any] | None, name: str) -> tuple[str, str]:
        value, below, reason = _time(found, name, factor, unit, words)
        return value, words.reason(reason) if reason else below

    return [
        [
            (arm, f"n = {figures['trials']}"),
            _share(figures["success"]),
            shown(figures["response_time_s"], "p50"),
            shown(figures["response_time_s"], "p95"),
            shown(figures["ttft_s"], "p50"),
            _rate(figures["throughput_per_s"]),
        ]
        for arm, figures in arms.items()
    ]


def _share(success: Mapping[str, Any]) -> tuple[str, str]:
    if success["rate"] is None:
        return "—", ""
    shown = digits.number(100 * success["rate"], 0)
    return f"{shown} %", _interval(success["ci95"], 100, 0)


def _time(
    found: Mapping[str, Any] | None, name: str, factor: float, unit: str, words: Words
) -> tuple[str, str, str]:
    """A quantile with its interval; without one it is not shown, and the reason comes last."""
    if found is None or found[name] is None:
        return "—", "", ""
    bounds = found["ci95"].get(name)
    if bounds is None or not _whole(bounds):
        return "—", "", str(found["warnings"].get(name) or "")
    places = _places([found[name]], bounds, factor)
    value = words.amount(digits.number(factor * found[name], places), words(f"unit.{unit}"))
    return value, _interval(bounds, factor, places), ""


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
