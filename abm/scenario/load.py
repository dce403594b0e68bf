"""From a file or a name to what was written: finding, reading, `extends`, and `--set`."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from abm.errors import InputError, Problem
from abm.scenario.document import Document, Origin
from abm.scenario.shipped import display, name_hint, scenario_files
from abm.scenario.yamlio import Lines, parse_yaml, read_yaml_file, show

_SUFFIXES = (".yaml", ".yml")
_KEY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def find_scenario(path_or_name: str | os.PathLike[str], base: Path | None = None) -> Path:
    """File of a scenario: a shipped name, else a path (from `base`, or the working folder).

    Raises InputError with the nearest name when there is no such file.
    """
    text = os.fspath(path_or_name)
    known = scenario_files()
    if isinstance(path_or_name, str) and text in known:
        return known[text]
    path = (base / text) if base else Path(text)
    if not text.strip() or "\0" in text:
        raise InputError(
            [Problem("scenario", show(text), "a name or a file", hint=name_hint("", known))]
        )
    if os.path.isdir(path):
        said = "a name or a file, this is a folder"
        raise InputError([Problem("scenario", show(text), said, hint=name_hint(text, known))])
    if not os.path.exists(path):
        is_path = path.suffix in _SUFFIXES or len(Path(text).parts) > 1
        said = "file not found" if is_path else "neither a shipped scenario nor a file"
        raise InputError([Problem("scenario", show(text), said, hint=_hint(text, known))])
    return path


def _hint(text: str, known: dict[str, Path]) -> str:
    near = name_hint(text, known)
    every = "shipped: " + ", ".join(known)
    return near if near == every else f"{near} {every}"


def read_document(path_or_name: str | os.PathLike[str]) -> tuple[Document, list[Problem]]:
    """What a scenario file and all that it extends say, and the problems met on the way.

    Raises InputError when the file itself cannot be found or read.
    """
    path = find_scenario(path_or_name)
    chain = [_read(path)]
    problems: list[Problem] = []
    seen = [path.resolve()]
    while "extends" in chain[-1][1]:
        here, data, lines = chain[-1]
        wanted = data["extends"]
        line = lines.get(("extends",))
        trouble = _parent_trouble(wanted)
        parent: Path | None = None
        if not trouble:
            try:
                parent = find_scenario(wanted, here.parent)
                if parent.resolve() in seen:
                    ring = " -> ".join(display(p) for p in [*seen, parent.resolve()])
                    trouble = f"a scenario that does not extend this one in turn: {ring}"
                else:
                    chain.append(_read(parent))
                    seen.append(parent.resolve())
            except InputError as error:
                problems += [_of_parent(p, display(here), line) for p in error.problems]
                break
        if trouble:
            problems.append(Problem("extends", show(wanted), trouble, display(here), line))
            break
    return _merged(chain), problems


def _parent_trouble(wanted: Any) -> str:
    good = isinstance(wanted, str) and wanted.strip()
    return "" if good else "text: the name or the file of one scenario"


def _of_parent(problem: Problem, file: str, line: int | None) -> Problem:
    """A parent that is not there is the fault of the line that names it."""
    if problem.field != "scenario":
        return problem
    return replace(problem, field="extends", file=file, line=line)


def _read(path: Path) -> tuple[Path, dict[str, Any], Lines]:
    shown = display(path)
    data, lines = read_yaml_file(path, shown)
    if data is None:
        raise InputError([Problem("file", "", "empty; a scenario is a mapping of fields", shown)])
    if not isinstance(data, dict):
        said = "a mapping of fields, such as `seed: 1`"
        raise InputError([Problem("file", show(data), said, shown, 1)])
    return path, data, lines


def _merged(chain: list[tuple[Path, dict[str, Any], Lines]]) -> Document:
    document = Document()
    for rank, (path, data, lines) in enumerate(reversed(chain)):
        base = path.resolve().parent
        origin = Origin(display(path), None, base, rank)
        own = {key: value for key, value in data.items() if key != "extends"}
        document.merge(own, lines, origin)
        document.default, document.rank = origin, rank
    path, data, _ = chain[0]
    if "name" not in data:
        # A name is never inherited: two scenarios must not write to the same output folder.
        document.data["name"] = _name_from(path)
        document.origins.pop(("name",), None)
    return document


def _name_from(path: Path) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", path.stem).lstrip("_.-") or "scenario"


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
