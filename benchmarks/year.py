"""A year by the minute in one command, against a month of it.

600 EVs of the paper with 35,040 load flows, and a street of 55 homes and EVs on three phases with
525,600, of which the heat of its transformer follows.

python benchmarks/year.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _common import ROOT, machine, options, print_table, sized

DAYS = sized((365, 30), (2,))
REPEATS = sized(3, 1)


@dataclass(frozen=True)
class Case:
    """What is run, and what it may take. few: what makes it small."""

    scenario: str
    what: str
    budget_s: float
    budget_mb: float
    fields: dict[str, Any]
    few: dict[str, Any]


CASES = (
    Case(
        "paper_balanced",
        "600 EVs, load flows of 15 min",
        25.0,
        1500.0,
        {
            "grid.flow_interval_min": 15,
            "clock.engine": "compiled",
            "clock.start_date": '"2025-01-01"',
            "clock.timezone": "Europe/Berlin",
        },
        {"fleet.evs_per_zone": 2},
    ),
    Case(
        "transformer_year",
        "55 homes and EVs, three-phase load flows of 1 min",
        60.0,
        2000.0,
        {"strategy": "uncoordinated"},
        {"grid.flow_interval_min": 60},
    ),
)


def command(case: Case, days: int, folder: str) -> tuple[float, float]:
    """Wall time [s] and largest memory [MB] of the whole command."""
    fields = {**case.fields, **sized({}, case.few), "horizon.days": days}
    words = [word for name, value in fields.items() for word in ("--set", f"{name}={value}")]
    words = ["run", case.scenario, *words, "--out", str(Path(folder) / f"{days}"), "--force"]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"ended with {status}: {' '.join(words)}")
    return time.perf_counter() - began, usage.ru_maxrss / 1e3


def measured(case: Case) -> None:
    """Print what the case takes."""
    found: dict[int, list[tuple[float, float]]] = {days: [] for days in DAYS}
    with tempfile.TemporaryDirectory() as folder:
        command(case, min(DAYS), folder)  # the feeder is checked once, the kernel compiled
        for _ in range(REPEATS):
            for days in DAYS:
                found[days].append(command(case, days, folder))
    month_s = min(wall for wall, _ in found[min(DAYS)])
    rows = [
        (
            str(days),
            f"{min(wall for wall, _ in runs) / case.budget_s:.0%}",
            f"{max(wall for wall, _ in runs) / case.budget_s:.0%}",
            f"{max(mb for _, mb in runs) / case.budget_mb:.0%}",
            f"{min(wall for wall, _ in runs) / month_s:.1f}",
        )
        for days, runs in found.items()
    ]
    print_table(
        f"`run` of days by the minute, {case.what} ({REPEATS} repeats); budget "
        f"{case.budget_s:g} s and {case.budget_mb:g} MB",
        ("days", "quickest", "slowest", "memory", f"x {min(DAYS)} days"),
        rows,
    )


def main() -> int:
    options(__doc__).parse_args()
    print(machine())
    for case in CASES:
        measured(case)
    return 0


if __name__ == "__main__":
    sys.exit(main())
