"""`Scenario`: what is studied, checked as a whole, with the data of the files it names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, overload

from pydantic import PrivateAttr, ValidationError

from abm.errors import InputError, Problem
from abm.scenario.checks import cross_problems, value_at
from abm.scenario.inputs import (
    FEEDER,
    PROFILE,
    SESSIONS,
    TARIFF,
    Inputs,
    read_inputs,
    resolved_reference,
)
from abm.scenario.load import parse_setting, read_source
from abm.scenario.schema import LoadSection, ScenarioFields
from abm.scenario.source import Origin, Source, plain
from abm.scenario.words import Path, clean_path, problem_of
from abm.scenario.yamlio import yaml_text


class Scenario(ScenarioFields):
    """All that defines a run, frozen and valid.

    `Scenario()` is the paper's study; `Scenario(seed=2, ev={"efficiency": 0.9})` differs in two
    fields. Left-out fields take their defaults. Two scenarios are equal when all their fields are,
    references to files taken as the files they lead to.

    Raises InputError with every problem found, in the fields and in the files they name.
    """

    _source: Source = PrivateAttr()
    _inputs: Inputs = PrivateAttr()

    def __init__(self, source: Source | None = None, /, **fields: Any) -> None:
        source = source if source is not None else _source_in_code(fields)
        inputs, problems = _judge(source)
        if inputs is None or problems:
            raise InputError(_in_reading_order(problems))
        super().__init__(**source.data)
        self._source = source
        self._inputs = inputs

    if TYPE_CHECKING:
        load: _Load

    def override(self, changes: Mapping[str, Any] | None = None, /, **fields: Any) -> Scenario:
        """A new scenario with some values changed.

        changes: dotted keys, {"ev.efficiency": 0.9}. fields: top-level keys, strategy="evms"; a
        mapping changes only the keys it has (a `strategy` is replaced). Raises InputError.
        """
        source = self._source.copy()
        source.rank += 1
        origin = Origin("override", None, FilePath.cwd(), source.rank)
        problems: list[Problem] = []
        for key, value in {**(changes or {}), **fields}.items():
            problems += source.change(tuple(str(key).split(".")), plain(value), origin)
        return self._checked(source, problems)

    def with_settings(self, settings: Sequence[str]) -> Scenario:
        """`override` for `--set` arguments: ["ev.efficiency=0.9"]. Raises InputError."""
        source = self._source.copy()
        return self._checked(source, _apply(source, settings))

    @classmethod
    def _checked(cls, source: Source, problems: list[Problem]) -> Scenario:
        if problems:
            raise InputError(_in_reading_order(problems + _judge(source)[1]))
        return cls(source)

    @property
    def inputs(self) -> Inputs:
        """Feeder, load profile, tariff and sessions, as read when the scenario was made."""
        return self._inputs

    def resolved(self) -> dict[str, Any]:
        """All fields as plain nested data; shipped references by name, files by absolute path."""
        data = self.model_dump()
        for path in (FEEDER, PROFILE, TARIFF, SESSIONS):
            reference = value_at(self, path)
            if reference is not None:
                data[path[0]][path[1]] = resolved_reference(reference, path, self._source)
        return data

    def to_yaml(self) -> str:
        """The scenario as YAML that loads back to an equal one from any folder."""
        return yaml_text(self.resolved())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scenario) and self.resolved() == other.resolved()

    def __hash__(self) -> int:
        return hash(self.to_yaml())


class _Load:
    """`Scenario.load(...)` reads a file, `scenario.load` is the section `load`.

    The section is stored on the instance, which Python looks at before a descriptor that cannot be
    set; only the class gets here.
    """

    @overload
    def __get__(self, scenario: None, owner: type[Scenario]) -> Callable[..., Scenario]: ...

    @overload
    def __get__(self, scenario: Scenario, owner: type[Scenario]) -> LoadSection: ...

    def __get__(
        self, scenario: Scenario | None, owner: type[Scenario]
    ) -> Callable[..., Scenario] | LoadSection:
        if scenario is None:
            return load_scenario
        raise AttributeError("load")


def load_scenario(
    path_or_name: str | os.PathLike[str], *, settings: Sequence[str] = ()
) -> Scenario:
    """Read a scenario from a YAML file or by the name of a shipped one; also `Scenario.load`.

    settings: `--set` arguments such as "ev.efficiency=0.9", laid over the file before anything is
    judged. Raises InputError with every problem found.
    """
    source, problems = read_source(path_or_name)
    problems += _apply(source, settings)
    return Scenario._checked(source, problems)


# After the class is made: in its body pydantic would take the loader for the default of the field.
type.__setattr__(Scenario, "load", _Load())


def _source_in_code(fields: Mapping[str, Any]) -> Source:
    origin = Origin(base=FilePath.cwd())
    source = Source(default=origin)
    source.merge({key: plain(value) for key, value in fields.items()}, {}, origin)
    return source


def _apply(source: Source, settings: Sequence[str]) -> list[Problem]:
    problems: list[Problem] = []
    source.rank += 1
    for text in settings:
        try:
            key, value = parse_setting(text)
        except InputError as error:
            problems += error.problems
            continue
        origin = Origin(f"--set {key}", None, FilePath.cwd(), source.rank)
        problems += source.change(tuple(key.split(".")), value, origin)
    return problems


def _judge(source: Source) -> tuple[Inputs | None, list[Problem]]:
    """Every problem of the fields, of their combinations and of the files they name."""
    fields, problems, bad = _fields(source)
    problems += cross_problems(fields, source, bad)
    inputs, more = read_inputs(fields, source, bad)
    return inputs, problems + more


def _fields(source: Source) -> tuple[ScenarioFields, list[Problem], list[Path]]:
    """The fields with what cannot be used put back to its default, the problems, their paths."""
    data = deepcopy(source.data)
    problems: list[Problem] = []
    bad: list[Path] = []
    while True:
        try:
            return ScenarioFields.model_validate(data), problems, bad
        except ValidationError as error:
            for item in error.errors(include_url=False, include_context=False):
                kind, path = item["type"], clean_path(item["loc"])
                if path not in bad:  # else it is missing because it was taken out below
                    problems.append(source.locate(problem_of(kind, path, item["input"]), path))
                    bad.append(path)
                _drop(data, path[:-1] if kind == "missing" else path)


def _drop(data: dict[str, Any], path: Path) -> None:
    """Take out the value at `path`, or the nearest one around it."""
    inner: Any = data
    for key in path[:-1]:
        if not isinstance(inner, dict) or not isinstance(inner.get(key), dict):
            inner.pop(key, None)
            return
        inner = inner[key]
    inner.pop(path[-1], None)


def _in_reading_order(problems: list[Problem]) -> list[Problem]:
    """By file in order of appearance, within a file by line; each once."""
    files = list(dict.fromkeys(problem.file for problem in problems))
    return sorted(dict.fromkeys(problems), key=lambda p: (files.index(p.file), p.line or 0))
