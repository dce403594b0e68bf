"""The solver of a three-phase feeder, one per content and process."""

from __future__ import annotations

from abm.grid.phase_solve import ThreePhaseSolver
from abm.scenario.phase_values import PhaseValues

_SOLVERS: dict[str, ThreePhaseSolver] = {}


def three_phase_solver(values: PhaseValues, key: str) -> ThreePhaseSolver:
    """The solver of a network; key: digest of its content. Raises what `ThreePhaseSolver` does."""
    if key not in _SOLVERS:
        _SOLVERS[key] = ThreePhaseSolver(values)
    return _SOLVERS[key]
