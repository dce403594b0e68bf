"""What a finished run leaves behind, as arrays; results are made from nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.battery import charging_energy, energy_gained, full_cycles, tapered_charge
from abm.equations.economics import PriceParts, financial_benefit, stay_reference_cost
from abm.fleet.columns import UNKNOWN_BY_ENERGY
from abm.fleet.cycles import visits_of
from abm.fleet.population import DAY_MIN
from abm.grid import Feeder, PowerFlow, build_feeder, loading_percent
from abm.grid.base_load import HEAT_PUMPS, BaseLoad
from abm.results.ageing import Ageing, ageing_of
from abm.results.demand_charge import reference_demand_charge
from abm.results.supply import SupplyRecord
from abm.results.thermal import Heat, heat_of
from abm.results.windows import Windows
from abm.scenario import Scenario

# An EV is short when it leaves more than this much of its capacity below the SoC it wants.
SHORT_SOC = 0.01


# The arrays of a record that have an axis over the feeders, and which one it is.
FEEDER_AXIS = {
    "soc_lowest": 0,
    "soc_highest": 0,
    "below_min": 0,
    "above_min": 0,
    "zone_charge_mw": 1,
    "zone_discharge_mw": 1,
    "zone_plugged": 1,
    "plugged_peak": 1,
    "unsent": 1,
    "flow_zone_mw": 1,
    "alpha": 1,
    "flow_zone_mvar": 1,
    "flow_point_mw": 1,
    "ev_kw": 1,
    "switched_evs": 1,
    "minute_charge_kw": 1,
    "minute_discharge_kw": 1,
    "minute_plugged": 1,
}


@dataclass(frozen=True, eq=False)
class Record(Windows):
    """Arrays of K feeders over D days, H hours, F load flows and S steps with Z zones.

    base: load without EVs. alpha: price by step of the prices, (T, K), where it follows the demand,
    else None. ev: `RECORDED`, (n,) each, what is paid beside the energy, and "number", the EV's
    place in its feeder's table of stays; "point" is that of its own feeder. names: by EV in the
    order of rows, or None where they are numbered. stays: `STAY_STATE` and `STAY_SUMS` of each day,
    (D, n) each. zone_*: (H, K, Z). plugged_peak: (H, K). soc_*, *_min: (K,). flows: arrays with
    (F, K, ...). flow_zone_mw: mean net power over each load flow, (F, K, Z), or None where those
    are hours. flow_zone_mvar: reactive power that the chargers take in each load flow, (F, K, Z).
    flow_point_mw: net power by point of a three-phase feeder, (F, K, P), without points on another;
    None where no tables of every load flow are written. supply: PV and batteries of the zones, None
    where there are none. unsent: (H, K), messages kept back by load flows that did not
    converge. ev_kw, switched_evs: (S, K), net power of the EVs, and how many changed mode within
    the five minutes that end with the step. minute_*: (S, K, Z), or None. hours_closed: see
    `abm.results.so_far`.
    """

    scenario: Scenario
    seeds: tuple[int, ...]
    solver: str
    base: BaseLoad
    alpha: FloatArray | None
    ev: Mapping[str, NDArray[Any]]
    names: tuple[str, ...] | None
    zone_charge_mw: FloatArray
    zone_discharge_mw: FloatArray
    zone_plugged: IntArray
    plugged_peak: IntArray
    soc_lowest: FloatArray
    soc_highest: FloatArray
    below_min: FloatArray
    above_min: FloatArray
    flows: PowerFlow
    flow_zone_mw: FloatArray | None
    flow_zone_mvar: FloatArray
    flow_point_mw: FloatArray | None
    supply: SupplyRecord | None
    unsent: IntArray
    ev_kw: FloatArray
    switched_evs: NDArray[np.int32]
    stays: Mapping[str, NDArray[Any]]
    minute_charge_kw: FloatArray | None
    minute_discharge_kw: FloatArray | None
    minute_plugged: NDArray[np.int32] | None
    hours_closed: int | None = None

    @property
    def feeder(self) -> Feeder:
        """The feeder, from the cache of this process."""
        return build_feeder(self.scenario.inputs.feeder)

    @cached_property
    def stay_day(self) -> IntArray:
        """Day of the horizon that each stay belongs to, the one on which it begins, (D, n)."""
        sets, n = self.stays["arrived"].shape
        if sets == self.n_days:
            return np.repeat(np.arange(sets), n).reshape(sets, n)
        day = np.nan_to_num(self.stays["arrival_min"] // DAY_MIN).astype(np.int64)
        return np.clip(day, 0, self.n_days - 1)

    @cached_property
    def prices(self) -> PriceParts:
        """What a kWh cost and earned by step of the prices, part by part, (T, K or 1) each."""
        listed = self.scenario.inputs.prices
        return listed.parts(alpha=listed.alpha[:, None] if self.alpha is None else self.alpha)

    def hourly_price(self, values: FloatArray) -> FloatArray:
        """Hourly means of one of them, (T, K or 1) -> (H, K) [$/kWh]."""
        means = self.scenario.inputs.prices.by_hour(values)[: self.n_hours]
        return np.broadcast_to(means, (self.n_hours, self.n_feeders))

    def limit_mw(self, grain_min: float = 60.0) -> FloatArray:
        """P_D^max, mean over windows as of `demand_mw`, (W,) [MW]."""
        window_s = self.window_s(grain_min)
        return self.scenario.demand_limit.mean(self.begin_s(window_s), window_s)[:, 0]

    @cached_property
    def base_mw(self) -> FloatArray:
        """Demand of each feeder without EVs, hourly means, (H, K) [MW]."""
        return self.base_demand_mw(60.0)

    @cached_property
    def heat_pump_mw(self) -> FloatArray:
        """The part of it that heat pumps draw, (H, K) [MW]."""
        pumps = self.base.group(HEAT_PUMPS)
        shape = (self.n_hours, self.n_feeders)
        if pumps is None:
            return np.zeros(shape)
        return np.broadcast_to(pumps.mean_mw(self.begin_s(3600), 3600), shape)

    @cached_property
    def zone_mw(self) -> FloatArray:
        """Mean net power of every zone, (H, K, Z) [MW]."""
        return self.zone_charge_mw - self.zone_discharge_mw

    @cached_property
    def ev_mw(self) -> FloatArray:
        """Net demand of the EVs, (H, K) [MW]."""
        return np.asarray(self.zone_mw.sum(axis=2))

    @cached_property
    def total_mw(self) -> FloatArray:
        """System demand without losses, (H, K) [MW]."""
        demand_mw = self.base_mw + self.ev_mw
        return demand_mw if self.supply is None else demand_mw + self.supply_mw(60.0)

    @cached_property
    def first_row(self) -> IntArray:
        """EVs of feeder k are rows first_row[k] to first_row[k + 1], (K + 1,)."""
        return np.searchsorted(self.ev["feeder"], np.arange(self.n_feeders + 1))

    # --- load flows ----------------------------------------------------------------------------

    @property
    def flow_min(self) -> int:
        """Interval of a load flow, min."""
        return self.scenario.grid.flow_interval_min

    @property
    def flows_per_hour(self) -> int:
        """How many load flows an hour has."""
        return 60 // self.flow_min

    @cached_property
    def flow_hours(self) -> IntArray:
        """Hour on the clock of every load flow, (F,)."""
        return np.repeat(self.clock_hours, self.flows_per_hour)

    @cached_property
    def lowest_vm_pu(self) -> FloatArray:
        """Lowest voltage of every load flow, (F, K) [p.u.]; NaN where it did not converge."""
        return np.asarray(self.flows.vm_pu.min(axis=2))

    @cached_property
    def loading_percent(self) -> FloatArray:
        """Loading of every line, (F, K, n_line) [%]; NaN without a rating or a solution."""
        rating_a = self.feeder.ampacity_a[: self.flows.i_a.shape[2]]
        return loading_percent(self.flows.i_a, rating_a)

    @cached_property
    def heat(self) -> Heat | None:
        """Temperatures and ageing of the transformers; None where they are not worked out."""
        section, of_air = self.scenario.transformers, self.scenario.inputs.temperature
        if section.cooling is None or not self.flows.transformer_percent.shape[2]:
            return None
        air_c = np.full(60 * self.n_hours, section.air_c)
        if of_air is not None:
            air_c = of_air.mean(self.begin_s(60), 60)[:, 0]
        return heat_of(section, self.flows.transformer_percent, self.flow_min, air_c)

    # --- stays and EVs, in the order of rows ---------------------------------------------------

    @cached_property
    def soc_left_with(self) -> FloatArray:
        """SoC each stay ended with, (D, n); NaN while plugged in, and without a stay."""
        return np.where(self.stays["arrived"], self.stays["soc_departure"], np.nan)

    @cached_property
    def soc_at_best(self) -> FloatArray:
        """SoC each stay ended with, (D, n); NaN without a stay.

        Of those that the end of the horizon cuts off, the most that charging at the rating until
        the announced departure would still give, up to soc_target.
        """
        stays, ev = self.stays, self.ev
        left_h = np.maximum(stays["announced_min"] / 60.0 - self.n_hours, 0.0)
        drawn = ev["p_max_kw"] * left_h
        if taper := self.scenario.ev.taper:
            drawn = tapered_charge(
                np.inf, ev["p_max_kw"], ev["efficiency"], left_h, stays["soc"],
                ev["capacity_kwh"], ev["p_max_kw"], taper,
            )  # fmt: skip
        more = energy_gained(drawn, 0.0, ev["efficiency"]) / ev["capacity_kwh"]
        most = np.maximum(np.minimum(stays["soc"] + more, stays["soc_target"]), stays["soc"])
        cut_off = stays["arrived"] & np.isnan(stays["soc_departure"])
        return np.where(cut_off, most, self.soc_left_with)

    @cached_property
    def stay_shortfall_kwh(self) -> FloatArray:
        """Energy missing below soc_target on each departure, (D, n) [kWh].

        In the battery; at the grid side where the need is an energy (`Scenario.by_energy`).
        Of stays cut off by the end of the horizon what can no longer be charged (`soc_at_best`); 0
        on days without a stay.
        """
        missing = (self.stays["soc_target"] - self.soc_at_best) * self.ev["capacity_kwh"]
        if self.scenario.by_energy:
            missing = charging_energy(missing, self.ev["efficiency"])
        return np.where(np.isnan(missing), 0.0, np.maximum(missing, 0.0))

    @cached_property
    def stay_short(self) -> BoolArray:
        """Which stays ended more than SHORT_SOC below soc_target, (D, n).

        Where the need is an energy, with more than that part of it missing.
        """
        return np.asarray(self.stays["soc_target"] - self.soc_at_best > SHORT_SOC + 1e-9)

    @cached_property
    def stay_reference_usd(self) -> FloatArray:
        """Cost of each stay if the EV charged at once on arrival, (D, n) [$].

        At the prices as they came to be; without a demand charge.
        """
        step_h = self.scenario.inputs.prices.step_h
        of = self.stays, self.ev, self.scenario.requirement, step_h
        return stay_reference_cost(self.prices.buy, *of)

    @cached_property
    def shortfall_kwh(self) -> FloatArray:
        """Energy missing on departure, of all days, (n,) [kWh]."""
        return np.asarray(self.stay_shortfall_kwh.sum(axis=0))

    @property
    def short(self) -> BoolArray:
        """Which EVs left short on any day, (n,)."""
        return np.asarray(self.stay_short.any(axis=0))

    @cached_property
    def reference_cost_usd(self) -> FloatArray:
        """Cost of the same stays if the EV charged at once on arrival, (n,) [$]."""
        return np.asarray(self.stay_reference_usd.sum(axis=0)) + self.reference_demand_usd

    @cached_property
    def reference_demand_usd(self) -> FloatArray:
        """Demand charge of each EV if all charged at once on arrival, (n,) [$]."""
        charge = self.scenario.tariff.demand_charge
        if charge.usd_per_kw == 0.0:
            return np.zeros(len(self.ev["feeder"]))
        begin_s = self.begin_s(60 * charge.window_min)
        base_kw = 1e3 * self.base.mean_mw(begin_s, 60 * charge.window_min)
        base_kw = np.broadcast_to(base_kw, (len(begin_s), self.n_feeders))
        n_zones = self.zone_charge_mw.shape[2]
        return reference_demand_charge(self.scenario, self.ev, self.stays, base_kw, n_zones)

    @property
    def demand_charge_usd(self) -> FloatArray:
        """Demand charge of each EV, (n,) [$]."""
        none = np.zeros(len(self.ev["feeder"]))
        return np.asarray(self.ev.get("demand_charge_usd", none))

    @property
    def net_cost_usd(self) -> FloatArray:
        """What each owner paid less what it earned, (n,) [$]."""
        return np.asarray(self.ev["purchase_usd"] - self.ev["sale_usd"] + self.demand_charge_usd)

    @cached_property
    def benefit_usd(self) -> FloatArray:
        """Benefit of each owner, eq. (22) for one EV: reference less net cost, (n,) [$]."""
        ev = self.ev
        bought = ev["purchase_usd"] + self.demand_charge_usd
        return financial_benefit(self.reference_cost_usd, bought, ev["sale_usd"])

    @cached_property
    def ageing(self) -> Ageing:
        """Wear of the batteries and its cost, (n,) each; `ageing` in the scenario says how."""
        of = self.scenario.ageing, self.scenario.requirement
        visits = visits_of(self.names, self.ev["feeder"], self.ev["arrival_min"])
        found = ageing_of(*of, self.ev, self.stays, self.n_hours, visits)
        if not self.scenario.by_energy:
            return found
        # What energy through a battery costs is known without its capacity, what it loses is not.
        unknown = np.full(len(found.usd), np.nan)
        return replace(found, loss_per_day=unknown, loss_per_year=unknown)

    @cached_property
    def benefit_net_usd(self) -> FloatArray:
        """Benefit of each owner net of ageing: less what its battery wears more, (n,) [$]."""
        return self.benefit_usd - self.ageing.more_usd

    @cached_property
    def full_cycles(self) -> FloatArray:
        """Equivalent full cycles: energy through each battery over twice its capacity, (n,)."""
        ev = self.ev
        through = ev["charged_kwh"], ev["discharged_kwh"]
        capacity_kwh = self.shown("capacity_kwh", ev["capacity_kwh"])
        return np.asarray(full_cycles(*through, ev["efficiency"], capacity_kwh))

    def shown(self, name: str, values: NDArray[Any]) -> NDArray[Any]:
        """A column of EVs or stays as tables show it: NaN where what it says is not known."""
        hidden = self.scenario.by_energy and name in UNKNOWN_BY_ENERGY
        return np.full(values.shape, np.nan) if hidden else values

    @property
    def energy_asked_kwh(self) -> FloatArray:
        """Energy at the grid side that stays ask for, (D, n) [kWh], where that is their need."""
        asked = charging_energy(self.ev["capacity_kwh"], self.ev["efficiency"])
        return np.where(self.stays["arrived"], asked, 0.0)

    @cached_property
    def n_evs(self) -> IntArray:
        """EVs of each feeder, (K,): those of a file by their names, since they may come again."""
        if self.names is None:
            return np.diff(self.first_row)
        first = np.unique(self.ev_of, return_index=True)[1]
        return np.bincount(self.ev["feeder"][first], minlength=self.n_feeders)

    @cached_property
    def ev_of(self) -> IntArray:
        """Which EV each row is of, (n,), from 0 in the order of rows: its own but for a file."""
        n = len(self.ev["feeder"])
        if self.names is None:
            return np.arange(n)
        numbers: dict[tuple[int, str], int] = {}
        keys = zip(self.ev["feeder"].tolist(), self.names, strict=True)
        return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)

    @cached_property
    def ev_order(self) -> IntArray:
        """Rows in the order of the session file or the sample, (n,)."""
        return np.lexsort((self.ev["number"], self.ev["feeder"]))

    @property
    def ev_ids(self) -> NDArray[np.object_]:
        """Names of the EVs in that order, (n,)."""
        if self.names is None:
            return (self.ev["number"][self.ev_order] + 1).astype(str).astype(object)
        return np.array(self.names, dtype=object)[self.ev_order]

    # --- feeders apart -------------------------------------------------------------------------

    def only(self, k: int) -> Record:
        """The record of one feeder."""
        if self.n_feeders == 1 and k == 0:
            return self
        if not 0 <= k < self.n_feeders:
            raise IndexError(f"feeder {k}: there are {self.n_feeders}, from 0")
        rows = slice(int(self.first_row[k]), int(self.first_row[k + 1]))
        ev = {name: column[rows] for name, column in self.ev.items()}
        ev["feeder"] = np.zeros_like(ev["feeder"])
        own: dict[str, Any] = {}
        for name, axis in FEEDER_AXIS.items():
            values = getattr(self, name)
            own[name] = values if values is None else values.take([k], axis=axis)
        return replace(
            self,
            seeds=(self.seeds[k],),
            base=self.base.only(k),
            ev=ev,
            stays={name: column[:, rows] for name, column in self.stays.items()},
            supply=None if self.supply is None else self.supply.only(k),
            names=None if self.names is None else self.names[rows],
            flows=self.flows.each(lambda values: values[:, k : k + 1]),
            **own,
        )
