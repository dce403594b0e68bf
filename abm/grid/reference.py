"""The reference solver: pandapower's Newton-Raphson, one row after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from abm.grid.equations import FloatArray, power_mismatch
from abm.grid.network import constant_power_copy, run_reference
from abm.grid.solve import (
    MISMATCH_LIMIT_MVA,
    VM_PLAUSIBLE_PU,
    PowerFlow,
    checked_load,
    empty_power_flow,
)

if TYPE_CHECKING:
    from abm.grid.feeder import Feeder


class PandapowerSolver:
    """Solves with `pandapower.runpp` on a private copy of the net that has one load per bus.

    Currents and losses are pandapower's own results; only the mismatch is computed here.
    """

    name = "pandapower"

    def __init__(self, feeder: Feeder) -> None:
        self._feeder = feeder
        self._net = constant_power_copy(feeder.net, feeder.bus_index)

    def solve(self, p_mw: FloatArray, q_mvar: FloatArray) -> PowerFlow:
        """Solve B load flows, see `abm.grid.solve.Solver.solve`."""
        feeder, net = self._feeder, self._net
        p, q, usable = checked_load(p_mw, q_mvar, feeder.n_bus)
        flow = empty_power_flow(len(p), feeder.n_bus, feeder.n_line)
        for row in np.flatnonzero(usable):
            if not run_reference(net, p[row], q[row]):
                continue
            mismatch = self._mismatch(p[row], q[row])
            vm_pu = net.res_bus["vm_pu"].loc[feeder.bus_index].to_numpy(dtype=np.float64)
            low, high = VM_PLAUSIBLE_PU
            if not (mismatch <= MISMATCH_LIMIT_MVA and vm_pu.min() > low and vm_pu.max() < high):
                continue
            flow.converged[row] = True
            flow.mismatch_mva[row] = mismatch
            flow.vm_pu[row] = vm_pu
            flow.va_rad[row] = np.radians(net.res_bus["va_degree"].loc[feeder.bus_index])
            lines = net.res_line.loc[feeder.line_index]
            flow.i_a[row] = 1e3 * lines["i_ka"]
            flow.line_loss_mw[row] = lines["pl_mw"]
            flow.slack_p_mw[row] = net.res_ext_grid["p_mw"].sum()
            flow.slack_q_mvar[row] = net.res_ext_grid["q_mvar"].sum()
            flow.loss_mw[row] = flow.slack_p_mw[row] - p[row].sum()
        return flow

    def _mismatch(self, p_mw: FloatArray, q_mvar: FloatArray) -> float:
        network = self._feeder.network
        v = np.asarray(self._net._ppc["internal"]["V"], dtype=np.complex128)[np.newaxis]
        s_load = network.per_node((p_mw + 1j * q_mvar)[np.newaxis])
        return float(
            power_mismatch(v, network.y_bus, s_load, network.slack_nodes, network.base_mva)[0]
        )
