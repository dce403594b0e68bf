"""The tables that a scenario names: load profile, tariff, measured sessions, pairs of EVs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, MinLen
from numpy.typing import NDArray
from pydantic import Field

from abm.errors import InputError, Problem, nearest
from abm.scenario.calendar import Calendar
from abm.scenario.csvio import (
    NUMBER,
    OR_EMPTY,
    WHOLE,
    CsvRow,
    Table,
    frozen,
    read_table,
)
from abm.scenario.fields import Allowed
from abm.scenario.schema import ScenarioFields
from abm.scenario.series import Series, SeriesTable, placed
from abm.scenario.series_fields import SeriesReading
from abm.scenario.series_file import read_series
from abm.scenario.units import LOAD, PRICE

_MINUTES = "a number of minutes after the start of the horizon"
_FRACTION = "a fraction from 0 to 1"


class SessionRow(CsvRow):
    """One stay of one EV, by SoC or by energy. What is empty is as in the scenario."""

    ev_id: Annotated[str | None, MinLen(1)] = Field(description="Name of the EV.")
    zone: Annotated[int | None, Ge(1), WHOLE, Allowed("a whole number from 1")] = Field(
        description="RPZ in which it stays."
    )
    arrival_min: Annotated[float | None, NUMBER, Allowed(_MINUTES)] = Field(
        None, description="Arrival; min after the start of the horizon."
    )
    departure_min: Annotated[float | None, NUMBER, Allowed(_MINUTES)] = Field(
        None, description="Departure; min after the start of the horizon."
    )
    capacity_kwh: Annotated[float | None, Gt(0), NUMBER] = Field(
        None, description="Battery capacity; kWh."
    )
    soc_arrival: Annotated[float | None, Ge(0), Le(1), NUMBER, Allowed(_FRACTION)] = Field(
        None, description="SoC on arrival; fraction."
    )
    soc_target: Annotated[float | None, Ge(0), Le(1), NUMBER, Allowed(_FRACTION)] = Field(
        None, description="SoC wanted on departure; fraction."
    )
    p_max_kw: Annotated[
        float | None,
        Gt(0),
        NUMBER,
        OR_EMPTY,
        Allowed("a number above 0, or empty for ev.charger_kw"),
    ] = Field(None, description="G2V rating at the grid side; kW.")
    p_discharge_kw: Annotated[
        float | None,
        Ge(0),
        NUMBER,
        OR_EMPTY,
        Allowed("a number, at least 0, or empty for ev.discharger_kw"),
    ] = Field(None, description="V2G rating at the grid side; kW.")
    efficiency: Annotated[
        float | None,
        Gt(0),
        Le(1),
        NUMBER,
        OR_EMPTY,
        Allowed("a number above 0 and at most 1, or empty for ev.efficiency"),
    ] = Field(None, description="Efficiency, one way; fraction.")
    energy_kwh: Annotated[float | None, Gt(0), NUMBER] = Field(
        None,
        description="Energy to charge, at the grid side; kWh. In the place of capacity_kwh, "
        "soc_arrival and soc_target, which are then not known.",
    )


# What a file says that does not say energy_kwh.
BY_SOC = ("capacity_kwh", "soc_arrival", "soc_target")


class EdgeRow(CsvRow):
    """Two EVs of a feeder that see each other."""

    ev_a: Annotated[int | None, Ge(1), WHOLE] = Field(description="One, by its number from 1.")
    ev_b: Annotated[int | None, Ge(1), WHOLE] = Field(description="The other.")


@dataclass(frozen=True, eq=False)
class LoadProfile:
    """Demand by customer class on the horizon.

    classes: names. series: multiplier of the nominal load of a bus [-], a column for each class.
    """

    classes: tuple[str, ...]
    series: Series


@dataclass(frozen=True, eq=False)
class Tariff:
    """Price alpha on the horizon, eqs. (19)-(22).

    series: one column, in `unit`. Prices may be negative.
    """

    series: Series
    unit: str = "$/kWh"


@dataclass(frozen=True, eq=False)
class SessionTable:
    """One stay per row, in the order of the file; an EV may come again. Arrays of length n.

    ev_id: text. zone: int64, from 1. arrival_min, departure_min: float64 [min after the start of
    the horizon]; a departure may lie beyond its end. capacity_kwh [kWh], soc_arrival, soc_target
    [-], p_max_kw, p_discharge_kw [kW at the grid side], efficiency [-, one way]: float64.
    energy_kwh: what is to be charged, at the grid side [kWh], where the file says that; capacity
    and SoC are then NaN. None where it says those.
    """

    ev_id: tuple[str, ...]
    zone: NDArray[np.int64]
    arrival_min: NDArray[np.float64]
    departure_min: NDArray[np.float64]
    capacity_kwh: NDArray[np.float64]
    soc_arrival: NDArray[np.float64]
    soc_target: NDArray[np.float64]
    p_max_kw: NDArray[np.float64]
    p_discharge_kw: NDArray[np.float64]
    efficiency: NDArray[np.float64]
    energy_kwh: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.ev_id)

    @property
    def again(self) -> bool:
        """Whether an EV comes more than once."""
        return len(set(self.ev_id)) < len(self)


# A day from noon, for a file that is looked at by itself.
A_DAY = Calendar("12:00", 24)


def read_profile(
    path: Path, file: str, reading: SeriesReading | None = None, calendar: Calendar = A_DAY
) -> LoadProfile:
    """Load profile from a file of a series with a column for each customer class.

    file: name for problems. Raises InputError.
    """
    how = reading or SeriesReading()
    table = read_series(path, file, how, LOAD, calendar, "base_load.reading")
    problems = []
    if table.unit != LOAD.unit:
        said = f"a multiplier of the nominal load, in one of: {LOAD.words.partition(';')[0]}"
        problems.append(Problem("unit", table.unit, said, file))
    lowest = table.values.min(axis=0)
    problems += [
        Problem(name, f"{lowest[at]:g}", "numbers, at least 0", file)
        for at, name in enumerate(table.columns)
        if lowest[at] < 0.0
    ]
    if problems:
        raise InputError(problems)
    return LoadProfile(table.columns, placed(table, calendar))


def read_tariff(
    path: Path, file: str, reading: SeriesReading | None = None, calendar: Calendar = A_DAY
) -> Tariff:
    """Tariff from a file of a series with a column `price`. Raises InputError."""
    how = reading or SeriesReading()
    table = one_column(read_series(path, file, how, PRICE, calendar, "tariff.reading"), "price")
    return Tariff(placed(table, calendar), table.unit)


def one_column(table: SeriesTable, name: str) -> SeriesTable:
    """The series of a table with this column and no other. Raises InputError for any other."""
    problems = []
    if name not in table.columns:
        near = nearest(name, table.columns) or "the file has: " + ", ".join(table.columns)
        problems.append(Problem(name, "", "missing column", table.file, hint=near))
    else:
        problems += [
            Problem(other, "", "unknown column", table.file, hint=f"known: {name}")
            for other in table.columns
            if other != name
        ]
    if problems:
        raise InputError(problems)
    return table


def read_sessions(
    path: Path, file: str, fields: ScenarioFields, n_zones: int | None
) -> SessionTable:
    """Read a CSV of sessions.

    file: name for problems. fields: horizon, and what an empty cell stands for. n_zones: RPZs of
    the feeder, None when it could not be read. Raises InputError with all bad rows.
    """
    days = fields.horizon.days
    horizon_min = 60 * (24 * days if days > 1 else fields.clock.hours)
    inside = f"at least 0 and before the end of the horizon, minute {horizon_min}"
    zones = _from_one("a whole number", n_zones)
    if n_zones == 0:
        zones = "a feeder with zones; this one has none"
    table = read_table(path, file, SessionRow, {"zone": zones})
    by_energy = _by_energy(table)
    for at, row in enumerate(table.rows):
        if n_zones is not None and (row.zone or 0) > n_zones:
            table.refuse(at, "zone")
        arrival, departure = row.arrival_min, row.departure_min
        if arrival is not None and not 0 <= arrival < horizon_min:
            table.refuse(at, "arrival_min", inside)
        if arrival is not None and departure is not None and departure <= arrival:
            written = table.cells[at]["arrival_min"]
            table.refuse(at, "departure_min", f"after arrival_min = {written}")
    _one_at_a_time(table)
    table.check()
    unknown = np.nan if by_energy else 0.0
    empty = {
        "p_max_kw": fields.ev.charger_kw,
        "p_discharge_kw": fields.ev.discharger_kw,
        "efficiency": fields.ev.efficiency,
        **dict.fromkeys(BY_SOC, unknown),
    }
    numbers = [name for name in SessionRow.model_fields if name not in ("ev_id", "zone")]
    columns = {name: table.column(name, np.float64, empty.get(name, 0.0)) for name in numbers}
    energy = columns.pop("energy_kwh")
    return SessionTable(
        ev_id=tuple(str(row.ev_id) for row in table.rows),
        zone=table.column("zone", np.int64),
        energy_kwh=energy if by_energy else None,
        **columns,
    )


def _by_energy(table: Table[SessionRow]) -> bool:
    """Whether the rows say an energy, not a SoC. Raises InputError for columns that are missing."""
    both = "either energy_kwh, or " + ", ".join(BY_SOC)
    before = len(table.problems)
    by_energy = "energy_kwh" in table.columns
    for name in ("arrival_min", "departure_min", *(() if by_energy else BY_SOC)):
        if name not in table.columns:
            hint = f"or energy_kwh in the place of {', '.join(BY_SOC)}" if name in BY_SOC else ""
            table.note(table.header_line, name, "", "missing column", hint)
    for name in BY_SOC if by_energy else ():
        if name in table.columns:
            table.note(table.header_line, name, "", both)
    # Without the right columns every row would be wrong as well.
    if len(table.problems) > before:
        table.check()
    return by_energy


def _one_at_a_time(table: Table[SessionRow]) -> None:
    """An EV may come again when it has left."""
    order = sorted(
        (row.ev_id, row.arrival_min, at)
        for at, row in enumerate(table.rows)
        if row.ev_id is not None and row.arrival_min is not None and row.departure_min is not None
    )
    latest: dict[str, int] = {}
    for ev_id, arrival, at in order:
        before = latest.get(ev_id)
        until = None if before is None else table.rows[before].departure_min
        if before is not None and until is not None and arrival < until:
            line = table.lines[before]
            table.refuse(at, "ev_id", f"an EV that has left; the stay on line {line} has not ended")
        if until is None or (table.rows[at].departure_min or until) > until:
            latest[ev_id] = at


def _from_one(what: str, top: int | None) -> str:
    return f"{what} from 1" + (f" to {top}" if top is not None else "")


def read_edges(path: Path, file: str, n_evs: int | None) -> NDArray[np.int64]:
    """Pairs of EVs of a feeder, counted from 0, (m, 2), each once and the smaller first.

    file: name for problems. n_evs: EVs on a feeder, None when it is not known. Raises InputError
    with all bad rows.
    """
    words = _from_one("the number of an EV on its feeder,", n_evs)
    table = read_table(path, file, EdgeRow, dict.fromkeys(EdgeRow.model_fields, words))
    pairs: set[tuple[int, int]] = set()
    for at, row in enumerate(table.rows):
        ends = []
        for column, number in (("ev_a", row.ev_a), ("ev_b", row.ev_b)):
            if number is not None and n_evs is not None and number > n_evs:
                table.refuse(at, column)
            elif number is not None:
                ends.append(number - 1)
        if len(ends) == 2 and ends[0] == ends[1]:
            table.refuse(at, "ev_b", "another EV than ev_a")
        elif len(ends) == 2:
            pairs.add((min(ends), max(ends)))
    table.check()
    return frozen(np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2))
