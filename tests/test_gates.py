"""Each gate holds on a clean run, and fails on its fault and on nothing to measure."""

import math
from dataclasses import replace

import numpy as np
import pytest

from harness.gates import ClientReplay, facts, margins
from harness.gates.base import Effect, Margin
from harness.records import TrialRecord
from harness.stats.compare import Comparison
from harness.stats.estimate import Estimate
from harness.stats.position import adjusted, position_effect, positions
from harness.stats.sample import Pairs
from harness.workload import Workload
from tests.gates_lib import ARMS, A, B, Plan, Run, experiment, gates, stretch, trial

CLEAN = Plan(blocks=30, cv=0.1, warmup=1)
NAMES = [
    "G0_treatment",
    "G1_aa",
    "G2_schedule",
    "G3_loop",
    "G4_client",
    "G5_little",
    "G6_drift",
    "G7_warmup",
    "G8_work",
    "G9_success",
]


@pytest.fixture(scope="module")
def run() -> Run:
    return experiment(np.random.default_rng(5), CLEAN)


def shifted(record: TrialRecord, slip: float) -> TrialRecord:
    first, *rest = record.attempts
    return replace(record, attempts=(replace(first, due=first.due + slip), *rest))


def test_a_clean_run_passes_all_gates_in_order(run: Run) -> None:
    found = gates(run)
    assert [gate.name for gate in found.values()] == NAMES
    assert all(gate.ok for gate in found.values()), found
    assert all(gate.why and gate.remedy for gate in found.values())


def test_trials_of_warm_up_and_other_arms_do_not_count(run: Run) -> None:
    other = [replace(shifted(r, 9.0), pipeline="other", outcome="error") for r in run.records]
    late = [shifted(r, 9.0) if r.warmup else r for r in run.records]
    lags = [
        replace(b, lag_s=(1.0,) * 9) if b.warmup else b
        for b in [*run.blocks, *(replace(b, pipeline="other", lag_s=(1.0,)) for b in run.blocks)]
    ]
    assert gates(Run([*late, *other], lags)) == gates(run)


def test_a_claim_of_one_arm_needs_no_second(run: Run) -> None:
    found = gates(run, baseline=None, candidate=A)
    applies = {name: gate.ok for name, gate in found.items()}
    assert applies == {
        **dict.fromkeys(("G0", "G6", "G8"), None),
        **dict.fromkeys(("G1", "G2", "G3", "G4", "G5", "G7", "G9"), True),
    }


@pytest.mark.parametrize("estimand", ["success", "cpu_s"])
def test_times_do_not_bind_claims_on_other_things(run: Run, estimand: str) -> None:
    found = gates(run, estimand=estimand)
    assert [found[name].ok for name in ("G6", "G7", "G8", "G9")] == [None] * 4
    assert found["G0"].ok
    assert gates(run, estimand="goodput")["G9"].ok is None


def test_nothing_recorded_fails_closed() -> None:
    found = gates(Run([], []))
    assert [name for name, gate in found.items() if gate.ok is not False] == ["G4"]
    for name in ("G2", "G3", "G5", "G6", "G7", "G8", "G9"):
        assert (found[name].value, found[name].limit) == (None, None)
    assert found["G2"].remedy == found["G3"].remedy == "", "what mends lateness mends no lack"
    assert found["G7"].remedy == "run more rounds"


def test_only_errors_fail_closed(run: Run) -> None:
    found = gates(
        replace(run, records=[replace(r, outcome="error", attempts=()) for r in run.records])
    )
    failed = {name for name, gate in found.items() if gate.ok is False}
    assert failed == {"G0", "G1", "G2", "G6", "G7", "G8", "G9"}
    assert (found["G9"].value, found["G9"].effect) == (1.0, "not_testable")


def test_no_blocks_fail_closed(run: Run) -> None:
    found = gates(replace(run, blocks=[]))
    assert {name for name, gate in found.items() if gate.ok is False} == {"G3", "G5"}
    assert (found["G5"].value, found["G3"].value) == (None, None)


# G0


@pytest.mark.parametrize("other", ["same", "mode", "settings", "in flight", "batch", "calls"])
def test_the_same_path_is_no_treatment(run: Run, other: str) -> None:
    def path(record: TrialRecord) -> TrialRecord:
        attempts = tuple(replace(a, mode="blocking") for a in record.attempts)
        record = replace(record, attempts=attempts)
        if record.pipeline != B:
            return record
        match other:
            case "mode":
                return replace(record, attempts=(replace(attempts[0], mode="stream"),))
            case "batch":
                assert record.own_done is not None
                return replace(record, done=record.own_done + 0.002)
            case "calls":
                return replace(record, attempts=attempts * 2)
        return record

    records = [path(r) for r in run.records]
    if other == "in flight":
        records += [replace(r, scenario="more") for r in records if r.pipeline == B]
    settings = dict.fromkeys(ARMS, "same") | ({B: "other"} if other == "settings" else {})
    found = gates(replace(run, records=records), treatment=settings)["G0"]
    assert (found.ok, found.value, found.limit) == (other != "same", other != "same", 1)
    assert found.effect == "not_testable"


# G1


def ratio(lo: float | None, hi: float | None, point: float | None = 1.0) -> Comparison:
    return Comparison("throughput", point, lo, hi, 9, 0, 0.95, "planted")


@pytest.mark.parametrize(
    ("twins", "claimed", "ok", "effect"),
    [
        (ratio(0.95, 1.05), ratio(0.8, 0.9, 0.85), True, "inconclusive"),
        (ratio(1.01, 1.05, 1.03), ratio(0.8, 0.9, 0.85), False, "invalid_run"),
        (ratio(0.9, 0.99, 0.95), ratio(0.8, 0.9, 0.85), False, "invalid_run"),
        (ratio(0.9, 1.12), ratio(0.8, 0.9, 0.85), False, "inconclusive"),
        (ratio(0.9, 1.12), ratio(0.5, 0.9, 0.6), True, "inconclusive"),  # |ln .6|/2 is the limit
        (ratio(None, None), ratio(0.8, 0.9, 0.85), False, "inconclusive"),
        (ratio(None, None, None), ratio(None, None, None), False, "inconclusive"),
        (ratio(1.0, 1.0), ratio(None, None, None), True, "inconclusive"),
    ],
)
def test_an_arm_must_agree_with_itself(
    run: Run, twins: Comparison, claimed: Comparison, ok: bool, effect: Effect
) -> None:
    def estimate(baseline: str, candidate: str, confidence: float) -> Comparison:
        return claimed if candidate == B else twins

    found = gates(run, estimate=estimate)["G1"]
    assert (found.ok, found.effect, found.unit) == (ok, effect, "log ratio")


def test_success_is_compared_with_itself_in_points(run: Run) -> None:
    def estimate(baseline: str, candidate: str, confidence: float) -> Estimate:
        half = 0.04 if confidence == 0.95 else 0.06
        return Estimate(0.01, 0.01 - half, 0.01 + half, 99, confidence, "planted")

    found = gates(run, estimand="success", line=0.05, estimate=estimate)["G1"]
    assert (found.ok, found.unit, found.limit) == (True, "points", 0.05)
    assert found.value == pytest.approx(0.04)
    assert gates(run, estimand="success", line=0.02, estimate=estimate)["G1"].ok is False


def test_without_a_twin_nothing_is_testable(run: Run) -> None:
    found = gates(run, aa=None)["G1"]
    assert (found.ok, found.value, found.effect) == (False, None, "not_testable")


# G2 to G4


def test_late_trials_break_the_schedule(run: Run) -> None:
    late = [shifted(r, 0.05) if r.pipeline == B and r.block % 9 == 8 else r for r in run.records]
    found = gates(replace(run, records=late))["G2"]
    assert (found.ok, found.effect) == (False, "invalid_run")
    assert found.value == pytest.approx(0.05, abs=0.002)
    assert found.limit is not None
    assert 0.02 < found.limit < 0.04  # 1 % of the fastest arm's median


def test_short_trials_leave_ten_milliseconds() -> None:
    short = experiment(np.random.default_rng(1), replace(CLEAN, base_s=0.1))
    assert gates(short)["G2"].limit == 0.010


def test_a_stalled_loop_is_seen_where_it_matters() -> None:
    stalled = replace(CLEAN, stalled=True)
    found = gates(experiment(np.random.default_rng(2), stalled))
    assert [name for name, gate in found.items() if gate.ok is False] == ["G3"]
    assert found["G3"].value == pytest.approx(0.045, abs=0.006)
    # At 7.4 s the client may take 74 ms, and a stall of 50 ms is within them.
    long = experiment(np.random.default_rng(2), replace(stalled, base_s=7.4, ratio=1.0))
    assert gates(long)["G3"].ok
    run = experiment(np.random.default_rng(2), stalled)
    assert gates(run, estimand="loop_stall_s")["G3"].ok is None


@pytest.mark.parametrize(
    ("replay", "ok", "value", "limit"),
    [
        (ClientReplay(0.004, 0.002, 0.3), True, 0.004, 0.010),
        (ClientReplay(0.015, 0.002, 0.3), False, 0.015, 0.010),
        (ClientReplay(0.004, 0.002, 0.8), False, 0.8, 0.70),
        (ClientReplay(None, None, 0.3), False, None, None),
        (ClientReplay(0.004, 0.002, None), False, None, None),
        (None, False, None, None),
    ],
)
def test_the_client_is_replayed(
    replay: ClientReplay | None, ok: bool, value: float | None, limit: float | None
) -> None:
    short = experiment(np.random.default_rng(1), replace(CLEAN, base_s=0.1))
    found = gates(short, replay=replay)["G4"]
    assert (found.ok, found.value, found.limit) == (ok, value, limit)


# G5


def test_lost_records_break_littles_law(run: Run) -> None:
    kept = [r for r in run.records if not (r.pipeline == B and r.block == 20)]
    found = gates(replace(run, records=kept))["G5"]
    assert (found.ok, found.unit, found.limit) == (False, "of L", 0.01)
    assert found.value == pytest.approx(1 / 30, abs=1e-3)


def test_stamps_outside_their_block_break_littles_law(run: Run) -> None:
    away = [replace(b, started=b.started + 1.0) if b.pipeline == A else b for b in run.blocks]
    found = gates(replace(run, blocks=away))["G5"]
    assert (found.ok, found.unit) == (False, "of L")


def test_blocks_cut_by_a_resume_are_left_out(run: Run) -> None:
    cut = [replace(r, segment=1) if r.block > 20 and r.pipeline == A else r for r in run.records]
    blocks = [b for b in run.blocks if b.block <= 20]
    assert gates(Run(cut, blocks))["G5"].ok


def test_idle_slots_are_seen() -> None:
    serial = [trial(B, start=3.0 * i, took=3.0, scenario=f"s{i}") for i in range(4)]
    block = stretch(B, took=12.0, trials=4)
    assert gates(Run(serial, [block]), baseline=None, aa=None)["G5"].ok
    found = gates(Run(serial, [block]), baseline=None, aa=None, slots={B: 4})["G5"]
    assert (found.ok, found.limit) == (False, 0.9)
    assert found.value == pytest.approx(0.25)


def test_the_wait_for_a_batch_is_ideal_for_a_batch() -> None:
    # Two batches of two: 1 and 3 s, then 2 and 1 s.
    batch = [
        trial(B, start=start, took=took, held=held, scenario=f"s{i}")
        for i, (start, took, held) in enumerate(((0, 1, 2), (0, 3, 0), (3, 2, 0), (3, 1, 1)))
    ]
    block = stretch(B, took=5.0, trials=4)
    assert facts.little_gap(batch, block) == pytest.approx(0)
    assert facts.efficiency(batch, block, 2, Workload()) == pytest.approx(1)
    free = [replace(r, done=r.own_done) for r in batch]
    assert facts.efficiency(free, block, 2, Workload()) == pytest.approx(0.8)


def test_arrivals_and_thinking_are_not_idling() -> None:
    apart = [trial(B, start=10.0 * i, took=1.0, scenario=f"s{i}") for i in range(3)]
    block = stretch(B, took=21.0, trials=3)
    assert facts.efficiency(apart, block, 2, Workload("rate", rate=0.1)) == pytest.approx(1)
    thinking = [trial(B, start=1.0 + 2 * i, took=1.0, scenario=f"s{i}") for i in range(3)]
    block = stretch(B, took=6.0, trials=3)
    assert facts.efficiency(thinking, block, 1, Workload(think=1.0)) == pytest.approx(1)
    assert facts.efficiency(thinking, block, 1, Workload()) == pytest.approx(0.5)


def test_makespan_fills_slots_in_order() -> None:
    stays, none = [3.0, 1.0, 1.0, 2.0], [0.0] * 4
    assert facts.makespan(stays, none, 2, barriers=False) == 4.0
    assert facts.makespan(stays, none, 2, barriers=True) == 5.0
    assert facts.makespan(stays, none, 1, barriers=False) == 7.0


# G6 to G9, beyond the faults of test_gates_simulated


def test_neighbours_alike_are_drift() -> None:
    clean = np.random.default_rng(3).normal(size=60)
    again = margins.autocorrelation(clean, 0.001)
    assert again is not None
    assert again.ok
    wandering = margins.autocorrelation(np.cumsum(clean), 0.001)
    assert wandering is not None
    assert not wandering.ok
    assert wandering.limit == pytest.approx(3.29 / math.sqrt(60), abs=1e-3)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_blocks_have_no_margins(n: int) -> None:
    d = np.arange(n, dtype=float)
    assert margins.autocorrelation(d, 0.01) is None
    assert margins.trend(d, 0.01) is None
    assert (margins.mean_change(d, 0.01) is None) == (n < 2)


def test_equal_values_hold() -> None:
    d = np.full(9, 0.3)
    for found in (margins.autocorrelation(d, 0.01), margins.trend(d, 0.01)):
        assert found is not None
        assert found.ok
    rounds = np.repeat([1.0, 2.0, 3.0], 3)
    assert margins.first_against_rest(d, rounds, 0.01) == Margin(0.0, 0.0, True)


def test_one_round_is_too_few(run: Run) -> None:
    once = [r for r in run.records if r.repeat <= 1]
    found = gates(replace(run, records=once))["G7"]
    assert (found.ok, found.value, found.effect) == (False, None, "inconclusive")


def test_a_faster_first_round_is_no_warm_up() -> None:
    fast = experiment(np.random.default_rng(4), Plan(blocks=30, cv=0.1, slow=0.7))
    slow = experiment(np.random.default_rng(4), Plan(blocks=30, cv=0.1, slow=1.3))
    assert gates(fast)["G7"].ok
    found = gates(slow)["G7"]
    assert (found.ok, found.effect) == (False, "invalid_run")
    assert found.value == pytest.approx(math.log(1.3), abs=0.1)


@pytest.mark.parametrize(
    ("baseline", "candidate", "ok", "value"),
    [(0, 0, True, 0.0), (300, 315, True, 0.0), (0, 60, False, 0.02), (None, 60, False, None)],
)
def test_cached_prompts_are_unequal_work(
    baseline: int | None, candidate: int, ok: bool, value: float | None
) -> None:
    cached = {A: baseline, ARMS[1]: baseline, B: candidate}
    records = [
        trial(arm, block=i, repeat=i, start=100.0 * i + 10 * j, cached=cached[arm])
        for i in range(9)
        for j, arm in enumerate(ARMS)
    ]
    found = gates(Run(records, []))["G8"]
    assert (found.ok, found.effect) == (ok, "not_testable")
    assert found.value is None if value is None else found.value == pytest.approx(value)


def test_uncounted_tokens_fail_closed(run: Run) -> None:
    bare = [
        replace(r, attempts=tuple(replace(a, usage=None) for a in r.attempts)) for r in run.records
    ]
    found = gates(replace(run, records=bare))["G8"]
    assert (found.ok, found.value) == (False, None)


def test_a_retry_is_no_more_work() -> None:
    def twice(record: TrialRecord) -> TrialRecord:
        return replace(record, attempts=record.attempts * 2)

    once = [trial(A, block=i, repeat=i) for i in range(9)]
    again = [twice(trial(B, block=i, repeat=i)) for i in range(9)]
    assert margins.token_change([*once, *again], A, B, 0.01) == Margin(0.0, math.log(1.02))


def test_many_unanswered_leave_no_latency(run: Run) -> None:
    lost = [
        replace(r, outcome="error") if r.block % 9 == 8 and r.pipeline == B else r
        for r in run.records
    ]
    found = gates(replace(run, records=lost))["G9"]
    assert (found.ok, found.effect, found.unit) == (False, "not_testable", "of trials")
    assert found.value == pytest.approx(4 / 30)
    assert found.limit == 0.05


# The place within a block


def test_a_position_effect_is_found_and_taken_out() -> None:
    rng = np.random.default_rng(6)
    places = {i: (0, 1) if rng.random() < 0.5 else (2, 0) for i in range(60)}
    shift = np.array([b - a for a, b in places.values()])
    d = math.log(0.85) + rng.normal(0, 0.05, 60)
    pairs = Pairs.of(np.ones(60), np.exp(d + 0.05 * (shift - shift.mean())))
    found = position_effect(pairs, places)
    assert found is not None
    p, beta = found
    assert p < 0.001
    assert beta == pytest.approx(0.05, abs=0.015)
    clean = adjusted(pairs, places)
    logs = np.log(clean.candidate)
    assert logs.mean() == pytest.approx(np.log(pairs.candidate).mean())
    assert logs.std() < np.log(pairs.candidate).std()
    again = position_effect(clean, places)
    assert again is not None
    assert again[1] == pytest.approx(0, abs=1e-9)
    assert adjusted(clean, places) is clean


def test_one_order_or_few_blocks_have_no_position_effect(run: Run) -> None:
    pairs = Pairs.of([1.0, 2.0, 3.0], [1.0, 2.0, 2.0])
    assert position_effect(pairs, dict.fromkeys(range(3), (0, 1))) is None
    assert position_effect(Pairs.of([1.0], [1.0]), {0: (0, 1)}) is None
    flat = Pairs.of([1.0] * 3, [2.0] * 3)
    assert position_effect(flat, {i: (0, i) for i in range(3)}) == (1.0, 0.0)
    assert position_effect(Pairs.of([0.0] * 3, [1.0] * 3), {i: (0, i) for i in range(3)}) is None
    where = positions(run.records, A, B)
    assert set(where) == {r.block for r in run.records}
