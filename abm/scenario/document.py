"""A scenario as it was written: plain data, and where each value came from.

Values that are laid over it, by a file that extends another (`abm.scenario.reading`) or by `--set`.
Where a path leads in the schema, and the problem of the value that stands there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any, get_args, get_origin

import numpy as np
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from abm.errors import InputError, Problem, nearest
from abm.scenario.fields import allowed, keys_of, known_names, named_section_of, section_of
from abm.scenario.names import shipped_dir
from abm.scenario.schema import ScenarioFields, StrategySpec
from abm.scenario.trust import in_trusted_folder
from abm.scenario.yamlio import Path, dotted, parse_yaml, show

_KEY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_FREE = {
    ("strategy", "rule_options"),
    ("strategy", "admission_options"),
    ("owners", "behaviour_options"),
}


@dataclass(frozen=True)
class Origin:
    """Where a value was written.

    file: name for problems, "" for a scenario made in code. line: from 1, or None.
    base: folder that a relative path in the value starts from. rank: later writings are higher.
    of_file: whether a scenario file says it; else somebody typed it. foreign: where that file is
    named, if it lies where nothing in it may be shown, see `leaves`; else "".
    """

    file: str = ""
    line: int | None = None
    base: FilePath | None = None
    rank: int = 0
    of_file: bool = False
    foreign: str = ""

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass
class Document:
    """Plain nested data of a scenario and the origin of every key in it. Copy before changing.

    trusted: whether somebody said that the code it names may be loaded. outside: a sentence for
    each reference that leads out of the folder of the file in which it stands. folders: what the
    user's list of trusted folders said of those that were asked for; a worker has no such list.
    """

    data: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, Origin] = field(default_factory=dict)
    default: Origin = field(default_factory=Origin)
    rank: int = 0
    trusted: bool = False
    outside: list[str] = field(default_factory=list)
    folders: dict[FilePath, bool] = field(default_factory=dict)

    def copy(self) -> Document:
        """An independent copy."""
        data, origins = deepcopy(self.data), dict(self.origins)
        return replace(self, data=data, origins=origins, outside=[])

    def origin(self, path: Path) -> Origin:
        """Where the value at `path`, or the nearest mapping around it, was written."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.origins:
                return self.origins[path[:end]]
        return self.default

    def locate(self, problem: Problem, path: Path) -> Problem:
        """The problem with file and line of the value at `path`."""
        origin = self.origin(path)
        found = replace(problem, file=origin.file, line=origin.line)
        return unseen(found, origin.foreign) if origin.foreign else found

    def trusts(self, folder: FilePath) -> bool:
        """Whether code that a file in a folder names may be loaded. Raises InputError."""
        if not self.trusted and folder not in self.folders:
            self.folders[folder] = in_trusted_folder(folder)
        return self.trusted or self.folders[folder]

    def leads_out(self, field: str, reference: str, target: FilePath, origin: Origin) -> bool:
        """Whether a reference of a file that nobody trusts leads out of its folder; it is noted."""
        if not origin.of_file or origin.base is None or not leaves(target, origin.base):
            return False
        if self.trusts(origin.base):
            return False
        where = origin.place
        real = os.path.realpath(target)
        said = f"{where}: {field} = {show(reference)} leads out of its folder, to {real}"
        if said not in self.outside:
            self.outside.append(said)
        return True

    def blame(self, *paths: Path) -> Path:
        """Of fields that contradict each other, the one that was written last; first if none."""
        return max(paths, key=lambda path: self.origins.get(path, Origin(rank=-1)).rank)

    def merge(self, value: Any, lines: Mapping[Path, int], origin: Origin, path: Path = ()) -> None:
        """Lay one file's data over this: mappings key by key, anything else as a whole."""
        here = replace(origin, line=lines.get(path, origin.line))
        if isinstance(value, Mapping) and (path == () or is_section(path)):
            if path and not isinstance(_get(self.data, path), dict):
                self._put(path, {}, here)
            self.origins[path] = here
            for key, item in value.items():
                self.merge(item, lines, here, (*path, str(key)))
            return
        self._put(path, deepcopy(value), here)
        for inner, line in lines.items():
            if inner[: len(path)] == path and len(inner) > len(path):
                self.origins[inner] = replace(origin, line=line)

    def change(self, path: Path, value: Any, origin: Origin) -> list[Problem]:
        """Set one value, or the keys of a mapping one by one; problems of a path that is not there.

        What the change goes into and was not written takes its defaults first.
        """
        wrong = _wrong_step(self.data, path)
        if wrong is not None:
            return [replace(wrong, file=origin.file)]
        if isinstance(value, Mapping) and is_section(path):
            if has_names(path[:-1]) and _get(self.data, path) is None:
                self._fill_in(path[:-1])
                self._put(path, {}, origin)
            if not value and _get(self.data, path) is None:
                self._fill_in(path)  # a section with all its defaults where there was none
            return [
                problem
                for key, item in value.items()
                for problem in self.change((*path, str(key)), item, origin)
            ]
        self._fill_in(path[:-1])
        self._put(path, plain(value), origin)
        return []

    def _fill_in(self, path: Path) -> None:
        """Make the mappings down to `path` where they are not, with their defaults."""
        defaults: Any = _defaults()
        for end in range(1, len(path) + 1):
            defaults = defaults.get(path[end - 1]) if isinstance(defaults, dict) else None
            if not isinstance(_get(self.data, path[:end]), dict):
                below = defaults if isinstance(defaults, dict) else {}
                self._put(path[:end], deepcopy(below), None)

    def _put(self, path: Path, value: Any, origin: Origin | None) -> None:
        parent = _get(self.data, path[:-1])
        parent[path[-1]] = value
        self.origins = {k: v for k, v in self.origins.items() if k[: len(path)] != path}
        if origin is not None:
            self.origins[path] = origin


def plain(value: Any) -> Any:
    """Models as mappings, numpy scalars as Python's, paths as text, tuples as lists."""
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _defaults() -> dict[str, Any]:
    return ScenarioFields().model_dump()


def _get(data: Any, path: Path) -> Any:
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return None
        data = data[key]
    return data


def _wrong_step(data: dict[str, Any], path: Path) -> Problem | None:
    """The problem of a path that leads nowhere, None when it can be set."""
    for end in range(1, len(path) + 1):
        step = path[:end]
        free = free_at(step)
        if free is not None and end > len(free):
            return None
        if takes_names(step[:-1]):
            continue
        model = section_at(step[:-1])
        if model is None:
            return Problem(
                dotted(path), "", f"{dotted(step[:-1])} is a value, nothing lies below it"
            )
        if step[-1] not in model.model_fields:
            near = nearest(step[-1], list(model.model_fields))
            if near:
                right = near.split("'")[1]
                near = f"did you mean '{dotted((*step[:-1], right, *path[end:]))}'?"
            hint = near or "known: " + ", ".join(model.model_fields)
            return Problem(dotted(path), "", "unknown field", hint=hint)
        if step == ("strategy",) and end < len(path):
            now = data.get("strategy", "evms")
            if not isinstance(now, dict):
                said = f"strategy is the name {show(now)}: set strategy itself to a mapping"
                return Problem(dotted(path), "", said)
    return None


def leaves(target: FilePath, base: FilePath) -> bool:
    """Whether a file or folder, links followed, lies neither below `base` nor with what ships."""
    real = FilePath(os.path.realpath(target))
    inside = (os.path.realpath(base), os.path.realpath(shipped_dir()))
    return not any(real.is_relative_to(folder) for folder in inside)


def unseen(problem: Problem, named: str = "") -> Problem:
    """The problem without anything of the content of its file; named: where that is named."""
    hint = f"named in {named}" if named else ""
    if problem.field == "file" and not problem.value:
        return replace(problem, hint=hint)
    said = (
        "not what it is named as; it lies outside the folder of the scenario, so that nothing in "
        "it is shown without --trust"
    )
    return Problem("file", "", said, problem.file, problem.line, hint)


def parse_setting(text: str) -> tuple[str, Any]:
    """Key and value of a `--set` argument: "ev.efficiency=0.9" -> ("ev.efficiency", 0.9).

    The value is read as YAML 1.2: `12:00` and `"12:00"` are text, `null` is None.
    Raises InputError.
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not _KEY.fullmatch(key):
        said = "key=value with a dotted key, such as ev.efficiency=0.9"
        raise InputError([Problem("--set", show(text), said)])
    if not value.strip():
        said = 'a value after the equals sign; null for none, "" for empty text'
        raise InputError([Problem(key, "", said, f"--set {key}")])
    try:
        data, _ = parse_yaml(value, f"--set {key}")
    except InputError as error:
        found = [replace(p, field=key, value=show(value), line=None) for p in error.problems]
        raise InputError(found) from None
    return key, data


def section_at(path: Path) -> type[BaseModel] | None:
    """The section whose fields lie below `path`; None where there is none."""
    model: type[BaseModel] | None = ScenarioFields
    named: type[BaseModel] | None = None
    for index, key in enumerate(path):
        if named is not None:  # any key: the name of a group
            model, named = named, None
            continue
        field = model.model_fields.get(key) if model is not None else None
        if field is None:
            return None
        inner = StrategySpec if path[: index + 1] == ("strategy",) else field.annotation
        model, named = section_of(inner), named_section_of(inner)
    return model


def takes_names(path: Path) -> bool:
    """Whether what stands below `path`, sections or values, has names that the user chooses."""
    field = field_at(path)
    return field is not None and get_origin(field.annotation) is dict


def has_names(path: Path) -> bool:
    """Whether sections stand below `path` under names that the user chooses."""
    field = field_at(path)
    return field is not None and named_section_of(field.annotation) is not None


def field_at(path: Path) -> FieldInfo | None:
    """The declaration of the field at `path`; None where there is none."""
    model = section_at(path[:-1]) if path else None
    return model.model_fields.get(path[-1]) if model else None


def _named_value_at(path: Path) -> FieldInfo | None:
    """The declaration of a plain value under a name that the user chose; None where there is none.

    Options may be anything and have none.
    """
    around = field_at(path[:-1])
    if around is None or not takes_names(path[:-1]) or has_names(path[:-1]) or free_at(path):
        return None
    return FieldInfo.from_annotation(get_args(around.annotation)[1])


def free_at(path: Path) -> Path | None:
    """The field of free options at or around `path`, None where there is none."""
    for end in range(2, len(path) + 1):
        if path[:end] in _FREE or (end > 3 and path[end - 1] == "behaviour_options"):
            return path[:end]
    return None


def is_section(path: Path) -> bool:
    """Whether a mapping at `path` is merged key by key; a `strategy` is replaced as a whole."""
    return path[:1] != ("strategy",) and (section_at(path) is not None or has_names(path))


def clean_path(location: Sequence[int | str]) -> Path:
    """The user's path of a pydantic error location (the tag of the `strategy` union left out)."""
    path = tuple(str(part) for part in location)
    return path[:1] + path[2:] if path[:1] == ("strategy",) else path


def unknown_field(path: Path, value: Any) -> Problem:
    """The problem of a key that does not exist, with the nearest right name."""
    model = section_at(path[:-1])
    keys = list(model.model_fields) if model else []
    near = nearest(path[-1], keys)
    shown = "" if isinstance(value, Mapping) else show(value)
    return Problem(dotted(path), shown, "unknown field", hint=near or "known: " + ", ".join(keys))


def problem_of(kind: str, path: Path, value: Any) -> Problem:
    """The problem of one pydantic error, without file and line. kind: pydantic's error type."""
    if kind == "extra_forbidden":
        return unknown_field(path, value)
    field = field_at(path) or _named_value_at(path)
    if field is None:
        named = section_at(path)
        if named is not None:  # a name of the user's own, such as owners.groups.NAME
            return Problem(dotted(path), show(value), keys_of(named))
        around = free_at(path)
        free = field_at(around) if around is not None else None
        return Problem(dotted(path), show(value), allowed(free) if free else "not usable here")
    words = allowed(field)
    if kind == "missing":
        return Problem(dotted(path), "", f"missing; {words}")
    hint = ""
    if isinstance(value, str):
        hint = nearest(value, known_names(field))
        if kind in ("float_type", "int_type", "bool_type"):
            hint = "this is text: write it without quotes"
    elif kind == "string_type" and words == "text":
        hint = "write it in quotes"
    return Problem(dotted(path), show(value), words, hint=hint)
