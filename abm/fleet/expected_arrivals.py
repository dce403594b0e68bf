"""Who is expected: mean arrivals by hour, from the scenario's distributions and nothing else.

A large sample of its own, drawn by the same function as the fleet, stands for the distributions, so
that whatever shapes the fleet shapes the expectation. Its seed is none that a run can have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray, FloatArray
from abm.equations.battery import (
    charging_energy,
    discharging_energy,
    printed_goal,
    put_back,
    required_soc,
    spare_soc,
    stored_energy,
)
from abm.fleet.fleet import group_sums
from abm.fleet.population import Population
from abm.fleet.stays import Stays
from abm.scenario import Scenario

# How far ahead anybody plans, h.
WINDOW_H = 24
SAMPLE_EVS = 6000
# Beyond the largest seed of a scenario.
SAMPLE_SEED = 2**64 + 4


@dataclass(frozen=True)
class Slack:
    """What stays need and can give at the grid side, arrays (n,).

    need_kwh: to reach the goal, as far as the time allows. give_kwh: what they can discharge and
    still put back, of the energy above the threshold. back: kWh to charge again for each kWh
    discharged.
    """

    need_kwh: FloatArray
    give_kwh: FloatArray
    back: FloatArray


def slack(
    left_h: FloatArray,
    soc: FloatArray,
    soc_goal: FloatArray,
    soc_min: FloatArray,
    capacity_kwh: FloatArray,
    p_max_kw: FloatArray,
    p_discharge_kw: FloatArray,
    efficiency: FloatArray,
    may_give: BoolArray | bool,
    as_printed: bool,
) -> Slack:
    """Need and gift of stays that end in left_h hours.

    Discharging e takes e / p_d of the time and asks for back x e / p_c more of it, so with t the
    time that charging leaves over e is at most t / (1 / p_d + back / p_c).
    """
    missing = stored_energy(np.maximum(soc_goal - soc, 0.0), capacity_kwh)
    need = np.minimum(charging_energy(missing, efficiency), p_max_kw * left_h)
    # As printed nobody charges again what V2G took, eq. (16).
    back = np.zeros_like(need) if as_printed else put_back(efficiency)
    spare_h = left_h - need / p_max_kw
    most = spare_h * p_discharge_kw / (1.0 + back * p_discharge_kw / p_max_kw)
    spare = stored_energy(spare_soc(soc, soc_min), capacity_kwh)
    give = np.minimum(discharging_energy(spare, efficiency), most)
    return Slack(need, np.where(may_give, give, 0.0), back)


@dataclass(frozen=True)
class ExpectedArrivals:
    """Means over the EVs of one feeder, by hour of arrival a from the start of the horizon.

    Last axis l: only stays that have ended l hours after the beginning of hour a, 0 to WINDOW_H.
    evs, need_kwh, give_kwh: (n_hours, WINDOW_H + 1). charge_kw, discharge_kw: ratings times the
    share of hour a + o in which they are plugged in, (n_hours, o, l). back: see `Slack`, mean.
    """

    evs: FloatArray
    need_kwh: FloatArray
    give_kwh: FloatArray
    charge_kw: FloatArray
    discharge_kw: FloatArray
    back: float

    def from_hour(self, hour: int, window_h: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of those who come in `hour` or later and are gone window_h hours from its beginning.

        window_h: at most WINDOW_H, and not beyond the horizon.

        Returns (3,): number, kWh needed, kWh that can be given; (window_h,) charging and
        discharging power that is plugged in, by hour [kW].
        """
        ahead = np.arange(window_h)
        arrival, ended_by = hour + ahead, window_h - ahead
        tables = (self.evs, self.need_kwh, self.give_kwh)
        totals = np.array([table[arrival, ended_by].sum() for table in tables])
        came, at = np.triu_indices(window_h)
        place = (hour + came, at - came, window_h - came)
        charge, discharge = (
            group_sums(power[place], at, window_h) for power in (self.charge_kw, self.discharge_kw)
        )
        return totals, charge, discharge


def nobody(n_hours: int) -> ExpectedArrivals:
    """Nobody is expected."""
    none = np.zeros((n_hours, WINDOW_H + 1))
    power = np.zeros((n_hours, WINDOW_H, WINDOW_H + 1))
    return ExpectedArrivals(none, none, none, power, power, 1.0)


def expected_arrivals(scenario: Scenario, n_zones: int) -> ExpectedArrivals:
    """Expected arrivals on one feeder; nobody where the EVs come from a file of sessions."""
    if scenario.inputs.sessions is not None or n_zones == 0 or scenario.fleet.evs_per_zone == 0:
        return nobody(scenario.hours)
    per_zone = scenario.fleet.evs_per_zone
    sampled = -(-SAMPLE_EVS // n_zones)
    fleet = scenario.fleet.model_copy(update={"evs_per_zone": sampled})
    people = Population(scenario.model_copy(update={"fleet": fleet}), n_zones, [SAMPLE_SEED])
    days = [people.stays()]
    # Who left yesterday is expected to have left with what it wanted.
    days += [people.stays(day, days[0].soc_target) for day in range(1, scenario.horizon.days)]
    return _means(scenario, days, per_zone / sampled)


def _means(scenario: Scenario, days: Sequence[Stays], weight: float) -> ExpectedArrivals:
    n_hours = scenario.hours

    def all_days(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(stays, name)[stays.plugs_in] for stays in days])

    requirement = scenario.requirement
    as_printed = requirement.kind == "as_printed"
    soc, goal = all_days("soc_arrival"), all_days("soc_target")
    arrival_min, departure_min = all_days("arrival_min"), all_days("announced_min")
    p_max, v2g = all_days("p_max_kw"), all_days("v2g")
    p_discharge = np.where(v2g, all_days("p_discharge_kw"), 0.0)
    if as_printed:
        goal = printed_goal(soc, required_soc(goal, soc, requirement.factor))
    own = slack(
        np.maximum(departure_min - arrival_min, 1.0) / 60.0,
        soc,
        goal,
        all_days("soc_min"),
        all_days("capacity_kwh"),
        p_max,
        p_discharge,
        all_days("efficiency"),
        v2g,
        as_printed,
    )
    arrival_h, departure_h = arrival_min / 60.0, departure_min / 60.0
    first = np.floor(arrival_h)
    life = np.clip(np.ceil(departure_h) - first, 0, WINDOW_H + 1).astype(np.int64)
    in_time = (arrival_h < n_hours) & (life <= WINDOW_H)
    first, life = first[in_time].astype(np.int64), life[in_time]
    shape = (n_hours, WINDOW_H + 1)
    place = first * (WINDOW_H + 1) + life

    def sums(values: FloatArray) -> FloatArray:
        return weight * group_sums(values, place, shape[0] * shape[1]).reshape(shape)

    def table(values: FloatArray) -> FloatArray:
        return np.asarray(np.cumsum(sums(values), axis=1))

    begin, end = arrival_h[in_time] - first, departure_h[in_time] - first
    head = np.maximum(np.minimum(end, 1.0) - begin, 0.0)
    tail = np.where(life > 1, end - (life - 1), 0.0)
    offset, ended = np.arange(WINDOW_H)[:, None], np.arange(WINDOW_H + 1)[None, :]

    def power(rating: FloatArray) -> FloatArray:
        """By hour: a part of the first and of the last one, and all of those between."""
        by_hour = sums(rating * head)[:, None, :] * (offset == 0)
        by_hour += sums(rating * tail)[:, None, :] * (offset == ended - 1)
        by_hour += sums(rating)[:, None, :] * ((offset > 0) & (offset < ended - 1))
        return np.asarray(np.cumsum(by_hour, axis=2))

    return ExpectedArrivals(
        table(np.ones(len(first))),
        table(own.need_kwh[in_time]),
        table(own.give_kwh[in_time]),
        power(p_max[in_time]),
        power(p_discharge[in_time]),
        float(own.back.mean()) if len(soc) else 1.0,
    )
