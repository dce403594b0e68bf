"""Tasks of the verbs that run each model once: run, compare, bound, reproduce, and more."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias, get_args

from abm.api.options import Gathered, Make, Workers, check_replications, where_of
from abm.api.tasks import VerbTask
from abm.errors import InputError, Problem
from abm.report.progress import Tick
from abm.results import Results
from abm.results.folder import folder_name, strategy_label
from abm.scenario import Scenario
from abm.scenario.code import refuse_untrusted
from abm.study.bound import Bound, Objective, check_bound, optimum
from abm.study.breakeven import break_even, default_strategies
from abm.study.compare import (
    Strategies,
    bound_beside,
    bound_left_out,
    foresight_costs,
    run_each,
    strategies_of,
    under,
)
from abm.study.days import kept_by_day, n_days, run_days
from abm.study.fingerprint import question
from abm.study.folder import StudyFolder
from abm.study.montecarlo import PartStore
from abm.study.outcomes import BreakEven, Comparison, PaperStudy
from abm.study.reconfigure import ReconfigurationStudy, reconfiguration_study
from abm.study.reproduce import RUNS, changes_in_words, reproduce, reproduce_replications
from abm.study.runs import Run, run_city, run_once
from abm.study.size import Size, rows_size, run_size
from abm.study.statistics import kpi_name, kpi_problems

LoadKind: TypeAlias = Literal["nominal", "base"]


def run_task(scenario: Scenario, workers: Workers = 1, by_day: bool = False) -> VerbTask[Results]:
    """One scenario, once. by_day: finished days are kept where there are several."""
    refuse_untrusted(scenario.code)
    processes, cluster = where_of(workers)
    label = strategy_label(scenario)
    several = processes != 1 or cluster is not None
    days = by_day and kept_by_day(scenario) and not several

    def work(store: PartStore | None, tick: Tick) -> Results:
        if isinstance(store, StudyFolder):
            run = run_days(scenario, store, tick)
        elif several:
            run = run_city(scenario, processes, cluster, tick)
        else:
            run = run_once(scenario, tick)
        run.results.wall_s = run.wall_s
        return run.results

    return VerbTask(
        scenario,
        folder_name(label),
        f"{scenario.name}, {label}",
        n_days(scenario) if days else scenario.hours,
        work,
        run_size(scenario),
        scenarios=(scenario,),
        question=question("run", scenario, [label], 1) if days else None,
        part="day",
        beside=days,
    )


def compare_task(
    scenario: Scenario, strategies: Strategies | None = None, bound: bool = True
) -> VerbTask[Comparison]:
    """Several strategies on the same EVs, and the bound beside them."""
    cases = under(scenario, strategies_of(scenario) if strategies is None else strategies)
    left_out = bound_left_out(scenario) if bound else ""
    with_bound = bound and not left_out

    def work(_: PartStore | None, tick: Tick) -> Comparison:
        runs: dict[str, Run] = {}
        found, why_not, foresight = None, left_out, {}

        def run_all() -> None:
            runs.update(run_each(cases, tick))
            # What draws takes a while to load, too.
            importlib.import_module("abm.report.run_figures")

        if with_bound:
            found, why_not = bound_beside(scenario, tick, meanwhile=run_all)
            if found is not None:
                foresight = foresight_costs(runs, found, tick)
        else:
            run_all()
        return Comparison(scenario, runs, found, foresight, why_not)

    return VerbTask(
        scenario,
        "compare",
        "Strategies and bound" if with_bound else "Strategies",
        len(cases) * scenario.hours + with_bound * (1 + len(cases)),
        work,
        run_size(scenario),
        scenarios=(scenario,),
    )


def bound_task(
    make: Make,
    objective: Objective = "peak",
    step: int = 15,
    metric: int = 15,
    limit: float | None = None,
) -> VerbTask[Bound]:
    """The best that perfect foresight could do; options as of `abm.study.bound.optimum`."""
    found = Gathered()
    made = found.tried(make)
    found.tried(check_bound, objective, step, limit, metric)
    scenario = found.all(made)
    refuse_untrusted(scenario.code)
    label = "bound" if objective == "peak" else "bound_cost"

    def work(_: PartStore | None, tick: Tick) -> Bound:
        return optimum(scenario, objective, step, limit, metric, tick)

    title, size = f"{scenario.name}, {label}", run_size(scenario)
    return VerbTask(
        scenario, label, title, scenario.feeder.copies, work, size, scenarios=(scenario,)
    )


def reproduce_task(
    make: Callable[[], Mapping[str, Scenario]],
    replications: int | None = None,
    workers: Workers = 1,
) -> VerbTask[PaperStudy]:
    """The paper's study; make: as `paper_scenarios`. replications: beside it, or None."""
    found = Gathered()
    made = found.tried(make)
    found.tried(where_of, workers)
    if replications is not None:
        found.tried(check_replications, replications)
    readings = found.all(made)
    processes, cluster = where_of(workers)
    n = 0 if replications is None else replications

    def work(_: PartStore | None, tick: Tick) -> PaperStudy:
        study, ensemble = reproduce(readings, tick), None
        if n:
            ensemble = reproduce_replications(
                n, readings, workers=processes, cluster=cluster, on_done=tick
            )
        return PaperStudy(study, ensemble, changes_in_words(readings))

    first = readings["as_printed"]
    more = f" and {n} replications" if n else ""
    title = f"Six days of {first.hours} hours{more}"
    size = rows_size(len(RUNS) * n) if n else Size()
    scenarios = tuple(readings.values())
    return VerbTask(
        first, "paper", title, 6 * first.hours + len(RUNS) * n, work, size, scenarios=scenarios
    )


def break_even_task(
    scenario: Scenario, strategies: Strategies | None = None, kpis: Sequence[str] = ()
) -> VerbTask[BreakEven]:
    """Where V2G stops paying. kpis: that stand beside it."""
    asked = default_strategies(scenario) if strategies is None else strategies
    if problems := kpi_problems(kpis, "--kpi", scenario):
        raise InputError(problems)
    shown = [kpi_name(name) for name in kpis]
    names = list(under(scenario, asked))

    def work(_: PartStore | None, tick: Tick) -> BreakEven:
        return BreakEven(scenario, names, break_even(scenario, asked, tick, shown))

    units = 2 * len(names) * scenario.hours
    title, size = "Strategies with and without V2G", run_size(scenario)
    return VerbTask(scenario, "breakeven", title, units, work, size, scenarios=(scenario,))


def reconfigure_task(
    scenario: Scenario, load: LoadKind = "nominal", folder: str = "feeder"
) -> VerbTask[ReconfigurationStudy]:
    """Lines opened and closed for the least loss. folder: where the feeder will lie."""
    if scenario.inputs.feeder.phases is not None:
        said = "a balanced feeder; lines of one with three phases are not opened and closed here"
        raise InputError([Problem("grid.feeder", scenario.grid.feeder, said)])
    if load not in get_args(LoadKind):
        raise InputError([Problem("--load", str(load), "nominal or base")])
    refuse_untrusted(scenario.code)

    def work(_: PartStore | None, tick: Tick) -> ReconfigurationStudy:
        return reconfiguration_study(scenario, load, folder, tick)

    title, size = f"{scenario.name}, before and after", run_size(scenario)
    units = 2 * scenario.hours
    return VerbTask(scenario, "reconfigure", title, units, work, size, scenarios=(scenario,))
