"""Series over time: as a file has them, placed on the calendar of a horizon, and their means.

Load, price, limit, PV and temperature are all of this one kind. A file has either days of the
clock (24 hours, by weekday and season if it likes) or moments (time stamps); on the horizon both
are a table of values and the row of it that holds in each step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from abm.errors import InputError, Problem
from abm.scenario.calendar import DAY_S, SUNDAY, Calendar, months_and_days

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

WORKDAYS = frozenset(range(5))
EVERY_DAY = frozenset(range(7))
EVERY_MONTH = frozenset(range(1, 13))
# What a column `day` may say; holidays are Sundays.
DAYS = {
    "all": EVERY_DAY,
    "workday": WORKDAYS,
    "weekday": WORKDAYS,
    "weekend": frozenset((5, 6)),
    "holiday": frozenset((SUNDAY,)),
    **{
        name: frozenset((number,))
        for number, name in enumerate(
            ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
        )
    },
}
# The seasons of the German standard load profiles (BDEW), by month and day: from, to before.
SEASONS = ("summer", "winter", "transition")
_SUMMER, _WINTER = ((5, 15), (9, 15)), ((11, 1), (3, 21))


@dataclass(frozen=True)
class DayKind:
    """Days that a block of rows is for: weekdays from 0, months from 1, a season or any."""

    weekdays: frozenset[int] = EVERY_DAY
    months: frozenset[int] = EVERY_MONTH
    season: str | None = None

    def holds(self, weekday: IntArray, month: IntArray, season: IntArray) -> NDArray[np.bool_]:
        """Which days are of this kind; season: place in `SEASONS`."""
        mine = np.isin(weekday, sorted(self.weekdays)) & np.isin(month, sorted(self.months))
        if self.season is not None:
            mine &= season == SEASONS.index(self.season)
        return np.asarray(mine)

    @property
    def whole_year(self) -> bool:
        """Whether it asks for no date."""
        return self.months == EVERY_MONTH and self.season is None


@dataclass(frozen=True, eq=False)
class SeriesTable:
    """A series as its file has it.

    columns: names. values: (n, m), in `unit`. step_s: s, divides an hour. begin_s: of the first
    row, s since 1970 UTC (by the clock of the horizon where it has no time zone), each row a step
    after the one before; None for days of the clock. days: what days each block of rows is for,
    blocks of a whole day one after the other. file: name for problems.
    """

    columns: tuple[str, ...]
    values: FloatArray
    step_s: int
    unit: str = ""
    begin_s: int | None = None
    days: tuple[DayKind, ...] = (DayKind(),)
    repeat: str = "no"
    file: str = ""

    def column(self, name: str) -> FloatArray:
        """Values of one column, (n,). ValueError where there is none of this name."""
        return np.asarray(self.values[:, self.columns.index(name)])

    def only(self, *names: str) -> SeriesTable:
        """The series with some of its columns, in this order."""
        at = [self.columns.index(name) for name in names]
        return replace(self, columns=names, values=self.values[:, at])


@dataclass(frozen=True, eq=False)
class Series:
    """A series on a horizon.

    values: (n, m). row: row of values in every step of the horizon, from one before its start to
    one after its end, (steps + 2,). step_s: length of a step, s, divides an hour.
    """

    values: FloatArray
    row: IntArray
    step_s: int

    @property
    def by_step(self) -> FloatArray:
        """Values of every step of the horizon, (steps, m)."""
        return np.asarray(self.values[self.row[1:-1]])

    def of(self, values: FloatArray) -> Series:
        """Other values in the place of these rows, (n, ...)."""
        return replace(self, values=values)

    def mean(
        self, begin_s: IntArray, window_s: int, linear: bool = False, alone: bool = False
    ) -> FloatArray:
        """Means over windows of the horizon, (n, ...).

        begin_s: when they begin, s from the start of the horizon, (n,). window_s: their length.
        linear: values are those of the middle of their step, with straight lines between them;
        otherwise each holds for its step. alone: each column is summed as if there were no other,
        so that its last bit does not depend on how many there are. ValueError where windows do not
        divide an hour.
        """
        if 3600 % window_s:
            raise ValueError(f"{window_s} s does not divide an hour")
        begin_s, part_s = np.asarray(begin_s), math.gcd(window_s, self.step_s)
        if part_s == window_s:
            return self._within(begin_s, window_s, linear)
        parts = begin_s[:, None] + np.arange(0, window_s, part_s)
        means = self._within(parts.ravel(), part_s, linear)
        means = means.reshape(*parts.shape, *means.shape[1:])
        if alone:
            return np.asarray(np.ascontiguousarray(np.moveaxis(means, 1, -1)).mean(axis=-1))
        return np.asarray(means.mean(axis=1))

    def _within(self, begin_s: IntArray, window_s: int, linear: bool) -> FloatArray:
        """The same for windows that divide a step."""
        if not linear:
            return np.asarray(self.values[self.row[begin_s // self.step_s + 1]])
        # A line bends in the middle of a step, which lies between the halves of a window or beside
        # it: each half has the mean of its middle.
        quarter_s = window_s / 4.0
        first = self._between(np.asarray(begin_s + quarter_s, np.float64))
        second = self._between(np.asarray(begin_s + 3.0 * quarter_s, np.float64))
        return (first + second) / 2.0

    def _between(self, at_s: FloatArray) -> FloatArray:
        """Values on straight lines between the middles of the steps."""
        since_middle = at_s - self.step_s / 2.0
        step = np.floor(since_middle / self.step_s).astype(np.int64)
        share = (since_middle - step * float(self.step_s)) / self.step_s
        share = share.reshape(-1, *[1] * (self.values.ndim - 1))
        before, after = self.values[self.row[step + 1]], self.values[self.row[step + 2]]
        return np.asarray(before + share * (after - before))


def constant(value: float, hours: int) -> Series:
    """A series of one value throughout a horizon of so many hours."""
    return Series(np.array([[value]]), np.zeros(hours + 2, dtype=np.int64), 3600)


def placed(table: SeriesTable, calendar: Calendar) -> Series:
    """The series on a horizon. Raises InputError where it does not cover it."""
    step_s = table.step_s
    steps = calendar.hours * 3600 // step_s
    at_s = np.arange(-1, steps + 1) * step_s
    if table.begin_s is None:
        row = _of_days(table, calendar, at_s)
    elif table.repeat == "no":
        row = _of_moments(table, calendar, at_s)
    else:
        row = _repeated(table, calendar, at_s)
    row.setflags(write=False)
    return Series(table.values, row, step_s)


def _refuse(table: SeriesTable, field: str, value: str, said: str) -> InputError:
    return InputError([Problem(field, value, said, table.file)])


def _of_days(table: SeriesTable, calendar: Calendar, at_s: IntArray) -> IntArray:
    """Rows by the clock on the wall."""
    wall = calendar.wall_s(at_s)
    per_day = DAY_S // table.step_s
    of_day = wall % DAY_S // table.step_s
    if len(table.days) == 1 and table.days[0] == DayKind():
        return np.asarray(of_day)
    if not calendar.dated and not all(kind.whole_year for kind in table.days):
        said = "a horizon with a date, clock.start_date, since the file has seasons or months"
        raise _refuse(table, "clock.start_date", "", said)
    days, which = np.unique(wall // DAY_S, return_inverse=True)
    block = _block_of(table, calendar, days)[which]
    return np.asarray(block * per_day + of_day)


def _block_of(table: SeriesTable, calendar: Calendar, days: IntArray) -> IntArray:
    """Block of each day, counted from 1970-01-01; the last one in the file that is for it.

    A day that has a block for fewer weekdays takes that one.
    """
    weekday = np.where(calendar.is_holiday(days), SUNDAY, (days + 3) % 7)
    month, day = months_and_days(days)
    block = np.full(len(days), -1)
    fewest = np.full(len(days), 99)
    for number, kind in enumerate(table.days):
        mine = kind.holds(weekday, month, season_of(month, day)) & (len(kind.weekdays) <= fewest)
        block[mine], fewest[mine] = number, len(kind.weekdays)
    if (block < 0).any():
        first = np.flatnonzero(block < 0)[0]
        name = [name for name, of in DAYS.items() if of == {int(weekday[first])}][-1]
        when = f"{name} in month {month[first]}" if calendar.dated else name
        raise _refuse(table, "day", when, "a row for every day of the horizon; there is none")
    return block


def season_of(month: IntArray, day: IntArray) -> IntArray:
    """Season of dates, place in `SEASONS`: summer 15.5.-14.9., winter 1.11.-20.3. (BDEW)."""
    date = np.asarray(month) * 100 + np.asarray(day)
    (a, b), (c, d) = (((m * 100 + n) for m, n in span) for span in (_SUMMER, _WINTER))
    summer = (date >= a) & (date < b)
    winter = (date >= c) | (date < d)
    return np.where(summer, 0, np.where(winter, 1, 2))


def _needs_a_date(table: SeriesTable, calendar: Calendar) -> int:
    """Beginning of a series of moments. Raises InputError where the horizon has no date."""
    assert table.begin_s is not None
    if not calendar.dated:
        first = calendar.stamp(table.begin_s)
        said = f"missing; a date, since the file has time stamps, from {first}"
        raise _refuse(table, "clock.start_date", "", said)
    return table.begin_s


def _of_moments(table: SeriesTable, calendar: Calendar, at_s: IntArray) -> IntArray:
    """Rows by moments, which have to cover the horizon."""
    begin_s, n = _needs_a_date(table, calendar), len(table.values)
    since_s = calendar.utc_s(at_s) - begin_s
    if since_s[0] % table.step_s:
        said = f"time stamps on the step of {table.step_s // 60} min counted from the full hour"
        raise _refuse(table, "time", calendar.stamp(begin_s), said)
    row = since_s // table.step_s
    if row[1] < 0 or row[-2] >= n:
        has = f"{calendar.stamp(begin_s)} to {calendar.stamp(begin_s + n * table.step_s)}"
        wanted = (
            calendar.stamp(int(calendar.utc_s(np.array(s)))) for s in (0, calendar.hours * 3600)
        )
        said = (
            "time stamps that cover the horizon, " + " to ".join(wanted) + "; or `repeat` in how "
            "the file is read"
        )
        raise _refuse(table, "time", has, said)
    return np.clip(row, 0, n - 1)


def _repeated(table: SeriesTable, calendar: Calendar, at_s: IntArray) -> IntArray:
    """Rows by moments as far as the file has them.

    Else by the clock on the wall, from the first time that the file has it.
    """
    begin_s, n = _needs_a_date(table, calendar), len(table.values)
    moments = begin_s + np.arange(n) * table.step_s
    keys, first = np.unique(_key(table, calendar.local_s(moments)), return_index=True)
    wanted = calendar.wall_s(at_s)
    # Where the clock jumps in the file and not here the day before has to do; 29 February is 28.
    since_s = calendar.utc_s(at_s) - begin_s
    row = since_s // table.step_s
    row[(row < 0) | (row >= n) | (since_s[0] % table.step_s != 0)] = -1
    for earlier_s in (0, DAY_S, 3600):
        open_ = np.flatnonzero(row < 0)
        key = _key(table, wanted[open_] - earlier_s)
        at = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
        found = keys[at] == key
        row[open_[found]] = first[at[found]]
    if (row < 0).any():
        when = calendar.stamp(int(calendar.utc_s(at_s)[np.flatnonzero(row < 0)[0]]))
        said = f"a whole {_SPANS[table.repeat]} of time stamps, to be repeated {table.repeat}"
        raise _refuse(table, "time", when, f"not in the file, nor is this time of it; {said}")
    return row


_SPANS = {"daily": "day", "weekly": "week", "yearly": "year"}


def _key(table: SeriesTable, wall_s: IntArray) -> IntArray:
    """What a time of the day, of the week or of the year is found by."""
    day, of_day = wall_s // DAY_S, wall_s % DAY_S // table.step_s * table.step_s
    if table.repeat == "daily":
        return np.asarray(of_day)
    if table.repeat == "weekly":
        return np.asarray((day + 3) % 7 * DAY_S + of_day)
    month, number = months_and_days(day)
    return np.asarray((month * 100 + number) * DAY_S + of_day)
