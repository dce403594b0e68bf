"""The problem of one field in a scenario, and what stands where: the schema walked along a path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from abm.errors import Problem, nearest
from abm.scenario.fields import allowed, keys_of, known_names, named_section_of, section_of
from abm.scenario.schema import ScenarioFields, StrategySpec
from abm.scenario.yamlio import Path, dotted, show

_FREE = {
    ("strategy", "rule_options"),
    ("strategy", "admission_options"),
    ("owners", "behaviour_options"),
}


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


def has_names(path: Path) -> bool:
    """Whether sections stand below `path` under names that the user chooses."""
    field = field_at(path)
    return field is not None and named_section_of(field.annotation) is not None


def field_at(path: Path) -> FieldInfo | None:
    """The declaration of the field at `path`; None where there is none."""
    model = section_at(path[:-1]) if path else None
    return model.model_fields.get(path[-1]) if model else None


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
    field = field_at(path)
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
