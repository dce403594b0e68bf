"""Episodes of K feeders in one model: what the environments of this package have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from abm.clock import Phase
from abm.control import SetPoints
from abm.envs.observe import Bounds, Observer
from abm.equations import BoolArray, FloatArray
from abm.errors import InputError, Problem
from abm.model import V2GModel
from abm.results import Results
from abm.scenario import Scenario
from abm.scenario.supply import has_storage

# Observations are clipped to what stays within so many times what was seen in one fleet.
MARGIN = 2.0


@dataclass(frozen=True)
class Terms:
    """What happened on K feeders in one decision interval, (n_feeders,) each.

    demand_kw: mean demand, base_kw: that without EVs, ev_kw: of the EVs. limit_kw: the demand
    limit. excess_kwh: energy above the limit. peak_rise_kw: by how much the highest demand so far,
    of any interval with EVs plugged in, rose above the limit or the peak before. cost_usd: paid for
    energy less earned by it, with fees and taxes, without demand charges. short_kwh: missing in the
    batteries of EVs that left. low_voltage_pu_h: in the last interval what the lowest voltage of
    each load flow of the episode was below `grid.vm_min_pu`, times its hours; else 0.
    """

    demand_kw: FloatArray
    base_kw: FloatArray
    ev_kw: FloatArray
    limit_kw: FloatArray
    excess_kwh: FloatArray
    peak_rise_kw: FloatArray
    cost_usd: FloatArray
    short_kwh: FloatArray
    low_voltage_pu_h: FloatArray


RewardFunction: TypeAlias = Callable[[Terms], FloatArray]


@dataclass(frozen=True)
class Reward:
    """Minus the weighted sum of what a feeder suffers in an interval; higher is better.

    per_peak_kw: for each kW that the peak rises above the limit. per_excess_kwh: for each kWh above
    it. per_usd: for each $ of net energy cost. per_short_kwh: for each kWh missing on departure.
    per_low_voltage_pu_h: for each p.u. and hour below the voltage limit; 0 solves no load flow.
    limit_kw: what counts as the limit; None: the demand limit of the scenario.
    """

    per_peak_kw: float = 1.0
    per_excess_kwh: float = 0.0
    per_usd: float = 1.0
    per_short_kwh: float = 1.0
    per_low_voltage_pu_h: float = 0.0
    limit_kw: float | None = None

    def __call__(self, terms: Terms) -> FloatArray:
        """Reward of each feeder, (n_feeders,)."""
        return -(
            self.per_peak_kw * terms.peak_rise_kw
            + self.per_excess_kwh * terms.excess_kwh
            + self.per_usd * terms.cost_usd
            + self.per_short_kwh * terms.short_kwh
            + self.per_low_voltage_pu_h * terms.low_voltage_pu_h
        )


class Episodes:
    """K feeders through one horizon after another, a decision every interval_min minutes.

    scenario: what is studied, without its strategy. guarantee: see `abm.control.SetPoints`. Raises
    InputError for a scenario with copies of the feeder or stationary batteries, and for a reward
    that is none.
    """

    def __init__(
        self,
        scenario: Scenario,
        interval_min: int = 15,
        guarantee: bool = True,
        reward: Reward | RewardFunction | None = None,
        voltages: bool = False,
    ) -> None:
        if not (reward is None or callable(reward)):
            said = "weights, abm.envs.Reward, or a function of Terms"
            raise InputError([Problem("reward", repr(reward), said)])
        self.scenario = controlled(scenario, interval_min, guarantee)
        self.interval_min = interval_min
        self.reward = Reward() if reward is None else reward
        weights = self.reward if isinstance(self.reward, Reward) else None
        self.voltages = voltages or (weights is not None and weights.per_low_voltage_pu_h != 0.0)
        self.limit_kw = None if weights is None else weights.limit_kw
        # The model says whether its rule knows such an interval.
        self.model = V2GModel(self.scenario)
        self.steps_per_interval = interval_min * 60 // scenario.clock.step_s
        self.n_intervals = scenario.hours * 60 // interval_min
        self.n_zones = self.model.fleet.n_zones
        self.bounds = bounds_of(self.model)

    def begin(self, seeds: Sequence[int]) -> None:
        """Draw the fleets of these seeds, one feeder each, and begin the horizon."""
        self.model.close()
        self.model = model = V2GModel(self.scenario, seed=[int(seed) for seed in seeds])
        rule = model.home.rule
        assert isinstance(rule, SetPoints)
        self.points, self.observer = rule, Observer(rule, model.fleet, model.grid.outlook)
        model.clock.settle(Phase.GRID)
        self.observer.look(model.fleet, 0.0)
        begin_s = np.arange(self.n_intervals) * self.interval_min * 60
        base = 1e3 * model.grid.without_evs_mw(begin_s, self.interval_min * 60)
        self._base_kw = np.broadcast_to(base, (self.n_intervals, len(seeds)))
        self._edges = np.append(begin_s / 60.0, self.n_intervals * float(self.interval_min))
        self._prices: tuple[FloatArray, FloatArray] | None = None
        self.interval = 0
        self._peak_kw = np.zeros(len(seeds))

    @property
    def finished(self) -> bool:
        """Whether the horizon has ended."""
        return self.model.clock.finished

    def observe(self) -> FloatArray:
        """What the aggregators see before they decide, (n_feeders, n_numbers)."""
        model = self.model
        return self.observer.observation(model.broadcast, model.minute)

    def step(self, asked_kw: FloatArray, by_zone: bool = True) -> Terms:
        """Hold these powers for an interval: (n_feeders x n_zones,), or of one feeder's EVs [kW].

        Powers by EV are in the order of `model.evs`.
        """
        model = self.model
        asked = np.asarray(asked_kw, dtype=np.float64).ravel()
        if not by_zone:
            asked = asked[model.fleet.stay_index]
        buy, sell = self._price_of(self.interval)
        limit = 1e3 * model.broadcast.limit_mw
        if self.limit_kw is not None:
            limit = np.full_like(self._peak_kw, self.limit_kw)
        plugged = self._plugged()
        self.points.set(model.fleet, asked, model.minute, by_zone)
        model.advance(self.steps_per_interval)
        plugged |= self._plugged()
        model.clock.settle(Phase.GRID)
        return self._terms(buy, sell, limit, plugged)

    def _plugged(self) -> BoolArray:
        """On which feeders anybody is plugged in, (n_feeders,)."""
        fleet = self.model.fleet
        return np.asarray(fleet.plugged_count.reshape(fleet.n_feeders, -1).any(axis=1))

    def _terms(
        self, buy: FloatArray, sell: FloatArray, limit_kw: FloatArray, plugged: BoolArray
    ) -> Terms:
        done = self.observer.look(self.model.fleet, self.model.minute)
        drawn, supplied = done.drawn, done.supplied
        hours = self.interval_min / 60.0
        base_kw, ev_kw = self._base_kw[self.interval], (drawn - supplied) / hours
        demand_kw = base_kw + ev_kw
        over_kw = np.maximum(demand_kw - limit_kw, 0.0)
        rise = np.where(plugged, np.maximum(over_kw - self._peak_kw, 0.0), 0.0)
        self._peak_kw = self._peak_kw + rise
        self.interval += 1
        low = np.zeros(len(drawn))
        if self.voltages and self.finished:
            low = self._low_voltage()
        return Terms(
            demand_kw=demand_kw,
            base_kw=base_kw,
            ev_kw=ev_kw,
            limit_kw=limit_kw,
            excess_kwh=over_kw * hours,
            peak_rise_kw=rise,
            cost_usd=buy * drawn - sell * supplied,
            short_kwh=done.short,
            low_voltage_pu_h=low,
        )

    def _price_of(self, interval: int) -> tuple[FloatArray, FloatArray]:
        """What a kWh costs and earns in an interval, (n_feeders,) or (1,) each."""
        billing = self.model.grid.billing
        prices = billing.prices
        if self._prices is None or prices.follows:
            parts = prices.parts(alpha=billing.alpha)
            self._prices = (
                prices.means(parts.buy, self._edges),
                prices.means(np.broadcast_to(parts.sell, parts.buy.shape), self._edges),
            )
        buy, sell = self._prices
        return buy[interval], sell[interval]

    def _low_voltage(self) -> FloatArray:
        """Lowest voltage below its limit times hours, (n_feeders,); all load flows in one batch."""
        flows, least = self.model.grid.flows, self.scenario.grid.vm_min_pu
        lowest = flows.vm_pu.min(axis=2)
        # A load flow that does not converge has collapsed.
        below = np.where(flows.converged, np.maximum(least - lowest, 0.0), least)
        return np.asarray(below.sum(axis=0) * self.scenario.grid.flow_interval_min / 60.0)

    @property
    def results(self) -> Results:
        """Tables and KPIs of the horizon that has ended. RuntimeError before its end."""
        return self.model.results


def controlled(scenario: Scenario, interval_min: int = 15, guarantee: bool = True) -> Scenario:
    """The scenario with powers that are set from outside in the place of its strategy.

    Raises InputError for one with copies of the feeder or stationary batteries.
    """
    problems = []
    if scenario.feeder.copies != 1:
        said = "1: a vector environment has the number of its feeders"
        problems.append(Problem("feeder.copies", str(scenario.feeder.copies), said))
    if has_storage(scenario.storage):
        said = "none: an environment knows no stationary battery"
        problems.append(Problem("storage.kwh_per_zone", "", said))
    step_s = scenario.clock.step_s
    if interval_min * 60 % step_s:
        said = f"whole steps of the clock of {step_s} s (clock.step_s)"
        problems.append(Problem("interval_min", str(interval_min), said))
    if problems:
        raise InputError(problems)
    options = {"interval_min": interval_min, "guarantee": guarantee}
    strategy = {"rule": "set_points", "admission": "all_at_once", "rule_options": options}
    more: Mapping[str, object] = {}
    if scenario.clock.engine == "auto":
        more = {"clock.engine": "compiled"}
    return scenario.override({"strategy": strategy, **more})


def bounds_of(model: V2GModel) -> Bounds:
    """What observations and actions of a feeder like the first of a model lie between."""
    fleet = model.fleet
    mine = slice(0, int(fleet.first_row[1]))
    zone, n_zones = fleet.zone[mine], fleet.n_zones
    evs = np.bincount(zone, minlength=n_zones)

    def most(column: FloatArray, margin: float = 1.0) -> FloatArray:
        # Of the largest: another seed gives the EVs of a zone others of its ratings.
        return np.asarray(evs * (float(column[mine].max(initial=0.0)) * margin))

    charge, discharge = most(fleet.p_max_kw), most(fleet.p_discharge_kw)
    base_kw = 1e3 * float(np.abs(model.grid.base_mw).max(initial=0.0))
    limit_kw = 1e3 * float(model.grid.limit_mw.max())
    feeder_kw = MARGIN * (base_kw + charge.sum() + discharge.sum()) + limit_kw
    edges = np.arange(model.clock.n_hours + 1, dtype=np.float64) * 60.0
    price = float(np.abs(model.grid.outlook.purchase_price(edges)).max(initial=0.0))
    # A need is at the grid side: more than what the battery holds.
    capacity = most(fleet.capacity_kwh / fleet.efficiency, MARGIN)
    return Bounds(evs, charge, discharge, capacity, feeder_kw, MARGIN * price + 1e-3)


def only(terms: Terms, k: int) -> dict[str, float]:
    """The terms of one feeder as plain numbers."""
    return {name: float(values[k]) for name, values in vars(terms).items()}
