"""The OpenAPI document as one page of HTML that needs nothing else."""

import html
import json
from functools import cache
from typing import Any

from harness.service.openapi import document

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1f24; background: #fff }
code, pre { font: 14px/1.45 ui-monospace, monospace }
pre { overflow-x: auto; padding: .75rem; background: #f3f5f7; border-radius: 4px }
details { border-top: 1px solid #d5dae0; padding: .5rem 0 }
summary { cursor: pointer }
table { border-collapse: collapse } td { padding: .15rem 1rem .15rem 0; vertical-align: top }
@media (prefers-color-scheme: dark) {
  body { color: #e4e8ec; background: #15181b } pre { background: #20252a }
  details { border-color: #3a4149 } }
"""


@cache
def docs_page() -> str:
    """Every route with its answers, then every type."""
    made = document()
    routes = "".join(
        _route(method, path, operation)
        for path, methods in made["paths"].items()
        for method, operation in methods.items()
    )
    types = "".join(_type(name, schema) for name, schema in made["components"]["schemas"].items())
    title = html.escape(made["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{title} {html.escape(made['info']['version'])}</h1>"
        f"<p>{html.escape(made['info']['description'])} "
        f'The same for programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"<h2>Routes</h2>{routes}<h2>Types</h2>{types}</html>"
    )


def _route(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{status}</code></td><td>{_marked(answer['description'])}{_kind(answer)}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    takes = "".join(
        f"<tr><td><code>{html.escape(name)}</code></td><td>{_marked(about)}</td></tr>"
        for name, about in _inputs(operation)
    )
    return (
        f"<details><summary><code>{method.upper()} {html.escape(path)}</code> "
        f"{_marked(operation['summary'])}</summary>"
        + (f"<h4>Takes</h4><table>{takes}</table>" if takes else "")
        + f"<h4>Answers</h4><table>{rows}</table></details>"
    )


def _inputs(operation: dict[str, Any]) -> list[tuple[str, str]]:
    found = [
        (item["name"], f"in the {item['in']}. {item.get('description', '')}")
        for item in operation.get("parameters", [])
    ]
    if body := operation.get("requestBody"):
        schema = body["content"]["application/json"]["schema"]
        found.append(("body", f"`{schema['$ref'].rsplit('/', 1)[1]}`, as JSON"))
    return found


def _kind(answer: dict[str, Any]) -> str:
    for media, content in answer.get("content", {}).items():
        schema = content["schema"]
        name = schema["$ref"].rsplit("/", 1)[1] if "$ref" in schema else media
        return f" <code>{html.escape(name)}</code>"
    return ""


def _type(name: str, schema: dict[str, Any]) -> str:
    text = html.escape(json.dumps(schema, ensure_ascii=False, indent=2))
    return (
        f"<details><summary><code>{html.escape(name)}</code></summary><pre>{text}</pre></details>"
    )


def _marked(text: str) -> str:
    """Backquoted parts as code."""
    parts = html.escape(text).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))
