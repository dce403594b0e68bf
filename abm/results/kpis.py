"""Indicators of a run, of each feeder and of all together; units in the names.

Of each feeder they are arrays over the feeders, NaN or None where undefined; `kpi_dict` makes plain
values of them. What several feeders have together is in `abm.results.city`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.battery import energy_gained
from abm.results.emergence import emergence_columns
from abm.results.flows import highest_voltage, hourly_converged, in_hours
from abm.results.overloads import overload_columns
from abm.results.phases import phase_columns
from abm.results.record import Record
from abm.results.supply import supply_columns
from abm.results.tables import BESIDE
from abm.results.transformers import heat_columns
from abm.results.violations import violation_columns

NIGHT_H, DAY_H = 18, 24
# Grains of the peaks that are not hourly means, min.
GRAINS = {"15min": 15.0, "1min": 1.0}
LEADING = "15min"
# Hours whose demand differs by less than this share a peak.
TIE_MW = 0.001


def kpi_columns(record: Record) -> dict[str, NDArray[Any]]:
    """Every indicator as one array over the feeders, (K,); NaN or None where it is undefined."""
    return {
        **_demand(record),
        **overload_columns(record),
        **_load_flow(record),
        **_energy_and_money(record),
        **_constraints(record),
        **heat_columns(record),
        **emergence_columns(record),
        **violation_columns(record),
        **supply_columns(record),
        # Last: lines of a three-phase feeder may be known by their highest loading alone.
        **phase_columns(record),
    }


def kpi_dict(columns: Mapping[str, NDArray[Any]], k: int) -> dict[str, Any]:
    """The indicators of one feeder as plain Python values, None where undefined."""
    return {name: plain(column[k]) for name, column in columns.items()}


def plain(value: Any) -> Any:
    """A numpy scalar as a Python value; None for NaN and infinity, which JSON does not know."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def tied_hours(demand_mw: FloatArray, clock_hours: IntArray, tie_mw: float) -> IntArray:
    """Clock hours beside that of the peak which come within tie_mw of it, (K,), from (W, K).

    clock_hours: of the windows of the demand, (W,).
    """
    near = np.zeros((24, demand_mw.shape[1]), dtype=np.bool_)
    np.logical_or.at(near, clock_hours, demand_mw >= demand_mw.max(axis=0) - tie_mw)
    return np.asarray(near.sum(axis=0) - 1)


def _demand(record: Record) -> dict[str, NDArray[Any]]:
    total, ev, limit = record.total_mw, record.ev_mw, record.limit_mw()
    plugged = record.plugged_peak > 0
    when_plugged = np.where(plugged, total, -np.inf).max(axis=0)
    finer = {}
    for label, grain_min in GRAINS.items():
        demand, there = record.demand_mw(grain_min), record.plugged_in(grain_min)
        in_use = np.where(there, demand, -np.inf).max(axis=0)
        finer[f"peak_{label}_mw"] = demand.max(axis=0)
        if label == LEADING:
            finer[f"peak_{label}_time"] = _objects(
                record.clock_times(demand.argmax(axis=0), grain_min)
            )
            finer[f"peak_{label}_tied_hours"] = tied_hours(
                demand, record.window_hours(grain_min), TIE_MW
            )
        finer[f"plugged_peak_{label}_mw"] = np.where(there.any(axis=0), in_use, np.nan)
    return {
        **finer,
        "system_peak_mw": total.max(axis=0),
        "system_peak_hour": record.clock_hours[total.argmax(axis=0)],
        "system_peak_tied_hours": tied_hours(total, record.clock_hours, TIE_MW),
        "plugged_peak_mw": np.where(plugged.any(axis=0), when_plugged, np.nan),
        "feeder_energy_mwh": _sum_over_hours(total),
        "base_energy_mwh": _sum_over_hours(record.base_mw),
        "heat_pump_mwh": _sum_over_hours(record.heat_pump_mw),
        "ev_peak_mw": ev.max(axis=0),
        "ev_peak_hour": record.clock_hours[ev.argmax(axis=0)],
        "demand_limit_mw": np.full(record.n_feeders, limit.min()),
        "hours_above_limit": (total > limit[:, None] + 1e-9).sum(axis=0),
        "rebound_ratio": _rebound(record, total, limit),
    }


def _rebound(record: Record, total: FloatArray, limit: FloatArray) -> FloatArray:
    """Highest demand over the limit in the hours after the evening peaks, (K,)."""
    base = record.base_mw
    alike = bool((base == base[:, :1]).all())
    found = _unknown(record.n_feeders)
    for k in range(record.n_feeders):
        if k == 0 or not alike:
            after = hours_after_evening_peaks(base[:, k], limit, record.n_days)
        if len(after):
            found[k] = (total[after, k] / limit[after]).max()
    return found


def hours_after_evening_peaks(base_mw: FloatArray, limit_mw: FloatArray, n_days: int) -> IntArray:
    """Those hours of every day of a horizon of one day or several, the last of which may go on."""
    if n_days == 1:
        return hours_after_evening_peak(base_mw, limit_mw)
    days = [slice(first, first + DAY_H) for first in range(0, len(base_mw), DAY_H)]
    found = [hours_after_evening_peak(base_mw[day], limit_mw[day]) + day.start for day in days]
    return np.concatenate(found)


def hours_after_evening_peak(base_mw: FloatArray, limit_mw: FloatArray) -> IntArray:
    """Hours in which demand pushed out of the evening peak can come back.

    The evening peak is the run of hours with base demand at or above the limit around the highest
    base demand (that hour alone when it stays below, or when the run never ends). What follows
    within `NIGHT_H` of the highest base demand is the night and morning after it; the next evening
    is none of it.
    """
    highest = int(np.argmax(base_mw))
    end = min(len(base_mw), highest + 1 + NIGHT_H)
    hour = highest + 1
    while hour < end and base_mw[hour] >= limit_mw[hour]:
        hour += 1
    return np.arange(hour if hour < end else highest + 1, end)


def _load_flow(record: Record) -> dict[str, NDArray[Any]]:
    flows, feeders = record.flows, np.arange(record.n_feeders)
    # What is lowest or largest of all is not known where some are not.
    solved = flows.converged.all(axis=0)
    loss_at = np.nan_to_num(flows.loss_mw, nan=-np.inf).argmax(axis=0)
    lowest = record.lowest_vm_pu
    vm_at = np.nan_to_num(lowest, nan=np.inf).argmin(axis=0)
    vm_bus = np.nan_to_num(flows.vm_pu[vm_at, feeders], nan=np.inf).argmin(axis=1)
    failed = ~hourly_converged(record)
    hours, which = record.flow_hours, record.clock_hours
    return {
        "max_loss_mw": flows.loss_mw.max(axis=0),
        "max_loss_hour": _where(solved, hours[loss_at]),
        # The energy of a day with an unknown hour is unknown, not smaller.
        "loss_energy_mwh": in_hours(record, _sum_over_hours(flows.loss_mw)),
        "min_vm_pu": lowest.min(axis=0),
        "min_vm_bus": _where(solved, record.feeder.bus_numbers[vm_bus]),
        "min_vm_hour": _where(solved, hours[vm_at]),
        "ev_reactive_mvarh": in_hours(record, np.abs(record.flow_zone_mvar).sum(axis=(0, 2))),
        "max_vm_pu": highest_voltage(record).max(axis=(0, 2)),
        "nonconverged_hours": in_hours(record, (~flows.converged).sum(axis=0)),
        "nonconverged_clock_hours": _objects([which[failed[:, k]].tolist() for k in feeders]),
    }


def _energy_and_money(record: Record) -> dict[str, NDArray[Any]]:
    ev = record.ev

    def total(values: NDArray[Any]) -> FloatArray:
        sums = np.bincount(ev["feeder"], weights=values, minlength=record.n_feeders)
        return sums.astype(np.float64, copy=False)

    def count(values: NDArray[Any]) -> IntArray:
        return np.bincount(ev["feeder"][values], minlength=record.n_feeders)

    def whole(flags: NDArray[np.bool_]) -> IntArray:
        """Stays of all days that have a flag (D, n), by feeder."""
        return total(flags.sum(axis=0)).astype(np.int64)

    rows = np.diff(record.first_row)
    stays = record.stays
    purchase, sale = total(ev["purchase_usd"]), total(ev["sale_usd"])
    none = np.zeros(record.n_feeders)
    gained = energy_gained(stays["charged_kwh"], stays["discharged_kwh"], ev["efficiency"])
    left_with = np.where(np.isnan(stays["soc_departure"]), stays["soc"], stays["soc_departure"])
    stored = (left_with - stays["soc_arrival"]) * ev["capacity_kwh"]
    error = np.abs(np.where(stays["arrived"], stored - gained, gained)).max(axis=0)
    worst = np.zeros(record.n_feeders)
    np.maximum.at(worst, ev["feeder"], error)
    short, shortfall = record.stay_short, record.stay_shortfall_kwh
    early = stays["departure_min"] < stays["announced_min"]
    return {
        "ev_charged_mwh": total(ev["charged_kwh"]) / 1e3,
        "ev_discharged_mwh": total(ev["discharged_kwh"]) / 1e3,
        "purchase_usd": purchase,
        "sale_usd": sale,
        **{name: total(ev[name]) if name in ev else none for name in BESIDE},
        "net_cost_usd": purchase - sale + total(record.demand_charge_usd),
        "switching_cost_usd": total(ev["switches"]) * record.scenario.ev.switch_cost_usd,
        "evs": record.n_evs,
        "stays": whole(stays["arrived"]),
        "evs_short": whole(short),
        "energy_short_kwh": total(record.shortfall_kwh),
        "energy_short_early_kwh": total(np.where(early, shortfall, 0.0).sum(axis=0)),
        "v2g_share": total(stays["v2g"].mean(axis=0)) / np.maximum(rows, 1),
        "boosts": whole(stays["boost"] & stays["arrived"]),
        "trip_mwh": total(stays["trip_kwh"].sum(axis=0)) / 1e3,
        "trip_short_kwh": total(stays["trip_short_kwh"].sum(axis=0)),
        "evs_still_plugged": count(ev["plugged"]),
        "energy_balance_error_kwh": worst,
    }


def _constraints(record: Record) -> dict[str, NDArray[Any]]:
    grid, feeder, hours = record.scenario.grid, record.feeder, record.flow_hours
    vm_pu, loading = record.flows.vm_pu, record.loading_percent
    solved = np.asarray(record.flows.converged.all(axis=0))
    worst, line, line_hour = _highest(loading, feeder.line_names, hours, solved)
    transformers = record.flows.transformer_percent
    highest, transformer, transformer_hour = _highest(
        transformers, feeder.network.transformers.names, hours, solved
    )

    def counted(outside: BoolArray) -> NDArray[Any]:
        return in_hours(record, outside.sum(axis=(0, 2)))

    return {
        "soc_below_ev_minutes": record.below_min,
        "soc_above_ev_minutes": record.above_min,
        "soc_lowest": record.soc_lowest,
        "soc_highest": record.soc_highest,
        "vm_below_bus_hours": counted(vm_pu < grid.vm_min_pu),
        "vm_above_bus_hours": counted(highest_voltage(record) > grid.vm_max_pu),
        "line_over_line_hours": counted(loading > 100.0),
        "max_line_loading_percent": worst,
        "max_line_loading_line": line,
        "max_line_loading_hour": line_hour,
        "transformer_over_transformer_hours": counted(transformers > 100.0),
        "max_transformer_loading_percent": highest,
        "max_transformer_loading_transformer": transformer,
        "max_transformer_loading_hour": transformer_hour,
        "max_mismatch_mva": record.flows.mismatch_mva.max(axis=0),
    }


def _highest(
    loading: FloatArray, names: Sequence[str], hours: IntArray, solved: BoolArray
) -> tuple[FloatArray, NDArray[np.object_], NDArray[Any]]:
    """Highest loading of each feeder, of what and in which hour, from (F, K, M).

    None where there is none, and where not all load flows of a feeder are solved.
    """
    n_feeders, n = loading.shape[1:]
    known = np.where(np.isnan(loading), -np.inf, loading)
    by_feeder = known.transpose(1, 0, 2).reshape(n_feeders, -1)
    worst = by_feeder.max(axis=1, initial=-np.inf)
    found = np.isfinite(worst) & solved
    at = by_feeder.argmax(axis=1) if n else np.zeros(n_feeders, dtype=np.int64)
    which = [names[i % n] if ok else None for i, ok in zip(at, found, strict=True)]
    return np.where(found, worst, np.nan), _objects(which), _where(found, hours[at // max(n, 1)])


def _sum_over_hours(values: FloatArray) -> FloatArray:
    """(H or F, K) -> (K,), each feeder added up in the same order however many there are."""
    return np.asarray(np.ascontiguousarray(values.T).sum(axis=1))


def _unknown(n: int) -> FloatArray:
    return np.full(n, np.nan)


def _objects(values: list[Any]) -> NDArray[np.object_]:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _where(known: Any, values: NDArray[np.int64]) -> NDArray[Any]:
    """Whole numbers, None where they are not known."""
    return _objects([int(v) if ok else None for v, ok in zip(values, known, strict=True)])
