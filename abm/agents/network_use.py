"""How much of the limits of the network would be used if EVs charged with so much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from abm.equations import FloatArray
from abm.equations.reactive import taken_per_kw
from abm.grid import PowerFlow
from abm.grid.phase_feeder import ThreePhaseFeeder

if TYPE_CHECKING:
    from abm.agents.grid import GridAgent, Measured


class NetworkUse:
    """The network of K feeders with loads, PV and batteries of an interval that was measured."""

    def __init__(self, grid: GridAgent, measured: Measured) -> None:
        scenario, feeder = grid.model.scenario, grid.feeder
        self.solver, self.feeder = grid.solver, feeder
        self.vm_min_pu, self.vm_max_pu = scenario.grid.vm_min_pu, scenario.grid.vm_max_pu
        self.mvar_per_mw = taken_per_kw(scenario.ev.power_factor)
        begin_s = np.array([measured.began_s])
        shape = (grid.model.fleet.n_feeders, feeder.n_bus)
        self.p_mw, self.q_mvar = (
            np.broadcast_to(mean(begin_s, grid.interval_s), (1, *shape))[0].copy()
            for mean in (grid.base.mean_p_mw, grid.base.mean_q_mvar)
        )
        if grid.supply is not None:
            pv_mw = grid.supply.pv_mw(begin_s, grid.interval_s)[0]
            feeder.add_to_buses(self.p_mw, measured.zones.battery_mw[0] - pv_mw)
        if isinstance(feeder, ThreePhaseFeeder):
            at = feeder.terminals
            self.p_mw, self.q_mvar = (
                values[:, at.home] * at.share for values in (self.p_mw, self.q_mvar)
            )

    def __call__(self, k: int, charging_kw: FloatArray) -> FloatArray:
        """Use of each limit of feeder k with powers at its points, [B, P] kW -> [B, M].

        1 is the limit: of voltages below and above, lines and transformers. Infinity where a load
        flow has no solution.
        """
        rows, feeder, charging_mw = len(charging_kw), self.feeder, charging_kw / 1e3
        p_mw, q_mvar = (np.repeat(own[[k]], rows, axis=0) for own in (self.p_mw, self.q_mvar))
        if isinstance(feeder, ThreePhaseFeeder):
            drawn = feeder.points.at_terminals(charging_mw)
            p_mw, q_mvar = p_mw + drawn, q_mvar + self.mvar_per_mw * drawn
        else:
            feeder.add_to_buses(p_mw, charging_mw)
            feeder.add_to_buses(q_mvar, self.mvar_per_mw * charging_mw)
        return self.of(self.solver.solve(p_mw, q_mvar))

    def of(self, flow: PowerFlow) -> FloatArray:
        """Use of each limit in load flows, [B, M]."""
        deviation = flow.vm_pu - 1.0
        # A line without a rating has no limit.
        lines = np.nan_to_num(flow.i_a / self.feeder.ampacity_a)
        parts = [
            deviation / (self.vm_min_pu - 1.0),
            deviation / (self.vm_max_pu - 1.0),
            lines,
            flow.transformer_percent / 100.0,
        ]
        found = np.concatenate(parts, axis=1)
        found[~flow.converged] = np.inf
        return found
