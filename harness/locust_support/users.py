"""What Locust's users can do with the service: edit, awaited whole, streamed, in a batch or a job.

Each way times the edit from this side, judges the edited story and tells Locust of whatever is not
right, so that a wrong edit is a failure. ``TRIALS`` hears of every edit, however it ended.
"""

import itertools
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import orjson
from locust import FastHttpUser
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS, ResponseContextManager
from locust.event import EventHook
from locust.exception import CatchResponseError

from harness.locust_support.failures import error_type
from harness.locust_support.sse import Event, events
from harness.locust_support.trials import Trial, arm_of, batch_body, edit_body
from harness.locust_support.verdicts import CANCELLED, Judge, Verdict, failed, parsed, problem
from harness.scenario import Scenario

HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-cache",  # every edit is to be worked on, not looked up
}
TIMEOUT_S = 300.0
TRIALS = EventHook()
"""Fired with ``trial=Trial`` when an edit has ended, been answered or been cut off."""


class Deck:
    """The scenarios that users take turns with, in an order drawn once."""

    def __init__(self, scenarios: Sequence[Scenario]) -> None:
        self._bodies = {scenario.id: orjson.dumps(edit_body(scenario)) for scenario in scenarios}
        self._turns = itertools.cycle(random.sample(scenarios, len(scenarios)))

    def draw(self) -> Scenario:
        return next(self._turns)

    def body(self, scenario: Scenario) -> bytes:
        """The scenario as a request, encoded before the run."""
        return self._bodies[scenario.id]


class Editor(FastHttpUser):
    """A user of the service. Requests that were cut off when users were stopped are cancelled."""

    abstract = True
    insecure = False  # certificates are checked
    network_timeout = connection_timeout = TIMEOUT_S
    path: ClassVar[str]
    """The route that a user of this kind asks."""
    deck: ClassVar[Deck]
    """Given by ``plugin`` before the first user is made."""
    judge: ClassVar[Judge] = Judge()

    def ask(self) -> None:
        """One edit, awaited whole."""
        with self._trial() as trial, self._post(trial) as response:
            trial.done = time.perf_counter()
            self._settle(response, [trial], [self._reply(response, trial)])

    def stream(self) -> None:
        """One edit, read as it comes; its first token is an event of its own, ``TTFT``."""
        with (
            self._trial(streamed=True) as trial,
            self._post(trial, stream=True) as response,
        ):
            assert trial.sent is not None
            self._follow(response, trial, trial.sent)
            if trial.first_token is not None:
                self._event("TTFT", trial.first_token - trial.sent)

    def batch(self, items: int) -> None:
        """Several edits in one request; each has them all to wait for, and is right or not."""
        with self._trials([self.deck.draw() for _ in range(items)]) as trials:
            body = batch_body([trial.scenario for trial in trials])
            with self._send("POST", self.path, trials, data=body) as response:
                done = time.perf_counter()
                for trial in trials:
                    trial.done = done
                self._settle(response, trials, self._results(response, trials))

    def job(self) -> None:
        """One edit in the background, its events followed to the end; ``JOB`` is the whole."""
        with self._trial() as trial:
            job = self._submitted(trial)
            if job is not None:
                url, name = (f"{self.path}/{each}/events" for each in (job, "[id]"))
                asked = time.perf_counter()
                with self._send("GET", url, [trial], name=name, stream=True) as response:
                    self._follow(response, trial, asked)
            assert trial.sent is not None
            assert trial.done is not None
            self._event("JOB", trial.done - trial.sent, trial.verdict.failure)

    def given_up_job(self) -> None:
        """One edit in the background that is cancelled at once."""
        with self._trial() as trial:
            job = self._submitted(trial)
            if job is not None:
                url, name = (f"{self.path}/{each}" for each in (job, "[id]"))
                with self._send("DELETE", url, [trial], name=name) as response:
                    trial.done = time.perf_counter()
                    self._settle(response, [trial], [self._ended_job(response, trial)])

    @contextmanager
    def _trials(
        self, scenarios: Sequence[Scenario], *, streamed: bool = False
    ) -> Iterator[list[Trial]]:
        """Edits that begin now; whatever ends the block, they are told of."""
        alone = len(scenarios) == 1
        trials = [Trial(arm_of(self.path), each, streamed, alone) for each in scenarios]
        try:
            yield trials
        except Exception as error:  # ours: what a server does wrong has been judged
            for trial in trials:
                trial.verdict = failed("internal", type(error).__name__)
            raise
        finally:
            for trial in trials:
                TRIALS.fire(trial=trial)

    @contextmanager
    def _trial(self, *, streamed: bool = False) -> Iterator[Trial]:
        with self._trials([self.deck.draw()], streamed=streamed) as trials:
            yield trials[0]

    def _post(self, trial: Trial, *, stream: bool = False) -> ResponseContextManager:
        body = self.deck.body(trial.scenario)
        return self._send("POST", self.path, [trial], data=body, stream=stream)

    def _send(
        self, method: str, url: str, trials: Sequence[Trial], **request: Any
    ) -> ResponseContextManager:
        """A request whose fate is the caller's to decide; notes when it was sent."""
        now = time.perf_counter()
        for trial in trials:
            trial.sent = trial.sent or now
        response = self.client.request(
            method, url, headers=HEADERS, catch_response=True, allow_redirects=False, **request
        )
        for trial in trials:
            trial.status = response.status_code or None
        return response

    def _broken(self, response: ResponseContextManager) -> Verdict | None:
        """The verdict on a request that got no whole answer below HTTP; None: it got one."""
        error = response.request_meta["exception"]
        if error is None or response.status_code >= 300:
            return None
        return failed(error_type(error), type(error).__name__)

    def _reply(self, response: ResponseContextManager, trial: Trial) -> Verdict:
        """The verdict on a whole answer with one edit, or on a problem."""
        broken = self._broken(response)
        if broken is not None:
            return broken
        return self.judge.reply(trial.scenario, response.status_code, response.content or b"")

    def _results(self, response: ResponseContextManager, trials: Sequence[Trial]) -> list[Verdict]:
        """The verdict on each item of a batch."""
        said = parsed(response.content or b"")
        items = said.get("results") if isinstance(said, dict) else None
        if not isinstance(items, list) or len(items) != len(trials):
            return [self._reply(response, trial) for trial in trials]
        return [self._result(trial, item) for trial, item in zip(trials, items, strict=True)]

    def _result(self, trial: Trial, item: Any) -> Verdict:
        """The verdict on a ``BatchItem``."""
        known = item if isinstance(item, dict) else {}
        if known.get("error") is not None:
            return problem(known["error"], None)
        return self.judge.edited(trial.scenario, known.get("result"))

    def _submitted(self, trial: Trial) -> str | None:
        """The id of a new job; None where there is none, and the trial is over."""
        with self._post(trial) as response:
            said = parsed(response.content or b"")
            if response.status_code == 202 and isinstance(said, dict) and "id" in said:
                return str(said["id"])
            trial.done = time.perf_counter()
            self._settle(response, [trial], [self._reply(response, trial)])
        return None

    def _ended_job(self, response: ResponseContextManager, trial: Trial) -> Verdict:
        """The verdict on a job that was to be cancelled; it may have been faster."""
        said = parsed(response.content or b"")
        if response.status_code != 200 or not isinstance(said, dict):
            return self._reply(response, trial)
        match said.get("state"):
            case "cancelled":
                return CANCELLED
            case "succeeded":
                return self.judge.edited(trial.scenario, said.get("result"))
        return problem(said.get("error"), None)

    def _follow(self, response: ResponseContextManager, trial: Trial, asked: float) -> None:
        """Read an answer's events to its end and judge what they bring. Locust, which has timed
        the head only, shows the time from ``asked``.
        """
        verdict = self._followed(response, trial)
        assert trial.done is not None
        response.request_meta["response_time"] = 1e3 * (trial.done - asked)
        self._settle(response, [trial], [verdict])

    def _followed(self, response: ResponseContextManager, trial: Trial) -> Verdict:
        """The verdict on a stream's events; notes when the last that matters came."""
        if response.status_code != 200:
            trial.done = time.perf_counter()
            return self._reply(response, trial)
        verdict = failed("truncated", "the events ended without a result")
        stream = response.stream
        try:
            for event in events(lambda: stream.readline(b"\n")):
                verdict = self._heard(event, trial) or verdict
        except FAILURE_EXCEPTIONS as error:
            trial.done = time.perf_counter()
            return failed(error_type(error), type(error).__name__)
        trial.done = trial.done or time.perf_counter()
        return verdict

    def _heard(self, event: Event, trial: Trial) -> Verdict | None:
        """What one event says of the edit; ``result`` and ``error`` end it."""
        if event.kind == "token":
            if trial.streamed:
                trial.token(event.moment)
            return None
        if event.kind not in ("result", "error"):
            return None
        trial.done = event.moment
        data = parsed(event.data)
        if event.kind == "result":
            return self.judge.edited(trial.scenario, data)
        return problem(data, None)

    def _settle(
        self,
        response: ResponseContextManager,
        trials: Sequence[Trial],
        verdicts: Sequence[Verdict],
    ) -> None:
        """Give the trials their verdicts, and Locust the first failure among them."""
        for trial, verdict in zip(trials, verdicts, strict=True):
            trial.verdict = verdict
        failure = next((v.failure for v in verdicts if v.failure is not None), None)
        if failure is None:
            response.success()
        else:
            response.failure(failure)

    def _event(self, kind: str, seconds: float, failure: str | None = None) -> None:
        """An event of Locust's that is no request."""
        self.environment.events.request.fire(
            request_type=kind,
            name=self.path,
            response_time=1e3 * seconds,
            response_length=0,
            exception=None if failure is None else CatchResponseError(failure),
            context={},
        )
