"""What a person reads of studies: replications, sweeps, the paper over seeds, the bound."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.report.field_words import field_words
from abm.report.paper_terminal import CASE_NAMES, DIGITS, READINGS, UNITS
from abm.report.sentences import NOBODY, count, power
from abm.report.study_sentences import wide_indices
from abm.report.terminal import new_table, print_lines, show
from abm.report.units import below_a_megawatt, in_kilo, number, plus_minus, scaled_mean
from abm.results.indicators import (
    grain_of,
    indicator,
    is_of_load_flows,
    kpi_label,
    own_of,
)
from abm.results.kpis import TIE_MW
from abm.scenario import Scenario
from abm.study.compare import FORESIGHT, GAP
from abm.study.ensemble import Ensemble
from abm.study.reproduce import RUNS
from abm.study.sweep import INTEREST, FactorRange

if TYPE_CHECKING:
    import pandas as pd

    from abm.study.bound import Bound

# What the terminal shows; the files have all.
MAIN = (
    "peak_15min_mw",
    "system_peak_mw",
    "min_vm_pu",
    "loss_energy_mwh",
    "feeder_energy_mwh",
    "net_cost_usd",
    "evs_short",
    "energy_short_kwh",
)
# More pairs of strategies, points of a sweep and EVs than these are for the files.
MOST_PAIRS = 3
MOST_ROWS = 40
NAMED_EVS = 10

MONEY_NAMES = {"g2v_cost": "G2V cost", "evms_net_cost": "EVMS net cost", "benefit": "Benefit"}
READING_NAMES = {"as_printed": "as printed", "energy_balanced": "energy-balanced"}
# Gaps smaller than this are the room that the bound's own solver has, %.
GAP_ROUNDING = 1e-4
COST_AT_LEAST_PEAK = (
    "The bound's net cost is that of the lowest peak, no bound on cost: `bound --objective cost "
    "--limit MW` has the lowest cost at another peak."
)
COST_AT_OWN_PEAK = (
    "Foresight: the net cost of perfect foresight at the strategy's own peak of 15 min while EVs "
    "are plugged in, of strategies that give every EV its target."
)
AS_PRINTED = (
    "The scenario's requirement is as_printed; the bound is energy-balanced all the same: every EV "
    "leaves with soc_target."
)


def _interval(row: Any, digits: int) -> str:
    low, high = (number(row[name], digits) for name in ("ci95_low", "ci95_high"))
    return f"{low} .. {high}"


# --- replications ---------------------------------------------------------------------------------


def print_ensemble(ensemble: Ensemble, scenario: Scenario, kpis: Sequence[str] = ()) -> None:
    """Mean, sd and interval of KPIs by strategy, and the paired differences.

    kpis: the main ones, and those of the user's own, when empty.
    """
    rows = ensemble.summary.to_dict("records")
    found = {(row["kpi"], row["strategy"]): row for row in rows}
    title = f"{scenario.name}, {count(ensemble.n, 'replication')}, seed {scenario.seed}"
    table = new_table(title, ("Quantity", "Strategy"), ("n", "mean", "sd", "95 % interval"))
    small = _small(rows)
    for kpi in kpis or (*MAIN, *own_of(ensemble.measures)):
        for i, case in enumerate(ensemble.cases):
            if (kpi, str(case)) not in found:
                continue  # nothing succeeded
            row, digits = scaled_mean(kpi, found[kpi, str(case)], small)
            table.add_row(
                _label(kpi, small) if i == 0 else "",
                str(case),
                f"{row['n']:.0f}",
                number(row["mean"], digits),
                number(row["sd"], digits),
                _interval(row, digits),
                end_section=i == len(ensemble.cases) - 1,
            )
    show(table)
    print_lines([f"Losses and lowest voltage: {grain_of(scenario.grid.flow_interval_min)}."])
    print_lines(unsolved_lines(ensemble))
    if len(ensemble.cases) > 1:
        print_differences(ensemble.differences, small, kpis)


def _small(rows: Sequence[Mapping[Any, Any]]) -> bool:
    """Whether no mean peak of a summary reaches a megawatt."""
    return below_a_megawatt(row["mean"] for row in rows if row["kpi"] == "peak_15min_mw")


def _label(kpi: str, small: bool, grain: Collection[int] = ()) -> str:
    label = kpi_label(kpi, grain)
    return in_kilo(label) if small else label


def unsolved_lines(ensemble: Ensemble) -> list[str]:
    """A sentence for each case with replications whose losses and voltages are not all known."""
    if "nonconverged_hours" not in ensemble.measures:
        return []  # nothing succeeded
    lines = []
    for case, hours in zip(ensemble.cases, ensemble.values("nonconverged_hours"), strict=True):
        unsolved = int((hours > 0).sum())
        if unsolved:
            lines.append(
                f"{case}: in {unsolved} of {count(ensemble.n, 'replication')} a load flow did not "
                "converge; their losses, lowest voltage and loading are not known and in no mean."
            )
    return lines


def print_differences(
    differences: pd.DataFrame, small: bool = False, kpis: Sequence[str] = ()
) -> None:
    """Paired differences of KPIs, a table for each pair; of many, those to the first.

    kpis: the main ones, and those of the user's own, when empty. small: whether demand stays below
    a megawatt, so that kilowatts are shown.
    """
    pairs = list(differences.groupby(["strategy", "minus"], sort=False))
    first = differences["minus"].iloc[0]
    shown = [pair for pair in pairs if len(pairs) <= MOST_PAIRS or pair[0][1] == first]
    for (strategy, minus), rows in shown:
        found = {row["kpi"]: row for row in rows.to_dict("records")}
        columns = ("n", "mean", "sd", "95 % interval", "excludes zero")
        table = new_table(f"{strategy} less {minus}, on the same EVs", ("Difference",), columns)
        for kpi in kpis or (*MAIN, *own_of(found)):
            if kpi in found:
                row, digits = scaled_mean(kpi, found[kpi], small)
                table.add_row(
                    _label(kpi, small),
                    str(row["n"]),
                    number(row["mean"], digits),
                    number(row["sd"], digits),
                    _interval(row, digits),
                    "yes" if row["excludes_zero"] else "no",
                )
        show(table)
    if len(shown) < len(pairs):
        print_lines([f"{len(pairs) - len(shown)} more pairs in differences.csv"])


# --- sweeps ---------------------------------------------------------------------------------------


def print_sweep(
    ensemble: Ensemble,
    tables: Mapping[str, pd.DataFrame],
    ranges: Sequence[FactorRange],
    kpis: Sequence[str],
) -> None:
    """Indices of a Sobol' design, or mean and interval at every point of a grid."""
    usual = (*INTEREST, *own_of(ensemble.measures))
    shown = [kpi for kpi in (kpis or usual) if kpi in ensemble.measures]
    if ranges:
        _print_indices(tables["sobol"], shown, len(ensemble.cases))
        if any(map(is_of_load_flows, shown)):
            print_lines([f"Losses, voltages and loadings: {grain_of(*ensemble.flow_min)}."])
        return
    labels = list(ensemble.cases[0].labels)
    summary = tables["summary"]
    title = f"Mean and its 95 % interval, {count(ensemble.n, 'replication')} at each point"
    grain = ensemble.flow_min
    small = _small(summary.to_dict("records"))
    headings = (_label(kpi, small, grain).replace(" (", "\n(") for kpi in shown)
    table = new_table(title, [label.replace(".", ".\n") for label in labels], headings)
    n_kpis = len(ensemble.measures)
    for i, case in enumerate(ensemble.cases[:MOST_ROWS]):
        # The summary has the KPIs of one case below each other, in their order.
        rows = summary.iloc[i * n_kpis : (i + 1) * n_kpis].to_dict("records")
        found = {row["kpi"]: row for row in rows}
        cells = [_mean_and_interval(kpi, found[kpi], small) for kpi in shown]
        table.add_row(*(str(case.labels[label]) for label in labels), *cells)
    show(table)
    lines = unsolved_lines(ensemble)[:MOST_ROWS]
    if len(ensemble.cases) > MOST_ROWS:
        lines.append(f"and {len(ensemble.cases) - MOST_ROWS} more points in summary.csv")
    if len(labels) > 3:
        lines.append("No figures: there are maps for two factors and lines for one.")
    print_lines(lines)


def _mean_and_interval(kpi: str, row: Any, small: bool) -> str:
    row, digits = scaled_mean(kpi, row, small)
    row_of = indicator(kpi)
    if row_of is not None and row_of.count:
        # Not about its middle, and never below 0.
        return f"{number(row['mean'], digits)} ({_interval(row, digits)})"
    return plus_minus(row["mean"], (row["ci95_high"] - row["ci95_low"]) / 2.0, digits)


def _print_indices(sobol: pd.DataFrame, shown: Sequence[str], points: int) -> None:
    title = f"Sobol' indices and half-widths of their 95 % intervals, {points} points"
    table = new_table(title, ("Quantity", "Strategy", "Factor"), ("first order", "total"))
    for (kpi, strategy), rows in sobol[sobol["kpi"].isin(shown)].groupby(
        ["kpi", "strategy"], sort=False
    ):
        for i, row in enumerate(rows.to_dict("records")):
            table.add_row(
                kpi_label(str(kpi)) if i == 0 else "",
                str(strategy) if i == 0 else "",
                field_words(row["factor"]),
                *(plus_minus(row[s], row[f"{s}_conf"], 3) for s in ("S1", "ST")),
                end_section=i == len(rows) - 1,
            )
    show(table)
    constant = [kpi for kpi in shown if kpi not in set(sobol["kpi"])]
    print_lines([f"{kpi_label(kpi)} does not vary and has no indices." for kpi in constant])
    print_lines(wide_indices({"sobol": sobol}, shown, points))


# --- the paper's tables over seeds ----------------------------------------------------------------


def print_paper_replications(table2: pd.DataFrame, table3: pd.DataFrame) -> None:
    """Mean and interval beside the paper's number; of Table III the totals."""
    n = int(table2["n"].max())
    rows = [
        (f"{UNITS[row['quantity']]} ({row['unit']})", CASE_NAMES[row["case"]], row)
        for row in table2.to_dict("records")
        if (row["case"], row["reading"]) in RUNS
    ]
    _print_intervals(f"Table II over {count(n, 'replication')}", rows)
    print_lines(
        f"EVMS, {READING_NAMES[row['reading']]}: in {row['tied']} of {count(n, 'replication')} "
        f"other hours share the peak within {TIE_MW:g} MW, so that its hour says little."
        for row in table2.to_dict("records")
        if row["quantity"] == "peak_hour" and row["case"] == "evms" and row["tied"]
    )
    totals = table3[table3["zone"] == "total"].to_dict("records")
    rows = [(f"{MONEY_NAMES[row['quantity']]} ($)", "", row) for row in totals]
    _print_intervals(f"Table III over {count(n, 'replication')}, all zones", rows)
    lines = ["Inside: the paper's number lies in the 95 % prediction interval of one run."]
    zones = table3[table3["zone"] != "total"]
    for reading in READINGS:
        mine = zones[zones["reading"] == reading]
        inside = sum(value is True for value in mine["paper_inside"].to_list())
        lines.append(
            f"Of the {len(mine)} numbers of zones, {READING_NAMES[reading]}, {inside} are inside."
        )
    print_lines(lines)


def _print_intervals(title: str, rows: list[tuple[str, str, Any]]) -> None:
    columns = ("paper", "mean", "95 % interval", "inside")
    table = new_table(title, ("Quantity", "Case", "Reading"), columns)
    last = ("", "")
    for i, (quantity, case, row) in enumerate(rows):
        digits = DIGITS[row["unit"]]
        low, high = (number(row[name], digits) for name in ("ci95_low", "ci95_high"))
        table.add_row(
            quantity if quantity != last[0] else "",
            case if (quantity, case) != last else "",
            READING_NAMES[row["reading"]] if case != CASE_NAMES["base"] else "",
            number(row["paper"], digits),
            number(row["mean"], digits),
            f"{low} .. {high}",
            {True: "yes", False: "no"}.get(row["paper_inside"], "-"),
            end_section=i + 1 < len(rows) and rows[i + 1][0] != quantity,
        )
        last = (quantity, case)
    show(table)


# --- the bound ------------------------------------------------------------------------------------


def comparison_lines(bound: Bound, table: pd.DataFrame) -> list[str]:
    """What there is to say of a bound in a comparison, in sentences."""
    lines = [COST_AT_LEAST_PEAK]
    if FORESIGHT in table:
        lines.append(COST_AT_OWN_PEAK)
    below = list(table.loc[table[GAP] < -GAP_ROUNDING, "strategy"])
    if below:
        lines.append(
            f"{', '.join(below)}: below the bound, which gives every EV its target; these leave "
            "EVs short of it, or charge to another one."
        )
    if bound.results.record.scenario.requirement.kind == "as_printed":
        lines.append(AS_PRINTED)
    return [*lines, *unreachable_lines(bound.unreachable)]


def bound_lines(bound: Bound) -> list[str]:
    """What there is to say of a bound beside its KPIs, in sentences."""
    solved = [feeder for feeder in bound.feeders if feeder.phases]
    if not solved:
        return [NOBODY]
    of_whom = "" if len(bound.feeders) == 1 else ", mean of the feeders"
    before = float(np.mean([feeder.peak_before_mw for feeder in solved]))
    after = [f.lowest_peak_mw for f in solved if f.lowest_peak_mw is not None]
    small = below_a_megawatt([before])
    least = f", {power(float(np.mean(after)), small)} at the least" if after else ""
    states = dict.fromkeys(p.status for feeder in solved for p in feeder.phases.values())
    programmes = "Linear programme" if len(solved) == 1 else f"{len(solved)} programmes, the first"
    size = solved[0].size
    lines = [
        f"Highest demand while EVs are plugged in{of_whom}: {power(before, small)} without their "
        f"power{least}.",
        f"{programmes} of {size['columns']} columns and {size['rows']} rows, steps of "
        f"{bound.step_min} min: {'; '.join(states)}; {bound.solver_s:.1f} s in HiGHS, "
        f"{bound.wall_s:.1f} s in all.",
    ]
    if bound.results.record.scenario.requirement.kind == "as_printed":
        lines.append(AS_PRINTED)
    return [*lines, *unreachable_lines(bound.unreachable)]


def unreachable_lines(unreachable: pd.DataFrame) -> list[str]:
    """One sentence naming the EVs that cannot reach soc_target, and by how much; none if all can.

    The first ten are named.
    """
    n = len(unreachable)
    if not n:
        return []
    several = bool((unreachable["feeder"] > 1).any())
    named = []
    for ev in unreachable.head(NAMED_EVS).to_dict("records"):
        where = f"feeder {ev['feeder']}, zone {ev['zone']}" if several else f"zone {ev['zone']}"
        named.append(f"EV {ev['ev_id']} ({where}) by {ev['lacks_kwh']:.3g} kWh")
    more = f", and {n - NAMED_EVS} more" if n > NAMED_EVS else ""
    who = "1 EV cannot reach its" if n == 1 else f"{n} EVs cannot reach their"
    return [f"{who} target even charging all the time: {', '.join(named)}{more}."]
