"""Tables of a report: frames with headings, units and digits that a person reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.errors import printable
from abm.report.field_words import field_words
from abm.report.page import PageTable
from abm.report.units import DASH, interval_digits, number, scaled
from abm.results import Results
from abm.results.indicators import indicator, kpi_label, mean_digits
from abm.scenario import Scenario
from abm.study.compare import FORESIGHT, GAP

if TYPE_CHECKING:
    import pandas as pd

# Rows of a table here; the files have all.
MOST_ROWS = 300
# Of means and intervals, a row for each KPI.
MOST_MEANS = 1000
# What the end of a column's name says: unit, digits.
UNITS = {
    "mwh": ("MWh", 3),
    "kwh": ("kWh", 1),
    "mw": ("MW", 3),
    "kw": ("kW", 1),
    "mvar": ("Mvar", 3),
    "mvarh": ("Mvarh", 3),
    "mva": ("MVA", 4),
    "usd": ("$", 2),
    "usd_per_kwh": ("$/kWh", 2),
    "pu": ("p.u.", 4),
    "percent": ("%", 1),
    "min": ("min", 0),
    "h": ("h", 2),
    "a": ("A", 1),
    "c": ("degC", 1),
    "m": ("m", 0),
}
# Columns with names of their own.
NAMED = {
    "ci95_low": "95 % interval from",
    "ci95_high": "95 % interval to",
    "q05": "5 %",
    "q25": "25 %",
    "q50": "median",
    "q75": "75 %",
    "q95": "95 %",
    "sd": "standard deviation",
    "n": "n",
    "ev_id": "EV",
    "evs": "EVs",
    "evs_short": "EVs short",
    "evs_plugged": "EVs plugged in",
    "min_vm_bus": "bus of the lowest voltage",
    "hour_index": "hour of the horizon",
    "excludes_zero": "interval excludes zero",
    "v2g": "V2G",
    "soc_arrival": "SoC on arrival",
    "soc_target": "SoC asked for",
    "soc_departure": "SoC on departure",
    "S1": "first order",
    "S1_conf": "±",
    "ST": "total",
    "ST_conf": "± ",
    "base_mw": "without EVs (MW)",
    "ev_mw": "EVs, net (MW)",
    "charge_mw": "EVs charge (MW)",
    "discharge_mw": "EVs supply, V2G (MW)",
    "supply_mw": "batteries less PV (MW)",
    "slack_p_mw": "from the grid above (MW)",
    "slack_q_mvar": "reactive, from the grid above (Mvar)",
    "max_line_loading_percent": "highest line loading (%)",
    "mismatch_mva": "residual of the load flow (MVA)",
    "messages_unsent": "messages not sent",
    "price": "price ($/kWh)",
    "purchase_price": "price of a kWh bought ($)",
    "sale_price": "price of a kWh sold ($)",
    "energy_short_kwh": "energy missing (kWh)",
    "evs_short_percent": "EVs short (%)",
    "ageing_more_usd": "ageing beyond charging at once ($)",
    "benefit_net_usd": "benefit net of ageing ($)",
    "v2g_share": "share in V2G",
    "boosts": "charged at once",
    "soc_arrival_mean": "mean SoC on arrival",
    "soc_departure_mean": "mean SoC on departure",
    "pv_kwh": "PV (kWh)",
    "pv_used_kwh": "PV used in its zone (kWh)",
    "pv_curtailed_kwh": "PV curtailed (kWh)",
    "zone_demand_kwh": "demand (kWh)",
    "zone_import_kwh": "from the feeder (kWh)",
    "zone_export_kwh": "into the feeder (kWh)",
    "storage_charged_kwh": "battery charged (kWh)",
    "storage_discharged_kwh": "battery supplied (kWh)",
    "next_share": "next share looked at",
    "probability": "how often a limit is broken",
    "low": "interval from",
    "high": "interval to",
    "p_voltage_low": "voltage too low",
    "p_voltage_high": "voltage too high",
    "p_unbalance": "unbalance too high",
    "p_line": "line overloaded",
    "p_transformer": "transformer overloaded",
    "p_not_solved": "no load flow",
    "p_no_plan": "no plan",
    "v2g_mwh": "V2G (MWh)",
    "more_purchase_usd": "paid more for what is bought ($)",
    "missing_usd": "energy missing ($)",
    "more_ageing_usd": "wear that it causes ($)",
    "worth_usd": "what V2G is worth ($)",
    "least_sale_ratio": "pays from this sale ratio on",
    "most_pack_usd_per_kwh": "pays up to this price of a pack ($/kWh)",
    "prediction95_low": "95 % prediction from",
    "prediction95_high": "95 % prediction to",
    "paper_inside": "paper within it",
    "min_vm_pu": "lowest voltage (p.u.)",
    GAP: "gap to the optimum (%)",
    FORESIGHT: "perfect foresight at the same peak ($)",
}


def heading(name: str) -> str:
    """What a column is called, with its unit."""
    if name in NAMED:
        return NAMED[name]
    for end, (unit, _) in sorted(UNITS.items(), key=lambda item: -len(item[0])):
        if name.endswith(f"_{end}"):
            return f"{_plain(name.removesuffix(f'_{end}'))} ({unit})"
    return _plain(name)


def _plain(name: str) -> str:
    text = re.sub(r"\bev\b", "EV", name.replace("_", " "))
    return re.sub(r"\bevs\b", "EVs", re.sub(r"\bsoc\b", "SoC", text))


def kpi_heading(name: str, flow_min: Sequence[int] = ()) -> str:
    """What a KPI is called, with its unit and the grain of what load flows give."""
    return heading(name) if indicator(name) is None else kpi_label(name, flow_min)


def label_words(label: str) -> str:
    """What tells the cases of a study apart: a field of the scenario in words, or the strategy."""
    return field_words(label) if "." in label else heading(label)


def digits_of(name: str) -> int:
    """Digits after the point of a column."""
    if indicator(name) is not None or name in (GAP, FORESIGHT):
        return scaled(name, small=False)[0]
    for end, (_, digits) in sorted(UNITS.items(), key=lambda item: -len(item[0])):
        if name.endswith(f"_{end}"):
            return digits
    return 3


def cell(value: Any, digits: int) -> str:
    """A value as it is shown: numbers with so many digits, whole numbers without."""
    if value is None or type(value).__name__ == "NAType" or value != value:
        return DASH
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return number(float(value), digits) if np.isfinite(value) else DASH
    if isinstance(value, list | tuple):
        return ", ".join(map(printable, value))
    return printable(str(value))


def frame_table(
    key: str,
    title: str,
    frame: pd.DataFrame,
    about: str = "",
    names: Mapping[str, str] | None = None,
    most: int = MOST_ROWS,
) -> PageTable:
    """A frame as a table; names: headings in the place of the usual ones."""
    names = names or {}
    if len(frame) > most:
        about = f"The first {most} of {len(frame)} rows; the files have all. {about}".strip()
    columns = [str(name) for name in frame.columns]
    numeric = [frame[name].dtype.kind in "iuf" for name in frame.columns]
    shown = frame.head(most)
    values = [[cell(value, digits_of(name)) for value in shown[name].tolist()] for name in columns]
    heads = [(names.get(name, heading(name)), n) for name, n in zip(columns, numeric, strict=True)]
    return PageTable(key, title, heads, list(zip(*values, strict=True)) if values else [], about)


def kpi_table(results: Results, key: str = "kpis") -> PageTable:
    """Every KPI of a run with its unit and what it means."""
    rows = []
    flow = (results.record.flow_min,)
    for name, value in results.kpis.items():
        row = indicator(name)
        digits = 3 if row is None else row.digits
        unit = "" if row is None or row.unit == "-" else row.unit
        meaning = "" if row is None else row.meaning.replace("`", "")
        label = kpi_heading(name, flow).partition(" (")[0]
        rows.append((label, cell(value, digits), unit, name, meaning))
    columns = [("KPI", False), ("value", True), ("unit", False), ("name in files", False)]
    return PageTable(key, "All indicators", [*columns, ("meaning", False)], rows)


def summary_table(key: str, title: str, rows: Iterable[Mapping[Any, Any]], labels: Sequence[str],
                  flow_min: Sequence[int] = ()) -> PageTable:  # fmt: skip
    """Means with their intervals and quantiles, a row for each KPI and case.

    rows: of `Ensemble.summary` or `Ensemble.differences`.
    """
    found = list(rows)
    numbers = [name for name in ("mean", "sd", "ci95_low", "ci95_high", "q05", "q50", "q95")
               if found and name in found[0]]  # fmt: skip
    more = [name for name in ("excludes_zero",) if found and name in found[0]]
    body = []
    for row in found[:MOST_MEANS]:
        kpi = str(row["kpi"])
        digits = interval_digits(row, mean_digits(kpi))
        body.append(
            [
                kpi_heading(kpi, flow_min),
                *(cell(row[label], 4) for label in labels),
                cell(row["n"], 0),
                *(cell(row[name], digits) for name in numbers),
                *(cell(row[name], 0) for name in more),
            ]
        )
    columns = [("quantity", False), *((label_words(label), False) for label in labels), ("n", True)]
    columns += [(NAMED.get(name, name), True) for name in numbers]
    columns += [(NAMED[name], False) for name in more]
    about = ""
    if len(found) > MOST_MEANS:
        about = f"The first {MOST_MEANS} of {len(found)} rows; the files have all."
    return PageTable(key, title, columns, body, about)


def changes_table(scenario: Scenario) -> PageTable:
    """In what a scenario differs from the default."""
    rows = [
        (one.field, one.value_text, one.default_text or DASH, one.meaning.replace("`", ""))
        for one in scenario.differences()
    ]
    columns = [("field", False), ("here", False), ("default", False), ("meaning", False)]
    return PageTable("changes", "Differences", columns, rows)
