"""Replications of a study: run what is missing, stop when it is enough, make one table of it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from abm.errors import InputError, MachineError, Problem
from abm.results.folder import strategy_label
from abm.scenario import Scenario
from abm.study.cluster import Cluster
from abm.study.compare import Strategies, under
from abm.study.ensemble import Ensemble, ensemble_of
from abm.study.executor import TRIES, Backend, hand_out, open_backend
from abm.study.folder import MemoryFolder
from abm.study.replications import (
    BLOCK,
    Case,
    Chunk,
    Span,
    chunks_of,
    describe_error,
    failed_row,
    jobs_of,
    part_bytes,
    replication_seed,
    run_chunk,
    spans_of,
)
from abm.study.statistics import Until

OnDone = Callable[[int], None]


class PartStore(Protocol):
    """Where finished chunks are kept: a StudyFolder or a MemoryFolder."""

    def parts(self) -> Iterable[tuple[str, bytes]]:
        """Name and content of the finished chunks."""

    def drop(self, names: Iterable[str]) -> None:
        """Take parts away."""

    def begin(self) -> None:
        """Make ready for more; called once, when nothing stands in the way."""

    def check(self, made: Mapping[str, Any]) -> None:
        """Raise InputError when a chunk was computed with something else than was asked for."""

    def add(self, name: str, content: bytes) -> None:
        """Keep a finished chunk."""


def strategy_cases(scenario: Scenario, strategies: Strategies | None = None) -> list[Case]:
    """A case for each strategy (see `under`), the scenario's own when None. Raises InputError."""
    if strategies is None:
        strategies = [strategy_label(scenario)]
    cases = [Case({"strategy": name}, one) for name, one in under(scenario, strategies).items()]
    if scenario.feeder.copies > 1:
        allowed = "1 for replications; the copies of a city are replications of a feeder already"
        raise InputError([Problem("feeder.copies", str(scenario.feeder.copies), allowed)])
    return cases


def montecarlo(
    scenario: Scenario,
    replications: int = 100,
    strategies: Strategies | None = None,
    *,
    workers: int = 1,
    cluster: str | Cluster | None = None,
    until: Until | None = None,
    on_done: OnDone | None = None,
) -> Ensemble:
    """Replications of a scenario under each strategy, in memory.

    scenario.seed is the seed that every replication's own is spawned from. workers: local
    processes; a script that asks for more than one needs `if __name__ == "__main__":`. until: stop
    early, see `parse_until`. on_done is called with the number of replications that have come in.
    Raises InputError, MachineError when workers or cluster are lost for good.
    """
    cases = strategy_cases(scenario, strategies)
    return run_study(
        cases,
        replications,
        scenario.seed,
        workers=workers,
        cluster=cluster,
        until=until,
        on_done=on_done,
    )


def run_study(
    cases: Sequence[Case],
    replications: int,
    seed: int,
    parts: PartStore | None = None,
    *,
    workers: int = 1,
    cluster: str | Cluster | None = None,
    until: Until | None = None,
    on_done: OnDone | None = None,
) -> Ensemble:
    """Replications of all cases: those that `parts` has, and the rest run and added to it.

    The result is the same to the last bit whatever the workers are, in whatever order they finish,
    and however often the study was interrupted.
    """
    if replications < 1:
        raise InputError([Problem("--replications", str(replications), "a whole number from 1")])
    parts = MemoryFolder() if parts is None else parts
    progress = _Progress(len(cases), replications, until)
    kept, stale = sorted_out(parts, spans_of(cases, replications))
    for part in kept.values():
        progress.note(part)
    collected = Collected(kept)
    tell = on_done or (lambda _: None)
    tell(int(progress.done.sum()))
    if progress.stopped is not None or progress.done.all():
        parts.begin()
        parts.drop(stale)
    else:
        chunks = list(chunks_of(cases, replications, progress.pairs()))
        with open_backend(workers, cluster, (case.scenario for case in cases)) as backend:
            parts.begin()
            parts.drop(stale)
            with closing(collect(backend, chunks, cases, seed, parts, collected)) as results:
                for chunk, part in results:
                    progress.note(part)
                    tell(sum(map(len, chunk)))
                    if progress.stopped is not None:
                        break
    n = replications if progress.stopped is None else progress.stopped
    every = [*kept.values(), *collected.lost]
    ensemble = ensemble_of(cases, n, every, progress.stopped, len(collected.lost))
    return replace(ensemble, trace=collected.trace, parts=collected.kept)


@dataclass
class Collected:
    """What has come in: parts that are kept, by name; parts of what was given up.

    trace: traceback of the first replication that raised, "" where none did.
    """

    kept: dict[str, bytes] = field(default_factory=dict)
    lost: list[bytes] = field(default_factory=list)
    trace: str = ""


def collect(
    backend: Backend,
    chunks: Sequence[Chunk],
    cases: Sequence[Case],
    seed: int,
    parts: PartStore,
    collected: Collected,
) -> Generator[tuple[Chunk, bytes], None, None]:
    """Run chunks and keep what comes of them; yields each with its part, as they are ready."""
    results = hand_out(
        backend,
        chunks,
        lambda chunk: (run_chunk, (jobs_of(chunk, cases, seed),)),
        split_chunk,
    )
    with closing(results):
        for chunk, result, error in results:
            if error is None:
                parts.check(result.made)
                part = result.part
                collected.trace = collected.trace or result.trace
                collected.kept[part_name(chunk)] = part
                parts.add(part_name(chunk), part)
            else:
                # Not kept in the folder: `--resume` tries again.
                part = _given_up(chunk, seed, error)
                collected.lost.append(part)
            yield chunk, part


def sorted_out(parts: PartStore, spans: Iterable[Span]) -> tuple[dict[str, bytes], list[str]]:
    """The parts of such spans, and the names of those that have to be run again.

    When a study grows, its last block was cut short, and is run again whole: what is in a batch is
    then the same as if the study had been as large from the beginning.
    """
    whole = {(span.case, k): span for span in spans for k in span}
    kept, stale = {}, []
    for name, part in parts.parts():
        rows = _rows_of(part)
        spans = {whole[row] for row in rows if row in whole}
        if rows and rows == {(span.case, k) for span in spans for k in span}:
            kept[name] = part
        else:
            stale.append(name)
    return kept, stale


def _rows_of(part: bytes) -> set[tuple[int, int]]:
    """(case, replication) of each row; none when it is no part of ours or cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table: Any = pq.read_table(pa.BufferReader(part), columns=["case", "replication"])
    except (ValueError, OSError):
        return set()
    return set(zip(table["case"].to_pylist(), table["replication"].to_pylist(), strict=True))


def part_name(chunk: Chunk) -> str:
    """Name of a chunk's part, by its first replication and case; no two have the same."""
    return f"{chunk[0].first:07d}-{chunk[0].case:06d}"


def split_chunk(chunk: Chunk) -> list[Chunk]:
    """Its replications one by one; none when it is a single one."""
    single: list[Chunk] = [(Span(span.case, k, k + 1),) for span in chunk for k in span]
    return single if len(single) > 1 else []


def _given_up(chunk: Chunk, seed: int, error: BaseException) -> bytes:
    why = str(error) if isinstance(error, MachineError) else describe_error(error)
    said = f"given up after {TRIES} tries: {why}"
    rows = [
        failed_row(span.case, k, replication_seed(seed, k), said) for span in chunk for k in span
    ]
    return part_bytes(rows)


class _Progress:
    """Which replications are there, and whether they are enough."""

    def __init__(self, n_cases: int, replications: int, until: Until | None) -> None:
        self.until = until
        self.done = np.zeros((n_cases, replications), dtype=bool)
        self.values = np.full((n_cases, replications), np.nan)
        self.stopped: int | None = None
        self._asked = 0

    def pairs(self) -> frozenset[tuple[int, int]]:
        """(case, replication) of all that are there."""
        return frozenset((int(case), int(k)) for case, k in np.argwhere(self.done))

    def note(self, part: bytes) -> None:
        """Take in a finished part."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table: Any = pq.read_table(pa.BufferReader(part))
        case, k = (table[name].to_numpy() for name in ("case", "replication"))
        inside = k < self.done.shape[1]
        case, k = case[inside], k[inside]
        self.done[case, k] = True
        if self.until is None:
            return
        if self.until.kpi in table.column_names:
            found = table[self.until.kpi].to_pylist()
            values = np.array([np.nan if x is None else x for x in found], dtype=np.float64)
            self.values[case, k] = values[inside]
        self._ask(self.until)

    def _ask(self, until: Until) -> None:
        # After whole blocks only, in their order: the answer does not depend on who was faster.
        n_all = self.done.shape[1]
        while self.stopped is None and self._asked < n_all:
            n = min(self._asked + BLOCK, n_all)
            if not self.done[:, self._asked : n].all():
                return
            self._asked = n
            if until.reached(self.values[:, :n]):
                self.stopped = n
