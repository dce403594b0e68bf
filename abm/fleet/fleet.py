"""The fleet as columns: one row per EV, one call per minute for all of them.

Rows are sorted by feeder, zone and arrival (ties by the EV's own figures), so that a zone is one
slice, first come is first row, and the order of a session file changes nothing but names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.admission import laxity, whole_steps
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
    tapered_charge,
    tapered_minutes,
    tapered_rating,
)
from abm.equations.switching import can_move
from abm.equations.switching import mode as as_mode
from abm.fleet.cars import least_powers
from abm.fleet.columns import COLUMNS, Mode, ModeArray, OfEveryEV, group_sums
from abm.fleet.cycles import CycleStress, SocHistory
from abm.fleet.stays import Stays, canonical_order
from abm.scenario.fleet_fields import EvSection, Requirement

# Step of an arrival that does not come.
NEVER = 2**62


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


class Fleet(OfEveryEV):
    """State of all EVs, arrays of shape (n,): the columns of abm/fleet/columns.csv.

    plugged_count: EVs plugged in, by cell. boosting: whether anybody may charge whatever is asked;
    holds: whether chargers keep a mode for a least time. forced_kw, forced_give_kw: powers >= 0 of
    those that charge or discharge whatever is asked, by feeder. by_energy: whether an energy is all
    that is known of the need of EVs, see `abm.fleet.stays.by_energy`.
    """

    FIXED: ClassVar = ("feeder", "zone", "cell", "point", "group", "names", "ev",
                       "stay_index", "row_of", "first_row")  # fmt: skip

    def __init__(
        self,
        stays: Stays,
        n_zones: int,
        n_feeders: int,
        requirement: Requirement,
        step_h: float,
        charger: EvSection | None = None,
        cycle_stress: CycleStress | None = None,
    ) -> None:
        """cycle_stress: of `abm.fleet.cycles`; None: the history of the SoC is not followed."""
        n = len(stays)
        charger = EvSection() if charger is None else charger
        # A charger acts by whole steps.
        self.min_on_min = whole_steps(charger.min_on_min, 60.0 * step_h)
        self.min_off_min = whole_steps(charger.min_off_min, 60.0 * step_h)
        self.holds = self.min_on_min > 0.0 or self.min_off_min > 0.0
        # SoC from which on the power falls; 0 where it never does.
        self.taper = charger.taper or 0.0
        cell = stays.feeder * n_zones + stays.zone
        order = canonical_order(stays, cell)
        self.n, self.n_zones, self.n_feeders = n, n_zones, n_feeders
        self.step_h = step_h
        self.by_energy = False
        self.names = stays.names
        # stay_index[row]: index in the table of stays; row_of[index]: the way back.
        self.stay_index: IntArray = order
        # Which EV it is, where several rows are stays of one.
        self.ev: IntArray = stays.ev[order]
        self.row_of: IntArray = np.empty(n, dtype=np.int64)
        self.row_of[order] = np.arange(n)
        self.as_printed = requirement.kind == "as_printed"
        self.factor = requirement.factor
        self._begin_columns("run", stays)
        # Least power that each can be set to, (n,) [kW], and whether cars insist on anything else.
        self.min_charge_kw: FloatArray = least_powers(self, charger.min_charge_kw)
        self.wakes_within_min = charger.cars.wakes_within_min
        self.particular = bool((self.cannot_pause | self.does_not_wake).any())
        self.cell = cell[order]
        # rows of feeder k: first_row[k] to first_row[k + 1]; the same bounds hold for `stay_index`.
        self.first_row: IntArray = np.searchsorted(self.feeder, np.arange(n_feeders + 1))
        self.window_h = np.full(n, step_h)
        # Powers that the rule asks for in this step, >= 0, (n,) [kW]; None: each EV at its rating.
        self.asked_kw: FloatArray | None = None
        # The same of what was granted in the last step, and of those that are forced in this one.
        self.power_kw: FloatArray | None = None
        self.forced_power_kw: FloatArray | None = None
        self.begin(stays)
        self.plugged_count: IntArray = np.zeros(n_feeders * n_zones, dtype=np.int64)
        self.n_plugged = 0
        # stale: need and surplus of any EV may be out of date; _changed: of these rows they are.
        self.stale = True
        self.smallest_kw = float(self.p_max_kw.min(initial=np.inf))
        # Whether an arrival was written, so that rows are no longer in order of arrival.
        self.out_of_order = False
        self._changed: list[IntArray] = []
        self.history = SocHistory(n, cycle_stress) if cycle_stress is not None else None

    def begin(self, stays: Stays) -> None:
        """Take up the stays of a day, one per EV in the order of the table.

        Nobody is plugged in. Rows keep their places, so on later days they are out of order.
        """
        self._begin_columns("day", stays)
        self.boosting = bool(self.boost.any())
        self.forced_kw: FloatArray = np.zeros(self.n_feeders)
        self.forced_give_kw: FloatArray = np.zeros(self.n_feeders)
        self.arrival_step, self.departure_step = self._steps(slice(None))
        self.soc_required = required_soc(self.soc_target, self.soc_arrival, self.factor)
        self.soc_goal = self.soc_target.copy()
        self.stale = True

    def _begin_columns(self, begins: str, stays: Stays) -> None:
        """Give the columns that begin now what they begin with, but those that are worked out."""
        for column in COLUMNS.values():
            if column.begins == begins and column.from_stay:
                of_table = getattr(stays, column.name)[self.stay_index]
                setattr(self, column.name, of_table.astype(column.dtype, copy=False))
            elif column.begins == begins and column.start is not None:
                setattr(self, column.name, column.filled(self.n))

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
        if self.history is not None:
            self.history.arrive(rows, self.soc[rows], self.soc_arrival[rows])
        self.soc[rows] = self.soc_arrival[rows]
        self.arrived[rows] = True
        self.plugged[rows] = True
        self.has_charged[rows] = False
        self.mode[rows] = Mode.IDLE
        self.held_min[rows] = 0.0
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
        soc, capacity = self.soc[rows], self.capacity_kwh[rows]
        plugged = self.plugged[rows] & ~self.asleep[rows]
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

    def look_again(self, rows: IntArray) -> None:
        """What these EVs can do is worked out anew before the next step."""
        self._changed.append(rows)

    def possible(self, asked: ModeArray) -> ModeArray:
        """`asked` where the EV can do it, IDLE elsewhere."""
        charge = np.logical_and(asked > 0, self.can_charge)
        discharge = np.logical_and(asked < 0, self.can_discharge)
        return np.asarray(as_mode(charge, discharge))

    @property
    def most_kw(self) -> FloatArray:
        """Power that each EV can charge with now, (n,): its rating, less in a taper."""
        if not self.taper:
            return self.p_max_kw
        return np.asarray(tapered_rating(self.soc, self.p_max_kw, self.taper))

    @property
    def charging_kw(self) -> FloatArray:
        """Power of each EV when it charges, (n,): what it can, or less where less was asked for."""
        return self._at_most(self.most_kw)

    @property
    def discharging_kw(self) -> FloatArray:
        """Power of each EV when it discharges, >= 0: its rating or what was asked for, (n,)."""
        return self._at_most(self.p_discharge_kw)

    def _at_most(self, rating_kw: FloatArray) -> FloatArray:
        if self.asked_kw is None:
            return rating_kw
        return np.asarray(np.minimum(rating_kw, self.asked_kw))

    def draws_kw(self, full: BoolArray | bool = False) -> FloatArray:
        """Mean power that charging takes in this step, less where it ends or begins in it, (n,).

        full: EVs that charge at their rating whatever was asked for.
        """
        power_kw = self._at_most(self.p_max_kw)
        if self.asked_kw is not None:
            power_kw = np.where(full, self.p_max_kw, power_kw)
        drawn = self._drawn_kwh(np.arange(self.n), power_kw, self.window_h)
        return np.asarray(mean_power(drawn, self.step_h))

    def _drawn_kwh(self, rows: IntArray, power_kw: FloatArray, hours: FloatArray) -> FloatArray:
        """Energy that charging some EVs draws in so many hours, kWh; power_kw, hours: of `rows`."""
        need, efficiency = self.need_kwh[rows], self.efficiency[rows]
        if not self.taper:
            return np.asarray(charged_in(need, power_kw, efficiency, hours))
        soc, capacity, rating = self.soc[rows], self.capacity_kwh[rows], self.p_max_kw[rows]
        drawn = tapered_charge(need, power_kw, efficiency, hours, soc, capacity, rating, self.taper)
        return np.asarray(drawn)

    def summed_kw(self, power_kw: FloatArray, rows: IntArray) -> FloatArray:
        """Sum of the powers (n,) of some EVs, per feeder, (n_feeders,) [kW]."""
        return group_sums(power_kw[rows], self.feeder[rows], self.n_feeders)

    def charging_minutes_left(self) -> FloatArray:
        """Minutes of charging at full rating that the need would take, eq. (1); not below 0."""
        if self.taper:
            return self.minutes_from(self.soc)
        return np.asarray(charging_minutes(self.need_kwh, self.p_max_kw, self.efficiency))

    def minutes_from(self, soc: FloatArray, rows: IntArray | slice = slice(None)) -> FloatArray:
        """Minutes of charging in a taper from a SoC of `rows` to their goals."""
        rating, efficiency = self.p_max_kw[rows], self.efficiency[rows]
        goal, capacity = self.soc_goal[rows], self.capacity_kwh[rows]
        return np.asarray(tapered_minutes(soc, goal, rating, efficiency, capacity, self.taper))

    def laxity_min(self, minute: float) -> FloatArray:
        """Slack: minutes until the announced departure less those of charging still needed."""
        left_min = self.charging_minutes_left()
        return np.asarray(laxity(self.announced_min, self.arrival_min, minute, left_min))

    def exchange(self, mode: ModeArray, power_kw: FloatArray | None = None) -> Exchange:
        """Move the energy of one step.

        power_kw: at most so much, >= 0, (n,) [kW]; None: each EV at its rating. The battery gains
        e x efficiency and loses e / efficiency. The rating limits the grid side; in the step that
        reaches a bound the energy is what just reaches it.
        """
        # ndarray.nonzero takes half the time of np.flatnonzero, and this is done every step.
        switched = (mode != self.mode).nonzero()[0]
        if len(switched):
            self.switches[switched] += 1
        if self.holds:
            least = np.where(mode[switched] != 0, self.min_on_min, self.min_off_min)
            self.held_min[switched] = least
            self.held_min -= 60.0 * self.step_h
        self.mode, self.power_kw = mode, power_kw
        self.p_kw[:] = 0.0
        charging, discharging = (mode > 0).nonzero()[0], (mode < 0).nonzero()[0]
        charge_kw, discharge_kw = self.p_max_kw[charging], self.p_discharge_kw[discharging]
        if power_kw is not None:
            charge_kw = np.minimum(charge_kw, power_kw[charging])
            discharge_kw = np.minimum(discharge_kw, power_kw[discharging])
        before = self.soc.copy() if self.history is not None else self.soc
        charged = self._charge(charging, charge_kw)
        discharged = self._discharge(discharging, discharge_kw)
        if self.history is not None:
            middle_h = (self.history.minute + self.step_h * 30.0) / 60.0
            for rows in (charging, discharging):
                self.history.move(rows, before[rows], self.soc[rows], middle_h)
        moved = Exchange(charging, charged, discharging, discharged, switched)
        self._changed += [rows for rows in (charging, discharging) if len(rows)]
        return moved

    def _charge(self, rows: IntArray, power_kw: FloatArray) -> FloatArray:
        e = self._drawn_kwh(rows, power_kw, self.window_h[rows])
        self.soc[rows] = soc_charged(
            self.soc[rows], e, self.efficiency[rows], self.capacity_kwh[rows], self.soc_goal[rows]
        )
        self.has_charged[rows] = True
        self.charged_kwh[rows] += e
        self.p_kw[rows] = mean_power(e, self.step_h)
        return e

    def _discharge(self, rows: IntArray, power_kw: FloatArray) -> FloatArray:
        efficiency, hours = self.efficiency[rows], self.window_h[rows]
        e: FloatArray = discharged_in(self.surplus_kwh[rows], power_kw, efficiency, hours)
        self.soc[rows] = soc_discharged(
            self.soc[rows], e, efficiency, self.capacity_kwh[rows], self.soc_min[rows]
        )
        self.discharged_kwh[rows] += e
        self.p_kw[rows] = -mean_power(e, self.step_h)
        return e
