"""Load profiles: a file of a series, the standard profiles of BDEW, those of SimBench."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abm.errors import InputError, Problem, needs
from abm.scenario.calendar import DAY_S, EPOCH, Calendar, days_of_year
from abm.scenario.load_fields import ANY
from abm.scenario.series import Series, SeriesTable, placed
from abm.scenario.series_fields import SeriesReading
from abm.scenario.series_file import read_series
from abm.scenario.units import LOAD, REACTIVE

FloatArray = NDArray[np.float64]

_QUARTER_S = 900
# What our classes are of the standard profiles, as in the fitted set `bdew_fit`.
_BDEW_CLASSES = {"residential": "h0_dyn", "commercial": "g2", "industrial": "g3"}
# What `feeder import` calls the loads and generators of a SimBench grid, by the names of profiles;
# the mean of these.
_SIMBENCH_CLASSES = {
    "residential": ("H0-",),
    "commercial": ("G0-", "G1-", "G2-", "G4-", "G5-", "G6-"),
    "industrial": ("G3-",),
    "pv": ("PV",),
    "wind": ("WP",),
}


@dataclass(frozen=True, eq=False)
class LoadProfile:
    """Demand by customer class or by bus on the horizon.

    classes: names of the columns. series: multiplier of a nominal load where unit is "-", else kW,
    a column for each name. yearly_mean: of each column, over the year that the file tells of, in
    the same unit, (m,). reactive: the same columns of the reactive load, multipliers or, where unit
    is kW, kvar; None where that goes with the active one.
    """

    classes: tuple[str, ...]
    series: Series
    unit: str = "-"
    yearly_mean: FloatArray | None = None
    reactive: Series | None = None

    def column_of(self, name: str, renamed: dict[str, str]) -> str | None:
        """Column that a class follows; None where there is none. renamed: class -> column."""
        wanted = renamed.get(name, name)
        if wanted in self.classes:
            return wanted
        return ANY if ANY in self.classes else None

    def horizon_mean(self) -> FloatArray:
        """Mean of each column over the horizon, (m,)."""
        row = self.series.row[1:-1]
        weight = np.bincount(row, minlength=len(self.series.values)) / len(row)
        return np.asarray((self.series.values * weight[:, None]).sum(axis=0))


def is_ready(reference: str) -> bool:
    """Whether a reference to a profile is one that a package makes, not a file."""
    return reference.partition(":")[0] in ("demandlib", "simbench") and ":" in reference


def read_profile(
    path: Path,
    file: str,
    reading: SeriesReading | None = None,
    calendar: Calendar | None = None,
    field_of: str = "base_load.reading",
) -> LoadProfile:
    """Load profile from a file of a series, multipliers or powers.

    file: name for problems. calendar: of the horizon, else a day from noon. Raises InputError.
    """
    calendar = calendar or Calendar("12:00", 24)
    table = read_series(path, file, reading or SeriesReading(), LOAD, calendar, field_of)
    return LoadProfile(
        table.columns, placed(table, calendar), table.unit, yearly_mean(table, calendar)
    )


def read_reactive(
    path: Path, file: str, reading: SeriesReading, calendar: Calendar, profile: LoadProfile
) -> Series:
    """Reactive load with the columns of a load profile. Raises InputError."""
    how = reading.model_copy(update={"unit": None})
    table = read_series(path, file, how, REACTIVE, calendar, "base_load.reading")
    problems = [
        Problem(name, "", "missing column; one for each of the load profile", file)
        for name in profile.classes
        if name not in table.columns
    ]
    wanted = "-" if profile.unit == "-" else "kvar"
    if table.unit != wanted:
        said = f"{wanted}, since the load profile is in {profile.unit}"
        problems.append(Problem("unit", table.unit, said, file))
    if problems:
        raise InputError(problems)
    return placed(table.only(*profile.classes), calendar)


def yearly_mean(table: SeriesTable, calendar: Calendar) -> FloatArray:
    """Mean of each column over a year, (m,): of time stamps that over all of the file."""
    values = table.values
    if table.begin_s is None and len(table.days) > 1:
        whole = all(kind.whole_year for kind in table.days)
        if not whole and not calendar.dated:
            # Which is refused when it is placed.
            return np.asarray(values.mean(axis=0))
        year = calendar.date_of(0).year if calendar.dated else 1973
        series = placed(table, Calendar("0:00", 8760, f"{year}-01-01"))
        count = np.bincount(series.row[1:-1], minlength=len(values))
        return np.asarray((values * count[:, None]).sum(axis=0) / count.sum())
    return np.asarray(values.mean(axis=0))


def ready_profile(reference: str, calendar: Calendar) -> LoadProfile:
    """A profile that a package makes: demandlib:bdew or simbench:CODE. Raises InputError."""
    package, _, which = reference.partition(":")
    if package == "demandlib":
        if which != "bdew":
            raise _refuse(reference, "demandlib:bdew")
        return bdew_profile(reference, calendar)
    return simbench_profile(reference, which, calendar)


def _refuse(reference: str, said: str) -> InputError:
    return InputError([Problem("base_load.profile", reference, said)])


def _missing(reference: str, package: str) -> InputError:
    return _refuse(reference, needs(package, package))


def _dated(reference: str, calendar: Calendar) -> None:
    if not calendar.dated:
        said = "missing; a date, since the profile goes by the calendar"
        raise InputError([Problem("clock.start_date", "", f"{said} ({reference})")])


def bdew_profile(reference: str, calendar: Calendar) -> LoadProfile:
    """The standard profiles, a quarter of an hour each, over the highest value of their year.

    Holidays of the calendar are Sundays. residential, commercial and industrial are h0_dyn, g2, g3.
    """
    _dated(reference, calendar)
    wall_s = calendar.wall_s(_quarters(calendar))
    first, last = (EPOCH + timedelta(days=int(s // DAY_S)) for s in (wall_s[0], wall_s[-1]))
    years = []
    for year in range(first.year, last.year + 1):
        of_year = days_of_year(year)
        free = of_year[calendar.is_holiday(of_year)]
        years.append(_bdew_year(reference, year, tuple(free.tolist())))
    names = years[0][0]
    values = np.concatenate([table for _, table in years])
    row = (wall_s - days_of_year(first.year)[0] * DAY_S) // _QUARTER_S
    more = [names.index(column) for column in _BDEW_CLASSES.values()]
    values = np.concatenate([values, values[:, more]], axis=1)
    series = Series(values, row, _QUARTER_S)
    return LoadProfile((*names, *_BDEW_CLASSES), series, "-", values.mean(axis=0))


def _quarters(calendar: Calendar) -> NDArray[np.int64]:
    return np.arange(-1, calendar.hours * 4 + 1) * _QUARTER_S


@lru_cache(maxsize=8)
def _bdew_year(
    reference: str, year: int, holidays: tuple[int, ...]
) -> tuple[tuple[str, ...], FloatArray]:
    """Names, and the quarters of a year over the highest of them, (35040 or 35136, m)."""
    try:
        # It turns warnings into errors for the whole process.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from demandlib.bdew import ElecSlp

            free = [EPOCH + timedelta(days=day) for day in holidays]
            frame = ElecSlp(year, holidays=free).get_profiles()
    except ImportError:
        raise _missing(reference, "demandlib") from None
    values = frame.to_numpy(dtype=np.float64)
    values = values / values.max(axis=0)
    values.setflags(write=False)
    return tuple(str(name) for name in frame.columns), values


def simbench_profile(reference: str, code: str, calendar: Calendar) -> LoadProfile:
    """The profiles of loads and of generation of a SimBench scenario; a class is a profile's name.

    They are of 2016; another year takes the same date and time. Reactive power has series of its
    own. residential, commercial, industrial, pv and wind are the means of their profiles. Raises
    InputError.
    """
    _dated(reference, calendar)
    scenario = code.rsplit("--", 1)[-1].partition("-")[0]
    if scenario not in ("0", "1", "2") or "--" not in code:
        raise _refuse(reference, "a SimBench code, as simbench:1-LV-rural1--0-sw")
    names, active, reactive = _simbench(reference, int(scenario))
    day, of_day = np.divmod(calendar.wall_s(_quarters(calendar)), DAY_S)
    dates = day.astype("datetime64[D]")
    month_of_year = dates.astype("datetime64[M]").astype(np.int64) % 12
    of_month = (dates - dates.astype("datetime64[M]")).astype(np.int64)
    month = np.datetime64("2016-01", "M") + month_of_year
    of_2016 = (month.astype("datetime64[D]") - np.datetime64("2016-01-01")).astype(np.int64)
    series = Series(active, (of_2016 + of_month) * 96 + of_day // _QUARTER_S, _QUARTER_S)
    return LoadProfile(names, series, "-", active.mean(axis=0), series.of(reactive))


@lru_cache(maxsize=1)
def _simbench(reference: str, scenario: int) -> tuple[tuple[str, ...], FloatArray, FloatArray]:
    """Names, and active and reactive profiles of a scenario, (35136, m) each."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import simbench

            tables = simbench.get_all_simbench_profiles(scenario)
    except ImportError:
        raise _missing(reference, "simbench") from None
    load, generation = tables["load"], tables["renewables"]
    loads = [name.removesuffix("_pload") for name in load.columns if name.endswith("_pload")]
    # The names of some sums of a grid are those of its loads and of its generators.
    feeds = [name for name in generation.columns if name != "time" and name not in loads]
    groups = [
        [at for at, name in enumerate((*loads, *feeds)) if name.startswith(begins)]
        for begins in _SIMBENCH_CLASSES.values()
    ]
    feeding = generation[feeds].to_numpy(dtype=np.float64)
    both = []
    for end, fed in (("_pload", feeding), ("_qload", np.zeros_like(feeding))):
        of_loads = load[[name + end for name in loads]].to_numpy(dtype=np.float64)
        values = np.concatenate([of_loads, fed], axis=1)
        means = [values[:, at].mean(axis=1) for at in groups]
        values = np.concatenate([values, np.stack(means, axis=1)], axis=1)
        values.setflags(write=False)
        both.append(values)
    return (*loads, *feeds, *_SIMBENCH_CLASSES), both[0], both[1]
