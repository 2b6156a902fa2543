"""The five ways through a real service: their clocks, what comes, and how they fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from harness.clock import ManualClock, MonotonicClock
from harness.demo.asked import Batch, asked_of
from harness.demo.client import Answer, Client, Problem
from harness.demo.results import results
from harness.demo.ways import WAYS, Progress, Way, go, go_in_turn
from tests.service.build import RIGHT, SCENARIO, SUMMARY, Model, served, until
from tests.serving import serve_app

ASKED = asked_of(SCENARIO)
THREE: Batch = (ASKED, ASKED, ASKED)


def url_of(session: aiohttp.ClientSession) -> str:
    return str(session._base_url)


def progress(way: Way) -> Progress:
    return Progress(way, THREE if way == "batch" else THREE[:1], ManualClock())


@pytest.mark.parametrize("way", WAYS)
async def test_each_way_brings_the_edited_story(way: Way) -> None:
    states = []
    async with served(Model(piece=40)) as (session, _), Client(url_of(session)) as client:
        made = progress(way)
        made.watch = lambda progress: states.append(progress.state)
        assert made.elapsed is made.ttft is None
        await go(made, client)
    assert made.over
    assert made.state == "done"
    found = results(made)
    assert len(found) == len(made.edits)
    for result in found:
        assert result.story == SCENARIO.reference
        assert result.summary == SUMMARY
        assert result.checks
        assert result.failed_checks == 0
    assert (made.ttft is not None) == (way in ("stream", "job"))
    assert made.elapsed is not None
    assert made.text == (RIGHT if way in ("stream", "job") else "")
    assert states[0] == ("queued" if way == "job" else "running")
    assert states[-1] == "done"


@pytest.mark.parametrize("way", WAYS)
async def test_a_useless_answer_is_a_failure_in_words(way: Way) -> None:
    model = Model(lambda prompt: "sorry")
    async with served(model) as (session, _), Client(url_of(session)) as client:
        made = progress(way)
        await go(made, client)
    assert made.state == "failed"
    problem = results(made)[0].problem
    assert problem is not None
    assert problem.type == "unusable_answer"


async def test_a_batch_in_which_one_fails_is_done() -> None:
    asked = asked_of(SCENARIO, "another request")
    model = Model(lambda prompt: "no" if "another" in prompt.messages[-1][1] else RIGHT)
    async with served(model) as (session, _), Client(url_of(session)) as client:
        made = Progress("batch", (ASKED, asked), ManualClock())
        await go(made, client)
    good, bad = results(made)
    assert made.state == "done"
    assert good.story == SCENARIO.reference
    assert bad.story is None
    assert bad.asked.scenario is None


async def test_a_cancelled_job_says_so() -> None:
    model = Model(held=True, piece=250)
    async with served(model) as (session, _), Client(url_of(session)) as client:
        made = progress("job")
        going = asyncio.create_task(go(made, client))
        await until(lambda: made.job is not None and bool(made.text))
        assert made.job is not None
        assert await client.cancel(made.job) == "cancelled"
        await going
    assert made.state == "cancelled"
    assert [result.problem and result.problem.type for result in results(made)] == ["cancelled"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_service_that_is_not_there(way: Way) -> None:
    made = progress(way)
    async with Client("http://127.0.0.1:9") as client:
        await go(made, client)
    assert made.state == "failed"
    assert [result.problem and result.problem.type for result in results(made)] == ["unreachable"]


@asynccontextmanager
async def answering(body: str, status: int = 200) -> AsyncIterator[Client]:
    """A service that gives every request the same answer."""

    async def handle(request: web.Request) -> web.Response:
        return web.Response(text=body, status=status, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with serve_app(app) as url, Client(url) as client:
        yield client


NONSENSE = [
    ("", 200),
    ("not json", 200),
    ("[1, 2]", 200),
    ('{"results": []}', 200),
    ('{"id": "x", "story": 1}', 200),
    ("oops", 500),
    ("{}", 400),
    ("data: 17\n\n", 200),
    ('data: {"neither": 1}\n\n', 200),
    ("data: \udcff\n\n".encode("utf-8", "surrogateescape").decode("latin-1"), 200),
    ('data: {"text": "so far so good"}\n\n', 200),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("body", "status"), NONSENSE)
async def test_nonsense_is_a_problem_and_no_traceback(way: Way, body: str, status: int) -> None:
    async with answering(body, status) as client:
        made = progress(way)
        await go(made, client)
    assert made.state == "failed"
    assert results(made)[0].problem is not None


async def test_a_story_that_is_none_is_a_problem() -> None:
    made = progress("async")
    made.begin()
    made.end(Answer('[{"turn_number": 1}]', "done"))
    problem = results(made)[0].problem
    assert problem is not None
    assert problem.type == "unusable_answer"


async def test_what_the_service_refuses_comes_in_its_words() -> None:
    async with answering('{"type": "overloaded", "detail": "later"}', 503) as client:
        for call in (client.edit(ASKED.body()), client.submit(ASKED.body()), client.cancel("x")):
            with pytest.raises(Problem, match="overloaded: later"):
                await call


def test_the_clock_runs_until_the_end() -> None:
    clock = ManualClock()
    made = Progress("stream", THREE[:1], clock)
    made.begin()
    clock.advance(1.0)
    made.hear("[")
    clock.advance(2.0)
    assert (made.ttft, made.elapsed) == (1.0, 3.0)
    made.end(Answer(RIGHT, ""))
    clock.advance(5.0)
    assert (made.ttft, made.elapsed) == (1.0, 3.0)


async def test_ways_in_turn() -> None:
    """No way begins before the one in front of it has ended."""
    clock = MonotonicClock()
    made = [Progress(way, THREE[:1], clock) for way in WAYS]
    async with served() as (session, _):
        await go_in_turn(made, url_of(session))
    stamps = [stamp for progress in made for stamp in (progress.began, progress.ended)]
    assert None not in stamps
    assert stamps == sorted(stamp for stamp in stamps if stamp is not None)


async def test_a_failure_of_the_demo_itself_leaves_no_way_open() -> None:
    made = [progress("async"), progress("job")]
    with pytest.raises(ValueError, match="absolute"):
        await go_in_turn(made, "nonsense")
    assert [progress.state for progress in made] == ["failed", "failed"]
