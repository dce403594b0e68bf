"""A year of 600 EVs by the minute with 35,040 load flows, in one command, against a month of it.

python benchmarks/year.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _common import ROOT, machine, options, print_table, sized

BUDGET_S, BUDGET_MB = 25.0, 1500.0
DAYS = sized((365, 30), (3, 2))
REPEATS = sized(3, 1)
FIELDS = {
    "grid.flow_interval_min": 15,
    "clock.engine": "compiled",
    "clock.start_date": '"2025-01-01"',
    "clock.timezone": "Europe/Berlin",
    **({"fleet.evs_per_zone": 2} if sized(False, True) else {}),
}


def command(days: int, folder: str) -> tuple[float, float]:
    """Wall time [s] and largest memory [MB] of the whole command."""
    settings = [f"{name}={value}" for name, value in {**FIELDS, "horizon.days": days}.items()]
    words = [word for setting in settings for word in ("--set", setting)]
    words = ["run", "paper_balanced", *words, "--out", str(Path(folder) / f"{days}"), "--force"]
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


def main() -> int:
    options(__doc__).parse_args()
    found: dict[int, list[tuple[float, float]]] = {days: [] for days in DAYS}
    with tempfile.TemporaryDirectory() as folder:
        command(min(DAYS), folder)  # the feeder is checked once, the kernel compiled
        for _ in range(REPEATS):
            for days in DAYS:
                found[days].append(command(days, folder))
    month_s = min(wall for wall, _ in found[min(DAYS)])
    rows = [
        (
            str(days),
            f"{min(wall for wall, _ in runs) / BUDGET_S:.0%}",
            f"{max(wall for wall, _ in runs) / BUDGET_S:.0%}",
            f"{max(mb for _, mb in runs) / BUDGET_MB:.0%}",
            f"{min(wall for wall, _ in runs) / month_s:.1f}",
        )
        for days, runs in found.items()
    ]
    print(machine())
    print_table(
        f"`run` of days by the minute, load flows of 15 min ({REPEATS} repeats); budget "
        f"{BUDGET_S:g} s and {BUDGET_MB:g} MB",
        ("days", "quickest", "slowest", "memory", f"x {min(DAYS)} days"),
        rows,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
