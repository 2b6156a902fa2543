"""False positives of A A A A B B B B under drift, exactly and by simulation (decision 6).

Identical arms, AR(1) with φ = .8, pooled t over k runs of each. The t statistic exceeds its bound
where a quadratic form of the series is positive; the chance of that is Imhof's integral
(Biometrika 48, 1961).

Run from the project's root: python -m docs.decisions.simulations.blocked_runs
"""

import math

import numpy as np
from scipy import integrate, stats

PHI = 0.8


def exactly(k: int, start: float = 1 / (1 - PHI * PHI)) -> float:
    """P(p < .05) for k runs of each arm; ``start``: variance of the first value."""
    n = 2 * k
    noise = np.diag([start] + [1.0] * (n - 1))
    path = np.tril(PHI ** np.subtract.outer(np.arange(n), np.arange(n)).clip(0))
    covariance = path @ noise @ path.T
    arm = np.repeat([1.0, -1.0], k) / k
    within = np.eye(n) - np.kron(np.eye(2), np.full((k, k), 1 / k))
    bound = float(stats.t.ppf(0.975, n - 2)) ** 2 * (2 / k) / (n - 2)
    form = np.outer(arm, arm) - bound * within
    weights = np.linalg.eigvals(form @ covariance).real

    def integrand(u: float) -> float:
        angle = 0.5 * np.arctan(weights * u).sum()
        return float(math.sin(angle) / (u * np.prod(1 + (weights * u) ** 2) ** 0.25))

    value, _ = integrate.quad(integrand, 0, np.inf, limit=500)
    return 0.5 + value / math.pi


def simulated(k: int, runs: int = 20_000) -> float:
    rng = np.random.default_rng([11, k])
    x = rng.standard_normal((runs, 2 * k))
    x[:, 0] /= math.sqrt(1 - PHI * PHI)
    for i in range(1, 2 * k):
        x[:, i] += PHI * x[:, i - 1]
    p = np.asarray(stats.ttest_ind(x[:, :k], x[:, k:], axis=1).pvalue)
    return float((p < 0.05).mean())


if __name__ == "__main__":
    for k in (4, 5, 6):
        print(
            f"{k} and {k}: exactly {exactly(k):.4f}, simulated {simulated(k):.4f},"
            f" from a cold start exactly {exactly(k, start=1.0):.4f}"
        )
