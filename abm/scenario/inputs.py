"""The files that a scenario names, found and read."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from abm.errors import InputError, Problem
from abm.scenario.checks import value_at
from abm.scenario.document import Document
from abm.scenario.feeder import FeederTable, read_feeder
from abm.scenario.schema import ScenarioFields
from abm.scenario.shipped import (
    display,
    feeder_folders,
    name_hint,
    profile_files,
    tariff_files,
)
from abm.scenario.tables import (
    LoadProfile,
    SessionRules,
    SessionTable,
    Tariff,
    read_edges,
    read_profile,
    read_sessions,
    read_tariff,
)
from abm.scenario.yamlio import Path, dotted, show

_T = TypeVar("_T")

FEEDER: Path = ("grid", "feeder")
PROFILE: Path = ("base_load", "profile")
TARIFF: Path = ("tariff", "prices")
SESSIONS: Path = ("fleet", "sessions")
EDGES: Path = ("owners", "learning", "edges")
REFERENCES = (FEEDER, PROFILE, TARIFF, SESSIONS, EDGES)


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a scenario's files say.

    sessions is None when the fleet is sampled. edges: pairs of EVs of a feeder, from 0, (m, 2), or
    None.
    """

    feeder: FeederTable
    profile: LoadProfile
    tariff: Tariff
    sessions: SessionTable | None = None
    edges: NDArray[np.int64] | None = None


def shipped_names(path: Path) -> dict[str, FilePath]:
    """Names that the field at `path` knows, and their files; {} for the sessions."""
    listings: Mapping[Path, Callable[[], dict[str, FilePath]]] = {
        FEEDER: feeder_folders,
        PROFILE: profile_files,
        TARIFF: tariff_files,
    }
    return listings[path]() if path in listings else {}


def locate(reference: str, path: Path, document: Document) -> FilePath:
    """File or folder behind the value of a reference field: a shipped name, else a path.

    A relative path starts from the folder of the file in which it was written, else from the
    working folder.
    """
    known = shipped_names(path)
    return (
        known[reference]
        if reference in known
        else (document.origin(path).base or FilePath.cwd()) / reference
    )


def resolved_reference(reference: str, path: Path, document: Document) -> str:
    """The reference as it can be written anywhere: the shipped name, else the absolute path."""
    if reference in shipped_names(path):
        return reference
    return str(locate(reference, path, document).resolve())


def read_inputs(
    fields: ScenarioFields, document: Document, bad: Collection[Path]
) -> tuple[Inputs | None, list[Problem]]:
    """Read what the scenario names. bad: paths of fields that were refused already.

    Returns None and the problems of all files when any of them cannot be used.
    """
    problems: list[Problem] = []

    def read(path: Path, wanted: str, reader: Callable[[FilePath], _T]) -> _T | None:
        if any(path[: len(refused)] == refused for refused in bad):
            return None
        reference = value_at(fields, path)
        target = locate(reference, path, document)
        # os.path says False, where pathlib raises, to a name that no file can have.
        there = os.path.isdir(target) if path == FEEDER else os.path.isfile(target)
        if not reference.strip() or not there:
            known = shipped_names(path)
            said = (
                f"{wanted} not found"
                if not os.path.exists(target)
                else f"{wanted}, this is not one"
            )
            hint = name_hint(reference, known) if known else ""
            missing = Problem(dotted(path), show(reference), said, hint=hint)
            problems.append(document.locate(missing, path))
            return None
        try:
            return reader(target)
        except InputError as error:
            problems.extend(error.problems)
            return None

    profile = read(PROFILE, "a load profile (CSV file)", lambda p: read_profile(p, display(p)))
    tariff = read(TARIFF, "a tariff (CSV file)", lambda p: read_tariff(p, display(p)))
    classes = profile.classes if profile is not None else None
    feeder = read(FEEDER, "a feeder (folder)", lambda p: read_feeder(p, classes))
    sessions: SessionTable | None = None
    if fields.fleet.sessions is not None:
        rules = SessionRules(
            horizon_min=fields.clock.hours * 60,
            n_zones=feeder.n_zones if feeder is not None else None,
            charger_kw=fields.ev.charger_kw,
            discharger_kw=fields.ev.discharger_kw,
            efficiency=fields.ev.efficiency,
        )
        sessions = read(
            SESSIONS, "a file of sessions (CSV)", lambda p: read_sessions(p, display(p), rules)
        )
    elif feeder is not None and feeder.n_zones == 0 and fields.fleet.evs_per_zone > 0:
        none = Problem(
            dotted(FEEDER), show(fields.grid.feeder), "a feeder with zones; this has none"
        )
        problems.append(document.locate(none, FEEDER))
    edges: NDArray[np.int64] | None = None
    if fields.owners.learning.graph == "edges" and fields.owners.learning.edges is not None:
        n_evs = feeder.n_zones * fields.fleet.evs_per_zone if feeder is not None else None
        edges = read(EDGES, "a file of pairs (CSV)", lambda p: read_edges(p, display(p), n_evs))
    if problems or profile is None or tariff is None or feeder is None:
        return None, problems
    return Inputs(
        replace(feeder, name=_feeder_name(fields, feeder)), profile, tariff, sessions, edges
    ), []


def _feeder_name(fields: ScenarioFields, feeder: FeederTable) -> str:
    known = shipped_names(FEEDER)
    return fields.grid.feeder if fields.grid.feeder in known else feeder.name
