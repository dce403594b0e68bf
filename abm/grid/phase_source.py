"""A three-phase network of another program as the rows of a feeder folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from abm.errors import InputError, Problem
from abm.scenario.csvio import CsvRow
from abm.scenario.feeder import read_feeder
from abm.scenario.feeder_table import FeederTable
from abm.scenario.phase_table import (
    SEQUENCE,
    CapacitorRow,
    HomeRow,
    LinecodeRow,
    PhaseBusRow,
    PhaseLineRow,
    TransformerRow,
)
from abm.scenario.yamlio import yaml_text

# File -> model of its rows, whose first column is the name of the element.
TABLES: dict[str, type[CsvRow]] = {
    "buses.csv": PhaseBusRow,
    "linecodes.csv": LinecodeRow,
    "lines.csv": PhaseLineRow,
    "transformers.csv": TransformerRow,
    "capacitors.csv": CapacitorRow,
    "homes.csv": HomeRow,
}
_OPTIONAL = ("linecodes.csv", "lines.csv", "transformers.csv", "capacitors.csv")
# Digits that a number keeps, so that 0.446 is not 0.44600000000000006.
_DIGITS = 12

Row = dict[str, Any]


@dataclass
class PhaseSource:
    """What is in another program's network.

    name: a short name. head: feeder.yaml. rows: of each of `TABLES`, as dictionaries. places: file
    and line of an element in the source, by table and name. notes: what was left out or assumed.
    """

    name: str
    head: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in TABLES})
    places: dict[tuple[str, str], tuple[str, int | None]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def names(self, table: str) -> list[str]:
        """Names of the elements of a table."""
        return [str(next(iter(row.values()))) for row in self.rows[table]]

    def files(self) -> dict[str, Any]:
        """Name -> text or table; columns that say nothing are left out."""
        import pandas as pd

        files: dict[str, Any] = {"feeder.yaml": yaml_text(self.head)}
        for name, model in TABLES.items():
            rows = self.rows[name]
            if not rows and name in _OPTIONAL:
                continue
            said = [
                column
                for column, about in model.model_fields.items()
                if about.is_required() or any(row.get(column) is not None for row in rows)
            ]
            columns = {column: [row.get(column) for row in rows] for column in said}
            files[name] = pd.DataFrame(columns, columns=pd.Index(said))
        return files

    def table(self, files: dict[str, Any], shown: str) -> FeederTable:
        """What a folder of these files is read as. shown: the source, for problems.

        Raises InputError with the place in the source of what is refused.
        """
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / self.name
            folder.mkdir()
            for name, content in files.items():
                if isinstance(content, str):
                    (folder / name).write_text(content, encoding="utf-8")
                else:
                    content.to_csv(folder / name, index=False)
            try:
                return read_feeder(folder, None)
            except InputError as error:
                problems = [self._placed(problem, shown) for problem in error.problems]
                raise InputError(problems) from None

    def _placed(self, problem: Problem, shown: str) -> Problem:
        """A problem of the folder as one of the source."""
        table = problem.file.replace("\\", "/").rpartition("/")[2]
        file, line, name = shown, None, ""
        if problem.line is not None and table in self.rows and problem.line >= 2:
            name = self.names(table)[problem.line - 2]
            file, line = self.places.get((table, name), (shown, None))
        element = f"{table.partition('.')[0].removesuffix('s').removesuffix('e')} {name}"
        hint = problem.hint or (element if name else table)
        return replace(problem, file=file, line=line, hint=hint)


@dataclass
class CodeBook:
    """Linecodes as they are met: the same matrices under the same name are one code."""

    source: PhaseSource
    found: dict[tuple[Any, ...], str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def name_of(
        self, wanted: str, z_ohm_per_km: Any, b_us_per_km: Any, ampacity_a: float | None
    ) -> str:
        """Name of the code of a line. wanted: what it is called in the source.

        z_ohm_per_km: complex [n, n]; b_us_per_km: its susceptance, float [n, n].
        """
        z, b = np.asarray(z_ohm_per_km), np.asarray(b_us_per_km)
        exact = (wanted, ampacity_a, z.tobytes(), b.tobytes())
        if exact in self.found:
            return self.found[exact]
        columns = code_columns(z, b)
        key = (wanted, ampacity_a, tuple(columns.items()))
        if key not in self.found:
            name, more = wanted, 1
            while name in self.used:
                more += 1
                name = f"{wanted}_{more}"
            self.used.add(name)
            self.found[key] = name
            row = {"linecode": name, **columns, "ampacity_a": ampacity_a}
            self.source.rows["linecodes.csv"].append(row)
        self.found[exact] = self.found[key]
        return self.found[key]


def code_columns(z: Any, b: Any) -> Row:
    """Columns of linecodes.csv: a matrix that is symmetric in its phases by sequence."""
    n = len(z)
    if n == 3:
        found = {}
        for part, matrix in (("z", z), ("b", b)):
            own, mutual = np.trace(matrix) / 3.0, matrix[[1, 2, 2], [0, 0, 1]].mean()
            like = np.full((3, 3), mutual) + np.eye(3) * (own - mutual)
            if np.abs(like - matrix).max() > 1e-9 * max(abs(own), 1e-30):
                break
            found[part] = (own - mutual, own + 2.0 * mutual)
        else:
            (z1, z0), (b1, b0) = found["z"], found["b"]
            values = [short(value) for value in (z1.real, z1.imag, z0.real, z0.imag)]
            if min(values) >= 0.0 and abs(z0) > 0.0:
                columns: Row = dict(zip(SEQUENCE, values, strict=True))
                if b.any():
                    columns |= {"b1_us_per_km": short(b1), "b0_us_per_km": short(b0)}
                return columns
    columns = {}
    for part, matrix in (("r", z.real), ("x", z.imag), ("b", b)):
        if part == "b" and not b.any():
            continue
        for one in range(n):
            for other in range(one + 1):
                columns[f"{part}_{'abc'[one]}{'abc'[other]}"] = short(matrix[one, other])
    return columns


def short(value: float) -> float:
    """A number without the digits that arithmetic has left."""
    rounded = float(f"{value:.{_DIGITS}g}")
    return rounded + 0.0  # no -0.0


def some(names: Iterable[str], most: int = 5) -> str:
    """The first of many names."""
    known = list(names)
    return ", ".join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")
