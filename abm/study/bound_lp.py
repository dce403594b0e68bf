"""The bound as a linear programme, see `abm.control.programme`: one feeder, its EVs by steps.

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

from dataclasses import dataclass

import numpy as np

from abm.control.programme import Batteries, Programme
from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.battery import energy_gained
from abm.fleet import Fleet

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

    def of(self, rows: slice) -> slice:
        """Slots of consecutive EVs."""
        return slice(int(self.first[rows.start]), int(self.first[rows.stop]))


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


def feeder_programme(
    fleet: Fleet,
    slots: Slots,
    limits: Limits,
    rows: slice,
    base_kw: FloatArray,
    prices: tuple[FloatArray, FloatArray],
    plugged: BoolArray,
    window_min: int,
) -> Programme:
    """The linear programme of one feeder.

    rows: the feeder's EVs in the fleet. base_kw: by window of window_min, (W,). prices: what a
    kWh costs and earns by step of the slots [$/kWh]. plugged: windows that the peak is taken over,
    (W,).
    """
    mine = slots.of(rows)
    ev, (buys, sells) = slots.ev[mine], (price[slots.step[mine]] for price in prices)
    first, last = np.ones(len(ev), dtype=np.bool_), np.ones(len(ev), dtype=np.bool_)
    first[1:] = ev[1:] != ev[:-1]
    last[:-1] = first[1:]
    eta, windows = fleet.efficiency[ev], np.flatnonzero(plugged)
    batteries = Batteries(
        first=first,
        window=np.searchsorted(windows, slots.step[mine] * slots.step_min // window_min),
        hours=slots.window_h[mine],
        charge_kw=fleet.p_max_kw[ev],
        discharge_kw=np.where(fleet.v2g[ev], fleet.p_discharge_kw[ev], 0.0),
        gain=eta,
        loss=1.0 / eta,
        start=(fleet.soc_arrival * fleet.capacity_kwh)[ev],
        floor=np.where(last, limits.needed[ev], limits.floor[ev]),
        ceiling=limits.ceiling[ev],
        burns=pays_to_turn_over(fleet, slots, *prices)[mine],
        buys=buys,
        sells=sells,
    )
    return Programme(batteries, base_kw[windows], np.full(len(windows), window_min / 60.0))


def pays_to_turn_over(fleet: Fleet, slots: Slots, buys: FloatArray, sells: FloatArray) -> BoolArray:
    """Slots in which buying and selling at once would pay: only there it has to be held back.

    Elsewhere an optimum that does both is no better than one that does the difference.
    """
    ev = slots.ev
    pays = buys[slots.step] < sells[slots.step] * fleet.efficiency[ev] ** 2
    return np.asarray(pays & fleet.v2g[ev] & (fleet.p_discharge_kw[ev] > 0.0))


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
