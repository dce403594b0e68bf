"""Tables of a run; rows go feeder by feeder, then time, then zone, bus or line.

Each takes `Results`, whose properties of the same names hand them out and keep them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import FloatArray

if TYPE_CHECKING:
    import pandas as pd

    from abm.results.results import Results


def hourly_table(results: Results) -> pd.DataFrame:
    """One row per hour: demand, losses, voltages, price, headroom."""
    import pandas as pd

    record = results.record
    flows, shape = record.flows, (results.n_hours, results.n_feeders)
    lowest = flows.vm_pu.min(axis=2)
    at = np.nan_to_num(flows.vm_pu, nan=np.inf).argmin(axis=2)
    bus = pd.array((record.feeder.bus_index[at] + 1).T.ravel(), dtype="Int64")
    bus[np.isnan(lowest).T.ravel()] = pd.NA

    def all_feeders(per_hour: NDArray[Any]) -> NDArray[Any]:
        return np.broadcast_to(per_hour[:, None], shape)

    limit = record.scenario.grid.demand_limit_mw
    columns = {
        "base_mw": all_feeders(record.base_mw),
        "ev_mw": record.ev_mw,
        "total_mw": record.total_mw,
        "charge_mw": record.zone_charge_mw.sum(axis=2),
        "discharge_mw": record.zone_discharge_mw.sum(axis=2),
        "evs_plugged": record.plugged_peak,
        "loss_mw": flows.loss_mw,
        "slack_p_mw": flows.slack_p_mw,
        "slack_q_mvar": flows.slack_q_mvar,
        "min_vm_pu": lowest,
        "min_vm_bus": bus,
        "max_line_loading_percent": _last_max(results.loading_percent),
        "converged": flows.converged,
        "mismatch_mva": flows.mismatch_mva,
        "messages_unsent": record.unsent,
        "price": all_feeders(record.price[results.clock_hours]),
        "headroom_mw": all_feeders(limit - record.base_mw),
    }
    return _frame(results, _hours(results, 1), {n: _by_feeder(c) for n, c in columns.items()})


def zone_minute_table(results: Results) -> pd.DataFrame:
    """One row per step and zone: net, charging and discharging power, EVs plugged in.

    RuntimeError where minutes were not recorded (`record.zone_minute` in the scenario).
    """
    record = results.record
    charge, discharge = record.minute_charge_kw, record.minute_discharge_kw
    plugged = record.minute_plugged
    if charge is None or discharge is None or plugged is None:
        raise RuntimeError("minutes were not recorded: set record.zone_minute in the scenario")
    steps, _, n_zones = charge.shape
    step_s = record.scenario.clock.step_s
    minute = np.arange(steps) * (step_s / 60.0)
    if step_s % 60 == 0:
        minute = minute.astype(np.int64)
    return _frame(
        results,
        {
            "minute": np.tile(np.repeat(minute, n_zones), results.n_feeders),
            **_zones(results, steps),
        },
        {
            "p_kw": _by_feeder(charge - discharge),
            "charge_kw": _by_feeder(charge),
            "discharge_kw": _by_feeder(discharge),
            "evs_plugged": _by_feeder(plugged),
        },
    )


def zone_hour_table(results: Results) -> pd.DataFrame:
    """One row per hour and zone: mean net, charging, discharging power, EVs plugged in."""
    record = results.record
    n_zones = record.zone_mw.shape[2]
    return _frame(
        results,
        {**_hours(results, n_zones), **_zones(results, results.n_hours)},
        {
            "p_kw": 1e3 * _by_feeder(record.zone_mw),
            "charge_kw": 1e3 * _by_feeder(record.zone_charge_mw),
            "discharge_kw": 1e3 * _by_feeder(record.zone_discharge_mw),
            "evs_plugged": _by_feeder(record.zone_plugged),
        },
    )


def ev_table(results: Results) -> pd.DataFrame:
    """One row per EV, in the order of the session file or the sample."""
    import pandas as pd

    ev, order, ids = results.record.ev, results.ev_order, results.ev_ids
    columns = {name: ev[name][order] for name in (
        "zone", "arrival_min", "departure_min", "capacity_kwh", "efficiency", "p_max_kw",
        "p_discharge_kw", "soc_arrival", "soc_target",
    )}  # fmt: skip
    columns["zone"] = columns["zone"] + 1
    stays = results.record.stays
    for name in ("announced_min", "soc_min"):
        columns[name] = stays[name][-1][order]
    groups = np.array(list(results.record.scenario.owners.groups) or ["all"], dtype=object)
    columns["group"] = groups[ev["group"][order]]
    columns["stays"] = stays["arrived"].sum(axis=0)[order]
    columns["v2g"], columns["boost"] = stays["v2g"][-1][order], stays["boost"][-1][order]
    columns["soc_departure"] = results.soc_departure[order]
    for name in ("charged_kwh", "discharged_kwh", "purchase_usd", "sale_usd"):
        columns[name] = ev[name][order]
    columns["net_cost_usd"] = columns["purchase_usd"] - columns["sale_usd"]
    columns["reference_cost_usd"] = results.reference_cost_usd[order]
    columns["benefit_usd"] = results.benefit_usd[order]
    columns["full_cycles"] = results.full_cycles[order]
    columns["switches"] = ev["switches"][order]
    columns["shortfall_kwh"] = results.shortfall_kwh[order]
    columns["short"] = results.short[order]
    lead = {} if results.n_feeders == 1 else {"feeder": ev["feeder"][order] + 1}
    return pd.DataFrame({**lead, "ev_id": pd.Series(ids, dtype="object"), **columns})


def bus_hour_table(results: Results) -> pd.DataFrame:
    """One row per hour and bus: voltage and load."""
    record = results.record
    feeder, flows = record.feeder, record.flows
    p_mw = np.repeat(record.base_p_mw[results.clock_hours][:, None, :], results.n_feeders, axis=1)
    p_mw[:, :, feeder.zone_bus] += record.zone_mw
    return _frame(
        results,
        {**_hours(results, feeder.n_bus), "bus": _repeated(results, feeder.bus_index + 1)},
        {
            "vm_pu": _by_feeder(flows.vm_pu),
            "va_degree": np.degrees(_by_feeder(flows.va_rad)),
            "p_mw": _by_feeder(p_mw),
        },
    )


def line_hour_table(results: Results) -> pd.DataFrame:
    """One row per hour and line: current, loading, loss."""
    feeder, flows = results.record.feeder, results.record.flows
    return _frame(
        results,
        {
            **_hours(results, feeder.n_line),
            "line": _repeated(results, np.arange(1, feeder.n_line + 1)),
            "from_bus": _repeated(results, feeder.bus_index[feeder.line_from] + 1),
            "to_bus": _repeated(results, feeder.bus_index[feeder.line_to] + 1),
        },
        {
            "i_a": _by_feeder(flows.i_a),
            "loading_percent": _by_feeder(results.loading_percent),
            "loss_mw": _by_feeder(flows.line_loss_mw),
        },
    )


def zones_table(results: Results) -> pd.DataFrame:
    """One row per RPZ: energy, cost, EVs short, peak."""
    record, ev = results.record, results.record.ev
    feeder, n_zones = record.feeder, record.zone_mw.shape[2]
    cell, cells = ev["feeder"] * n_zones + ev["zone"], results.n_feeders * n_zones

    def total(values: NDArray[Any]) -> FloatArray:
        sums = np.bincount(cell, weights=values, minlength=cells)
        return sums.astype(np.float64, copy=False)

    purchase, sale = total(ev["purchase_usd"]), total(ev["sale_usd"])
    return _frame(
        results,
        _zones(results, 1),
        {
            "bus": np.tile(feeder.bus_index[feeder.zone_bus] + 1, results.n_feeders),
            "evs": np.bincount(cell, minlength=cells),
            "charged_kwh": total(ev["charged_kwh"]),
            "discharged_kwh": total(ev["discharged_kwh"]),
            "purchase_usd": purchase,
            "sale_usd": sale,
            "net_cost_usd": purchase - sale,
            "benefit_usd": total(results.benefit_usd),
            "peak_kw": 1e3 * record.zone_mw.max(axis=0).ravel(),
            "evs_short": total(results.short).astype(np.int64),
            "energy_short_kwh": total(results.shortfall_kwh),
        },
    )


def _frame(
    results: Results, index: dict[str, NDArray[Any]], columns: dict[str, Any]
) -> pd.DataFrame:
    import pandas as pd

    lead: dict[str, NDArray[Any]] = {}
    if results.n_feeders > 1:
        rows = len(next(iter(columns.values()))) // results.n_feeders
        lead["feeder"] = np.repeat(np.arange(1, results.n_feeders + 1), rows)
    return pd.DataFrame({**lead, **index, **columns}, copy=False)


def _hours(results: Results, n: int) -> dict[str, NDArray[Any]]:
    return {
        "hour_index": np.tile(np.repeat(results.hours, n), results.n_feeders),
        "hour": np.tile(np.repeat(results.clock_hours, n), results.n_feeders),
    }


def _zones(results: Results, times: int) -> dict[str, NDArray[Any]]:
    n_zones = results.record.zone_mw.shape[2]
    return {"zone": np.tile(np.arange(1, n_zones + 1), times * results.n_feeders)}


def _repeated(results: Results, values: NDArray[Any]) -> NDArray[Any]:
    return np.tile(values, results.n_hours * results.n_feeders)


def _by_feeder(values: Any) -> Any:
    """(times, K, ...) -> flat, feeder by feeder; what is flat already stays."""
    if values.ndim == 1:
        return values
    return np.ascontiguousarray(np.swapaxes(values, 0, 1)).reshape(-1)


def _last_max(values: FloatArray) -> FloatArray:
    """Largest along the last axis, NaN where there is nothing."""
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    return np.asarray(np.fmax.reduce(values, axis=-1))
