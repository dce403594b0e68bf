"""Thirty days of 600 EVs whose owners learn, both engines, against one day alone.

python benchmarks/owners.py
"""

from __future__ import annotations

import statistics
import sys

from _common import machine, print_table, seconds

from abm import Scenario, V2GModel

BUDGET_S, REPEATS, DAYS = 5.0, 5, 30
ENGINES = ("compiled", "numpy")
STRATEGIES = ("uncoordinated", "evms", "evms_guaranteed")


def whole(scenario: Scenario) -> None:
    """Model, all minutes and load flows, and the tables of days and KPIs."""
    results = V2GModel(scenario).run().results
    if len(results.days) != scenario.horizon.days or not results.kpis["evs"]:
        raise RuntimeError("not what was to be run")


def main() -> int:
    adoption = Scenario.load("v2g_adoption")
    rows = []
    for strategy in STRATEGIES:
        for engine in ENGINES:
            many = adoption.override({"clock.engine": engine}, strategy=strategy)
            still = many.override({"owners.learning.graph": "off"})
            one = still.override({"horizon.days": 1})
            whole(one)  # the feeder is checked once, the kernel compiled
            repeats = {name: [seconds(lambda s=s: whole(s)) for _ in range(REPEATS)]
                       for name, s in (("many", many), ("still", still), ("one", one))}  # fmt: skip
            many_s, still_s, one_s = (statistics.median(repeats[name]) for name in repeats)
            rows.append(
                (
                    strategy,
                    engine,
                    f"{many_s / BUDGET_S:.0%}",
                    f"{max(repeats['many']) / BUDGET_S:.0%}",
                    f"{many_s / one_s:.1f}",
                    f"{many_s / one_s / DAYS:.2f}",
                    f"{many_s / still_s - 1:+.0%}",
                )
            )
    print(machine())
    print_table(
        f"{DAYS} days x 600 EVs with learning ({REPEATS} repeats); budget {BUDGET_S:g} s",
        ("strategy", "engine", "median", "slowest", "x one day", "a day", "learning"),
        rows,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
