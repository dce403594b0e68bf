"""The scenario's fields in plain words: what each allows, and what was wrong with a value.

Both the problems a user reads and `docs/scenario.md` take their wording from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from abm.errors import Problem, nearest
from abm.scenario.fields import Allowed
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
        model, named = _section(inner), _named_section(inner)
    return model


def _section(annotation: Any) -> type[BaseModel] | None:
    """The section behind an annotation, also behind `Section | None`."""
    for part in _parts(annotation):
        if isinstance(part, type) and get_origin(part) is None and issubclass(part, BaseModel):
            return part
    return None


def _named_section(annotation: Any) -> type[BaseModel] | None:
    """The section behind the names of a `dict[str, Section]`."""
    return _section(get_args(annotation)[1]) if get_origin(annotation) is dict else None


def has_names(path: Path) -> bool:
    """Whether sections stand below `path` under names that the user chooses."""
    field = field_at(path)
    return field is not None and _named_section(field.annotation) is not None


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


def allowed(field: FieldInfo, null: bool = True) -> str:
    """What the field allows, in words: "a number above 0 and at most 1".

    null: whether to say so where it may be null.
    """
    words = _words(field.annotation, field.metadata)
    return words if null else words.removesuffix(", or null")


def known_names(field: FieldInfo) -> tuple[str, ...]:
    """The names that the field knows, () for a field that is not a choice."""
    return _known(field.annotation, field.metadata)


def _flat(metadata: Iterable[Any]) -> list[Any]:
    flat: list[Any] = []
    for item in metadata:
        flat += _flat(item.metadata) if isinstance(item, FieldInfo) else [item]
    return flat


def _parts(annotation: Any) -> list[Any]:
    """The members of a union, or the annotation alone."""
    return (
        list(get_args(annotation)) if get_origin(annotation) in (Union, UnionType) else [annotation]
    )


def _known(annotation: Any, metadata: Iterable[Any]) -> tuple[str, ...]:
    for item in _flat(metadata):
        if isinstance(item, Allowed) and item.known:
            return item.known
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return _known(inner, more)
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    parts = _parts(annotation)
    return next((k for part in parts if len(parts) > 1 and (k := _known(part, ()))), ())


def _words(annotation: Any, metadata: Iterable[Any]) -> str:
    flat = _flat(metadata)
    said = [item.text for item in flat if isinstance(item, Allowed)]
    if said:
        return said[-1]
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return _words(inner, [*more, *flat])
    if get_origin(annotation) is Literal:
        return "one of: " + ", ".join(get_args(annotation))
    parts = _parts(annotation)
    if len(parts) > 1:
        if NoneType not in parts:  # strategy: its name says it all
            return _words(parts[0], flat)
        return _words(next(part for part in parts if part is not NoneType), flat) + ", or null"
    named = _named_section(annotation)
    if named is not None:
        return "a mapping of names to mappings with the keys " + ", ".join(named.model_fields)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "a mapping with the keys " + ", ".join(annotation.model_fields)
    if annotation is bool:
        return "true or false"
    if annotation is str:
        return "text"
    kind = "a whole number" if annotation is int else "a number"
    return kind + _bounds(flat, "without decimal point" if annotation is int else "")


def _bounds(metadata: Iterable[Any], note: str) -> str:
    said = []
    for item in metadata:
        if isinstance(item, Gt):
            said.append(f"above {_number(item.gt)}")
        elif isinstance(item, Ge):
            said.append(f"at least {_number(item.ge)}")
        elif isinstance(item, Lt):
            said.append(f"below {_number(item.lt)}")
        elif isinstance(item, Le):
            said.append(f"at most {_number(item.le)}")
    text = (" " + " and ".join(said)) if said else ""
    return text + (f", {note}" if note else "")


def _number(bound: Any) -> str:
    if isinstance(bound, int) and bound >= 2**53:
        return f"2^{bound.bit_length() - 1}"
    return f"{bound:g}" if isinstance(bound, float) else str(bound)


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
            return Problem(dotted(path), show(value), _words(named, ()))
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
