"""Hostile input: whatever comes, a clear 4xx, no traceback, and nothing of it in the log."""

import asyncio
import json
import re
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.service.problems import ProblemError
from harness.service.reading import read_body, read_edit
from harness.service.wire import BODY_BYTES, REQUEST_CHARS, BatchRequest, EditRequest
from tests.service.build import BODY, ONE_EDIT, Model, address, asked, got, served

SECRET = "sesame-7f3a9c"
DEEP = 100_000
every_post = pytest.mark.parametrize("path", [*ONE_EDIT, "/edit-scenarios"])


def raw(field: str, value: str) -> bytes:
    """A body whose ``field`` is written as JSON exactly as given."""
    fields = {name: json.dumps(text, ensure_ascii=False) for name, text in BODY.items()}
    fields[field] = value
    return ("{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}").encode(
        "utf-8", "surrogatepass"
    )


HOSTILE: dict[str, tuple[bytes, set[int]]] = {
    "a request of 1 MB": (raw("editRequest", '"' + "x" * 1_000_000 + '"'), {422}),
    "a request one character too long": (
        raw("editRequest", '"' + "가" * (REQUEST_CHARS + 1) + '"'),
        {422},
    ),
    "broken JSON": (raw("story", '"[')[:-1], {400}),
    "two documents": (raw("story", '"[]"') * 2, {400}),
    "deep arrays": (b"[" * DEEP, {400}),
    "deep objects": (b'{"a":' * DEEP, {400}),
    "a deep unknown field": (raw("other", "[" * DEEP + "]" * DEEP), {400}),
    "a deep story": (raw("story", json.dumps("[" * 50_000 + "]" * 50_000)), {400}),
    "a raw control character": (raw("editRequest", '"a\x01b"'), {400}),
    "an escaped control character": (raw("editRequest", '"a\\u0000b"'), {400}),
    "an escape sequence of a terminal": (raw("chapterId", '"\\u001b[2J"'), {400}),
    "a control character in the story": (raw("story", json.dumps('[{"a": "\x07"}]')), {400}),
    "a raw lone surrogate": (raw("editRequest", '"\ud800"'), {400}),
    "an escaped lone surrogate": (raw("editRequest", '"\\ud800"'), {400}),
    "a lone surrogate in the story": (
        raw("story", json.dumps(BODY["story"].replace("turn_number", "\\ud800"))),
        {400},
    ),
    "a number too long to read": (raw("chapterId", "9" * 100_000), {400, 422}),
    "a long number in the story": (
        raw("story", json.dumps(f'[{{"turn_number": {"9" * 100_000}}}]')),
        {400},
    ),
    "infinity": (raw("chapterId", "Infinity"), {400, 422}),
    "NaN in the story": (raw("story", '"[NaN]"'), {400}),
    "not UTF-8": (raw("editRequest", '"x"').replace(b"x", b"\xff\xfe"), {400}),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), {400}),
    "nothing": (b"", {400}),
}


@every_post
@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_bodies(path: str, name: str, caplog: pytest.LogCaptureFixture) -> None:
    body, statuses = HOSTILE[name]
    model = Model()
    async with served(model) as (session, _):
        if path == "/edit-scenarios":
            body = b'{"scenarios":[' + body + b"]}"
        status, answer = await asked(session, path, body)
        if path == "/edit-scenarios" and status == 200:  # each item has its own error
            assert answer["failed"] == 1
            answer = answer["results"][0]["error"]
        else:
            assert 400 <= status < 500
            assert path == "/edit-scenarios" or status in statuses
        assert answer.keys() == {"detail", "type"}
        assert len(answer["detail"]) <= 400
        assert "Traceback" not in answer["detail"]
        assert (await got(session, "/health/ready"))[0] == 200
    assert model.calls == 0
    assert caplog.text == ""


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_of_50_mb(declared: bool, caplog: pytest.LogCaptureFixture) -> None:
    size = 50 * 1024 * 1024

    async def parts() -> Any:
        for _ in range(size // 65_536):
            yield b"x" * 65_536

    model = Model()
    async with served(model) as (session, _):
        headers = {"Content-Type": "application/json"}
        if declared:
            headers["Content-Length"] = str(size)
        try:
            async with session.post("/edit-scenario", data=parts(), headers=headers) as response:
                assert response.status == 413
                assert (await response.json())["type"] == "too_large"
        except aiohttp.ClientOSError:
            pass  # the answer was there, but this client went on writing into a closed connection
        assert (await got(session, "/health/ready"))[0] == 200
    assert caplog.text == ""
    assert model.calls == 0


async def test_a_body_just_within_the_limit_is_read() -> None:
    async with served() as (session, _):
        status, answer = await asked(session, "/edit-scenario", b" " * BODY_BYTES)
        assert (status, answer["type"]) == (400, "invalid_json")
        status, answer = await asked(session, "/edit-scenario", b" " * (BODY_BYTES + 1))
        assert (status, answer["type"]) == (413, "too_large")


async def test_a_body_that_never_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.service.intake.BODY_S", 0.05)
    async with served() as (session, _):
        reader, writer = await asyncio.open_connection(*address(session))
        writer.write(
            b"POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 408 " in head
        writer.close()
        await writer.wait_closed()


async def test_what_is_not_http(caplog: pytest.LogCaptureFixture) -> None:
    async with served() as (session, _):
        host, port = address(session)
        for said in (b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"x" * 20_000):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(said + b"\r\n\r\n")
            answer = await reader.read()
            assert re.match(rb"HTTP/1.[01] 400", answer)
            assert b"Traceback" not in answer
            writer.close()
            await writer.wait_closed()
        assert (await got(session, "/health/ready"))[0] == 200
    assert "Traceback" not in caplog.text
    assert "9.9" not in caplog.text


async def test_nothing_secret_is_logged_or_answered(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    headers = {"Authorization": f"Bearer {SECRET}"}
    async with served(token="another", headers=headers) as (session, _):
        status, answer = await asked(session, "/edit-scenario")
        assert status == 401
    async with served(token=SECRET, headers=headers) as (session, _):
        assert (await asked(session, "/edit-scenario"))[0] == 200
        assert (await asked(session, "/edit-scenario", b"{"))[0] == 400
        async with session.get("/metrics") as response:
            metrics = await response.text()
    for said in (str(answer), metrics, caplog.text):
        assert SECRET not in said
        assert BODY["editRequest"] not in said


def refused(data: bytes) -> None:
    """Either an edit, or a problem in a few words; never any other exception."""
    problem = None
    for kind in (EditRequest, BatchRequest):
        try:
            body = read_body(kind, data)
            if isinstance(body, EditRequest):
                read_edit(body)
        except ProblemError as error:
            problem = error
        if problem is not None:
            assert 400 <= problem.status < 500
            assert 0 < len(problem.detail) <= 400
            problem.detail.encode()


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    refused(data)


@given(
    st.dictionaries(
        st.sampled_from(["chapterId", "story", "editRequest", "scenarios", "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
            max_leaves=8,
        ),
    )
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_json(value: object) -> None:
    refused(json.dumps(value).encode())


@given(st.text(), st.text(), st.text())
def test_any_texts(chapter: str, story: str, request: str) -> None:
    refused(json.dumps({"chapterId": chapter, "story": story, "editRequest": request}).encode())
