"""What the readers of feeder folders share: feeder.yaml as written, tables, customer classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from abm.errors import InputError, Problem, nearest
from abm.scenario.csvio import RowT, Table, read_table
from abm.scenario.fields import Section, allowed
from abm.scenario.names import display
from abm.scenario.yamlio import Lines, read_yaml_file, show


@dataclass(frozen=True)
class WrittenHead:
    """feeder.yaml as it is written. file: its name in problems, which go to `problems`."""

    data: Mapping[str, Any]
    lines: Lines
    file: str
    problems: list[Problem]

    def refuse(self, key: str, said: str, hint: str = "") -> None:
        """Note that a key is wrong, or missing."""
        shown = show(self.data[key]) if key in self.data else ""
        line = self.lines.get((key,))
        self.problems.append(Problem(key, shown, said, self.file, line, hint))

    def good(self, model: type[Section]) -> dict[str, Any]:
        """What the model allows of it; the rest is noted, and so is what is missing."""
        known = model.model_fields
        good = dict(self.data)
        try:
            model.model_validate(good)
        except ValidationError as error:
            for key in dict.fromkeys(str(item["loc"][0]) for item in error.errors()):
                if good.pop(key, None) is None and key not in self.data:
                    self.refuse(key, f"missing; {allowed(known[key])}")
                elif key in known:
                    self.refuse(key, allowed(known[key]))
                else:
                    near = nearest(key, list(known)) or "known: " + ", ".join(known)
                    self.refuse(key, "unknown field", near)
        return good


def read_head(path: Path, problems: list[Problem]) -> WrittenHead | None:
    """A mapping out of a YAML file; None, and the problem noted, where there is none."""
    file = display(path)
    try:
        data, lines = read_yaml_file(path, file)
        if not isinstance(data, dict):
            raise InputError([Problem("file", "", "a mapping", file)])
    except InputError as error:
        problems += error.problems
        return None
    return WrittenHead(data, lines, file, problems)


def read_rows(path: Path, model: type[RowT], problems: list[Problem]) -> Table[RowT] | None:
    """The table; None, and its problems noted, where there is none to look at."""
    try:
        return read_table(path, display(path), model)
    except InputError as error:
        problems += error.problems
        return None


def check_classes(table: Table[RowT], column: str, classes: tuple[str, ...] | None) -> None:
    """Note the classes that are not in `classes`, each once."""
    unknown: set[str] = set()
    for at, row in enumerate(table.rows):
        name = getattr(row, column)
        if name is not None and classes is not None and name not in {*classes, *unknown}:
            unknown.add(name)
            said = f"a class of the load profile: {', '.join(classes)}; or base_load.class_profiles"
            table.refuse(at, column, said, nearest(name, classes))
