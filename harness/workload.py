"""Which trials, in what order, at what moments: pure and seeded."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.errors import InputError

Kind = Literal["closed", "burst", "rate"]
Arrival = Literal["poisson", "constant"]
_HOW = "write closed, closed,think=SECONDS, burst, rate=R or rate=R,constant"


@dataclass(frozen=True, slots=True)
class Workload:
    """When the trials of a block are wanted.

    ``closed``: as soon as a slot is free, after ``think`` seconds. ``burst``: all at the start of
    the block. ``rate``: at precomputed moments, ``rate`` per second.
    """

    kind: Kind = "closed"
    think: float = 0.0
    rate: float | None = None
    arrival: Arrival = "poisson"

    @classmethod
    def parse(cls, text: str) -> "Workload":
        """Read ``--workload``. Raises InputError."""
        head, *options = (part.strip() for part in text.split(","))
        kind, given, value = head.partition("=")
        if kind == "burst" and not given and not options:
            return cls("burst")
        if kind == "closed" and not given and len(options) <= 1:
            if not options:
                return cls("closed")
            name, _, think = options[0].partition("=")
            if name == "think":
                return cls("closed", think=_number(text, think, least=0.0))
        if kind == "rate" and len(options) <= 1:
            arrival = options[0] if options else "poisson"
            if arrival in ("poisson", "constant"):
                rate = _number(text, value, least=1e-6)
                return cls("rate", rate=rate, arrival=arrival)  # type: ignore[arg-type]
        raise InputError(f"--workload {text!r}: no such workload; {_HOW}")

    def offsets(self, count: int, seed: Sequence[int]) -> list[float] | None:
        """Seconds from the start of a block at which each of its trials is wanted, ascending.

        None when that depends on the answers (closed). Poisson gaps are exponential with mean
        1/rate; constant ones are all 1/rate, the first at 0.
        """
        if self.kind == "closed":
            return None
        if self.kind == "burst" or self.rate is None:
            return [0.0] * count
        if self.arrival == "constant":
            return [i / self.rate for i in range(count)]
        gaps = np.random.default_rng(list(seed)).exponential(1 / self.rate, count)
        return [float(moment) for moment in np.cumsum(gaps)]


def _number(text: str, value: str, least: float) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not least <= number < float("inf"):
        raise InputError(f"--workload {text!r}: {value!r} is not a number in range; {_HOW}")
    return number


@dataclass(frozen=True, slots=True)
class Block:
    """A group of scenarios with one repeat; every arm runs it alone, in the order of ``arms``.

    ``offsets`` are as ``Workload.offsets`` gives them and the same for every arm.
    """

    index: int
    repeat: int
    warmup: bool
    scenarios: tuple[str, ...]
    arms: tuple[str, ...]
    offsets: tuple[float, ...] | None


def plan_blocks(
    scenarios: Sequence[str],
    arms: Sequence[str],
    workload: Workload,
    *,
    repeats: int,
    warmup: int,
    group: int,
    seed: int,
) -> list[Block]:
    """All blocks of a run: ``warmup`` rounds first, then ``repeats`` rounds that count."""
    blocks: list[Block] = []
    for repeat in range(warmup + repeats):
        blocks += plan_round(
            scenarios,
            arms,
            workload,
            repeat=repeat,
            warmup=repeat < warmup,
            group=group,
            seed=seed,
            first=len(blocks),
        )
    return blocks


def plan_round(
    scenarios: Sequence[str],
    arms: Sequence[str],
    workload: Workload,
    *,
    repeat: int,
    warmup: bool,
    group: int,
    seed: int,
    first: int,
) -> list[Block]:
    """All scenarios once, in an order drawn for the round, in blocks numbered from ``first``.

    The order of the arms is drawn for each block (randomised interleaving), so that drift meets
    every arm alike.
    """
    order = np.random.default_rng([seed, repeat]).permutation(len(scenarios))
    blocks: list[Block] = []
    for start in range(0, len(scenarios), group):
        chosen = tuple(scenarios[i] for i in order[start : start + group])
        key = [seed, repeat, start + 1]
        arm_order = np.random.default_rng(key).permutation(len(arms))
        offsets = workload.offsets(len(chosen), [*key, 1])
        blocks.append(
            Block(
                index=first + len(blocks),
                repeat=repeat,
                warmup=warmup,
                scenarios=chosen,
                arms=tuple(arms[i] for i in arm_order),
                offsets=None if offsets is None else tuple(offsets),
            )
        )
    return blocks
