"""Reactive power of the chargers in load flows: by power factor, or by the voltage of their bus.

By voltage, reactive power asked for and voltage found depend on each other. Newton's method goes
from one load flow to the next: of all zones together, with the slope of the curve at the voltages
found and the sensitivity of the feeder without load, which is close enough to need a few load
flows. Rows do not influence each other; one that has not settled after `MOST_FLOWS` counts as not
converged.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from abm.equations import ComplexArray, FloatArray, IntArray
from abm.equations.reactive import droop, room_for_reactive, taken_per_kw
from abm.fleet import Fleet
from abm.grid.feeder import Feeder
from abm.grid.network import PowerFlow
from abm.grid.solve import Solver
from abm.scenario.fleet_fields import EvSection

# How far reactive power may be from what the curve asks for at the voltage that it leads to.
SETTLED_MVAR = 1e-6
MOST_FLOWS = 40
# From here on only a part of each step is taken: a corner of the curve may lie between two steps.
WHOLE_STEPS = 8


@dataclass(frozen=True, eq=False)
class VoltVarCurve:
    """Reactive power supplied over what is there for it, by voltage.

    vm_pu: rising, p.u. share: from 1 (supplies all) to -1 (takes all), not rising.
    """

    vm_pu: FloatArray
    share: FloatArray


class ChargersReactive:
    """What reactive power the chargers of each zone take, `ev.power_factor` or `ev.volt_var`."""

    def __init__(self, ev: EvSection) -> None:
        self._per_kw, self._curve = taken_per_kw(ev.power_factor), None
        if ev.volt_var is not None:
            points = np.array(ev.volt_var.curve)
            self._curve = VoltVarCurve(points[:, 0], points[:, 1])
            self._kva_per_kw = ev.volt_var.kva_per_kw

    @property
    def per_kw(self) -> float:
        """Reactive power that a charger takes for each kW through it, kvar."""
        return self._per_kw

    @property
    def by_voltage(self) -> bool:
        """Whether reactive power follows voltage, and so needs to know who is plugged in."""
        return self._curve is not None

    def solve(
        self,
        solver: Solver,
        feeder: Feeder,
        p_mw: FloatArray,
        q_mvar: FloatArray,
        through_mw: FloatArray,
        rated_mw: FloatArray,
    ) -> tuple[PowerFlow, FloatArray]:
        """Solve B load flows; and the reactive power that the chargers take, (B, Z) [Mvar].

        p_mw, q_mvar: (B, n_bus), with the chargers' active power, without their reactive power.
        through_mw: G2V and V2G of each zone added up; rated_mw: rating of the chargers in use,
        only read by voltage, (B, Z).
        """
        if self._curve is not None:
            room = room_for_reactive(rated_mw, through_mw, self._kva_per_kw)
            flow, supplied = solve_volt_var(solver, feeder, p_mw, q_mvar, room, self._curve)
            return flow, -supplied
        taken = self._per_kw * through_mw
        if self._per_kw:
            q_mvar = q_mvar.copy()
            feeder.add_to_buses(q_mvar, taken)
        return solver.solve(p_mw, q_mvar), taken


def rated_in_use(fleet: Fleet, first_step: int, last_step: int) -> FloatArray:
    """Rating of the chargers in use, mean over some steps, (n_feeders, n_zones) [MW].

    Those with an EV plugged in; of G2V or V2G, whichever is more. The steps are of the day that
    runs or has just ended.
    """
    begin = np.maximum(fleet.arrival_step, first_step)
    end = np.minimum(fleet.departure_step, last_step)
    steps = np.where(fleet.arrived, np.maximum(end - begin, 0), 0)
    rating = np.maximum(fleet.p_max_kw, fleet.p_discharge_kw)
    sums = np.bincount(fleet.cell, weights=steps * rating, minlength=len(fleet.plugged_count))
    return (sums / ((last_step - first_step) * 1e3)).reshape(fleet.n_feeders, fleet.n_zones)


@lru_cache(maxsize=32)
def sensitivity(feeder: Feeder) -> ComplexArray:
    """What power supplied at one zone's bus does to the voltage of another's, (Z, Z) [p.u./MVA].

    Real part: of active power; imaginary part: of reactive power; about the feeder without load.
    """
    from scipy.sparse.linalg import splu

    network = feeder.network
    at, slack = network.node_of_bus[feeder.zone_bus], network.slack_nodes
    others = np.setdiff1d(np.arange(network.n_node), slack)
    y_bus = network.y_bus.tocsc()
    solve = splu(y_bus[others][:, others])
    no_load = np.empty(network.n_node, dtype=np.complex128)
    no_load[slack] = network.slack_v
    no_load[others] = solve.solve(-(y_bus[others][:, slack] @ network.slack_v))
    found = np.zeros((len(at), len(at)), dtype=np.complex128)
    # A zone at an external grid moves no voltage.
    free = np.flatnonzero(~np.isin(at, slack))
    unit = np.zeros((len(others), len(free)), dtype=np.complex128)
    unit[np.searchsorted(others, at[free]), np.arange(len(free))] = 1.0
    moved = solve.solve(unit)[np.searchsorted(others, at[free])]
    # dV = Z conj(dS / V), and d|V| = Re(conj(V) dV) / |V|.
    here = no_load[at[free]]
    turned = moved * (np.conj(here) / np.abs(here))[:, None] / np.conj(here)[None, :]
    found[np.ix_(free, free)] = turned.real + 1j * turned.imag
    return np.asarray(found / network.base_mva)


def solve_volt_var(
    solver: Solver,
    feeder: Feeder,
    p_mw: FloatArray,
    q_mvar: FloatArray,
    room_mvar: FloatArray,
    curve: VoltVarCurve,
) -> tuple[PowerFlow, FloatArray]:
    """Solve B load flows with the reactive power that the zones supply by the curve.

    p_mw, q_mvar: as for `Solver.solve`, without it. room_mvar: (B, Z), most that each zone can take
    or supply. Returns the load flows and the reactive power supplied, (B, Z) [Mvar]; NaN where a
    row did not converge.
    """
    moved = sensitivity(feeder).imag
    supplied = np.zeros_like(room_mvar)
    flow = solver.solve(p_mw, q_mvar)
    failed = np.flatnonzero(~flow.converged)
    if len(failed):
        # What has no solution by itself may have one with all the support there is.
        supplied[failed] = room_mvar[failed] * curve.share[0]
        flow.put(failed, _solved(solver, feeder, p_mw, q_mvar, supplied, failed))
    rows = np.flatnonzero(flow.converged)
    for count in range(MOST_FLOWS):
        share, slope = droop(flow.vm_pu[rows][:, feeder.zone_bus], curve.vm_pu, curve.share)
        missing = room_mvar[rows] * share - supplied[rows]
        unsettled = np.abs(missing).max(axis=1, initial=0.0) > SETTLED_MVAR
        rows, missing, slope = rows[unsettled], missing[unsettled], slope[unsettled]
        if len(rows) == 0 or count == MOST_FLOWS - 1:
            break
        # missing(Q + step) = missing(Q) + room slope dV/dQ step - step = 0.
        system = np.eye(moved.shape[0]) - (room_mvar[rows] * slope)[:, :, None] * moved
        step = np.linalg.solve(system, missing[:, :, None])[:, :, 0]
        supplied[rows] += step if count < WHOLE_STEPS else 0.4 * step
        flow.put(rows, _solved(solver, feeder, p_mw, q_mvar, supplied, rows))
        rows = rows[flow.converged[rows]]
    flow.give_up(rows)
    supplied[~flow.converged] = np.nan
    return flow, supplied


def _solved(
    solver: Solver,
    feeder: Feeder,
    p_mw: FloatArray,
    q_mvar: FloatArray,
    supplied: FloatArray,
    rows: IntArray,
) -> PowerFlow:
    """Some of the rows with what the zones supply taken off their buses."""
    q = q_mvar[rows]
    q[:, feeder.zone_bus] -= supplied[rows]
    return solver.solve(p_mw[rows], q)
