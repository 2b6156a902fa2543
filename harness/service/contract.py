"""Every route: its path, what it takes, what it answers, and the problems it may have.

The application is assembled from this table and the OpenAPI document is made from it, so the two
cannot differ.
"""

from dataclasses import dataclass
from typing import Literal

from harness.service import wire
from harness.service.problems import STATUSES

Media = Literal["application/json", "text/event-stream", "text/plain", "text/html"]

ALWAYS = ("internal",)
READING = (
    "invalid_json",
    "invalid_request",
    "invalid_story",
    "request_timeout",
    "too_large",
    "unsupported_media_type",
    "validation",
)
EDITING = (
    "unusable_answer",
    "provider_failed",
    "provider_rate_limited",
    "overloaded",
    "not_ready",
    "shutting_down",
    "deadline",
)
DRAW_HEADER = "X-Harness-Draw"
KEY_HEADER = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Route:
    """One route. ``answers`` maps statuses to bodies (None: not JSON, see ``media``); ``public``
    ones need no token; ``headers`` are those that the client may send, with what they do.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    name: str
    about: str
    answers: dict[int, type[wire.Answer] | None]
    body: type[wire.Body] | None = None
    problems: tuple[str, ...] = ()
    media: Media = "application/json"
    public: bool = False
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def all_problems(self) -> tuple[str, ...]:
        """The types of problem it may answer with."""
        guarded = () if self.public else ("unauthorized",)
        return (*self.problems, *guarded, *ALWAYS)

    @property
    def statuses(self) -> set[int]:
        """Every status it may answer with."""
        return set(self.answers) | {STATUSES[type_] for type_ in self.all_problems}


NO_STORE = ("Cache-Control", "`no-store`: neither look into the cache nor keep the answer.")
DRAW = (DRAW_HEADER, "Names the edit for a simulated model's random numbers.")
KEY = (KEY_HEADER, "Sent again with the same edit, gives the same job.")
EDIT: dict[int, type[wire.Answer] | None] = {200: wire.EditAnswer}
ONE = (*READING, *EDITING)

ROUTES: tuple[Route, ...] = (
    Route("GET", "/", "home", "What this is.", {200: wire.Home}, public=True),
    Route("GET", "/health", "health", "The state of its parts.", {200: wire.Health}, public=True),
    Route("GET", "/health/live", "live", "It answers.", {200: wire.Alive}, public=True),
    Route(
        "GET",
        "/health/ready",
        "ready",
        "It takes edits.",
        {200: wire.Ready},
        problems=("not_ready", "shutting_down"),
        public=True,
    ),
    Route("GET", "/async-status", "async_status", "Jobs in figures.", {200: wire.AsyncStatus}),
    Route("GET", "/performance", "performance", "What it uses.", {200: wire.Performance}),
    Route("GET", "/metrics", "metrics", "For Prometheus.", {200: None}, media="text/plain"),
    Route("GET", "/openapi.json", "openapi", "This document.", {200: None}, public=True),
    Route("GET", "/docs", "docs", "The same to read.", {200: None}, media="text/html", public=True),
    Route(
        "POST",
        "/edit-scenario",
        "edit_fallback",
        "Edit a story: asynchronously and, when that fails, blocking.",
        EDIT,
        wire.EditRequest,
        ONE,
        headers=(NO_STORE, DRAW),
    ),
    Route(
        "POST",
        "/edit-scenario-async",
        "edit_async",
        "Edit a story asynchronously.",
        EDIT,
        wire.EditRequest,
        ONE,
        headers=(NO_STORE, DRAW),
    ),
    Route(
        "POST",
        "/edit-scenario-sync",
        "edit_sync",
        "Edit a story with blocking calls on one of a bounded number of threads: the baseline.",
        EDIT,
        wire.EditRequest,
        ONE,
        headers=(NO_STORE, DRAW),
    ),
    Route(
        "POST",
        "/edit-scenarios",
        "edit_many",
        "Edit several stories, some at once; each has its own success or error.",
        {200: wire.BatchAnswer},
        wire.BatchRequest,
        (*READING, "not_ready", "shutting_down"),
        headers=(NO_STORE,),
    ),
    Route(
        "POST",
        "/edit-scenario-stream",
        "edit_stream",
        "Edit a story; the events `token` bring the model's text as it comes, then comes `result` "
        "or `error`. A failure before the first token has its own status instead.",
        {200: None},
        wire.EditRequest,
        ONE,
        media="text/event-stream",
        headers=(DRAW,),
    ),
    Route(
        "GET",
        "/ws",
        "socket",
        "A WebSocket for several edits on one connection. Send `SocketEdit` and `SocketCancel`; "
        "messages of type `token`, `result` and `error` come back.",
        {101: None},
        problems=("upgrade_required", "shutting_down"),
    ),
    Route(
        "POST",
        "/jobs",
        "submit",
        "Edit a story in the background. 200: the Idempotency-Key has such a job already.",
        {202: wire.JobAnswer, 200: wire.JobAnswer},
        wire.EditRequest,
        (*READING, "key_reused", "overloaded", "not_ready", "shutting_down"),
        headers=(KEY, DRAW),
    ),
    Route(
        "GET", "/jobs/{id}", "job", "A job.", {200: wire.JobAnswer}, problems=("not_found",)
    ),
    Route(
        "DELETE",
        "/jobs/{id}",
        "cancel",
        "Cancel a job, unless it has ended; its last state comes back.",
        {200: wire.JobAnswer},
        problems=("not_found",),
    ),
    Route(
        "GET",
        "/jobs/{id}/events",
        "job_events",
        "A job's past and coming events: `state`, `token`, and last `result` or `error`.",
        {200: None},
        problems=("not_found",),
        media="text/event-stream",
    ),
)  # fmt: skip
