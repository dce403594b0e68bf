"""Indicators of emergence: how alike EVs act, how their demand swings, who bears and who gains.

Every sum goes EV by EV or zone by zone in the order of the rows, so that a feeder's number does not
depend on its neighbours. `docs/kpis.md` defines what is computed here.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import FloatArray, IntArray
from abm.fleet import group_sums
from abm.results.ageing import ageing_kpis
from abm.results.record import Record

# Longest period that counts as an oscillation; slower than that is the shape of the day.
SLOWEST_MIN = 360.0
# Spans shorter than this have none.
SHORTEST_SPAN_MIN = 60.0
LEAST_AMPLITUDE_MW = 1e-6
# Energy and money of an EV below this (kWh, $) are rounding.
NOTHING = 1e-6


def emergence_columns(record: Record) -> dict[str, NDArray[Any]]:
    """The indicators of each feeder, (K,) each; NaN where they are undefined."""
    return _indicators(record, record.ev_mw, record.total_mw, record.ev_kw, record.switched_evs, 1)


def city_emergence(record: Record) -> dict[str, Any]:
    """The indicators of all feeders taken as one."""

    def together(values: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(values.sum(axis=1, keepdims=True))

    found = _indicators(
        record,
        together(record.ev_mw),
        together(record.total_mw),
        together(record.ev_kw),
        together(record.switched_evs),
        record.n_feeders,
    )
    return {name: values[0] for name, values in found.items()}


def _indicators(
    record: Record,
    ev_mw: FloatArray,
    total_mw: FloatArray,
    ev_kw: FloatArray,
    switched_evs: NDArray[Any],
    per_group: int,
) -> dict[str, NDArray[Any]]:
    """Indicators of G groups of `per_group` feeders; the arrays are (H, G) and (S, G)."""
    ev = record.ev
    group, n = ev["feeder"] // per_group, record.n_feeders // per_group
    n_zones = record.zone_charge_mw.shape[2]
    cell = ev["feeder"] * n_zones + ev["zone"]
    cell_group = np.arange(record.n_feeders * n_zones) // (n_zones * per_group)
    of_evs = record.n_evs.reshape(n, per_group).sum(axis=1)
    evs = of_evs.astype(np.float64)
    # An EV of a file may come again, each time with a row of its own.
    ev_of = record.ev_of
    ev_group = np.zeros(len(ev_of) and int(ev_of.max()) + 1, dtype=np.int64)
    ev_group[ev_of] = group
    step_min = record.scenario.clock.step_s / 60.0
    swings = [oscillation(kw, step_min) for kw in np.ascontiguousarray(ev_kw.T)]
    period, amplitude = np.array(swings, dtype=np.float64).reshape(n, 2).T
    charged = ev["charged_kwh"] > 0.0
    rated_kw = np.zeros(len(ev_group))
    np.maximum.at(rated_kw, ev_of, np.where(charged, ev["p_max_kw"], 0.0))
    rated_mw = group_sums(rated_kw, ev_group, n) / 1e3
    factor = load_factor(total_mw)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {
            "coincidence_factor": ev_mw.max(axis=0) / rated_mw,
            "load_factor": factor,
            "peak_to_average": 1.0 / factor,
            "synchronisation": switched_evs.max(axis=0, initial=0) / evs,
            "oscillation_period_min": period,
            "oscillation_amplitude_mw": amplitude / 1e3,
            "mode_switches_per_ev": group_sums(ev["switches"], group, n) / evs,
            "equivalent_full_cycles_per_ev": group_sums(record.full_cycles, group, n) / evs,
            "benefit_usd": group_sums(record.benefit_usd, group, n),
            **ageing_kpis(record.ageing, record.benefit_net_usd, group, of_evs),
        }
    for name, values in (("unmet", record.shortfall_kwh), ("benefit", record.benefit_usd)):
        values = np.where(np.abs(values) > NOTHING, values, 0.0)
        by_zone, there = mean_by_cell(values, cell, len(cell_group), ev_of)
        by_ev = group_sums(values, ev_of, len(ev_group))
        found[f"fairness_{name}_evs"] = jain_index(by_ev, ev_group, n)
        found[f"fairness_{name}_zones"] = jain_index(by_zone, cell_group[there], n)
    return {name: np.where(np.isfinite(x), x, np.nan) for name, x in found.items()}


def load_factor(mw: FloatArray) -> FloatArray:
    """Mean over peak of each column, (H, G) -> (G,); NaN where either is not above 0."""
    peak = mw.max(axis=0)
    mean = np.ascontiguousarray(mw.T).sum(axis=1) / len(mw)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((mean > 0.0) & (peak > 0.0), np.minimum(mean / peak, 1.0), np.nan)


def jain_index(x: FloatArray, group: IntArray, n_groups: int) -> FloatArray:
    """Jain's index (sum x)^2 / (n sum x^2) of x (n,) in each group, -> (n_groups,).

    1 where all are the same (all 0, too), 1/n where one has everything; NaN without members.
    """
    # Of the largest in each group, so that no square is lost to rounding.
    largest = np.zeros(n_groups)
    np.maximum.at(largest, group, np.abs(x))
    share = x / np.where(largest > 0.0, largest, 1.0)[group]
    members = np.bincount(group, minlength=n_groups)
    total, squares = group_sums(share, group, n_groups), group_sums(share**2, group, n_groups)
    with np.errstate(divide="ignore", invalid="ignore"):
        index = np.where(largest > 0.0, np.minimum(total**2 / (members * squares), 1.0), 1.0)
    return np.where(members > 0, index, np.nan)


def mean_by_cell(
    x: FloatArray, cell: IntArray, n_cells: int, ev: IntArray | None = None
) -> tuple[FloatArray, IntArray]:
    """Mean of x (n,) over the EVs of each zone that has any, and the numbers of these zones.

    ev: which EV each row is of, where one may have several.
    """
    evs = np.bincount(cell, minlength=n_cells)
    if ev is not None and len(ev) and int(ev.max()) + 1 < len(ev):
        evs = np.bincount(np.unique(ev * n_cells + cell) % n_cells, minlength=n_cells)
    there = np.flatnonzero(evs)
    return group_sums(x, cell, n_cells)[there] / evs[there], there


def oscillation(power: FloatArray, step_min: float) -> tuple[float, float]:
    """Period [min] and amplitude [unit of power] of the strongest oscillation of power (S,).

    Looked at is the span from the first to the last step with power, less its moving average over
    6 h (of what there is of them at the ends): the largest 2 |X| / N of its Fourier transform among
    periods from two steps to 6 h. NaN for a span below an hour and for less than 1e-6 MW (power in
    kW).
    """
    used = np.flatnonzero(power)
    if not len(used) or (used[-1] - used[0] + 1) * step_min < SHORTEST_SPAN_MIN:
        return math.nan, math.nan
    signal = power[used[0] : used[-1] + 1]
    n = len(signal)
    amplitude = np.abs(np.fft.rfft(signal - moving_average(signal, SLOWEST_MIN / step_min)))
    amplitude *= 2.0 / n
    if n % 2 == 0:
        amplitude[-1] /= 2.0  # the shortest period stands in the transform once, not twice
    slowest = max(1, math.ceil(n * step_min / SLOWEST_MIN - 1e-9))
    if slowest >= len(amplitude):
        return math.nan, math.nan
    at = slowest + int(amplitude[slowest:].argmax())
    if amplitude[at] < LEAST_AMPLITUDE_MW * 1e3:
        return math.nan, math.nan
    return n * step_min / at, float(amplitude[at])


def moving_average(signal: FloatArray, width: float) -> FloatArray:
    """Centred mean over `width` steps on both sides together; at the ends of what is there."""
    n, half = len(signal), round(width / 2.0)
    sums = np.concatenate([[0.0], np.cumsum(signal)])
    at = np.arange(n)
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, n)
    return np.asarray((sums[high] - sums[low]) / (high - low))
