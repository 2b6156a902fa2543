"""The WebSocket: several edits on one connection, tokens, cancelling, and what is wrong."""

import asyncio
from typing import Any

import aiohttp
import pytest

from harness.service.wire import BODY_BYTES
from harness.service.ws import MOST_AT_ONCE
from tests.service.build import BODY, RIGHT, SCENARIO, SUMMARY, Model, failing, got, served, until

Socket = aiohttp.ClientWebSocketResponse


async def collect(socket: Socket, ended: int) -> list[dict[str, Any]]:
    """Messages until ``ended`` edits have their result or error."""
    found: list[dict[str, Any]] = []
    while sum(message["type"] != "token" for message in found) < ended:
        found.append(await socket.receive_json())
    return found


def edit(id_: str = "1", **more: Any) -> dict[str, Any]:
    return {"type": "edit", "id": id_, **BODY, **more}


async def test_edits_side_by_side() -> None:
    async with served() as (session, _), session.ws_connect("/ws") as socket:
        for i in range(3):
            await socket.send_json(edit(f"e{i}"))
        found = await collect(socket, 3)
    for i in range(3):
        own = [message for message in found if message["id"] == f"e{i}"]
        assert "".join(m["text"] for m in own[:-1]) == RIGHT
        assert {m["type"] for m in own[:-1]} == {"token"}
        assert own[-1] == {
            "type": "result",
            "id": f"e{i}",
            "chapterId": SCENARIO.id,
            "story": RIGHT,
            "isCustom": True,
            "summary": SUMMARY,
        }


async def test_one_is_cancelled_and_the_other_goes_on() -> None:
    model = Model(held=True)
    async with served(model) as (session, _), session.ws_connect("/ws") as socket:
        await socket.send_json(edit("a"))
        await socket.send_json(edit("b"))
        await until(lambda: model.calls == 2)
        await socket.send_json({"type": "cancel", "id": "a"})
        (*_, last) = await collect(socket, 1)
        assert last["id"] == "a"
        assert last["error"] == {"detail": "the edit was cancelled", "type": "cancelled"}
        assert model.cancelled == 1
        model.release()
        (*_, last) = await collect(socket, 1)
        assert (last["type"], last["id"]) == ("result", "b")
        await socket.send_json(edit("a"))  # its name is free again
        (*_, last) = await collect(socket, 1)
        assert (last["type"], last["id"]) == ("result", "a")


@pytest.mark.parametrize(
    ("message", "type_", "id_"),
    [
        ("not json", "invalid_json", None),
        ("[]", "validation", None),
        ("\ud800", "invalid_json", None),
        ('{"type": "edit"}', "validation", None),
        ('{"type": "dance", "id": "1"}', "validation", None),
        ('{"type": "cancel"}', "validation", None),
        ('{"type": "cancel", "id": "9"}', "not_found", "9"),
        ("[" * 100_000, "invalid_json", None),
    ],
    ids=range(8),
)
async def test_a_bad_message_is_answered_and_the_connection_lives(
    message: str, type_: str, id_: str | None
) -> None:
    async with served() as (session, _), session.ws_connect("/ws") as socket:
        if message == "\ud800":
            message = '"\\ud800"'
            type_ = "validation"
        await socket.send_str(message)
        answer = await socket.receive_json()
        assert (answer["type"], answer["id"]) == ("error", id_)
        assert answer["error"].keys() == {"detail", "type"}
        assert answer["error"]["type"] in (type_, "invalid_json")
        await socket.send_json(edit())
        assert (await collect(socket, 1))[-1]["type"] == "result"


async def test_bytes_are_refused() -> None:
    async with served() as (session, _), session.ws_connect("/ws") as socket:
        await socket.send_bytes(b"{}")
        assert (await socket.receive_json())["error"]["type"] == "invalid_request"


@pytest.mark.parametrize(
    ("more", "type_"),
    [({"story": "x"}, "invalid_story"), ({"editRequest": ""}, "invalid_request")],
)
async def test_an_edit_that_is_refused(more: dict[str, str], type_: str) -> None:
    async with served() as (session, _), session.ws_connect("/ws") as socket:
        await socket.send_json(edit("x", **more))
        answer = await socket.receive_json()
    assert (answer["id"], answer["error"]["type"]) == ("x", type_)


async def test_a_connection_is_bounded() -> None:
    model = Model(held=True)
    async with served(model) as (session, _), session.ws_connect("/ws") as socket:
        for i in range(MOST_AT_ONCE):
            await socket.send_json(edit(str(i)))
        await socket.send_json(edit("0"))
        await socket.send_json(edit("one more"))
        found = await collect(socket, 2)
        errors = [m["error"]["type"] for m in found if m["type"] == "error"]
        assert errors == ["invalid_request", "overloaded"]
        model.release()
        assert len(await collect(socket, MOST_AT_ONCE)) >= MOST_AT_ONCE


async def test_a_message_that_is_too_large_ends_the_connection() -> None:
    async with served() as (session, service), session.ws_connect("/ws") as socket:
        await socket.send_str("x" * (BODY_BYTES + 1))
        answer = await socket.receive()
        assert answer.type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
        assert (await got(session, "/health/live"))[0] == 200
        await until(lambda: not service.sockets)


async def test_leaving_cancels_what_is_in_flight() -> None:
    model = Model(held=True)
    async with served(model) as (session, service):
        async with session.ws_connect("/ws") as socket:
            for i in range(3):
                await socket.send_json(edit(str(i)))
            await until(lambda: model.calls == 3)
        await until(lambda: model.cancelled == 3)
        await until(lambda: service.editor.admission.in_flight == 0)
        assert not service.sockets


async def test_a_defect_is_said_to_be_one(caplog: pytest.LogCaptureFixture) -> None:
    model = Model(failing(ZeroDivisionError("secret")))
    async with served(model) as (session, _), session.ws_connect("/ws") as socket:
        await socket.send_json(edit())
        assert (await socket.receive_json())["error"]["type"] == "internal"
    assert "ZeroDivisionError" in caplog.text
    assert "secret" not in caplog.text


async def test_at_the_end_edits_in_flight_are_finished() -> None:
    model = Model(held=True)
    async with served(model, grace=5.0) as (session, service):
        socket = await session.ws_connect("/ws")
        await socket.send_json(edit())
        await until(lambda: model.calls == 1)
        draining = asyncio.create_task(service.drain())
        await until(lambda: service.draining)
        await socket.send_json(edit("late"))
        (*_, last) = await collect(socket, 1)
        assert (last["id"], last["error"]["type"]) == ("late", "shutting_down")
        model.release()
        (*_, last) = await collect(socket, 1)
        assert last["type"] == "result"
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        await draining
        assert socket.close_code == 1001
