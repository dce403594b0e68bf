"""The feeder over time in studies of many replications: one of them, run again and drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from abm.report.feeder_map import FeederMap, feeder_map
from abm.results import Results
from abm.scenario import Scenario
from abm.study.ensemble import Ensemble
from abm.study.hosting_results import BOUND, Hosting
from abm.study.replayed import replayed
from abm.study.replications import Case

PEAK = "peak_15min_mw"
# So many strategies are drawn.
MOST_STRATEGIES = 6


def ensemble_map(ensemble: Ensemble, scenario: Scenario) -> FeederMap | None:
    """Of replications: the first one under every strategy."""
    if PEAK not in ensemble.measures:  # every replication failed
        return None
    cases = {str(case): case for case in ensemble.cases[:MOST_STRATEGIES]}
    peaks = dict(zip(cases, ensemble.values(PEAK)[:, 0], strict=False))
    return _drawn(
        replayed(cases, scenario.seed, PEAK, peaks), f"The first of {ensemble.n} replications."
    )


def sweep_map(ensemble: Ensemble, scenario: Scenario) -> FeederMap | None:
    """Of a sweep: the first replication where its peak is highest, and where it is lowest."""
    if PEAK not in ensemble.measures:
        return None
    first = ensemble.values(PEAK)[:, 0]
    if not np.isfinite(first).any():
        return None
    ends = [int(np.nanargmax(first)), int(np.nanargmin(first))]
    cases = {str(ensemble.cases[at]): ensemble.cases[at] for at in ends}
    peaks = {str(ensemble.cases[at]): float(first[at]) for at in ends}
    runs = replayed(cases, scenario.seed, PEAK, peaks)
    said = "The first replication of the points with the highest and the lowest peak in it."
    return _drawn(on_one_map(runs), said if len(runs) > 1 else "The first replication of a point.")


def hosting_map(study: Hosting) -> FeederMap | None:
    """Of hosting: the first replication of every strategy at the share where a limit is broken."""
    asked = study.asked
    if PEAK not in study.table.column_names:
        return None
    names = ["strategy", "share", "replication", PEAK]
    first = {
        (row["strategy"], row["share"]): row[PEAK]
        for row in study.table.select(names).to_pylist()
        if row["replication"] == 0 and row[PEAK] is not None
    }
    cases: dict[str, Case] = {}
    peaks: dict[str, float] = {}
    for strategy in [name for name in asked.strategies if name != BOUND][:MOST_STRATEGIES]:
        broken = study.capacities[strategy].first
        at = max(study.of(strategy)) if broken is None else broken
        case = asked.cases[asked.case_of(strategy, at)]
        name = f"{strategy}, {100.0 * asked.ladder.shares[at]:.4g} %"
        cases[name] = case
        peaks[name] = first.get((case.labels["strategy"], case.labels["share"]), np.nan)
    return _drawn(
        replayed(cases, asked.scenario.seed, PEAK, peaks),
        "The first replication at the first share that does not keep the risk, else at the highest "
        "that was looked at.",
    )


def on_one_map(runs: Mapping[str, Results]) -> dict[str, Results]:
    """Those on the feeder of the first, with as many load flows."""
    found: dict[str, Results] = {}
    for name, results in runs.items():
        first = next(iter(found.values()), results)
        here, there = results.record, first.record
        if (here.feeder.name, here.flows.vm_pu.shape) == (
            there.feeder.name,
            there.flows.vm_pu.shape,
        ):
            found[name] = results
    return found


def _drawn(runs: Mapping[str, Results], of_what: str) -> FeederMap | None:
    if not runs:
        return None
    found = feeder_map(runs)
    return replace(found, about=f"{of_what} {found.about}".strip())
