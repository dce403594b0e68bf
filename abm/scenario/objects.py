"""Objects of Python that take part in a scenario beside its fields: rules, admissions, KPIs, ...

Who hands in an object has its code already, so nothing is trusted or loaded here. A file cannot
name an object with what it holds: manifests say what was given, and a digest tells whether a study
that goes on has the same.
"""

from __future__ import annotations

import copy
import pickle
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import FunctionType
from typing import Any, TypeVar

from abm.errors import InputError, Problem, printable
from abm.scenario.code import METHODS
from abm.scenario.digests import digest, source_of
from abm.scenario.kpi import NAME, NAME_WORDS, WANTED, as_kpi
from abm.scenario.modules import Called, name_of

T = TypeVar("T")
# What is said of an object in a manifest is no longer than this.
LONGEST = 300
ARGUMENTS = {
    "rule": "decide(fleet, broadcast, minute)",
    "admission": "admit(fleet, request, broadcast, minute)",
    "behaviour": "plan(plan, rng)",
}


@dataclass(frozen=True)
class Objects:
    """What `Scenario.with_objects` was given; None, and {}: nothing.

    rule, admission: in the place of those of the scenario's strategy. behaviour: of all owners, or
    by group. ev_class: as `V2GModel` takes it. kpis: functions of the results of one feeder.
    """

    rule: Any = None
    admission: Any = None
    behaviour: Any = None
    ev_class: Any = None
    kpis: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(True for _ in self.named())

    def named(self) -> Iterator[tuple[str, Any]]:
        """Field and object of everything that was given: "rule", "behaviour.night", "kpis.x"."""
        for name in ("rule", "admission", "behaviour", "ev_class", "kpis"):
            value = getattr(self, name)
            if isinstance(value, Mapping):
                yield from ((f"{name}.{key}", one) for key, one in value.items())
            elif value is not None:
                yield name, value

    @property
    def act(self) -> bool:
        """Whether any of them takes part in a run, as a KPI does not."""
        return bool(replace(self, kpis={}))

    def strategy_pair(self) -> tuple[Any, Any]:
        """Rule and admission for one model, None where not given. Raises InputError.

        They are copied as one, so that what they share stays shared.
        """
        rule, admission = copied((self.rule, self.admission), "rule")
        return asked(rule, "decide"), asked(admission, "admit")

    def behaviour_of(self, group: str) -> Any:
        """The behaviour of a group for one population, None where there is none."""
        whole = self.behaviour
        one = whole.get(group) if isinstance(whole, Mapping) else whole
        return asked(copied(one, "behaviour"), "plan")

    def described(self) -> dict[str, Any]:
        """What was given, as plain data for a manifest: class, text, digest of what it holds."""
        return {name: description(value) for name, value in self.named()}

    def comment(self) -> str:
        """What was given, as lines of comment for a file; "" where nothing was."""
        lines = [
            f"{name} = {one['class']}: {one['text']}" for name, one in self.described().items()
        ]
        if not lines:
            return ""
        head = "Beside these fields, objects of Python took part, which no file can hold:"
        end = "This file alone is another scenario."
        return "".join(f"# {printable(line)}\n" for line in (head, *lines, end))

    def without(self, changed: Iterable[str]) -> Objects:
        """What stays where fields of the scenario, dotted, are written anew."""
        keys = list(changed)
        found = self
        if any(key.partition(".")[0] == "strategy" for key in keys):
            found = replace(found, rule=None, admission=None)
        if any(re.fullmatch(r"owners\.(.+\.)?behaviour(_options)?", key) for key in keys):
            found = replace(found, behaviour=None)
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Objects) and self.described() == other.described()

    def __hash__(self) -> int:
        return hash(tuple(sorted(one["digest"] for one in self.described().values())))


def changed_fields(changes: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Dotted names of the fields that `Scenario.override` was told to change."""
    for key, value in changes.items():
        yield f"{above}{key}"
        if isinstance(value, Mapping):
            yield from changed_fields(value, f"{above}{key}.")


def description(value: Any) -> dict[str, Any]:
    """One object as plain data; `source` is the SHA-256 of its module's file, where it has one."""
    said = re.sub(r" at 0x[0-9a-f]+", "", repr(value))
    found = {"class": name_of(value), "text": said[:LONGEST], "digest": digest(value)}
    source = source_of(value)
    return found if source is None else {**found, "source": source}


def copied(value: T, field: str) -> T:
    """A deep copy. Raises InputError where there can be none."""
    try:
        return copy.deepcopy(value)
    except Exception as error:
        raise InputError([_no_copy(field, value, "copy.deepcopy can copy", error)]) from error


def _no_copy(field: str, value: Any, what: str, error: Exception) -> Problem:
    said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    name = " and ".join(name_of(one) for one in value if one) if isinstance(value, tuple) else ""
    return Problem(field, name or name_of(value), f"an object that {what}; {said}")


def asked(value: Any, method: str) -> Any:
    """An object with this method; a function becomes one."""
    return value if value is None or hasattr(value, method) else Called(value)


def checked(objects: Objects, groups: Iterable[str]) -> Objects:
    """The objects. Raises InputError with all that cannot be what they are given as.

    groups: of the owners.
    """
    problems: list[Problem] = []
    for name in ("rule", "admission", "behaviour"):
        value = getattr(objects, name)
        of_groups = name == "behaviour" and isinstance(value, Mapping)
        for key, one in value.items() if of_groups else [("", value)]:
            if one is not None:
                problems += _callable(f"{name}.{key}" if of_groups else name, one, name)
        if of_groups:
            known = list(groups)
            allowed = "a group of owners: " + (", ".join(known) or "there are none")
            problems += [Problem(name, str(key), allowed) for key in value if key not in known]
    if not isinstance(objects.kpis, Mapping):
        problems.append(Problem("kpis", name_of(objects.kpis), "functions by name"))
    else:
        for key, one in objects.kpis.items():
            if not isinstance(key, str) or not NAME.fullmatch(key):
                problems.append(Problem("kpis", repr(key), NAME_WORDS))
            elif not callable(as_kpi(one).function):
                problems.append(Problem(f"kpis.{key}", repr(one), WANTED))
    if problems:
        raise InputError(problems)
    return objects


def _callable(field: str, value: Any, kind: str) -> list[Problem]:
    wanted = f"an object with a method {ARGUMENTS[kind]}, or a function of the same arguments"
    if isinstance(value, type):
        hint = f"an object of the class, {value.__name__}(...)"
        return [Problem(field, value.__name__, wanted, hint=hint)]
    if callable(getattr(value, METHODS[kind], None)) or callable(value):
        return []
    return [Problem(field, name_of(value), wanted)]


def check_sendable(carried: Iterable[Objects], here: bool = True) -> None:
    """Raise InputError where objects cannot go to workers; here: those are processes of ours.

    Dask's workers are sent what was defined at a prompt, too.
    """
    problems: dict[int, Problem | None] = {}
    for name, value in (pair for objects in carried for pair in objects.named()):
        if id(value) not in problems:
            problems[id(value)] = _not_sendable(name, value, here)
    found = [problem for problem in problems.values() if problem is not None]
    if found:
        raise InputError(found)


def _not_sendable(name: str, value: Any, here: bool) -> Problem | None:
    at_prompt = _module_of(value) == "__main__" and not hasattr(sys.modules["__main__"], "__file__")
    if at_prompt:
        said = "something of a module that workers can import; what is defined at a prompt or in a "
        said += "notebook runs with --workers 1"
        return Problem(name, name_of(value), said) if here else None
    try:
        pickle.loads(pickle.dumps(value))
    except Exception as error:
        return _no_copy(name, value, "pickle can send to workers", error)
    return None


def _module_of(value: Any) -> str:
    kind = value if isinstance(value, type | FunctionType) else type(value)
    return str(kind.__module__)
