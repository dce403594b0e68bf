"""The calendar of a horizon: which date, weekday, season and clock time each moment of it has.

A horizon is elapsed time: every hour of it has 60 minutes and every day 24 hours. With a time zone
the clock on the wall jumps where daylight saving begins and ends, and everything that goes by that
clock (profiles of a day, habits of owners) goes with it, while time stamps are moments.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from abm.errors import InputError, Problem, needs
from abm.scenario.fields import clock_minutes
from abm.scenario.owners import WEEKDAYS

IntArray = NDArray[np.int64]
DAY_S = 86_400
HOUR_S = 3_600
SUNDAY = 6
# 1970-01-05, a Monday: where a scenario has no date, days count from the Monday of this week.
_A_MONDAY = 4
EPOCH = date(1970, 1, 1)


class Calendar:
    """Dates and clock times of a horizon of so many hours.

    start: clock time at which it begins, "HH:MM". start_date: ISO date of that moment, None for a
    horizon without dates, which begins on `first_day`. timezone: IANA name; None: no daylight
    saving. holidays: of a country, "DE", or a part of it, "DE-BY"; they count as Sundays.

    Raises InputError where holidays are asked for and the package `holidays` is not there or does
    not know them.
    """

    def __init__(
        self,
        start: str,
        hours: int,
        start_date: str | None = None,
        timezone: str | None = None,
        first_day: str = "monday",
        holidays: str | None = None,
    ) -> None:
        self.hours, self.dated = hours, start_date is not None
        day = _A_MONDAY + WEEKDAYS.index(first_day)
        if start_date is not None:
            day = (date.fromisoformat(start_date) - EPOCH).days
        # Seconds since 1970 on the clock on the wall, as if that were UTC.
        self._start_s = day * DAY_S + clock_minutes(start) % 1440 * 60
        self.zone = ZoneInfo(timezone) if timezone is not None and self.dated else None
        self._holidays_of = holidays if self.dated else None

    def check(self) -> None:
        """Raise InputError where the holidays cannot be had."""
        self.is_holiday(np.zeros(0, dtype=np.int64))

    @cached_property
    def start_utc_s(self) -> int:
        """Beginning of the horizon, s since 1970 UTC; by its own clock where there is no zone."""
        return self._start_s - int(self._offset_s[1])

    @cached_property
    def _offset_s(self) -> IntArray:
        """What the clock on the wall is ahead of UTC in each hour, from one before to one after."""
        if self.zone is None:
            return np.zeros(self.hours + 2, dtype=np.int64)
        wall = datetime(1970, 1, 1) + timedelta(seconds=self._start_s)
        first = wall.replace(tzinfo=self.zone).astimezone(UTC)
        moments = (first + timedelta(hours=h - 1) for h in range(self.hours + 2))
        return np.array([self._utc_offset(moment) for moment in moments], dtype=np.int64)

    def _utc_offset(self, moment: datetime) -> int:
        assert self.zone is not None
        offset = moment.astimezone(self.zone).utcoffset()
        return int((offset or timedelta()).total_seconds())

    def utc_s(self, at_s: IntArray) -> IntArray:
        """Moments of the horizon [s from its start] as s since 1970 UTC."""
        return np.asarray(self.start_utc_s + at_s)

    def wall_s(self, at_s: IntArray) -> IntArray:
        """The same on the clock on the wall, s since 1970 there; from an hour before the start."""
        hour = np.clip(np.asarray(at_s) // HOUR_S + 1, 0, self.hours + 1)
        return np.asarray(self.start_utc_s + at_s + self._offset_s[hour])

    def local_s(self, utc_s: IntArray) -> IntArray:
        """Any moments, s since 1970 UTC, on the clock on the wall."""
        if self.zone is None:
            return np.asarray(utc_s)
        hours, which = np.unique(np.asarray(utc_s) // HOUR_S, return_inverse=True)
        begin = datetime(1970, 1, 1, tzinfo=UTC)
        offsets = [self._utc_offset(begin + timedelta(hours=int(hour))) for hour in hours]
        return np.asarray(utc_s + np.array(offsets, dtype=np.int64)[which])

    @cached_property
    def clock_hours(self) -> IntArray:
        """Hour on the clock at which every hour of the horizon begins, (hours,)."""
        return self.wall_s(np.arange(self.hours) * HOUR_S) // HOUR_S % 24

    def clock_of(self, minutes: NDArray[np.float64]) -> IntArray:
        """Minute of the day on the clock of moments in minutes from the start of the horizon."""
        seconds = np.floor(np.asarray(minutes, dtype=np.float64) * 60.0).astype(np.int64)
        return np.asarray(self.wall_s(seconds) % DAY_S // 60)

    def ahead_min(self, wall_min: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far the clock is ahead of what it would be without a jump since the start, min.

        wall_min: moments as that clock without a jump has them, min from the start of the horizon.
        A time that the clock leaves out is taken as the hour after, one that comes twice as the
        second of the two.
        """
        if self.zone is None:
            return np.zeros(np.shape(wall_min))
        ahead = (self._offset_s - self._offset_s[1]) / 60.0
        elapsed = np.arange(-1, self.hours + 1) * 60.0
        # An hour of the horizon begins on the wall at elapsed + ahead.
        begins = elapsed + ahead
        at = np.searchsorted(begins, np.asarray(wall_min), side="right") - 1
        return np.asarray(ahead[np.clip(at, 0, self.hours + 1)])

    # --- days ----------------------------------------------------------------------------------

    def weekday(self, day: int) -> int:
        """Day of the week, from 0, Monday, of a day of the horizon; holidays are Sundays."""
        return int(self.weekdays(np.array([day * DAY_S]))[0])

    def weekday_names(self, days: int) -> list[str]:
        """Names of the weekdays on which the first days of the horizon begin, holidays or not."""
        began = self.wall_s(np.arange(days) * DAY_S) // DAY_S
        return [WEEKDAYS[(int(day) + 3) % 7] for day in began]

    def weekdays(self, at_s: IntArray) -> IntArray:
        """Day of the week of moments of the horizon; holidays are Sundays."""
        days = self.wall_s(np.asarray(at_s)) // DAY_S
        return np.where(self.is_holiday(days), SUNDAY, (days + 3) % 7)

    def is_holiday(self, days: IntArray) -> NDArray[np.bool_]:
        """Which days, counted from 1970-01-01, are holidays."""
        return np.isin(days, self._holidays)

    @cached_property
    def _holidays(self) -> IntArray:
        if self._holidays_of is None:
            return np.zeros(0, dtype=np.int64)
        ends = self.wall_s(np.array([-HOUR_S, self.hours * HOUR_S])) // DAY_S
        years = {(EPOCH + timedelta(days=int(day))).year for day in ends}
        return holiday_days(self._holidays_of, range(min(years), max(years) + 1))

    def date_of(self, at_s: int) -> date:
        """Date of a moment of the horizon."""
        day = int(self.wall_s(np.array([at_s]))[0]) // DAY_S
        return EPOCH + timedelta(days=day)

    def stamp(self, utc_s: int) -> str:
        """A moment, s since 1970 UTC, as it is written: 2024-03-31T01:45."""
        wall = int(self.local_s(np.array([utc_s]))[0])
        return (datetime(1970, 1, 1) + timedelta(seconds=wall)).isoformat(timespec="minutes")


def days_of_year(year: int) -> IntArray:
    """Days of a year, counted from 1970-01-01."""
    first = (date(year, 1, 1) - EPOCH).days
    return np.arange(first, (date(year + 1, 1, 1) - EPOCH).days)


def months_and_days(days: IntArray) -> tuple[IntArray, IntArray]:
    """Month, 1-12, and day of the month of days counted from 1970-01-01."""
    dates = np.asarray(days).astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    return (
        months.astype(np.int64) % 12 + 1,
        (dates - months.astype("datetime64[D]")).astype(np.int64) + 1,
    )


def holiday_days(of: str, years: Iterable[int]) -> IntArray:
    """Public holidays of a country, "DE", or a part of it, "DE-BY", as days since 1970-01-01."""
    field = "clock.holidays"
    try:
        import holidays
    except ImportError:
        raise InputError([Problem(field, of, needs("holidays", "calendar"))]) from None
    country, _, part = of.partition("-")
    try:
        found = holidays.country_holidays(country, subdiv=part or None, years=list(years))
    except NotImplementedError:
        # What `holidays` raises for a country or a part that it does not know.
        said = 'a country as "DE", or a part of it as "DE-BY", that the package holidays knows'
        raise InputError([Problem(field, of, said)]) from None
    return np.array(sorted((day - EPOCH).days for day in found), dtype=np.int64)
