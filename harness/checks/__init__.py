"""The kinds of check: machine-verifiable demands on an edited story.

A *change* check demands what was asked for, so it must fail on the unedited story. A
*preservation* check demands that the rest is kept, so it passes there. A *proxy* stands in for a
quality that no program can decide (tone), and is labelled so wherever it is shown.
"""

from typing import Annotated

from pydantic import Field

from harness.checks.base import Check, Finding, SelectorText
from harness.checks.change import (
    Absent,
    Changed,
    Contains,
    Equals,
    Length,
    Replaced,
    Shifted,
    shift,
)
from harness.checks.preservation import Continuous, Keeps, Language, Limits, Structure, Untouched
from harness.checks.proxies import RequiredWords, SentenceEndings, SentenceLength

AnyCheck = Annotated[
    Keeps
    | Continuous
    | Replaced
    | Equals
    | Changed
    | Contains
    | Absent
    | Shifted
    | Length
    | SentenceLength
    | SentenceEndings
    | RequiredWords,
    Field(discriminator="kind"),
]

ALWAYS = (Structure, Untouched, Language, Limits)  # judged for every scenario

__all__ = [
    "ALWAYS",
    "AnyCheck",
    "Check",
    "Finding",
    "Language",
    "Limits",
    "SelectorText",
    "Structure",
    "Untouched",
    "shift",
]
