"""How much memory and disk a run or a study will need at least, before anything is begun.

Bytes for each thing that is kept, measured (docs/faults.md) and rounded down: what is refused would
not have fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from abm.errors import InputError, Problem
from abm.machine import disk_there, in_words, memory_there
from abm.results.flows import has_flow_tables
from abm.results.stored import LARGEST
from abm.scenario import Scenario
from abm.study.replications import Case, most_together

# In memory, tables included: an EV; the history of its SoC; its stay on each of several days; a
# step of a feeder, and of a zone where those are recorded; a bus or line of a load flow, with and
# without its tables; a replication's row; a point of a sweep.
EV, SOC_HISTORY, EV_DAY, FEEDER_STEP, ZONE_STEP, FLOW = 700, 500, 1300, 90, 55, 110
FLOW_ALONE = 30
ROW, CASE = 10_000, 10_000
# On disk, compressed.
EV_FILE, EV_DAY_FILE, ZONE_STEP_FILE, FLOW_FILE, ROW_FILE = 60, 40, 0.3, 1.5, 1500
# In the record of a run: of its arrays, and of its file where that is written.
OF_RECORD = {
    "EVs": (280, 70),
    "stays": (130, 60),
    "steps of feeders": (12, 0.2),
    "steps of zones": (20, 0.5),
    "buses and lines of load flows": (20, 3),
}

CLOCK = "horizon.days, clock.hours, clock.step_s"
FIELDS = {
    "EVs": "fleet.evs_per_zone, fleet.sessions, feeder.copies",
    "stays": "horizon.days, fleet.evs_per_zone, feeder.copies",
    "steps of feeders": f"{CLOCK}, feeder.copies",
    "steps of zones": f"record.zone_minute, {CLOCK}, feeder.copies",
    "buses and lines of load flows": "grid.flow_interval_min, horizon.days, feeder.copies",
    "replications": "--replications, --vary, --design, --strategies",
    "points": "--vary, --design, --strategies",
}


@dataclass
class Size:
    """Bytes by what they are for. counts: how many there are of each."""

    memory: dict[str, float] = field(default_factory=dict)
    disk: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, what: str, count: int, memory: float, disk: float) -> None:
        """So many of one kind, each with so many bytes."""
        self.counts[what] = count
        self.memory[what] = count * memory
        self.disk[what] = count * disk


def run_size(scenario: Scenario, copies: int | None = None) -> Size:
    """Of one run. copies: seeds in one model, the scenario's feeders where None."""
    feeders = scenario.feeder.copies if copies is None else copies
    table, sessions = scenario.inputs.feeder, scenario.inputs.sessions
    per_feeder = int(scenario.zone_evs.sum()) if sessions is None else len(sessions)
    if sessions is None and scenario.fleet.stays is not None:
        # A row for each date that the horizon touches.
        per_feeder *= scenario.horizon.days + 1
    days, hours, step_s = scenario.sets_of_stays, scenario.hours, scenario.clock.step_s
    steps = hours * 3600 // step_s * feeders
    minutes = scenario.record.zone_minute
    flows = hours * (60 // scenario.grid.flow_interval_min) * feeders
    size = Size()
    history = 0 if scenario.ageing.model == "throughput" else SOC_HISTORY
    size.add("EVs", per_feeder * feeders, EV + history, EV_FILE)
    if days > 1:
        size.add("stays", per_feeder * feeders * days, EV_DAY, EV_DAY_FILE)
    size.add("steps of feeders", steps, FEEDER_STEP, 0.0)
    if feeders == 1 if minutes is None else minutes:
        size.add("steps of zones", steps * table.n_zones, ZONE_STEP, ZONE_STEP_FILE)
    elements = len(table.buses) + len(table.line_from) - int(table.is_open.sum())
    if table.phases is not None:
        elements += len(table.phases.line)
    what = "buses and lines of load flows"
    if has_flow_tables(scenario, elements, feeders):
        size.add(what, flows * elements, FLOW, FLOW_FILE)
    else:
        kept = elements if table.phases is None else len(table.buses)
        size.add(what, flows * kept, FLOW_ALONE, 0.0)
    _add_record(size)
    return size


def _add_record(size: Size) -> None:
    """The file of the record, where it is clear that there will be one."""
    arrays = sum(count * OF_RECORD[what][0] for what, count in size.counts.items())
    if 2 * arrays <= LARGEST:
        for what, count in size.counts.items():
            size.disk[what] += count * OF_RECORD[what][1]


def study_size(cases: Sequence[Case], replications: int, workers: int) -> Size:
    """Of a study: the largest batch in each worker, 0 where they run elsewhere, and all rows."""
    size = Size()
    if workers:
        batches = [
            run_size(case.scenario, min(replications, most_together(case.scenario)))
            for case in cases
        ]
        largest = max(batches, key=lambda batch: sum(batch.memory.values()))
        at_once = min(workers, replications * len(cases))
        size.memory = {what: at_once * bytes_ for what, bytes_ in largest.memory.items()}
        size.counts = largest.counts
    size.add("replications", replications * len(cases), ROW, ROW_FILE)
    return size


def rows_size(rows: int) -> Size:
    """Of the table of so many replications."""
    size = Size()
    size.add("replications", rows, ROW, ROW_FILE)
    return size


def check_room(size: Size, out: Path | None = None) -> None:
    """Raise InputError when memory, or the disk of folder `out`, is smaller than is needed."""
    problems = _problem("memory", size.memory, size.counts, memory_there)
    if out is not None:
        problems += _problem("disk", size.disk, size.counts, lambda: disk_there(out))
    if problems:
        raise InputError(problems)


def check_points(points: int) -> None:
    """Raise InputError when there is no memory for so many scenarios of a sweep."""
    size = Size()
    size.add("points", points, CASE, 0.0)
    check_room(size)


def _problem(
    what: str, parts: dict[str, float], counts: dict[str, int], there: Callable[[], int | None]
) -> list[Problem]:
    needed, free = sum(parts.values()), there()
    if free is None or needed <= free:
        return []
    most = max(parts, key=lambda part: parts[part])
    allowed = (
        f"at most the {in_words(free)} that are there; most of it is for {counts[most]:,} {most}"
    )
    return [Problem(what, f"at least {in_words(needed)}", allowed, hint=f"see {FIELDS[most]}")]
