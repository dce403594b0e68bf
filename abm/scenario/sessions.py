"""Measured sessions: a CSV that replaces the sampled fleet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from abm.errors import InputError
from abm.scenario.csvio import Row, Table, read_table
from abm.scenario.tables import frozen

REQUIRED = (
    "ev_id",
    "zone",
    "arrival_min",
    "departure_min",
    "capacity_kwh",
    "soc_arrival",
    "soc_target",
)
OPTIONAL = ("p_max_kw", "p_discharge_kw", "efficiency")

_NUMBERS = (*REQUIRED[2:], *OPTIONAL)
_WORDS = {
    "arrival_min": "a number of minutes after the start of the horizon",
    "departure_min": "a number of minutes after the start of the horizon",
    "capacity_kwh": "a number above 0",
    "soc_arrival": "a fraction from 0 to 1",
    "soc_target": "a fraction from 0 to 1",
    "p_max_kw": "a number above 0, or empty for ev.charger_kw",
    "p_discharge_kw": "a number, at least 0, or empty for ev.discharger_kw",
    "efficiency": "a number above 0 and at most 1, or empty for ev.efficiency",
}


@dataclass(frozen=True, eq=False)
class SessionTable:
    """One stay per row, in the order of the file. Arrays of length n.

    ev_id: text. zone: int64, from 1. arrival_min, departure_min: float64 [min after the start of
    the horizon]; a departure may lie beyond its end. capacity_kwh [kWh], soc_arrival, soc_target
    [-], p_max_kw, p_discharge_kw [kW at the grid side], efficiency [-, one way]: float64.
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

    def __len__(self) -> int:
        return len(self.ev_id)


@dataclass(frozen=True)
class SessionRules:
    """What the rows are judged against.

    horizon_min: length of the horizon [min]. n_zones: RPZs of the feeder, None when it could not
    be read. The others are what an empty optional cell stands for.
    """

    horizon_min: int
    n_zones: int | None
    charger_kw: float
    discharger_kw: float
    efficiency: float


def read_sessions(path: Path, file: str, rules: SessionRules) -> SessionTable:
    """Read a CSV of sessions. file: name for problems. Raises InputError with all bad rows."""
    table = read_table(path, file, REQUIRED, OPTIONAL)
    defaults = {
        "p_max_kw": rules.charger_kw,
        "p_discharge_kw": rules.discharger_kw,
        "efficiency": rules.efficiency,
    }
    seen: dict[str, int] = {}
    zones: list[int] = []
    columns: dict[str, list[float]] = {name: [] for name in _NUMBERS}
    for row in table.rows:
        _judge_id(table, row, seen)
        zones.append(_zone(table, row, rules.n_zones))
        values: dict[str, float | None] = {}
        for name in _NUMBERS:
            if name in defaults and not row.cells.get(name):
                values[name] = defaults[name]
            else:
                values[name] = table.number(row, name, _WORDS[name])
        _judge(table, row, values, rules.horizon_min)
        for name, value in values.items():
            columns[name].append(0.0 if value is None else value)
    if table.problems:
        raise InputError(table.problems)
    arrays = {name: frozen(np.array(column, dtype=np.float64)) for name, column in columns.items()}
    return SessionTable(tuple(seen), frozen(np.array(zones, dtype=np.int64)), **arrays)


def _judge_id(table: Table, row: Row, seen: dict[str, int]) -> None:
    ev_id = row.cells["ev_id"]
    if ev_id == "":
        table.refuse(row.line, "ev_id", "", "missing; text")
    elif ev_id in seen:
        said = f"each ev_id once; it is on line {seen[ev_id]} already"
        table.refuse(row.line, "ev_id", ev_id, said)
    else:
        seen[ev_id] = row.line


def _zone(table: Table, row: Row, n_zones: int | None) -> int:
    top = f" to {n_zones}" if n_zones is not None else ""
    words = f"a whole number from 1{top}"
    if n_zones == 0:
        words = "a feeder with zones; this one has none"
    zone = table.whole(row, "zone", words)
    if zone is not None and (zone < 1 or (n_zones is not None and zone > n_zones)):
        table.refuse(row.line, "zone", row.cells["zone"], words)
    return zone or 0


def _judge(table: Table, row: Row, values: dict[str, float | None], horizon_min: int) -> None:
    def refuse_unless(column: str, good: bool, words: str = "") -> None:
        if not good:
            table.refuse(row.line, column, row.cells[column], words or _WORDS[column])

    arrival, departure = values["arrival_min"], values["departure_min"]
    if arrival is not None:
        inside = f"at least 0 and before the end of the horizon, minute {horizon_min}"
        refuse_unless("arrival_min", 0 <= arrival < horizon_min, inside)
        if departure is not None:
            after = f"after arrival_min = {row.cells['arrival_min']}"
            refuse_unless("departure_min", departure > arrival, after)
    for column in ("soc_arrival", "soc_target"):
        soc = values[column]
        refuse_unless(column, soc is None or 0 <= soc <= 1)
    for column in ("capacity_kwh", "p_max_kw"):
        size = values[column]
        refuse_unless(column, size is None or size > 0)
    discharge = values["p_discharge_kw"]
    refuse_unless("p_discharge_kw", discharge is None or discharge >= 0)
    efficiency = values["efficiency"]
    refuse_unless("efficiency", efficiency is None or 0 < efficiency <= 1)
