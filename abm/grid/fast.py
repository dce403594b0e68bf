"""The fast solver: power-grid-model, a whole batch per call.

power-grid-model finds the voltages; currents, losses and slack power follow from them with the
feeder's own admittances, so that they are the feeder's even where a conversion was wrong (the
mismatch of eqs. (10), (11) then says so).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from abm.grid.equations import (
    ComplexArray,
    FloatArray,
    largest_residual,
    magnitude,
    node_currents,
    scaled,
    times_conjugate,
)
from abm.grid.network import MAX_ITERATIONS, Network
from abm.grid.solve import (
    MISMATCH_LIMIT_MVA,
    VM_PLAUSIBLE_PU,
    PowerFlow,
    UnsupportedFeederError,
    checked_load,
    empty_power_flow,
)

if TYPE_CHECKING:
    from abm.grid.feeder import Feeder

_TOLERANCE_PU = 1e-10
# The default short-circuit power, 1e10 VA, is an impedance that shifts case33bw by 4e-4 p.u.;
# at 1e18 VA the shift is 3e-12.
_SOURCE_VA = 1e18
# Voltages of one chunk stay in the processor's cache and memory does not grow with B.
_VOLTAGES_PER_CHUNK = 200_000

# Columns of pandapower's tables (pandapower.pypower.idx_brch, idx_bus).
_F_BUS, _T_BUS, _BR_R, _BR_X, _BR_B, _TAP, _SHIFT, _BR_G = 0, 1, 2, 3, 4, 8, 9, 23
_ASYMMETRIES = (21, 22, 24, 25)
_GS, _BS = 4, 5

# Plain NaN in a complex array has an imaginary part of 0.
_NO_VALUE = complex(np.nan, np.nan)


class PowerGridModelSolver:
    """Solves with power-grid-model's Newton-Raphson, one thread.

    Raises UnsupportedFeederError for branches that are not a symmetric pi (an impedance that
    differs by direction, a transformer whose windings differ) or have no impedance, and for
    anything that the library refuses.
    """

    name = "power-grid-model"

    def __init__(self, feeder: Feeder) -> None:
        from power_grid_model import ComponentType, PowerGridModel

        network = feeder.network
        self._feeder = feeder
        try:
            self._model = PowerGridModel(
                _grid(network, feeder.n_bus), system_frequency=network.f_hz
            )
        except RuntimeError as error:  # the base of power-grid-model's own errors
            raise UnsupportedFeederError(f"refuses it ({error})") from error
        self._load, self._node = ComponentType.sym_load, ComponentType.node
        self._update = self._update_array(0)

        from scipy.sparse import vstack

        lines = network.branch_of_line
        # One sparse product gives the currents of all nodes and of both ends of all lines.
        self._y_all = vstack(
            [network.y_bus, network.y_from[lines], network.y_to[lines]], format="csr"
        )
        ends = network.branch[lines][:, [_F_BUS, _T_BUS]].astype(np.int64)
        self._from_node, self._to_node = ends[:, 0], ends[:, 1]
        amperes = 1e3 * network.base_mva / (np.sqrt(3.0) * network.base_kv)
        self._from_a, self._to_a = amperes[self._from_node], amperes[self._to_node]
        self._chunk = max(1, _VOLTAGES_PER_CHUNK // network.n_node)
        self._node_is_bus = network.one_node_per_bus

    def solve(self, p_mw: FloatArray, q_mvar: FloatArray) -> PowerFlow:
        """Solve B load flows, see `abm.grid.solve.Solver.solve`."""
        feeder = self._feeder
        p, q, usable = checked_load(p_mw, q_mvar, feeder.n_bus)
        flow = empty_power_flow(len(p), feeder.n_bus, feeder.n_line)
        for start in range(0, len(p), self._chunk):
            rows = slice(start, start + self._chunk)
            s_load = p[rows] + 1j * q[rows]
            v, solved = self._voltages(s_load, usable[rows])
            self._fill(flow, rows, v, solved, s_load)
        return flow

    def _update_array(self, rows: int) -> Any:
        from power_grid_model import DatasetType, initialize_array

        return initialize_array(DatasetType.update, self._load, (rows, self._feeder.n_bus))

    def _voltages(
        self, s_load: ComplexArray, usable: NDArray[np.bool_]
    ) -> tuple[ComplexArray, NDArray[np.bool_]]:
        """Node voltages [b, N] p.u. (NaN where there are none) and bool [b], which are solved."""
        if len(self._update) != len(s_load):
            self._update = self._update_array(len(s_load))
        np.multiply(s_load.real, 1e6, out=self._update["p_specified"])
        np.multiply(s_load.imag, 1e6, out=self._update["q_specified"])
        # Whole records in and out: single attributes cost a third more in a batch of one.
        output: Any = self._model.calculate_power_flow(
            update_data={self._load: self._update},
            output_component_types=[self._node],
            error_tolerance=_TOLERANCE_PU,
            max_iterations=MAX_ITERATIONS,
            continue_on_batch_error=True,
            decode_error=False,
        )[self._node]
        solved = usable.copy()
        if self._model.batch_error is not None:
            # The voltages of these rows are whatever was in memory.
            solved[self._model.batch_error.failed_scenarios] = False
        vm_pu, va_rad = output["u_pu"], output["u_angle"]
        vm_pu[~solved], va_rad[~solved] = np.nan, 0.0
        low, high = VM_PLAUSIBLE_PU
        solved &= (vm_pu.min(axis=1) > low) & (vm_pu.max(axis=1) < high)
        v = np.empty(vm_pu.shape, dtype=np.complex128)
        v.real, v.imag = vm_pu * np.cos(va_rad), vm_pu * np.sin(va_rad)
        v[~solved] = _NO_VALUE
        return v, solved

    def _fill(
        self,
        flow: PowerFlow,
        rows: slice,
        v: ComplexArray,
        solved: NDArray[np.bool_],
        s_load: ComplexArray,
    ) -> None:
        """Everything that follows from the voltages, written to some rows of a PowerFlow."""
        network = self._feeder.network
        n, n_line, base = network.n_node, self._feeder.n_line, network.base_mva
        slack = network.slack_nodes
        s_node = network.per_node(s_load) if not self._node_is_bus else s_load
        currents = node_currents(v, self._y_all)
        injected = scaled(times_conjugate(v, currents[:, :n]), base)
        mismatch = largest_residual(injected, s_node, slack)
        good = solved & (mismatch <= MISMATCH_LIMIT_MVA)
        if not good.all():
            v[~good] = currents[~good] = injected[~good] = _NO_VALUE
            mismatch[~good] = np.nan
        i_from, i_to = currents[:, n : n + n_line], currents[:, n + n_line :]
        supplied = (injected[:, slack] + s_node[:, slack]).sum(axis=1)
        v_bus = v if self._node_is_bus else v[:, network.node_of_bus]

        flow.converged[rows] = good
        flow.mismatch_mva[rows] = mismatch
        flow.vm_pu[rows] = magnitude(v_bus)
        flow.va_rad[rows] = np.angle(v_bus)
        flow.i_a[rows] = np.maximum(magnitude(i_from) * self._from_a, magnitude(i_to) * self._to_a)
        lost = times_conjugate(v[:, self._from_node], i_from) + times_conjugate(
            v[:, self._to_node], i_to
        )
        np.multiply(lost.real, base, out=flow.line_loss_mw[rows])
        flow.slack_p_mw[rows] = supplied.real
        flow.slack_q_mvar[rows] = supplied.imag
        flow.loss_mw[rows] = supplied.real - s_load.real.sum(axis=1)


def _grid(network: Network, n_bus: int) -> dict[Any, Any]:
    """power-grid-model's input: nodes, branches, shunts, one load per bus, the sources.

    Lines and transformers alike are generic branches in SI units at the voltage of their to end,
    the convention of pandapower's branch table. Raises UnsupportedFeederError.
    """
    from power_grid_model import ComponentType, DatasetType, LoadGenType, initialize_array

    branch, base_va = network.branch, 1e6 * network.base_mva
    if branch[:, _ASYMMETRIES].any():
        raise UnsupportedFeederError("cannot model a branch whose two ends differ")
    if not np.hypot(branch[:, _BR_R], branch[:, _BR_X]).all():
        raise UnsupportedFeederError("cannot model a branch without impedance")

    used = 0

    def component(kind: Any, count: int) -> Any:
        nonlocal used
        array = initialize_array(DatasetType.input, kind, count)
        array["id"] = np.arange(used, used + count)
        used += count
        return array

    volts = 1e3 * network.base_kv
    nodes = component(ComponentType.node, network.n_node)
    nodes["u_rated"] = volts

    ends = branch[:, [_F_BUS, _T_BUS]].astype(np.int64)
    ohm = volts[ends[:, 1]] ** 2 / base_va
    branches = component(ComponentType.generic_branch, len(branch))
    branches["from_node"], branches["to_node"] = ends.T
    branches["from_status"] = branches["to_status"] = 1
    branches["r1"], branches["x1"] = branch[:, _BR_R] * ohm, branch[:, _BR_X] * ohm
    branches["g1"], branches["b1"] = branch[:, _BR_G] / ohm, branch[:, _BR_B] / ohm
    branches["k"] = np.where(branch[:, _TAP] == 0.0, 1.0, branch[:, _TAP])
    branches["theta"] = np.radians(branch[:, _SHIFT])
    branches["sn"] = base_va

    with_shunt = np.flatnonzero(network.bus[:, [_GS, _BS]].any(axis=1))
    shunts = component(ComponentType.shunt, len(with_shunt))
    shunts["node"], shunts["status"] = with_shunt, 1
    shunts["g1"] = 1e6 * network.bus[with_shunt, _GS] / volts[with_shunt] ** 2
    shunts["b1"] = 1e6 * network.bus[with_shunt, _BS] / volts[with_shunt] ** 2

    loads = component(ComponentType.sym_load, n_bus)
    loads["node"], loads["status"] = network.node_of_bus, 1
    loads["type"] = LoadGenType.const_power
    loads["p_specified"] = loads["q_specified"] = 0.0

    source = component(ComponentType.source, len(network.slack_nodes))
    source["node"], source["status"] = network.slack_nodes, 1
    slack_v = network.v_nominal[network.slack_nodes]
    source["u_ref"], source["u_ref_angle"] = np.abs(slack_v), np.angle(slack_v)
    source["sk"] = _SOURCE_VA

    grid = {
        ComponentType.node: nodes,
        ComponentType.generic_branch: branches,
        ComponentType.sym_load: loads,
        ComponentType.source: source,
    }
    if len(with_shunt):
        grid[ComponentType.shunt] = shunts
    return grid
