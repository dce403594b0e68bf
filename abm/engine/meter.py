"""What a run writes down while it runs: preallocated arrays, no objects."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from abm.clock import Clock
from abm.equations import FloatArray, IntArray
from abm.equations.battery import (
    above_upper_bound,
    below_lower_bound,
    hourly_demand,
    mean_power,
)
from abm.fleet import Exchange, Fleet, group_sums
from abm.fleet.columns import STAY_STATE, STAY_SUMS

# Changes of mode within this time count as done together.
SYNC_S = 300
# Changes of mode that wait for one call of numpy to look at them together.
MOST_PENDING = 100_000


class Meter:
    """Arrays by hour and, if `minutes`, by step; n_cells = n_feeders x n_zones.

    zone_charge_mw, zone_discharge_mw: mean power of an hour, both >= 0, (n_hours, n_cells).
    zone_plugged: most EVs plugged in at any step of the hour, (n_hours, n_cells).
    plugged_peak: the same per feeder, (n_hours, n_feeders). ev_mw: eq. (8), (n_hours, n_feeders).
    charge_kw, discharge_kw, plugged: by step, (n_steps, n_cells); without rows if not `minutes`.
    unsent: messages that could not be sent since the load flow of an interval of the hour did not
    converge, (n_hours, n_feeders).
    ev_kw: net power of the EVs by step, whether `minutes` or not, (n_steps, n_feeders).
    sync_change: change of `switched_evs` from step to step, (n_steps + window, n_feeders).
    flow_zone_mw: mean net power over each load flow, (n_flows, n_cells); without rows where a load
    flow is of a whole hour; flow_through_mw: the same of both ways added up. flow_point_mw,
    flow_point_through_mw: the same by point of a three-phase feeder, of whole hours as well,
    (n_flows, n_feeders x n_points), the latter without columns where nobody asks for it.
    last_switch: step of each EV's last change of mode, (n_evs,). below_min, above_min: EV-minutes
    outside eqs. (5), (6) per feeder; soc_lowest, soc_highest: the extreme SoC seen while plugged
    in, NaN where nobody ever was.
    """

    BY_TIME: ClassVar = {
        **dict.fromkeys(("zone_charge_mw", "zone_discharge_mw", "zone_plugged"), "hours"),
        **dict.fromkeys(("plugged_peak", "ev_mw", "unsent"), "hours"),
        **dict.fromkeys(("charge_kw", "discharge_kw", "plugged", "ev_kw"), "steps"),
        **dict.fromkeys(("flow_zone_mw", "flow_through_mw"), "flows"),
        **dict.fromkeys(("flow_point_mw", "flow_point_through_mw"), "flows"),
        "sync_change": "steps_and_window",
    }
    GROWS: ClassVar = ("days",)

    def __init__(
        self,
        clock: Clock,
        fleet: Fleet,
        soc_lower: float,
        soc_upper: float,
        minutes: bool,
        flow_min: int = 60,
        keep_zones: bool = False,
        n_points: int = 0,
        keep_through: bool = False,
    ) -> None:
        """minutes: whether zones are metered by step. flow_min: interval of the load flows, min.

        keep_zones: whether `net_of_zones` will be asked, in either engine. n_points: of a
        three-phase feeder, else 0. keep_through: whether `flow_point_through_mw` will be asked for.
        """
        cells, feeders, hours = fleet.n_feeders * fleet.n_zones, fleet.n_feeders, clock.n_hours
        self.clock, self.fleet, self.minutes = clock, fleet, minutes
        self.soc_lower, self.soc_upper = soc_lower, soc_upper
        self.zone_charge_mw: FloatArray = np.full((hours, cells), np.nan)
        self.zone_discharge_mw: FloatArray = np.full((hours, cells), np.nan)
        self.zone_plugged: IntArray = np.zeros((hours, cells), dtype=np.int64)
        self.plugged_peak: IntArray = np.zeros((hours, feeders), dtype=np.int64)
        self.ev_mw: FloatArray = np.full((hours, feeders), np.nan)
        self.unsent: IntArray = np.zeros((hours, feeders), dtype=np.int64)
        steps = clock.n_steps if minutes else 0
        self.charge_kw: FloatArray = np.zeros((steps, cells))
        self.discharge_kw: FloatArray = np.zeros((steps, cells))
        self.plugged: NDArray[np.int32] = np.zeros((steps, cells), dtype=np.int32)
        self.ev_kw: FloatArray = np.zeros((clock.n_steps, feeders))
        self.window = max(1, round(SYNC_S / clock.step_s))
        self.sync_change: NDArray[np.int32] = np.zeros(
            (clock.n_steps + self.window, feeders), dtype=np.int32
        )
        self.last_switch: IntArray = np.full(fleet.n, -self.window)
        self.below_min: FloatArray = np.zeros(feeders)
        self.above_min: FloatArray = np.zeros(feeders)
        self.soc_lowest: FloatArray = np.full(feeders, np.nan)
        self.soc_highest: FloatArray = np.full(feeders, np.nan)
        # The stays of each day that ended; what was summed up before it.
        self.days: list[dict[str, NDArray[Any]]] = []
        self._until_day: dict[str, NDArray[Any]] = {}
        # Sums over the steps of the hour that runs, kW.
        self.hour_charge: FloatArray = np.zeros(cells)
        self.hour_discharge: FloatArray = np.zeros(cells)
        # The same over the steps of each load flow of that hour, where it is a part of it.
        self.steps_per_flow = flow_min * 60 // clock.step_s
        flows = 60 // flow_min if flow_min < 60 else 0
        self.flow_charge: FloatArray = np.zeros((flows, cells))
        self.flow_discharge: FloatArray = np.zeros((flows, cells))
        self.flow_zone_mw: FloatArray = np.full((hours * flows, cells), np.nan)
        self.flow_through_mw: FloatArray = np.full((hours * flows, cells), np.nan)
        # The same by point, where there are any; of an hour too.
        points = feeders * n_points
        self.point_charge: FloatArray = np.zeros((max(flows, 1), points))
        self.point_discharge: FloatArray = np.zeros((max(flows, 1), points))
        point_flows = hours * max(flows, 1)
        self.flow_point_mw: FloatArray = np.full((point_flows, points), np.nan)
        through = points if keep_through else 0
        self.flow_point_through_mw: FloatArray = np.full((point_flows, through), np.nan)
        # What is left for later: net power by zone in the steps of the hour that runs, where it is
        # not in the arrays by step, and who changed mode.
        self.keep_zones = keep_zones and not minutes
        self.net_kw: FloatArray = np.zeros((0 if minutes else clock.steps_per_hour, cells))
        self._by_step = False
        self._switched: list[tuple[int, IntArray]] = []
        self._n_switched = 0

    def record(self, step: int, exchange: Exchange | None) -> None:
        """Write down one step; exchange: who moved energy, None where nobody is plugged in."""
        fleet = self.fleet
        if self.minutes:
            self.plugged[step] = fleet.plugged_count
        if exchange is None:
            return
        hour, in_hour = divmod(step, self.clock.steps_per_hour)
        flow = in_hour // self.steps_per_flow
        np.maximum(self.zone_plugged[hour], fleet.plugged_count, out=self.zone_plugged[hour])
        by_feeder = fleet.plugged_count.reshape(fleet.n_feeders, fleet.n_zones).sum(axis=1)
        np.maximum(self.plugged_peak[hour], by_feeder, out=self.plugged_peak[hour])
        self._by_step = True
        if len(exchange.switched):
            self._switched.append((step, exchange.switched))
            self._n_switched += len(exchange.switched)
        for rows, kwh, hour_kw, flow_kw, point_kw, minute_kw, add in (
            (
                exchange.charging,
                exchange.charged_kwh,
                self.hour_charge,
                self.flow_charge,
                self.point_charge,
                self.charge_kw,
                np.add,
            ),
            (
                exchange.discharging,
                exchange.discharged_kwh,
                self.hour_discharge,
                self.flow_discharge,
                self.point_discharge,
                self.discharge_kw,
                np.subtract,
            ),
        ):
            if len(rows):
                if point_kw.shape[1]:
                    kw = mean_power(kwh, fleet.step_h)
                    np.add.at(point_kw[flow], fleet.point[rows], kw)
                kw = group_sums(kwh, fleet.cell[rows], len(hour_kw)) / fleet.step_h
                hour_kw += kw
                if len(flow_kw):
                    flow_kw[flow] += kw
                if self.minutes:
                    minute_kw[step] = kw
                else:
                    net_kw = self.net_kw[step % self.clock.steps_per_hour]
                    add(net_kw, kw, out=net_kw)
                self.note_soc(rows)
        self._count_outside()

    def note_soc(self, rows: IntArray) -> None:
        """Take note of the SoC of EVs that arrive or move energy: only they move the extremes."""
        soc, feeder = self.fleet.soc[rows], self.fleet.feeder[rows]
        if self.fleet.n_feeders == 1:
            self.soc_lowest[0] = np.fmin(self.soc_lowest[0], soc.min())
            self.soc_highest[0] = np.fmax(self.soc_highest[0], soc.max())
        else:
            np.fmin.at(self.soc_lowest, feeder, soc)
            np.fmax.at(self.soc_highest, feeder, soc)

    def _count_outside(self) -> None:
        # Eqs. (5), (6). Only where a bound was ever crossed is it worth counting who is outside.
        fleet, step_min = self.fleet, self.fleet.step_h * 60.0
        if below_lower_bound(self.soc_lowest, self.soc_lower).any():
            rows = np.flatnonzero(fleet.plugged & below_lower_bound(fleet.soc, self.soc_lower))
            self.below_min += step_min * np.bincount(fleet.feeder[rows], minlength=fleet.n_feeders)
        if above_upper_bound(self.soc_highest, self.soc_upper).any():
            rows = np.flatnonzero(fleet.plugged & above_upper_bound(fleet.soc, self.soc_upper))
            self.above_min += step_min * np.bincount(fleet.feeder[rows], minlength=fleet.n_feeders)

    def close_day(self) -> dict[str, NDArray[Any]]:
        """Write down the stays of the day that ended, one per EV in the fleet's order of rows."""
        day = self.running_day()
        self._until_day = {name: getattr(self.fleet, name).copy() for name in STAY_SUMS}
        self.days.append(day)
        return day

    def running_day(self) -> dict[str, NDArray[Any]]:
        """The stays of the day that runs, as they are now."""
        fleet, before = self.fleet, self._until_day
        day = {name: getattr(fleet, name).copy() for name in STAY_STATE}
        total = {name: getattr(fleet, name).copy() for name in STAY_SUMS}
        return day | {name: total[name] - before[name] if before else total[name] for name in total}

    def net_of_zones(self, first_step: int, n_steps: int) -> FloatArray:
        """Net power of each zone in some steps of the hour that runs or just ended, (n, n_cells).

        [kW]. RuntimeError where it is not kept.
        """
        if self.minutes:
            span = slice(first_step, first_step + n_steps)
            return self.charge_kw[span] - self.discharge_kw[span]
        if not self.keep_zones:
            raise RuntimeError("net power by zone and step was not asked for")
        first = first_step % self.clock.steps_per_hour
        return self.net_kw[first : first + n_steps]

    def close_hour(self, hour: int) -> FloatArray:
        """Mean net power of each zone over an hour that ended, (n_feeders, n_zones) [MW]."""
        per_mw = self.clock.steps_per_hour * 1e3
        np.divide(self.hour_charge, per_mw, out=self.zone_charge_mw[hour])
        np.divide(self.hour_discharge, per_mw, out=self.zone_discharge_mw[hour])
        self.hour_charge[:] = 0.0
        self.hour_discharge[:] = 0.0
        if len(self.flow_zone_mw):
            self._close_flows(hour)
        if self.point_charge.shape[1]:
            self._close_points(hour)
        if self._by_step:
            self._close_steps(hour)
        self.net_kw[:] = 0.0
        zone_mw = self.zone_charge_mw[hour] - self.zone_discharge_mw[hour]
        zone_mw = zone_mw.reshape(self.fleet.n_feeders, self.fleet.n_zones)
        # One hour of mean power in MW is the energy in MWh that eq. (8) divides by the hour.
        self.ev_mw[hour] = hourly_demand(zone_mw)
        return np.asarray(zone_mw)

    def _close_flows(self, hour: int) -> None:
        flows, per_mw = len(self.flow_charge), self.steps_per_flow * 1e3
        here = slice(hour * flows, (hour + 1) * flows)
        charge, discharge = self.flow_charge / per_mw, self.flow_discharge / per_mw
        self.flow_zone_mw[here] = charge - discharge
        self.flow_through_mw[here] = charge + discharge
        self.flow_charge[:] = 0.0
        self.flow_discharge[:] = 0.0

    def _close_points(self, hour: int) -> None:
        flows, per_mw = len(self.point_charge), self.steps_per_flow * 1e3
        here = slice(hour * flows, (hour + 1) * flows)
        charge, discharge = self.point_charge / per_mw, self.point_discharge / per_mw
        self.flow_point_mw[here] = charge - discharge
        if self.flow_point_through_mw.shape[1]:
            self.flow_point_through_mw[here] = charge + discharge
        self.point_charge[:] = 0.0
        self.point_discharge[:] = 0.0

    def _close_steps(self, hour: int) -> None:
        """Scratch off what `record` left: once an hour costs a small part of once a step."""
        steps = self.clock.steps_per_hour
        span = slice(hour * steps, (hour + 1) * steps)
        net_kw = self.charge_kw[span] - self.discharge_kw[span] if self.minutes else self.net_kw
        by_zone = net_kw.reshape(steps, self.fleet.n_feeders, self.fleet.n_zones)
        # A running sum adds zone by zone, in the same order for any number of feeders.
        self.ev_kw[span] = np.cumsum(by_zone, axis=2)[:, :, -1]
        if self._n_switched > MOST_PENDING:
            self._note_switches()

    def _note_switches(self) -> None:
        """Put the changes of mode of the steps so far into `sync_change`."""
        counts = [len(rows) for _, rows in self._switched]
        rows = np.concatenate([rows for _, rows in self._switched])
        step = np.repeat([step for step, _ in self._switched], counts)
        order = np.argsort(rows, kind="stable")
        rows, step = rows[order], step[order]
        again = rows[1:] == rows[:-1]
        last = self.last_switch[rows]
        last[1:][again] = step[:-1][again]
        newest = np.append(~again, True)
        self.last_switch[rows[newest]] = step[newest]
        # An EV counts from its change until the window has passed. One that counts already goes on
        # counting: what it would have lost when its last change leaves the window is given back.
        begin = np.where(last > step - self.window, last + self.window, step)
        feeder, n = self.fleet.feeder[rows], self.sync_change.shape[1]
        for at, add in ((begin, np.add), (step + self.window, np.subtract)):
            low = int(at.min())
            found = np.bincount((at - low) * n + feeder)
            found = np.append(found, np.zeros(-len(found) % n, dtype=np.int64)).reshape(-1, n)
            part = self.sync_change[low : low + len(found)]
            add(part, found, out=part, casting="same_kind")
        self._switched.clear()
        self._n_switched = 0

    @property
    def switched_evs(self) -> NDArray[np.int32]:
        """EVs that changed mode within the five minutes that end with each step, each counted once.

        (n_steps, n_feeders). Steps longer than that stand alone.
        """
        if self._switched:
            self._note_switches()
        steps = self.clock.n_steps
        return np.cumsum(self.sync_change[:steps], axis=0, dtype=np.int32)

    @property
    def sync_peak(self) -> IntArray:
        """Most EVs of a feeder that changed mode within five minutes, (n_feeders,)."""
        peak: IntArray = self.switched_evs.max(axis=0, initial=0).astype(np.int64)
        return peak


def windows_of(power: FloatArray, step_s: float, window_s: float) -> FloatArray:
    """Mean over windows of window_s of power by step, (S, K) -> (W, K); steps stay if longer.

    Each column is added up in the same order however many there are.
    """
    if window_s <= step_s:
        return power
    columns = np.ascontiguousarray(power.T)
    steps = window_s / step_s
    if steps.is_integer():
        return np.asarray(columns.reshape(len(columns), -1, int(steps)).mean(axis=2).T)
    # A window that cuts a step takes its share of it.
    energy = np.concatenate([np.zeros((len(columns), 1)), columns.cumsum(axis=1)], axis=1)
    edges = np.arange(round(len(power) / steps) + 1) * steps
    at = np.arange(len(power) + 1)
    sums = np.array([np.interp(edges, at, row) for row in energy])
    return np.asarray(np.diff(sums, axis=1).T / steps)
