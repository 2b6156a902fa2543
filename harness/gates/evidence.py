"""Gates on the evidence: does an arm agree with itself, are time, work and success comparable?

On clean runs all gates together may fail in 3 % at most. The levels share that out, and none but G1
asks for a narrow interval: clean answers of uneven length would rarely pass "within ±5 %".

Blocks that catch a fault 4 times in 5 (simulated; CV the coefficient of variation of a time, s the
standard deviation of a log ratio, in rounds of six scenarios):

- 10 % bias of A′: 55 at CV .2, ρ .5
- 10 % linear drift of an arm: 12·(3.8·s/.095)², so 100 at s = .07, 200 at .1 and 750 at .2
- first round 30 % slower: 60 at CV .2, ρ .5; 18 at CV .15, ρ 0
- 10 % more tokens: 24 where the tokens of an answer vary by 7 %, 80 where by 13 %
- 5 points more failures: 180 unanswered, 210 wrong where none were before; 330 where 1 % were wrong
  before, 1,000 where 8 % were
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from harness.gates import margins
from harness.gates.base import Gate, Margin, Rule
from harness.gates.client import Trials
from harness.records import TrialRecord
from harness.stats import sample as sm
from harness.stats.compare import Comparison, by_group
from harness.stats.estimate import Estimate
from harness.stats.position import adjusted, positions
from harness.validity import UNANSWERED_SHARE

AA_CONFIDENCE = 0.99
LEVEL = {
    "trend": 0.003,
    "autocorrelation": 0.001,
    "first round": 0.004,
    "tokens": 0.002,
    "right": 0.005,
    "answered": 0.01,  # on clean runs nearly all are: far below its level
}
"""Chance of each test to fail on a clean run, both sides together; that of A/A is .01."""
CACHED_POINTS = 0.01

Estimator: TypeAlias = Callable[[str, str, float], Comparison | Estimate]
"""(baseline, candidate, confidence) → the claim's own estimate: a ratio, or points of success."""

AA = Rule("G1_aa", "log ratio", "inconclusive", "run more blocks")
DRIFT = Rule("G6_drift", "log ratio", "invalid_run", "run again when the server is steady")
WARMUP = Rule("G7_warmup", "log ratio", "invalid_run", "run again with more rounds of warm-up")
WORK = Rule("G8_work", "log ratio", "not_testable", "make both arms ask for the same answers")
SUCCESS = Rule("G9_success", "points", "not_testable", "see the errors, or claim goodput instead")


def aa(
    estimate: Estimator, twins: tuple[str, str] | None, line: float, pair: tuple[str, str] | None
) -> Gate:
    """G1: an arm against its twin, by the claim's own estimator, on the scale of ``line``."""
    if twins is None:
        why, remedy = "no arm was run twice", "run the A/A arm as well"
        return AA.unmeasured(why, remedy, effect="not_testable")
    wide, usual = estimate(*twins, AA_CONFIDENCE), estimate(*twins, 0.95)
    unit = "log ratio" if isinstance(wide, Comparison) else "points"
    outer, inner = _interval(wide), _interval(usual)
    if outer is None or inner is None:
        return AA.unmeasured("A/A has no interval: too few blocks", AA.remedy, unit=unit)
    point, lo, hi = outer
    if lo > 0 or hi < 0:
        remedy = "find what favours one arm: its place, caches, connections"
        margin = Margin(point, point - lo if point > 0 else hi - point)
        return AA.within(margin, "A/A differs by", unit=unit, effect="invalid_run", remedy=remedy)
    if pair is None and isinstance(wide, Estimate):
        # One arm's share of right answers: its own interval already says how wide it is.
        why = f"A/A differs by {point:+.3f} points, which chance explains"
        return AA.found(True, abs(point), None, why, unit=unit)
    claimed = None if pair is None else _interval(estimate(*pair, 0.95))
    half = (inner[2] - inner[1]) / 2
    limit = max(abs(line), abs(claimed[0]) / 2 if claimed else 0.0)
    why = f"A/A is known within ±{half:.3f}, at most {limit:.3f} ({point:+.3f})"
    return AA.found(half <= limit, half, limit, why, unit=unit)


def drift(records: Sequence[TrialRecord], pair: tuple[str, str] | None) -> Gate:
    """G6: blocks' log ratios, freed of the place in the block, neither grow nor wander.

    A fitted trend stands for the interaction of arm and half: it sees a linear drift with three
    quarters of the blocks.
    """
    if pair is None:
        return DRIFT.skipped("no two arms' times are compared")
    pairs = adjusted(sm.pairs(records, *pair), positions(records, *pair))
    if pairs.n and min(pairs.baseline.min(), pairs.candidate.min()) <= 0:
        return DRIFT.unmeasured("a response time is not positive")
    d = by_group(np.log(pairs.candidate) - np.log(pairs.baseline), pairs.blocks)
    trend = margins.trend(d, LEVEL["trend"])
    alike = margins.autocorrelation(d, LEVEL["autocorrelation"])
    if trend is None or alike is None:
        why, remedy = f"{d.size} pairs of blocks", "run more blocks"
        return DRIFT.unmeasured(why, remedy, effect="inconclusive")
    if trend.ok and not alike.ok:
        return DRIFT.within(alike, "neighbouring blocks correlate by", unit="correlation")
    return DRIFT.within(trend, "over the run the log ratio changed by")


def warmup(records: Sequence[TrialRecord], *, timed: bool) -> Gate:
    """G7: the first kept round took no longer than the others."""
    if not timed:
        return WARMUP.skipped("no response times are claimed")
    found = margins.first_round(records, LEVEL["first round"])
    if found is None:
        why, remedy = "too few rounds to compare", "run more rounds"
        return WARMUP.unmeasured(why, remedy, effect="inconclusive")
    return WARMUP.within(found, "the first round's log times exceed the others' by")


def work(records: Sequence[TrialRecord], pair: tuple[str, str] | None) -> Gate:
    """G8: as much of the prompts cached, and answers as long, in both arms."""
    if pair is None:
        return WORK.skipped("no two arms' times are compared")
    cached = [share for arm in pair if (share := margins.cached_share(records, arm)) is not None]
    count = "use a server that counts tokens, or run more blocks"
    if len(cached) == 1:
        return WORK.unmeasured("only one arm's cached tokens were counted", count)
    if cached and not (shift := Margin(cached[1] - cached[0], CACHED_POINTS)).ok:
        remedy = "switch the server's prompt cache off, or warm it for both"
        return WORK.within(shift, "the cached share differs by", unit="points", remedy=remedy)
    tokens = margins.token_change(records, *pair, LEVEL["tokens"])
    if tokens is None:
        return WORK.unmeasured("output tokens of two blocks were not counted", count)
    return WORK.within(tokens, "output tokens, as a log ratio, differ by")


def success(
    trials: Trials, judged: Sequence[str], pair: tuple[str, str] | None, *, applies: bool
) -> Gate:
    """G9: nearly all trials of the ``judged`` arms answered, and as many of them right in both."""
    if not applies:
        return SUCCESS.skipped("failures are no loss of evidence for this estimand")
    tries = {arm: [r for r in trials[arm] if r.outcome != "cancelled"] for arm in judged}
    if not all(tries.values()):
        return SUCCESS.unmeasured("an arm has no trials", "run more blocks", unit="of trials")
    answered, right = (
        {arm: (sum(map(good, mine)), len(mine)) for arm, mine in tries.items()}
        for good in (_answered, _right)
    )
    lost = max(1 - k / n for k, n in answered.values())
    if pair is None or lost > UNANSWERED_SHARE:
        why = f"{lost:.1%} of an arm's trials got no answer, at most {UNANSWERED_SHARE:.0%}"
        return SUCCESS.found(
            lost <= UNANSWERED_SHARE, lost, UNANSWERED_SHARE, why, unit="of trials"
        )
    a, b = pair
    answers = margins.share_difference(answered[a], answered[b], LEVEL["answered"])
    if not answers.ok:
        return SUCCESS.within(answers, "the share of answers differs by")
    found = margins.share_difference(right[a], right[b], LEVEL["right"])
    return SUCCESS.within(found, "the share of right answers differs by")


def _answered(record: TrialRecord) -> bool:
    return record.answered


def _right(record: TrialRecord) -> bool:
    return record.outcome == "ok"


def _interval(found: Comparison | Estimate) -> tuple[float, float, float] | None:
    """(point, lo, hi) on a scale where 0 is no difference; None when one of them is missing."""
    if isinstance(found, Comparison):
        sides = (found.ratio, found.lo, found.hi)
        if any(side is None or not 0 < side < np.inf for side in sides):
            return None
        point, lo, hi = (float(np.log(side)) for side in sides if side is not None)
        return point, lo, hi
    if found.point is None or found.lo is None or found.hi is None:
        return None
    return found.point, found.lo, found.hi
