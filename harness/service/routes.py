"""The routes that edit and answer once: one story, or several."""

import asyncio
from typing import Any

from aiohttp import web

from harness.service.answering import answer_json, quick_json
from harness.service.editing import Way
from harness.service.intake import draw, fresh, taken
from harness.service.problems import reported
from harness.service.reading import read_edit
from harness.service.service import Service
from harness.service.wire import BatchRequest, EditRequest, edit_answer

CACHE_HEADER = "X-Cache"
CACHED = web.RequestKey("cached", bool)
"""Set on requests whose answer was not made for them, which says nothing of the model's time."""


class EditRoutes:
    """``/edit-scenario`` and its kin."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def edit_fallback(self, request: web.Request) -> web.StreamResponse:
        return await self._one(request, "fallback")

    async def edit_async(self, request: web.Request) -> web.StreamResponse:
        return await self._one(request, "async")

    async def edit_sync(self, request: web.Request) -> web.StreamResponse:
        return await self._one(request, "sync")

    async def _one(self, request: web.Request, way: Way) -> web.StreamResponse:
        self._service.check_open()
        edit = read_edit(await taken(request, EditRequest))
        edited = await self._service.editor.edit(
            way, edit, draw=draw(request), fresh=fresh(request)
        )
        answer = edit_answer(edit.id, edited.story, edited.summary)
        if edited.hit is None:
            return quick_json(request, answer)
        request[CACHED] = edited.hit != "miss"
        return answer_json(answer, headers={CACHE_HEADER: edited.hit})

    async def edit_many(self, request: web.Request) -> web.Response:
        """Each item has the service's deadline to itself, from when its turn comes."""
        self._service.check_open()
        body = await taken(request, BatchRequest)
        turn = asyncio.Semaphore(body.parallel)
        passing = fresh(request)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._item(item, turn, passing)) for item in body.scenarios]
        results = [task.result() for task in tasks]
        request[CACHED] = any(item["cache"] in ("hit", "joined") for item in results)
        succeeded = sum(item["success"] for item in results)
        counts = {"succeeded": succeeded, "failed": len(results) - succeeded}
        return answer_json({"results": results, **counts})

    async def _item(
        self, body: EditRequest, turn: asyncio.Semaphore, passing: bool
    ) -> dict[str, Any]:
        """One item's success or error; only cancellation escapes."""
        item = {"chapterId": body.chapterId.strip(), "cache": None, "result": None, "error": None}
        async with turn:
            try:
                edit = read_edit(body)
                edited = await self._service.editor.edit("async", edit, fresh=passing)
            except Exception as error:
                problem = reported("an item of /edit-scenarios", error)
                return {**item, "success": False, "error": problem.body()}
        result = edit_answer(edit.id, edited.story, edited.summary)
        return {**item, "success": True, "cache": edited.hit, "result": result}
