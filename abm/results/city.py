"""Indicators of several feeders together: sums, the peak of the sum, and the worst feeder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import FloatArray, IntArray
from abm.results.emergence import city_emergence
from abm.results.indicators import of_city
from abm.results.kpis import hours_after_evening_peaks, plain

if TYPE_CHECKING:
    import pandas as pd

    from abm.results.results import Results

SPREAD = ("system_peak_mw", "min_vm_pu")
QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}


def city_kpis(results: Results) -> dict[str, Any]:
    """The KPIs of one feeder's run for all feeders together, and how the feeders differ.

    Powers and energies are those of the sum; coincidence, load factor, synchronisation, oscillation
    and fairness take all EVs and zones as those of one feeder; voltages and line loadings are those
    of the worst feeder, which is named, from 1.
    """
    record, columns = results.record, results.kpi_columns
    total, ev = record.total_mw.sum(axis=1), record.ev_mw.sum(axis=1)
    plugged = (record.plugged_peak > 0).any(axis=1)
    limit = record.scenario.grid.demand_limit_mw * record.n_feeders
    after = hours_after_evening_peaks(record.base_mw * record.n_feeders, limit, record.n_days)
    loss = record.flows.loss_mw.sum(axis=1)
    peaks = columns["system_peak_mw"].sum()
    sums = {name: columns[name].sum() for name in of_city("sum")}
    largest = {name: _largest(columns[name]) for name in of_city("largest")}
    smallest = {name: -_largest(-columns[name]) for name in of_city("smallest")}
    out: dict[str, Any] = {
        "feeders": record.n_feeders,
        "system_peak_mw": total.max(),
        "system_peak_hour": record.clock_hours[total.argmax()],
        "plugged_peak_mw": total[plugged].max() if plugged.any() else None,
        "ev_peak_mw": ev.max(),
        "ev_peak_hour": record.clock_hours[ev.argmax()],
        "rebound_ratio": total[after].max() / limit if len(after) else None,
        "hours_above_limit": (total > limit + 1e-9).sum(),
        "max_loss_mw": None if np.isnan(loss).all() else np.nanmax(loss),
        "max_loss_hour": None if np.isnan(loss).all() else record.clock_hours[np.nanargmax(loss)],
        "nonconverged_clock_hours": sorted(
            {hour for hours in columns["nonconverged_clock_hours"] for hour in hours}
        ),
        "v2g_share": (columns["v2g_share"] * columns["evs"]).sum() / max(columns["evs"].sum(), 1),
        **smallest,
        **sums,
        **largest,
        **_worst(columns, "min_vm_pu", ("min_vm_bus", "min_vm_hour"), lowest=True),
        **_worst(
            columns,
            "max_line_loading_percent",
            ("max_line_loading_line", "max_line_loading_hour"),
            lowest=False,
        ),
        **city_emergence(results),
        "feeder_coincidence_factor": total.max() / peaks if peaks else None,
        "feeders_above_limit": (record.total_mw > limit / record.n_feeders + 1e-9)
        .any(axis=0)
        .sum(),
    }
    for name in SPREAD:
        known = columns[name][np.isfinite(columns[name])]
        for label, q in QUANTILES.items():
            out[f"feeder_{name}_{label}"] = np.quantile(known, q) if len(known) else None
    return {name: plain(value) for name, value in out.items()}


def feeder_table(results: Results) -> pd.DataFrame:
    """One row per feeder with all its KPIs, in front its number, from 1, and its seed."""
    import pandas as pd

    columns: dict[str, Any] = {"feeder": np.arange(1, results.n_feeders + 1)}
    columns["seed"] = np.array(results.record.seeds, dtype=np.int64)
    for name, values in results.kpi_columns.items():
        if values.dtype == object and name != "max_line_loading_line":
            if name == "nonconverged_clock_hours":
                continue
            columns[name] = pd.array(list(values), dtype="Int64")
        else:
            columns[name] = values
    return pd.DataFrame(columns)


def coincidence_by_number(results: Results) -> tuple[IntArray, FloatArray]:
    """Coincidence of the EV demand of the first n feeders: peak of the sum over sum of the peaks.

    Numbers (m,) and factors (m,), NaN where no EV draws power.
    """
    ev = results.record.ev_mw
    sums, peaks = np.cumsum(ev, axis=1).max(axis=0), np.cumsum(ev.max(axis=0))
    last = results.n_feeders
    numbers = np.unique(np.geomspace(1, last, min(last, 200)).round().astype(np.int64))
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = sums[numbers - 1] / peaks[numbers - 1]
    return numbers, np.where(np.isfinite(factor), factor, np.nan)


def _largest(values: NDArray[Any]) -> float:
    known = values[np.isfinite(values)]
    return float(known.max()) if len(known) else float("nan")


def _worst(
    columns: dict[str, NDArray[Any]], name: str, with_it: tuple[str, ...], lowest: bool
) -> dict[str, Any]:
    """The worst value of a KPI over the feeders, what belongs to it, and the feeder, from 1."""
    stem = name.removesuffix("_pu").removesuffix("_percent")
    values = columns[name] if lowest else -columns[name]
    if not np.isfinite(values).any():
        return {name: None, **dict.fromkeys(with_it), f"{stem}_feeder": None}
    at = int(np.where(np.isfinite(values), values, np.inf).argmin())
    found = {other: columns[other][at] for other in with_it}
    return {name: columns[name][at], **found, f"{stem}_feeder": at + 1}
