"""Temperatures and ageing of oil-immersed transformers: IEC 60076-7:2018, loading guide.

Its thermal model as differential equations, which hold for any load and any ambient temperature.
Each is linear in the temperature, so that over a step of constant load and ambient temperature it
is solved exactly, `lag` being what is left of a difference. docs/transformers.md has the equations,
(T1) to (T8), and where the constants come from.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from abm.equations import Values

KELVIN = 273.0  # as the standard rounds it
# Hot spot at which a transformer ages at its rated pace, degC, by paper.
RATED_HOT_SPOT_C = {"normal": 98.0, "upgraded": 110.0}


class Constants(NamedTuple):
    """What the guide recommends for a kind of transformer.

    loss_ratio: R, load losses at rated current over no-load losses. top_oil_rise_k: at rated
    losses, above the air. hot_spot_rise_k: at rated current, above the top oil (H gr).
    oil_exponent, winding_exponent: x, y. oil_time_min, winding_time_min: time constants.
    k11, k21, k22: of the thermal model.
    """

    loss_ratio: float
    top_oil_rise_k: float
    hot_spot_rise_k: float
    oil_exponent: float
    winding_exponent: float
    oil_time_min: float
    winding_time_min: float
    k11: float
    k21: float
    k22: float


COOLING = {
    "onan_distribution": Constants(5.0, 55.0, 23.0, 0.8, 1.6, 180.0, 4.0, 1.0, 1.0, 2.0),
    "onan": Constants(6.0, 52.0, 26.0, 0.8, 1.3, 210.0, 10.0, 0.5, 2.0, 2.0),
    "onaf": Constants(6.0, 52.0, 26.0, 0.8, 1.3, 150.0, 7.0, 0.5, 2.0, 2.0),
}


def top_oil_rise(load: Values, of: Constants) -> Values:
    """(T1) Rise of the top oil above the air in the steady state at a load [p.u.]. -> [K]."""
    ratio = of.loss_ratio
    losses = (1.0 + ratio * load**2) / (1.0 + ratio)
    return of.top_oil_rise_k * losses**of.oil_exponent


def hot_spot_rise(load: Values, of: Constants) -> Values:
    """(T2) Rise of the hot spot above the top oil in the steady state at a load [p.u.]. -> [K]."""
    return of.hot_spot_rise_k * load**of.winding_exponent


def time_constants(of: Constants) -> tuple[float, float, float]:
    """(T3) to (T5) Of the top oil, and of the two parts of the hot spot's rise above it [min]."""
    return of.k11 * of.oil_time_min, of.k22 * of.winding_time_min, of.oil_time_min / of.k22


def lag(step_min: float, constant_min: float) -> float:
    """(T6) What is left after a step of the difference from where a temperature goes to."""
    return float(np.exp(-step_min / constant_min))


def ageing_rate(hot_spot_c: Values, upgraded: bool) -> Values:
    """(T7), (T8) Relative ageing rate V of paper: normal, which doubles each 6 K, or upgraded."""
    if not upgraded:
        return 2.0 ** ((hot_spot_c - RATED_HOT_SPOT_C["normal"]) / 6.0)
    rated = RATED_HOT_SPOT_C["upgraded"] + KELVIN
    return np.exp(15000.0 / rated - 15000.0 / (hot_spot_c + KELVIN))
