"""When something of a run is, in words, with its day where there are several."""

from __future__ import annotations

import numpy as np

from abm.equations import IntArray
from abm.results.record import Record

_DAY_S = 86_400


def moments(record: Record, windows: IntArray, grain_min: float) -> list[str]:
    """When these windows of so many minutes begin: the clock, and the day of a longer horizon.

    Days are those of the axes of figures: dates where the scenario has one, else numbered from 1,
    from midnight to midnight.
    """
    clock = record.clock_times(windows, grain_min)
    if record.n_hours <= 24:
        return clock
    calendar = record.scenario.calendar
    wall = calendar.wall_s(np.asarray(windows) * record.window_s(grain_min)) // _DAY_S
    if calendar.dated:
        dates = wall.astype("datetime64[D]").astype(str).tolist()
        return [f"{date} {time}" for date, time in zip(dates, clock, strict=True)]
    first = int(calendar.wall_s(np.zeros(1, dtype=np.int64))[0]) // _DAY_S
    return [f"day {day - first + 1}, {t}" for day, t in zip(wall.tolist(), clock, strict=True)]
