"""What the network operator goes by: connections, loads, and how much of the limits is used."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from abm.control.limits import Told
from abm.control.operator import DimmingOperator, NetworkModel, Operator, Readings
from abm.equations import FloatArray, IntArray
from abm.equations.reactive import taken_per_kw
from abm.errors import InputError, Problem
from abm.fleet import Fleet
from abm.grid import Feeder, PowerFlow
from abm.grid.phase_feeder import ThreePhaseFeeder
from abm.grid.phase_flow import ThreePhaseFlow

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
            feeder.add_to_buses(self.p_mw, measured.zones.battery_mw[-1] - pv_mw)
        if isinstance(feeder, ThreePhaseFeeder):
            at = feeder.terminals
            self.p_mw, self.q_mvar = (v[:, at.home] * at.share for v in (self.p_mw, self.q_mvar))

    def __call__(self, k: int, charging_kw: FloatArray) -> FloatArray:
        """Use of each limit of feeder k with powers at its points, [B, P] kW -> [B, M].

        1 is the limit: of voltages below and above, lines and transformers. Infinity where a load
        flow has no solution.
        """
        feeder, more_mw = self.feeder, charging_kw / 1e3
        p_mw, q_mvar = (np.repeat(v[[k]], len(more_mw), axis=0) for v in (self.p_mw, self.q_mvar))
        if isinstance(feeder, ThreePhaseFeeder):
            more_mw = feeder.points.at_terminals(more_mw)
            p_mw += more_mw
            q_mvar += self.mvar_per_mw * more_mw
        else:
            feeder.add_to_buses(p_mw, more_mw)
            feeder.add_to_buses(q_mvar, self.mvar_per_mw * more_mw)
        return self.of(self.solver.solve(p_mw, q_mvar))

    def of(self, flow: PowerFlow) -> FloatArray:
        """Use of each limit in load flows, [B, M]."""
        low, high = flow.vm_pu - 1.0, flow.vm_pu - 1.0
        if isinstance(flow, ThreePhaseFlow):
            # Of homes with several phases vm_pu is the lowest of them.
            high = np.concatenate([high, flow.vm_high_pu - 1.0], axis=1)
        # A line or transformer without a rating has no limit.
        lines = np.nan_to_num(flow.i_a / self.feeder.ampacity_a)
        parts = [
            low / (self.vm_min_pu - 1.0),
            high / (self.vm_max_pu - 1.0),
            lines,
            np.nan_to_num(flow.transformer_percent) / 100.0,
        ]
        found = np.concatenate(parts, axis=1)
        found[~flow.converged] = np.inf
        return found


def connections_of(fleet: Fleet, feeder: Feeder, operator: Operator) -> IntArray:
    """Connection of each EV, from 0, (n_evs,): its home on a three-phase feeder.

    Raises InputError where the operator goes by transformers and there are none above the EVs.
    """
    by_transformer = isinstance(operator, DimmingOperator) and operator.overload == "transformers"
    if by_transformer and fleet.n and (transformers_of(fleet, feeder) < 0).all():
        allowed = "demand where no EV is below a transformer of the feeder"
        raise InputError([Problem("dimming.overload", "transformers", allowed)])
    if not isinstance(feeder, ThreePhaseFeeder):
        return operator.connections(fleet)
    homes = feeder.points.home
    return fleet.feeder * len(feeder.points.first) + homes[fleet.point % len(homes)]


def transformers_of(fleet: Fleet, feeder: Feeder) -> IntArray:
    """Transformer that feeds each EV, among those of its feeder, (n_evs,); -1: none."""
    nodes = feeder.zone_bus[fleet.zone]
    if isinstance(feeder, ThreePhaseFeeder):
        homes = feeder.points.home
        nodes = feeder.phases.home_bus[homes[fleet.point % len(homes)]]
    return feeder.transformer_above[nodes]


def transformer_use(measured: Measured) -> FloatArray:
    """Load of each transformer over its rating, [K, X]; infinity without a solution, 0 without a
    rating.
    """
    flow = measured.flow
    percent = np.nan_to_num(flow.transformer_percent)
    return np.where(flow.converged[:, None], percent / 100.0, np.inf)


def readings(grid: GridAgent, measured: Measured | None) -> Readings:
    """What the operator goes by when a message is sent; measured: the interval that ended."""
    model, feeder = grid.model, grid.feeder
    admission = model.admission
    assert isinstance(admission, Told)
    load_mw = network = None
    if measured is not None:
        fleet, point, n_points = model.fleet, model.fleet.cell, model.fleet.n_zones
        if isinstance(feeder, ThreePhaseFeeder):
            point, n_points = fleet.point, len(feeder.points.home)
        network = NetworkModel(
            point,
            n_points,
            NetworkUse(grid, measured),
            transformers_of(fleet, feeder),
            partial(transformer_use, measured),
        )
        began = np.array([measured.began_s])
        base_mw = grid.without_evs_mw(began, grid.interval_s)[0]
        load_mw = base_mw + measured.ev_mw + measured.battery_mw
    now_s = np.array([int(model.env.now)])
    limit_mw = np.repeat(grid.limit.mean(now_s, grid.interval_s)[0], model.fleet.n_feeders)
    return Readings(model.minute, load_mw, limit_mw, admission.connection, network)
