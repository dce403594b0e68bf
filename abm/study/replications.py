"""Replications: their seeds, how they are cut into batches, what a worker does with one of them.

Replication k of a study has one seed, whatever the workers, and every case of the study (every
strategy, every point of a sweep) meets it with the same seed: differences between cases are paired.
"""

from __future__ import annotations

import io
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.errors import InputError, PluginError
from abm.scenario import Scenario
from abm.study.executor import ONE_AT_A_TIME
from abm.study.fingerprint import made_with
from abm.study.runs import results_of

# Replications are simulated, and `--until` is asked, in blocks of this many; a larger batch is
# hardly faster, a smaller one says more often how far things are.
BLOCK = 50
# A batch of very large fleets is cut so that it holds about this many EVs, one of many load flows
# so that it holds about this many voltages of them; each costs up to 60 bytes of memory.
BATCH_EVS, BATCH_VOLTAGES = 50_000, 20_000_000
HOURLY = ("ev_mw", "total_mw", "loss_mw", "min_vm_pu")
# System demand by 15 minutes; of a time step where that is longer.
LEADING_BAND = "total_15min_mw"
ZONAL = ("zone_purchase_usd", "zone_sale_usd")
KEYS = ("case", "replication", "seed", "error")


def replication_seed(seed: int, replication: int) -> int:
    """Seed of one replication, 63 bits; `run --seed` with it gives that replication alone."""
    state = np.random.SeedSequence(seed, spawn_key=(replication,)).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


@dataclass(frozen=True)
class Case:
    """One scenario of a study. labels: its columns in the tables, such as {"strategy": "evms"}.

    simulate: what runs a batch of its seeds in a worker, `simulate_batch` where None.
    """

    labels: Mapping[str, Any]
    scenario: Scenario
    simulate: Simulate | None = None

    def __str__(self) -> str:
        return ", ".join(
            str(value) if name == "strategy" else f"{name}={value}"
            for name, value in self.labels.items()
        )


@dataclass(frozen=True)
class Span:
    """Replications first, first + 1, ..., last - 1 of one case."""

    case: int
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.last))


Chunk = tuple[Span, ...]


def spans_of(cases: Sequence[Case], replications: int) -> Iterator[Span]:
    """What is simulated as one batch each, in the order in which it is begun.

    Block by block of replications, case by case within a block; never dependent on the workers.
    """
    for start in range(0, replications, BLOCK):
        stop = min(start + BLOCK, replications)
        for case in range(len(cases)):
            most = most_together(cases[case].scenario)
            for first in range(start, stop, most):
                yield Span(case, first, min(first + most, stop))


def chunks_of(
    cases: Sequence[Case], replications: int, done: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[Chunk]:
    """The spans that are left, some put together where they are short; done: (case, replication).

    What is left of a span that is there in part is run one by one, as its beginning was.
    """
    chunk: list[Span] = []
    for whole in spans_of(cases, replications):
        for span in _left(whole, done):
            other_block = chunk and chunk[0].first // BLOCK != span.first // BLOCK
            if chunk and (other_block or sum(map(len, chunk)) + len(span) > BLOCK):
                yield tuple(chunk)
                chunk = []
            chunk.append(span)
    if chunk:
        yield tuple(chunk)


def _left(span: Span, done: frozenset[tuple[int, int]]) -> list[Span]:
    left = [k for k in span if (span.case, k) not in done]
    return [span] if len(left) == len(span) else [Span(span.case, k, k + 1) for k in left]


def most_together(scenario: Scenario) -> int:
    """Replications in a batch: a block, fewer where they have very many EVs or load flows."""
    table = scenario.inputs.sessions
    evs = int(scenario.zone_evs.sum()) if table is None else len(table)
    flows = scenario.hours * 60 // scenario.grid.flow_interval_min
    voltages = flows * len(scenario.inputs.feeder.buses)
    return max(1, min(BLOCK, BATCH_EVS // max(evs, 1), BATCH_VOLTAGES // max(voltages, 1)))


# --- in the worker -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """A span as a worker gets it: the scenario, and number and seed of each replication."""

    case: int
    scenario: Scenario
    replications: tuple[int, ...]
    seeds: tuple[int, ...]
    simulate: Simulate | None = None


def jobs_of(chunk: Chunk, cases: Sequence[Case], seed: int) -> tuple[Job, ...]:
    """What to send to a worker for a chunk."""
    jobs = []
    for span in chunk:
        numbers = tuple(span)
        seeds = tuple(replication_seed(seed, k) for k in numbers)
        case = cases[span.case]
        jobs.append(Job(span.case, case.scenario, numbers, seeds, case.simulate))
    return tuple(jobs)


@dataclass(frozen=True)
class BatchResult:
    """What is kept of a batch. kpis: one dict per seed. arrays: by name an array for each seed."""

    kpis: list[dict[str, Any]]
    arrays: dict[str, Sequence[NDArray[Any]]]


Simulate = Callable[[Scenario, Sequence[int]], BatchResult]


def simulate_batch(scenario: Scenario, seeds: Sequence[int]) -> BatchResult:
    """Run seeds as copies of the feeder in one model; each has the numbers it has alone."""
    from abm.model import V2GModel
    from abm.results.flows import hourly_lowest, hourly_mean
    from abm.results.kpis import kpi_dict

    results = results_of(V2GModel(scenario, seed=list(seeds)))
    record, columns = results.record, results.kpi_columns
    arrays: dict[str, Any] = {
        "ev_mw": record.ev_mw.T,
        "total_mw": record.total_mw.T,
        "loss_mw": hourly_mean(record, record.flows.loss_mw).T,
        "min_vm_pu": hourly_lowest(record, record.lowest_vm_pu).T,
        LEADING_BAND: record.demand_mw(15.0).T,
    }
    n_zones = record.zone_charge_mw.shape[2]
    cell = record.ev["feeder"] * n_zones + record.ev["zone"]
    for name in ZONAL:
        money = record.ev[name.removeprefix("zone_")]
        totals = np.bincount(cell, weights=money, minlength=len(seeds) * n_zones)
        arrays[name] = totals.astype(np.float64).reshape(len(seeds), n_zones)
    return BatchResult([kpi_dict(columns, k) for k in range(len(seeds))], arrays)


@dataclass(frozen=True)
class ChunkResult:
    """A finished chunk: its part file as bytes, and how many of its replications failed.

    trace: the traceback of the first that did, or "". made: what computed it, as from `made_with`.
    """

    part: bytes
    failed: int
    trace: str
    made: Mapping[str, Any]


def run_chunk(jobs: Sequence[Job]) -> ChunkResult:
    """Simulate a chunk.

    A replication that raises has its error in the table. Raises InputError and MemoryError, which
    are no replication's fault.
    """
    traces: list[str] = []
    with ONE_AT_A_TIME:
        rows = [row for job in jobs for row in _rows(job, traces)]
    failed = sum(row["error"] is not None for row in rows)
    made = made_with([job.scenario for job in jobs])
    return ChunkResult(part_bytes(rows), failed, traces[0] if traces else "", made)


def _rows(job: Job, traces: list[str]) -> list[dict[str, Any]]:
    try:
        result = (job.simulate or simulate_batch)(job.scenario, job.seeds)
    except (InputError, MemoryError):
        raise
    except Exception as error:
        if len(job.seeds) > 1:
            # One of them spoils the batch: each on its own tells which.
            alone = zip(job.replications, job.seeds, strict=True)
            each = (replace(job, replications=(k,), seeds=(seed,)) for k, seed in alone)
            return [row for one in each for row in _rows(one, traces)]
        traces.append("".join(traceback.format_exception(error)))
        return [failed_row(job.case, job.replications[0], job.seeds[0], describe_error(error))]
    return [
        {
            **_keys(job.case, k, seed, None),
            **{f"[{name}]": values[i] for name, values in result.arrays.items()},
            **result.kpis[i],
        }
        for i, (k, seed) in enumerate(zip(job.replications, job.seeds, strict=True))
    ]


def describe_error(error: BaseException) -> str:
    """An error as one line; code of the user's own says itself what it raised."""
    said = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
    return " ".join(said.split())[:500]


def failed_row(case: int, replication: int, seed: int, error: str) -> dict[str, Any]:
    """The row of a replication without results."""
    return _keys(case, replication, seed, error)


def _keys(case: int, replication: int, seed: int, error: str | None) -> dict[str, Any]:
    return dict(zip(KEYS, (case, replication, seed, error), strict=True))


def part_bytes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as the bytes of a parquet file; arrays are lists in columns named `[name]`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = list(dict.fromkeys(name for row in rows for name in row))
    types = {"case": pa.int64(), "replication": pa.int64(), "seed": pa.int64()}
    types["error"] = pa.string()
    columns = [pa.array([row.get(name) for row in rows], types.get(name)) for name in names]
    out = io.BytesIO()
    pq.write_table(pa.table(columns, names=names), out)
    return out.getvalue()
