"""Equations (19)-(23): what owners pay, earn and save. Prices $/kWh, energies kWh, money $."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from abm.fleet.equations import FloatArray


def purchase_cost(price: ArrayLike, energy_kwh: ArrayLike) -> FloatArray:
    """Cost of energy drawn, eqs. (19), (20): alpha(h) x E_cg(h). -> [$]."""
    return np.multiply(price, energy_kwh)


def sale_revenue(price: ArrayLike, energy_kwh: ArrayLike, sale_ratio: float = 0.6) -> FloatArray:
    """Revenue of energy supplied, eq. (21): alpha(h) x 0.6 x E_dg(h). -> [$]."""
    return np.multiply(price, energy_kwh) * sale_ratio


def financial_benefit(
    g2v_purchase: ArrayLike, evms_purchase: ArrayLike, evms_sale: ArrayLike
) -> FloatArray:
    """Benefit beta of each RPZ, eq. (22): cost(G2V) - (purchase(EVMS) - sale(EVMS)). -> [$].

    The print subtracts the sale; Table III adds it, and so do we.
    """
    return np.subtract(g2v_purchase, np.subtract(evms_purchase, evms_sale))


def total_benefit(benefit: ArrayLike) -> float:
    """Benefit of all RPZs, eq. (23): their sum. -> [$]."""
    return float(np.sum(benefit))


def reference_cost(
    price: ArrayLike,
    arrival_min: ArrayLike,
    departure_min: ArrayLike,
    energy_kwh: ArrayLike,
    rating_kw: ArrayLike,
) -> FloatArray:
    """Cost of a stay that charges at once on arrival, C_G2V of eq. (22) for one EV. -> [$].

    price: (H,), of each hour of the horizon. Times in minutes from its start. Charging at rating_kw
    goes on until energy_kwh (grid side) is drawn, the EV departs or the horizon ends.
    """
    arrival, rating = np.asarray(arrival_min, np.float64), np.asarray(rating_kw, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = np.where(rating > 0.0, np.asarray(energy_kwh) / rating * 60.0, 0.0)
    end = np.maximum(np.minimum(arrival + wanted, departure_min), arrival)
    # The integral of the price over time is piecewise linear; beyond the horizon it is constant.
    paid = np.concatenate([[0.0], np.cumsum(price)])
    hours = np.arange(len(paid))
    cost = np.interp(end / 60.0, hours, paid) - np.interp(arrival / 60.0, hours, paid)
    return np.asarray(rating * cost)
