"""What a controller sees: the observation of a feeder's aggregator, in documented units.

The same numbers reach a policy that is trained in an environment and one that runs as a rule of the
simulator (`abm.envs.PolicyRule`): only what is broadcast, forecast, and known of EVs plugged in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.control import SetPoints
from abm.engine import threads_for
from abm.engine.look import (
    DRAWN,
    LOOK_ARRAYS,
    N_DONE,
    N_SEEN,
    PLUGGED,
    SUPPLIED,
    LookColumns,
    Moment,
)
from abm.equations import BoolArray, FloatArray, IntArray
from abm.fleet import Fleet
from abm.machine import over_spans
from abm.signals import Broadcast, Outlook

# Hours ahead of which forecast and price are seen.
AHEAD_H = 12
# What must be charged within so many minutes is seen as due.
DUE_MIN = 240.0
# Names and units of what is seen of the feeder, and of each zone after that.
FEEDER_FIELDS = (
    ("sin_time", "-"),
    ("cos_time", "-"),
    ("left", "fraction of the episode"),
    ("limit", "kW"),
    ("peak", "kW"),
    ("base", "kW"),
    *((f"base_in_{h}_h", "kW") for h in range(1, AHEAD_H + 1)),
    ("price", "$/kWh"),
    *((f"price_in_{h}_h", "$/kWh") for h in range(1, AHEAD_H + 1)),
)
ZONE_FIELDS = (
    ("plugged", "EVs"),
    ("charge", "kW"),
    ("discharge", "kW"),
    ("must", "kW"),
    ("need", "kWh"),
    ("due_in_4_h", "kWh"),
    ("power", "kW"),
)
N_FEEDER, N_ZONE = len(FEEDER_FIELDS), len(ZONE_FIELDS)


def observation_fields(n_zones: int) -> list[tuple[str, str]]:
    """Name and unit of each number of an observation, in order."""
    zones = [
        (f"zone_{zone}_{name}", unit)
        for zone in range(1, n_zones + 1)
        for name, unit in ZONE_FIELDS
    ]
    return [*FEEDER_FIELDS, *zones]


@dataclass(frozen=True)
class Bounds:
    """Between what observations and actions lie; of one feeder.

    evs (n_zones,): EVs of each zone. charge_kw, discharge_kw (n_zones,): sums of their ratings.
    capacity_kwh (n_zones,): at most in their batteries. feeder_kw: a demand that is not exceeded.
    usd_per_kwh: a price that is not exceeded.
    """

    evs: IntArray
    charge_kw: FloatArray
    discharge_kw: FloatArray
    capacity_kwh: FloatArray
    feeder_kw: float
    usd_per_kwh: float

    @cached_property
    def low(self) -> FloatArray:
        """Least value of each number of an observation."""
        least = np.full(N_FEEDER, -self.feeder_kw)
        least[:4] = -1.0, -1.0, 0.0, -self.feeder_kw
        least[6 + AHEAD_H :] = -self.usd_per_kwh
        zones = np.zeros((len(self.evs), N_ZONE))
        zones[:, 6] = -self.discharge_kw
        return np.concatenate([least, zones.ravel()])

    @cached_property
    def high(self) -> FloatArray:
        """Largest value of each number of an observation."""
        most = np.full(N_FEEDER, self.feeder_kw)
        most[:3] = 1.0
        most[6 + AHEAD_H :] = self.usd_per_kwh
        charge, energy = self.charge_kw, self.capacity_kwh
        zones = [self.evs, charge, self.discharge_kw, charge, energy, energy, charge]
        return np.concatenate([most, np.stack(zones, axis=1).ravel()])


class Done(NamedTuple):
    """What feeders did in the interval that ended, (n_feeders,) [kWh] each.

    drawn, supplied: at the grid side. short: missing in the batteries of those that left.
    """

    drawn: FloatArray
    supplied: FloatArray
    short: FloatArray


class Observer:
    """Looks at a fleet once every interval of its set points.

    peak_kw: highest demand so far, (n_feeders,), of intervals that began with EVs plugged in, with
    the base demand that was broadcast. n_hours: of the horizon.
    """

    def __init__(self, points: SetPoints, fleet: Fleet, outlook: Outlook) -> None:
        """fleet, outlook: of the run that begins."""
        self.points = points
        cells, self.n_feeders = fleet.n_feeders * fleet.n_zones, fleet.n_feeders
        self.n_zones, self.n_hours = fleet.n_zones, outlook.n_hours
        self._seen = np.zeros((cells, N_SEEN))
        self._sums = np.zeros((cells, N_DONE))
        self._before = np.zeros((cells, N_DONE))
        self._message: Broadcast | None = None
        self._columns: Any = None
        self._looked_min = 0.0
        self._there: BoolArray = np.zeros(self.n_feeders, dtype=np.bool_)
        self.peak_kw = np.zeros(self.n_feeders)
        self._base_kw = np.zeros(self.n_feeders)
        self._net_kw = np.zeros((self.n_feeders, self.n_zones))
        hours = np.arange(self.n_hours + 1, dtype=np.float64) * 60.0
        price = np.broadcast_to(outlook.purchase_price(hours), (self.n_hours, self.n_feeders)).T
        # Beyond the horizon there is nothing to buy: the last price goes on.
        self._prices = np.concatenate([price, np.repeat(price[:, -1:], AHEAD_H, axis=1)], axis=1)
        self._numbers = np.zeros((self.n_feeders, N_FEEDER + self.n_zones * N_ZONE))

    def look(self, fleet: Fleet, minute: float) -> Done:
        """What was done since the last time, and what zones need and can do now."""
        from abm.engine.compiled import look_at

        columns = self._columns
        if columns is None or columns.arrival_step is not fleet.arrival_step:
            shown = [getattr(fleet, name) for name in LOOK_ARRAYS]
            columns = self._columns = LookColumns(*map(_writable, shown))
            # A day that begins brings new columns; copies are of this moment alone.
            if not fleet.soc.flags.writeable:
                self._columns = None
        step_min = 60.0 * fleet.step_h
        now = Moment(
            round(minute / step_min), minute, float(self.points.interval_min), DUE_MIN,
            self.points.guarantee, fleet.as_printed, fleet.n_zones,
        )  # fmt: skip
        seen, sums = self._seen, self._sums
        over_spans(
            fleet.n_feeders,
            threads_for(fleet.n_feeders),
            lambda first, last: look_at(first, last, columns, now, seen, sums),
        )
        diff = (sums - self._before).reshape(self.n_feeders, self.n_zones, N_DONE)
        self._before, self._sums = sums, self._before
        done, per_h = Done(*diff.sum(axis=1).T), 60.0 / self.points.interval_min
        self._net_kw = (diff[:, :, DRAWN] - diff[:, :, SUPPLIED]) * per_h
        demand_kw = self._base_kw + (done.drawn - done.supplied) * per_h
        np.maximum(self.peak_kw, demand_kw, out=self.peak_kw, where=self._there)
        if minute - self._looked_min > self.points.interval_min:
            # Nobody was there in the interval that ended, and a rule was not asked.
            self._net_kw = np.zeros_like(self._net_kw)
        self._looked_min = minute
        plugged = self._seen[:, PLUGGED].reshape(self.n_feeders, self.n_zones)
        self._there = plugged.sum(axis=1) > 0.0
        return done

    def look_within(self, fleet: Fleet, minute: float) -> None:
        """As `look`, in the midst of an interval that began with nobody plugged in."""
        self.look(fleet, minute)
        self._there[:] = False

    def observation(self, message: Broadcast, minute: float) -> FloatArray:
        """Numbers of `observation_fields`, (n_feeders, n_numbers); `look` was called before."""
        numbers = self._numbers
        if message is not self._message:
            self._hear(message)
        clock_min = 60.0 * message.clock_hour + minute - 60.0 * message.hour
        angle = 2.0 * np.pi * clock_min / 1440.0
        numbers[:, 0], numbers[:, 1] = np.sin(angle), np.cos(angle)
        numbers[:, 2] = 1.0 - minute / (60.0 * self.n_hours)
        numbers[:, 4] = self.peak_kw
        # Made anew each time: a view that is kept is no view any more in a copy.
        zones = numbers[:, N_FEEDER:].reshape(self.n_feeders, self.n_zones, N_ZONE)
        zones[:, :, :N_SEEN] = self._seen.reshape(self.n_feeders, self.n_zones, N_SEEN)
        zones[:, :, N_SEEN] = self._net_kw
        return numbers.copy()

    def _hear(self, message: Broadcast) -> None:
        """What a new message says."""
        numbers, hour, outlook = self._numbers, message.hour, message.outlook
        assert outlook is not None
        self._message, self._base_kw = message, 1e3 * message.base_mw
        numbers[:, 3], numbers[:, 5] = 1e3 * message.limit_mw, self._base_kw
        last = min(hour + 1 + AHEAD_H, self.n_hours)
        ahead = 1e3 * outlook.base_mw(hour, slice(hour + 1, last)).T
        if ahead.shape[1] < AHEAD_H:
            end = ahead[:, -1:] if ahead.shape[1] else self._base_kw[:, None]
            ahead = np.concatenate([ahead, *[end] * (AHEAD_H - ahead.shape[1])], axis=1)
        numbers[:, 6 : 6 + AHEAD_H] = ahead
        numbers[:, 6 + AHEAD_H : N_FEEDER] = self._prices[:, hour : hour + 1 + AHEAD_H]


def _writable(column: NDArray[Any]) -> NDArray[Any]:
    """A column as the compiled code takes it; one that is shown read-only is copied."""
    return column if column.flags.writeable else column.copy()
