"""The owners' bills: energy of each interval of the price, eqs. (19)-(21)."""

from __future__ import annotations

import numpy as np

from abm.equations import FloatArray
from abm.equations.economics import purchase_cost, sale_revenue
from abm.fleet.fleet import Fleet


class Bills:
    """What the EVs of a fleet have paid and earned so far: its purchase_usd and sale_usd."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._charged: FloatArray = np.zeros(fleet.n)
        self._discharged: FloatArray = np.zeros(fleet.n)

    def book(self, price: float, sale_ratio: float) -> None:
        """Put the energy since the last call on the bills.

        price: alpha(h), $/kWh. sale_ratio: 0.6 in eq. (21).
        """
        fleet = self.fleet
        fleet.purchase_usd += purchase_cost(price, fleet.charged_kwh - self._charged)
        sold = fleet.discharged_kwh - self._discharged
        fleet.sale_usd += sale_revenue(price, sold, sale_ratio)
        np.copyto(self._charged, fleet.charged_kwh)
        np.copyto(self._discharged, fleet.discharged_kwh)
