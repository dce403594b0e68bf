"""Draws of every shape that a scenario knows, by inversion of uniforms between 0 and 1."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from scipy.special import betaincinv, ndtr

from abm.equations import FloatArray
from abm.fleet.stays import truncated_normal

# Points at which the distribution of a mixture is worked out; between them it is a straight line.
MIXTURE_POINTS = 4097


class Shaped(Protocol):
    """What says a shape: a distribution of the scenario."""

    @property
    def shape(self) -> str:
        """Name of the shape."""

    @property
    def quantiles(self) -> list[float] | None:
        """Of shape empirical."""

    @property
    def parts(self) -> list[list[float]] | None:
        """Of shape mixture."""


def draws(
    u: FloatArray,
    of: Shaped,
    low: float,
    high: float,
    mean: float,
    sd: float,
    unit: float = 1.0,
    origin: float = 0.0,
) -> FloatArray:
    """Draws of a distribution between low and high, by inversion of uniforms u.

    mean, sd: what the shape takes of them. unit, origin: of `quantiles` and `parts`, and where a
    lognormal begins.
    """
    if of.shape == "normal":
        return truncated_normal(u, low, high, mean, sd)
    if of.shape == "uniform" or high == low:
        return np.asarray(low + u * (high - low))
    if of.shape == "lognormal":
        return origin + lognormal(u, low - origin, high - origin, mean - origin, sd)
    if of.shape == "beta":
        return beta(u, low, high, mean, sd)
    if of.shape == "empirical":
        points = origin + unit * np.array(of.quantiles, dtype=np.float64)
        found = np.interp(u * (len(points) - 1), np.arange(len(points)), points)
        return np.clip(found, low, high)
    parts = np.array(of.parts, dtype=np.float64) * (1.0, unit, unit) + (0.0, origin, 0.0)
    return mixture(u, low, high, parts)


def lognormal(u: FloatArray, low: float, high: float, mean: float, sd: float) -> FloatArray:
    """Draws of a lognormal of this mean > 0 and sd, truncated to [low, high], low >= 0."""
    of_log = math.sqrt(math.log1p((sd / mean) ** 2))
    middle = math.log(mean) - of_log**2 / 2.0
    least = math.log(low) if low > 0.0 else -math.inf
    return np.exp(truncated_normal(u, least, math.log(high), middle, of_log))


def beta(u: FloatArray, low: float, high: float, mean: float, sd: float) -> FloatArray:
    """Draws of a beta distribution on [low, high] with this mean and sd."""
    a, b = beta_parameters(low, high, mean, sd)
    return np.asarray(low + (high - low) * betaincinv(a, b, u))


def beta_parameters(low: float, high: float, mean: float, sd: float) -> tuple[float, float]:
    """Both parameters of a beta distribution by its moments, above 0 where there is such a one."""
    middle, variance = (mean - low) / (high - low), (sd / (high - low)) ** 2
    size = middle * (1.0 - middle) / variance - 1.0
    return middle * size, (1.0 - middle) * size


def mixture(u: FloatArray, low: float, high: float, parts: FloatArray) -> FloatArray:
    """Draws of a mixture of normals truncated to [low, high]; parts: (m, 3), weight, mean, sd."""
    x = np.linspace(low, high, MIXTURE_POINTS)
    below = mixture_below(x, parts)
    below = (below - below[0]) / (below[-1] - below[0])
    return np.interp(u, below, x)


def mixture_below(x: FloatArray, parts: FloatArray) -> FloatArray:
    """Probability of a mixture of normals below x, before it is truncated."""
    weight, mean, sd = parts.T
    return np.asarray(ndtr((x[:, None] - mean) / sd) @ (weight / weight.sum()))
