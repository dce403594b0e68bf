"""The reports of runs: of one, of the bound, of several strategies, of the paper's study."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from abm.report import interactive_runs as figures
from abm.report.feeder_map import feeder_map
from abm.report.html_tables import changes_table, frame_table, kpi_heading, kpi_table
from abm.report.interactive import Drawn
from abm.report.kpi_lines import kpi_rows
from abm.report.moments import moments
from abm.report.page import PageTable, Report
from abm.report.report_parts import (
    again,
    citation,
    facts,
    paper_settings,
    scenario_cautions,
    strategies_by_object,
    versions_used,
)
from abm.report.sentences import (
    bound_answer,
    comparison_answer,
    count,
    run_answer,
    run_note,
)
from abm.report.study_terminal import (
    AS_PRINTED,
    COST_AT_LEAST_PEAK,
    COST_AT_OWN_PEAK,
    comparison_lines,
    unreachable_lines,
)
from abm.report.terminal import failed_lines, warnings_of
from abm.results import Results
from abm.results.folder import strategy_label
from abm.results.kpis import TIE_MW
from abm.scenario import Scenario
from abm.study.bound import Bound
from abm.study.breakeven import Worth
from abm.study.compare import METRIC, cut_off_lines
from abm.study.outcomes import BreakEven, Comparison, PaperStudy
from abm.study.reproduce import READINGS, findings

MOST_SHORT_EVS, MOST_VIOLATIONS = 50, 100


def run_report(results: Results) -> Report:
    """Of one run."""
    scenario = results.record.scenario
    strategy = strategy_label(scenario)
    seed = results.record.seeds[0]
    return Report(
        title=f"{scenario.name}, {strategy}, seed {seed}",
        verb="run",
        facts=facts(scenario, f"strategy {strategy}", f"seed {seed}"),
        cautions=[*scenario_cautions([scenario]), *run_cautions(results)],
        answer=run_answer(results),
        note=run_note(results),
        changes=changes_table(scenario),
        charts=run_charts(results),
        map=feeder_map({strategy: results}),
        tables=run_tables(results),
        again=again("run", scenario),
        cite=citation(),
        versions=versions_used(),
    )


def run_cautions(results: Results) -> list[str]:
    """Limits that were broken, load flows that failed, a peak whose time is one of many."""
    kpis = results.kpis
    found = warnings_of(kpis)
    if tied := kpis["peak_15min_tied_hours"]:
        found.append(
            f"The time of the peak says little: {count(tied, 'other hour')} with 15 minutes within "
            f"{TIE_MW * results.n_feeders:g} MW of it."
        )
    return found


def run_charts(results: Results, limit_mw: float | None = None) -> list[Drawn]:
    """The figures of a run."""
    found = [figures.demand(results, limit_mw)]
    if results.kpis["evs"]:
        found.append(figures.zones(results))
    found.append(figures.voltages({"": results}))
    loading = figures.loadings(results)
    return found if loading is None else [*found, loading]


def run_tables(results: Results) -> list[PageTable]:
    """The main numbers, zones, hours, violations, the EVs that are shortest, all indicators."""
    scenario, record = results.record.scenario, results.record
    rows = kpi_rows(results.kpis, scenario.horizon.days, record.flow_min)
    found = [PageTable("main", "Main numbers", [("what", False), ("how much", False)], rows)]
    found.append(frame_table("zones", "Parking zones", results.zones))
    violations = results.violations
    if len(violations):
        grain = record.flow_min
        spans = {
            end: moments(record, violations[f"{end}_min"].to_numpy() // grain, grain)
            for end in ("begin", "end")
        }
        violations = violations.drop(columns=["begin_min", "end_min", "worst_min"]).assign(**spans)
        title = "Limits that were broken"
        found.append(frame_table("violations", title, violations, most=MOST_VIOLATIONS))
    ev = results.ev
    short = ev[ev["short"]].sort_values("shortfall_kwh", ascending=False, kind="stable")
    if len(short):
        columns = ["ev_id", "zone", "arrival_min", "departure_min", "soc_arrival", "soc_target",
                   "soc_departure", "shortfall_kwh", "net_cost_usd"]  # fmt: skip
        lead = ["feeder"] if "feeder" in short else []
        title = "EVs that leave short, the shortest first"
        found.append(frame_table("short", title, short[[*lead, *columns]], most=MOST_SHORT_EVS))
    if record.n_days > 1:
        about = f"Each of 24 h, from {scenario.clock.start} on."
        found.append(frame_table("days", "Days", results.days, about))
    if scenario.owners.groups:
        found.append(frame_table("groups", "Groups of owners", results.groups))
    found.append(frame_table("hours", "Hours", results.hourly))
    if results.n_feeders > 1:
        shown = ["feeder", "seed", "peak_15min_mw", "min_vm_pu", "loss_energy_mwh", "net_cost_usd",
                 "evs_short"]  # fmt: skip
        names = {name: kpi_heading(name, (record.flow_min,)) for name in shown[2:]}
        found.append(frame_table("feeders", "Feeders", results.feeders[shown], names=names))
    return [*found, kpi_table(results)]


# --- the bound ---------------------------------------------------------------------------------


def bound_report(bound: Bound) -> Report:
    """Of the optimum."""
    results, scenario = bound.results, bound.results.record.scenario
    cautions = [AS_PRINTED] if scenario.requirement.kind == "as_printed" else []
    cautions += [*scenario_cautions([]), *unreachable_lines(bound.unreachable)]
    options = ["--objective", bound.objective, "--step", str(bound.step_min)]
    options += ["--metric", str(bound.metric_min)]
    if bound.limit_mw is not None:
        options += ["--limit", f"{bound.limit_mw:g}"]
    solved = [feeder for feeder in bound.feeders if feeder.phases]
    states = dict.fromkeys(p.status for feeder in solved for p in feeder.phases.values())
    note = f"A linear programme in steps of {bound.step_min} min"
    note += f" ({'; '.join(states)}). " if states else ". "
    return Report(
        title=f"{scenario.name}, {bound.label}, seed {results.record.seeds[0]}",
        verb="bound",
        facts=facts(scenario, "perfect foresight", f"seed {results.record.seeds[0]}"),
        cautions=[*cautions, *run_cautions(results)],
        answer=bound_answer(bound),
        note=f"{note}{run_note(results)}",
        changes=changes_table(scenario),
        charts=run_charts(results, bound.limit_mw),
        map=feeder_map({bound.label: results}),
        tables=run_tables(results),
        again=again("bound", scenario, options),
        cite=citation(),
        versions=versions_used(),
    )


# --- several strategies ------------------------------------------------------------------------


def comparison_report(outcome: Comparison) -> Report:
    """Of several strategies on the same EVs."""
    scenario, table = outcome.scenario, outcome.tables["comparison"]
    rows = [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]
    kpis = {name: run.results.kpis for name, run in outcome.runs.items()}
    for row in rows:
        row["evs"] = max(k["evs"] for k in kpis.values())
    bound = outcome.bound
    cautions = [outcome.left_out] if outcome.left_out else []
    cautions += scenario_cautions(run.results.record.scenario for run in outcome.runs.values())
    cautions += cut_off_lines(outcome.runs)
    cautions += failed_lines({name: k["nonconverged_hours"] for name, k in kpis.items()})
    about = ""
    if bound is not None:
        lines = comparison_lines(bound, table)
        # What explains a column stands beside the table.
        of_columns = [line for line in lines if line in (COST_AT_LEAST_PEAK, COST_AT_OWN_PEAK)]
        cautions += [line for line in lines if line not in of_columns]
        about = " ".join(of_columns)
    tied = [name for name, k in kpis.items() if k["peak_15min_tied_hours"]]
    if tied:
        cautions.append(
            f"The time of the peak says little under {', '.join(tied)}: other hours have 15 "
            f"minutes within {TIE_MW:g} MW of it."
        )
    results = outcome.results
    metric = METRIC if table[METRIC].notna().any() else "peak_15min_mw"
    flow = (scenario.grid.flow_interval_min,)
    names = {name: kpi_heading(str(name), flow) for name in table.columns if name in kpis_of(kpis)}
    options = [] if bound is not None else ["--no-bound"]
    of_runs = {name: run.results.record.scenario for name, run in outcome.runs.items()}
    objects = strategies_by_object(of_runs, scenario)
    seed = scenario.seed
    first = next(iter(outcome.runs.values())).results
    return Report(
        title=f"{scenario.name}: {len(outcome.runs)} strategies compared, seed {seed}",
        verb="compare",
        facts=facts(scenario, f"seed {seed}"),
        cautions=cautions,
        answer=comparison_answer(rows, "" if bound is None else bound.label),
        note=run_note(first),
        changes=changes_table(scenario),
        charts=[
            figures.demand_by_strategy(results),
            figures.cost_and_peak(rows, metric),
            figures.voltages(results),
        ],
        map=feeder_map(results),
        tables=[frame_table("comparison", "Strategies", table, about, names)],
        again=again("compare", scenario, options, outcome.runs, objects),
        cite=citation(),
        versions=versions_used(),
    )


def kpis_of(kpis: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Names of all KPIs."""
    return {name for one in kpis.values() for name in one}


# --- the paper's study -------------------------------------------------------------------------


def paper_report(outcome: PaperStudy) -> Report:
    """Of the paper's study beside its own tables."""
    study, scenario = outcome.study, outcome.scenario
    lines = findings(study)
    options = [] if outcome.ensemble is None else ["--replications", str(outcome.ensemble.n)]
    changed = paper_settings(
        {reading: study.results("evms", reading).record.scenario for reading in READINGS}
    )
    options += [part for setting in changed or () for part in ("--set", setting)]
    about = "From anywhere"
    if changed is None:
        about += "; what is not as in the paper has to be set besides"
    titles = {
        "table2": "Table II",
        "table3": "Table III",
        "table2_replications": "Table II over many seeds",
        "table3_replications": "Table III over many seeds",
    }
    runs = outcome.results
    return Report(
        title=f"The paper's study, seed {scenario.seed}",
        verb="reproduce",
        facts=facts(scenario, f"seed {scenario.seed}"),
        cautions=[
            *(f"Not as in the paper: {change}." for change in outcome.changed),
            *scenario_cautions(r.record.scenario for r in runs.values()),
        ],
        answer=lines[:3],
        note=" ".join([*lines[3:], run_note(next(iter(runs.values())))]),
        changes=changes_table(scenario),
        charts=[figures.demand_by_strategy(runs), figures.voltages(runs)],
        map=feeder_map(runs),
        tables=[
            frame_table(key, titles.get(key, key), table) for key, table in outcome.tables.items()
        ],
        again=[
            (
                f"{about}:",
                shlex.join(["evenfall", "reproduce", "--seed", str(scenario.seed), *options]),
            )
        ],
        cite=citation(),
        versions=versions_used(),
    )


# --- what V2G is worth -------------------------------------------------------------------------


def break_even_report(outcome: BreakEven) -> Report:
    """Of where V2G stops paying."""
    scenario = outcome.scenario
    without = [name for name in outcome.strategies if name not in outcome.found]
    return Report(
        title=f"{scenario.name}: what V2G is worth, seed {scenario.seed}",
        verb="breakeven",
        facts=facts(scenario, f"seed {scenario.seed}"),
        cautions=scenario_cautions([scenario]),
        answer=break_even_answer(outcome.found, scenario, without),
        note="One draw of the fleet.",
        changes=changes_table(scenario),
        charts=[],
        map=None,
        tables=[frame_table("breakeven", "Strategies that use V2G", outcome.tables["breakeven"])],
        again=again("breakeven", scenario, strategies=outcome.strategies),
        cite=citation(),
        versions=versions_used(),
    )


def break_even_answer(
    found: Mapping[str, Worth], scenario: Scenario, without: Sequence[str]
) -> list[str]:
    """At which sale ratio and which price of a pack it stops paying, best strategy first."""
    pack, ratio = scenario.ageing.pack_usd_per_kwh, scenario.tariff.sale_ratio
    if not found:
        return ["No strategy that was asked for uses V2G."]
    worth = {name: one.at() for name, one in found.items()}
    best = max(worth, key=lambda name: worth[name])
    one = found[best]
    sign = "earns" if worth[best] >= 0.0 else "costs"
    lines = [
        f"At a sale ratio of {ratio:g} and ${pack:g} per kWh of pack, V2G under {best} {sign} all "
        f"owners together ${abs(worth[best]):,.2f}, batteries' wear counted."
    ]
    if one.least_sale_ratio is not None and np.isfinite(one.least_sale_ratio):
        lines.append(f"Under {best} it pays from a sale ratio of {one.least_sale_ratio:.2f} on.")
    most = one.most_pack_usd_per_kwh
    if most is not None and np.isfinite(most) and most > 0.0:
        lines.append(f"It pays while a pack costs less than ${most:,.0f} per kWh.")
    if without:
        lines.append(f"Without V2G: {', '.join(without)}.")
    return lines[:3]
