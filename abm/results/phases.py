"""What only a three-phase feeder has: voltages by home and phase, unbalance, neutral, levels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import BoolArray, FloatArray, IntArray
from abm.grid import PowerFlow
from abm.grid.phase_feeder import ThreePhaseFeeder
from abm.grid.phase_flow import LEVELS, ThreePhaseFlow
from abm.results.flows import highest_voltage, in_hours
from abm.results.record import Record
from abm.scenario.phase_values import PHASES

# EN 50160: voltages are means over ten minutes, 95 % of those of a week within 10 % of the rated
# one, all of them within +10 and -15 %; voltage unbalance 95 % of them up to 2 %.
MEAN_MIN = 10
WEEK_H = 168
MOSTLY, MOSTLY_PU, ALWAYS_PU = 0.95, (0.9, 1.1), (0.85, 1.1)
VUF_PERCENT = 2.0

_TEXT = ("min_vm_home", "min_vm_time", "max_vm_home", "max_vm_time", "max_vuf_bus", "max_vuf_time",
         "max_neutral_line", "max_neutral_time", "max_line_loading_phase")  # fmt: skip
_NUMBERS = ("max_vuf_percent", "max_neutral_a", *(f"loss_{level}_mwh" for level in LEVELS))
_COUNTS = ("homes_below", "homes_above", "homes_outside_10min", "outside_10min_means",
           "homes_en50160", "vuf_over_10min_means")  # fmt: skip
# KPIs of a record that are text, where there are any.
TEXT_SUFFIXES = ("_line", "_time", "_transformer", "_home", "_phase", "max_vuf_bus")


def phase_columns(record: Record) -> dict[str, NDArray[Any]]:
    """The KPIs of a three-phase feeder, (K,) each; None on another, and where not all is solved."""
    flows, feeder, n = record.flows, record.feeder, record.n_feeders
    if not (isinstance(flows, ThreePhaseFlow) and isinstance(feeder, ThreePhaseFeeder)):
        nothing: dict[str, NDArray[Any]] = {name: _none(n) for name in (*_TEXT, *_COUNTS)}
        return nothing | {name: np.full(n, np.nan) for name in _NUMBERS}
    solved = np.asarray(flows.converged.all(axis=0))
    low, high = flows.vm_pu, highest_voltage(record)
    buses, lines = feeder.phases.bus, np.array(feeder.line_names, dtype=object)
    homes = np.array(feeder.bus_names, dtype=object)
    found: dict[str, NDArray[Any]] = {}

    def extreme(name: str, what: str, values: FloatArray, names: Any, at: IntArray) -> IntArray:
        """The highest of values (F, K), what it is of, and when; where it is, (K,)."""
        flow = np.where(np.isnan(values), -np.inf, values).argmax(axis=0)
        feeders = np.arange(n)
        # -1 where nothing is known, as with lines of which none has a rating.
        there = solved & (at[flow, feeders] >= 0) & np.isfinite(values[flow, feeders])
        of = np.array([*names, None])[np.where(there, at[flow, feeders], -1)]
        found[f"{name}_{what}"] = _where(there, of)
        found[f"{name}_time"] = _where(there, record.clock_times(flow, record.flow_min))
        return np.asarray(flow)

    # A load flow without a solution has no voltage at any home, and is not asked where.
    extreme("min_vm", "home", -record.lowest_vm_pu, homes, low.argmin(axis=2))
    extreme("max_vm", "home", high.max(axis=2), homes, high.argmax(axis=2))
    extreme("max_vuf", "bus", flows.vuf_percent, buses.astype(object), flows.vuf_at)
    extreme("max_neutral", "line", flows.neutral_a, lines, flows.neutral_at)
    found["max_vuf_percent"] = _highest(flows.vuf_percent, solved)
    found["max_neutral_a"] = _highest(flows.neutral_a, solved)
    phases = np.array(list(PHASES), dtype=object)
    own = extreme("max_line_loading", "line", flows.line_percent, lines, flows.line_at)
    found["max_line_loading_percent"] = loading = _highest(flows.line_percent, solved)
    del found["max_line_loading_time"]
    rated = np.isfinite(loading)
    at = flows.line_phase[own, np.arange(n)]
    found["max_line_loading_phase"] = _where(rated, phases[at])
    found["max_line_loading_hour"] = _where(rated, record.flow_hours[own])
    over = np.where(flows.lines_over > 0, flows.lines_over, 0).sum(axis=0)
    found["line_over_line_hours"] = in_hours(record, over)
    energy = np.ascontiguousarray(flows.level_loss_mw.transpose(1, 2, 0)).sum(axis=2)
    for level, name in enumerate(LEVELS):
        found[f"loss_{name}_mwh"] = in_hours(record, energy[:, level])
    return found | _counts(record, low, high, solved)


def _counts(
    record: Record, low: FloatArray, high: FloatArray, solved: BoolArray
) -> dict[str, NDArray[Any]]:
    """Homes and ten-minute means outside limits, feeder by feeder so that little is in memory."""
    grid, flows = record.scenario.grid, record.flows
    assert isinstance(flows, ThreePhaseFlow)
    rows: list[list[int]] = []
    for k in range(record.n_feeders):
        below, above = low[:, k], high[:, k]
        known = [int((below < grid.vm_min_pu).any(axis=0).sum())]
        known.append(int((above > grid.vm_max_pu).any(axis=0).sum()))
        below, above = ten_minutes(record, below), ten_minutes(record, above)
        outside = (below < grid.vm_min_pu) | (above > grid.vm_max_pu)
        known += [int(outside.any(axis=0).sum()), int(outside.sum())]
        known.append(int(breaks_en50160(record, below, above).sum()))
        vuf = ten_minutes(record, flows.vuf_percent[:, k : k + 1])
        rows.append([*known, int((vuf > VUF_PERCENT).sum())])
    values = np.array(rows, dtype=np.int64).reshape(-1, len(_COUNTS))
    return {name: _where(solved, values[:, i]) for i, name in enumerate(_COUNTS)}


def ten_minutes(record: Record, values: FloatArray) -> FloatArray:
    """Means over ten minutes of load flows (F, ...); themselves where those are not finer."""
    together = MEAN_MIN // record.flow_min
    if MEAN_MIN % record.flow_min or together == 1:
        return values
    by_mean = values.reshape(-1, together, *values.shape[1:])
    # Flow by flow, so that no sum depends on how many elements or feeders there are.
    added = by_mean[:, 0].copy()
    for i in range(1, together):
        added += by_mean[:, i]
    return np.asarray(added / together)


def breaks_en50160(record: Record, low: FloatArray, high: FloatArray) -> BoolArray:
    """Which homes EN 50160 is not kept at, (H,), from means of ten minutes (n, H).

    Each week of the horizon, or the horizon where it is shorter, by itself.
    """
    mostly = (low < MOSTLY_PU[0]) | (high > MOSTLY_PU[1])
    ever = ((low < ALWAYS_PU[0]) | (high > ALWAYS_PU[1])).any(axis=0)
    week = WEEK_H * 60 // max(record.flow_min, MEAN_MIN)
    for first in range(0, len(mostly), week):
        part = mostly[first : first + week]
        ever |= part.sum(axis=0) > (1.0 - MOSTLY) * len(part)
    return np.asarray(ever)


def bus_columns(record: Record) -> dict[str, NDArray[Any]]:
    """Columns of the table of buses: the angle, or what the highest phase of a home has."""
    flows = record.flows
    if isinstance(flows, ThreePhaseFlow):
        return {"vm_high_pu": _flat(highest_voltage(record))}
    return {"va_degree": np.degrees(_flat(flows.va_rad))}


def line_columns(flows: PowerFlow) -> dict[str, NDArray[Any]]:
    """Columns of the table of lines: the loss, or the current of each phase."""
    if isinstance(flows, ThreePhaseFlow):
        return {f"i_{p}_a": _flat(flows.i_phase_a[..., i]) for i, p in enumerate(PHASES)}
    return {"loss_mw": _flat(flows.line_loss_mw)}


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    """(F, K, M) -> flat, feeder by feeder."""
    return np.ascontiguousarray(np.swapaxes(values, 0, 1)).reshape(-1)


def _none(n: int) -> NDArray[np.object_]:
    return np.full(n, None, dtype=object)


def _where(known: BoolArray, values: Any) -> NDArray[np.object_]:
    out = _none(len(known))
    for k in np.flatnonzero(known):
        value = values[k]
        out[k] = value.item() if isinstance(value, np.generic) else value
    return out


def _highest(values: FloatArray, solved: BoolArray) -> FloatArray:
    known = np.where(np.isnan(values), -np.inf, values).max(axis=0)
    return np.where(solved & np.isfinite(known), known, np.nan)
