"""What a claim is about, measured: an estimand's name and records → a comparison or an estimate."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, cast

from harness.records import BlockRecord, TrialRecord
from harness.stats import compare, estimate, position, sequential
from harness.stats import sample as sm
from harness.stats.compare import Comparison, Scope
from harness.stats.estimate import Estimate
from harness.trials import Records

TRIALWISE = ("response_time_gm", "response_time_mean", "response_time_p50", "response_time_p95")
BLOCKWISE = ("makespan", "throughput", "goodput")
RESOURCES = ("cpu_s", "peak_rss_mb", "peak_threads", "loop_stall_s")
POSITION_WARNING = "adjusted for the place of the arms within their blocks"
MOST_FOR_RANKS = 2000  # blocks; looking at all their pairs takes time and memory
LEAST_STALL_S = 1e-4  # stalls below the heartbeat's own resolution count as this

Resource = Literal["cpu_s", "peak_rss_mb", "peak_threads", "loop_stall_s"]


def ratio(
    estimand: str,
    records: Sequence[TrialRecord],
    blocks: Sequence[BlockRecord],
    baseline: str,
    candidate: str,
    confidence: float,
    *,
    target: float | None = None,
    g: float | None = None,
    scope: Scope = "these scenarios",
) -> Comparison:
    """Candidate over baseline. ``g`` not None: the always-valid interval of the sequential rule,
    which only estimands of log ratios have. ``scope`` is for ratios of geometric means.

    Means are freed of the effect of an arm's place within its block where there is one (p < .01).
    Raises ValueError for an estimand that is no ratio.
    """
    if estimand == "response_time_p95":
        arms = [sm.sample(records, arm, timeouts_as_inf=True) for arm in (baseline, candidate)]
        return compare.quantile_ratio(arms[0], arms[1], 0.95, confidence)
    found = paired(estimand, records, blocks, baseline, candidate, target)
    if estimand not in RESOURCES and estimand != "response_time_p50":
        found, moved = _without_position(found, records, baseline, candidate)
        if moved:
            made = _ratio(estimand, found, confidence, g, scope)
            return replace(made, warnings=(*made.warnings, POSITION_WARNING))
    return _ratio(estimand, found, confidence, g, scope)


def _without_position(
    pairs: sm.Pairs, records: Sequence[TrialRecord], baseline: str, candidate: str
) -> tuple[sm.Pairs, bool]:
    """The pairs freed of the effect of an arm's place in its block, if there is one."""
    freed = position.adjusted(pairs, position.positions(records, baseline, candidate))
    return freed, freed is not pairs


def _ratio(
    estimand: str, found: sm.Pairs, confidence: float, g: float | None, scope: Scope
) -> Comparison:
    if g is not None:
        return sequential.sequential_gm_ratio(found, confidence, g, scope, estimand)
    if estimand == "response_time_mean":
        return compare.mean_ratio(found, confidence)
    if estimand == "response_time_p50":
        return compare.median_ratio(found, confidence)
    if estimand in BLOCKWISE:
        return compare.block_ratio(found, confidence, estimand)
    made = compare.gm_ratio(found, confidence, scope, estimand)
    if scope != "these scenarios" or made.n > MOST_FOR_RANKS:
        return made
    # A second look by ranks may flag heavy tails; it never overrides.
    flags = compare.sensitivity(found, made).warnings
    return replace(made, warnings=(*made.warnings, *flags))


def paired(
    estimand: str,
    records: Sequence[TrialRecord],
    blocks: Sequence[BlockRecord],
    baseline: str,
    candidate: str,
    target: float | None = None,
) -> sm.Pairs:
    """The pairs that a ratio rests on: trials within blocks, or whole blocks."""
    if estimand in TRIALWISE:
        late = estimand == "response_time_p50"  # a quantile can do with "longer than the time-out"
        return sm.pairs(records, baseline, candidate, timeouts_as_inf=late)
    if estimand in BLOCKWISE:
        measure = cast(sm.BlockMeasure, estimand)
        return sm.block_pairs(records, baseline, candidate, measure, target=target)
    if estimand in RESOURCES:
        name = cast(Resource, estimand)
        a, b = (resource(blocks, arm, name) for arm in (baseline, candidate))
        both = sorted(a.keys() & b.keys())
        lost = len(a.keys() ^ b.keys())
        found = sm.Pairs.of([a[i] for i in both], [b[i] for i in both], both)
        return replace(found, excluded={"missing": lost} if lost else {})
    raise ValueError(f"{estimand} is not a ratio")


def resource(blocks: Sequence[BlockRecord], arm: str, name: Resource) -> dict[int, float]:
    """Block number → what ``arm`` used: processor seconds for each trial, megabytes, threads, or
    the longest stall of the event loop in seconds. Warm-up and what was not measured is left out.
    """
    found: dict[int, float] = {}
    for block in blocks:
        if block.pipeline != arm or block.warmup:
            continue
        value: float | None = None
        if name == "cpu_s":
            value = block.cpu_s / block.trials if block.trials else None
        elif name == "loop_stall_s":
            value = max(max(block.lag_s), LEAST_STALL_S) if block.lag_s else None
        else:
            value = getattr(block, name)
        if value is not None:
            found[block.block] = float(value)
    return found


def value(
    estimand: str,
    records: Records,
    blocks: Sequence[BlockRecord],
    arm: str,
    confidence: float,
    *,
    target: float | None = None,
) -> Estimate:
    """One arm by itself, in the estimand's own unit; no time, rate or resource is below 0, nor is a
    bound. Geometric means have the mean's estimate.
    """
    if estimand == "success":
        right = sm.successes(records, arm)
        return estimate.proportion(right.k, right.n, confidence)
    if estimand in ("response_time_p50", "response_time_p95"):
        times = sm.sample(records, arm, timeouts_as_inf=True).values
        return estimate.quantile(times, 0.5 if estimand.endswith("50") else 0.95, confidence)
    if estimand in TRIALWISE:
        sample = sm.sample(records, arm)
        means = compare.by_group(sample.values, sample.blocks)
        return estimate.mean(means, confidence, least=0.0)
    if estimand in BLOCKWISE:
        measure = cast(sm.BlockMeasure, estimand)
        values = sm.block_values(records, arm, measure, target=target).values
        return estimate.mean(values, confidence, least=0.0)
    used = resource(blocks, arm, cast(Resource, estimand))
    return estimate.mean([used[i] for i in sorted(used)], confidence, least=0.0)


def gain(
    records: Sequence[TrialRecord], baseline: str, candidate: str, confidence: float
) -> Estimate:
    """Success of the candidate less the baseline's, in points from −1 to 1."""
    arms = [sm.successes(records, arm) for arm in (baseline, candidate)]
    return compare.success_difference(arms[0], arms[1], confidence)
