"""From a trial that was run to its record."""

import asyncio
from typing import Any

import pytest

from harness.clock import ManualClock
from harness.dispatch import Slot
from harness.pipelines import PipelineResult
from harness.prompt import Prompt, edit_prompt
from harness.providers import Completion, ProviderError, Recorder, Trace
from harness.records import Answer, Malformed, TrialRecord, Usage
from harness.scenario import Scenario
from harness.trial import TrialKey
from tests.pipelines.scripted import RIGHT, SCENARIO, Scripted, arm, scripted

KEY = TrialKey("the/trial", SCENARIO.id, repeat=3, block=5, position=1, warmup=True)


class Edits:
    """Asks for the edit as often as it is told, and gives the right story."""

    name = "edits"

    def __init__(self, times: int = 1) -> None:
        self.times = times

    async def edit(self, scenario: Scenario, provider: Recorder) -> PipelineResult:
        for _ in range(self.times):
            await provider.complete(edit_prompt(scenario))
        return PipelineResult(scenario.reference, "done")


class Counting(Scripted):
    """Counts tokens, except where it is told None."""

    usages: list[Usage | None]

    def _end(self, reply: str | ProviderError, trace: Trace) -> Completion:
        trace.usage = self.usages.pop(0)
        return super()._end(reply, trace)


async def record(
    pipeline: Any, provider: Scripted, *, cancelled: bool = False
) -> tuple[TrialRecord, tuple[Answer, ...]]:
    used = arm(pipeline, "tasks", provider, provider.clock)
    run = used.start(KEY)
    await run.run()
    return used.record(Slot(run, 1.0, 2.0, 3.0, 4.0, cancelled), segment=2)


async def test_a_record_says_which_trial_it_was_and_when() -> None:
    made, answers = await record(Edits(), scripted(RIGHT))
    assert (made.trial, made.scenario, made.pipeline) == ("the/trial", SCENARIO.id, "edits")
    assert (made.repeat, made.block, made.position, made.segment) == (3, 5, 1, 2)
    assert made.warmup
    assert (made.scheduled, made.eligible, made.own_done, made.done) == (1.0, 2.0, 3.0, 4.0)
    assert made.response_time == 3.0
    assert made.service_time == 4.0  # it was sent at 0
    assert made.summary == "done"
    assert [check.id for check in made.checks] == [check.id for check in SCENARIO.checks]
    assert answers == (Answer("the/trial", 0, "edit", RIGHT),)


async def test_a_cancelled_trial_has_no_end_but_keeps_its_attempts() -> None:
    made, answers = await record(Edits(), scripted(RIGHT), cancelled=True)
    assert made.outcome == "cancelled"
    assert (made.done, made.own_done) == (None, None)
    assert made.checks == ()
    assert len(made.attempts) == len(answers) == 1
    assert (made.response_time, made.service_time) == (None, None)


async def test_the_first_call_tells_when_it_was_sent() -> None:
    provider = Scripted(ManualClock(10.0), RIGHT, RIGHT)
    made, _ = await record(Edits(2), provider)
    assert [attempt.sent for attempt in made.attempts] == [10.0, 11.0]
    assert made.sent == 10.0


async def test_without_any_call_nothing_was_sent() -> None:
    made, answers = await record(Edits(0), scripted())
    assert made.outcome == "ok"
    assert (made.sent, made.first_token, made.last_token) == (None, None, None)
    assert (made.service_time, made.ttft, made.usage) == (None, None, None)
    assert answers == ()


@pytest.mark.parametrize(
    ("usages", "total"),
    [
        ([None, None], None),
        ([Usage(5, 3), None], Usage(5, 3)),
        ([Usage(5, 3), Usage(2, 1)], Usage(7, 4)),
        ([Usage(5, 3, 1), Usage(2, 1)], Usage(7, 4, 1)),
        ([Usage(5, 3, 0), Usage(2, 1, 2)], Usage(7, 4, 2)),
    ],
)
async def test_tokens_are_added_up(usages: list[Usage | None], total: Usage | None) -> None:
    provider = Counting(ManualClock(), RIGHT, RIGHT)
    provider.usages = usages
    made, _ = await record(Edits(2), provider)
    assert made.usage == total


async def test_a_malformed_story_keeps_its_reason() -> None:
    class Refusing:
        name = "refusing"

        async def edit(self, scenario: Scenario, provider: Recorder) -> PipelineResult:
            return PipelineResult(Malformed("no_json", "not a word of it"))

    made, _ = await record(Refusing(), scripted())
    assert made.outcome == "malformed"
    assert made.malformed == Malformed("no_json", "not a word of it")


async def test_only_a_cancellation_from_outside_escapes() -> None:
    class Waiting:
        name = "waiting"

        async def edit(self, scenario: Scenario, provider: Recorder) -> PipelineResult:
            await asyncio.Event().wait()
            raise AssertionError("not reached")

    provider = scripted()
    run = arm(Waiting(), "tasks", provider, provider.clock).start(KEY)
    task = asyncio.create_task(run.run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (run.result, run.error) == (None, None)


async def test_an_edit_that_awaits_is_refused_on_a_thread() -> None:
    provider = scripted()
    run = arm(Plain(), "threads", provider, provider.clock).start(KEY)
    run.run_blocking()
    assert run.error is not None
    assert run.error.message == "TypeError: edit() gave Future, not a PipelineResult"


class Plain:
    """Gives something to await from a plain method."""

    name = "plain"

    def edit(self, scenario: Scenario, provider: Recorder) -> asyncio.Future[PipelineResult]:
        future: asyncio.Future[PipelineResult] = asyncio.get_running_loop().create_future()
        future.set_result(PipelineResult(scenario.reference))
        return future


async def test_a_plain_edit_may_give_something_to_await() -> None:
    made, _ = await record(Plain(), scripted())
    assert made.outcome == "ok"


def test_draws_name_seed_scenario_round_and_arm() -> None:
    provider = scripted(RIGHT)
    run = arm(Edits(), "tasks", provider, provider.clock).start(KEY)
    run.recorder.complete_blocking(Prompt("edit", (("user", "x"),), 5))
    assert provider.prompts[0].draw == f"1|{SCENARIO.id}|3|edits|edit|1"
