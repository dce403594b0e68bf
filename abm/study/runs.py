"""One scenario, run once: as one model, or a city in shards.

A shard is a group of feeders; they run side by side and are put together again. Nothing passes
between feeders, so a shard's numbers are those it has in the whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from abm.fleet import feeder_seeds
from abm.model import V2GModel
from abm.results import Record, Results, join_records
from abm.scenario import Scenario
from abm.study.cluster import Cluster
from abm.study.executor import ONE_AT_A_TIME, hand_out, open_backend

Shard = tuple[int, int]


@dataclass(frozen=True)
class Run:
    """A finished run: its results and the seconds it took, making the model included."""

    results: Results
    wall_s: float


def run_once(scenario: Scenario, on_hour: Callable[[], None] | None = None) -> Run:
    """Make the model of a scenario and run it; on_hour is called after every hour."""
    began = time.perf_counter()
    results = results_of(V2GModel(scenario), on_hour)
    return Run(results, time.perf_counter() - began)


def results_of(model: V2GModel, on_hour: Callable[[], None] | None = None) -> Results:
    """Run a model to the end, keep its results, and let go of it."""
    try:
        return model.run(on_hour).results
    finally:
        model.close()


def shards_of(copies: int, workers: int) -> list[Shard]:
    """Feeders first, ..., last - 1 of each shard; a few for each worker, none below 25 feeders."""
    n = max(1, min(4 * workers, copies // 25))
    edges = [copies * i // n for i in range(n + 1)]
    return [(edges[i], edges[i + 1]) for i in range(n)]


def run_shard(scenario: Scenario, shard: Shard) -> Record:
    """The record of the feeders of one shard of a city."""
    seeds = feeder_seeds(scenario.seed, scenario.feeder.copies)[shard[0] : shard[1]]
    minutes = scenario.record.zone_minute
    if minutes is None:
        minutes = scenario.feeder.copies == 1
    one = scenario.override({"feeder.copies": 1, "record.zone_minute": minutes})
    with ONE_AT_A_TIME:
        return results_of(V2GModel(one, seed=seeds)).record


def run_city(
    scenario: Scenario,
    workers: int = 1,
    cluster: str | Cluster | None = None,
    on_hour: Callable[[], None] | None = None,
) -> Run:
    """Run all copies of a scenario's feeder on several workers; the same bytes as one model.

    on_hour is called once per hour of the horizon, spread over the shards as they are ready. Raises
    what a shard raises that cannot be run, MachineError for workers or a cluster that are lost.
    """
    began = time.perf_counter()
    parts: dict[Shard, Record] = {}
    told = 0
    with open_backend(workers, cluster, [scenario]) as backend:
        # A backend keeps two pieces for each of its workers.
        shards = shards_of(scenario.feeder.copies, max(workers, backend.slots() // 2))
        for shard, record, error in hand_out(
            backend, shards, lambda s: (run_shard, (scenario, s)), lambda s: ()
        ):
            if error is not None:
                error.add_note(f"feeders {shard[0] + 1} to {shard[1]}")
                raise error
            parts[shard] = record
            due = scenario.hours * len(parts) // len(shards)
            if on_hour is not None:
                for _ in range(due - told):
                    on_hour()
            told = due
    record = replace(join_records([parts[shard] for shard in shards]), scenario=scenario)
    return Run(Results(record), time.perf_counter() - began)
