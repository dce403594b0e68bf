"""In what a scenario differs from the default, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from pydantic import BaseModel

from abm.scenario.document import field_at
from abm.scenario.schema import ScenarioFields
from abm.scenario.yamlio import Path, dotted, show

# They tell scenarios apart and change nothing.
_LABELS = ("name", "description")


@dataclass(frozen=True)
class Difference:
    """One field that is not as in the default.

    field: dotted path. value, default: plain data; default is None where the field is below a name
    of the user's own or a section that is left out by default. meaning: what the field says, with
    its unit; "" for options of the user's own.
    """

    field: str
    value: Any
    default: Any
    meaning: str

    @property
    def value_text(self) -> str:
        """The value as it would be written in YAML, cut where it is long."""
        return show(self.value)

    @property
    def default_text(self) -> str:
        """The same of the default; "" where there is none."""
        return "" if self.default is None else show(self.default)


def differences(
    scenario: ScenarioFields, default: ScenarioFields | None = None
) -> list[Difference]:
    """The fields in which a scenario is not `default`, in the order of docs/scenario.md.

    default: the paper's study, `Scenario()`, when None. Name and description are left out. Files
    and modules are named without the folder that they lie in, so that nothing tells where.
    """
    before = (default or ScenarioFields()).model_dump()
    return [
        found for found in _walk((), scenario.model_dump(), before) if found.field not in _LABELS
    ]


def _walk(path: Path, value: Any, default: Any) -> Iterator[Difference]:
    if value == default:
        return
    if not isinstance(value, Mapping) or not (value or default):
        field = field_at(path)
        meaning = "" if field is None else field.description or ""
        yield Difference(dotted(path), without_folders(value), without_folders(default), meaning)
        return
    before = default if isinstance(default, Mapping) else {}
    found: list[Difference] = []
    for key in value:
        below = (*path, key)
        found += _walk(below, value[key], before[key] if key in before else _declared(below))
    if not found and default is None:
        # All in it is as it is by default, but that it is there at all.
        found = [Difference(dotted(path), without_folders(value), None, "")]
    yield from found
    for key in before:
        if key not in value:
            yield Difference(dotted((*path, key)), None, before[key], "")


def _declared(path: Path) -> Any:
    """The default of a field whose section is not there by default."""
    field = field_at(path)
    if field is None or field.is_required():
        return None
    value = field.get_default(call_default_factory=True)
    return value.model_dump() if isinstance(value, BaseModel) else value


def without_folders(value: Any) -> Any:
    """Plain data in which absolute paths are names of files."""
    if isinstance(value, str):
        for kind in (PurePosixPath, PureWindowsPath):
            if kind(value).is_absolute():
                return kind(value).name
        return value
    if isinstance(value, Mapping):
        return {key: without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_folders(inner) for inner in value]
    return value
