"""The OpenAPI document holds: schemathesis finds no status or body that it does not announce."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from harness.service.contract import ROUTES
from harness.service.openapi import document
from harness.service.problems import STATUSES
from tests.service.build import BODY, address, served

# A body may be refused for its size before anybody has looked for what else is wrong with it.
REFUSED = [400, 401, 403, 404, 405, 406, 408, 409, 413, 415, 422, "5xx"]
CONFIG = schemathesis.Config.from_dict(
    {"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}}
)
SCHEMA = schemathesis.openapi.from_dict(document(), config=CONFIG)


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """A service on a thread of its own, since schemathesis blocks."""
    ready, ended = threading.Event(), threading.Event()
    urls: list[str] = []

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            session, _ = await stack.enter_async_context(served())
            host, port = address(session)
            urls.append(f"http://{host}:{port}")
            ready.set()
            while not ended.is_set():  # noqa: ASYNC110 - set by another thread
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield urls[0]
    finally:
        ended.set()
        thread.join()


@SCHEMA.parametrize()
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_schemathesis(case: schemathesis.Case[Any], base: str) -> None:
    # A text that is a story cannot be told in a schema, so good data may still be refused.
    case.call_and_validate(base_url=base, excluded_checks=[positive_data_acceptance])


@pytest.mark.parametrize("path", ["/edit-scenario", "/edit-scenario-async", "/edit-scenario-sync"])
def test_good_edits_by_the_document(path: str, base: str) -> None:
    case = SCHEMA[path]["POST"].Case(body={**BODY}, media_type="application/json")
    response = case.call_and_validate(base_url=base)
    assert response.status_code == 200


def test_every_route_and_every_type_of_problem_is_there() -> None:
    made = document()
    for route in ROUTES:
        operation = made["paths"][route.path][route.method.lower()]
        assert {int(status) for status in operation["responses"]} == route.statuses
        for type_ in route.all_problems:
            answer = operation["responses"][str(STATUSES[type_])]
            assert f"`{type_}`" in answer["description"]
            schema = answer["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Problem"}
    announced = {type_ for route in ROUTES for type_ in route.all_problems}
    # The rest is what any path may answer, or what only a job or a message can say.
    assert STATUSES.keys() - announced == {"method_not_allowed", "cancelled"}


def test_the_document_names_only_what_it_has() -> None:
    made = document()
    names = set(made["components"]["schemas"])

    def refs(value: object) -> Iterator[str]:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "$ref":
                    yield inner.rsplit("/", 1)[1]
                yield from refs(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from refs(inner)

    assert set(refs(made)) <= names
