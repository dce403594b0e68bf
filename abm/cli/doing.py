"""How a verb carries out what was asked: its folder, what is said meanwhile, and how it ended."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from abm.cli.common import OUTPUTS, claim_output, cluster_of, complain, warn_of_limit
from abm.errors import InputError, Problem
from abm.fault_log import write_log

if TYPE_CHECKING:
    from abm.api.options import Workers
    from abm.api.tasks import VerbTask
    from abm.results.showing import Shown
    from abm.scenario import Scenario
    from abm.study.ensemble import Ensemble
    from abm.study.folder import StudyFolder
    from abm.study.outcomes import KeptStudy

_T = TypeVar("_T", bound="Shown")
FAILED, BAD_INPUT = 1, 2


def output_of(options: argparse.Namespace, task: VerbTask[_T]) -> Path:
    """--out, or the folder for what is done with a scenario."""
    return output_for(options, task.scenario, task.label)


def output_for(options: argparse.Namespace, scenario: Scenario, label: str) -> Path:
    """The same before there is a task."""
    out: Path = options.out or OUTPUTS / f"{scenario.name}-{label}-seed{scenario.seed}"
    return out


def carried_out(
    options: argparse.Namespace, task: VerbTask[_T], out: Path, figures: bool = True
) -> _T:
    """Carry out a task and write what comes of it into a folder.

    Raises InputError when it needs more memory or disk than there is.
    """
    outcome = unless_finished(options, task, out, figures)
    if outcome is None:
        raise AssertionError("only what is kept chunk by chunk may be there already")
    return outcome


def unless_finished(
    options: argparse.Namespace, task: VerbTask[_T], out: Path, figures: bool = True
) -> _T | None:
    """The same of a study; None where it is finished already."""
    from abm.api.tasks import finish
    from abm.report.progress import progress
    from abm.study.folder import StudyFolder
    from abm.study.size import check_room

    check_room(task.size, out)
    resume = getattr(options, "resume", False)
    claimed, kept = claim_output(options, out), None
    if task.question is not None:
        kept = StudyFolder(claimed, task.question, resume, beside=task.beside)
        options.held.callback(kept.close)
        if kept.finished and not task.beside:
            return None
    warn_of_limit(*task.scenarios)
    for note in task.notes:
        complain(f"note: {note}")
    with keeping(kept, task.part):
        with progress(task.title, task.units, task.rated) as tick:
            outcome = task.work(kept, tick)
        if kept is not None and not task.beside:
            finish(kept, outcome, figures)
        else:
            with claimed.new() as folder:
                folder.write_all(outcome.files(figures))
    if kept is not None and task.beside:
        kept.discard()
    return outcome


@contextmanager
def keeping(folder: StudyFolder | None, part: str = "chunk") -> Iterator[None]:
    """Whatever stops the block, say with it what is kept in the folder and how to go on."""
    try:
        yield
    except InputError:
        raise
    except BaseException as error:
        if folder is not None and (n := folder.n_parts):
            parts = f"{n} finished {part}{'' if n == 1 else 's'}"
            error.add_note(
                f"{folder.path} keeps {parts}; the same with --resume goes on from there"
            )
        raise


def check_resume(options: argparse.Namespace) -> None:
    """Raise InputError when --resume and --force are both there."""
    if getattr(options, "resume", False) and options.force:
        raise InputError([Problem("--resume", "", "either --resume or --force")])


def workers_of(options: argparse.Namespace) -> Workers:
    """--cluster, or --workers, one process per core where neither is said. Raises InputError."""
    from abm.machine import cores_there

    cluster = cluster_of(options)
    if cluster is not None:
        return cluster
    return cores_there() if options.workers is None else int(options.workers)


def names_of(listed: str | None) -> list[str] | None:
    """Names with commas between."""
    return None if listed is None else [name.strip() for name in listed.split(",")]


def kpis_of(options: argparse.Namespace, scenario: Scenario) -> list[str]:
    """--kpi, [] where it is not said. Raises InputError."""
    from abm.study.statistics import shown_kpis

    return shown_kpis(names_of(options.kpi) or (), scenario)


def nothing_to_do(out: Path, scenarios: Iterable[Scenario]) -> int:
    """Say that a study is finished already; the exit code."""
    from abm.results.ownership import read_manifest

    failed = int((read_manifest(out.resolve()) or {}).get("failed", 0))
    said = f"; {failed} of its replications failed" if failed else ""
    complain(f"{out}: this study is finished, there is nothing to do{said}")
    return failed_code(range(failed), scenarios)


def verdict(study: KeptStudy | Ensemble) -> int:
    """Say what failed of a study; the exit code."""
    from abm.study.ensemble import failure_lines

    for line in failure_lines(study.failures, study.total):
        complain(line)
    if study.trace:
        complain(f"the traceback of one of them: {write_log(study.trace)}")
    return failed_code(study.failures, [case.scenario for case in study.cases])


def failed_code(failures: Sized, scenarios: Iterable[Scenario]) -> int:
    """Exit code: 0 without failures; 2 where code of the user's own had a part in it, else 1."""
    if not failures:
        return 0
    return BAD_INPUT if any(scenario.code for scenario in scenarios) else FAILED
