"""The kinds of streams: which events of each bear tokens, and what else they say."""

import re

import orjson

from harness.load.stream import Events, tokens_said

# Quotes inside JSON strings are escaped, so neither can be the text of the model itself.
_TOKEN = re.compile(
    rb'("delta":\s?\{(?:"role":\s?"assistant",\s?)?"content":\s?")(?:[^"\\]|\\.)+"', re.DOTALL
)


class OpenAIEvents(Events):
    """Chunks of a chat completion; text in ``delta.content`` is a token."""

    __slots__ = ()

    def _bears(self, name: bytes, data: bytes) -> bool:
        if data == b"[DONE]":
            self.ended = True
            return False
        try:
            bears, finished, tokens = _inspect(orjson.loads(data))
        except (ValueError, TypeError, AttributeError):
            self.broken = True
            return False
        self.ended = self.ended or finished
        self.tokens = max(self.tokens, tokens)
        return bears

    def _learn(self, event: bytes, data: bytes) -> None:
        found = _TOKEN.search(event)
        if found is None or self.ended or self.tokens >= 0 or event != b"data: %b\n\n" % data:
            return
        self.before = event[: found.end(1)]
        self._after = event[found.end() - 1 :]
        self._text = found.end(1)


class ServiceEvents(Events):
    """The service's own stream: ``event: token``, then ``result`` or ``error``."""

    __slots__ = ()

    def _bears(self, name: bytes, data: bytes) -> bool:
        self.ended = self.ended or name == b"result"
        self.broken = self.broken or name == b"error"
        self.tokens = max(self.tokens, tokens_said(data) if name == b"result" else -1)
        return name == b"token"

    def _learn(self, event: bytes, data: bytes) -> None:
        before = b"event: token\ndata: "
        if event == before + data + b"\n\n":
            self.before, self._after, self._text = before, b"\n\n", len(before)


EVENTS: dict[str, type[Events]] = {"openai": OpenAIEvents, "service": ServiceEvents}
"""By the name that ``Target.stream`` gives."""


def _inspect(chunk: object) -> tuple[bool, bool, int]:
    """Whether a chunk bears a token, whether it ends the answer, its count of tokens (or -1).

    Raises TypeError, AttributeError or ValueError for what is no chunk, or tells of an error.
    """
    if not isinstance(chunk, dict) or chunk.get("error"):
        raise ValueError("not a chunk")
    bears = finished = False
    for choice in chunk.get("choices") or ():
        content = (choice.get("delta") or {}).get("content")
        if not isinstance(content, str | None):
            raise TypeError("content is not text")
        bears = bears or bool(content)
        finished = finished or isinstance(choice.get("finish_reason"), str)
    usage = chunk.get("usage")
    count = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return bears, finished, count if isinstance(count, int) else -1
