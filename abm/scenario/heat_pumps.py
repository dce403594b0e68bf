"""Electric load of a heat pump on a horizon: heat of the BDEW profiles, COP by temperature."""

from __future__ import annotations

import warnings
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.equations.heat import AIR, GROUND, coefficient_of_performance
from abm.errors import InputError, Problem, needs
from abm.scenario.calendar import EPOCH, Calendar, days_of_year
from abm.scenario.load_fields import HeatPumpsSection
from abm.scenario.series import Series, SeriesTable, placed

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Days before that the heat of a day depends on.
_BEFORE = 3


def heat_pump_problems(
    section: HeatPumpsSection, calendar: Calendar, weather: bool
) -> list[Problem]:
    """What heat pumps need and the scenario does not have."""
    found = []
    if not weather:
        said = "missing; the temperature outside, which heat pumps go by"
        found.append(Problem("weather.temperature", "", said))
    if not calendar.dated:
        found.append(Problem("clock.start_date", "", "missing; a date, for heat pumps"))
    if (section.annual_heat_kwh is None) == (section.heat_kwh_per_day is None):
        said = "either annual_heat_kwh or heat_kwh_per_day"
        found.append(Problem("heat_pumps.annual_heat_kwh", "", said))
    return found


def heat_pump_load(section: HeatPumpsSection, calendar: Calendar, weather: SeriesTable) -> Series:
    """Mean electric power of one heat pump in each hour of the horizon, one column [kW].

    Its heat is the customer value times h(T) times the hour's share, as in the standard heat
    profile (demandlib), T being the mean of the day with half, a quarter and an eighth of the
    three before, where the file has these.

    Raises InputError where demandlib is not there, or the temperature is not of whole days or,
    for annual_heat_kwh, not of a whole year.
    """
    wall_h = calendar.wall_s(np.arange(-1, calendar.hours + 1) * 3600) // 3600
    first, last = int(wall_h[1]) // 24, int(wall_h[-2]) // 24
    begin = first - _BEFORE
    try:
        daily = _by_day(weather, calendar, begin, last + 1)
    except InputError:  # the file does not go back so far
        begin = first
        daily = _by_day(weather, calendar, begin, last + 1)
    days = np.arange(begin, last + 1)
    of_day_8c = section.heat_kwh_per_day
    if section.annual_heat_kwh is not None:
        of_year = days_of_year((EPOCH + timedelta(days=first)).year)
        over_year = _by_day(weather, calendar, int(of_year[0]), int(of_year[-1]) + 1)
        _, per_day = _profile(section, calendar, of_year, over_year)
        of_day_8c = section.annual_heat_kwh / per_day
    assert of_day_8c is not None
    shape, _ = _profile(section, calendar, days, daily)
    heat_kw = of_day_8c * shape
    outside = daily.ravel()
    supply = section.supply_at_0c + section.supply_per_degree * outside
    if section.source == "air":
        cop = coefficient_of_performance(outside, supply, AIR)
    else:
        cop = coefficient_of_performance(np.full_like(outside, section.ground_c), supply, GROUND)
    power_kw = heat_kw / (section.cop_factor * cop)
    row = np.clip(wall_h - int(days[0]) * 24, 0, len(power_kw) - 1)
    return Series(power_kw[:, None], row, 3600)


def _by_day(weather: SeriesTable, calendar: Calendar, begin: int, end: int) -> FloatArray:
    """Temperature of every clock hour of days, (n, 24) [degC]; days from 1970-01-01, end not in.

    An hour that the clock leaves out has that of the hour before.
    """
    zone = None if calendar.zone is None else calendar.zone.key
    first = EPOCH + timedelta(days=begin)
    # The last day may be an hour longer or shorter.
    hours = 24 * (end - begin)
    own = Calendar("0:00", hours, first.isoformat(), zone)
    over_h = int(own.wall_s(np.array([hours * 3600]))[0]) // 3600 - end * 24
    own = Calendar("0:00", hours - over_h, first.isoformat(), zone)
    begins = np.arange(own.hours) * 3600
    mean = placed(weather, own).mean(begins, 3600)[:, 0]
    at = own.wall_s(begins) // 3600 - begin * 24
    found = np.full(24 * (end - begin), np.nan)
    found[at] = mean
    for gap in np.flatnonzero(np.isnan(found)):
        found[gap] = found[gap - 1]
    return found.reshape(-1, 24)


def _profile(
    section: HeatPumpsSection, calendar: Calendar, days: IntArray, by_day: FloatArray
) -> tuple[FloatArray, float]:
    """Heat of each hour over the customer value, (n x 24,) [1/h], and the sum over its days."""
    try:
        # demandlib turns warnings into errors for the whole process.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _with_demandlib(section, calendar, days, by_day)
    except ImportError:
        said = needs("demandlib", "demandlib")
        raise InputError([Problem("heat_pumps.share", f"{section.share:g}", said)]) from None


def _with_demandlib(
    section: HeatPumpsSection, calendar: Calendar, days: IntArray, by_day: FloatArray
) -> tuple[FloatArray, float]:
    import pandas as pd
    from demandlib.bdew import HeatBuilding

    first = datetime(1970, 1, 1) + timedelta(days=int(days[0]))
    index = pd.date_range(first, periods=by_day.size, freq="h")
    free = days[calendar.is_holiday(days)]
    building: Any = HeatBuilding(
        index,
        holidays=[EPOCH + timedelta(days=int(day)) for day in free],
        temperature=pd.Series(by_day.ravel(), index=index),
        shlp_type=section.building,
        building_class=section.building_class,
        wind_class=0,
        ww_incl=section.hot_water,
        annual_heat_demand=1.0,
    )
    of_sum = building.get_normalized_bdew_profile().to_numpy(dtype=np.float64)
    a, b, c, d = building.get_sigmoid_parameters()
    h = a / (1.0 + (b / (building.df["temperature_geo"].to_numpy() - 40.0)) ** c) + d
    # demandlib divides by the sum over the days, and we do not know all days of the year.
    per_day = float((h * building.get_weekday_parameters()).sum() / 24.0)
    return of_sum * per_day, per_day
