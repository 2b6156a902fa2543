"""The routes that tell of the service itself: what it is, how it is, what it uses."""

import os

import psutil
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from harness import __version__
from harness.service.answering import answer_json
from harness.service.docs_page import docs_page
from harness.service.openapi import document_json
from harness.service.service import Service


class InfoRoutes:
    """``/health`` and its kin."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._process = psutil.Process()
        # The first figure of either is meaningless: it has nothing to count from.
        psutil.cpu_percent()
        self._process.cpu_percent()

    async def home(self, request: web.Request) -> web.Response:
        return answer_json(
            {
                "message": "harness service: see /docs",
                "version": __version__,
                "status": "running",
                "provider": self._service.model,
            }
        )

    async def health(self, request: web.Request) -> web.Response:
        service = self._service
        reach = service.editor.reach
        status = "unhealthy" if reach.ever else "starting"
        if service.draining:
            status = "draining"
        elif reach.answers:
            status = "healthy"
        return answer_json(
            {
                "status": status,
                "llm_initialized": reach.answers,
                "prompt_template_ready": True,
                "task_manager_ready": not service.draining,
                "async_support": True,
                "startup_s": service.startup_s,
            }
        )

    async def live(self, request: web.Request) -> web.Response:
        return answer_json({"status": "alive"})

    async def ready(self, request: web.Request) -> web.Response:
        self._service.check_open()
        return answer_json({"status": "ready"})

    async def async_status(self, request: web.Request) -> web.Response:
        counts = self._service.jobs.counts()
        return answer_json(
            {
                "task_manager_available": not self._service.draining,
                "active_tasks": counts.active,
                "total_completed": counts.completed,
                "server_mode": "async",
            }
        )

    async def performance(self, request: web.Request) -> web.Response:
        counts, machine = self._service.jobs.counts(), psutil.virtual_memory()
        with self._process.oneshot():
            memory = self._process.memory_info()
            own = {
                "pid": os.getpid(),
                "memory_rss": memory.rss,
                "memory_vms": memory.vms,
                "cpu_percent": self._process.cpu_percent(),
            }
        return answer_json(
            {
                "system": {
                    "cpu_percent": psutil.cpu_percent(),
                    "memory_total": machine.total,
                    "memory_available": machine.available,
                    "memory_percent": machine.percent,
                },
                "process": own,
                "async_status": {
                    "task_manager_available": not self._service.draining,
                    "active_tasks": counts.active,
                    "completed_tasks": counts.completed,
                },
            }
        )

    async def metrics(self, request: web.Request) -> web.Response:
        text = self._service.metrics.text()
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def openapi(self, request: web.Request) -> web.Response:
        return web.Response(body=document_json(), content_type="application/json")

    async def docs(self, request: web.Request) -> web.Response:
        return web.Response(text=docs_page(), content_type="text/html")
