"""Stays as measured ones are: arrival, duration and energy drawn together, for all days at once.

An EV comes at most once on a date, and not while it is still plugged in. Each date has random
streams of its own, so that it is the same whatever the number of days.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from abm.equations import BoolArray, FloatArray, IntArray
from abm.fleet.owners import SATURDAY, draw_quantity
from abm.fleet.stays import Stays, as_told, by_energy, stream
from abm.scenario import Scenario, clock_minutes
from abm.scenario.stay_fields import DayStays

DATE_MIN = 1440
# Uniforms of a stay, in the order of the columns of a copula.
TOGETHER = ("arrival", "stay_duration", "stay_energy")
LEAST_KWH = 0.01


def measured_stays(scenario: Scenario, seeds: Sequence[int]) -> Stays:
    """One row for each EV and date, feeder by feeder; who does not come does not plug in.

    Raises AssertionError where `fleet.stays` is not given.
    """
    there, drawn_evs = there_of(scenario), int(scenario.zone_evs_drawn.sum())
    evs = len(there)
    start, end_min = clock_minutes(scenario.clock.start) % DATE_MIN, 60 * scenario.hours
    dates = math.ceil((start + end_min) / DATE_MIN)
    shape = (len(seeds), evs, dates)
    arrival, duration, energy = (np.zeros(shape) for _ in range(3))
    comes = np.zeros(shape, dtype=np.bool_)
    weekend = _weekends(scenario, dates, start)
    for date in range(dates):
        of_date = date, bool(weekend[date]), drawn_evs
        for k, seed in enumerate(seeds):
            comes[k, :, date], arrival[k, :, date], duration[k, :, date], energy[k, :, date] = (
                values[there] for values in _drawn(scenario, seed, *of_date)
            )
    # Owners go by the clock on the wall, minutes are elapsed time.
    wall = np.round(60.0 * arrival) + np.arange(dates) * float(DATE_MIN) - start
    arrival_min = wall - scenario.calendar.ahead_min(wall)
    departure_min = arrival_min + np.maximum(np.round(60.0 * duration), 1.0)
    comes &= (arrival_min >= 0.0) & (arrival_min < end_min)
    comes = _not_while_plugged_in(comes, arrival_min, departure_min)
    lasts_h = (departure_min - arrival_min) / 60.0
    asked = np.minimum(np.maximum(energy, LEAST_KWH), scenario.ev.charger_kw * lasts_h)
    return _as_stays(scenario, comes, arrival_min, departure_min, asked)


def there_of(scenario: Scenario) -> IntArray:
    """Which of the EVs that are drawn for a feeder are there: of each zone the first ones.

    So many uniforms are drawn for each feeder, zone by zone, that an EV has the same whatever the
    number of those that are there.
    """
    drawn, there = scenario.zone_evs_drawn, scenario.zone_evs
    within = np.arange(drawn.sum()) - np.repeat(np.cumsum(drawn) - drawn, drawn)
    return np.flatnonzero(within < np.repeat(there, drawn))


def _weekends(scenario: Scenario, dates: int, start: int) -> BoolArray:
    """Which dates are Saturdays, Sundays or holidays, (dates,)."""
    noon_s = (np.arange(dates) * DATE_MIN + DATE_MIN // 2 - start) * 60
    within = np.clip(noon_s, 0, 3600 * scenario.hours - 1)
    return np.asarray(scenario.calendar.weekdays(within) >= SATURDAY)


def _drawn(
    scenario: Scenario, seed: int, date: int, weekend: bool, evs: int
) -> tuple[BoolArray, FloatArray, FloatArray, FloatArray]:
    """Who comes on a date, when [h], for how long [h] and for what energy [kWh], (evs,) each."""
    spec, copulas = scenario.fleet.stays, scenario.inputs.dependence
    assert spec is not None
    day: DayStays = spec.weekend if weekend and spec.weekend is not None else spec.weekday
    comes = stream(seed, "comes", date).random(evs) < day.sessions_per_day
    u = np.column_stack([stream(seed, name, date).random(evs) for name in TOGETHER])
    if copulas is not None:
        copula = copulas.get("weekend", copulas["weekday"]) if weekend else copulas["weekday"]
        u = copula.together(stream(seed, "dependence", date).random(evs), u)
    columns = (day.arrival_h, day.duration_h, day.energy_kwh)
    arrival, duration, energy = (draw_quantity(u[:, i], of) for i, of in enumerate(columns))
    return comes, arrival, duration, energy


def _not_while_plugged_in(
    comes: BoolArray, arrival: FloatArray, departure: FloatArray
) -> BoolArray:
    """Who comes on each date when those who have not left do not come, (K, evs, dates)."""
    busy = np.full(comes.shape[:2], -np.inf)
    found = np.zeros_like(comes)
    for date in range(comes.shape[2]):
        found[:, :, date] = comes[:, :, date] & (arrival[:, :, date] >= busy)
        busy = np.where(found[:, :, date], departure[:, :, date], busy)
    return found


def _as_stays(
    scenario: Scenario,
    comes: BoolArray,
    arrival_min: FloatArray,
    departure_min: FloatArray,
    energy_kwh: FloatArray,
) -> Stays:
    feeders, evs, dates = comes.shape
    n, ev = comes.size, scenario.ev
    in_zone = scenario.zone_evs
    zone: IntArray = np.repeat(np.arange(len(in_zone)), in_zone * dates)
    efficiency = np.full(n, ev.efficiency)
    names = [str(i + 1) for i in range(evs) for _ in range(dates)] * feeders
    known = by_energy(energy_kwh.ravel(), efficiency)
    return Stays(
        names=tuple(names) if dates > 1 else None,
        feeder=np.repeat(np.arange(feeders), evs * dates),
        zone=np.tile(zone, feeders),
        arrival_min=arrival_min.ravel(),
        departure_min=departure_min.ravel(),
        announced_min=departure_min.ravel().copy(),
        p_max_kw=np.full(n, ev.charger_kw),
        efficiency=efficiency,
        **{**as_told(n), **known, "plugs_in": comes.ravel()},
    )
