"""What a run writes down while it runs: preallocated arrays, no objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from abm.clock import Clock
from abm.fleet import Fleet
from abm.fleet.equations import above_upper_bound, below_lower_bound, hourly_demand

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Recorder:
    """Arrays by hour and, if `minutes`, by step; n_cells = n_feeders x n_zones.

    zone_charge_mw, zone_discharge_mw: mean power of an hour, both >= 0, (n_hours, n_cells).
    zone_plugged: most EVs plugged in at any step of the hour, (n_hours, n_cells).
    plugged_peak: the same per feeder, (n_hours, n_feeders). ev_mw: eq. (8), (n_hours, n_feeders).
    charge_kw, discharge_kw, plugged: by step, (n_steps, n_cells); without rows if not `minutes`.
    below_min, above_min: EV-minutes outside eqs. (5), (6) per feeder; soc_lowest, soc_highest: the
    extreme SoC seen while plugged in, NaN where nobody ever was.
    """

    def __init__(
        self, clock: Clock, fleet: Fleet, soc_lower: float, soc_upper: float, minutes: bool
    ) -> None:
        cells, feeders, hours = fleet.n_feeders * fleet.n_zones, fleet.n_feeders, clock.n_hours
        self.clock, self.fleet, self.minutes = clock, fleet, minutes
        self.soc_lower, self.soc_upper = soc_lower, soc_upper
        self.zone_charge_mw: FloatArray = np.full((hours, cells), np.nan)
        self.zone_discharge_mw: FloatArray = np.full((hours, cells), np.nan)
        self.zone_plugged: IntArray = np.zeros((hours, cells), dtype=np.int64)
        self.plugged_peak: IntArray = np.zeros((hours, feeders), dtype=np.int64)
        self.ev_mw: FloatArray = np.full((hours, feeders), np.nan)
        steps = clock.n_steps if minutes else 0
        self.charge_kw: FloatArray = np.zeros((steps, cells))
        self.discharge_kw: FloatArray = np.zeros((steps, cells))
        self.plugged: NDArray[np.int32] = np.zeros((steps, cells), dtype=np.int32)
        self.below_min: FloatArray = np.zeros(feeders)
        self.above_min: FloatArray = np.zeros(feeders)
        self.soc_lowest: FloatArray = np.full(feeders, np.nan)
        self.soc_highest: FloatArray = np.full(feeders, np.nan)
        # Sums over the steps of the hour that runs, kW.
        self.hour_charge: FloatArray = np.zeros(cells)
        self.hour_discharge: FloatArray = np.zeros(cells)

    def record(self, step: int, exchanged: tuple[FloatArray, FloatArray] | None) -> None:
        """Write down one step; exchanged: kWh charged and discharged per EV, None for nothing."""
        fleet = self.fleet
        if self.minutes:
            self.plugged[step] = fleet.plugged_count
        if not fleet.n_plugged:
            return
        hour = step // self.clock.steps_per_hour
        np.maximum(self.zone_plugged[hour], fleet.plugged_count, out=self.zone_plugged[hour])
        by_feeder = fleet.plugged_count.reshape(fleet.n_feeders, fleet.n_zones).sum(axis=1)
        np.maximum(self.plugged_peak[hour], by_feeder, out=self.plugged_peak[hour])
        if exchanged is not None:
            charge, discharge = (fleet.by_cell(kwh) / fleet.step_h for kwh in exchanged)
            self.hour_charge += charge
            self.hour_discharge += discharge
            if self.minutes:
                self.charge_kw[step] = charge
                self.discharge_kw[step] = discharge
        self._watch_soc()

    def _watch_soc(self) -> None:
        # Eqs. (5), (6). NaN before arrival and a frozen SoC after departure leave the extremes
        # alone; only when one of them is outside is it worth counting who.
        fleet = self.fleet
        low, high = np.fmin.reduce(fleet.soc), np.fmax.reduce(fleet.soc)
        if fleet.n_feeders == 1:
            self.soc_lowest[0] = np.fmin(self.soc_lowest[0], low)
            self.soc_highest[0] = np.fmax(self.soc_highest[0], high)
        else:
            filled = np.diff(fleet.first_row) > 0
            starts = fleet.first_row[:-1][filled]
            lows = np.fmin.reduceat(fleet.soc, starts)
            highs = np.fmax.reduceat(fleet.soc, starts)
            self.soc_lowest[filled] = np.fmin(self.soc_lowest[filled], lows)
            self.soc_highest[filled] = np.fmax(self.soc_highest[filled], highs)
        step_min = fleet.step_h * 60.0
        if below_lower_bound(low, self.soc_lower):
            outside = fleet.plugged & below_lower_bound(fleet.soc, self.soc_lower)
            self.below_min += step_min * fleet.by_feeder(outside.astype(np.float64))
        if above_upper_bound(high, self.soc_upper):
            outside = fleet.plugged & above_upper_bound(fleet.soc, self.soc_upper)
            self.above_min += step_min * fleet.by_feeder(outside.astype(np.float64))

    def close_hour(self, hour: int) -> FloatArray:
        """Mean net power of each zone over an hour that ended, (n_feeders, n_zones) [MW]."""
        per_mw = self.clock.steps_per_hour * 1e3
        np.divide(self.hour_charge, per_mw, out=self.zone_charge_mw[hour])
        np.divide(self.hour_discharge, per_mw, out=self.zone_discharge_mw[hour])
        self.hour_charge[:] = 0.0
        self.hour_discharge[:] = 0.0
        zone_mw = self.zone_charge_mw[hour] - self.zone_discharge_mw[hour]
        zone_mw = zone_mw.reshape(self.fleet.n_feeders, self.fleet.n_zones)
        # One hour of mean power in MW is the energy in MWh that eq. (8) divides by the hour.
        self.ev_mw[hour] = hourly_demand(zone_mw)
        return np.asarray(zone_mw)
