"""A provider that dies, and comes back: what is ready, what is refused, what waits."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.providers import ProviderError, Trace
from harness.records import Attempt, CallError, ErrorType
from harness.service.problems import ProblemError
from harness.service.reach import SILENT_MOST, Reach
from tests.service.build import RIGHT, SUMMARY, Model, asked, got, served, until

SENT = Attempt("edit", 0.0, sent=0.0)


def failed(error: ErrorType, **more: Any) -> Attempt:
    return Attempt("edit", 0.0, error=CallError(error, "x"), **{"sent": 0.0, **more})


DEAD = [
    ([failed("connect")], False),
    ([failed("timeout")], False),
    ([Attempt("edit", 0.0, sent=0.0, stopped_early=True)], True),
]
ALIVE = [
    [SENT],
    [failed("rate_limited", status=429)],
    [failed("http_5xx", status=500)],
    [failed("timeout", first_token=1.0)],
    [SENT, failed("timeout")],
]
NEITHER = [
    ([], False),
    ([failed("reset")], False),
    ([failed("timeout", sent=None)], False),  # it waited for the rate limit only
    ([Attempt("edit", 0.0, sent=0.0, stopped_early=True)], False),
]


def answering() -> Reach:
    reach = Reach()
    reach.answered()
    return reach


@pytest.mark.parametrize(("attempts", "late"), DEAD)
def test_silence(attempts: list[Attempt], late: bool) -> None:
    reach = answering()
    for _ in range(SILENT_MOST):
        reach.check()
        reach.note(attempts, late=late)
    with pytest.raises(ProblemError, match="no longer answers"):
        reach.check()


@pytest.mark.parametrize("attempts", ALIVE)
def test_any_answer_begins_anew(attempts: list[Attempt]) -> None:
    reach = answering()
    for _ in range(SILENT_MOST):
        for _ in range(SILENT_MOST - 1):
            reach.note([failed("connect")], late=False)
        reach.note(attempts, late=False)
    assert reach.answers


@given(st.lists(st.sampled_from(NEITHER)))
def test_what_says_nothing(notes: list[tuple[list[Attempt], bool]]) -> None:
    reach = answering()
    for attempts, late in notes:
        reach.note(attempts, late=late)
    assert reach.answers


async def test_it_tells_those_who_wait() -> None:
    reach = Reach()
    with pytest.raises(ProblemError, match="has not answered"):
        reach.check()
    waiting = asyncio.create_task(reach.wait(True))
    await asyncio.sleep(0)
    reach.answered()
    await waiting
    await reach.wait(True)


class Mortal(Model):
    """A model that nobody can reach while ``dead``."""

    dead = False

    async def open(self) -> None:
        self.unreachable = self.opened + 1 if self.dead else 0
        await super().open()

    async def complete(self, prompt: Any, trace: Trace) -> Any:
        self._refuse(trace)
        return await super().complete(prompt, trace)

    def complete_blocking(self, prompt: Any, trace: Trace) -> Any:
        self._refuse(trace)
        return super().complete_blocking(prompt, trace)

    async def stream(self, prompt: Any, trace: Trace) -> Any:
        await self._release.wait()
        self._refuse(trace)
        async for text in super().stream(prompt, trace):
            yield text

    def _refuse(self, trace: Trace) -> None:
        trace.sent = 0.0
        if self.dead:
            raise ProviderError("connect", "nobody there")


@pytest.mark.parametrize("path", ["/edit-scenario", "/edit-scenario-async", "/edit-scenario-sync"])
async def test_a_provider_that_dies_and_comes_back(
    path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("harness.service.service.PROBE_S", 0.001)
    model = Mortal()
    async with served(model) as (session, _):
        assert (await asked(session, path))[0] == 200
        model.dead = True
        for _ in range(SILENT_MOST):
            assert (await got(session, "/health/ready"))[0] == 200
            status, answer = await asked(session, path)
            assert (status, answer["type"]) == (502, "provider_failed")
        for request in (got(session, "/health/ready"), asked(session, path)):
            status, answer = await request
            assert (status, answer["type"]) == (503, "not_ready")
        status, health = await got(session, "/health")
        assert (status, health["status"], health["llm_initialized"]) == (200, "unhealthy", False)
        calls = model.calls
        await until(lambda: model.opened > 3)
        assert model.calls == calls  # nothing was asked of it meanwhile
        model.dead = False
        while (await got(session, "/health/ready"))[0] != 200:
            pass
        assert (await asked(session, path))[1]["story"] == RIGHT
    assert caplog.messages == [
        "the provider no longer answers: edits are refused until it does",
        "waiting for the provider: nobody there",
    ]


async def test_jobs_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those whose turn comes while the provider is away are done when it is back."""
    monkeypatch.setattr("harness.service.service.PROBE_S", 0.001)
    model = Mortal(held=True)
    async with served(model, concurrency=1) as (session, service):
        ids = [(await asked(session, "/jobs"))[1]["id"] for _ in range(SILENT_MOST + 1)]
        model.dead = True
        model.release()
        await until(lambda: service.jobs.counts().failed == SILENT_MOST)
        await until(lambda: model.opened > 3)
        model.dead = False
        await until(lambda: service.jobs.counts().completed == 1)
        job = (await got(session, f"/jobs/{ids[-1]}"))[1]
        assert (job["result"]["story"], job["result"]["summary"]) == (RIGHT, SUMMARY)


async def test_an_answer_to_who_still_waits_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider is not closed under an edit that is in flight."""
    monkeypatch.setattr("harness.service.service.PROBE_S", 0.001)
    model = Model(held=True)
    async with served(model) as (session, service):
        asking = asyncio.create_task(asked(session, "/edit-scenario-async"))
        await until(lambda: model.calls == 1)
        for _ in range(SILENT_MOST):
            service.editor.reach.note([failed("connect")], late=False)
        assert (await got(session, "/health/ready"))[0] == 503
        assert model.closed == 0
        model.release()
        assert (await asking)[0] == 200
        assert (await got(session, "/health/ready"))[0] == 200
        assert model.closed == 0
