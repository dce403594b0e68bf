"""An ensemble: all replications of all cases as one table, and the tables made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.equations import FloatArray
from abm.results.indicators import INDICATORS, with_mean
from abm.results.kpis import plain
from abm.results.own_kpis import counting, counts_events
from abm.results.staging import Content
from abm.scenario import Scenario, clock_minutes
from abm.study.replications import HOURLY, KEYS, LEADING_BAND, Case
from abm.study.statistics import describe, excludes_zero

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


# Replication, seed, case and error.
Failure = tuple[int, int, Case, str]


@dataclass(frozen=True)
class Ensemble:
    """All replications of all cases, complete: n x n_cases rows in that order.

    table: `case`, `replication`, `seed`, `error`, the arrays in brackets, and the KPIs.
    stopped: how many replications `until` took, None where it was not asked or not reached.
    lost: chunks that were given up, as their workers died each time. trace: traceback of one of the
    replications that raised in this process' study, "" where none did. parts: the finished chunks
    that the table was made of, by name.
    """

    cases: tuple[Case, ...]
    n: int
    table: pa.Table
    stopped: int | None = None
    lost: int = 0
    trace: str = ""
    parts: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def kpi_names(self) -> list[str]:
        """All KPIs, as the model calls them."""
        return [
            name
            for name in self.table.column_names
            if name not in KEYS and not name.startswith("[")
        ]

    @cached_property
    def measures(self) -> list[str]:
        """The KPIs that have a mean, the user's own among them."""
        return [name for name in self.kpi_names if name in with_mean() or name not in INDICATORS]

    @cached_property
    def counting(self) -> frozenset[str]:
        """KPIs of the user's own that count events."""
        return frozenset().union(*(counting(case.scenario) for case in self.cases))

    @cached_property
    def flow_min(self) -> tuple[int, ...]:
        """Intervals of the load flows of the cases, min, each once."""
        return tuple(sorted({case.scenario.grid.flow_interval_min for case in self.cases}))

    @property
    def total(self) -> int:
        """Replications of all cases."""
        return self.n * len(self.cases)

    @property
    def seeds(self) -> list[int]:
        """Seed of each replication, (n,)."""
        return list(self.table["seed"].to_pylist()[:: len(self.cases)])

    def values(self, kpi: str) -> FloatArray:
        """One KPI, (n_cases, n); NaN where there is none."""
        column = self.table[kpi].to_pylist()
        flat = np.array([np.nan if value is None else value for value in column], dtype=np.float64)
        return np.ascontiguousarray(flat.reshape(self.n, len(self.cases)).T)

    def array(self, name: str) -> FloatArray:
        """One of the arrays, (n_cases, n, length); NaN where a replication failed."""
        column = f"[{name}]"
        if column not in self.table.column_names:
            return np.full((len(self.cases), self.n, 0), np.nan)
        rows = self.table[column].to_pylist()
        length = max((len(row) for row in rows if row is not None), default=0)
        none = [np.nan] * length
        # A missing value within a list comes back as None, which becomes NaN here.
        flat = np.array([none if row is None else row for row in rows], dtype=np.float64)
        return flat.reshape(self.n, len(self.cases), length).swapaxes(0, 1)

    @cached_property
    def failures(self) -> list[Failure]:
        """Replication, seed, case and error of everything that failed."""
        columns = (self.table[name].to_pylist() for name in KEYS)
        return [
            (k, seed, self.cases[case], error)
            for case, k, seed, error in zip(*columns, strict=True)
            if error is not None
        ]

    # --- tables --------------------------------------------------------------------------------

    @cached_property
    def replications(self) -> pa.Table:
        """One row per replication and case: labels, seed, all KPIs, and the error if it failed."""
        import pyarrow as pa

        table, cases = self.table, self.cases
        columns: dict[str, Any] = {name: table[name] for name in ("replication", "seed")}
        for label in cases[0].labels:
            columns[label] = pa.array([case.labels[label] for case in cases] * self.n)
        for name in self.kpi_names:
            column = table[name]
            # A column in which nothing has a value has no type of its own.
            columns[name] = column.cast(pa.float64()) if pa.types.is_null(column.type) else column
        columns["error"] = table["error"]
        return pa.table(columns)

    @cached_property
    def bands(self) -> pd.DataFrame:
        """Mean and quantiles of each hour; one row per case, hour and quantity of HOURLY.

        LEADING_BAND is of the parts of an hour, which begin at `minute`. An hour whose load flow
        did not converge is left out of its replication; `n` says how many stay.
        """
        import pandas as pd

        arrays = {name: self.array(name) for name in (*HOURLY, LEADING_BAND)}
        tables = []
        for i, case in enumerate(self.cases):
            start = clock_minutes(case.scenario.clock.start) // 60
            for quantity, values in arrays.items():
                parts = np.arange(values.shape[2])
                per_hour = max(len(parts) // case.scenario.hours, 1)
                hours = parts // per_hour
                found = describe(np.ascontiguousarray(values[i].T))
                columns = {
                    **{label: [value] * len(hours) for label, value in case.labels.items()},
                    "hour_index": hours,
                    "hour": (start + hours) % 24,
                    "minute": parts % per_hour * (60 // per_hour),
                    "quantity": [quantity] * len(hours),
                    "n": found["n"].astype(np.int64),
                    "mean": found["mean"],
                    **{name: found[name] for name in found if name.startswith("q")},
                }
                tables.append(pd.DataFrame(columns))
        return pd.concat(tables, ignore_index=True)

    @cached_property
    def summary(self) -> pd.DataFrame:
        """n, mean, sd, 95 % interval of the mean and quantiles of each KPI in each case."""
        import pandas as pd

        kpis = self.measures
        n_cases = len(self.cases)
        if not kpis:
            return pd.DataFrame()
        values = np.concatenate([self.values(kpi) for kpi in kpis])
        found = describe(
            values, np.repeat([counts_events(kpi, self.counting) for kpi in kpis], n_cases)
        )
        labels = {
            label: [case.labels[label] for case in self.cases] * len(kpis)
            for label in self.cases[0].labels
        }
        table = pd.DataFrame(
            {
                **labels,
                "kpi": np.repeat(kpis, n_cases),
                "n": found.pop("n").astype(np.int64),
                **found,
            }
        )
        # Case by case, as a reader looks at them.
        order = np.argsort(np.tile(np.arange(n_cases), len(kpis)), kind="stable")
        return table.iloc[order].reset_index(drop=True)

    @cached_property
    def differences(self) -> pd.DataFrame:
        """Paired differences, `strategy` less `minus`, over the replications that have both.

        excludes_zero: whether the 95 % interval of the mean difference does.
        """
        import pandas as pd

        tables = []
        kpis = self.measures
        for first, second in combinations(range(len(self.cases)), 2):
            pairs = [self.values(kpi) for kpi in kpis]
            found = describe(np.array([values[second] - values[first] for values in pairs]))
            columns = {
                "strategy": [str(self.cases[second])] * len(kpis),
                "minus": [str(self.cases[first])] * len(kpis),
                "kpi": kpis,
                "n": found["n"].astype(np.int64),
                **{name: found[name] for name in ("mean", "sd", "ci95_low", "ci95_high")},
                "excludes_zero": excludes_zero(found["ci95_low"], found["ci95_high"]),
            }
            tables.append(pd.DataFrame(columns))
        names = ["strategy", "minus", "kpi", "n", "mean", "sd", "ci95_low", "ci95_high"]
        empty = pd.DataFrame(columns=[*names, "excludes_zero"])
        return pd.concat(tables, ignore_index=True) if tables else empty

    def outcome(self) -> dict[str, Any]:
        """How the study went, for its manifest."""
        return {
            "replications": self.n,
            "stopped_early": self.stopped is not None,
            "failed": len(self.failures),
            "lost": self.lost,
        }


def ensemble_of(
    cases: Sequence[Case], n: int, parts: Iterable[bytes], stopped: int | None = None, lost: int = 0
) -> Ensemble:
    """The first n replications of all parts as one table, the same whatever the parts were."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    tables = [pq.read_table(pa.BufferReader(part)) for part in parts]
    table = pa.concat_tables(tables, promote_options="permissive")
    table = table.filter(pc.less(table["replication"], n))
    table = table.sort_by([("replication", "ascending"), ("case", "ascending")]).combine_chunks()
    if table.num_rows != n * len(cases):
        raise AssertionError(f"{table.num_rows} rows for {n} replications of {len(cases)} cases")
    return Ensemble(tuple(cases), n, table, stopped, lost)


def summary_dict(ensemble: Ensemble) -> dict[str, Any]:
    """The summary and the differences as plain nested data; None for what is not there."""
    strategies: dict[str, Any] = {str(case): {} for case in ensemble.cases}
    for row in ensemble.summary.to_dict("records"):
        values = {name: plain(row[name]) for name in row if name not in ("strategy", "kpi")}
        strategies[row["strategy"]][row["kpi"]] = values
    rows = ensemble.differences.to_dict("records")
    return {
        "replications": ensemble.n,
        "stopped": ensemble.stopped,
        "failed": len(ensemble.failures),
        "strategies": strategies,
        "differences": [{str(name): plain(row[name]) for name in row} for row in rows],
    }


def montecarlo_files(ensemble: Ensemble, scenario: Scenario) -> Iterator[tuple[str, Content]]:
    """What `montecarlo` leaves besides its figures, by name of the file."""
    yield "scenario.yaml", scenario.to_yaml()
    yield "replications.parquet", ensemble.replications
    yield "bands.parquet", ensemble.bands
    yield "summary.csv", ensemble.summary
    yield "differences.csv", ensemble.differences
    yield "summary.json", summary_dict(ensemble)


def failure_lines(failures: Sequence[Failure], total: int, most: int = 10) -> list[str]:
    """What failed of so many replications in all, in sentences; [] when nothing did."""
    if not failures:
        return []
    lines = [f"{len(failures)} of {total} replications failed and are in no statistics:"]
    lines += [
        f"  replication {k}, seed {seed}, {case}: {error}"
        for k, seed, case, error in failures[:most]
    ]
    if len(failures) > most:
        lines.append(f"  and {len(failures) - most} more, see the column `error`")
    return lines
