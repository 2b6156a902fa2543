"""Coverage of the log-t interval taken for a ratio of means, CV .1 against .3 (decision 6).

Arms of equal means, 100 blocks, log times correlated by ρ. The paired delta-t beside it.
Run from the project's root: python -m docs.decisions.simulations.log_t_of_means
"""

import math

import numpy as np
from scipy import stats

from tests.stats.draw import log_sd

RUNS, N = 20_000, 100


def covers(x: np.ndarray) -> float:
    half = stats.t.ppf(0.975, N - 1) * x.std(axis=1, ddof=1) / math.sqrt(N)
    return float((np.abs(x.mean(axis=1)) <= half).mean())


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    for rho in (0.0, 0.1, 0.2, 0.5):
        shared, own = rng.standard_normal((RUNS, N)), rng.standard_normal((RUNS, N))
        a = np.exp(log_sd(0.1) * shared - log_sd(0.1) ** 2 / 2)
        mixed = rho * shared + math.sqrt(1 - rho * rho) * own
        b = np.exp(log_sd(0.3) * mixed - log_sd(0.3) ** 2 / 2)
        top, bottom = b.mean(axis=1, keepdims=True), a.mean(axis=1, keepdims=True)
        delta = np.log(top / bottom) + b / top - a / bottom
        print(f"rho {rho}: log-t {covers(np.log(b / a)):.4f}, delta-t {covers(delta):.4f}")
