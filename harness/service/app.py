"""The web application: the table of routes with its handlers, and what surrounds each of them."""

import asyncio
import hmac

from aiohttp import web
from aiohttp.typedefs import Handler

from harness.service.contract import ROUTES
from harness.service.info import InfoRoutes
from harness.service.intake import too_large
from harness.service.job_routes import JobRoutes
from harness.service.problems import ProblemError, reported, stopping
from harness.service.routes import CACHED, EditRoutes
from harness.service.service import Service
from harness.service.streams import StreamRoutes
from harness.service.wire import BODY_BYTES
from harness.service.ws import SocketRoutes

GONE = 499  # in the metrics: the client left before its answer
UNMATCHED = "unmatched"  # in the metrics: any path or method that there is not


def make_app(service: Service) -> web.Application:
    """The application on ``service``, whose life is the caller's business (see ``serving``).

    Each handler is wrapped when it is added, and what is not there has handlers of its own: a
    middleware would cost every request a tenth of its time.
    """
    groups = (
        EditRoutes(service),
        InfoRoutes(service),
        StreamRoutes(service),
        JobRoutes(service),
        SocketRoutes(service),
    )
    app = web.Application(client_max_size=BODY_BYTES)
    add = app.router.add_route
    methods: dict[str, list[str]] = {}
    for route in ROUTES:
        handler = next(getattr(group, route.name) for group in groups if hasattr(group, route.name))
        add(route.method, route.path, _guarded(service, handler, route.path, route.public))
        methods.setdefault(route.path, []).append(route.method)
    for path, allowed in methods.items():
        add("*", path, _guarded(service, _other_method(allowed), UNMATCHED))
    add("*", "/{path:.*}", _guarded(service, _nothing_here, UNMATCHED))
    return app


def _guarded(service: Service, handler: Handler, path: str, public: bool = False) -> Handler:
    """``handler`` with what surrounds every request: the token, the errors, the counts."""
    count, now, requests = service.metrics.request, service.clock.now, service.requests
    cached = service.editor.cache is not None
    token = None if public or service.token is None else f"Bearer {service.token}".encode()

    async def guarded(request: web.Request) -> web.StreamResponse:
        began = now()
        task = asyncio.current_task(service.loop)  # without the loop it costs a system call
        assert task is not None
        requests.add(task)
        status = GONE
        try:
            try:
                if token is not None:
                    _check_token(request, token)
                response = await handler(request)
            except web.HTTPRequestEntityTooLarge:
                response = too_large().response()
            except ConnectionResetError:  # the client has gone: nobody will read this
                response = web.Response(status=GONE)
            except asyncio.CancelledError:
                if not service.cancelling or request.writer.output_size > 0:
                    raise
                task.uncancel()
                response = stopping().response()
            except Exception as error:
                response = reported(f"{request.method} {path}", error).response()
            status = response.status
            if service.draining and not response.prepared:
                response.force_close()
            return response
        finally:
            requests.discard(task)
            timed = status == 200 and not (cached and request.get(CACHED))
            count(path, status, now() - began if timed else None)

    return guarded


def _other_method(allowed: list[str]) -> Handler:
    names = ", ".join(sorted(allowed))

    async def refuse(request: web.Request) -> web.StreamResponse:
        refusal = ProblemError(
            "method_not_allowed", f"{request.method} is not for this; {names} is"
        )
        return refusal.response({"Allow": names})

    return refuse


async def _nothing_here(request: web.Request) -> web.StreamResponse:
    raise ProblemError("not_found", "no such path; see /docs")


def _check_token(request: web.Request, expected: bytes) -> None:
    given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
    if not hmac.compare_digest(given, expected):
        raise ProblemError("unauthorized", "the bearer token is missing or wrong")
