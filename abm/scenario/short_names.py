"""Fields of a scenario by their last name alone, where no other field has it: evs_per_zone=20."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from abm.errors import InputError, Problem, nearest
from abm.scenario.document import field_at, has_names, section_at
from abm.scenario.schema import ScenarioFields
from abm.scenario.yamlio import Path, dotted

# What the aggregator believes has the names of what is; it is asked for by its dotted name.
BELIEF = "belief."


def full_names(fields: Mapping[str, Any], others: Iterable[str] = ()) -> dict[str, Any]:
    """Values by dotted name, of keys that are a dotted name or the last part of one.

    others: further names that would have been right, for the hint of one that is not. Raises
    InputError with every name that is no field, or that several fields have.
    """
    found: dict[str, Any] = {}
    problems = []
    for name, value in fields.items():
        whole = _fields_called().get(name, [])
        if field_at(tuple(name.split("."))) is not None:
            whole = [name]
        elif len(whole) > 1:
            whole = [one for one in whole if not one.startswith(BELIEF)] or whole
        if len(whole) == 1:
            found[whole[0]] = value
        elif whole:
            said = f"one of these fields, by its whole name: {', '.join(whole[:8])}"
            problems.append(Problem(name, "", said + (", ..." if len(whole) > 8 else "")))
        else:
            hint = nearest(name, [*others, *_fields_called()])
            problems.append(Problem(name, "", "unknown field", hint=hint))
    if problems:
        raise InputError(problems)
    return found


@cache
def _fields_called() -> dict[str, list[str]]:
    """Dotted names of all fields with a value, by their last part."""
    found: dict[str, list[str]] = {}

    def walk(path: Path) -> None:
        section = section_at(path)
        for name in section.model_fields if section is not None else ():
            inner = (*path, name)
            if inner == ("strategy",) or has_names(inner) or section_at(inner) is None:
                found.setdefault(name, []).append(dotted(inner))
            else:
                walk(inner)

    walk(())
    for name in ScenarioFields.model_fields:
        found[name] = [name]
    return found
