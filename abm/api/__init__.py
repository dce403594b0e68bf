"""The verbs as functions: `from abm import run, compare, montecarlo, sweep, bound, ...`.

They take what the verbs take, and return objects with tables, KPIs and figures, which `save` as the
verbs write. What cannot be meant raises InputError with all problems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Unpack

from abm.api.options import (
    Options,
    ScenarioLike,
    StudyOptions,
    Workers,
    changes_of,
    named_by_option,
    opened_with,
    public,
)
from abm.api.runs import (
    LoadKind,
    bound_task,
    break_even_task,
    compare_task,
    reconfigure_task,
    reproduce_task,
    run_task,
)
from abm.api.studies import hosting_task, montecarlo_task, sweep_task
from abm.api.tasks import result_of
from abm.errors import InputError, Problem
from abm.results import Results
from abm.scenario import Scenario
from abm.study.bound import Bound, Objective
from abm.study.compare import Strategies, Strategy, under
from abm.study.outcomes import (
    BreakEven,
    Comparison,
    HostingStudy,
    MonteCarlo,
    PaperStudy,
    Sweep,
)
from abm.study.reconfigure import ReconfigurationStudy
from abm.study.reproduce import paper_scenarios
from abm.study.sweep import Vary

__all__ = [
    "bound",
    "breakeven",
    "compare",
    "hosting",
    "montecarlo",
    "reconfigure",
    "reproduce",
    "run",
    "sweep",
]


@public(Options)
def run(
    scenario: ScenarioLike,
    *,
    strategy: Strategy | None = None,
    workers: Workers = 1,
    **options: Unpack[Options],
) -> Results:
    """One scenario, once: `run("paper", strategy="evms", seed=7).kpis["peak_15min_mw"]`.

    strategy: takes the place of the scenario's own: a name, rule+admission, an object that decides
    (a rule) or admits, or a pair of rule and admission, each a name or an object. workers: of the
    feeders of a city. Raises InputError.
    """
    if (isinstance(strategy, str) and "+" not in strategy) or isinstance(strategy, Mapping):
        studied = opened_with(scenario, options, strategy=strategy)
    else:
        studied = opened_with(scenario, options)
        if strategy is not None:
            studied = _under(studied, strategy)
    return result_of(run_task(studied, workers), progress=options.get("progress", True))


def _under(scenario: Scenario, strategy: Strategy) -> Scenario:
    try:
        (found,) = under(scenario, {"own": strategy}).values()
    except InputError as error:
        as_one = {"--strategies": "--strategy", "--strategies own": "--strategy"}
        raise InputError(
            replace(
                problem,
                field=as_one.get(problem.field, problem.field),
                file=as_one.get(problem.file, problem.file),
            )
            for problem in error.problems
        ) from None
    return found


@public(Options)
def compare(
    scenario: ScenarioLike,
    strategies: Strategies | None = None,
    *,
    bound: bool = True,
    **options: Unpack[Options],
) -> Comparison:
    """Several strategies on the same EVs: `compare("paper", {"mine": MyRule(), "evms": "evms"})`.

    strategies: names, or what each is by its name, as `strategy` of `run`; the scenario's own and
    all shipped when None. bound: with the optimum beside them. Raises InputError.
    """
    task = compare_task(opened_with(scenario, options), strategies, bound)
    return result_of(task, progress=options.get("progress", True))


@public(Options)
def bound(
    scenario: ScenarioLike,
    *,
    objective: Objective = "peak",
    step: int = 15,
    metric: int = 15,
    limit: float | None = None,
    **options: Unpack[Options],
) -> Bound:
    """The best that perfect foresight could do: `bound("paper").kpis["plugged_peak_15min_mw"]`.

    objective: "peak", the lowest peak and then the lowest net cost, or "cost", the latter alone.
    step: 15 or 30 minutes, within which power is constant. metric: the peak is the highest mean of
    15 or 60 minutes. limit: highest demand allowed [MW], with objective="cost". Raises InputError,
    OptimiserError.
    """
    task = bound_task(partial(opened_with, scenario, options), objective, step, metric, limit)
    return result_of(task, progress=options.get("progress", True))


@public(StudyOptions)
def montecarlo(
    scenario: ScenarioLike,
    replications: int = 100,
    *,
    strategies: Strategies | None = None,
    until: str | None = None,
    at_least: int = 50,
    **options: Unpack[StudyOptions],
) -> MonteCarlo:
    """Many replications: `montecarlo("paper", 200, strategies=["evms"]).tables["summary"]`.

    replications: how many, with until at most. until: stop when the half-width of a KPI's 95 %
    interval is below this part of its mean under every strategy, "peak:0.5%"; at_least: never
    before. strategies: as in `compare`; the scenario's own when None. Raises InputError,
    MachineError when workers or a cluster are lost for good.
    """
    options, shown = _shown(options)
    make, workers = partial(opened_with, scenario, options), options.get("workers", 1)
    task = montecarlo_task(make, replications, strategies, until, at_least, shown, workers)
    return result_of(task, progress=options.get("progress", True), save=options.get("save"))


def _shown(options: StudyOptions) -> tuple[StudyOptions, tuple[str, ...]]:
    """The options with KPIs of the user's own alone, and what is to be shown."""
    kpis = options.get("kpis") or ()
    if isinstance(kpis, Mapping):
        return options, tuple(kpis)
    return {**options, "kpis": None}, tuple(kpis)


@public(StudyOptions)
def sweep(
    scenario: ScenarioLike,
    vary: Vary,
    *,
    design: str | None = None,
    strategies: Strategies | None = None,
    replications: int | None = None,
    **options: Unpack[StudyOptions],
) -> Sweep:
    """Fields varied: `sweep("paper", {"fleet.evs_per_zone": [20, 40, 80]}, replications=5)`.

    vary: values of each field, of which every combination is run. design: "sobol:N" makes ranges of
    them, {"ev.efficiency": (0.85, 0.98), ...}, and adds Sobol' indices. replications: at each
    point, 20, and 1 with a design, when None. strategies: as in `compare`; the scenario's own when
    None. Raises InputError, MachineError.
    """
    options, shown = _shown(options)
    make, workers = partial(opened_with, scenario, options), options.get("workers", 1)
    task = sweep_task(make, vary, design, strategies, replications, shown, workers)
    return result_of(task, progress=options.get("progress", True), save=options.get("save"))


@public(StudyOptions)
def hosting(
    scenario: ScenarioLike,
    *,
    shares: str | Sequence[float] = "0:1:0.1",
    within: float = 0.025,
    risk: float = 0.05,
    limits: str | Mapping[str, float | None] | Sequence[str] | None = None,
    bound: bool | None = None,
    strategies: Strategies | None = None,
    replications: int = 100,
    **options: Unpack[StudyOptions],
) -> HostingStudy:
    """How many homes may have an EV: `hosting("hosting_lv", limits=["voltage", "line"])`.

    shares: EVs per customer that are looked at, ascending, or "low:high:step". within: how near the
    share that is found is brought. risk: part of the replications that may break a limit. limits:
    names, or {name: value}: voltage_low, voltage_high (p.u.), unbalance (%), line, transformer (%
    of the rating); all when None. bound: also the plan of least peak; where there are few EVs when
    None. strategies: as in `compare`. replications: of each share and strategy, at most. Raises
    InputError, MachineError.
    """
    asked = (shares, within, risk, limits, bound, strategies, replications)
    make, workers = partial(opened_with, scenario, options), options.get("workers", 1)
    task = hosting_task(make, *asked, workers=workers)
    return result_of(task, progress=options.get("progress", True), save=options.get("save"))


@public(Options)
def reproduce(
    *, replications: int | None = None, workers: Workers = 1, **options: Unpack[Options]
) -> PaperStudy:
    """The paper's study beside its own tables: `reproduce().tables["table2"]`.

    replications: also mean and interval of so many seeds. With `set` it is another study: `changed`
    says what is not the paper's. Raises InputError, MachineError.
    """
    if options.get("kpis") is not None:
        raise InputError(
            [Problem("kpis", "", "left out: the paper's tables have the paper's KPIs")]
        )
    task = reproduce_task(partial(_readings, options), replications, workers)
    return result_of(task, progress=options.get("progress", True))


def _readings(options: Options) -> dict[str, Scenario]:
    own = {} if options.get("seed") is None else {"seed": options["seed"]}
    try:
        changes = changes_of(options.get("set") or (), own)
        return paper_scenarios(changes, options.get("trust", False))
    except InputError as error:
        raise InputError(named_by_option(error.problems, own)) from None


@public(Options)
def breakeven(
    scenario: ScenarioLike,
    strategies: Strategies | None = None,
    **options: Unpack[Options],
) -> BreakEven:
    """The sale ratio and the price of a pack at which V2G stops paying.

    strategies: as in `compare`; the scenario's own and all shipped but mpc when None. KPIs of your
    own, those of the run with V2G, are in its table. Raises InputError.
    """
    shown = tuple(options.get("kpis") or ())
    task = break_even_task(opened_with(scenario, options), strategies, shown)
    return result_of(task, progress=options.get("progress", True))


@public(Options)
def reconfigure(
    scenario: ScenarioLike, *, load: LoadKind = "nominal", **options: Unpack[Options]
) -> ReconfigurationStudy:
    """Lines opened and closed for the least loss, and the run before and after.

    load: whose loss is to be least: "nominal", or "base", the mean of all hours without EVs. Raises
    InputError.
    """
    task = reconfigure_task(opened_with(scenario, options), load)
    return result_of(task, progress=options.get("progress", True))
