"""Folders of runs and studies made into the objects again that they were written of."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

from abm.control.programme import SolvedPhase
from abm.errors import InputError
from abm.results import Results
from abm.results.results import Stored
from abm.results.saved import KPIS, SCENARIO, Folder, Saved
from abm.results.showing import Shown
from abm.results.stored import RECORD, read_record
from abm.scenario import Scenario
from abm.snapshot import SnapshotError
from abm.study.bound import Bound, FeederBound

BOUND = "bound.json"


class CannotLoadError(Exception):
    """Why a folder cannot be made into what it was written of, in a sentence."""


def load(path: str | os.PathLike[str]) -> Shown:
    """What is in a folder; see `abm.results.showing.Shown.load`."""
    folder = Folder(path)
    try:
        found = _loaded(folder)
    except CannotLoadError as why:
        found = Saved(folder, [f"Only tables, KPIs and pictures as stored: {why}."])
    for line in found.missing:
        warnings.warn(f"{folder.path}: {line}", stacklevel=3)
    return found


def _loaded(folder: Folder) -> Shown:
    reader = _READERS.get(folder.study)
    if reader is None:
        raise CannotLoadError(f"a folder of `{folder.study}` holds nothing else")
    return reader(folder)


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
    missing = []
    if "objects" in about:
        names = ", ".join(f"{name} ({one['class']})" for name, one in about["objects"].items())
        missing.append(f"Objects of Python took part that no file can hold: {names}.")
    label = next(iter(about.get("strategies", [])), None)
    stored = Stored(folder.plain(KPIS), folder.tables, label, tuple(missing))
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


_READERS: dict[str, Callable[[Folder], Shown]] = {"run": _run}
