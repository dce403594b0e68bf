"""The tables of an ensemble: replications, hourly bands, summary, paired differences."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.scenario import clock_minutes
from abm.study.ensemble import HOURLY, Ensemble
from abm.study.statistics import describe, excludes_zero

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def replications_table(ensemble: Ensemble) -> pa.Table:
    """One row per replication and case: its labels, seed, all KPIs, and the error if it failed."""
    import pyarrow as pa

    table, cases = ensemble.table, ensemble.cases
    columns: dict[str, Any] = {name: table[name] for name in ("replication", "seed")}
    for label in cases[0].labels:
        columns[label] = pa.array([case.labels[label] for case in cases] * ensemble.n)
    for name in ensemble.kpi_names:
        column = table[name]
        # A column in which nothing has a value has no type of its own.
        columns[name] = column.cast(pa.float64()) if pa.types.is_null(column.type) else column
    columns["error"] = table["error"]
    return pa.table(columns)


def bands_table(ensemble: Ensemble) -> pd.DataFrame:
    """Mean and quantiles of each hour; one row per case, hour and quantity of HOURLY.

    An hour whose load flow did not converge is left out of its replication, `n` says how many stay.
    """
    import pandas as pd

    arrays = {name: ensemble.array(name) for name in HOURLY}
    tables = []
    for i, case in enumerate(ensemble.cases):
        start = clock_minutes(case.scenario.clock.start) // 60
        for quantity, values in arrays.items():
            hours = np.arange(values.shape[2])
            found = describe(np.ascontiguousarray(values[i].T))
            columns = {
                **{label: [value] * len(hours) for label, value in case.labels.items()},
                "hour_index": hours,
                "hour": (start + hours) % 24,
                "quantity": [quantity] * len(hours),
                "n": found["n"].astype(np.int64),
                "mean": found["mean"],
                **{name: found[name] for name in found if name.startswith("q")},
            }
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def summary_table(ensemble: Ensemble, kpis: Iterable[str] | None = None) -> pd.DataFrame:
    """n, mean, sd, 95 % interval of the mean and quantiles of each KPI in each case."""
    import pandas as pd

    kpis = list(ensemble.measures if kpis is None else kpis)
    n_cases = len(ensemble.cases)
    if not kpis:
        return pd.DataFrame()
    values = np.concatenate([ensemble.values(kpi) for kpi in kpis])
    found = describe(values)
    labels = {
        label: [case.labels[label] for case in ensemble.cases] * len(kpis)
        for label in ensemble.cases[0].labels
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


def differences_table(ensemble: Ensemble) -> pd.DataFrame:
    """Paired differences, `strategy` less `minus`, over the replications that have both.

    excludes_zero: whether the 95 % interval of the mean difference does.
    """
    import pandas as pd

    tables = []
    kpis = ensemble.measures
    for first, second in combinations(range(len(ensemble.cases)), 2):
        pairs = [ensemble.values(kpi) for kpi in kpis]
        found = describe(np.array([values[second] - values[first] for values in pairs]))
        columns = {
            "strategy": [str(ensemble.cases[second])] * len(kpis),
            "minus": [str(ensemble.cases[first])] * len(kpis),
            "kpi": kpis,
            "n": found["n"].astype(np.int64),
            **{name: found[name] for name in ("mean", "sd", "ci95_low", "ci95_high")},
            "excludes_zero": excludes_zero(found["ci95_low"], found["ci95_high"]),
        }
        tables.append(pd.DataFrame(columns))
    names = ["strategy", "minus", "kpi", "n", "mean", "sd", "ci95_low", "ci95_high"]
    empty = pd.DataFrame(columns=[*names, "excludes_zero"])
    return pd.concat(tables, ignore_index=True) if tables else empty


def summary_dict(ensemble: Ensemble) -> dict[str, Any]:
    """The summary and the differences as plain nested data; None for what is not there."""
    strategies: dict[str, Any] = {str(case): {} for case in ensemble.cases}
    for row in summary_table(ensemble).to_dict("records"):
        values = {name: _plain(row[name]) for name in row if name not in ("strategy", "kpi")}
        strategies[row["strategy"]][row["kpi"]] = values
    rows = differences_table(ensemble).to_dict("records")
    return {
        "replications": ensemble.n,
        "stopped": ensemble.stopped,
        "failed": len(ensemble.failures),
        "strategies": strategies,
        "differences": [{str(name): _plain(row[name]) for name in row} for row in rows],
    }


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def failure_lines(ensemble: Ensemble, most: int = 10) -> list[str]:
    """What failed, in sentences; [] when nothing did."""
    failures = ensemble.failures
    if not failures:
        return []
    total = ensemble.n * len(ensemble.cases)
    lines = [f"{len(failures)} of {total} replications failed and are in no statistics:"]
    lines += [
        f"  replication {k}, seed {seed}, {case}: {error}"
        for k, seed, case, error in failures[:most]
    ]
    if len(failures) > most:
        lines.append(f"  and {len(failures) - most} more, see the column `error`")
    return lines
