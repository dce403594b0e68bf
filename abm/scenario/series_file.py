"""Files of series: CSV or parquet, days of the clock or time stamps, wide or long.

    hour, residential, industrial          24 hours; with `day`, `season` or `month` also more days
    time, price [EUR/MWh]                  time stamps in ISO 8601, or 0:15 for times of the day
    time, customer, value                  long: three columns, the names in the second

What is missing, doubled, irregular or in no unit that is known is a problem with its line; what the
scenario says about it (`SeriesReading`) is done. Lines that begin with `#` are comments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from abm.errors import InputError, Problem
from abm.scenario.calendar import DAY_S, Calendar
from abm.scenario.series import DAYS, EVERY_MONTH, SEASONS, DayKind, SeriesTable
from abm.scenario.series_cells import (
    SeriesFile,
    converted,
    numbers,
    read_csv,
    read_parquet,
    rename,
    time_column,
    wide_values,
)
from abm.scenario.series_fields import SeriesReading
from abm.scenario.series_steps import merged, regular, step_of
from abm.scenario.units import Quantity

DAY_COLUMNS = ("day", "season", "month")
_HOUR = re.compile(r"\d{1,2}(\.0*)?")
_CLOCK = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)(:00)?")
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def read_series(
    path: Path,
    file: str,
    reading: SeriesReading,
    quantity: Quantity,
    calendar: Calendar,
    field_of: str = "",
) -> SeriesTable:
    """A series from a CSV or a parquet file, in the unit of its quantity.

    file: name for problems. calendar: of the horizon, for time stamps without an offset. field_of:
    where in the scenario `reading` stands, "base_load.reading". Raises InputError with all that is
    wrong.
    """
    if path.suffix.lower() in (".parquet", ".pq"):
        found = read_parquet(path, file, reading)
    else:
        found = read_csv(path, file, reading, field_of)
    rename(found, reading, field_of)
    time = time_column(found, reading)
    values = found.cells[found.columns.index(time)]
    if time == "hour":
        of_day = _hours(found, values)
    elif len(values) and _CLOCK.fullmatch(str(values[0])):
        of_day = _clock_times(found, time, values)
    else:
        return _of_moments(found, time, reading, quantity, calendar, field_of)
    return _of_days(found, time, of_day, reading, quantity)


# --- days of the clock ---------------------------------------------------------------------------


def _hours(found: SeriesFile, values: Sequence[Any]) -> FloatArray:
    """Seconds after midnight of a column `hour`, NaN where they are none."""
    said = "a whole number from 0 to 23"
    cells = [str(cell).strip() for cell in values]
    hours = [float(cell) if _HOUR.fullmatch(cell) else np.nan for cell in cells]
    out = np.array([hour if 0 <= hour <= 23 and hour % 1 == 0 else np.nan for hour in hours])
    found.note_rows("hour", np.flatnonzero(np.isnan(out)), said, cells)
    return out * 3600.0


def _clock_times(found: SeriesFile, time: str, values: Sequence[Any]) -> FloatArray:
    """Seconds after midnight of clock times, NaN where they are none."""
    out = np.full(len(values), np.nan)
    for at, cell in enumerate(values):
        if match := _CLOCK.fullmatch(str(cell).strip()):
            out[at] = int(match[1]) * 3600 + int(match[2]) * 60
    out[out >= DAY_S] = np.nan
    said = 'a clock time "HH:MM" from 0:00 to 23:59'
    found.note_rows(time, np.flatnonzero(np.isnan(out)), said, values)
    return out


def _of_days(
    found: SeriesFile, time: str, of_day: FloatArray, reading: SeriesReading, quantity: Quantity
) -> SeriesTable:
    known = np.flatnonzero(~np.isnan(of_day))
    kinds: dict[DayKind, list[int]] = {}
    for row in known.tolist():
        kinds.setdefault(_day_kind(found, row), []).append(row)
    here = [name for name in DAY_COLUMNS if name in found.columns]
    names, values = wide_values(found, [time, *here], reading, "", quantity.least)
    step_s = 3600
    if time != "hour" and len(known):
        step_s = step_of(found, time, np.unique(of_day[known]).astype(np.int64), reading)
    per_day = DAY_S // step_s
    blocks = [np.zeros((0, len(names)))]
    for rows in kinds.values():
        at = np.array(rows)
        slot = (of_day[at] // step_s).astype(np.int64)
        if reading.label == "end":
            slot = (slot - 1) % per_day
        blocks.append(
            regular(found, time, names, slot, at, values, reading, per_day, _clock(step_s))
        )
    found.check()
    table = np.concatenate(blocks)
    unit = converted(found, names, table, reading, quantity, step_s)
    table.setflags(write=False)
    return SeriesTable(tuple(names), table, step_s, unit, days=tuple(kinds), file=found.name)


def _clock(step_s: int) -> Callable[[int], str]:
    return lambda at: f"{at * step_s // 3600}:{at * step_s % 3600 // 60:02d}"


def _day_kind(found: SeriesFile, row: int) -> DayKind:
    """What days a row is for."""
    said: dict[str, Any] = {}
    for name in DAY_COLUMNS:
        if name not in found.columns:
            continue
        cell = str(found.cells[found.columns.index(name)][row]).strip().lower()
        line = found.lines[row]
        if name == "day" and cell in DAYS:
            said["weekdays"] = DAYS[cell]
        elif name == "season" and cell in SEASONS:
            said["season"] = cell
        elif name == "month" and cell.isdigit() and int(cell) in EVERY_MONTH:
            said["months"] = frozenset((int(cell),))
        else:
            allowed = {"day": DAYS, "season": SEASONS, "month": ("1 to 12",)}[name]
            found.note(name, cell, "one of: " + ", ".join(allowed), line)
    return DayKind(**said)


# --- time stamps ---------------------------------------------------------------------------------


def _of_moments(
    found: SeriesFile, time: str, reading: SeriesReading, quantity: Quantity, calendar: Calendar,
    field_of: str,
) -> SeriesTable:  # fmt: skip
    stamps = found.cells[found.columns.index(time)]
    at_s = _utc_s(found, time, stamps, reading, calendar, field_of)
    others = [name for name in found.columns if name != time]
    if len(others) == 2 and "value" in others:
        names, at_s, values, found = _long(found, time, at_s, reading, field_of, quantity.least)
    else:
        names, values = wide_values(found, [time], reading, field_of, quantity.least)
    step_s = step_of(found, time, np.unique(at_s), reading)
    if reading.label == "end":
        at_s = at_s - step_s
    begin_s, shown = _beginning(at_s, step_s, reading), calendar.stamp
    slot = (at_s - begin_s) / step_s
    number = np.floor(slot + 0.5).astype(np.int64)
    if reading.irregular == "refuse":
        off = np.flatnonzero(slot != number)
        said = f"a time stamp on the step of {step_s // 60} min; or `irregular: nearest`"
        found.note_rows(time, off, said, [shown(int(s)) for s in at_s] if len(off) else ())
        back = np.flatnonzero(np.diff(number) < 0) + 1
        if len(back):
            said = "time stamps in order; or `irregular: nearest`"
            found.note_rows(time, back, said, [shown(int(s)) for s in at_s])
        found.check()
    n = int(number.max()) + 1
    rows = np.arange(len(number))
    if n > 20 * len(number) + DAY_S // step_s:
        said = f"time stamps with a step of {step_s // 60} min throughout; most are missing"
        found.note(time, f"{shown(int(at_s.min()))} to {shown(int(at_s.max()))}", said)
        found.check()
    table = regular(
        found,
        time,
        names,
        number,
        rows,
        values,
        reading,
        n,
        lambda at: shown(begin_s + at * step_s),
    )
    found.check()
    unit = converted(found, names, table, reading, quantity, step_s)
    table.setflags(write=False)
    return SeriesTable(
        tuple(names), table, step_s, unit, begin_s, repeat=reading.repeat, file=found.name
    )


def _beginning(at_s: IntArray, step_s: int, reading: SeriesReading) -> int:
    """When the first row begins: the first time stamp, or the step nearest to it."""
    first = int(at_s.min())
    if reading.irregular == "refuse":
        return first
    return (first + step_s // 2) // step_s * step_s


def _utc_s(
    found: SeriesFile, time: str, stamps: Sequence[Any], reading: SeriesReading, calendar: Calendar,
    field_of: str,
) -> IntArray:  # fmt: skip
    """Time stamps as s since 1970 UTC, or by the clock of the horizon where it has no time zone."""
    import pandas as pd

    zone = ZoneInfo(reading.timezone) if reading.timezone else calendar.zone
    series = pd.Series(list(stamps)) if not isinstance(stamps, pd.Series) else stamps
    if series.dtype.kind != "M":
        text = series.astype(str).str.strip()
        how = reading.time_format or "ISO8601"
        offset = text.str.contains(r"(?:Z|[+-]\d\d:?\d\d)$", regex=True)
        if offset.any() and not offset.all():
            other = np.flatnonzero(offset != bool(offset.iloc[0]))
            found.note_rows(time, other, "an offset from UTC at all time stamps or at none", text)
            found.check()
        aware = bool(offset.all())
        series = pd.to_datetime(text, format=how, errors="coerce", utc=aware)
        if series.isna().any():
            said = "a time stamp as 2024-03-31T01:45"
            said += f" or as {reading.time_format!r}" if reading.time_format else "; or time_format"
            found.note_rows(time, np.flatnonzero(series.isna()), said, text)
            found.check()
    if series.dt.tz is None and zone is not None:
        series = _localised(found, time, series, zone, field_of)
    elif series.dt.tz is not None and calendar.zone is None:
        said = "missing; a time zone, since the file has time stamps with an offset from UTC"
        raise InputError([Problem("clock.timezone", "", said, found.name)])
    utc = series.dt.tz_convert("UTC").dt.tz_localize(None) if series.dt.tz is not None else series
    seconds = utc.astype("datetime64[s]").astype(np.int64)
    return np.asarray(seconds.to_numpy(copy=True))


def _localised(found: SeriesFile, time: str, series: Any, zone: ZoneInfo, field_of: str) -> Any:
    """Time stamps of the clock on the wall with their zone; what it does not have is noted."""
    there = series.dt.tz_localize(zone, ambiguous=True, nonexistent="NaT")
    gone = np.flatnonzero(there.isna())
    if len(gone):
        said = (
            f"a time that the clock in {zone.key} has; for a file without daylight saving "
            f"{field_of}.timezone: Etc/GMT-1 or the like"
        )
        found.note_rows(time, gone, said, [str(stamp) for stamp in series])
        found.check()
    # An hour that comes twice: the second time is later, in the order of the rows.
    later = series.dt.tz_localize(zone, ambiguous=False, nonexistent="NaT")
    twice = (there != later).to_numpy()
    if twice.any():
        again = series[twice].duplicated().to_numpy()
        choose = np.zeros(len(series), dtype=np.bool_)
        choose[np.flatnonzero(twice)[again]] = True
        there = there.where(~choose, later)
    return there


def _long(
    found: SeriesFile,
    time: str,
    at_s: IntArray,
    reading: SeriesReading,
    field_of: str,
    least: float,
) -> tuple[list[str], IntArray, FloatArray, SeriesFile]:
    """A long file as a wide one: names, moments, values; lines of the moments."""
    (by,) = (name for name in found.columns if name not in (time, "value"))
    labels = [str(cell).strip() for cell in found.cells[found.columns.index(by)]]
    value = numbers(
        found, "value", found.cells[found.columns.index("value")], reading.decimal, field_of, least
    )
    names, which = np.unique(np.array(labels, dtype=np.str_), return_inverse=True)
    moments, at = np.unique(at_s, return_inverse=True)
    pair = at * len(names) + which
    seen, first = np.unique(pair, return_index=True)
    if len(seen) < len(pair):
        again = np.setdiff1d(np.arange(len(pair)), first)
        if reading.doubled == "refuse":
            said = f"each time stamp once for each {by}; or `doubled` in how the file is read"
            found.note_rows(time, again, said, found.cells[found.columns.index(time)])
    found.check()
    flat = merged(pair, value, len(moments) * len(names), reading.doubled)
    line_of = np.zeros(len(moments), dtype=np.int64)
    line_of[at[::-1]] = np.asarray(found.lines)[::-1]
    wide_file = SeriesFile(
        found.name, found.columns, found.cells, line_of.tolist(), found.header_line, found.unit
    )
    if "value" in found.units:
        wide_file.unit = found.units["value"]
    return [str(name) for name in names], moments, flat.reshape(len(moments), -1), wide_file
