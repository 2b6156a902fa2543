"""The servers that ``bench_service`` compares: the service, the same route on FastAPI, and on
aiohttp alone, which is the best that the service could do.

All read the same body with the same model and checks, and edit through the same pipeline. FastAPI's
route is written as its manual does: the body as a parameter, the answer as a typed return value, on
uvloop and httptools. Run as ``python -m benchmarks.service_servers NAME WORK CORE``; each prints
its URL when it listens.
"""

import asyncio
import gc
import os
import socket
import sys
from typing import Annotated

import orjson
from aiohttp import web

from harness.clock import MonotonicClock, run_loop
from harness.pipelines import PipelineResult, Settings
from harness.pipelines.async_ import Async
from harness.prompt import Editable
from harness.providers import ProviderSettings, Recorder, make_provider
from harness.records import Malformed
from harness.scenario import load_scenarios, shipped_dir
from harness.service.reading import read_body, read_edit
from harness.service.service import Service
from harness.service.serving import serving
from harness.service.settings import ServiceSettings
from harness.service.wire import EditAnswer, EditRequest, edit_answer

ROUTE = "/edit-scenario-async"
QUEUE = 4096  # more than there are clients, so that nothing is refused


class Idle(Async):
    """No work behind the route: what is left is the server's own."""

    async def edit(self, scenario: Editable, provider: Recorder) -> PipelineResult:
        return PipelineResult(scenario.story, "done")


def _pipeline(work: str) -> Async:
    return Idle(Settings()) if work == "none" else Async(Settings())


async def harness_service(work: str) -> None:
    """The service as ``harness serve`` runs it, all limits and metrics on."""
    clock = MonotonicClock()
    scenarios = load_scenarios([shipped_dir() / "short"])
    provider = make_provider(ProviderSettings("sim:null"), clock, scenarios)
    service = Service(provider, clock, ServiceSettings(queue=QUEUE, concurrency=64))
    service.editor.pipelines["async"] = _pipeline(work)
    async with serving(service) as url:
        await service.wait_ready()
        gc.collect()
        gc.freeze()  # as ``harness serve`` does
        print(url, flush=True)
        await asyncio.Event().wait()


async def fastapi_service(work: str) -> None:
    """The same route as a FastAPI user would write it: no limits, no metrics, no cache."""
    import uvicorn
    from fastapi import Body, FastAPI

    clock = MonotonicClock()
    scenarios = load_scenarios([shipped_dir() / "short"])
    provider = make_provider(ProviderSettings("sim:null"), clock, scenarios)
    await provider.open()
    pipeline = _pipeline(work)
    app = FastAPI()

    @app.post(ROUTE)
    async def edit(body: Annotated[EditRequest, Body()]) -> EditAnswer:
        asked = read_edit(body)
        result = await pipeline.edit(asked, Recorder(provider, clock, "0|bench|0|fastapi"))
        assert not isinstance(result.story, Malformed)
        answer = edit_answer(asked.id, result.story.to_json(), result.summary or "")
        return EditAnswer.model_validate(answer)

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(1024)
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, loop="none", http="httptools", log_level="error", access_log=False)
    await uvicorn.Server(config).serve([listening])


async def aiohttp_service(work: str) -> None:
    """The same route on aiohttp alone: no limits, no metrics, no cache, no errors but 500."""
    clock = MonotonicClock()
    scenarios = load_scenarios([shipped_dir() / "short"])
    provider = make_provider(ProviderSettings("sim:null"), clock, scenarios)
    await provider.open()
    pipeline = _pipeline(work)

    async def edit(request: web.Request) -> web.Response:
        asked = read_edit(read_body(EditRequest, await request.read()))
        result = await pipeline.edit(asked, Recorder(provider, clock, "0|bench|0|aiohttp"))
        assert not isinstance(result.story, Malformed)
        answer = edit_answer(asked.id, result.story.to_json(), result.summary or "")
        return web.Response(body=orjson.dumps(answer), content_type="application/json")

    app = web.Application()
    app.router.add_post(ROUTE, edit)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


SERVERS = {"harness": harness_service, "fastapi": fastapi_service, "aiohttp": aiohttp_service}

if __name__ == "__main__":
    name, work, core = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    run_loop(SERVERS[name](work))
