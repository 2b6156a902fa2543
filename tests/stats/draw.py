"""Seeded lognormal latencies for simulations."""

import math

import numpy as np


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
