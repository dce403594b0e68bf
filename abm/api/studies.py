"""Tasks of the verbs that run a model many times: montecarlo, sweep, hosting."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from abm.api.options import Gathered, Make, Workers, check_replications, where_of
from abm.api.tasks import VerbTask
from abm.report.progress import Tick
from abm.results.folder import strategy_label
from abm.scenario import Scenario
from abm.study.compare import Strategies, bound_left_out, under
from abm.study.ensemble import Ensemble
from abm.study.fingerprint import question
from abm.study.hosting import ask, hosting, number_problems, place_problems
from abm.study.hosting_limits import as_asked, parse_limits
from abm.study.hosting_search import parse_shares
from abm.study.montecarlo import PartStore, run_study, strategy_cases
from abm.study.outcomes import HostingStudy, MonteCarlo, Sweep
from abm.study.replications import Case
from abm.study.size import check_points, study_size
from abm.study.statistics import Until, kpi_name, kpi_problems, parse_until
from abm.study.sweep import (
    FactorRange,
    Vary,
    grid_cases,
    parse_design,
    parse_grid,
    parse_ranges,
    sobol_cases,
)

# A plan of least peak for so many EVs takes a second or two, and each replication has one.
MOST_EVS = 200
SAME_EVS = "fleet.sessions gives every replication the same EVs"


def montecarlo_task(
    make: Make,
    replications: int = 100,
    strategies: Strategies | None = None,
    until: str | None = None,
    at_least: int = 50,
    kpis: Sequence[str] = (),
    workers: Workers = 1,
) -> VerbTask[MonteCarlo]:
    """Replications of a scenario under some strategies.

    kpis: that are shown. until: stop when the 95 % interval of a KPI is so narrow, "peak:0.5%", at
    least after at_least.
    """
    found = Gathered()
    made = found.tried(make)
    found.tried(check_replications, replications)
    found.tried(check_replications, at_least, "--at-least")
    found.tried(where_of, workers)
    stop, cases = None, []
    if made is not None:
        if until is not None:
            stop = found.tried(parse_until, until, at_least, made)
        cases = found.tried(strategy_cases, made, strategies) or []
        found.problems += kpi_problems(kpis, "--kpi", made)
    scenario = found.all(made)
    names = [str(case) for case in cases]
    varied = [case.scenario for case in cases]
    how: dict[str, Any] = {"until": None if stop is None else str(stop)}
    how |= {} if stop is None else {"at_least": at_least}
    shown = [kpi_name(name) for name in kpis]
    asked = question("montecarlo", scenario, names, replications, varied, **how, **called(cases))

    def work(store: PartStore | None, tick: Tick) -> MonteCarlo:
        began = time.perf_counter()
        ensemble = replicated(cases, replications, scenario, store, workers, tick, stop)
        return MonteCarlo(scenario, ensemble, asked, time.perf_counter() - began, stop, shown)

    return VerbTask(
        scenario,
        "montecarlo",
        "Replications",
        replications * len(cases),
        work,
        study_size(cases, replications, here(workers)),
        scenarios=tuple(varied),
        notes=() if scenario.inputs.sessions is None else (SAME_EVS,),
        question=asked,
        rated=True,
    )


def called(cases: Sequence[Case]) -> dict[str, Any]:
    """What strategies are that are called something else, for the question of a study."""
    own = {
        str(case.labels["strategy"]): strategy_label(case.scenario)
        for case in cases
        if case.labels["strategy"] != strategy_label(case.scenario)
    }
    return {"called": own} if own else {}


def here(workers: Workers) -> int:
    """Local processes, 0 where the work runs elsewhere."""
    processes, cluster = where_of(workers)
    return processes if cluster is None else 0


def replicated(
    cases: Sequence[Case],
    replications: int,
    scenario: Scenario,
    store: PartStore | None,
    workers: Workers,
    tick: Tick,
    until: Until | None = None,
) -> Ensemble:
    """The replications of all cases."""
    processes, cluster = where_of(workers)
    return run_study(
        cases,
        replications,
        scenario.seed,
        store,
        workers=processes,
        cluster=cluster,
        until=until,
        on_done=tick,
    )


def sweep_task(
    make: Make,
    vary: Vary,
    design: str | None = None,
    strategies: Strategies | None = None,
    replications: int | None = None,
    kpis: Sequence[str] = (),
    workers: Workers = 1,
) -> VerbTask[Sweep]:
    """Every combination of some values, or a Sobol' design over ranges.

    replications: at each point, by default 20, and 1 with a design. kpis: that are shown.
    """
    n = (20 if design is None else 1) if replications is None else replications
    found = Gathered()
    made = found.tried(make)
    found.tried(check_replications, n)
    found.tried(where_of, workers)
    if made is not None:
        found.problems += kpi_problems(kpis, "--kpi", made)
    ranges: list[FactorRange] = []
    factors: dict[str, list[Any]] = {}
    size = 0
    if design is None:
        factors = found.tried(parse_grid, vary) or {}
    else:
        size = found.tried(parse_design, design) or 0
        ranges = found.tried(parse_ranges, vary) or []
    scenario = found.all(made)
    each = 1 if strategies is None else len(strategies)
    if design is None:
        check_points(math.prod(map(len, factors.values())) * each)
        cases = grid_cases(scenario, factors, strategies)
        how: dict[str, Any] = {"design": "grid", "vary": factors}
    else:
        check_points(size * (len(ranges) + 2) * each)
        cases = sobol_cases(scenario, ranges, size, strategies)
        how = {"design": f"sobol:{size}"}
        how["vary"] = {r.field: f"{r.low:g}..{r.high:g}" for r in ranges}
    names = list(dict.fromkeys(str(case.labels["strategy"]) for case in cases))
    varied = [case.scenario for case in cases]
    asked = question("sweep", scenario, names, n, varied, **how, **called(cases))
    shown = [kpi_name(name) for name in kpis]

    def work(store: PartStore | None, tick: Tick) -> Sweep:
        began = time.perf_counter()
        ensemble = replicated(cases, n, scenario, store, workers, tick)
        return Sweep(scenario, ensemble, asked, time.perf_counter() - began, ranges, shown)

    return VerbTask(
        scenario,
        "sweep",
        "Replications",
        n * len(cases),
        work,
        study_size(cases, n, here(workers)),
        scenarios=tuple(varied),
        question=asked,
        rated=True,
    )


def hosting_task(
    make: Make,
    shares: str | Sequence[float] = "0:1:0.1",
    within: float = 0.025,
    risk: float = 0.05,
    limits: str | Mapping[str, float | None] | Sequence[str] | None = None,
    bound: bool | None = None,
    strategies: Strategies | None = None,
    replications: int = 100,
    kpis: Sequence[str] = (),
    workers: Workers = 1,
) -> VerbTask[HostingStudy]:
    """How many homes may have an EV before a limit of the grid is broken.

    Options as of `abm.study.hosting.ask`; shares and limits also as on the command line. bound:
    None where there are few EVs. kpis: that will be shown.
    """
    texts = shares if isinstance(shares, str) else ",".join(f"{share:.10g}" for share in shares)
    listed = limits if limits is None or isinstance(limits, str) else _listed(limits)
    found = Gathered()
    found.tried(check_replications, replications)
    found.tried(where_of, workers)
    found.problems += number_problems(risk, within)
    steps = found.tried(parse_shares, texts) or ()
    judged = found.tried(parse_limits, listed) or {}
    made = found.tried(make)
    if made is not None:
        own = [strategy_label(made)]
        found.tried(under, made, own if strategies is None else strategies)
        found.problems += place_problems(made)
        found.problems += kpi_problems(kpis, "--kpi", made)
    scenario = found.all(made)
    most = scenario.model_copy(
        update={"fleet": scenario.fleet.model_copy(update={"evs_per_customer": max(steps)})}
    )
    why_not = "" if bound is False else bound_left_out(most)
    if not why_not and bound is None and int(most.zone_evs.sum()) > MOST_EVS:
        why_not = f"Without the bound, as there may be more than {MOST_EVS} EVs; --bound has it."
    asked = ask(
        scenario,
        steps,
        strategies,
        replications=replications,
        risk=risk,
        within=within,
        limits=None if listed is None else judged,
        bound=bound is not False and not why_not,
    )
    rungs = asked.ladder
    cases = asked.cases[:: len(rungs.shares)]
    names, varied = list(asked.strategies), [case.scenario for case in cases]
    how = {"shares": texts, "within": within, "risk": risk, "limits": as_asked(asked.limits)}
    about = question("hosting", scenario, names, replications, varied, **how)

    def work(store: PartStore | None, tick: Tick) -> HostingStudy:
        began = time.perf_counter()
        processes, cluster = where_of(workers)
        study = hosting(asked, store, workers=processes, cluster=cluster, on_done=tick)
        return HostingStudy(study, about, time.perf_counter() - began)

    return VerbTask(
        scenario,
        "hosting",
        "Replications, at most",
        rungs.most * len(asked.strategies),
        work,
        study_size(asked.cases, replications, here(workers)),
        scenarios=tuple(varied),
        notes=(why_not,) if why_not else (),
        question=about,
        rated=True,
    )


def _listed(limits: Mapping[str, float | None] | Sequence[str]) -> str:
    """Limits as they are typed."""
    if not isinstance(limits, Mapping):
        return ",".join(limits)
    return ",".join(
        name if value is None else f"{name}={value:.10g}" for name, value in limits.items()
    )
