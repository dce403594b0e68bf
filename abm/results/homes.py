"""Homes of a three-phase feeder: the table of them, and where EVs and zones are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import FloatArray
from abm.grid.phase_feeder import ThreePhaseFeeder
from abm.results.flows import highest_voltage
from abm.results.phases import breaks_en50160, ten_minutes
from abm.results.record import Record

if TYPE_CHECKING:
    import pandas as pd


def homes_table(record: Record) -> pd.DataFrame:
    """One row per home: where it is, its lowest and highest voltage, its EVs.

    distance_m: along the lines from its transformer. min_vm_pu, max_vm_pu: of any of its phases in
    any load flow, and minutes from the start of the horizon at which those begin; NaN where one has
    no solution. outside_10min: share of its ten-minute means outside the limits of `grid`.
    breaks_en50160: whether EN 50160 is not kept there. charged_kwh, discharged_kwh, short_kwh: of
    its EVs. RuntimeError on a balanced feeder.
    """
    import pandas as pd

    feeder, grid, n = record.feeder, record.scenario.grid, record.n_feeders
    if not isinstance(feeder, ThreePhaseFeeder):
        raise RuntimeError("only a three-phase feeder has homes")
    values = feeder.phases
    high = highest_voltage(record)
    rows = record.ev["feeder"] * values.n_home + feeder.points.home[record.ev["point"]]

    def total(of: Any) -> FloatArray:
        sums = np.bincount(rows, weights=of, minlength=n * values.n_home)
        return sums.astype(np.float64, copy=False)

    parts = []
    for k in range(n):
        low_k, high_k = record.flows.vm_pu[:, k], high[:, k]
        solved = bool(record.flows.converged[:, k].all())
        below, above = ten_minutes(record, low_k), ten_minutes(record, high_k)
        outside = (below < grid.vm_min_pu) | (above > grid.vm_max_pu)
        lowest, highest = low_k.min(axis=0), high_k.max(axis=0)
        when = record.flow_min * low_k.argmin(axis=0), record.flow_min * high_k.argmax(axis=0)
        parts.append(
            pd.DataFrame(
                {
                    **({"feeder": k + 1} if n > 1 else {}),
                    "home": pd.Series(feeder.bus_names, dtype="object"),
                    "bus": pd.Series(values.bus[values.home_bus].astype(object), dtype="object"),
                    "phases": pd.Series(feeder.home_phases, dtype="object"),
                    "zone": feeder.zone_of + 1,
                    "distance_m": feeder.home_distance_m,
                    "min_vm_pu": lowest,
                    "min_vm_min": when[0] if solved else np.full(len(lowest), np.nan),
                    "max_vm_pu": highest,
                    "max_vm_min": when[1] if solved else np.full(len(lowest), np.nan),
                    "outside_10min": outside.mean(axis=0) if solved else np.nan,
                    "breaks_en50160": pd.array(
                        breaks_en50160(record, below, above) if solved else [None] * len(lowest),
                        dtype="boolean",
                    ),
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    _, first = np.unique(record.ev_of, return_index=True)
    evs = np.bincount(rows[first], minlength=len(table))
    return table.assign(
        evs=evs,
        charged_kwh=total(record.ev["charged_kwh"]),
        discharged_kwh=total(record.ev["discharged_kwh"]),
        short_kwh=total(record.shortfall_kwh),
    )


def place_of_evs(record: Record) -> dict[str, NDArray[np.object_]]:
    """Home and phases of the charger of each EV, (n,) each in the order of rows; none without."""
    feeder, point = record.feeder, record.ev["point"]
    if not isinstance(feeder, ThreePhaseFeeder):
        return {}
    names = np.array(feeder.bus_names, dtype=object)
    return {"home": names[feeder.points.home[point]], "phases": feeder.point_phases[point]}


def place_of_zones(record: Record) -> dict[str, NDArray[Any]]:
    """Where each zone of each feeder is: how many homes it has, or its bus with its name."""
    feeder, names = record.feeder, record.feeder.labels.bus
    found: dict[str, NDArray[Any]]
    if isinstance(feeder, ThreePhaseFeeder):
        found = {"homes": np.array([len(homes) for homes in feeder.homes_of_zone], dtype=np.int64)}
    else:
        found = {"bus": feeder.bus_numbers[feeder.zone_bus]}
        if len(names):
            found["bus_name"] = names[feeder.zone_bus].astype(object)
    return {name: np.tile(values, record.n_feeders) for name, values in found.items()}
