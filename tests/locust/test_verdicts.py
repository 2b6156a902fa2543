"""Answers of the service → outcomes."""

from typing import Any

import orjson
import pytest

from harness.locust_support import verdicts
from harness.locust_support.verdicts import CANCELLED, Judge, Verdict, failed, problem
from harness.scenario import Scenario, load_scenarios
from tests.locust.children import SHORT

SCENARIO = load_scenarios([SHORT])[0]
RIGHT = SCENARIO.reference.to_json()


def answer(story: str) -> bytes:
    return orjson.dumps({"chapterId": "", "story": story, "isCustom": True, "summary": ""})


def test_a_right_edit() -> None:
    found = Judge().reply(SCENARIO, 200, answer(RIGHT))
    assert (found.outcome, found.failure, found.text) == ("ok", None, RIGHT)
    assert all(check.ok for check in found.checks)


def test_a_wrong_edit_is_named_after_its_check() -> None:
    found = Judge().reply(SCENARIO, 200, answer(SCENARIO.story.to_json()))
    failing = next(check.id for check in found.checks if not check.ok)
    assert (found.outcome, found.failure) == ("wrong", f"wrong: {failing}")


def test_no_story() -> None:
    found = Judge().reply(SCENARIO, 200, answer("[]"))
    assert (found.outcome, found.text) == ("malformed", "[]")
    assert found.failure == "malformed: no_json"
    unusable = {"type": "unusable_answer", "detail": "it broke off"}
    assert problem(unusable, 502).failure == "malformed: bad_story"


@pytest.mark.parametrize(
    ("data", "status", "kind", "told"),
    [
        ({"type": "overloaded"}, 503, "http_5xx", "HTTP 503 overloaded"),
        ({"type": "deadline"}, 504, "timeout", "HTTP 504 deadline"),
        ({"type": "deadline"}, None, "timeout", "problem deadline"),
        ({"type": "provider_rate_limited"}, 503, "rate_limited", "HTTP 503 provider_rate_limited"),
        ({"type": "provider_failed"}, None, "http_5xx", "problem provider_failed"),
        ({"type": "validation"}, 422, "http_4xx", "HTTP 422 validation"),
        ({"type": ["odd"]}, 500, "http_5xx", "HTTP 500"),
        (None, 429, "rate_limited", "HTTP 429"),
        (None, 408, "timeout", "HTTP 408"),
        ([], 302, "protocol", "HTTP 302"),
        ("<html>", 504, "timeout", "HTTP 504"),
    ],
)
def test_problems(data: Any, status: int | None, kind: str, told: str) -> None:
    found = problem(data, status)
    assert found.outcome == "error"
    assert found.error is not None
    assert (found.error.type, found.error.message) == (kind, told)
    assert found.failure == f"{kind}: {told}"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"story": 7}', b"{}"])
def test_what_is_no_answer_of_the_service(body: bytes) -> None:
    found = Judge().reply(SCENARIO, 200, body)
    assert found.error is not None
    assert found.error.type == "protocol"


def test_equal_answers_are_judged_once_and_not_kept_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judged: list[str] = []

    def note(scenario: Scenario, text: str) -> Verdict:
        judged.append(text)
        return failed("internal", text)

    monkeypatch.setattr(verdicts, "REMEMBERED", 2)
    monkeypatch.setattr(verdicts, "_judge", note)
    judge = Judge()
    for text in "aabbacc":
        assert judge.edited(SCENARIO, {"story": text}).failure == f"internal: {text}"
    assert judged == ["a", "b", "c"]
    judge.edited(SCENARIO, {"story": "a"})
    assert judged == ["a", "b", "c", "a"]


def test_what_was_cut_off_is_no_failure() -> None:
    assert CANCELLED.failure is None
