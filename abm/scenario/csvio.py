"""CSV tables with the line number of every row, and all their problems at once.

UTF-8 (a byte order mark is tolerated), comma separated; lines that begin with `#` are comments,
blank lines are skipped.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from abm.errors import InputError, Problem, nearest
from abm.scenario.yamlio import read_text

_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_UNIT = re.compile(r"#\s*unit:\s*(\S.*)")


@dataclass
class Row:
    """The cells of one row under their column names, stripped, and the row's line."""

    line: int
    cells: dict[str, str]


@dataclass
class Table:
    """A CSV file as read. `problems` grows while the cells are looked at.

    file: name that problems carry. unit: of a comment `# unit: ...`, or "".
    """

    file: str
    columns: tuple[str, ...] = ()
    header_line: int | None = None
    rows: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unit: str = ""

    def refuse(
        self, line: int | None, column: str, value: str, allowed: str, hint: str = ""
    ) -> None:
        """Note one problem; value is shown as it stands in the file."""
        self.problems.append(Problem(column, _shown(value), allowed, self.file, line, hint))

    def number(self, row: Row, column: str, allowed: str = "a number") -> float | None:
        """The finite number in a cell; None, and a problem noted, when there is none."""
        text = row.cells[column]
        if _NUMBER.fullmatch(text):
            value = float(text)
            if math.isfinite(value):
                return value
        if text == "":
            self.refuse(row.line, column, "", f"missing; {allowed}")
        else:
            self.refuse(row.line, column, text, allowed)
        return None

    def whole(self, row: Row, column: str, allowed: str) -> int | None:
        """The whole number in a cell ("3" or "3.0"); None, and a problem noted, without one."""
        value = self.number(row, column, allowed)
        if value is None:
            return None
        if not value.is_integer():
            self.refuse(row.line, column, row.cells[column], allowed)
            return None
        return int(value)


def _shown(value: str) -> str:
    return value if len(value) <= 60 else value[:57] + "..."


class _Lines:
    """The lines of a CSV without comments; knows where the row being read began."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.first: int | None = None
        self.unit = ""

    def __iter__(self) -> Iterator[str]:
        for number, line in enumerate(self.text.split("\n"), start=1):
            if line.startswith("#"):
                if match := _UNIT.match(line):
                    self.unit = match[1].strip()
                continue
            if not line.strip():
                continue
            if self.first is None:
                self.first = number
            yield line.rstrip("\r") + "\n"


def read_table(
    path: Path, file: str, required: Sequence[str], optional: Sequence[str] = (), free: bool = False
) -> Table:
    """Read a CSV whose first row names its columns.

    file: name for problems. free: columns beyond those named are allowed. Raises InputError when
    there is no table to look at; rows with a wrong number of cells are noted and left out.
    """
    lines = _Lines(read_text(path, file))
    table = Table(file)
    reader = csv.reader(iter(lines), strict=True, skipinitialspace=True)
    try:
        for cells in reader:
            line = lines.first
            lines.first = None
            if table.header_line is None:
                _header(table, [cell.strip() for cell in cells], line, required, optional, free)
            elif len(cells) != len(table.columns):
                said = f"{len(table.columns)} cells, one for each column"
                table.refuse(line, "row", f"{len(cells)} cells", said)
            else:
                values = map(str.strip, cells)
                table.rows.append(Row(line or 0, dict(zip(table.columns, values, strict=True))))
    except csv.Error as error:
        table.refuse(lines.first, "row", "", f"cannot be read as CSV: {error}")
        raise InputError(table.problems) from None
    if table.header_line is None:
        raise InputError([Problem("file", "", _first_row(required, free), file)])
    if not table.rows and not table.problems:
        table.refuse(table.header_line, "row", "", "at least one row below the column names")
    table.unit = lines.unit
    return table


def _first_row(required: Sequence[str], free: bool) -> str:
    return "empty; a first row with the columns " + ", ".join(required) + (", ..." if free else "")


def _header(
    table: Table,
    columns: list[str],
    line: int | None,
    required: Sequence[str],
    optional: Sequence[str],
    free: bool,
) -> None:
    table.header_line = line
    table.columns = tuple(columns)
    missing = [name for name in required if name not in columns]
    if missing and len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
        table.refuse(line, "columns", columns[0], "columns separated by commas")
        raise InputError(table.problems)
    for name in missing:
        table.refuse(line, name, "", "missing column")
    known = [*required, *optional]
    for index, name in enumerate(columns):
        if name in columns[:index]:
            table.refuse(line, "columns", name, "each column once")
        elif name == "":
            table.refuse(line, "columns", "", f"a name for column {index + 1}")
        elif name not in known and not free:
            near = nearest(name, known) or "known: " + ", ".join(known)
            table.refuse(line, name, "", "unknown column", near)
    if table.problems:
        # Without the right columns every row would be wrong as well.
        raise InputError(table.problems)
