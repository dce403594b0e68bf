"""What a person waits for: `python benchmarks/cold_start.py`.

Six jobs as processes of their own, in an empty folder: processor and wall seconds, and the memory
at its peak. The processor's time counts all threads and depends less on what else the machine does.
Each is set against `python -c "import numpy"`, so that machines compare. *First* is the first of
the repeats, which starts without the caches of matplotlib, numba and Evenfall, as after an
installation. A smoke run has the short ones only.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from _common import ROOT, machine, options, print_table, sized

REPEATS = sized(3, 1)
BUDGET_MB = 500.0
RUN = str(ROOT / "run.py")
NUMPY = ("-c", "import numpy")
# Arguments of python, and the goal in wall seconds on a machine with nothing else to do.
JOBS: dict[str, tuple[tuple[str, ...], float]] = {
    "run paper --no-figures": ((RUN, "run", "paper", "--no-figures"), 1.5),
    "run paper": ((RUN, "run", "paper"), 2.5),
    "compare paper": ((RUN, "compare", "paper"), 4.0),
    "reproduce": ((RUN, "reproduce"), 5.0),
    "--help": ((RUN, "--help"), 0.15),
    "from abm import V2GModel": (("-c", "from abm import V2GModel"), 1.0),
}
SHORT = ("--help", "from abm import V2GModel")


@dataclass(frozen=True)
class Cost:
    """Of one process: processor and wall seconds, peak memory [MB]; NaN where it is not told."""

    cpu_s: float
    wall_s: float
    peak_mb: float


def run(arguments: tuple[str, ...], folder: Path, cache: Path) -> Cost:
    """One process in an empty folder. SystemExit when it fails."""
    folder.mkdir()
    caches = ("MPLCONFIGDIR", "NUMBA_CACHE_DIR", "EVENFALL_CACHE")
    environment = {**os.environ, **dict.fromkeys(caches, str(cache)), "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    cpu_s = peak_mb = float("nan")
    if hasattr(os, "wait4"):
        _, status, usage = os.wait4(process.pid, 0)
        code = process.returncode = os.waitstatus_to_exitcode(status)
        cpu_s = usage.ru_utime + usage.ru_stime
        # macOS counts bytes, everybody else KiB.
        peak_mb = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    else:
        code = process.wait()
    took = time.perf_counter() - began
    if code:
        raise SystemExit(f"python {' '.join(arguments)} ended with exit code {code}")
    return Cost(cpu_s, took, peak_mb)


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--repeats", type=int, default=REPEATS, metavar="N")
    repeats = max(1, parser.parse_args().repeats)
    jobs = {job: JOBS[job] for job in sized(tuple(JOBS), SHORT)}
    costs: dict[str, list[Cost]] = {job: [] for job in jobs}
    numpys = []
    with tempfile.TemporaryDirectory() as name:
        temporary = Path(name)
        cache = temporary / "cache"
        cache.mkdir()
        # In turns, so that what else the machine does spreads over all of them.
        for repeat in range(repeats):
            numpys.append(run(NUMPY, temporary / f"numpy-{repeat}", cache))
            for k, (job, (arguments, _)) in enumerate(jobs.items()):
                costs[job].append(run(arguments, temporary / f"{k}-{repeat}", cache))
    numpy_s = statistics.median(cost.cpu_s for cost in numpys)
    rows = []
    for job, (_, goal_s) in jobs.items():
        wall_s = statistics.median(cost.wall_s for cost in costs[job])
        cpu_s = statistics.median(cost.cpu_s for cost in costs[job])
        rows.append(
            (
                job,
                f"{goal_s:g} s",
                f"{costs[job][0].wall_s:.2f} s",
                f"{wall_s:.2f} s",
                f"{wall_s / goal_s:.0%}",
                f"{cpu_s:.2f} s",
                f"{cpu_s / numpy_s:.1f}",
                f"{max(cost.peak_mb for cost in costs[job]) / BUDGET_MB:.0%}",
            )
        )
    print(machine())
    print_table(
        f"Processes from cold, medians of {repeats}; import numpy: {numpy_s:.2f} s of processor",
        (
            "job",
            "goal",
            "first",
            "wall",
            "of goal",
            "cpu",
            "x numpy",
            f"of {BUDGET_MB:g} MB",
        ),
        rows,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
