"""Several strategies on the same EVs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from abm.control import make_strategy, resolve_strategy
from abm.control.programme import PEAK_ROOM
from abm.errors import InputError, OptimiserError, Problem, nearest
from abm.results import Results
from abm.results.folder import strategy_label
from abm.results.indicators import compared
from abm.results.own_kpis import own_kpis
from abm.scenario import Scenario
from abm.scenario.code import refuse_untrusted
from abm.scenario.fields import is_admission, is_rule
from abm.scenario.names import STRATEGIES
from abm.scenario.supply import has_storage
from abm.study.bound import LABELS, Bound, optimum
from abm.study.runs import Run, run_once

if TYPE_CHECKING:
    import pandas as pd

GAP = "gap_to_optimum_percent"
# What gaps are measured on: demand while EVs are plugged in, by the quarter of an hour.
METRIC = "plugged_peak_15min_mw"
# What perfect foresight costs at a strategy's own peak, $.
FORESIGHT = "foresight_cost_usd"
# Who leaves more than this much missing beyond what is out of reach pays for less than the bound.
SERVED_KWH = 0.1
# A bound for so many EVs takes a minute.
MOST_BOUND_EVS = 3000


# A rule and an admission without options.
PLAIN = {"rule": "g2v_only", "admission": "first_come"}
# What a strategy may be called.
CALLED = re.compile(r"[^\W_][\w +.:-]*")
PAIR = "a pair rule+admission, each a name from `list` or module:Class"


def check_strategies(names: Sequence[str], own: str = "") -> None:
    """Raise InputError with every name that is no strategy, or that comes twice.

    own: what the scenario's own strategy is called, if it is no shipped one.
    """
    problems = []
    for i, name in enumerate(names):
        rule, plus, admission = name.partition("+")
        pair = plus and is_rule(rule) and is_admission(admission)
        if name not in (*STRATEGIES, own) and not pair:
            allowed = f"one of the strategies: {', '.join(STRATEGIES)}; or {PAIR}"
            problems.append(
                Problem("--strategies", name, allowed, hint=nearest(name, tuple(STRATEGIES)))
            )
        elif name in names[:i]:
            problems.append(Problem("--strategies", name, "each strategy once"))
    if problems:
        raise InputError(problems)


def strategies_of(scenario: Scenario) -> list[str]:
    """What is compared where nothing is asked for: the scenario's own strategy and all shipped."""
    own = strategy_label(scenario)
    return [*STRATEGIES] if own in STRATEGIES else [own, *STRATEGIES]


# What a strategy of a comparison is: a name, rule+admission, an object that decides, admits or does
# both, or rule and admission, each a name or an object.
Strategy: TypeAlias = Any
Strategies: TypeAlias = Sequence[str] | Mapping[str, Strategy]


def under(scenario: Scenario, strategies: Strategies) -> dict[str, Scenario]:
    """The scenario under each strategy: shipped names, rule+admission, or what its own is called.

    strategies: names, or what each is (`Strategy`) by what it is to be called. A pair has no
    options beyond the sections of the scenario; the scenario's own keeps its options, and of an
    object alone the other half is that of the scenario's own. Raises InputError for a name that is
    none, and where a class of a pair cannot be made.
    """
    if isinstance(strategies, str):
        raise InputError([Problem("--strategies", strategies, "a list, or a mapping of names")])
    own = strategy_label(scenario)
    if isinstance(strategies, Mapping):
        found = _as_called(scenario, strategies, own)
    else:
        check_strategies(strategies, own)
        found = {}
        for name in strategies:
            one = _named(scenario, name, own)
            # Without the folders that a pair may name.
            label = strategy_label(one)
            if label in found:
                raise InputError([Problem("--strategies", name, "each strategy once")])
            found[label] = one
    for one in found.values():
        # A rule that cannot be found is the user's mistake, not a replication's.
        refuse_untrusted(one.code)
        make_strategy(one)
        own_kpis(one)
    return found


def _named(scenario: Scenario, name: str, own: str) -> Scenario:
    rule, plus, admission = name.partition("+")
    if name == own:
        return scenario
    if plus:
        return scenario.override(strategy={"rule": rule, "admission": admission})
    return scenario.override(strategy=name)


def _as_called(
    scenario: Scenario, strategies: Mapping[str, Strategy], own: str
) -> dict[str, Scenario]:
    option = "--strategies"
    problems: list[Problem] = []
    found: dict[str, Scenario] = {}
    for label, what in strategies.items():
        if not isinstance(label, str) or not CALLED.fullmatch(label) or label in LABELS.values():
            taken = " or ".join(LABELS.values())
            said = f"a name of letters, digits, blanks and -_+.: that is not {taken}"
            problems.append(Problem(option, str(label), said))
        try:
            if isinstance(what, str):
                check_strategies([what], own)
                found[label] = _named(scenario, what, own)
            else:
                found[label] = _of_objects(scenario, what)
        except InputError as error:
            problems += [
                problem if problem.field == option else replace(problem, file=f"{option} {label}")
                for problem in error.problems
            ]
    if problems:
        raise InputError(problems)
    return found


def _of_objects(scenario: Scenario, what: Strategy) -> Scenario:
    """The scenario under rule and admission, each a name or an object; None: its own."""
    if isinstance(what, tuple) and len(what) == 2:
        rule, admission = what
    else:
        rule = what if hasattr(what, "decide") or not hasattr(what, "admit") else None
        admission = what if hasattr(what, "admit") else None
    if isinstance(rule, str) or isinstance(admission, str):
        before, kept = resolve_strategy(scenario), scenario.objects
        rule = rule or kept.rule or before.rule
        admission = admission or kept.admission or before.admission
        # An object takes the place of whatever stands there.
        names = {"rule": rule, "admission": admission}
        pair = {half: one if isinstance(one, str) else PLAIN[half] for half, one in names.items()}
        scenario = scenario.override(strategy=pair)
    objects = (None if isinstance(one, str) else one for one in (rule, admission))
    return scenario.with_objects(*objects)


def compare(
    scenario: Scenario, strategies: Strategies, on_hour: Callable[[], None] | None = None
) -> dict[str, Run]:
    """Run each strategy on the scenario's EVs, see `under`. Raises InputError for what is none."""
    return run_each(under(scenario, strategies), on_hour)


def run_each(
    cases: Mapping[str, Scenario], on_hour: Callable[[], None] | None = None
) -> dict[str, Run]:
    """Run each scenario; on_hour is called after every hour."""
    return {name: run_once(one, on_hour) for name, one in cases.items()}


def bound_left_out(scenario: Scenario) -> str:
    """Why a comparison goes without the bound, in a sentence; "" where it can have it."""
    sessions = scenario.inputs.sessions
    evs = int(scenario.zone_evs.sum()) if sessions is None else len(sessions)
    how = "; the verb `bound` computes it."
    if scenario.feeder.copies > 1:
        return f"Without the bound, as there are {scenario.feeder.copies} feeders{how}"
    if scenario.sets_of_stays > 1:
        return "Without the bound, which is that of one day."
    if has_storage(scenario.storage):
        return "Without the bound, which knows no stationary battery."
    if scenario.inputs.prices.follows:
        return "Without the bound, which is one for prices that the EVs do not change."
    if evs > MOST_BOUND_EVS:
        return f"Without the bound, as there are more than {MOST_BOUND_EVS} EVs{how}"
    return ""


def bound_beside(
    scenario: Scenario,
    on_feeder: Callable[[], None] | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> tuple[Bound | None, str]:
    """The bound for a comparison, or None and a sentence that says why there is none.

    meanwhile: called while the bound is solved; not where none is asked for (`bound_left_out`).
    """
    why_not = bound_left_out(scenario)
    if why_not:
        return None, why_not
    try:
        return optimum(scenario, on_feeder=on_feeder, meanwhile=meanwhile), ""
    except OptimiserError as error:
        return None, f"Without the bound: {error}"


def cut_off_lines(runs: Mapping[str, Run]) -> list[str]:
    """A sentence where the end of the horizon cuts stays off, else []."""
    most = max(run.results.kpis["evs_still_plugged"] for run in runs.values())
    if not most:
        return []
    who = "1 EV is" if most == 1 else f"{most} EVs are"
    return [
        f"{who} still plugged in at the end of the horizon. Energy, cost and peak end "
        "there; what they could no longer charge by their announced departure counts as missing."
    ]


def gap_percent(results: Results, bound: Results) -> float | None:
    """How far the highest demand while EVs are plugged in is above the bound's, %.

    None where nobody is plugged in, and where PV leaves no demand to be a share of. Below 0 only
    for a strategy that leaves EVs short.
    """
    found, least = (r.kpis[METRIC] for r in (results, bound))
    known = found is not None and least is not None and least > 0.0
    return 100.0 * (found / least - 1.0) if known else None


def foresight_costs(
    runs: Mapping[str, Run], bound: Bound, on_strategy: Callable[[], None] | None = None
) -> dict[str, float]:
    """What perfect foresight costs at each strategy's own peak [$], of those that serve all EVs.

    The lower the peak the dearer, so that where the optimum at one peak stays below the next it is
    that one's, too: most strategies share one. on_strategy is called after each.
    """
    if bound.results.record.scenario.tariff.demand_charge.usd_per_kw > 0.0:
        # The programme knows no charge on a peak.
        return {}
    lacking = bound.results.kpis["energy_short_kwh"] + SERVED_KWH
    peaks = {name: run.results.kpis[METRIC] for name, run in runs.items()}
    least = bound.feeders[0].lowest_peak_mw
    found: dict[str, float] = {}
    last = None
    for name in sorted(runs, key=lambda name: -(peaks[name] or 0.0)):
        peak_mw, served = peaks[name], runs[name].results.kpis["energy_short_kwh"] <= lacking
        if peak_mw is not None and least is not None and served:
            # A peak at the bound may be below it by rounding, or by what SERVED_KWH lets pass.
            peak_mw = max(peak_mw, least * (1.0 + PEAK_ROOM))
            if last is None or peak_mw < last.peak_mw:
                last = bound.cost_at(peak_mw)
            found[name] = last.usd
        if on_strategy is not None:
            on_strategy()
    return found


def comparison_table(
    runs: Mapping[str, Run],
    bound: Bound | None = None,
    foresight: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """One row per strategy with the KPIs that are compared; with a bound, its row and the gap.

    foresight: `foresight_costs`, a column of which the bound has its own net cost.
    """
    import pandas as pd

    results = {name: run.results for name, run in runs.items()}
    if bound is not None:
        results[bound.label] = bound.results
    own = dict.fromkeys(name for of_run in results.values() for name in of_run.own_names)
    columns = [*compared(), *own]
    rows = [
        {"strategy": name, **{column: of_run.kpis.get(column) for column in columns}}
        for name, of_run in results.items()
    ]
    table = pd.DataFrame(rows)
    if bound is not None:
        gaps = [gap_percent(of_run, bound.results) for of_run in results.values()]
        table[GAP] = pd.Series(gaps, dtype=np.float64)
    if bound is not None and foresight:
        costs = {**foresight, bound.label: bound.results.kpis["net_cost_usd"]}
        table[FORESIGHT] = [costs.get(name, np.nan) for name in results]
    return table


def comparison_kpis(
    runs: Mapping[str, Run],
    bound: Bound | None = None,
    foresight: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The KPIs of every strategy, with a bound the gap to it among them, and the bound's own.

    foresight: `foresight_costs`; None for a strategy that is not in it.
    """
    if bound is None:
        return {name: run.results.kpis for name, run in runs.items()}
    foresight = foresight or {}
    found = {
        name: {
            **run.results.kpis,
            GAP: gap_percent(run.results, bound.results),
            FORESIGHT: foresight.get(name),
        }
        for name, run in runs.items()
    }
    return {**found, bound.label: bound.results.kpis}
