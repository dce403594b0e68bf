"""Folders of runs and studies made into the objects again that they were written of."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from abm.control.programme import SolvedPhase
from abm.errors import InputError, PluginError, printable
from abm.results import Results
from abm.results.folder import folder_name
from abm.results.ownership import PART, STUDY, read_study, study_key
from abm.results.results import Stored
from abm.results.saved import KPIS, SCENARIO, Folder, Saved
from abm.results.seals import open_part
from abm.results.showing import Shown
from abm.results.stored import RECORD, read_record
from abm.scenario import Scenario
from abm.snapshot import SnapshotError
from abm.study.bound import LABELS, Bound, FeederBound
from abm.study.compare import FORESIGHT
from abm.study.ensemble import Ensemble, ensemble_of
from abm.study.fingerprint import OURS, file_hashes
from abm.study.folder import MemoryFolder
from abm.study.hosting import ask, hosting
from abm.study.hosting_limits import parse_limits
from abm.study.hosting_results import BOUND as OF_BOUND
from abm.study.hosting_search import parse_shares
from abm.study.montecarlo import strategy_cases
from abm.study.outcomes import Comparison, HostingStudy, MonteCarlo, PaperStudy, Sweep
from abm.study.replications import Case
from abm.study.reproduce import Reproduction, run_names
from abm.study.runs import Run
from abm.study.statistics import parse_until
from abm.study.sweep import (
    INTEREST,
    FactorRange,
    grid_cases,
    parse_design,
    parse_ranges,
    sobol_cases,
)

BOUND = "bound.json"


class CannotLoadError(Exception):
    """Why a folder cannot be made into what it was written of, in a sentence."""


def load(path: str | os.PathLike[str]) -> Shown:
    """What is in a folder; see `abm.results.showing.Shown.load`."""
    folder = Folder(path)
    try:
        found = _loaded(folder)
    except (CannotLoadError, PluginError) as why:
        found = Saved(folder, [f"Only tables, KPIs and pictures as stored: {why}."])
    for line in found.missing:
        warnings.warn(f"{folder.path}: {line}", stacklevel=3)
    return found


def _loaded(folder: Folder) -> Shown:
    reader = _READERS.get(folder.study)
    if reader is None:
        raise CannotLoadError(f"a folder of `{folder.study}` holds nothing else")
    try:
        return reader(folder)
    except (KeyError, TypeError, ValueError) as error:
        raise CannotLoadError(f"another version of Evenfall wrote it: {error!r}") from None


def results_of(folder: Folder) -> Results:
    """The results of a run. Raises CannotLoadError."""
    if not folder.has(RECORD):
        raise CannotLoadError(f"the run has no {RECORD}, being too large or written before it was")
    scenario = scenario_of(folder)
    try:
        record = read_record(folder.content(RECORD), scenario)
    except SnapshotError as error:
        raise CannotLoadError(str(error)) from None
    about = folder.manifest
    missing, objects = [], about.get("objects", {})
    if objects:
        names = ", ".join(f"{name} ({one['class']})" for name, one in objects.items())
        missing.append(f"Objects of Python took part that no file can hold: {names}.")
    given = (name.removeprefix("kpis.") for name in objects if name.startswith("kpis."))
    label = next(iter(about.get("strategies", [])), None)
    own = (*scenario.kpis, *given)
    stored = Stored(folder.plain(KPIS), own, folder.tables, label, tuple(missing))
    found = Results(record, about.get("wall_s"), stored)
    # Those are in the file, and no code is loaded to work them out again.
    found.own_kpis = {}
    return found


def scenario_of(folder: Folder) -> Scenario:
    """The scenario of a folder. Raises CannotLoadError where it cannot be read as it was."""
    if not folder.has(SCENARIO):
        raise CannotLoadError(f"there is no {SCENARIO}")
    try:
        return folder.scenario()
    except InputError as error:
        # Not the whole problem: that tells where files lay, which is nobody's business.
        fields = ", ".join(dict.fromkeys(problem.field for problem in error.problems))
        said = f"the scenario cannot be read, for {fields} (`scenario` tells all)"
        raise CannotLoadError(said) from None


def _run(folder: Folder) -> Shown:
    results = results_of(folder)
    return bound_of(folder, results) if folder.has(BOUND) else results


def bound_of(folder: Folder, results: Results) -> Bound:
    """The optimum of a folder, without its programmes."""
    import pandas as pd

    about = folder.plain(BOUND)
    try:
        feeders = tuple(_feeder_bound(dict(one)) for one in about["feeders"])
        lacking = pd.DataFrame(about["unreachable"], columns=list(UNREACHABLE))
        return Bound(
            results,
            lacking.astype(UNREACHABLE),
            about["objective"],
            about["step_min"],
            about["metric_min"],
            about["limit_mw"],
            feeders,
            (),
            about["wall_s"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CannotLoadError(f"{BOUND} is of another version: {error!r}") from None


UNREACHABLE = {
    "feeder": "int64",
    "zone": "int64",
    "ev_id": "object",
    "soc_target": "float64",
    "soc_reachable": "float64",
    "lacks_kwh": "float64",
}


def _feeder_bound(one: dict[str, Any]) -> FeederBound:
    phases = {name: SolvedPhase(**said) for name, said in one.pop("phases").items()}
    return FeederBound(one.pop("peak_before_mw"), one.pop("lowest_peak_mw"), one, phases)


# --- several runs ------------------------------------------------------------------------------


def _run_within(folder: Folder, name: str) -> Run:
    """A run within the folder of a study. Raises CannotLoadError."""
    found = folder.within(name)
    if found is None:
        raise CannotLoadError(f"there is no run {printable(name)}")
    results = results_of(found)
    return Run(results, results.wall_s if results.wall_s is not None else math.nan)


def _comparison(folder: Folder) -> Shown:
    names = [str(name) for name in folder.manifest["strategies"]]
    runs = {name: _run_within(folder, folder_name(name)) for name in names}
    bound, foresight = None, {}
    if folder.manifest.get("bound"):
        label = LABELS["peak"]
        inner = folder.within(label)
        if inner is None:
            raise CannotLoadError("there is no bound")
        bound = bound_of(inner, results_of(inner))
        table = folder.tables["comparison"]
        if FORESIGHT in table:
            costs = table.set_index("strategy")[FORESIGHT].drop(label).dropna()
            foresight = {str(name): float(usd) for name, usd in costs.items()}
    # The folders of older versions have none; that of a run differs by its strategy alone.
    own = folder.has(SCENARIO)
    scenario = scenario_of(folder) if own else runs[names[0]].results.scenario
    return Comparison(scenario, runs, bound, foresight)


def _paper(folder: Folder) -> Shown:
    runs = {key: _run_within(folder, name) for key, name in run_names().items()}
    # The base case stands once, see `run_names`.
    runs["base", "energy_balanced"] = runs["base", "as_printed"]
    replicated = {
        name: folder.tables[name] for name in folder.tables if name.endswith("_replications")
    }
    changed = tuple(map(str, folder.manifest.get("changed", ())))
    return PaperStudy(Reproduction(runs), None, changed, replicated)


# --- studies of many replications --------------------------------------------------------------


def _montecarlo(folder: Folder) -> Shown:
    asked, scenario = _asked(folder)
    cases = strategy_cases(scenario, asked["strategies"])
    said, at_least = asked.get("until"), asked.get("at_least", 50)
    until = None if said is None else parse_until(said, at_least, scenario)
    ensemble = _ensemble(folder, asked, cases)
    return MonteCarlo(scenario, ensemble, asked, _wall_s(folder), until)


def _sweep(folder: Folder) -> Shown:
    asked, scenario = _asked(folder)
    vary, design = dict(asked["vary"]), str(asked["design"])
    strategies = None if "strategy" in vary else asked["strategies"]
    ranges: list[FactorRange] = []
    if design == "grid":
        cases = grid_cases(scenario, vary, strategies)
    else:
        ranges = parse_ranges([f"{name}={span}" for name, span in vary.items()])
        cases = sobol_cases(scenario, ranges, parse_design(design), strategies)
    ensemble = _ensemble(folder, asked, cases)
    drawn = [kpi for kpi in folder.figures if kpi in ensemble.measures]
    shown = [] if set(drawn) <= set(INTEREST) else drawn
    return Sweep(scenario, ensemble, asked, _wall_s(folder), ranges, shown)


def _hosting(folder: Folder) -> Shown:
    asked, scenario = _asked(folder)
    names = [name for name in asked["strategies"] if name != OF_BOUND]
    given = ask(
        scenario,
        parse_shares(asked["shares"]),
        names,
        replications=asked["replications"],
        risk=asked["risk"],
        within=asked["within"],
        limits=parse_limits(",".join(asked["limits"])),
        bound=OF_BOUND in asked["strategies"],
    )
    found = hosting(given, KeptParts(_parts(folder, asked)))
    return HostingStudy(found, asked, _wall_s(folder))


def _asked(folder: Folder) -> tuple[dict[str, Any], Scenario]:
    """What a study was asked, and its scenario. Raises CannotLoadError."""
    folder.content(STUDY)
    asked = read_study(folder.path)
    if asked is None:
        raise CannotLoadError(f"{STUDY} is of another version")
    if {"objects", "case_objects", "called"} & set(asked):
        raise CannotLoadError("objects of Python took part, which no file can hold")
    if folder.manifest.get("lost"):
        raise CannotLoadError("some of its replications were lost")
    scenario = scenario_of(folder)
    now = file_hashes(scenario)
    for field, files in asked["files"].items():
        if field in now and field != OURS and files != now[field]:
            raise CannotLoadError(f"a file that the scenario names has changed since, for {field}")
    return asked, scenario


def _parts(folder: Folder, asked: Mapping[str, Any]) -> dict[str, bytes]:
    """The finished chunks by name."""
    found, key = {}, study_key(asked)
    for name in folder.written:
        if PART.fullmatch(name):
            stem = PurePosixPath(name).stem
            part = open_part(folder.content(name), key, stem)
            if part is None:
                raise CannotLoadError(f"{name} is of another study")
            found[stem] = part
    return found


def _ensemble(folder: Folder, asked: Mapping[str, Any], cases: Sequence[Case]) -> Ensemble:
    n, parts = folder.manifest["replications"], _parts(folder, asked)
    stopped = n if folder.manifest["stopped_early"] else None
    try:
        found = ensemble_of(cases, n, parts.values(), stopped)
    except AssertionError as error:
        raise CannotLoadError(f"the chunks of the study do not fit: {error}") from None
    return replace(found, parts=parts)


def _wall_s(folder: Folder) -> float:
    return float(folder.manifest.get("wall_s") or math.nan)


class KeptParts(MemoryFolder):
    """Finished chunks of which none is to be run again."""

    def __init__(self, parts: Mapping[str, bytes]) -> None:
        super().__init__()
        self._parts |= parts

    def drop(self, names: Iterable[str]) -> None:
        """Raise CannotLoadError where a chunk does not fit, and would be run again."""
        if left := list(names):
            raise CannotLoadError(f"chunks of another study: {', '.join(left)}")


_READERS: dict[str, Callable[[Folder], Shown]] = {
    "run": _run,
    "compare": _comparison,
    "reproduce": _paper,
    "montecarlo": _montecarlo,
    "sweep": _sweep,
    "hosting": _hosting,
}
