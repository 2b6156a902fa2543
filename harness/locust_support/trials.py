"""One edit that a user wanted, from the wish to its record."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import orjson

from harness.locust_support.verdicts import CANCELLED, Verdict
from harness.records import Attempt, TrialRecord
from harness.scenario import Scenario


@dataclass(slots=True)
class Trial:
    """Moments are ``time.perf_counter()`` seconds; None: did not happen.

    ``scheduled``: the user wanted it, which in a closed loop is when its turn had come. ``arm``:
    the route, by which records are told apart. ``status``: of the HTTP answer. ``chunks``: events
    with tokens. ``alone``: it had the request to itself, so its own end is known.
    """

    arm: str
    scenario: Scenario
    streamed: bool = False
    alone: bool = True
    scheduled: float = field(default_factory=time.perf_counter)
    sent: float | None = None
    first_token: float | None = None
    last_token: float | None = None
    done: float | None = None
    status: int | None = None
    chunks: int = 0
    verdict: Verdict = CANCELLED

    def token(self, moment: float) -> None:
        """Note that text came."""
        if self.first_token is None:
            self.first_token = moment
        self.last_token = moment
        self.chunks += 1

    def record(self, origin: float) -> TrialRecord:
        """The record, moments counted from ``origin``; its id and round are given when all
        processes' records are put together.
        """

        def at(moment: float | None) -> float | None:
            return None if moment is None else moment - origin

        scheduled, sent, verdict = self.scheduled - origin, at(self.sent), self.verdict
        ended = None if verdict.outcome == "cancelled" else at(self.done)
        attempts: tuple[Attempt, ...] = ()
        if sent is not None:
            attempt = Attempt(
                call="edit",
                due=sent,
                sent=sent,
                first_token=at(self.first_token),
                last_token=at(self.last_token),
                done=at(self.done),
                status=self.status,
                error=verdict.error,
                chunks=self.chunks if self.streamed else None,
                mode="stream" if self.streamed else "async",
            )
            attempts = (attempt,)
        return TrialRecord(
            trial="",
            scenario=self.scenario.id,
            pipeline=self.arm,
            repeat=0,
            block=0,
            position=0,
            segment=0,
            warmup=False,
            scheduled=scheduled,
            eligible=scheduled,
            sent=sent,
            first_token=at(self.first_token),
            last_token=at(self.last_token),
            done=ended,
            own_done=ended if self.alone else None,
            outcome=verdict.outcome,
            error=verdict.error,
            malformed=verdict.malformed,
            attempts=attempts,
            usage=None,
            checks=verdict.checks,
        )


def arm_of(path: str) -> str:
    """How records call a route."""
    return path.strip("/")


def edit_body(scenario: Scenario) -> dict[str, str]:
    """An ``EditRequest`` of the service."""
    return {
        "chapterId": scenario.id,
        "story": scenario.story.to_json(),
        "editRequest": scenario.request,
    }


def batch_body(scenarios: Sequence[Scenario]) -> bytes:
    """A ``BatchRequest`` of the service."""
    return orjson.dumps({"scenarios": [edit_body(scenario) for scenario in scenarios]})
