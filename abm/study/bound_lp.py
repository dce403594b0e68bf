"""The bound as a linear programme: one feeder, its EVs by steps, solved by HiGHS.

Variables, by EV i and step t in which it is plugged in (a slot): c, d energy charged and discharged
at the grid side, e energy in the battery at the end of the step, all kWh; and the peak T, kW.

    e_t = e_(t-1) + eta c_t - d_t / eta           e before the first slot: soc_arrival x C_b
    0 <= c <= C_c w,  0 <= d <= C_d w             w: hours of the step in which it is plugged in
    c / C_c + d / C_d <= w                        where turning energy over would pay
    floor <= e <= ceiling, e_last >= needed
    base(w) + sum over the slots of w of (c - d) / h <= T     for windows w with an EV plugged in

A window is a quarter of an hour or an hour (h: its length in hours), the grain that the peak is
measured on; a step is no longer than a window.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.battery import energy_gained
from abm.errors import OptimiserError
from abm.fleet import Fleet

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
# The peak of the first phase, held in the second with this much of room for rounding, relative.
PEAK_ROOM = 1e-7
# Energies below this are rounding, kWh.
ROUNDING_KWH = 1e-9


@dataclass(frozen=True, eq=False)
class Slots:
    """EV-steps in which an EV is plugged in, by EV and time; arrays of shape (m,).

    ev: row of the fleet. step: from the start of the horizon. window_h: hours of the step in which
    the EV is plugged in. first: slots of EV i are first[i] to first[i + 1], (n + 1,). step_min:
    length of a step, min.
    """

    step_min: int
    ev: IntArray
    step: IntArray
    window_h: FloatArray
    first: IntArray

    @property
    def hour(self) -> IntArray:
        """Hour of the horizon of each slot."""
        return self.step * self.step_min // 60


def make_slots(fleet: Fleet, step_min: int, hours: int) -> Slots:
    """The slots of all EVs of a fleet within a horizon of so many hours."""
    begin = np.maximum(fleet.arrival_min, 0.0)
    end = np.minimum(fleet.departure_min, 60.0 * hours)
    first_step = np.floor(_on_edge(begin / step_min)).astype(np.int64)
    count = np.maximum(np.ceil(_on_edge(end / step_min)).astype(np.int64) - first_step, 0)
    count = np.where(fleet.plugs_in, count, 0)
    first = np.concatenate([[0], np.cumsum(count)])
    ev = np.repeat(np.arange(fleet.n), count)
    step = first_step[ev] + np.arange(first[-1]) - first[ev]
    window_min = np.minimum(end[ev], (step + 1.0) * step_min) - np.maximum(
        begin[ev], step * float(step_min)
    )
    return Slots(step_min, ev, step, window_min / 60.0, first)


def _on_edge(steps: FloatArray) -> FloatArray:
    """Times in steps; a sliver from a step's edge they are on it, as they are for the model."""
    nearest = np.round(steps)
    return np.where(np.abs(steps - nearest) < 1e-8, nearest, steps)


@dataclass(frozen=True, eq=False)
class Limits:
    """Energy in the battery that each EV has to keep within, kWh, (n,).

    floor: the V2G threshold, or the energy on arrival where that is less. ceiling: soc_upper, or
    the energy on arrival where that is more. needed: at the last step of the horizon in which the
    EV is plugged in; for an EV that leaves later, what still lets it leave with soc_target.
    lacking: what it misses of soc_target even charging all the time, else 0.
    """

    floor: FloatArray
    ceiling: FloatArray
    needed: FloatArray
    lacking: FloatArray


def energy_limits(fleet: Fleet, slots: Slots, soc_upper: float, hours: int) -> Limits:
    """The limits of every EV; EVs that never come within the horizon lack nothing."""
    capacity = fleet.capacity_kwh
    arrival = fleet.soc_arrival * capacity
    floor = np.minimum(fleet.soc_min * capacity, arrival)
    ceiling = np.maximum(soc_upper * capacity, arrival)
    here_h = np.bincount(slots.ev, weights=slots.window_h, minlength=fleet.n)
    later_h = np.maximum(fleet.departure_min - 60.0 * hours, 0.0) / 60.0
    gain_kw = fleet.p_max_kw * fleet.efficiency
    most = np.minimum(ceiling, arrival + gain_kw * here_h)
    target = fleet.soc_target * capacity
    lacking = target - np.minimum(ceiling, most + gain_kw * later_h)
    lacking = np.where((lacking > ROUNDING_KWH) & (here_h > 0.0), lacking, 0.0)
    needed = np.clip(np.minimum(target, ceiling) - gain_kw * later_h, floor, most)
    return Limits(floor, ceiling, needed, lacking)


@dataclass(frozen=True)
class SolvedPhase:
    """One solved linear programme: its value (kW or $), HiGHS's own words, iterations, seconds."""

    value: float
    status: str
    iterations: int
    seconds: float


class FeederProgramme:
    """The linear programme of one feeder.

    rows: the feeder's EVs in the fleet. base_kw: by window of window_min, (W,). price [$/kWh]: by
    hour of the horizon, (H,). plugged: windows that the peak is taken over, (W,).
    """

    def __init__(
        self,
        fleet: Fleet,
        slots: Slots,
        limits: Limits,
        rows: slice,
        base_kw: FloatArray,
        price: FloatArray,
        sale_ratio: float,
        plugged: BoolArray,
        window_min: int,
    ) -> None:
        mine = slice(int(slots.first[rows.start]), int(slots.first[rows.stop]))
        ev, window_h, hour = slots.ev[mine], slots.window_h[mine], slots.hour[mine]
        m = self.n_slots = len(ev)
        slot, first = np.arange(m), np.ones(m, dtype=np.bool_)
        first[1:] = ev[1:] != ev[:-1]
        last = np.ones(m, dtype=np.bool_)
        last[:-1] = first[1:]
        eta = fleet.efficiency[ev]
        most_c, most_d = fleet.p_max_kw[ev] * window_h, fleet.p_discharge_kw[ev] * window_h
        most_d = np.where(fleet.v2g[ev], most_d, 0.0)

        after = np.flatnonzero(~first)
        self._balance = _matrix(
            (m, 3 * m + 1),
            (slot, 2 * m + slot, np.ones(m)),
            (after, 2 * m + after - 1, -np.ones(len(after))),
            (slot, slot, -eta),
            (slot, m + slot, 1.0 / eta),
        )
        arrival = (fleet.soc_arrival * fleet.capacity_kwh)[ev]
        self._start = np.where(first, arrival, 0.0)

        self.burns = _burns(fleet, slots, price, sale_ratio)[mine]
        windows, shared = np.flatnonzero(plugged), np.flatnonzero(self.burns)
        n_windows, n_shared = len(windows), len(shared)
        row = np.searchsorted(windows, slots.step[mine] * slots.step_min // window_min)
        share = n_windows + np.arange(n_shared)
        kw_per_kwh = np.full(m, 60.0 / window_min)
        self._demand = _matrix(
            (n_windows + n_shared, 3 * m + 1),
            (row, slot, kw_per_kwh),
            (row, m + slot, -kw_per_kwh),
            (np.arange(n_windows), np.full(n_windows, 3 * m), -np.ones(n_windows)),
            (share, shared, 1.0 / fleet.p_max_kw[ev][shared]),
            (share, m + shared, 1.0 / fleet.p_discharge_kw[ev][shared]),
        )
        self._most = np.concatenate([-base_kw[windows], window_h[shared]])
        self._n_windows = n_windows
        floor = np.where(last, limits.needed[ev], limits.floor[ev])
        self._lower = np.concatenate([np.zeros(2 * m), floor, [-np.inf]])
        self._upper = np.concatenate([most_c, most_d, limits.ceiling[ev], [np.inf]])
        alpha = price[hour]
        self._cost = np.concatenate([alpha, -sale_ratio * alpha, np.zeros(m), [0.0]])

    @property
    def size(self) -> dict[str, int]:
        """Columns, rows and non-zeros."""
        return {
            "columns": 3 * self.n_slots + 1,
            "rows": self._balance.shape[0] + self._demand.shape[0],
            "nonzeros": int(self._balance.nnz + self._demand.nnz),
        }

    def demand_kw(self, c: FloatArray, d: FloatArray) -> FloatArray:
        """Demand in the windows with an EV plugged in, with these energies [kWh], (W',) [kW]."""
        n = self._n_windows
        x = np.concatenate([c, d, np.zeros(self.n_slots + 1)])
        return np.asarray(self._demand[:n] @ x - self._most[:n])

    def lowest_peak(self) -> tuple[SolvedPhase, FloatArray, FloatArray]:
        """Minimise T [kW]. -> phase, c, d."""
        objective = np.zeros(3 * self.n_slots + 1)
        objective[-1] = 1.0
        return self._solve("the lowest peak", objective, np.inf)

    def lowest_cost(self, peak_kw: float) -> tuple[SolvedPhase, FloatArray, FloatArray]:
        """Minimise the owners' net cost [$] with T at most peak_kw. -> phase, c, d."""
        return self._solve("the lowest net cost", self._cost, peak_kw)

    def _solve(
        self, what: str, objective: FloatArray, peak_kw: float
    ) -> tuple[SolvedPhase, FloatArray, FloatArray]:
        import highspy

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
        make: Any = highspy.Highs  # its types are half there
        solver = make()
        for option, value in OPTIONS.items():
            solver.setOptionValue(option, value)
        solver.passModel(programme)
        began = time.perf_counter()
        solver.run()
        took = time.perf_counter() - began
        status = solver.modelStatusToString(solver.getModelStatus())
        if status != "Optimal":
            raise OptimiserError(f"{what}: HiGHS found no optimum: {status}")
        m, info = self.n_slots, solver.getInfo()
        x = np.array(solver.getSolution().col_value, dtype=np.float64)
        phase = SolvedPhase(
            info.objective_function_value, status, int(info.ipm_iteration_count), took
        )
        return phase, x[:m], x[m : 2 * m]


def _burns(fleet: Fleet, slots: Slots, price: FloatArray, sale_ratio: float) -> BoolArray:
    """Slots in which buying and selling at once would pay: only there it has to be held back.

    Elsewhere an optimum that does both is no better than one that does the difference.
    """
    ev, alpha = slots.ev, price[slots.hour]
    pays = alpha * (1.0 - sale_ratio * fleet.efficiency[ev] ** 2) < 0.0
    return np.asarray(pays & (fleet.p_discharge_kw[ev] > 0.0))


def physical(
    fleet: Fleet, slots: Slots, limits: Limits, burns: BoolArray, c: FloatArray, d: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """What an EV does, from what the solver left within its tolerances. -> c, d [kWh].

    An EV charges or discharges, except where `burns`; ratings and SoC bounds hold to rounding.
    """
    ev = slots.ev
    eta = fleet.efficiency[ev]
    gain = energy_gained(c, d, eta)
    c = np.where(burns, c, np.maximum(gain, 0.0) / eta)
    d = np.where(burns, d, np.maximum(-gain, 0.0) * eta)
    c, d = np.where(c < ROUNDING_KWH, 0.0, c), np.where(d < ROUNDING_KWH, 0.0, d)
    c = np.minimum(c, fleet.p_max_kw[ev] * slots.window_h)
    d = np.minimum(d, fleet.p_discharge_kw[ev] * slots.window_h)
    energy = fleet.soc_arrival * fleet.capacity_kwh
    counts = np.diff(slots.first)
    for k in range(int(counts.max(initial=0))):
        rows = np.flatnonzero(counts > k)
        at, eff = slots.first[rows] + k, fleet.efficiency[rows]
        now = energy[rows] + eff * c[at] - d[at] / eff
        c[at] = np.maximum(c[at] - np.maximum(now - limits.ceiling[rows], 0.0) / eff, 0.0)
        d[at] = np.maximum(d[at] - np.maximum(limits.floor[rows] - now, 0.0) * eff, 0.0)
        now = energy[rows] + eff * c[at] - d[at] / eff
        energy[rows] = np.clip(now, limits.floor[rows], limits.ceiling[rows])
    return c, d


def _matrix(shape: tuple[int, int], *parts: tuple[IntArray, IntArray, FloatArray]) -> sp.csr_array:
    """A sparse matrix from triplets of row, column, value."""
    rows, columns, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    return sp.csr_array((values, (rows, columns)), shape=shape)
