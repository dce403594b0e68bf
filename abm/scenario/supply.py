"""How much PV and storage each zone has, and the files of what PV yields."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abm.errors import InputError, Problem
from abm.scenario.calendar import Calendar
from abm.scenario.feeder_table import FeederTable
from abm.scenario.names import display
from abm.scenario.references import IRRADIANCE, PV
from abm.scenario.schema import ScenarioFields
from abm.scenario.series import Series, SeriesTable, placed
from abm.scenario.series_fields import SeriesReading
from abm.scenario.series_file import read_series
from abm.scenario.sun import panel_yield
from abm.scenario.supply_fields import PvSection, StorageSection
from abm.scenario.tables import one_column
from abm.scenario.units import IRRADIANCE as SUN
from abm.scenario.units import PV_POWER
from abm.scenario.yamlio import Path as FieldPath


def has_pv(section: PvSection) -> bool:
    """Whether any zone may have PV."""
    return section.kwp_per_zone > 0.0 or section.kwp_per_customer > 0.0


def has_storage(section: StorageSection) -> bool:
    """Whether any zone may have a battery."""
    return section.kwh_per_zone > 0.0 or section.kwh_per_customer > 0.0


def bad_zones(fields: ScenarioFields, feeder: FeederTable) -> list[Problem]:
    """Problems of the zones that are to have PV or storage, against the feeder."""
    problems: list[Problem] = []
    try:
        pv_of_zones(fields.pv, feeder)
    except InputError as error:
        problems += error.problems
    try:
        storage_of_zones(fields.storage, feeder)
    except InputError as error:
        problems += error.problems
    return problems


def read_pv(path: Path, file: str, reading: SeriesReading, calendar: Calendar) -> SeriesTable:
    """Yield of PV from a file of a series with a column `pv` [kW/kWp]. Raises InputError."""
    table = read_series(path, file, reading, PV_POWER, calendar, "pv.reading")
    table = one_column(table, "pv")
    if table.unit != PV_POWER.unit:
        said = "power over peak power, in one of: -, %, kW/kWp"
        raise InputError([Problem("unit", table.unit, said, file)])
    return table


def read_irradiance(
    path: Path, file: str, reading: SeriesReading, calendar: Calendar
) -> SeriesTable:
    """Irradiance from a file of a series: ghi, or ghi, dni, dhi [W/m2]. Raises InputError."""
    table = read_series(path, file, reading, SUN, calendar, "pv.reading")
    if "ghi" not in table.columns:
        raise InputError([Problem("ghi", "", "missing column", file)])
    both = all(name in table.columns for name in ("dni", "dhi"))
    return table.only("ghi", *(("dni", "dhi") if both else ()))


def pv_of_zones(section: PvSection, feeder: FeederTable) -> NDArray[np.float64]:
    """Peak power of each zone, (Z,) [kWp]. Raises InputError, see `_of_zones`."""
    return _of_zones("pv", "kwp", section, section.kwp_per_zone, section.kwp_per_customer, feeder)


def storage_of_zones(section: StorageSection, feeder: FeederTable) -> NDArray[np.float64]:
    """Capacity of the battery of each zone, (Z,) [kWh]. Raises InputError, see `_of_zones`."""
    kwh = section.kwh_per_zone, section.kwh_per_customer
    return _of_zones("storage", "kwh", section, *kwh, feeder)


def _of_zones(
    name: str,
    unit: str,
    section: PvSection | StorageSection,
    per_zone: float,
    per_customer: float,
    feeder: FeederTable,
) -> NDArray[np.float64]:
    """InputError for a zone that the feeder has not, and for customers that nobody has counted."""
    n_zones, chosen = feeder.n_zones, section.zones
    beyond = [zone for zone in chosen or () if zone > n_zones]
    if beyond:
        shown = ", ".join(map(str, beyond))
        said = f"zones of feeder {feeder.name!r}, 1 to {n_zones}"
        raise InputError([Problem(f"{name}.zones", shown, said)])
    has = np.isin(np.arange(1, n_zones + 1), chosen) if chosen else np.ones(n_zones, np.bool_)
    found = np.full(n_zones, per_zone)
    if per_customer:
        customers = feeder.zone_customers()
        unknown = np.flatnonzero(np.isnan(customers) & has)
        if len(unknown):
            shown = ", ".join(str(zone + 1) for zone in unknown[:10])
            said = (
                f"a number of customers in buses.csv at the bus of every zone that has some; "
                f"not there for zone {shown}"
            )
            field = f"{name}.{unit}_per_customer"
            raise InputError([Problem(field, f"{per_customer:g}", said)])
        found = found + per_customer * np.where(has, customers, 0.0)
    return np.where(has, found, 0.0)


def pv_yield_of(
    fields: ScenarioFields,
    calendar: Calendar,
    temperature: Series | None,
    read: Callable[[FieldPath, str, Callable[[Path], SeriesTable]], SeriesTable | None],
) -> tuple[Series | None, list[Problem]]:
    """What each kWp of PV yields on the horizon; problems that are not of a file."""
    pv, wanted = fields.pv, "a series (CSV or parquet file)"
    panels = pv.panels
    if panels is None:
        table = read(PV, wanted, lambda p: read_pv(p, display(p), pv.reading, calendar))
        return None if table is None else placed(table, calendar), []
    sky: SeriesTable | None = None
    if pv.irradiance is not None:
        sky = read(
            IRRADIANCE, wanted, lambda p: read_irradiance(p, display(p), pv.reading, calendar)
        )
        if sky is None:
            return None, []
    try:
        of_file = None if sky is None else placed(sky, calendar)
        columns = () if sky is None else sky.columns
        return panel_yield(panels, calendar, of_file, columns, temperature), []
    except InputError as error:
        return None, list(error.problems)
