"""The life of a service in this process: it opens, serves, drains, and leaves nothing behind."""

import asyncio
import os
import threading

import aiohttp
import pytest

from harness.clock import MonotonicClock
from harness.service.service import Service
from harness.service.serving import serving
from harness.service.settings import ServiceSettings
from tests.service.build import BODY, EDITS, Model, asked, events, got, served, until


def sockets() -> int:
    """Open sockets of this process."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            continue
    return found


async def test_nothing_is_left() -> None:
    tasks, open_sockets, threads = asyncio.all_tasks(), sockets(), set(threading.enumerate())
    model = Model()
    async with served(model) as (session, _):
        for path in EDITS:
            assert (await asked(session, path))[0] == 200
        async with session.post("/edit-scenario-stream", json=BODY) as response:
            await response.read()
        await asked(session, "/jobs")
        socket = await session.ws_connect("/ws")
        await socket.send_json({"type": "edit", "id": "1", **BODY})
        await socket.receive()
    assert model.closed >= 1
    await until(lambda: asyncio.all_tasks() == tasks)
    await until(lambda: set(threading.enumerate()) <= threads)
    await until(lambda: sockets() <= open_sockets)


@pytest.mark.parametrize("path", EDITS)
async def test_what_is_in_flight_is_finished(path: str) -> None:
    model = Model(held=True)
    async with aiohttp.ClientSession() as session:
        service = Service(model, MonotonicClock(), ServiceSettings(grace=20.0))
        async with serving(service) as url:
            await service.wait_ready()
            waiting = asyncio.create_task(_status(session, url + path))
            await until(lambda: model.calls == 1)
            asyncio.get_running_loop().call_later(0.05, model.release)
        assert await waiting == 200
    assert not service.requests


async def test_while_it_drains_it_takes_nothing_more() -> None:
    model = Model(held=True)
    async with served(model, grace=5.0) as (session, service):
        waiting = asyncio.create_task(asked(session, "/edit-scenario-async"))
        await until(lambda: model.calls == 1)
        assert (await got(session, "/health/live"))[0] == 200  # a connection that is kept
        draining = asyncio.create_task(service.drain())
        await until(lambda: service.draining)
        for path in (*EDITS, "/edit-scenarios", "/edit-scenario-stream", "/jobs"):
            async with session.post(path, json=BODY) as response:
                assert response.status == 503
                assert (await response.json())["type"] == "shutting_down"
                assert response.headers["Connection"] == "close"
        status, answer = await got(session, "/health/ready")
        assert (status, answer["type"]) == (503, "shutting_down")
        status, health = await got(session, "/health")
        assert (status, health["status"]) == (200, "draining")
        assert (await got(session, "/ws"))[0] == 426
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect("/ws")
        assert refused.value.status == 503
        model.release()
        assert (await waiting)[0] == 200
        await draining


async def test_what_does_not_end_in_time_is_cancelled() -> None:
    model = Model(held=True)
    threads = set(threading.enumerate())
    async with aiohttp.ClientSession() as session:
        service = Service(model, MonotonicClock(), ServiceSettings(grace=0.1))
        async with serving(service) as url:
            await service.wait_ready()
            paths = ("/edit-scenario-async", "/edit-scenario-stream", "/edit-scenario-sync")
            asking = [asyncio.create_task(_status(session, url + path)) for path in paths]
            async with session.post(f"{url}/jobs", json=BODY) as response:
                job = (await response.json())["id"]
            following = asyncio.create_task(_events(session, f"{url}/jobs/{job}/events"))
            await until(lambda: model.calls == 4)
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 5.0
        found = await asyncio.gather(*asking, return_exceptions=True)
        # A stream that has begun cannot take its status back.
        assert [isinstance(item, aiohttp.ClientError) or item for item in found] == [503, True, 503]
        assert (await following)[-1][1]["type"] == "cancelled"
    assert model.cancelled == 3
    assert not service.requests
    # A thread that blocks cannot be cancelled; it goes with the call it waits for.
    model.release()
    await until(lambda: set(threading.enumerate()) <= threads)


async def test_the_grace_time_is_one_for_all() -> None:
    """Requests, sockets and jobs have it together, not one after the other."""
    model = Model(held=True)
    service = Service(model, MonotonicClock(), ServiceSettings(grace=0.3))
    async with aiohttp.ClientSession() as session:
        async with serving(service) as url:
            await service.wait_ready()
            asking = asyncio.create_task(_status(session, f"{url}/edit-scenario-async"))
            async with session.post(f"{url}/jobs", json=BODY):
                pass
            socket = await session.ws_connect(f"{url}/ws")
            await socket.send_json({"type": "edit", "id": "1", **BODY})
            await until(lambda: model.calls == 3)
        await asyncio.gather(asking, return_exceptions=True)
        await socket.close()
    assert model.cancelled == 3


async def test_a_provider_that_never_answered_is_let_go() -> None:
    model = Model()
    model.unreachable = 10**9
    async with served(model, wait=False):
        await until(lambda: model.opened > 0)
    assert model.closed >= 1


async def test_why_it_waits_is_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.service.service.PROBE_S", 0.001)
    model = Model()
    model.unreachable = 5
    async with served(model):
        pass
    assert caplog.messages == ["waiting for the provider: nobody there"]


async def test_a_provider_that_breaks_while_it_opens_is_tried_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.service.service.PROBE_S", 0.001)
    model = Model()
    model.unreachable, model.refusal = 2, ZeroDivisionError("secret")
    async with served(model) as (session, _):
        assert (await got(session, "/health/ready"))[0] == 200
    assert "opening the provider: ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text


async def test_requests_are_logged_only_when_asked(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for asked_for in (False, True):
        service = Service(Model(), MonotonicClock(), token="sesame")
        async with (
            serving(service, log_requests=asked_for) as url,
            aiohttp.ClientSession() as session,
            session.get(f"{url}/health/live?password=x", headers={"X": "secret"}),
        ):
            pass
        said = [record.getMessage() for record in caplog.records if record.name == "harness.access"]
        assert len(said) == asked_for
    assert said[0].startswith("GET /health/live 200 0.")
    assert "password" not in said[0]


async def test_the_start_is_measured() -> None:
    service = Service(Model(), MonotonicClock())
    assert service.startup_s is None
    async with serving(service):
        assert service.startup_s is not None
        assert service.startup_s > 0


async def _status(session: aiohttp.ClientSession, url: str) -> int:
    async with session.post(url, json=BODY) as response:
        await response.read()
        return response.status


async def _events(session: aiohttp.ClientSession, url: str) -> list[tuple[str, dict[str, str]]]:
    async with session.get(url) as response:
        return events(await response.text())
