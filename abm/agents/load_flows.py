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
from abm.grid.reactive import ChargersReactive

if TYPE_CHECKING:
    from abm.grid.base_load import BaseLoad
    from abm.model import V2GModel


@dataclass(frozen=True, eq=False)
class ZonePower:
    """What the chargers of the zones did, mean over a window, (n_feeders, n_zones) each [MW].

    net_mw: G2V less V2G. through_mw: both added up. rated_mw: rating of the chargers in use.
    battery_mw: of the stationary batteries.
    """

    net_mw: FloatArray
    through_mw: FloatArray
    rated_mw: FloatArray
    battery_mw: FloatArray


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

    zone_power: what the zones did in the interval of each, in their order. flow_s: its length, s.
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

    def solve(self, began_s: int, window_s: int, zones: Sequence[ZonePower]) -> Solution:
        """The load flows of windows in a row, for the mean powers over each.

        began_s: when the first began, s of the horizon. Of n_windows x n_feeders rows.
        """
        n_feeders, at = self._model.fleet.n_feeders, self.feeder.zone_bus
        begin_s = began_s + np.arange(len(zones)) * window_s
        shape = (len(zones), n_feeders, self.feeder.n_bus)
        p_mw, q_mvar = (
            np.broadcast_to(mean(begin_s, window_s), shape).reshape(-1, shape[2]).copy()
            for mean in (self.base.mean_p_mw, self.base.mean_q_mvar)
        )
        net_mw, through_mw, rated_mw, battery_mw = (
            np.concatenate([getattr(zone, name) for zone in zones])
            for name in ("net_mw", "through_mw", "rated_mw", "battery_mw")
        )
        p_mw[:, at] += net_mw
        feeder, solver, reactive = self.feeder, self.solver, self.reactive

        def solve(rows: IntArray, p: FloatArray) -> tuple[PowerFlow, FloatArray]:
            of_zones = through_mw[rows], rated_mw[rows]
            return reactive.solve(solver, feeder, p, q_mvar[rows], *of_zones)

        every = np.arange(len(p_mw))
        if self.supply is None:
            return Solution(*solve(every, p_mw), np.zeros_like(net_mw))
        pv_mw = np.repeat(self.supply.pv_mw(begin_s, window_s), n_feeders, axis=0)
        p_mw[:, at] += battery_mw - pv_mw
        if not self._model.scenario.pv.curtail:
            return Solution(*solve(every, p_mw), np.zeros_like(net_mw))
        limit = self._model.scenario.grid.vm_max_pu
        return Solution(*solve_curtailed(solve, feeder, p_mw, pv_mw, limit))

    def _all(self) -> Solution:
        """All load flows so far; those that wait are solved together."""
        self._solve_waiting()
        if len(self._solved) > 1:
            self._solved = [joined(self._solved)]
        return self._solved[0]

    def _solve_waiting(self) -> None:
        if self._n_solved < len(self.zone_power):
            waiting = self.zone_power[self._n_solved :]
            began_s = self._n_solved * self.flow_s
            self._solved.append(self.solve(began_s, self.flow_s, waiting))
            self._n_solved = len(self.zone_power)

    def at(self, number: int) -> PowerFlow:
        """One load flow, K rows; number: from 0."""
        self._solve_waiting()
        n, after = self._model.fleet.n_feeders, self._n_solved
        for part in reversed(self._solved):
            after -= len(part.taken_mvar) // n
            if number >= after:
                return part.part(slice((number - after) * n, (number - after + 1) * n)).flow
        raise IndexError(f"load flow {number}")
