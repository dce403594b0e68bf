"""A run of several days, kept day by day: what was finished is not computed again.

Each day that ends is a part, as a chunk of a study is: what the day has added to the record, and
the state in which the next one begins. A run that was killed goes on after the last whole part.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

from abm.errors import MachineError
from abm.model import V2GModel
from abm.scenario import Scenario
from abm.snapshot import Snapshot, SnapshotError
from abm.study.folder import StudyFolder
from abm.study.runs import Run, results_of

HOURS_PER_DAY = 24


def kept_by_day(scenario: Scenario) -> bool:
    """Whether a run is kept day by day: it has several, and no code that keeps what it knows."""
    return scenario.hours > HOURS_PER_DAY and not (scenario.code or scenario.objects.act)


def n_days(scenario: Scenario) -> int:
    """Days of a run, the last one perhaps cut short."""
    return -(-scenario.hours // HOURS_PER_DAY)


def part_name(day: int) -> str:
    """Name of the part of a day, from 1."""
    return f"{day:06d}-{day:06d}"


def finished_days(folder: StudyFolder) -> list[Snapshot]:
    """The days of a run that there are, from the first without a gap."""
    parts = dict(folder.parts())
    days: list[Snapshot] = []
    for day in count(1):
        content = parts.pop(part_name(day), None)
        if content is None:
            break
        try:
            days.append(Snapshot.from_bytes(content))
        except SnapshotError:
            break
    folder.drop([part_name(len(days) + 1), *parts])
    return days


def run_days(
    scenario: Scenario, folder: StudyFolder, on_day: Callable[[], None] | None = None
) -> Run:
    """Run a scenario of several days, keeping each in the folder; on_day is called after each.

    Days that are there already are taken from it. Raises MachineError where they cannot be used
    or the folder is gone.
    """
    began = time.perf_counter()
    days = finished_days(folder)
    folder.begin()
    try:
        model = V2GModel(scenario, snapshots=days)
    except SnapshotError as error:
        raise MachineError(f"a day of the run cannot be gone on with: {error}") from error

    def ended(day: int) -> None:
        folder.add(part_name(day), model.snapshot().to_bytes())
        if on_day is not None:
            on_day()

    if on_day is not None:
        for _ in days:
            on_day()
    model.on_day = ended
    results = results_of(model)
    if on_day is not None:
        on_day()
    return Run(results, time.perf_counter() - began)
