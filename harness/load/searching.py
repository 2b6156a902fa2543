"""Runs the search for capacity: one step after another, each long enough to tell."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from harness.load.capacity import Plan, Tried, Verdict, next_rate

S = TypeVar("S")
LONGER = 4  # times as many requests for a second look


@dataclass(frozen=True, slots=True)
class Step(Generic[S]):
    """A rate (requests per second) that was tried, and what was seen there."""

    rate: float
    verdict: Verdict
    seen: S


def search(
    plan: Plan,
    look: Callable[[float, int], tuple[Verdict, S]],
    *,
    requests: int,
    seconds: float,
) -> Iterator[Step[S]]:
    """Every step as it ends; a step has at least ``requests`` and lasts at least ``seconds``.

    ``look`` sends so many requests at a rate and judges them. When it cannot tell, it looks again
    with four times as many, and so it does when a rate that held is tried a second time; when the
    client was not fit, with as many. What is still undecided then does not hold.
    """
    tried: list[Tried] = []
    while (rate := next_rate(tried, plan)) is not None:
        again = any(step.rate == rate for step in tried)
        count = max(requests, round(rate * seconds)) * (LONGER if again else 1)
        verdict, seen = look(rate, count)
        if verdict == "invalid":
            verdict, seen = look(rate, count)
        if verdict == "undecided" and not again:
            verdict, seen = look(rate, LONGER * count)
        tried.append(Tried(rate, verdict))
        yield Step(rate, verdict, seen)
