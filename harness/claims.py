"""Claims: a hypothesis with estimand, size, margin and confidence, written before the run.

A claim is a TOML file. This module reads it and says what its keys mean together.
"""

import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.config import WorkloadText
from harness.errors import InputError
from harness.scenario import describe
from harness.simulator.profile import NO_OVERRIDES, Overrides
from harness.stats.verdict import slower_by

Estimand = Literal[
    "response_time_gm",
    "response_time_mean",
    "response_time_p50",
    "response_time_p95",
    "throughput",
    "makespan",
    "success",
    "goodput",
    "cpu_s",
    "peak_rss_mb",
    "peak_threads",
    "loop_stall_s",
    "startup_s",
]
VerdictName = Literal["supported", "refuted", "inconclusive", "not_testable", "invalid_run"]

LATENCY = frozenset(
    {"response_time_gm", "response_time_mean", "response_time_p50", "response_time_p95"}
)
RESOURCES = frozenset({"cpu_s", "peak_rss_mb", "peak_threads", "loop_stall_s"})
NEVER_SCALED = frozenset({"cpu_s", "startup_s"})  # times that no simulator makes
HIGHER_IS_BETTER = frozenset({"throughput", "goodput", "success"})

Fraction = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ArmFile(_Table):
    """One arm: a pipeline with what sets it apart. ``sim`` is for the simulated provider only."""

    pipeline: str
    concurrency: Annotated[int, Field(ge=1, le=10_000)] | None = None
    batch_size: Annotated[int, Field(ge=1, le=10_000)] | None = None
    keepalive: bool = True
    model: str | None = None
    sim: Overrides = NO_OVERRIDES


class Arms(_Table):
    """``candidate`` alone for a claim of a value; with ``baseline`` for a claim of a change."""

    candidate: ArmFile
    baseline: ArmFile | None = None


class Published(_Table):
    """The figures as published, in the claim's unit; ``right`` of ``trials`` for success;
    ``same_path``: both arms ran the same code.
    """

    baseline: list[Positive] = []
    candidate: list[Positive] = []
    right: Annotated[int, Field(ge=0)] | None = None
    trials: Annotated[int, Field(ge=1)] | None = None
    same_path: bool = False


class Variance(_Table):
    """What a plan assumes: the coefficient of variation of one edit, and the correlation of the
    logarithms of the two times of a pair.
    """

    cv: Annotated[float, Field(gt=0, le=5)] = 0.15
    rho: Annotated[float, Field(ge=0, lt=1)] = 0.0
    edit_s: Positive = 7.4
    prompt_tokens: Annotated[int, Field(ge=0)] = 3000
    completion_tokens: Annotated[int, Field(ge=0)] = 2500


class Budget(_Table):
    """What a claim may take: blocks that count, at most and (if it can tell) at least; minutes by
    the wall clock.
    """

    blocks: Annotated[int, Field(ge=2)] = 120
    least: Annotated[int, Field(ge=2)] = 12
    minutes: Positive = 10.0


class ClaimFile(_Table):
    """The keys of a claim file. Fractions are of 1: ``reduction = 0.15`` is 15 % less.

    ``kind``: ``about`` a size (``reduction``, or ``gain`` in points for success), ``any`` change
    beyond the margin, or ``absolute`` (``value`` and ``unit``). ``direction``: ``better`` (the
    default: less time, more throughput) or ``worse``. ``margin``: 0.02 for ``any``, 0.10 for
    ``absolute`` when left out; ``about`` draws the line at half the claimed size.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    sentence: Annotated[str, Field(min_length=1)]
    sentence_ko: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    kind: Literal["about", "any", "absolute"]
    estimand: Estimand
    direction: Literal["better", "worse"] = "better"
    reduction: Positive | None = None
    gain: Fraction | None = None
    value: Positive | None = None
    unit: Literal["s", "per_s", "rate", "MB", "threads"] | None = None
    margin: Fraction | None = None
    equivalence: Fraction = 0.05
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    family: str | None = None
    scope: Literal["these scenarios", "scenarios like these"] = "these scenarios"
    target: Positive | None = None
    published: Published = Published()
    scenarios: list[str] = []
    workload: WorkloadText = "closed"
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 1
    group: Annotated[int, Field(ge=1)] | None = None
    profile: str = "report-2025"
    arms: Arms
    budget: Budget = Budget()
    plan: Variance = Variance()

    @property
    def block_size(self) -> int:
        """Scenarios in a block: 1 for latency, otherwise the concurrency."""
        if self.group is not None:
            return self.group
        return 1 if self.estimand in LATENCY else self.concurrency

    @model_validator(mode="after")
    def _coherent(self) -> "ClaimFile":
        if self.kind == "absolute":
            if self.value is None or self.unit is None:
                raise ValueError("a claim of a value (kind = 'absolute') needs value and unit")
        elif self.arms.baseline is None:
            raise ValueError("a claim of a change needs arms.baseline as well as arms.candidate")
        size = self.gain if self.estimand == "success" else self.reduction
        if self.kind == "about" and size is None:
            name = "gain" if self.estimand == "success" else "reduction"
            raise ValueError(f"a claim about a size (kind = 'about') needs {name}")
        if self.kind == "any" and self.estimand == "success":
            raise ValueError("a claim on success needs a size: kind = 'about' with gain")
        higher = self.estimand in HIGHER_IS_BETTER
        less = higher == (self.direction == "worse")
        if less and self.reduction is not None and self.reduction >= 1:
            raise ValueError("reduction: nothing can be less by 1 or more, which is all of it")
        if self.estimand == "startup_s":
            if self.kind != "absolute" or self.arms.candidate.pipeline != "serve":
                raise ValueError(
                    "a claim on start-up is of a value (kind = 'absolute'), and its only arm is "
                    "pipeline = 'serve'"
                )
        elif not self.scenarios:
            raise ValueError("scenarios: name at least one")
        if len(set(self.scenarios)) < len(self.scenarios):
            raise ValueError("scenarios: one is named twice")
        if len(self.scenarios) % self.block_size:
            raise ValueError(
                f"scenarios: {len(self.scenarios)} do not fill blocks of {self.block_size}; "
                "name more of them, or give group"
            )
        if self.estimand == "goodput" and self.target is None:
            raise ValueError("a claim on goodput needs target, the response time in seconds")
        return self


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim as read, with the file it came from."""

    file: ClaimFile
    path: str

    @property
    def id(self) -> str:
        return self.file.id

    @property
    def lower_is_better(self) -> bool:
        return self.file.estimand not in HIGHER_IS_BETTER

    @property
    def swap(self) -> bool:
        """Whether the verdict reads baseline / candidate: more is claimed, or worse."""
        return self.lower_is_better == (self.file.direction == "worse")

    @property
    def reduction(self) -> float | None:
        """The claimed m on the scale of the verdict; None for a claim of any change.

        "Slower by m" is read with the arms swapped, where it is a reduction by m/(1 + m); "higher
        by m" likewise.
        """
        m = self.file.reduction
        if m is None or self.file.kind != "about":
            return None
        return slower_by(m) if self.swap else m

    @property
    def margin(self) -> float:
        if self.file.margin is not None:
            return self.file.margin
        return 0.10 if self.file.kind == "absolute" else 0.02

    @property
    def block_size(self) -> int:
        return self.file.block_size

    def value(self, time_scale: float) -> float:
        """The claimed value of an absolute claim; times are scaled like the simulator's, but not
        those of the processor or of a start-up.
        """
        assert self.file.value is not None
        scale = {"s": time_scale, "per_s": 1 / time_scale}.get(self.file.unit or "", 1.0)
        return self.file.value * (1.0 if self.file.estimand in NEVER_SCALED else scale)

    def threshold(self, time_scale: float) -> float:
        """The line of the verdict in the estimand's own unit: a ratio candidate / baseline, points
        of success, or a value, times of which are scaled like the simulator's.
        """
        file = self.file
        if file.kind == "absolute":
            return self.value(time_scale) * (1 - self.margin if self.swap else 1 + self.margin)
        if file.estimand == "success":
            assert file.gain is not None
            return file.gain / 2 if file.direction == "better" else -file.gain / 2
        m = self.reduction
        line = 1 - (self.margin if m is None else m / 2)
        return 1 / line if self.swap else line


def share_alpha(claims: Sequence[Claim]) -> list[Claim]:
    """The claims, those of one family each at the confidence 1 − α/|F| (Bonferroni).

    α is 1 − the confidence that a claim asks for. Claims without a family are one each.
    """
    from harness.stats.compare import family_confidence

    sizes = Counter(claim.file.family for claim in claims if claim.file.family)

    def shared(claim: Claim) -> Claim:
        if claim.file.family is None:
            return claim
        confidence = family_confidence(sizes[claim.file.family], 1 - claim.file.confidence)
        return replace(claim, file=claim.file.model_copy(update={"confidence": confidence}))

    return [shared(claim) for claim in claims]


def load_claims(paths: Iterable[str | Path]) -> list[Claim]:
    """Read claim files, or all in a folder, in the order given. Raises InputError."""
    claims: dict[str, Claim] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; give a claim file")
        files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        if not files:
            raise InputError(f"{path}: holds no claims (*.toml)")
        for file in files:
            claim = _load(file)
            if claim.id in claims:
                other = claims[claim.id].path
                raise InputError(f"{file}: id: {claim.id!r} is already the id of {other}")
            claims[claim.id] = claim
    return list(claims.values())


def _load(path: Path) -> Claim:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: {error}") from error
    try:
        return Claim(ClaimFile.model_validate(raw), str(path))
    except ValidationError as error:
        raise InputError(f"{path}: {describe(error)}") from error
