"""Time-outs of one length on one timer: each strikes in its time, and only its own task."""

import asyncio

import pytest

from harness.service.patience import Patience
from tests.virtual_time import VirtualClock, run_virtual


async def _sleep(patience: Patience, seconds: float) -> float | str:
    """When the sleep ended, or that its time was over, and when."""
    loop = asyncio.get_running_loop()
    try:
        with patience.wait():
            await asyncio.sleep(seconds)
    except TimeoutError:
        return f"late at {loop.time():g}"
    return loop.time()


def test_each_in_its_time() -> None:
    async def main() -> list[float | str]:
        patience = Patience(10.0, VirtualClock())
        tasks = []
        for start, seconds in ((0, 3), (1, 30), (1, 5), (4, 9), (5, 40)):
            await asyncio.sleep(start - asyncio.get_running_loop().time())
            tasks.append(asyncio.create_task(_sleep(patience, seconds)))
        found = await asyncio.gather(*tasks)
        await asyncio.sleep(100)  # nobody waits: the timer has gone
        assert patience._timer is None
        return [*found, await _sleep(patience, 11.0)]  # and comes back

    assert run_virtual(main()) == [3, "late at 11", 6, 13, "late at 15", "late at 125"]


def test_someone_elses_cancellation_is_left_alone() -> None:
    async def main() -> None:
        patience = Patience(10.0, VirtualClock())
        task = asyncio.create_task(_sleep(patience, 30))
        await asyncio.sleep(5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(20)

    run_virtual(main())


def test_both_at_once() -> None:
    async def main() -> None:
        patience = Patience(10.0, VirtualClock())
        task = asyncio.create_task(_sleep(patience, 30))
        asyncio.get_running_loop().call_at(10.0, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(main())


def test_another_error_is_left_alone() -> None:
    async def main() -> None:
        patience = Patience(1.0, VirtualClock())

        async def work() -> None:
            with patience.wait() as wait:
                try:
                    await asyncio.sleep(5)
                finally:
                    assert wait.expired
                    raise KeyError("own")

        with pytest.raises(KeyError):
            await work()
        await asyncio.sleep(0)  # the task is not left in a cancelled state
        assert (task := asyncio.current_task()) is not None
        assert task.cancelling() == 0

    run_virtual(main())


def test_a_task_that_takes_its_time_to_end_is_cancelled_once() -> None:
    async def main() -> None:
        patience = Patience(1.0, VirtualClock())
        cancelled = 0

        async def stubborn() -> None:
            nonlocal cancelled
            with patience.wait():
                try:
                    await asyncio.sleep(50)
                except asyncio.CancelledError:
                    cancelled += 1
                    await asyncio.sleep(5)
                    raise

        tasks = [asyncio.create_task(stubborn()), asyncio.create_task(_sleep(patience, 0.5))]
        await asyncio.sleep(0.7)
        tasks.append(asyncio.create_task(_sleep(patience, 3.0)))
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert cancelled == 1
        assert isinstance(found[0], TimeoutError)
        assert found[1:] == [0.5, "late at 1.7"]

    run_virtual(main())


def test_close_disarms() -> None:
    async def main() -> None:
        patience = Patience(1.0, VirtualClock())
        patience.close()
        task = asyncio.create_task(_sleep(patience, 3.0))
        await asyncio.sleep(0)
        patience.close()
        assert await task == 3.0

    run_virtual(main())
