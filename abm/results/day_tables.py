"""Tables of several days: each day, its stays, groups of owners; rows as in `tables`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import FloatArray
from abm.fleet.columns import STAY_STATE, STAY_SUMS
from abm.results.flows import in_hours
from abm.results.indicators import of_city
from abm.results.record import Record

if TYPE_CHECKING:
    import pandas as pd


def day_table(record: Record) -> pd.DataFrame:
    """One row per feeder, where there are several, and day."""
    import pandas as pd

    stays, ev, feeders, days = record.stays, record.ev, record.n_feeders, record.n_days

    def total(values: NDArray[Any]) -> FloatArray:
        """Sums over the stays of each feeder by the day on which they begin, (D, n) -> (K, D)."""
        place = (ev["feeder"] * days + record.stay_day).ravel()
        sums = np.bincount(place, weights=values.ravel(), minlength=feeders * days)
        return sums.astype(np.float64, copy=False).reshape(feeders, days)

    def by_day(values: NDArray[Any]) -> NDArray[Any]:
        """(H or F, K) -> (K, D, hours or load flows of a day)."""
        return np.ascontiguousarray(values.T).reshape(feeders, days, -1)

    plugged = total(stays["arrived"])
    demand, hours = by_day(record.total_mw), record.clock_hours.reshape(days, -1)
    finer = by_day(record.demand_mw(15.0))
    there = by_day(record.plugged_peak) > 0
    in_use = np.where(there, demand, -np.inf).max(axis=2)
    early = stays["departure_min"] < stays["announced_min"]
    purchase, sale = total(stays["purchase_usd"]), total(stays["sale_usd"])
    left_with = np.where(np.isnan(stays["soc_departure"]), stays["soc"], stays["soc_departure"])
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_soc = {
            name: total(np.where(stays["arrived"], values, 0.0)) / plugged
            for name, values in (
                ("arrival", record.shown("soc_arrival", stays["soc_arrival"])),
                ("departure", record.shown("soc", left_with)),
            )
        }
    weekdays = record.scenario.calendar.weekday_names(days)
    columns: dict[str, Any] = {
        "weekday": weekdays * feeders,
        "stays": plugged.astype(np.int64),
        "v2g_share": total(stays["v2g"]) / np.maximum(total(np.ones_like(early)), 1.0),
        "boosts": total(stays["boost"] & stays["arrived"]).astype(np.int64),
        "soc_arrival_mean": mean_soc["arrival"],
        "soc_departure_mean": mean_soc["departure"],
        "ev_charged_mwh": total(stays["charged_kwh"]) / 1e3,
        "ev_discharged_mwh": total(stays["discharged_kwh"]) / 1e3,
        "purchase_usd": purchase,
        "sale_usd": sale,
        "net_cost_usd": purchase - sale,
        "benefit_usd": total(record.stay_reference_usd) - (purchase - sale),
        "evs_short": total(record.stay_short).astype(np.int64),
        "energy_short_kwh": total(record.stay_shortfall_kwh),
        "energy_short_early_kwh": total(np.where(early, record.stay_shortfall_kwh, 0.0)),
        "trip_mwh": total(stays["trip_kwh"]) / 1e3,
        "trip_short_kwh": total(stays["trip_short_kwh"]),
        "peak_15min_mw": finer.max(axis=2),
        "system_peak_mw": demand.max(axis=2),
        "system_peak_hour": hours[np.arange(days), demand.argmax(axis=2)],
        "plugged_peak_mw": np.where(np.isfinite(in_use), in_use, np.nan),
        "ev_peak_mw": by_day(record.ev_mw).max(axis=2),
        "loss_energy_mwh": in_hours(record, by_day(record.flows.loss_mw).sum(axis=2)),
        "min_vm_pu": by_day(record.lowest_vm_pu).min(axis=2),
        "nonconverged_hours": in_hours(record, by_day(~record.flows.converged).sum(axis=2)),
    }
    lead = {} if feeders == 1 else {"feeder": np.repeat(np.arange(1, feeders + 1), days)}
    index = {**lead, "day": np.tile(np.arange(1, days + 1), feeders)}
    return pd.DataFrame({**index, **{name: np.ravel(column) for name, column in columns.items()}})


def days_together(record: Record) -> pd.DataFrame:
    """One row per day with what all feeders have in common; `days` itself where there is one.

    Sums over the feeders, the share of all EVs, and the peak of the summed demand.
    """
    import pandas as pd

    table = day_table(record)
    if record.n_feeders == 1:
        return table
    sums = [name for name in table if name in (*of_city("sum"), "benefit_usd")]
    together = table.groupby("day", sort=True)[sums].sum().reset_index()
    demand = record.total_mw.sum(axis=1).reshape(record.n_days, -1)
    finer = record.demand_mw(15.0).sum(axis=1).reshape(record.n_days, -1)
    evs = np.maximum(np.diff(record.first_row), 1).astype(np.float64)
    shares = table["v2g_share"].to_numpy().reshape(record.n_feeders, record.n_days)
    return together.assign(
        weekday=table["weekday"].to_numpy()[: record.n_days],
        v2g_share=evs @ shares / evs.sum(),
        peak_15min_mw=pd.Series(finer.max(axis=1)),
        system_peak_mw=pd.Series(demand.max(axis=1)),
        system_peak_hour=pd.Series(record.clock_hours[demand.argmax(axis=1)]),
    )


def stay_table(record: Record) -> pd.DataFrame:
    """One row per day and EV, of a file one per session; minutes from the start of the horizon."""
    import pandas as pd

    order = record.ev_order
    ev = record.ev
    days = len(record.stays["arrived"])
    lead = {} if record.n_feeders == 1 else {"feeder": np.tile(ev["feeder"][order] + 1, days)}
    columns = {
        name: record.shown(name, record.stays[name])[:, order].ravel()
        for name in (*STAY_STATE, *STAY_SUMS)
        if name != "soc"
    }
    columns["plugged_in"] = columns.pop("arrived")
    if record.scenario.by_energy:
        columns["energy_kwh"] = record.energy_asked_kwh[:, order].ravel()
    columns["shortfall_kwh"] = record.stay_shortfall_kwh[:, order].ravel()
    columns["reference_cost_usd"] = record.stay_reference_usd[:, order].ravel()
    return pd.DataFrame(
        {
            **lead,
            "day": record.stay_day[:, order].ravel() + 1,
            "ev_id": pd.Series(np.tile(record.ev_ids, days), dtype="object"),
            "zone": np.tile(ev["zone"][order] + 1, days),
            **columns,
        }
    )


def group_table(record: Record) -> pd.DataFrame:
    """One row per group of owners, all feeders and days together."""
    import pandas as pd

    ev, stays = record.ev, record.stays
    names = list(record.scenario.owners.groups) or ["all"]

    def total(values: NDArray[Any]) -> FloatArray:
        sums = np.bincount(ev["group"], weights=values, minlength=len(names))
        return sums.astype(np.float64, copy=False)

    evs = total(np.ones(len(ev["group"])))
    purchase, sale = total(ev["purchase_usd"]), total(ev["sale_usd"])
    return pd.DataFrame(
        {
            "group": names,
            "evs": evs.astype(np.int64),
            "stays": total(stays["arrived"].sum(axis=0)).astype(np.int64),
            "v2g_share": total(stays["v2g"].mean(axis=0)) / np.maximum(evs, 1),
            "boosts": total((stays["boost"] & stays["arrived"]).sum(axis=0)).astype(np.int64),
            "charged_kwh": total(ev["charged_kwh"]),
            "discharged_kwh": total(ev["discharged_kwh"]),
            "net_cost_usd": purchase - sale + total(record.demand_charge_usd),
            "benefit_usd": total(record.benefit_usd),
            "evs_short": total(record.stay_short.sum(axis=0)).astype(np.int64),
            "energy_short_kwh": total(record.shortfall_kwh),
        }
    )
