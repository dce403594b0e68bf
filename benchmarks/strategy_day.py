"""One day of 600 EVs per strategy, with its load flows: `python benchmarks/strategy_day.py`.

How much of the budget a day takes (making the model included, imports and the first use of the
feeder not), how much the six runs of `reproduce` take, and where the time of a day goes.
"""

from __future__ import annotations

import statistics
import sys
from collections import Counter

from _common import (
    load,
    machine,
    median_seconds,
    options,
    print_table,
    seconds,
    seconds_by_room,
    sized,
)

from abm import Scenario, V2GModel
from abm.scenario.names import STRATEGIES
from abm.study import reproduce, table2, table3

REPEATS = sized(7, 1)
STUDY_REPEATS = sized(3, 1)
STUDIED = sized(tuple(STRATEGIES), ("evms",))
DAY_BUDGET_S = 0.15
STUDY_BUDGET_S = 2.0
ENGINES = ("compiled", "numpy")


def day(scenario: Scenario) -> V2GModel:
    """Run to the end and solve the hours' load flows, which wait until somebody asks for them."""
    model = V2GModel(scenario).run()
    if len(model.grid.flows.vm_pu) != model.clock.n_hours:
        raise RuntimeError("an hour without a load flow")
    return model


def main() -> int:
    options(__doc__).parse_args()
    paper = load("paper")
    days, solvers = [], set()
    spent: dict[tuple[str, str], Counter[str]] = {}
    for strategy in STUDIED:
        for engine in ENGINES:
            scenario = paper.override({"clock.engine": engine}, strategy=strategy)
            solvers.add(day(scenario).grid.solver.name)
            times = [seconds(lambda s=scenario: day(s)) for _ in range(REPEATS)]
            share = [t / DAY_BUDGET_S for t in times]
            days.append((strategy, engine, f"{statistics.median(share):.0%}", f"{max(share):.0%}"))
            rooms = spent.setdefault((strategy, engine), Counter())
            for _ in range(REPEATS):
                rooms.update(seconds_by_room(lambda s=scenario: day(s)))

    study_s = median_seconds(reproduce, STUDY_REPEATS)
    study = reproduce()
    tables_s = median_seconds(lambda: (table2(study), table3(study)), STUDY_REPEATS)

    print(f"{machine()}; solver {', '.join(sorted(solvers))}")
    print_table(
        f"600 EVs, 24 hours, share of the budget of {DAY_BUDGET_S:g} s a day ({REPEATS} repeats)",
        ("strategy", "engine", "median", "slowest"),
        days,
    )
    print_table(
        f"Study of the paper, share of the budget of {STUDY_BUDGET_S:g} s before figures",
        ("part", "median"),
        [
            ("six runs", f"{study_s / STUDY_BUDGET_S:.0%}"),
            ("Tables II and III", f"{tables_s / STUDY_BUDGET_S:.1%}"),
        ],
    )
    show_rooms(spent)
    return 0


def show_rooms(spent: dict[tuple[str, str], Counter[str]]) -> None:
    """Shares of a day by room of the package, the rooms with most of it first."""
    rooms = [room for room, _ in sum(spent.values(), Counter()).most_common()]
    if rooms:
        print_table(
            "Where the time of a day goes, by folder of the package",
            ("strategy", "engine", *rooms),
            [
                (*case, *(f"{found[room] / found.total():.0%}" for room in rooms))
                for case, found in spent.items()
            ],
        )


if __name__ == "__main__":
    sys.exit(main())
