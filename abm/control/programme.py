"""Batteries on a feeder as a linear programme, solved by HiGHS: the bound's, and that of `mpc`.

A slot is a stretch of time in which a battery can be used, a window a stretch over which demand is
a mean. Variables, by battery and slot: c, d energy charged and discharged at the grid side, e
energy in the battery at the end of the slot, all kWh; and the peak T, kW.

    e_t = e_(t-1) + gain c_t - loss d_t           e before the first slot: start
    0 <= c <= C_c w,  0 <= d <= C_d w             w: hours of the slot in which it can be used
    c / C_c + d / C_d <= w                        where it burns: turning energy over would pay
    floor <= e <= ceiling
    base(w) + sum over the slots of w of (c - d) / h <= T     for every window w, h hours long
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from abm.equations import BoolArray, FloatArray, IntArray
from abm.errors import OptimiserError

if TYPE_CHECKING:
    import scipy.sparse as sp

# Interior point without a crossover to a vertex, which takes three times as long as the rest and
# changes neither value beyond these tolerances.
OPTIONS: dict[str, Any] = {
    "output_flag": False,
    "solver": "ipm",
    "run_crossover": "off",
    "ipm_optimality_tolerance": 1e-10,
    "primal_feasibility_tolerance": 1e-9,
    "dual_feasibility_tolerance": 1e-9,
}
# Where interior point ends without an optimum the simplex method, slow and sure, has a try; without
# presolve, which takes what is within 1e-9 kWh for infeasible where batteries are nearly full.
SECOND_TRY: dict[str, Any] = {"solver": "simplex", "presolve": "off"}
OPTIMAL = "Optimal"
# The peak of the first phase, held in the second with this much of room for rounding, relative.
PEAK_ROOM = 1e-7


@dataclass(frozen=True, eq=False)
class Batteries:
    """Batteries by the slots in which they can be used, sorted by battery and time; arrays (m,).

    first: whether the slot is the first of its battery. window: of the slot, from 0. hours: of it
    in which the battery can be used. charge_kw, discharge_kw: ratings at the grid side. gain, loss:
    kWh that the battery has more for each charged, less for each discharged. start: what it has
    before its first slot, kWh; only read there. floor, ceiling: of what it has at the end of the
    slot. buys, sells: price of what is charged and discharged, $/kWh. burns: whether charging and
    discharging at once would pay, so that it has to be held back.
    """

    first: BoolArray
    window: IntArray
    hours: FloatArray
    charge_kw: FloatArray
    discharge_kw: FloatArray
    gain: FloatArray
    loss: FloatArray
    start: FloatArray
    floor: FloatArray
    ceiling: FloatArray
    buys: FloatArray
    sells: FloatArray
    burns: BoolArray


@dataclass(frozen=True)
class SolvedPhase:
    """One solved linear programme: its value (kW or $), HiGHS's own words, iterations, seconds."""

    value: float
    status: str
    iterations: int
    seconds: float


class Programme:
    """The linear programme of one feeder.

    base_kw, window_h: demand without the batteries and length of each window, (W,).
    """

    def __init__(self, batteries: Batteries, base_kw: FloatArray, window_h: FloatArray) -> None:
        own = batteries
        m = self.n_slots = len(own.window)
        slot, after = np.arange(m), np.flatnonzero(~own.first)
        self._balance = _matrix(
            (m, 3 * m + 1),
            (slot, 2 * m + slot, np.ones(m)),
            (after, 2 * m + after - 1, -np.ones(len(after))),
            (slot, slot, -own.gain),
            (slot, m + slot, own.loss),
        )
        self._start = np.where(own.first, own.start, 0.0)

        self.burns = own.burns
        shared = np.flatnonzero(self.burns)
        n_windows, n_shared = len(base_kw), len(shared)
        share = n_windows + np.arange(n_shared)
        kw_per_kwh = (1.0 / window_h)[own.window]
        self._demand = _matrix(
            (n_windows + n_shared, 3 * m + 1),
            (own.window, slot, kw_per_kwh),
            (own.window, m + slot, -kw_per_kwh),
            (np.arange(n_windows), np.full(n_windows, 3 * m), -np.ones(n_windows)),
            (share, shared, 1.0 / own.charge_kw[shared]),
            (share, m + shared, 1.0 / own.discharge_kw[shared]),
        )
        self._most = np.concatenate([-base_kw, own.hours[shared]])
        self._n_windows = n_windows
        most_c, most_d = own.charge_kw * own.hours, own.discharge_kw * own.hours
        self._lower = np.concatenate([np.zeros(2 * m), own.floor, [-np.inf]])
        self._upper = np.concatenate([most_c, most_d, own.ceiling, [np.inf]])
        self._cost = np.concatenate([own.buys, -own.sells, np.zeros(m), [0.0]])

    @property
    def size(self) -> dict[str, int]:
        """Columns, rows and non-zeros."""
        return {
            "columns": 3 * self.n_slots + 1,
            "rows": self._balance.shape[0] + self._demand.shape[0],
            "nonzeros": int(self._balance.nnz + self._demand.nnz),
        }

    def demand_kw(self, c: FloatArray, d: FloatArray) -> FloatArray:
        """Demand in the windows with these energies [kWh], (W,) [kW]."""
        n = self._n_windows
        x = np.concatenate([c, d, np.zeros(self.n_slots + 1)])
        return np.asarray(self._demand[:n] @ x - self._most[:n])

    def lowest_peak(self) -> tuple[SolvedPhase, FloatArray, FloatArray]:
        """Minimise T [kW]. -> phase, c, d. OptimiserError where HiGHS finds no optimum."""
        objective = np.zeros(3 * self.n_slots + 1)
        objective[-1] = 1.0
        return self._solve("the lowest peak", objective, np.inf)

    def lowest_cost(self, peak_kw: float) -> tuple[SolvedPhase, FloatArray, FloatArray]:
        """Minimise the net cost [$] with T at most peak_kw. -> phase, c, d. OptimiserError too."""
        return self._solve("the lowest net cost", self._cost, peak_kw)

    def _solve(
        self, what: str, objective: FloatArray, peak_kw: float
    ) -> tuple[SolvedPhase, FloatArray, FloatArray]:
        import highspy
        import scipy.sparse as sp

        upper = self._upper.copy()
        upper[-1] = peak_kw
        rows = sp.vstack([self._demand, self._balance], format="csc")
        unbounded = np.full(self._demand.shape[0], -np.inf)
        programme = highspy.HighsLp()
        programme.num_row_, programme.num_col_ = rows.shape
        programme.col_cost_ = objective
        programme.col_lower_, programme.col_upper_ = self._lower, upper
        programme.row_lower_ = np.concatenate([unbounded, self._start])
        programme.row_upper_ = np.concatenate([self._most, self._start])
        matrix = programme.a_matrix_
        matrix.format_ = highspy.MatrixFormat.kColwise
        matrix.start_, matrix.index_, matrix.value_ = rows.indptr, rows.indices, rows.data
        began = time.perf_counter()
        solver = _solved(programme, OPTIONS)
        status = solver.modelStatusToString(solver.getModelStatus())
        if status != OPTIMAL:
            solver = _solved(programme, {**OPTIONS, **SECOND_TRY})
            again = solver.modelStatusToString(solver.getModelStatus())
            if again != OPTIMAL:
                said = f"{status}, and by the simplex method: {again}"
                raise OptimiserError(f"{what}: HiGHS found no optimum: {said}")
            status = again
        took = time.perf_counter() - began
        m, info = self.n_slots, solver.getInfo()
        x = np.array(solver.getSolution().col_value, dtype=np.float64)
        iterations = int(info.ipm_iteration_count + info.simplex_iteration_count)
        phase = SolvedPhase(info.objective_function_value, status, iterations, took)
        return phase, x[:m], x[m : 2 * m]


def _solved(programme: Any, options: dict[str, Any]) -> Any:
    """HiGHS after it has worked on a programme; a fresh one, so that nothing of others is left."""
    import highspy

    make: Any = highspy.Highs  # its types are half there
    solver = make()
    for option, value in options.items():
        solver.setOptionValue(option, value)
    solver.passModel(programme)
    solver.run()
    return solver


def _matrix(shape: tuple[int, int], *parts: tuple[IntArray, IntArray, FloatArray]) -> sp.csr_array:
    """A sparse matrix from triplets of row, column, value."""
    import scipy.sparse as sp

    rows, columns, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    return sp.csr_array((values, (rows, columns)), shape=shape)
