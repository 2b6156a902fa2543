"""What every check is: a demand with an id, judged on the original and the edited story."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from harness import story as st
from harness.records import CheckResult

Role = Literal["change", "preservation"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One way in which a check fails; ``turn`` and ``field`` are None for the story as a whole."""

    why: str
    turn: int | None = None
    field: str | None = None


def _selector(text: str) -> str:
    st.Selector.parse(text)
    return text


SelectorText = Annotated[str, AfterValidator(_selector)]
Text = Annotated[str, Field(min_length=1)]
Selectors = Annotated[list[SelectorText], Field(min_length=1)]


class Check(BaseModel):
    """A demand with its settings; subclasses say what they look at."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    role: ClassVar[Role] = "change"
    proxy: ClassVar[bool] = False

    id: Text
    kind: str

    def findings(self, original: st.Story, edited: st.Story) -> Iterator[Finding]:
        """Every way in which ``edited`` fails; nothing when it passes."""
        raise NotImplementedError

    def selectors(self) -> list[str]:
        """The selectors it uses, each of which must match a field of the scenario's story."""
        return list(getattr(self, "at", []))

    def judge(self, original: st.Story, edited: st.Story) -> CheckResult:
        """The result, explained by the first finding in reading order."""
        found = list(self.findings(original, edited))
        if not found:
            return CheckResult(self.id, self.kind, True, None, None, None, self.proxy)
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        first = found[0]
        return CheckResult(
            self.id, self.kind, False, first.turn, first.field, first.why + more, self.proxy
        )


def places(
    selectors: list[str], original: st.Story, edited: st.Story
) -> Iterator[tuple[st.Field, str | int, str | int | None]]:
    """Selected fields of the original with the value at the same place in the edited story.

    The last item is None where the edited story has no such place.
    """
    after = st.values(edited)
    for field, value in st.selected(original, tuple(selectors)):
        yield field, value, after.get(field.place)


class AtFields(Check):
    """A check of the selected fields, one at a time."""

    at: Selectors

    def findings(self, original: st.Story, edited: st.Story) -> Iterator[Finding]:
        for field, old, new in places(self.at, original, edited):
            why = "is gone" if new is None else self.problem(old, new)
            if why:
                yield Finding(why, field.turn, field.path)

    def problem(self, old: str | int, new: str | int) -> str | None:
        """What is wrong with the new value, or None."""
        raise NotImplementedError


def short(value: str | int) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…'"
