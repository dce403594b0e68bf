"""The main indicators of a run as lines that a person reads: in the terminal and in notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from abm.report.phase_lines import OF_PHASES, OUTSIDE, PHASE_LINES
from abm.report.units import DASH, below_a_megawatt, in_kilo, number, scaled, tie
from abm.results.indicators import INDICATORS, grain_of, indicator, kpi_label
from abm.results.phases import MEAN_MIN

# Lines that only feeders with transformers have, and only where temperatures are worked out.
TRANSFORMERS = "Highest transformer loading"
HOTTEST, OLDEST = "Hottest transformer", "Loss of life of transformers"
HEAT_PUMPS = "Heat pumps"
SWITCHING = "Switching cost"
BESIDE = "Grid fee, tax, demand charge"
# Label, and the KPIs beside it.
KPI_LINES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("System peak of 15 min", ("peak_15min_mw", "peak_15min_time", "peak_15min_tied_hours")),
    ("While plugged in", ("plugged_peak_15min_mw",)),
    ("Worst minute", ("peak_1min_mw",)),
    (
        "System peak, hourly mean",
        ("system_peak_mw", "system_peak_hour", "system_peak_tied_hours"),
    ),
    ("Rebound / limit", ("rebound_ratio",)),
    ("Feeder energy", ("feeder_energy_mwh",)),
    (HEAT_PUMPS, ("heat_pump_mwh",)),
    ("EVs charged / supplied", ("ev_charged_mwh", "ev_discharged_mwh")),
    ("Losses", ("loss_energy_mwh",)),
    ("Largest loss", ("max_loss_mw", "max_loss_hour")),
    ("Lowest voltage", ("min_vm_pu", "min_vm_bus", "min_vm_hour")),
    *PHASE_LINES,
    ("Highest line loading", ("max_line_loading_percent", "max_line_loading_line")),
    (
        TRANSFORMERS,
        (
            "max_transformer_loading_percent",
            "max_transformer_loading_transformer",
            "max_transformer_loading_hour",
        ),
    ),
    (HOTTEST, ("max_hot_spot_c", "max_hot_spot_transformer", "max_hot_spot_hour")),
    (OLDEST, ("max_loss_of_life_h", "max_loss_of_life_percent", "mean_ageing_rate")),
    ("Bought / sold", ("purchase_usd", "sale_usd")),
    (BESIDE, ("grid_fee_usd", "tax_usd", "demand_charge_usd")),
    ("Net cost", ("net_cost_usd",)),
    ("Battery ageing", ("ageing_usd", "capacity_loss_percent_per_year")),
    (SWITCHING, ("switching_cost_usd",)),
    ("EVs", ("evs",)),
    ("EVs short", ("evs_short", "energy_short_kwh")),
    ("Coincidence factor", ("coincidence_factor",)),
    ("Load factor", ("load_factor",)),
    ("Synchronisation", ("synchronisation",)),
    ("Oscillation", ("oscillation_amplitude_mw", "oscillation_period_min")),
    ("Mode switches per EV", ("mode_switches_per_ev",)),
    ("Full cycles per EV", ("equivalent_full_cycles_per_ev",)),
)
DAYS_LINES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Stays", ("stays", "boosts")),
    ("Share of V2G, mean of days", ("v2g_share",)),
    ("Driven", ("trip_mwh", "trip_short_kwh")),
)
# Where zones have PV or batteries.
SUPPLY_LINES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("PV", ("pv_mwh", "self_consumption", "pv_curtailed_mwh")),
    ("Demand of the zones", ("zone_demand_mwh", "self_sufficiency")),
    ("Exported by the zones", ("zone_export_mwh", "reverse_flow_hours")),
    ("Batteries charged / supplied", ("storage_charged_mwh", "storage_discharged_mwh")),
)
CITY_LINES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Feeders", ("feeders", "feeders_above_limit")),
    ("Coincidence of feeders", ("feeder_coincidence_factor",)),
    (
        "Peak of a feeder, hourly mean, 5-50-95 %",
        tuple(f"feeder_system_peak_mw_{q}" for q in ("q05", "q50", "q95")),
    ),
    (
        "Lowest voltage, 5-50-95 %",
        tuple(f"feeder_min_vm_pu_{q}" for q in ("q05", "q50", "q95")),
    ),
    ("Feeder with the lowest", ("min_vm_feeder",)),
)
# Lines of what load flows give: what they are means over stands behind them.
OF_LOAD_FLOWS = (
    "Losses",
    "Largest loss",
    "Lowest voltage",
    "Highest line loading",
    TRANSFORMERS,
    "Lowest voltage, 5-50-95 %",
)
# What stands behind a KPI where it is more than its unit.
BEHIND = {
    "capacity_loss_percent_per_year": "% of the capacity a year",
    "energy_short_kwh": "kWh missing",
    "max_loss_of_life_h": "h of the one that ages most",
    "max_loss_of_life_percent": "% of a normal life",
    "mean_ageing_rate": "of the rated pace, mean",
    "synchronisation": "of the EVs within 5 min",
    "boosts": "boosts",
    "trip_short_kwh": "kWh charged elsewhere",
    "feeders_above_limit": "above their limit",
    "self_consumption": "used in its zone",
    "self_sufficiency": "from PV, battery, V2G",
    "pv_curtailed_mwh": "MWh curtailed",
    "reverse_flow_hours": "h of reverse flow",
}


def kpi_rows(kpis: Mapping[str, Any], days: int = 1, flow_min: int = 60) -> list[tuple[str, str]]:
    """Label and values with units of each line that says something of this run.

    days: of the horizon. flow_min: interval of the load flows, min, which their lines name.
    """
    found = []
    lines, small = KPI_LINES, below_a_megawatt([kpis["peak_15min_mw"]])
    if kpis["zone_demand_mwh"]:
        lines = (*lines, *SUPPLY_LINES)
    if days > 1:
        lines = (*lines, *DAYS_LINES)
    if "feeders" in kpis:
        lines = (*lines, *CITY_LINES)
    for label, names in lines:
        if label in (SWITCHING, BESIDE, HEAT_PUMPS) and not any(kpis[name] for name in names):
            continue
        if label in (TRANSFORMERS, HOTTEST, OLDEST) and kpis[names[0]] is None:
            continue
        if label == "EVs short" and days > 1:
            label = "Stays short"
        if label in OF_PHASES and kpis[names[0]] is None:
            continue
        if label == "Lowest voltage" and kpis["min_vm_home"] is not None:
            names = ("min_vm_pu", "min_vm_home", "min_vm_time")
        if label == OUTSIDE and flow_min > MEAN_MIN:
            label = f"Homes outside, {grain_of(flow_min)}"
        if label in OF_LOAD_FLOWS:
            label = f"{label} ({grain_of(flow_min)})"
        shown = (name for name in names if kpis[name] or not name.endswith("_tied_hours"))
        said = [_with_unit(name, kpis[name], small) for name in shown]
        # What is not known is so once, not as often as there are parts of it.
        known = [text for text in said if text != DASH]
        found.append((label, ", ".join(said if known else said[:1])))
    # The user's own.
    own = [name for name in kpis if name not in INDICATORS and indicator(name) is not None]
    found += [
        (kpi_label(name).partition(" (")[0], _with_unit(name, kpis[name], small)) for name in own
    ]
    return found


def _with_unit(name: str, value: Any, small: bool) -> str:
    row = indicator(name)
    if value is None or row is None:
        return DASH
    digits, times = scaled(name, small)
    text = number(value, digits, times)
    if name not in INDICATORS:
        return f"{text} {row.unit if row.unit != '-' else ''}".rstrip()
    if name.endswith("_tied_hours"):
        return f"a tie with {text} other hour{'s' if value > 1 else ''} within {tie(small)}"
    if name.endswith("_hour"):
        return f"at {text}:00"
    if name.endswith("_time"):
        return f"at {text}"
    if name.endswith("_bus") and not isinstance(value, str):
        return f"at N{text}"
    behind = BEHIND.get(name, row.unit if row.unit != "-" else "")
    return f"{text} {in_kilo(behind) if times != 1.0 else behind}".rstrip()
