"""One scenario through one arm once: runs the pipeline, judges the answer, makes the record."""

import asyncio
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.clock import Clock
from harness.dispatch import Slot
from harness.pipelines import Dispatch, Pipeline, PipelineResult
from harness.providers import Provider, ProviderError, Recorder
from harness.records import (
    Answer,
    Attempt,
    CallError,
    CheckResult,
    Malformed,
    Outcome,
    TrialRecord,
    Usage,
)
from harness.scenario import Scenario
from harness.story import Story


@dataclass(frozen=True, slots=True)
class TrialKey:
    """Which trial: its unique id and its place in the run."""

    trial: str
    scenario: str
    repeat: int
    block: int
    position: int
    warmup: bool


class TrialRun:
    """A trial being run (see ``dispatch.Execution``)."""

    def __init__(self, key: TrialKey, scenario: Scenario, pipeline: Pipeline, recorder: Recorder):
        self.key = key
        self.scenario = scenario
        self.recorder = recorder
        self.result: PipelineResult | None = None
        self.error: CallError | None = None
        self._pipeline = pipeline

    async def run(self) -> None:
        """Run an awaitable pipeline; only cancellation escapes."""
        try:
            result = self._pipeline.edit(self.scenario, self.recorder)
            self._take(await result if inspect.isawaitable(result) else result)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody cancelled the trial: the pipeline let a cancellation of its own escape.
            self.error = CallError("internal", "CancelledError: raised by the pipeline itself")
        except ProviderError as error:
            self.error = error.error
        except Exception as error:
            self.error = _internal(error)
        finally:
            await self.recorder.close()

    def run_blocking(self) -> None:
        """Run a blocking pipeline on the calling thread."""
        try:
            self._take(self._pipeline.edit(self.scenario, self.recorder))
        except ProviderError as error:
            self.error = error.error
        except Exception as error:
            self.error = _internal(error)

    def _take(self, result: object) -> None:
        if not isinstance(result, PipelineResult):
            raise TypeError(f"edit() gave {type(result).__name__}, not a PipelineResult")
        if not isinstance(result.story, Story | Malformed):
            raise TypeError(f"story is {type(result.story).__name__}, not a Story or Malformed")
        self.result = result


class Arm:
    """A pipeline with its settings, as the runner sees it."""

    def __init__(
        self,
        name: str,
        pipeline: Pipeline,
        dispatch: Dispatch,
        *,
        slots: int,
        provider: Provider,
        scenarios: Mapping[str, Scenario],
        clock: Clock,
        seed: int,
    ) -> None:
        self.name = name
        self.dispatch = dispatch
        self.slots = slots
        self._pipeline = pipeline
        self._provider = provider
        self._scenarios = scenarios
        self._clock = clock
        self._seed = seed

    def start(self, key: TrialKey) -> TrialRun:
        """A trial ready to run."""
        draw = f"{self._seed}|{key.scenario}|{key.repeat}|{self.name}"
        recorder = Recorder(self._provider, self._clock, draw)
        return TrialRun(key, self._scenarios[key.scenario], self._pipeline, recorder)

    def record(self, slot: Slot[TrialRun], segment: int) -> tuple[TrialRecord, tuple[Answer, ...]]:
        """Judge a trial that was run; its record and the reply texts."""
        run = slot.execution
        attempts = tuple(run.recorder.attempts)
        outcome, malformed, checks = _judge(run, slot.cancelled)
        edits = [attempt for attempt in attempts if attempt.call == "edit"]
        first = edits[0] if edits else None
        # What the caller saw first came from the last edit call that was made.
        last = edits[-1] if edits else None
        record = TrialRecord(
            trial=run.key.trial,
            scenario=run.key.scenario,
            pipeline=self.name,
            repeat=run.key.repeat,
            block=run.key.block,
            position=run.key.position,
            segment=segment,
            warmup=run.key.warmup,
            scheduled=slot.scheduled,
            eligible=slot.eligible,
            sent=first.sent if first else None,
            first_token=last.first_token if last else None,
            last_token=last.last_token if last else None,
            done=None if slot.cancelled else slot.done,
            own_done=None if slot.cancelled else slot.own_done,
            outcome=outcome,
            error=run.error,
            malformed=malformed,
            attempts=attempts,
            usage=_total_usage(attempts),
            checks=tuple(checks),
            summary=run.result.summary if run.result else None,
        )
        answers = tuple(
            Answer(run.key.trial, attempt, call, text)
            for attempt, call, text in run.recorder.replies
        )
        return record, answers


def _judge(
    run: TrialRun, cancelled: bool
) -> tuple[Outcome, Malformed | None, Sequence[CheckResult]]:
    if cancelled:
        return "cancelled", None, ()
    if run.result is None:
        return "error", None, ()
    if isinstance(run.result.story, Malformed):
        return "malformed", run.result.story, ()
    checks = run.scenario.judge(run.result.story)
    return ("ok" if all(check.ok for check in checks) else "wrong"), None, checks


def _internal(error: Exception) -> CallError:
    text = " ".join(str(error).split())[:200]
    return CallError("internal", f"{type(error).__name__}: {text}")


def _total_usage(attempts: Sequence[Attempt]) -> Usage | None:
    """Tokens over all attempts; None when no server counted them."""
    counted = [attempt.usage for attempt in attempts if attempt.usage is not None]
    if not counted:
        return None
    cached = [usage.cached for usage in counted if usage.cached is not None]
    return Usage(
        prompt=sum(usage.prompt for usage in counted),
        completion=sum(usage.completion for usage in counted),
        cached=sum(cached) if cached else None,
    )
