"""Indicators of a run: one flat dict, units in the names, None where something is undefined."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.results.recorder import FloatArray, IntArray

if TYPE_CHECKING:
    from abm.results.results import Results


def compute_kpis(results: Results) -> dict[str, Any]:
    """All indicators of one feeder's run."""
    kpis = {
        **_demand(results),
        **_load_flow(results),
        **_energy_and_money(results),
        **_constraints(results),
    }
    return {name: _plain(value) for name, value in kpis.items()}


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _demand(results: Results) -> dict[str, Any]:
    total, ev = results.total_mw, results.ev_mw
    peak = int(np.argmax(total))
    recorder, feeder = results.record.recorder, results.index
    plugged = recorder.plugged_peak[:, feeder] > 0
    limit = results.record.scenario.grid.demand_limit_mw
    after = hours_after_evening_peak(results.base_mw, limit)
    ev_peak = int(np.argmax(ev))
    return {
        "system_peak_mw": total[peak],
        "system_peak_hour": results.clock_hours[peak],
        "plugged_peak_mw": total[plugged].max() if plugged.any() else None,
        "feeder_energy_mwh": total.sum(),
        "base_energy_mwh": results.base_mw.sum(),
        "ev_peak_mw": ev[ev_peak],
        "ev_peak_hour": results.clock_hours[ev_peak],
        "demand_limit_mw": limit,
        "hours_above_limit": int((total > limit + 1e-9).sum()),
        "rebound_ratio": total[after].max() / limit if len(after) else None,
    }


def hours_after_evening_peak(base_mw: FloatArray, limit_mw: float) -> IntArray:
    """Hours in which demand pushed out of the evening peak can come back.

    The evening peak is the run of hours with base demand at or above the limit around the highest
    base demand (that hour alone when it stays below); all later hours of the horizon follow it.
    """
    hour = int(np.argmax(base_mw)) + 1
    while hour < len(base_mw) and base_mw[hour] >= limit_mw:
        hour += 1
    return np.arange(hour, len(base_mw))


def _load_flow(results: Results) -> dict[str, Any]:
    flows, hours = results.flows, results.clock_hours
    nonconverged = int((~flows.converged).sum())
    out: dict[str, Any] = {
        "max_loss_mw": None,
        "max_loss_hour": None,
        "loss_energy_mwh": None,
        "min_vm_pu": None,
        "min_vm_bus": None,
        "min_vm_hour": None,
        "max_vm_pu": None,
        "nonconverged_hours": nonconverged,
        "nonconverged_clock_hours": [int(h) for h in hours[~flows.converged]],
    }
    if flows.converged.any():
        loss_hour = int(np.nanargmax(flows.loss_mw))
        vm_hour, vm_bus = np.unravel_index(int(np.nanargmin(flows.vm_pu)), flows.vm_pu.shape)
        out |= {
            "max_loss_mw": flows.loss_mw[loss_hour],
            "max_loss_hour": hours[loss_hour],
            "min_vm_pu": flows.vm_pu[vm_hour, vm_bus],
            "min_vm_bus": results.record.feeder.bus_index[vm_bus] + 1,
            "min_vm_hour": hours[vm_hour],
            "max_vm_pu": np.nanmax(flows.vm_pu),
        }
    if nonconverged == 0:
        # The energy of a day with an unknown hour is unknown, not smaller.
        out["loss_energy_mwh"] = flows.loss_mw.sum()
    return out


def _energy_and_money(results: Results) -> dict[str, Any]:
    fleet, rows = results.record.fleet, results.rows
    charged, discharged = fleet.charged_kwh[rows], fleet.discharged_kwh[rows]
    purchase, sale = fleet.purchase_usd[rows].sum(), fleet.sale_usd[rows].sum()
    gained = charged * fleet.efficiency[rows] - discharged / fleet.efficiency[rows]
    stored = (results.soc_departure - fleet.soc_arrival[rows]) * fleet.capacity_kwh[rows]
    error = np.abs(np.where(np.isnan(stored), 0.0, stored - gained))
    return {
        "ev_charged_mwh": charged.sum() / 1e3,
        "ev_discharged_mwh": discharged.sum() / 1e3,
        "purchase_usd": purchase,
        "sale_usd": sale,
        "net_cost_usd": purchase - sale,
        "evs": len(rows),
        "evs_short": int(results.short.sum()),
        "energy_short_kwh": results.shortfall_kwh.sum(),
        "evs_still_plugged": int(fleet.plugged[rows].sum()),
        "energy_balance_error_kwh": error.max(initial=0.0),
    }


def _constraints(results: Results) -> dict[str, Any]:
    grid, recorder, k = results.record.scenario.grid, results.record.recorder, results.index
    vm_pu, loading, feeder = results.flows.vm_pu, results.loading_percent, results.record.feeder
    out: dict[str, Any] = {
        "soc_below_ev_minutes": recorder.below_min[k],
        "soc_above_ev_minutes": recorder.above_min[k],
        "soc_lowest": recorder.soc_lowest[k],
        "soc_highest": recorder.soc_highest[k],
        "vm_below_bus_hours": int((vm_pu < grid.vm_min_pu).sum()),
        "vm_above_bus_hours": int((vm_pu > grid.vm_max_pu).sum()),
        "line_over_line_hours": int((loading > 100.0).sum()),
        "max_line_loading_percent": None,
        "max_line_loading_line": None,
        "max_line_loading_hour": None,
        "max_mismatch_mva": None,
    }
    if np.isfinite(loading).any():
        hour, line = np.unravel_index(int(np.nanargmax(loading)), loading.shape)
        from_bus, to_bus = feeder.line_from[line], feeder.line_to[line]
        out |= {
            "max_line_loading_percent": loading[hour, line],
            "max_line_loading_line": (
                f"N{feeder.bus_index[from_bus] + 1}-N{feeder.bus_index[to_bus] + 1}"
            ),
            "max_line_loading_hour": results.clock_hours[hour],
        }
    if results.flows.converged.any():
        out["max_mismatch_mva"] = np.nanmax(results.flows.mismatch_mva)
    return out
