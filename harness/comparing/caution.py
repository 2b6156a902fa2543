"""Are two runs comparable, and fit to judge? Each doubt in one line; some bar every gate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness import validity
from harness.trials import Recorded

Bars = Literal["none", "relative", "all"]

OPTIONS = (
    *("concurrency", "batch_size", "group", "workload", "warmup", "summary", "constrained"),
    *("rate_limit", "timeout"),
)
"""Settings of a run that change what its figures mean."""

APART = ("simulated", "time_scale", "slots", "timeout_s", "rate_limit")
"""Facts of a provider that are compared elsewhere, as themselves or as the option they follow."""


@dataclass(frozen=True, slots=True)
class Caution:
    """One doubt. ``bars``: the gates that cannot be decided because of it: those on the change from
    A to B (``relative``), or ``all``. ``name`` is for machines.
    """

    name: str
    text: str
    bars: Bars = "none"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is said of a run. ``broken``: names of its validity checks that do not hold."""

    folder: str
    status: str
    started: str | None
    provider: dict[str, Any]
    simulated: bool | None
    time_scale: float
    trials: int
    broken: tuple[str, ...]

    @property
    def valid(self) -> bool:
        return not self.broken


def facts(run: Recorded) -> Facts:
    """A run's manifest and validity. ``time_scale`` is 1 for a real model."""
    manifest = run.manifest
    provider: dict[str, Any] = manifest["provider"] or {}
    segments = manifest["segments"]
    checks = validity.checks_of(run)
    return Facts(
        str(run.folder),
        manifest["status"],
        segments[0].get("started") if segments else None,
        provider,
        provider.get("simulated"),
        float(provider.get("time_scale") or 1.0),
        int((~run.trials.warmup).sum()),
        tuple(check.name for check in checks if not check.ok),
    )


def cautions(a: Recorded, b: Recorded, about: tuple[Facts, Facts]) -> list[Caution]:
    """Every doubt about comparing B with A, those that bar gates first."""
    found = [*_unfit(about), *_other_world(about), *_other_work(a, b), *_other_settings(a, b)]
    found += [*_other_provider(about), *_other_machine(a, b), *_other_time(a, b, about)]
    return sorted(found, key=lambda caution: caution.bars == "none")


def common_scenarios(a: Recorded, b: Recorded) -> frozenset[str]:
    """Scenarios that are the same in both, by their digests (which cover the id)."""
    kept = [run.manifest["scenarios"] for run in (a, b)]
    return frozenset(
        name
        for name in kept[0].keys() & kept[1].keys()
        if kept[0][name].get("digest") == kept[1][name].get("digest") is not None
    )


def _unfit(about: tuple[Facts, Facts]) -> Iterator[Caution]:
    reach: tuple[Bars, Bars] = ("relative", "all")
    for label, bars, run in zip("AB", reach, about, strict=True):
        if run.status != "complete":
            yield Caution(f"interrupted_{label.lower()}", f"{label}: the run is not complete", bars)
        broken = [name for name in run.broken if name != "complete" or run.status == "complete"]
        if broken:
            text = f"{label}: the run is not valid: {', '.join(broken)} (see harness report)"
            name = "unanswered" if broken == ["unanswered_share"] else "invalid"
            yield Caution(f"{name}_{label.lower()}", text, bars)


def _other_world(about: tuple[Facts, Facts]) -> Iterator[Caution]:
    a, b = about
    url = a.provider.get("url")
    if a.simulated is b.simulated is None and url is not None and url == b.provider.get("url"):
        text = "neither run says what model it used: behind the same URL it is taken as the same"
        yield Caution("provider_unknown", text)
    elif a.simulated is None or b.simulated is None:
        yield Caution("provider_unknown", "a run does not say what model it used", "relative")
    elif a.simulated != b.simulated:
        kinds = {True: "simulated", False: "real"}
        text = f"A is {kinds[a.simulated]}, B is {kinds[b.simulated]}"
        yield Caution("simulated_against_real", text, "relative")
    if a.time_scale != b.time_scale:
        text = f"the time scale was {a.time_scale:g} in A, is {b.time_scale:g} in B"
        yield Caution("time_scale", text, "relative")


def _other_work(a: Recorded, b: Recorded) -> Iterator[Caution]:
    names = [set(run.manifest["scenarios"]) for run in (a, b)]
    common = common_scenarios(a, b)
    if not common:
        text = "no scenario is the same in both runs: they did different work, nothing is paired"
        yield Caution("no_common_scenario", text, "relative")
    elif names[0] | names[1] != common:
        text = (
            f"only the {len(common)} scenarios that are the same in both runs are compared: "
            f"{len(names[0] - common)} of A and {len(names[1] - common)} of B are left out"
        )
        yield Caution("left_out", text)
    if a.manifest["prompt_version"] != b.manifest["prompt_version"]:
        text = (
            f"the prompts were version {a.manifest['prompt_version']} in A, "
            f"are {b.manifest['prompt_version']} in B"
        )
        yield Caution("prompt_version", text)


def _other_settings(a: Recorded, b: Recorded) -> Iterator[Caution]:
    old, new = a.manifest["config"], b.manifest["config"]
    for key in OPTIONS:
        if key in old and key in new and old[key] != new[key]:
            option = "--" + key.replace("_", "-")
            yield Caution(key, f"{option} was {_said(old[key])} in A, is {_said(new[key])} in B")


def _other_provider(about: tuple[Facts, Facts]) -> Iterator[Caution]:
    old, new = (facts.provider for facts in about)
    keys = [key for key in dict.fromkeys((*old, *new)) if key not in APART]
    differ = [key for key in keys if old.get(key) != new.get(key)]
    if old and new and differ:
        texts = [f"{key} {_said(old.get(key))} in A, {_said(new.get(key))} in B" for key in differ]
        yield Caution("provider", f"another provider: {'; '.join(texts)}")


def _other_machine(a: Recorded, b: Recorded) -> Iterator[Caution]:
    old, new = (run.manifest["environment"] for run in (a, b))
    differ = [
        f"{key} {_said(old.get(key))} in A, {_said(new.get(key))} in B"
        for key in ("system", "cpus", "memory_gb", "python", "harness")
        if old.get(key) != new.get(key)
    ]
    hosts = [_hosts(run.manifest["segments"]) for run in (a, b)]
    if hosts[0] != hosts[1]:
        differ.append(f"host {', '.join(hosts[0])} in A, {', '.join(hosts[1])} in B")
    if differ:
        yield Caution("environment", f"another machine or version: {'; '.join(differ)}")


def _hosts(segments: Sequence[dict[str, Any]]) -> list[str]:
    return sorted({str(segment.get("host", "unknown")) for segment in segments})


def _other_time(a: Recorded, b: Recorded, about: tuple[Facts, Facts]) -> Iterator[Caution]:
    if a.folder.resolve() == b.folder.resolve():
        yield Caution("same_run", "A and B are the same run: differences are none of its own")
        return
    draws = [_draws(run) for run in (a, b)]
    if draws[0] == draws[1] is not None:
        text = "both are simulated with the same seed: what the model itself varies is not in it"
        yield Caution("same_draws", text)
    old, new = (facts.started for facts in about)
    if old and new and old > new:
        yield Caution("order", "A was made after B; A is meant to be the older one")
    yield Caution(
        "drift",
        "drift between runs is not controlled: arms of one run are interleaved, two runs are not "
        f"(A began {old or 'at an unknown time'}, B {new or 'at an unknown time'})",
    )


def _draws(run: Recorded) -> tuple[object, object] | None:
    """What decides a simulator's times; None for a real model."""
    provider = run.manifest["provider"] or {}
    if not provider.get("simulated"):
        return None
    return provider.get("profile"), run.manifest["config"].get("seed")


def _said(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
