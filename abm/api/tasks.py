"""What was asked of a verb, checked and not begun; and how it is carried out.

The command line and the functions of the library make the same tasks. Where the result goes, what
is said meanwhile and what is shown of it is theirs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from abm.api.options import Folder
from abm.api.progress import Tick, seen_bar, silent
from abm.results.claim import claim
from abm.results.notices import limit_notices
from abm.scenario import Scenario
from abm.study.ensemble import failure_lines
from abm.study.folder import MemoryFolder, StudyFolder
from abm.study.montecarlo import PartStore
from abm.study.size import Size, check_room

T = TypeVar("T")


@dataclass(frozen=True)
class Task(Generic[T]):
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


def notices(task: Task[Any]) -> list[str]:
    """A sentence for each demand limit that cannot be meant for its feeder."""
    return list(dict.fromkeys(line for one in task.scenarios for line in limit_notices(one)))


def result_of(task: Task[T], *, progress: bool = True, save: Folder | None = None) -> T:
    """Carry out a task for who calls from Python; there is to be said becomes warnings.

    save: a folder for its parts and the result. Raises InputError, OutputExistsError, MachineError.
    """
    for line in (*notices(task), *task.notes):
        warnings.warn(line, stacklevel=4)
    check_room(task.size, None if save is None else Path(save))
    with seen_bar(task.title, task.units, task.rated) if progress else nullcontext(silent) as tick:
        outcome = task.work(None, tick) if save is None else _kept(task, Path(save), tick)
    failures = getattr(outcome, "failures", ())
    for line in failure_lines(failures, outcome.total) if failures else ():
        warnings.warn(line, stacklevel=4)
    return outcome


def _kept(task: Task[T], path: Path, tick: Tick) -> T:
    """The result of a task whose parts and result are in a folder, or come into it."""
    with claim(path, resume=True, tell=lambda line: warnings.warn(line, stacklevel=6)) as claimed:
        folder = StudyFolder(claimed, task.question or {}, resume=True)
        try:
            if folder.finished:
                memory = MemoryFolder()
                for name, content in folder.parts():
                    memory.add(name, content)
                return task.work(memory, tick)
            return written(task, folder, tick)
        finally:
            folder.close()


def written(task: Task[T], folder: StudyFolder, tick: Tick, figures: bool = True) -> T:
    """Carry out a task whose parts are kept in a folder, and finish that with the result."""
    outcome = task.work(folder, tick)
    folder.write_all(study_files(outcome, figures))
    folder.finish(**outcome.ending)
    return outcome
