"""What the benchmarks share: the machine in a line, medians, and a table."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    "mesa",
    "simpy",
    "numpy",
    "numba",
    "pandas",
    "pyarrow",
    "pandapower",
    "power-grid-model",
)

# The checkout that the benchmark belongs to is measured, whatever else is installed.
sys.path.insert(0, str(ROOT))


def machine() -> str:
    """Cores, Python and the versions that a time can depend on."""
    found = [f"{cores()} cores", f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join(found)


def cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def seconds(action: Callable[[], object]) -> float:
    """Wall time of one call, s."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def median_seconds(action: Callable[[], object], repeats: int) -> float:
    """Median wall time of several calls after one that warms up, s."""
    action()
    return statistics.median(seconds(action) for _ in range(repeats))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: the first column to the left, the others to the right."""
    lines = [list(columns), *map(list, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    print(f"\n{title}")
    for k, line in enumerate(lines):
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        print("  " + "  ".join(cells).rstrip())
        if k == 0:
            print("  " + "  ".join("-" * width for width in widths))
