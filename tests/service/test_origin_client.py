"""A client written from the wire format alone, with nothing but Python's own library."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from harness.clock import on_thread
from tests.service.build import Model, address, served

STORY = json.dumps(
    json.loads(
        (Path(__file__).parents[2] / "scenarios/stories/moonlight-market.json").read_text("utf-8")
    )
)


class TheirClient:
    """Posts to both edit routes, then reads ``/performance``, as a blocking script would."""

    def __init__(self, base: str) -> None:
        self.base = base

    def call(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def run(self) -> dict[str, Any]:
        body = {"chapterId": " chapter-1 ", "story": STORY, "editRequest": "더 신나게 해 주세요"}
        found = {path: self.call(path) for path in ("/", "/health", "/async-status")}
        for path in ("/edit-scenario", "/edit-scenario-async"):
            found[path] = self.call(path, body)
        found["/performance"] = self.call("/performance")
        found["blank"] = self.call("/edit-scenario", {**body, "editRequest": " "})
        found["not json"] = self.call("/edit-scenario", {**body, "story": "옛날 옛적에"})
        found["missing"] = self.call("/edit-scenario", {"chapterId": "1"})
        found["type"] = self.call("/edit-scenario", {**body, "story": json.loads(STORY)})
        return found


async def test_the_clients_whole_run() -> None:
    edited = json.loads(STORY)
    edited[0]["result"] += " 와!"
    replies = {"edit": json.dumps(edited), "summary": "더 신나게 바꾸었어요."}
    async with served(Model(lambda prompt: replies[prompt.call])) as (session, _):
        host, port = address(session)
        found = await on_thread(TheirClient(f"http://{host}:{port}").run)
    for path in ("/edit-scenario", "/edit-scenario-async"):
        status, answer = found[path]
        assert status == 200
        assert answer.keys() == {"chapterId", "story", "isCustom", "summary"}
        assert answer["chapterId"] == "chapter-1"
        assert answer["isCustom"] is True
        assert json.loads(answer["story"]) == edited
        compact = json.dumps(edited, ensure_ascii=False, separators=(",", ":"))
        assert answer["story"] == compact
        assert answer["summary"] == replies["summary"]
    assert found["/"][1]["status"] == "running"
    assert found["/health"][1]["status"] == "healthy"
    assert found["/health"][1]["async_support"] is True
    assert found["/async-status"][1].keys() >= {
        "task_manager_available",
        "active_tasks",
        "total_completed",
        "server_mode",
    }
    assert found["/performance"][1].keys() == {"system", "process", "async_status"}
    for name, status in (("blank", 400), ("not json", 400), ("missing", 422), ("type", 422)):
        assert found[name][0] == status
        assert isinstance(found[name][1]["detail"], str)


@pytest.mark.parametrize("path", ["/edit-scenario", "/edit-scenario-async"])
async def test_an_answer_that_cannot_be_used_is_a_500(path: str) -> None:
    async with served(Model(lambda prompt: "죄송합니다.")) as (session, _):
        host, port = address(session)
        client = TheirClient(f"http://{host}:{port}")
        body = {"chapterId": "1", "story": STORY, "editRequest": "x"}
        status, answer = await on_thread(lambda: client.call(path, body))
    assert 500 <= status < 600
    assert isinstance(answer["detail"], str)
