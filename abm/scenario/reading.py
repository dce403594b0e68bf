"""From a file or a name to a document: finding, reading, `extends`."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from abm.errors import InputError, Problem
from abm.scenario.document import Document, Origin, unseen
from abm.scenario.fields import LONGEST_NAME
from abm.scenario.names import display, name_hint, shipped_files
from abm.scenario.yamlio import Lines, read_yaml_file, show

_SUFFIXES = (".yaml", ".yml")


def find_scenario(path_or_name: str | os.PathLike[str], base: FilePath | None = None) -> FilePath:
    """File of a scenario: a shipped name, else a path (from `base`, or the working folder).

    Raises InputError with the nearest name when there is no such file.
    """
    text = os.fspath(path_or_name)
    known = shipped_files("scenarios")
    if isinstance(path_or_name, str) and text in known:
        return known[text]
    path = (base / text) if base else FilePath(text)
    near, every = name_hint(text, known), "shipped: " + ", ".join(known)
    if not text.strip() or "\0" in text:
        said, near = "a name or a file", every
    elif os.path.isdir(path):
        said = "a name or a file, this is a folder"
    elif not os.path.exists(path):
        is_path = path.suffix in _SUFFIXES or len(FilePath(text).parts) > 1
        said = "file not found" if is_path else "neither a shipped scenario nor a file"
        near = near if near == every else f"{near} {every}"
    else:
        return path
    raise InputError([Problem("scenario", show(text), said, hint=near)])


def read_document(
    path_or_name: str | os.PathLike[str], trust: bool = False
) -> tuple[Document, list[Problem]]:
    """What a scenario file and all that it extends say, and the problems met on the way.

    trust: whether the code that they name may be loaded. Raises InputError when the file itself
    cannot be found or read.
    """
    path = find_scenario(path_or_name)
    document = Document(trusted=trust)
    chain = [_read(path, Origin())]
    problems: list[Problem] = []
    seen = [_real(path)]
    while "extends" in chain[-1][1]:
        origin, data, lines = chain[-1]
        wanted = data["extends"]
        line = lines.get(("extends",))
        trouble = _parent_trouble(wanted)
        origin = replace(origin, line=line)
        if not trouble:
            hidden = ""
            try:
                parent = find_scenario(wanted, origin.base)
                out = document.leads_out("extends", wanted, parent, origin)
                hidden = origin.foreign or (origin.place if out else "")
                if _real(parent) in seen:
                    ring = " -> ".join(display(p) for p in [*seen, parent])
                    trouble = f"a scenario that does not extend this one in turn: {ring}"
                else:
                    chain.append(_read(parent, replace(origin, foreign=hidden)))
                    seen.append(_real(parent))
            except InputError as error:
                found = [_of_parent(p, origin.file, line) for p in error.problems]
                problems += [
                    unseen(p, hidden) if hidden and p.field != "extends" else p for p in found
                ]
                break
        if trouble:
            problems.append(Problem("extends", show(wanted), trouble, origin.file, line))
            break
    return _merged(document, chain, _name_from(path)), problems


def _real(path: FilePath) -> FilePath:
    """The path with links followed; one that leads round in a circle is left as it is."""
    return FilePath(os.path.realpath(path))


def _parent_trouble(wanted: Any) -> str:
    good = isinstance(wanted, str) and wanted.strip()
    return "" if good else "text: the name or the file of one scenario"


def _of_parent(problem: Problem, file: str, line: int | None) -> Problem:
    """A parent that is not there is the fault of the line that names it."""
    if problem.field != "scenario":
        return problem
    return replace(problem, field="extends", file=file, line=line)


_Read = tuple[Origin, dict[str, Any], Lines]


def _read(path: FilePath, named: Origin) -> _Read:
    """What a file says; named: where it was named, if in a file."""
    shown = display(path)
    data, lines = read_yaml_file(path, shown)
    if data is None:
        raise InputError([Problem("file", "", "empty; a scenario is a mapping of fields", shown)])
    if not isinstance(data, dict):
        # What stands there is not shown: it is something else than a scenario.
        said = "not a scenario, which is a mapping of fields such as `seed: 1`"
        raise InputError([Problem("file", "", said, shown, 1)])
    origin = Origin(shown, None, _real(path).parent, of_file=True, foreign=named.foreign)
    return origin, data, lines


def _merged(document: Document, chain: list[_Read], name: str) -> Document:
    for rank, (read, data, lines) in enumerate(reversed(chain)):
        origin = replace(read, rank=rank)
        own = {key: value for key, value in data.items() if key != "extends"}
        document.merge(own, lines, origin)
        document.default, document.rank = origin, rank
    if "name" not in chain[0][1]:
        # A name is never inherited: two scenarios must not write to the same output folder.
        document.data["name"] = name
        document.origins.pop(("name",), None)
    return document


def _name_from(path: FilePath) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", path.stem).lstrip("_.-")[:LONGEST_NAME] or "scenario"
