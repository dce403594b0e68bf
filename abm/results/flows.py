"""Load flows of a run by the hour: one per hour, or several that make an hour together.

A load flow that did not converge has no voltage, loss or loading, and so has none the hour, the day
or the horizon that it is a part of: the mean, the lowest or the highest of what is left would be a
number of something else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray, FloatArray
from abm.grid.phase_feeder import ThreePhaseFeeder
from abm.grid.phase_flow import ThreePhaseFlow
from abm.results.record import Record
from abm.scenario import Scenario

# Up to so many rows of buses and lines the tables of every load flow are written.
MOST_ROWS = 10_000_000
# Those tables.
OF_FLOWS = ("bus_hour", "line_hour", "transformer_hour", "zone_balance")


def has_flow_tables(scenario: Scenario, elements: int, n_feeders: int) -> bool:
    """Whether a run writes its tables of every load flow (`record.flow_tables`).

    elements: buses and lines of a feeder, of three phases its homes and lines.
    """
    wanted = scenario.record.flow_tables
    if wanted is not None:
        return wanted
    flows = n_feeders * scenario.hours * 60 // scenario.grid.flow_interval_min
    return flows * elements <= MOST_ROWS


def hourly_mean(record: Record, values: FloatArray) -> FloatArray:
    """Mean over the load flows of each hour, (F, K) -> (H, K); NaN where one has no value."""
    # Each feeder is added up in the same order however many there are.
    return np.asarray(np.ascontiguousarray(_by_hour(record, values).transpose(2, 0, 1)).mean(2).T)


def hourly_lowest(record: Record, values: FloatArray) -> FloatArray:
    """Lowest of the load flows of each hour, (F, K) -> (H, K); NaN where one has no value."""
    return np.asarray(_by_hour(record, values).min(axis=1))


def hourly_highest(record: Record, values: FloatArray) -> FloatArray:
    """Highest of the load flows of each hour, (F, K) -> (H, K); NaN where one has no value."""
    return np.asarray(_by_hour(record, values).max(axis=1))


def hourly_converged(record: Record) -> BoolArray:
    """Hours of which all load flows converged, (H, K)."""
    return np.asarray(_by_hour(record, record.flows.converged).all(axis=1))


def highest_loading(record: Record) -> FloatArray:
    """Loading of the line with the highest, (F, K) [%]; NaN without ratings or a solution."""
    if isinstance(record.flows, ThreePhaseFlow):
        return record.flows.line_percent
    values = record.loading_percent
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    return np.asarray(np.fmax.reduce(values, axis=-1))


def zone_load(record: Record) -> FloatArray:
    """Mean load of the bus of every zone without EVs over every load flow, (F, K, Z) [MW]."""
    window_s, evs = 60 * record.flow_min, zone_net(record)
    base = record.base.mean_p_mw(record.begin_s(window_s), window_s)
    return np.broadcast_to(record.feeder.in_zones(base), evs.shape)


def zone_net(record: Record) -> FloatArray:
    """Mean net power of the chargers of every zone over every load flow, (F, K, Z) [MW]."""
    return record.zone_mw if record.flow_zone_mw is None else record.flow_zone_mw


def bus_load(record: Record) -> FloatArray:
    """Mean load of every bus over every load flow, (F, K, n_bus) [MW].

    NaN on a three-phase feeder where the record does not keep what chargers drew.
    """
    window_s = 60 * record.flow_min
    base = record.base.mean_p_mw(record.begin_s(window_s), window_s)
    p_mw = np.broadcast_to(base, (len(base), record.n_feeders, base.shape[2])).copy()
    if isinstance(record.feeder, ThreePhaseFeeder):
        # One point of a home after the other.
        homes, points_mw = record.feeder.points.home, record.flow_point_mw
        if points_mw is None:
            return np.full(p_mw.shape, np.nan)
        for point in range(len(homes)):
            p_mw[:, :, homes[point]] += points_mw[:, :, point]
    else:
        record.feeder.add_to_buses(p_mw, zone_net(record))
    return p_mw


def highest_voltage(record: Record) -> FloatArray:
    """Highest voltage of every bus, of the phases of every home, (F, K, n_bus) [p.u.]."""
    flows, feeder = record.flows, record.feeder
    if not (isinstance(flows, ThreePhaseFlow) and isinstance(feeder, ThreePhaseFeeder)):
        return flows.vm_pu
    several = feeder.terminals.several()
    if not len(several):
        return flows.vm_pu
    highest = flows.vm_pu.copy()
    highest[:, :, several] = flows.vm_high_pu
    return highest


def in_hours(record: Record, flows: NDArray[Any]) -> NDArray[Any]:
    """Numbers of load flows as hours: whole where a load flow is of an hour, parts where not."""
    hours: NDArray[Any] = flows if record.flow_min == 60 else flows * (record.flow_min / 60.0)
    return hours


def lowest_bus(record: Record) -> FloatArray:
    """Row of the bus with the lowest voltage in the worst load flow of each hour, (H, K).

    NaN where a load flow of the hour did not converge.
    """
    lowest = record.lowest_vm_pu
    filled = np.nan_to_num(lowest, nan=np.inf)
    worst = _by_hour(record, filled).argmin(axis=1)
    at = worst + np.arange(record.n_hours)[:, None] * record.flows_per_hour
    vm_pu = record.flows.vm_pu[at, np.arange(record.n_feeders)]
    bus = np.nan_to_num(vm_pu, nan=np.inf).argmin(axis=2).astype(np.float64)
    return np.where(hourly_converged(record), bus, np.nan)


def _by_hour(record: Record, values: NDArray[Any]) -> NDArray[Any]:
    """(F, K) -> (H, flows of an hour, K)."""
    return values.reshape(record.n_hours, record.flows_per_hour, -1)
