"""The verbs that run models once: reproduce, run, compare, bound."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from abm.cli.common import (
    OUTPUTS,
    add_cluster,
    add_json,
    add_kpi,
    add_no_figures,
    add_output,
    add_replications,
    add_scenario,
    add_settings,
    add_strategies,
    add_workers,
    complain,
    load,
    print_json,
    say_as_printed,
    typed,
)
from abm.cli.doing import (
    carried_out,
    check_resume,
    kpis_of,
    names_of,
    output_of,
    verdict,
    workers_of,
)

if TYPE_CHECKING:
    from abm.scenario import Scenario

    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def add_verbs(verbs: Verbs) -> None:
    """`reproduce`, `run`, `compare` and `bound` with their options."""
    verb = verbs.add_parser("reproduce", help="the paper's study beside its own tables")
    add_settings(verb)
    add_replications(verb, "also put mean and interval of N seeds beside the paper", None)
    add_workers(verb)
    add_output(verb, OUTPUTS / "paper")
    add_kpi(verb)
    verb.set_defaults(verb=_reproduce)

    verb = verbs.add_parser("run", help="one scenario, one folder of results")
    add_scenario(verb)
    verb.add_argument("--strategy", metavar="NAME", help="takes the place of the scenario's own")
    add_output(verb, "outputs/SCENARIO-STRATEGY-seedN")
    add_json(verb)
    add_no_figures(verb)
    verb.add_argument(
        "--workers", metavar="N", type=int, default=1, help="processes for the feeders of a city"
    )
    verb.add_argument(
        "--resume", action="store_true", help="go on with a run of several days after its last day"
    )
    add_cluster(verb)
    add_kpi(verb)
    verb.set_defaults(verb=_run)

    verb = verbs.add_parser("compare", help="several strategies on the same EVs")
    add_scenario(verb)
    add_strategies(verb, " and all of `list`")
    add_output(verb, "outputs/SCENARIO-compare-seedN")
    verb.add_argument("--no-bound", action="store_true", help="leave out the optimum beside them")
    add_json(verb)
    add_kpi(verb)
    verb.set_defaults(verb=_compare)

    verb = verbs.add_parser("bound", help="the best that perfect foresight could do")
    add_scenario(verb)
    verb.add_argument(
        "--objective",
        choices=("peak", "cost"),
        default="peak",
        help="peak: the lowest peak, then the lowest net cost (default); cost: the latter alone",
    )
    verb.add_argument(
        "--step", metavar="MIN", type=int, default=15, help="15 (default) or 30 minutes"
    )
    verb.add_argument(
        "--metric",
        metavar="MIN",
        type=int,
        default=15,
        help="the peak is the highest mean of 15 (default) or 60 minutes",
    )
    verb.add_argument(
        "--limit", metavar="MW", type=float, help="highest demand allowed, with --objective cost"
    )
    add_output(verb, "outputs/SCENARIO-bound-seedN")
    add_json(verb)
    add_no_figures(verb)
    add_kpi(verb)
    verb.set_defaults(verb=_bound)


def _reproduce(options: argparse.Namespace) -> int:
    from abm.api.runs import reproduce_task

    workers = workers_of(options)
    task = reproduce_task(lambda: _readings(options), options.replications, workers)
    kpis = kpis_of(options, task.scenario)
    out = options.out or OUTPUTS / "paper"
    study = carried_out(options, task, out)

    from abm.report.chosen import print_chosen
    from abm.report.paper_terminal import print_table2, print_table3
    from abm.report.study_terminal import print_paper_replications
    from abm.report.terminal import print_lines
    from abm.study import findings

    tables = study.tables
    print_table2(tables["table2"])
    print_table3(tables["table3"])
    print_lines(findings(study.study))
    if kpis:
        print_chosen("The runs", study.kpis, kpis, of_what="run")
    if study.changed:
        print_lines([f"This is not the paper's study: {'; '.join(study.changed)}."])
    code = 0
    if study.ensemble is not None:
        print_paper_replications(tables["table2_replications"], tables["table3_replications"])
        code = verdict(study.ensemble)
    print_lines([f"\nWritten to {out}"])
    return code


def _readings(options: argparse.Namespace) -> dict[str, Scenario]:
    from abm.study.reproduce import paper_scenarios

    return typed(options, paper_scenarios)


def _run(options: argparse.Namespace) -> int:
    from abm.api.runs import run_task

    check_resume(options)
    changes = {} if options.strategy is None else {"strategy": options.strategy}
    scenario = load(options.scenario, options, **changes)
    kpis = kpis_of(options, scenario)
    task = run_task(scenario, workers_of(options), by_day=True)
    out = output_of(options, task)
    results = carried_out(options, task, out, figures=not options.no_figures)

    from abm.report.chosen import only, print_chosen
    from abm.report.terminal import print_days, print_groups, print_kpis, print_lines
    from abm.results.day_tables import days_together

    if options.json:
        print_json(only(results.kpis, kpis) if kpis else results.kpis)
        say_as_printed([scenario], aside=True)
        return 0
    title, flow_min = f"{task.title}, seed {scenario.seed}", scenario.grid.flow_interval_min
    if kpis:
        print_chosen(title, {results.label or task.label: results.kpis}, kpis, flow_min)
        say_as_printed([scenario])
        print_lines([f"Written to {out}"])
        return 0
    print_kpis(title, results.kpis, scenario.horizon.days, flow_min)
    say_as_printed([scenario])
    if scenario.owners.groups:
        print_groups(results.groups)
    if scenario.horizon.days > 1:
        print_days(days_together(results.record))
    print_lines([f"Written to {out}"])
    return 0


def _compare(options: argparse.Namespace) -> int:
    from abm.api.runs import compare_task

    scenario = load(options.scenario, options)
    kpis = kpis_of(options, scenario)
    task = compare_task(scenario, names_of(options.strategies), not options.no_bound)
    out = output_of(options, task)
    found = carried_out(options, task, out)

    from abm.report.chosen import only, print_chosen
    from abm.report.study_terminal import comparison_lines
    from abm.report.terminal import print_comparison, print_lines
    from abm.study.compare import cut_off_lines

    if found.left_out:
        complain(found.left_out)
    studied = [run.results.record.scenario for run in found.runs.values()]
    if options.json:
        chosen = {name: only(of_one, kpis) for name, of_one in found.kpis.items()}
        print_json(chosen if kpis else found.kpis)
        say_as_printed(studied, aside=True)
        return 0
    table = found.tables["comparison"]
    evs = max(run.results.kpis["evs"] for run in found.runs.values())
    if kpis:
        title = f"Strategies on the same {evs} EVs"
        print_chosen(title, found.kpis, kpis, scenario.grid.flow_interval_min)
        say_as_printed(studied)
        print_lines([f"Written to {out}"])
        return 0
    print_comparison(table, evs, scenario.grid.flow_interval_min)
    print_lines(cut_off_lines(found.runs))
    say_as_printed(studied)
    if found.bound is not None:
        print_lines(comparison_lines(found.bound, table))
    print_lines([f"Written to {out}"])
    return 0


def _bound(options: argparse.Namespace) -> int:
    from abm.api.runs import bound_task

    asked = (options.objective, options.step, options.metric, options.limit)
    task = bound_task(lambda: load(options.scenario, options), *asked)
    kpis = kpis_of(options, task.scenario)
    out = output_of(options, task)
    bound = carried_out(options, task, out, figures=not options.no_figures)

    from abm.report.chosen import only, print_chosen
    from abm.report.study_terminal import bound_lines
    from abm.report.terminal import print_kpis, print_lines

    if options.json:
        print_json(only(bound.kpis, kpis) if kpis else bound.kpis)
        return 0
    title, flow_min = (
        f"{task.title}, seed {task.scenario.seed}",
        task.scenario.grid.flow_interval_min,
    )
    if kpis:
        print_chosen(title, {bound.label: bound.kpis}, kpis, flow_min)
        print_lines([f"Written to {out}"])
        return 0
    print_kpis(title, bound.kpis, flow_min=flow_min)
    print_lines([*bound_lines(bound), f"Written to {out}"])
    return 0
