"""Combinations that cannot be right, and the windows of arrival and departure in minutes."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic import BaseModel

from abm.errors import Problem
from abm.scenario.document import Document
from abm.scenario.fields import Range, Spread, TimeOfDay, clock_minutes
from abm.scenario.schema import ScenarioFields
from abm.scenario.stay_fields import KINDS_OF_DAY
from abm.scenario.yamlio import Path, dotted, show

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


Window = tuple[float, float, float]


def stay_windows(
    fields: ScenarioFields,
    arrival: TimeOfDay | None = None,
    departure: TimeOfDay | None = None,
    after: float | None = None,
) -> tuple[Window, Window]:
    """Arrival and departure windows (low, high, mean) [min after the start of the day's horizon].

    arrival, departure: clock times, those of `fleet` if left out. The departure is the first one
    that begins when the last EV has arrived, or later; when `after` says so, at that minute or
    later instead.
    """
    start = fields.clock.start
    comes = window_minutes(arrival or fields.fleet.arrival, start)
    low, high, mean = window_minutes(departure or fields.fleet.departure, start)
    earliest = comes[1] if after is None else after
    while low < earliest:
        low, high, mean = low + DAY_MIN, high + DAY_MIN, mean + DAY_MIN
    return comes, (low, high, mean)


@dataclass(frozen=True)
class Habit:
    """One pair of arrival and departure that some owners keep on some days, and where it stands."""

    arrival: TimeOfDay
    departure: TimeOfDay
    arrival_path: Path
    departure_path: Path


def habits(fields: ScenarioFields) -> Iterator[Habit]:
    """Every pair of arrival and departure that can meet in one stay; that of `fleet` first."""
    fleet, owners = fields.fleet, fields.owners
    everyone = Habit(fleet.arrival, fleet.departure, ("fleet", "arrival"), ("fleet", "departure"))
    yield everyone
    believed = _other(everyone, fields.belief, ("belief",))
    if believed != everyone:
        yield believed
    around: list[tuple[Habit, Any, Path]] = []
    if owners.groups:
        for name, group in owners.groups.items():
            path: Path = ("owners", "groups", name)
            own = _other(everyone, group, path)
            if own != everyone:
                yield own
            weekend = path if group.weekend is not None else ("owners",)
            around.append((own, group.weekend or owners.weekend, (*weekend, "weekend")))
    else:
        around.append((everyone, owners.weekend, ("owners", "weekend")))
    for own, weekend, path in around:
        if weekend is None:
            continue
        both = _other(own, weekend, path)
        # Friday to Saturday, Sunday to Monday, and the night between.
        for mixed in (
            Habit(own.arrival, both.departure, own.arrival_path, both.departure_path),
            Habit(both.arrival, own.departure, both.arrival_path, own.departure_path),
            both,
        ):
            if mixed != own:
                yield mixed


def _other(habit: Habit, section: Any, path: Path) -> Habit:
    """The habit with what a group or a weekend changes of it."""
    arrival, departure = section.arrival, section.departure
    return Habit(
        arrival or habit.arrival,
        departure or habit.departure,
        habit.arrival_path if arrival is None else (*path, "arrival"),
        habit.departure_path if departure is None else (*path, "departure"),
    )


def cross_problems(
    fields: ScenarioFields, document: Document, bad: Collection[Path]
) -> Iterator[Problem]:
    """Problems of fields that are right alone and wrong together.

    bad: paths that were refused already and stand at their defaults in `fields`; a check that
    needs one of them is left out.
    """
    for path, said, needs, written in _findings(fields, document):
        if not any(_touches(need, refused) for need in (path, *needs) for refused in bad):
            value = value_at(fields, path)
            shown = "" if isinstance(value, Mapping) else show(value)
            yield document.locate(Problem(dotted(path), shown, said), written or path)


def by_energy_problems(fields: ScenarioFields, document: Document) -> Iterator[Problem]:
    """What cannot be where the need of the EVs is an energy and no SoC is known."""
    since = "the need of these EVs is an energy, and their SoC is not known"
    wrong: list[tuple[Path, bool, str]] = [
        (
            ("requirement", "kind"),
            fields.requirement.kind == "as_printed",
            f"energy_balanced: eq. (3) is of SoC; {since}",
        ),
        (("ev", "taper"), fields.ev.taper is not None, f"left out: {since}"),
        (("ageing", "model"), fields.ageing.model != "throughput", f"throughput: {since}"),
    ]
    for section, path in _sections_of(fields.owners, ("owners",)):
        habit = getattr(section, "habit", None)
        wrong.append(((*path, "habit"), habit == "below_soc", f"not below_soc: {since}"))
    for path, bad, said in wrong:
        if bad:
            problem = Problem(dotted(path), show(value_at(fields, path)), said)
            yield document.locate(problem, path)


def _touches(path: Path, other: Path) -> bool:
    return path[: len(other)] == other or other[: len(path)] == path


def value_at(fields: ScenarioFields, path: Path) -> Any:
    """The value of the field at `path`."""
    value: Any = fields
    for key in path:
        if value is None:  # of a section that is left out
            break
        value = value[key] if isinstance(value, Mapping) else getattr(value, key)
    return value


class Finding(NamedTuple):
    """The field at `path` is to blame, for a reason that looks at the fields `needs` as well.

    written: where the user last had a hand in it, if not at `path`.
    """

    path: Path
    said: str
    needs: tuple[Path, ...] = ()
    written: Path | None = None


def _findings(fields: ScenarioFields, document: Document) -> Iterator[Finding]:
    drawn = fields.fleet.sessions is None and fields.fleet.stays is None
    sampled = drawn and fields.fleet.has_evs
    ordered: list[tuple[Path, Path, bool]] = [
        (("ev", "soc_lower"), ("ev", "soc_min"), False),
        (("ev", "soc_min"), ("ev", "soc_upper"), False),
        (("ev", "min_charge_kw"), ("ev", "charger_kw"), False),
        (("grid", "vm_min_pu"), ("grid", "vm_max_pu"), True),
        (("storage", "soc_min"), ("storage", "soc_start"), False),
        (("storage", "soc_start"), ("storage", "soc_max"), False),
        (("storage", "charge_below_kw"), ("storage", "discharge_above_kw"), False),
    ]
    for section, path in _sections_of(fields):
        names = type(section).model_fields
        low, mean, high = ((*path, part) for part in ("low", "mean", "high"))
        if "low" in names and not isinstance(section, TimeOfDay):
            ordered.append((low, high, False))
        if isinstance(section, Range | Spread) and section.mean is not None:
            ordered += [(low, mean, False), (mean, high, False)]
        if "shape" in names:
            yield from _shape(section, path)
        if sampled and isinstance(section, Range) and path[-1] == "soc_arrival":
            ordered.append((("ev", "soc_lower"), low, False))
        if sampled and isinstance(section, Range) and path[-1] == "soc_target":
            ordered.append((high, ("ev", "soc_upper"), False))
    for lesser, greater, strictly in ordered:
        yield from _order(fields, document, lesser, greater, strictly)
    if sampled:
        seen: set[Path] = set()
        for habit in habits(fields):
            yield from _windows(fields, document, habit, seen)
    yield from _days_and_groups(fields, document)
    drawn_path: Path = ("fleet", "drawn_per_customer")
    if (most := fields.fleet.drawn_per_customer) is not None:
        given, needs = fields.fleet.evs_per_customer, (("fleet", "evs_per_customer"),)
        if given is None:
            yield Finding(drawn_path, "left out without fleet.evs_per_customer", needs)
        elif most < given:
            yield Finding(drawn_path, f"at least the {given:g} of fleet.evs_per_customer", needs)
    sky: Path = ("pv", "irradiance")
    if fields.pv.irradiance is not None and fields.pv.panels is None:
        yield Finding(sky, "null without pv.panels, whose weather it is", (("pv", "panels"),))
    factor: Path = ("ev", "power_factor")
    if fields.ev.volt_var is not None and abs(fields.ev.power_factor) != 1.0:
        yield Finding(
            factor, "1 where ev.volt_var says what reactive power is", (("ev", "volt_var"),)
        )
    yield from _dates(fields)
    for interval in (("broadcast", "interval_min"), ("grid", "flow_interval_min")):
        yield from _interval(fields, document, interval)
    if fields.tariff.demand_charge.usd_per_kw > 0.0:
        yield from _interval(fields, document, ("tariff", "demand_charge", "window_min"))


def _sections_of(value: Any, path: Path = ()) -> Iterator[tuple[BaseModel, Path]]:
    """Every section of the scenario that is there, with its path."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _sections_of(item, (*path, str(name)))
    elif isinstance(value, BaseModel) and path[:1] != ("strategy",):
        if path:
            yield value, path
        for name in type(value).model_fields:
            yield from _sections_of(getattr(value, name), (*path, name))


def _days_and_groups(fields: ScenarioFields, document: Document) -> Iterator[Finding]:
    days: Path = ("horizon", "days")
    groups: Path = ("owners", "groups")
    learning: Path = ("owners", "learning", "graph")
    sessions: Path = ("fleet", "sessions")
    hours: Path = ("clock", "hours")

    several = fields.horizon.days > 1
    if several and fields.clock.hours != 24:
        said = f"24 where horizon.days = {fields.horizon.days}: every day has 24 h"
        yield Finding(hours, said, (days,))
    at_once = fields.fleet.sessions is not None or fields.fleet.stays is not None
    why = "fleet.stays" if fields.fleet.sessions is None else "fleet.sessions"
    if at_once and fields.owners.groups:
        yield Finding(groups, f"none where {why} is given: owners are as it says", (sessions,))
    models: Path = ("fleet", "ev_models")
    if fields.fleet.ev_models is not None:
        if at_once:
            yield Finding(models, f"left out where {why} is given: batteries are as it says")
        for name, group in fields.owners.groups.items():
            if group.capacity is not None:
                path = (*groups, name, "capacity")
                yield Finding(path, "left out where fleet.ev_models says the batteries", (models,))
    for path in (("fleet", "stays"), ("belief", "stays")):
        for kind in KINDS_OF_DAY:
            arrival = value_at(fields, (*path, kind, "arrival_h"))
            if arrival is not None and arrival.high > 24.0:
                yield Finding((*path, kind, "arrival_h", "high"), "at most 24, the end of the day")
    if fields.owners.groups:
        total = sum(group.share for group in fields.owners.groups.values())
        if abs(total - 1.0) > 1e-9:
            said = f"shares that add up to 1; these add up to {total:.6g}"
            # The share that was written last stands where the user has just been.
            last = document.blame(*((*groups, name, "share") for name in fields.owners.groups))
            yield Finding(groups, said, written=last)
    graph = fields.owners.learning.graph
    edges: Path = ("owners", "learning", "edges")
    if graph == "edges" and fields.owners.learning.edges is None:
        if document.blame(edges, learning) == edges:
            yield Finding(edges, "a CSV file where graph is edges", (learning,))
        else:
            yield Finding(learning, f"edges only with a CSV file in {dotted(edges)}", (edges,))
    if graph != "off" and (at_once or not several):
        since = f"{why} is given" if at_once else "horizon.days is 1"
        said = f"off where {since}: owners learn from day to day"
        yield Finding(learning, said, (days, sessions))


def _dates(fields: ScenarioFields) -> Iterator[Finding]:
    """Dates and what needs one."""
    date, zone, holidays = ((("clock", name)) for name in ("start_date", "timezone", "holidays"))
    if fields.clock.start_date is None:
        for path in (zone, holidays):
            if value_at(fields, path) is not None:
                yield Finding(path, "only with a date in clock.start_date", (date,))
        for name in ("time_of_use", "grid_fee"):
            for key, window in getattr(fields.tariff, name).items():
                if window.months:
                    at: Path = ("tariff", name, key, "months")
                    yield Finding(at, "only with a date in clock.start_date", (date,))


def _shape(section: Any, path: Path) -> Iterator[Finding]:
    """What a distribution's shape needs of its other fields."""
    shape: Path = (*path, "shape")
    if section.shape == "empirical" and section.quantiles is None:
        yield Finding((*path, "quantiles"), "a list of numbers where shape is empirical", (shape,))
    if section.shape == "mixture" and section.parts is None:
        said = "a list of [weight, mean, sd] where shape is mixture"
        yield Finding((*path, "parts"), said, (shape,))
    if isinstance(section, TimeOfDay):
        return
    low, high, quantiles = section.low, section.high, section.quantiles
    if (
        section.shape == "empirical"
        and quantiles
        and not low <= quantiles[0] <= quantiles[-1] <= high
    ):
        said = f"quantiles from low = {show(low)} to high = {show(high)}"
        yield Finding((*path, "quantiles"), said, (shape,))
    mean = (low + high) / 2 if section.mean is None else section.mean
    if section.shape == "lognormal" and mean <= 0.0:
        yield Finding((*path, "mean"), "above 0 where shape is lognormal", (shape,))
    if section.shape == "beta" and low < high:
        sd = (high - low) / (5 if isinstance(section, Range) else 4)
        sd = sd if section.sd is None else section.sd
        most = math.sqrt(max((mean - low) * (high - mean), 0.0))
        if sd >= most:
            said = f"below {most:.4g}, the most that shape beta can have with this mean"
            yield Finding((*path, "sd"), said, (shape,))


def _order(
    fields: ScenarioFields, document: Document, low_path: Path, high_path: Path, strictly: bool
) -> Iterator[Finding]:
    low, high = value_at(fields, low_path), value_at(fields, high_path)
    if low < high or (low == high and not strictly):
        return
    # Of two written in one file a mean is to blame, not the range it should lie in.
    path = document.blame(*sorted((low_path, high_path), key=lambda p: p[-1] != "mean"))
    if path == low_path:
        said = f"{'below' if strictly else 'at most'} {dotted(high_path)} = {show(high)}"
    else:
        said = f"{'above' if strictly else 'at least'} {dotted(low_path)} = {show(low)}"
    yield Finding(path, said, (low_path, high_path))


def _interval(fields: ScenarioFields, document: Document, interval: Path) -> Iterator[Finding]:
    step: Path = ("clock", "step_s")
    minutes, seconds = value_at(fields, interval), fields.clock.step_s
    if minutes * 60 % seconds == 0:
        return
    path = document.blame(interval, step)
    if path == interval:
        said = f"a multiple of the time step, clock.step_s = {seconds} s"
    else:
        said = f"a divisor of {dotted(interval)} = {minutes} min"
    yield Finding(path, said, (interval, step))


def _windows(
    fields: ScenarioFields, document: Document, habit: Habit, seen: set[Path]
) -> Iterator[Finding]:
    """Problems of one pair of arrival and departure; seen: sections that were blamed before."""
    start: Path = ("clock", "start")
    hours: Path = ("clock", "hours")
    several = fields.horizon.days > 1
    horizon = DAY_MIN if several else fields.clock.hours * 60
    arrival, departure = stay_windows(fields, habit.arrival, habit.departure)
    needs: tuple[Path, ...] = (start, hours, habit.arrival_path)
    for name, window, section in (
        ("arrival", arrival, habit.arrival_path),
        ("departure", departure, habit.departure_path),
    ):
        if name == "departure":
            needs = (*needs, habit.departure_path)
        if section in seen:
            continue
        mean_path = (*section, "mean")
        if not window[0] <= window[2] <= window[1]:
            low, high = (value_at(fields, (*section, end)) for end in ("low", "high"))
            said = (
                f"between {dotted(section)}.low = {low} and .high = {high}, or null for the middle"
            )
            seen.add(section)
            yield Finding(mean_path, said, (section,))
        if window[1] > horizon:
            path = document.blame((*section, "high"), (*section, "low"), hours, start)
            within = "each day's 1440 min" if several else f"the horizon of {horizon} min"
            said = (
                f"the {name}s have to end inside {within}, they end at minute "
                f"{window[1]:g} ({fields.clock.start} + {window[1] / 60:g} h)"
            )
            seen.add(section)
            yield Finding(path, said, needs)
