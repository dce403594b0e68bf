"""What a finished run leaves behind, as arrays; results are made from nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.engine.meter import STAY_STATE, STAY_SUMS, Meter
from abm.equations import FloatArray, IntArray
from abm.fleet import Fleet
from abm.grid import Feeder, PowerFlow, build_feeder
from abm.scenario import Scenario

# Columns of the fleet that a record keeps, in the fleet's order of rows.
EV_COLUMNS = (
    "feeder",
    "zone",
    "group",
    "arrival_min",
    "departure_min",
    "capacity_kwh",
    "efficiency",
    "p_max_kw",
    "p_discharge_kw",
    "soc_arrival",
    "soc_target",
    "soc",
    "soc_departure",
    "plugged",
    "charged_kwh",
    "discharged_kwh",
    "switches",
    "purchase_usd",
    "sale_usd",
)


@dataclass(frozen=True, eq=False)
class Record:
    """Arrays of K feeders over D days, H hours and S steps with Z zones.

    base_p_mw: (24, n_bus) by clock hour. price: (24,). ev: `EV_COLUMNS`, (n,) each, and "number",
    the EV's place in its feeder's table of stays. names: by EV in the order of rows, or None where
    they are numbered. stays: `STAY_STATE` and `STAY_SUMS` of each day, (D, n) each. zone_*: (H, K,
    Z). plugged_peak: (H, K). soc_*, *_min: (K,). flows: arrays with (H, K, ...). unsent: (H, K),
    messages kept back by load flows that did not converge. ev_kw, switched_evs: (S, K), net power
    of the EVs, and how many changed mode within the five minutes that end with the step. minute_*:
    (S, K, Z), or None.
    """

    scenario: Scenario
    seeds: tuple[int, ...]
    start_hour: int
    solver: str
    base_p_mw: FloatArray
    price: FloatArray
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
    unsent: IntArray
    ev_kw: FloatArray
    switched_evs: NDArray[np.int32]
    stays: Mapping[str, NDArray[Any]]
    minute_charge_kw: FloatArray | None
    minute_discharge_kw: FloatArray | None
    minute_plugged: NDArray[np.int32] | None

    @property
    def n_feeders(self) -> int:
        """K."""
        return len(self.seeds)

    @property
    def n_hours(self) -> int:
        """H."""
        return len(self.zone_charge_mw)

    @property
    def feeder(self) -> Feeder:
        """The feeder, from the cache of this process."""
        return build_feeder(self.scenario.inputs.feeder)

    @property
    def n_days(self) -> int:
        """D."""
        return len(self.stays["arrived"])

    @cached_property
    def clock_hours(self) -> IntArray:
        """Hour on the clock of every hour, (H,)."""
        return (np.arange(self.n_hours) + self.start_hour) % 24

    @cached_property
    def base_mw(self) -> FloatArray:
        """Demand of a feeder without EVs, (H,) [MW]."""
        return np.asarray(self.base_p_mw.sum(axis=1)[self.clock_hours])

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
        return self.base_mw[:, None] + self.ev_mw

    @cached_property
    def first_row(self) -> IntArray:
        """EVs of feeder k are rows first_row[k] to first_row[k + 1], (K + 1,)."""
        return np.searchsorted(self.ev["feeder"], np.arange(self.n_feeders + 1))

    def only(self, k: int) -> Record:
        """The record of one feeder."""
        if self.n_feeders == 1 and k == 0:
            return self
        if not 0 <= k < self.n_feeders:
            raise IndexError(f"feeder {k}: there are {self.n_feeders}, from 0")
        rows = slice(int(self.first_row[k]), int(self.first_row[k + 1]))
        ev = {name: column[rows] for name, column in self.ev.items()}
        ev["feeder"] = np.zeros_like(ev["feeder"])
        second: dict[str, Any] = {
            name: getattr(self, name)[:, k : k + 1] for name in _BY_FEEDER_SECOND
        }
        first: dict[str, Any] = {name: getattr(self, name)[k : k + 1] for name in _BY_FEEDER_FIRST}
        minutes: dict[str, Any] = {
            name: None if (values := getattr(self, name)) is None else values[:, k : k + 1]
            for name in _BY_MINUTE
        }
        flows = PowerFlow(**{name: getattr(self.flows, name)[:, k : k + 1] for name in _FLOW})
        stays = {name: column[:, rows] for name, column in self.stays.items()}
        names = None if self.names is None else self.names[rows]
        seeds = (self.seeds[k],)
        return replace(
            self,
            seeds=seeds,
            ev=ev,
            stays=stays,
            names=names,
            flows=flows,
            **first,
            **second,
            **minutes,
        )


_BY_FEEDER_FIRST = ("soc_lowest", "soc_highest", "below_min", "above_min")
_BY_FEEDER_SECOND = (
    "zone_charge_mw",
    "zone_discharge_mw",
    "zone_plugged",
    "plugged_peak",
    "unsent",
    "ev_kw",
    "switched_evs",
)
_BY_MINUTE = ("minute_charge_kw", "minute_discharge_kw", "minute_plugged")
_FLOW = tuple(PowerFlow.__dataclass_fields__)


def join_records(parts: Sequence[Record]) -> Record:
    """The records of several groups of feeders as one, in the order given."""
    if len(parts) == 1:
        return parts[0]
    ev = {name: np.concatenate([part.ev[name] for part in parts]) for name in parts[0].ev}
    before = np.cumsum([0] + [part.n_feeders for part in parts[:-1]])
    shift = np.repeat(before, [len(part.ev["feeder"]) for part in parts])
    ev["feeder"] = ev["feeder"] + shift

    def joined(name: str, axis: int) -> Any:
        values = [getattr(part, name) for part in parts]
        return None if values[0] is None else np.concatenate(values, axis=axis)

    names = [part.names for part in parts]
    flows = {
        name: np.concatenate([getattr(part.flows, name) for part in parts], axis=1)
        for name in _FLOW
    }
    return replace(
        parts[0],
        seeds=tuple(seed for part in parts for seed in part.seeds),
        ev=ev,
        stays={
            name: np.concatenate([part.stays[name] for part in parts], axis=1)
            for name in parts[0].stays
        },
        names=None if names[0] is None else tuple(name for own in names for name in own or ()),
        flows=PowerFlow(**flows),
        **{name: joined(name, 0) for name in _BY_FEEDER_FIRST},
        **{name: joined(name, 1) for name in (*_BY_FEEDER_SECOND, *_BY_MINUTE)},
    )


def make_record(
    scenario: Scenario,
    seeds: tuple[int, ...],
    start_hour: int,
    solver: str,
    base_p_mw: FloatArray,
    price: FloatArray,
    fleet: Fleet,
    meter: Meter,
    flows: Sequence[PowerFlow],
) -> Record:
    """The record of a finished run; flows: one per hour with K rows each."""
    shape = (-1, fleet.n_feeders, fleet.n_zones)
    ev: dict[str, NDArray[Any]] = {name: getattr(fleet, name) for name in EV_COLUMNS}
    ev["number"] = fleet.stay_index - fleet.first_row[fleet.feeder]
    names = fleet.names
    stacked = {name: np.array([getattr(flow, name) for flow in flows]) for name in _FLOW}
    minutes = meter.minutes
    days = meter.days or [{name: getattr(fleet, name) for name in (*STAY_STATE, *STAY_SUMS)}]
    return Record(
        scenario=scenario,
        seeds=seeds,
        start_hour=start_hour,
        solver=solver,
        base_p_mw=base_p_mw,
        price=price,
        ev=ev,
        names=None if names is None else tuple(names[i] for i in fleet.stay_index),
        zone_charge_mw=meter.zone_charge_mw.reshape(shape),
        zone_discharge_mw=meter.zone_discharge_mw.reshape(shape),
        zone_plugged=meter.zone_plugged.reshape(shape),
        plugged_peak=meter.plugged_peak,
        soc_lowest=meter.soc_lowest,
        soc_highest=meter.soc_highest,
        below_min=meter.below_min,
        above_min=meter.above_min,
        flows=PowerFlow(**stacked),
        stays={name: np.stack([day[name] for day in days]) for name in days[0]},
        unsent=meter.unsent,
        ev_kw=meter.ev_kw,
        switched_evs=meter.switched_evs,
        minute_charge_kw=meter.charge_kw.reshape(shape) if minutes else None,
        minute_discharge_kw=meter.discharge_kw.reshape(shape) if minutes else None,
        minute_plugged=meter.plugged.reshape(shape) if minutes else None,
    )
