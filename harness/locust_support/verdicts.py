"""What the service answered → the outcome of an edit, and what Locust is told of it."""

import hashlib
from dataclasses import dataclass
from typing import Any

import orjson

from harness.edits import MAX_WHY, UNUSABLE, read_story
from harness.records import CallError, CheckResult, ErrorType, Malformed, Outcome
from harness.scenario import Scenario
from harness.story import Story

REMEMBERED = 2_000  # judged answers: a service repeats itself, and judging holds up other users
_PROBLEMS: dict[str, ErrorType] = {
    "deadline": "timeout",
    "request_timeout": "timeout",
    "provider_rate_limited": "rate_limited",
}
_STATUSES: dict[int, ErrorType] = {408: "timeout", 429: "rate_limited", 504: "timeout"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an edit ended. ``text``: the edited story as it came; None without one."""

    outcome: Outcome
    error: CallError | None = None
    malformed: Malformed | None = None
    checks: tuple[CheckResult, ...] = ()
    text: str | None = None

    @property
    def failure(self) -> str | None:
        """What Locust counts it as, few enough kinds to be counted; None: no failure."""
        if self.error is not None:
            return f"{self.error.type}: {self.error.message}"
        if self.malformed is not None:
            return f"malformed: {self.malformed.reason}"
        return next((f"wrong: {check.id}" for check in self.checks if not check.ok), None)


CANCELLED = Verdict("cancelled")
NOT_AN_EDIT = "the answer has not the form of this API"


class Judge:
    """Judges answers; equal ones only once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, bytes], Verdict] = {}

    def edited(self, scenario: Scenario, answer: Any) -> Verdict:
        """The verdict on an ``EditAnswer`` of the service, as JSON data."""
        text = answer.get("story") if isinstance(answer, dict) else None
        if not isinstance(text, str):
            return failed("protocol", NOT_AN_EDIT)
        key = scenario.id, hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            found = self._known[key] = _judge(scenario, text)
        return found

    def reply(self, scenario: Scenario, status: int, body: bytes) -> Verdict:
        """The verdict on a whole HTTP answer that holds one edit."""
        data = parsed(body)
        return self.edited(scenario, data) if status == 200 else problem(data, status)


def parsed(body: bytes) -> Any:
    """The JSON data of ``body``; None when it is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def problem(data: Any, status: int | None) -> Verdict:
    """The verdict on a ``Problem`` of the service. ``status`` None: it came inside an answer."""
    kind = data.get("type") if isinstance(data, dict) else None
    kind = kind if isinstance(kind, str) else ""
    if kind == UNUSABLE:
        return Verdict(
            "malformed", malformed=Malformed("bad_story", str(data.get("detail"))[:MAX_WHY])
        )
    about = "problem" if status is None else f"HTTP {status}"
    return failed(_PROBLEMS.get(kind) or _of_status(status), f"{about} {kind}".strip()[:200])


def failed(kind: ErrorType, message: str) -> Verdict:
    """An edit that got no answer."""
    return Verdict("error", error=CallError(kind, message))


def _of_status(status: int | None) -> ErrorType:
    if status is None or status >= 500:
        return _STATUSES.get(status or 0, "http_5xx")
    return _STATUSES.get(status, "http_4xx" if status >= 400 else "protocol")


def _judge(scenario: Scenario, text: str) -> Verdict:
    story = read_story(text)
    if not isinstance(story, Story):
        return Verdict("malformed", malformed=story, text=text)
    checks = tuple(scenario.judge(story))
    return Verdict("ok" if all(check.ok for check in checks) else "wrong", None, None, checks, text)
