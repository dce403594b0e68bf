"""The folder of a run: written under a temporary name and renamed, so no half of it is left."""

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
from typing import Any, NoReturn

from abm.errors import OutputExistsError, Problem
from abm.results.results import Results

TABLES = ("hourly", "ev", "bus_hour", "line_hour", "zones")
MANIFEST = "manifest.json"
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
    keys = ("seed", "versions", WRITTEN)
    return lists_versions(found, keys) and not not_written(folder, [MANIFEST, *found[WRITTEN]])


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
        and isinstance(names, list)
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


def _list_written(folder: Path) -> None:
    """Say in each manifest below a folder which files lie beside and below it."""
    for path in folder.rglob(MANIFEST):
        names = [name for name in files_below(path.parent) if name != MANIFEST]
        write_json(path, {**read_object(path), WRITTEN: names})


def refuse(path: Path, allowed: str) -> NoReturn:
    """Raise OutputExistsError: --out is not what is allowed."""
    raise OutputExistsError([Problem("--out", str(path), allowed)])


@contextmanager
def new_folder(path: Path, force: bool = False) -> Iterator[Path]:
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
        yield temporary
        _list_written(temporary)
        check_free(path, force)
        old = path.parent / f".{path.name}.{os.getpid()}.old"
        if os.path.lexists(path):
            path.rename(old)
        temporary.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_run(
    folder: Path, results: Results, wall_s: float | None = None, label: str | None = None
) -> None:
    """Write manifest, scenario, KPIs and all tables of a run into an existing folder.

    label: what stands in the manifest as the strategy, where it is not the scenario's.
    """
    scenario_text = results.record.scenario.to_yaml()
    (folder / "scenario.yaml").write_text(scenario_text, encoding="utf-8")
    write_json(folder / "kpis.json", results.kpis)
    names = [*TABLES, "zone_minute" if results.has_minutes else "zone_hour"]
    if results.record.n_days > 1:
        names += ["days", "stays"]
    if results.record.scenario.owners.groups:
        names.append("groups")
    if results.n_feeders > 1:
        names.append("feeders")
    for name in names:
        getattr(results, name).to_parquet(folder / f"{name}.parquet", index=False)
    write_json(folder / MANIFEST, manifest(results, scenario_text, wall_s, label))


def manifest(
    results: Results, scenario_text: str, wall_s: float | None, label: str | None = None
) -> dict[str, Any]:
    """What produced the folder: scenario hash, seed, solver, versions, wall time."""
    record = results.record
    return {
        "scenario": record.scenario.name,
        "scenario_sha256": hashlib.sha256(scenario_text.encode("utf-8")).hexdigest(),
        "strategy": label or strategy_label(record.scenario.strategy),
        "seed": record.seeds[0],
        "solver": record.solver,
        "wall_s": wall_s,
        "python": platform.python_version(),
        "versions": versions(),
    }


def strategy_label(strategy: Any) -> str:
    """Name of a strategy, or "rule+admission" of one without a name."""
    return strategy if isinstance(strategy, str) else f"{strategy.rule}+{strategy.admission}"


def versions() -> dict[str, str]:
    """Installed versions of the packages that a number can depend on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a dict as indented JSON; NaN and infinity are refused, as JSON does not know them."""
    text = json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
