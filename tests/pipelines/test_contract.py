"""One contract for every pipeline, shipped or a user's own."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.dispatch import Slot
from harness.edits import read_story
from harness.pipelines import PIPELINES, PipelineResult, Settings, make_pipeline
from harness.prompt import SUMMARY_MAX_CHARS, edit_prompt, rule_summary, summary_prompt
from harness.providers import ProviderError, Recorder
from harness.providers.schema import story_schema
from harness.records import Malformed, to_dict, trial_from_dict
from harness.scenario import Scenario
from harness.simulator.engine import Engine
from harness.simulator.profile import Answers, Faults
from harness.trial import TrialKey
from tests.pipelines.scripted import RIGHT, SCENARIO, TOKEN, Scripted, arm, scripted, trial
from tests.simulated import profile, provided

WRONG = SCENARIO.story.to_json()
BROKEN = RIGHT[: len(RIGHT) // 2]
REFUSAL = "I cannot help with that."
GONE = ProviderError("reset", "gone")
USERS = """
from harness.edits import read_story
from harness.pipelines import PipelineResult
from harness.prompt import clean_summary, edit_prompt, summary_prompt

class Awaiting:
    name = "my-async"
    async def edit(self, scenario, provider):
        text = (await provider.complete(edit_prompt(scenario))).text
        story = read_story(text)
        if not hasattr(story, "turns"):
            return PipelineResult(story)
        said = (await provider.complete(summary_prompt(scenario, story))).text
        return PipelineResult(story, clean_summary(said))

class Blocking:
    def edit(self, scenario, provider):
        story = read_story(provider.complete_blocking(edit_prompt(scenario)).text)
        if not hasattr(story, "turns"):
            return PipelineResult(story)
        said = provider.complete_blocking(summary_prompt(scenario, story)).text
        return PipelineResult(story, clean_summary(said))

blocking = Blocking()
"""
SHIPPED = tuple(PIPELINES)
OWN = ("harness_test_users:Awaiting", "harness_test_users:blocking")
every_shipped = pytest.mark.parametrize("name", SHIPPED)
every_pipeline = pytest.mark.parametrize("name", SHIPPED + OWN)
but_fallback = pytest.mark.parametrize("name", [n for n in SHIPPED + OWN if n != "fallback"])


@pytest.fixture(autouse=True)
def users_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "harness_test_users.py").write_text(USERS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield
    sys.modules.pop("harness_test_users", None)


# --- the contract ---


@every_pipeline
async def test_a_right_answer(name: str) -> None:
    provider = scripted(RIGHT, "  모두\n좋아졌어요. ")
    record, answers = await trial(name, provider)
    assert record.outcome == "ok"
    assert record.summary == "모두 좋아졌어요."
    assert [attempt.call for attempt in record.attempts] == ["edit", "summary"]
    assert [(a.attempt, a.call, a.text) for a in answers] == [
        (0, "edit", RIGHT),
        (1, "summary", "  모두\n좋아졌어요. "),
    ]
    assert record.checks
    assert all(check.ok for check in record.checks)
    assert provider.prompts[0].messages == edit_prompt(SCENARIO).messages
    assert provider.prompts[1].messages == summary_prompt(SCENARIO, SCENARIO.reference).messages
    assert [prompt.draw for prompt in provider.prompts] == [
        f"1|{SCENARIO.id}|0|{record.pipeline}|edit|1",
        f"1|{SCENARIO.id}|0|{record.pipeline}|summary|2",
    ]
    assert record.sent == record.scheduled == 0.0
    assert record.done == record.attempts[1].done
    assert trial_from_dict(to_dict(record)) == record


@every_pipeline
async def test_only_streaming_has_a_first_token(name: str) -> None:
    record, _ = await trial(name, scripted(RIGHT, "done"))
    edit, summary = record.attempts
    if name == "streaming":
        tokens = -(-len(RIGHT) // TOKEN)
        assert (record.first_token, record.last_token) == (1.0, tokens)
        assert record.ttft == 1.0
        assert (edit.first_token, edit.last_token) == (1.0, tokens)
    else:
        assert (record.first_token, record.last_token, record.ttft) == (None, None, None)
        assert edit.first_token is None
    assert summary.first_token is None


@every_pipeline
async def test_a_wrong_answer(name: str) -> None:
    record, _ = await trial(name, scripted(WRONG, "done"))
    assert record.outcome == "wrong"
    assert not all(check.ok for check in record.checks)
    assert record.summary == "done"


@but_fallback
@pytest.mark.parametrize("reply", ["", REFUSAL, BROKEN, '[{"turn_number": 2}]'])
async def test_a_malformed_answer_wants_no_summary(name: str, reply: str) -> None:
    provider = scripted(reply)
    record, answers = await trial(name, provider)
    assert record.outcome == "malformed"
    assert record.malformed is not None
    assert record.error is None
    assert record.summary is None
    assert record.checks == ()
    assert [call for _, call in provider.calls] == ["edit"]
    assert [answer.text for answer in answers] == ([reply] if reply else [])
    assert record.answered


@but_fallback
@pytest.mark.parametrize("type_", ["timeout", "http_5xx", "truncated"])
async def test_a_provider_error(name: str, type_: str) -> None:
    error = ProviderError(type_, "so it is")  # type: ignore[arg-type]
    provider = scripted(error)
    record, answers = await trial(name, provider)
    assert record.outcome == "error"
    assert record.error == error.error
    assert [attempt.error for attempt in record.attempts] == [error.error]
    assert len(provider.calls) == 1
    assert answers == ()
    assert not record.answered
    assert (record.response_time, record.service_time) == (None, None)


@every_pipeline
async def test_the_simulator_goes_through_every_pipeline(name: str) -> None:
    made, dispatch = make_pipeline(name, Settings())
    async with provided("sim", Engine(profile(), 1), scenarios=[SCENARIO]) as (provider, clock):
        run = arm(made, dispatch, provider, clock)
        assert run.dispatch == dispatch
        recorder = Recorder(provider, clock, "x")
        result = made.edit(SCENARIO, recorder)
        if not isinstance(result, PipelineResult):
            result = await result
    assert result.story == SCENARIO.reference
    assert result.summary
    assert len(result.summary) <= SUMMARY_MAX_CHARS


# --- what only shipped pipelines promise ---


@every_shipped
async def test_without_a_summary_there_is_one_call(name: str) -> None:
    provider = scripted(RIGHT)
    record, _ = await trial(name, provider, Settings(summary=False))
    assert record.outcome == "ok"
    assert record.summary is None
    assert len(record.attempts) == len(provider.calls) == 1


@every_shipped
@pytest.mark.parametrize("reply", [GONE, "", " \n "])
async def test_a_summary_that_fails_is_made_by_rule(name: str, reply: str | ProviderError) -> None:
    record, _ = await trial(name, scripted(RIGHT, reply))
    assert record.outcome == "ok"
    assert record.error is None
    assert record.summary == rule_summary(SCENARIO)
    assert 0 < len(record.summary) <= SUMMARY_MAX_CHARS
    assert len(record.attempts) == 2
    assert record.attempts[1].error == (None if isinstance(reply, str) else GONE.error)


@every_shipped
async def test_a_long_summary_is_cut(name: str) -> None:
    record, _ = await trial(name, scripted(RIGHT, "가" * 500))
    assert record.summary == "가" * SUMMARY_MAX_CHARS


@every_shipped
@pytest.mark.parametrize("constrained", [False, True])
async def test_the_schema_goes_with_the_edit_alone(name: str, constrained: bool) -> None:
    provider = scripted(RIGHT, "done")
    await trial(name, provider, Settings(constrained=constrained))
    expected = story_schema(SCENARIO.story) if constrained else None
    assert [prompt.schema for prompt in provider.prompts] == [expected, None]


@every_shipped
def test_names_are_those_on_the_command_line(name: str) -> None:
    assert make_pipeline(name, Settings())[0].name == name


def test_how_each_is_run() -> None:
    ways = {name: make_pipeline(name, Settings())[1] for name in SHIPPED}
    assert ways == {
        "sync": "serial",
        "sync-threads": "threads",
        "async": "tasks",
        "batched": "batches",
        "streaming": "tasks",
        "fallback": "tasks",
    }


# --- fallback ---


async def test_fallback_goes_to_the_blocking_path_after_an_error() -> None:
    provider = scripted(GONE, RIGHT, "done")
    record, _ = await trial("fallback", provider)
    assert record.outcome == "ok"
    assert record.summary == "done"
    assert provider.calls == [
        ("awaitable", "edit"),
        ("blocking", "edit"),
        ("blocking", "summary"),
    ]
    assert [attempt.error for attempt in record.attempts] == [GONE.error, None, None]
    assert record.sent == record.attempts[0].sent == 0.0
    assert record.done == 3.0


async def test_fallback_when_both_fail() -> None:
    last = ProviderError("timeout", "too slow")
    record, _ = await trial("fallback", scripted(GONE, last))
    assert record.outcome == "error"
    assert record.error == last.error
    assert [attempt.error for attempt in record.attempts] == [GONE.error, last.error]


async def test_fallback_after_a_malformed_answer() -> None:
    record, answers = await trial("fallback", scripted(BROKEN, RIGHT, "done"))
    assert record.outcome == "ok"
    assert [attempt.error for attempt in record.attempts] == [None, None, None]
    assert [answer.text for answer in answers] == [BROKEN, RIGHT, "done"]


async def test_fallback_after_two_malformed_answers() -> None:
    record, _ = await trial("fallback", scripted(REFUSAL, BROKEN))
    assert record.outcome == "malformed"
    assert record.malformed is not None
    assert record.malformed.reason == "truncated"  # the last answer's
    assert len(record.attempts) == 2


async def test_fallback_after_a_malformed_answer_and_an_error() -> None:
    record, _ = await trial("fallback", scripted(BROKEN, GONE))
    assert record.outcome == "error"
    assert record.error == GONE.error


async def test_fallback_is_not_for_a_failed_summary() -> None:
    provider = scripted(RIGHT, GONE)
    record, _ = await trial("fallback", provider)
    assert record.outcome == "ok"
    assert len(provider.calls) == 2


# --- streaming ---


async def test_streaming_stops_as_soon_as_there_can_be_no_story() -> None:
    doomed = '[{"turn_number": 7, "result": "x"}, ' + "x" * 5000
    provider = scripted(doomed)
    record, answers = await trial("streaming", provider)
    (attempt,) = record.attempts
    assert record.outcome == "malformed"
    assert attempt.stopped_early
    assert attempt.error is None
    assert attempt.done is not None
    assert attempt.done == record.done == attempt.last_token
    assert provider.closed == [4]  # the brace that closes the first turn is in the fourth token
    assert [answer.text for answer in answers] == [doomed[: 4 * TOKEN]]


async def test_streaming_reads_a_good_answer_to_its_end() -> None:
    provider = scripted(RIGHT, "done")
    record, _ = await trial("streaming", provider)
    assert provider.closed == [-(-len(RIGHT) // TOKEN)]
    assert not record.attempts[0].stopped_early
    assert record.attempts[0].last_token == record.attempts[0].done


async def test_streaming_that_breaks_off_keeps_what_came() -> None:
    class Breaking(Scripted):
        def _end(self, reply: object, trace: object) -> None:  # type: ignore[override]
            raise GONE

    record, answers = await trial("streaming", Breaking(scripted().clock, BROKEN))
    assert record.outcome == "error"
    assert record.error == GONE.error
    assert record.attempts[0].first_token == 1.0
    assert not record.attempts[0].stopped_early
    assert [answer.text for answer in answers] == [BROKEN]


async def test_streaming_that_is_cancelled_closes_its_stream() -> None:
    provider = scripted(RIGHT)
    task = asyncio.create_task(trial("streaming", provider))
    for _ in range(20):  # turns of the loop; every token takes at least one
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(provider.closed) == 1
    assert provider.closed[0] < len(RIGHT) / TOKEN


# --- a user's own that go wrong ---


class Own:
    """A user's pipeline that does what ``body`` does, on the loop or on a thread."""

    name = "own"


def own(body: object, awaiting: bool) -> Own:
    def edit(self: Own, scenario: Scenario, provider: Recorder) -> object:
        return body(provider)  # type: ignore[operator]

    async def edit_async(self: Own, scenario: Scenario, provider: Recorder) -> object:
        return body(provider)  # type: ignore[operator]

    made: Own = type("Mine", (Own,), {"edit": edit_async if awaiting else edit})()
    return made


def fails(error: BaseException) -> object:
    def body(provider: Recorder) -> None:
        raise error

    return body


awaiting_or_not = pytest.mark.parametrize("awaiting", [True, False], ids=["async", "blocking"])


@awaiting_or_not
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("no\n  good"), "ValueError: no good"),
        (KeyError("x"), "KeyError: 'x'"),
        (RuntimeError(""), "RuntimeError: "),
        (AssertionError("x" * 500), f"AssertionError: {'x' * 200}"),
        (TimeoutError(), "TimeoutError: "),
    ],
)
async def test_an_exception_is_internal(awaiting: bool, error: Exception, message: str) -> None:
    record, _ = await trial(own(fails(error), awaiting), scripted())  # type: ignore[arg-type]
    assert record.outcome == "error"
    assert record.error is not None
    assert (record.error.type, record.error.message) == ("internal", message)
    assert record.attempts == ()
    assert (record.sent, record.first_token) == (None, None)


@awaiting_or_not
@pytest.mark.parametrize(
    ("result", "why"),
    [
        (None, "edit() gave NoneType"),
        ("text", "edit() gave str"),
        (SCENARIO.reference, "edit() gave Story"),
        (PipelineResult("[]"), "story is str"),  # type: ignore[arg-type]
        (PipelineResult(None), "story is NoneType"),  # type: ignore[arg-type]
    ],
)
async def test_a_result_of_the_wrong_type_is_internal(
    awaiting: bool, result: object, why: str
) -> None:
    pipeline = own(lambda provider: result, awaiting)
    record, _ = await trial(pipeline, scripted())  # type: ignore[arg-type]
    assert record.outcome == "error"
    assert record.error is not None
    assert record.error.type == "internal"
    assert why in record.error.message


@awaiting_or_not
async def test_a_malformed_result_counts_as_such(awaiting: bool) -> None:
    result = PipelineResult(Malformed("no_json", "nothing there"))
    pipeline = own(lambda provider: result, awaiting)
    record, _ = await trial(pipeline, scripted())  # type: ignore[arg-type]
    assert record.outcome == "malformed"
    assert record.malformed == result.story


async def test_calls_before_a_failure_are_kept() -> None:
    def body(provider: Recorder) -> None:
        provider.complete_blocking(edit_prompt(SCENARIO))
        raise ValueError("after it")

    record, answers = await trial(own(body, False), scripted(RIGHT))  # type: ignore[arg-type]
    assert record.outcome == "error"
    assert len(record.attempts) == len(answers) == 1
    assert record.attempts[0].error is None


async def test_a_stream_that_is_left_open_is_closed_and_kept() -> None:
    """``break`` out of a stream leaves it to the garbage collector, which comes too late."""

    class Leaving:
        name = "leaving"

        async def edit(self, scenario: Scenario, provider: Recorder) -> PipelineResult:
            async for _ in provider.stream(edit_prompt(scenario)):
                break
            return PipelineResult(read_story(RIGHT))

    provider = scripted(RIGHT)
    record, answers = await trial(Leaving(), provider)
    assert record.outcome == "ok"
    assert provider.closed == [1]
    (attempt,) = record.attempts
    assert attempt.stopped_early
    assert attempt.first_token == 1.0
    assert [answer.text for answer in answers] == [RIGHT[:TOKEN]]


async def test_a_cancellation_of_its_own_is_internal() -> None:
    class Cancelling:
        name = "cancelling"

        async def edit(self, scenario: Scenario, provider: Recorder) -> PipelineResult:
            inner = asyncio.create_task(asyncio.sleep(0))
            inner.cancel()
            await inner
            raise AssertionError("not reached")

    record, _ = await trial(Cancelling(), scripted())
    assert record.outcome == "error"
    assert record.error is not None
    assert record.error.type == "internal"
    assert "CancelledError" in record.error.message


async def test_the_simulators_faults_and_failures_have_outcomes() -> None:
    """Every outcome comes about through the real simulator too."""
    seen = set()
    mixed = profile(
        answers=Answers(right=0.4, wrong=0.3, malformed=0.2, truncated=0.1),
        faults=Faults(http_5xx=0.3),
    )
    made, dispatch = make_pipeline("async", Settings())
    async with provided("sim", Engine(mixed, 1), scenarios=[SCENARIO]) as (provider, clock):
        used = arm(made, dispatch, provider, clock)
        for i in range(40):
            run = used.start(TrialKey(f"{i}", SCENARIO.id, i, i, 0, False))
            await run.run()
            seen.add(used.record(Slot(run, 0, 0, 0, 0), 0)[0].outcome)
    assert seen == {"ok", "wrong", "malformed", "error"}
