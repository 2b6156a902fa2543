"""Two runs → a ratio B/A with its interval.

Two runs share no blocks, so nothing is paired trial by trial. What they can share is scenarios:
then a scenario's mean in A is paired with its mean in B, and scenarios are the replicates. Between
runs there is also what all scenarios of a round have in common (a slow minute, a busy block), which
pairs of scenarios cannot show: the spread of each run's rounds gives a second interval, and the
wider of the two is kept.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from harness.stats import compare, estimate
from harness.stats.compare import Comparison
from harness.stats.sample import Floats, Ints, Pairs

Mean = Literal["geometric", "arithmetic"]

ONE_ROUND = "one round in a run: what changes from round to round is not in the interval"


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """Measurements of one arm, shape (n,) each: the scenario as its place in ``names``, which are
    sorted, the round, and the value. ``parts``: what rounds are; stretches of a load are its
    batches of consecutive trials.
    """

    names: tuple[str, ...]
    scenario: Ints
    round: Ints
    value: Floats
    parts: Literal["rounds", "stretches"] = "rounds"

    @property
    def measured(self) -> list[str]:
        """The scenarios with a reading, by name."""
        return [self.names[code] for code in np.unique(self.scenario).tolist()]

    def only(self, names: Sequence[str]) -> "Readings":
        """The readings of these scenarios, by their places in ``names`` (sorted)."""
        place = {name: i for i, name in enumerate(names)}
        places = np.array([place.get(name, -1) for name in self.names], np.int64)
        found = places[self.scenario]
        kept = found >= 0
        return replace(
            self,
            names=tuple(names),
            scenario=found[kept],
            round=self.round[kept],
            value=self.value[kept],
        )

    def means(self, mean: Mean) -> Floats:
        """Each measured scenario's mean, by name; values must be positive for ``geometric``."""
        return self._means(mean, self.scenario)

    def means_of_parts(self, mean: Mean) -> Floats:
        """Each round's, or stretch's, mean."""
        return self._means(mean, self.round)

    def _means(self, mean: Mean, groups: Ints) -> Floats:
        if mean == "arithmetic":
            return compare.by_group(self.value, groups)
        return np.exp(compare.by_group(np.log(self.value), groups))


@dataclass(frozen=True, slots=True)
class Between:
    """A comparison of two runs; ``a`` and ``b``: what is compared, in the unit of the values
    (None: not measured); ``counts``: the n in words, such as ``8 scenarios``.
    """

    a: float | None
    b: float | None
    comparison: Comparison
    counts: str


def paired(a: Readings, b: Readings, mean: Mean, estimand: str, confidence: float) -> Between:
    """Ratio of means over the scenarios that both have; each scenario counts alike.

    ``geometric``: t on the differences of mean logs; ``arithmetic``: paired delta-t on the means.
    Assumes that scenarios are independent replicates, near normal; at least 2, else no interval.
    Where both runs have two rounds or more, Welch's t over rounds instead if that is wider: the
    round's mean deviation from the scenarios' means, which assumes independent rounds.
    """
    measured = set(a.measured), set(b.measured)
    names = sorted(measured[0] & measured[1])
    sides = [side.only(names) for side in (a, b)]
    counts = f"{len(names)} scenario{'' if len(names) == 1 else 's'}"
    if (bad := _not_positive(sides)) is not None:
        return Between(None, None, _nothing(estimand, len(names), confidence, bad), counts)
    means = [side.means(mean) for side in sides]
    pairs = Pairs.of(means[0], means[1], scenarios=names)
    if mean == "geometric":
        found = compare.gm_ratio(pairs, confidence, estimand=estimand)
    else:
        found = compare.mean_ratio(pairs, confidence, estimand)
    found = replace(found, method=found.method.replace("blocks", "scenarios"))
    effects = [_round_effects(side, of, mean) for side, of in zip(sides, means, strict=True)]
    lost = len(measured[0] ^ measured[1])
    if lost:
        note = f"{lost} scenarios were measured in one run only"
        found = replace(found, warnings=(*found.warnings, note))
    parts = "stretches" if all(side.parts == "stretches" for side in sides) else "rounds"
    return Between(
        _level(means[0], mean),
        _level(means[1], mean),
        _widened(found, effects[0], effects[1], parts),
        counts,
    )


def unpaired(
    a: Sequence[float], b: Sequence[float], mean: Mean, estimand: str, confidence: float, what: str
) -> Between:
    """Ratio of means of two independent samples: Welch's t on logs (``geometric``), or by the
    delta method on the values (``arithmetic``). At least 2 values each, else no interval.

    ``what``: the replicates in words: ``blocks``, ``scenarios`` or ``stretches``. They are taken as
    independent.
    """
    counts = f"{len(a)} + {len(b)} {what}"
    n, method = min(len(a), len(b)), f"Welch's t over {what}"
    if n == 0:
        return Between(
            None, None, _nothing(estimand, 0, confidence, estimate.few(0, 2), method), counts
        )
    if min(*a, *b) <= 0:
        bad = "a value is not positive: no ratio"
        return Between(None, None, _nothing(estimand, n, confidence, bad, method), counts)
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    levels = _level(x, mean), _level(y, mean)
    spread = [np.log(v) if mean == "geometric" else v / v.mean() for v in (x, y)]
    point = math.log(levels[1] / levels[0])
    half = welch(spread[0], spread[1], confidence)
    notes: tuple[str, ...] = (estimate.few(n, 2),) if half is None else ()
    if half == 0:
        notes = (estimate.no_variation(n),)
    found = Comparison(
        estimand,
        math.exp(point),
        None if half is None else math.exp(point - half),
        None if half is None else math.exp(point + half),
        n,
        0,
        confidence,
        method,
        notes,
    )
    return Between(*levels, found, counts)


def welch(a: Floats, b: Floats, confidence: float) -> float | None:
    """Half the width of Welch's interval of a difference of means; None for fewer than 2 values.

    0 where neither sample varies. Source: ``scipy.stats.ttest_ind(equal_var=False)``.
    """
    if min(a.size, b.size) < 2:
        return None
    # The values may be deviations from a mean of 0: around 1, rounding is seen as no spread.
    parts = [
        float(v.var(ddof=1)) / v.size if estimate.varies(v - v.mean() + 1) else 0.0 for v in (a, b)
    ]
    total = sum(parts)
    if total == 0:
        return 0.0
    from scipy import stats

    freedom = total**2 / sum(
        part**2 / (v.size - 1) for part, v in zip(parts, (a, b), strict=True) if part
    )
    return float(stats.t.ppf((1 + confidence) / 2, freedom)) * math.sqrt(total)


def _widened(found: Comparison, a: Floats, b: Floats, parts: str) -> Comparison:
    """``found`` with the interval over rounds where that is wider; ``a``, ``b``: round effects;
    ``parts``: what rounds are.
    """
    if found.ratio is None or not found.lo or found.hi is None:  # 0: past the range of floats
        return found
    half = welch(a, b, found.confidence)
    if half is None:
        return replace(found, warnings=(*found.warnings, ONE_ROUND))
    if half <= math.log(found.hi / found.lo) / 2:
        return found
    point = math.log(found.ratio)
    over = f"{a.size} + {b.size} {parts}"
    kept = tuple(text for text in found.warnings if "no width" not in text)
    return replace(
        found,
        lo=math.exp(point - half),
        hi=math.exp(point + half),
        method=f"Welch's t over {over} (wider than over scenarios)",
        warnings=(f"the interval is over {over}, which differ more than scenarios do", *kept),
        sd=None,
        p_value=None,
    )


def _level(values: Floats, mean: Mean) -> float:
    if values.size == 0:
        return math.nan
    return float(np.exp(np.log(values).mean()) if mean == "geometric" else values.mean())


def _round_effects(readings: Readings, means: Floats, mean: Mean) -> Floats:
    """Each round's mean deviation from the scenarios' means, on the log scale or nearly so."""
    value, own = readings.value, means[readings.scenario]
    deviation = np.log(value / own) if mean == "geometric" else (value - own) / _level(means, mean)
    return compare.by_group(deviation, readings.round)


def _not_positive(sides: Sequence[Readings]) -> str | None:
    """Why there is no ratio; None when there can be one."""
    values = np.concatenate([side.value for side in sides])
    if not values.size:
        return estimate.few(0, 2)
    if bad := int((~((values > 0) & (values < math.inf))).sum()):
        return f"{bad} values are not positive: no ratio"
    return None


def _nothing(estimand: str, n: int, confidence: float, why: str, method: str = "") -> Comparison:
    return Comparison(estimand, None, None, None, n, 0, confidence, method or "none", (why,))
