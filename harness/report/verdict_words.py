"""What verdicts on claims say, whoever shows them: verdict, grounds, gates, remedies."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import get_args

from harness.claims import Claim, VerdictName
from harness.experiments import Options
from harness.gates import Gate
from harness.judge import Result
from harness.report.digits import number, places, significant, time_unit
from harness.report.words import Words, texts

Verdicts = Sequence[tuple[Claim, Result]]

POINTS = {"en": "percentage points", "ko": "%p"}


def sentence(claim: Claim, words: Words) -> str:
    """The claim as published, in the language of the report."""
    return claim.file.sentence_ko if words.lang == "ko" else claim.file.sentence


def headline(claim: Claim, result: Result, words: Words) -> str:
    """The verdict with its qualifier."""
    verdict = words(f"verdict.{result.verdict}")
    if result.qualifier is None:
        return verdict
    key = f"qualifier.{result.qualifier}"
    if claim.file.kind == "any" and f"{key}_any" in texts():
        key = f"{key}_any"
    qualifier = words(
        key,
        equivalence=significant(round(100 * claim.file.equivalence, 9)),
        unit=POINTS[words.lang] if claim.file.estimand == "success" else "%",
    )
    return f"{verdict} ({qualifier})"


def grounds(claim: Claim, result: Result, words: Words) -> list[str]:
    """What the verdict rests on: the estimate, the line, the reasons, what more would take, how it
    was estimated and what to know of that.
    """
    found = [f"{words('claim.measured')}: {_measured(claim, result, words)}"]
    found += [_because(reason, result, words) for reason in result.reasons]
    if not result.reasons:
        found.append(_line(claim, result, words))
    found += _more(claim, result, words)
    found.append(f"{words('claim.method')}: {words.translated(result.method, 'method')}")
    found += [f"{words('claim.note')}: {_note(warning, words)}" for warning in result.warnings]
    return found


def _because(reason: str, result: Result, words: Words) -> str:
    """A reason in words; what a gate found may depend on what it makes of the verdict, and a gate
    that measured nothing found nothing.
    """
    gates = [gate for gate in result.gates if gate.name == reason and gate.ok is False]
    keys = [f"because.{reason}_{gate.effect}" for gate in gates]
    keys += ["because.unmeasured" for gate in gates if gate.value is None]
    keys.append(f"because.{reason}")
    return next((words(key, gate=reason) for key in keys if key in texts()), reason)


def _more(claim: Claim, result: Result, words: Words) -> list[str]:
    """What more blocks would do for a claim that is not decided."""
    needed = result.blocks_needed
    if result.verdict != "inconclusive" or not needed:
        return []
    if needed <= result.n_blocks:
        return [] if result.reasons else [words("claim.near")]
    if result.mde is None:
        return []
    unit = POINTS[words.lang] if claim.file.estimand == "success" else "%"
    return [words("claim.more", needed=needed, mde=number(100 * result.mde, 1), unit=unit)]


def _note(warning: str, words: Words) -> str:
    """A warning of an estimate, which may name an arm first, in the language of the report."""
    known = words.translated(words.reason(warning), "warning")
    arm, colon, rest = warning.partition(": ")
    return f"{arm}: {words.reason(rest)}" if colon and known == warning else known


def evidence(result: Result, words: Words) -> str:
    """What the published figures by themselves can show."""
    reasons = result.evidence.reasons
    why = "; ".join(words.known(f"because.{reason}", reason) for reason in reasons)
    verdict = words(f"verdict.{result.evidence.verdict}")
    return f"{words('claim.published')}: {verdict}" + (f" — {why}" if why else "")


def _measured(claim: Claim, result: Result, words: Words) -> str:
    lo, hi = result.ci
    confidence = significant(100 * result.confidence, 3)
    arms = claim.file.arms
    if result.estimate is None or math.isnan(result.estimate):
        return words("claim.unknown")
    unit = words(f"claim.{_counted(claim)}")
    if claim.file.kind == "absolute":
        return words(
            "claim.value",
            candidate=arms.candidate.pipeline,
            value=_value(claim, result.estimate, words),
            confidence=confidence,
            lo=_value(claim, lo, words),
            hi=_value(claim, hi, words),
            n=result.n,
            unit=unit,
        )
    assert arms.baseline is not None
    points = claim.file.estimand == "success"
    shown = [
        None if x is None or math.isnan(x) else 100 * (x if points else x - 1)
        for x in (result.estimate, lo, hi)
    ]
    known = [x for x in shown[1:] if x is not None and math.isfinite(x)]
    decimals = places((known[1] - known[0]) / 2) if len(known) == 2 else 1
    change, low, high = (
        words("claim.no_bound") if x is None else number(x, decimals, sign=True) for x in shown
    )
    return words(
        "claim.points" if points else "claim.ratio",
        candidate=arms.candidate.pipeline,
        baseline=arms.baseline.pipeline,
        change=change,
        confidence=confidence,
        lo=low,
        hi=high,
        n=result.n,
        unit=unit,
    )


def _counted(claim: Claim) -> str:
    """What the n of a claim's estimate counts."""
    file = claim.file
    trials = {"success", "response_time_p95"}
    if file.estimand in trials or (file.kind == "absolute" and file.estimand.endswith("_p50")):
        return "trials"
    if file.estimand == "startup_s":
        return "launches"
    if file.scope == "scenarios like these" and file.estimand == "response_time_gm":
        return "blocks" if file.kind == "absolute" else "scenarios"
    return "blocks"


def _line(claim: Claim, result: Result, words: Words) -> str:
    """The line that the whole interval has to pass for the claim to be supported."""
    file = claim.file
    side = words("claim.above" if claim.swap else "claim.below")
    if file.kind == "absolute":
        line = _value(claim, result.threshold, words)
    elif file.estimand == "success":
        line = f"{number(100 * result.threshold, 1, sign=True)} {POINTS[words.lang]}"
    else:
        line = f"{number(100 * (result.threshold - 1), 1, sign=True)} %"
    return words("claim.line", side=side, line=line)


def _value(claim: Claim, value: float | None, words: Words) -> str:
    """A value in the claim's unit."""
    if value is None or math.isnan(value):
        return words("claim.no_bound")
    unit = claim.file.unit
    if unit == "rate":
        return f"{number(100 * value, 1)} %"
    if unit == "s":
        factor, name = time_unit([value])
        return words.amount(significant(value * factor, 3), words(f"unit.{name}"))
    names = {"per_s": "unit.per_s", "MB": "unit.mb", "threads": "claim.threads"}
    return words.amount(significant(value, 3), words(names[unit or "MB"]))


def why(gate: Gate, words: Words) -> str:
    """What a broken gate found, which is English, so only English has it."""
    return f": {gate.why}" if gate.ok is False and words.lang == "en" else ""


def gate_figures(gate: Gate, words: Words) -> tuple[str, str]:
    """The value of a gate with its unit, and its limit in the same one."""
    known = [x for x in (gate.value, gate.limit) if x is not None]
    factor, unit = 1.0, words.known(f"gate_unit.{gate.unit.replace(' ', '_')}", gate.unit)
    if gate.unit == "s":
        factor, name = time_unit(known)
        unit = words(f"unit.{name}")
    elif gate.unit == "points":
        factor, unit = 100.0, POINTS[words.lang]
    value, limit = (
        "—" if x is None else significant(factor * x, 3) for x in (gate.value, gate.limit)
    )
    return value if gate.value is None else words.amount(value, unit), limit


def broken(gate: Gate, words: Words) -> str:
    """A broken gate with its figures, or that it has none."""
    if gate.value is None:
        return words("check.unmeasured", name=gate.name)
    value, limit = gate_figures(gate, words)
    return words("claim.broken", name=gate.name, value=value, limit=limit)


def remedy(gate: Gate, words: Words) -> str:
    """What to do about a broken gate, at least in general; "" where nothing is known to help."""
    if not gate.remedy:
        return ""
    found = words.translated(gate.remedy, "mend")
    if words.lang == "en" or found != gate.remedy:
        return found
    return words.known(f"mend.{gate.name}", gate.remedy)


def is_simulated(options: Options) -> bool:
    """Whether the times are those of the simulator."""
    return options.provider is None or options.provider.startswith("sim")


def label(options: Options, words: Words) -> str | None:
    """What must stand wherever times are shown; None for times of a real model."""
    if not is_simulated(options):
        return None
    if options.time_scale == 1:
        return words("label.simulated")
    return words("label.simulated_scaled", scale=f"{options.time_scale:g}")


def labelled(text: str, claim: Claim, label: str | None) -> str:
    """With the label of simulated times; that of a start-up is real whatever the model."""
    real = label is None or claim.file.estimand == "startup_s"
    return text if real else f"{text} · {label}"


def counts(results: Verdicts) -> dict[str, int]:
    """How many claims have each verdict."""
    found = Counter(result.verdict for _, result in results)
    return {name: found[name] for name in get_args(VerdictName)}
