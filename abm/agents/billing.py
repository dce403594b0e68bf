"""Billing: prices step by step, and demand charges window by window, while a model runs."""

from __future__ import annotations

import math

import numpy as np

from abm.equations import FloatArray
from abm.equations.economics import PriceParts
from abm.fleet import Fleet
from abm.fleet.bills import Bills
from abm.fleet.demand_charge import DemandMeter
from abm.grid.base_load import BaseLoad
from abm.scenario import Scenario


class Billing:
    """What the owners pay and earn.

    prices: of the scenario. alpha: price of energy by step of the prices, (T, n_feeders) where it
    follows the demand, else (T, 1). demand: demand charges, or None.
    """

    def __init__(self, scenario: Scenario, fleet: Fleet, base: BaseLoad, interval_s: int) -> None:
        """interval_s: of the broadcast."""
        self.prices, self.base, self.interval_s = scenario.inputs.prices, base, interval_s
        self.alpha: FloatArray = self.prices.alpha[:, None]
        if self.prices.follows:
            self.alpha = np.repeat(self.alpha, fleet.n_feeders, axis=1)
        self.n_feeders = fleet.n_feeders
        self.bills = Bills(fleet, self.prices.has_fee, self.prices.has_tax)
        charge = scenario.tariff.demand_charge
        self.demand: DemandMeter | None = None
        if charge.usd_per_kw > 0.0:
            self.demand = DemandMeter(fleet, charge, scenario.calendar)
        self._booked_s = self._closed_s = 0

    @property
    def every_s(self) -> int:
        """Time between two bookings or windows at most, s."""
        return math.gcd(self.prices.step_s, self.demand.window_s if self.demand else 0)

    def follow(self, now_s: int, demand_mw: FloatArray) -> None:
        """A demand is broadcast for the interval that begins, (n_feeders,); the price follows."""
        if self.prices.follows:
            here = self._interval(now_s)
            listed = self.prices.alpha[here][:, None]
            self.alpha[here] = self.prices.follow(listed, demand_mw)

    def in_force(self, now_s: int) -> PriceParts:
        """Mean parts of the price over the interval that begins, (n_feeders or 1,) each."""
        here = self._interval(now_s)
        parts = self.prices.parts(here, self.alpha[here])
        if here.stop - here.start == 1:
            # The mean of one is that one.
            return PriceParts._make(np.array(part)[0] if np.ndim(part) else part for part in parts)
        means = (np.mean(part, axis=0) if np.ndim(part) else part for part in parts)
        return PriceParts._make(means)

    @property
    def purchase_price(self) -> FloatArray:
        """What a kWh bought costs, all told, by step of the prices, (T, n_feeders or 1)."""
        return self.prices.parts(alpha=self.alpha).buy

    @property
    def followed(self) -> FloatArray | None:
        """Price alpha by step of the prices and feeder where it follows the demand, else None."""
        return self.alpha if self.prices.follows else None

    def by_ev(self) -> dict[str, FloatArray]:
        """What each EV has paid beside the price of energy, of what there is to pay, (n,) each."""
        found = {}
        if self.prices.has_fee:
            found["grid_fee_usd"] = self.bills.fee_usd
            found["sale_fee_usd"] = self.bills.sale_fee_usd
        if self.prices.has_tax:
            found["tax_usd"] = self.bills.tax_usd
        if self.demand is not None:
            found["demand_charge_usd"] = self.demand.usd
        return found

    def _interval(self, now_s: int) -> slice:
        step_s = self.prices.step_s
        return slice(now_s // step_s, max((now_s + self.interval_s) // step_s, now_s // step_s + 1))

    def book(self, now_s: int) -> None:
        """Book the step of the price, and close the window of the demand charge, that end now."""
        step_s = self.prices.step_s
        if now_s > self._booked_s and now_s % step_s == 0:
            at = now_s // step_s - 1
            alpha = self.alpha[at] if self.prices.follows else self.alpha[at, 0]
            self.bills.book(self.prices.parts(at, alpha))
            self._booked_s = now_s
        if self.demand is None:
            return
        window_s = self.demand.window_s
        if now_s > self._closed_s and now_s % window_s == 0:
            base_mw = self.base.mean_mw(np.array([now_s - window_s]), window_s)[0]
            base_kw = np.broadcast_to(1e3 * base_mw, (self.n_feeders,))
            self.demand.close_window(now_s, base_kw)
            self._closed_s = now_s
