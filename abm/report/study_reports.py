"""The reports of studies of many replications: Monte Carlo, sweeps, hosting capacity."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from abm.report import interactive_studies as figures
from abm.report.hosting import hosting_lines
from abm.report.html_tables import changes_table, frame_table, kpi_heading, summary_table
from abm.report.interactive import Drawn
from abm.report.interactive_sweeps import sweep
from abm.report.page import Report
from abm.report.report_parts import (
    again,
    citation,
    facts,
    scenario_cautions,
    strategies_by_object,
    study_options,
    versions_used,
)
from abm.report.sentences import count
from abm.report.spread_figures import alike
from abm.report.study_maps import ensemble_map, hosting_map, sweep_map
from abm.report.study_sentences import (
    ensemble_answer,
    hosting_answer,
    sweep_answer,
    wide_indices,
)
from abm.report.study_terminal import unsolved_lines
from abm.results.indicators import kpi_label
from abm.study.ensemble import Ensemble, failure_lines
from abm.study.hosting_results import BOUND
from abm.study.outcomes import HostingStudy, MonteCarlo, Sweep
from abm.study.sweep import INTEREST

# KPIs whose spread is drawn.
SPREADS = ("peak_15min_mw", "min_vm_pu", "net_cost_usd", "evs_short")


def montecarlo_report(outcome: MonteCarlo) -> Report:
    """Of replications under some strategies."""
    ensemble, scenario = outcome.ensemble, outcome.scenario
    names = ["replications", "until", "at_least"]
    note = "Every replication has a seed of its own; strategies meet the same EVs."
    if outcome.until is not None:
        reached = ensemble.stopped
        note += (
            f" {outcome.until} was not reached."
            if reached is None
            else f" {outcome.until} was reached after {count(reached, 'replication')}."
        )
    if scenario.inputs.sessions is not None:
        note += " The stays are those of a file, the same in every replication."
    note = " ".join([note, *varied(ensemble, SPREADS)[1].values()])
    return Report(
        title=f"{scenario.name}: {count(ensemble.n, 'replication')}, seed {scenario.seed}",
        verb="montecarlo",
        facts=facts(scenario, f"seed {scenario.seed}"),
        cautions=ensemble_cautions(ensemble),
        answer=ensemble_answer(ensemble),
        note=note,
        changes=changes_table(scenario),
        charts=ensemble_charts(ensemble),
        map=ensemble_map(ensemble, scenario),
        tables=[
            summary_table(
                "summary",
                "Means and intervals",
                ensemble.summary.to_dict("records"),
                ["strategy"],
                ensemble.flow_min,
            ),
            *(
                [
                    summary_table(
                        "differences",
                        "Differences on the same EVs",
                        ensemble.differences.to_dict("records"),
                        ["strategy", "minus"],
                        ensemble.flow_min,
                    )
                ]
                if len(ensemble.cases) > 1
                else []
            ),
        ],
        again=again(
            "montecarlo",
            scenario,
            study_options(outcome.question, names),
            outcome.question["strategies"],
            strategies_by_object({str(c): c.scenario for c in ensemble.cases}, scenario),
        ),
        cite=citation(),
        versions=versions_used(),
    )


def ensemble_cautions(ensemble: Ensemble) -> list[str]:
    """What failed, what was not solved, and what has to be said of the scenarios."""
    found = failure_lines(ensemble.failures, ensemble.n * len(ensemble.cases))
    scenarios = [case.scenario for case in ensemble.cases]
    lines = [*found, *scenario_cautions(scenarios), *unsolved_lines(ensemble)]
    most = 12
    if len(lines) > most:
        lines = [*lines[:most], f"And {len(lines) - most} more of that kind."]
    return lines


def varied(ensemble: Ensemble, kpis: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """KPIs that differ between runs, which are drawn, and what is said of those that do not."""
    shown: list[str] = []
    said: dict[str, str] = {}
    for kpi in kpis:
        if kpi not in ensemble.measures:
            continue
        values = ensemble.values(kpi)
        known = values[np.isfinite(values)]
        text = alike(known).replace("\n", " ") if len(known) else "not known in any replication"
        if text:
            said[kpi] = f"{kpi_label(kpi, ensemble.flow_min)}: {text}."
        else:
            shown.append(kpi)
    return shown, said


def ensemble_charts(ensemble: Ensemble) -> list[Drawn]:
    """Fan of the demand, spread of the main KPIs, paired differences."""
    if not ensemble.measures:
        return []
    found = [figures.fan(ensemble)]
    found += [figures.spread(ensemble, kpi) for kpi in varied(ensemble, SPREADS)[0]]
    rows = [
        {"name": f"{row['strategy']} less {row['minus']}", **{str(k): v for k, v in row.items()}}
        for row in ensemble.differences.to_dict("records")
        if row["kpi"] == "peak_15min_mw" and row["n"] > 1
    ]
    if rows:
        title = "Differences of the peak on the same EVs"
        about = "Means with their 95 % intervals; one that holds zero says nothing."
        found.append(figures.intervals(title, about, rows, kpi_label("peak_15min_mw")))
    return found


def sweep_report(outcome: Sweep) -> Report:
    """Of a sweep over fields."""
    ensemble, scenario, tables = outcome.ensemble, outcome.scenario, outcome.tables
    kpis = tuple(outcome.shown) or INTEREST
    shown = [kpi for kpi in kpis if kpi in ensemble.measures]
    drawn, said = varied(ensemble, shown)
    points = len(ensemble.cases)
    labels = list(ensemble.cases[0].labels)
    cautions = [*ensemble_cautions(ensemble), *wide_indices(tables, shown, points)]
    if ensemble.n == 1 and not outcome.ranges:
        cautions.append("One replication at each point: how sure a mean is cannot be said.")
    note = (
        f"{count(ensemble.n, 'replication')} at each of {count(points, 'point')}, on the same EVs."
    )
    # The answer says what the first three are.
    note = " ".join([note, *(said[kpi] for kpi in shown[3:] if kpi in said)])
    found = tables["summary"]
    rows = found[found["kpi"].isin(list(kpis))] if len(found) else found
    shown_tables = [
        summary_table("summary", "Means at each point", rows.to_dict("records"), labels,
                      ensemble.flow_min)
    ]  # fmt: skip
    if "sobol" in tables:
        sobol = tables["sobol"]
        sobol = sobol[sobol["kpi"].isin(shown)]
        sobol = sobol.assign(kpi=[kpi_heading(kpi, ensemble.flow_min) for kpi in sobol["kpi"]])
        shown_tables.insert(0, frame_table("sobol", "Sobol' indices", sobol))
    options = study_options(outcome.question, ["replications"])
    design = outcome.question.get("design", "grid")
    if design != "grid":
        options += ["--design", str(design)]
    for field, values in outcome.question.get("vary", {}).items():
        text = values if isinstance(values, str) else ",".join(map(str, values))
        options += ["--vary", f"{field}={text}"]
    if outcome.shown:
        options += ["--kpi", ",".join(outcome.shown)]
    return Report(
        title=f"{scenario.name}: a sweep of {points} points, seed {scenario.seed}",
        verb="sweep",
        facts=facts(scenario, f"seed {scenario.seed}"),
        cautions=cautions,
        answer=sweep_answer(ensemble, tables, shown),
        note=note,
        changes=changes_table(scenario),
        charts=list(sweep(ensemble, tables, drawn)) if ensemble.measures else [],
        map=sweep_map(ensemble, scenario),
        tables=shown_tables,
        again=again("sweep", scenario, options, outcome.question["strategies"]),
        cite=citation(),
        versions=versions_used(),
    )


def hosting_report(outcome: HostingStudy) -> Report:
    """Of hosting capacity."""
    study, scenario = outcome.found, outcome.scenario
    total = len(study.table)
    cautions = [
        *failure_lines(study.failures, total),
        *scenario_cautions([scenario]),
        *hosting_lines(study)[1:],
    ]
    names = ["replications", "shares", "within", "risk", "limits"]
    strategies = [name for name in study.asked.strategies if name != BOUND]
    options = study_options(outcome.question, names)
    options.append("--bound" if BOUND in study.asked.strategies else "--no-bound")
    tables = outcome.tables
    return Report(
        title=f"{scenario.name}: customers with an EV that the grid can carry",
        verb="hosting",
        facts=facts(scenario, f"seed {scenario.seed}"),
        cautions=cautions,
        answer=hosting_answer(study),
        note=hosting_lines(study)[0],
        changes=changes_table(scenario),
        charts=[figures.hosting(study), *figures.broken_elements(study)],
        map=hosting_map(study),
        tables=[
            frame_table("hosting", "What each strategy hosts", tables["hosting"]),
            frame_table("shares", "Shares that were looked at", tables["shares"]),
            *(
                [frame_table("elements", "What breaks its limit", tables["elements"])]
                if len(tables["elements"])
                else []
            ),
        ],
        again=again("hosting", scenario, options, strategies),
        cite=citation(),
        versions=versions_used(),
    )
