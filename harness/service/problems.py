"""What goes wrong: every failure as one typed problem with its HTTP status, or as a line logged."""

import logging
import math
import traceback
from collections.abc import Mapping

import orjson
from aiohttp import web

from harness.providers import ProviderError
from harness.records import ErrorType
from harness.service.admission import DeadlinePassed, Full
from harness.service.jobs import KeyReused, TooMany

STATUSES: dict[str, int] = {
    "invalid_json": 400,
    "invalid_request": 400,
    "invalid_story": 400,
    "unauthorized": 401,
    "not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "key_reused": 409,
    "too_large": 413,
    "unsupported_media_type": 415,
    "validation": 422,
    "upgrade_required": 426,
    "internal": 500,
    "cancelled": 499,
    "unusable_answer": 502,
    "provider_failed": 502,
    "provider_rate_limited": 503,
    "overloaded": 503,
    "not_ready": 503,
    "shutting_down": 503,
    "deadline": 504,
}
"""Every type of problem and its status. 499 never leaves as a status: whoever would read it has
cancelled the edit, but it is the type of a cancelled job's or message's error."""

LOG = logging.getLogger("harness.service")
RETRY_S = 1.0

_PROVIDER: dict[ErrorType, tuple[str, str]] = {
    "timeout": ("deadline", "the model did not answer in time"),
    "rate_limited": ("provider_rate_limited", "the model's server allows no more calls for now"),
    "connect": ("provider_failed", "the model's server cannot be reached"),
    "no_socket": ("provider_failed", "there is no socket for a call of the model"),
    "reset": ("provider_failed", "the model's server broke the connection"),
    "http_4xx": ("provider_failed", "the model's server refused the call"),
    "http_5xx": ("provider_failed", "the model's server failed"),
    "truncated": ("provider_failed", "the model's answer broke off"),
    "protocol": ("provider_failed", "the model's server answered what is no completion"),
    "internal": ("provider_failed", "the call of the model failed"),
}


class ProblemError(Exception):
    """A request that gets no good answer. ``retry_after_s``: when it may be worth another try."""

    def __init__(self, type_: str, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(f"{type_}: {detail}")
        self.type = type_
        self.detail = detail
        self.retry_after_s = retry_after_s

    @property
    def status(self) -> int:
        return STATUSES[self.type]

    def body(self) -> dict[str, str]:
        """The problem as it is sent (``wire.Problem``)."""
        return {"detail": self.detail, "type": self.type}

    def response(self, headers: Mapping[str, str] | None = None) -> web.Response:
        """The whole HTTP answer."""
        sent = dict(headers or {})
        if self.retry_after_s is not None:
            sent["Retry-After"] = str(max(1, math.ceil(self.retry_after_s)))
        if self.type == "unauthorized":
            sent["WWW-Authenticate"] = "Bearer"
        return web.Response(
            body=orjson.dumps(self.body()),
            status=self.status,
            headers=sent,
            content_type="application/json",
        )


def problem(error: BaseException) -> ProblemError:
    """The failure as a problem. What is unknown is ``internal`` and says nothing of itself."""
    match error:
        case ProblemError():
            return error
        case ProviderError():
            type_, detail = _PROVIDER[error.error.type]
            retry = RETRY_S if type_ == "provider_rate_limited" else None
            return ProblemError(type_, detail, retry_after_s=retry)
        case Full():
            why = "too many edits are waiting; try again later"
            return ProblemError("overloaded", why, retry_after_s=error.retry_after_s)
        case TooMany():
            why = "too many jobs are unfinished; try again later"
            return ProblemError("overloaded", why, retry_after_s=RETRY_S)
        case DeadlinePassed() | TimeoutError():
            return ProblemError("deadline", "the edit was not done in time")
        case KeyReused():
            return ProblemError("key_reused", "this Idempotency-Key was used for another request")
    return ProblemError("internal", "the service failed; its log says where")


def stopping() -> ProblemError:
    """What is said to those who come, or are still there, when the service ends."""
    return ProblemError("shutting_down", "the service is stopping", retry_after_s=RETRY_S)


def reported(where: str, error: BaseException) -> ProblemError:
    """The failure as a problem; one that is the service's own fault is logged.

    The log has what failed and in which lines, but not with what words: they may hold a story.
    """
    found = problem(error)
    if found.type == "internal":
        frames = traceback.extract_tb(error.__traceback__)[-5:]
        places = " > ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
        LOG.error("%s: %s at %s", where, type(error).__name__, places)
    return found
