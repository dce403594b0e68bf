"""A day of three-phase load flows by the minute, beside OpenDSS's solve of the same feeder.

And whole days with EVs, of which those load flows are a part: one in this process, commands, and
replications on two workers.

python benchmarks/three_phase.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _common import ROOT, SMOKE, machine, options, print_table, seconds, sized

from abm.grid.phase_solve import ThreePhaseSolver
from abm.scenario.feeder import read_feeder
from abm.scenario.names import shipped_files
from abm.scenario.phase_values import PhaseValues

# OpenDSS is told a network as the tests tell it.
sys.path.insert(0, str(ROOT / "tests"))

MINUTES = sized(1440, 60)
REPEATS = sized(3, 1)
EV_KW, EVS = 7.0, 0.3
# OpenDSS is timed on so many of the minutes; at the last of them voltages are compared.
OF_OPENDSS = sized(200, 3)
TIMES = 10.0
BUDGET_S = {"European LV": 0.3, "HPK11": 5.0}
SAME_PU = 1e-6
STRATEGIES = ("uncoordinated", "evms", "coordinated")
# European LV, 55 EVs: a day, and replications of it. HPK11 with some 2,000 EVs: the whole command,
# and replications at 15 minutes.
DAY_S, REPLICATIONS_S, RUN_S, HPK11_REPLICATIONS_S = 0.5, 300.0, 20.0, 60.0
REPLICATIONS, HPK11_REPLICATIONS, WORKERS = sized((1000, 100, 2), (2, 2, 1))
# Some 2,000 EVs, and a limit that binds in the evening.
HPK11_FIELDS = ("grid.demand_limit_mw=6", "fleet.evs_per_customer=0.38")
# Of OpenDSS. With its own, 1e-4, HPK11 is off by 5e-6 p.u., which is more than `SAME_PU`.
TOLERANCE = 1e-6


def processor_s(action: Callable[[], object]) -> float:
    """Processor time of one call, s: all its threads, and nobody else on the machine."""
    began = time.process_time()
    action()
    return time.process_time() - began


def day(solver: ThreePhaseSolver, minutes: int) -> tuple[Any, Any]:
    """Powers at the terminals, MW and Mvar: homes that change within half an hour, and EVs."""
    rng = np.random.default_rng(1)
    count = len(solver.terminals.home)
    at = np.arange(minutes) / 30.0
    knots = rng.gamma(1.5, 0.5, (int(at[-1]) + 2, count))
    first = at.astype(int)
    part = (at - first)[:, None]
    kw = knots[first] * (1.0 - part) + knots[first + 1] * part
    start = rng.integers(0, minutes, count)
    minute = np.arange(minutes)[:, None]
    charging = (minute >= start) & (minute < start + 240) & (rng.random(count) < EVS)
    return (kw + EV_KW * charging) / 1e3, 0.33 * kw / 1e3


def hpk11(path: Path) -> PhaseValues:
    """The feeder of a .dss.gz file."""
    from abm.grid.opendss import read_opendss

    source, _ = read_opendss(path)
    values = source.table(source.files(), path.name).phases
    if values is None:
        raise RuntimeError("not a three-phase feeder")
    return values


def beside_opendss(values: PhaseValues, p: Any, q: Any, vm_pu: Any) -> tuple[float, float, float]:
    """Processor seconds that OpenDSS is told the loads, and solves, each; largest difference, p.u.

    Each minute starts from the solution of the one before.
    """
    from opendss import OpenDSS

    network = OpenDSS(values)
    dss, terminals = network.dss, network.terminals
    dss.Text.Command(f"set tolerance={TOLERANCE}")

    def tell(kw: Any, kvar: Any) -> None:
        loads, each = dss.Loads, zip(kw, kvar, strict=True)
        at = loads.First()
        while at:
            one, other = next(each)
            loads.kW(one)
            loads.kvar(other)
            at = loads.Next()

    tell(1e3 * p[0], 1e3 * q[0])
    dss.Solution.Solve()
    told = solved = 0.0
    for row in range(1, len(p)):
        told += processor_s(lambda row=row: tell(1e3 * p[row], 1e3 * q[row]))
        solved += processor_s(dss.Solution.Solve)
    found = np.array(dss.Circuit.AllBusVolts()).view(complex)
    volts = dict(zip(dss.Circuit.AllNodeNames(), found, strict=True))
    bus = values.home_bus[terminals.home]
    v = [
        volts[f"b{at}.{phase + 1}"] - (volts[f"b{at}.{to + 1}"] if to >= 0 else 0.0)
        for at, phase, to in zip(bus, terminals.phase, terminals.to_phase, strict=True)
    ]
    base = 1e3 * values.vn_kv[bus] / np.where(terminals.to_phase >= 0, 1.0, np.sqrt(3.0))
    lowest = np.minimum.reduceat(np.abs(v) / base, terminals.first)
    rows = len(p) - 1
    return told / rows, solved / rows, float(np.abs(lowest - vm_pu[-1]).max())


def command(*words: str) -> tuple[float, float, float]:
    """Wall and processor time [s] and largest memory [MB] of a command, its workers left out."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "run.py"), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"ended with {status}: {' '.join(words)}")
    took = time.perf_counter() - began
    return took, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3


def days() -> list[tuple[str, ...]]:
    """A day of the European feeder in this process, by strategy."""
    from abm import Scenario, V2GModel

    rows = []
    for strategy in STRATEGIES:
        scenario = Scenario.load("ieee_european_lv").override(
            {"strategy": strategy, "grid.flow_interval_min": sized(1, 60)}
        )

        def whole(scenario: Scenario = scenario) -> object:
            return V2GModel(scenario).run().results.kpis

        whole()
        took = statistics.median(seconds(whole) for _ in range(REPEATS))
        own = statistics.median(processor_s(whole) for _ in range(REPEATS))
        rows.append(shown(f"European LV, day in this process, {strategy}", took, DAY_S, own, None))
    return rows


def shown(
    what: str, took: float, budget_s: float, own: float | None, mb: float | None
) -> tuple[str, ...]:
    """A row of the table of days and commands."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    cpu, memory = "" if own is None else f"{own:.2f}", "" if mb is None else f"{mb:.0f}"
    return what, f"{took:.2f}", f"{took / budget_s:.0%}", cpu, memory, load


def commands(hpk11_file: Path | None) -> list[tuple[str, ...]]:
    """Whole commands, HPK11 where its file is there."""
    rows = []
    workers = ("--workers", f"{WORKERS}")
    with tempfile.TemporaryDirectory() as folder:

        def replications(
            name: str, strategy: str, words: list[str], count: int, budget_s: float
        ) -> None:
            out = ("--out", str(Path(folder) / "replications"), "--force")
            more = ("--strategies", strategy, "--replications", f"{count}", *workers)
            took, _, _ = command("montecarlo", *words, *more, *out)
            what = f"{name}, {count:,} replications, {WORKERS} workers, {strategy}"
            rows.append(shown(what, took, budget_s, None, None))

        street = ["ieee_european_lv", "--set", f"grid.flow_interval_min={sized(1, 60)}"]
        for strategy in sized(STRATEGIES, STRATEGIES[:1]):
            replications("European LV", strategy, street, REPLICATIONS, REPLICATIONS_S)
        if hpk11_file is None:
            return rows
        imported = Path(folder) / "hpk11"
        command("feeder", "import", str(hpk11_file), "--out", str(imported))
        fields = [f"grid.feeder={imported}", *HPK11_FIELDS]
        words = ["paper", *(word for field in fields for word in ("--set", field)), "--set"]
        for strategy in STRATEGIES:
            out = ("--strategy", strategy, "--out", str(Path(folder) / strategy), "--force")
            day_words = ("run", *words, "grid.flow_interval_min=1", *out)
            took, own, mb = sorted(command(*day_words) for _ in range(REPEATS))[REPEATS // 2]
            rows.append(shown(f"HPK11, `run` of a day, {strategy}", took, RUN_S, own, mb))
        for strategy in STRATEGIES:
            quarters = [*words, "grid.flow_interval_min=15"]
            replications("HPK11", strategy, quarters, HPK11_REPLICATIONS, HPK11_REPLICATIONS_S)
    return rows


def main() -> int:
    parser = options(__doc__)
    parser.add_argument(
        "--hpk11",
        type=Path,
        metavar="FILE",
        default=ROOT.parent / "shared" / "data" / "ausnet_hpk11" / "hpk11.dss.gz",
        help="the feeder of AusNet as hpk11.dss.gz; left out where there is none",
    )
    asked: argparse.Namespace = parser.parse_args()
    try:
        import opendssdirect

        engine = f"opendssdirect.py {opendssdirect.__version__}"
    except ImportError:
        engine = ""
    european = read_feeder(shipped_files("feeders")["ieee_european_lv"], None).phases
    feeders = {"European LV": european}
    large = asked.hpk11 if engine and asked.hpk11.is_file() and not SMOKE else None
    if large is not None:
        feeders["HPK11"] = hpk11(large)
    # First, since the memory of a command is told as at least that of the process it is started by.
    of_days = commands(large) + days()
    rows, against, worst, each, wall = [], [], 0.0, 0.0, 0.0
    for name, values in feeders.items():
        if values is None:
            raise RuntimeError("not a three-phase feeder")
        setup = seconds(lambda values=values: ThreePhaseSolver(values))
        solver = ThreePhaseSolver(values)
        p, q = day(solver, MINUTES)
        solver.solve(p[:1], q[:1])  # compiles
        for lines in (False, True) if values.n_home < 1000 else (False,):

            def solve(
                solver: ThreePhaseSolver = solver, p: Any = p, q: Any = q, lines: bool = lines
            ) -> object:
                return solver.solve(p, q, lines=lines)

            took = statistics.median(times := [seconds(solve) for _ in range(REPEATS)])
            own = statistics.median(processor_s(solve) for _ in range(REPEATS)) / MINUTES
            each, wall = (each, wall) if lines else (own, took / MINUTES)
            rows.append(
                (
                    name + (", currents of all lines" if lines else ""),
                    f"{values.n_home:,}",
                    f"{MINUTES:,}",
                    f"{setup:.2f}",
                    f"{took:.3f}",
                    f"{max(times):.3f}",
                    f"{took / (BUDGET_S[name] * MINUTES / 1440):.0%}",
                    f"{1e3 * own:.4f}",
                )
            )
        if engine:
            few = OF_OPENDSS if values.n_home < 1000 else 50
            flow = solver.solve(p[:few], q[:few], lines=False)
            told, solved, apart = beside_opendss(values, p[:few], q[:few], flow.vm_pu)
            worst = max(worst, apart)
            against.append(
                (
                    name,
                    f"{1e3 * told:.3f}",
                    f"{1e3 * solved:.3f}",
                    f"{solved / each:.1f}",
                    f"{solved / wall:.1f}",
                    f"{(told + solved) / each:.1f}",
                    f"{apart:.1e}",
                )
            )
    print(machine() + (f", {engine}" if engine else ""))
    columns = (
        "feeder",
        "homes",
        "flows",
        "setup s",
        "s",
        "slowest",
        "of budget",
        "processor ms each",
    )
    print_table(f"Load flows, one process ({REPEATS} repeats)", columns, rows)
    columns = ("day", "s", "of budget", "processor s", "MB", "load average")
    title = f"Days with EVs and KPIs, and whole commands ({REPEATS} repeats, replications once)"
    print_table(title, columns, of_days)
    if not engine:
        print("\nOpenDSS is not installed: pip install -e .[opendss]")
        return 0
    columns = (
        "feeder",
        "told ms",
        "solve ms",
        "times solve",
        "times solve, our wall time",
        "times both",
        "largest difference p.u.",
    )
    print_table(f"OpenDSS, minute by minute; goal {TIMES:g} times its solve", columns, against)
    if worst > SAME_PU:
        print(f"voltages differ by {worst:.1e} p.u.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
