"""Proxy checks: countable stand-ins for qualities (tone) that no program can decide."""

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from harness import story as st
from harness.checks.base import Check, Finding, Selectors, Text, places


class SentenceLength(Check):
    """Proxy: the mean sentence over all selected texts has at most ``most`` (or at least
    ``least``) characters, blanks left out.
    """

    proxy = True
    kind: Literal["sentence_length"]
    at: Selectors
    most: float | None = None
    least: float | None = None

    @model_validator(mode="after")
    def _something(self) -> "SentenceLength":
        if self.most is None and self.least is None:
            raise ValueError("needs most or least")
        return self

    def findings(self, original: st.Story, edited: st.Story) -> Iterator[Finding]:
        sizes = [len(re.sub(r"\s", "", s)) for s in _all_sentences(self.at, original, edited)]
        if not sizes:
            yield Finding("has no sentences")
            return
        mean = sum(sizes) / len(sizes)
        if self.most is not None and mean > self.most:
            yield Finding(f"mean sentence has {mean:.1f} characters, at most {self.most:g} wanted")
        if self.least is not None and mean < self.least:
            yield Finding(
                f"mean sentence has {mean:.1f} characters, at least {self.least:g} wanted"
            )


class SentenceEndings(Check):
    """Proxy: at least ``share`` (0–1) of the selected texts' sentences end in one of ``any_of``."""

    proxy = True
    kind: Literal["sentence_endings"]
    at: Selectors
    any_of: list[Text] = Field(min_length=1)
    share: float = Field(gt=0, le=1)

    def findings(self, original: st.Story, edited: st.Story) -> Iterator[Finding]:
        sentences = _all_sentences(self.at, original, edited)
        hits = sum(s.endswith(tuple(self.any_of)) for s in sentences)
        if not sentences or hits < self.share * len(sentences):
            endings = ", ".join(self.any_of)
            yield Finding(
                f"{hits} of {len(sentences)} sentences end in {endings}; "
                f"at least {self.share:.0%} wanted"
            )


class RequiredWords(Check):
    """Proxy: at least ``least`` different words of ``words`` occur in the selected texts."""

    proxy = True
    kind: Literal["required_words"]
    at: Selectors
    words: list[Text] = Field(min_length=1)
    least: int = Field(ge=1)

    @model_validator(mode="after")
    def _possible(self) -> "RequiredWords":
        if self.least > len(self.words):
            raise ValueError(f"least is {self.least}, but there are only {len(self.words)} words")
        return self

    def findings(self, original: st.Story, edited: st.Story) -> Iterator[Finding]:
        text = "\n".join(str(new or "") for _, _, new in places(self.at, original, edited))
        found = [word for word in self.words if word in text]
        if len(found) < self.least:
            yield Finding(
                f"has {len(found)} of the words {', '.join(self.words)}; {self.least} wanted"
            )


_AROUND = re.compile(r"^[\W_]+|[\W_]+$")
_SENTENCE_END = re.compile(r"[.!?…。]+[\"'”’)]*(?:\s+|$)")


def sentences(text: str) -> list[str]:
    """The sentences, each from its first to its last letter: ``갔어요~! 😀`` is ``갔어요``."""
    parts = (_AROUND.sub("", part) for part in _SENTENCE_END.split(text))
    return [part for part in parts if part]


def _all_sentences(at: list[str], original: st.Story, edited: st.Story) -> list[str]:
    return [s for _, _, new in places(at, original, edited) for s in sentences(str(new or ""))]
