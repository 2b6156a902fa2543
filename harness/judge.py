"""Claim + records → verdict: the gates first, then the algebra of verdicts. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness import estimands
from harness.claims import Claim, VerdictName
from harness.gates import ClientReplay, Gate, check_gates
from harness.outlook import line_of, outlook
from harness.published import Evidence, evidence
from harness.records import BlockRecord, TrialRecord
from harness.stats import estimate
from harness.stats import verdict as algebra
from harness.stats.compare import Comparison
from harness.stats.estimate import Estimate
from harness.workload import Workload

QUANTILES = ("response_time_p50", "response_time_p95")


@dataclass(frozen=True, slots=True)
class Arms:
    """The arms of a claim by their names in the run; ``twin`` is ``first`` a second time."""

    baseline: str | None
    candidate: str
    twin: str

    @property
    def first(self) -> str:
        return self.candidate if self.baseline is None else self.baseline

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(filter(None, (self.baseline, self.candidate, self.twin))))


@dataclass(frozen=True, slots=True)
class Data:
    """What a verdict rests on: records and blocks, and what is known of arms and client."""

    records: Sequence[TrialRecord]
    blocks: Sequence[BlockRecord]
    slots: Mapping[str, int]
    treatment: Mapping[str, str]
    replay: ClientReplay | None
    time_scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Result:
    """A verdict with its evidence.

    ``estimate`` and ``ci`` are a ratio candidate / baseline, points of success, or a value in the
    claim's unit; ``threshold`` is the line of the verdict on the same scale. ``n`` counts what
    the estimate rests on (blocks, trials or scenarios), ``n_blocks`` the blocks behind it.
    ``blocks_needed`` would decide if the claim, or no effect, were true; ``mde`` is the smallest
    change that these blocks would show (a share of the baseline or of the value claimed; points
    for success). ``reasons`` are codes of the words that reports use.
    """

    claim: str
    evidence: Evidence
    verdict: VerdictName
    qualifier: str | None
    estimand: str
    estimate: float | None
    ci: tuple[float | None, float | None]
    confidence: float
    threshold: float
    n: int
    n_blocks: int
    blocks_needed: int | None
    mde: float | None
    gates: tuple[Gate, ...]
    reasons: tuple[str, ...]
    method: str
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As ``claim --json`` has it."""
        gates = [asdict(gate) for gate in self.gates]
        return {
            "claim": self.claim,
            "evidence_verdict": self.evidence.verdict,
            "evidence": asdict(self.evidence),
            "verdict": self.verdict,
            "qualifier": self.qualifier,
            "estimand": self.estimand,
            "estimate": self.estimate,
            "ci": list(self.ci),
            "confidence": self.confidence,
            "threshold": self.threshold,
            "n": self.n,
            "n_blocks": self.n_blocks,
            "blocks_needed": self.blocks_needed,
            "mde": self.mde,
            "validity": {"valid": all(g.ok is not False for g in self.gates), "checks": gates},
            "reasons": list(self.reasons),
            "method": self.method,
            "warnings": list(self.warnings),
        }


def measure(claim: Claim, arms: Arms, data: Data, g: float | None = None) -> Comparison | Estimate:
    """The estimate of a claim on the scale of its threshold. ``g`` as in ``estimands.ratio``."""
    file = claim.file
    if file.kind == "absolute":
        return estimands.value(
            file.estimand,
            data.records,
            data.blocks,
            arms.candidate,
            file.confidence,
            target=_target(claim, data),
        )
    assert arms.baseline is not None
    if file.estimand == "success":
        return estimands.gain(data.records, arms.baseline, arms.candidate, file.confidence)
    return _compare(claim, data, g)(arms.baseline, arms.candidate, file.confidence)


def decide(claim: Claim, found: Comparison | Estimate, time_scale: float) -> algebra.Judgement:
    """The algebra of verdicts on an estimate; no gates."""
    file = claim.file
    if file.kind == "absolute":
        return algebra.absolute_verdict(
            found.lo,
            found.hi,
            claim.value(time_scale),
            margin=claim.margin,
            better="higher" if claim.swap else "lower",
        )
    if file.estimand == "success":
        assert file.gain is not None
        lo, hi = found.lo, found.hi
        if file.direction == "worse":
            lo, hi = (None if hi is None else -hi), (None if lo is None else -lo)
        return algebra.difference_verdict(lo, hi, file.gain, equivalence=file.equivalence)
    lo, hi = algebra.swapped(found.lo, found.hi) if claim.swap else (found.lo, found.hi)
    return algebra.verdict(
        lo, hi, claim.reduction, margin=claim.margin, equivalence=file.equivalence
    )


def judge(claim: Claim, arms: Arms, data: Data, g: float | None = None) -> Result:
    """The verdict, first match wins: an invalid run, what cannot be tested, an A/A that is too
    wide to tell, then the algebra.
    """
    found = measure(claim, arms, data, g)
    gates = tuple(
        check_gates(
            estimand=claim.file.estimand,
            line=line_of(claim),
            baseline=arms.baseline,
            candidate=arms.candidate,
            aa=(arms.first, arms.twin),
            records=data.records,
            blocks=data.blocks,
            slots=data.slots,
            treatment=data.treatment,
            replay=data.replay,
            estimate=_compare(claim, data, None),
            workload=Workload.parse(claim.file.workload),
        )
    )
    return _result(claim, found, gates, len(kept_blocks(arms, data)), data.time_scale)


def judge_startups(claim: Claim, seconds: Sequence[float]) -> Result:
    """The verdict on launches of the service. No gate applies: nothing is timed in here."""
    found = estimate.mean(seconds, claim.file.confidence, least=0.0)
    return _result(claim, found, (), len(seconds), 1.0)


def _result(
    claim: Claim,
    found: Comparison | Estimate,
    gates: tuple[Gate, ...],
    blocks: int,
    time_scale: float,
) -> Result:
    verdict, qualifier, reasons = _first_match(claim, found, gates, time_scale)
    needed, mde = outlook(claim, found, blocks)
    return Result(
        claim=claim.id,
        evidence=evidence(claim),
        verdict=verdict,
        qualifier=qualifier,
        estimand=claim.file.estimand,
        estimate=found.ratio if isinstance(found, Comparison) else found.point,
        ci=(found.lo, found.hi),
        confidence=claim.file.confidence,
        threshold=claim.threshold(time_scale),
        n=found.n,
        n_blocks=blocks,
        blocks_needed=needed,
        mde=mde,
        gates=gates,
        reasons=reasons,
        method=found.method,
        warnings=found.warnings,
    )


def _first_match(
    claim: Claim, found: Comparison | Estimate, gates: Sequence[Gate], time_scale: float
) -> tuple[VerdictName, str | None, tuple[str, ...]]:
    broken = [gate for gate in gates if gate.ok is False]
    effects: tuple[VerdictName, ...] = ("invalid_run", "not_testable", "inconclusive")
    for effect in effects:
        names = tuple(gate.name for gate in broken if gate.effect == effect)
        if effect == "not_testable" and found.n < 2:
            names += ("one_measurement",)
        elif effect == "not_testable" and claim.file.estimand in QUANTILES and not _bounded(found):
            names += ("unbounded_quantile",)
        if names:
            return effect, None, names
    judged = decide(claim, found, time_scale)
    return judged.verdict, judged.qualifier, ()


def kept_blocks(arms: Arms, data: Data) -> set[int]:
    """The blocks, warm-up left out, in which the claim's arms have trials."""
    names = {arms.first, arms.candidate}
    return {
        record.block
        for record in data.records
        if record.pipeline in names and not record.warmup and record.outcome != "cancelled"
    }


def _bounded(found: Comparison | Estimate) -> bool:
    return found.lo is not None and found.hi is not None


def _target(claim: Claim, data: Data) -> float | None:
    target = claim.file.target
    return None if target is None else target * data.time_scale


def _compare(
    claim: Claim, data: Data, g: float | None
) -> Callable[[str, str, float], Comparison | Estimate]:
    """The claim's own estimator for any two arms, as the A/A gate needs it."""
    file = claim.file

    def compare(baseline: str, candidate: str, confidence: float) -> Comparison | Estimate:
        if file.estimand == "success":
            return estimands.gain(data.records, baseline, candidate, confidence)
        return estimands.ratio(
            file.estimand,
            data.records,
            data.blocks,
            baseline,
            candidate,
            confidence,
            target=_target(claim, data),
            g=g,
            scope=file.scope,
        )

    return compare
