"""Measured sessions in a scenario, rows of a CSV: by SoC or by energy, by minutes or by dates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import numpy as np
from annotated_types import Ge, Gt, Le, MinLen
from numpy.typing import NDArray
from pydantic import Field

from abm.scenario.calendar import Calendar
from abm.scenario.csvio import NUMBER, OR_EMPTY, WHOLE, CsvRow, Table, read_table
from abm.scenario.fields import Allowed
from abm.scenario.schema import ScenarioFields
from abm.scenario.tables import from_one

_MINUTES = "a number of minutes after the start of the horizon"
_STAMP = 'a time stamp such as "2024-03-31T18:05" or "2024-03-31T18:05:00+02:00"'
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
    arrival: Annotated[str | None, MinLen(1), Allowed(_STAMP)] = Field(
        None,
        description="Arrival in the place of arrival_min, ISO 8601; without an offset from UTC by "
        "the clock of clock.timezone.",
    )
    departure: Annotated[str | None, MinLen(1), Allowed(_STAMP)] = Field(
        None, description="Departure in the place of departure_min."
    )


# What a file says that does not say energy_kwh.
BY_SOC = ("capacity_kwh", "soc_arrival", "soc_target")
_TIMES, _STAMPS = ("arrival_min", "departure_min"), ("arrival", "departure")


@dataclass(frozen=True, eq=False)
class SessionTable:
    """One stay per row, in the order of the file; an EV may come again. Arrays of length n.

    ev_id: text. zone: int64, from 1. arrival_min, departure_min: float64 [min after the start of
    the horizon]; a departure may lie beyond its end. capacity_kwh [kWh], soc_arrival, soc_target
    [-], p_max_kw, p_discharge_kw [kW at the grid side], efficiency [-, one way]: float64.
    energy_kwh: what is to be charged, at the grid side [kWh], where the file says that; capacity
    and SoC are then NaN. None where it says those. left_out: which sessions lie outside of the
    horizon, in a sentence, or "".
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
    left_out: str = ""

    def __len__(self) -> int:
        return len(self.ev_id)


def read_sessions(
    path: Path, file: str, fields: ScenarioFields, n_zones: int | None, calendar: Calendar
) -> SessionTable:
    """Read a CSV of sessions.

    file: name for problems. fields: horizon, and what an empty cell stands for. n_zones: RPZs of
    the feeder, None when it could not be read. calendar: of the horizon; sessions with time stamps
    that do not begin within it are left out. Raises InputError with all bad rows.
    """
    horizon_min = 60 * calendar.hours
    inside = f"at least 0 and before the end of the horizon, minute {horizon_min}"
    zones = from_one("a whole number", n_zones)
    if n_zones == 0:
        zones = "a feeder with zones; this one has none"
    table = read_table(path, file, SessionRow, {"zone": zones})
    by_energy, stamped = _kinds(table)
    times = [(row.arrival_min, row.departure_min) for row in table.rows]
    if stamped:
        times = _minutes(table, calendar)
    for at, row in enumerate(table.rows):
        if n_zones is not None and (row.zone or 0) > n_zones:
            table.refuse(at, "zone")
        arrival, departure = times[at]
        if not stamped and arrival is not None and not 0 <= arrival < horizon_min:
            table.refuse(at, "arrival_min", inside)
        if arrival is not None and departure is not None and departure <= arrival:
            came, leaves = ("arrival", "departure") if stamped else ("arrival_min", "departure_min")
            table.refuse(at, leaves, f"after {came} = {table.cells[at][came]}")
    _one_at_a_time(table, times)
    table.check()
    arrival_min, departure_min = np.array(times, dtype=np.float64).T
    here = (arrival_min >= 0.0) & (arrival_min < horizon_min)
    left_out = _outside(table, calendar, arrival_min, here)
    empty = {
        "p_max_kw": fields.ev.charger_kw,
        "p_discharge_kw": fields.ev.discharger_kw,
        "efficiency": fields.ev.efficiency,
        **dict.fromkeys(BY_SOC, np.nan),
    }
    names = (*BY_SOC, "p_max_kw", "p_discharge_kw", "efficiency")
    columns = {name: table.column(name, np.float64, empty[name])[here] for name in names}
    return SessionTable(
        ev_id=tuple(str(table.rows[at].ev_id) for at in np.flatnonzero(here)),
        zone=table.column("zone", np.int64)[here],
        arrival_min=arrival_min[here],
        departure_min=departure_min[here],
        energy_kwh=table.column("energy_kwh", np.float64)[here] if by_energy else None,
        left_out=left_out,
        **columns,
    )


Times = list[tuple[float | None, float | None]]


def _minutes(table: Table[SessionRow], calendar: Calendar) -> Times:
    """Minutes from the start of the horizon of all arrivals and departures by time stamp."""
    if not calendar.dated:
        first = min((row.arrival for row in table.rows if row.arrival), default="")
        said = "where the horizon begins: a date in clock.start_date of the scenario"
        table.note(table.header_line, "arrival", first, said)
        table.check()
    found: Times = []
    for at in range(len(table.rows)):
        arrival, departure = (_minute(table, at, name, calendar) for name in _STAMPS)
        found.append((arrival, departure))
    return found


def _minute(table: Table[SessionRow], at: int, column: str, calendar: Calendar) -> float | None:
    cell = getattr(table.rows[at], column)
    if cell is None:
        return None
    try:
        stamp = datetime.fromisoformat(cell)
    except ValueError:
        table.refuse(at, column)
        return None
    if stamp.tzinfo is None and calendar.zone is not None:
        said = _unclear(stamp, calendar.zone)
        if said:
            table.refuse(at, column, said)
            return None
        stamp = stamp.replace(tzinfo=calendar.zone)
    start = datetime(1970, 1, 1, tzinfo=UTC if stamp.tzinfo else None)
    return (stamp - start - timedelta(seconds=calendar.start_utc_s)) / timedelta(minutes=1)


def _unclear(stamp: datetime, zone: ZoneInfo) -> str:
    """What is wrong with a time by a clock that is changed then, "" for nothing."""
    first, second = (stamp.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return ""
    there = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == stamp
    how = "runs through that hour twice" if there else "leaves that hour out"
    return f"a time with its offset from UTC: the clock of {zone.key} {how}"


def _outside(
    table: Table[SessionRow],
    calendar: Calendar,
    arrival_min: NDArray[np.float64],
    here: NDArray[np.bool_],
) -> str:
    """How many sessions are left out, in a sentence. Raises InputError where all of them are."""
    n, before = len(here), int((arrival_min < 0.0).sum())
    after = n - before - int(here.sum())
    if not before and not after:
        return ""
    counted = [f"{k} begin {word} it" for k, word in ((before, "before"), (after, "after")) if k]
    said = f"{before + after} of {n} sessions lie outside of the horizon: " + ", ".join(counted)
    if not here.any():
        stamps = sorted(str(row.arrival) for row in table.rows)
        allowed = f"sessions within the {calendar.hours} h of the horizon; {said}"
        table.note(None, "arrival", f"{stamps[0]} to {stamps[-1]}", allowed)
        table.check()
    return f"{table.file}: {said}"


def _kinds(table: Table[SessionRow]) -> tuple[bool, bool]:
    """Whether the rows say an energy, not a SoC, and whether they say time stamps, not minutes.

    Raises InputError for columns that are missing, or there in both ways.
    """
    before = len(table.problems)
    found = []
    for one, other in ((BY_SOC, ("energy_kwh",)), (_TIMES, _STAMPS)):
        by_other = any(name in table.columns for name in other)
        wanted, instead = (other, one) if by_other else (one, other)
        found.append(by_other)
        for name in wanted:
            if name not in table.columns:
                hint = f"or {', '.join(instead)} in the place of {', '.join(wanted)}"
                table.note(table.header_line, name, "", "missing column", hint)
        for name in instead:
            if name in table.columns:
                said = f"either {', '.join(wanted)}, or {', '.join(instead)}"
                table.note(table.header_line, name, "", said)
    # Without the right columns every row would be wrong as well.
    if len(table.problems) > before:
        table.check()
    return found[0], found[1]


def _one_at_a_time(table: Table[SessionRow], times: Times) -> None:
    """An EV may come again when it has left."""
    order = sorted(
        (str(row.ev_id), arrival, departure, at)
        for at, (row, (arrival, departure)) in enumerate(zip(table.rows, times, strict=True))
        if row.ev_id is not None and arrival is not None and departure is not None
    )
    latest: dict[str, tuple[float, int]] = {}
    for ev_id, arrival, departure, at in order:
        until, before = latest.get(ev_id, (-np.inf, at))
        if arrival < until:
            line = table.lines[before]
            table.refuse(at, "ev_id", f"an EV that has left; the stay on line {line} has not ended")
        if departure > until:
            latest[ev_id] = departure, at
