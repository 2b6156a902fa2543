"""``harness show``."""

import argparse
import difflib
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.edits import read_story
from harness.errors import InputError
from harness.exit_codes import OK
from harness.locust_support.merging import gather
from harness.plain import indented, plain, table
from harness.records import Answer, TrialRecord, to_dict
from harness.report.listing import NONE, Listing, chosen, failure, lines, listing, seconds
from harness.scenario import Scenario, explain, load_scenarios
from harness.store import each_answer, each_record, read_manifest
from harness.story import Change, Story, diff, same_shape


def main(args: argparse.Namespace) -> int:
    """Show the trials of a run, or one of them with everything that is known of it."""
    folder = Path(args.run)
    gather(folder)
    manifest = read_manifest(folder)
    if args.trial is None:
        every = args.all or args.json
        found = listing(folder, chosen(args.outcome), every=every)
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        if args.json:
            _print_as_json(folder, found)
        else:
            for line in lines(found, width):
                print(line)
        return OK
    if args.outcome or args.all:
        option = "--outcome" if args.outcome else "--all"
        raise InputError(f"{option}: chooses rows of the table; leave it out to show one trial")
    record = _find(folder, args.trial)
    answers = [answer for answer in each_answer(folder) if answer.trial == record.trial]
    scenario, problem = _scenario(manifest, record)
    changes = _changes(scenario, answers)
    if args.json:
        print(_trial_as_json(record, answers, changes))
    else:
        print(_trial(record, answers, changes, scenario, problem))
    return OK


def _find(folder: Path, trial: str) -> TrialRecord:
    names = []
    for record in each_record(folder):
        if record.trial == trial:
            return record
        names.append(record.trial)
    near = difflib.get_close_matches(trial, names, n=1, cutoff=0.0)
    hint = f"the closest is {near[0]}" if near else "none is recorded yet"
    raise InputError(f"{folder}: no trial {plain(trial)!r}; {plain(hint)}")


def _scenario(manifest: dict[str, Any], record: TrialRecord) -> tuple[Scenario | None, str]:
    """The scenario as it was in the run, or why it is not to be had."""
    try:
        loaded = {s.id: s for s in load_scenarios(manifest["config"]["scenarios"])}
    except InputError as error:
        return None, str(error)
    scenario = loaded.get(record.scenario)
    kept = manifest["scenarios"].get(record.scenario, {})
    if scenario is None or scenario.digest != kept.get("digest"):
        return None, f"the scenario {record.scenario} is not what it was in this run"
    return scenario, ""


def _changes(scenario: Scenario | None, answers: Sequence[Answer]) -> list[Change] | None:
    """What the last edit changed in the story; None when there is nothing to compare."""
    edits = [answer.text for answer in answers if answer.call == "edit"]
    if scenario is None or not edits:
        return None
    story = read_story(edits[-1])
    if not isinstance(story, Story) or not same_shape(scenario.story, story):
        return None
    return diff(scenario.story, story)


def _print_as_json(folder: Path, found: Listing) -> None:
    """One JSON object, trial by trial: memory need not hold a long run."""
    print(f'{{"run": {json.dumps(str(folder), ensure_ascii=False)}, "trials": [', end="")
    for i, record in enumerate(found.read()):
        print(", " if i else "", json.dumps(_row(record), ensure_ascii=False), sep="", end="")
    print("]}")


def _row(record: TrialRecord) -> dict[str, Any]:
    return {
        "trial": record.trial,
        "scenario": record.scenario,
        "pipeline": record.pipeline,
        "warmup": record.warmup,
        "outcome": record.outcome,
        "response_time_s": record.response_time,
        "failure": failure(record) or None,
    }


# --- one trial ---


def _trial(
    record: TrialRecord,
    answers: Sequence[Answer],
    changes: Sequence[Change] | None,
    scenario: Scenario | None,
    problem: str,
) -> str:
    warmup = ", warm-up" if record.warmup else ""
    parts = [
        f"{plain(record.trial)}: {record.outcome}{warmup}",
        f"block {record.block}, repeat {record.repeat}, segment {record.segment}",
    ]
    if scenario is not None:
        parts.append(f"request: {plain(scenario.request)}")
    if (why := failure(record)) and not record.checks:
        parts.append(plain(why))
    parts += ["", "times in seconds", _indent(table(_times(record), right=(1,)))]
    if record.attempts:
        parts += ["", "calls", _indent(table(_calls(record), right=(1, 2, 3, 4)))]
    if record.checks:
        marks = [
            ("✓" if check.ok else "✗", check.id, "" if check.ok else explain(check))
            for check in record.checks
        ]
        parts += ["", "checks", _indent(table(marks))]
    if record.summary is not None:
        parts += ["", "summary", indented(record.summary)]
    if changes is not None:
        rows = [(str(c.field.turn), c.field.path, f"{c.old!r} → {c.new!r}") for c in changes]
        parts += ["", "changes of the story, by turn", _indent(table(rows)) if rows else "  none"]
    elif problem:
        parts += ["", f"changes of the story cannot be shown: {plain(problem)}"]
    for answer in answers:
        parts += ["", f"answer of call {answer.attempt} ({answer.call})", indented(answer.text)]
    return "\n".join(parts)


def _times(record: TrialRecord) -> list[tuple[str, str]]:
    """The record's stamps as durations; what was not measured is left out."""
    held = record.own_done if record.own_done != record.done else None
    durations = (
        ("waiting to be sent", record.scheduled, record.sent),
        ("to the first token", record.sent, record.first_token),
        ("to its own end", record.sent, record.done if held is None else held),
        ("held back by its batch", held, record.done),
    )
    found = [(name, b - a) for name, a, b in durations if a is not None and b is not None]
    if record.uncounted:
        found.insert(1, ("of it not counted", record.uncounted))
    if record.response_time is not None:
        found.append(("response time", record.response_time))
    return [(name, seconds(value)) for name, value in found]


def _calls(record: TrialRecord) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("call", "sent at", "took", "HTTP", "tokens", "")]
    for number, attempt in enumerate(record.attempts):
        took = None
        if attempt.sent is not None and attempt.done is not None:
            took = attempt.done - attempt.sent
        usage = attempt.usage
        notes = [f"{attempt.error.type}: {attempt.error.message}"] if attempt.error else []
        notes += ["stopped early"] if attempt.stopped_early else []
        rows.append(
            (
                f"{number} {attempt.call}",
                seconds(None if attempt.sent is None else attempt.sent - record.scheduled),
                seconds(took),
                NONE if attempt.status is None else str(attempt.status),
                NONE if usage is None else f"{usage.prompt} + {usage.completion}",
                ", ".join(notes),
            )
        )
    return rows


def _indent(lines: str) -> str:
    return "\n".join(f"  {line}" for line in lines.split("\n"))


def _trial_as_json(
    record: TrialRecord, answers: Sequence[Answer], changes: Sequence[Change] | None
) -> str:
    data: dict[str, Any] = {
        **to_dict(record),
        "response_time_s": record.response_time,
        "service_time_s": record.service_time,
        "ttft_s": record.ttft,
        "answers": [
            {"attempt": answer.attempt, "call": answer.call, "text": answer.text}
            for answer in answers
        ],
        "changes": None,
    }
    if changes is not None:
        data["changes"] = [
            {"turn": c.field.turn, "field": c.field.path, "old": c.old, "new": c.new}
            for c in changes
        ]
    return json.dumps(data, ensure_ascii=False)
