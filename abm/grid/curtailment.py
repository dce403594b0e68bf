"""PV that is curtailed where its bus is above the upper voltage limit, in batches of load flows.

Each zone's inverters act on the voltage of their own bus alone: they give up no more PV than brings
it down to the limit, and none where it is below. What one zone curtails lowers the voltage of the
others, so that all are found together: from one load flow to the next the least curtailment is
worked out with the sensitivity of the feeder to active power, zone by zone in turn until nothing
moves (projected Gauss-Seidel). Rows do not influence each other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from abm.equations import FloatArray, IntArray
from abm.grid.feeder import Feeder
from abm.grid.network import PowerFlow
from abm.grid.reactive import sensitivity

# A bus is held this close below the limit.
SETTLED_PU = 1e-6
MOST_FLOWS = 30
_MOST_TURNS = 2000
# Curtailment of a zone that moves by less from turn to turn has been found.
_STILL_MW = 1e-10

# Solves some rows, with the load of all buses in them, (b, n_bus) [MW]: load flows, and reactive
# power of the chargers.
SolveRows = Callable[[IntArray, FloatArray], tuple[PowerFlow, FloatArray]]


def solve_curtailed(
    solve: SolveRows, feeder: Feeder, p_mw: FloatArray, pv_mw: FloatArray, vm_max_pu: float
) -> tuple[PowerFlow, FloatArray, FloatArray]:
    """Solve B load flows with PV curtailed at the voltage limit.

    p_mw: (B, n_bus), net of all PV. pv_mw: (B, Z), what there is of it. Returns the load flows, the
    chargers' reactive power and the PV curtailed, (B, Z) [MW]: 0 where a row did not converge, as a
    row counts in which it did not settle within `MOST_FLOWS`.
    """
    moved = np.ascontiguousarray(sensitivity(feeder).real)
    flow, taken = solve(np.arange(len(p_mw)), p_mw)
    curtailed = np.zeros_like(pv_mw)
    rows = np.arange(len(p_mw))
    for count in range(MOST_FLOWS):
        vm_pu = flow.vm_pu[rows][:, feeder.zone_bus]
        too_little = (vm_pu > vm_max_pu) & (curtailed[rows] < pv_mw[rows])
        too_much = (vm_pu < vm_max_pu - 2.0 * SETTLED_PU) & (curtailed[rows] > 0.0)
        open_ = (too_little | too_much).any(axis=1)
        rows, over = rows[open_], vm_pu[open_] - (vm_max_pu - SETTLED_PU)
        if len(rows) == 0 or count == MOST_FLOWS - 1:
            break
        curtailed[rows] = _least(over, curtailed[rows], pv_mw[rows], moved)
        p = p_mw[rows]
        p[:, feeder.zone_bus] += curtailed[rows]
        found, taken[rows] = solve(rows, p)
        flow.put(rows, found)
    flow.give_up(rows)
    curtailed[~flow.converged] = 0.0
    return flow, taken, curtailed


def _least(
    over: FloatArray, curtailed: FloatArray, pv_mw: FloatArray, moved: FloatArray
) -> FloatArray:
    """Least curtailment with which no voltage is above where it is to be, by sensitivity.

    over: how far voltages are above that, (b, Z) [p.u.], with the curtailment so far. A zone ends
    with 0, with all of its PV, or with its voltage where it is to be.
    """
    found, over = curtailed.copy(), over.copy()
    # At an external grid curtailment moves nothing, and so all or nothing of it goes.
    own = np.maximum(np.diag(moved), 1e-12)
    going = np.ones(len(over), dtype=np.bool_)
    for _ in range(_MOST_TURNS):
        before = found.copy()
        for zone in range(len(own)):
            wanted = found[:, zone] + over[:, zone] / own[zone]
            step = np.minimum(np.maximum(wanted, 0.0), pv_mw[:, zone]) - found[:, zone]
            step[~going] = 0.0
            found[:, zone] += step
            over -= step[:, None] * moved[:, zone]
        going &= np.abs(found - before).max(axis=1, initial=0.0) > _STILL_MW
        if not going.any():
            break
    return found
