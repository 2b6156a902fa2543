"""``service:URL``: an arm that asks a service over HTTP, and records what it gets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from harness.clock import MonotonicClock
from harness.dispatch import Slot
from harness.errors import InputError
from harness.execute import record
from harness.pipelines import Connected, Settings, make_pipeline
from harness.pipelines.service import OverHttp
from harness.providers import ProviderError
from harness.records import Answer, ErrorType, TrialRecord
from harness.session import new_session
from harness.store import RunWriter, read_run
from harness.trial import TrialKey
from tests.pipelines.scripted import SCENARIO as SCRIPTED
from tests.pipelines.scripted import arm
from tests.service.build import Model, address, failing, served
from tests.serving import serve_app, serve_raw

RIGHT = SCRIPTED.reference.to_json()


def rightly(prompt: Any) -> str:
    return RIGHT if prompt.call == "edit" else "done"


async def trial(url: str) -> tuple[TrialRecord, tuple[Answer, ...]]:
    """One trial through the arm, whose run's own provider must not be asked."""
    pipeline, dispatch = make_pipeline(f"service:{url}", Settings())
    assert isinstance(pipeline, Connected)
    await pipeline.open()
    try:
        own = Model(failing(AssertionError("asked")))
        used = arm(pipeline, dispatch, own, MonotonicClock())
        run = used.start(TrialKey("t", SCRIPTED.id, 0, 0, 0, False))
        await run.run()
    finally:
        await pipeline.close()
    assert own.calls == 0
    return used.record(Slot(run, 0.0, 0.0, 1.0, 1.0), segment=0)


@asynccontextmanager
async def running(model: Model, **settings: Any) -> AsyncIterator[str]:
    async with served(model, **settings) as (session, _):
        host, port = address(session)
        yield f"http://{host}:{port}"


@pytest.mark.parametrize("route", ["", "/", "/edit-scenario", "/edit-scenario-sync"])
async def test_a_right_answer(route: str) -> None:
    model = Model(rightly)
    async with running(model, cache=5) as url:
        for _ in range(2):  # the cache is passed by
            found, answers = await trial(url + route)
    assert found.outcome == "ok"
    assert found.summary == "done"
    (attempt,) = found.attempts
    assert (attempt.call, attempt.status, attempt.error) == ("edit", 200, None)
    assert attempt.sent is not None
    assert attempt.done is not None
    assert attempt.due <= attempt.sent < attempt.done
    assert [answer.text for answer in answers] == [RIGHT]
    assert model.calls == 4
    assert model.draws[0] == f"1|{SCRIPTED.id}|0|{found.pipeline}|edit|1|edit|1"


async def test_a_wrong_and_a_malformed_answer() -> None:
    async with running(Model(lambda p: SCRIPTED.story.to_json())) as url:
        assert (await trial(url))[0].outcome == "wrong"
    async with running(Model(lambda p: "no")) as url:
        found, answers = await trial(url)
    assert found.outcome == "malformed"
    assert found.malformed is not None
    assert "no valid story" in found.malformed.why
    assert found.attempts[0].status == 502
    assert answers == ()


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        ("timeout", "timeout"),
        ("rate_limited", "rate_limited"),
        ("http_5xx", "http_5xx"),
        ("connect", "http_5xx"),
    ],
)
async def test_a_provider_that_fails_behind_the_service(
    raised: ErrorType, error: ErrorType
) -> None:
    async with running(Model(failing(ProviderError(raised, "x")))) as url:
        found, _ = await trial(url)
    assert found.outcome == "error"
    assert found.error is not None
    assert found.error.type == error
    assert found.attempts[0].error == found.error
    assert found.attempts[0].status in (502, 503, 504)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, "[]", "protocol"),
        (200, "{}", "protocol"),
        (200, '{"story": 1, "summary": ""}', "protocol"),
        (200, "[" * 100_000, "protocol"),
        (404, '{"detail": "Not Found"}', "http_4xx"),
        (400, "<html>", "http_4xx"),
        (422, '{"detail": [{"msg": "x"}]}', "http_4xx"),
        (429, '{"detail": "slow down"}', "rate_limited"),
        (500, "", "http_5xx"),
        (504, "[]", "timeout"),
        (302, "", "protocol"),
    ],
)
async def test_any_other_service(status: int, body: str, error: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, text=body, content_type="application/json")

    app = web.Application()
    app.add_routes([web.post("/edit-scenario-async", answer)])
    async with serve_app(app) as url:
        found, _ = await trial(url)
    assert found.error is not None
    assert found.error.type == error
    assert "\n" not in found.error.message
    assert len(found.error.message) <= 220


async def test_a_service_that_breaks_the_connection() -> None:
    async def handle(connection: Any) -> None:
        request = await connection.request()
        if request[0].startswith("GET"):
            await connection.answer()
        else:
            connection.reset()

    async with serve_raw(handle) as url:
        found, _ = await trial(url)
    assert found.error is not None
    assert found.error.type == "reset"


async def test_nobody_there() -> None:
    async with serve_app(web.Application()) as url:
        pass
    made = OverHttp(url)
    with pytest.raises(InputError, match="is the service running"):
        await made.open()
    await made.close()


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8000", "ftp://x", "http://", "http://x:99999", "http://u:p@x", "http://x?a"],
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(InputError, match="write service:http://"):
        make_pipeline(f"service:{url}", Settings())


def test_its_names() -> None:
    assert OverHttp("http://x:1/").name == "service"
    assert OverHttp("http://x:1/edit-scenario").name == "service-edit-scenario"
    assert OverHttp("https://x/api/edit-scenario-sync/").name == "service-api-edit-scenario-sync"


async def test_a_whole_run_side_by_side(tmp_path: Path) -> None:
    """In process and over HTTP in one run; the connections are gone at its end."""
    async with running(Model(rightly)) as url:
        values = {
            "scenarios": [SCRIPTED.path],
            "pipelines": ["async", f"service:{url}", f"service:{url}/edit-scenario-sync"],
            "provider": "sim:null",
            "repeats": 2,
            "warmup": 0,
        }
        session = new_session(values)
        with RunWriter.create(tmp_path / "run", session.manifest(["harness", "run"])) as writer:
            assert await record(session, writer, lambda trial: None)
    records = read_run(tmp_path / "run").records
    assert {r.pipeline for r in records} == {
        "async",
        "service",
        "service-edit-scenario-sync",
    }
    assert {r.outcome for r in records} == {"ok"}


async def test_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(Model(rightly), token="sesame") as url:
        for wrong in (None, "other"):
            if wrong:
                monkeypatch.setenv("HARNESS_SERVICE_TOKEN", wrong)
            with pytest.raises(InputError, match="401: wants another token; set HARNESS_SERVICE"):
                await OverHttp(url).open()
        monkeypatch.setenv("HARNESS_SERVICE_TOKEN", "sesame")
        assert (await trial(url))[0].outcome == "ok"


def test_a_token_that_no_header_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_SERVICE_TOKEN", "비밀")
    with pytest.raises(InputError, match="holds a character") as refused:
        OverHttp("http://127.0.0.1:1")
    assert "비밀" not in str(refused.value)
