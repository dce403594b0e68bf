"""The verbs that run models once: reproduce, run, compare, bound."""

from __future__ import annotations

import argparse
import importlib
from typing import TYPE_CHECKING

from abm.cli import studies
from abm.cli.common import (
    OUTPUTS,
    add_cluster,
    add_json,
    add_no_figures,
    add_output,
    add_replications,
    add_scenario,
    add_seed,
    add_strategies,
    add_workers,
    claim_output,
    cluster_of,
    complain,
    load,
    print_json,
    say_as_printed,
    scenario_output,
    warn_of_limit,
)
from abm.errors import InputError, Problem

if TYPE_CHECKING:
    from abm.results import Results
    from abm.results.staging import Files, OutputFolder
    from abm.study import Bound

    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def add_verbs(verbs: Verbs) -> None:
    """`reproduce`, `run`, `compare` and `bound` with their options."""
    verb = verbs.add_parser("reproduce", help="the paper's study beside its own tables")
    add_seed(verb)
    add_replications(verb, "also put mean and interval of N seeds beside the paper", None)
    add_workers(verb)
    add_output(verb, OUTPUTS / "paper")
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
    verb.set_defaults(verb=_run)

    verb = verbs.add_parser("compare", help="several strategies on the same EVs")
    add_scenario(verb)
    add_strategies(verb, " and all of `list`")
    add_output(verb, "outputs/SCENARIO-compare-seedN")
    verb.add_argument("--no-bound", action="store_true", help="leave out the optimum beside them")
    add_json(verb)
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
    verb.set_defaults(verb=_bound)


def _reproduce(options: argparse.Namespace) -> int:
    studies.check_counts(options)
    cluster_of(options)
    out = options.out or OUTPUTS / "paper"
    if options.replications is not None:
        studies.check_rows(options.replications, out)
    claimed = claim_output(options, out)
    seed = None if options.seed is None else load("paper", options).seed

    from abm.report.figures import pictures
    from abm.report.paper_figures import paper_figures
    from abm.report.paper_terminal import print_table2, print_table3
    from abm.report.run_figures import run_figures
    from abm.report.terminal import print_lines, progress
    from abm.results.folder import manifest, write_run
    from abm.study import findings, reproduce, table2, table3
    from abm.study.reproduce import STRATEGY_OF, run_names

    with progress("Six days of 24 hours", 6 * 24) as on_hour:
        study = reproduce(seed, on_hour)
    tables = {"table2.csv": table2(study), "table3.csv": table3(study)}
    ensemble = None
    if options.replications is not None:
        ensemble = studies.paper_replications(options, seed)
        tables |= studies.replication_tables(ensemble)
    names = run_names()
    with progress("Tables and figures", 6) as on_part, claimed.new() as folder:
        for key, name in names.items():
            run = study.runs[key]
            figures = pictures(run_figures(run.results))
            write_run(folder, run.results, run.wall_s, within=f"{name}/", more=figures)
            on_part()
        folder.write_all(tables.items())
        folder.write_all(pictures(paper_figures(study)))
        studied = study.results("base", "as_printed").record.scenario
        about = manifest("reproduce", studied, STRATEGY_OF.values(), runs=list(names.values()))
        folder.write_manifest(about)
        on_part()
    print_table2(tables["table2.csv"])
    print_table3(tables["table3.csv"])
    print_lines(findings(study))
    code = 0 if ensemble is None else studies.print_replications(ensemble, tables)
    print_lines([f"\nWritten to {out}"])
    return code


def _run(options: argparse.Namespace) -> int:
    from abm.results.folder import folder_name, strategy_label, write_run
    from abm.scenario.code import refuse_untrusted

    cluster = cluster_of(options)
    changes = {} if options.strategy is None else {"strategy": options.strategy}
    scenario = load(options.scenario, options, **changes)
    refuse_untrusted(scenario.code)
    label = folder_name(strategy_label(scenario))
    out = scenario_output(options, scenario, label)
    claimed = claim_output(options, out, scenario)

    from abm.report.terminal import print_days, print_groups, print_kpis, print_lines, progress
    from abm.results.day_tables import days_together
    from abm.study import run_once
    from abm.study.days import kept_by_day, n_days, run_days
    from abm.study.fingerprint import question
    from abm.study.folder import StudyFolder
    from abm.study.runs import run_city

    warn_of_limit(scenario)
    several = options.workers != 1 or cluster is not None
    if options.resume and options.force:
        raise InputError([Problem("--resume", "", "either --resume or --force")])
    kept = None
    if kept_by_day(scenario) and not several:
        asked = question("run", scenario, [label], 1)
        kept = StudyFolder(claimed, asked, options.resume, beside=True)
        options.held.callback(kept.close)
    with studies.keeping(kept, "day"):
        if kept is not None:
            with progress(f"{scenario.name}, {label}", n_days(scenario)) as on_day:
                run = run_days(scenario, kept, on_day)
        else:
            with progress(f"{scenario.name}, {label}", scenario.hours) as on_hour:
                if several:
                    run = run_city(scenario, options.workers, cluster, on_hour)
                else:
                    run = run_once(scenario, on_hour)
        with claimed.new() as folder:
            write_run(folder, run.results, run.wall_s, more=_figures(options, run.results))
    if kept is not None:
        kept.discard()
    if options.json:
        print_json(run.results.kpis)
        say_as_printed([scenario], aside=True)
    else:
        title = f"{scenario.name}, {label}, seed {scenario.seed}"
        flow_min = scenario.grid.flow_interval_min
        print_kpis(title, run.results.kpis, scenario.horizon.days, flow_min)
        say_as_printed([scenario])
        if scenario.owners.groups:
            print_groups(run.results.groups)
        if scenario.horizon.days > 1:
            print_days(days_together(run.results.record))
        print_lines([f"Written to {out}"])
    return 0


def _figures(options: argparse.Namespace, outcome: Results | Bound) -> Files:
    """The figures and the report of an outcome; none with --no-figures."""
    if options.no_figures:
        return ()
    from abm.report.showing import drawn

    return drawn(outcome, True)


def _compare(options: argparse.Namespace) -> int:
    from abm.results.folder import folder_name, manifest, write_run

    scenario = load(options.scenario, options)
    from abm.study.compare import strategies_of, under

    names = studies.names_of(options.strategies) or strategies_of(scenario)
    under(scenario, names)
    out = scenario_output(options, scenario, "compare")
    claimed = claim_output(options, out, scenario)

    from abm.report.terminal import print_comparison, print_lines, progress
    from abm.study import Run, compare
    from abm.study.compare import (
        bound_beside,
        bound_left_out,
        comparison_kpis,
        comparison_table,
        cut_off_lines,
        foresight_costs,
    )

    warn_of_limit(scenario)
    runs: dict[str, Run] = {}
    bound, why_not = None, "" if options.no_bound else bound_left_out(scenario)
    with_bound = not (options.no_bound or why_not)
    what = "Strategies and bound" if with_bound else "Strategies"
    foresight: dict[str, float] = {}
    steps = len(names) * scenario.hours + with_bound * (1 + len(names))
    with progress(what, steps) as on_step:

        def run_all() -> None:
            runs.update(compare(scenario, names, on_step))
            # What draws takes a while to load, too.
            importlib.import_module("abm.report.run_figures")

        if with_bound:
            bound, why_not = bound_beside(scenario, on_step, meanwhile=run_all)
            if bound is not None:
                foresight = foresight_costs(runs, bound, on_step)
        else:
            run_all()
    from abm.report.figures import pictures
    from abm.report.run_figures import comparison_figures
    from abm.report.study_terminal import comparison_lines

    table = comparison_table(runs, bound, foresight)
    with claimed.new() as folder:
        for name, run in runs.items():
            write_run(folder, run.results, run.wall_s, within=f"{folder_name(name)}/")
        if bound is not None:
            _write_bound(folder, bound, within=f"{bound.label}/")
        folder.write("scenario.yaml", scenario.to_yaml())
        folder.write("comparison.csv", table)
        results = {name: run.results for name, run in runs.items()}
        least = None if bound is None else bound.results
        folder.write_all(pictures(comparison_figures(scenario, results, least)))
        folder.write_manifest(manifest("compare", scenario, runs, bound=bound is not None))
    if why_not:
        complain(why_not)
    studied = [run.results.record.scenario for run in runs.values()]
    if options.json:
        print_json(comparison_kpis(runs, bound, foresight))
        say_as_printed(studied, aside=True)
    else:
        evs = max(run.results.kpis["evs"] for run in runs.values())
        print_comparison(table, evs, scenario.grid.flow_interval_min)
        print_lines(cut_off_lines(runs))
        say_as_printed(studied)
        if bound is not None:
            print_lines(comparison_lines(bound, table))
        print_lines([f"Written to {out}"])
    return 0


def _bound(options: argparse.Namespace) -> int:
    from abm.scenario.code import refuse_untrusted

    scenario = load(options.scenario, options)
    refuse_untrusted(scenario.code)
    label = "bound" if options.objective == "peak" else "bound_cost"
    out = scenario_output(options, scenario, label)
    claimed = claim_output(options, out, scenario)

    from abm.report.study_terminal import bound_lines
    from abm.report.terminal import print_kpis, print_lines, progress
    from abm.study import optimum

    warn_of_limit(scenario)
    with progress(f"{scenario.name}, {label}", scenario.feeder.copies) as on_feeder:
        bound = optimum(
            scenario, options.objective, options.step, options.limit, options.metric, on_feeder
        )
    with claimed.new() as folder:
        figures = _figures(options, bound)
        _write_bound(folder, bound, more=figures)
    if options.json:
        print_json(bound.results.kpis)
    else:
        title = f"{scenario.name}, {label}, seed {scenario.seed}"
        print_kpis(title, bound.results.kpis, flow_min=scenario.grid.flow_interval_min)
        print_lines([*bound_lines(bound), f"Written to {out}"])
    return 0


def _write_bound(folder: OutputFolder, bound: Bound, within: str = "", more: Files = ()) -> None:
    """The folder of a run and `bound.json`: objective, programme, status, EVs out of reach."""
    from abm.results.folder import write_run

    files = [("bound.json", bound.summary()), *more]
    write_run(folder, bound.results, bound.wall_s, label=bound.label, within=within, more=files)
