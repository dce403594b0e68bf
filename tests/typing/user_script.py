"""What a user may write, to be read by type checkers: everything here is right."""

from __future__ import annotations

import mesa
import numpy as np
from numpy.typing import NDArray

from abm import (
    EV,
    Admission,
    Behaviour,
    Broadcast,
    DayPlan,
    Fleet,
    Kpi,
    Mode,
    Results,
    Rule,
    Scenario,
    V2GModel,
    bound,
    compare,
    hosting,
    montecarlo,
    reproduce,
    run,
    sweep,
)


class Night:
    """A rule: charge from a minute on."""

    def __init__(self, from_min: float = 600.0) -> None:
        self.from_min = from_min

    def decide(self, fleet: Fleet, broadcast: Broadcast, minute: float) -> NDArray[np.int64]:
        """Modes of all EVs."""
        return np.full(fleet.n, int(minute >= self.from_min), dtype=np.int64)


class Everybody:
    """An admission: everybody at half the rating."""

    def admit(
        self, fleet: Fleet, request: NDArray[np.int8], broadcast: Broadcast, minute: float
    ) -> NDArray[np.float64]:
        """Powers of all EVs, kW."""
        return np.asarray(0.5 * fleet.p_max_kw * request)


class Late:
    """A behaviour: home half an hour later."""

    def plan(self, plan: DayPlan, rng: np.random.Generator) -> None:
        """Change the day's plan."""
        plan.arrival_min += 30.0 * rng.random(len(plan.evs))


class Watchful(EV):
    """An EV that charges when it is short of time."""

    def decide(self) -> Mode | int | float:
        """A mode, or a power in kW."""
        left_min = self.departure_min - self.model.minute
        return Mode.G2V if left_min < 60.0 and self.soc < self.soc_target else self.requested


def cost_per_ev(results: Results) -> float | None:
    """A KPI."""
    evs = results.kpis["evs"]
    return float(results.kpis["net_cost_usd"]) / evs if evs else None


rule: Rule = Night()
admission: Admission = Everybody()
behaviour: Behaviour = Late()
scenario = Scenario.load("paper").override({"fleet.evs_per_zone": 2}).with_objects(rule=rule)
model = V2GModel(
    scenario,
    seed=3,
    admission=admission,
    behaviour=behaviour,
    ev_class={0: Watchful},
    kpis={"cost_per_ev": Kpi(cost_per_ev, unit="$", digits=2), "double": lambda r: 2.0},
)


def look() -> None:
    """Ask the model in the middle of its run."""
    first = model.evs[0]
    power: float = first.p_kw + model.zones[0].p_kw + model.zones[0].evs[0].charged_kwh
    plugged: bool = first.plugged
    ahead = model.fork().run().results.kpis["net_cost_usd"]
    print(first, power, plugged, ahead, model.kpis_so_far()["peak_15min_mw"], model.minute)


results: Results = model.run(on_hour=look).results
print(results.kpis["cost_per_ev"], results.ev["soc_departure"].mean(), model.grid, model.home.rule)

found: Results = run(
    "paper", strategy=Night(), set={"fleet.evs_per_zone": 2}, seed=3, progress=False
)
mine: dict[str, Rule | str] = {"mine": Night(), "evms": "evms"}
study = compare(scenario, mine, bound=False, kpis={"cost_per_ev": cost_per_ev})
print(study.kpis["mine"]["peak_15min_mw"], study.tables["comparison"].columns, study.kinds)
width: float = study.plot("demand", style="journal").get_figwidth()
least: float = bound(scenario, objective="cost", limit=3.0).kpis["net_cost_usd"]
many = montecarlo("paper", 20, strategies=["evms"], until="peak:1%", workers=2, save="folder")
print(many.tables["summary"], sweep("paper", {"ev.efficiency": [0.9, 0.95]}, kpis=["peak"]).kpis)
print(hosting("hosting_lv", limits=["line"]).kpis, reproduce(replications=2).changed, least, width)
found.save("run", force=True, formats="pdf,latex")
opened: Results = Results.load("run")

rows = mesa.batch_run(V2GModel, {"scenario": "paper", "evs_per_zone": [2, 4]}, max_steps=3)
leaving: list[float] = [ev.departure_min for ev in model.agents_by_type[EV]]
print(rows, leaving)
