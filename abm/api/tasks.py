"""What was asked of a verb, checked and not begun; and how it is carried out.

The command line and the functions of the library make the same tasks. Where the result goes, what
is said meanwhile and what is shown of it is theirs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from abm.api.options import Folder
from abm.report.progress import Tick, seen_progress, silent
from abm.results.claim import claim
from abm.results.notices import limits_of_all
from abm.results.showing import Shown
from abm.scenario import Scenario
from abm.study.ensemble import failure_lines
from abm.study.folder import MemoryFolder, StudyFolder
from abm.study.montecarlo import PartStore
from abm.study.outcomes import KeptStudy
from abm.study.size import Size, check_room

T = TypeVar("T", bound=Shown)


@dataclass(frozen=True)
class VerbTask(Generic[T]):
    """What was asked of a verb.

    label: follows the scenario's name in the default name of the folder. title, units: of the bar;
    rated: whether that shows a rate. work: what does it; it takes where finished parts are kept,
    None for nowhere, and a tick. scenarios: all that are run. size: what it needs. notes: sentences
    to be said before. question: of a study that is kept part by part, as from
    `abm.study.fingerprint.question`; part: what a part is called. beside: the parts go when the
    result is there.
    """

    scenario: Scenario
    label: str
    title: str
    units: int
    work: Callable[[PartStore | None, Tick], T]
    size: Size
    scenarios: tuple[Scenario, ...] = ()
    notes: tuple[str, ...] = ()
    question: Mapping[str, Any] | None = None
    part: str = "chunk"
    beside: bool = False
    rated: bool = False


def result_of(task: VerbTask[T], *, progress: bool = True, save: Folder | None = None) -> T:
    """Carry out a task for who calls from Python; what there is to be said becomes warnings.

    save: a folder for its parts and the result. Raises InputError, OutputExistsError, MachineError.
    """
    path = None if save is None else Path(save)
    for line in (*limits_of_all(task.scenarios), *task.notes):
        warnings.warn(line, stacklevel=4)
    check_room(task.size, path)
    bar = seen_progress(task.title, task.units, task.rated) if progress else nullcontext(silent)
    with bar as tick:
        outcome = task.work(None, tick) if path is None else _kept(task, path, tick)
    if isinstance(outcome, KeptStudy):
        for line in failure_lines(outcome.failures, outcome.total)[:1]:
            warnings.warn(f"{line.rstrip(':')}; see `failures`", stacklevel=4)
    return outcome


def _kept(task: VerbTask[T], path: Path, tick: Tick) -> T:
    """The result of a task whose parts and result are in a folder, or come into it."""

    def tell(line: str) -> None:
        warnings.warn(line, stacklevel=6)

    with claim(path, resume=True, tell=tell) as claimed:
        folder = StudyFolder(claimed, task.question or {}, resume=True)
        try:
            if folder.finished:
                memory = MemoryFolder()
                for name, content in folder.parts():
                    memory.add(name, content)
                return task.work(memory, tick)
            outcome = task.work(folder, tick)
            finish(folder, outcome)
            return outcome
        finally:
            folder.close()


def finish(folder: StudyFolder, outcome: object, figures: bool = True) -> None:
    """Write what came of a study into the folder that has its parts."""
    from abm.report.showing import study_files

    if not isinstance(outcome, KeptStudy):
        raise AssertionError("what is kept chunk by chunk knows its chunks")
    folder.write_all(study_files(outcome, figures))
    folder.finish(**outcome.ending)
