"""Gates on the experiment itself: was there a treatment, and was the client fit to measure it?"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np

from harness.gates import facts
from harness.gates.base import Gate, Rule
from harness.records import BlockRecord, TrialRecord
from harness.stats.sample import cut_blocks
from harness.validity import CPU_SHARE, LEAST_SLIP_S, SLIP_SHARE, slip
from harness.workload import Workload

LITTLE_SHARE = 0.01
LEAST_EFFICIENCY = 0.9

Trials = Mapping[str, Sequence[TrialRecord]]
"""Arm → its trials without warm-up; an arm without any has an empty sequence."""

TREATMENT = Rule(
    "G0_treatment",
    "differences",
    "not_testable",
    "give the arms different pipelines or settings: they take the same path",
)
SCHEDULE = Rule(
    "G2_schedule", "s", "invalid_run", "lower the concurrency or free the machine, and run again"
)
LOOP = Rule("G3_loop", "s", "invalid_run", "find what holds up the event loop, or free the machine")
CLIENT = Rule("G4_client", "s", "invalid_run", "lower the concurrency or free the machine")
LITTLE = Rule("G5_little", "of ideal", "invalid_run", "find what keeps slots idle between trials")


@dataclass(frozen=True, slots=True)
class ClientReplay:
    """The client's own part of a response time, replayed at twice the load against a server that
    answers at once: seconds, and its share of one core. None: not measured.
    """

    p99_s: float | None
    p50_s: float | None
    cpu_share: float | None


def bound(trials: Trials) -> float:
    """Seconds that the client may take: 10 ms, or 1 % of the fastest arm's median response time."""
    times = [
        [time for record in mine if (time := record.response_time) is not None]
        for mine in trials.values()
    ]
    return max(LEAST_SLIP_S, SLIP_SHARE * min((median(x) for x in times if x), default=0.0))


def treatment(pair: tuple[str, str] | None, trials: Trials, settings: Mapping[str, str]) -> Gate:
    """G0: the arms differ in settings, calls, trials in flight, or in waiting for a batch.

    ``settings``: arm → a fingerprint of its provider's settings.
    """
    if pair is None:
        return TREATMENT.skipped("a claim of one arm")
    ways = [
        {
            "settings": settings[arm],
            "calls": facts.usual_calls(trials[arm]),
            "most trials in flight": facts.usual_in_flight(trials[arm]),
            "waiting for a batch": facts.holds_back(trials[arm]),
        }
        for arm in pair
    ]
    if any(way["calls"] is None or way["most trials in flight"] is None for way in ways):
        return TREATMENT.unmeasured("an arm has no right answer to tell its path by")
    differ = [name for name in ways[0] if ways[0][name] != ways[1][name]]
    why = f"the arms differ in {', '.join(differ)}" if differ else "both arms take the same path"
    return TREATMENT.found(bool(differ), len(differ), 1, why)


def schedule(trials: Trials, limit: float) -> Gate:
    """G2: p99 of the delay before a trial's first call, of the worst arm."""
    slips = [[s for record in mine if (s := slip(record)) is not None] for mine in trials.values()]
    return SCHEDULE.at_most(_worst_p99(slips), limit, "trials began late")


def loop(blocks: Iterable[BlockRecord], arms: Iterable[str], limit: float, *, exempt: bool) -> Gate:
    """G3: p99 of the heartbeat's overshoot, of the worst arm."""
    if exempt:
        return LOOP.skipped("the stall of a loop is what the claim is about")
    lags: dict[str, list[float]] = {arm: [] for arm in arms}
    for block in blocks:
        lags[block.pipeline].extend(block.lag_s)
    return LOOP.at_most(_worst_p99(lags.values()), limit, "the event loop was held up")


def client(replay: ClientReplay | None, limit: float) -> Gate:
    """G4: what the client itself takes at twice the load, in seconds and of one core."""
    if replay is None:
        return CLIENT.unmeasured("the client was not replayed", "replay it against a null server")
    if replay.cpu_share is None or replay.p99_s is None:
        return CLIENT.unmeasured("the replay of the client measured nothing")
    if replay.cpu_share > CPU_SHARE:
        why = f"the client took {replay.cpu_share:.0%} of a core, at most {CPU_SHARE:.0%}"
        return CLIENT.found(False, replay.cpu_share, CPU_SHARE, why, unit="of one core")
    return CLIENT.at_most(replay.p99_s, limit, "the client's own time at twice the load")


def little(
    trials: Trials, blocks: Iterable[BlockRecord], slots: Mapping[str, int], workload: Workload
) -> Gate:
    """G5: no record lost (L = λW) and no slot idle; means over whole blocks, of the worst arm."""
    records = [record for mine in trials.values() for record in mine]
    cut = cut_blocks(records) | {r.block for r in records if r.outcome == "cancelled"}
    known = {(b.pipeline, b.block): b for b in blocks if b.block not in cut}
    found: dict[tuple[str, int], list[TrialRecord]] = {key: [] for key in known}
    for record in records:
        if record.block not in cut:
            found.setdefault((record.pipeline, record.block), []).append(record)
    gaps: dict[str, list[float]] = defaultdict(list)
    shares: dict[str, list[float]] = {arm: [] for arm in trials}
    for (arm, index), mine in found.items():
        block = known.get((arm, index))
        gaps[arm].append(1.0 if block is None else facts.little_gap(mine, block))
        if block and (share := facts.efficiency(mine, block, slots[arm], workload)) is not None:
            shares[arm].append(share)
    if not all(shares.values()):
        return LITTLE.unmeasured("an arm has no whole block", "run more blocks")
    gap, share = max(map(fmean, gaps.values())), min(map(fmean, shares.values()))
    if gap > LITTLE_SHARE:
        why = f"L and λW differ by {gap:.1%}, at most {LITTLE_SHARE:.0%}: records are missing"
        return LITTLE.found(False, gap, LITTLE_SHARE, why, unit="of L", remedy="run again")
    why = f"blocks took the ideal time / {share:.3f}, at least {LEAST_EFFICIENCY:g}"
    return LITTLE.found(share >= LEAST_EFFICIENCY, share, LEAST_EFFICIENCY, why)


def _worst_p99(samples: Iterable[Sequence[float]]) -> float | None:
    """The largest p99 of the samples; None when one of them is empty."""
    kept = list(samples)
    return max(float(np.quantile(x, 0.99)) for x in kept) if kept and all(kept) else None
