"""KPIs that somebody asked for by name, of one outcome or of several beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from abm.report.terminal import new_table, print_lines, show
from abm.report.units import below_a_megawatt, in_kilo, number, scaled
from abm.results.indicators import grain_of, is_of_load_flows, kpi_label

PEAK = "peak_15min_mw"


def print_chosen(
    title: str,
    found: Mapping[str, Mapping[str, Any]],
    names: Sequence[str],
    flow_min: int = 60,
    of_what: str = "strategy",
) -> None:
    """A table with a row for each outcome and a column for each KPI, a dash for what is not there.

    found: KPIs by what the outcome is called, a kind of which is `of_what`. flow_min: interval of
    the load flows, min.
    """
    peaks = [kpis[PEAK] for kpis in found.values() if kpis.get(PEAK) is not None]
    small = bool(peaks) and below_a_megawatt(peaks)
    how = {name: scaled(name, small) for name in names}
    headers = [kpi_label(name).replace(" (", "\n(") for name in names]
    pairs = zip(headers, how.values(), strict=True)
    columns = [in_kilo(header) if times != 1.0 else header for header, (_, times) in pairs]
    table = new_table(title, (of_what,), columns)
    for label, kpis in found.items():
        table.add_row(label, *(_cell(kpis.get(name), *how[name]) for name in names))
    show(table)
    if any(map(is_of_load_flows, names)):
        print_lines([f"Losses, voltages and loadings: {grain_of(flow_min)}."])


def _cell(value: Any, digits: int, times: float) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value)) or number(None, 0)
    return number(value, digits, times)


def only(found: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The KPIs of these names; None for one that is not there."""
    return {name: found.get(name) for name in names}
