"""1,000 replications of the paper's 600-EV study: `python benchmarks/montecarlo.py`.

One strategy at a time on one worker and on two, load flows included: as a call from Python (the
workers' start in the time, this process's imports not), and once as the command, imports, tables
and figures included. Beside them what a chunk costs that is not simulation, and which share of it
that is.
"""

from __future__ import annotations

import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _common import (
    ROOT,
    SMOKE,
    SMOKE_EVS_PER_ZONE,
    load,
    machine,
    options,
    print_table,
    seconds,
    sized,
)

from abm import Scenario
from abm.study import replications as ens
from abm.study.executor import hand_out, open_backend
from abm.study.montecarlo import montecarlo, strategy_cases

STRATEGIES = sized(("uncoordinated", "evms"), ("evms",))
WORKERS = sized((1, 2), (1,))
REPLICATIONS = sized(1000, 2)
REPEATS = sized(3, 1)
BUDGET_S = 20.0
OVERHEAD_BUDGET = 0.05


class Summed:
    """Stands in for a function and adds up the time spent in it."""

    def __init__(self, function: Any) -> None:
        self.function, self.total_s, self.last = function, 0.0, None

    def __call__(self, *args: Any) -> Any:
        began = time.perf_counter()
        self.last = self.function(*args)
        self.total_s += time.perf_counter() - began
        return self.last


def split_of_a_study(scenario: Scenario, replications: int) -> tuple[float, float, float]:
    """One worker's seconds: in all, in models and load flows, and in tables of parts."""
    batch, part = Summed(ens.simulate_batch), Summed(ens.part_bytes)
    ens.simulate_batch, ens.part_bytes = batch, part
    try:
        total = seconds(lambda: montecarlo(scenario, replications))
    finally:
        ens.simulate_batch, ens.part_bytes = batch.function, part.function
    return total, batch.total_s, part.total_s


def answer(_jobs: Any, part: bytes) -> tuple[bytes, int]:
    """What a worker sends back, without the work."""
    return part, 0


def journey_s(scenario: Scenario, replications: int, part: bytes) -> float:
    """Seconds per chunk to send its job to a worker and a part back."""
    cases = strategy_cases(scenario)
    chunks = list(ens.chunks_of(cases, replications))

    def call(chunk: ens.Chunk) -> Any:
        return answer, (ens.jobs_of(chunk, cases, scenario.seed), part)

    with open_backend(WORKERS[-1]) as backend:
        list(hand_out(backend, chunks[:2], call, lambda _: []))
        took = seconds(lambda: list(hand_out(backend, chunks, call, lambda _: [])))
    return took / len(chunks)


def command_s(strategy: str, replications: int, workers: int) -> float:
    """Seconds of `run.py montecarlo` as a process, everything included."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "run.py"), "montecarlo", "paper"]
        command += ["--replications", str(replications), "--strategies", strategy]
        command += ["--workers", str(workers), "--out", str(Path(folder) / "out")]
        command += ["--set", f"fleet.evs_per_zone={SMOKE_EVS_PER_ZONE}"] if SMOKE else []
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return seconds(lambda: subprocess.run(command, check=True, env=environment, **quiet))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = options(__doc__)
    parser.add_argument("--replications", type=int, default=REPLICATIONS, metavar="N")
    parser.add_argument("--repeats", type=int, default=REPEATS, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    args = parser.parse_args(arguments)
    n, budget_s = args.replications, BUDGET_S * args.replications / 1000

    report: dict[str, Any] = {"replications": n}
    totals, overheads = [], []
    for strategy in STRATEGIES:
        scenario = load("paper").override(strategy=strategy)
        montecarlo(scenario, ens.BLOCK)  # warm up: the feeder, the check of the solver
        times: dict[int, list[float]] = {workers: [] for workers in WORKERS}
        splits = []
        for _ in range(args.repeats):
            for workers in WORKERS:
                took = seconds(lambda w=workers, s=scenario: montecarlo(s, n, workers=w))
                times[workers].append(took)
            splits.append(split_of_a_study(scenario, n))
        whole = {workers: command_s(strategy, n, workers) for workers in WORKERS}
        one = statistics.median(times[1])
        for workers in WORKERS:
            middle = statistics.median(times[workers])
            totals.append(
                (
                    strategy,
                    str(workers),
                    f"{middle:.2f}",
                    f"{max(times[workers]):.2f}",
                    f"{1e3 * middle / n:.2f}",
                    f"{middle / budget_s:.0%}",
                    f"{one / middle:.2f}",
                    f"{whole[workers]:.1f}",
                    f"{whole[workers] / budget_s:.0%}",
                )
            )
        total, models, parts = sorted(splits)[len(splits) // 2]
        cases = strategy_cases(scenario)
        chunk = next(ens.chunks_of(cases, n))
        part = ens.run_chunk(ens.jobs_of(chunk, cases, scenario.seed)).part
        journey = journey_s(scenario, n, part)
        chunks = sum(1 for _ in ens.chunks_of(cases, n))
        work, rest = models / chunks, (total - models - parts) / chunks
        share = (parts / chunks + journey) / (work + parts / chunks + journey)
        job = len(pickle.dumps(ens.jobs_of(chunk, cases, scenario.seed)))
        overheads.append(
            (
                strategy,
                str(chunks),
                f"{1e3 * work:.0f}",
                f"{1e3 * parts / chunks:.1f}",
                f"{1e3 * journey:.1f}",
                f"{share:.1%}",
                "met" if share < OVERHEAD_BUDGET else "missed",
                f"{1e3 * rest:.1f}",
                f"{1 - models / total:.1%}",
                f"{job / 1e3:.0f} / {len(part) / 1e3:.0f}",
            )
        )
        report[strategy] = {
            "seconds": times,
            "command_s": whole,
            "split_s": {"total": total, "models": models, "parts": parts},
            "journey_s": journey,
            "overhead_share": share,
        }

    print(machine())
    print_table(
        f"{n:,} replications of 600 EVs, {24 * n:,} load flows, budget {budget_s:g} s on 2 cores "
        f"(medians of {args.repeats}; the command once)",
        (
            *("strategy", "workers", "s", "slowest", "ms each", "share", "x 1 worker"),
            *("command, s", "share"),
        ),
        totals,
    )
    print_table(
        f"A chunk of {ens.BLOCK}: ms of work, and of what is not; budget {OVERHEAD_BUDGET:.0%}",
        (
            *("strategy", "chunks", "models", "table", "to and fro", "overhead", "budget"),
            *("the rest", "all but models", "kB sent / back"),
        ),
        overheads,
    )
    first = report[STRATEGIES[0]]["seconds"][WORKERS[-1]]
    more_s = first[0] - statistics.median(first)
    print(f"\nThe first start of workers, which imports everything, took {more_s:.1f} s more.")
    print("The rest: rows of the tables, reading the parts, joining them.")
    if args.json is not None:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
