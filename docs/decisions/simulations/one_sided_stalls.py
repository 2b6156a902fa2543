"""The t interval where the candidate alone stalls now and then (known limits of the method).

CV .2 and ρ .5; a share of the candidate's calls takes several times as long. Run from the project's
root: python -m docs.decisions.simulations.one_sided_stalls
"""

import math

import numpy as np
from scipy import stats

from tests.stats.draw import log_sd

RUNS = 10_000

if __name__ == "__main__":
    rng = np.random.default_rng(0)
    for n in (30, 60, 120):
        for share, times in ((0.02, 3), (0.05, 2), (0.05, 3), (0.01, 5)):
            stalls = np.where(rng.random((RUNS, n)) < share, math.log(times), 0.0)
            d = log_sd(0.2) * rng.standard_normal((RUNS, n)) + stalls
            half = stats.t.ppf(0.975, n - 1) * d.std(axis=1, ddof=1) / math.sqrt(n)
            truth = share * math.log(times)
            below, above = (
                float((side * (d.mean(axis=1) - truth) > half).mean()) for side in (-1, 1)
            )
            print(
                f"N {n}, {share:.0%} of calls {times} times as long:"
                f" intervals below the truth {below:.4f}, above {above:.4f}"
            )
