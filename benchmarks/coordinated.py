"""Strategy `coordinated` beside `evms`: `python benchmarks/coordinated.py [--quick]`.

One day of 600 EVs with its load flows, both engines, and the million EVs of the scenario `city`,
compiled, from the model to the written folder. Medians after a warm-up; the strategies take turns,
so that a busy minute slows down both. The coordinated day is warm, too: what it expects of the
arrivals is drawn once for a scenario and kept; the first day of a process is given beside it.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from _common import load, machine, options, print_table, seconds, sized

from abm import Scenario, V2GModel
from abm.results.folder import write_run
from abm.results.staging import OutputFolder

REPEATS = sized(15, 1)
CITY_REPEATS = sized(3, 1)
WARM_UP_COPIES = sized(64, 2)
RATIO = 2.0
CITY_BUDGET_S = 20.0
STRATEGIES = ("evms", "coordinated")


def day(scenario: Scenario) -> None:
    """Run to the end and solve the load flows, which wait until somebody asks for them."""
    model = V2GModel(scenario).run()
    if len(model.grid.flows.vm_pu) != model.clock.n_hours:
        raise RuntimeError("an hour without a load flow")
    model.close()


def first_days(scenario: Scenario) -> Iterator[Scenario]:
    """The same day again and again, each a scenario that no expectation was drawn for yet."""
    margin_min = scenario.coordinated.margin_min
    for i in count(1):
        yield scenario.override({"coordinated.margin_min": margin_min + 1e-9 * i})


def city(scenario: Scenario) -> None:
    """Model, run, KPIs and the folder of results, without figures."""
    model = V2GModel(scenario).run()
    with tempfile.TemporaryDirectory() as folder:
        write_run(OutputFolder(Path(folder)), model.results)
    model.close()


def days(repeats: int) -> list[tuple[str, ...]]:
    """Rows of the table of single days."""
    rows = []
    for name in ("paper_balanced", "paper"):
        for engine in ("compiled", "numpy"):
            base = load(name).override({"clock.engine": engine})
            runs = {s: base.override(strategy=s) for s in STRATEGIES}
            for scenario in runs.values():
                day(scenario)
            times: dict[str, list[float]] = {s: [] for s in (*STRATEGIES, "first")}
            unseen = first_days(runs["coordinated"])
            for _ in range(repeats):
                for s, scenario in runs.items():
                    times[s].append(seconds(lambda sc=scenario: day(sc)))
                new = next(unseen)
                times["first"].append(seconds(lambda sc=new: day(sc)))
            middle = {s: statistics.median(t) for s, t in times.items()}
            worst = max(b / a for a, b in zip(times["evms"], times["coordinated"], strict=True))
            ratio = middle["coordinated"] / middle["evms"]
            first = middle["first"] / middle["evms"]
            met = "yes" if ratio <= RATIO else "no"
            shown = (f"{ratio:.2f}", f"{worst:.2f}", f"{first:.2f}", f"{RATIO:g}", met)
            rows.append((f"{name}, {engine}", *shown))
    return rows


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--quick", action="store_true", help="5 repeats, and the city once")
    quick = parser.parse_args().quick
    print(machine())
    print_table(
        "600 EVs, 24 hours: time of coordinated over that of evms",
        ("scenario, engine", "median", "worst pair", "first day", "at most", "met"),
        days(min(5, REPEATS) if quick else REPEATS),
    )
    base = load("city").override({"clock.engine": "compiled"})
    base = base.override({"feeder.copies": sized(base.feeder.copies, 3)})
    rows = []
    for strategy in STRATEGIES:
        scenario = base.override(strategy=strategy)
        city(scenario.override({"feeder.copies": WARM_UP_COPIES}))
        times = [seconds(lambda sc=scenario: city(sc)) for _ in range(1 if quick else CITY_REPEATS)]
        share = statistics.median(times) / CITY_BUDGET_S
        met = "yes" if share <= 1.0 else "no"
        rows.append((strategy, f"{share:.0%}", f"{max(times) / CITY_BUDGET_S:.0%}", met))
    print_table(
        f"{sized('1,000,200', '90')} EVs, compiled, results written: share of {CITY_BUDGET_S:g} s",
        ("strategy", "median", "slowest", "met"),
        rows,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
