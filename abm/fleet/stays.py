"""Stays: who is plugged in, where, from when to when, with what in the battery.

A stay is one plug-in to plug-out. `abm.fleet.population` makes the table of a day's stays; the
model knows only the table. Zones count from 0 here, from 1 in files.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from abm.equations import BoolArray, FloatArray, IntArray
from abm.fleet.columns import FROM_STAY
from abm.scenario import SessionTable

# One random stream per cause, so that a change to one distribution leaves the others' draws alone.
# The numbers are part of the format of a seed: append, never renumber.
STREAMS = {
    "arrival": 0,
    "departure": 1,
    "soc_arrival": 2,
    "soc_target": 3,
    "capacity": 4,
    "group": 5,
    "participation": 6,
    "own_threshold": 7,
    "plug_in": 8,
    "boost": 9,
    "late": 10,
    "late_by": 11,
    "early": 12,
    "early_by": 13,
    "trip": 14,
    "distance": 15,
    "behaviour": 16,
    "hassle": 17,
    "graph": 18,
    "trial": 19,
    "broadcast_loss": 20,
    "broadcast_noise": 21,
    "forecast": 22,
    "comes": 23,
    "stay_duration": 24,
    "stay_energy": 25,
    "dependence": 26,
    "customers": 27,
    "heat_pumps": 28,
    "homes": 29,
    "charger_phase": 30,
    "delay": 31,
    "timed": 32,
    "cannot_pause": 33,
    "does_not_wake": 34,
    "needs_six_amp": 35,
}
COPIES = 1_000_000


def stream(seed: int, name: str, day: int = 0, group: int = 0) -> np.random.Generator:
    """The random stream of one cause under one seed on one day, counted from 0."""
    key: tuple[int, ...] = (STREAMS[name],) if day == 0 else (STREAMS[name], day)
    if group:
        key = (STREAMS[name], day, group)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def feeder_seeds(seed: int, copies: int) -> tuple[int, ...]:
    """A seed for each copy of the feeder: the first keeps the seed, the others are spawned."""
    spawned = [
        int(np.random.SeedSequence(seed, spawn_key=(COPIES, k)).generate_state(1, np.uint64)[0])
        for k in range(1, copies)
    ]
    return (seed, *(value >> 1 for value in spawned))


@dataclass(frozen=True)
class Stays:
    """One row per EV with its stay of a day, arrays of shape (n,), feeder by feeder.

    names: name of each EV, or None where they are numbered on their feeder. The others are the
    columns of abm/fleet/columns.csv that come from the stays.
    """

    names: tuple[str, ...] | None
    feeder: IntArray
    zone: IntArray
    point: IntArray
    group: IntArray
    arrival_min: FloatArray
    departure_min: FloatArray
    announced_min: FloatArray
    capacity_kwh: FloatArray
    soc_arrival: FloatArray
    soc_target: FloatArray
    soc_min: FloatArray
    p_max_kw: FloatArray
    p_discharge_kw: FloatArray
    efficiency: FloatArray
    plugs_in: BoolArray
    v2g: BoolArray
    timed: BoolArray
    delay_draw: FloatArray
    cannot_pause: BoolArray
    does_not_wake: BoolArray
    needs_six_amp: BoolArray
    boost: BoolArray
    trip_kwh: FloatArray
    trip_short_kwh: FloatArray

    def __len__(self) -> int:
        return len(self.feeder)

    @cached_property
    def ev(self) -> IntArray:
        """Number of each row's EV, from 0, (n,): rows of a feeder with the same name are one EV."""
        if self.names is None:
            return np.arange(len(self))
        seen: dict[tuple[int, str], int] = {}
        named = zip(self.feeder.tolist(), self.names, strict=True)
        return np.array([seen.setdefault(ev, len(seen)) for ev in named], dtype=np.int64)


def truncated_normal(u: FloatArray, low: float, high: float, mean: float, sd: float) -> FloatArray:
    """Draws of a normal (mean, sd) truncated to [low, high], by inversion of uniforms u."""
    if high == low:
        return np.full(u.shape, low)
    p_low, p_high = ndtr((low - mean) / sd), ndtr((high - mean) / sd)
    return np.clip(mean + sd * ndtri(p_low + u * (p_high - p_low)), low, high)


def stays_from_sessions(table: SessionTable, n_feeders: int = 1, soc_min: float = 0.2) -> Stays:
    """The stays of a session file in the file's order, the same on every feeder.

    Of a file that says energies see `by_energy`.
    """
    known = ("ev_id", "zone", "energy_kwh", "left_out")
    measured = {
        f.name: np.tile(getattr(table, f.name), n_feeders)
        for f in fields(SessionTable)
        if f.name not in known
    }
    n = len(table) * n_feeders
    stays = Stays(
        names=tuple(table.ev_id) * n_feeders,
        feeder=np.repeat(np.arange(n_feeders), len(table)),
        zone=np.tile(table.zone - 1, n_feeders),
        announced_min=measured["departure_min"].copy(),
        soc_min=np.full(n, soc_min),
        **measured,
        **as_told(n),
    )
    if table.energy_kwh is None:
        return stays
    return replace(stays, **by_energy(np.tile(table.energy_kwh, n_feeders), stays.efficiency))


def by_energy(energy_kwh: FloatArray, efficiency: FloatArray) -> dict[str, Any]:
    """Columns of stays of which only the energy is known that they ask for at the grid side.

    Capacity and SoC of the battery are not known. What stands in their columns is the part of that
    energy that the battery has got: a capacity of the energy to store, from 0 on arrival to 1. What
    could be given is not known either, so nobody discharges. No table shows these columns.
    """
    n = len(energy_kwh)
    return {
        "capacity_kwh": energy_kwh * efficiency,
        "soc_arrival": np.zeros(n),
        "soc_target": np.ones(n),
        "soc_min": np.zeros(n),
        "p_discharge_kw": np.zeros(n),
        "v2g": np.zeros(n, dtype=np.bool_),
    }


def as_told(n: int) -> dict[str, Any]:
    """Columns of n owners without a will or a way of their own."""
    return {column.name: column.filled(n) for column in FROM_STAY if column.start is not None}


def canonical_order(stays: Stays, cell: IntArray) -> IntArray:
    """Order of rows by cell and arrival; ties by the EV's own figures, not by its place."""
    order = np.lexsort((stays.arrival_min, cell))
    arrival, in_cell = stays.arrival_min[order], cell[order]
    same = (arrival[1:] == arrival[:-1]) & (in_cell[1:] == in_cell[:-1])
    if same.any():
        tied = np.append(same, False) | np.insert(same, 0, False)
        rows = order[tied]
        # Last key first: the EVs' figures decide only within one cell and arrival.
        keys = (
            stays.efficiency,
            stays.p_discharge_kw,
            stays.p_max_kw,
            stays.soc_target,
            stays.capacity_kwh,
            stays.soc_arrival,
            stays.departure_min,
            stays.arrival_min,
            cell,
        )
        order[tied] = rows[np.lexsort([key[rows] for key in keys])]
    return order


def no_stays() -> Stays:
    """A table without rows: nobody ever plugs in."""
    empty: dict[str, Any] = {column.name: column.filled(0) for column in FROM_STAY}
    return Stays(names=(), **empty)
