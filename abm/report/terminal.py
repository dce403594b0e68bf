"""What a person reads in the terminal: tables, sentences, progress."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from abm.results.indicators import INDICATORS

if TYPE_CHECKING:
    import pandas as pd

# Wider than a narrow or missing terminal: a table that is cut tells nobody anything.
MIN_WIDTH = 100
COMPARISON_WIDTH = 112

UNITS = {
    "system_peak": "System peak",
    "peak_hour": "Hour of the peak",
    "daily_feeder_demand": "Daily feeder demand",
    "max_active_loss": "Largest active loss",
    "min_node_voltage": "Lowest node voltage",
}
CASE_NAMES = {"base": "base", "g2v": "G2V", "evms": "EVMS"}
DASH = "-"
READINGS = ("as_printed", "energy_balanced")
DIGITS = {"MW": 3, "h": 0, "MWh": 2, "p.u.": 4, "USD": 2}


def console(least: int = MIN_WIDTH) -> Console:
    """The console on standard output, at least so many characters wide."""
    out = Console(highlight=False)
    return out if out.width >= least else Console(highlight=False, width=least)


def number(value: Any, digits: int) -> str:
    """A number with fixed digits; a dash for what is not there."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return DASH
    return f"{value:.{digits}f}" if isinstance(value, int | float) else str(value)


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error; the block calls what it gets once per unit of work."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total)
        yield lambda: bar.advance(task)


def print_table2(table: pd.DataFrame) -> None:
    """Table II beside the paper's figures."""
    out = Table(title="Table II  Impacts on the system", box=SIMPLE_HEAD, title_justify="left")
    out.add_column("Quantity")
    out.add_column("Case")
    for name in ("paper", "as printed", "diff %", "energy-balanced", "diff %"):
        out.add_column(name, justify="right")
    for row in table.to_dict("records"):
        digits, first = DIGITS[row["unit"]], row["case"] == "base"
        cells = [number(row["paper"], digits)]
        for reading in ("as_printed", "energy_balanced"):
            cells.append(number(row[reading], digits))
            cells.append(_difference(row[f"{reading}_difference"], row["unit"]))
        quantity = f"{UNITS[row['quantity']]} ({row['unit']})" if first else ""
        out.add_row(quantity, CASE_NAMES[row["case"]], *cells, end_section=row["case"] == "evms")
    console().print(out)


def _difference(value: float, unit: str) -> str:
    if math.isnan(value):
        return DASH
    return f"{value:+.0f} h" if unit == "h" else f"{value:+.1f}"


def print_table3(table: pd.DataFrame) -> None:
    """Table III beside the paper's figures, and the differences of the totals."""
    out = Table(
        title="Table III  Cost and benefit of the owners ($)",
        box=SIMPLE_HEAD,
        title_justify="left",
        padding=(0, 1, 0, 0),
    )
    out.add_column("Zone")
    quantities = {"g2v_cost": "G2V", "evms_net_cost": "EVMS", "benefit": "benefit"}
    for name in quantities.values():
        for reading in ("paper", "printed", "balanced"):
            out.add_column(f"{name}\n{reading}", justify="right", no_wrap=True)
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
    console().print(out)


def _percent(value: float) -> str:
    return DASH if math.isnan(value) else f"{value:+.1f}"


def print_lines(lines: Sequence[str]) -> None:
    """Plain sentences, wrapped."""
    out = console()
    for line in lines:
        out.print(line, soft_wrap=False)


# Label, and the KPIs beside it.
KPI_LINES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("System peak", ("system_peak_mw", "system_peak_hour")),
    ("Peak while plugged in", ("plugged_peak_mw",)),
    ("Rebound / limit", ("rebound_ratio",)),
    ("Feeder energy", ("feeder_energy_mwh",)),
    ("EVs charged / supplied", ("ev_charged_mwh", "ev_discharged_mwh")),
    ("Losses", ("loss_energy_mwh",)),
    ("Largest loss", ("max_loss_mw", "max_loss_hour")),
    ("Lowest voltage", ("min_vm_pu", "min_vm_bus", "min_vm_hour")),
    ("Highest line loading", ("max_line_loading_percent", "max_line_loading_line")),
    ("Bought / sold", ("purchase_usd", "sale_usd")),
    ("Net cost", ("net_cost_usd",)),
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
CITY_LINES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Feeders", ("feeders", "feeders_above_limit")),
    ("Coincidence of feeders", ("feeder_coincidence_factor",)),
    (
        "Peak of a feeder, 5-50-95 %",
        tuple(f"feeder_system_peak_mw_{q}" for q in ("q05", "q50", "q95")),
    ),
    (
        "Lowest voltage, 5-50-95 %",
        tuple(f"feeder_min_vm_pu_{q}" for q in ("q05", "q50", "q95")),
    ),
    ("Feeder with the lowest", ("min_vm_feeder",)),
)
# What stands behind a KPI where it is more than its unit.
BEHIND = {
    "energy_short_kwh": "kWh missing",
    "synchronisation": "of the EVs within 5 min",
    "boosts": "boosts",
    "trip_short_kwh": "kWh charged elsewhere",
    "feeders_above_limit": "above their limit",
}


def print_kpis(title: str, kpis: Mapping[str, Any], days: int = 1) -> None:
    """The main indicators of a run, and a line for each kind of limit that was broken.

    days: of the horizon.
    """
    out = Table(title=title, box=SIMPLE_HEAD, title_justify="left", show_header=False)
    out.add_column()
    out.add_column()
    lines = KPI_LINES
    if days > 1:
        lines = (*lines, *DAYS_LINES)
    if "feeders" in kpis:
        lines = (*lines, *CITY_LINES)
    for label, names in lines:
        if label == "EVs short" and days > 1:
            label = "Stays short"
        cells = (_with_unit(name, kpis[name]) for name in names)
        out.add_row(label, ", ".join(cells))
    console().print(out)
    print_lines(warnings_of(kpis))


def _with_unit(name: str, value: Any) -> str:
    row = INDICATORS[name]
    text = number(value, row.digits)
    if value is None:
        return text
    if name.endswith("_hour"):
        return f"at {text}:00"
    if name.endswith("_bus"):
        return f"at N{text}"
    return f"{text} {BEHIND.get(name, row.unit if row.unit != '-' else '')}".rstrip()


def warnings_of(kpis: Mapping[str, Any]) -> list[str]:
    """A sentence for each kind of limit that was broken, and for load flows that failed."""
    lines = []
    if kpis["nonconverged_hours"]:
        hours = ", ".join(f"{hour}:00" for hour in kpis["nonconverged_clock_hours"])
        lines.append(
            f"The load flow did not converge in {kpis['nonconverged_hours']} hours ({hours}): no "
            "voltages and losses there, and none enter the figures above."
        )
    broken = (
        ("vm_below_bus_hours", "bus-hours below the lower voltage limit, eq. (9)"),
        ("vm_above_bus_hours", "bus-hours above the upper voltage limit, eq. (9)"),
        ("line_over_line_hours", "line-hours above the line's rating, eq. (12)"),
        ("soc_below_ev_minutes", "EV-minutes below soc_lower, eq. (5)"),
        ("soc_above_ev_minutes", "EV-minutes above soc_upper, eq. (6)"),
        ("evs_still_plugged", "EVs still plugged in at the end of the horizon"),
    )
    lines += [f"{kpis[name]:,.0f} {text}." for name, text in broken if kpis[name]]
    return lines


# Of more days than this only the first and the last are printed.
MOST_DAYS = 14
DAY_COLUMNS = (
    ("day", "day", 0),
    ("weekday", "weekday", 0),
    ("stays", "stays", 0),
    ("V2G\nshare", "v2g_share", 3),
    ("peak\nMW", "system_peak_mw", 3),
    ("net cost\n$", "net_cost_usd", 0),
    ("benefit\n$", "benefit_usd", 0),
    ("stays\nshort", "evs_short", 0),
    ("missing\nkWh", "energy_short_kwh", 0),
)
GROUP_COLUMNS = (
    ("group", "group", 0),
    ("EVs", "evs", 0),
    ("stays", "stays", 0),
    ("V2G\nshare", "v2g_share", 3),
    ("boosts", "boosts", 0),
    ("charged\nkWh", "charged_kwh", 0),
    ("supplied\nkWh", "discharged_kwh", 0),
    ("net cost\n$", "net_cost_usd", 0),
    ("benefit\n$", "benefit_usd", 0),
    ("stays\nshort", "evs_short", 0),
    ("missing\nkWh", "energy_short_kwh", 0),
)


def print_days(days: pd.DataFrame) -> None:
    """One row per day, of all feeders together; of many days the first and the last."""
    rows = days.to_dict("records")
    cut = len(rows) > MOST_DAYS
    shown = [*rows[: MOST_DAYS // 2], None, *rows[-(MOST_DAYS // 2) :]] if cut else rows
    _print_rows("Days", DAY_COLUMNS, shown)


def print_groups(groups: pd.DataFrame) -> None:
    """One row per group of owners, all feeders and days together."""
    _print_rows("Groups of owners", GROUP_COLUMNS, groups.to_dict("records"))


def _print_rows(
    title: str,
    columns: Sequence[tuple[str, str, int]],
    rows: Sequence[Mapping[Any, Any] | None],
) -> None:
    """A table of these columns (header, name, digits); None stands for rows left out."""
    out = Table(title=title, box=SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    for header, name, _ in columns:
        out.add_column(header, justify="left" if name in ("weekday", "group") else "right")
    for row in rows:
        cells = ("...",) if row is None else (number(row[n], digits) for _, n, digits in columns)
        out.add_row(*cells)
    console(COMPARISON_WIDTH).print(out)


def print_comparison(table: pd.DataFrame, evs: int) -> None:
    """One row per strategy, in two tables."""
    columns = (
        ("peak\nMW", "system_peak_mw", 3),
        ("hour", "system_peak_hour", 0),
        ("plugged\nMW", "plugged_peak_mw", 3),
        ("energy\nMWh", "feeder_energy_mwh", 2),
        ("losses\nMWh", "loss_energy_mwh", 3),
        ("lowest\np.u.", "min_vm_pu", 4),
        ("net cost\n$", "net_cost_usd", 0),
        ("EVs\nshort", "evs_short", 0),
        ("missing\nkWh", "energy_short_kwh", 0),
        ("rebound\n/ limit", "rebound_ratio", 3),
        ("gap to\noptimum %", "gap_to_optimum_percent", 2),
    )
    # The peak to average is the reciprocal of the load factor; it is in the files.
    emergence = (
        ("coinci-\ndence", "coincidence_factor", 3),
        ("load\nfactor", "load_factor", 3),
        ("synchro-\nnised", "synchronisation", 3),
        ("period\nmin", "oscillation_period_min", 0),
        ("swing\nMW", "oscillation_amplitude_mw", 3),
        ("switches\n/ EV", "mode_switches_per_ev", 2),
        ("cycles\n/ EV", "equivalent_full_cycles_per_ev", 3),
        ("Jain\nunmet", "fairness_unmet_evs", 3),
        ("Jain\nbenefit", "fairness_benefit_evs", 3),
    )
    _print_strategies(f"Strategies on the same {evs} EVs", columns, table)
    _print_strategies("Emergence", emergence, table)
    failed = table[table["nonconverged_hours"] > 0]
    print_lines(
        [
            f"{row['strategy']}: the load flow did not converge in {row['nonconverged_hours']} "
            "hours; its voltages and losses leave them out."
            for row in failed.to_dict("records")
        ]
    )


def _print_strategies(
    title: str, columns: Sequence[tuple[str, str, int]], table: pd.DataFrame
) -> None:
    out = Table(title=title, box=SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    out.add_column("Strategy", no_wrap=True)
    shown = [column for column in columns if column[1] in table]
    for header, _, _ in shown:
        out.add_column(header, justify="right")
    for row in table.to_dict("records"):
        out.add_row(row["strategy"], *(number(row[name], digits) for _, name, digits in shown))
    console(COMPARISON_WIDTH).print(out)


def complain(text: str) -> None:
    """One error on standard error."""
    print(text, file=sys.stderr)
