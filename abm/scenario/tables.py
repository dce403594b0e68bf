"""The tables that a scenario names: load profile, tariff, measured sessions, pairs of EVs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, TypeVar

import numpy as np
from annotated_types import Ge, Gt, Le, MinLen
from numpy.typing import NDArray
from pydantic import Field

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

HOURS = 24
_HourRow = TypeVar("_HourRow", bound="HourRow")


class HourRow(CsvRow):
    """One hour of the day."""

    hour: Annotated[
        int | None, Ge(0), Le(HOURS - 1), WHOLE, Allowed("a whole number from 0 to 23")
    ] = Field(description="Hour h, from h:00 to h+1:00.")


class ProfileRow(HourRow, extra="allow"):
    """Demand of one hour: one column for each customer class, multiplier of the nominal load, -."""

    OTHER_COLUMNS: ClassVar[str] = "a number, at least 0"
    __pydantic_extra__: dict[str, Annotated[float | None, Ge(0), NUMBER]]


class TariffRow(HourRow):
    """Price of one hour."""

    price: Annotated[float | None, NUMBER] = Field(
        description="Price alpha(h), eqs. (19)-(22), in the unit of the file; may be negative."
    )


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
    """Demand by customer class and hour.

    classes: names. multiplier: float64[24, n_classes], of the nominal load of a bus [-]; row h
    covers h:00 to h+1:00.
    """

    classes: tuple[str, ...]
    multiplier: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tariff:
    """Hourly price alpha(h), eqs. (19)-(22).

    price: float64[24], in `unit`; entry h covers h:00 to h+1:00. Prices may be negative.
    """

    price: NDArray[np.float64]
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


def read_profile(path: Path, file: str) -> LoadProfile:
    """Load profile from a CSV `hour, <class>...`. file: name for problems. Raises InputError."""
    table = read_table(path, file, ProfileRow)
    classes = tuple(name for name in table.columns if name != "hour")
    if not classes:
        table.note(table.header_line, "columns", "", "one column for each customer class")
    rows = _by_hour(table)
    values = [[(row.model_extra or {})[name] for name in classes] for row in rows]
    return LoadProfile(classes, frozen(np.array(values, dtype=np.float64)))


def read_tariff(path: Path, file: str) -> Tariff:
    """Tariff from a CSV `hour, price`; the unit from a comment `# unit: ...`. Raises InputError."""
    table = read_table(path, file, TariffRow)
    prices = [row.price for row in _by_hour(table)]
    return Tariff(frozen(np.array(prices, dtype=np.float64)), table.unit or "$/kWh")


def _by_hour(table: Table[_HourRow]) -> list[_HourRow]:
    """The rows of a day by hour; every hour has to be there once, in any order."""
    hours = [row.hour for row in table.rows]
    seen = table.each_once("hour", hours, "each hour once; it is on line {} already")
    missing = [str(hour) for hour in range(HOURS) if hour not in seen]
    if missing and not table.problems:
        table.note(None, "hour", "", "missing: " + ", ".join(missing))
    table.check()
    return [table.rows[seen[hour]] for hour in range(HOURS)]


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
