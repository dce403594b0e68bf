"""Equations (19)-(23): what owners pay, earn and save. Prices $/kWh, energies kWh, money $."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from abm.equations import FloatArray
from abm.equations.battery import charging_energy, printed_goal, required_soc, stored_energy

if TYPE_CHECKING:
    from abm.scenario.fleet_fields import Requirement

Columns: TypeAlias = Mapping[str, NDArray[Any]]


def purchase_cost(price: ArrayLike, energy_kwh: ArrayLike) -> FloatArray:
    """Cost of energy drawn, eqs. (19), (20): alpha(h) x E_cg(h). -> [$]."""
    return np.multiply(price, energy_kwh)


def sale_revenue(price: ArrayLike, energy_kwh: ArrayLike, sale_ratio: float = 0.6) -> FloatArray:
    """Revenue of energy supplied, eq. (21): alpha(h) x 0.6 x E_dg(h). -> [$]."""
    return np.multiply(price, energy_kwh) * sale_ratio


class PriceParts(NamedTuple):
    """What a kWh costs and earns, part by part; numbers or arrays of one shape [$/kWh].

    alpha: price of energy bought, eqs. (19), (20). sold, ratio: price of energy sold, eq. (21), is
    sold x ratio. fee_buy, fee_sell: grid fee of what is bought and sold. tax_buy, tax_sell: taxes
    and levies; what is sold pays fee and tax from its revenue.
    """

    alpha: FloatArray
    sold: FloatArray
    ratio: float
    fee_buy: FloatArray
    fee_sell: FloatArray
    tax_buy: FloatArray
    tax_sell: FloatArray

    @classmethod
    def of(
        cls,
        alpha: FloatArray,
        sold: FloatArray,
        ratio: float,
        fee_buy: FloatArray,
        fee_sell: FloatArray,
        tax_buy: tuple[float, float],
        tax_sell: tuple[float, float],
    ) -> PriceParts:
        """With taxes from a levy [$/kWh] and a rate [-] for each direction.

        The rate of a purchase is on price, fee and levy, that of a sale on the sale price.
        """
        levy, rate = tax_buy
        on_purchase = levy + rate * (alpha + fee_buy + levy)
        levy, rate = tax_sell
        on_sale = levy + rate * (ratio * sold)
        return cls(alpha, sold, ratio, fee_buy, fee_sell, on_purchase, on_sale)

    @property
    def buy(self) -> FloatArray:
        """What a kWh bought costs, all told."""
        return self.alpha + self.fee_buy + self.tax_buy

    @property
    def sell(self) -> FloatArray:
        """What a kWh sold earns, all told."""
        return self.ratio * self.sold - self.fee_sell - self.tax_sell


def demand_charge(peak_kw: ArrayLike, base_kw: ArrayLike, usd_per_kw: float) -> FloatArray:
    """Charge for a peak: what it is above that without EVs, at least 0. [kW], [kW] -> [$]."""
    return np.asarray(usd_per_kw * np.maximum(np.subtract(peak_kw, base_kw), 0.0))


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


def charged_at_once(
    arrival_min: ArrayLike, departure_min: ArrayLike, energy_kwh: ArrayLike, rating_kw: ArrayLike
) -> FloatArray:
    """When charging at once ends: with the energy drawn, or on departure. -> [min]."""
    arrival, rating = np.asarray(arrival_min, np.float64), np.asarray(rating_kw, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = np.where(rating > 0.0, np.asarray(energy_kwh) / rating * 60.0, 0.0)
    return np.asarray(np.maximum(np.minimum(arrival + wanted, departure_min), arrival))


def reference_cost(
    price: ArrayLike,
    arrival_min: ArrayLike,
    departure_min: ArrayLike,
    energy_kwh: ArrayLike,
    rating_kw: ArrayLike,
    step_h: float = 1.0,
) -> FloatArray:
    """Cost of a stay that charges at once on arrival, C_G2V of eq. (22) for one EV. -> [$].

    price: (T,), of each step of the horizon, of step_h hours. Times in minutes from its start.
    Charging at rating_kw goes on until energy_kwh (grid side) is drawn, the EV departs or the
    horizon ends.
    """
    arrival, rating = np.asarray(arrival_min, np.float64), np.asarray(rating_kw, np.float64)
    end = charged_at_once(arrival, departure_min, energy_kwh, rating)
    # The integral of the price over time is piecewise linear; beyond the horizon it is constant.
    paid = np.concatenate([[0.0], np.cumsum(np.multiply(price, step_h))])
    hours = np.arange(len(paid)) * step_h
    cost = np.interp(end / 60.0, hours, paid) - np.interp(arrival / 60.0, hours, paid)
    return np.asarray(rating * cost)


def asked_energy(
    stays: Columns, capacity_kwh: FloatArray, efficiency: FloatArray, requirement: Requirement
) -> FloatArray:
    """Energy at the grid side that stays ask for when they charge at once [kWh].

    stays: `soc_arrival` and `soc_target`, (n,) or (days, n).
    """
    soc = stays["soc_arrival"]
    if requirement.kind == "as_printed":
        goal = printed_goal(soc, required_soc(stays["soc_target"], soc, requirement.factor))
    else:
        goal = np.maximum(stays["soc_target"], soc)
    return np.asarray(charging_energy(stored_energy(goal - soc, capacity_kwh), efficiency))


def stay_reference_cost(
    price: FloatArray,
    stays: Columns,
    evs: Columns,
    requirement: Requirement,
    step_h: float = 1.0,
) -> FloatArray:
    """What stays would cost if every EV charged at once on arrival; 0 without a stay. -> [$].

    price: (T, K or 1), of each step of the horizon, of step_h hours, on each feeder. stays: (n,) or
    (days, n); evs: `feeder`, `capacity_kwh`, `efficiency` and `p_max_kw`, (n,).
    """
    energy = asked_energy(stays, evs["capacity_kwh"], evs["efficiency"], requirement)
    arrival, departure = stays["arrival_min"], stays["departure_min"]
    cost = np.zeros(energy.shape)
    for k in range(price.shape[1]):
        # The same price for all, or the feeder's own.
        mine = slice(None) if price.shape[1] == 1 else evs["feeder"] == k
        rating = evs["p_max_kw"][mine]
        of = arrival[..., mine], departure[..., mine], energy[..., mine], rating
        cost[..., mine] = reference_cost(price[:, k], *of, step_h=step_h)
    return np.where(stays["arrived"], cost, 0.0)
