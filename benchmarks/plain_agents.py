"""The fleet part alone against the same fleet as plain Mesa agents.

`python benchmarks/plain_agents.py`: both take the same 600 EVs minute by minute through a day and
book each zone's energy of each minute. The plain model is what a Mesa tutorial would write: one
agent per EV, one call per agent and minute, and a return at once for an EV with nothing to do.
Evenfall runs without its load flows (a solver that answers NaN).
"""

from __future__ import annotations

import statistics
import sys
from typing import Any

import mesa
from _common import load, machine, options, print_table, seconds, sized

from abm import Scenario, V2GModel
from abm.grid import PowerFlow, empty_power_flow

REPEATS = sized(5, 1)
ENGINES = ("compiled", "numpy")
TARGET = 20.0
COPIES = sized(20, 2)
AGREE_KWH = 1e-6
COLUMNS = (
    "arrival_min",
    "departure_min",
    "capacity_kwh",
    "soc_arrival",
    "soc_required",
    "soc_min",
    "p_max_kw",
    "p_discharge_kw",
    "efficiency",
)


class PlainEV(mesa.Agent):
    """Charges from arrival until it has what it wants, or leaves: `uncoordinated`."""

    def __init__(self, model: PlainModel, **state: Any) -> None:
        super().__init__(model)
        self.charged_kwh = self.discharged_kwh = 0.0
        self.has_charged = False
        for name, value in state.items():
            setattr(self, name, value)

    def step(self) -> None:
        if self.arrival_min <= self.model.minute < self.departure_min:
            self.charge()

    def charge(self) -> None:
        need_kwh = (self.soc_goal - self.soc) * self.capacity_kwh
        if need_kwh > 1e-9:
            energy = min(need_kwh / self.efficiency, self.p_max_kw / 60.0)
            self.soc += energy * self.efficiency / self.capacity_kwh
            self.charged_kwh += energy
            self.has_charged = True
            self.model.zone_kwh[self.zone] += energy


class PlainEvmsEV(PlainEV):
    """Eq. (13), and charging at once when it does not discharge: `evms_immediate`."""

    def step(self) -> None:
        model = self.model
        if not self.arrival_min <= model.minute < self.departure_min:
            return
        surplus_kwh = (self.soc - self.soc_min) * self.capacity_kwh
        if model.at_or_above_limit and surplus_kwh > 1e-9 and not self.has_charged:
            energy = min(surplus_kwh * self.efficiency, self.p_discharge_kw / 60.0)
            self.soc -= energy / self.efficiency / self.capacity_kwh
            self.discharged_kwh += energy
            model.zone_kwh[self.zone] -= energy
            return
        if not self.has_charged:
            self.soc_goal = self.soc + self.soc_required
        self.charge()


class PlainModel(mesa.Model):
    """The EVs of one of our models, read before it runs, as printed."""

    def __init__(self, ours: V2GModel, ev_class: type[PlainEV]) -> None:
        super().__init__()
        fleet, grid = ours.fleet, ours.grid
        self.minute, self.n_minutes, self.n_zones = 0, ours.clock.n_hours * 60, fleet.n_zones
        self.zone_minute_kwh: list[list[float]] = []
        self.limit_mw = float(grid.limit_mw[0])
        self.demand_mw = [float(grid.base_mw[h, 0]) for h in range(24)]
        for row in range(fleet.n):
            state = {name: float(getattr(fleet, name)[row]) for name in COLUMNS}
            goal = state["soc_arrival"] + state["soc_required"]
            zone = int(fleet.zone[row])
            ev_class(self, row=row, zone=zone, soc=state["soc_arrival"], soc_goal=goal, **state)

    def step(self) -> None:
        if self.minute % 60 == 0:
            self.at_or_above_limit = self.demand_mw[self.minute // 60] >= self.limit_mw
        self.zone_kwh = [0.0] * self.n_zones
        self.agents.do("step")
        self.zone_minute_kwh.append(self.zone_kwh)
        self.minute += 1

    def run(self) -> None:
        while self.minute < self.n_minutes:
            self.step()


class NoLoadFlow:
    """A solver that knows nothing: every hour is missing."""

    name = "none"

    def __init__(self, model: V2GModel) -> None:
        self.feeder = model.grid.feeder

    def solve(self, p_mw: Any, q_mvar: Any) -> PowerFlow:
        return empty_power_flow(len(p_mw), self.feeder.n_bus, self.feeder.n_line)


def fleet_alone(scenario: Scenario, seed: int | list[int] = 1) -> V2GModel:
    """A model of ours whose load flows cost nothing."""
    model = V2GModel(scenario, seed=seed)
    model.grid.solver = NoLoadFlow(model)
    return model


def largest_difference(ours: V2GModel, plain: PlainModel) -> float:
    """Largest difference of the energy that an EV charged or discharged, kWh."""
    charged, discharged = ours.fleet.charged_kwh, ours.fleet.discharged_kwh
    return max(
        max(abs(ev.charged_kwh - charged[ev.row]), abs(ev.discharged_kwh - discharged[ev.row]))
        for ev in plain.agents
    )


PLAIN = {"uncoordinated": PlainEV, "evms_immediate": PlainEvmsEV}


def main() -> int:
    options(__doc__).parse_args()
    scenario = load("paper")
    rows, differences = [], []
    for strategy, ev_class in PLAIN.items():
        for engine in ENGINES:
            studied = scenario.override({"clock.engine": engine}, strategy=strategy)
            nobody = studied.override(strategy="none")
            fleet_alone(studied).run()  # warm up: imports, the feeder, the check of the solver
            plain_s, ours_s, batch_s, clock_s = [], [], [], []
            for _ in range(REPEATS):  # in turn, so that a busy moment meets all of them
                ours = fleet_alone(studied)
                plain = PlainModel(ours, ev_class)
                batch = fleet_alone(studied, list(range(1, COPIES + 1)))
                empty = fleet_alone(nobody)
                ours_s.append(seconds(ours.run))
                plain_s.append(seconds(plain.run))
                batch_s.append(seconds(batch.run))
                clock_s.append(seconds(empty.run))
            differences.append(largest_difference(ours, plain))
            if not ours.fleet.charged_kwh.min() > 0.0:
                raise SystemExit(f"{strategy}: an EV charged nothing, so nothing is compared")
            plain_day_s, n = statistics.median(plain_s), ours.fleet.n
            for what, copies, evs, times in (
                ("1 feeder", 1, n, ours_s),
                (f"{COPIES} feeders", COPIES, COPIES * n, batch_s),
                ("clock alone, no EV", 1, 0, clock_s),
            ):
                ratio = copies * plain_day_s / statistics.median(times)
                met = "-" if not evs else "met" if ratio >= TARGET else "missed"
                rows.append((strategy, engine, what, str(evs), f"{ratio:.1f}", met))

    print(machine())
    print_table(
        f"Fleet part without load flows, speed of plain Mesa agents = 1 (medians of {REPEATS})",
        ("strategy", "engine", "Evenfall with", "EVs", "times plain", f"target {TARGET:g}"),
        rows,
    )
    agree = max(differences) <= AGREE_KWH
    print(
        f"\nEnergy per EV {'agrees' if agree else 'DIFFERS'}: at most {max(differences):.1e} kWh "
        f"apart (allowed {AGREE_KWH:g})"
    )
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
