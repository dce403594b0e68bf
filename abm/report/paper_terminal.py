"""Tables II and III beside the paper's, for the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from abm.report.terminal import new_table, show
from abm.report.units import DASH, number

if TYPE_CHECKING:
    import pandas as pd


UNITS = {
    "system_peak": "System peak, hourly mean",
    "peak_hour": "Hour of the peak",
    "daily_feeder_demand": "Daily feeder demand",
    "max_active_loss": "Largest active loss, hourly mean",
    "min_node_voltage": "Lowest node voltage, hourly mean",
}


CASE_NAMES = {"base": "base", "g2v": "G2V", "evms": "EVMS"}


READINGS = ("as_printed", "energy_balanced")


DIGITS = {"MW": 3, "h": 0, "MWh": 2, "p.u.": 4, "USD": 2}


def print_table2(table: pd.DataFrame) -> None:
    """Table II beside the paper's figures."""
    columns = ("paper", "as printed", "diff %", "energy-balanced", "diff %")
    out = new_table("Table II  Impacts on the system", ("Quantity", "Case"), columns)
    for row in table.to_dict("records"):
        digits, first = DIGITS[row["unit"]], row["case"] == "base"
        cells = [number(row["paper"], digits)]
        for reading in ("as_printed", "energy_balanced"):
            ties = row[f"{reading}_ties"]
            cells.append(number(row[reading], digits) + (f" = {ties}" if ties else ""))
            cells.append(_difference(row[f"{reading}_difference"], row["unit"]))
        quantity = f"{UNITS[row['quantity']]} ({row['unit']})" if first else ""
        out.add_row(quantity, CASE_NAMES[row["case"]], *cells, end_section=row["case"] == "evms")
    show(out)


def _difference(value: float, unit: str) -> str:
    if math.isnan(value):
        return DASH
    return f"{value:+.0f} h" if unit == "h" else f"{value:+.1f}"


def print_table3(table: pd.DataFrame) -> None:
    """Table III beside the paper's figures, and the differences of the totals."""
    quantities = {"g2v_cost": "G2V", "evms_net_cost": "EVMS", "benefit": "benefit"}
    readings = ("paper", "printed", "balanced")
    columns = [f"{name}\n{reading}" for name in quantities.values() for reading in readings]
    out = new_table("Table III  Cost and benefit of the owners ($)", ("Zone",), columns)
    for zone, group in table.groupby("zone", sort=False):
        rows = {row["quantity"]: row for row in group.to_dict("records")}
        cells = []
        for quantity in quantities:
            row = rows[quantity]
            cells += [number(row[name], 2) for name in ("paper", "as_printed", "energy_balanced")]
        if zone == "total":
            out.add_section()
        out.add_row(str(zone), *cells)
        if zone == "total":
            cells = []
            for quantity in quantities:
                row = rows[quantity]
                cells += ["", *(_percent(row[f"{r}_difference"]) for r in READINGS)]
            out.add_row("diff %", *cells)
    show(out)


def _percent(value: float) -> str:
    return DASH if math.isnan(value) else f"{value:+.1f}"
