"""What a person waits for: `python benchmarks/cold_start.py`.

The main job, `--help` and `validate paper` as processes of their own, in an empty folder, with the
peak memory of each. The first main job also starts without matplotlib's and numba's caches, as it
does after an installation.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _common import ROOT, machine, print_table

REPEATS = 3
BUDGET_MB = 500.0
JOBS = {
    "run.py (reproduce)": ((), 15.0),
    "run.py --help": (("--help",), 1.0),
    "run.py validate paper": (("validate", "paper"), 1.0),
}


def run(arguments: tuple[str, ...], folder: Path, cache: Path) -> tuple[float, float]:
    """Seconds and peak memory [MB, NaN where the system does not tell] of one process."""
    caches = {"MPLCONFIGDIR": str(cache), "NUMBA_CACHE_DIR": str(cache)}
    environment = {**os.environ, **caches, "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peak_mb = float("nan")
    if hasattr(os, "wait4"):
        _, status, usage = os.wait4(process.pid, 0)
        code = process.returncode = os.waitstatus_to_exitcode(status)
        # macOS counts bytes, everybody else KiB.
        peak_mb = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    else:
        code = process.wait()
    took = time.perf_counter() - began
    if code:
        raise SystemExit(f"run.py {' '.join(arguments)} ended with exit code {code}")
    return took, peak_mb


def main() -> int:
    rows = []
    with tempfile.TemporaryDirectory() as name:
        temporary = Path(name)
        cache = temporary / "cache"
        cache.mkdir()
        for job, (arguments, budget_s) in JOBS.items():
            runs = []
            for i in range(REPEATS):
                folder = temporary / f"{len(rows)}-{i}"
                folder.mkdir()
                runs.append(run(arguments, folder, cache))
            times, memory = [took for took, _ in runs], max(mb for _, mb in runs)
            rows.append(
                (
                    job,
                    f"{budget_s:g} s",
                    f"{times[0] / budget_s:.0%}",
                    f"{statistics.median(times) / budget_s:.0%}",
                    f"{memory / BUDGET_MB:.0%}",
                )
            )
    print(machine())
    print_table(
        f"Processes from cold, share of the budget ({REPEATS} repeats)",
        ("job", "budget", "first", "median", f"peak memory of {BUDGET_MB:g} MB"),
        rows,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
