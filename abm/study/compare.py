"""Several strategies on the same EVs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from abm.errors import InputError, Problem, nearest
from abm.scenario import Scenario
from abm.scenario.names import STRATEGIES
from abm.study.runs import Run, run_once

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "system_peak_mw",
    "system_peak_hour",
    "plugged_peak_mw",
    "feeder_energy_mwh",
    "ev_charged_mwh",
    "ev_discharged_mwh",
    "loss_energy_mwh",
    "max_loss_mw",
    "min_vm_pu",
    "min_vm_bus",
    "net_cost_usd",
    "evs_short",
    "energy_short_kwh",
    "rebound_ratio",
    "nonconverged_hours",
    "coincidence_factor",
    "load_factor",
    "peak_to_average",
    "synchronisation",
    "oscillation_period_min",
    "oscillation_amplitude_mw",
    "mode_switches_per_ev",
    "equivalent_full_cycles_per_ev",
    "fairness_unmet_evs",
    "fairness_benefit_evs",
)


def check_strategies(names: Sequence[str]) -> None:
    """Raise InputError with every name that is no strategy, or that comes twice."""
    problems = []
    for i, name in enumerate(names):
        if name not in STRATEGIES:
            allowed = "one of the strategies: " + ", ".join(STRATEGIES)
            problems.append(
                Problem("--strategies", name, allowed, hint=nearest(name, tuple(STRATEGIES)))
            )
        elif name in names[:i]:
            problems.append(Problem("--strategies", name, "each strategy once"))
    if problems:
        raise InputError(problems)


def compare(
    scenario: Scenario, strategies: Sequence[str], on_hour: Callable[[], None] | None = None
) -> dict[str, Run]:
    """Run each strategy on the scenario's EVs. Raises InputError for a name that is none."""
    check_strategies(strategies)
    return {name: run_once(scenario.override(strategy=name), on_hour) for name in strategies}


def comparison_table(runs: Mapping[str, Run]) -> pd.DataFrame:
    """One row per strategy, the KPIs of `COLUMNS`."""
    import pandas as pd

    rows = [
        {"strategy": name, **{column: run.results.kpis[column] for column in COLUMNS}}
        for name, run in runs.items()
    ]
    return pd.DataFrame(rows)
