"""Experiments for the tests of the gates: three arms drawn by the numbers, with planted faults."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from harness.gates import ClientReplay, Gate, check_gates, evidence, margins
from harness.gates.evidence import LEVEL
from harness.records import Attempt, BlockRecord, CallError, Outcome, TrialRecord, Usage
from harness.stats import sample as sm
from harness.stats.compare import Comparison, gm_ratio
from harness.stats.position import adjusted
from tests.stats.draw import log_sd

A, TWIN, B = ARMS = ("sync", "sync@aa", "async")
LINE = math.log1p(-0.15 / 2)
BEATS = 100
REPLAY = ClientReplay(p99_s=0.004, p50_s=0.002, cpu_share=0.3)


class _Where(TypedDict):
    scenario: str
    repeat: int
    block: int
    position: int
    warmup: bool
    start: float
    took: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A clean experiment on latency, and the faults to plant in it.

    Times are lognormal with coefficient of variation ``cv``, arms of a block correlated by
    ``rho``, about ``base_s`` seconds; ``ratio``: true candidate / baseline. ``fenced``: what a
    fence adds to the tokens of 40 % of the answers. Faults: ``bias`` times A′; the candidate's
    times grow by ``drift`` over the run; the first round ``slow`` times as long; ``wrong`` and
    ``lost`` points of the candidate's answers; ``tokens`` times the candidate's; the candidate's
    loop ``stalled`` 50 ms twice a second.
    """

    blocks: int = 60
    scenarios: int = 6
    cv: float = 0.2
    rho: float = 0.5
    base_s: float = 3.0
    ratio: float = 0.85
    right: float = 0.92
    fenced: float = 0.14
    warmup: int = 0
    bias: float = 1.0
    drift: float = 0.0
    slow: float = 1.0
    wrong: float = 0.0
    lost: float = 0.0
    tokens: float = 1.0
    stalled: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """An experiment as arrays (block, arm): seconds, right, answered, output tokens, and places
    (0 to 2) within the block.
    """

    plan: Plan
    seconds: np.ndarray
    right: np.ndarray
    answered: np.ndarray
    tokens: np.ndarray
    places: np.ndarray


def draw(rng: np.random.Generator, plan: Plan) -> Drawn:
    """Draw an experiment; warm-up rounds come first and take four times as long."""
    n = plan.blocks + plan.warmup * plan.scenarios
    first = plan.warmup * plan.scenarios
    shared, own = rng.standard_normal((n, 1)), rng.standard_normal((n, 3))
    logs = log_sd(plan.cv) * (math.sqrt(plan.rho) * shared + math.sqrt(1 - plan.rho) * own)
    logs += rng.normal(0, 0.3, plan.scenarios)[np.arange(n) % plan.scenarios, None]
    logs[:first] += math.log(4)
    logs[first : first + plan.scenarios] += math.log(plan.slow)
    logs[:, 1] += math.log(plan.bias)
    logs[:, 2] += math.log(plan.ratio) + np.log1p(np.linspace(0, plan.drift, n))
    right = rng.random((n, 3)) < plan.right - np.array([0, 0, plan.wrong])
    answered = rng.random((n, 3)) >= np.array([0, 0, plan.lost])
    lengths = 2500 * (1 + plan.fenced * (rng.random((n, 3)) < 0.4)) * [1, 1, plan.tokens]
    places = rng.permuted(np.tile(np.arange(3), (n, 1)), axis=1)
    seconds = plan.base_s * np.exp(logs)
    return Drawn(plan, seconds, right & answered, answered, np.rint(lengths).astype(int), places)


def fast_gm_ratio(d: np.ndarray, confidence: float) -> Comparison:
    """``gm_ratio`` of the log ratios ``d``, without what it takes to call scipy's t test."""
    found = margins.mean_change(d, 1 - confidence)
    assert found is not None
    point, lo, hi = np.exp(found.value + np.array([0, -1, 1]) * found.limit).tolist()
    return Comparison("response_time_gm", point, lo, hi, d.size, 0, confidence, "t")


def failing(drawn: Drawn) -> set[str]:
    """The statistical gates that a draw without warm-up or lost answers fails, without the detour
    over records.
    """
    seconds, places, logs = drawn.seconds, drawn.places, np.log(drawn.seconds)
    n, scenarios = len(seconds), drawn.plan.scenarios

    def estimate(baseline: str, candidate: str, confidence: float) -> Comparison:
        a, b = (logs[:, ARMS.index(arm)] for arm in (baseline, candidate))
        return fast_gm_ratio(b - a, confidence)

    where = dict(enumerate(zip(places[:, 0].tolist(), places[:, 2].tolist(), strict=True)))
    pairs = adjusted(sm.Pairs.of(seconds[:, 0], seconds[:, 2]), where)
    d = np.log(pairs.candidate / pairs.baseline)
    centred = logs.copy()
    scenario = np.arange(n) % scenarios
    for s in range(scenarios):
        centred[scenario == s] -= logs[scenario == s].mean(axis=0)
    both = drawn.right[:, 0] & drawn.right[:, 2]
    lengths = np.log(drawn.tokens[both, 2] / drawn.tokens[both, 0])
    answered, right = (
        [(int(found[:, arm].sum()), n) for arm in (0, 2)] for found in (drawn.answered, drawn.right)
    )
    found = {
        "G6": (
            margins.trend(d, LEVEL["trend"]),
            margins.autocorrelation(d, LEVEL["autocorrelation"]),
        ),
        "G7": (
            margins.first_against_rest(
                centred.mean(axis=1),
                (np.arange(n) // scenarios).astype(float),
                LEVEL["first round"],
            ),
        ),
        "G8": (margins.mean_change(lengths, LEVEL["tokens"], margins.LEAST_TOKEN_CHANGE),),
        "G9": (
            margins.share_difference(answered[0], answered[1], LEVEL["answered"]),
            margins.share_difference(right[0], right[1], LEVEL["right"]),
        ),
    }
    bad = {name for name, tests in found.items() if any(not (m and m.ok) for m in tests)}
    if min(k for k, _ in answered) < 0.95 * n:
        bad.add("G9")
    return bad if evidence.aa(estimate, (A, TWIN), LINE, (A, B)).ok else bad | {"G1"}


@dataclass(frozen=True, slots=True)
class Run:
    """What an experiment recorded."""

    records: list[TrialRecord]
    blocks: list[BlockRecord]


def recorded(rng: np.random.Generator, drawn: Drawn) -> Run:
    """The records of a draw: blocks of one scenario, one arm after another in each."""
    plan, run, now = drawn.plan, Run([], []), 0.0
    slips = rng.exponential(2e-4, drawn.seconds.shape)
    lags = rng.exponential(2e-4, (*drawn.seconds.shape, BEATS))
    if plan.stalled:
        # A stall swallows the beats that fall into it: of 92 in a second two are late.
        late = rng.random(lags[:, 2].shape) < 2 / 92
        lags[:, 2][late] += rng.uniform(0.04, 0.05, int(late.sum()))
    for i, places in enumerate(drawn.places):
        repeat, place = divmod(i, plan.scenarios)
        for position, arm in enumerate(np.argsort(places).tolist()):
            answer: Outcome = "ok" if drawn.right[i, arm] else "wrong"
            took = float(drawn.seconds[i, arm])
            common: _Where = {
                "scenario": f"s{place}",
                "repeat": repeat,
                "block": i,
                "position": position,
                "warmup": repeat < plan.warmup,
                "start": now,
                "took": took,
            }
            run.records.append(
                trial(
                    ARMS[arm],
                    **common,
                    outcome=answer if drawn.answered[i, arm] else "error",
                    tokens=int(drawn.tokens[i, arm]),
                    slip=float(slips[i, arm]),
                )
            )
            run.blocks.append(stretch(ARMS[arm], **common, lags=lags[i, arm].tolist()))
            now += took + 0.002
    return run


def experiment(rng: np.random.Generator, plan: Plan) -> Run:
    """An experiment's records."""
    return recorded(rng, draw(rng, plan))


def trial(
    arm: str,
    scenario: str = "s1",
    repeat: int = 1,
    block: int = 1,
    position: int = 0,
    warmup: bool = False,
    start: float = 0.0,
    took: float = 3.0,
    outcome: Outcome = "ok",
    tokens: int = 2500,
    slip: float = 0.0,
    mode: str | None = None,
    held: float = 0.0,
    cached: int | None = None,
) -> TrialRecord:
    """A trial that could begin at ``start`` and ended ``took`` seconds later; its caller had it
    ``held`` seconds after that.
    """
    usage = None if outcome == "error" else Usage(3000, tokens, cached)
    end = start + took
    error = CallError("reset", "planted") if outcome == "error" else None
    return TrialRecord(
        trial=f"{scenario}/{arm}/{repeat}/{block}",
        scenario=scenario,
        pipeline=arm,
        repeat=repeat,
        block=block,
        position=position,
        segment=0,
        warmup=warmup,
        scheduled=start,
        eligible=start,
        sent=start + slip,
        first_token=None,
        last_token=None,
        done=end + held,
        own_done=end,
        outcome=outcome,
        error=error,
        malformed=None,
        attempts=(
            Attempt(
                "edit",
                due=start + slip,
                sent=start + slip,
                done=end,
                error=error,
                usage=usage,
                mode=("async" if arm == B else "blocking") if mode is None else mode,  # type: ignore[arg-type]
            ),
        ),
        usage=usage,
        checks=(),
    )


def stretch(
    arm: str,
    scenario: str = "s1",
    repeat: int = 1,
    block: int = 1,
    position: int = 0,
    warmup: bool = False,
    start: float = 0.0,
    took: float = 3.0,
    lags: Sequence[float] = (0.0002,) * 10,
    trials: int = 1,
) -> BlockRecord:
    """The block of an arm, with 1 ms after its last trial."""
    return BlockRecord(
        block=block,
        pipeline=arm,
        segment=0,
        repeat=repeat,
        position=position,
        warmup=warmup,
        started=start,
        ended=start + took + 0.001,
        trials=trials,
        cpu_s=0.01,
        peak_rss_mb=100.0,
        peak_threads=2,
        peak_sockets=1,
        lag_s=tuple(lags),
    )


def gates(run: Run, **changes: object) -> dict[str, Gate]:
    """The gates of a run by the short name (``G0``); ``changes`` replace arguments."""

    def estimate(baseline: str, candidate: str, confidence: float) -> Comparison:
        return gm_ratio(sm.pairs(run.records, baseline, candidate), confidence)

    usual: dict[str, object] = {
        "estimand": "response_time_gm",
        "line": LINE,
        "baseline": A,
        "candidate": B,
        "aa": (A, TWIN),
        "records": run.records,
        "blocks": run.blocks,
        "slots": dict.fromkeys(ARMS, 1),
        "treatment": dict.fromkeys(ARMS, "same"),
        "replay": REPLAY,
        "estimate": estimate,
    }
    return {gate.name[:2]: gate for gate in check_gates(**(usual | changes))}  # type: ignore[arg-type]
