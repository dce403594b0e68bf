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
from abm.scenario import Scenario, SessionTable, window_minutes

IntArray = NDArray[np.int64]

# One random stream per cause, so that a change to one distribution leaves the others' draws alone.
# The numbers are part of the format of a seed: append, never renumber.
STREAMS = {"arrival": 0, "departure": 1, "soc_arrival": 2, "soc_target": 3, "capacity": 4}


def stream(seed: int, name: str) -> np.random.Generator:
    """The random stream of one cause under one seed."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(STREAMS[name],)))


@dataclass(frozen=True)
class Stays:
    """One row per stay, arrays of shape (n,).

    ev_id: name of the EV. feeder: copy of the feeder, from 0. zone: RPZ on its feeder, from 0.
    arrival_min, departure_min: minutes from the start of the horizon. soc_*: fractions.
    p_max_kw, p_discharge_kw: ratings at the grid side. efficiency: one way, fraction.
    """

    ev_id: tuple[str, ...]
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
        return len(self.ev_id)


def truncated_normal(
    rng: np.random.Generator, n: int, low: float, high: float, mean: float, sd: float
) -> FloatArray:
    """N draws of a normal (mean, sd) truncated to [low, high], by inversion: one uniform each."""
    u = rng.random(n)
    if high == low:
        return np.full(n, low)
    p_low, p_high = ndtr((low - mean) / sd), ndtr((high - mean) / sd)
    return np.clip(mean + sd * ndtri(p_low + u * (p_high - p_low)), low, high)


def sample_stays(scenario: Scenario, n_zones: int, seed: int, feeder: int = 0) -> Stays:
    """One stay per EV as in Table I, evs_per_zone EVs in each of n_zones zones.

    Times are whole minutes whatever the time step, so that the fleet does not depend on it.
    """
    spec, ev = scenario.fleet, scenario.ev
    n = n_zones * spec.evs_per_zone

    def minutes(name: str) -> FloatArray:
        times = getattr(spec, name)
        low, high, mean = window_minutes(times, scenario.clock.start)
        if name == "departure":
            # The window is one of clock times; it lies after the arrivals, the next day if need be.
            latest = window_minutes(spec.arrival, scenario.clock.start)[1]
            later = 1440.0 if low < latest else 0.0
            low, high, mean = low + later, high + later, mean + later
        draws = truncated_normal(stream(seed, name), n, low, high, mean, times.sd_h * 60.0)
        return np.round(draws)

    def soc(name: str) -> FloatArray:
        spread = getattr(spec, name)
        mean = (spread.low + spread.high) / 2 if spread.mean is None else spread.mean
        sd = (spread.high - spread.low) / 5 if spread.sd is None else spread.sd
        return truncated_normal(stream(seed, name), n, spread.low, spread.high, mean, sd)

    # random() instead of integers(): its bits have been the same in every numpy since 1.17.
    u = stream(seed, "capacity").random(n)
    span = spec.capacity.high - spec.capacity.low + 1
    integers = spec.capacity.low + np.minimum((u * span).astype(np.int64), span - 1)
    return Stays(
        ev_id=tuple(str(i + 1) for i in range(n)),
        feeder=np.full(n, feeder, dtype=np.int64),
        zone=np.repeat(np.arange(n_zones), spec.evs_per_zone),
        arrival_min=minutes("arrival"),
        departure_min=minutes("departure"),
        capacity_kwh=battery_capacity(spec.capacity.unit_kwh, integers),
        soc_arrival=soc("soc_arrival"),
        soc_target=soc("soc_target"),
        p_max_kw=np.full(n, ev.charger_kw),
        p_discharge_kw=np.full(n, ev.discharger_kw),
        efficiency=np.full(n, ev.efficiency),
    )


def stays_from_sessions(table: SessionTable, feeder: int = 0) -> Stays:
    """The stays of a session file, in the file's order."""
    return Stays(
        ev_id=table.ev_id,
        feeder=np.full(len(table.ev_id), feeder, dtype=np.int64),
        zone=table.zone - 1,
        arrival_min=table.arrival_min,
        departure_min=table.departure_min,
        capacity_kwh=table.capacity_kwh,
        soc_arrival=table.soc_arrival,
        soc_target=table.soc_target,
        p_max_kw=table.p_max_kw,
        p_discharge_kw=table.p_discharge_kw,
        efficiency=table.efficiency,
    )


def concatenate(parts: Sequence[Stays]) -> Stays:
    """The stays of several feeders as one table, in the order given."""
    columns = {
        f.name: np.concatenate([getattr(part, f.name) for part in parts])
        for f in fields(Stays)
        if f.name != "ev_id"
    }
    return Stays(ev_id=tuple(name for part in parts for name in part.ev_id), **columns)


def no_stays() -> Stays:
    """A table without rows: nobody ever plugs in."""
    empty, none = np.zeros(0), np.zeros(0, dtype=np.int64)
    return Stays((), none, none, empty, empty, empty, empty, empty, empty, empty, empty)


def build_stays(scenario: Scenario, n_zones: int, seeds: Sequence[int]) -> Stays:
    """One feeder's stays for each seed; a session file is the same on every feeder."""
    sessions = scenario.inputs.sessions
    if sessions is not None:
        return concatenate([stays_from_sessions(sessions, k) for k in range(len(seeds))])
    return concatenate([sample_stays(scenario, n_zones, seed, k) for k, seed in enumerate(seeds)])
