"""The clock, and the bridge between the loop and threads."""

import asyncio
import threading

import pytest
import uvloop

from harness.clock import Clock, ManualClock, MonotonicClock, on_thread, run_loop


async def test_a_manual_clock_moves_only_when_somebody_sleeps() -> None:
    clock = ManualClock(5.0)
    assert clock.now() == clock.now() == 5.0
    await clock.sleep(2.0)
    clock.sleep_blocking(1.0)
    clock.advance(0.5)
    assert clock.now() == 8.5


@pytest.mark.parametrize("clock", [ManualClock(1.0), MonotonicClock()])
async def test_sleeping_no_time_still_lets_others_run(clock: Clock) -> None:
    ran = asyncio.Event()
    asyncio.get_running_loop().call_soon(ran.set)
    before = clock.now()
    await clock.sleep(-1.0)
    await clock.sleep(0.0)
    clock.sleep_blocking(-1.0)
    assert ran.is_set()
    assert clock.now() >= before


def test_a_manual_clock_counts_the_sleep_of_every_thread() -> None:
    clock = ManualClock()

    def sleeper() -> None:
        for _ in range(200):
            clock.sleep_blocking(1.0)

    threads = [threading.Thread(target=sleeper) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.now() == 1600.0


async def test_a_monotonic_clock_counts_from_its_making() -> None:
    clock = MonotonicClock()
    first = clock.now()
    assert 0 <= first < 60
    await clock.sleep(0.001)
    clock.sleep_blocking(0.001)
    assert clock.now() >= first + 0.002


async def test_a_call_on_a_thread_gives_its_result() -> None:
    here = threading.get_ident()
    assert await on_thread(threading.get_ident) != here


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt()])
async def test_a_call_on_a_thread_gives_its_exception(error: BaseException) -> None:
    def fails() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        await on_thread(fails)
    assert caught.value is error


async def test_the_loop_goes_on_while_a_thread_works() -> None:
    told = threading.Event()
    task = asyncio.create_task(on_thread(lambda: told.wait(10.0)))
    await asyncio.sleep(0)
    assert not task.done()
    told.set()
    assert await task


async def test_a_cancelled_call_ends_by_itself_and_its_result_is_dropped() -> None:
    here, told = threading.Event(), threading.Event()
    threads = []

    def body() -> str:
        threads.append(threading.current_thread())
        here.set()
        assert told.wait(10.0)
        return "late"

    task = asyncio.create_task(on_thread(body))
    assert await on_thread(lambda: here.wait(10.0))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert threads[0].daemon  # it keeps no process alive
    told.set()
    threads[0].join(10.0)
    assert not threads[0].is_alive()
    await asyncio.sleep(0)  # its result comes to a loop that no longer wants it


def test_a_call_that_outlives_its_loop_says_nothing() -> None:
    here, told = threading.Event(), threading.Event()
    threads = []

    def body() -> None:
        threads.append(threading.current_thread())
        here.set()
        assert told.wait(10.0)

    async def main() -> None:
        task = asyncio.create_task(on_thread(body))
        assert await on_thread(lambda: here.wait(10.0))
        task.cancel()

    asyncio.run(main())
    told.set()
    threads[0].join(10.0)
    assert not threads[0].is_alive()


def test_the_harness_runs_on_uvloop() -> None:
    async def main() -> type:
        return type(asyncio.get_running_loop())

    assert run_loop(main()) is uvloop.Loop
