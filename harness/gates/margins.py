"""The tests behind the statistical gates: records or plain numbers → a value and its limit. Pure.

Each is a test of "no difference" at a two-sided ``level``, written as an effect and the size that
chance alone exceeds with that probability. None: not measurable. Warm-up is left out before.
"""

import math
from collections.abc import Hashable, Iterable

import numpy as np

from harness.gates.base import ROUNDING, Margin
from harness.records import TrialRecord
from harness.stats.compare import by_group
from harness.stats.sample import Floats, Ints

LEAST_TOKEN_CHANGE = math.log(1.02)


def autocorrelation(d: Floats, level: float) -> Margin | None:
    """Lag-1 autocorrelation of ``d`` (n,) in order, + 1/n for its bias; None for n < 3.

    r = Σ(dᵢ − d̄)(dᵢ₊₁ − d̄)/Σ(dᵢ − d̄)², limit z(1 − level/2)/√n.
    Source: Bartlett's large-sample error.
    """
    n = d.size
    if n < 3:
        return None
    from scipy import special

    e = d - d.mean()
    r = float(e[:-1] @ e[1:] / (e @ e)) + 1 / n if np.ptp(d) > ROUNDING else 0.0
    return Margin(r, float(special.ndtri(1 - level / 2)) / math.sqrt(n))


def trend(d: Floats, level: float) -> Margin | None:
    """The fitted change of ``d`` (n,) from first to last, in its own unit; None for n < 3.

    Least squares on the order, limit t(n − 2)·se. Assumes independent normal errors.
    """
    n = d.size
    if n < 3:
        return None
    x = np.linspace(-0.5, 0.5, n)
    slope = float(x @ d / (x @ x))
    e = d - d.mean() - slope * x
    return Margin(slope, _t(level, n - 2) * math.sqrt(e @ e / (n - 2) / (x @ x)))


def first_round(records: Iterable[TrialRecord], level: float) -> Margin | None:
    """Log response times of the first round less those of the others, all arms pooled.

    Times are centred per arm and scenario and averaged by block, as the arms of a block rise
    together. Only a slower first round counts, so ``level`` is one-sided. Pooled t;
    df = N − B − 1 for N blocks, B of them in a round: centring takes B means, the difference one.
    None with one round or no df left.
    """
    found = [
        (record, math.log(time))
        for record in records
        if (time := record.response_time) is not None and time > 0
    ]
    if not found:
        return None
    logs = np.array([time for _, time in found])
    cells = codes((record.pipeline, record.scenario) for record, _ in found)
    centred = logs - by_group(logs, cells)[cells]
    blocks = codes(record.block for record, _ in found)
    repeats = by_group(np.array([float(record.repeat) for record, _ in found]), blocks)
    return first_against_rest(by_group(centred, blocks), repeats, level)


def first_against_rest(x: Floats, repeats: Floats, level: float) -> Margin | None:
    """``first_round`` from the blocks' centred means ``x`` and their rounds, both (N,)."""
    first = repeats == repeats.min()
    ones, rest = x[first], x[~first]
    df = x.size - x.size / np.unique(repeats).size - 1
    if not rest.size or df < 1:
        return None
    squares = ((ones - ones.mean()) ** 2).sum() + ((rest - rest.mean()) ** 2).sum()
    error = math.sqrt(squares / df * (1 / ones.size + 1 / rest.size))
    return Margin(float(ones.mean() - rest.mean()), _t(2 * level, df) * error, True)


def token_change(
    records: Iterable[TrialRecord], baseline: str, candidate: str, level: float
) -> Margin | None:
    """Log ratio of output tokens, candidate / baseline; None for fewer than two blocks.

    Pairs of trials that were both right, so that cut-off and refused answers (which are unequal
    success) do not count; of each kind of call the last that was counted, so that a retry is no
    more work. t over blocks; the limit is at least ln 1.02.
    """
    tokens: dict[str, dict[tuple[int, str, int], int]] = {baseline: {}, candidate: {}}
    for record in records:
        if record.pipeline in tokens and record.outcome == "ok":
            used = {a.call: a.usage.completion for a in record.attempts if a.usage is not None}
            if total := sum(used.values()):
                tokens[record.pipeline][record.block, record.scenario, record.repeat] = total
    a, b = tokens[baseline], tokens[candidate]
    both = sorted(a.keys() & b.keys())
    logs = np.array([math.log(b[key] / a[key]) for key in both])
    return mean_change(by_group(logs, codes(key[0] for key in both)), level, LEAST_TOKEN_CHANGE)


def mean_change(d: Floats, level: float, tolerance: float = 0.0) -> Margin | None:
    """The mean of ``d`` (n,), limit t(n − 1)·sd/√n but at least ``tolerance``; None for n < 2."""
    if d.size < 2:
        return None
    limit = _t(level, d.size - 1) * float(d.std(ddof=1)) / math.sqrt(d.size)
    return Margin(float(d.mean()), max(tolerance, limit))


def cached_share(records: Iterable[TrialRecord], arm: str) -> float | None:
    """Cached tokens / prompt tokens of the calls whose cached tokens the server counted."""
    counted = [
        (attempt.usage.cached, attempt.usage.prompt)
        for record in records
        if record.pipeline == arm
        for attempt in record.attempts
        if attempt.usage is not None and attempt.usage.cached is not None
    ]
    prompt = sum(tokens for _, tokens in counted)
    return sum(tokens for tokens, _ in counted) / prompt if prompt else None


def share_difference(baseline: tuple[int, int], candidate: tuple[int, int], level: float) -> Margin:
    """Difference of two shares k/n in points, candidate less baseline; both n ≥ 1.

    Limit z(1 − level/2)·√(p̄(1 − p̄)(1/nA + 1/nB)), p̄ the pooled share: the score test of
    equality. By enumeration it fails wrongly in .0064 of runs at most at level .005.
    """
    (ka, na), (kb, nb) = baseline, candidate
    from scipy import special

    pooled = (ka + kb) / (na + nb)
    error = math.sqrt(pooled * (1 - pooled) * (1 / na + 1 / nb))
    return Margin(kb / nb - ka / na, float(special.ndtri(1 - level / 2)) * error)


def codes(keys: Iterable[Hashable]) -> Ints:
    """Each key's number in order of first appearance, for ``by_group``."""
    order: dict[Hashable, int] = {}
    return np.array([order.setdefault(key, len(order)) for key in keys], dtype=np.int64)


def _t(level: float, df: float) -> float:
    """The quantile t(1 − level/2) of Student's distribution."""
    from scipy import special

    return float(special.stdtrit(df, 1 - level / 2))
