"""A million EVs on 1,667 feeders: `python benchmarks/city.py`.

Every case is a process of its own: imports and one small city to warm up, then making the model,
24 hours in 1-minute steps, 40,008 load flows, KPIs and a folder of results, each timed, and the
peak memory of the process. Cases: two strategies with both engines, the compiled one in shards on
two workers, and fleets of 600, 6,000 and 60,000 EVs for the growth. `--quick` leaves out numpy and
runs each case once. The parent imports nothing heavy, so that a case's peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from _common import ROOT, SMOKE, cores, load, machine, options, print_table, seconds_by_room, sized

STRATEGIES = sized(("uncoordinated", "evms"), ("evms",))
BUDGET_S = {"compiled": 15.0, "numpy": 60.0}
BUDGET_GB = 3.0
COPIES = sized(1667, 3)
GROWTH = sized({1: 15, 10: 9, 100: 3}, {})
REPEATS = sized(3, 1)
PHASES = ("build", "steps", "load flows", "KPIs", "write")
WARM_UP_COPIES = sized(64, 2)  # enough for the threads, too
# The folder of the package in which the compiled hour is called.
COMPILED_ROOM = "engine"


# --- in the process of a case ------------------------------------------------------------------


def timed_run(scenario: Any, compiled: bool) -> tuple[dict[str, float], dict[str, Any]]:
    """Seconds of each phase of one run in this process, and what is worth knowing about it."""
    from abm import V2GModel
    from abm.results.folder import write_run
    from abm.results.staging import OutputFolder

    marks = [time.perf_counter()]
    model = V2GModel(scenario)
    marks.append(time.perf_counter())
    if compiled and model.compiled is None:
        raise SystemExit("the compiled engine is not there")
    rooms = seconds_by_room(model.run)
    marks.append(time.perf_counter())
    flows = model.grid.flows
    marks.append(time.perf_counter())
    results = model.results
    kpis = results.kpis
    marks.append(time.perf_counter())
    with tempfile.TemporaryDirectory() as folder:
        write_run(OutputFolder(Path(folder)), results)
        marks.append(time.perf_counter())
        written = sum(file.stat().st_size for file in Path(folder).iterdir())
    fleet = model.fleet
    seconds = {name: marks[i + 1] - marks[i] for i, name in enumerate(PHASES)}
    seconds["kernel"] = rooms.get(COMPILED_ROOM, float("nan"))
    known = {
        "evs": fleet.n,
        "load_flows": int(flows.converged.size),
        "written_mb": written / 1e6,
        "column_bytes": column_bytes(fleet),
        "plugged_ev_minutes": float((fleet.departure_min - fleet.arrival_min).sum()),
        "charged_mwh": kpis["ev_charged_mwh"],
        "peak_mw": kpis["system_peak_mw"],
    }
    return seconds, known


def column_bytes(fleet: Any) -> int:
    """Bytes of all columns of the fleet, one row per EV."""
    shape = (fleet.n,)
    return sum(a.nbytes for a in vars(fleet).values() if getattr(a, "shape", None) == shape)


def sharded_run(scenario: Any, workers: int) -> tuple[dict[str, float], dict[str, Any]]:
    """The same through `run --workers`: workers started, shards run and joined, all written."""
    from abm.results.folder import write_run
    from abm.results.staging import OutputFolder
    from abm.study.runs import run_city

    began = time.perf_counter()
    results = run_city(scenario, workers).results
    ran = time.perf_counter()
    kpis = results.kpis
    judged = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        write_run(OutputFolder(Path(folder)), results)
        done = time.perf_counter()
    seconds = {"steps": ran - began, "KPIs": judged - ran, "write": done - judged}
    known = {"evs": kpis["evs"], "charged_mwh": kpis["ev_charged_mwh"]}
    return seconds, known | {"peak_mw": kpis["system_peak_mw"]}


def case(strategy: str, engine: str, copies: int, workers: int, repeats: int) -> None:
    """What one process measures, as JSON on stdout."""
    base = load("city").override({"clock.engine": engine}, strategy=strategy)
    compiled = engine == "compiled"
    timed_run(base.override({"feeder.copies": WARM_UP_COPIES}), compiled)
    scenario = base.override({"feeder.copies": copies})
    runs = []
    for _ in range(repeats):
        if workers > 1:
            seconds, known = sharded_run(scenario, workers)
        else:
            seconds, known = timed_run(scenario, compiled)
        runs.append(seconds)
    middle = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    total = statistics.median(sum(run.get(name, 0.0) for name in PHASES) for run in runs)
    print(json.dumps({"seconds": middle, "total_s": total, **known}))


def copy_speed(threads: int) -> float:
    """Bytes per second that `numpy.copyto` reads and writes on so many threads, best of five."""
    import numpy as np

    n = 25_000_000
    source = [np.ones(n) for _ in range(threads)]
    target = [np.zeros(n) for _ in range(threads)]
    best = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(5):
            began = time.perf_counter()
            list(pool.map(np.copyto, target, source))
            best = min(best, time.perf_counter() - began)
    return 2 * 8 * n * threads / best


# --- in the parent -----------------------------------------------------------------------------


class Memory(threading.Thread):
    """Peak of the memory of all processes of a session, shared pages counted once, MB (Linux)."""

    def __init__(self, session: int) -> None:
        super().__init__(daemon=True)
        self.session, self.peak_mb, self.ended = session, float("nan"), threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.1):
            now = sum(self._kib(folder) for folder in Path("/proc").glob("[0-9]*")) / 1024
            self.peak_mb = now if not self.peak_mb >= now else self.peak_mb

    def _kib(self, folder: Path) -> int:
        try:
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(after_name[3]) != self.session:
                return 0
            lines = (folder / "smaps_rollup").read_text().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (OSError, ValueError, StopIteration, IndexError):
            return 0


def run_case(
    strategy: str, engine: str, copies: int, workers: int = 1, repeats: int = 1
) -> dict[str, Any]:
    """Measure a case in a fresh process; adds `peak_mb`."""
    said = f"{strategy}, {engine}, {copies} feeders, {workers} worker(s) ..."
    print(said, file=sys.stderr, flush=True)
    numbers = map(str, (copies, workers, repeats))
    command = [sys.executable, __file__, *(["--smoke"] if SMOKE else [])]
    command += ["--case", strategy, engine, *numbers]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as out:
        process = subprocess.Popen(command, stdout=out, env=environment, start_new_session=True)
        memory = Memory(process.pid)
        if workers > 1 and sys.platform == "linux":
            memory.start()
        peak_mb = float("nan")
        if hasattr(os, "wait4"):
            _, status, usage = os.wait4(process.pid, 0)
            code = process.returncode = os.waitstatus_to_exitcode(status)
            peak_mb = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        else:
            code = process.wait()
        memory.ended.set()
        if code:
            raise SystemExit(f"{said} ended with exit code {code}")
        out.seek(0)
        found = dict(json.loads(out.read().splitlines()[-1]))
    return found | {"peak_mb": memory.peak_mb if workers > 1 else peak_mb}


def middle_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run with the median total, and the range of the totals."""
    ordered = sorted(runs, key=lambda run: run["total_s"])
    chosen = ordered[(len(ordered) - 1) // 2]
    peak = max(run["peak_mb"] for run in runs)
    return chosen | {"slowest_s": ordered[-1]["total_s"], "peak_mb": peak}


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--repeats", type=int, default=REPEATS, metavar="N")
    parser.add_argument("--quick", action="store_true", help="one repeat, without numpy's engine")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--case", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case is not None:
        strategy, engine, *numbers = args.case
        case(strategy, engine, *map(int, numbers))
        return 0

    repeats = 1 if args.quick else args.repeats
    cases: dict[tuple[str, str, int], dict[str, Any]] = {}
    # In turn, so that a busy moment of the machine does not meet one case alone.
    runs: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for i in range(repeats):
        for strategy in STRATEGIES:
            keys = [(strategy, "compiled", 1), (strategy, "compiled", 2)]
            if i == 0 and not args.quick and not SMOKE:
                keys.append((strategy, "numpy", 1))
            for key in keys:
                runs.setdefault(key, []).append(run_case(key[0], key[1], COPIES, key[2]))
    for key, found in runs.items():
        cases[key] = middle_of(found) | {"runs": len(found)}
    growth = {
        (strategy, copies): run_case(strategy, "compiled", copies, repeats=times)
        for strategy in STRATEGIES
        for copies, times in GROWTH.items()
    }
    speeds = {threads: copy_speed(threads) for threads in dict.fromkeys((1, cores()))}

    print(machine())
    show_budgets(cases)
    show_phases(cases)
    show_growth(cases, growth)
    show_passes(cases, speeds)
    differs = [key for key, found in cases.items() if not same_answer(found, cases, key[0])]
    if args.json is not None:
        report = {
            "machine": {"cores": cores(), "python": platform.python_version()},
            "cases": {", ".join(map(str, key)): found for key, found in cases.items()},
            "growth": {", ".join(map(str, key)): found for key, found in growth.items()},
            "copy_bytes_per_s": speeds,
        }
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for key in differs:
        print(f"{key}: another energy or peak than the compiled engine in one process")
    return 1 if differs else 0


def same_answer(found: dict[str, Any], cases: Any, strategy: str) -> bool:
    """Whether energy and peak are those of the compiled engine in one process, to the last bit."""
    reference = cases[strategy, "compiled", 1]
    return all(found[name] == reference[name] for name in ("charged_mwh", "peak_mw"))


def show_budgets(cases: Any) -> None:
    n_evs = next(iter(cases.values()))["evs"]
    rows = []
    for (strategy, engine, workers), found in cases.items():
        budget_s, gb = BUDGET_S[engine], found["peak_mb"] / 1024
        rows.append(
            (
                strategy,
                engine,
                str(workers),
                str(found["runs"]),
                f"{found['total_s']:.1f}",
                f"{found['slowest_s']:.1f}",
                f"{budget_s:g} s",
                f"{found['total_s'] / budget_s:.0%}",
                f"{gb:.2f}",
                f"{gb / BUDGET_GB:.0%}",
            )
        )
    print_table(
        f"{n_evs:,} EVs on {COPIES:,} feeders, results written, after imports and warm-up",
        (
            *("strategy", "engine", "workers", "runs", "s (median)", "slowest", "budget", "share"),
            *("peak GB", f"share of {BUDGET_GB:g} GB"),
        ),
        rows,
    )


def show_phases(cases: Any) -> None:
    rows = []
    for (strategy, engine, workers), found in cases.items():
        if workers == 1:
            seconds = found["seconds"]
            row = [strategy, engine, *(f"{seconds[name]:.2f}" for name in PHASES)]
            kernel = seconds["kernel"]
            rows.append([*row, f"{kernel:.2f}" if engine == "compiled" else "-"])
    print_table(
        "Where the seconds go (kernel: the part of the steps in compiled code)",
        ("strategy", "engine", *PHASES, "kernel"),
        rows,
    )


def show_growth(cases: Any, growth: Any) -> None:
    import numpy as np

    rows = []
    for strategy in STRATEGIES:
        points = [growth[strategy, copies] for copies in GROWTH]
        points.append(cases[strategy, "compiled", 1])
        before = None
        for found in points:
            exponent = "-"
            if before is not None:
                ratio = np.log(found["total_s"] / before["total_s"])
                exponent = f"{ratio / np.log(found['evs'] / before['evs']):.2f}"
            rows.append(
                (
                    strategy,
                    f"{found['evs']:,}",
                    f"{found['total_s']:.3g}",
                    f"{1e6 * found['total_s'] / found['evs']:.1f}",
                    exponent,
                    f"{found['peak_mb']:.0f}",
                )
            )
            before = found
        x = np.log([found["evs"] for found in points])
        y = np.log([found["total_s"] for found in points])
        if len(points) > 1:
            rows.append((strategy, "all", "", "", f"{np.polyfit(x, y, 1)[0]:.2f}", ""))
    print_table(
        "Growth, compiled, everything from the model to the written results (1 = linear)",
        ("strategy", "EVs", "s", "us per EV", "exponent", "peak MB"),
        rows,
    )


def show_passes(cases: Any, speeds: dict[int, float]) -> None:
    said = ", ".join(f"{1e-9 * speed:.1f} GB/s on {n}" for n, speed in speeds.items())
    print(f"\nnumpy.copyto reads and writes {said} thread(s).")
    fastest = max(speeds.values())
    rows = []
    for strategy in STRATEGIES:
        found = cases[strategy, "compiled", 1]
        seconds, size = found["seconds"], found["column_bytes"]
        once_s, hour_s = size / fastest, seconds["kernel"] / 24
        minutes = found["plugged_ev_minutes"]
        rows.append(
            (
                strategy,
                f"{size / found['evs']:.0f}",
                f"{1e-6 * size:.0f}",
                f"{1e3 * once_s:.1f}",
                f"{1e3 * hour_s:.1f}",
                f"{hour_s / once_s:.1f}",
                f"{24 * once_s / found['total_s']:.1%}",
                f"{1e9 * seconds['kernel'] / minutes:.2f}",
            )
        )
    print_table(
        "How far from one pass over the columns per broadcast hour (at copyto's best speed)",
        (
            *("strategy", "bytes per EV", "MB a pass", "ms a pass", "ms an hour", "passes"),
            *("24 passes of all", "ns per EV-minute plugged in"),
        ),
        rows,
    )


if __name__ == "__main__":
    sys.exit(main())
