"""Background edits over HTTP."""

import asyncio
import gc
from typing import Any

import aiohttp
import orjson
import pytest

from harness.providers import ProviderError
from harness.service.jobs import Job
from tests.service.build import (
    BODY,
    RIGHT,
    SCENARIO,
    SUMMARY,
    Model,
    asked,
    events,
    failing,
    got,
    pipelined,
    served,
    until,
)

RESULT = {"chapterId": SCENARIO.id, "story": RIGHT, "isCustom": True, "summary": SUMMARY}


async def ended(session: aiohttp.ClientSession, id_: str) -> dict[str, Any]:
    """The job once it has ended, and the events that said so."""
    async with session.get(f"/jobs/{id_}/events") as response:
        await response.read()
    return (await got(session, f"/jobs/{id_}"))[1]  # type: ignore[no-any-return]


async def test_a_job_from_beginning_to_end() -> None:
    model = Model(held=True)
    async with served(model) as (session, _):
        async with session.post("/jobs", json=BODY) as response:
            assert response.status == 202
            job = await response.json()
            assert response.headers["Location"] == f"/jobs/{job['id']}"
        assert job["state"] in ("queued", "running")
        assert job["result"] is job["error"] is job["finished"] is None
        assert len(job["id"]) >= 20
        await until(lambda: model.calls == 1)
        status = (await got(session, "/async-status"))[1]
        assert (status["active_tasks"], status["total_completed"]) == (1, 0)
        assert (await got(session, f"/jobs/{job['id']}"))[1]["state"] == "running"
        model.release()
        done = await ended(session, job["id"])
        assert done["state"] == "succeeded"
        assert done["result"] == RESULT
        assert done["error"] is None
        assert done["created"] <= done["started"] <= done["finished"]
        assert abs(done["created"] - asyncio.get_running_loop().time()) > 1e8  # since the epoch
        status = (await got(session, "/async-status"))[1]
        assert (status["active_tasks"], status["total_completed"]) == (0, 1)
        used = (await got(session, "/performance"))[1]["async_status"]
        assert (used["active_tasks"], used["completed_tasks"]) == (0, 1)


async def test_the_events_of_a_job_for_early_and_late_readers() -> None:
    model = Model(held=True)
    async with served(model) as (session, _):
        _, job = await asked(session, "/jobs")

        async def read() -> str:
            async with session.get(f"/jobs/{job['id']}/events") as response:
                assert response.content_type == "text/event-stream"
                return await response.text()

        early = asyncio.create_task(read())
        await until(lambda: model.calls == 1)
        model.release()
        first = events(await early)
        assert first == events(await read())
    assert first[0] == ("state", {"state": "queued"})
    assert first[1] == ("state", {"state": "running"})
    assert "".join(data["text"] for kind, data in first if kind == "token") == RIGHT
    assert first[-2:] == [("state", {"state": "succeeded"}), ("result", RESULT)]


@pytest.mark.parametrize(
    ("error", "type_"),
    [(ProviderError("timeout", "late"), "deadline"), (ZeroDivisionError("secret"), "internal")],
)
async def test_a_job_that_fails(
    error: Exception, type_: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(Model(failing(error))) as (session, _):
        _, job = await asked(session, "/jobs")
        async with session.get(f"/jobs/{job['id']}/events") as response:
            found = events(await response.text())
        done = await ended(session, job["id"])
    assert done["state"] == "failed"
    assert done["result"] is None
    assert done["error"]["type"] == type_
    assert found[-2:] == [("state", {"state": "failed"}), ("error", done["error"])]
    assert ("ZeroDivisionError" in caplog.text) == (type_ == "internal")
    assert "secret" not in caplog.text + str(done)


async def test_cancelling() -> None:
    model = Model(held=True)
    async with served(model, concurrency=1) as (session, service):
        _, running = await asked(session, "/jobs")
        _, queued = await asked(session, "/jobs")
        await until(lambda: model.calls == 1)
        for job in (queued, running, running):  # twice is the same as once
            async with session.delete(f"/jobs/{job['id']}") as response:
                assert response.status == 200
                done = await response.json()
            assert done["state"] == "cancelled"
            assert done["error"] == {"detail": "the job was cancelled", "type": "cancelled"}
        assert model.cancelled == 1
        assert service.editor.admission.in_flight == 0
        async with session.get(f"/jobs/{queued['id']}/events") as response:
            assert events(await response.text())[-1][0] == "error"


async def test_the_idempotency_key() -> None:
    model = Model()
    async with served(model) as (session, _):
        key = {"Idempotency-Key": "한 번만".encode().hex()}
        status, first = await asked(session, "/jobs", headers=key)
        assert status == 202
        status, second = await asked(session, "/jobs", headers=key)
        assert (status, second["id"]) == (200, first["id"])
        other = {**BODY, "editRequest": "다른 것"}
        status, answer = await asked(session, "/jobs", other, headers=key)
        assert (status, answer["type"]) == (409, "key_reused")
        status, answer = await asked(session, "/jobs", headers={"Idempotency-Key": "x" * 201})
        assert (status, answer["type"]) == (400, "invalid_request")
        status, third = await asked(session, "/jobs", headers={"Idempotency-Key": "another"})
        assert status == 202
        assert third["id"] != first["id"]


async def test_too_many() -> None:
    model = Model(held=True)
    async with served(model, jobs=2, concurrency=1) as (session, _):
        for _ in range(2):
            assert (await asked(session, "/jobs"))[0] == 202
        async with session.post("/jobs", json=BODY) as response:
            assert response.status == 503
            assert response.headers["Retry-After"] == "1"
            assert (await response.json())["type"] == "overloaded"
        model.release()


async def test_jobs_wait_for_their_turn_longer_than_a_deadline() -> None:
    model = Model(held=True)
    async with served(model, concurrency=4, queue=0, deadline=5.0) as (session, service):
        jobs = [(await asked(session, "/jobs"))[1]["id"] for _ in range(6)]
        await until(lambda: model.calls == 3)  # the limit begins at three; a fourth finds no room
        model.release()
        states = [(await ended(session, id_))["state"] for id_ in jobs]
        assert service.editor.admission.rejected_total > 0
    assert states == ["succeeded"] * 6


async def test_ten_thousand_cancelled_jobs_leave_nothing_behind() -> None:
    model = Model(held=True)
    async with served(model, jobs=10_000, jobs_keep=0.5) as (session, service):
        await got(session, "/health")
        tasks, objects = len(asyncio.all_tasks()), count_jobs()
        data = orjson.dumps(BODY)
        head = f"Host: x\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        posted = await pipelined(
            session, [b"POST /jobs HTTP/1.1\r\n" + head.encode() + data] * 10_000
        )
        ids = [orjson.loads(answer)["id"] for answer in posted]
        assert len(set(ids)) == 10_000
        assert service.jobs.counts().active == 10_000
        deleted = await pipelined(
            session, [f"DELETE /jobs/{id_} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for id_ in ids]
        )
        assert {orjson.loads(answer)["state"] for answer in deleted} == {"cancelled"}
        assert service.jobs.counts().active == 0
        assert service.jobs.counts().cancelled == 10_000
        await asyncio.sleep(0.6)
        assert (await got(session, f"/jobs/{ids[-1]}"))[0] == 404
        assert service.editor.admission.in_flight == service.editor.admission.waiting == 0
        await until(lambda: not service.requests)
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        assert count_jobs() == objects


def count_jobs() -> int:
    gc.collect()
    return sum(type(thing) is Job for thing in gc.get_objects())
