"""The folder that `sweep` leaves, and what it prints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.report.ensemble import csv_bytes, new_table, parquet_writer, show, write_manifest
from abm.report.terminal import number, print_lines
from abm.results.indicators import kpi_label, mean_digits
from abm.scenario import Scenario
from abm.study.ensemble import Ensemble
from abm.study.folder import StudyFolder
from abm.study.sweep import FactorRange, sobol_table
from abm.study.tables import replications_table, summary_table

if TYPE_CHECKING:
    import pandas as pd

INTEREST = ("system_peak_mw", "min_vm_pu", "net_cost_usd", "evs_short")
# More rows than this are for the file, not for the terminal.
MOST_ROWS = 40


def write_sweep(
    ensemble: Ensemble,
    scenario: Scenario,
    ranges: Sequence[FactorRange],
    kpis: Sequence[str],
    folder: StudyFolder,
    began: float,
) -> dict[str, pd.DataFrame]:
    """Tables, figures and, last, the manifest; returns the tables `summary` and `sobol`.

    ranges: of a Sobol' design, empty for a grid. kpis: that get a figure, INTEREST when empty.
    """
    from abm.report.sweep_figures import sweep_figures

    table = _tidy(ensemble)
    written = {"summary": summary_table(ensemble)}
    if ranges:
        written["sobol"] = sobol_table(ensemble, ranges, scenario.seed)
    folder.write("scenario.yaml", scenario.to_yaml().encode())
    folder.write("sweep.parquet", parquet_writer(table))
    folder.write("sweep.csv", csv_bytes(_flat(table)))
    for name, content in written.items():
        folder.write(f"{name}.csv", csv_bytes(content))
    sweep_figures(ensemble, written, ranges, kpis or INTEREST, folder.write)
    write_manifest(ensemble, folder, began)
    return written


def _tidy(ensemble: Ensemble) -> Any:
    """Factors, strategy and replication in front, point by point."""
    table = replications_table(ensemble)
    labels = list(ensemble.cases[0].labels)
    rest = [name for name in table.column_names if name not in labels]
    n_cases = len(ensemble.cases)
    order = np.arange(ensemble.n * n_cases).reshape(ensemble.n, n_cases).T.ravel()
    return table.select([*labels, *rest]).take(order)


def _flat(table: Any) -> pd.DataFrame:
    """The table for a CSV; lists become words with spaces between."""
    import pyarrow as pa

    frame: pd.DataFrame = table.to_pandas()
    for field in table.schema:
        if pa.types.is_list(field.type):
            words = [
                None if row is None else " ".join(map(str, row))
                for row in table[field.name].to_pylist()
            ]
            frame[field.name] = words
    return frame


def sweep_summary(written: Mapping[str, pd.DataFrame], ensemble: Ensemble) -> dict[str, Any]:
    """The tables as plain data; None for what is not there."""
    tables = {
        name: [{str(key): _plain(row[key]) for key in row} for row in table.to_dict("records")]
        for name, table in written.items()
    }
    return {"replications": ensemble.n, "failed": len(ensemble.failures), **tables}


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_sweep(
    ensemble: Ensemble,
    written: Mapping[str, pd.DataFrame],
    ranges: Sequence[FactorRange],
    kpis: Sequence[str],
) -> None:
    """Indices of a Sobol' design, or mean and interval at every point of a grid."""
    shown = [kpi for kpi in (kpis or INTEREST) if kpi in ensemble.measures]
    if ranges:
        _print_indices(written["sobol"], shown, len(ensemble.cases))
        return
    labels = list(ensemble.cases[0].labels)
    summary = written["summary"]
    title = f"Mean and half-width of its 95 % interval, {ensemble.n} replications at each point"
    table = new_table(title, [label.replace(".", ".\n") for label in labels], map(_heading, shown))
    n_kpis = len(ensemble.measures)
    for i, case in enumerate(ensemble.cases[:MOST_ROWS]):
        # The summary has the KPIs of one case below each other, in their order.
        rows = summary.iloc[i * n_kpis : (i + 1) * n_kpis].to_dict("records")
        found = {row["kpi"]: row for row in rows}
        cells = []
        for kpi in shown:
            row, digits = found[kpi], mean_digits(kpi)
            half = (row["ci95_high"] - row["ci95_low"]) / 2.0
            cells.append(f"{number(row['mean'], digits)} ± {number(half, digits)}")
        table.add_row(*(str(case.labels[label]) for label in labels), *cells)
    show(table)
    lines = []
    if len(ensemble.cases) > MOST_ROWS:
        lines.append(f"and {len(ensemble.cases) - MOST_ROWS} more points in summary.csv")
    if len(labels) > 3:
        lines.append("No figures: there are maps for two factors and lines for one.")
    print_lines(lines)


def _heading(kpi: str) -> str:
    return kpi_label(kpi).replace(" (", "\n(")


def _print_indices(sobol: pd.DataFrame, shown: Sequence[str], points: int) -> None:
    title = f"Sobol' indices and half-widths of their 95 % intervals, {points} points"
    table = new_table(title, ("KPI", "Strategy", "Factor"), ("first order", "total"))
    for (kpi, strategy), rows in sobol[sobol["kpi"].isin(shown)].groupby(
        ["kpi", "strategy"], sort=False
    ):
        for i, row in enumerate(rows.to_dict("records")):
            table.add_row(
                str(kpi) if i == 0 else "",
                str(strategy) if i == 0 else "",
                row["factor"],
                *(f"{number(row[s], 3)} ± {number(row[f'{s}_conf'], 3)}" for s in ("S1", "ST")),
                end_section=i == len(rows) - 1,
            )
    show(table)
    constant = [kpi for kpi in shown if kpi not in set(sobol["kpi"])]
    print_lines([f"{kpi} does not vary and has no indices." for kpi in constant])
