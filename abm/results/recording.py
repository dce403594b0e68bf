"""How a record comes to be: of a finished model, and of several parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.engine.meter import Meter
from abm.equations import FloatArray
from abm.fleet import Fleet
from abm.fleet.columns import RECORDED
from abm.fleet.cycles import visits_of
from abm.grid import PowerFlow, build_feeder
from abm.grid.base_load import BaseLoad, join_loads
from abm.grid.network import join_flows
from abm.results.flows import has_flow_tables
from abm.results.record import FEEDER_AXIS, Record
from abm.results.supply import SupplyRecord, join_supplies
from abm.scenario import Scenario


def join_records(parts: Sequence[Record]) -> Record:
    """The records of several groups of feeders as one, in the order given."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    ev = {name: np.concatenate([part.ev[name] for part in parts]) for name in first.ev}
    before = np.cumsum([0] + [part.n_feeders for part in parts[:-1]])
    ev["feeder"] = ev["feeder"] + np.repeat(before, [len(part.ev["feeder"]) for part in parts])
    joined: dict[str, Any] = {}
    for name, axis in FEEDER_AXIS.items():
        values = [getattr(part, name) for part in parts]
        some = any(value is None for value in values)
        joined[name] = None if some else np.concatenate(values, axis=axis)
    names = [part.names for part in parts]
    supplies = [part.supply for part in parts]
    return replace(
        first,
        seeds=tuple(seed for part in parts for seed in part.seeds),
        base=join_loads([(part.base, part.n_feeders) for part in parts]),
        ev=ev,
        stays={
            name: np.concatenate([part.stays[name] for part in parts], axis=1)
            for name in first.stays
        },
        supply=None if None in supplies else join_supplies([one for one in supplies if one]),
        names=None if names[0] is None else tuple(name for own in names for name in own or ()),
        flows=join_flows([part.flows for part in parts], axis=1),
        **joined,
    )


# What a meter says of the SoC.
OF_SOC = ("soc_lowest", "soc_highest", "below_min", "above_min")


def make_record(
    scenario: Scenario,
    seeds: tuple[int, ...],
    solver: str,
    base: BaseLoad,
    alpha: FloatArray | None,
    billed: Mapping[str, FloatArray],
    fleet: Fleet,
    meter: Meter,
    flows: PowerFlow,
    taken_mvar: FloatArray,
    supply: SupplyRecord | None = None,
) -> Record:
    """The record of a run, finished or not; flows: (n_flows, K, ...).

    alpha: price by step and feeder where it follows the demand. billed: columns of the EVs beside
    those of the fleet. taken_mvar: reactive power that the chargers take in them, (F, K, Z).
    supply: PV and batteries.
    """

    def by_zone(values: NDArray[Any]) -> NDArray[Any]:
        # A feeder may have no zones, so that the length cannot be left to numpy.
        return values.reshape(len(values), fleet.n_feeders, fleet.n_zones)

    ev: dict[str, NDArray[Any]] = {name: getattr(fleet, name) for name in RECORDED}
    ev["number"] = fleet.stay_index - fleet.first_row[fleet.feeder]
    points, feeder = meter.flow_point_mw, build_feeder(scenario.inputs.feeder)
    n_points = points.shape[1] // max(fleet.n_feeders, 1)
    # Half of what a year by the minute would keep, for a column of one table.
    kept = has_flow_tables(scenario, feeder.n_bus + feeder.n_line, fleet.n_feeders)
    ev["point"] = fleet.point - fleet.feeder * n_points
    ev |= billed
    if fleet.history is not None:
        own = None if fleet.names is None else [fleet.names[i] for i in fleet.stay_index]
        ev |= fleet.history.ended(fleet.soc, visits_of(own, fleet.feeder, fleet.arrival_min))
    names = fleet.names
    minutes = meter.minutes
    days = [*meter.days] if meter.clock.finished else [*meter.days, meter.running_day()]
    days = days or [meter.running_day()]
    of_soc = {name: getattr(meter, name) for name in OF_SOC}
    if scenario.by_energy:
        of_soc = dict.fromkeys(OF_SOC, np.full(fleet.n_feeders, np.nan))
    return Record(
        scenario=scenario,
        seeds=seeds,
        solver=solver,
        base=base,
        alpha=alpha,
        ev=ev,
        names=None if names is None else tuple(names[i] for i in fleet.stay_index),
        zone_charge_mw=by_zone(meter.zone_charge_mw),
        zone_discharge_mw=by_zone(meter.zone_discharge_mw),
        zone_plugged=by_zone(meter.zone_plugged),
        plugged_peak=meter.plugged_peak,
        **of_soc,
        flows=flows,
        flow_zone_mw=by_zone(meter.flow_zone_mw) if len(meter.flow_zone_mw) else None,
        flow_zone_mvar=taken_mvar,
        flow_point_mw=points.reshape(len(points), fleet.n_feeders, n_points) if kept else None,
        supply=supply,
        stays={name: np.stack([day[name] for day in days]) for name in days[0]},
        unsent=meter.unsent,
        ev_kw=meter.ev_kw,
        switched_evs=meter.switched_evs,
        minute_charge_kw=by_zone(meter.charge_kw) if minutes else None,
        minute_discharge_kw=by_zone(meter.discharge_kw) if minutes else None,
        minute_plugged=by_zone(meter.plugged) if minutes else None,
    )
