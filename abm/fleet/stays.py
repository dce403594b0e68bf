"""Stays: who is plugged in, where, from when to when, with what in the battery.

A stay is one plug-in to plug-out. `sample_stays` draws Table I, `stays_from_sessions` takes a file
of sessions; the model knows only the table of stays. Zones count from 0 here, from 1 in files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from abm.fleet.equations import FloatArray, battery_capacity
from abm.scenario import Scenario, SessionTable, TimeOfDay, stay_windows
from abm.scenario.schema import Range

IntArray = NDArray[np.int64]

# One random stream per cause, so that a change to one distribution leaves the others' draws alone.
# The numbers are part of the format of a seed: append, never renumber.
STREAMS = {
    "arrival": 0,
    "departure": 1,
    "soc_arrival": 2,
    "soc_target": 3,
    "capacity": 4,
    "forecast": 5,
}
COPIES = 1_000_000


def stream(seed: int, name: str) -> np.random.Generator:
    """The random stream of one cause under one seed."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(STREAMS[name],)))


def feeder_seeds(seed: int, copies: int) -> tuple[int, ...]:
    """A seed for each copy of the feeder: the first keeps the seed, the others are spawned."""
    spawned = [
        int(np.random.SeedSequence(seed, spawn_key=(COPIES, k)).generate_state(1, np.uint64)[0])
        for k in range(1, copies)
    ]
    return (seed, *(value >> 1 for value in spawned))


@dataclass(frozen=True)
class Stays:
    """One row per stay, arrays of shape (n,), feeder by feeder.

    names: name of each EV, or None where they are numbered on their feeder. feeder: copy of the
    feeder, from 0. zone: RPZ on its feeder, from 0. arrival_min, departure_min: minutes from the
    start of the horizon. soc_*: fractions. p_max_kw, p_discharge_kw: ratings at the grid side.
    efficiency: one way, fraction.
    """

    names: tuple[str, ...] | None
    feeder: IntArray
    zone: IntArray
    arrival_min: FloatArray
    departure_min: FloatArray
    capacity_kwh: FloatArray
    soc_arrival: FloatArray
    soc_target: FloatArray
    p_max_kw: FloatArray
    p_discharge_kw: FloatArray
    efficiency: FloatArray

    def __len__(self) -> int:
        return len(self.feeder)


def truncated_normal(u: FloatArray, low: float, high: float, mean: float, sd: float) -> FloatArray:
    """Draws of a normal (mean, sd) truncated to [low, high], by inversion of uniforms u."""
    if high == low:
        return np.full(u.shape, low)
    p_low, p_high = ndtr((low - mean) / sd), ndtr((high - mean) / sd)
    return np.clip(mean + sd * ndtri(p_low + u * (p_high - p_low)), low, high)


def sample_stays(scenario: Scenario, n_zones: int, seeds: Sequence[int]) -> Stays:
    """One stay per EV as in Table I, evs_per_zone EVs in each of n_zones zones of each feeder.

    seeds: one per feeder; a feeder's fleet depends on its own alone. Times are whole minutes
    whatever the time step, so that the fleet does not depend on it.
    """
    spec, ev = scenario.fleet, scenario.ev
    per_feeder = n_zones * spec.evs_per_zone
    n = per_feeder * len(seeds)

    def uniform(name: str) -> FloatArray:
        parts = [stream(seed, name).random(per_feeder) for seed in seeds]
        return np.concatenate(parts) if parts else np.zeros(0)

    def minutes(name: str, spread: TimeOfDay, window: tuple[float, float, float]) -> FloatArray:
        low, high, mean = window
        sd = (high - low) / 4 if spread.sd_h is None else spread.sd_h * 60.0
        return np.round(truncated_normal(uniform(name), low, high, mean, sd))

    def soc(name: str, spread: Range) -> FloatArray:
        mean = (spread.low + spread.high) / 2 if spread.mean is None else spread.mean
        sd = (spread.high - spread.low) / 5 if spread.sd is None else spread.sd
        return truncated_normal(uniform(name), spread.low, spread.high, mean, sd)

    arrival, departure = stay_windows(scenario)
    # random() instead of integers(): its bits have been the same in every numpy since 1.17.
    span = spec.capacity.high - spec.capacity.low + 1
    integers = np.minimum((uniform("capacity") * span).astype(np.int64), span - 1)
    return Stays(
        names=None,
        feeder=np.repeat(np.arange(len(seeds)), per_feeder),
        zone=np.tile(np.repeat(np.arange(n_zones), spec.evs_per_zone), len(seeds)),
        arrival_min=minutes("arrival", spec.arrival, arrival),
        departure_min=minutes("departure", spec.departure, departure),
        capacity_kwh=battery_capacity(spec.capacity.unit_kwh, spec.capacity.low + integers),
        soc_arrival=soc("soc_arrival", spec.soc_arrival),
        soc_target=soc("soc_target", spec.soc_target),
        p_max_kw=np.full(n, ev.charger_kw),
        p_discharge_kw=np.full(n, ev.discharger_kw),
        efficiency=np.full(n, ev.efficiency),
    )


def stays_from_sessions(table: SessionTable, n_feeders: int = 1) -> Stays:
    """The stays of a session file in the file's order, the same on every feeder."""
    columns = {
        f.name: np.tile(getattr(table, f.name), n_feeders)
        for f in fields(Stays)
        if f.name not in ("names", "feeder", "zone")
    }
    return Stays(
        names=tuple(table.ev_id) * n_feeders,
        feeder=np.repeat(np.arange(n_feeders), len(table)),
        zone=np.tile(table.zone - 1, n_feeders),
        **columns,
    )


def no_stays() -> Stays:
    """A table without rows: nobody ever plugs in."""
    empty, none = np.zeros(0), np.zeros(0, dtype=np.int64)
    return Stays((), none, none, empty, empty, empty, empty, empty, empty, empty, empty)


def build_stays(scenario: Scenario, n_zones: int, seeds: Sequence[int]) -> Stays:
    """One feeder's stays for each seed; a session file is the same on every feeder."""
    sessions = scenario.inputs.sessions
    if sessions is not None:
        return stays_from_sessions(sessions, len(seeds))
    return sample_stays(scenario, n_zones, seeds)
