"""Combinations that cannot be right, and the windows of arrival and departure in minutes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from abm.errors import Problem
from abm.scenario.kinds import clock_minutes
from abm.scenario.schema import ScenarioFields, TimeOfDay
from abm.scenario.source import Source
from abm.scenario.words import Path, dotted, show

DAY_MIN = 1440


def window_minutes(time_of_day: TimeOfDay, start: str) -> tuple[float, float, float]:
    """Low, high and mean of a time of day [min after the start of the horizon].

    time_of_day: clock times. start: clock time at which the horizon begins, "HH:MM". low is the
    first such time at or after the start, high the first one after low; the mean is counted from
    low and is the middle where none is given.

    16:00-24:00 from 12:00 is (240, 720, ...).
    """
    clock_low = clock_minutes(time_of_day.low)
    low = (clock_low - clock_minutes(start)) % DAY_MIN
    high = low + ((clock_minutes(time_of_day.high) - clock_low) % DAY_MIN or DAY_MIN)
    if time_of_day.mean is None:
        return float(low), float(high), (low + high) / 2
    after_low = clock_minutes(time_of_day.mean) - clock_low
    mean = low + (after_low if 0 <= after_low <= DAY_MIN else after_low % DAY_MIN)
    return float(low), float(high), float(mean)


def stay_windows(
    fields: ScenarioFields,
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Arrival and departure windows (low, high, mean) [min after the start of the horizon].

    The departure is the first one that begins when the last EV has arrived, or later.
    """
    start = fields.clock.start
    arrival = window_minutes(fields.fleet.arrival, start)
    low, high, mean = window_minutes(fields.fleet.departure, start)
    while low < arrival[1]:
        low, high, mean = low + DAY_MIN, high + DAY_MIN, mean + DAY_MIN
    return arrival, (low, high, mean)


def cross_problems(
    fields: ScenarioFields, source: Source, bad: Collection[Path]
) -> Iterator[Problem]:
    """Problems of fields that are right alone and wrong together.

    bad: paths that were refused already and stand at their defaults in `fields`; a check that
    needs one of them is left out.
    """
    for problem, path, needs in _findings(fields, source):
        if not any(_touches(need, refused) for need in needs for refused in bad):
            yield source.locate(problem, path)


def _touches(path: Path, other: Path) -> bool:
    return path[: len(other)] == other or other[: len(path)] == path


def value_at(fields: ScenarioFields, path: Path) -> Any:
    """The value of the field at `path`."""
    value: Any = fields
    for key in path:
        value = getattr(value, key)
    return value


Finding = tuple[Problem, Path, tuple[Path, ...]]


def _findings(fields: ScenarioFields, source: Source) -> Iterator[Finding]:
    sampled = fields.fleet.sessions is None and fields.fleet.evs_per_zone > 0
    ordered: list[tuple[str, str, bool]] = [
        ("ev.soc_lower", "ev.soc_min", False),
        ("ev.soc_min", "ev.soc_upper", False),
        ("grid.vm_min_pu", "grid.vm_max_pu", True),
        ("fleet.capacity.low", "fleet.capacity.high", False),
    ]
    for name in ("soc_arrival", "soc_target"):
        low, mean, high = (f"fleet.{name}.{part}" for part in ("low", "mean", "high"))
        ordered.append((low, high, False))
        if value_at(fields, ("fleet", name, "mean")) is not None:
            ordered += [(low, mean, False), (mean, high, False)]
    if sampled:
        ordered += [
            ("ev.soc_lower", "fleet.soc_arrival.low", False),
            ("fleet.soc_target.high", "ev.soc_upper", False),
        ]
    for lesser, greater, strictly in ordered:
        yield from _order(fields, source, lesser, greater, strictly)
    if sampled:
        yield from _windows(fields, source)
    yield from _interval(fields, source)


def _order(
    fields: ScenarioFields, source: Source, lesser: str, greater: str, strictly: bool
) -> Iterator[Finding]:
    low_path, high_path = tuple(lesser.split(".")), tuple(greater.split("."))
    low, high = value_at(fields, low_path), value_at(fields, high_path)
    if low < high or (low == high and not strictly):
        return
    # Of two written in one file a mean is to blame, not the range it should lie in.
    path = source.blame(*sorted((low_path, high_path), key=lambda p: p[-1] != "mean"))
    if path == low_path:
        said = f"{'below' if strictly else 'at most'} {greater} = {show(high)}"
    else:
        said = f"{'above' if strictly else 'at least'} {lesser} = {show(low)}"
    problem = Problem(dotted(path), show(value_at(fields, path)), said)
    yield problem, path, (low_path, high_path)


def _interval(fields: ScenarioFields, source: Source) -> Iterator[Finding]:
    interval: Path = ("broadcast", "interval_min")
    step: Path = ("clock", "step_s")
    minutes, seconds = fields.broadcast.interval_min, fields.clock.step_s
    if minutes * 60 % seconds == 0:
        return
    path = source.blame(interval, step)
    if path == interval:
        said = f"a multiple of the time step, clock.step_s = {seconds} s"
    else:
        said = f"a divisor of broadcast.interval_min = {minutes} min"
    yield Problem(dotted(path), show(value_at(fields, path)), said), path, (interval, step)


def _windows(fields: ScenarioFields, source: Source) -> Iterator[Finding]:
    start: Path = ("clock", "start")
    hours: Path = ("clock", "hours")
    horizon = fields.clock.hours * 60
    arrival, departure = stay_windows(fields)
    needs: tuple[Path, ...] = (start, hours, ("fleet", "arrival"))
    for name, window in (("arrival", arrival), ("departure", departure)):
        if name == "departure":
            needs = (*needs, ("fleet", "departure"))
        section: Path = ("fleet", name)
        mean_path = (*section, "mean")
        if not window[0] <= window[2] <= window[1]:
            low, high = (value_at(fields, (*section, end)) for end in ("low", "high"))
            said = (
                f"between {dotted(section)}.low = {low} and .high = {high}, or null for the middle"
            )
            value = show(value_at(fields, mean_path))
            yield Problem(dotted(mean_path), value, said), mean_path, (section,)
        if window[1] > horizon:
            path = source.blame((*section, "high"), (*section, "low"), hours, start)
            said = (
                f"the {name}s have to end inside the horizon of {horizon} min, they end at minute "
                f"{window[1]:g} ({fields.clock.start} + {window[1] / 60:g} h)"
            )
            yield Problem(dotted(path), show(value_at(fields, path)), said), path, needs
