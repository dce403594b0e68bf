"""The verbs that run a model many times: montecarlo and sweep."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abm.cli.common import (
    add_json,
    add_output,
    add_replications,
    add_scenario,
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
from abm.fault_log import write_log

if TYPE_CHECKING:
    import pandas as pd

    from abm.scenario import Scenario
    from abm.study.ensemble import Ensemble
    from abm.study.folder import StudyFolder
    from abm.study.hosting_results import Hosting
    from abm.study.replications import Case
    from abm.study.statistics import Until

    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]

FAILED, BAD_INPUT = 1, 2


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
    verb.add_argument("--kpi", metavar="A,B,...", help="KPIs for figures and the terminal")
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
    from abm.study.fingerprint import question
    from abm.study.folder import StudyFolder
    from abm.study.montecarlo import strategy_cases
    from abm.study.statistics import parse_until

    check_counts(options)
    cluster_of(options)
    scenario = load(options.scenario, options)
    until = None
    if options.until is not None:
        until = parse_until(options.until, options.at_least, scenario)
    cases = strategy_cases(scenario, names_of(options.strategies))
    names = [str(case) for case in cases]
    out = scenario_output(options, scenario, "montecarlo")
    stop = None if until is None else str(until)
    more = {} if until is None else {"at_least": until.at_least}
    varied = [case.scenario for case in cases]
    asked = question(
        "montecarlo", scenario, names, options.replications, varied, until=stop, **more
    )
    check_study_room(options, cases, options.replications, out)
    folder = StudyFolder(claim_output(options, out), asked, options.resume)
    options.held.callback(folder.close)
    if folder.finished:
        return nothing_to_do(folder, varied)

    from abm.report.figures import pictures
    from abm.report.study_figures import ensemble_figures
    from abm.report.study_terminal import print_ensemble
    from abm.report.terminal import print_lines
    from abm.study.ensemble import montecarlo_files, summary_dict

    warn_of_limit(scenario)

    if scenario.inputs.sessions is not None:
        complain("note: fleet.sessions gives every replication the same EVs")
    began = time.perf_counter()
    with keeping(folder):
        ensemble = _run(cases, options.replications, scenario, folder, options, until)
        folder.write_all(montecarlo_files(ensemble, scenario))
        folder.write_all(pictures(ensemble_figures(ensemble)))
        folder.finish(**ensemble.outcome(), wall_s=time.perf_counter() - began)
    if options.json:
        print_json(summary_dict(ensemble))
        say_as_printed(varied, aside=True)
    else:
        print_ensemble(ensemble, scenario)
        say_as_printed(varied)
        if until is not None:
            print_lines([until_line(ensemble, until)])
        print_lines([f"Written to {out}"])
    return verdict(ensemble, ensemble.n * len(ensemble.cases))


def until_line(ensemble: Ensemble, until: Until) -> str:
    """How many replications the interval took."""
    if ensemble.stopped is None:
        return f"{until} was not reached in {ensemble.n} replications."
    return f"{until} was reached after {ensemble.n} replications."


def _sweep(options: argparse.Namespace) -> int:
    from abm.study import sweep
    from abm.study.fingerprint import question
    from abm.study.folder import StudyFolder
    from abm.study.size import check_points
    from abm.study.statistics import kpi_name, kpi_problems

    replications = options.replications
    if replications is None:
        replications = 20 if options.design is None else 1
    check_counts(options)
    cluster_of(options)
    scenario, strategies = load(options.scenario, options), names_of(options.strategies)
    kpis = [] if options.kpi is None else [kpi_name(name) for name in options.kpi.split(",")]
    problems = kpi_problems(kpis, "--kpi", scenario)
    if problems:
        raise InputError(problems)
    ranges: list[sweep.FactorRange] = []
    if options.design is None:
        factors = sweep.parse_grid(options.vary)
        check_points(math.prod(map(len, factors.values())) * len(strategies or [""]))
        cases = sweep.grid_cases(scenario, factors, strategies)
        design: dict[str, Any] = {"design": "grid", "vary": factors}
    else:
        size, ranges = sweep.parse_design(options.design), sweep.parse_ranges(options.vary)
        check_points(size * (len(ranges) + 2) * len(strategies or [""]))
        cases = sweep.sobol_cases(scenario, ranges, size, strategies)
        vary = {r.field: f"{r.low:g}..{r.high:g}" for r in ranges}
        design = {"design": f"sobol:{size}", "vary": vary}
    names = list(dict.fromkeys(case.labels["strategy"] for case in cases))
    out = scenario_output(options, scenario, "sweep")
    varied = [case.scenario for case in cases]
    asked = question("sweep", scenario, names, replications, varied, **design)
    check_study_room(options, cases, replications, out)
    folder = StudyFolder(claim_output(options, out), asked, options.resume)
    options.held.callback(folder.close)
    if folder.finished:
        return nothing_to_do(folder, varied)

    from abm.report.figures import pictures
    from abm.report.study_figures import sweep_figures
    from abm.report.study_terminal import print_sweep
    from abm.report.terminal import print_lines

    warn_of_limit(*varied)
    began = time.perf_counter()
    with keeping(folder):
        ensemble = _run(cases, replications, scenario, folder, options, None)
        tables = sweep.sweep_tables(ensemble, ranges, scenario.seed)
        folder.write_all(sweep.sweep_files(ensemble, scenario, tables))
        folder.write_all(pictures(sweep_figures(ensemble, tables, ranges, kpis)))
        folder.finish(**ensemble.outcome(), wall_s=time.perf_counter() - began)
    if options.json:
        print_json(sweep.sweep_summary(ensemble, tables))
        say_as_printed(varied, aside=True)
    else:
        print_sweep(ensemble, tables, ranges, kpis)
        say_as_printed(varied)
        print_lines([f"Written to {out}"])
    return verdict(ensemble, ensemble.n * len(ensemble.cases))


# Files of `reproduce --replications`.
REPLICATION_TABLES = ("table2_replications.csv", "table3_replications.csv")


def paper_replications(options: argparse.Namespace, seed: int | None) -> Ensemble:
    """Replications of the paper's study, for `reproduce`."""
    from abm.machine import cores_there
    from abm.report.study_terminal import replications_bar
    from abm.study.reproduce import RUNS, reproduce_replications

    with replications_bar("Replications", len(RUNS) * options.replications) as on_done:
        return reproduce_replications(
            options.replications,
            seed,
            workers=options.workers or cores_there(),
            cluster=cluster_of(options),
            on_done=on_done,
        )


def check_rows(replications: int, out: Path) -> None:
    """Raise InputError when so many replications of the paper's study do not fit."""
    from abm.study.reproduce import RUNS
    from abm.study.size import check_room, rows_size

    check_room(rows_size(len(RUNS) * replications), out)


def replication_tables(ensemble: Ensemble) -> dict[str, pd.DataFrame]:
    """The tables of those replications beside the paper's numbers, by file."""
    from abm.study.reproduce import table2_replications, table3_replications

    made = table2_replications(ensemble), table3_replications(ensemble)
    return dict(zip(REPLICATION_TABLES, made, strict=True))


def print_replications(ensemble: Ensemble, tables: dict[str, pd.DataFrame]) -> int:
    """Those tables on the terminal, and what failed; the exit code."""
    from abm.report.study_terminal import print_paper_replications

    print_paper_replications(*(tables[name] for name in REPLICATION_TABLES))
    return verdict(ensemble, ensemble.n * len(ensemble.cases))


# --- helpers -----------------------------------------------------------------------------------


def check_counts(options: argparse.Namespace) -> None:
    """Raise InputError when --replications, --workers and their like cannot be meant."""
    problems = [
        Problem(f"--{name}", str(value), "a whole number from 1")
        for name in ("replications", "workers", "at-least")
        if (value := getattr(options, name.replace("-", "_"), None)) is not None and value < 1
    ]
    if getattr(options, "resume", False) and options.force:
        problems.append(Problem("--resume", "", "either --resume or --force"))
    if problems:
        raise InputError(problems)


def check_study_room(
    options: argparse.Namespace, cases: Sequence[Case], replications: int, out: Path
) -> None:
    """Raise InputError when a study needs more memory or disk than there is."""
    from abm.machine import cores_there
    from abm.study.size import check_room, study_size

    here = 0 if options.cluster is not None else options.workers or cores_there()
    check_room(study_size(cases, replications, here), out)


def names_of(listed: str | None) -> list[str] | None:
    """Names with commas between."""
    return None if listed is None else [name.strip() for name in listed.split(",")]


def _run(
    cases: Sequence[Case],
    replications: int,
    scenario: Scenario,
    folder: StudyFolder,
    options: argparse.Namespace,
    until: Until | None,
) -> Ensemble:
    from abm.machine import cores_there
    from abm.report.study_terminal import replications_bar
    from abm.study.montecarlo import run_study

    with replications_bar("Replications", replications * len(cases)) as on_done:
        return run_study(
            cases,
            replications,
            scenario.seed,
            folder,
            workers=options.workers or cores_there(),
            cluster=cluster_of(options),
            until=until,
            on_done=on_done,
        )


@contextmanager
def keeping(folder: StudyFolder | None, part: str = "chunk") -> Iterator[None]:
    """Whatever stops the block, say with it what is kept in the folder and how to go on."""
    try:
        yield
    except InputError:
        raise
    except BaseException as error:
        if folder is not None and (n := folder.n_parts):
            parts = f"{n} finished {part}{'' if n == 1 else 's'}"
            error.add_note(
                f"{folder.path} keeps {parts}; the same with --resume goes on from there"
            )
        raise


def nothing_to_do(folder: StudyFolder, scenarios: Iterable[Scenario]) -> int:
    """Say that a study is finished already; the exit code."""
    failed = int(folder.manifest().get("failed", 0))
    said = f"; {failed} of its replications failed" if failed else ""
    complain(f"{folder.path}: this study is finished, there is nothing to do{said}")
    return failed_code(range(failed), scenarios)


def verdict(study: Ensemble | Hosting, total: int) -> int:
    """Say what failed of so many replications; the exit code."""
    from abm.study.ensemble import failure_lines

    for line in failure_lines(study.failures, total):
        complain(line)
    if study.trace:
        complain(f"the traceback of one of them: {write_log(study.trace)}")
    return failed_code(study.failures, [case.scenario for case in study.cases])


def failed_code(failures: Sized, scenarios: Iterable[Scenario]) -> int:
    """Exit code: 0 without failures; 2 where code of the user's own had a part in it, else 1."""
    if not failures:
        return 0
    return BAD_INPUT if any(scenario.code for scenario in scenarios) else FAILED
