"""Which distribution a measured quantity has: every shape fitted, and how far off it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from abm.equations import FloatArray
from abm.fleet.distributions import beta_parameters
from abm.fleet.owners import draw_quantity
from abm.scenario.fields import Spread

SHAPES = ("normal", "lognormal", "beta", "mixture", "empirical")
# Points at which a distribution is compared with data, and quantiles of an empirical one.
POINTS, QUANTILES = 20_001, 201
# Normals in a mixture at most, and rounds of the search for them.
MOST_PARTS, ROUNDS = 4, 200
# A shape whose distribution is nowhere further than this from that of the data will do.
GOOD_KS = 0.05


@dataclass(frozen=True)
class FittedShape:
    """One shape fitted to data. ks: largest difference of the two distributions; wasserstein: mean
    distance that probability has to be moved from one to the other, in the unit of the quantity.
    """

    spread: Spread
    ks: float
    wasserstein: float


def fit_shapes(data: FloatArray, low: float, high: float) -> dict[str, FittedShape]:
    """Every shape between low and high, low < high, fitted to data (n,)."""
    x = np.sort(np.asarray(data, dtype=np.float64))
    found = {}
    for name in SHAPES:
        spread = _spread(name, x, low, high)
        if spread is not None:
            found[name] = FittedShape(spread, *distances(x, spread))
    return found


def chosen(shapes: dict[str, FittedShape], wanted: str = "auto") -> str:
    """The shape wanted; auto: the one with parameters that is nearest, if it is near enough."""
    if wanted in shapes:
        return wanted
    best = min((name for name in shapes if name != "empirical"), key=lambda name: shapes[name].ks)
    return best if shapes[best].ks <= GOOD_KS else "empirical"


def distances(data: FloatArray, spread: Spread) -> tuple[float, float]:
    """Kolmogorov-Smirnov and Wasserstein distance of a spread from sorted data."""
    from scipy.stats import ks_2samp, wasserstein_distance

    model = draw_quantity((np.arange(POINTS) + 0.5) / POINTS, spread)
    ks = ks_2samp(data, model, method="asymp").statistic
    return float(ks), float(wasserstein_distance(data, model))


def _spread(name: str, x: FloatArray, low: float, high: float) -> Spread | None:
    between: dict[str, Any] = {"low": low, "high": high, "shape": name}
    mean, sd = float(x.mean()), float(x.std())
    if name == "normal":
        mean, sd = _truncated(x, low, high)
        # What the field allows: the mean of the normal before it was cut lies in the range.
        return Spread(**between, mean=_round(min(max(mean, low), high)), sd=_round(sd))
    if name == "lognormal":
        logs = np.log(np.maximum(x, 1e-3))
        middle, of_log = float(logs.mean()), max(float(logs.std()), 1e-3)
        mean = math.exp(middle + of_log**2 / 2.0)
        if not low <= mean <= high:
            return None
        return Spread(
            **between, mean=_round(mean), sd=_round(mean * math.sqrt(math.expm1(of_log**2)))
        )
    if name == "beta":
        a, b = beta_parameters(low, high, mean, max(sd, 1e-6))
        usable = a > 0.0 and b > 0.0 and sd > 0.0
        return Spread(**between, mean=_round(mean), sd=_round(sd)) if usable else None
    if name == "mixture":
        return Spread(**between, parts=mixture_parts(x, low, high))
    quantiles = np.clip(np.quantile(x, np.linspace(0.0, 1.0, QUANTILES)), low, high)
    return Spread(**between, quantiles=[_round(float(q)) for q in quantiles])


def _round(value: float) -> float:
    """Four digits are what a person wants to read in a scenario."""
    return float(f"{value:.4g}")


def _truncated(x: FloatArray, low: float, high: float) -> tuple[float, float]:
    """Mean and sd of the normal that, truncated to [low, high], makes the data most likely."""
    from scipy.optimize import minimize

    span = high - low

    def unlikely(p: Any) -> float:
        mean, sd = float(p[0]), math.exp(min(max(float(p[1]), -20.0), 20.0))
        inside = ndtr((high - mean) / sd) - ndtr((low - mean) / sd)
        if inside <= 1e-300 or not low <= mean <= high:
            return 1e12 + abs(mean)
        return float(np.mean(((x - mean) / sd) ** 2) / 2.0 + math.log(sd) + math.log(inside))

    start = [float(x.mean()), math.log(max(float(x.std()), 1e-3 * span))]
    best = minimize(unlikely, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-9})
    return float(best.x[0]), math.exp(float(best.x[1]))


def mixture_parts(x: FloatArray, low: float, high: float) -> list[list[float]]:
    """Weight, mean and sd of the normals of a mixture, by expectation and maximisation.

    As many as Schwarz's criterion (BIC) says, `MOST_PARTS` at most; they begin at the quantiles of
    the data, so that the same data have the same mixture.
    """
    # The search needs no more than so many to know it.
    sample = x if len(x) <= POINTS else np.quantile(x, (np.arange(POINTS) + 0.5) / POINTS)
    floor = max(0.01 * (high - low), 1e-3)
    best: tuple[float, FloatArray] | None = None
    for k in range(1, MOST_PARTS + 1):
        parts, likely = _search(sample, k, floor)
        criterion = (3 * k - 1) * math.log(len(sample)) - 2.0 * likely
        if best is None or criterion < best[0]:
            best = criterion, parts
    assert best is not None
    ordered = best[1][np.argsort(best[1][:, 1])]
    return [[_round(float(value)) for value in part] for part in ordered]


def _search(x: FloatArray, k: int, floor: float) -> tuple[FloatArray, float]:
    """Mixture of k normals, (k, 3), and the log of its likelihood; no sd falls below floor."""
    mean = np.quantile(x, (np.arange(k) + 0.5) / k)
    sd, weight = np.full(k, max(float(x.std()) / k, floor)), np.full(k, 1.0 / k)
    before = -math.inf
    for _ in range(ROUNDS):
        z = (x[:, None] - mean) / sd
        dense = weight * np.exp(-0.5 * z**2) / (sd * math.sqrt(2.0 * math.pi))
        total = np.maximum(dense.sum(axis=1), 1e-300)
        likely = float(np.log(total).sum())
        share = dense / total[:, None]
        n = np.maximum(share.sum(axis=0), 1e-9)
        weight, mean = n / n.sum(), (share * x[:, None]).sum(axis=0) / n
        sd = np.sqrt(np.maximum((share * (x[:, None] - mean) ** 2).sum(axis=0) / n, floor**2))
        if likely - before < 1e-6 * abs(likely):
            break
        before = likely
    return np.column_stack([np.maximum(weight, 1e-6), mean, sd]), likely
