"""Bytes from outside → a checked request, or a problem that says what is wrong with them."""

import re
from functools import lru_cache
from typing import NamedTuple, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from harness.scenario import describe
from harness.service.problems import ProblemError
from harness.service.wire import Body, EditRequest
from harness.story import Story, StoryError, parse_story

B = TypeVar("B", bound=Body)
M = TypeVar("M")

_HANGUL = re.compile("[가-힣ㄱ-ㅎㅏ-ㅣ]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_JSON_ERRORS = ("json_invalid", "json_type")


class Edit(NamedTuple):
    """An edit that was asked for (see ``prompt.Editable``); ``id`` is the chapter's."""

    id: str
    story: Story
    request: str
    language: str


def read_body(kind: type[B], data: bytes) -> B:
    """Raises ProblemError: ``invalid_json``, or ``validation`` naming the first wrong field."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise _refusal(error) from None


def read_message(kind: TypeAdapter[M], data: str) -> M:
    """As ``read_body``, for a message of a WebSocket."""
    try:
        return kind.validate_json(data)
    except (ValidationError, UnicodeEncodeError) as error:
        if isinstance(error, UnicodeEncodeError):
            raise ProblemError("invalid_json", "the message is not UTF-8") from None
        raise _refusal(error) from None


def read_edit(body: EditRequest) -> Edit:
    """What the body asks for. Raises ProblemError: ``invalid_request`` or ``invalid_story``."""
    chapter = _text("chapterId", body.chapterId)
    request = _text("editRequest", body.editRequest)
    if not body.story.strip():
        raise ProblemError("invalid_request", "story: is empty")
    story, language = _story(body.story)
    return Edit(chapter, story, request, "ko" if _HANGUL.search(request) else language)


def _text(name: str, text: str) -> str:
    text = text.strip()
    if not text:
        raise ProblemError("invalid_request", f"{name}: is empty")
    if not text.isprintable() and _CONTROL.search(text):  # the first is quick, but too strict
        raise ProblemError("invalid_request", f"{name}: holds a control character; leave it out")
    return text


@lru_cache(maxsize=32)
def _story(text: str) -> tuple[Story, str]:
    """The story of ``text`` and its language; kept, since an author edits one again and again."""
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ProblemError("invalid_story", f"story: is not JSON: {error}") from None
    try:
        return parse_story(data), "ko" if _HANGUL.search(text) else "en"
    except StoryError as error:
        why = f"story: {str(error).removeprefix('story: ')}"
        raise ProblemError("invalid_story", why[:300]) from None


def _refusal(error: ValidationError) -> ProblemError:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] in _JSON_ERRORS:
        return ProblemError("invalid_json", f"the body is not JSON: {first['msg']}"[:300])
    if not first["loc"]:
        return ProblemError("validation", f"the body: {first['msg']}")
    return ProblemError("validation", describe(error)[:300])
