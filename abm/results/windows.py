"""A run in windows finer than the hour: demand, clock times and who is plugged in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.engine.meter import windows_of
from abm.equations import BoolArray, FloatArray, IntArray
from abm.grid.base_load import BaseLoad
from abm.results.supply import SupplyRecord
from abm.scenario import Scenario


class Windows:
    """What a `Record` has to say of windows of any length; W windows, K feeders, S steps."""

    scenario: Scenario
    base: BaseLoad
    ev: Mapping[str, NDArray[Any]]
    ev_kw: FloatArray
    supply: SupplyRecord | None
    stays: Mapping[str, NDArray[Any]]
    # Hours that have ended, of a run that goes on (`abm.results.so_far`); None when it has ended.
    hours_closed: int | None

    @property
    def n_feeders(self) -> int:
        """K."""
        return int(self.ev_kw.shape[1])

    @property
    def n_hours(self) -> int:
        """H."""
        return self.scenario.hours if self.hours_closed is None else self.hours_closed

    @property
    def n_days(self) -> int:
        """Days of the horizon: D, but for sessions of a file, all of which are one set of stays."""
        days = self.scenario.horizon.days
        return days if self.hours_closed is None or days == 1 else -(-self.hours_closed // 24)

    @cached_property
    def clock_hours(self) -> IntArray:
        """Hour on the clock of every hour, (H,)."""
        return self.scenario.calendar.clock_hours[: self.n_hours]

    def demand_mw(self, grain_min: float) -> FloatArray:
        """System demand without losses, mean over windows of grain_min minutes, (W, K) [MW].

        A time step that is longer than that is a window of its own.
        """
        demand_mw = self.base_demand_mw(grain_min) + self.ev_power_mw(grain_min)
        return demand_mw if self.supply is None else demand_mw + self.supply_mw(grain_min)

    def supply_mw(self, grain_min: float) -> FloatArray:
        """Batteries less PV of the zones, mean over the same windows, (W, K) [MW]."""
        net_kw = np.zeros_like(self.ev_kw) if self.supply is None else self.supply.net_kw
        return windows_of(net_kw, self.scenario.clock.step_s, 60.0 * grain_min) / 1e3

    def base_demand_mw(self, grain_min: float) -> FloatArray:
        """Demand of each feeder without EVs, mean over the same windows, (W, K) [MW].

        ValueError where they do not divide an hour.
        """
        window_s = self.window_s(grain_min)
        mean = self.base.mean_mw(self.begin_s(window_s), window_s)
        return np.broadcast_to(mean, (len(mean), self.n_feeders))

    def window_s(self, grain_min: float) -> int:
        """Length of such a window, s: a time step at least."""
        return max(round(60.0 * grain_min), self.scenario.clock.step_s)

    def begin_s(self, window_s: int) -> IntArray:
        """When all windows of this length begin, s from the start of the horizon, (W,)."""
        return np.arange(0, self.n_hours * 3600, window_s)

    def ev_power_mw(self, grain_min: float) -> FloatArray:
        """Net demand of the EVs, mean over the same windows, (W, K) [MW]."""
        return windows_of(self.ev_kw, self.scenario.clock.step_s, 60.0 * grain_min) / 1e3

    def clock_times(self, windows: IntArray, grain_min: float) -> list[str]:
        """When some of these windows begin, as "8:15"."""
        minutes = self.scenario.calendar.clock_of(
            np.asarray(windows, np.float64) * (self.window_s(grain_min) / 60.0)
        )
        return [f"{int(minute) // 60}:{int(minute) % 60:02d}" for minute in minutes]

    def window_hours(self, grain_min: float) -> IntArray:
        """Hour on the clock of each of these windows, (W,)."""
        window_s = self.window_s(grain_min)
        return self.clock_hours[self.begin_s(window_s) // 3600]

    def plugged_in(self, grain_min: float) -> BoolArray:
        """In which of these windows any EV of a feeder is plugged in, (W, K)."""
        step_s, window_s = self.scenario.clock.step_s, 60.0 * grain_min
        steps = np.concatenate([np.zeros((1, self.n_feeders)), self.evs_plugged > 0]).cumsum(axis=0)
        if window_s <= step_s:
            return np.diff(steps, axis=0) > 0
        edges = np.arange(round(len(self.ev_kw) * step_s / window_s) + 1) * window_s / step_s
        first = np.floor(edges[:-1] + 1e-9).astype(np.int64)
        last = np.ceil(edges[1:] - 1e-9).astype(np.int64)
        return np.asarray(steps[last] > steps[first])

    @cached_property
    def evs_plugged(self) -> IntArray:
        """EVs plugged in at any time of a step, (S, K)."""
        step_min, n = self.scenario.clock.step_s / 60.0, self.n_feeders
        sets = len(self.stays["arrived"])
        per_day = len(self.ev_kw) if sets == 1 else round(24 * 60 / step_min)
        change = np.zeros((len(self.ev_kw) + 1) * n, dtype=np.int64)
        for day in range(sets):
            there = self.stays["arrived"][day]
            arrival, departure = (
                self.stays[name][day][there] / step_min for name in ("arrival_min", "departure_min")
            )
            # Every stay ends with its day; within a billionth of a step's edge it is on it.
            begin = np.maximum(np.floor(arrival + 1e-9), day * per_day).astype(np.int64)
            end = np.minimum(np.ceil(departure - 1e-9), (day + 1) * per_day).astype(np.int64)
            begin, end = (np.minimum(at, len(self.ev_kw)) for at in (begin, end))
            feeder = self.ev["feeder"][there]
            change += np.bincount(begin * n + feeder, minlength=len(change))
            change -= np.bincount(end * n + feeder, minlength=len(change))
        return change.reshape(-1, n)[:-1].cumsum(axis=0)
