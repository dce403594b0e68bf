"""Thirty days of 600 EVs whose owners learn, both engines, against one day alone.

python benchmarks/owners.py
"""

from __future__ import annotations

import statistics
import sys

from _common import load, machine, options, print_table, seconds, sized

from abm import Scenario, V2GModel

BUDGET_S = 5.0
REPEATS = sized(5, 1)
DAYS = sized(30, 2)
ENGINES = ("compiled", "numpy")
STRATEGIES = sized(
    ("uncoordinated", "evms", "evms_guaranteed", "coordinated"), ("evms", "coordinated")
)


def whole(scenario: Scenario) -> None:
    """Model, all minutes and load flows, and the tables of days and KPIs."""
    results = V2GModel(scenario).run().results
    if len(results.days) != scenario.horizon.days or not results.kpis["evs"]:
        raise RuntimeError("not what was to be run")


def main() -> int:
    options(__doc__).parse_args()
    adoption = load("v2g_adoption").override({"horizon.days": DAYS})
    rows = []
    for strategy in STRATEGIES:
        for engine in ENGINES:
            many = adoption.override({"clock.engine": engine}, strategy=strategy)
            one = many.override({"horizon.days": 1, "owners.learning.graph": "off"})
            whole(one)  # the feeder is checked once, the kernel compiled
            times = [seconds(lambda s=many: whole(s)) for _ in range(REPEATS)]
            many_s = statistics.median(times)
            one_s = statistics.median(seconds(lambda s=one: whole(s)) for _ in range(3 * REPEATS))
            rows.append(
                (
                    strategy,
                    engine,
                    f"{many_s / BUDGET_S:.0%}",
                    f"{max(times) / BUDGET_S:.0%}",
                    f"{many_s / one_s:.1f}",
                    f"{many_s / one_s / DAYS:.2f}",
                )
            )
    print(machine())
    print_table(
        f"{DAYS} days x 600 EVs with learning ({REPEATS} repeats); budget {BUDGET_S:g} s",
        ("strategy", "engine", "median", "slowest", "x one day", "a day"),
        rows,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
