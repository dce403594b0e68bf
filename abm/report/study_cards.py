"""The main numbers of studies as tables for notebooks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from abm.report.card import card, differences_table, notes_of, picture_of, table_of
from abm.report.figures import Drawings
from abm.report.html_tables import digits_of, heading
from abm.report.units import DASH, number, plus_minus
from abm.results.indicators import INDICATORS, kpi_label, mean_digits
from abm.scenario import Scenario
from abm.study.compare import FORESIGHT, GAP
from abm.study.ensemble import Ensemble
from abm.study.outcomes import Comparison

if TYPE_CHECKING:
    import pandas as pd

# What is shown of each strategy, where it has a value.
LEADING = (
    "peak_15min_mw", "plugged_peak_15min_mw", "loss_energy_mwh", "min_vm_pu",
    "max_line_loading_percent", "net_cost_usd", "evs", "evs_short", "energy_short_kwh",
)  # fmt: skip
# Of more rows than this the rest is counted.
MOST_ROWS = 20


def study_card(
    title: str,
    scenario: Scenario,
    numbers: str,
    drawings: Drawings,
    missing: Sequence[str] = (),
) -> str:
    """The page of a study. numbers: a table as HTML."""
    parts = notes_of(missing), differences_table(scenario), numbers, picture_of(drawings)
    return card(title, *parts)


def comparison_numbers(outcome: Comparison) -> str:
    """The leading KPIs of each strategy and of the bound, and how far each is from it."""
    kpis: Mapping[str, Mapping[str, Any]] = outcome.kpis
    rows = [
        [_name(kpi), *(number(of.get(kpi), digits_of(kpi)) for of in kpis.values())]
        for kpi in _shown(next(iter(kpis.values())))
    ]
    if outcome.bound is not None:
        rows.append(["Gap to optimum (%)", *(number(of.get(GAP), 2) for of in kpis.values())])
    return table_of(rows, ["", *kpis])


def ensemble_numbers(ensemble: Ensemble, kpis: Iterable[str] = ()) -> str:
    """Means with half of their 95 % intervals: a column for each case, or a row where many."""
    wanted = list(kpis) or _shown(ensemble.measures)
    wanted = [kpi for kpi in wanted if kpi in ensemble.measures]
    summary = ensemble.summary
    if not wanted or summary.empty:
        return table_of([])
    by_case = [
        dict(zip(rows["kpi"], rows.to_dict("records"), strict=True))
        for _, rows in summary.groupby(list(ensemble.cases[0].labels), sort=False)
    ]
    cells = {kpi: [_interval(kpi, of[kpi]) for of in by_case] for kpi in wanted}
    if list(ensemble.cases[0].labels) == ["strategy"]:
        rows = [[_name(kpi, ensemble), *cells[kpi]] for kpi in wanted]
        return table_of(rows, ["", *map(str, ensemble.cases)])
    head = [*ensemble.cases[0].labels, *(_name(kpi, ensemble) for kpi in wanted)]
    rows = [
        [*map(_text, case.labels.values()), *(cells[kpi][i] for kpi in wanted)]
        for i, case in enumerate(ensemble.cases)
    ]
    return _cut(rows, head)


def frame_numbers(table: pd.DataFrame, columns: Sequence[str] = ()) -> str:
    """A table as it is, numbers with four digits; columns: those that are shown, all if empty."""
    names = [name for name in columns if name in table] or list(map(str, table.columns))
    rows = [[_text(row[name]) for name in names] for row in table.to_dict("records")]
    return _cut(rows, [heading(name) for name in names])


def _cut(rows: Sequence[Sequence[str]], head: Sequence[str]) -> str:
    shown = [list(row) for row in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        shown.append([f"and {len(rows) - MOST_ROWS} more", *[""] * (len(head) - 1)])
    return table_of(shown, head)


def _shown(there: Iterable[str]) -> list[str]:
    """The leading KPIs, and those of the user's own."""
    names = list(there)
    own = [name for name in names if name not in INDICATORS and name not in (GAP, FORESIGHT)]
    return [name for name in (*LEADING, *own) if name in names]


def _name(kpi: str, ensemble: Ensemble | None = None) -> str:
    """What a KPI is called, with its unit."""
    return kpi_label(kpi, () if ensemble is None else ensemble.flow_min)


def _interval(kpi: str, row: Mapping[Any, Any]) -> str:
    digits, half = mean_digits(kpi), 0.5 * (row["ci95_high"] - row["ci95_low"])
    known = math.isfinite(half)
    return plus_minus(row["mean"], half, digits) if known else number(row["mean"], digits)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return DASH if math.isnan(value) else f"{value:.4g}"
    return str(value)
