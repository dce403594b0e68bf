"""CSV tables: every row through a pydantic model, and all problems at once, each with its line.

UTF-8 (a byte order mark is tolerated), comma separated; lines that begin with `#` are comments,
blank lines are skipped. A model has one field for each column, which says what a cell has to be:

    capacity_kwh: Annotated[float | None, Gt(0), NUMBER] = Field(description="Capacity; kWh.")
"""

from __future__ import annotations

import csv
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from abm.errors import InputError, Problem, nearest
from abm.scenario.fields import allowed
from abm.scenario.yamlio import MAX_INPUT_MB, limit_mb, read_text

_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_UNIT = re.compile(r"#\s*unit:\s*(\S.*)")
# A row takes about a kB of memory, however short it is in the file.
_ROWS_PER_MB = 10_000
_EXACT = 2**53  # a float holds every whole number up to here
_T = TypeVar("_T", bound=np.generic)
_Key = TypeVar("_Key", bound=Hashable)


def _number(cell: str | None) -> float | str | None:
    return float(cell) if cell and _NUMBER.fullmatch(cell) else cell


def _whole(cell: str | None) -> int | str | None:
    value = _number(cell)
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return cell


# In a field's Annotated, behind its bounds: a finite number; a whole one ("3" or "3.0"); empty or
# what else the field says.
NUMBER = BeforeValidator(_number)
WHOLE = BeforeValidator(_whole)
OR_EMPTY = BeforeValidator(lambda cell: cell or None)


class CsvRow(BaseModel):
    """One row. A cell is None when it was refused, or is empty and may be."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    # What the cells of columns without a field have to be, in words; "" when there are none.
    OTHER_COLUMNS: ClassVar[str] = ""


RowT = TypeVar("RowT", bound=CsvRow)


@dataclass
class Table(Generic[RowT]):
    """A CSV file as read. `problems` grows while the rows are looked at.

    file: name that problems carry. words: column -> what a cell has to be. rows, with the line and
    the cells of each as they stand. unit: of a comment `# unit: ...`, or "".
    """

    file: str
    words: dict[str, str]
    columns: tuple[str, ...] = ()
    header_line: int | None = None
    rows: list[RowT] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    cells: list[dict[str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unit: str = ""

    def note(self, line: int | None, column: str, value: str, allowed: str, hint: str = "") -> None:
        """Note a problem; a long value is cut."""
        shown = value if len(value) <= 60 else value[:57] + "..."
        self.problems.append(Problem(column, shown, allowed, self.file, line, hint))

    def refuse(self, at: int, column: str, allowed: str = "", hint: str = "") -> None:
        """Note that a cell of row `at` is wrong, by the words of its column if none are given."""
        cell = self.cells[at][column]
        said = allowed or self.words[column]
        self.note(self.lines[at], column, cell, said if cell else f"missing; {said}", hint)

    def each_once(self, column: str, keys: Iterable[_Key | None], said: str) -> dict[_Key, int]:
        """Row of every key, one key for each row, None for none. A key that comes again is refused.

        said: what is allowed, with {} for the line on which the key was first.
        """
        first: dict[_Key, int] = {}
        for at, key in enumerate(keys):
            if key is not None and first.setdefault(key, at) != at:
                self.refuse(at, column, said.format(self.lines[first[key]]))
        return first

    def check(self) -> None:
        """Raise InputError when there are problems."""
        if self.problems:
            raise InputError(self.problems)

    def column(self, name: str, kind: type[_T], empty: float | str = 0) -> NDArray[_T]:
        """The values of a column, read-only. kind: dtype. empty: what an empty cell stands for."""
        values = (getattr(row, name) for row in self.rows)
        return frozen(np.array([empty if value is None else value for value in values], kind))


def frozen(array: NDArray[_T]) -> NDArray[_T]:
    """The array, made read-only."""
    array.setflags(write=False)
    return array


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
    path: Path, file: str, model: type[RowT], words: Mapping[str, str] | None = None
) -> Table[RowT]:
    """Read a CSV whose first row names its columns, those of the model.

    file: name for problems. words: what a cell has to be, for columns whose model cannot know it.
    Raises InputError when there is no table to look at; cells that are wrong are noted and None,
    rows with a wrong number of cells are noted and left out.
    """
    said = {name: allowed(column, null=False) for name, column in model.model_fields.items()}
    lines = _Lines(read_text(path, file))
    table: Table[RowT] = Table(file, {**said, **(words or {})})
    reader = csv.reader(iter(lines), strict=True, skipinitialspace=True)
    most = int(limit_mb() * _ROWS_PER_MB)
    try:
        for cells in reader:
            line, lines.first = lines.first, None
            if len(table.cells) + len(table.problems) >= most:
                few = f"at most {most} rows; {MAX_INPUT_MB} in the environment allows more"
                raise InputError([Problem("row", "", few, file, line)])
            if table.header_line is None:
                _header(table, [cell.strip() for cell in cells], line, model)
            elif len(cells) != len(table.columns):
                wanted = f"{len(table.columns)} cells, one for each column"
                table.note(line, "row", f"{len(cells)} cells", wanted)
            else:
                table.lines.append(line or 0)
                table.cells.append(dict(zip(table.columns, map(str.strip, cells), strict=True)))
    except csv.Error as error:
        table.note(lines.first, "row", "", f"cannot be read as CSV: {error}")
        raise InputError(table.problems) from None
    if table.header_line is None:
        more = ", ..." if model.OTHER_COLUMNS else ""
        first = "empty; a first row with the columns " + ", ".join(_required(model)) + more
        raise InputError([Problem("file", "", first, file)])
    if not table.cells and not table.problems:
        table.note(table.header_line, "row", "", "at least one row below the column names")
    table.unit = lines.unit
    _validate(table, model)
    return table


def _validate(table: Table[RowT], model: type[RowT]) -> None:
    # Which row model it is is known when it runs, and mypy takes types as they are written.
    adapter = TypeAdapter(list[model])  # type: ignore[valid-type]
    rows: list[dict[str, Any]] = list(table.cells)
    try:
        table.rows = adapter.validate_python(rows)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_context=False, include_input=False):
            at, column = int(item["loc"][0]), str(item["loc"][1])
            table.refuse(at, column)
            rows[at] = {**rows[at], column: None}
        table.rows = adapter.validate_python(rows)


def _required(model: type[CsvRow]) -> list[str]:
    return [name for name, column in model.model_fields.items() if column.is_required()]


def _header(table: Table[RowT], columns: list[str], line: int | None, model: type[RowT]) -> None:
    table.header_line = line
    table.columns = tuple(columns)
    missing = [name for name in _required(model) if name not in columns]
    if missing and len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
        table.note(line, "columns", columns[0], "columns separated by commas")
        table.check()
    for name in missing:
        table.note(line, name, "", "missing column")
    known = list(model.model_fields)
    for index, name in enumerate(columns):
        if name in columns[:index]:
            table.note(line, "columns", name, "each column once")
        elif name == "":
            table.note(line, "columns", "", f"a name for column {index + 1}")
        elif name not in known and not model.OTHER_COLUMNS:
            near = nearest(name, known) or "known: " + ", ".join(known)
            table.note(line, name, "", "unknown column", near)
        table.words.setdefault(name, model.OTHER_COLUMNS)
    # Without the right columns every row would be wrong as well.
    table.check()
