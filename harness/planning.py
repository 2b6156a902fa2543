"""What a claim will take before it is run, and how often noise alone gives what was published."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from harness import estimands
from harness.claims import NEVER_SCALED, RESOURCES, Claim
from harness.outlook import line_of
from harness.pipelines import Settings, make_pipeline
from harness.published import evidence
from harness.stats import estimate, power, sequential
from harness.stats import sample as sm
from harness.store import Run

NOISE_CVS = (0.05, 0.10, 0.15, 0.20, 0.30)
NO_LIMIT = 100_000
LEAST_FOR_QUANTILE = {"response_time_p50": (0.5, 30), "response_time_p95": (0.95, 300)}
STATED = "stated in the claim file"


@dataclass(frozen=True, slots=True)
class Assumption:
    """The variance that a plan rests on: ``sd`` of a block's log ratio (of one arm's log value for
    a claim of a value), the seconds that an edit takes, tokens per trial, and where they come from.
    """

    sd: float
    cv: float
    edit_s: float
    prompt_tokens: float
    completion_tokens: float
    source: str


@dataclass(frozen=True, slots=True)
class Plan:
    """``support`` and ``refute``: blocks for a decisive verdict if the claim, or no effect, is
    true (None: not known beforehand); ``blocks``: what to plan for in whole rounds, within the
    budget or not. ``minutes``, tokens and cost hold the round of warm-up too.

    ``noise``: coefficient of variation → how often two identical arms differ by the published
    change (None without one). ``cost`` is in the currency of the prices.
    """

    claim: str
    assumption: Assumption
    support: int | None
    refute: int | None
    blocks: int
    budget_blocks: int
    budget_minutes: float
    arms: int
    minutes: float
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    published_change: float | None
    published_n: int | None
    noise: dict[str, float] | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def plan(
    claim: Claim,
    *,
    time_scale: float = 1.0,
    pilot: Run | None = None,
    prices: tuple[float, float] | None = None,
    seed: int = 0,
) -> Plan:
    """Plan one claim from a pilot run, or from the variance that its file states.

    ``prices``: of a million prompt and completion tokens. Raises ValueError when the pilot has too
    little to estimate a spread.
    """
    assumed = _stated(claim, time_scale) if pilot is None else _from_pilot(claim, pilot)
    change, n, noise = _noise(claim, seed)
    support, refute = _needed(claim, assumed, change)
    # Where the effect is known to be large, it decides; otherwise both ways have to be open.
    blocks = support if claim.file.kind == "any" and support else max(support or 0, refute or 0)
    blocks = blocks or claim.file.budget.blocks
    startup = claim.file.estimand == "startup_s"
    round_size = 1 if startup else len(claim.file.scenarios) // claim.block_size
    blocks = claim.file.budget.blocks if startup else -(-blocks // round_size) * round_size
    arms = 1 if startup else 2 if claim.file.arms.baseline is None else 3
    warmup = 0 if startup else round_size
    trials = (blocks + warmup) * claim.block_size * arms
    prompt, completion = (
        round(trials * tokens) for tokens in (assumed.prompt_tokens, assumed.completion_tokens)
    )
    cost = None if prices is None else (prompt * prices[0] + completion * prices[1]) / 1e6
    return Plan(
        claim=claim.id,
        assumption=assumed,
        support=support,
        refute=refute,
        blocks=blocks,
        budget_blocks=claim.file.budget.blocks,
        budget_minutes=claim.file.budget.minutes,
        arms=arms,
        minutes=(blocks + warmup) * _block_seconds(claim, assumed.edit_s) / 60,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cost=cost,
        published_change=change,
        published_n=n,
        noise=noise,
    )


def first_look(claim: Claim) -> int:
    """The blocks after which the spread is looked at: half of what the stated variance asks for.

    An internal pilot of half the planned size; a smaller one gives too uncertain an estimate.
    Source: Wittes & Brittain, Stat. Med. 9 (1990).
    """
    planned = [n for n in _needed(claim, _stated(claim, 1.0), None) if n is not None]
    return max(sequential.FIRST_LOOK, max(planned, default=0) // 2)


def _stated(claim: Claim, time_scale: float) -> Assumption:
    stated = claim.file.plan
    paired = claim.file.kind != "absolute"
    sd = power.paired_log_sd(stated.cv, stated.rho) if paired else power.log_sd(stated.cv)
    return Assumption(
        sd / math.sqrt(claim.block_size),  # of a block, whose edits are independent
        stated.cv,
        stated.edit_s * (1.0 if claim.file.estimand in NEVER_SCALED else time_scale),
        stated.prompt_tokens,
        stated.completion_tokens,
        STATED,
    )


def _from_pilot(claim: Claim, pilot: Run) -> Assumption:
    """The spread, times and tokens of a recorded run's first two arms."""
    baseline, *others = pilot.manifest["arms"]
    times = sm.sample(pilot.records, baseline).values
    if times.size < 2 or not estimate.varies(times):
        raise ValueError(f"{pilot.folder}: has too few trials to estimate a spread")
    cv = float(times.std(ddof=1) / times.mean())
    sd = power.log_sd(cv)
    if claim.file.estimand == "success":
        right = sm.successes(pilot.records, baseline)
        share = (right.k + 2) / (right.n + 4)  # Agresti and Coull's, which none of n leaves open
        arms = 1 if claim.file.kind == "absolute" else 2
        sd = math.sqrt(arms * share * (1 - share) / claim.block_size)
    elif claim.file.kind != "absolute":
        found = None
        if others:
            found = estimands.ratio(
                claim.file.estimand, pilot.records, pilot.blocks, baseline, others[0], 0.95
            ).sd
        sd = power.paired_log_sd(cv) if found is None else found
    usages = [record.usage for record in pilot.records if record.usage is not None]
    count = max(1, len(usages))
    return Assumption(
        sd,
        cv,
        float(times.mean()),
        sum(usage.prompt for usage in usages) / count,
        sum(usage.completion for usage in usages) / count,
        str(pilot.folder),
    )


def _needed(
    claim: Claim, assumed: Assumption, change: float | None
) -> tuple[int | None, int | None]:
    """Blocks to support the claim if it is true, and to refute it if nothing differs.

    None for what the assumption says nothing about: the size of an effect that was neither claimed
    nor published, or the spread of success or of a resource that no pilot has measured.
    """
    estimand, confidence = claim.file.estimand, claim.file.confidence
    if assumed.source == STATED and estimand in (*RESOURCES, "success", "goodput"):
        return None, None
    line, sd = line_of(claim), assumed.sd
    if estimand in LEAST_FOR_QUANTILE:
        return _for_quantile(estimand, sd, line, confidence)
    refute = power.reestimated_n(sd, line, NO_LIMIT, confidence=confidence)
    if claim.file.kind == "absolute" or estimand == "success":
        return refute, refute
    if claim.reduction is not None:
        needed = power.blocks_for_verdict(sd, claim.reduction, line, confidence)
        return needed.support, needed.refute
    if change is None or change == 0:
        return None, refute
    beyond = abs(math.log1p(change)) - abs(line)
    return (power.paired_n(beyond, sd, confidence) if beyond > 0 else None), refute


def _for_quantile(estimand: str, sd: float, line: float, confidence: float) -> tuple[int, int]:
    """Blocks for a quantile of lognormal times, and never fewer than its interval asks for."""
    p, least = LEAST_FOR_QUANTILE[estimand]
    wide = power.quantile_sd(sd, p)
    needed = power.reestimated_n(wide, line, NO_LIMIT, confidence=confidence, n_min=least)
    return needed, needed


def _block_seconds(claim: Claim, edit_s: float) -> float:
    """Seconds that all arms of one block take, waiting for a slow answer left aside."""
    if claim.file.estimand == "startup_s":
        return edit_s
    total = 0.0
    files = [claim.file.arms.candidate, claim.file.arms.baseline]
    named = [file for file in files if file is not None]
    for file in [*named, named[-1]]:  # the A/A arm repeats the baseline
        dispatch = make_pipeline(file.pipeline, Settings())[1]
        slots = file.batch_size or file.concurrency or claim.file.concurrency
        slots = 1 if dispatch == "serial" else slots
        total += edit_s * -(-claim.block_size // slots)
    return total


def _noise(claim: Claim, seed: int) -> tuple[float | None, int | None, dict[str, float] | None]:
    """How often noise alone gives a published change of that size, at several variances."""
    change, published = evidence(claim).change, claim.file.published
    if change is None or change == 0:
        return change, None, None
    n = min(len(published.baseline), len(published.candidate))
    # A change for the worse is a reduction with the arms swapped.
    reduction = -change if change < 0 else change / (1 + change)
    chances = {f"{cv:g}": power.chance_of_noise(cv, n, reduction, seed=seed) for cv in NOISE_CVS}
    return change, n, chances
