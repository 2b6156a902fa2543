"""Recomputes the table of known answers in docs/method.md: ``make method-table``, two minutes.

Each row has an expected figure that was not made by this code: worked out by hand, taken from the
literature, or simulated beforehand with 2,000 to 20,000 replications. Seeds are pinned, so the same
libraries give the same table. ``tests/test_method_doc.py`` checks what the document shows.
"""

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from scipy import stats

from harness.gates import client
from harness.stats.compare import Comparison, block_ratio, gm_ratio, mean_ratio
from harness.stats.estimate import mean, proportion, quantile
from harness.stats.power import chance_of_noise, cv_of_no_effect, early_stopping_n
from harness.stats.sample import Pairs, sample
from harness.stats.sequential import (
    FIRST_LOOK,
    log_e_value,
    multiplier,
    sequential_gm_ratio,
    tuned_g,
)
from harness.stats.verdict import Judgement, VerdictName, verdict
from tests.gates_lib import ARMS, Plan, draw, failing, recorded
from tests.stats.build import trial
from tests.stats.draw import A, B, correlated, log_sd

DOC = Path(__file__).parent.parent / "docs" / "method.md"
BEGIN, END = "<!-- known answers: begin -->", "<!-- known answers: end -->"
HEAD = ("", "figure", "expected", "this code", "n", "standard error")
EXACT = "exact"
REFERENCE_RUNS = 2000
"""Replications behind an expected rate, at least."""

RUNS = 20_000  # of what is drawn all at once
EXPERIMENTS = 2000  # of what goes through the package one by one
CLEAN_RUNS = 4000
FAULTY_RUNS = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """What the code gives: figures as shown; each one's standard error and the number of
    simulated experiments behind it, or () and None for what is exact.
    """

    shown: tuple[str, ...]
    errors: tuple[float, ...] = ()
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    ``expected``: one part for each figure, or one for all of them: a number, ``≤ a``, ``≥ a``,
    ``< a``, ``a–b``, or words.
    """

    known: str
    figure: str
    expected: str
    compute: Callable[[], Found]

    def cells(self) -> tuple[str, ...]:
        """The row as it stands in the table."""
        found = self.compute()
        simulations = EXACT if found.n is None else f"{found.n:,}"
        errors = " / ".join(f"{error:.4f}" for error in found.errors) or "–"
        return self.known, self.figure, self.expected, " / ".join(found.shown), simulations, errors


def holds(cells: Sequence[str]) -> bool:
    """Whether the figures of a row of the table are the expected ones.

    Numbers within 3 standard errors, the expected figure's own included, and half a unit of its
    last digit; exact ones within the half unit. Bounds and words as they stand.
    """
    _, _, expected, shown, simulations, errors = cells
    figures = shown.split(" / ")
    wanted = expected.split(" / ")
    wanted = wanted * len(figures) if len(wanted) == 1 else wanted
    spread = [0.0] * len(figures) if simulations == EXACT else map(float, errors.split(" / "))
    return all(_holds(*three) for three in zip(wanted, figures, spread, strict=True))


def _holds(wanted: str, shown: str, error: float) -> bool:
    if wanted == shown:
        return True
    sign, _, bound = wanted.rpartition(" ")
    low, dash, high = wanted.partition("–")
    if sign in ("≤", "≥", "<"):
        value, limit = float(shown), float(bound)
        return value <= limit if sign == "≤" else value >= limit if sign == "≥" else value < limit
    if dash:
        return float(low) <= float(shown) <= float(high)
    try:
        known, value = float(wanted), float(shown)
    except ValueError:  # words
        return False
    own = 0.0
    if error or known == 0:
        own = math.sqrt(max(known, 5e-4) * max(0.0, 1 - known) / REFERENCE_RUNS)
    unit = 10.0 ** -len(wanted.partition(".")[2])
    return abs(value - known) <= 3 * math.hypot(error, own) + unit / 2 + 1e-9


def rates(hits: Iterable[float], n: int) -> Found:
    """Shares of ``n`` simulated experiments."""
    shares = list(hits)
    errors = tuple(math.sqrt(share * (1 - share) / n) for share in shares)
    return Found(tuple(f"{share:.4f}" for share in shares), errors, n)


def exact(*figures: float | str | None, digits: int = 6) -> Found:
    return Found(
        tuple(
            "none" if x is None else x if isinstance(x, str) else f"{x:.{digits}f}" for x in figures
        )
    )


def words(judged: Judgement) -> str:
    """``supported``, or ``refuted, no effect``."""
    qualifier = "" if judged.qualifier is None else ", " + judged.qualifier.replace("_", " ")
    return judged.verdict + qualifier


# K1: noise alone, and the published reports


def noise(cv: float) -> Found:
    n, seed = 5 * RUNS, round(100 * cv)
    return rates(
        (chance_of_noise(cv, k, 0.15, seed=seed, simulations=n) for k in (1, 3, 5, 10, 30)), n
    )


def reports() -> Found:
    pooled = gm_ratio(Pairs.of([8.63, 8.5], [7.34, 9.5]))
    cv = cv_of_no_effect([7.34 / 8.63, 9.5 / 8.5])
    return Found((f"{cv:.3f}", f"{pooled.ratio:.3f}", f"{pooled.lo:.2f}", f"{pooled.hi:.2f}"))


# K2 to K4: the worked example, the confidence sequence, the algebra


def worked(estimator: Callable[[Pairs], Comparison]) -> Found:
    found = estimator(Pairs.of(A, B))
    return exact(found.ratio, found.lo, found.hi, words(verdict(found.lo, found.hi, 0.15)))


def multipliers() -> Found:
    return exact(*(multiplier(n) for n in (7, 10, 30, 100)))


def e_values() -> Found:
    return exact(math.exp(log_e_value(multiplier(30), 30)), log_e_value(3, 30))


def algebra(lo: float, hi: float) -> Found:
    return exact(words(verdict(lo, hi, 0.15)))


# K5: coverage


def covered(found: Sequence[Comparison], truth: float) -> float:
    inside = [c.lo is not None and c.hi is not None and c.lo <= truth <= c.hi for c in found]
    return sum(inside) / len(inside)


def coverage(estimator: Callable[[Pairs], Comparison]) -> Found:
    shares = []
    for n in (10, 30, 100):
        a, b = correlated(np.random.default_rng([5, n]), 0.2, 0.5, (EXPERIMENTS, n), ratio=0.85)
        found = [estimator(Pairs.of(x, y)) for x, y in zip(a, b, strict=True)]
        shares.append(covered(found, 0.85))
    return rates(shares, EXPERIMENTS)


def scenario_coverage() -> Found:
    """Six scenarios with effects that vary by .1, ten blocks of each."""
    rng = np.random.default_rng(51)
    effect = math.log(0.85) + 0.1 * rng.standard_normal((EXPERIMENTS, 6, 1))
    d = effect + log_sd(0.2) * rng.standard_normal((EXPERIMENTS, 6, 10))
    names = [f"s{i}" for i in range(6) for _ in range(10)]
    pairs = [Pairs.of(np.ones(60), np.exp(x.ravel()), scenarios=names) for x in d]
    found = (
        [gm_ratio(x, scope="scenarios like these") for x in pairs],
        [gm_ratio(x) for x in pairs],
    )
    return rates((covered(x, 0.85) for x in found), EXPERIMENTS)


def unequal_coverage() -> Found:
    """Equal means, CV .1 against .3, 100 blocks."""
    rng = np.random.default_rng(52)
    a, b = (
        np.exp(log_sd(cv) * rng.standard_normal((EXPERIMENTS, 100)) - log_sd(cv) ** 2 / 2)
        for cv in (0.1, 0.3)
    )
    pairs = [Pairs.of(x, y) for x, y in zip(a, b, strict=True)]
    found = ([estimator(x) for x in pairs] for estimator in (gm_ratio, mean_ratio))
    return rates((covered(x, 1.0) for x in found), EXPERIMENTS)


# K6: the cost of looking


def looking(horizon: int) -> Found:
    x = np.random.default_rng([6, horizon]).standard_normal((RUNS, horizon))
    n = np.arange(2, horizon + 1)
    centre = x.cumsum(axis=1)[:, 1:] / n
    spread = np.sqrt(((x * x).cumsum(axis=1)[:, 1:] - n * centre**2) / (n - 1))
    t = np.abs(centre) * np.sqrt(n) / spread
    fixed = t > np.asarray(stats.t.ppf(0.975, n - 1))
    always = t > np.array([multiplier(int(k), g=tuned_g(horizon)) for k in n])
    wrong = (
        fixed[:, n >= 5].any(axis=1),
        fixed[:, n % 10 == 0].any(axis=1),
        always[:, n >= FIRST_LOOK].any(axis=1),
        fixed[:, -1],
    )
    return rates((float(np.mean(x)) for x in wrong), RUNS)


# K7 to K9: coordinated omission, ranks, LoadGen


def omission() -> Found:
    """Eight requests at 10/s, each served in 0.5 s, one at a time."""
    free, records = 0.0, []
    for i in range(8):
        start = max(i / 10, free)
        free = start + 0.5
        records.append(trial(block=i, scheduled=i / 10, delay=start - i / 10, took=free - i / 10))
    service = sample(records, "sync", "service_time").values
    response = sample(records, "sync").values
    p99 = quantile(response, 0.99).point
    return exact(mean(service).point, mean(response).point, p99, float(response.max()), digits=3)


def ranks(n: int, p: float) -> Found:
    found = quantile(np.arange(1.0, n + 1), p)
    return exact(found.lo, found.hi, digits=0)


def early_stopping(over: int) -> Found:
    return exact(*(early_stopping_n(p, over) for p in (0.9, 0.95, 0.99)), digits=0)


# K10: several at once


def at_once(k: int, cv: float) -> np.ndarray:
    """Seconds of k edits in 40,000 blocks."""
    rng = np.random.default_rng([10, k, round(100 * cv)])
    return np.exp(log_sd(cv) * rng.standard_normal((2 * RUNS, k)))


def ratios(found: Iterable[Comparison], digits: int) -> Found:
    """Estimates of one large experiment each, with their standard errors."""
    shown, errors = [], []
    for comparison in found:
        assert comparison.ratio is not None
        assert comparison.sd is not None
        shown.append(f"{comparison.ratio:.{digits}f}")
        errors.append(comparison.ratio * comparison.sd / math.sqrt(comparison.n))
    return Found(tuple(shown), tuple(errors), 2 * RUNS)


def makespans() -> Found:
    times = [at_once(3, cv) for cv in (0.1, 0.2, 0.3)]
    return ratios((block_ratio(Pairs.of(x.sum(axis=1), x.max(axis=1))) for x in times), 4)


def speed_ups(cv: float) -> Found:
    times = [at_once(k, cv) for k in (3, 5, 10)]
    return ratios((mean_ratio(Pairs.of(x.max(axis=1), x.sum(axis=1))) for x in times), 3)


# K11: drift


def ar1(rng: np.random.Generator, length: int, phi: float = 0.8) -> np.ndarray:
    """Stationary AR(1) series, one per row."""
    x = rng.standard_normal((RUNS, length))
    x[:, 0] /= math.sqrt(1 - phi * phi)
    for i in range(1, length):
        x[:, i] += phi * x[:, i - 1]
    return x


def one_after_the_other() -> Found:
    shares = []
    for each in (4, 5):
        x = ar1(np.random.default_rng([11, each]), 2 * each)
        p = np.asarray(stats.ttest_ind(x[:, :each], x[:, each:], axis=1).pvalue)
        shares.append(float((p < 0.05).mean()))
    return rates(shares, RUNS)


def interleaved() -> Found:
    shares = []
    for blocks in (4, 10, 30):
        rng = np.random.default_rng([11, blocks, 2])
        x = rng.permuted(ar1(rng, 2 * blocks).reshape(RUNS, blocks, 2), axis=2)
        p = np.asarray(stats.ttest_rel(x[..., 0], x[..., 1], axis=1).pvalue)
        shares.append(float((p < 0.05).mean()))
    return rates(shares, RUNS)


# K12: verdicts


def verdicts(truth: float, n: int) -> Found:
    """CV .2 and ρ .5: about 15 %, from N blocks through the t interval to the verdict."""
    rng = np.random.default_rng([12, n, round(1000 * truth)])
    a, b = correlated(rng, 0.2, 0.5, (EXPERIMENTS, n), ratio=1 - truth)
    found = [gm_ratio(Pairs.of(x, y)) for x, y in zip(a, b, strict=True)]
    judged = Counter(verdict(c.lo, c.hi, 0.15).verdict for c in found)
    names: tuple[VerdictName, ...] = ("supported", "inconclusive", "refuted")
    return rates((judged[name] / EXPERIMENTS for name in names), EXPERIMENTS)


# K13 and K15: gates


@cache
def failures(plan: Plan, n: int) -> tuple[Counter[str], float]:
    """Failures by gate, and the share of experiments that fail any."""
    rng = np.random.default_rng([15, plan.blocks])
    found = [failing(draw(rng, plan)) for _ in range(n)]
    return Counter(name for bad in found for name in bad), sum(map(bool, found)) / n


CLEAN = Plan()


def agreeing() -> Found:
    return rates([failures(CLEAN, CLEAN_RUNS)[0]["G1"] / CLEAN_RUNS], CLEAN_RUNS)


def differing() -> Found:
    found = [failures(replace(CLEAN, bias=bias), FAULTY_RUNS)[0] for bias in (1.05, 1.1)]
    return rates((each["G1"] / FAULTY_RUNS for each in found), FAULTY_RUNS)


def clean(*plans: Plan) -> Found:
    return rates((failures(plan, CLEAN_RUNS)[1] for plan in plans), CLEAN_RUNS)


def caught(gate: str, plan: Plan) -> Found:
    return rates([failures(plan, FAULTY_RUNS)[0][gate] / FAULTY_RUNS], FAULTY_RUNS)


def stalled() -> Found:
    rng = np.random.default_rng(26)
    plan = Plan(blocks=24, cv=0.1, stalled=True)
    caught = 0
    for _ in range(FAULTY_RUNS):
        run = recorded(rng, draw(rng, plan))
        limit = client.bound({arm: [r for r in run.records if r.pipeline == arm] for arm in ARMS})
        caught += client.loop(run.blocks, ARMS, limit, exempt=False).ok is False
    return rates([caught / FAULTY_RUNS], FAULTY_RUNS)


# K14: proportions


def exact_coverage(interval: Callable[[int], tuple[float, float]]) -> float:
    """Coverage at n = 30, p = .95, summed over the binomial distribution."""
    inside = [k for k in range(31) if interval(k)[0] <= 0.95 <= interval(k)[1]]
    return float(np.sum(stats.binom.pmf(inside, 30, 0.95)))


def proportions() -> Found:
    from statsmodels.stats.proportion import (  # type: ignore[import-untyped]
        proportion_confint,
    )

    def own(k: int) -> tuple[float, float]:
        found = proportion(k, 30)
        assert found.lo is not None
        assert found.hi is not None
        return found.lo, found.hi

    def textbook(method: str, k: int) -> tuple[float, float]:
        lo, hi = proportion_confint(k, 30, method=method)
        return float(lo), float(hi)

    intervals = (partial(textbook, "normal"), partial(textbook, "beta"), own)
    return exact(*(exact_coverage(interval) for interval in intervals), digits=3)


ROWS: tuple[Row, ...] = (
    *(
        Row(
            "K1",
            f"15 % by noise alone, CV {cv:g}, n = 1 / 3 / 5 / 10 / 30",
            known,
            partial(noise, cv),
        )
        for cv, known in (
            (0.05, "0.011 / 0.000 / 0.000 / 0.000 / 0.000"),
            (0.10, "0.125 / 0.023 / 0.005 / 0.000 / 0.000"),
            (0.15, "0.221 / 0.092 / 0.043 / 0.008 / 0.000"),
            (0.20, "0.2809 / 0.158 / 0.098 / 0.035 / 0.001"),
            (0.30, "0.348 / 0.251 / 0.195 / 0.113 / 0.018"),
        )
    ),
    Row(
        "K1",
        "the two reports: CV that explains them; pooled ratio, its bounds",
        "0.098 / 0.975 / 0.17 / 5.53",
        reports,
    ),
    Row(
        "K2",
        "worked example: ratio, bounds, verdict",
        "0.891625 / 0.864143 / 0.919981 / supported",
        partial(worked, gm_ratio),
    ),
    Row(
        "K2",
        "the same by the confidence sequence",
        "0.891625 / 0.837248 / 0.949534 / inconclusive, direction only",
        partial(worked, sequential_gm_ratio),
    ),
    Row(
        "K3",
        "M, g = 5, n = 7 / 10 / 30 / 100",
        "inf / 5.365037 / 3.285168 / 3.142779",
        multipliers,
    ),
    Row("K3", "e-value at the radius; ln e, t = 3, n = 30", "20.000000 / 2.430695", e_values),
    *(
        Row("K4", f"m = .15, ratio in ({lo:g}, {hi:g})", known, partial(algebra, lo, hi))
        for lo, hi, known in (
            (0.78, 0.90, "supported"),
            (0.60, 0.75, "supported, understated"),
            (0.94, 0.99, "refuted, overstated"),
            (0.96, 1.04, "refuted, no effect"),
            (0.94, 1.03, "refuted, too small"),
            (1.02, 1.2, "refuted, reversed"),
            (0.86, 0.98, "inconclusive, direction only"),
            (0.86, 1.05, "inconclusive"),
        )
    ),
    Row(
        "K5",
        "coverage of the paired log-t, N = 10 / 30 / 100",
        "0.935–0.965",
        partial(coverage, gm_ratio),
    ),
    Row(
        "K5",
        "coverage of the paired delta-t, N = 10 / 30 / 100",
        "0.935–0.965",
        partial(coverage, mean_ratio),
    ),
    Row(
        "K5",
        "scenarios that differ: t over scenarios / over blocks",
        "0.935–0.965 / < 0.88",
        scenario_coverage,
    ),
    Row(
        "K5",
        "a ratio of means, CV .1 against .3: log-t / delta-t",
        "< 0.80 / 0.935–0.965",
        unequal_coverage,
    ),
    *(
        Row(
            "K6",
            f"false positives, horizon {horizon}: every block / every ten / sequence / fixed N",
            known,
            partial(looking, horizon),
        )
        for horizon, known in (
            (100, "0.334 / 0.201 / 0.022 / 0.050"),
            (200, "0.390 / 0.256 / 0.027 / 0.050"),
        )
    ),
    Row(
        "K7",
        "coordinated omission: mean service; mean, p99, longest response, s",
        "0.500 / 1.900 / 3.272 / 3.300",
        omission,
    ),
    *(
        Row("K8", f"ranks that bound p{100 * p:g}, n = {n}", known, partial(ranks, n, p))
        for n, p, known in (
            (100, 0.5, "40 / 61"),
            (100, 0.95, "90 / 100"),
            (100, 0.99, "97 / none"),
            (368, 0.99, "360 / 368"),
        )
    ),
    Row(
        "K9",
        "LoadGen's n for p90 / p95 / p99, none over",
        "44 / 90 / 459",
        partial(early_stopping, 0),
    ),
    Row("K9", "the same, one over", "64 / 130 / 662", partial(early_stopping, 1)),
    Row(
        "K10",
        "three at once: makespan ratio, CV .1 / .2 / .3",
        "0.3615 / 0.3891 / 0.4154",
        makespans,
    ),
    *(
        Row("K10", f"ideal speed-up, CV {cv:g}, k = 3 / 5 / 10", known, partial(speed_ups, cv))
        for cv, known in (
            (0.1, "2.76 / 4.46 / 8.61"),
            (0.2, "2.56 / 4.01 / 7.47"),
            (0.3, "2.38 / 3.64 / 6.55"),
        )
    ),
    Row(
        "K11",
        "AR(1), φ = .8, false positives: 4 A then 4 B / 5 and 5",
        "0.2997 / 0.3588",
        one_after_the_other,
    ),
    Row("K11", "the same in permuted pairs, 4 / 10 / 30 blocks", "0.050", interleaved),
    *(
        Row(
            "K12",
            f"true {100 * truth:g} %, N = {n}: supported / inconclusive / refuted",
            known,
            partial(verdicts, truth, n),
        )
        for truth, n, known in (
            (0.15, 30, "0.617 / 0.382 / 0.000"),
            (0.15, 60, "0.905 / 0.095 / 0.000"),
            (0.075, 30, "0.026 / 0.950 / 0.024"),
            (0.075, 60, "0.025 / 0.950 / 0.025"),
            (0.0, 30, "0.000 / 0.448 / 0.552"),
            (0.0, 60, "0.000 / 0.151 / 0.849"),
        )
    ),
    Row("K13", "G1 fails on clean runs, N = 60", "0.011", agreeing),
    Row("K13", "G1 fails where A′ is 5 % / 10 % slower, N = 60", "0.23 / 0.85", differing),
    Row(
        "K14",
        "coverage, n = 30, p = .95: Wald / Clopper–Pearson / this code",
        "0.782 / 0.984 / 0.939",
        proportions,
    ),
    Row(
        "K15",
        "clean runs that fail any gate, CV .2, N = 60 / 300",
        "≤ 0.03",
        partial(clean, CLEAN, replace(CLEAN, blocks=300)),
    ),
    Row(
        "K15",
        "the same, CV .05, N = 12 / CV .1, N = 24 / CV .15, ρ 0, N = 120",
        "≤ 0.03",
        partial(
            clean,
            Plan(blocks=12, cv=0.05),
            Plan(blocks=24, cv=0.1),
            Plan(blocks=120, cv=0.15, rho=0),
        ),
    ),
    *(
        Row("K15", f"caught: {fault}", "≥ 0.80", partial(caught, gate, plan))
        for fault, gate, plan in (
            ("A′ 10 % slower, N = 60", "G1", replace(CLEAN, bias=1.1)),
            ("10 % drift, s = .1, N = 222", "G6", Plan(blocks=222, cv=0.1, drift=0.1)),
            ("first round 30 % slower, N = 60", "G7", replace(CLEAN, slow=1.3)),
            ("10 % more tokens, N = 24", "G8", Plan(blocks=24, tokens=1.1)),
            ("5 points more unanswered, N = 186", "G9", Plan(blocks=186, lost=0.05)),
            ("5 points more wrong, N = 210", "G9", Plan(blocks=210, right=1.0, wrong=0.05)),
        )
    ),
    Row("K15", "caught: loop stalled 50 ms twice a second, N = 24", "≥ 0.80", stalled),
)


def table(rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table with the heads of this document's."""
    lines = [HEAD, ("---",) * len(HEAD), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shown(text: str) -> list[list[str]]:
    """The rows of the table in a document. Raises ValueError without both markers, in order."""
    start, end = _inside(text)
    lines = [line for line in text[start:end].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def rewritten(text: str, rows: Iterable[Sequence[str]]) -> str:
    """The document with another table. Raises ValueError without both markers, in order."""
    start, end = _inside(text)
    return f"{text[:start]}\n{table(rows)}\n{text[end:]}"


def _inside(text: str) -> tuple[int, int]:
    start = text.index(BEGIN) + len(BEGIN)
    return start, text.index(END, start)


def main() -> int:
    """Rewrite the table; 1 when a figure is not the expected one."""
    rows = []
    for row in ROWS:
        rows.append(row.cells())
        print(*rows[-1], sep="  ", file=sys.stderr)
    DOC.write_text(rewritten(DOC.read_text("utf-8"), rows), "utf-8")
    wrong = [cells for cells in rows if not holds(cells)]
    for cells in wrong:
        print("not as expected:", *cells, file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
