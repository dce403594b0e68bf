"""Classes of the user's own, named in a scenario as module:Class."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from abm.errors import InputError, Problem


def import_class(field: str, name: str) -> Callable[..., object]:
    """The class behind `module:Class`; field: for problems. Raises InputError."""
    module_name, _, class_name = name.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # whatever goes wrong in a user's module while it is imported
        wrong = f"{type(error).__name__}: {error}"
        raise InputError(
            [Problem(field, name, f"a class that can be imported ({wrong})")]
        ) from error
    if not callable(found):
        raise InputError([Problem(field, name, "a class")])
    made: Callable[..., object] = found
    return made


def make_object(
    field: str,
    name: str,
    factory: Callable[..., object],
    method: str,
    arguments: Mapping[str, Any],
    options: Mapping[str, Any],
) -> object:
    """factory(**arguments), which has to have `method`.

    field: for problems; options: what the user wrote of the arguments. Raises InputError.
    """
    try:
        made = factory(**arguments)
    except (TypeError, ValueError) as error:
        raise InputError(
            [Problem(f"{field}_options", repr(dict(options)), f"{name}: {error}")]
        ) from error
    if not callable(getattr(made, method, None)):
        raise InputError([Problem(field, name, f"a class with a method {method}(...)")])
    return made
