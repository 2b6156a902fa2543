"""The worked example, and seeded lognormal latencies for simulations."""

import math

import numpy as np

A = [8.63, 7.9, 8.2, 9.1, 7.5, 8.8, 8.0, 9.4, 7.7, 8.5, 8.1, 9.0]
B = [7.34, 7.8, 7.1, 8.2, 7.0, 7.4, 7.3, 8.3, 6.9, 7.2, 7.6, 7.7]


def log_sd(cv: float) -> float:
    """The standard deviation of the logarithm of a lognormal with coefficient of variation cv."""
    return math.sqrt(math.log1p(cv * cv))


def correlated(
    rng: np.random.Generator, cv: float, rho: float, shape: tuple[int, ...], ratio: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Two arms with log values correlated by rho; the second is ``ratio`` times as long."""
    shared, own_a, own_b = rng.standard_normal((3, *shape))
    mix = math.sqrt(rho), math.sqrt(1 - rho)
    a, b = (np.exp(log_sd(cv) * (mix[0] * shared + mix[1] * own)) for own in (own_a, own_b))
    return a, ratio * b
