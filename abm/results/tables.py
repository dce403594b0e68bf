"""Tables of a run, made of its record; rows go feeder by feeder, then time, zone, bus or line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import FloatArray
from abm.fleet.cycles import BINS
from abm.results.flows import (
    bus_load,
    highest_loading,
    hourly_converged,
    hourly_highest,
    hourly_lowest,
    hourly_mean,
    lowest_bus,
)
from abm.results.homes import place_of_evs, place_of_zones
from abm.results.phases import TEXT_SUFFIXES, bus_columns, line_columns
from abm.results.record import Record
from abm.results.supply import zone_columns

if TYPE_CHECKING:
    import pandas as pd


# Columns that are there where the tariff has them; the first two are part of purchase and sale.
BESIDE = ("grid_fee_usd", "tax_usd", "demand_charge_usd")


def hourly_table(record: Record) -> pd.DataFrame:
    """One row per hour: demand, losses, voltages, price, headroom.

    supply_mw: batteries less PV of the zones, where there are any; base, EVs and it are the total.
    headroom_mw: limit less the demand without EVs that is broadcast by the hour. Of several load
    flows in an hour loss and slack are the mean, the voltage the lowest, loading and mismatch the
    highest.
    """
    import pandas as pd

    flows = record.flows
    at = lowest_bus(record)
    unknown = np.isnan(at)
    at = np.where(unknown, 0, at).astype(np.int64)
    bus = pd.array(record.feeder.bus_numbers[at].T.ravel(), dtype="Int64")
    bus[unknown.T.ravel()] = pd.NA

    supply, without_evs = record.supply, record.base_mw
    columns: dict[str, Any] = {"base_mw": record.base_mw, "ev_mw": record.ev_mw}
    if supply is not None:
        # As it is broadcast: PV before curtailment, and no batteries.
        there = np.broadcast_to(supply.there_mw.sum(axis=2), flows.loss_mw.shape)
        without_evs = without_evs - hourly_mean(record, there)
        columns["supply_mw"] = record.supply_mw(60.0)
    columns |= {
        "total_mw": record.total_mw,
        "charge_mw": record.zone_charge_mw.sum(axis=2),
        "discharge_mw": record.zone_discharge_mw.sum(axis=2),
        "evs_plugged": record.plugged_peak,
        "loss_mw": hourly_mean(record, flows.loss_mw),
        "slack_p_mw": hourly_mean(record, flows.slack_p_mw),
        "slack_q_mvar": hourly_mean(record, flows.slack_q_mvar),
        "min_vm_pu": hourly_lowest(record, record.lowest_vm_pu),
        "min_vm_bus": bus,
        "max_line_loading_percent": hourly_highest(record, highest_loading(record)),
        "converged": hourly_converged(record),
        "mismatch_mva": hourly_highest(record, flows.mismatch_mva),
        "messages_unsent": record.unsent,
        "price": record.hourly_price(record.prices.alpha),
        "purchase_price": record.hourly_price(record.prices.buy),
        "sale_price": record.hourly_price(record.prices.sell),
        "headroom_mw": record.limit_mw()[:, None] - without_evs,
    }
    return as_frame(record, hour_columns(record, 1), {n: by_feeder(c) for n, c in columns.items()})


def zone_minute_table(record: Record) -> pd.DataFrame:
    """One row per step and zone: net, charging and discharging power, EVs plugged in.

    RuntimeError where minutes were not recorded (`record.zone_minute` in the scenario).
    """
    charge, discharge = record.minute_charge_kw, record.minute_discharge_kw
    plugged = record.minute_plugged
    if charge is None or discharge is None or plugged is None:
        raise RuntimeError("minutes were not recorded: set record.zone_minute in the scenario")
    steps, _, n_zones = charge.shape
    step_s = record.scenario.clock.step_s
    minute = np.arange(steps) * (step_s / 60.0)
    if step_s % 60 == 0:
        minute = minute.astype(np.int64)
    return as_frame(
        record,
        {
            "minute": np.tile(np.repeat(minute, n_zones), record.n_feeders),
            **zone_numbers(record, steps),
        },
        {
            "p_kw": by_feeder(charge - discharge),
            "charge_kw": by_feeder(charge),
            "discharge_kw": by_feeder(discharge),
            "evs_plugged": by_feeder(plugged),
        },
    )


def zone_hour_table(record: Record) -> pd.DataFrame:
    """One row per hour and zone: mean net, charging, discharging power, EVs plugged in."""
    n_zones = record.zone_mw.shape[2]
    return as_frame(
        record,
        {**hour_columns(record, n_zones), **zone_numbers(record, record.n_hours)},
        {
            "p_kw": 1e3 * by_feeder(record.zone_mw),
            "charge_kw": 1e3 * by_feeder(record.zone_charge_mw),
            "discharge_kw": 1e3 * by_feeder(record.zone_discharge_mw),
            "evs_plugged": by_feeder(record.zone_plugged),
        },
    )


def ev_table(record: Record) -> pd.DataFrame:
    """One row per EV, in the order of the session file or the sample.

    Of an EV that comes again, times from its first arrival to its last departure, what is known of
    it last, and sums over its stays.
    """
    import pandas as pd

    ev, order, ids = record.ev, record.ev_order, record.ev_ids
    columns = {name: record.shown(name, ev[name])[order] for name in (
        "zone", "arrival_min", "departure_min", "capacity_kwh", "efficiency", "p_max_kw",
        "p_discharge_kw", "soc_arrival", "soc_target",
    )}  # fmt: skip
    columns["zone"] = columns["zone"] + 1
    columns |= {name: values[order] for name, values in place_of_evs(record).items()}
    stays = record.stays
    for name in ("announced_min", "soc_min"):
        columns[name] = record.shown(name, stays[name][-1])[order]
    groups = np.array(list(record.scenario.owners.groups) or ["all"], dtype=object)
    columns["group"] = groups[ev["group"][order]]
    columns["stays"] = stays["arrived"].sum(axis=0)[order]
    columns["v2g"], columns["boost"] = stays["v2g"][-1][order], stays["boost"][-1][order]
    left_with = np.where(np.isnan(ev["soc_departure"]), ev["soc"], ev["soc_departure"])
    columns["soc_departure"] = record.shown("soc_departure", left_with)[order]
    if record.scenario.by_energy:
        columns["energy_kwh"] = record.energy_asked_kwh.sum(axis=0)[order]
    for name in ("charged_kwh", "discharged_kwh", "purchase_usd", "sale_usd"):
        columns[name] = ev[name][order]
    for name in BESIDE:
        if name in ev:
            columns[name] = ev[name][order]
    columns["net_cost_usd"] = record.net_cost_usd[order]
    columns["reference_cost_usd"] = record.reference_cost_usd[order]
    columns["benefit_usd"] = record.benefit_usd[order]
    columns |= _wear(record, order)
    columns["switches"] = ev["switches"][order]
    columns["shortfall_kwh"] = record.shortfall_kwh[order]
    columns["short"] = record.short[order]
    lead = {} if record.n_feeders == 1 else {"feeder": ev["feeder"][order] + 1}
    table = pd.DataFrame({**lead, "ev_id": pd.Series(ids, dtype="object"), **columns})
    if int(record.n_evs.sum()) == len(table):
        return table
    # Rows of dates on which it did not come have no times.
    absent = table["stays"] == 0
    table.loc[absent, ["arrival_min", "departure_min", "announced_min"]] = np.nan
    keys = [*lead, "ev_id"]
    in_time = table.sort_values("arrival_min", kind="stable").groupby(keys, sort=False)
    how: dict[str, Any] = {name: OF_SEVERAL_STAYS.get(name, "last") for name in columns}
    return table[keys].drop_duplicates().merge(in_time.agg(how).reset_index(), on=keys)


# Of the stays of one EV, what is in its row; the last where nothing else is said.
OF_SEVERAL_STAYS: dict[str, Any] = {
    **dict.fromkeys(("zone", "arrival_min"), "first"),
    "departure_min": "max",
    "soc_mean": "first",
    **dict.fromkeys(("boost", "short"), "any"),
    **dict.fromkeys(
        (
            "stays", "energy_kwh", "charged_kwh", "discharged_kwh", "purchase_usd", "sale_usd",
            "net_cost_usd", "reference_cost_usd", "benefit_usd", "switches", "shortfall_kwh",
            "ageing_usd", "ageing_more_usd", "benefit_net_usd", *BESIDE, "rainflow_cycles",
            *(f"cycles_{10 * tenth}_{10 * tenth + 10}" for tenth in range(BINS)),
        ),
        "sum",
    ),
    **dict.fromkeys(
        ("full_cycles", "capacity_loss_percent_per_day", "capacity_loss_percent_per_year"),
        lambda parts: parts.sum(skipna=False),
    ),
}  # fmt: skip


def _wear(record: Record, order: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Columns of the EVs' batteries, with the depths of their cycles where the SoC is followed."""
    ageing, ev = record.ageing, record.ev
    columns = {
        "full_cycles": record.full_cycles,
        "ageing_usd": ageing.usd,
        "ageing_more_usd": ageing.more_usd,
        "benefit_net_usd": record.benefit_net_usd,
        "capacity_loss_percent_per_day": 100.0 * ageing.loss_per_day,
        "capacity_loss_percent_per_year": 100.0 * ageing.loss_per_year,
    }
    if ageing.use.mean_soc is not None:
        columns |= {"soc_mean": ageing.use.mean_soc, "rainflow_cycles": ev["cycles"]}
        for tenth in range(BINS):
            columns[f"cycles_{10 * tenth}_{10 * tenth + 10}"] = ev["cycles_by_depth"][:, tenth]
    return {name: column[order] for name, column in columns.items()}


def bus_hour_table(record: Record) -> pd.DataFrame:
    """One row per load flow and bus: voltage and load; with its name where the source has any."""
    feeder, flows = record.feeder, record.flows
    return as_frame(
        record,
        {
            **flow_times(record, feeder.n_bus),
            "bus": repeated(record, feeder.bus_numbers),
            **_named(record, "bus_name", feeder.labels.bus),
        },
        {
            "vm_pu": by_feeder(flows.vm_pu),
            **bus_columns(record),
            "p_mw": by_feeder(bus_load(record)),
        },
    )


def line_hour_table(record: Record) -> pd.DataFrame:
    """One row per load flow and line: current, loading, loss; with its name as for buses."""
    feeder, flows = record.feeder, record.flows
    # Without rows where the currents were not kept.
    n_line = flows.i_a.shape[2]
    one_end, other_end = (names[:n_line] for names in feeder.line_ends)
    return as_frame(
        record,
        {
            **flow_times(record, n_line),
            "line": repeated(record, np.arange(1, n_line + 1)),
            "from_bus": repeated(record, one_end),
            "to_bus": repeated(record, other_end),
            **_named(record, "line_name", feeder.labels.line[:n_line]),
        },
        {
            "i_a": by_feeder(flows.i_a),
            "loading_percent": by_feeder(record.loading_percent),
            **line_columns(flows),
        },
    )


def _named(record: Record, column: str, names: NDArray[np.str_]) -> dict[str, Any]:
    """A column of the source's names, where it has any."""
    return {column: repeated(record, names.astype(object))} if len(names) else {}


def transformer_hour_table(record: Record) -> pd.DataFrame:
    """One row per load flow and transformer: loading."""
    names = np.array(record.feeder.network.transformers.names, dtype=object)
    return as_frame(
        record,
        {**flow_times(record, len(names)), "transformer": repeated(record, names)},
        {"loading_percent": by_feeder(record.flows.transformer_percent)},
    )


def zones_table(record: Record) -> pd.DataFrame:
    """One row per RPZ: energy, cost, EVs short, peak; PV and battery where there are any.

    bus: where it is; on a three-phase feeder instead how many homes it has.
    """
    ev = record.ev
    n_zones = record.zone_mw.shape[2]
    cell, cells = ev["feeder"] * n_zones + ev["zone"], record.n_feeders * n_zones

    def total(values: NDArray[Any]) -> FloatArray:
        sums = np.bincount(cell, weights=values, minlength=cells)
        return sums.astype(np.float64, copy=False)

    purchase, sale = total(ev["purchase_usd"]), total(ev["sale_usd"])
    return as_frame(
        record,
        zone_numbers(record, 1),
        {
            **place_of_zones(record),
            "evs": np.bincount(cell, minlength=cells),
            "charged_kwh": total(ev["charged_kwh"]),
            "discharged_kwh": total(ev["discharged_kwh"]),
            "purchase_usd": purchase,
            "sale_usd": sale,
            **{name: total(ev[name]) for name in BESIDE if name in ev},
            "net_cost_usd": purchase - sale + total(record.demand_charge_usd),
            "benefit_usd": total(record.benefit_usd),
            "ageing_usd": total(record.ageing.usd),
            "ageing_more_usd": total(record.ageing.more_usd),
            "benefit_net_usd": total(record.benefit_net_usd),
            "peak_kw": 1e3 * record.zone_mw.max(axis=0).ravel(),
            "evs_short": total(record.short).astype(np.int64),
            "energy_short_kwh": total(record.shortfall_kwh),
            **zone_columns(record),
        },
    )


def feeder_table(record: Record, kpi_columns: Mapping[str, NDArray[Any]]) -> pd.DataFrame:
    """One row per feeder with all its KPIs, in front its number, from 1, and its seed."""
    import pandas as pd

    columns: dict[str, Any] = {"feeder": np.arange(1, record.n_feeders + 1)}
    columns["seed"] = np.array(record.seeds, dtype=np.int64)
    for name, values in kpi_columns.items():
        if name == "nonconverged_clock_hours":
            continue
        if values.dtype == object and not name.endswith(TEXT_SUFFIXES):
            columns[name] = pd.array(list(values), dtype="Int64")
        else:
            columns[name] = values
    return pd.DataFrame(columns)


def as_frame(
    record: Record, index: dict[str, NDArray[Any]], columns: dict[str, Any]
) -> pd.DataFrame:
    """Index and columns as a table; with several feeders the feeder comes first."""
    import pandas as pd

    lead: dict[str, NDArray[Any]] = {}
    if record.n_feeders > 1:
        rows = len(next(iter(columns.values()))) // record.n_feeders
        lead["feeder"] = np.repeat(np.arange(1, record.n_feeders + 1), rows)
    return pd.DataFrame({**lead, **index, **columns}, copy=False)


def hour_columns(record: Record, n: int) -> dict[str, NDArray[Any]]:
    """Of n rows for each hour: its index and that of the clock."""
    return {
        "hour_index": np.tile(np.repeat(np.arange(record.n_hours), n), record.n_feeders),
        "hour": np.tile(np.repeat(record.clock_hours, n), record.n_feeders),
    }


def flow_times(record: Record, n: int) -> dict[str, NDArray[Any]]:
    """Of n rows for each load flow; with the minute in the hour where an hour has several."""
    hours = hour_columns(record, n * record.flows_per_hour)
    if record.flows_per_hour == 1:
        return hours
    minutes = np.repeat(np.arange(0, 60, record.flow_min), n)
    return {**hours, "minute": np.tile(minutes, record.n_hours * record.n_feeders)}


def zone_numbers(record: Record, times: int) -> dict[str, NDArray[Any]]:
    """Zones from 1, so many times for each feeder."""
    n_zones = record.zone_mw.shape[2]
    return {"zone": np.tile(np.arange(1, n_zones + 1), times * record.n_feeders)}


def repeated(record: Record, values: NDArray[Any]) -> NDArray[Any]:
    """Values of one load flow, for all load flows of all feeders."""
    return np.tile(values, len(record.flow_hours) * record.n_feeders)


def by_feeder(values: Any) -> Any:
    """(times, K, ...) -> flat, feeder by feeder; what is flat already stays."""
    if values.ndim == 1:
        return values
    return np.ascontiguousarray(np.swapaxes(values, 0, 1)).reshape(-1)
