"""The load flows of a run: what the zones did in each interval, solved together when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from abm.agents.supply import ZoneSupply
from abm.equations import FloatArray, IntArray
from abm.grid import Feeder, PowerFlow, Solver
from abm.grid.curtailment import solve_curtailed
from abm.grid.network import join_flows
from abm.grid.phase_feeder import ThreePhaseFeeder
from abm.grid.phase_solve import ThreePhaseSolver
from abm.grid.reactive import ChargersReactive
from abm.results.flows import has_flow_tables

# Loads of buses that are in memory at once.
_NUMBERS_AT_ONCE = 2_000_000

if TYPE_CHECKING:
    from abm.grid.base_load import BaseLoad
    from abm.model import V2GModel


@dataclass(frozen=True, eq=False)
class ZonePower:
    """What the chargers of the zones did, mean over windows in a row, (W, n_feeders, n_zones) [MW].

    net_mw: G2V less V2G. through_mw: both added up. rated_mw: rating of the chargers in use.
    battery_mw: of the stationary batteries. point_mw, point_through_mw: as the first two, by point
    of a three-phase feeder, (W, n_feeders, n_points), without points on another; the latter only
    where chargers take reactive power by it.
    """

    net_mw: FloatArray
    through_mw: FloatArray
    rated_mw: FloatArray
    battery_mw: FloatArray
    point_mw: FloatArray
    point_through_mw: FloatArray


@dataclass(frozen=True, eq=False)
class Solution:
    """Load flows of B rows, and what came of the zones in them, (B, n_zones) each.

    taken_mvar: reactive power that the chargers take. curtailed_mw: PV that the voltage limit cut.
    """

    flow: PowerFlow
    taken_mvar: FloatArray
    curtailed_mw: FloatArray

    def part(self, rows: slice) -> Solution:
        """Some of the rows."""
        flow = self.flow.each(lambda values: values[rows])
        return Solution(flow, self.taken_mvar[rows], self.curtailed_mw[rows])


def joined(parts: Sequence[Solution]) -> Solution:
    """Solutions of intervals that follow each other."""
    flow = join_flows([part.flow for part in parts])
    taken = np.concatenate([part.taken_mvar for part in parts])
    return Solution(flow, taken, np.concatenate([part.curtailed_mw for part in parts]))


class LoadFlows:
    """The load flows of a feeder and K fleets.

    zone_power: what the zones did in the intervals of each hour. flow_s: length of an interval, s.
    """

    GROWS: ClassVar = ("zone_power",)
    FIXED: ClassVar = ("feeder", "solver", "base", "_solved", "_n_solved")

    def __init__(
        self,
        model: V2GModel,
        feeder: Feeder,
        solver: Solver,
        base: BaseLoad,
        supply: ZoneSupply | None,
        reactive: ChargersReactive,
    ) -> None:
        self._model, self.feeder, self.solver = model, feeder, solver
        self.base, self.supply, self.reactive = base, supply, reactive
        self.flow_s = model.scenario.grid.flow_interval_min * 60
        self.zone_power: list[ZonePower] = []
        # Those that were solved together, in their order.
        self._solved: list[Solution] = []
        self._n_solved = 0

    @property
    def flows(self) -> PowerFlow:
        """All of them, (n_flows, K, ...)."""
        return self._all().flow.each(self._by_feeder)

    @property
    def taken_mvar(self) -> FloatArray:
        """Reactive power that the chargers take in each, (n_flows, K, Z) [Mvar]."""
        return self._by_feeder(self._all().taken_mvar)

    @property
    def curtailed_mw(self) -> FloatArray:
        """PV that the voltage limit has cut in each, (n_flows, K, Z) [MW]."""
        return self._by_feeder(self._all().curtailed_mw)

    def _by_feeder(self, rows: NDArray[Any]) -> NDArray[Any]:
        n = self._model.fleet.n_feeders
        return rows.reshape(len(rows) // n, n, *rows.shape[1:])

    def solve(self, began_s: int, window_s: int, zones: ZonePower) -> Solution:
        """The load flows of windows in a row, for the mean powers over each.

        began_s: when the first began, s of the horizon. Of n_windows x n_feeders rows.
        """
        n_windows, n_feeders = zones.net_mw.shape[:2]
        begin_s = began_s + np.arange(n_windows) * window_s
        n_bus = self.feeder.n_bus
        shape = (n_windows, n_feeders, n_bus)
        means = self.base.mean_p_mw, self.base.mean_q_mvar
        p_mw, q_mvar = (
            # What a mean gives is new, and may be added to.
            (own if own.shape == shape else np.broadcast_to(own, shape).copy()).reshape(-1, n_bus)
            for own in (mean(begin_s, window_s) for mean in means)
        )
        of = {name: values.reshape(len(p_mw), -1) for name, values in vars(zones).items()}
        pv_mw = np.zeros_like(of["net_mw"])
        if self.supply is not None:
            pv_mw = np.repeat(self.supply.pv_mw(begin_s, window_s), n_feeders, axis=0)
        if isinstance(self.feeder, ThreePhaseFeeder):
            if self.supply is not None:
                self.feeder.add_to_buses(p_mw, of["battery_mw"] - pv_mw)
            return self._solve_phases(self.feeder, p_mw, q_mvar, of)
        return self._solve_balanced(p_mw, q_mvar, of, pv_mw)

    def _solve_balanced(
        self, p_mw: FloatArray, q_mvar: FloatArray, of: dict[str, FloatArray], pv_mw: FloatArray
    ) -> Solution:
        """p_mw, q_mvar: of the loads (B, n_bus). of: fields of `ZonePower`, pv_mw: (B, n_zones)."""
        feeder, solver, reactive = self.feeder, self.solver, self.reactive
        feeder.add_to_buses(p_mw, of["net_mw"])

        def solve(rows: IntArray, p: FloatArray) -> tuple[PowerFlow, FloatArray]:
            of_zones = of["through_mw"][rows], of["rated_mw"][rows]
            return reactive.solve(solver, feeder, p, q_mvar[rows], *of_zones)

        every = np.arange(len(p_mw))
        if self.supply is None:
            return Solution(*solve(every, p_mw), np.zeros_like(pv_mw))
        feeder.add_to_buses(p_mw, of["battery_mw"] - pv_mw)
        if not self._model.scenario.pv.curtail:
            return Solution(*solve(every, p_mw), np.zeros_like(pv_mw))
        limit = self._model.scenario.grid.vm_max_pu
        return Solution(*solve_curtailed(solve, feeder, p_mw, pv_mw, limit))

    def _solve_phases(
        self,
        feeder: ThreePhaseFeeder,
        p_mw: FloatArray,
        q_mvar: FloatArray,
        of: dict[str, FloatArray],
    ) -> Solution:
        """p_mw, q_mvar: of the homes without chargers, (B, H)."""
        at, points = feeder.terminals, feeder.points
        per_kw = self.reactive.per_kw
        p, q = (values.take(at.home, axis=1) for values in (p_mw, q_mvar))
        for values in (p, q):
            values *= at.share
        p += points.at_terminals(of["point_mw"])
        if per_kw:
            q += per_kw * points.at_terminals(of["point_through_mw"])
        # Currents of all lines take fifty times the room of the voltages of the homes.
        model, elements = self._model, feeder.n_bus + feeder.n_line
        lines = has_flow_tables(model.scenario, elements, model.fleet.n_feeders)
        assert isinstance(self.solver, ThreePhaseSolver)
        flow = self.solver.solve(p, q, lines=lines)
        return Solution(flow, per_kw * of["through_mw"], np.zeros_like(of["net_mw"]))

    def _all(self) -> Solution:
        """All load flows so far; those that wait are solved together."""
        self._solve_waiting()
        if len(self._solved) > 1:
            self._solved = [joined(self._solved)]
        return self._solved[0]

    def _solve_waiting(self) -> None:
        """Those of the hours that wait, some hours at a time, so that little is in memory."""
        per_hour = 3600 // self.flow_s
        rows = self._model.fleet.n_feeders * per_hour * max(self.feeder.n_bus, 1)
        at_once = max(1, _NUMBERS_AT_ONCE // rows)
        while self._n_solved < len(self.zone_power):
            waiting = self.zone_power[self._n_solved : self._n_solved + at_once]
            zones = ZonePower(
                **{
                    name: np.concatenate([getattr(hour, name) for hour in waiting])
                    for name in vars(waiting[0])
                }
            )
            self._solved.append(self.solve(self._n_solved * 3600, self.flow_s, zones))
            self._n_solved += len(waiting)

    def at(self, hour: int) -> PowerFlow:
        """The load flows of an hour, from 0; K rows for each."""
        self._solve_waiting()
        per_hour = self._model.fleet.n_feeders * 3600 // self.flow_s
        after = self._n_solved
        for part in reversed(self._solved):
            after -= len(part.taken_mvar) // per_hour
            if hour >= after:
                first = (hour - after) * per_hour
                return part.part(slice(first, first + per_hour)).flow
        raise IndexError(f"load flows of hour {hour}")
