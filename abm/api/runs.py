"""Tasks of the verbs that run models once: run, compare, bound, reproduce, break even, reconfigure."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from abm.api.options import Settings, Workers, opened, where_of
from abm.api.progress import Tick
from abm.api.tasks import Task
from abm.errors import InputError, Problem
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
from abm.study.reproduce import RUNS, paper_scenarios, reproduce, reproduce_replications
from abm.study.runs import Run, run_city, run_once
from abm.study.size import rows_size, run_size


def run_task(scenario: Scenario, workers: Workers = 1, by_day: bool = False) -> Task[Results]:
    """One scenario, once. by_day: finished days are kept where there are several."""
    refuse_untrusted(scenario.code)
    processes, cluster = where_of(workers)
    label = strategy_label(scenario)
    several = processes != 1 or cluster is not None
    days = by_day and kept_by_day(scenario) and not several

    def work(store: PartStore | None, tick: Tick) -> Results:
        def on_one() -> None:
            tick(1)

        if isinstance(store, StudyFolder):
            run = run_days(scenario, store, on_one)
        elif several:
            run = run_city(scenario, processes, cluster, on_one)
        else:
            run = run_once(scenario, on_one)
        run.results.wall_s = run.wall_s
        return run.results

    return Task(
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
) -> Task[Comparison]:
    """Several strategies on the same EVs, and the bound beside them."""
    cases = under(scenario, strategies_of(scenario) if strategies is None else strategies)
    left_out = bound_left_out(scenario) if bound else ""
    with_bound = bound and not left_out

    def work(_: PartStore | None, tick: Tick) -> Comparison:
        def on_one() -> None:
            tick(1)

        runs: dict[str, Run] = {}
        found, why_not, foresight = None, left_out, {}

        def run_all() -> None:
            runs.update(run_each(cases, on_one))
            # What draws takes a while to load, too.
            importlib.import_module("abm.report.run_figures")

        if with_bound:
            found, why_not = bound_beside(scenario, on_one, meanwhile=run_all)
            if found is not None:
                foresight = foresight_costs(runs, found, on_one)
        else:
            run_all()
        return Comparison(scenario, runs, found, foresight, why_not)

    return Task(
        scenario,
        "compare",
        "Strategies and bound" if with_bound else "Strategies",
        len(cases) * scenario.hours + with_bound * (1 + len(cases)),
        work,
        run_size(scenario),
        scenarios=(scenario,),
    )


def bound_task(
    scenario: Scenario,
    objective: Objective = "peak",
    step: int = 15,
    metric: int = 15,
    limit: float | None = None,
) -> Task[Bound]:
    """The best that perfect foresight could do; options as of `abm.study.bound.optimum`."""
    refuse_untrusted(scenario.code)
    check_bound(objective, step, limit, metric)
    label = "bound" if objective == "peak" else "bound_cost"

    def work(_: PartStore | None, tick: Tick) -> Bound:
        return optimum(scenario, objective, step, limit, metric, lambda: tick(1))

    title, size = f"{scenario.name}, {label}", run_size(scenario)
    return Task(
        scenario, label, title, scenario.feeder.copies, work, size, scenarios=(scenario,)
    )
