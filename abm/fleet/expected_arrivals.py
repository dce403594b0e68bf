"""Who is expected: stays drawn from what is believed of the fleet and nothing else.

A large sample of its own, drawn by the same function as the fleet, stands for the distributions, so
that whatever shapes the fleet shapes the expectation. Its seed is none that a run can have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.battery import (
    charging_energy,
    discharging_energy,
    printed_goal,
    put_back,
    required_soc,
    spare_soc,
    stored_energy,
    tapered_mean,
)
from abm.fleet.population import DAY_MIN, Population
from abm.fleet.stays import Stays, stays_from_sessions
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
    """Stays that stand for those to be expected on one feeder, in order of arrival; arrays (n,).

    arrival_min, departure_min: announced, from the start of the horizon. day: of the horizon.
    need_kwh, give_kwh, back: see `Slack`. charge_kw, discharge_kw: ratings. weight: EVs that each
    stands for. share: of the EVs of a feeder, those who come on a day, (n_days,).
    """

    arrival_min: FloatArray
    departure_min: FloatArray
    day: IntArray
    need_kwh: FloatArray
    give_kwh: FloatArray
    back: FloatArray
    charge_kw: FloatArray
    discharge_kw: FloatArray
    weight: float
    share: FloatArray


def expected_arrivals(scenario: Scenario, n_zones: int) -> ExpectedArrivals:
    """Arrivals on one feeder that are believed to come, `belief` in the scenario."""
    belief, days = scenario.belief, scenario.horizon.days
    kind = belief.arrivals
    if kind is None:
        kind = "distributions" if scenario.inputs.sessions is None else "nobody"
    if kind == "sessions" and scenario.inputs.past is not None:
        past = stays_from_sessions(scenario.inputs.past, soc_min=scenario.ev.soc_min)
        return _expected(scenario, _by_day(past, days), 1.0)
    changes = {
        name: value
        for name in ("evs_per_zone", "stays", "arrival", "departure", "soc_arrival", "soc_target")
        if (value := getattr(belief, name)) is not None
    }
    if "evs_per_zone" in changes:
        changes["evs_per_customer"] = None
    fleet = scenario.fleet.model_copy(update=changes)
    n_evs = int(fleet.evs_of(scenario.inputs.feeder.zone_customers()).sum())
    if kind != "distributions" or n_evs == 0:
        none, share = np.zeros(0), np.zeros(scenario.horizon.days)
        day = np.zeros(0, dtype=np.int64)
        return ExpectedArrivals(none, none, day, none, none, none, none, none, 0.0, share)
    sampled = -(-SAMPLE_EVS // n_zones)
    believed = scenario.believed(
        fleet.model_copy(update={"evs_per_zone": sampled, "evs_per_customer": None})
    )
    people = Population(believed, n_zones, [SAMPLE_SEED])
    drawn = [people.stays()]
    if fleet.stays is not None:
        return _expected(scenario, _by_day(drawn[0], days), n_evs / (sampled * n_zones))
    # Who left yesterday is expected to have left with what it wanted.
    drawn += [people.stays(day, drawn[0].soc_target) for day in range(1, days)]
    return _expected(scenario, drawn, n_evs / (sampled * n_zones))


def _by_day(past: Stays, days: int) -> list[Stays]:
    """The stays that begin on each day; every day is like the first where all are of that."""
    if days == 1:
        return [past]
    day = (past.arrival_min // DAY_MIN).astype(np.int64)
    if not day.any():
        return [_later(past, DAY_MIN * d) for d in range(days)]
    return [_only(past, day == d) for d in range(days)]


def _only(stays: Stays, which: BoolArray) -> Stays:
    """Some of the stays."""
    columns = {name: values[which] for name, values in vars(stays).items() if name != "names"}
    return Stays(names=None, **columns)


def _later(stays: Stays, minutes: float) -> Stays:
    """The same stays so much later."""
    times = ("arrival_min", "departure_min", "announced_min")
    return replace(stays, **{name: getattr(stays, name) + minutes for name in times})


def _expected(scenario: Scenario, days: Sequence[Stays], weight: float) -> ExpectedArrivals:
    day = np.repeat(np.arange(len(days)), [int(stays.plugs_in.sum()) for stays in days])
    announced = np.concatenate([stays.announced_min[stays.plugs_in] for stays in days])
    arrival = np.concatenate([stays.arrival_min[stays.plugs_in] for stays in days])
    shift_min = 60.0 * scenario.belief.arrival_shift_h
    if shift_min:
        arrival = np.maximum(np.minimum(arrival + shift_min, announced - 30.0), 0.0)
    order = np.argsort(arrival, kind="stable")

    def column(name: str) -> NDArray[Any]:
        values = [getattr(stays, name)[stays.plugs_in] for stays in days]
        return np.asarray(np.concatenate(values)[order])

    requirement = scenario.requirement
    as_printed = requirement.kind == "as_printed"
    soc, goal = column("soc_arrival"), column("soc_target")
    arrival, departure, v2g = arrival[order], announced[order], column("v2g")
    p_max, p_discharge = column("p_max_kw"), np.where(v2g, column("p_discharge_kw"), 0.0)
    if as_printed:
        goal = printed_goal(soc, required_soc(goal, soc, requirement.factor))
    if taper := scenario.ev.taper:
        efficiency, capacity = column("efficiency"), column("capacity_kwh")
        p_max = np.asarray(tapered_mean(soc, goal, p_max, efficiency, capacity, taper))
    own = slack(
        np.maximum(departure - arrival, 1.0) / 60.0,
        soc,
        goal,
        column("soc_min"),
        column("capacity_kwh"),
        p_max,
        p_discharge,
        column("efficiency"),
        v2g,
        as_printed,
    )
    return ExpectedArrivals(
        arrival,
        departure,
        day[order],
        own.need_kwh,
        own.give_kwh,
        own.back,
        p_max,
        p_discharge,
        weight,
        np.array([stays.plugs_in.mean() for stays in days]),
    )
