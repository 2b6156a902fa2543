"""What every renderer says of a run: its label, its validity, how far it came."""

import datetime
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from harness.report import digits
from harness.report.words import Words

Summary = Mapping[str, Any]


def simulated_label(summary: Summary, words: Words) -> str | None:
    """What must stand wherever times are shown; None for times of a real model."""
    run = summary["run"]
    if not run["simulated"]:
        return None
    scale = run["time_scale"]
    if scale is None or scale == 1:
        return words("label.simulated")
    return words("label.simulated_scaled", scale=f"{scale:g}")


def progress(summary: Summary) -> tuple[int, int] | None:
    """(trials done, trials planned) of a run that is not complete; None for a complete one."""
    planned = summary["run"]["planned_trials"]
    for check in summary["validity"]["checks"]:
        if check["name"] == "complete" and check["unit"] == "trials":
            return None if check["ok"] else (int(check["value"]), int(check["limit"]))
    recorded = summary["run"]["recorded_trials"]
    return None if planned is None or recorded >= planned else (recorded, planned)


def workload(text: str, words: Words) -> str:
    """A workload as its command writes it (``rate=20, poisson``), in the language of the report."""
    if words.lang == "en":
        return text
    # No comma between numbers: those are the rates of steps.
    parts = re.split(r", |,(?=[a-z])", text)
    return ", ".join(words.translated(part, "workload") for part in parts)


def caption(summary: Summary, words: Words) -> str:
    """How the table of figures is to be read; of one pipeline nothing is compared."""
    parts = [words("table.interval_mark")]
    if summary["comparisons"]:
        parts.append(words("table.change_mark", baseline=summary["run"]["baseline"]))
    return " ".join([*parts, words("table.missing_mark")])


def minute(stamp: str) -> str:
    """``2026-11-22T20:33:50.688+00:00`` → ``2026-11-22 20:33 UTC``."""
    try:
        moment = datetime.datetime.fromisoformat(stamp).astimezone(datetime.UTC)
    except ValueError:
        return stamp
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def again(summary: Summary) -> str:
    """The command that makes such a run again: into a folder of its own, from the start."""
    return repeated(summary["run"]["command"])


def repeated(command: str) -> str:
    """A command without the folder that it wrote to and without going on from where it was; Locust
    records only where it is told to, so it gets a new one.
    """
    words = shlex.split(command)
    kept = []
    for last, word in zip(["", *words], words, strict=False):
        if last == "--out" or word in ("--out", "--resume") or word.startswith("--out="):
            continue
        new = last == "--harness-out" or word.startswith("--harness-out=")
        kept.append(f"{word.rstrip('/')}-again" if new else word)
    return shlex.join(kept)


def check_text(check: Mapping[str, Any], words: Words) -> tuple[str, str, str, str]:
    """(name, value with its unit, limit with its unit, what they are a part of) of a check.

    Whether a load came to its end is said in words, and has no limit: "".
    """
    if check["unit"] == "run":
        ended = words(f"check_unit.{'whole' if check['ok'] else 'cut'}")
        return words("check.ended"), ended, "", ""
    name = words.known(f"check.{check['name']}", check["name"])
    value, limit, unit = check["value"], check["limit"], check["unit"]
    factor, shown, part = 1.0, words.known(f"check_unit.{unit}", unit), ""
    if unit == "s":
        factor, unit = digits.time_unit([limit])
        shown = words(f"unit.{unit}")
    elif unit.startswith("of "):
        factor, shown, part = 100.0, "%", shown
    known = "—" if value is None else words.amount(digits.significant(factor * value, 3), shown)
    return name, known, words.amount(digits.significant(factor * limit, 3), shown), part


def remedy(summary: Summary, check: Mapping[str, Any], words: Words) -> str:
    """What to do about a broken check; those that nobody can go on with have their own remedies."""
    own = "load" in summary or check["unit"] == "run"
    name = f"load_{check['name']}" if own else check["name"]
    return words.remedy(name, check["remedy"])


def unheld(checks: Sequence[Mapping[str, Any]], section: str, words: Words) -> str:
    """How many checks are broken and how many were not measured, or that all hold; in the words
    of a ``section``.
    """
    unmeasured = sum(is_unmeasured(check) for check in checks)
    broken = sum(not check["ok"] for check in checks) - unmeasured
    if unmeasured:
        return words(f"{section}.unmeasured", n=broken, m=unmeasured, total=len(checks))
    if broken:
        return words(f"{section}.invalid", n=broken, total=len(checks))
    return words(f"{section}.valid", n=len(checks))


def is_unmeasured(check: Mapping[str, Any]) -> bool:
    """Whether a check does not hold because nothing was there to measure: no remedy mends that."""
    return not check["ok"] and check["value"] is None


def broken_text(check: Mapping[str, Any], words: Words) -> str:
    """A check that does not hold in one line: what it measured, and the limit."""
    name, value, limit, part = check_text(check, words)
    if is_unmeasured(check):
        return words("check.unmeasured", name=name)
    if not limit:
        return f"{name}: {value}"
    return words("check.broken", name=name, value=value, limit=limit, part=part).rstrip()
