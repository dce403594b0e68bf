"""What folders hold: the files of a run, and one shape of manifest for runs, studies and the paper.

A folder's files are given as names and contents: tables by `abm.results` and `abm.study`, pictures
by `abm.report`. How they come into a folder is `abm.results.claim`.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from abm.control import resolve_strategy
from abm.results.flows import OF_FLOWS
from abm.results.notices import limit_notices
from abm.results.ownership import FORMAT, FORMAT_VERSION, MANIFEST
from abm.results.results import Results
from abm.results.staging import Content, Files, OutputFolder
from abm.results.stored import RECORD, record_file
from abm.scenario import Scenario

PACKAGES = ("evenfall", "mesa", "simpy", "numpy", "numba", "scipy", "pandas", "pyarrow",
            "pandapower", "power-grid-model", "pvlib", "holidays", "demandlib",
            "simbench")  # fmt: skip
# With the name of the scenario, the verb and the seed it makes a name of 255 bytes at most.
LONGEST_LABEL = 100


def manifest(
    study: str, scenario: Scenario, strategies: Iterable[str], **more: Any
) -> dict[str, Any]:
    """What produced a folder, in the one shape that all have.

    study: the verb. strategies: what was run. more: what only this study has, before the versions.
    Objects of Python that took part are told by class, text and digest.
    """
    if scenario.objects:
        more = {"objects": scenario.objects.described(), **more}
    return made_by(
        study,
        scenario.seed,
        scenario=scenario.name,
        scenario_sha256=hashlib.sha256(scenario.to_yaml().encode()).hexdigest(),
        strategies=list(strategies),
        **more,
    )


def made_by(study: str, seed: int | None, **more: Any) -> dict[str, Any]:
    """What any folder's manifest has: format, verb, seed if one was drawn from, and versions."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "study": study,
        "seed": seed,
        **more,
        "python": platform.python_version(),
        "versions": versions(),
    }


def run_files(results: Results) -> Iterator[tuple[str, Content]]:
    """Scenario, KPIs and all tables of a run, and its record where that is of reasonable size."""
    yield "scenario.yaml", results.record.scenario.to_yaml()
    yield "kpis.json", results.kpis
    for name in results.table_names:
        yield f"{name}.parquet", getattr(results, name)
        if name in OF_FLOWS:
            vars(results).pop(name)  # so large that no two should be there at once
    record = record_file(results.record)
    if record is not None:
        yield RECORD, record


def run_folder(
    results: Results, wall_s: float | None = None, *, label: str | None = None, more: Files = ()
) -> Iterator[tuple[str, Content]]:
    """All that the folder of a run holds, what its manifest says of it as the last.

    label: what stands as the strategy, where it is not the scenario's. more: such as figures.
    """
    yield from run_files(results)
    yield from more
    record = results.record
    name = label or results.label or strategy_label(record.scenario)
    notices = limit_notices(record.scenario)
    more_of = {"warnings": notices} if notices else {}
    what = manifest("run", record.scenario, [name], solver=record.solver, wall_s=wall_s, **more_of)
    yield MANIFEST, {**what, "seed": record.seeds[0]}


def write_run(
    folder: OutputFolder,
    results: Results,
    wall_s: float | None = None,
    *,
    label: str | None = None,
    within: str = "",
    more: Files = (),
) -> None:
    """Write a run whole, see `run_folder`; a study's run goes into a folder within."""
    folder.write_all(run_folder(results, wall_s, label=label, more=more), within)


def strategy_label(scenario: Scenario) -> str:
    """Name of a scenario's strategy, or "rule+admission" of one without, without their folders."""
    strategy, own = scenario.strategy, scenario.objects
    if isinstance(strategy, str) and own.rule is None and own.admission is None:
        return strategy
    found = resolve_strategy(scenario)
    pair = [name.rpartition("/")[2] for name in (found.rule, found.admission)]
    return "+".join(name.removeprefix("__main__:") for name in pair)


def folder_name(label: str) -> str:
    """What a strategy's folder is called; a long one is cut, with what tells it from others."""
    name = label.replace(":", ".")
    if len(name) <= LONGEST_LABEL:
        return name
    return f"{name[: LONGEST_LABEL - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


@cache
def _versions() -> dict[str, str]:
    from abm import __version__

    # Of a checkout that was never installed it is known all the same.
    found = {"evenfall": __version__}
    for name in PACKAGES[1:]:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def versions() -> dict[str, str]:
    """Installed versions of the packages that a number can depend on."""
    return dict(_versions())
