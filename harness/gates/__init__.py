"""The gates of a claim: what must hold before its figures mean anything. Pure functions of records.

``client`` has the gates on the experiment, ``evidence`` those on its figures; ``facts`` and
``margins`` compute what they judge. Only trials and blocks of the claim's arms
count, and what cannot be measured does not hold.
"""

from collections.abc import Mapping, Sequence

from harness.estimands import BLOCKWISE, TRIALWISE
from harness.gates import client, evidence
from harness.gates.base import Effect, Gate
from harness.gates.client import ClientReplay
from harness.gates.evidence import Estimator
from harness.records import BlockRecord, TrialRecord
from harness.workload import Workload

__all__ = [
    "ClientReplay",
    "Effect",
    "Estimator",
    "Gate",
    "check_gates",
]

TIMED = frozenset((*TRIALWISE, *BLOCKWISE))


def check_gates(
    *,
    estimand: str,
    line: float,
    baseline: str | None,
    candidate: str,
    aa: tuple[str, str] | None,
    records: Sequence[TrialRecord],
    blocks: Sequence[BlockRecord],
    slots: Mapping[str, int],
    treatment: Mapping[str, str],
    replay: ClientReplay | None,
    estimate: Estimator,
    workload: Workload | None = None,
) -> list[Gate]:
    """All ten gates, in order.

    ``line``: c of the verdict on the scale of ``estimate``: a log ratio, or points for success.
    ``baseline``: None for a claim of one arm's value. ``aa``: an arm and its twin. ``slots``: arm
    → trials at once, 1 for a serial one. ``treatment``: arm → a fingerprint of its provider's
    settings. ``replay``: None if there was none, which does not hold. ``workload``: None is the
    closed one. Raises KeyError for an arm without slots or treatment.
    """
    arms = dict.fromkeys(arm for arm in (baseline, candidate, *(aa or ())) if arm is not None)
    trials: dict[str, list[TrialRecord]] = {arm: [] for arm in arms}
    for record in records:
        if record.pipeline in arms and not record.warmup:
            trials[record.pipeline].append(record)
    kept = [record for mine in trials.values() for record in mine]
    stretches = [block for block in blocks if block.pipeline in arms and not block.warmup]
    pair = None if baseline is None else (baseline, candidate)
    timed, limit = estimand in TIMED, client.bound(trials)
    return [
        client.treatment(pair, trials, treatment),
        evidence.aa(estimate, aa, line, pair),
        client.schedule(trials, limit),
        client.loop(stretches, arms, limit, exempt=estimand == "loop_stall_s"),
        client.client(replay, limit),
        client.little(trials, stretches, slots, workload or Workload()),
        evidence.drift(kept, pair if timed else None),
        evidence.warmup(kept, timed=timed),
        evidence.work(kept, pair if timed and estimand != "goodput" else None),
        evidence.success(
            trials, pair or (candidate,), pair, applies=timed and estimand != "goodput"
        ),
    ]
