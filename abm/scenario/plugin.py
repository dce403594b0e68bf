"""Classes of the user's own, named in a scenario as module:Class."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from abm.errors import InputError, Problem


def import_class(field: str, name: str, method: str) -> Callable[..., object]:
    """The class behind `module:Class`, looked at before anything of it is called.

    It has to be a class that is defined in that very module and has `method`. field: for problems.
    Raises InputError.
    """
    module_name, _, class_name = name.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # whatever goes wrong in a user's module while it is imported
        wrong = f"{type(error).__name__}: {error}"
        raise InputError(
            [Problem(field, name, f"a class that can be imported ({wrong})")]
        ) from error
    if not isinstance(found, type):
        raise InputError([Problem(field, name, "a class")])
    if found.__module__ != module_name:
        defined = f"a class defined in {module_name}; this one is defined in {found.__module__}"
        raise InputError([Problem(field, name, defined)])
    if not callable(getattr(found, method, None)):
        raise InputError([Problem(field, name, f"a class with a method {method}(...)")])
    return found


def make_object(
    field: str,
    name: str,
    factory: Callable[..., object],
    arguments: Mapping[str, Any],
    options: Mapping[str, Any],
) -> object:
    """factory(**arguments).

    field: for problems; options: what the user wrote of the arguments. Raises InputError.
    """
    try:
        return factory(**arguments)
    except (TypeError, ValueError) as error:
        raise InputError(
            [Problem(f"{field}_options", repr(dict(options)), f"{name}: {error}")]
        ) from error


def source_files(name: str) -> list[Path]:
    """Files of the module of `module:Class` and of what it imports from its own folder, sorted.

    Empty where the module cannot be found or has no Python source.
    """
    try:
        spec = importlib.util.find_spec(name.partition(":")[0])
    except (ImportError, ValueError):
        return []
    found: set[Path] = set()
    wanted = [] if spec is None or not spec.has_location else [Path(str(spec.origin))]
    while wanted:
        path = wanted.pop()
        if path in found or path.suffix != ".py" or not path.is_file():
            continue
        found.add(path)
        wanted += [path.parent / f"{module}.py" for module in _imported(path.read_bytes())]
    return sorted(found)


def _imported(source: bytes) -> Iterator[str]:
    """Last parts of the names of everything that a source imports."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in names:
                yield name.rpartition(".")[2]
