"""The solver of a three-phase feeder, checked once per content against others.

power-grid-model's asymmetric load flow is the other opinion where it can model the feeder. Where it
cannot, the admittances of all nodes are: a sparse matrix that is put together and factorised
without the tree that the solver walks over.
"""

from __future__ import annotations

import warnings
from typing import Protocol

import numpy as np

from abm.equations import ComplexArray, FloatArray
from abm.errors import LoadFlowError
from abm.grid.agreement import (
    AGREE_MW,
    AGREE_PU,
    CHECK_FACTORS,
    LoadFlowWarning,
    UnsupportedFeederError,
    memory_file,
    remember,
    remembered,
)
from abm.grid.phase_flow import Terminals
from abm.grid.phase_network import PhaseNetwork, node_admittances, phase_network
from abm.grid.phase_power_grid_model import PowerGridModelPhases, beyond
from abm.grid.phase_solve import ThreePhaseSolver
from abm.scenario.phase_values import PhaseValues

# Relative change of a voltage to which the fixed point of all nodes goes, and with which it is
# content at the end: rounding leaves more than the former where a switch is no more than 1e-7 ohm.
_DIGITS = 1e-12
_SAME = 1e-8
# Who solves: ours is compiled by numba.
_PACKAGES = ("power-grid-model", "scipy", "numpy", "numba")
_SOLVERS: dict[str, ThreePhaseSolver] = {}


class Voltages(Protocol):
    """Another way to the voltages of all buses."""

    name: str

    def __init__(self, values: PhaseValues) -> None: ...

    def voltages(self, p_mw: FloatArray, q_mvar: FloatArray) -> ComplexArray:
        """Of B load flows, p_mw, q_mvar [B, T] at the terminals, V, [B, buses, 3]; NaN if none."""
        ...


class NodeVoltages:
    """The same fixed point over the admittances of all nodes.

    UnsupportedFeederError: phases of a line are joined to nothing.
    """

    name = "the admittances of all nodes"

    def __init__(self, values: PhaseValues) -> None:
        from scipy.sparse.linalg import splu

        self._terminals = Terminals.of(values)
        self._network: PhaseNetwork = phase_network(values)
        y, self._current = node_admittances(values, self._network)
        self._free = np.asarray(y.diagonal() != 0.0)
        self._fixed = np.zeros(y.shape[0], dtype=np.complex128)
        if self._network.stiff:
            at = slice(3 * values.source_bus, 3 * values.source_bus + 3)
            self._fixed[at], self._free[at] = self._network.source_v, False
            self._current = -(y @ self._fixed)
        try:
            self._factors = splu(y[self._free][:, self._free].tocsc())
        except RuntimeError:  # of SuperLU, for a matrix without an inverse
            raise UnsupportedFeederError("cannot model phases that nothing supplies") from None
        bus = values.home_bus[self._terminals.home]
        two = self._terminals.to_phase >= 0
        self._one = 3 * bus + self._terminals.phase
        self._other = np.where(two, 3 * bus + self._terminals.to_phase, -1)

    def voltages(self, p_mw: FloatArray, q_mvar: FloatArray) -> ComplexArray:
        """See `Voltages.voltages`."""
        found = np.full((len(p_mw), len(self._fixed)), complex(np.nan, np.nan))
        for row, s in enumerate(1e6 * (p_mw + 1j * q_mvar)):
            drawn = np.zeros(len(s), dtype=np.complex128)
            last = np.full(len(s), np.inf)
            for _ in range(200):
                current = np.append(self._current, 0.0)
                np.subtract.at(current, self._one, drawn)
                np.add.at(current, self._other, drawn)
                v = np.append(self._fixed, 0.0)
                v[:-1][self._free] = self._factors.solve(current[:-1][self._free])
                across = v[self._one] - v[self._other]
                change = float((np.abs(across - last) / np.abs(across)).max(initial=0.0))
                if change <= _DIGITS:
                    break
                drawn, last = np.conj(s / across), across
            if change <= _SAME:
                found[row] = v[:-1]
        return found.reshape(len(p_mw), -1, 3)


def three_phase_solver(values: PhaseValues, key: str) -> ThreePhaseSolver:
    """The solver of a network, one per process; key: digest of its content.

    It is compared with another way to the same voltages first (`CHECK_FACTORS` times the nominal
    load), unless that was done before; its `checked_by` says with which. Where they differ by more
    than `AGREE_PU`, `AGREE_MW`, a `LoadFlowWarning` says so. Raises what `ThreePhaseSolver` does,
    and LoadFlowError where not even the nominal load can be solved.
    """
    if key not in _SOLVERS:
        _SOLVERS[key] = solver = ThreePhaseSolver(values)
        doubt = _check(solver)
        if doubt:
            warnings.warn(doubt, LoadFlowWarning, stacklevel=2)
    return _SOLVERS[key]


def _check(solver: ThreePhaseSolver) -> str:
    """In words what is wrong with a solver; "" where another one agrees, which is remembered."""
    p, q = solver.nominal()
    if not solver.solve(p[np.newaxis], q[np.newaxis], lines=False).converged.all():
        raise LoadFlowError("the load flow does not converge at nominal load")
    lacks = beyond(solver.values)
    kind: type[Voltages] = NodeVoltages if lacks else PowerGridModelPhases
    solver.checked_by = f"{kind.name}, as power-grid-model {lacks}" if lacks else kind.name
    memory = memory_file(_PACKAGES, vars(solver.values).values())
    if remembered(memory):
        return ""
    try:
        doubt = disagreement(solver, kind(solver.values))
    except UnsupportedFeederError as error:
        doubt = f"is not checked: {kind.name} {error}"
    if not doubt:
        remember(memory)
        return ""
    solver.checked_by = ""
    return f"{solver.name} {doubt}"


def disagreement(solver: ThreePhaseSolver, other: Voltages) -> str:
    """In words, how a solver differs from another way to the voltages; "" when they agree.

    Cases that the other cannot solve are skipped.
    """
    values, terminals = solver.values, solver.terminals
    factor = np.array(CHECK_FACTORS)[:, np.newaxis]
    p, q = (factor * power for power in solver.nominal())
    found, wanted = solver.solve(p, q, lines=False), other.voltages(p, q)
    solved = np.isfinite(wanted).all(axis=(1, 2))
    if not solved.any():
        return f"is not checked: {other.name} gives no voltages"
    if not found.converged[solved].all():
        return f"does not converge where {other.name} does"
    bus, two = values.home_bus[terminals.home], terminals.to_phase >= 0
    across = wanted[:, bus, terminals.phase]
    across -= np.where(two, wanted[:, bus, terminals.to_phase], 0.0)
    vm_pu = np.abs(across) * np.where(two, 1e-3, 1e-3 * np.sqrt(3.0)) / values.vn_kv[bus]
    volts = np.abs(found.vm_pu - terminals.per_home_min(vm_pu))[solved].max(initial=0.0)
    given = _source_mw(values, wanted)
    power = np.abs(found.slack_p_mw - given) / np.maximum(1.0, np.abs(given))
    worst = power[solved].max(initial=0.0)
    if volts <= AGREE_PU and worst <= AGREE_MW:
        return ""
    return f"differs from {other.name} by {volts:.2g} p.u. and {worst:.2g} MW"


def _source_mw(values: PhaseValues, v: ComplexArray) -> FloatArray:
    """What the source feeds in at these voltages [B, buses, 3], MW, [B]."""
    network = phase_network(values)
    at = v[:, values.source_bus]
    if network.stiff:
        y, _ = node_admittances(values, network)
        rows = y[3 * values.source_bus : 3 * values.source_bus + 3]
        current = (rows @ v.reshape(len(v), -1).T).T
    else:
        current = (network.source_v - at) @ network.source_y.T
    power: FloatArray = (at * np.conj(current)).real.sum(axis=1) / 1e6
    return power
