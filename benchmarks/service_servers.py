"""The two servers that ``bench_service`` compares: the service, and the same route on FastAPI.

Both read the same body with the same checks and edit through the same pipeline. Run as
``python -m benchmarks.service_servers NAME WORK CORE``; each prints its URL when it listens.
"""

import asyncio
import gc
import os
import socket
import sys
from typing import Annotated, Any

from harness.clock import MonotonicClock, run_loop
from harness.pipelines import PipelineResult, Settings
from harness.pipelines.async_ import Async
from harness.prompt import Editable
from harness.providers import ProviderSettings, Recorder, make_provider
from harness.records import Malformed
from harness.scenario import load_scenarios, shipped_dir
from harness.service.reading import read_edit
from harness.service.service import Service
from harness.service.serving import serving
from harness.service.settings import ServiceSettings
from harness.service.wire import EditRequest, edit_answer

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
    from fastapi.responses import Response
    from orjson import dumps

    clock = MonotonicClock()
    scenarios = load_scenarios([shipped_dir() / "short"])
    provider = make_provider(ProviderSettings("sim:null"), clock, scenarios)
    await provider.open()
    pipeline = _pipeline(work)
    app = FastAPI()

    @app.post(ROUTE)
    async def edit(body: Annotated[EditRequest, Body()]) -> Any:
        asked = read_edit(body)
        result = await pipeline.edit(asked, Recorder(provider, clock, "0|bench|0|fastapi"))
        assert not isinstance(result.story, Malformed)
        answer = edit_answer(asked.id, result.story.to_json(), result.summary or "")
        return Response(dumps(answer), media_type="application/json")

    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(1024)
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, loop="none", http="httptools", log_level="error", access_log=False)
    await uvicorn.Server(config).serve([listening])


SERVERS = {"harness": harness_service, "fastapi": fastapi_service}

if __name__ == "__main__":
    name, work, core = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    run_loop(SERVERS[name](work))
