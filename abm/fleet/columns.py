"""The columns of the EVs, one value per EV: what each is, and who writes and keeps it.

Stays, fleet, the EV as an agent, the meter, the record and the compiled hour follow columns.csv;
adding a column is a row there and a line in the classes that name it, and a test holds them
together.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from abm.equations import BoolArray, FloatArray, IntArray

ModeArray = NDArray[np.int8]

DTYPES: dict[str, DTypeLike] = {
    "float": np.float64,
    "int": np.int64,
    "int8": np.int8,
    "bool": np.bool_,
}


class Mode(IntEnum):
    """What an EV asks for or does: V2G (-1), IDLE (0), G2V (1)."""

    V2G = -1
    IDLE = 0
    G2V = 1


def group_sums(values: FloatArray, group: IntArray, n_groups: int) -> FloatArray:
    """Sums of values (n,) by group (n,), 0 to n_groups - 1, -> (n_groups,).

    Added up in the order given, so that a group's sum depends on nothing but its own values.
    """
    return np.bincount(group, weights=values, minlength=n_groups).astype(np.float64, copy=False)


@dataclass(frozen=True)
class EVColumn:
    """One quantity of every EV: a row of columns.csv.

    begins: whether it begins with the run, or anew with the stays of each day. start: what it
    begins with, None where the fleet works it out. from_stay: whether it comes from the stays;
    start is then what an owner has who says nothing of it, None where it has to be given.
    written_by: who may write it beside the fleet, a `behaviour` for its day or the attribute of the
    `ev`, from low to high. by_day: whether a day's stay keeps its `state` at the end, or the `sum`
    of the day. record: whether a run's record keeps it. compiled: whether the compiled hour
    needs it.
    """

    name: str
    dtype: DTypeLike
    unit: str
    begins: Literal["run", "day"]
    start: float | None
    from_stay: bool
    written_by: frozenset[str]
    low: float
    high: float
    by_day: str
    record: bool
    compiled: bool
    meaning: str

    def filled(self, n: int) -> NDArray[Any]:
        """The column of n EVs as it begins; 0 where the fleet works it out."""
        begins = np.zeros(n, dtype=self.dtype)
        if self.start:
            begins[:] = self.start
        return begins


def _read() -> Iterator[EVColumn]:
    with Path(__file__).with_name("columns.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield EVColumn(
                row["name"],
                DTYPES[row["type"]],
                row["unit"],
                cast(Literal["run", "day"], row["begins"]),
                float(row["start"]) if row["start"] else None,
                row["from_stay"] == "yes",
                frozenset(row["written_by"].split()),
                float(row["low"] or -math.inf),
                float(row["high"] or math.inf),
                row["by_day"],
                row["record"] == "yes",
                row["compiled"] == "yes",
                row["meaning"],
            )


COLUMNS = {column.name: column for column in _read()}


def _names(chosen: Callable[[EVColumn], bool]) -> tuple[str, ...]:
    return tuple(name for name, column in COLUMNS.items() if chosen(column))


FROM_STAY = tuple(column for column in COLUMNS.values() if column.from_stay)
# What a record keeps of every EV, in the fleet's order of rows.
RECORDED = _names(lambda column: column.record)
# What a stay begins and ends with, and what grew in its day.
STAY_STATE = _names(lambda column: column.by_day == "state")
STAY_SUMS = _names(lambda column: column.by_day == "sum")
# What a behaviour may write for its day, and which of it are fractions.
PLANNED = _names(lambda column: "behaviour" in column.written_by)
FRACTIONS = tuple(name for name in PLANNED if COLUMNS[name].unit == "fraction")
COMPILED = _names(lambda column: column.compiled)
# What is not known of an EV whose need is an energy, see `abm.fleet.stays.by_energy`.
UNKNOWN_BY_ENERGY = frozenset(
    ("capacity_kwh", "soc", "soc_arrival", "soc_target", "soc_goal", "soc_min", "soc_departure")
)


class OfEveryEV:
    """The columns by name and type, (n,) each: what the fleet has of every EV."""

    feeder: IntArray
    zone: IntArray
    cell: IntArray
    point: IntArray
    group: IntArray
    arrival_min: FloatArray
    departure_min: FloatArray
    announced_min: FloatArray
    arrival_step: IntArray
    departure_step: IntArray
    capacity_kwh: FloatArray
    efficiency: FloatArray
    p_max_kw: FloatArray
    p_discharge_kw: FloatArray
    soc_arrival: FloatArray
    soc_target: FloatArray
    soc_min: FloatArray
    soc_required: FloatArray
    soc_goal: FloatArray
    soc_departure: FloatArray
    soc: FloatArray
    plugs_in: BoolArray
    arrived: BoolArray
    plugged: BoolArray
    has_charged: BoolArray
    v2g: BoolArray
    timed: BoolArray
    delay_draw: FloatArray
    cannot_pause: BoolArray
    does_not_wake: BoolArray
    needs_six_amp: BoolArray
    paused_min: FloatArray
    asleep: BoolArray
    boost: BoolArray
    forced: BoolArray
    trip_kwh: FloatArray
    trip_short_kwh: FloatArray
    can_charge: BoolArray
    can_discharge: BoolArray
    need_kwh: FloatArray
    surplus_kwh: FloatArray
    window_h: FloatArray
    request: ModeArray
    mode: ModeArray
    p_kw: FloatArray
    held_min: FloatArray
    charged_kwh: FloatArray
    discharged_kwh: FloatArray
    purchase_usd: FloatArray
    sale_usd: FloatArray
    switches: IntArray
