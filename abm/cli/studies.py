"""The verbs that run a model many times: montecarlo and sweep."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from abm.cli.common import (
    add_json,
    add_kpi,
    add_output,
    add_replications,
    add_scenario,
    add_strategies,
    add_workers,
    load,
    print_json,
    say_as_printed,
)
from abm.cli.doing import (
    check_resume,
    names_of,
    nothing_to_do,
    output_of,
    unless_finished,
    verdict,
    workers_of,
)

if TYPE_CHECKING:
    from abm.study.ensemble import Ensemble
    from abm.study.statistics import Until

    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]


def add_verbs(verbs: Verbs) -> None:
    """`montecarlo` and `sweep` with their options."""
    verb = verbs.add_parser("montecarlo", help="many replications: how sure is that number?")
    add_study(verb, "outputs/SCENARIO-montecarlo-seedN")
    add_replications(verb, "how many (default 100); with --until at most", 100)
    verb.add_argument(
        "--until",
        metavar="KPI:SIZE%",
        help="stop when the half-width of the KPI's 95 %% interval is below this part of its mean "
        "under every strategy, e.g. peak:0.5%%",
    )
    verb.add_argument(
        "--at-least",
        metavar="N",
        type=int,
        default=50,
        help="replications before --until may stop (default 50)",
    )
    add_kpi(verb, "figures and the terminal")
    verb.set_defaults(verb=_montecarlo)

    verb = verbs.add_parser("sweep", help="vary fields: every combination, or a Sobol' design")
    add_study(verb, "outputs/SCENARIO-sweep-seedN")
    add_replications(verb, "at each point (default 20; 1 with --design)", None)
    verb.add_argument(
        "--vary",
        metavar="A.B=...",
        action="append",
        default=[],
        help="values, e.g. fleet.evs_per_zone=20,40,80, or with --design a range, e.g. "
        "ev.efficiency=0.85..0.98; may be repeated",
    )
    verb.add_argument("--design", metavar="sobol:N", help="N x (ranges + 2) points, N = 2, 4, 8")
    add_kpi(verb, "figures and the terminal")
    verb.set_defaults(verb=_sweep)


def add_study(verb: argparse.ArgumentParser, out: str) -> None:
    """What all verbs of many replications take."""
    add_scenario(verb)
    add_strategies(verb)
    add_workers(verb)
    add_output(verb, out)
    verb.add_argument("--resume", action="store_true", help="go on with what is in the folder")
    add_json(verb, "the summary")


# --- verbs -------------------------------------------------------------------------------------


def _montecarlo(options: argparse.Namespace) -> int:
    from abm.api.studies import montecarlo_task

    check_resume(options)
    task = montecarlo_task(
        lambda: load(options.scenario, options),
        options.replications,
        names_of(options.strategies),
        options.until,
        options.at_least,
        names_of(options.kpi) or (),
        workers_of(options),
    )
    out = output_of(options, task)
    study = unless_finished(options, task, out)
    if study is None:
        return nothing_to_do(out, task.scenarios)

    from abm.report.study_terminal import print_ensemble
    from abm.report.terminal import print_lines
    from abm.study.ensemble import summary_dict

    studied = [case.scenario for case in study.cases]
    if options.json:
        print_json(summary_dict(study.ensemble))
        say_as_printed(studied, aside=True)
    else:
        print_ensemble(study.ensemble, task.scenario, study.shown)
        say_as_printed(studied)
        if study.until is not None:
            print_lines([until_line(study.ensemble, study.until)])
        print_lines([f"Written to {out}"])
    return verdict(study)


def until_line(ensemble: Ensemble, until: Until) -> str:
    """How many replications the interval took."""
    if ensemble.stopped is None:
        return f"{until} was not reached in {ensemble.n} replications."
    return f"{until} was reached after {ensemble.n} replications."


def _sweep(options: argparse.Namespace) -> int:
    from abm.api.studies import sweep_task

    check_resume(options)
    task = sweep_task(
        lambda: load(options.scenario, options),
        options.vary,
        options.design,
        names_of(options.strategies),
        options.replications,
        names_of(options.kpi) or (),
        workers_of(options),
    )
    out = output_of(options, task)
    study = unless_finished(options, task, out)
    if study is None:
        return nothing_to_do(out, task.scenarios)

    from abm.report.study_terminal import print_sweep
    from abm.report.terminal import print_lines

    studied = [case.scenario for case in study.cases]
    if options.json:
        print_json(study.kpis)
        say_as_printed(studied, aside=True)
    else:
        print_sweep(study.ensemble, study.tables, study.ranges, study.shown)
        say_as_printed(studied)
        print_lines([f"Written to {out}"])
    return verdict(study)
