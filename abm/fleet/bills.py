"""The owners' bills: energy of each step of the price, eqs. (19)-(21), with its fees and taxes."""

from __future__ import annotations

import numpy as np

from abm.equations import FloatArray
from abm.equations.economics import PriceParts, purchase_cost, sale_revenue
from abm.fleet.fleet import Fleet


class Bills:
    """What the EVs of a fleet have paid and earned so far: its purchase_usd and sale_usd.

    fee_usd, tax_usd: what of that is grid fee and tax, of both directions, (n,). sale_fee_usd: the
    grid fee of what is sold, (n,).
    """

    def __init__(self, fleet: Fleet, fees: bool = True, taxes: bool = True) -> None:
        """fees, taxes: whether there are any."""
        self.fleet, self._fees, self._taxes = fleet, fees, taxes
        self.fee_usd: FloatArray = np.zeros(fleet.n)
        self.sale_fee_usd: FloatArray = np.zeros(fleet.n)
        self.tax_usd: FloatArray = np.zeros(fleet.n)
        self._charged: FloatArray = np.zeros(fleet.n)
        self._discharged: FloatArray = np.zeros(fleet.n)

    def book(self, price: PriceParts) -> None:
        """Put the energy since the last call on the bills.

        price: of these hours, each part a number or one for each feeder, (n_feeders,).
        """
        fleet = self.fleet
        of_ev = PriceParts._make(self._by_ev(part) for part in price)
        bought, sold = fleet.charged_kwh - self._charged, fleet.discharged_kwh - self._discharged
        fleet.purchase_usd += purchase_cost(of_ev.buy, bought)
        fleet.sale_usd += sale_revenue(of_ev.sold, sold, of_ev.ratio)
        for there, on_bought, on_sold, usd in (
            (self._fees, of_ev.fee_buy, of_ev.fee_sell, self.fee_usd),
            (self._taxes, of_ev.tax_buy, of_ev.tax_sell, self.tax_usd),
        ):
            if there:
                taken = purchase_cost(on_sold, sold)
                fleet.sale_usd -= taken
                usd += purchase_cost(on_bought, bought) + taken
        if self._fees:
            self.sale_fee_usd += purchase_cost(of_ev.fee_sell, sold)
        np.copyto(self._charged, fleet.charged_kwh)
        np.copyto(self._discharged, fleet.discharged_kwh)

    def _by_ev(self, part: FloatArray | float) -> FloatArray | float:
        return part if np.size(part) == 1 else np.asarray(part)[self.fleet.feeder]
