"""Which solver is used: power-grid-model, fast, or pandapower, the reference.

Nobody has to trust the fast one: before it is used on a feeder it has to agree with the reference
there. That they agree is remembered for the feeder's content, in a file of the user's cache, so
that pandapower is not needed again; that they do not is found out anew each time.

power-grid-model finds the voltages; currents, losses and slack power follow from them with the
feeder's own admittances, so that they are the feeder's even where a conversion was wrong (the
mismatch of eqs. (10), (11) then says so).
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from abm.equations import ComplexArray, FloatArray
from abm.equations.load_flow import (
    largest_residual,
    magnitude,
    node_currents,
    scaled,
    times_conjugate,
)
from abm.errors import InputError, LoadFlowError, Problem, nearest
from abm.grid.agreement import (
    AGREE_MW,
    AGREE_PU,
    CHECK_FACTORS,
    LoadFlowWarning,
    UnsupportedFeederError,
    memory_of,
    remember,
    remembered,
)
from abm.grid.network import Network, PowerFlow, checked_load, empty_power_flow
from abm.grid.phase_check import three_phase_solver
from abm.grid.phase_feeder import ThreePhaseFeeder
from abm.grid.reference import (
    MAX_ITERATIONS,
    MISMATCH_LIMIT_MVA,
    ONE_AT_A_TIME,
    VM_PLAUSIBLE_PU,
    PandapowerSolver,
)

if TYPE_CHECKING:
    from abm.grid.feeder import Feeder

SOLVERS = ("power-grid-model", "pandapower")

TOLERANCE_PU = 1e-10
# The default short-circuit power, 1e10 VA, is an impedance that shifts case33bw by 4e-4 p.u.;
# at 1e18 VA the shift is 3e-12.
SOURCE_VA = 1e18
# Voltages of one chunk stay in the processor's cache and memory does not grow with B.
VOLTAGES_PER_CHUNK = 200_000
# Plain NaN in a complex array has an imaginary part of 0.
_NO_VALUE = complex(np.nan, np.nan)


class Solver(Protocol):
    """Anything that solves batches of load flows on one feeder."""

    name: str

    def solve(self, p_mw: FloatArray, q_mvar: FloatArray) -> PowerFlow:
        """Solve B load flows. p_mw, q_mvar: float64 [B, n_bus], net load, consumption positive.

        Never raises for a row that cannot be solved (too much load, NaN or infinite input): see
        `PowerFlow`. Rows do not influence each other. ValueError for arrays of another shape.
        """
        ...


def make_solver(name: str, feeder: Feeder) -> Solver:
    """Solver by name, one per feeder and process; a three-phase feeder has its own.

    power-grid-model is compared with pandapower on this feeder first (`CHECK_FACTORS` times the
    nominal load), unless that was done before. Where it cannot model the feeder or differs by more
    than `AGREE_PU`, `AGREE_MW`, a `LoadFlowWarning` says so and the pandapower solver is returned.
    InputError: unknown name. LoadFlowError: not even the nominal load can be solved.
    """
    if name not in SOLVERS:
        raise InputError(
            [Problem("solver", name, f"one of {', '.join(SOLVERS)}", hint=nearest(name, SOLVERS))]
        )
    if isinstance(feeder, ThreePhaseFeeder):
        return three_phase_solver(feeder.phases, feeder.key)
    solver, doubt = _checked_solver(name, feeder)
    if doubt:
        warnings.warn(doubt, LoadFlowWarning, stacklevel=2)
    return solver


@lru_cache(maxsize=32)
def _checked_solver(name: str, feeder: Feeder) -> tuple[Solver, str]:
    """A solver, and in words why it is not the one that was asked for."""
    if name == PandapowerSolver.name:
        return _reference(feeder), ""
    memory = memory_of(feeder)
    try:
        fast = PowerGridModelSolver(feeder)
        if remembered(memory):
            return fast, ""
        reference = _reference(feeder)
        doubt = disagreement(fast, reference, feeder)
    except UnsupportedFeederError as error:
        reference, doubt = _reference(feeder), str(error)
    if doubt:
        return reference, f"feeder {feeder.name!r}: {name} {doubt}; pandapower is used instead"
    remember(memory)
    return fast, ""


def _reference(feeder: Feeder) -> PandapowerSolver:
    """The reference for a feeder. LoadFlowError where it cannot solve the nominal load."""
    reference = PandapowerSolver(feeder)
    if not reference.solve(feeder.p_mw[np.newaxis], feeder.q_mvar[np.newaxis]).converged.all():
        raise LoadFlowError(
            f"feeder {feeder.name!r}: the load flow does not converge at nominal load"
            + feeder.doubtful_load
        )
    return reference


def disagreement(solver: Solver, reference: Solver, feeder: Feeder) -> str:
    """In words, how a solver differs from the reference on a feeder; "" when it agrees.

    Cases that the reference itself cannot solve are skipped.
    """
    factor = np.array(CHECK_FACTORS)[:, np.newaxis]
    load = (factor * feeder.p_mw, factor * feeder.q_mvar)
    wanted, found = reference.solve(*load), solver.solve(*load)
    solved = wanted.converged
    if not found.converged[solved].all():
        return "does not converge where pandapower does"
    if not solved.any():
        return ""

    def largest(*names: str) -> float:
        return max(
            float(np.abs(getattr(found, n) - getattr(wanted, n))[solved].max(initial=0.0))
            for n in names
        )

    volts = largest("vm_pu")
    power = largest("loss_mw", "line_loss_mw", "slack_p_mw", "slack_q_mvar")
    if volts <= AGREE_PU and power <= AGREE_MW:
        return ""
    return f"differs from pandapower by {volts:.2g} p.u. and {power:.2g} MW"


class PowerGridModelSolver:
    """Solves with power-grid-model's Newton-Raphson, one thread.

    Raises UnsupportedFeederError for branches that are not a symmetric pi (an impedance that
    differs by direction, a transformer whose windings differ) or have no impedance, and for
    anything that the library refuses. source_va: short-circuit power of the external grids, VA.
    voltages_per_chunk: how many are solved in one go; the results do not depend on it.
    """

    name = "power-grid-model"

    def __reduce__(self) -> tuple[Any, ...]:
        # What the library holds cannot leave the process; another one makes its own.
        return make_solver, (self.name, self._feeder)

    def __init__(
        self,
        feeder: Feeder,
        *,
        source_va: float = SOURCE_VA,
        voltages_per_chunk: int = VOLTAGES_PER_CHUNK,
    ) -> None:
        from power_grid_model import ComponentType, PowerGridModel

        network = feeder.network
        self._feeder = feeder
        try:
            self._model = PowerGridModel(
                grid_of(network, feeder.n_bus, source_va), system_frequency=network.f_hz
            )
        except RuntimeError as error:  # the base of power-grid-model's own errors
            raise UnsupportedFeederError(f"refuses it ({error})") from error
        self._load, self._node = ComponentType.sym_load, ComponentType.node
        self._update = self._update_array(0)

        from scipy.sparse import vstack

        lines = network.branch_of_line
        ends = network.transformers
        y_ends = vstack([network.y_from, network.y_to], format="csr")
        y_ends = y_ends[ends.branch + len(network.branches.r_pu) * ends.at_to]
        # One sparse product gives the currents of all nodes and of both ends of all lines.
        self._y_all = vstack(
            [network.y_bus, network.y_from[lines], network.y_to[lines], y_ends], format="csr"
        )
        self._from_node = network.branches.from_node[lines]
        self._to_node = network.branches.to_node[lines]
        amperes = 1e3 * network.base_mva / (np.sqrt(3.0) * network.base_kv)
        self._from_a, self._to_a = amperes[self._from_node], amperes[self._to_node]
        node_of_end = np.where(
            ends.at_to,
            network.branches.to_node[ends.branch],
            network.branches.from_node[ends.branch],
        )
        self._winding_a = amperes[node_of_end]
        self._chunk = max(1, voltages_per_chunk // network.n_node)
        self._node_is_bus = network.one_node_per_bus

    def solve(self, p_mw: FloatArray, q_mvar: FloatArray) -> PowerFlow:
        """Solve B load flows, see `abm.grid.solve.Solver.solve`."""
        feeder = self._feeder
        p, q, usable = checked_load(p_mw, q_mvar, feeder.n_bus)
        n_transformer = len(feeder.network.transformers.names)
        flow = empty_power_flow(len(p), feeder.n_bus, feeder.n_line, n_transformer)
        for start in range(0, len(p), self._chunk):
            rows = slice(start, start + self._chunk)
            s_load = p[rows] + 1j * q[rows]
            with ONE_AT_A_TIME:
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
            error_tolerance=TOLERANCE_PU,
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
        i_from, i_to = currents[:, n : n + n_line], currents[:, n + n_line : n + 2 * n_line]
        i_winding = currents[:, n + 2 * n_line :]
        supplied = (injected[:, slack] + s_node[:, slack]).sum(axis=1)
        v_bus = v if self._node_is_bus else v[:, network.node_of_bus]

        flow.converged[rows] = good
        flow.mismatch_mva[rows] = mismatch
        flow.vm_pu[rows] = magnitude(v_bus)
        flow.va_rad[rows] = np.angle(v_bus)
        flow.i_a[rows] = np.maximum(magnitude(i_from) * self._from_a, magnitude(i_to) * self._to_a)
        flow.transformer_percent[rows] = network.transformers.loading_percent(
            magnitude(i_winding) * self._winding_a
        )
        lost = times_conjugate(v[:, self._from_node], i_from) + times_conjugate(
            v[:, self._to_node], i_to
        )
        np.multiply(lost.real, base, out=flow.line_loss_mw[rows])
        flow.slack_p_mw[rows] = supplied.real
        flow.slack_q_mvar[rows] = supplied.imag
        flow.loss_mw[rows] = supplied.real - s_load.real.sum(axis=1)


def grid_of(network: Network, n_bus: int, source_va: float) -> dict[Any, Any]:
    """power-grid-model's input: nodes, branches, shunts, one load per bus, the sources.

    Lines and transformers alike are generic branches in SI units at the voltage of their to end,
    the convention of pandapower's branch table. Raises UnsupportedFeederError.
    """
    from power_grid_model import ComponentType, DatasetType, LoadGenType, initialize_array

    branch, base_va = network.branches, 1e6 * network.base_mva
    if branch.lopsided.any():
        raise UnsupportedFeederError("cannot model a branch whose two ends differ")
    if not np.hypot(branch.r_pu, branch.x_pu).all():
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

    ohm = volts[branch.to_node] ** 2 / base_va
    branches = component(ComponentType.generic_branch, len(ohm))
    branches["from_node"], branches["to_node"] = branch.from_node, branch.to_node
    branches["from_status"] = branches["to_status"] = 1
    branches["r1"], branches["x1"] = branch.r_pu * ohm, branch.x_pu * ohm
    branches["g1"], branches["b1"] = branch.g_pu / ohm, branch.b_pu / ohm
    branches["k"] = branch.ratio
    branches["theta"] = np.radians(branch.shift_deg)
    branches["sn"] = base_va

    with_shunt = np.flatnonzero(network.shunt_mva)
    shunts = component(ComponentType.shunt, len(with_shunt))
    shunts["node"], shunts["status"] = with_shunt, 1
    shunt_s = 1e6 * network.shunt_mva[with_shunt] / volts[with_shunt] ** 2
    shunts["g1"], shunts["b1"] = shunt_s.real, shunt_s.imag

    loads = component(ComponentType.sym_load, n_bus)
    loads["node"], loads["status"] = network.node_of_bus, 1
    loads["type"] = LoadGenType.const_power
    loads["p_specified"] = loads["q_specified"] = 0.0

    source = component(ComponentType.source, len(network.slack_nodes))
    source["node"], source["status"] = network.slack_nodes, 1
    source["u_ref"], source["u_ref_angle"] = np.abs(network.slack_v), np.angle(network.slack_v)
    source["sk"] = source_va

    grid = {
        ComponentType.node: nodes,
        ComponentType.generic_branch: branches,
        ComponentType.sym_load: loads,
        ComponentType.source: source,
    }
    if len(with_shunt):
        grid[ComponentType.shunt] = shunts
    return grid
