"""What the functions of the library share: options, the scenario they are asked of, and errors.

Checks speak of `--option`, as the command line does; who calls a function reads of `option`.
"""

from __future__ import annotations

import functools
import inspect
import os
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ParamSpec, TypeAlias, TypedDict, TypeVar, Union

import numpy as np

from abm.errors import InputError, Problem, as_arguments, nearest
from abm.results import Results
from abm.scenario import Scenario
from abm.scenario.document import parse_setting
from abm.scenario.kpi import Kpi
from abm.study.cluster import Cluster

_P = ParamSpec("_P")
_T = TypeVar("_T")

ScenarioLike: TypeAlias = Union[str, "os.PathLike[str]", Scenario, Mapping[str, Any]]
Settings: TypeAlias = Mapping[str, Any] | Sequence[str]
Kpis: TypeAlias = Mapping[str, Kpi | Callable[[Results], float | None]] | Sequence[str]
Workers: TypeAlias = int | str | Cluster
Folder: TypeAlias = Union[str, "os.PathLike[str]"]


class Options(TypedDict, total=False):
    """Options that all functions take; `MEANINGS` says what they are."""

    set: Settings
    seed: int | None
    kpis: Kpis | None
    trust: bool
    progress: bool


class StudyOptions(Options, total=False):
    """Options of the functions that run many replications."""

    workers: Workers
    save: Folder | None


DEFAULTS: dict[str, Any] = {
    "set": (),
    "seed": None,
    "kpis": None,
    "trust": False,
    "progress": True,
    "workers": 1,
    "save": None,
}
MEANINGS = {
    "scenario": "a file, the name of a shipped one, a Scenario, or its fields as a mapping.",
    "set": 'fields that are changed, {"ev.efficiency": 0.9} or ["ev.efficiency=0.9"].',
    "seed": "takes the place of the scenario's own.",
    "kpis": "KPIs of your own, functions of the Results by name, in every table and stop rule. The "
    "figures of replications and sweeps show these, or, of names alone, any KPIs.",
    "trust": "code that the scenario names may be loaded, and its files may lie anywhere.",
    "progress": "a bar in a terminal or a notebook.",
    "workers": "processes, or a Dask scheduler by its address or as a Cluster. More than one "
    "process needs a script whose work stands under `if __name__ == '__main__':`, and objects of "
    "yours in a module of their own, not in a notebook.",
    "save": "a folder that keeps finished chunks as they come, and in the end the result. What is "
    "there of the same study is not computed again.",
}


def public(options: type[Any]) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]:
    """A function of the library, with the options that it takes as **options.

    They are in its signature and docstring. Raises InputError for one that it does not have.
    """
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=DEFAULTS[name])
        for name in options.__annotations__
    ]

    def decorate(function: Callable[_P, _T]) -> Callable[_P, _T]:
        before = inspect.signature(function)
        *own, _ = before.parameters.values()
        signature = before.replace(parameters=[*own, *shared])
        known = list(signature.parameters)

        @functools.wraps(function)
        def call(*args: _P.args, **given: _P.kwargs) -> _T:
            said = f"one of the options of {function.__name__}: {', '.join(known)}"
            if unknown := [name for name in given if name not in known]:
                hints = {name: nearest(name, known) for name in unknown}
                raise InputError(Problem(name, "", said, hint=hints[name]) for name in unknown)
            try:
                return function(*args, **given)
            except InputError as error:
                raise as_arguments(error, out="save", kpi="kpis") from None

        call.__dict__["__signature__"] = signature
        meanings = [
            textwrap.fill(f"{name}: {MEANINGS[name]}", 100) for name in known if name in MEANINGS
        ]
        call.__doc__ = "\n".join([inspect.cleandoc(function.__doc__ or ""), "", *meanings])
        return call

    return decorate


def opened(
    scenario: ScenarioLike, settings: Settings = (), trust: bool = False, **instead: Any
) -> Scenario:
    """The scenario with fields changed; instead: values of options of their own, not None.

    Raises InputError with all problems.
    """
    own = {name: value for name, value in instead.items() if value is not None}
    changes = changes_of(settings, own)
    try:
        if not isinstance(scenario, Scenario):
            return Scenario.load(scenario, settings=changes, trust=trust)
        if not changes and not trust:
            return scenario
        pairs = (parse_setting(one) if isinstance(one, str) else one for one in changes)
        return scenario.override(dict(pairs), trust=trust or None)
    except InputError as error:
        raise InputError(named_by_option(error.problems, own)) from None


def changes_of(settings: Settings, own: Mapping[str, Any]) -> list[str | tuple[str, Any]]:
    """Settings, and values of options of their own, as `Scenario.load` takes them."""
    if isinstance(settings, str):
        raise InputError([Problem("--set", settings, "a mapping of fields, or a list of a.b=c")])
    return [*(settings.items() if isinstance(settings, Mapping) else settings), *own.items()]


def named_by_option(problems: Iterable[Problem], own: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems of values that came by an option of their own say that."""
    typed = {f"--set {name}": f"--{name}" for name in own}
    for problem in problems:
        yield replace(problem, file=typed.get(problem.file, problem.file))


def opened_with(scenario: ScenarioLike, options: Options, **instead: Any) -> Scenario:
    """The scenario as the options of a function of the library want it. Raises InputError."""
    own = {"seed": options.get("seed"), **instead}
    found = opened(scenario, options.get("set") or (), options.get("trust", False), **own)
    kpis = options.get("kpis")
    if kpis is None:
        return found
    if not isinstance(kpis, Mapping):
        said = "functions by name; names alone choose what replications and sweeps show"
        raise InputError([Problem("kpis", str(kpis), said)])
    return found.with_objects(kpis=kpis)


def where_of(workers: Workers) -> tuple[int, Cluster | None]:
    """Local processes, and the cluster in their place. Raises InputError."""
    if isinstance(workers, str):
        return 1, Cluster(workers)
    if isinstance(workers, Cluster):
        return 1, workers
    if not whole(workers) or workers < 1:
        allowed = "a whole number from 1, or the address of a Dask scheduler"
        raise InputError([Problem("--workers", str(workers), allowed)])
    return int(workers), None


def whole(value: object) -> bool:
    """Whether a value is a whole number."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_replications(replications: int, option: str = "--replications") -> None:
    """Raise InputError unless it is a number of replications."""
    if not whole(replications) or replications < 1:
        raise InputError([Problem(option, str(replications), "a whole number from 1")])


# What makes the scenario of a task; it raises InputError, whose problems come with all others.
Make: TypeAlias = Callable[[], Scenario]


class Gathered:
    """Calls whose problems are raised as one."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def tried(self, call: Callable[..., _T], *given: Any, **more: Any) -> _T | None:
        """What a call returns; None where what it was given is wrong."""
        try:
            return call(*given, **more)
        except InputError as error:
            self.problems.extend(error.problems)
            return None

    def all(self, found: _T | None) -> _T:
        """What a call returned, when all went well. Raises InputError otherwise."""
        self.raised()
        if found is None:
            raise AssertionError("a call without problems returns something")
        return found

    def raised(self) -> None:
        """Raise InputError with the problems of all calls, if there are any."""
        if self.problems:
            raise InputError(dict.fromkeys(self.problems))
