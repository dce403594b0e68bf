"""The cells of a file of a series: columns, numbers and units, with their lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.errors import InputError, Problem, nearest
from abm.scenario.series_fields import SeriesReading
from abm.scenario.units import Quantity
from abm.scenario.yamlio import limit_mb, read_text

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


TIME_COLUMNS = ("time", "timestamp", "datetime", "date", "hour")


# How many lines a problem that many lines share is said of.
MOST_LINES = 10


_HEADER_UNIT = re.compile(r"(.*?)\s*[\[(]([^\[\]()]+)[\])]")


_COMMENT_UNIT = re.compile(r"#\s*unit:\s*(\S.*)")


_EMPTY = frozenset(("", "nan", "na", "n/a", "null", "none", "-"))


@dataclass
class SeriesFile:
    """Cells as they stand. lines: of each row; problems grow while it is looked at."""

    name: str
    columns: list[str]
    cells: list[Any]
    lines: Sequence[int]
    header_line: int | None
    unit: str = ""
    units: dict[str, str] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def note(self, column: str, value: Any, said: str, line: int | None = None) -> None:
        """Note a problem."""
        self.problems.append(Problem(column, str(value), said, self.name, line))

    def note_rows(self, column: str, rows: IntArray, said: str, values: Any) -> None:
        """A problem for the first rows of many, and how many more there are."""
        self.refused |= set(rows.tolist())
        for row in rows[:MOST_LINES]:
            self.note(column, values[row], said, self.lines[row])
        if len(rows) > MOST_LINES:
            self.note(column, "", f"{said}; and {len(rows) - MOST_LINES} lines more")

    def check(self) -> None:
        """Raise InputError where there are problems."""
        if self.problems:
            raise InputError(self.problems)


def read_csv(path: Path, file: str, reading: SeriesReading, field_of: str) -> SeriesFile:
    """The cells of a CSV. Raises InputError where there is no table to look at."""
    text = read_text(path, file)
    unit, kept, lines = "", [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.startswith("#"):
            if match := _COMMENT_UNIT.match(line):
                unit = match[1].strip()
        elif line.strip():
            kept.append(line.rstrip("\r"))
            lines.append(number)
    if not kept:
        raise InputError([Problem("file", "", "empty; a row with the names of columns", file)])
    delimiter = {"tab": "\t"}.get(reading.delimiter, reading.delimiter)
    try:
        rows = list(csv.reader(kept, delimiter=delimiter, strict=True, skipinitialspace=True))
    except csv.Error as error:
        raise InputError([Problem("file", "", f"cannot be read as CSV: {error}", file)]) from None
    header = [name.strip() for name in rows[0]]
    other = {",": ";", ";": ",", "\t": ","}[delimiter]
    if len(header) == 1 and (other in kept[0] or "\t" in kept[0]):
        is_tab = "\t" in kept[0]
        said = f"cells separated by {reading.delimiter!r}; or in the scenario "
        said += f"{field_of}.delimiter: {'tab' if is_tab else repr(other)}"
        raise InputError([Problem("columns", kept[0][:60], said, file, lines[0])])
    if len(rows) != len(kept):
        said = "one row on each line: no cell with a line break in it"
        raise InputError([Problem("row", "", said, file)])
    wrong = [i for i, row in enumerate(rows) if len(row) != len(header)]
    found = SeriesFile(file, header, [], lines[1:], lines[0], unit)
    for i in wrong[:MOST_LINES]:
        said = f"{len(header)} cells, one for each column"
        found.note("row", f"{len(rows[i])} cells", said, lines[i])
    if wrong:
        leave = set(wrong)
        rows = [row for i, row in enumerate(rows) if i not in leave]
        found.lines = [line for i, line in enumerate(lines) if i and i not in leave]
    if len(rows) == 1:
        found.note("row", "", "at least one row below the names of columns", lines[0])
    for at, name in enumerate(header):
        if name in header[:at] or not name:
            said = "each column once" if name else f"a name for column {at + 1}"
            found.note("columns", name, said, lines[0])
    if len(rows) == 1 or len(set(header)) < len(header) or "" in header:
        raise InputError(found.problems)
    found.cells = list(zip(*rows[1:], strict=True))
    return found


def read_parquet(path: Path, file: str, reading: SeriesReading) -> SeriesFile:
    """The columns of a parquet file; rows count from 1. Raises InputError."""
    import pandas as pd

    if path.stat().st_size > limit_mb() * 1e6:
        said = f"a file of at most {limit_mb():g} MB"
        raise InputError([Problem("file", "", said, file)])
    try:
        frame = pd.read_parquet(path)
    except Exception as error:  # pyarrow has a tree of its own for what is wrong with a file
        said = f"cannot be read as parquet: {' '.join(str(error).split())[:200]}"
        raise InputError([Problem("file", "", said, file)]) from None
    if isinstance(frame.index, pd.DatetimeIndex):
        frame = frame.reset_index(names=[reading.time_column or "time"])
    columns = [str(name) for name in frame.columns]
    rows = range(1, len(frame) + 1)
    found = SeriesFile(file, columns, [frame.iloc[:, i] for i in range(len(columns))], rows, None)
    if not len(frame):
        found.note("row", "", "at least one row")
    found.check()
    return found


def rename(found: SeriesFile, reading: SeriesReading, field_of: str) -> None:
    """Units out of the names of columns, and the names that the scenario gives them."""
    for at, name in enumerate(found.columns):
        if match := _HEADER_UNIT.fullmatch(name):
            found.columns[at] = name = match[1].strip()
            found.units[name] = match[2].strip()
    for old, new in reading.columns.items():
        if old not in found.columns:
            near = nearest(old, found.columns) or "the file has: " + ", ".join(found.columns)
            said = f"a column of {found.name}"
            found.problems.append(Problem(f"{field_of}.columns", old, said, hint=near))
            continue
        found.columns[found.columns.index(old)] = new
        if old in found.units:
            found.units[new] = found.units.pop(old)
    if reading.columns:
        found.check()


def time_column(found: SeriesFile, reading: SeriesReading) -> str:
    """Name of the column of the time. Raises InputError where there is none."""
    wanted = [reading.time_column] if reading.time_column else list(TIME_COLUMNS)
    lower = {name.lower(): name for name in reversed(found.columns)}
    for name in wanted:
        if name in found.columns or name.lower() in lower:
            chosen = name if name in found.columns else lower[name.lower()]
            if chosen.lower() == "hour":
                found.columns[found.columns.index(chosen)] = chosen = "hour"
            return chosen
    found.note(wanted[0], "", "missing column; " + ", ".join(found.columns), found.header_line)
    raise InputError(found.problems)


def numbers(
    found: SeriesFile,
    column: str,
    values: Any,
    decimal: str,
    hint: str = "",
    least: float = -np.inf,
) -> FloatArray:
    """Numbers of a column, NaN where a cell is empty; anything else is noted."""
    if hasattr(values, "to_numpy"):
        kind = values.dtype.kind
        if kind in "iufb":
            values = values.to_numpy(dtype=np.float64, copy=True)
            low = np.flatnonzero((values < least) | np.isinf(values))
            found.note_rows(column, low, f"a finite number, at least {least:g}", values)
            return np.asarray(values)
        values = ["" if value is None or value != value else str(value) for value in values]
    out = np.full(len(values), np.nan)
    wrong = []
    for at, cell in enumerate(values):
        text = cell.strip()
        if decimal == ",":
            text = text.replace(",", ".")
        try:
            out[at] = float(text) if text.lower() not in _EMPTY else np.nan
        except ValueError:
            wrong.append(at)
    wrong += np.flatnonzero(np.isinf(out) | (out < least)).tolist()
    if wrong:
        said = "a number" if least == -np.inf else f"a number, at least {least:g}"
        if all(re.fullmatch(r"-?\d+,\d+", str(values[at]).strip()) for at in wrong[:MOST_LINES]):
            said += f" with a decimal point; or in the scenario {hint}.decimal: ','"
        found.note_rows(column, np.array(sorted(wrong)), said, values)
    return out


def wide_values(
    found: SeriesFile,
    taken: Sequence[str],
    reading: SeriesReading,
    field_of: str,
    least: float = -np.inf,
) -> tuple[list[str], FloatArray]:
    """Names and values, (rows, m), of all columns but those taken."""
    names = [name for name in found.columns if name not in taken]
    if not names:
        found.note("columns", "", "at least one column of values", found.header_line)
        found.check()
    at = [found.columns.index(name) for name in names]
    columns = [
        numbers(found, name, found.cells[i], reading.decimal, field_of, least)
        for i, name in zip(at, names, strict=True)
    ]
    return names, np.stack(columns, axis=1)


def converted(
    found: SeriesFile, names: list[str], values: FloatArray, reading: SeriesReading,
    quantity: Quantity, step_s: int,
) -> str:  # fmt: skip
    """Turn the values into the unit of the quantity, in place; returns that unit."""
    units = set()
    for at, name in enumerate(names):
        written = reading.unit or found.units.get(name) or found.unit or quantity.unit
        known = quantity.factor(written, step_s / 3600.0)
        if known is None:
            said = f"a unit of {quantity.word}: {quantity.words}"
            found.note("unit", written, said, found.header_line)
            continue
        unit, factor, offset = known
        units.add(unit)
        if factor != 1.0 or offset:
            values[:, at] = values[:, at] * factor + offset
        high = np.nanmax(np.abs(values[:, at]), initial=0.0)
        if high > quantity.most:
            said = f"{quantity.word} of at most {quantity.most:g} {unit}; is it in {unit}?"
            found.note(name, f"{high:.6g}", said, found.header_line)
        mean, likely = np.nanmean(np.abs(values[:, at])), quantity.mean_most.get(unit, np.inf)
        if mean > likely:
            of = "" if unit == "-" else f" {unit}"
            said = f"{quantity.word} with a mean of at most {likely:g}{of}; {quantity.doubt}"
            found.note(name, f"{mean:.6g} on average", said, found.header_line)
    if len(units) > 1:
        found.note("unit", ", ".join(sorted(units)), "one unit for all columns", found.header_line)
    found.check()
    return units.pop()
