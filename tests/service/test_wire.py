"""The contract: every route, every status, every field."""

import asyncio
import re
from typing import Any

import orjson
import pytest

from harness import __version__
from harness.providers import ProviderError
from harness.records import ErrorType
from harness.service.contract import ROUTES
from harness.service.problems import STATUSES
from harness.service.reading import read_edit
from harness.service.wire import BatchAnswer, EditRequest, JobAnswer, Problem
from tests.service.build import (
    BODY,
    EDITS,
    ONE_EDIT,
    RIGHT,
    SCENARIO,
    SUMMARY,
    Model,
    asked,
    events,
    failing,
    got,
    served,
    until,
)
from tests.simulated import shipped

every_edit = pytest.mark.parametrize("path", EDITS)
every_one = pytest.mark.parametrize("path", ONE_EDIT)


# --- what it says of itself ---


async def test_the_service_itself() -> None:
    async with served() as (session, _):
        status, home = await got(session, "/")
        assert status == 200
        assert home.keys() == {"message", "version", "status", "provider"}
        assert home["provider"].keys() == {"kind", "model", "simulated", "profile", "time_scale"}
        assert (home["version"], home["status"]) == (__version__, "running")
        status, health = await got(session, "/health")
        assert status == 200
        assert 0 < health.pop("startup_s") < 3600
        assert health == {
            "status": "healthy",
            "llm_initialized": True,
            "prompt_template_ready": True,
            "task_manager_ready": True,
            "async_support": True,
        }
        assert await got(session, "/health/live") == (200, {"status": "alive"})
        assert await got(session, "/health/ready") == (200, {"status": "ready"})
        assert await got(session, "/async-status") == (
            200,
            {
                "task_manager_available": True,
                "active_tasks": 0,
                "total_completed": 0,
                "server_mode": "async",
            },
        )


async def test_performance() -> None:
    async with served() as (session, _):
        status, used = await got(session, "/performance")
    assert status == 200
    assert used.keys() == {"system", "process", "async_status"}
    system, process = used["system"], used["process"]
    assert system.keys() == {"cpu_percent", "memory_total", "memory_available", "memory_percent"}
    assert process.keys() == {"pid", "memory_rss", "memory_vms", "cpu_percent"}
    assert system["memory_total"] >= system["memory_available"] > 0
    assert process["memory_vms"] >= process["memory_rss"] > 0
    assert used["async_status"] == {
        "task_manager_available": True,
        "active_tasks": 0,
        "completed_tasks": 0,
    }


async def test_pages_and_documents() -> None:
    async with served() as (session, _):
        async with session.get("/docs") as response:
            page = await response.text()
            assert response.content_type == "text/html"
        async with session.get("/metrics") as response:
            assert response.content_type == "text/plain"
            assert "harness_limit" in await response.text()
        assert (await got(session, "/openapi.json"))[1]["openapi"].startswith("3.1")
    assert all(route.path in page for route in ROUTES)
    assert not re.search(r'(src|href)="(https?:)?//', page)  # it needs no network


# --- edits ---


@every_edit
async def test_an_edit(path: str) -> None:
    async with served() as (session, _):
        body = {**BODY, "chapterId": f"  {SCENARIO.id}\n", "unknown": 1}
        status, answer = await asked(session, path, body)
    assert status == 200
    assert answer == {
        "chapterId": SCENARIO.id,
        "story": RIGHT,
        "isCustom": True,
        "summary": SUMMARY,
    }
    assert "\\u" not in answer["story"]


async def test_a_stream() -> None:
    async with served() as (session, _), session.post("/edit-scenario-stream", json=BODY) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        *tokens, last = events(await answer.text())
    assert {kind for kind, _ in tokens} == {"token"}
    assert "".join(data["text"] for _, data in tokens) == RIGHT
    assert last == (
        "result",
        {"chapterId": SCENARIO.id, "story": RIGHT, "isCustom": True, "summary": SUMMARY},
    )


async def test_a_batch_has_a_success_or_an_error_for_each() -> None:
    items = [BODY, {**BODY, "story": "no"}, {**BODY, "editRequest": " "}, BODY]
    async with served() as (session, _):
        status, answer = await asked(session, "/edit-scenarios", {"scenarios": items})
    assert status == 200
    assert (answer["succeeded"], answer["failed"]) == (2, 2)
    first, second, third, fourth = answer["results"]
    assert first == fourth
    assert first["success"]
    assert first["error"] is None
    assert first["result"]["story"] == RIGHT
    assert second["result"] is None
    assert not second["success"]
    assert second["error"]["type"] == "invalid_story"
    assert third["error"] == {"detail": "editRequest: is empty", "type": "invalid_request"}


@pytest.mark.parametrize(("asking", "most"), [({}, 3), ({"parallel": 1}, 1), ({"parallel": 2}, 2)])
async def test_a_batch_is_bounded(asking: dict[str, int], most: int) -> None:
    model = Model(held=True)
    async with served(model) as (session, _):
        body = {"scenarios": [BODY] * 8, **asking}
        waiting = asyncio.create_task(asked(session, "/edit-scenarios", body))
        await until(lambda: model.calls == most)
        await asyncio.sleep(0.02)
        assert model.calls == most
        model.release()
        assert (await waiting)[1]["succeeded"] == 8


async def test_an_internal_error_in_a_batch_is_the_items_own() -> None:
    async with served(Model(failing(ZeroDivisionError("secret")))) as (session, _):
        status, answer = await asked(session, "/edit-scenarios", {"scenarios": [BODY]})
    assert status == 200
    assert answer["results"][0]["error"]["type"] == "internal"
    assert "secret" not in str(answer)


# --- refusals ---

BAD: list[tuple[Any, int, str, str]] = [
    ({**BODY, "chapterId": ""}, 400, "invalid_request", "chapterId"),
    ({**BODY, "chapterId": " \n"}, 400, "invalid_request", "chapterId"),
    ({**BODY, "editRequest": "\t"}, 400, "invalid_request", "editRequest"),
    ({**BODY, "story": "  "}, 400, "invalid_request", "story"),
    ({**BODY, "story": "once upon a time"}, 400, "invalid_story", "story: is not JSON"),
    ({**BODY, "story": "{}"}, 400, "invalid_story", "not an array"),
    ({**BODY, "story": "null"}, 400, "invalid_story", "not an array"),
    ({**BODY, "story": "[]"}, 400, "invalid_story", "story"),
    ({**BODY, "story": '[{"turn_number": 1}]'}, 400, "invalid_story", "story: turn 1"),
    ({k: v for k, v in BODY.items() if k != "story"}, 422, "validation", "story: Field required"),
    ({**BODY, "story": []}, 422, "validation", "story"),
    ({**BODY, "chapterId": 7}, 422, "validation", "chapterId"),
    ({**BODY, "editRequest": None}, 422, "validation", "editRequest"),
    ([], 422, "validation", ""),
    ("text", 422, "validation", ""),
    (b"", 400, "invalid_json", "not JSON"),
    (b"{", 400, "invalid_json", "not JSON"),
    (b"\xff\xfe", 400, "invalid_json", "not JSON"),
]


@every_one
@pytest.mark.parametrize(("body", "status", "type_", "says"), BAD, ids=range(len(BAD)))
async def test_a_bad_request(path: str, body: Any, status: int, type_: str, says: str) -> None:
    async with served() as (session, _):
        found, answer = await asked(session, path, body)
    assert (found, answer["type"]) == (status, type_)
    assert answer.keys() == {"detail", "type"}
    assert says in answer["detail"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"scenarios": []}, "scenarios"),
        ({"scenarios": [BODY] * 101}, "scenarios"),
        ({"scenarios": [BODY], "parallel": 0}, "parallel"),
        ({"scenarios": [BODY], "parallel": 17}, "parallel"),
        ({"scenarios": [BODY, {**BODY, "story": 1}]}, "scenarios[1].story"),
        ({}, "scenarios"),
    ],
)
async def test_a_bad_batch(body: object, says: str) -> None:
    async with served() as (session, _):
        status, answer = await asked(session, "/edit-scenarios", body)
    assert (status, answer["type"]) == (422, "validation")
    assert says in answer["detail"]


@pytest.mark.parametrize(
    ("declared", "status"),
    [
        ("application/json; charset=UTF-8", 200),
        ("Application/JSON", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/json; charset=euc-kr", 415),
    ],
)
async def test_the_content_type(declared: str, status: int) -> None:
    async with served() as (session, _):
        found, answer = await asked(session, "/edit-scenario", headers={"Content-Type": declared})
    assert found == status
    if status == 415:
        assert answer["type"] == "unsupported_media_type"


async def test_no_content_type_at_all() -> None:
    async with (
        served() as (session, _),
        session.post(
            "/edit-scenario", data=orjson.dumps(BODY), skip_auto_headers=["Content-Type"]
        ) as response,
    ):
        assert response.status == 200


async def test_what_is_not_there() -> None:
    async with served() as (session, _):
        status, answer = await got(session, "/nothing")
        assert (status, answer["type"]) == (404, "not_found")
        async with session.put("/jobs") as response:
            assert response.status == 405
            assert response.headers["Allow"] == "POST"
            assert (await response.json())["type"] == "method_not_allowed"
        for path in ("/jobs/none", "/jobs/none/events"):
            status, answer = await got(session, path)
            assert (status, answer["type"]) == (404, "not_found")
        async with session.delete("/jobs/none") as response:
            assert response.status == 404
        status, answer = await got(session, "/ws")
        assert (status, answer["type"]) == (426, "upgrade_required")


# --- a model that fails ---


@every_edit
@pytest.mark.parametrize(
    ("error", "status", "type_"),
    [
        ("timeout", 504, "deadline"),
        ("rate_limited", 503, "provider_rate_limited"),
        ("connect", 502, "provider_failed"),
        ("http_5xx", 502, "provider_failed"),
        ("http_4xx", 502, "provider_failed"),
        ("protocol", 502, "provider_failed"),
    ],
)
async def test_a_provider_that_fails(path: str, error: ErrorType, status: int, type_: str) -> None:
    model = Model(failing(ProviderError(error, "at http://inner:8000")))
    async with served(model) as (session, _), session.post(path, json=BODY) as response:
        answer = await response.json()
        assert (response.status, answer["type"]) == (status, type_)
        assert "inner" not in answer["detail"]
        assert ("Retry-After" in response.headers) == (status == 503)


@every_edit
async def test_an_answer_that_cannot_be_used(path: str) -> None:
    async with served(Model(lambda prompt: "I would rather not.")) as (session, _):
        status, answer = await asked(session, path)
    assert (status, answer["type"]) == (502, "unusable_answer")
    assert "no valid story" in answer["detail"]


@every_edit
async def test_a_defect_of_the_service(path: str, caplog: pytest.LogCaptureFixture) -> None:
    model = Model(failing(ZeroDivisionError("the secret words")))
    async with served(model) as (session, _):
        status, answer = await asked(session, path)
    assert (status, answer["type"]) == (500, "internal")
    assert "secret" not in str(answer)
    assert "ZeroDivisionError" in caplog.text
    assert "build.py" in caplog.text
    assert "secret" not in caplog.text
    assert "Traceback" not in caplog.text


async def test_fallback_tries_the_blocking_way() -> None:
    class Half(Model):
        async def complete(self, prompt: Any, trace: Any) -> Any:
            raise ProviderError("reset", "gone")

    async with served(Half()) as (session, _):
        assert (await asked(session, "/edit-scenario"))[0] == 200
        assert (await asked(session, "/edit-scenario-async"))[0] == 502


async def test_a_failed_summary_is_made_by_rule() -> None:
    def reply(prompt: Any) -> str:
        if prompt.call == "summary":
            raise ProviderError("http_5xx", "no")
        return RIGHT

    async with served(Model(reply)) as (session, _):
        status, answer = await asked(session, "/edit-scenario-async")
    assert status == 200
    assert SCENARIO.request[:10] in answer["summary"]
    assert len(answer["summary"]) <= 120


# --- limits ---


@every_edit
async def test_a_full_queue(path: str) -> None:
    model = Model(held=True)
    async with served(model, concurrency=1, threads=1, queue=1) as (session, service):
        first = asyncio.create_task(asked(session, path))
        await until(lambda: model.calls == 1)
        second = asyncio.create_task(asked(session, path))
        lane = service.editor.threads if path.endswith("sync") and "async" not in path else None
        await until(lambda: (lane or service.editor.admission).waiting == 1)
        async with session.post(path, json=BODY) as response:
            assert response.status == 503
            assert int(response.headers["Retry-After"]) >= 1
            assert (await response.json())["type"] == "overloaded"
        model.release()
        assert (await first)[0] == (await second)[0] == 200


@every_edit
async def test_the_deadline(path: str) -> None:
    model = Model(held=True)
    async with served(model, deadline=0.05) as (session, service):
        status, answer = await asked(session, path)
        assert (status, answer["type"]) == (504, "deadline")
        assert model.deadlines[0] is not None
        model.release()
        await until(lambda: service.editor.threads.in_flight == 0)


async def test_waiting_for_a_turn_counts_towards_the_deadline() -> None:
    model = Model(held=True)
    async with served(model, deadline=0.1, concurrency=1) as (session, _):
        found = await asyncio.gather(*(asked(session, "/edit-scenario-async") for _ in range(3)))
    assert [status for status, _ in found] == [504] * 3
    assert model.calls < 3


async def test_before_the_provider_answers() -> None:
    model = Model()
    model.unreachable = 10**9
    async with served(model, wait=False) as (session, _):
        await until(lambda: model.opened > 0)
        for path in ONE_EDIT:
            async with session.post(path, json=BODY) as response:
                assert response.status == 503
                assert response.headers["Retry-After"] == "1"
                assert (await response.json())["type"] == "not_ready"
        assert (await got(session, "/health/ready"))[0] == 503
        status, health = await got(session, "/health")
        assert status == 200
        assert (health["status"], health["llm_initialized"]) == ("starting", False)
        assert (await got(session, "/health/live"))[0] == 200


async def test_the_provider_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.service.service.PROBE_S", 0.001)
    model = Model()
    model.unreachable = 3
    async with served(model) as (session, _):
        assert (await got(session, "/health/ready"))[0] == 200
    assert model.opened == 4


# --- the token ---


async def test_the_token() -> None:
    async with served(token="sesame-7") as (session, _):
        for route in ROUTES:
            path = route.path.replace("{id}", "x")
            for given in (None, "Bearer wrong", "sesame-7", "Bearer sesame-7x", "Bearer é"):
                headers = {"Authorization": given} if given else {}
                async with session.request(route.method, path, headers=headers) as response:
                    assert (response.status == 401) == (not route.public), path
                    if response.status == 401:
                        assert response.headers["WWW-Authenticate"] == "Bearer"
                        assert (await response.json())["type"] == "unauthorized"
        async with session.get("/secret-place") as response:
            assert response.status == 401
    headers = {"Authorization": "Bearer sesame-7"}
    async with served(token="sesame-7", headers=headers) as (session, _):
        assert (await asked(session, "/edit-scenario"))[0] == 200


# --- the cache ---


@every_edit
async def test_the_cache_marks_its_hits(path: str) -> None:
    model = Model()
    async with served(model, cache=10) as (session, _):
        seen = []
        for headers in ({}, {}, {"Cache-Control": "no-store"}, {}):
            async with session.post(path, json=BODY, headers=headers) as response:
                seen.append(response.headers.get("X-Cache"))
                assert (await response.json())["story"] == RIGHT
        async with session.get("/metrics") as response:
            text = await response.text()
    assert seen == ["miss", "hit", None, "hit"]
    assert model.calls == 4  # two edits of two calls
    assert f'harness_requests_total{{route="{path}",status="200"}} 4.0' in text
    assert f'harness_request_seconds_count{{route="{path}"}} 2.0' in text  # hits are no sample


async def test_the_cache_marks_the_items_of_a_batch() -> None:
    body = {"scenarios": [BODY, {**BODY, "story": "no"}], "parallel": 1}
    async with served(cache=10) as (session, _):
        marks = []
        for headers in ({}, {}, {"Cache-Control": "no-cache"}):
            _, answer = await asked(session, "/edit-scenarios", body, headers=headers)
            BatchAnswer.model_validate(answer)
            marks.append([item["cache"] for item in answer["results"]])
        async with session.get("/metrics") as response:
            text = await response.text()
    assert marks == [["miss", None], ["hit", None], [None, None]]
    assert 'harness_request_seconds_count{route="/edit-scenarios"} 2.0' in text


async def test_equal_requests_in_flight_make_one_call() -> None:
    model = Model(held=True)
    async with served(model, cache=10) as (session, _):
        tasks = [asyncio.create_task(asked(session, "/edit-scenario-async")) for _ in range(10)]
        await until(lambda: model.calls == 1)
        await asyncio.sleep(0.05)
        model.release()
        found = await asyncio.gather(*tasks)
    assert {status for status, _ in found} == {200}
    assert model.calls == 2


async def test_an_unusable_answer_is_not_kept() -> None:
    model = Model(lambda prompt: "no")
    async with served(model, cache=10) as (session, _):
        for _ in range(2):
            assert (await asked(session, "/edit-scenario-async"))[0] == 502
    assert model.calls == 2


# --- what a simulator is told ---


async def test_the_draw_is_passed_on() -> None:
    model = Model()
    async with served(model) as (session, _):
        await asked(session, "/edit-scenario-async", headers={"X-Harness-Draw": "1%7Cs%7C0%7C내"})
        await asked(session, "/edit-scenario-async")
        await asked(session, "/edit-scenario-async")
    assert model.draws[0] == "1|s|0|내|edit|1"
    assert len(set(model.draws)) == 6


async def test_korean_and_english_are_told_apart() -> None:
    for scenario in shipped():
        body = EditRequest(
            chapterId="1", story=scenario.story.to_json(), editRequest=scenario.request
        )
        edit = read_edit(body)
        assert (edit.language, edit.story) == (scenario.language, scenario.story)


# --- the table itself ---


def test_every_problem_of_every_route_has_a_status() -> None:
    for route in ROUTES:
        assert set(route.all_problems) <= STATUSES.keys()
        assert 499 not in route.statuses


async def test_jobs_answer_with_their_type() -> None:
    async with served() as (session, _):
        status, job = await asked(session, "/jobs")
        assert status == 202
        JobAnswer.model_validate(job)
        await asyncio.sleep(0)
        async with session.delete(f"/jobs/{job['id']}") as response:
            JobAnswer.model_validate(await response.json())


def test_an_error_body_is_a_problem() -> None:
    assert set(Problem.model_fields) == {"detail", "type"}
