"""The fleet as columns: one row per EV, one call per minute for all of them.

Rows are sorted by feeder, zone and arrival (ties by the EV's own figures), so that a zone is one
slice, first come is first row, and the order of a session file changes nothing but names.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.admission import laxity
from abm.equations.battery import (
    charged_in,
    charging_minutes,
    discharged_in,
    mean_power,
    plugged_hours,
    printed_goal,
    required_soc,
    soc_charged,
    soc_discharged,
    spare_soc,
    stored_energy,
)
from abm.equations.economics import purchase_cost, sale_revenue
from abm.equations.switching import can_move
from abm.equations.switching import mode as as_mode
from abm.fleet.stays import Stays
from abm.scenario.schema import Requirement

ModeArray = NDArray[np.int8]

# Step of an arrival that does not come.
NEVER = 2**62


class Mode(IntEnum):
    """What an EV asks for or does: V2G (-1), IDLE (0), G2V (1)."""

    V2G = -1
    IDLE = 0
    G2V = 1


@dataclass(frozen=True)
class Exchange:
    """Who moved energy in a step, as rows, and how much at the grid side, kWh, >= 0.

    switched: rows whose mode is not that of the step before.
    """

    charging: IntArray
    charged_kwh: FloatArray
    discharging: IntArray
    discharged_kwh: FloatArray
    switched: IntArray


def group_sums(values: FloatArray, group: IntArray, n_groups: int) -> FloatArray:
    """Sums of values (n,) by group (n,), 0 to n_groups - 1, -> (n_groups,).

    Added up in the order given, so that a group's sum depends on nothing but its own values.
    """
    return np.bincount(group, weights=values, minlength=n_groups).astype(np.float64, copy=False)


def canonical_order(stays: Stays, cell: IntArray) -> IntArray:
    """Order of rows by cell and arrival; ties by the EV's own figures, not by its place."""
    order = np.lexsort((stays.arrival_min, cell))
    arrival, in_cell = stays.arrival_min[order], cell[order]
    same = (arrival[1:] == arrival[:-1]) & (in_cell[1:] == in_cell[:-1])
    if same.any():
        tied = np.append(same, False) | np.insert(same, 0, False)
        rows = order[tied]
        # Last key first: the EVs' figures decide only within one cell and arrival.
        keys = (
            stays.efficiency,
            stays.p_discharge_kw,
            stays.p_max_kw,
            stays.soc_target,
            stays.capacity_kwh,
            stays.soc_arrival,
            stays.departure_min,
            stays.arrival_min,
            cell,
        )
        order[tied] = rows[np.lexsort([key[rows] for key in keys])]
    return order


class Fleet:
    """State of all EVs, arrays of shape (n,); see `Stays` for the columns that come from there.

    cell: feeder x n_zones + zone. arrival_step, departure_step: step in which a stay begins, step
    before which it has ended. soc: now, NaN before the first arrival.
    soc_goal: SoC that charging goes to. arrived: has been plugged in. plugged: between arrival and
    departure. has_charged: has begun to charge in this stay. request, mode: what it asks for and
    does in this minute (`Mode`). p_kw: mean power of this minute, grid side, positive = charging.
    window_h: hours of this step in which it is
    plugged in. need_kwh, surplus_kwh: battery-side energy up to soc_goal, down to soc_min.
    can_charge, can_discharge: plugged in with need, with surplus. charged_kwh, discharged_kwh: grid
    side, so far. switches: changes of mode while plugged in; a stay begins IDLE, and unplugging is
    no change. purchase_usd, sale_usd: so far. soc_departure: NaN until departure.
    """

    def __init__(
        self,
        stays: Stays,
        n_zones: int,
        n_feeders: int,
        requirement: Requirement,
        step_h: float,
    ) -> None:
        n = len(stays)
        cell = stays.feeder * n_zones + stays.zone
        order = canonical_order(stays, cell)
        self.n, self.n_zones, self.n_feeders = n, n_zones, n_feeders
        self.step_h = step_h
        self.names = stays.names
        # stay_index[row]: index in the table of stays; row_of[index]: the way back.
        self.stay_index: IntArray = order
        self.row_of: IntArray = np.empty(n, dtype=np.int64)
        self.row_of[order] = np.arange(n)
        self.feeder: IntArray = stays.feeder[order]
        self.zone: IntArray = stays.zone[order]
        self.cell: IntArray = cell[order]
        # rows of feeder k: first_row[k] to first_row[k + 1]; the same bounds hold for `stay_index`.
        self.first_row: IntArray = np.searchsorted(self.feeder, np.arange(n_feeders + 1))
        self.group: IntArray = stays.group[order]
        self.capacity_kwh: FloatArray = stays.capacity_kwh[order]
        self.p_max_kw: FloatArray = stays.p_max_kw[order]
        self.p_discharge_kw: FloatArray = stays.p_discharge_kw[order]
        self.efficiency: FloatArray = stays.efficiency[order]
        self.as_printed = requirement.kind == "as_printed"
        self.factor = requirement.factor

        self.soc: FloatArray = np.full(n, np.nan)
        self.begin(stays)
        self.plugged: BoolArray = np.zeros(n, dtype=np.bool_)
        self.can_charge: BoolArray = np.zeros(n, dtype=np.bool_)
        self.can_discharge: BoolArray = np.zeros(n, dtype=np.bool_)
        self.request: ModeArray = np.zeros(n, dtype=np.int8)
        self.mode: ModeArray = np.zeros(n, dtype=np.int8)
        self.need_kwh: FloatArray = np.zeros(n)
        self.surplus_kwh: FloatArray = np.zeros(n)
        self.window_h: FloatArray = np.full(n, step_h)
        self.p_kw: FloatArray = np.zeros(n)
        self.charged_kwh: FloatArray = np.zeros(n)
        self.discharged_kwh: FloatArray = np.zeros(n)
        self.switches: IntArray = np.zeros(n, dtype=np.int64)
        self.purchase_usd: FloatArray = np.zeros(n)
        self.sale_usd: FloatArray = np.zeros(n)
        self.plugged_count: IntArray = np.zeros(n_feeders * n_zones, dtype=np.int64)
        self.n_plugged = 0
        # stale: need and surplus of any EV may be out of date; _changed: of these rows they are.
        self.stale = True
        self.smallest_kw = float(self.p_max_kw.min(initial=np.inf))
        # Whether an arrival was written, so that rows are no longer in order of arrival.
        self.out_of_order = False
        self._changed: list[IntArray] = []
        self._booked_charged = np.zeros(n)
        self._booked_discharged = np.zeros(n)

    def begin(self, stays: Stays) -> None:
        """Take up the stays of a day, one per EV in the order of the table.

        Nobody is plugged in. Rows keep their places, so on later days they are out of order.
        """
        order = self.stay_index
        self.arrival_min: FloatArray = stays.arrival_min[order].astype(np.float64)
        self.departure_min: FloatArray = stays.departure_min[order].astype(np.float64)
        self.announced_min: FloatArray = stays.announced_min[order].astype(np.float64)
        self.plugs_in: BoolArray = stays.plugs_in[order]
        self.v2g: BoolArray = stays.v2g[order]
        self.boost: BoolArray = stays.boost[order]
        self.boosting = bool(self.boost.any())
        # forced: charges in this step whatever was asked; forced_kw: ratings of these by feeder.
        self.forced: BoolArray = np.zeros(self.n, dtype=np.bool_)
        self.forced_kw: FloatArray = np.zeros(self.n_feeders)
        self.soc_arrival: FloatArray = stays.soc_arrival[order]
        self.soc_target: FloatArray = stays.soc_target[order]
        self.soc_min: FloatArray = stays.soc_min[order]
        self.trip_kwh: FloatArray = stays.trip_kwh[order]
        self.trip_short_kwh: FloatArray = stays.trip_short_kwh[order]
        self.arrival_step, self.departure_step = self._steps(slice(None))
        self.soc_required: FloatArray = required_soc(self.soc_target, self.soc_arrival, self.factor)
        self.soc_goal: FloatArray = self.soc_target.copy()
        self.soc_departure: FloatArray = np.full(self.n, np.nan)
        self.arrived: BoolArray = np.zeros(self.n, dtype=np.bool_)
        self.has_charged: BoolArray = np.zeros(self.n, dtype=np.bool_)
        self.stale = True

    def last_soc(self) -> FloatArray:
        """What each battery held when it was last seen, in the order of the table of stays, (n,).

        On departure, or on coming home where it was not plugged in.
        """
        seen = np.where(self.arrived, self.soc, self.soc_arrival)
        return np.asarray(seen[self.row_of])

    def ev_id(self, row: int) -> str:
        """Name of an EV: as in the session file, else its number on its feeder, from 1."""
        index = int(self.stay_index[row])
        if self.names is not None:
            return self.names[index]
        return str(index - int(self.first_row[self.feeder[row]]) + 1)

    def in_steps(self, minutes: FloatArray) -> FloatArray:
        """Minutes as steps; within a billionth of a step's edge they are on it."""
        steps = minutes / (60.0 * self.step_h)
        nearest = np.round(steps)
        return np.where(np.abs(steps - nearest) < 1e-9, nearest, steps)

    def reschedule(self, row: int) -> None:
        """Arrival or departure of one EV has been written: its steps follow."""
        rows = slice(row, row + 1)
        self.out_of_order = True
        self.arrival_step[rows], self.departure_step[rows] = self._steps(rows)

    def _steps(self, rows: slice) -> tuple[IntArray, IntArray]:
        """Steps in which stays begin, and before which they have ended."""
        first = np.floor(self.in_steps(self.arrival_min[rows])).astype(np.int64)
        last = np.ceil(self.in_steps(self.departure_min[rows])).astype(np.int64)
        return np.where(self.plugs_in[rows], first, NEVER), last

    # --- plugging in and out -------------------------------------------------------------------

    def plug_in(self, rows: IntArray, step_start_min: float) -> None:
        """Start the stays of `rows` in the step that begins."""
        self.soc[rows] = self.soc_arrival[rows]
        self.arrived[rows] = True
        self.plugged[rows] = True
        self.has_charged[rows] = False
        self.mode[rows] = Mode.IDLE
        np.add.at(self.plugged_count, self.cell[rows], 1)
        self.n_plugged += len(rows)
        self._changed.append(rows)
        self.fit_window(rows, step_start_min)

    def fit_window(self, rows: IntArray, step_start_min: float) -> None:
        """How much of the step that begins `rows` are plugged in, arrival to departure."""
        begin, end = step_start_min, step_start_min + self.step_h * 60.0
        arrival, departure = self.arrival_min[rows], self.departure_min[rows]
        self.window_h[rows] = plugged_hours(arrival, departure, begin, end, self.step_h)

    def unplug(self, rows: IntArray) -> None:
        """End the stays of `rows` and book the SoC they leave with."""
        self.soc_departure[rows] = self.soc[rows]
        self.plugged[rows] = False
        self.can_charge[rows] = False
        self.can_discharge[rows] = False
        self.request[rows] = Mode.IDLE
        self.mode[rows] = Mode.IDLE
        self.p_kw[rows] = 0.0
        np.subtract.at(self.plugged_count, self.cell[rows], 1)
        self.n_plugged -= len(rows)

    def retarget(self, row: int) -> None:
        """The SoC wanted by one EV has changed: what it has to charge follows, eq. (3)."""
        self.soc_required[row] = required_soc(
            self.soc_target[row], self.soc_arrival[row], self.factor
        )
        if not self.as_printed:
            self.soc_goal[row] = self.soc_target[row]

    # --- the minute ----------------------------------------------------------------------------

    def assess(self) -> None:
        """Energy each EV still needs and could give: need_kwh, surplus_kwh, can_*.

        Both follow from the SoC, so within an hour only those that came or moved energy since the
        last call are looked at, unless `stale` says that anything may have been written.
        """
        if self.stale:
            self._assess(slice(None))
            self.smallest_kw = float(self.p_max_kw.min(initial=np.inf))
        else:
            for rows in self._changed:
                self._assess(rows)
        self._changed.clear()
        self.stale = False

    def _assess(self, rows: IntArray | slice) -> None:
        soc, capacity, plugged = self.soc[rows], self.capacity_kwh[rows], self.plugged[rows]
        if self.as_printed:
            # An EV that has not begun would start from the SoC of now.
            goal = printed_goal(soc, self.soc_required[rows])
            self.soc_goal[rows] = np.where(self.has_charged[rows], self.soc_goal[rows], goal)
        need = stored_energy(self.soc_goal[rows] - soc, capacity)
        surplus = stored_energy(spare_soc(soc, self.soc_min[rows]), capacity)
        self.need_kwh[rows] = need
        self.surplus_kwh[rows] = surplus
        self.can_charge[rows] = can_move(need, plugged)
        self.can_discharge[rows] = can_move(surplus, plugged & self.v2g[rows])

    def possible(self, asked: ModeArray) -> ModeArray:
        """`asked` where the EV can do it, IDLE elsewhere."""
        charge = np.logical_and(asked > 0, self.can_charge)
        discharge = np.logical_and(asked < 0, self.can_discharge)
        return np.asarray(as_mode(charge, discharge))

    def force(self) -> None:
        """Boosting EVs that can charge do so in this step, whatever anybody asks."""
        np.logical_and(self.boost, self.can_charge, out=self.forced)
        rows = np.flatnonzero(self.forced)
        self.forced_kw = self.rated_kw(rows)
        self.request[rows] = Mode.G2V

    def rated_kw(self, rows: IntArray) -> FloatArray:
        """Sum of the charger ratings of some EVs, per feeder, (n_feeders,) [kW]."""
        return group_sums(self.p_max_kw[rows], self.feeder[rows], self.n_feeders)

    def charging_minutes_left(self) -> FloatArray:
        """Minutes of charging at full rating that the need would take, eq. (1); not below 0."""
        return np.asarray(charging_minutes(self.need_kwh, self.p_max_kw, self.efficiency))

    def laxity_min(self, minute: float) -> FloatArray:
        """Slack: minutes until the announced departure less those of charging still needed."""
        left_min = self.charging_minutes_left()
        return np.asarray(laxity(self.announced_min, self.arrival_min, minute, left_min))

    def exchange(self, mode: ModeArray) -> Exchange:
        """Move the energy of one step.

        The battery gains e x efficiency and loses e / efficiency. The rating limits the grid side;
        in the step that reaches a bound the energy is what just reaches it.
        """
        # ndarray.nonzero takes half the time of np.flatnonzero, and this is done every step.
        switched = (mode != self.mode).nonzero()[0]
        if len(switched):
            self.switches[switched] += 1
        self.mode = mode
        self.p_kw[:] = 0.0
        charging, discharging = (mode > 0).nonzero()[0], (mode < 0).nonzero()[0]
        charged, discharged = self._charge(charging), self._discharge(discharging)
        moved = Exchange(charging, charged, discharging, discharged, switched)
        self._changed += [rows for rows in (charging, discharging) if len(rows)]
        return moved

    def _charge(self, rows: IntArray) -> FloatArray:
        efficiency, hours = self.efficiency[rows], self.window_h[rows]
        e: FloatArray = charged_in(self.need_kwh[rows], self.p_max_kw[rows], efficiency, hours)
        self.soc[rows] = soc_charged(
            self.soc[rows], e, efficiency, self.capacity_kwh[rows], self.soc_goal[rows]
        )
        self.has_charged[rows] = True
        self.charged_kwh[rows] += e
        self.p_kw[rows] = mean_power(e, self.step_h)
        return e

    def _discharge(self, rows: IntArray) -> FloatArray:
        efficiency, hours = self.efficiency[rows], self.window_h[rows]
        rating = self.p_discharge_kw[rows]
        e: FloatArray = discharged_in(self.surplus_kwh[rows], rating, efficiency, hours)
        self.soc[rows] = soc_discharged(
            self.soc[rows], e, efficiency, self.capacity_kwh[rows], self.soc_min[rows]
        )
        self.discharged_kwh[rows] += e
        self.p_kw[rows] = -mean_power(e, self.step_h)
        return e

    def book_hour(self, price: float, sale_ratio: float) -> None:
        """Put the energy since the last call on the owners' bills, eqs. (19)-(21).

        price: alpha(h), $/kWh. sale_ratio: 0.6 in eq. (21).
        """
        self.purchase_usd += purchase_cost(price, self.charged_kwh - self._booked_charged)
        sold = self.discharged_kwh - self._booked_discharged
        self.sale_usd += sale_revenue(price, sold, sale_ratio)
        np.copyto(self._booked_charged, self.charged_kwh)
        np.copyto(self._booked_discharged, self.discharged_kwh)
