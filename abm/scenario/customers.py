"""Customers one by one, and whose load follows which column of the load profile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le, MinLen
from numpy.typing import NDArray
from pydantic import Field

from abm.errors import Problem, nearest
from abm.scenario.csvio import NUMBER, OR_EMPTY, CsvRow, Table, read_table
from abm.scenario.feeder_table import FeederTable
from abm.scenario.fields import Allowed
from abm.scenario.load_fields import ANY, BaseLoadSection, HeatPumpsSection
from abm.scenario.load_profiles import LoadProfile

_POWER = "a number, at least 0, or empty with energy_kwh or a column in kW"
_ENERGY = "a number, at least 0, or empty with p_kw or a column in kW"
_KNOWN = 12  # so many names are said of many


class CustomerRow(CsvRow):
    """A customer. Its load is p_kw times the column, or follows it with energy_kwh in a year."""

    bus: Annotated[str | None, MinLen(1), Allowed("a bus, by number or name")] = Field(
        description="Bus, by its number or its name in the source."
    )
    customer: Annotated[str | None, OR_EMPTY, Allowed("text, or empty")] = Field(
        None, description="Name of the customer; may be left out."
    )
    customer_class: Annotated[str | None, OR_EMPTY, Allowed("text, or empty")] = Field(
        None, description="Class; left out: that of the bus."
    )
    p_kw: Annotated[float | None, Ge(0), NUMBER, OR_EMPTY, Allowed(_POWER)] = Field(
        None, description="Nominal power; kW."
    )
    energy_kwh: Annotated[float | None, Ge(0), NUMBER, OR_EMPTY, Allowed(_ENERGY)] = Field(
        None, description="Energy of a year; kWh."
    )
    profile: Annotated[str | None, OR_EMPTY, Allowed("a column of the profile, or empty")] = Field(
        None, description="Column of the load profile; left out: that of the class."
    )
    power_factor: Annotated[
        float | None, Ge(0.1), Le(1), NUMBER, OR_EMPTY, Allowed("a number from 0.1 to 1, or empty")
    ] = Field(None, description="Power factor, inductive; left out: that of the bus.")


@dataclass(frozen=True, eq=False)
class CustomerTable:
    """Customers in the order of the file, arrays of length n.

    bus: int64, row of the feeder's table of buses. customer_class: str. p_kw: what the column is
    multiplied by for kW. column: int64, of the load profile. power_factor: NaN where that of the
    bus holds.
    """

    bus: NDArray[np.int64]
    customer_class: NDArray[np.str_]
    p_kw: NDArray[np.float64]
    column: NDArray[np.int64]
    power_factor: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.bus)

    def counts(self, n: int) -> NDArray[np.float64]:
        """How many there are at each of n rows of the table of buses."""
        return np.bincount(self.bus, minlength=n).astype(np.float64)


def bus_rows(feeder: FeederTable) -> dict[str, int]:
    """Row of each bus by what it may be called: its number, "N12" or "12", and its name.

    A name that several buses have is none.
    """
    shown = [int(bus) - 1 + feeder.first_bus for bus in feeder.buses]
    names = [str(name) for name in feeder.labels.bus]
    found = {name: at for at, name in enumerate(names) if name and names.count(name) == 1}
    found |= {str(number): at for at, number in enumerate(shown) if str(number) not in found}
    return found | {
        f"N{number}": at for at, number in enumerate(shown) if f"N{number}" not in found
    }


def read_customers(
    path: Path, file: str, feeder: FeederTable, profile: LoadProfile, section: BaseLoadSection
) -> CustomerTable:
    """Read a CSV of customers. file: name for problems. Raises InputError with all bad rows."""
    table = read_table(path, file, CustomerRow)
    rows = bus_rows(feeder)
    absolute = profile.unit != "-"
    bus, column, power, classes = [], [], [], []
    for at, row in enumerate(table.rows):
        here = rows.get(row.bus or "")
        if here is None and row.bus is not None:
            said = "a bus of the feeder, by number or name: " + _some(rows)
            table.refuse(at, "bus", said, nearest(row.bus, list(rows)))
        own = row.customer_class
        kind = own or ("" if here is None else str(feeder.customer_class[here]))
        follows = row.profile if row.profile in profile.classes else None
        if row.profile is not None and follows is None:
            _refuse_column(table, at, "profile", row.profile, profile)
        elif row.profile is None and kind:
            follows = profile.column_of(kind, section.class_profiles)
            if follows is None:
                named = "customer_class" if own else "bus"
                _refuse_column(table, at, named, kind, profile)
        k = profile.classes.index(follows) if follows is not None else 0
        bus.append(-1 if here is None else here)
        column.append(k)
        classes.append(kind)
        power.append(_power(table, at, row, profile, k, absolute))
    table.check()
    return CustomerTable(
        np.array(bus, dtype=np.int64),
        np.array(classes, dtype=np.str_),
        np.array(power, dtype=np.float64),
        np.array(column, dtype=np.int64),
        table.column("power_factor", np.float64, np.nan),
    )


def _power(
    table: Table[CustomerRow], at: int, row: CustomerRow, profile: LoadProfile, k: int,
    absolute: bool,
) -> float:  # fmt: skip
    """What the column of a customer is multiplied by for its kW."""
    if row.energy_kwh is not None and row.p_kw is not None:
        table.refuse(at, "p_kw", "p_kw or energy_kwh, not both")
    elif row.energy_kwh is not None:
        mean = 0.0 if profile.yearly_mean is None else float(profile.yearly_mean[k])
        if mean > 0.0 or row.energy_kwh == 0.0:
            return row.energy_kwh / 8760.0 / mean if row.energy_kwh else 0.0
        said = f"0: the mean of column {profile.classes[k]} over the year is 0"
        table.refuse(at, "energy_kwh", said)
    elif absolute and row.p_kw is not None:
        table.refuse(at, "p_kw", f"empty: the profile is in {profile.unit}")
    elif absolute:
        return 1.0
    elif row.p_kw is not None:
        return row.p_kw
    elif not table.cells[at].get("p_kw") and not table.cells[at].get("energy_kwh"):
        table.note(table.lines[at], "p_kw", "", "missing; p_kw or energy_kwh")
    return 0.0


def _refuse_column(
    table: Table[CustomerRow], at: int, column: str, name: str, profile: LoadProfile
) -> None:
    said = "a column of the load profile, or a class in base_load.class_profiles: "
    hint = nearest(name, profile.classes)
    table.note(table.lines[at], column, name, said + _some(profile.classes), hint)


def _some(names: Mapping[str, int] | tuple[str, ...]) -> str:
    known = list(names)
    return ", ".join(known[:_KNOWN]) + (", ..." if len(known) > _KNOWN else "")


def bus_columns(feeder: FeederTable, profile: LoadProfile) -> NDArray[np.int64]:
    """Column of each row of the table of buses where columns are for buses; -1: none of its own."""
    rows = bus_rows(feeder)
    found = np.full(len(feeder.buses), -1, dtype=np.int64)
    for k, name in enumerate(profile.classes):
        if name in rows:
            found[rows[name]] = k
    return found


def load_problems(
    section: BaseLoadSection, feeder: FeederTable, profile: LoadProfile, singly: bool
) -> Iterator[Problem]:
    """What of the section does not go with the feeder and the profile. singly: by customer."""
    kinds = set() if feeder.generation is None else {str(n) for n in feeder.generation.kind}
    for name in sorted(kinds):
        if profile.column_of(name, section.class_profiles) is None:
            said = "a column for each class of generation.csv, or base_load.class_profiles"
            yield Problem("base_load.profile", name, f"{said}; it has: {_some(profile.classes)}")
    if kinds and profile.unit != "-":
        said = "multipliers, which generation.csv needs; in kW give PV a section of its own, pv"
        yield Problem("base_load.profile", profile.unit, said)
    for name, column in section.class_profiles.items():
        if column not in profile.classes:
            field = f"base_load.class_profiles.{name}"
            hint = nearest(column, profile.classes)
            yield Problem(field, column, f"a column: {_some(profile.classes)}", hint=hint)
    if section.by == "bus" and not singly:
        rows = bus_rows(feeder)
        for name in profile.classes:
            if name not in rows and name not in kinds and name != ANY:
                said = "a bus of the feeder, by number or name: " + _some(rows)
                hint = nearest(name, list(rows))
                yield Problem("base_load.profile", name, said, hint=hint)
    if section.by == "class" and not singly and profile.unit != "-":
        known = feeder.customers
        if not len(known) or np.isnan(known).any():
            said = (
                "multipliers; or customers for every bus in buses.csv, since kW are those of one "
                "customer of the class; or base_load.by: bus"
            )
            yield Problem("base_load.profile", profile.unit, said)


def class_problems(
    section: BaseLoadSection, heat_pumps: HeatPumpsSection, classes: set[str]
) -> Iterator[Problem]:
    """Classes that are named and that no customer has. classes: of the feeder and customers."""
    known = sorted(classes - {""})
    said = f"a class of the feeder: {', '.join(known)}"
    growth = {"growth": section.growth, "growth_per_year": section.growth_per_year}
    for field, factors in growth.items():
        for name in factors:
            if name not in (*known, ANY):
                yield Problem(f"base_load.{field}.{name}", "", said, hint=nearest(name, known))
    lists = {
        "base_load.variety.classes": section.variety.classes,
        "heat_pumps.classes": heat_pumps.classes,
    }
    for field, names in lists.items():
        for name in names or []:
            if name not in known:
                yield Problem(field, name, said, hint=nearest(name, known))
