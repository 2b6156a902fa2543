"""A request's body, read within bounds of size and time, and what its headers ask for."""

import asyncio
from typing import TypeVar
from urllib.parse import unquote

from aiohttp import web

from harness.prompt import DRAW_HEADER
from harness.service.answering import JSON
from harness.service.problems import ProblemError
from harness.service.reading import read_body
from harness.service.wire import BODY_BYTES, Body

B = TypeVar("B", bound=Body)

BODY_S = 30.0


async def taken(request: web.Request, kind: type[B]) -> B:
    """The body as a ``kind``. Raises ProblemError when it is not one, too large or too slow."""
    declared = request.headers.get("Content-Type")
    if declared is not None and declared != JSON and not _is_json(declared):
        raise ProblemError("unsupported_media_type", f"send the body as Content-Type: {JSON}")
    content = request.content
    if content.is_eof() and content.exception() is None and content.total_bytes <= BODY_BYTES:
        return read_body(kind, content.read_nowait())  # it came along with the head, as most do
    return read_body(kind, await _bytes(request))


async def _bytes(request: web.Request) -> bytes:
    if (request.content_length or 0) > BODY_BYTES:
        raise too_large()
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError:
        raise ProblemError("request_timeout", "the body did not come in time") from None
    except web.RequestPayloadError:
        raise ProblemError("invalid_request", "the body cannot be read") from None


def too_large() -> ProblemError:
    return ProblemError("too_large", f"the body has more than {BODY_BYTES:,} bytes")


def draw(request: web.Request) -> str:
    """How the caller names the edit for a simulated model; empty: not at all."""
    named = request.headers.get(DRAW_HEADER)
    return unquote(named) if named else ""


def fresh(request: web.Request) -> bool:
    """Whether the caller wants no cached answer."""
    wish = request.headers.get("Cache-Control")
    return wish is not None and ("no-store" in wish or "no-cache" in wish)


def _is_json(declared: str) -> bool:
    kind, _, parameters = declared.partition(";")
    if kind.strip().lower() != JSON:
        return False
    charset = parameters.lower().partition("charset=")[2].strip(' "')
    return charset in ("", "utf-8", "utf8")
