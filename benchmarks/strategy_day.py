"""One day of 600 EVs per strategy, with its load flows: `python benchmarks/strategy_day.py`.

How much of the budget a day takes (making the model included, imports and the first use of the
feeder not), how much the six runs of `reproduce` take, and where the time of a day goes.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from _common import machine, median_seconds, print_table, seconds

from abm import Scenario, V2GModel
from abm.scenario.names import STRATEGIES
from abm.study import reproduce, table2, table3

REPEATS = 7
DAY_BUDGET_S = 0.15
STUDY_BUDGET_S = 2.0
ENGINES = ("compiled", "numpy")
PARTS = (
    "model",
    "load flow",
    "compiled",
    "rule",
    "admission",
    "battery",
    "recording",
    "clock",
)


class Timed:
    """Stands in for a function and adds up the time spent in it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.total_s = function, 0.0

    def __call__(self, *args: Any) -> Any:
        began = time.perf_counter()
        answer = self.function(*args)
        self.total_s += time.perf_counter() - began
        return answer


def day(model: V2GModel) -> V2GModel:
    """Run to the end and solve the hours' load flows, which wait until somebody asks for them."""
    model.run()
    if len(model.grid.flows) != model.clock.n_hours:
        raise RuntimeError("an hour without a load flow")
    return model


def parts_of_a_day(scenario: Scenario) -> list[float]:
    """Seconds that one day spends in each of PARTS; the clock is all that the others are not."""
    began = time.perf_counter()
    model = V2GModel(scenario)
    made_s = time.perf_counter() - began
    # The solver is shared by all models and the compiled hour is frozen: both get a stand-in.
    solver, hour = model.grid.solver, model.compiled
    timed = {"load flow": [Timed(solver.solve)], "compiled": []}
    model.grid.solver = SimpleNamespace(name=solver.name, solve=timed["load flow"][0])
    if hour is not None:
        timed["compiled"].append(Timed(hour.advance))
        model.compiled = SimpleNamespace(advance=timed["compiled"][0])
    for part, places in {
        "rule": [(model.home, "apply_rule")],
        "admission": [(model.admission, "admit")],
        "battery": [(model.fleet, "exchange")],
        "recording": [
            (model.recorder, "record"),
            (model.recorder, "close_hour"),
            (model.fleet, "book_hour"),
        ],
    }.items():
        timed[part] = [Timed(getattr(owner, name)) for owner, name in places]
        for (owner, name), stand_in in zip(places, timed[part], strict=True):
            setattr(owner, name, stand_in)
    run_s = seconds(lambda: day(model))
    spent = [sum(t.total_s for t in timed[part]) for part in PARTS[1:-1]]
    return [made_s, *spent, run_s - sum(spent)]


def main() -> int:
    paper = Scenario.load("paper")
    days, shares, solvers = [], [], set()
    for strategy in STRATEGIES:
        for engine in ENGINES:
            scenario = paper.override({"clock.engine": engine}, strategy=strategy)
            model = day(V2GModel(scenario))
            solvers.add(model.grid.solver.name)
            times = [seconds(lambda s=scenario: day(V2GModel(s))) for _ in range(REPEATS)]
            share = [t / DAY_BUDGET_S for t in times]
            days.append((strategy, engine, f"{statistics.median(share):.0%}", f"{max(share):.0%}"))
            samples = [parts_of_a_day(scenario) for _ in range(REPEATS)]
            middle = [statistics.median(column) for column in zip(*samples, strict=True)]
            shares.append((strategy, engine, *(f"{part / sum(middle):.0%}" for part in middle)))

    study_s = median_seconds(reproduce, 3)
    study = reproduce()
    tables_s = median_seconds(lambda: (table2(study), table3(study)), 3)

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
    print_table("Where the time of a day goes", ("strategy", "engine", *PARTS), shares)
    return 0


if __name__ == "__main__":
    sys.exit(main())
