"""The bound: what a planner who knew everything could do with the very EVs that a run meets.

Each feeder's optimum is a linear programme (`abm.study.bound_lp`, docs/bound.md). Its powers are
then played through the model minute by minute, so that a bound has the results of a run: the same
meter, the same load flows, the same KPIs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from abm.agents import StepwiseEngine
from abm.control.programme import PEAK_ROOM, Programme, SolvedPhase
from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.battery import charging_energy, energy_gained
from abm.errors import InputError, Problem
from abm.fleet import Exchange
from abm.model import V2GModel
from abm.results import Results
from abm.results.kpis import plain
from abm.results.results import OfResults
from abm.scenario import Scenario
from abm.scenario.supply import has_storage
from abm.study.aside import aside
from abm.study.bound_lp import (
    ROUNDING_KWH,
    Limits,
    Slots,
    energy_limits,
    feeder_programme,
    make_slots,
    physical,
)
from abm.study.runs import results_of

if TYPE_CHECKING:
    import pandas as pd

Objective = Literal["peak", "cost"]
STEPS_MIN = (15, 30)
# Grains that a peak is measured on, min: what meters settle, and the hour of the paper.
METRICS_MIN = (15, 60)
LABELS = {"peak": "bound", "cost": "bound_cost"}


@dataclass(frozen=True)
class FeederBound:
    """The optimum of one feeder.

    peak_before_mw: highest demand while EVs are plugged in, without their power, None where
    nobody ever is. lowest_peak_mw: the same at its lowest possible; None also where it was not
    asked for. size: columns, rows and nonzeros of the programme. phases: as solved, by name.
    """

    peak_before_mw: float | None
    lowest_peak_mw: float | None
    size: dict[str, int]
    phases: dict[str, SolvedPhase]


@dataclass(frozen=True)
class CostAtPeak:
    """The lowest net cost [$] under a highest demand, and the demand that it comes with, MW."""

    usd: float
    peak_mw: float


@dataclass(frozen=True, eq=False, repr=False)
class Bound(OfResults):
    """A perfect-foresight optimum. results: as of a run.

    unreachable: one row per EV that cannot reach soc_target even charging all the time: feeder and
    zone, from 1, ev_id, soc_target, soc_reachable (both NaN where the need is an energy),
    lacks_kwh; the optimum asks of it the most it can reach. feeders: one `FeederBound` each;
    programmes: what they were solved from. wall_s: seconds in all, load flows included.
    """

    results: Results
    unreachable: pd.DataFrame
    objective: Objective
    step_min: int
    metric_min: int
    limit_mw: float | None
    feeders: tuple[FeederBound, ...]
    programmes: tuple[Programme, ...]
    wall_s: float

    @property
    def label(self) -> str:
        """What stands in the place of a strategy: bound or bound_cost."""
        return LABELS[self.objective]

    @property
    def solver_s(self) -> float:
        """Seconds within HiGHS."""
        return sum(phase.seconds for feeder in self.feeders for phase in feeder.phases.values())

    def cost_at(self, peak_mw: float) -> CostAtPeak:
        """What perfect foresight costs where demand may be peak_mw while EVs are plugged in.

        On the first feeder, means over metric_min. Raises OptimiserError where peak_mw is below the
        lowest possible, InputError where the bound was loaded from a folder.
        """
        if not self.programmes:
            said = "one that was computed here; the programmes are not in its folder"
            raise InputError([Problem("bound", "", said)])
        programme = self.programmes[0]
        phase, c, d = aside(lambda: programme.lowest_cost(1e3 * peak_mw)).result()
        return CostAtPeak(phase.value, float(programme.demand_kw(c, d).max()) / 1e3)

    def summary(self) -> dict[str, Any]:
        """All that is not in the results, as plain data."""
        feeders = [
            {
                "peak_before_mw": feeder.peak_before_mw,
                "lowest_peak_mw": feeder.lowest_peak_mw,
                **feeder.size,
                "phases": {name: vars(phase) for name, phase in feeder.phases.items()},
            }
            for feeder in self.feeders
        ]
        return {
            "objective": self.objective,
            "step_min": self.step_min,
            "metric_min": self.metric_min,
            "limit_mw": self.limit_mw,
            "requirement": "energy_balanced",
            "wall_s": self.wall_s,
            "solver_s": self.solver_s,
            "feeders": feeders,
            "unreachable": [
                {name: plain(value) for name, value in row.items()}
                for row in self.unreachable.to_dict("records")
            ],
        }


def optimum(
    scenario: Scenario,
    objective: Objective = "peak",
    step_min: int = 15,
    limit_mw: float | None = None,
    metric_min: int = 15,
    on_feeder: Callable[[], None] | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> Bound:
    """The optimum for the EVs of a scenario and its seed; a scenario's strategy is not read.

    objective: "peak" minimises each feeder's highest demand while EVs are plugged in, a mean over
    metric_min (15 or 60 minutes), then, holding it, the owners' net cost; "cost" minimises the net
    cost, holding that peak at most at limit_mw if given. step_min: 15 or 30, within which power is
    constant, and no longer than metric_min. on_feeder is called after each feeder. meanwhile is
    called while HiGHS works in a thread of its own, which touches nothing but its programme.

    Raises InputError for an argument that cannot be meant or a limit below the lowest possible
    peak, OptimiserError with HiGHS's status when it stops for any other reason.
    """
    began = time.perf_counter()
    check_bound(objective, step_min, limit_mw, metric_min)
    if scenario.sets_of_stays > 1:
        said = "1: the optimum is that of one day"
        raise InputError([Problem("horizon.days", str(scenario.horizon.days), said)])
    if has_storage(scenario.storage):
        said = "no stationary battery: the optimum knows PV, and nothing that acts after the EVs"
        raise InputError([Problem("storage", "", said)])
    if scenario.inputs.prices.follows:
        slope = f"{scenario.tariff.follows_demand.usd_per_kwh_per_mw:g}"
        said = "0: the optimum is one for prices that it does not change"
        raise InputError([Problem("tariff.follows_demand.usd_per_kwh_per_mw", slope, said)])
    model = Replay(on_the_edges(scenario, step_min))
    fleet, hours = model.fleet, model.clock.n_hours
    slots = make_slots(fleet, step_min, hours)
    soc_upper = 1.0 if fleet.by_energy else scenario.ev.soc_upper
    limits = energy_limits(fleet, slots, soc_upper, hours)
    plugged = windows_plugged(model, metric_min)
    edges = np.arange(0, 60 * hours + 1, step_min, dtype=np.float64)
    listed = scenario.inputs.prices
    parts = listed.parts()
    prices = listed.means(parts.buy, edges), listed.means(parts.sell, edges)
    begin_s = np.arange(0, 3600 * hours, 60 * metric_min)
    base_mw = model.grid.without_evs_mw(begin_s, 60 * metric_min)
    base_kw = 1e3 * np.broadcast_to(base_mw, (len(begin_s), fleet.n_feeders))
    burns = np.zeros(len(slots.ev), dtype=np.bool_)
    c, d = np.zeros(len(slots.ev)), np.zeros(len(slots.ev))
    feeders: list[FeederBound] = []
    programmes: list[Programme] = []

    def solve(k: int) -> None:
        rows = slice(int(fleet.first_row[k]), int(fleet.first_row[k + 1]))
        mine = slice(int(slots.first[rows.start]), int(slots.first[rows.stop]))
        there = plugged[:, k]
        programme = feeder_programme(
            fleet, slots, limits, rows, base_kw[:, k], prices, there, metric_min
        )
        found, c[mine], d[mine] = _solve(programme, base_kw[there, k], objective, limit_mw, k)
        burns[mine] = programme.burns
        feeders.append(found)
        programmes.append(programme)
        if on_feeder is not None:
            on_feeder()

    def solve_all() -> float:
        started = time.perf_counter()
        for k in range(fleet.n_feeders):
            solve(k)
        return time.perf_counter() - started

    took = time.perf_counter() - began
    # Aside also where nothing else is to be done: HiGHS itself hears no signal.
    solving = aside(solve_all)
    if meanwhile is not None:
        meanwhile()
    took += solving.result()
    began = time.perf_counter()
    c, d = physical(fleet, slots, limits, burns, c, d)
    model.engine.follow(slots, limits, c, d)
    unreachable = _unreachable(model, limits)
    results = results_of(model)
    took += time.perf_counter() - began
    solved = tuple(feeders), tuple(programmes)
    return Bound(results, unreachable, objective, step_min, metric_min, limit_mw, *solved, took)


def on_the_edges(scenario: Scenario, step_min: int) -> Scenario:
    """The scenario with a time step that divides the steps of the optimum, so that none straddles.

    A power that changes within a time step would be a mean of before and after, and the peak that
    is replayed not the one that was found.
    """
    step_s = math.gcd(scenario.clock.step_s, 60 * step_min)
    clock = scenario.clock.model_copy(update={"step_s": step_s})
    return scenario.model_copy(update={"clock": clock})


def check_bound(objective: str, step_min: int, limit_mw: float | None, metric_min: int) -> None:
    """Raise InputError with all options that cannot be meant."""
    problems = []
    if objective not in get_args(Objective):
        problems.append(Problem("--objective", str(objective), "peak or cost"))
    if step_min not in STEPS_MIN:
        problems.append(Problem("--step", str(step_min), "15 or 30 minutes"))
    if metric_min not in METRICS_MIN:
        problems.append(Problem("--metric", str(metric_min), "15 or 60 minutes"))
    elif step_min > metric_min:
        said = f"at most the {metric_min} minutes of --metric"
        problems.append(Problem("--step", str(step_min), said))
    if limit_mw is not None:
        if not (math.isfinite(limit_mw) and limit_mw > 0.0):
            problems.append(Problem("--limit", str(limit_mw), "a power above 0 MW"))
        if objective == "peak":
            said = "only with --objective cost: the other finds the lowest peak there is"
            problems.append(Problem("--limit", str(limit_mw), said))
    if problems:
        raise InputError(problems)


def _solve(
    programme: Programme,
    base_kw: FloatArray,
    objective: Objective,
    limit_mw: float | None,
    feeder: int,
) -> tuple[FeederBound, FloatArray, FloatArray]:
    """The optimum of one feeder; base_kw: in the windows with EVs plugged in."""
    if not programme.n_slots:
        return FeederBound(None, None, programme.size, {}), np.zeros(0), np.zeros(0)
    phases: dict[str, SolvedPhase] = {}
    most_kw, lowest_mw = np.inf, None
    if objective == "peak" or limit_mw is not None:
        phases["peak"], _, _ = programme.lowest_peak()
        lowest_kw = phases["peak"].value
        most_kw = lowest_kw + PEAK_ROOM * abs(lowest_kw)
        lowest_mw = lowest_kw / 1e3
    if limit_mw is not None:
        if 1e3 * limit_mw < lowest_kw:
            of_whom = f" on feeder {feeder + 1}" if feeder else ""
            said = f"at least {math.ceil(10 * most_kw) / 1e4:.4f} MW, the lowest possible{of_whom}"
            raise InputError([Problem("--limit", f"{limit_mw:g}", said)])
        most_kw = max(most_kw, 1e3 * limit_mw)
    phases["cost"], c, d = programme.lowest_cost(most_kw)
    return FeederBound(float(base_kw.max()) / 1e3, lowest_mw, programme.size, phases), c, d


def windows_plugged(model: V2GModel, window_min: int) -> BoolArray:
    """Windows of the horizon in which a run has an EV plugged in at any step, (W, K)."""
    fleet, clock = model.fleet, model.clock
    leaves = np.minimum(fleet.departure_step, clock.n_steps)
    rows = np.flatnonzero(leaves > fleet.arrival_step)
    n_windows, window_s = clock.n_hours * 60 // window_min, 60 * window_min
    change = np.zeros((n_windows + 1, fleet.n_feeders), dtype=np.int64)
    begin = fleet.arrival_step[rows] * clock.step_s // window_s
    end = (leaves[rows] * clock.step_s - 1) // window_s + 1
    np.add.at(change, (begin, fleet.feeder[rows]), 1)
    np.subtract.at(change, (end, fleet.feeder[rows]), 1)
    return np.asarray(np.cumsum(change, axis=0)[:-1] > 0)


def _unreachable(model: V2GModel, limits: Limits) -> pd.DataFrame:
    import pandas as pd

    fleet = model.fleet
    rows = np.flatnonzero(limits.lacking > 0.0)
    number = fleet.stay_index[rows] - fleet.first_row[fleet.feeder[rows]]
    rows = rows[np.lexsort((number, fleet.feeder[rows]))]
    lacks = limits.lacking[rows]
    target = fleet.soc_target[rows]
    reachable = target - lacks / fleet.capacity_kwh[rows]
    if fleet.by_energy:
        target, reachable = np.full((2, len(rows)), np.nan)
        lacks = charging_energy(lacks, fleet.efficiency[rows])
    return pd.DataFrame(
        {
            "feeder": fleet.feeder[rows] + 1,
            "zone": fleet.zone[rows] + 1,
            "ev_id": pd.Series([fleet.ev_id(int(row)) for row in rows], dtype="object"),
            "soc_target": target,
            "soc_reachable": reachable,
            "lacks_kwh": lacks,
        }
    )


class Replay(V2GModel):
    """A model whose EVs follow a schedule instead of rule and admission, minute by minute."""

    engine: ScheduleEngine

    def __init__(self, scenario: Scenario) -> None:
        # Any strategy that plugs the EVs in will do: its rule and admission are never asked.
        super().__init__(scenario.model_copy(update={"strategy": "uncoordinated"}))
        self._scenario_studied = scenario

    def _make_engine(self) -> ScheduleEngine:
        return ScheduleEngine(self)


class ScheduleEngine(StepwiseEngine):
    """Step by step, with the energies of a schedule in the place of rule and admission."""

    def follow(self, slots: Slots, limits: Limits, c: FloatArray, d: FloatArray) -> None:
        """Take a schedule: c, d [kWh] by slot, each at constant power within its slot."""
        capacity_kwh = self.model.fleet.capacity_kwh
        self._slots = slots
        self._charge_kw, self._discharge_kw = c / slots.window_h, d / slots.window_h
        self._soc_floor = limits.floor / capacity_kwh
        self._soc_ceiling = limits.ceiling / capacity_kwh

    def switch(self) -> None:
        """Nobody is asked."""

    def admit(self) -> None:
        """Nothing is granted."""

    def exchange(self) -> None:
        """CHARGE: the energies of the schedule in this step."""
        fleet = self.model.fleet
        self.exchanged = None
        if not fleet.n_plugged:
            return
        rows = np.flatnonzero(fleet.plugged)
        e_c, e_d = self._energies(rows)
        gained = energy_gained(e_c, e_d, fleet.efficiency[rows])
        soc = fleet.soc[rows] + gained / fleet.capacity_kwh[rows]
        # The last digit must not push the SoC across a bound that was just reached.
        fleet.soc[rows] = np.clip(soc, self._soc_floor[rows], self._soc_ceiling[rows])
        fleet.charged_kwh[rows] += e_c
        fleet.discharged_kwh[rows] += e_d
        fleet.has_charged[rows] |= e_c > 0.0
        net = e_c - e_d
        mode = np.zeros(fleet.n, dtype=np.int8)
        mode[rows] = np.where(np.abs(net) > ROUNDING_KWH / 60.0, np.sign(net), 0.0)
        switched = np.flatnonzero(mode != fleet.mode)
        fleet.switches[switched] += 1
        fleet.mode = mode
        fleet.p_kw[:] = 0.0
        fleet.p_kw[rows] = net / fleet.step_h
        up, down = e_c > 0.0, e_d > 0.0
        self.exchanged = Exchange(rows[up], e_c[up], rows[down], e_d[down], switched)

    def _energies(self, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Energy charged and discharged by some EVs in this step of the clock, kWh."""
        fleet, slots = self.model.fleet, self._slots
        e_c, e_d = np.zeros(len(rows)), np.zeros(len(rows))
        begin, end = self.model.minute, self.model.minute + 60.0 * fleet.step_h
        length = slots.step_min
        for step in range(int(begin // length), math.ceil(end / length)):
            here = slots.first[rows] + step - slots.step[slots.first[rows]]
            known = (here >= slots.first[rows]) & (here < slots.first[rows + 1])
            at, who = here[known], rows[known]
            until = np.minimum(fleet.departure_min[who], min(end, (step + 1.0) * length))
            since = np.maximum(fleet.arrival_min[who], max(begin, step * float(length)))
            hours = np.maximum(until - since, 0.0) / 60.0
            e_c[known] += self._charge_kw[at] * hours
            e_d[known] += self._discharge_kw[at] * hours
        return e_c, e_d
