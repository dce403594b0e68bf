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
