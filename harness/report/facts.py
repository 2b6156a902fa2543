"""What every renderer says of a run: its label, its validity, how far it came."""

from collections.abc import Mapping
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
        if check["name"] == "complete":
            return None if check["ok"] else (int(check["value"]), int(check["limit"]))
    recorded = summary["run"]["recorded_trials"]
    return None if planned is None or recorded >= planned else (recorded, planned)


def one_clock(summary: Summary) -> bool:
    """Whether the client's timing error is zero by construction: the simulator ran in process."""
    error = summary["client_error_s"]
    return error is not None and error["max"] == 0 == error["p50"]


def check_text(check: Mapping[str, Any], words: Words) -> tuple[str, str, str, str]:
    """(name, value, limit, unit) of a validity check."""
    name = words.known(f"check.{check['name']}", check["name"])
    value, limit, unit = check["value"], check["limit"], check["unit"]
    factor = 1.0
    if unit == "s":
        factor, unit = digits.time_unit([limit])
        shown_unit = words(f"unit.{unit}")
    elif unit.startswith("of "):
        factor, shown_unit = 100.0, "% " + words.known(f"check_unit.{unit}", unit)
    else:
        shown_unit = words.known(f"check_unit.{unit}", unit)
    shown = "—" if value is None else digits.significant(factor * value, 3)
    return name, shown, digits.significant(factor * limit, 3), shown_unit
