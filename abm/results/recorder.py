"""What a run writes down while it runs: preallocated arrays, no objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abm.clock import Clock
from abm.fleet import Fleet
from abm.fleet.equations import above_upper_bound, below_lower_bound, hourly_demand
from abm.grid import Feeder, PowerFlow
from abm.scenario import Scenario

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Recorder:
    """Arrays by step (n_steps, n_cells), by hour (n_hours, n_cells or n_feeders).

    charge_kw, discharge_kw: mean power of a step, both >= 0. plugged: EVs plugged in.
    zone_mw: mean net power of an hour. ev_mw: the same per feeder, eq. (8).
    plugged_peak: most EVs plugged in at any step of the hour, per feeder.
    below_min, above_min: EV-minutes outside eqs. (5), (6) per feeder; soc_lowest, soc_highest: the
    extreme SoC seen while plugged in, NaN where nobody ever was.
    """

    def __init__(self, clock: Clock, fleet: Fleet, soc_lower: float, soc_upper: float) -> None:
        cells, feeders = fleet.n_feeders * fleet.n_zones, fleet.n_feeders
        self.clock, self.fleet = clock, fleet
        self.soc_lower, self.soc_upper = soc_lower, soc_upper
        self.charge_kw: FloatArray = np.zeros((clock.n_steps, cells))
        self.discharge_kw: FloatArray = np.zeros((clock.n_steps, cells))
        self.plugged: NDArray[np.int32] = np.zeros((clock.n_steps, cells), dtype=np.int32)
        self.zone_mw: FloatArray = np.full((clock.n_hours, cells), np.nan)
        self.ev_mw: FloatArray = np.full((clock.n_hours, feeders), np.nan)
        self.plugged_peak: IntArray = np.zeros((clock.n_hours, feeders), dtype=np.int64)
        self.below_min: FloatArray = np.zeros(feeders)
        self.above_min: FloatArray = np.zeros(feeders)
        self.soc_lowest: FloatArray = np.full(feeders, np.nan)
        self.soc_highest: FloatArray = np.full(feeders, np.nan)

    def record(self, step: int, exchanged: tuple[FloatArray, FloatArray] | None) -> None:
        """Write down one step; exchanged: kWh charged and discharged per EV, None for nothing."""
        fleet = self.fleet
        self.plugged[step] = fleet.plugged_count
        if exchanged is not None:
            charged, discharged = exchanged
            fleet.by_cell(charged, out=self.charge_kw[step])
            fleet.by_cell(discharged, out=self.discharge_kw[step])
            self.charge_kw[step] /= fleet.step_h
            self.discharge_kw[step] /= fleet.step_h
        if fleet.n_plugged:
            self._watch_soc()

    def _watch_soc(self) -> None:
        # Eqs. (5), (6). NaN before arrival and a frozen SoC after departure leave the extremes
        # alone; only when one of them is outside is it worth counting who.
        fleet = self.fleet
        low = np.fmin.reduce(fleet.soc)
        high = np.fmax.reduce(fleet.soc)
        if fleet.n_feeders == 1:
            self.soc_lowest[0] = np.fmin(self.soc_lowest[0], low)
            self.soc_highest[0] = np.fmax(self.soc_highest[0], high)
        else:
            filled, starts = fleet.by_feeder.filled, fleet.by_feeder.starts
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
        """Mean net power of each zone over an hour that ended, (n_cells,) [MW]."""
        steps = slice(hour * self.clock.steps_per_hour, (hour + 1) * self.clock.steps_per_hour)
        charged, discharged = self.charge_kw[steps], self.discharge_kw[steps]
        zone_mw = (charged.mean(axis=0) - discharged.mean(axis=0)) / 1e3
        shape = (self.fleet.n_feeders, self.fleet.n_zones)
        self.zone_mw[hour] = zone_mw
        # One hour of mean power in MW is the energy in MWh that eq. (8) divides by the hour.
        self.ev_mw[hour] = hourly_demand(zone_mw.reshape(shape))
        self.plugged_peak[hour] = (
            self.plugged[steps].reshape(-1, *shape).sum(axis=2).max(axis=0, initial=0)
        )
        return np.asarray(zone_mw)


@dataclass(frozen=True)
class Record:
    """All that a finished run leaves behind; results are made from nothing else.

    base_p_mw: (24, n_bus) by clock hour. price: (24,). flows: one per hour, n_feeders rows each.
    """

    scenario: Scenario
    seeds: tuple[int, ...]
    start_hour: int
    fleet: Fleet
    feeder: Feeder
    recorder: Recorder
    base_p_mw: FloatArray
    price: FloatArray
    flows: tuple[PowerFlow, ...]
    solver: str
