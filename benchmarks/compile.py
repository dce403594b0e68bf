"""What the compiled hour costs before it runs: `python benchmarks/compile.py`.

For each strategy two processes, one after the other: the first finds nothing compiled, the second
what the first one kept. *Compile* is the processor time of the first hour of the first process,
*load* that of the second, *again* the rest of its day. Both are set against the goal and against
`import numba`, so that machines compare. A smoke run has one strategy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time

from _common import ROOT, load, machine, options, print_table, sized

GOAL_S = 10.0
# The goal is for the paper's strategies; the others are told beside them.
PAPER = ("uncoordinated", "evms")
OTHERS = ("evms_immediate", "evms_guaranteed", "coordinated")


def first_hours(strategy: str) -> dict[str, float]:
    """Processor seconds in this process: importing numba, the first hour, the rest of the day."""
    began = time.process_time()
    import numba  # noqa: F401 - its import is what is timed

    imported = time.process_time()
    from abm import V2GModel

    model = V2GModel(load("paper").override({"strategy": strategy, "clock.engine": "compiled"}))
    made = time.process_time()
    for _ in range(60):
        model.step()
    hour = time.process_time()
    model.run()
    return {
        "numba_s": imported - began,
        "hour_s": hour - made,
        "again_s": time.process_time() - hour,
    }


def measure(strategy: str, cache: str) -> dict[str, float]:
    """`first_hours` in a process of its own, with an empty or a filled cache."""
    caches = dict.fromkeys(("NUMBA_CACHE_DIR", "EVENFALL_CACHE"), cache)
    environment = {**os.environ, **caches, "PYTHONPATH": str(ROOT), "NUMBA_NUM_THREADS": "1"}
    words = [sys.executable, __file__, "--strategy", strategy, *sized([], ["--smoke"])]
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--strategy", metavar="NAME", help="only this one, in this process; JSON")
    strategy = parser.parse_args().strategy
    if strategy is not None:
        print(json.dumps(first_hours(strategy)))
        return 0
    rows = []
    for name in sized((*PAPER, *OTHERS), ("uncoordinated",)):
        with tempfile.TemporaryDirectory() as cache:
            cold, warm = measure(name, cache), measure(name, cache)
        compiled = cold["hour_s"] - warm["hour_s"]
        rows.append(
            (
                name,
                f"{compiled:.1f} s",
                f"{compiled / GOAL_S:.0%}" if name in PAPER else "",
                f"{compiled / cold['numba_s']:.0f}",
                f"{warm['hour_s']:.3f} s",
                f"{warm['again_s']:.3f} s",
            )
        )
    print(machine())
    print_table(
        f"First hour of a process, processor seconds; goal {GOAL_S:g} s for the paper's strategies",
        ("strategy", "compile", "of goal", "x import numba", "load", "again"),
        rows,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
