"""Wrong verdicts and power of the blinded re-estimation (decisions 6 and 10): after ten blocks, and
after half of the blocks that the true sd asks for.

Claims of about 15 %. For each sd of the log ratio: supported and refuted where half the claim is
true (both wrong), supported where the claim is, refuted where nothing is. A minute.
Run from the project's root: python -m docs.decisions.simulations.reestimation
"""

import math

import numpy as np
from scipy import stats

from harness.stats.power import reestimated_n
from harness.stats.verdict import claim_line

LINE = claim_line(0.15)
MOST = 600


def decided(
    rng: np.random.Generator, truth: float, sd: float, round_size: int, runs: int, look: int
) -> tuple[float, float]:
    """Shares of supported and of refuted claims."""
    d = math.log1p(-truth) + sd * rng.standard_normal((runs, MOST + round_size))
    first = d[:, :look].std(axis=1, ddof=1).tolist()
    n = np.array([max(look, reestimated_n(s, LINE, MOST, round_size)) for s in first])
    mean, square = (
        np.take_along_axis(x.cumsum(axis=1), n[:, None] - 1, axis=1)[:, 0] / n for x in (d, d * d)
    )
    half = stats.t.ppf(0.975, n - 1) * np.sqrt((square - mean**2) / (n - 1))
    return float((mean + half < LINE).mean()), float((mean - half > LINE).mean())


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    for round_size in (1, 6):
        for sd in (0.05, 0.08, 0.1, 0.14, 0.2, 0.28, 0.4):
            planned = reestimated_n(sd, LINE, MOST, round_size)
            for look in dict.fromkeys((10, max(10, planned // 2))):
                wrong = np.mean(
                    [decided(rng, 0.075, sd, round_size, 10_000, look) for _ in range(5)], axis=0
                )
                supported, _ = decided(rng, 0.15, sd, round_size, 10_000, look)
                _, refuted = decided(rng, 0.0, sd, round_size, 10_000, look)
                print(
                    f"rounds of {round_size}, sd {sd:.2f}, look at {look}: wrong {wrong[0]:.4f}"
                    f" and {wrong[1]:.4f}, power {supported:.3f} and {refuted:.3f}"
                )
