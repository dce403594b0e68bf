"""Thirty days of 600 EVs whose owners learn, both engines, against one day alone.

python benchmarks/owners.py
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from _common import machine, print_table, seconds

from abm import Scenario, V2GModel
from abm.fleet.learning import LearningOwners

BUDGET_S, REPEATS, DAYS = 5.0, 5, 30
ENGINES = ("compiled", "numpy")
STRATEGIES = ("uncoordinated", "evms", "evms_guaranteed", "coordinated")


def whole(scenario: Scenario) -> None:
    """Model, all minutes and load flows, and the tables of days and KPIs."""
    results = V2GModel(scenario).run().results
    if len(results.days) != scenario.horizon.days or not results.kpis["evs"]:
        raise RuntimeError("not what was to be run")


def turnover_s(scenario: Scenario) -> float:
    """Seconds in which days end, owners learn and the next day is drawn, the graph included."""
    spent = 0.0

    def timed(action: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            nonlocal spent
            began = time.perf_counter()
            action()
            spent += time.perf_counter() - began

        return run

    model = V2GModel(scenario)
    timed(lambda: LearningOwners(model.population))()
    model._turn_over_the_day = timed(model._turn_over_the_day)
    model.run()
    return spent


def main() -> int:
    adoption = Scenario.load("v2g_adoption")
    rows = []
    for strategy in STRATEGIES:
        for engine in ENGINES:
            many = adoption.override({"clock.engine": engine}, strategy=strategy)
            one = many.override({"horizon.days": 1, "owners.learning.graph": "off"})
            whole(one)  # the feeder is checked once, the kernel compiled
            times = [seconds(lambda s=many: whole(s)) for _ in range(REPEATS)]
            many_s = statistics.median(times)
            one_s = statistics.median(seconds(lambda s=one: whole(s)) for _ in range(3 * REPEATS))
            between_s = statistics.median(turnover_s(many) for _ in range(3))
            rows.append(
                (
                    strategy,
                    engine,
                    f"{many_s / BUDGET_S:.0%}",
                    f"{max(times) / BUDGET_S:.0%}",
                    f"{many_s / one_s:.1f}",
                    f"{many_s / one_s / DAYS:.2f}",
                    f"{between_s / many_s:.0%}",
                )
            )
    print(machine())
    print_table(
        f"{DAYS} days x 600 EVs with learning ({REPEATS} repeats); budget {BUDGET_S:g} s",
        ("strategy", "engine", "median", "slowest", "x one day", "a day", "between"),
        rows,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
