"""The OpenAPI 3.1 document of the service, made from its routes and types."""

import json
import re
from functools import cache
from typing import Any

from pydantic.json_schema import models_json_schema

from harness import __version__
from harness.service import wire
from harness.service.contract import ROUTES, Route
from harness.service.problems import STATUSES

_REF = "#/components/schemas/{model}"
_SOCKET = (wire.SocketEdit, wire.SocketCancel)


@cache
def document() -> dict[str, Any]:
    """The document as JSON data; not to be changed."""
    bodies = {route.body for route in ROUTES if route.body} | set(_SOCKET)
    answers = {model for route in ROUTES for model in route.answers.values() if model}
    wanted = [(model, "validation") for model in sorted(bodies, key=_name)]
    wanted += [(model, "serialization") for model in sorted(answers | {wire.Problem}, key=_name)]
    _, schemas = models_json_schema(wanted, ref_template=_REF)  # type: ignore[arg-type]
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "harness service",
            "version": __version__,
            "description": "Edits game stories by a language model.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


@cache
def document_json() -> bytes:
    """The document as it is served."""
    return json.dumps(document(), ensure_ascii=False).encode()


def _operation(route: Route) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.about,
        "responses": _responses(route),
        "security": [] if route.public else [{}, {"bearer": []}],
    }
    parameters = [_parameter(name, "path") for name in re.findall(r"{(\w+)}", route.path)]
    parameters += [_parameter(name, "header", about) for name, about in route.headers]
    if parameters:
        made["parameters"] = parameters
    if route.body is not None:
        made["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _ref(route.body)}},
        }
    return made


def _responses(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, model in route.answers.items():
        schema = _ref(model) if model else {"type": "object"} if _is_json(route) else {
            "type": "string"
        }  # fmt: skip
        content = {} if status == 101 else {"content": {route.media: {"schema": schema}}}
        found[str(status)] = {"description": route.about, **content}
    by_status: dict[int, list[str]] = {}
    for type_ in route.all_problems:
        by_status.setdefault(STATUSES[type_], []).append(type_)
    for status, types in sorted(by_status.items()):
        found[str(status)] = {
            "description": "`type`: " + ", ".join(f"`{type_}`" for type_ in types),
            "content": {"application/json": {"schema": _ref(wire.Problem)}},
        }
        if status == 503:
            found[str(status)]["headers"] = {
                "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}
            }
    return found


def _parameter(name: str, where: str, about: str | None = None) -> dict[str, Any]:
    described = {"description": about} if about else {}
    schema = {"type": "string"}
    return {"name": name, "in": where, "required": where == "path", "schema": schema, **described}


def _is_json(route: Route) -> bool:
    return route.media == "application/json"


def _ref(model: type) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _name(model: type) -> str:
    return model.__name__
