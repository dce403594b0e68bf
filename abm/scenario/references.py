"""Fields of a scenario that name a file or a folder, and where that is."""

from __future__ import annotations

import os
from pathlib import Path as FilePath

from abm.scenario.document import Document
from abm.scenario.feeder import FEEDER_FILES, MORE_FILES
from abm.scenario.load_profiles import is_ready
from abm.scenario.names import shipped_files
from abm.scenario.yamlio import Path

FEEDER: Path = ("grid", "feeder")
PROFILE: Path = ("base_load", "profile")
TARIFF: Path = ("tariff", "prices")
SALE: Path = ("tariff", "sale_prices")
SESSIONS: Path = ("fleet", "sessions")
EDGES: Path = ("owners", "learning", "edges")
PAST: Path = ("belief", "sessions")
LIMIT: Path = ("grid", "demand_limit")
TEMPERATURE: Path = ("weather", "temperature")
PV: Path = ("pv", "series")
IRRADIANCE: Path = ("pv", "irradiance")
EV_MODELS: Path = ("fleet", "ev_models")
DEPENDENCE: Path = ("fleet", "stays", "dependence")
BELIEVED: Path = ("belief", "stays", "dependence")
CUSTOMERS: Path = ("base_load", "customers")
REACTIVE: Path = ("base_load", "reactive")
POOL: Path = ("base_load", "variety", "pool")
REFERENCES = (
    FEEDER, PROFILE, TARIFF, SALE, SESSIONS, EDGES, PAST, LIMIT, TEMPERATURE, PV, IRRADIANCE,
    EV_MODELS, DEPENDENCE, BELIEVED, CUSTOMERS, REACTIVE, POOL,
)  # fmt: skip


def shipped_names(path: Path) -> dict[str, FilePath]:
    """Names that the field at `path` knows, and their files; {} for other files."""
    kinds = {
        FEEDER: "feeders", PROFILE: "profiles", TARIFF: "tariffs", SALE: "tariffs", PV: "pv",
        POOL: "pools", EV_MODELS: "ev_models", SESSIONS: "sessions", PAST: "sessions",
    }  # fmt: skip
    return shipped_files(kinds[path]) if path in kinds else {}


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
    if reference in shipped_names(path) or (path == PROFILE and is_ready(reference)):
        return reference
    return str(locate(reference, path, document).resolve())


def parts(target: FilePath) -> list[FilePath]:
    """A file, or a folder and the files of a feeder in it."""
    if not os.path.isdir(target):
        return [target]
    more = [target / name for name in MORE_FILES if os.path.lexists(target / name)]
    return [target, *(target / name for name in FEEDER_FILES), *more]
