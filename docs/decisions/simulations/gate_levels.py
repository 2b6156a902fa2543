"""False failures and detection of the gates: as first written, and as they are (decision 7).

Two minutes. Run from the project's root: python -m docs.decisions.simulations.gate_levels
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import stats
from statsmodels.stats.proportion import (  # type: ignore[import-untyped]
    confint_proportions_2indep,
)

from harness.gates import margins
from tests.gates_lib import Drawn, Plan, draw, failing

CLEAN = Plan()
DESIGNS = {
    "N 12": replace(CLEAN, blocks=12),
    "N 24, CV .1": Plan(blocks=24, cv=0.1),
    "N 60": CLEAN,
    "N 120, CV .15, rho 0": Plan(blocks=120, cv=0.15, rho=0),
    "N 300": replace(CLEAN, blocks=300),
}
FAULTS = {
    "G1: A' 10 % slower, N 60": ("G1", replace(CLEAN, bias=1.1)),
    "G6: 10 % drift, s .2, N 60": ("G6", replace(CLEAN, drift=0.1)),
    "G6: 10 % drift, s .1, N 204": ("G6", Plan(blocks=204, cv=0.1, drift=0.1)),
    "G6: 10 % drift, s .1, N 222": ("G6", Plan(blocks=222, cv=0.1, drift=0.1)),
    "G7: first round 30 % slower, N 60": ("G7", replace(CLEAN, slow=1.3)),
    "G8: 10 % more tokens, N 24": ("G8", Plan(blocks=24, tokens=1.1)),
    "G9: 5 points more unanswered, N 180": ("G9", Plan(blocks=180, lost=0.05)),
}


def first_text(drawn: Drawn) -> set[str]:
    """The failures of G6 to G9 by the limits of the first text."""
    logs = np.log(drawn.seconds)
    n, scenarios = len(logs), drawn.plan.scenarios
    d = logs[:, 2] - logs[:, 0]
    early, late = d[: n // 2], d[n // 2 :]
    interaction = (late.mean() - early.mean()) / math.sqrt(
        early.var(ddof=1) / early.size + late.var(ddof=1) / late.size
    )
    alike = margins.autocorrelation(d, 0.01)
    scenario = np.arange(n) % scenarios
    centred = (
        logs - np.array([logs[scenario == s].mean(axis=0) for s in range(scenarios)])[scenario]
    )
    x = centred.mean(axis=1)
    both = drawn.right[:, 0] & drawn.right[:, 2]
    tokens = np.log(drawn.tokens[both, 2] / drawn.tokens[both, 0])
    half = stats.t.ppf(0.975, tokens.size - 1) * tokens.std(ddof=1) / math.sqrt(tokens.size)
    lo, hi = confint_proportions_2indep(
        drawn.right[:, 2].sum(), n, drawn.right[:, 0].sum(), n, method="newcomb", compare="diff"
    )
    checks = {
        "G6": abs(interaction) > 2.58 or alike is None or not alike.ok,
        "G7": stats.ttest_ind(x[:scenarios], x[scenarios:]).pvalue < 0.01,
        "G8": tokens.mean() - half < math.log(0.95) or tokens.mean() + half > math.log(1.05),
        "G9": lo > 0 or hi < 0,
    }
    return {name for name, broken in checks.items() if broken}


def rates(
    judge: Callable[[Drawn], set[str]], plan: Plan, runs: int
) -> tuple[dict[str, float], float]:
    rng = np.random.default_rng([8, plan.blocks])
    found = [judge(draw(rng, plan)) for _ in range(runs)]
    each = Counter(name for bad in found for name in bad)
    return {name: each[name] / runs for name in sorted(each)}, sum(map(bool, found)) / runs


if __name__ == "__main__":
    for name, plan in DESIGNS.items():
        before, now = rates(first_text, plan, 1000), rates(failing, plan, 4000)
        print(f"clean, {name}: as first written {before[1]:.4f} {before[0]}")
        print(f"  now {now[1]:.4f} {now[0]}")
    for name, (gate, plan) in FAULTS.items():
        print(f"{name}: caught {rates(failing, plan, 1000)[0].get(gate, 0.0):.3f}")
