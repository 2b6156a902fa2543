"""Jobs: turns, results, events, cancellation, idempotency, what is forgotten and when."""

import asyncio
import gc
import weakref
from contextlib import aclosing
from typing import Any

import pytest

from harness.clock import ManualClock
from harness.service import event_log
from harness.service import jobs as jobs_module
from harness.service.event_log import Event
from harness.service.jobs import Closed, Counts, Job, Jobs, KeyReused, TooMany
from tests.virtual_time import VirtualClock, run_virtual


async def quick(job: Job[str]) -> str:
    return "done"


async def endless(job: Job[str]) -> str:
    await asyncio.Event().wait()
    raise AssertionError


async def fails(job: Job[str]) -> str:
    try:
        raise KeyError("first")
    except KeyError as error:
        raise ValueError("no") from error


async def settle() -> None:
    """Let all that is ready run."""
    for _ in range(5):
        await asyncio.sleep(0)


async def all_events(job: Job[Any]) -> list[Event]:
    return [event async for event in job.events()]


def seen(events: list[Event]) -> list[Any]:
    """A change of state by its name, what was pushed as it is."""
    return [event.state or event.data for event in events]


class Gate:
    """Work that goes on when it is told to."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def work(self, job: Job[str]) -> str:
        await self.open.wait()
        return job.id


async def test_a_job_runs_and_keeps_its_result_and_its_stamps() -> None:
    clock = ManualClock(10.0)
    jobs: Jobs[str] = Jobs(clock)
    gate = Gate()
    job, created = jobs.submit(gate.work)
    assert (created, job.state, job.created, job.started, job.finished) == (
        True,
        "running",
        10.0,
        10.0,
        None,
    )
    assert jobs.counts() == Counts(active=1, completed=0, failed=0, cancelled=0)
    clock.advance(2.0)
    gate.open.set()
    await job.wait()
    assert (job.state, job.ended, job.finished, job.result, job.error) == (
        "succeeded",
        True,
        12.0,
        job.id,
        None,
    )
    assert jobs.get(job.id) is job
    assert jobs.counts() == Counts(active=0, completed=1, failed=0, cancelled=0)


async def test_a_job_that_raises_has_failed_with_that_error() -> None:
    jobs: Jobs[str] = Jobs(ManualClock())
    job, _ = jobs.submit(fails)
    await job.wait()
    assert job.state == "failed"
    assert isinstance(job.error, ValueError)
    assert str(job.error) == "no"
    assert job.result is None
    # These would keep the frames of the work, and all they hold, as long as the job is kept.
    assert (job.error.__traceback__, job.error.__cause__, job.error.__context__) == (None,) * 3
    assert jobs.counts().failed == 1


async def test_work_that_is_no_coroutine_may_fail_too() -> None:
    def broken(job: Job[str]) -> Any:
        raise ValueError("at once")

    job, _ = Jobs[str](ManualClock()).submit(broken)
    await job.wait()
    assert str(job.error) == "at once"


async def test_ids_cannot_be_guessed() -> None:
    jobs: Jobs[str] = Jobs(ManualClock())
    ids = {jobs.submit(quick)[0].id for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(id_) >= 22 for id_ in ids)  # 128 bits
    assert jobs.get("x") is None
    assert jobs.cancel("x") is None
    await jobs.close(1.0)


async def test_only_so_many_run_at_once_and_the_others_in_their_turn() -> None:
    jobs: Jobs[str] = Jobs(ManualClock(), parallel=2)
    gates = [Gate() for _ in range(4)]
    made = [jobs.submit(gate.work)[0] for gate in gates]
    await settle()
    assert [job.state for job in made] == ["running", "running", "queued", "queued"]
    assert jobs.counts().active == 4
    gates[1].open.set()
    await settle()
    assert [job.state for job in made] == ["running", "succeeded", "running", "queued"]
    jobs.cancel(made[0].id)
    await settle()
    assert [job.state for job in made] == ["cancelled", "succeeded", "running", "running"]
    await jobs.close(0.0)


async def test_a_queued_job_is_cancelled_at_once_and_never_runs() -> None:
    jobs: Jobs[str] = Jobs(ManualClock(), parallel=1)
    first, _ = jobs.submit(endless)
    second, _ = jobs.submit(endless)
    assert jobs.cancel(second.id) is second
    assert second.state == "cancelled"
    assert second.started is None
    assert seen(await all_events(second)) == ["queued", "cancelled"]
    assert first.state == "running"
    await jobs.close(0.0)


async def test_a_running_job_is_cancelled_when_its_work_has_let_go() -> None:
    letting_go = asyncio.Event()

    async def tidy(job: Job[str]) -> str:
        try:
            return await endless(job)
        finally:
            await letting_go.wait()

    jobs: Jobs[str] = Jobs(ManualClock())
    job, _ = jobs.submit(tidy)
    await settle()
    for _ in range(3):  # a second time does not break into its cleaning up
        assert jobs.cancel(job.id) is job
        await settle()
        assert job.state == "running"
    letting_go.set()
    await job.wait()
    assert job.state == "cancelled"
    assert jobs.counts() == Counts(active=0, completed=0, failed=0, cancelled=1)
    jobs.cancel(job.id)  # and what has ended stays as it is
    assert jobs.counts().cancelled == 1


async def test_a_job_can_be_cancelled_before_its_first_step() -> None:
    jobs: Jobs[str] = Jobs(ManualClock())
    job, _ = jobs.submit(quick)
    jobs.cancel(job.id)
    await job.wait()
    assert job.state == "cancelled"


async def test_work_that_ends_well_in_spite_of_its_cancellation_has_succeeded() -> None:
    async def stubborn(job: Job[str]) -> str:
        try:
            return await endless(job)
        except asyncio.CancelledError:
            return "just done"

    jobs: Jobs[str] = Jobs(ManualClock())
    job, _ = jobs.submit(stubborn)
    await settle()
    jobs.cancel(job.id)
    await job.wait()
    assert (job.state, job.result) == ("succeeded", "just done")


# --- events ---


async def test_every_subscriber_gets_all_events_however_late_it_comes() -> None:
    gate = asyncio.Event()

    async def tells(job: Job[str]) -> str:
        job.push("a")
        await gate.wait()
        job.push("b")
        return "ab"

    jobs: Jobs[str] = Jobs(ManualClock())
    job, _ = jobs.submit(tells)
    early = [asyncio.create_task(all_events(job)) for _ in range(3)]
    await settle()
    late = asyncio.create_task(all_events(job))
    await settle()
    gate.set()
    expected = ["queued", "running", "a", "b", "succeeded"]
    for subscriber in [*early, late]:
        events = await subscriber
        assert seen(events) == expected
        assert [event.number for event in events] == list(range(5))
    assert seen(await all_events(job)) == expected
    job.push("too late")
    assert seen(await all_events(job)) == expected


async def test_a_subscriber_that_leaves_does_not_disturb_the_others() -> None:
    jobs: Jobs[str] = Jobs(ManualClock())
    gate = Gate()
    job, _ = jobs.submit(gate.work)
    leaving, staying = (asyncio.create_task(all_events(job)) for _ in range(2))
    await settle()
    leaving.cancel()
    async with aclosing(job.events()) as events:
        await anext(events)
    gate.open.set()
    assert seen(await staying) == ["queued", "running", "succeeded"]


async def test_a_slow_subscriber_costs_no_memory_and_sees_what_it_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_log, "EVENTS_PER_JOB", 100)
    gate = asyncio.Event()

    async def chatters(job: Job[str]) -> str:
        for i in range(1000):
            job.push(i)
            assert len(job._log._events) <= 100 + 3
        await gate.wait()
        return "done"

    jobs: Jobs[str] = Jobs(ManualClock())
    job, _ = jobs.submit(chatters)
    async with aclosing(job.events()) as slow:
        first = [await anext(slow), await anext(slow)]
        await settle()
        gate.set()
        events = first + [event async for event in slow]
    assert [event.state for event in events if event.state] == ["queued", "running", "succeeded"]
    got = [event.data for event in events if event.state is None]
    assert 50 <= len(got) <= 100
    assert got == list(range(1000 - len(got), 1000))  # the newest, without a hole
    assert events[2].number - events[1].number == 1 + 1000 - len(got)


async def test_old_jobs_lose_what_they_pushed_before_new_ones_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs_module, "EVENTS_OF_ENDED_JOBS", 25)

    async def tells(job: Job[str]) -> str:
        for i in range(10):
            job.push(i)
        return "done"

    clock = ManualClock()
    jobs: Jobs[str] = Jobs(clock, keep_s=100.0)
    made = []
    for _ in range(3):
        job, _ = jobs.submit(tells)
        await job.wait()
        made.append(job)
        clock.advance(10.0)
    assert seen(await all_events(made[0])) == ["queued", "running", "succeeded"]
    assert [event.number for event in await all_events(made[0])] == [0, 1, 12]
    assert made[0].result == "done"
    for job in made[1:]:
        assert len(await all_events(job)) == 13
    clock.advance(89.0)  # the first two are forgotten
    assert [jobs.get(job.id) for job in made] == [None, None, made[2]]
    job, _ = jobs.submit(tells)
    await job.wait()
    assert len(await all_events(made[2])) == 13  # 20 are not too many


# --- idempotency ---


async def test_the_same_key_gives_the_same_job() -> None:
    jobs: Jobs[str] = Jobs(ManualClock())
    job, created = jobs.submit(quick, idempotency_key="k", fingerprint="f")
    assert created
    assert jobs.submit(endless, idempotency_key="k", fingerprint="f") == (job, False)
    await job.wait()
    assert jobs.submit(endless, idempotency_key="k", fingerprint="f") == (job, False)
    with pytest.raises(KeyReused):
        jobs.submit(quick, idempotency_key="k", fingerprint="g")
    assert jobs.submit(quick)[1]
    assert jobs.submit(quick, idempotency_key="l", fingerprint="f")[1]
    await jobs.close(1.0)


async def test_a_key_is_forgotten_with_its_job() -> None:
    clock = ManualClock()
    jobs: Jobs[str] = Jobs(clock, keep_s=10.0)
    job, _ = jobs.submit(quick, idempotency_key="k", fingerprint="f")
    await job.wait()
    clock.advance(10.0)
    other, created = jobs.submit(quick, idempotency_key="k", fingerprint="g")
    assert created
    assert other is not job
    assert jobs.get(job.id) is None
    await other.wait()


# --- bounds ---


async def test_ended_jobs_are_kept_for_their_time() -> None:
    clock = ManualClock()
    jobs: Jobs[str] = Jobs(clock, keep_s=10.0)
    first, _ = jobs.submit(quick)
    await first.wait()
    clock.advance(9.0)
    second, _ = jobs.submit(quick)
    await second.wait()
    assert jobs.get(first.id) is first
    clock.advance(1.0)
    assert jobs.get(first.id) is None
    assert jobs.get(second.id) is second
    assert jobs.counts().completed == 2


async def test_the_oldest_ended_jobs_make_room() -> None:
    jobs: Jobs[str] = Jobs(ManualClock(), most=3)
    gate = Gate()
    running, _ = jobs.submit(gate.work)
    first, _ = jobs.submit(quick)
    second, _ = jobs.submit(quick)
    await settle()
    third, _ = jobs.submit(quick)
    assert jobs.get(first.id) is None
    assert [jobs.get(job.id) for job in (running, second, third)] == [running, second, third]
    await jobs.close(0.0)


async def test_too_many_unfinished_jobs_are_refused() -> None:
    jobs: Jobs[str] = Jobs(ManualClock(), most=2, parallel=1)
    jobs.submit(endless)
    queued, _ = jobs.submit(endless, idempotency_key="k")
    with pytest.raises(TooMany, match="2 jobs are queued or running"):
        jobs.submit(quick)
    assert jobs.submit(quick, idempotency_key="k") == (queued, False)
    jobs.cancel(queued.id)
    assert jobs.submit(quick)[1]
    await jobs.close(0.0)


# --- the end ---


def test_closing_lets_running_jobs_finish_within_the_grace_time() -> None:
    async def main() -> None:
        clock = VirtualClock()

        def lasting(seconds: float) -> Any:
            async def work(job: Job[str]) -> str:
                await clock.sleep(seconds)
                return "done"

            return work

        jobs: Jobs[str] = Jobs(clock, parallel=2)
        made = [jobs.submit(lasting(seconds))[0] for seconds in (3.0, 30.0, 1.0)]
        key, _ = jobs.submit(quick, idempotency_key="k")
        closing = asyncio.create_task(jobs.close(5.0))
        await settle()
        with pytest.raises(Closed):
            jobs.submit(quick)
        assert jobs.submit(quick, idempotency_key="k") == (key, False)
        await closing
        assert clock.now() == 5.0
        assert [job.state for job in made] == ["succeeded", "cancelled", "cancelled"]
        assert made[2].started is None
        assert made[2].finished == 0.0
        assert jobs.counts() == Counts(active=0, completed=1, failed=0, cancelled=3)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await jobs.close(5.0)
        assert clock.now() == 5.0

    run_virtual(main())


async def test_ten_thousand_cancelled_jobs_leave_nothing_behind() -> None:
    clock = ManualClock()
    jobs: Jobs[str] = Jobs(clock, keep_s=60.0, parallel=100)
    held: list[weakref.ref[Any]] = []

    class Request:
        """What work holds on to."""

    def work_of(request: Request) -> Any:
        async def work(job: Job[str]) -> str:
            job.push(request)
            return await endless(job)

        return work

    gc.collect()
    gc.disable()  # all goes by itself, with no cycle to be found
    try:
        ids = []
        for i in range(10_000):
            request = Request()
            job, _ = jobs.submit(work_of(request), idempotency_key=str(i))
            ids.append(job.id)
            held += [weakref.ref(request), weakref.ref(job)]
            if i % 50 == 0:
                await settle()  # some begin to run
        del request, job
        for id_ in ids:
            jobs.cancel(id_)
        for _ in range(10):
            await settle()
        assert jobs.counts() == Counts(active=0, completed=0, failed=0, cancelled=10_000)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        clock.advance(60.0)
        assert jobs.get(ids[0]) is None
        assert [ref for ref in held if ref() is not None] == []
    finally:
        gc.enable()
    sizes = {name: len(value) for name, value in vars(jobs).items() if hasattr(value, "__len__")}
    assert sizes.pop("_totals") == 3
    assert set(sizes.values()) == {0}


async def test_a_cancelled_job_lets_go_of_its_work_while_it_is_still_kept() -> None:
    class Request:
        pass

    request = Request()
    ref = weakref.ref(request)

    def work_of(request: Request) -> Any:
        async def work(job: Job[str]) -> str:
            assert request
            return await endless(job)

        return work

    jobs: Jobs[str] = Jobs(ManualClock(), parallel=1)
    running, _ = jobs.submit(work_of(request))
    queued, _ = jobs.submit(work_of(request))
    del request
    await settle()
    jobs.cancel(queued.id)
    jobs.cancel(running.id)
    await running.wait()
    await settle()
    assert jobs.get(running.id) is running
    assert ref() is None
