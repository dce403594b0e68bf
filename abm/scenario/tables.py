"""The tables that a scenario names: tariff, pairs of EVs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from pydantic import Field

from abm.errors import InputError, Problem, nearest
from abm.scenario.calendar import Calendar
from abm.scenario.csvio import (
    WHOLE,
    CsvRow,
    frozen,
    read_table,
)
from abm.scenario.series import Series, SeriesTable, placed
from abm.scenario.series_fields import SeriesReading
from abm.scenario.series_file import read_series
from abm.scenario.units import PRICE


class EdgeRow(CsvRow):
    """Two EVs of a feeder that see each other."""

    ev_a: Annotated[int | None, Ge(1), WHOLE] = Field(description="One, by its number from 1.")
    ev_b: Annotated[int | None, Ge(1), WHOLE] = Field(description="The other.")


@dataclass(frozen=True, eq=False)
class Tariff:
    """Price alpha on the horizon, eqs. (19)-(22).

    series: one column, in `unit`. Prices may be negative.
    """

    series: Series
    unit: str = "$/kWh"


# A day from noon, for a file that is looked at by itself.
A_DAY = Calendar("12:00", 24)


def read_tariff(
    path: Path,
    file: str,
    reading: SeriesReading | None = None,
    calendar: Calendar = A_DAY,
    field: str = "tariff.reading",
) -> Tariff:
    """Tariff from a file of a series with a column `price`. Raises InputError."""
    how = reading or SeriesReading()
    table = one_column(read_series(path, file, how, PRICE, calendar, field), "price")
    return Tariff(placed(table, calendar), table.unit)


def one_column(table: SeriesTable, name: str) -> SeriesTable:
    """The series of a table with this column and no other. Raises InputError for any other."""
    problems = []
    if name not in table.columns:
        near = nearest(name, table.columns) or "the file has: " + ", ".join(table.columns)
        problems.append(Problem(name, "", "missing column", table.file, hint=near))
    else:
        problems += [
            Problem(other, "", "unknown column", table.file, hint=f"known: {name}")
            for other in table.columns
            if other != name
        ]
    if problems:
        raise InputError(problems)
    return table


def from_one(what: str, top: int | None) -> str:
    """What numbers are, in words: a whole number from 1 to 15."""
    return f"{what} from 1" + (f" to {top}" if top is not None else "")


def read_edges(path: Path, file: str, n_evs: int | None) -> NDArray[np.int64]:
    """Pairs of EVs of a feeder, counted from 0, (m, 2), each once and the smaller first.

    file: name for problems. n_evs: EVs on a feeder, None when it is not known. Raises InputError
    with all bad rows.
    """
    words = from_one("the number of an EV on its feeder,", n_evs)
    table = read_table(path, file, EdgeRow, dict.fromkeys(EdgeRow.model_fields, words))
    pairs: set[tuple[int, int]] = set()
    for at, row in enumerate(table.rows):
        ends = []
        for column, number in (("ev_a", row.ev_a), ("ev_b", row.ev_b)):
            if number is not None and n_evs is not None and number > n_evs:
                table.refuse(at, column)
            elif number is not None:
                ends.append(number - 1)
        if len(ends) == 2 and ends[0] == ends[1]:
            table.refuse(at, "ev_b", "another EV than ev_a")
        elif len(ends) == 2:
            pairs.add((min(ends), max(ends)))
    table.check()
    return frozen(np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2))
