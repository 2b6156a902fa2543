"""What is to be edited → Prompt: the exact text of an edit's two calls, and its version."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from harness.story import Change, Story, diff, same_shape

Call = Literal["edit", "summary"]
SUMMARY_MAX_CHARS = 120
DRAW_HEADER = "X-Harness-Draw"  # how a prompt's ``draw`` reaches a simulator over HTTP


class Editable(Protocol):
    """What an edit needs to know: a scenario without its checks, or a request to the service.

    ``language`` is ``ko`` or ``en``.
    """

    @property
    def id(self) -> str: ...

    @property
    def story(self) -> Story: ...

    @property
    def request(self) -> str: ...

    @property
    def language(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Prompt:
    """One call's input. ``messages`` are (role, content) pairs; ``max_tokens`` bounds the answer.

    ``schema`` is a JSON Schema that the server is asked to keep to (None: free text). ``draw``
    names the call for the simulator's random numbers and means nothing to any other server.
    ``deadline`` is when, in clock seconds, nobody waits for the answer any more (None: the
    provider's own time-out alone); a blocking call has no other way to hear of it.
    """

    call: Call
    messages: tuple[tuple[str, str], ...]
    max_tokens: int
    temperature: float = 0.0
    schema: dict[str, Any] | None = None
    draw: str = ""
    deadline: float | None = None

    def left(self, now: float) -> float | None:
        """Seconds until the deadline, 0 when it has passed; None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - now)

    def drawn(self, draw: str, deadline: float | None = None) -> "Prompt":
        """The same prompt as one call: its name for the simulator, and its deadline."""
        # Written out: ``dataclasses.replace`` takes several times as long, on every call.
        return Prompt(
            self.call,
            self.messages,
            self.max_tokens,
            self.temperature,
            self.schema,
            draw,
            deadline,
        )


_EDIT_SYSTEM = {
    "ko": (
        "당신은 어린이 투자 교육 게임의 이야기를 고치는 편집자입니다. "
        "이야기는 턴의 JSON 배열입니다. 요청받은 부분만 바꾸고, 나머지 값은 글자 하나까지 "
        "그대로 둡니다. 턴의 수, 턴 번호, 주식의 이름과 순서, 필드 이름과 형식을 지킵니다. "
        "주식의 이름을 바꿀 때에는 news_tag도 함께 바꿉니다. "
        "고친 이야기 전체를 JSON 배열로만 답합니다. 설명은 쓰지 않습니다."
    ),
    "en": (
        "You edit the story of an investment game for children. "
        "The story is a JSON array of turns. Change only what is asked for and keep every other "
        "value exactly as it is. Keep the number of turns, the turn numbers, the names and order "
        "of the stocks, the field names and their types. When a stock is renamed, rename it in "
        "news_tag too. Answer with the whole edited story as a JSON array and nothing else."
    ),
}
_EDIT_USER = {
    "ko": "이야기:\n{story}\n\n요청: {request}\n\n고친 이야기 전체(JSON 배열):",
    "en": "Story:\n{story}\n\nRequest: {request}\n\nThe whole edited story (JSON array):",
}
_SUMMARY_SYSTEM = {
    "ko": "이야기가 어떻게 바뀌었는지 어린이도 알 수 있게 한 문장, 100자 이내의 한국어로 말합니다.",
    "en": "Say in one English sentence of at most 100 characters what changed in the story.",
}
_SUMMARY_USER = {
    "ko": "요청: {request}\n바뀐 곳:\n{changes}\n\n한 문장 요약:",
    "en": "Request: {request}\nWhat changed:\n{changes}\n\nOne-sentence summary:",
}
_SUMMARY_RULE = {
    "ko": "요청하신 대로 이야기를 고쳤어요: {request}",
    "en": "The story was edited as asked: {request}",
}
_NO_CHANGE = {"ko": "- 없음", "en": "- nothing"}


def edit_prompt(scenario: Editable, schema: dict[str, Any] | None = None) -> Prompt:
    """The first call: the whole story and the request."""
    story = scenario.story.to_json()
    user = _EDIT_USER[scenario.language].format(story=story, request=scenario.request)
    # A Hangul syllable can take more than one token; half as much again leaves room for a longer
    # answer without letting a model that repeats itself run on for ever.
    return Prompt(
        "edit",
        (("system", _EDIT_SYSTEM[scenario.language]), ("user", user)),
        max_tokens=256 + len(story) * 3 // 2,
        schema=schema,
    )


def summary_prompt(scenario: Editable, edited: Story) -> Prompt:
    """The second call: what was asked and the first few places that changed."""
    changes: list[Change] = []
    if same_shape(scenario.story, edited):
        changes = diff(scenario.story, edited)
    listed = "\n".join(
        f"- {change.field.turn}. {change.field.path}: {_clip(change.old)} → {_clip(change.new)}"
        for change in changes[:8]
    )
    user = _SUMMARY_USER[scenario.language].format(
        request=scenario.request, changes=listed or _NO_CHANGE[scenario.language]
    )
    return Prompt(
        "summary", (("system", _SUMMARY_SYSTEM[scenario.language]), ("user", user)), max_tokens=160
    )


def clean_summary(text: str) -> str | None:
    """A model's summary on one line and within the limit; None when it said nothing."""
    line = " ".join(text.split())
    return line[:SUMMARY_MAX_CHARS] or None


def rule_summary(scenario: Editable) -> str:
    """The summary made by rule when the model's own fails."""
    text = _SUMMARY_RULE[scenario.language].format(request=" ".join(scenario.request.split()))
    return text if len(text) <= SUMMARY_MAX_CHARS else text[: SUMMARY_MAX_CHARS - 1] + "…"


def _clip(value: str | int) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:39] + "…"


def prompt_version() -> str:
    """Twelve hex digits that change whenever the wording of a prompt does."""
    wording = [_EDIT_SYSTEM, _EDIT_USER, _SUMMARY_SYSTEM, _SUMMARY_USER, _NO_CHANGE]
    return hashlib.sha256(json.dumps(wording, sort_keys=True).encode()).hexdigest()[:12]
