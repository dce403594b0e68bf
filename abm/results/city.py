"""Indicators of several feeders together: sums, the peak of the sum, the worst feeder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import FloatArray, IntArray
from abm.results.emergence import city_emergence
from abm.results.indicators import of_city
from abm.results.kpis import GRAINS, LEADING, TIE_MW, hours_after_evening_peaks, plain, tied_hours
from abm.results.record import Record
from abm.results.supply import shares
from abm.results.transformers import HOURS_OVER

# KPIs of which a city also says how its feeders differ, and the quantiles that say it.
SPREAD = ("system_peak_mw", "min_vm_pu")
QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
# KPIs of which a city has those of its worst feeder, what goes with them, and which is worse.
LOWEST, HIGHEST = 1.0, -1.0
WORST = (
    ("min_vm_pu", ("min_vm_bus", "min_vm_hour", "min_vm_home", "min_vm_time"), LOWEST),
    ("max_vm_pu", ("max_vm_home", "max_vm_time"), HIGHEST),
    ("max_vuf_percent", ("max_vuf_bus", "max_vuf_time"), HIGHEST),
    ("max_neutral_a", ("max_neutral_line", "max_neutral_time"), HIGHEST),
    (
        "max_line_loading_percent",
        ("max_line_loading_line", "max_line_loading_hour", "max_line_loading_phase"),
        HIGHEST,
    ),
    (
        "max_transformer_loading_percent",
        ("max_transformer_loading_transformer", "max_transformer_loading_hour"),
        HIGHEST,
    ),
    (
        "max_hot_spot_c",
        ("max_hot_spot_transformer", "max_hot_spot_hour", "max_top_oil_c"),
        HIGHEST,
    ),
    (
        "max_loss_of_life_h",
        ("max_loss_of_life_transformer", "max_loss_of_life_percent"),
        HIGHEST,
    ),
)


def city_kpis(record: Record, columns: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The KPIs of all feeders together, and how the feeders differ; columns: `kpi_columns`.

    Powers and energies are those of the sum; coincidence, load factor, synchronisation, oscillation
    and fairness take all EVs and zones as those of one feeder; voltages and line loadings are those
    of the worst feeder, which is named, from 1; missing where a load flow of any did not converge.
    """
    total, ev = record.total_mw.sum(axis=1), record.ev_mw.sum(axis=1)
    plugged = (record.plugged_peak > 0).any(axis=1)
    limit = record.limit_mw() * record.n_feeders
    after = hours_after_evening_peaks(record.base_mw.sum(axis=1), limit, record.n_days)
    loss = record.flows.loss_mw.sum(axis=1)
    peaks = columns["system_peak_mw"].sum()
    sums = {name: _sum(columns[name]) for name in of_city("sum")}
    largest = {name: _largest(columns[name]) for name in of_city("largest")}
    if not record.flows.converged.all():
        largest |= {"max_vm_pu": np.nan, "max_mismatch_mva": np.nan}
    smallest = {name: -_largest(-columns[name]) for name in of_city("smallest")}
    tie_mw = TIE_MW * record.n_feeders
    (ties,) = tied_hours(total[:, None], record.clock_hours, tie_mw)
    finer: dict[str, Any] = {}
    for name, grain_min in GRAINS.items():
        demand = record.demand_mw(grain_min).sum(axis=1)
        there = record.plugged_in(grain_min).any(axis=1)
        finer[f"peak_{name}_mw"] = demand.max()
        if name == LEADING:
            (finer[f"peak_{name}_time"],) = record.clock_times(
                demand.argmax(keepdims=True), grain_min
            )
            (finer[f"peak_{name}_tied_hours"],) = tied_hours(
                demand[:, None], record.window_hours(grain_min), tie_mw
            )
        finer[f"plugged_peak_{name}_mw"] = demand[there].max() if there.any() else None
    out: dict[str, Any] = {
        "feeders": record.n_feeders,
        **finer,
        "system_peak_mw": total.max(),
        "system_peak_hour": record.clock_hours[total.argmax()],
        "system_peak_tied_hours": ties,
        "plugged_peak_mw": total[plugged].max() if plugged.any() else None,
        "ev_peak_mw": ev.max(),
        "ev_peak_hour": record.clock_hours[ev.argmax()],
        "rebound_ratio": (total[after] / limit[after]).max() if len(after) else None,
        "hours_above_limit": (total > limit + 1e-9).sum(),
        "max_loss_mw": loss.max(),
        "max_loss_hour": None if np.isnan(loss).any() else record.flow_hours[loss.argmax()],
        "nonconverged_clock_hours": sorted(
            {hour for hours in columns["nonconverged_clock_hours"] for hour in hours}
        ),
        "v2g_share": (columns["v2g_share"] * columns["evs"]).sum() / max(columns["evs"].sum(), 1),
        **smallest,
        **sums,
        **largest,
        **{name: value for of in WORST for name, value in _worst(columns, *of).items()},
        "mean_ageing_rate": columns["mean_ageing_rate"].mean(),
        HOURS_OVER: columns[HOURS_OVER].sum(),
        **city_emergence(record),
        **shares(sums),
        "feeder_coincidence_factor": total.max() / peaks if peaks else None,
        "feeders_above_limit": (record.total_mw > record.limit_mw()[:, None] + 1e-9)
        .any(axis=0)
        .sum(),
    }
    for name in SPREAD:
        for label, q in QUANTILES.items():
            # NaN where one feeder has none.
            out[f"feeder_{name}_{label}"] = np.quantile(columns[name], q)
    return {name: plain(value) for name, value in out.items()}


def coincidence_by_number(record: Record) -> tuple[IntArray, FloatArray]:
    """Coincidence of the EV demand of the first n feeders: peak of the sum over sum of the peaks.

    Numbers (m,) and factors (m,), NaN where no EV draws power.
    """
    ev = record.ev_mw
    sums, peaks = np.cumsum(ev, axis=1).max(axis=0), np.cumsum(ev.max(axis=0))
    last = record.n_feeders
    numbers = np.unique(np.geomspace(1, last, min(last, 200)).round().astype(np.int64))
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = sums[numbers - 1] / peaks[numbers - 1]
    return numbers, np.where(np.isfinite(factor), factor, np.nan)


def _sum(values: NDArray[Any]) -> Any:
    """None where one is not known."""
    return None if values.dtype == object and None in values.tolist() else values.sum()


def _largest(values: NDArray[Any]) -> float:
    known = values[np.isfinite(values)]
    return float(known.max()) if len(known) else float("nan")


def _worst(
    columns: Mapping[str, NDArray[Any]], name: str, with_it: tuple[str, ...], sign: float
) -> dict[str, Any]:
    """The worst value of a KPI over the feeders, what belongs to it, and the feeder, from 1."""
    stem = re.sub("_(pu|percent|c|h|a)$", "", name)
    values = sign * columns[name]
    if not np.isfinite(values).all():
        return {name: None, **dict.fromkeys(with_it), f"{stem}_feeder": None}
    at = int(values.argmin())
    found = {other: columns[other][at] for other in with_it}
    return {name: columns[name][at], **found, f"{stem}_feeder": at + 1}
