"""What the functions of the library share: options, the scenario they are asked of, and errors.

Checks speak of `--option`, as the command line does; who calls a function reads of `option`.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypedDict, TypeVar, Union

from abm.errors import InputError, Problem, nearest
from abm.scenario import Scenario
from abm.scenario.document import parse_setting

if TYPE_CHECKING:
    from abm.study.cluster import Cluster

_P = ParamSpec("_P")
_T = TypeVar("_T")

ScenarioLike: TypeAlias = Union[str, "os.PathLike[str]", Scenario, Mapping[str, Any]]
Settings: TypeAlias = Mapping[str, Any] | Sequence[str]
Workers: TypeAlias = Union[int, str, "Cluster"]
Folder: TypeAlias = Union[str, "os.PathLike[str]"]


class Options(TypedDict, total=False):
    """Options that all functions take; `MEANINGS` says what they are."""

    set: Settings
    seed: int | None
    trust: bool
    progress: bool


class StudyOptions(Options, total=False):
    """Options of the functions that run many replications."""

    workers: Workers
    save: Folder | None


DEFAULTS: dict[str, Any] = {
    "set": (),
    "seed": None,
    "trust": False,
    "progress": True,
    "workers": 1,
    "save": None,
}
MEANINGS = {
    "scenario": "a file, the name of a shipped one, a Scenario, or its fields as a mapping.",
    "set": 'fields that are changed, {"ev.efficiency": 0.9} or ["ev.efficiency=0.9"].',
    "seed": "takes the place of the scenario's own.",
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
                raise type(error)(map(_as_argument, error.problems)) from None

        call.__dict__["__signature__"] = signature
        meanings = [f"{name}: {MEANINGS[name]}" for name in known if name in MEANINGS]
        call.__doc__ = "\n".join([inspect.cleandoc(function.__doc__ or ""), "", *meanings])
        return call

    return decorate


def _as_argument(problem: Problem) -> Problem:
    texts = {name: getattr(problem, name) for name in ("field", "file", "allowed", "hint")}
    if texts["file"] == "override":
        texts["file"] = "set"
    return replace(problem, **{name: _without_dashes(text) for name, text in texts.items()})


def _without_dashes(text: str) -> str:
    return re.sub(r"--([a-z][a-z-]*)", lambda found: found[1].replace("-", "_"), text)


def opened(
    scenario: ScenarioLike, settings: Settings = (), trust: bool = False, **instead: Any
) -> Scenario:
    """The scenario with fields changed; instead: values of options of their own, not None.

    Raises InputError with all problems.
    """
    own = {name: value for name, value in instead.items() if value is not None}
    changes = [*(settings.items() if isinstance(settings, Mapping) else settings), *own.items()]
    try:
        if not isinstance(scenario, Scenario):
            return Scenario.load(scenario, settings=changes, trust=trust)
        if not changes and not trust:
            return scenario
        pairs = (parse_setting(one) if isinstance(one, str) else one for one in changes)
        return scenario.override(dict(pairs), trust=trust or None)
    except InputError as error:
        typed = {f"--set {name}": f"--{name}" for name in own}
        raise InputError(
            replace(problem, file=typed.get(problem.file, problem.file))
            for problem in error.problems
        ) from None
