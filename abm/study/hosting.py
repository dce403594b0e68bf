"""Hosting capacity: at which share of customers with an EV a limit of the grid is broken too often.

A case is a strategy at a share. All shares and strategies meet the same replications: the same
customers, and of the EVs that are drawn for the highest share the first ones, so that those of a
lower share are among those of a higher one (`fleet.drawn_per_customer`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray
from abm.errors import InputError, Problem
from abm.grid import build_feeder
from abm.model import V2GModel
from abm.results.kpis import kpi_dict
from abm.results.record import Record
from abm.scenario import Scenario
from abm.study.bound import optimum
from abm.study.cluster import Cluster
from abm.study.compare import Strategies
from abm.study.executor import open_backend
from abm.study.folder import MemoryFolder
from abm.study.hosting_limits import (
    LIMITS,
    Limits,
    broken_elements,
    kinds_of,
    least_demand_mw,
    metric_of,
)
from abm.study.hosting_results import (
    BOUND,
    LEAST_DEMAND,
    NO_EVS,
    SHOWN_KPIS,
    Asked,
    Hosting,
    Outcome,
)
from abm.study.hosting_search import NOTHING, Seen, ladder
from abm.study.montecarlo import Collected, OnDone, PartStore, collect, sorted_out, strategy_cases
from abm.study.replications import KEYS, BatchResult, Case, Span
from abm.study.runs import results_of

if TYPE_CHECKING:
    import pyarrow as pa


def ask(
    scenario: Scenario,
    shares: Sequence[float],
    strategies: Strategies | None = None,
    *,
    replications: int = 100,
    risk: float = 0.05,
    within: float = 0.025,
    limits: Limits | None = None,
    bound: bool = False,
) -> Asked:
    """The cases of a study of hosting capacity. Raises InputError with all problems.

    shares: EVs per customer, the share of homes with an EV where each has one at most; ascending.
    risk: part of the replications that may break a limit. within: how near to each other the last
    share that keeps the risk and the first that does not are brought. bound: also the plan of least
    peak.
    """
    problems = [*number_problems(risk, within), *place_problems(scenario)]
    if list(shares) != sorted(set(shares)) or len(shares) < 2 or shares[0] < 0.0:
        problems.append(Problem("--shares", str(shares), "two or more from 0 on, ascending"))
    if replications < 1:
        problems.append(Problem("--replications", str(replications), "a whole number from 1"))
    if problems:
        raise InputError(problems)
    most = max(shares)
    everybody = {"fleet.evs_per_customer": most, "fleet.drawn_per_customer": most}
    found = strategy_cases(scenario.override(everybody), strategies)
    customers = scenario.inputs.feeder.zone_customers()

    def at_share(one: Scenario, share: float) -> Scenario:
        fleet = one.fleet.model_copy(update={"evs_per_customer": share})
        return one.model_copy(update={"fleet": fleet})

    def evs_at(share: float) -> int:
        return int(at_share(found[0].scenario, share).fleet.evs_of(customers).sum())

    rungs = ladder(shares, within, evs_at, replications, risk)
    given: Limits = dict.fromkeys(LIMITS) if limits is None else limits
    feeder = build_feeder(scenario.inputs.feeder)
    known = kinds_of(feeder, given)
    if limits is not None and len(known) < len(limits):
        said = f"a limit that this feeder has: {', '.join(kinds_of(feeder, dict.fromkeys(LIMITS)))}"
        others = (kind for kind in limits if kind not in known)
        raise InputError([Problem("--limits", kind, said) for kind in others])
    judged = {kind: given[kind] for kind in known}
    run = partial(hosting_batch, limits=judged)
    ways = [(str(case.labels["strategy"]), case.scenario, run) for case in found]
    if bound:
        ways.append((BOUND, found[0].scenario, partial(bound_batch, limits=judged)))
    cases = tuple(
        Case(
            {"strategy": name if evs else NO_EVS, "share": share},
            at_share(one, share),
            simulate if evs else run,
        )
        for name, one, simulate in ways
        for share, evs in zip(rungs.shares, rungs.evs, strict=True)
    )
    names = tuple(name for name, _, _ in ways)
    return Asked(scenario, names, rungs, judged, cases)


def number_problems(risk: float, within: float) -> list[Problem]:
    """A problem for each of them that cannot be meant."""
    found = []
    if not 0.0 < risk < 1.0:
        found.append(Problem("--risk", f"{risk:g}", "above 0 and below 1, such as 0.05"))
    if not within > 0.0:
        found.append(Problem("--within", f"{within:g}", "a difference of shares above 0"))
    return found


def place_problems(scenario: Scenario) -> list[Problem]:
    """A problem where a share of customers with an EV has no meaning in a scenario."""
    if scenario.fleet.sessions is not None:
        said = "left out: EVs are drawn for each share, and those of a file are given"
        return [Problem("fleet.sessions", scenario.fleet.sessions, said)]
    unknown = np.flatnonzero(np.isnan(scenario.inputs.feeder.zone_customers())) + 1
    if not len(unknown):
        return []
    zones = ", ".join(map(str, unknown[:8])) + (", ..." if len(unknown) > 8 else "")
    said = (
        "a feeder with customers of each zone, which shares are of (column `customers` of "
        f"buses.csv); missing: zone {zones}"
    )
    return [Problem("grid.feeder", scenario.grid.feeder, said)]


# --- in the worker -----------------------------------------------------------------------------


def hosting_batch(scenario: Scenario, seeds: Sequence[int], *, limits: Limits) -> BatchResult:
    """KPIs of each seed, and by limit the names of the elements that broke it."""
    results = results_of(V2GModel(scenario, seed=list(seeds)))
    kpis = [kpi_dict(results.kpi_columns, k) for k in range(len(seeds))]
    return BatchResult(kpis, _arrays(results.record, limits))


def bound_batch(scenario: Scenario, seeds: Sequence[int], *, limits: Limits) -> BatchResult:
    """The same of the plan of least peak; the least demand that any plan has among the KPIs."""
    kpis: list[dict[str, Any]] = []
    arrays: dict[str, list[NDArray[Any]]] = {kind: [] for kind in limits}
    metric_min = metric_of(scenario.grid.flow_interval_min)
    for seed in seeds:
        bound = optimum(scenario.model_copy(update={"seed": seed}), metric_min=metric_min)
        kpis.append({**bound.results.kpis, LEAST_DEMAND: least_demand_mw(bound)})
        for kind, (names,) in _arrays(bound.results.record, limits).items():
            arrays[kind].append(names)
    return BatchResult(kpis, dict(arrays))


def _arrays(record: Record, limits: Limits) -> dict[str, Sequence[NDArray[Any]]]:
    return {**broken_elements(record, limits)}


# --- the study ---------------------------------------------------------------------------------


def hosting(
    asked: Asked,
    parts: PartStore | None = None,
    *,
    workers: int = 1,
    cluster: str | Cluster | None = None,
    on_done: OnDone | None = None,
) -> Hosting:
    """Run what is asked as far as it has to be; what `parts` has is not run again.

    The result is the same to the last bit whatever the workers, in whatever order they finish, and
    however often it was interrupted. on_done is called with the replications that have come in or
    are not needed.
    """
    parts = MemoryFolder() if parts is None else parts
    every = [span for spans in asked.spans.values() for span in spans]
    kept, stale = sorted_out(parts, every)
    collected = Collected(kept)
    rows = _Rows(asked)
    for part in kept.values():
        rows.take(part)
    tell = on_done or (lambda _: None)
    needed: dict[int, int] = {}

    def seen(strategy: str, at: int) -> Seen:
        case = asked.case_of(strategy, at)
        n = needed.get(case, 0)
        return Seen(n, rows.bad(case, n)) if n else NOTHING

    with open_backend(workers, cluster, (case.scenario for case in asked.cases)) as backend:
        parts.begin()
        parts.drop(stale)
        while True:
            wanted = {
                asked.case_of(name, at): asked.ladder.next_look(seen(name, at).n)
                for name in asked.strategies
                for at in asked.ladder.wanted(partial(seen, name))
            }
            if not wanted:
                break
            spans = [
                span for case, look in sorted(wanted.items()) for span in asked.spans[case, look]
            ]
            for span in spans:
                if rows.has(span):
                    tell(len(span))
            chunks = [(span,) for span in spans if not rows.has(span)]
            seed = asked.scenario.seed
            for chunk, part in collect(backend, chunks, asked.cases, seed, parts, collected):
                rows.take(part)
                tell(sum(map(len, chunk)))
            needed |= wanted
    outcomes = {
        (name, at): rows.outcome(asked.case_of(name, at), n)
        for name in asked.strategies
        for at in range(len(asked.ladder.shares))
        if (n := needed.get(asked.case_of(name, at), 0))
    }
    lost, table = len(collected.lost), rows.table(needed)
    return Hosting(asked, outcomes, table, lost, collected.trace, collected.kept)


class _Rows:
    """Rows of the parts that have come in, by case and replication."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._rows: dict[tuple[int, int], dict[str, Any]] = {}

    def take(self, part: bytes) -> None:
        """Take in a finished part."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        for row in pq.read_table(pa.BufferReader(part)).to_pylist():
            self._rows[row["case"], row["replication"]] = row

    def has(self, span: Span) -> bool:
        """Whether all of a span has come in."""
        return all((span.case, k) in self._rows for k in span)

    def of(self, case: int, n: int) -> list[dict[str, Any]]:
        """The first n rows of a case."""
        return [self._rows[case, k] for k in range(n)]

    def bad(self, case: int, n: int) -> BoolArray:
        """Which of those that ran broke a limit, or were not solved."""
        return self.outcome(case, n).bad

    def outcome(self, case: int, n: int) -> Outcome:
        """What came of the first n replications of a case."""
        rows = self.of(case, n)
        ran = [row for row in rows if row["error"] is None]
        broken = {
            kind: tuple(tuple(row[f"[{kind}]"] or ()) for row in ran) for kind in self._asked.limits
        }
        unsolved = np.array(
            [(row["nonconverged_hours"] or 0.0) > 0.0 for row in ran], dtype=np.bool_
        )
        kpis = {
            name: np.array([np.nan if row.get(name) is None else row[name] for row in ran])
            for name in (*SHOWN_KPIS, LEAST_DEMAND)
        }
        there = tuple(row["replication"] for row in ran)
        return Outcome(n, there, broken, unsolved, kpis)

    def table(self, needed: Mapping[int, int]) -> pa.Table:
        """All rows that were needed, in the order of cases and replications, with labels."""
        import pyarrow as pa

        rows = []
        for case, n in sorted(needed.items()):
            labels = self._asked.cases[case].labels
            for row in self.of(case, n):
                kpis = {
                    name: value
                    for name, value in row.items()
                    if name not in KEYS and not name.startswith("[")
                }
                broke = {
                    kind: None if row["error"] is not None else bool(row[f"[{kind}]"])
                    for kind in self._asked.limits
                }
                named = {name: row[name] for name in ("replication", "seed")}
                rows.append({**labels, **named, **broke, **kpis, "error": row["error"]})
        names = list(dict.fromkeys(name for row in rows for name in row if name != "error"))
        columns = [pa.array([row.get(name) for row in rows]) for name in names]
        errors = pa.array([row["error"] for row in rows], pa.string())
        return pa.table([*columns, errors], names=[*names, "error"])
