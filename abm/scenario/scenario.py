"""`Scenario`: what is studied, checked as a whole, with the data of the files it names."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import PrivateAttr, ValidationError

from abm.errors import InputError, Problem
from abm.scenario.calendar import Calendar
from abm.scenario.checks import cross_problems, value_at
from abm.scenario.code import Code
from abm.scenario.differences import Difference, differences
from abm.scenario.document import (
    Document,
    Origin,
    clean_path,
    parse_setting,
    plain,
    problem_of,
)
from abm.scenario.feeder_table import FeederTable
from abm.scenario.fleet_fields import FleetSection
from abm.scenario.inputs import Inputs, calendar_of, read_inputs
from abm.scenario.kpi import Kpi
from abm.scenario.objects import Objects, changed_fields, checked
from abm.scenario.reading import read_document
from abm.scenario.references import REFERENCES, resolved_reference
from abm.scenario.schema import ScenarioFields
from abm.scenario.series import Series, constant
from abm.scenario.stay_fields import Copula
from abm.scenario.yamlio import Path, dotted, yaml_text

if TYPE_CHECKING:
    from abm.agents.ev import EvClass
    from abm.control import Admission, Rule
    from abm.fleet.owners import Behaviour
    from abm.results import Results


class Scenario(ScenarioFields):
    """All that defines a run, frozen and valid.

    `Scenario()` is the paper's study; `Scenario(seed=2, ev={"efficiency": 0.9})` differs in two
    fields. Left-out fields take their defaults. Two scenarios are equal when all their fields are,
    references to files taken as the files they lead to, and they carry objects that hold the same.

    trust: the code that it names, `module:Class`, may be loaded. Raises InputError with every
    problem found, in the fields and in the files they name.
    """

    _source: Document = PrivateAttr()
    _inputs: Inputs = PrivateAttr()
    _objects: Objects = PrivateAttr(default_factory=Objects)

    def __init__(
        self, document: Document | None = None, /, *, trust: bool = False, **fields: Any
    ) -> None:
        document = document if document is not None else _document_in_code(fields, trust)
        inputs, problems = _judge(document)
        if inputs is None or problems:
            raise InputError(_in_reading_order(problems))
        super().__init__(**document.data)
        self._source = document
        self._inputs = inputs

    @classmethod
    def load(
        cls,
        path_or_name: str | os.PathLike[str] | Mapping[str, Any],
        *,
        settings: Sequence[str | tuple[str, Any]] = (),
        trust: bool = False,
    ) -> Self:
        """Read a scenario from a YAML file, by the name of a shipped one, or of what a file says.

        settings: `--set` arguments such as "ev.efficiency=0.9", or field and value as a pair, laid
        over the file before anything is judged. trust: the code that is named may be loaded, and
        files may lie anywhere; without it each that leads out of the folder of the file that names
        it is warned of. Raises InputError with every problem found.
        """
        document, problems = _read(path_or_name, trust)
        problems += _apply(document, settings)
        scenario = cls._checked(document, problems)
        inputs = scenario.inputs
        left_out = [one.left_out for one in (inputs.sessions, inputs.past) if one and one.left_out]
        for notice in dict.fromkeys([*document.outside, *left_out]):
            warnings.warn(notice, stacklevel=2)
        return scenario

    def override(
        self,
        changes: Mapping[str, Any] | None = None,
        /,
        *,
        trust: bool | None = None,
        **fields: Any,
    ) -> Self:
        """A new scenario with some values changed.

        changes: dotted keys, {"ev.efficiency": 0.9}. fields: top-level keys, strategy="evms"; a
        mapping changes only the keys it has (a `strategy` is replaced). trust: whether the code
        that is named may be loaded, as before if left out. Objects stay, but for a rule and an
        admission where `strategy` is changed, and a behaviour where that is. Raises InputError.
        """
        document = self._source.copy()
        document.trusted = document.trusted if trust is None else trust
        document.rank += 1
        origin = Origin("override", None, FilePath.cwd(), document.rank)
        problems: list[Problem] = []
        for key, value in {**(changes or {}), **fields}.items():
            problems += document.change(tuple(str(key).split(".")), plain(value), origin)
        found = self._checked(document, problems)
        found._objects = self._objects.without(changed_fields({**(changes or {}), **fields}))
        return found

    def with_objects(
        self,
        rule: Rule | Callable[..., Any] | None = None,
        admission: Admission | Callable[..., Any] | None = None,
        behaviour: Behaviour | Callable[..., Any] | Mapping[str, Any] | None = None,
        ev_class: EvClass | None = None,
        kpis: Mapping[str, Kpi | Callable[[Results], float | None]] | None = None,
    ) -> Self:
        """A copy that carries Python objects beside its fields; what is left out stays.

        rule, admission: in the place of those of its strategy; one object may be both. behaviour:
        of all owners, or {group: behaviour}. ev_class: a subclass of `abm.EV` for all EVs, or
        {index or ev_id: subclass}. kpis: {name: function}, added to those that are there, each a
        function of the `Results` of one feeder that returns a number, or None where it has none,
        or a `Kpi` with a function and words for it.
        A function of the same arguments may stand for a rule, an admission or a behaviour.

        Each model has a deep copy, so that what is handed in never changes. Objects go to workers
        with pickle. A file can say none of this: manifests tell class, text and digest. Raises
        InputError.
        """
        given: dict[str, Any] = {
            "rule": rule,
            "admission": admission,
            "behaviour": behaviour,
            "ev_class": ev_class,
            "kpis": None if kpis is None else {**self._objects.kpis, **kpis},
        }
        changes = {name: value for name, value in given.items() if value is not None}
        found = self.model_copy()
        found._objects = checked(replace(self._objects, **changes), self.owners.groups)
        return found

    @property
    def objects(self) -> Objects:
        """What `with_objects` was given."""
        return self._objects

    @classmethod
    def _checked(cls, document: Document, problems: list[Problem]) -> Self:
        if problems:
            raise InputError(_in_reading_order(problems + _judge(document)[1]))
        return cls(document)

    def believed(self, fleet: FleetSection) -> Scenario:
        """The scenario with a fleet drawn from what is believed, whatever its own is."""
        found, inputs = self.model_copy(update={"fleet": fleet}), self._inputs
        own = self.belief.stays is not None
        dependence = inputs.believed_dependence if own else inputs.dependence
        found._inputs = replace(inputs, sessions=None, dependence=dependence)
        return found

    def on_feeder(self, table: FeederTable, reference: str) -> Scenario:
        """The scenario on another feeder with the same zones; reference: the folder it is in."""
        grid = self.grid.model_copy(update={"feeder": reference})
        found = self.model_copy(update={"grid": grid})
        found._inputs = replace(self._inputs, feeder=table)
        return found

    def with_dependence(self, copulas: dict[str, Copula] | None) -> Scenario:
        """The scenario with this dependence of `fleet.stays`, whatever file it names."""
        found = self.model_copy()
        found._inputs = replace(self._inputs, dependence=copulas)
        return found

    @property
    def inputs(self) -> Inputs:
        """Feeder, load profile, tariff and sessions, as read when the scenario was made."""
        return self._inputs

    @property
    def zone_evs(self) -> NDArray[np.int64]:
        """EVs of each zone of a feeder that are sampled, int64[n_zones]."""
        return self.fleet.evs_of(self._inputs.feeder.zone_customers())

    @property
    def zone_evs_drawn(self) -> NDArray[np.int64]:
        """EVs of each zone that are drawn, of which the first `zone_evs` are there, [n_zones]."""
        return self.fleet.drawn_of(self._inputs.feeder.zone_customers())

    @property
    def hours(self) -> int:
        """Length of the whole horizon, of one day or several, h."""
        days = self.horizon.days
        return 24 * days if days > 1 else self.clock.hours

    @property
    def by_energy(self) -> bool:
        """Whether the EVs' need is an energy, and the SoC of their batteries not known."""
        sessions = self._inputs.sessions
        if sessions is None:
            return self.fleet.stays is not None
        return sessions.energy_kwh is not None

    @property
    def sets_of_stays(self) -> int:
        """How often a run draws stays for its EVs: each day, but once for sessions or `stays`."""
        at_once = self._inputs.sessions is not None or self.fleet.stays is not None
        return 1 if at_once else self.horizon.days

    @property
    def calendar(self) -> Calendar:
        """Dates, weekdays and clock times of the horizon."""
        return calendar_of(self)

    @property
    def demand_limit(self) -> Series:
        """P_D^max of eq. (13) on the horizon, one column [MW]."""
        series = self._inputs.limit
        return constant(self.grid.demand_limit_mw, self.hours) if series is None else series

    @property
    def code(self) -> tuple[Code, ...]:
        """All code of the user's own that the scenario names; of a feeder, the function of its net.

        Raises InputError where the user's list of trusted folders cannot be read.
        """
        classes = (self.code_at(path) for path in self._classes())
        return tuple(code for code in (*classes, self._inputs.feeder.code) if code is not None)

    def _classes(self) -> list[Path]:
        """Paths of the fields that may name a class or a KPI, where no object is in its place."""
        named: list[Path] = []
        own = self._objects
        if own.behaviour is None or isinstance(own.behaviour, Mapping):
            groups = [name for name in self.owners.groups if name not in (own.behaviour or ())]
            named.append(("owners", "behaviour"))
            named += [("owners", "groups", name, "behaviour") for name in groups]
        if not isinstance(self.strategy, str):
            pair = {"rule": own.rule, "admission": own.admission}
            named += [("strategy", part) for part, given in pair.items() if given is None]
        return [*named, *(("kpis", name) for name in self.kpis)]

    def code_at(self, path: Path) -> Code | None:
        """The class or KPI of the user's own that the field at `path` names; None for none."""
        name = value_at(self, path)
        if name is None or ":" not in name:
            return None
        origin, main = self._source.origin(path), self._source.default
        base = origin.base or FilePath.cwd()
        # What was typed may lie in the working folder or beside the scenario.
        folders = (base,) if origin.of_file or main.base is None else (base, main.base)
        trusted = self._source.trusted or (origin.of_file and self._source.trusts(base))
        of_class = path[0] != "kpis"
        options = value_at(self, (*path[:-1], f"{path[-1]}_options")) if of_class else {}
        return Code(dotted(path), name, folders, trusted, origin.file, origin.line, options)

    def written_with(self, path: Path, other: Path) -> bool:
        """Whether the field at `path` was written where the one at `other` was, or later."""
        origins, never = self._source.origins, Origin(rank=-1)
        return origins.get(path, never).rank >= origins.get(other, never).rank

    def resolved(self) -> dict[str, Any]:
        """All fields as plain nested data; shipped references by name, files by absolute path.

        So are modules of the user's own that lie in the folder of the scenario.
        """
        data = self.model_dump()
        for path in self._classes():
            if (code := self.code_at(path)) is not None:
                inner: dict[str, Any] = data
                for key in path[:-1]:
                    inner = inner[key]
                inner[path[-1]] = code.resolved()
        for path in REFERENCES:
            reference = value_at(self, path)
            if reference is not None:
                inner = data
                for key in path[:-1]:
                    inner = inner[key]
                inner[path[-1]] = resolved_reference(reference, path, self._source)
        return data

    def differences(self, default: Scenario | None = None) -> list[Difference]:
        """In what it differs from the paper's study, or from another, objects last."""
        there = {} if default is None else default._objects.described()
        mine = self._objects.described().items()
        return differences(self, default) + [
            Difference(name, one["class"], None, "An object of Python.")
            for name, one in mine
            if one != there.get(name)
        ]

    def to_yaml(self) -> str:
        """The scenario as YAML that loads back to an equal one from any folder.

        Objects are not in it; a comment at its head names them.
        """
        return self._objects.comment() + yaml_text(self.resolved())

    def __iter__(self) -> NoReturn:
        # It is one thing to whoever goes through lists of values, such as Mesa's batch runner.
        raise TypeError("a Scenario has fields, and is no list of them")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scenario):
            return False
        return self.resolved() == other.resolved() and self._objects == other._objects

    def __hash__(self) -> int:
        return hash((yaml_text(self.resolved()), self._objects))


def _read(
    what: str | os.PathLike[str] | Mapping[str, Any], trust: bool
) -> tuple[Document, list[Problem]]:
    if not isinstance(what, Mapping):
        return read_document(what, trust)
    if "extends" not in what:
        return _document_in_code(what, trust), []
    document, problems = read_document(what["extends"], trust)
    own = {str(key): value for key, value in what.items() if key != "extends"}
    document.rank += 1
    origin = Origin(base=FilePath.cwd(), rank=document.rank)
    for key, value in own.items():
        problems += document.change((key,), plain(value), origin)
    return document, problems


def _document_in_code(fields: Mapping[str, Any], trust: bool) -> Document:
    origin = Origin(base=FilePath.cwd())
    document = Document(default=origin, trusted=trust)
    document.merge({key: plain(value) for key, value in fields.items()}, {}, origin)
    return document


def _apply(document: Document, settings: Sequence[str | tuple[str, Any]]) -> list[Problem]:
    problems: list[Problem] = []
    document.rank += 1
    for setting in settings:
        try:
            key, value = parse_setting(setting) if isinstance(setting, str) else setting
        except InputError as error:
            problems += error.problems
            continue
        origin = Origin(f"--set {key}", None, FilePath.cwd(), document.rank)
        problems += document.change(tuple(str(key).split(".")), plain(value), origin)
    return problems


def _judge(document: Document) -> tuple[Inputs | None, list[Problem]]:
    """Every problem of the fields, of their combinations and of the files they name."""
    fields, problems, bad = _fields(document)
    problems += cross_problems(fields, document, bad)
    inputs, more = read_inputs(fields, document, bad)
    return inputs, problems + more


def _fields(document: Document) -> tuple[ScenarioFields, list[Problem], list[Path]]:
    """The fields with what cannot be used put back to its default, the problems, their paths."""
    data = deepcopy(document.data)
    problems: list[Problem] = []
    bad: list[Path] = []
    while True:
        try:
            return ScenarioFields.model_validate(data), problems, bad
        except ValidationError as error:
            unusable: list[tuple[dict[str, Any], str]] = []
            for item in error.errors(include_url=False, include_context=False):
                kind, path = item["type"], clean_path(item["loc"])
                if path not in bad:  # else it is missing because it was taken out below
                    problems.append(document.locate(problem_of(kind, path, item["input"]), path))
                    bad.append(path)
                before = path[:-1] if kind == "missing" else path
                # What lies inside a strategy may have keys of any kind; it goes as a whole.
                unusable.append(_nearest(data, path[:1] if path[0] == "strategy" else before))
            # Found before any is taken out, each lies in the data, so that this comes to an end.
            for around, key in unusable:
                around.pop(key, None)


def _nearest(data: dict[str, Any], path: Path) -> tuple[dict[str, Any], str]:
    """The mapping and the key of the value at `path`, or of the nearest one around it.

    What pydantic says of a key leads further than the data: (..., "x y", "[key]").
    """
    around, at = data, path[0]
    for key in path[1:]:
        inner = around.get(at)
        if not isinstance(inner, dict) or key not in inner:
            break
        around, at = inner, key
    return around, at


def _in_reading_order(problems: list[Problem]) -> list[Problem]:
    """By file in order of appearance, within a file by line; each once."""
    files = list(dict.fromkeys(problem.file for problem in problems))
    return sorted(dict.fromkeys(problems), key=lambda p: (files.index(p.file), p.line or 0))
