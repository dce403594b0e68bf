"""Feeders in words: what is on one, and what another configuration does."""

from __future__ import annotations

import numpy as np

from abm.grid import Feeder
from abm.report.html_tables import kpi_heading
from abm.report.terminal import new_table, print_lines, show
from abm.report.units import DASH
from abm.results.indicators import grain_of
from abm.scenario.feeder_table import FeederTable
from abm.study.reconfigure import ReconfigurationStudy

LOADS = {"nominal": "at nominal load", "base": "mean of all hours without EVs"}


def feeder_lines(feeder: Feeder, table: FeederTable) -> list[str]:
    """What is on a feeder, a line each; table: with all its lines."""
    kv = "/".join(f"{value:g}" for value in sorted(set(feeder.vn_kv.tolist()), reverse=True))
    known = int(np.isfinite(feeder.ampacity_a).sum())
    transformers = feeder.network.transformers
    how = "radial" if feeder.is_radial else "with loops"
    n_open = int(table.is_open.sum())
    lines = [
        f"{table.name}, {kv} kV, {how}: {feeder.n_bus} buses, {len(table.is_open) - n_open} lines "
        f"closed, {n_open} open",
        f"ratings known of {known} of {feeder.n_line} lines",
        "sources: " + ", ".join(feeder.bus_names[bus] for bus in feeder.slack_buses),
    ]
    if transformers.names:
        lines.append("transformers: " + ", ".join(transformers.names))
    for place, name in enumerate(feeder.class_names):
        mine = feeder.bus_class == place
        load = float(feeder.load_p_mw[mine].sum())
        lines.append(f"{name}: {int((mine & (feeder.load_p_mw > 0)).sum())} loads, {load:.4g} MW")
    if (feeds := feeder.generation) is not None:
        for kind in dict.fromkeys(map(str, feeds.kind)):
            mw = float(feeds.p_mw[feeds.kind == kind].sum())
            lines.append(f"{kind}: {int((feeds.kind == kind).sum())} buses feed in, {mw:.4g} MW")
    customers = table.zone_customers()
    there = (
        f", {customers.sum():g} customers"
        if len(customers) and np.isfinite(customers).all()
        else ""
    )
    return [*lines, f"zones: {len(feeder.zone_bus)}{there}"]


def print_reconfiguration(study: ReconfigurationStudy) -> None:
    """Which lines are opened and closed, what it is good for, and the KPIs beside each other."""
    change, scenario = study.change, study.scenario
    if not len(change.opened):
        lines = ["No exchange of lines has less loss: the feeder stays as it is."]
    else:
        lines = [
            f"opened: {', '.join(change.names(change.opened))}",
            f"closed: {', '.join(change.names(change.closed))}",
        ]
    lines.append("open now: " + ", ".join(change.names(np.flatnonzero(change.after.is_open))))
    before, after = (1e3 * loss for loss in change.loss_mw)
    gained = f" ({100.0 * (after / before - 1.0):+.1f} %)" if before > 0.0 else ""
    lines.append(f"loss {LOADS[study.loads]}: {before:.2f} kW before, {after:.2f} after{gained}")
    print_lines(lines)
    title = f"{scenario.name}, before and after"
    table = new_table(title, ("quantity",), ("before", "after", "change"))
    for row in study.tables["kpis"].itertuples():
        cells = (_cell(value) for value in (row.before, row.after, row.change))
        table.add_row(kpi_heading(str(row.kpi)), *cells)
    show(table)
    print_lines([f"Losses, voltages and loadings: {grain_of(scenario.grid.flow_interval_min)}."])


def _cell(value: object) -> str:
    if value is None or value != value:
        return DASH
    # What is left of a difference of like numbers.
    return f"{round(value, 9):.5g}" if isinstance(value, float) else str(value)
