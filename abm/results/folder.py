"""Folders of results: one writer and one shape of manifest, for runs, studies and the paper alike.

A folder's files are given as names and contents: tables by `abm.results` and `abm.study`, pictures
by `abm.report`. Each file is written under a temporary name and renamed, the manifest last. It
lists what was written, with its SHA-256, and only that may ever be replaced.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, Union

from abm.errors import OutputExistsError, Problem
from abm.results.notices import limit_notices
from abm.results.results import Results
from abm.scenario import Scenario

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

# Bytes and text as they are, plain data as JSON, tables as CSV or parquet by the name's ending.
Content: TypeAlias = Union[bytes, str, Mapping[str, Any], "pd.DataFrame", "pa.Table"]
Files: TypeAlias = Iterable[tuple[str, Content]]

TABLES = ("hourly", "ev", "bus_hour", "line_hour", "zones")
MANIFEST = "manifest.json"
FORMAT, FORMAT_VERSION = "evenfall", 1
# In a manifest: names of the files that were written, which --force may replace.
WRITTEN = "written"
PACKAGES = ("evenfall", "mesa", "simpy", "numpy", "scipy", "pandas", "pyarrow", "pandapower",
            "power-grid-model")  # fmt: skip
NOT_OURS = "a new folder; not all in this one was written by Evenfall, so it is left be"
TEMPORARY = re.compile(r"\.[0-9]+\.tmp\.")


def check_free(path: Path, force: bool) -> None:
    """Raise OutputExistsError when `path` may not be written.

    A path that is there is only replaced with `force`, and only when it is an empty folder or one
    in which everything was written by Evenfall; never the working folder or one around it.
    """
    place = path.resolve()
    refuse_working_folder(path)
    around = next(folder for folder in place.parents if os.path.lexists(folder))
    if not around.is_dir():
        refuse(path, f"a folder; {around.name} is a file")
    if not os.access(around, os.W_OK):
        refuse(path, f"a place where you may write; {around.name or around} is not")
    if not os.path.lexists(path):
        return
    if not (path.is_dir() and (is_ours(path) or not any(path.iterdir()))):
        refuse(path, NOT_OURS)
    if not force:
        refuse(path, "a new folder, or --force to replace the one that is there")


def refuse_working_folder(path: Path) -> None:
    """Raise OutputExistsError when `path` is the working folder or one around it."""
    place = path.resolve()
    if place == Path.cwd() or place in Path.cwd().parents:
        refuse(path, "a folder in the working folder, or elsewhere; not the working folder itself")


def is_ours(folder: Path) -> bool:
    """Whether a folder holds a whole manifest of ours, and no file that we did not write."""
    found = read_object(folder / MANIFEST)
    ours = found.get("format") == FORMAT and lists_versions(found, ("study", "seed"))
    return ours and not not_written(folder, [MANIFEST, *found[WRITTEN]])


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty when there is none, or something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def lists_versions(found: Mapping[str, Any], keys: Iterable[str]) -> bool:
    """Whether an object has `keys`, our versions of every package, and a list of written files."""
    versions, names = found.get("versions"), found.get(WRITTEN)
    return (
        all(key in found for key in keys)
        and isinstance(versions, dict)
        and set(PACKAGES) <= set(versions)
        and isinstance(names, list | dict)
        and all(isinstance(name, str) for name in names)
    )


def not_written(folder: Path, written: Iterable[str]) -> list[str]:
    """Files below a folder that are not in `written`, names with "/" between, sorted.

    Our own temporary files do not count.
    """
    known = set(written)
    return [name for name in files_below(folder) if name not in known]


def files_below(folder: Path) -> list[str]:
    """Everything below a folder that is no folder itself, but for our temporary files."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(
        path.relative_to(folder).as_posix() for path in found if not TEMPORARY.match(path.name)
    )


def refuse(path: Path, allowed: str) -> NoReturn:
    """Raise OutputExistsError: --out is not what is allowed."""
    raise OutputExistsError([Problem("--out", str(path), allowed)])


class OutputFolder:
    """A folder that is there, and what was written into it. written: SHA-256 by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written: dict[str, str] = {}

    def write(self, name: str, content: Content) -> None:
        """Write one file whole: under a temporary name, then renamed; name: with "/" between."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{os.getpid()}.tmp.{path.name}")
        _write(temporary, content, path.suffix)
        self.written[name] = sha256_of(temporary)
        temporary.replace(path)

    def write_all(self, files: Files, within: str = "") -> None:
        """Write files one after the other; within: goes before their names, such as "evms/"."""
        for name, content in files:
            self.write(within + name, content)

    def write_manifest(self, about: Mapping[str, Any], within: str = "") -> None:
        """The last file: what it is about (`manifest`), and what was written beside and below."""
        beside = {
            name.removeprefix(within): sha256
            for name, sha256 in sorted(self.written.items())
            if name.startswith(within) and name != within + MANIFEST
        }
        self.write(within + MANIFEST, {**about, WRITTEN: beside})


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, content: Content, suffix: str) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8", newline="")
    elif isinstance(content, Mapping):
        # NaN and infinity are refused, as JSON does not know them.
        text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8", newline="")
    elif suffix == ".parquet" and hasattr(content, "to_parquet"):
        content.to_parquet(path, index=False)
    elif suffix == ".parquet":
        import pyarrow.parquet as pq

        pq.write_table(content, path)
    else:
        content.to_csv(path, index=False, lineterminator="\n")


@contextmanager
def new_folder(path: Path, force: bool = False) -> Iterator[OutputFolder]:
    """A temporary folder beside `path` that takes its name when the block ends without an error.

    Raises OutputExistsError as `check_free` does. What was at `path` goes only after the new folder
    is complete.
    """
    check_free(path, force)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield OutputFolder(temporary)
        check_free(path, force)
        old = path.parent / f".{path.name}.{os.getpid()}.old"
        if os.path.lexists(path):
            path.rename(old)
        temporary.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def manifest(
    study: str, scenario: Scenario, strategies: Iterable[str], **more: Any
) -> dict[str, Any]:
    """What produced a folder, in the one shape that all have.

    study: the verb. strategies: what was run. more: what only this study has, before the versions.
    """
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "study": study,
        "scenario": scenario.name,
        "scenario_sha256": hashlib.sha256(scenario.to_yaml().encode()).hexdigest(),
        "strategies": list(strategies),
        "seed": scenario.seed,
        **more,
        "python": platform.python_version(),
        "versions": versions(),
    }


def run_files(results: Results) -> Iterator[tuple[str, Content]]:
    """Scenario, KPIs and all tables of a run."""
    scenario = results.record.scenario
    yield "scenario.yaml", scenario.to_yaml()
    yield "kpis.json", results.kpis
    names = [*TABLES, "zone_minute" if results.has_minutes else "zone_hour"]
    if results.record.feeder.network.transformers.names:
        names.append("transformer_hour")
    if results.record.n_days > 1:
        names += ["days", "stays"]
    if scenario.owners.groups:
        names.append("groups")
    if results.n_feeders > 1:
        names.append("feeders")
    for name in names:
        yield f"{name}.parquet", getattr(results, name)


def write_run(
    folder: OutputFolder,
    results: Results,
    wall_s: float | None = None,
    *,
    label: str | None = None,
    within: str = "",
    more: Files = (),
) -> None:
    """Write a run whole, its manifest last; a study's run goes into a folder within.

    label: what stands as the strategy, where it is not the scenario's. more: such as figures.
    """
    folder.write_all(run_files(results), within)
    folder.write_all(more, within)
    record = results.record
    name = label or strategy_label(record.scenario.strategy)
    notices = limit_notices(record.scenario)
    more_of = {"warnings": notices} if notices else {}
    what = manifest("run", record.scenario, [name], solver=record.solver, wall_s=wall_s, **more_of)
    folder.write_manifest({**what, "seed": record.seeds[0]}, within)


def strategy_label(strategy: Any) -> str:
    """Name of a strategy, or "rule+admission" of one without a name."""
    return strategy if isinstance(strategy, str) else f"{strategy.rule}+{strategy.admission}"


def folder_name(label: str) -> str:
    """What a strategy's folder is called."""
    return label.replace(":", ".")


def versions() -> dict[str, str]:
    """Installed versions of the packages that a number can depend on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
