"""The hourly tables that a scenario names: class load profile and tariff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from abm.errors import InputError
from abm.scenario.csvio import Row, Table, read_table

HOURS = 24
_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class LoadProfile:
    """Demand by customer class and hour.

    classes: names. multiplier: float64[24, n_classes], of the nominal load of a bus [-]; row h
    covers h:00 to h+1:00.
    """

    classes: tuple[str, ...]
    multiplier: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tariff:
    """Hourly price alpha(h), eqs. (19)-(22).

    price: float64[24], in `unit`; entry h covers h:00 to h+1:00. Prices may be negative.
    """

    price: NDArray[np.float64]
    unit: str = "$/kWh"


def read_profile(path: Path, file: str) -> LoadProfile:
    """Load profile from a CSV `hour, <class>...`. file: name for problems. Raises InputError."""
    table = read_table(path, file, ["hour"], free=True)
    classes = tuple(name for name in table.columns if name != "hour")
    if not classes:
        table.refuse(table.header_line, "columns", "", "one column for each customer class")
    values = _by_hour(table, classes, minimum=0.0)
    if table.problems:
        raise InputError(table.problems)
    return LoadProfile(classes, values)


def read_tariff(path: Path, file: str) -> Tariff:
    """Tariff from a CSV `hour, price`; the unit from a comment `# unit: ...`. Raises InputError."""
    table = read_table(path, file, ["hour", "price"])
    values = _by_hour(table, ["price"], minimum=None)
    if table.problems:
        raise InputError(table.problems)
    return Tariff(frozen(values[:, 0].copy()), table.unit or "$/kWh")


def frozen(array: NDArray[_T]) -> NDArray[_T]:
    """The array, made read-only."""
    array.setflags(write=False)
    return array


def _by_hour(table: Table, columns: Sequence[str], minimum: float | None) -> NDArray[np.float64]:
    """float64[24, n_columns]; every hour has to be there once, in any order."""
    values = np.full((HOURS, len(columns)), np.nan)
    seen: dict[int, Row] = {}
    words = "a number" if minimum is None else f"a number, at least {minimum:g}"
    for row in table.rows:
        hour = table.whole(row, "hour", "a whole number from 0 to 23")
        if hour is not None and not 0 <= hour < HOURS:
            table.refuse(row.line, "hour", row.cells["hour"], "a whole number from 0 to 23")
            hour = None
        if hour is not None and hour in seen:
            said = f"each hour once; it is on line {seen[hour].line} already"
            table.refuse(row.line, "hour", row.cells["hour"], said)
        for index, column in enumerate(columns):
            value = table.number(row, column, words)
            if value is not None and minimum is not None and value < minimum:
                table.refuse(row.line, column, row.cells[column], words)
            elif value is not None and hour is not None:
                values[hour, index] = value
        if hour is not None:
            seen.setdefault(hour, row)
    missing = [str(hour) for hour in range(HOURS) if hour not in seen]
    if missing and not table.problems:
        table.refuse(None, "hour", "", "missing: " + ", ".join(missing))
    return frozen(values)
