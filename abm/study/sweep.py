"""Sweeps: every combination of some values, or a Sobol' design over some ranges."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from abm.equations import FloatArray
from abm.errors import InputError, Problem, needs
from abm.results.kpis import plain
from abm.results.staging import Content
from abm.scenario import Scenario, parse_setting
from abm.scenario.document import field_at
from abm.scenario.document import plain as plain_value
from abm.scenario.yamlio import show
from abm.study.compare import Strategies
from abm.study.ensemble import Ensemble
from abm.study.montecarlo import strategy_cases
from abm.study.replications import Case

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

VARY = "--vary"
# Fields with their values, or ranges: as after --vary, or by field.
Vary: TypeAlias = Sequence[str] | Mapping[str, Any]
# KPIs that figures and terminal show when nobody asks for others.
INTEREST = ("peak_15min_mw", "min_vm_pu", "net_cost_usd", "evs_short")


@dataclass(frozen=True)
class FactorRange:
    """A factor of a Sobol' design: a dotted field, uniform from low to high, both included."""

    field: str
    low: float
    high: float
    whole: bool = False

    def at(self, u: FloatArray) -> list[float | int]:
        """Values at fractions u of the range, 0 <= u <= 1; each whole number is as likely."""
        if self.whole:
            steps = np.minimum(np.floor(u * (self.high - self.low + 1.0)), self.high - self.low)
            return [int(self.low + step) for step in steps]
        return [float(value) for value in self.low + u * (self.high - self.low)]


# --- the full grid -----------------------------------------------------------------------------


def parse_grid(vary: Vary) -> dict[str, list[Any]]:
    """`["a.b=1,2", "c=x,y"]` -> {"a.b": [1, 2], "c": ["x", "y"]}. Raises InputError."""
    factors: dict[str, list[Any]] = {}
    problems: list[Problem] = []
    for text in vary if not isinstance(vary, Mapping) else ():
        key, _, listed = text.partition("=")
        try:
            # Brackets make a YAML list of it; a value with a comma can be written in quotes.
            name, values = parse_setting(f"{key}=[{listed}]")
        except InputError as error:
            problems += [_as_vary(problem) for problem in error.problems]
            continue
        problems += _listing_problems(name, listed, values, name in factors)
        factors[name] = values
    for field, given in vary.items() if isinstance(vary, Mapping) else ():
        values = _listed(given)
        if values is not None:
            problems += _listing_problems(str(field), show(values), values, False)
            factors[str(field)] = values
        else:
            problems.append(Problem(str(field), show(given), "a list of values", VARY))
    if not vary:
        problems.append(Problem(VARY, "", "a field and its values: fleet.evs_per_zone=20,40,80"))
    if problems:
        raise InputError(problems)
    return factors


def _listed(values: Any) -> list[Any] | None:
    """Values as plain data, of a list, a range or an array; None where they are none of these."""
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        return None
    return [plain_value(value) for value in values]


def _listing_problems(name: str, listed: str, values: list[Any], again: bool) -> list[Problem]:
    problems = []
    if again:
        problems.append(Problem(name, listed, "each field once", VARY))
    if not values or any(value is None and "null" not in listed for value in values):
        problems.append(Problem(name, listed, "values with a comma between, such as 20,40", VARY))
    elif len({repr(value) for value in values}) < len(values):
        problems.append(Problem(name, listed, "each value once", VARY))
    if any(".." in str(value) for value in values):
        problems.append(
            Problem(name, listed, "values; a range such as 1..2 goes with --design sobol:N", VARY)
        )
    return problems


def grid_cases(
    scenario: Scenario, factors: Mapping[str, Sequence[Any]], strategies: Strategies | None
) -> list[Case]:
    """A case for every combination of values and strategy. Raises InputError with all problems."""
    points = [dict(zip(factors, values, strict=True)) for values in product(*factors.values())]
    return _cases(scenario, points, strategies)


def _cases(
    scenario: Scenario, points: Sequence[Mapping[str, Any]], strategies: Strategies | None
) -> list[Case]:
    if strategies is not None and any("strategy" in point for point in points):
        raise InputError([Problem("strategy", "", "either --strategies or --vary strategy", VARY)])
    cases, problems = [], []
    for point in points:
        try:
            varied = scenario.override(point)
        except InputError as error:
            problems += [_as_vary(problem) for problem in error.problems]
        else:
            if not problems:
                at_point = {name: _label(value) for name, value in point.items()}
                at_point.pop("strategy", None)
                cases += [
                    Case({**at_point, **case.labels}, case.scenario)
                    for case in strategy_cases(varied, strategies)
                ]
    if problems:
        raise InputError(dict.fromkeys(problems))
    return cases


def _label(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, int, float)) else show(value)


def _as_vary(problem: Problem) -> Problem:
    if problem.field == "--set":
        return replace(problem, field=VARY)
    ours = problem.file == "override" or problem.file.startswith("--set ")
    return replace(problem, file=VARY, line=None) if ours else problem


# --- a Sobol' design ---------------------------------------------------------------------------


def parse_design(text: str) -> int:
    """`sobol:256` -> 256. Raises InputError."""
    match = re.fullmatch(r"sobol:(\d+)", text.strip())
    size = int(match[1]) if match else 0
    if size < 2 or size & (size - 1):
        allowed = "sobol:N with a power of two, such as sobol:256"
        raise InputError([Problem("--design", text, allowed)])
    return size


def parse_ranges(vary: Vary) -> list[FactorRange]:
    """`["ev.efficiency=0.85..0.98"]` -> [FactorRange(...)]. Raises InputError with all problems."""
    ranges: list[FactorRange] = []
    problems: list[Problem] = []
    if isinstance(vary, Mapping):
        vary = [
            f"{name}={ends if isinstance(ends, str) else '..'.join(map(str, _listed(ends) or ()))}"
            for name, ends in vary.items()
        ]
    for text in vary:
        key, _, written = text.partition("=")
        name, ends = key.strip(), [_number(end) for end in written.split("..")]
        declared = field_at(tuple(name.split(".")))
        if len(ends) != 2 or None in ends:
            problems.append(Problem(name, written, "a range of numbers such as 0.85..0.98", VARY))
            continue
        low, high = (float(end) for end in ends if end is not None)
        whole = declared is not None and declared.annotation is int
        if low >= high:
            problems.append(Problem(name, written, "a range from low to high", VARY))
        elif whole and not (low.is_integer() and high.is_integer()):
            problems.append(Problem(name, written, "a range of whole numbers", VARY))
        elif name in (other.field for other in ranges):
            problems.append(Problem(name, written, "each field once", VARY))
        ranges.append(FactorRange(name, low, high, whole))
    if len(vary) < 2:
        problems.append(Problem(VARY, "", "at least two ranges, such as ev.efficiency=0.85..0.98"))
    if problems:
        raise InputError(problems)
    return ranges


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def sobol_cases(
    scenario: Scenario, ranges: Sequence[FactorRange], size: int, strategies: Strategies | None
) -> list[Case]:
    """A case for every point of the design and strategy. Raises InputError with all problems."""
    # The ends of the ranges first: what is wrong shows there, and not a thousand times.
    ends = [{r.field: r.at(np.array([u]))[0]} for r in ranges for u in (0.0, 1.0)]
    _cases(scenario, ends, None)
    return _cases(scenario, sobol_points(ranges, size, scenario.seed), strategies)


def sobol_points(ranges: Sequence[FactorRange], size: int, seed: int) -> list[dict[str, Any]]:
    """Size x (number of ranges + 2) points of Saltelli's scheme, the same for the same seed."""
    try:
        from SALib.sample.sobol import sample
    except ImportError:
        allowed = needs("SALib", "sobol")
        raise InputError([Problem("--design", f"sobol:{size}", allowed)]) from None
    unit = sample(_problem(ranges), size, calc_second_order=False, seed=seed)
    columns = [r.at(unit[:, i]) for i, r in enumerate(ranges)]
    names = [r.field for r in ranges]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def sobol_indices(ranges: Sequence[FactorRange], y: FloatArray, seed: int) -> pd.DataFrame:
    """First-order and total index of each factor with the half-width of its 95 % interval.

    y: one value per point of the design. Where it does not vary, or is missing anywhere, there are
    no indices and they are NaN. The intervals are bootstrapped.
    """
    import pandas as pd
    from SALib.analyze.sobol import analyze

    names = [r.field for r in ranges]
    columns = ("S1", "S1_conf", "ST", "ST_conf")
    scale = float(np.max(np.abs(y))) if np.isfinite(y).all() else np.nan
    if not np.isfinite(scale) or np.ptp(y) <= 1e-9 * scale:
        return pd.DataFrame({"factor": names, **dict.fromkeys(columns, np.nan)})
    generator = np.random.SeedSequence(seed).generate_state(1)[0]
    found = analyze(_problem(ranges), y, calc_second_order=False, seed=int(generator))
    return pd.DataFrame({"factor": names, **{name: found[name] for name in columns}})


def _problem(ranges: Sequence[FactorRange]) -> dict[str, Any]:
    return {
        "num_vars": len(ranges),
        "names": [r.field for r in ranges],
        "bounds": [[0.0, 1.0]] * len(ranges),
    }


def sobol_table(ensemble: Ensemble, ranges: Sequence[FactorRange], seed: int) -> pd.DataFrame:
    """Indices of every KPI that varies, per strategy; the mean over the replications is studied."""
    import pandas as pd

    strategies = [case.labels["strategy"] for case in ensemble.cases]
    tables = []
    for strategy in dict.fromkeys(strategies):
        rows = np.array([name == strategy for name in strategies])
        for kpi in ensemble.measures:
            y = ensemble.values(kpi)[rows].mean(axis=1)
            table = sobol_indices(ranges, y, seed)
            if table["ST"].notna().any() or np.isnan(y).any():
                table.insert(0, "strategy", strategy)
                table.insert(1, "kpi", kpi)
                tables.append(table)
    names = ["strategy", "kpi", "factor", "S1", "S1_conf", "ST", "ST_conf"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=names)


# --- what is left on disk ----------------------------------------------------------------------


def sweep_tables(
    ensemble: Ensemble, ranges: Sequence[FactorRange], seed: int
) -> dict[str, pd.DataFrame]:
    """The table `summary`, and of a Sobol' design `sobol`; ranges: empty for a grid."""
    tables = {"summary": ensemble.summary}
    if ranges:
        tables["sobol"] = sobol_table(ensemble, ranges, seed)
    return tables


def sweep_files(
    ensemble: Ensemble, scenario: Scenario, tables: Mapping[str, pd.DataFrame]
) -> Iterator[tuple[str, Content]]:
    """What `sweep` leaves besides its figures, by name of the file."""
    rows = _point_by_point(ensemble)
    yield "scenario.yaml", scenario.to_yaml()
    yield "sweep.parquet", rows
    yield "sweep.csv", _flat(rows)
    for name, table in tables.items():
        yield f"{name}.csv", table


def _point_by_point(ensemble: Ensemble) -> pa.Table:
    """Factors, strategy and replication in front, point by point."""
    table = ensemble.replications
    labels = list(ensemble.cases[0].labels)
    rest = [name for name in table.column_names if name not in labels]
    n_cases = len(ensemble.cases)
    order = np.arange(ensemble.n * n_cases).reshape(ensemble.n, n_cases).T.ravel()
    return table.select([*labels, *rest]).take(order)


def _flat(table: pa.Table) -> pd.DataFrame:
    """The table for a CSV; lists become text with spaces between."""
    import pyarrow as pa

    frame: pd.DataFrame = table.to_pandas()
    for field in table.schema:
        if pa.types.is_list(field.type):
            joined = [
                None if row is None else " ".join(map(str, row))
                for row in table[field.name].to_pylist()
            ]
            frame[field.name] = joined
    return frame


def sweep_summary(ensemble: Ensemble, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """The tables as plain data; None for what is not there."""
    plain_tables = {
        name: [{str(key): plain(row[key]) for key in row} for row in table.to_dict("records")]
        for name, table in tables.items()
    }
    return {"replications": ensemble.n, "failed": len(ensemble.failures), **plain_tables}
