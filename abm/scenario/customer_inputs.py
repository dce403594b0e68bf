"""What the files of load, customers and heat pumps say, read when a scenario is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from abm.errors import InputError, Problem
from abm.scenario.calendar import Calendar
from abm.scenario.customers import CustomerTable, class_problems, load_problems, read_customers
from abm.scenario.feeder import OWN_CUSTOMERS
from abm.scenario.feeder_table import FeederTable
from abm.scenario.heat_pumps import heat_pump_load, heat_pump_problems
from abm.scenario.load_fields import ANY, BaseLoadSection
from abm.scenario.load_profiles import (
    LoadProfile,
    is_ready,
    read_profile,
    read_reactive,
    ready_profile,
)
from abm.scenario.names import display
from abm.scenario.schema import ScenarioFields
from abm.scenario.series import Series, SeriesTable
from abm.scenario.series_file import read_series
from abm.scenario.tables import one_column
from abm.scenario.units import TEMPERATURE

# Reads the file that a field names: what it has to be, in words, and its reader. None where it
# cannot be used; what is wrong with it is noted by whoever handed this out.
Read = Callable[[str, Callable[[Path], Any]], Any]
Found = list[Problem]


def profile_of(
    fields: ScenarioFields, calendar: Calendar, read: Read, read_own: Read, read_pool: Read
) -> tuple[LoadProfile | None, LoadProfile | None, Found]:
    """The load profile, the pool where customers draw from one, and problems not of a file.

    read, read_own, read_pool: of base_load.profile, base_load.reactive and variety.pool.
    """
    section, found = fields.base_load, []
    variety = section.variety
    profile: LoadProfile | None = None
    if is_ready(section.profile):
        try:
            profile = ready_profile(section.profile, calendar)
        except InputError as error:
            found = list(error.problems)
    else:
        profile = read(
            "a load profile (CSV or parquet file)",
            lambda path: read_profile(path, display(path), section.reading, calendar),
        )
    if profile is not None and section.reactive is not None:
        own = read_own(
            "a series (CSV or parquet file)",
            partial(_reactive, section=section, calendar=calendar, profile=profile),
        )
        profile = None if own is None else replace(profile, reactive=own)
    pool: LoadProfile | None = None
    if variety.kind in ("pool", "average"):
        at = "base_load.variety.reading"
        pool = read_pool(
            "a pool of profiles (CSV or parquet file)",
            lambda path: read_profile(path, display(path), variety.reading, calendar, at),
        )
        if variety.every == "hour":
            said = "horizon or day: a profile of the pool is of a whole day"
            found.append(Problem("base_load.variety.every", "hour", said))
    return profile, pool, found


def _reactive(
    path: Path, section: BaseLoadSection, calendar: Calendar, profile: LoadProfile
) -> Series:
    return read_reactive(path, display(path), section.reading, calendar, profile)


def classes_of(section: BaseLoadSection, profile: LoadProfile | None) -> tuple[str, ...] | None:
    """Classes that a feeder may have; None where any will do."""
    singly = section.customers is not None or section.by == "bus"
    if profile is None or ANY in profile.classes or singly:
        return None
    return (*profile.classes, *section.class_profiles)


def customers_of(
    fields: ScenarioFields,
    feeder: FeederTable,
    profile: LoadProfile,
    read: Read,
    read_folder: Read | None,
) -> tuple[CustomerTable | None, Found]:
    """Customers one by one, where there are any; problems that are not of their file.

    read: of base_load.customers. read_folder: of the feeder's folder, where that has a file of
    customers.
    """
    section = fields.base_load

    def reader(path: Path) -> CustomerTable:
        return read_customers(path, display(path), feeder, profile, section)

    singly = section.customers is not None or read_folder is not None
    found = list(load_problems(section, feeder, profile, singly))
    table: CustomerTable | None = None
    classes = {str(name) for name in feeder.customer_class}
    if singly:
        if found:
            return None, found
        if section.customers is not None:
            table = read("a file of customers (CSV)", reader)
        elif read_folder is not None:
            table = read_folder("a feeder (folder)", lambda folder: reader(folder / OWN_CUSTOMERS))
        if table is None:
            return None, []
        classes |= set(table.customer_class.tolist())
    return table, [*found, *class_problems(section, fields.heat_pumps, classes)]


def heat_pump_of(
    fields: ScenarioFields, calendar: Calendar, read: Read
) -> tuple[Series | None, Found]:
    """Electric power of one heat pump, where any customer has one; problems not of a file."""
    section, weather = fields.heat_pumps, fields.weather
    if not section.share:
        return None, []
    found = heat_pump_problems(section, calendar, weather.temperature is not None)
    if found:
        return None, found

    def reader(path: Path) -> SeriesTable:
        table = read_series(
            path, display(path), weather.reading, TEMPERATURE, calendar, "weather.reading"
        )
        return one_column(table, "temperature")

    table = read("a series (CSV or parquet file)", reader)
    if table is None:
        return None, []
    try:
        return heat_pump_load(section, calendar, table), []
    except InputError as error:
        return None, list(error.problems)
