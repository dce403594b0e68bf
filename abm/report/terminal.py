"""What a person reads in the terminal: tables, sentences, progress."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from abm.errors import printable
from abm.report.phase_lines import OF_PHASES, OUTSIDE, PHASE_LINES
from abm.report.units import below_a_megawatt, in_kilo, scaled, tie
from abm.results.indicators import INDICATORS, grain_of
from abm.results.phases import MEAN_MIN
from abm.study.compare import FORESIGHT, GAP

if TYPE_CHECKING:
    import pandas as pd

# Wider than a narrow or missing terminal: a table that is cut tells nobody anything.
MIN_WIDTH = 100

DASH = "-"


class Plain(Console):
    """A console that shows text as it is: no markup, no names of pictures, nothing to obey."""

    def __init__(self, width: int | None = None, stderr: bool = False) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, width=width, stderr=stderr)

    def render_str(self, text: str, **how: Any) -> Text:
        """The text with what a terminal would obey escaped."""
        shown = "\n".join(printable(line) for line in text.split("\n"))
        return super().render_str(shown, **how)


def console(least: int = MIN_WIDTH) -> Console:
    """The console on standard output, at least so many characters wide."""
    out = Plain()
    return out if out.width >= least else Plain(width=least)


def number(value: Any, digits: int, times: float = 1.0) -> str:
    """A number, so many times as large, with fixed digits; a dash for what is not there."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return DASH
    return f"{times * value:.{digits}f}" if isinstance(value, int | float) else str(value)


def new_table(title: str, of_text: Iterable[str], of_numbers: Iterable[str]) -> Table:
    """A table with columns of text, then columns of numbers, by their headers."""
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    for name in of_text:
        table.add_column(name, no_wrap=True)
    for name in of_numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def show(table: Table) -> None:
    """Print a table whole: as wide as it is, even where the terminal is not."""
    out = console()
    wide = Plain(width=10_000)
    out.width = max(out.width, wide.measure(table).maximum)
    out.print(table)


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error; the block calls what it gets once per unit of work."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Plain(stderr=True)) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)


def print_lines(lines: Iterable[str]) -> None:
    """Plain sentences, wrapped."""
    out = console()
    for line in lines:
        out.print(line, soft_wrap=False)


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


def print_kpis(title: str, kpis: Mapping[str, Any], days: int = 1, flow_min: int = 60) -> None:
    """The main indicators of a run, and a line for each kind of limit that was broken.

    days: of the horizon. flow_min: interval of the load flows, min, which their lines name.
    """
    out = Table(title=title, box=SIMPLE_HEAD, title_justify="left", show_header=False)
    out.add_column()
    out.add_column()
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
        out.add_row(label, ", ".join(_with_unit(name, kpis[name], small) for name in shown))
    console().print(out)
    print_lines(warnings_of(kpis))


def _with_unit(name: str, value: Any, small: bool) -> str:
    row = INDICATORS[name]
    if value is None:
        return DASH
    digits, times = scaled(name, small)
    text = number(value, digits, times)
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


def warnings_of(kpis: Mapping[str, Any]) -> list[str]:
    """A sentence for each kind of limit that was broken, and for load flows that failed."""
    lines = []
    if kpis["nonconverged_hours"]:
        hours = ", ".join(f"{hour}:00" for hour in kpis["nonconverged_clock_hours"])
        lines.append(
            f"The load flow did not converge in {kpis['nonconverged_hours']:g} hours ({hours}): no "
            "voltages and losses there, so lowest voltage, losses and loading are not known."
        )
    broken = (
        ("vm_below_bus_hours", "bus-hours below the lower voltage limit, eq. (9)"),
        ("vm_above_bus_hours", "bus-hours above the upper voltage limit, eq. (9)"),
        ("line_over_line_hours", "line-hours above the line's rating, eq. (12)"),
        ("transformer_over_transformer_hours", "transformer-hours above the transformer's rating"),
        ("soc_below_ev_minutes", "EV-minutes below soc_lower, eq. (5)"),
        ("soc_above_ev_minutes", "EV-minutes above soc_upper, eq. (6)"),
        ("evs_still_plugged", "EVs still plugged in at the end of the horizon"),
    )
    lines += [f"{_count(kpis[name])} {text}." for name, text in broken if kpis[name]]
    return lines


def _count(value: float) -> str:
    """A count; with two digits where it counts parts."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


# Of more days than this only the first and the last are printed.
MOST_DAYS = 14
# Columns of text, and of numbers with what stands above them.
DAY_TEXT, GROUP_TEXT = ("day", "weekday"), ("group",)
DAY_COLUMNS = {
    "stays": "stays",
    "v2g_share": "V2G\nshare",
    "peak_15min_mw": "15-min\npeak MW",
    "system_peak_mw": "hourly\nmean MW",
    "net_cost_usd": "net cost\n$",
    "benefit_usd": "benefit\n$",
    "evs_short": "stays\nshort",
    "energy_short_kwh": "missing\nkWh",
}
GROUP_COLUMNS = {
    "evs": "EVs",
    "stays": "stays",
    "v2g_share": "V2G\nshare",
    "boosts": "boosts",
    "charged_kwh": "charged\nkWh",
    "discharged_kwh": "supplied\nkWh",
    "net_cost_usd": "net cost\n$",
    "benefit_usd": "benefit\n$",
    "evs_short": "stays\nshort",
    "energy_short_kwh": "missing\nkWh",
}
COMPARISON_COLUMNS = {
    "peak_15min_mw": "15-min\npeak MW",
    "peak_15min_time": "at",
    "plugged_peak_15min_mw": "while\nplugged",
    "peak_1min_mw": "1-min\nMW",
    "system_peak_mw": "hourly\nmean MW",
    "feeder_energy_mwh": "energy\nMWh",
    "loss_energy_mwh": "losses\nMWh",
    "min_vm_pu": "lowest\np.u.",
    "net_cost_usd": "net cost\n$",
    FORESIGHT: "foresight\n$",
    "evs_short": "EVs\nshort",
    "energy_short_kwh": "missing\nkWh",
    "rebound_ratio": "rebound\n/ limit",
    GAP: "gap to\noptimum %",
}
# The peak to average is the reciprocal of the load factor; it is in the files.
EMERGENCE_COLUMNS = {
    "coincidence_factor": "coinci-\ndence",
    "load_factor": "load\nfactor",
    "synchronisation": "synchro-\nnised",
    "oscillation_period_min": "period\nmin",
    "oscillation_amplitude_mw": "swing\nMW",
    "mode_switches_per_ev": "switches\n/ EV",
    "equivalent_full_cycles_per_ev": "cycles\n/ EV",
    "fairness_unmet_evs": "Jain\nunmet",
    "fairness_benefit_evs": "Jain\nbenefit",
    "switching_cost_usd": "switching\n$",
}


def print_days(days: pd.DataFrame) -> None:
    """One row per day, of all feeders together; of many days the first and the last."""
    rows = days.to_dict("records")
    cut = len(rows) > MOST_DAYS
    shown = [*rows[: MOST_DAYS // 2], None, *rows[-(MOST_DAYS // 2) :]] if cut else rows
    small = below_a_megawatt(row["peak_15min_mw"] for row in rows)
    _print_rows("Days", DAY_TEXT, DAY_COLUMNS, shown, small)


def print_groups(groups: pd.DataFrame) -> None:
    """One row per group of owners, all feeders and days together."""
    _print_rows("Groups of owners", GROUP_TEXT, GROUP_COLUMNS, groups.to_dict("records"))


SUPPLY_COLUMNS = {
    "pv_mwh": "PV\nMWh",
    "self_consumption": "used in\nits zone",
    "self_sufficiency": "demand\nfrom it",
    "zone_export_mwh": "exported\nMWh",
    "pv_curtailed_mwh": "curtailed\nMWh",
    "reverse_flow_hours": "reverse\nflow h",
}


HEAT_COLUMNS = {
    "max_hot_spot_c": "hot spot\ndegC",
    "max_top_oil_c": "top oil\ndegC",
    "hot_spot_over_transformer_hours": "hours\nover",
    "max_loss_of_life_h": "loss of\nlife h",
    "mean_ageing_rate": "ageing\nrate",
}
# Tables that are shown where the KPI that is named is known of any strategy.
ONLY_WITH = {"PV and storage": "self_sufficiency", "Transformers": "max_hot_spot_c"}


def print_comparison(table: pd.DataFrame, evs: int, flow_min: int = 60) -> None:
    """One row per strategy, in two tables or more; flow_min: interval of the load flows, min."""
    rows = table.to_dict("records")
    shared = [row for row in rows if row["peak_15min_tied_hours"] > 0]
    small = below_a_megawatt(row["peak_15min_mw"] for row in rows)
    for row in shared:
        row["peak_15min_time"] = f"{row['peak_15min_time']} +{row['peak_15min_tied_hours']:.0f}"
    for title, columns in (
        (f"Strategies on the same {evs} EVs", COMPARISON_COLUMNS),
        ("Emergence", EMERGENCE_COLUMNS),
        ("PV and storage", SUPPLY_COLUMNS),
        ("Transformers", HEAT_COLUMNS),
    ):
        if title in ONLY_WITH and table[ONLY_WITH[title]].isna().all():
            continue
        there = {name: header for name, header in columns.items() if name in table}
        if not any(row.get("switching_cost_usd") for row in rows):
            there.pop("switching_cost_usd", None)
        _print_rows(title, ("strategy",), there, rows, small)
    print_lines([f"Losses and lowest voltage: {grain_of(flow_min)}."])
    if shared:
        print_lines([f"+n behind a time: n other hours within {tie(small)} of the peak, a tie."])
    failed = [row for row in rows if row["nonconverged_hours"] > 0]
    print_lines(
        [
            f"{row['strategy']}: the load flow did not converge in {row['nonconverged_hours']:g} "
            "hours; its losses and lowest voltage are not known."
            for row in failed
        ]
    )


def _print_rows(
    title: str,
    text: Sequence[str],
    columns: Mapping[str, str],
    rows: Sequence[Mapping[Any, Any] | None],
    small: bool = False,
) -> None:
    """A table of these columns, header by name; None stands for rows left out."""
    how = {name: scaled(name, small) for name in columns}
    headers = [in_kilo(h) if how[name][1] != 1.0 else h for name, h in columns.items()]
    table = new_table(title, text, headers)
    for row in rows:
        if row is None:
            table.add_row("...")
            continue
        numbers = (number(row[name], *how[name]) for name in columns)
        table.add_row(*(str(row[name]) for name in text), *numbers)
    show(table)
