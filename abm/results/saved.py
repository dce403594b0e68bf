"""A folder that Evenfall wrote, opened again: what its files say, read when asked for.

Each file is compared with its SHA-256 in the manifest as it is read. Nothing in a folder is run.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NoReturn

from abm.errors import InputError, Problem, printable
from abm.results.ownership import (
    FORMAT,
    FORMAT_VERSION,
    MANIFEST,
    STUDY,
    WRITTEN,
    is_within,
    read_manifest,
    read_study,
)
from abm.results.seals import is_regular
from abm.results.showing import LazyTables, Shown
from abm.results.staging import Content
from abm.results.stored import RECORD
from abm.scenario import Scenario

if TYPE_CHECKING:
    import pandas as pd

SCENARIO, KPIS, SUMMARY = "scenario.yaml", "kpis.json", "summary.json"
FIGURES, REPORT = "figures", "report.html"
# The figure that says most, of a run, replications, a study of hosting, a sweep.
FIRST = ("demand", "fan", "probability", "peak_15min_mw")
# Files that are tables, by how their names end.
TABLES = (".parquet", ".csv")


class Folder:
    """A finished folder of a run or a study. Raises InputError where it is none, or damaged."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.manifest = _manifest_of(self.path)
        self.written: dict[str, str] = self.manifest[WRITTEN]
        self._read: dict[str, pd.DataFrame] = {}

    @property
    def study(self) -> str:
        """The verb that wrote it."""
        return str(self.manifest["study"])

    def has(self, name: str) -> bool:
        """Whether a file of this name was written."""
        return name in self.written

    def content(self, name: str) -> bytes:
        """A file as it was written. Raises InputError where it is not so any more."""
        path = self.path / name
        if not is_within(self.path, name) or not is_regular(path):
            self.refuse(name, "the file that was written; it is missing")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.written[name]:
            self.refuse(name, "the file that was written; it has changed since")
        return content

    def refuse(self, name: str, allowed: str) -> NoReturn:
        """Raise InputError: a file is not what is allowed."""
        hint = "`verify` names all that has changed"
        raise InputError([Problem(printable(name), "", allowed, str(self.path), hint=hint)])

    def plain(self, name: str) -> dict[str, Any]:
        """A JSON file."""
        try:
            found = json.loads(self.content(name))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            self.refuse(name, "an object in JSON")
        return found

    def scenario(self) -> Scenario:
        """The scenario, read without running any code. Raises InputError as `Scenario.load`."""
        import warnings

        self.content(SCENARIO)
        with warnings.catch_warnings():
            # Its files lie where they lay; that was said when it was run.
            warnings.simplefilter("ignore")
            return Scenario.load(self.path / SCENARIO)

    @property
    def table_files(self) -> dict[str, str]:
        """Names of the tables of this folder itself, and of their files."""
        return {
            PurePosixPath(name).stem: name
            for name in self.written
            if "/" not in name and name.endswith(TABLES) and name != RECORD
        }

    @cached_property
    def tables(self) -> LazyTables:
        """Its tables, read once."""
        return LazyTables(list(self.table_files), self._table)

    def _table(self, name: str) -> pd.DataFrame:
        import pandas as pd
        import pyarrow as pa

        if name not in self._read:
            file = self.table_files[name]
            content = io.BytesIO(self.content(file))
            try:
                if file.endswith(".csv"):
                    self._read[name] = pd.read_csv(content, float_precision="round_trip")
                else:
                    self._read[name] = pd.read_parquet(content)
            except (ValueError, pa.ArrowException):
                self.refuse(file, "a table")
        return self._read[name]

    @property
    def figures(self) -> dict[str, str]:
        """Names of the pictures (PNG) of this folder itself, and of their files."""
        found = {PurePosixPath(name): name for name in self.written}
        pictures = {
            path.stem: name
            for path, name in found.items()
            if path.parent == PurePosixPath(FIGURES) and path.suffix == ".png"
        }
        # A manifest lists them by name.
        return dict(sorted(pictures.items(), key=lambda one: (one[0] not in FIRST, one[0])))

    def within(self, name: str) -> Folder | None:
        """A folder of a run within that of a study; None where there is none."""
        return Folder(self.path / name) if f"{name}/{MANIFEST}" in self.written else None


class Saved(Shown):
    """A folder of results that is read and no more: what it was made of is not there.

    Tables are read when they are asked for; `plot` shows the pictures as they were stored; `save`
    copies the folder.
    """

    def __init__(self, folder: Folder, missing: Sequence[str] = ()) -> None:
        self.folder, self._missing = folder, tuple(missing)

    @property
    def missing(self) -> tuple[str, ...]:
        """What cannot be had, and why, in sentences."""
        return self._missing

    @property
    def manifest(self) -> dict[str, Any]:
        """What produced the folder: study, seed, strategies, versions, files."""
        return dict(self.folder.manifest)

    @property
    def title(self) -> str:
        """The verb, the scenario and the strategies."""
        about = self.folder.manifest
        said = [self.folder.study, str(about.get("scenario", "")), *about.get("strategies", [])]
        return ", ".join(name for name in said if name)

    @cached_property
    def scenario(self) -> Scenario:
        """What was studied. Raises InputError where a file that it names is not there any more."""
        return self.folder.scenario()

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """Tables by name."""
        return self.folder.tables

    @cached_property
    def kpis(self) -> dict[str, Any]:
        """KPIs as they were written, of replications by strategy; {} where there are none."""
        name = next((name for name in (KPIS, SUMMARY) if self.folder.has(name)), None)
        found = {} if name is None else self.folder.plain(name)
        return dict(found["strategies"]) if self.folder.study == "montecarlo" else found

    def contents(self, figures: bool = True) -> Iterator[tuple[str, Content]]:
        """Its files as they were written, and what its manifest says, as the last."""
        for name in self.folder.written:
            if figures or not (f"{FIGURES}/" in name or name == REPORT):
                yield name, self.folder.content(name)
        about = {key: value for key, value in self.folder.manifest.items() if key != WRITTEN}
        yield MANIFEST, about

    def __repr__(self) -> str:
        lines = [f"Saved: {self.title}", repr(self.tables), *self.missing]
        return "\n".join(printable(line) for line in lines)


def _manifest_of(path: Path) -> dict[str, Any]:
    """The manifest of a finished folder. Raises InputError."""
    found = read_manifest(path) if path.is_dir() else None
    if found is not None:
        return found
    raise InputError([Problem("folder", printable(path), _why_not(path))])


def _why_not(path: Path) -> str:
    """What a folder without a manifest that holds would have to be."""
    if not path.is_dir():
        return "a folder that Evenfall wrote; this is no folder"
    try:
        said = json.loads((path / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        said = None
    if isinstance(said, dict) and said.get("format") == FORMAT:
        version = said.get("format_version")
        if version != FORMAT_VERSION:
            here = f"this version of Evenfall reads format {FORMAT_VERSION}"
            return f"{here}, and the folder has {printable(version)}"
        return f"a folder as it was written; its {MANIFEST} has changed since"
    if read_study(path) is not None or os.path.lexists(path / STUDY):
        return "a finished study; this one was begun, and --resume goes on with it"
    return f"a folder that Evenfall wrote; this one has no {MANIFEST} of ours"
