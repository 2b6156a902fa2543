"""Two recorded runs, A (old) and B (new): what changed, and whether the gates hold.

- ``expression``: ``p95<=+5%`` → a gate
- ``ratios``: values of two runs → a ratio with its interval
- ``arm``: a pipeline of one run
- ``rows``: a pipeline in both runs → a row for each metric
- ``caution``: whether the runs are comparable, and fit to judge
- ``decide``: a gate and a row → pass, fail or undecided
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.comparing.arm import Arm
from harness.comparing.caution import Caution, Facts, cautions, common_scenarios, facts
from harness.comparing.decide import Outcome, Ruling, overall, rule, undecided
from harness.comparing.expression import Gate, parse_gates
from harness.comparing.rows import CONFIDENCE, Row, compare_arms
from harness.errors import InputError
from harness.store import Run
from harness.trials import Recorded

__all__ = [
    "CONFIDENCE",
    "Caution",
    "Compared",
    "Facts",
    "Gate",
    "Outcome",
    "Result",
    "Row",
    "Ruling",
    "compare_runs",
    "parse_gates",
    "parse_pairs",
]


@dataclass(frozen=True, slots=True)
class Compared:
    """A pipeline by its name in each run, and its rows in the order of the metrics."""

    a: str
    b: str
    rows: tuple[Row, ...]

    @property
    def name(self) -> str:
        return self.a if self.a == self.b else f"{self.a} → {self.b}"

    def row(self, metric: str) -> Row:
        return next(row for row in self.rows if row.metric == metric)


@dataclass(frozen=True, slots=True)
class Result:
    """All that there is to say of two runs.

    ``scenarios``: how many are the same in both. ``only_a``, ``only_b``: pipelines that the other
    run lacks. ``rulings``: every gate for every compared pipeline; for a pipeline that B lacks too.
    """

    a: Facts
    b: Facts
    scenarios: int
    pipelines: tuple[Compared, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    cautions: tuple[Caution, ...]
    rulings: tuple[Ruling, ...]

    @property
    def outcome(self) -> Outcome | None:
        """The gates taken together; None without a gate."""
        return overall(self.rulings)


def parse_pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """``old=new`` or one name for both → (name in A, name in B). Raises InputError."""
    pairs = []
    for text in names:
        a, mark, b = (part.strip() for part in text.partition("="))
        if not a or "=" in b or bool(mark) != bool(b):
            raise InputError(f"--pipelines: {text!r} is neither NAME nor OLD=NEW")
        pairs.append((a, b or a))
    for i, pair in enumerate(pairs):
        if pair in pairs[:i]:
            raise InputError(f"--pipelines: {names[i]!r} is given twice")
    return pairs


def compare_runs(
    old: Run | Recorded,
    new: Run | Recorded,
    gates: Sequence[Gate] = (),
    pairs: Sequence[tuple[str, str]] | None = None,
) -> Result:
    """Compare B (``new``) with A (``old``).

    ``pairs``: pipelines by their names in A and B; None: all that both have.
    A pipeline of A that B lacks leaves its gates undecided, except the A/A arm, unless ``pairs``
    says what to compare. Raises InputError for a pipeline of ``pairs`` that its run lacks.
    """
    a, b = Recorded.of(old), Recorded.of(new)
    about = facts(a), facts(b)
    arms: tuple[list[str], list[str]] = (a.manifest["arms"], b.manifest["arms"])
    for label, side, run in zip("AB", (0, 1), (a, b), strict=True):
        for pair in pairs or ():
            if pair[side] not in arms[side]:
                raise InputError(
                    f"--pipelines: RUN_{label} ({run.folder}) has no pipeline {pair[side]!r}; "
                    f"it has {', '.join(arms[side])}"
                )
    chosen = [(name, name) for name in arms[0] if name in arms[1]] if pairs is None else pairs
    only_a, only_b = (
        tuple(name for name in mine if name not in theirs and pairs is None)
        for mine, theirs in (arms, arms[::-1])
    )
    doubts = cautions(a, b, about)
    common = common_scenarios(a, b)
    rulings: list[Ruling] = []
    compared = []
    for in_a, in_b in chosen:
        sides = (
            Arm(a, in_a, common or a.manifest["scenarios"].keys()),
            Arm(b, in_b, common or b.manifest["scenarios"].keys()),
        )
        made = Compared(in_a, in_b, tuple(compare_arms(*sides, CONFIDENCE, matched=bool(common))))
        whole = replace(sides[1], scenarios=b.manifest["scenarios"].keys())
        compared.append(made)
        rulings += [
            replace(
                rule(gate, made.row(gate.metric), whole, doubts, about[1].time_scale),
                a=in_a,
                b=in_b,
            )
            for gate in gates
        ]
    for name in only_a:
        if "@" not in name:
            reason = f"B has no pipeline {name}; leave it out with --pipelines if that is meant"
            rulings += [undecided(gate, reason, name) for gate in gates]
    if gates and not rulings:
        rulings = [undecided(gate, "no pipeline is in both runs") for gate in gates]
    return Result(
        *about, len(common), tuple(compared), only_a, only_b, tuple(doubts), tuple(rulings)
    )
