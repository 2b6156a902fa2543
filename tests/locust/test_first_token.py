"""The first token as Locust's users see it, against a server that knows the truth."""

import asyncio
import time
from pathlib import Path
from statistics import median

import orjson
from aiohttp import web

from harness.scenario import load_scenarios
from tests.locust.children import SHORT, locust, recorded
from tests.serving import serve_app

SCENARIOS = {scenario.id: scenario for scenario in load_scenarios([SHORT])}
TTFT_S, REST_S = 0.05, 0.3


async def test_the_first_token_is_timed_when_it_comes(tmp_path: Path) -> None:
    """Small events must not wait for a buffer to fill, and half an event is none."""
    truth: list[tuple[float, float]] = []

    async def edit(request: web.Request) -> web.StreamResponse:
        arrived = time.perf_counter()
        asked = await request.json()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": nothing yet\n\nevent: tok")
        await asyncio.sleep(TTFT_S)
        await response.write(b'en\ndata: {"text": "["}\n\n')
        first = time.perf_counter()
        await asyncio.sleep(REST_S)
        await response.write(b'event: token\r\ndata: {"text":\r\ndata: "]"}\r\n\r\n')
        story = SCENARIOS[asked["chapterId"]].reference.to_json()
        answer = {"chapterId": "", "story": story, "isCustom": True, "summary": ""}
        await response.write(b"event: result\ndata: %b\n\n" % orjson.dumps(answer))
        truth.append((first - arrived, time.perf_counter() - arrived))
        return response

    app = web.Application()
    app.router.add_post("/edit-scenario-stream", edit)
    out = tmp_path / "run"
    options = ("-u", "1", "-t", "5s", "--harness-out", str(out), "Stream")
    async with serve_app(app) as url:
        done = await asyncio.to_thread(locust, url, *options)
    assert done.returncode == 0, done.stderr
    records = [record for record in recorded(out).records if record.outcome == "ok"]
    assert len(records) >= 2
    assert all(record.attempts[0].chunks == 2 for record in records)
    seen = [(record.ttft or 0, record.service_time or 0) for record in records]
    late = [
        a - b
        for mine, true in zip(seen, truth, strict=False)
        for a, b in zip(mine, true, strict=True)
    ]
    assert min(late) > -0.001
    assert median(late) < 0.010
    assert max(ttft for ttft, _ in seen) < TTFT_S + REST_S / 2
