"""What the generator notes about itself, and that it leaves the process as it found it."""

import gc
import time

import numpy as np
import pytest

from harness.load import client_health
from harness.load.client_health import (
    GC_THRESHOLDS,
    WINDOW_S,
    Idleness,
    RunQueue,
    Watch,
    own_time,
)


def figures(watch: Watch) -> tuple[list[float], tuple[float, ...]]:
    health = watch.health(
        peak_in_flight=1,
        connections_opened=1,
        retried=0,
        fd_limit=100,
        io_uring=False,
        compiled=False,
        unstamped=0,
        merged=0,
        first_merged=0,
        clock_moved_s=0.0,
    )
    return health.loop_lag.tolist(), health.gc_pauses


def test_the_longest_turn_of_each_window() -> None:
    watch = Watch()
    watch.begin()
    watch.turned(1.0, 1.5)  # closes the first window
    watch.turned(1.501, 1.502)
    watch.turned(1.503, 1.506)
    watch.turned(1.507, 1.508)
    watch.turned(1.5, 1.5 + WINDOW_S + 0.5)
    lag, _ = figures(watch)
    assert np.allclose(lag, [0.5, WINDOW_S + 0.5])


def test_a_new_beginning_forgets() -> None:
    watch = Watch()
    watch.turned(0.0, 9.0)
    watch.begin()
    assert figures(watch) == ([], ())


def test_the_garbage_collector_is_quiet_meanwhile() -> None:
    before, callbacks, frozen = gc.get_threshold(), list(gc.callbacks), gc.get_freeze_count()
    with Watch() as watch:
        watch.begin()
        assert gc.get_threshold() == GC_THRESHOLDS
        assert gc.get_freeze_count() > frozen
        gc.collect()
    assert len(figures(watch)[1]) == 1
    assert figures(watch)[1][0] > 0
    assert (gc.get_threshold(), gc.callbacks, gc.get_freeze_count()) == (before, callbacks, 0)


def test_the_collector_is_restored_after_a_failure() -> None:
    before = gc.get_threshold()
    with pytest.raises(RuntimeError), Watch():
        raise RuntimeError
    assert gc.get_threshold() == before


def test_the_wait_for_a_processor_is_the_systems_account(monkeypatch: pytest.MonkeyPatch) -> None:
    waits_ns = iter([2_000_000, 5_000_000, 5_500_000, 6_000_000, 6_250_000])
    monkeypatch.setattr("os.pread", lambda *_: b"9 %d 1" % next(waits_ns))
    queue = RunQueue()
    queue.look()
    assert queue.waited_s() == pytest.approx(0.0035)  # since it was made
    queue.look()
    assert queue.waited_s() == pytest.approx(0.00125)  # since the first look
    queue.close()


def test_a_system_without_that_account_has_no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> int:
        raise FileNotFoundError

    monkeypatch.setattr("os.open", missing)
    queue = RunQueue()
    assert queue.waited_s() == 0.0
    queue.close()


def test_idleness_is_what_was_not_used_of_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    idle = Idleness()
    assert idle.since(9.0, 10.0, 0.0) == 1.0
    for now, used in ((10.0, 5.0), (11.0, 5.2), (12.0, 5.3), (13.0, 5.4), (14.0, 5.5)):
        monkeypatch.setattr(client_health, "own_time", lambda used=used: used)
        idle.mark(now)
    assert idle.since(14.0, 15.0, 5.75) == pytest.approx(0.75), "from a mark itself"
    assert idle.since(14.5, 15.0, 5.75) == pytest.approx(0.25), "all used since the mark before"
    assert idle.since(14.9, 15.0, 5.75) == 0, "never less than none"
    assert idle.since(12.5, 15.0, 5.75) == pytest.approx(2.5 - 0.45)
    assert idle.since(5.0, 15.0, 5.75) == pytest.approx(4.0 - 0.55), "only what is known"
    assert idle.since(14.0, 15.0, 100.0) == 0


def test_a_thread_that_sleeps_is_idle_and_one_that_works_is_not() -> None:
    idle = Idleness()
    began = time.perf_counter()
    idle.mark(began)
    time.sleep(0.1)
    slept, used = time.perf_counter(), own_time()
    assert idle.since(began, slept, used) == pytest.approx(slept - began, abs=0.03)
    idle.mark(slept)
    while own_time() < used + 0.1:
        pass
    now = time.perf_counter()
    assert idle.since(slept, now, own_time()) == pytest.approx(now - slept - 0.1, abs=0.01)
