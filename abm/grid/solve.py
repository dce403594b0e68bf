"""What a load-flow solver takes and gives, and which one is used.

power-grid-model is fast, pandapower is the reference. Nobody has to trust the fast one: before it
is used on a feeder it has to agree with the reference there.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from abm.errors import InputError, LoadFlowError, Problem, nearest
from abm.grid.equations import FloatArray

if TYPE_CHECKING:
    from abm.grid.feeder import Feeder

SOLVERS = ("power-grid-model", "pandapower")

# Farther out, or with this much power missing, a "solution" is an artefact of the iteration.
VM_PLAUSIBLE_PU = (0.3, 2.0)
MISMATCH_LIMIT_MVA = 1e-4
# Beyond what any feeder carries, and far from where squares overflow.
LARGEST_LOAD_MVA = 1e9

AGREE_PU = 1e-6
AGREE_MW = 1e-6
# Nominal, light load, and every customer feeding in.
CHECK_FACTORS = (1.0, 0.3, -0.6)

_CHECKED: dict[tuple[str, str], tuple[Solver, str]] = {}


class LoadFlowWarning(UserWarning):
    """The solver that was asked for is not the one that is used."""


class UnsupportedFeederError(LoadFlowError):
    """The feeder holds something that this solver does not model; another solver may."""


@dataclass(frozen=True, eq=False)
class PowerFlow:
    """B load flows. A row that did not converge is NaN throughout, with converged False.

    vm_pu, va_rad: float64 [B, n_bus], voltage magnitude p.u. and angle rad.
    i_a: float64 [B, n_line], current A, the larger of the two ends.
    line_loss_mw: float64 [B, n_line]; loss_mw: float64 [B], all that the network loses (slack power
    less net load: lines, transformers, shunts), MW.
    slack_p_mw, slack_q_mvar: float64 [B], taken from the external grids, MW and Mvar.
    converged: bool [B]. mismatch_mva: float64 [B], residual of eqs. (10), (11).
    """

    vm_pu: FloatArray
    va_rad: FloatArray
    i_a: FloatArray
    loss_mw: FloatArray
    line_loss_mw: FloatArray
    slack_p_mw: FloatArray
    slack_q_mvar: FloatArray
    converged: NDArray[np.bool_]
    mismatch_mva: FloatArray


class Solver(Protocol):
    """Anything that solves batches of load flows on one feeder."""

    name: str

    def solve(self, p_mw: FloatArray, q_mvar: FloatArray) -> PowerFlow:
        """Solve B load flows. p_mw, q_mvar: float64 [B, n_bus], net load, consumption positive.

        Never raises for a row that cannot be solved (too much load, NaN or infinite input): see
        `PowerFlow`. Rows do not influence each other. ValueError for arrays of another shape.
        """
        ...


def empty_power_flow(rows: int, n_bus: int, n_line: int) -> PowerFlow:
    """B = rows load flows of which none has converged yet, to be filled in."""

    def unknown(*shape: int) -> FloatArray:
        return np.full(shape, np.nan)

    return PowerFlow(
        vm_pu=unknown(rows, n_bus),
        va_rad=unknown(rows, n_bus),
        i_a=unknown(rows, n_line),
        loss_mw=unknown(rows),
        line_loss_mw=unknown(rows, n_line),
        slack_p_mw=unknown(rows),
        slack_q_mvar=unknown(rows),
        converged=np.zeros(rows, dtype=np.bool_),
        mismatch_mva=unknown(rows),
    )


def checked_load(
    p_mw: FloatArray, q_mvar: FloatArray, n_bus: int
) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Loads as float64 [B, n_bus], and which rows can be tried, bool [B]; the others are zeroed.

    Rows with NaN, infinite or astronomic values cannot. ValueError for arrays of another shape.
    """
    p = np.asarray(p_mw, dtype=np.float64)
    q = np.asarray(q_mvar, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] != n_bus or q.shape != p.shape:
        raise ValueError(
            f"p_mw and q_mvar have to be [B, {n_bus}], not {list(p.shape)} and {list(q.shape)}"
        )
    largest: FloatArray = np.maximum(np.abs(p), np.abs(q)).max(axis=1, initial=0.0)
    usable = largest < LARGEST_LOAD_MVA
    if not usable.all():
        p = np.where(usable[:, np.newaxis], p, 0.0)
        q = np.where(usable[:, np.newaxis], q, 0.0)
    return p, q, usable


def make_solver(name: str, feeder: Feeder) -> Solver:
    """Solver by name, "power-grid-model" or "pandapower"; one per feeder content and process.

    power-grid-model is compared with pandapower on this feeder first (`CHECK_FACTORS` times the
    nominal load). Where it cannot model the feeder or differs by more than `AGREE_PU`, `AGREE_MW`,
    a `LoadFlowWarning` says so and the pandapower solver is returned. InputError: unknown name.
    """
    if name not in SOLVERS:
        raise InputError(
            [Problem("solver", name, f"one of {', '.join(SOLVERS)}", hint=nearest(name, SOLVERS))]
        )
    key = (name, feeder.key)
    if key not in _CHECKED:
        _CHECKED[key] = _make(name, feeder)
    solver, doubt = _CHECKED[key]
    if doubt:
        warnings.warn(doubt, LoadFlowWarning, stacklevel=2)
    return solver


def _make(name: str, feeder: Feeder) -> tuple[Solver, str]:
    from abm.grid.fast import PowerGridModelSolver
    from abm.grid.reference import PandapowerSolver

    reference = PandapowerSolver(feeder)
    if name == reference.name:
        return reference, ""
    try:
        fast = PowerGridModelSolver(feeder)
    except UnsupportedFeederError as error:
        doubt = str(error)
    else:
        doubt = disagreement(fast, reference, feeder)
        if not doubt:
            return fast, ""
    return reference, f"feeder {feeder.name!r}: {name} {doubt}; pandapower is used instead"


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
