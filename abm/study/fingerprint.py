"""What the numbers of a study depend on, as plain data, and how two studies differ in it.

Fields of the scenario; SHA-256 of every file that it names and of every module of the user's that
takes part; Python and the packages that compute. A study goes on only where all of it is the same.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial, reduce
from pathlib import Path
from typing import Any

from abm.errors import Problem
from abm.results.folder import manifest, versions
from abm.results.ownership import MAY_GROW
from abm.results.seals import sha256_of
from abm.scenario import Scenario
from abm.scenario.checks import value_at
from abm.scenario.code import Code
from abm.scenario.modules import loaded_from
from abm.scenario.references import FEEDER, REFERENCES, shipped_names
from abm.scenario.yamlio import dotted, show
from abm.study.sources import module_files

# Packages whose version says what is in them; a feeder's net may be a function of theirs.
COMPUTING = ("evenfall", "numpy", "scipy", "numba", "power-grid-model")
WORKER = "in a worker"
# Stands for our own sources among the files.
OURS = "evenfall"
INSTALLED = ("abm", "pandapower")
# Two values that differ should not look alike.
LONGEST = 300
ANEW = "--resume goes on with the same study only; --force begins anew"
Named = dict[tuple[str, str], Callable[[], Mapping[str, Path]]]


def question(
    study: str,
    scenario: Scenario,
    strategies: list[str],
    replications: int,
    varied: Iterable[Scenario] = (),
    **more: Any,
) -> dict[str, Any]:
    """All that the numbers of a study depend on, as plain data; varied: scenarios of its cases."""
    varied = list(varied)
    files = file_hashes(scenario, varied)
    of_cases = [one.objects.described() for one in varied if one.objects != scenario.objects]
    if of_cases:
        more = {"case_objects": of_cases, **more}
    asked = manifest(study, scenario, strategies, replications=replications, files=files, **more)
    # Another patch of Python computes the same.
    asked["python"] = _python()
    return {**asked, "scenario": scenario.resolved()}


def _python() -> str:
    return ".".join(map(str, sys.version_info[:2]))


def made_with(scenarios: Iterable[Scenario]) -> dict[str, Any]:
    """What computes in this process: Python, packages, the user's modules as they were loaded."""
    here = versions()
    folders = {code.folder() for scenario in scenarios for code in scenario.code}
    return {
        "python": _python(),
        "versions": {name: here[name] for name in COMPUTING},
        "modules": {k: v for folder in folders if folder for k, v in loaded_from(folder).items()},
    }


def made_otherwise(asked: Mapping[str, Any], made: Mapping[str, Any]) -> Iterator[Problem]:
    """A problem for all in which `made`, as from `made_with`, is not what a study began with."""
    begun = [("python", asked["python"], made["python"])]
    begun += [(name, asked["versions"][name], made["versions"][name]) for name in COMPUTING]
    for name, old, new in begun:
        if old != new:
            yield Problem(name, show(new), f"{show(old)}, with which the study was begun", WORKER)
    known: dict[str, set[str]] = {}
    for hashes in asked["files"].values():
        for name, sha256 in hashes.items():
            known.setdefault(name, set()).add(sha256)
    for name, sha256 in made["modules"].items():
        if name in known and sha256 not in known[name]:
            was = " or ".join(f"{value[:16]}..." for value in sorted(known[name]))
            said = f"the file has changed around the beginning of the study: it was SHA-256 {was}"
            yield Problem(name, f"{sha256[:16]}...", said, WORKER, hint="start it again")


def file_hashes(scenario: Scenario, varied: Iterable[Scenario] = ()) -> dict[str, dict[str, str]]:
    """SHA-256 of each file that scenarios name, and of the sources of their modules, by its name.

    By field; where a varied scenario names another one than `scenario`, by field=name. So are our
    own sources: a checkout changes while its version stays.
    """
    own = _named(scenario)
    hashes = {OURS: {"abm": _own_sources()}}
    hashes |= {field: _hashes(files()) for (field, _), files in own.items()}
    others = {key: files for one in varied for key, files in _named(one).items()}
    for (field, name), files in others.items():
        if (field, name) not in own:
            hashes[f"{field}={name}"] = _hashes(files())
    return hashes


@cache
def _own_sources() -> str:
    """SHA-256 of all of Evenfall that a number can depend on."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in sorted([*package.rglob("*.py"), *package.rglob("*.csv")]):
        name = path.relative_to(package).as_posix()
        if not name.startswith(("cli/", "report/", "_scenarios/")):
            digest.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _hashes(files: Mapping[str, Path]) -> dict[str, str]:
    return {name: sha256_of(path) for name, path in sorted(files.items()) if path.is_file()}


def _named(scenario: Scenario) -> Named:
    """Field and name of everything outside its file that a scenario names, and its files."""
    found: Named = {}
    data = scenario.resolved()
    for path in REFERENCES:
        if value_at(scenario, path) is not None:
            section, *rest = path
            reference: str = reduce(dict.__getitem__, rest, data[section])
            place = shipped_names(path).get(reference, Path(reference))
            found[dotted(path), reference] = partial(_files_of, place)
    net = scenario.inputs.feeder.net
    if net and Path(net).is_absolute():
        found[f"{dotted(FEEDER)}.net", net] = partial(_files_of, Path(net))
    for code in scenario.code:
        field = f"{dotted(FEEDER)}.net" if code.name == net else code.field
        found[field, code.name] = partial(_sources, code)
    return found


def _files_of(path: Path) -> dict[str, Path]:
    if not path.is_dir():
        return {path.name: path}
    return {file.name: file for file in path.iterdir() if not file.name.startswith(".")}


def _sources(code: Code) -> dict[str, Path]:
    folder = code.folder()
    if folder is None and code.module.partition(".")[0] in INSTALLED:
        return {}
    return module_files(code.module, folder)


def differences(
    before: Mapping[str, Any], now: Mapping[str, Any], file: str, path: tuple[str, ...] = ()
) -> Iterator[Problem]:
    """A problem for everything in which the study to go on with is another one."""
    for key in dict.fromkeys([*before, *now]):
        old, new, here = before.get(key), now.get(key), (*path, key)
        if here[0] == "files" and len(here) < 3:
            old, new = old or {}, new or {}
        if old == new or here in (("scenario_sha256",), ("seed",)):
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            yield from differences(old, new, file, here)
        elif here == ("replications",) and isinstance(old, int) and isinstance(new, int):
            if new < old:
                yield Problem(key, show(new), f"at least the {old} that the study has", file)
        elif here[0] not in MAY_GROW:
            yield _difference(here, old, new, file)


def _difference(path: tuple[str, ...], old: Any, new: Any, file: str) -> Problem:
    if path[0] == "files" and len(path) == 3:
        was, now = (f"SHA-256 {value[:16]}..." if value else "none" for value in (old, new))
        said = f"the file has changed since the study was begun: {path[2]} was {was}, is {now}"
        return Problem(path[1], "", said, file, hint=ANEW)
    field = dotted(path[1:] if path[0] in ("scenario", "files", "versions") else path)
    said = f"the study was begun with {show(old, LONGEST)}"
    return Problem(field, show(new, LONGEST), said, file, hint=ANEW)
