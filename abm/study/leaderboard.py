"""Anybody's rule beside every strategy and the bound: fixed seeds, three feeders, disturbances.

A feeder under a disturbance is a world. In each world every strategy meets the same EVs by the same
seeds as every other, and as the bound, so that what is compared is paired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.equations import FloatArray
from abm.errors import InputError, Problem
from abm.results.own_kpis import counting, counts_events
from abm.results.staging import Content
from abm.scenario import Scenario
from abm.scenario.names import STRATEGIES
from abm.study.bound import LABELS, optimum
from abm.study.compare import GAP, METRIC, Strategy, under
from abm.study.ensemble import Ensemble
from abm.study.montecarlo import OnDone, run_study
from abm.study.replications import BatchResult, Case
from abm.study.runs import results_of
from abm.study.statistics import describe, kpi_name, kpi_problems

if TYPE_CHECKING:
    import pandas as pd

# The seed that all replications' seeds are spawned from.
SEED = 2025
REPLICATIONS = 5
QUICK_REPLICATIONS = 2
BOUND = LABELS["peak"]
# Feeders: a shipped scenario each, and what is changed in it.
FEEDERS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "case33bw": ("paper_balanced", ()),
        "cigre_mv": ("cigre_mv", ()),
        # Load flows by the minute would take longer than everything else.
        "ieee_european_lv": ("ieee_european_lv", ("grid.flow_interval_min=60",)),
    }
)
# What is otherwise than those who decide believe, and what each changes in a scenario.
DISTURBANCES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "none": {},
        "late": {"owners.late_return": {"probability": 0.3}},
        "lost": {"broadcast.loss_probability": 0.3},
        "forecast": {"forecast.noise": 0.1, "forecast.bias": -0.05},
        "fast": {"chargers": 1.5},
        "load": {"base_load.scale": 1.1},
    }
)
MEANING: Mapping[str, str] = MappingProxyType(
    {
        "none": "all as believed",
        "late": "three EVs in ten come half an hour to three hours late, unannounced",
        "lost": "three messages in ten do not reach a zone",
        "forecast": "base demand is forecast 5 % too low, and off by 10 % from hour to hour",
        "fast": "chargers of one and a half times the power, both ways",
        "load": "a tenth more base demand, at the same limit",
    }
)
QUICK = ("none", "late")
# KPIs of a world, and of all worlds together where they can be added: columns of the tables.
SHORT, COST, SWITCHES = "evs_short_percent", "net_cost_usd_per_ev", "mode_switches_per_ev"
MEASURES = (GAP, SHORT, COST, SWITCHES)


def simulate_world(
    scenario: Scenario, seeds: Sequence[int], kpis: Sequence[str] = ()
) -> BatchResult:
    """Run seeds as copies of the feeder in one model; what the tables need of each.

    kpis: that are asked for besides.
    """
    from abm.model import V2GModel
    from abm.results.kpis import kpi_dict

    results = results_of(V2GModel(scenario, seed=list(seeds)))
    columns = results.kpi_columns
    return BatchResult([_needed(kpi_dict(columns, k), kpis) for k in range(len(seeds))], {})


def solve_world(scenario: Scenario, seeds: Sequence[int], kpis: Sequence[str] = ()) -> BatchResult:
    """The bound of each seed."""
    found = (optimum(scenario.model_copy(update={"seed": seed})) for seed in seeds)
    return BatchResult([_needed(bound.results.kpis, kpis) for bound in found], {})


def _needed(kpis: Mapping[str, Any], asked: Sequence[str]) -> dict[str, Any]:
    n = max(int(kpis["evs"]), 1)
    return {
        METRIC: kpis[METRIC],
        "energy_short_kwh": kpis["energy_short_kwh"],
        SHORT: 100.0 * kpis["evs_short"] / n,
        COST: kpis["net_cost_usd"] / n,
        SWITCHES: kpis[SWITCHES],
        **{name: kpis.get(name) for name in asked},
    }


def label_of(spec: Strategy) -> str:
    """What somebody's rule is called in the tables: the name of its class."""
    if isinstance(spec, str):
        return spec.partition("+")[0].rpartition(":")[2] if ":" in spec else spec
    return label_of(spec[0]) if isinstance(spec, tuple) else type(spec).__name__


def entries(mine: Strategy | Mapping[str, Strategy]) -> dict[str, Strategy]:
    """Somebody's rules by what they are called, each with an admission.

    A rule alone, as `module:Class` or an object without `admit`, is granted what it asks for.
    """
    given = dict(mine) if isinstance(mine, Mapping) else {label_of(mine): mine}

    def pair(spec: Strategy) -> Strategy:
        if isinstance(spec, str):
            return f"{spec}+all_at_once" if ":" in spec and "+" not in spec else spec
        alone = not isinstance(spec, tuple) and not hasattr(spec, "admit")
        return (spec, "all_at_once") if alone else spec

    return {name: pair(spec) for name, spec in given.items()}


def leaderboard_cases(
    mine: Strategy | Mapping[str, Strategy],
    strategies: Sequence[str] | None = None,
    *,
    quick: bool = False,
    settings: Sequence[str] = (),
    trust: bool = False,
    feeders: Sequence[str] | None = None,
    disturbances: Sequence[str] | None = None,
    kpis: Sequence[str] = (),
) -> list[Case]:
    """All worlds with all strategies, somebody's own first and the bound last. Raises InputError.

    strategies: those beside it, all shipped ones with EVs by default, without mpc where quick.
    settings: as of `--set`, in every world. trust: whether code that `mine` names may be loaded.
    feeders, disturbances: names of `FEEDERS` and `DISTURBANCES`, all by default. kpis: that are
    asked for besides.
    """
    if disturbances is None:
        disturbances = QUICK if quick else tuple(DISTURBANCES)
    feeders = tuple(FEEDERS) if feeders is None else feeders
    given = (("feeders", feeders, FEEDERS), ("disturbances", disturbances, DISTURBANCES))
    wrong = [
        Problem(field, str(name), f"one of: {', '.join(known)}")
        for field, names, known in given
        for name in names
        if name not in known
    ]
    if wrong:
        raise InputError(wrong)
    if strategies is None:
        strategies = [
            name
            for name, one in STRATEGIES.items()
            if one.connected and not (quick and name == "mpc")
        ]
    own = entries(mine)
    twice = [name for name in own if name in strategies]
    if twice:
        said = "a rule of your own, called otherwise than the strategies beside it"
        raise InputError([Problem("RULE", name, said) for name in twice])
    every: dict[str, Strategy] = {**own, **{name: name for name in strategies}}
    ways = [
        partial(simulate, kpis=[kpi_name(kpi) for kpi in kpis]) if kpis else simulate
        for simulate in (simulate_world, solve_world)
    ]
    cases = []
    for feeder in feeders:
        name, changes = FEEDERS[feeder]
        base = Scenario.load(name, settings=[*changes, *settings], trust=trust)
        if problems := kpi_problems(kpis, "--kpi", base):
            raise InputError(problems)
        for disturbance in disturbances:
            world = disturbed(base, disturbance)
            labels = {"feeder": feeder, "disturbance": disturbance}
            for label, one in under(world, every).items():
                cases.append(Case({**labels, "strategy": label}, one, ways[0]))
            cases.append(Case({**labels, "strategy": BOUND}, world, ways[1]))
    return cases


def disturbed(base: Scenario, disturbance: str) -> Scenario:
    """A scenario under a disturbance."""
    changes = dict(DISTURBANCES[disturbance])
    times = changes.pop("chargers", None)
    if times is not None:
        ratings = ("charger_kw", "discharger_kw")
        changes |= {f"ev.{name}": times * getattr(base.ev, name) for name in ratings}
    return base.override(changes) if changes else base


@dataclass(frozen=True)
class Leaderboard:
    """What came out: `ensemble` has every run.

    mine: what somebody's own rules are called. kpis: that were asked for, each by its name.
    """

    ensemble: Ensemble
    mine: tuple[str, ...]
    kpis: tuple[str, ...] = ()

    @cached_property
    def besides(self) -> dict[str, bool]:
        """KPIs besides `MEASURES`, and whether each counts events."""
        own = counting(self.ensemble.cases[0].scenario)
        asked = (name for name in map(kpi_name, self.kpis) if name not in MEASURES)
        return {name: counts_events(name, own) for name in asked}

    @cached_property
    def _values(self) -> dict[str, FloatArray]:
        """Each measure, (n_cases, n); NaN where a replication failed or has no value."""
        names = (METRIC, SHORT, COST, SWITCHES, *self.besides)
        found = {name: self.ensemble.values(name) for name in names}
        bounds = {
            self._world(case): i
            for i, case in enumerate(self.ensemble.cases)
            if case.labels["strategy"] == BOUND
        }
        least = found[METRIC][[bounds[self._world(case)] for case in self.ensemble.cases]]
        gap = 100.0 * (found[METRIC] / np.where(least > 0.0, least, np.nan) - 1.0)
        return {GAP: gap, **found}

    @staticmethod
    def _world(case: Case) -> tuple[str, str]:
        return case.labels["feeder"], case.labels["disturbance"]

    @cached_property
    def worlds(self) -> pd.DataFrame:
        """Mean and 95 % interval of each measure, one row per feeder, disturbance and strategy."""
        import pandas as pd

        cases = self.ensemble.cases
        columns: dict[str, Any] = {
            label: [case.labels[label] for case in cases] for label in cases[0].labels
        }
        for name in dict.fromkeys((METRIC, *MEASURES, *self.besides)):
            columns |= _described(name, self._values[name], self.besides.get(name, False))
        return pd.DataFrame(columns)

    @cached_property
    def table(self) -> pd.DataFrame:
        """The same over all worlds, each counting once, one row per strategy, least gap first.

        Of a replication that failed in any world nothing counts for its strategy.
        """
        import pandas as pd

        cases = self.ensemble.cases
        names = list(dict.fromkeys(case.labels["strategy"] for case in cases))
        of = {
            name: [i for i, case in enumerate(cases) if case.labels["strategy"] == name]
            for name in names
        }
        columns: dict[str, Any] = {"strategy": names}
        worlds = len(cases) // len(names)
        for measure in (*MEASURES, *self.besides):
            values = np.array([self._values[measure][of[name]].mean(axis=0) for name in names])
            counts = self.besides.get(measure, False)
            columns |= _described(measure, values, counts, worlds if counts else 1)
        # The mean over the seeds of the world in which it is largest.
        columns["worst_gap_percent"] = [
            float(np.max(self._values[GAP][of[name]].mean(axis=1))) for name in names
        ]
        table = pd.DataFrame(columns)
        return table.sort_values(GAP, kind="stable", na_position="last").reset_index(drop=True)

    def files(self) -> Iterator[tuple[str, Content]]:
        """What the verb leaves, by name of the file."""
        yield "leaderboard.csv", self.table
        yield "worlds.csv", self.worlds
        yield "replications.parquet", self.ensemble.replications


def _described(
    name: str, values: FloatArray, counts: bool = False, worlds: int = 1
) -> dict[str, FloatArray]:
    """Mean and interval of each row; of a mean of counts over worlds, by the events in all."""
    found = describe(worlds * values, np.full(len(values), counts))
    named = {name: "mean", f"{name}_low": "ci95_low", f"{name}_high": "ci95_high"}
    return {column: found[of] / worlds for column, of in named.items()}


def leaderboard(
    mine: Strategy | Mapping[str, Strategy],
    strategies: Sequence[str] | None = None,
    *,
    replications: int | None = None,
    quick: bool = False,
    settings: Sequence[str] = (),
    trust: bool = False,
    workers: int = 1,
    feeders: Sequence[str] | None = None,
    disturbances: Sequence[str] | None = None,
    kpis: Sequence[str] = (),
    on_done: OnDone | None = None,
) -> Leaderboard:
    """A rule of one's own beside every strategy and the bound, in memory.

    mine: an object that decides, admits or both, a pair of rule and admission, `module:Class`, a
    name, or a mapping of such by what they are to be called. replications: seeds of each world, 5,
    or 2 where quick, which leaves out mpc and most disturbances. settings: as of `--set`. feeders,
    disturbances: names of `FEEDERS` and `DISTURBANCES`. kpis: further columns. Raises InputError,
    MachineError when workers are lost for good.
    """
    cases = leaderboard_cases(
        mine,
        strategies,
        quick=quick,
        settings=settings,
        trust=trust,
        feeders=feeders,
        disturbances=disturbances,
        kpis=kpis,
    )
    n = replications_of(replications, quick)
    ensemble = run_study(cases, n, SEED, workers=workers, on_done=on_done)
    return Leaderboard(ensemble, tuple(entries(mine)), tuple(kpis))


def replications_of(given: int | None, quick: bool) -> int:
    """How many seeds each world has."""
    if given is not None:
        return given
    return QUICK_REPLICATIONS if quick else REPLICATIONS
