"""What the benchmarks share: the machine in a line, times, a table, and `--smoke`.

Every benchmark takes `--smoke`: a few EVs, once, in seconds. It shows that the script works, as a
test does for all of them; what it prints then is no measurement.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

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

if TYPE_CHECKING:
    from abm import Scenario

T = TypeVar("T")
# Read before the options are, since the sizes below stand as constants at the top of a script.
SMOKE = "--smoke" in sys.argv
SMOKE_EVS_PER_ZONE = 2


def options(doc: str | None) -> argparse.ArgumentParser:
    """The options of a benchmark: `--smoke`, and what it adds."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--smoke", action="store_true", help="a few EVs, in seconds: does it work?")
    return parser


def sized(full: T, smoke: T) -> T:
    """A size, or the one of a smoke run."""
    return smoke if SMOKE else full


def load(name: str) -> Scenario:
    """A shipped scenario; with few EVs in a smoke run."""
    from abm import Scenario

    scenario = Scenario.load(name)
    return scenario.override({"fleet.evs_per_zone": SMOKE_EVS_PER_ZONE}) if SMOKE else scenario


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


def seconds_by_room(action: Callable[[], object], every_s: float = 2e-4) -> dict[str, float]:
    """Wall time of one call by where in `abm` it is spent, s; {} on Windows, which has no timer.

    A room is a folder of the package or a module beside them. A timer looks at the stack again and
    again; the time since its last look goes to the innermost function of the package. A look has to
    wait until a compiled call is over, and all of that goes to the function that made the call.
    """
    if not hasattr(signal, "setitimer"):
        return {}
    spent: Counter[str] = Counter()
    last = 0.0

    def look(_signal: int, frame: FrameType | None) -> None:
        nonlocal last
        now = time.perf_counter()
        spent[room_of(frame)] += now - last
        last = now

    before = signal.signal(signal.SIGALRM, look)
    last = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, every_s, every_s)
    try:
        action()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    return dict(spent)


def room_of(frame: FrameType | None) -> str:
    """The room of the innermost function of `abm` on a stack, "elsewhere" without any."""
    package = str(ROOT / "abm") + os.sep
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(package):
            return Path(file[len(package) :]).parts[0].removesuffix(".py")
        frame = frame.f_back
    return "elsewhere"


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
