"""The fleet part alone against the same fleet as plain Mesa agents: `python benchmarks/plain_agents.py`.

Both charge the same 600 EVs on arrival, minute by minute for a day, and book each zone's energy of
each minute. The plain model is what a Mesa tutorial would write: one agent per EV, one call per
agent and minute. Evenfall runs without its load flows (a solver that answers NaN).
"""

from __future__ import annotations

import statistics
import sys
from typing import Any

import mesa
from _common import machine, print_table, seconds

from abm import Scenario, V2GModel
from abm.grid.solve import PowerFlow, empty_power_flow

REPEATS = 5
TARGET = 20.0
COPIES = 20
AGREE_KWH = 1e-6


class PlainEV(mesa.Agent):
    """One EV that charges from arrival until it has what it wants, or leaves."""

    def __init__(self, model: PlainModel, **state: Any) -> None:
        super().__init__(model)
        self.charged_kwh = 0.0
        for name, value in state.items():
            setattr(self, name, value)

    def step(self) -> None:
        model = self.model
        if not self.arrival_min <= model.minute < self.departure_min:
            return
        need_kwh = (self.soc_goal - self.soc) * self.capacity_kwh
        if need_kwh <= 1e-9:
            return
        energy = min(need_kwh / self.efficiency, self.p_max_kw / 60.0)
        self.soc += energy * self.efficiency / self.capacity_kwh
        self.charged_kwh += energy
        model.zone_kwh[self.zone] += energy


class PlainModel(mesa.Model):
    """Uncoordinated charging of the EVs of one of our models, read before it runs."""

    def __init__(self, ours: V2GModel) -> None:
        super().__init__()
        fleet = ours.fleet
        self.minute, self.n_minutes, self.n_zones = 0, ours.clock.n_hours * 60, fleet.n_zones
        self.zone_minute_kwh: list[list[float]] = []
        for row in range(fleet.n):
            wanted = fleet.soc_target[row]
            if fleet.as_printed:
                wanted = fleet.soc_arrival[row] + fleet.soc_required[row]
            PlainEV(
                self,
                row=row,
                zone=int(fleet.zone[row]),
                arrival_min=float(fleet.arrival_min[row]),
                departure_min=float(fleet.departure_min[row]),
                capacity_kwh=float(fleet.capacity_kwh[row]),
                soc=float(fleet.soc_arrival[row]),
                soc_goal=float(wanted),
                p_max_kw=float(fleet.p_max_kw[row]),
                efficiency=float(fleet.efficiency[row]),
            )

    def step(self) -> None:
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
    """Largest difference of the energy charged by an EV, kWh."""
    charged = ours.fleet.charged_kwh
    return max(abs(ev.charged_kwh - float(charged[ev.row])) for ev in plain.agents)


def main() -> int:
    scenario = Scenario.load("paper").override(strategy="uncoordinated")
    fleet_alone(scenario).run()  # warm up: imports, the feeder, the check of the solver

    times: dict[str, list[float]] = {"plain": [], "uncoordinated": [], "evms": [], "batch": []}
    for _ in range(REPEATS):  # in turn, so that a busy moment of the machine meets all of them
        ours = fleet_alone(scenario)
        plain = PlainModel(ours)
        times["uncoordinated"].append(seconds(ours.run))
        times["plain"].append(seconds(plain.run))
        times["evms"].append(seconds(fleet_alone(scenario.override(strategy="evms")).run))
        times["batch"].append(seconds(fleet_alone(scenario, list(range(1, COPIES + 1))).run))
    middle = {name: statistics.median(values) for name, values in times.items()}
    n, difference = ours.fleet.n, largest_difference(ours, plain)

    print(machine())
    ratio = {
        "uncoordinated": middle["plain"] / middle["uncoordinated"],
        "evms": middle["plain"] / middle["evms"],
        "batch": COPIES * middle["plain"] / middle["batch"],
    }
    print_table(
        f"EV-minutes per second, {n} plain Mesa agents charging on arrival = 1 "
        f"(medians of {REPEATS})",
        ("fleet part without load flows", "EVs", "times plain", f"target {TARGET:g}"),
        [
            (label, str(evs), f"{ratio[name]:.1f}", "met" if ratio[name] >= TARGET else "missed")
            for label, evs, name in (
                ("uncoordinated, the same work", n, "uncoordinated"),
                ("evms, against plain charging on arrival", n, "evms"),
                (f"uncoordinated, {COPIES} copies of the feeder", COPIES * n, "batch"),
            )
        ],
    )
    agree = difference <= AGREE_KWH
    print(
        f"\nEnergy charged per EV {'agrees' if agree else 'DIFFERS'}: by at most {difference:.1e} "
        f"kWh (allowed {AGREE_KWH:g})"
    )
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
