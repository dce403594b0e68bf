"""What a person reads in the terminal: tables and sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from abm.errors import printable
from abm.report.kpi_lines import kpi_rows
from abm.report.units import below_a_megawatt, in_kilo, number, scaled, tie
from abm.results.indicators import grain_of, indicator, kpi_label, own_of
from abm.study.compare import FORESIGHT, GAP

if TYPE_CHECKING:
    import pandas as pd

# Wider than a narrow or missing terminal: a table that is cut tells nobody anything.
MIN_WIDTH = 100


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


def new_table(title: str, of_text: Iterable[str], of_numbers: Iterable[str]) -> Table:
    """A table with columns of text, then columns of numbers, by their headers."""
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    for name in of_text:
        table.add_column(name, no_wrap=True)
    for name in of_numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


_CAUGHT: ContextVar[list[Table] | None] = ContextVar("caught", default=None)


@contextmanager
def caught() -> Iterator[list[Table]]:
    """Within the block tables come into the list and are not printed; sentences are left out."""
    tables: list[Table] = []
    token = _CAUGHT.set(tables)
    try:
        yield tables
    finally:
        _CAUGHT.reset(token)


def show(table: Table, whole: bool = True) -> None:
    """Print a table; whole: as wide as it is, even where the terminal is not."""
    tables = _CAUGHT.get()
    if tables is not None:
        tables.append(table)
        return
    out = console()
    if whole:
        wide = Plain(width=10_000)
        out.width = max(out.width, wide.measure(table).maximum)
    out.print(table)


def print_lines(lines: Iterable[str]) -> None:
    """Plain sentences, wrapped."""
    if _CAUGHT.get() is not None:
        return
    out = console()
    for line in lines:
        out.print(line, soft_wrap=False)


def print_kpis(title: str, kpis: Mapping[str, Any], days: int = 1, flow_min: int = 60) -> None:
    """The main indicators of a run, and a line for each kind of limit that was broken.

    days: of the horizon. flow_min: interval of the load flows, min, which their lines name.
    """
    out = Table(title=title, box=SIMPLE_HEAD, title_justify="left", show_header=False)
    out.add_column("quantity")
    out.add_column("value")
    for label, values in kpi_rows(kpis, days, flow_min):
        out.add_row(label, values)
    show(out, whole=False)
    print_lines(warnings_of(kpis))


def warnings_of(kpis: Mapping[str, Any]) -> list[str]:
    """A sentence for each kind of limit that was broken, and for load flows that failed."""
    lines = []
    if kpis["nonconverged_hours"]:
        hours = ", ".join(f"{hour}:00" for hour in kpis["nonconverged_clock_hours"])
        lines.append(
            f"The load flow did not converge in {_count(kpis['nonconverged_hours'])} hours "
            f"({hours}): no voltages and losses there, so lowest voltage, losses and loading are "
            "not known."
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
    own = [name for name in own_of(map(str, table.columns)) if indicator(name) is not None]
    if own:
        headers = {name: kpi_label(name).replace(" (", "\n(") for name in own}
        _print_rows("Your own KPIs", ("strategy",), headers, rows, small)
    print_lines([f"Losses and lowest voltage: {grain_of(flow_min)}."])
    if shared:
        print_lines([f"+n behind a time: n other hours within {tie(small)} of the peak, a tie."])
    print_lines(failed_lines({row["strategy"]: row["nonconverged_hours"] for row in rows}))


def failed_lines(hours: Mapping[str, float]) -> list[str]:
    """A sentence for each strategy under which load flows did not converge; hours: by strategy."""
    return [
        f"{name}: the load flow did not converge in {_count(n)} hours; its losses and lowest "
        "voltage are not known."
        for name, n in hours.items()
        if n
    ]


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
