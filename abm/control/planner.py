"""The one demand level of the strategy `coordinated`: water-filling, exact and for all feeders.

Hours of the window along the first axis, feeders along the last: (n_hours, n_feeders). Demands,
powers and levels in kW; an hour's mean power in kW is its energy in kWh.
"""

from __future__ import annotations

import numpy as np

from abm.equations import FloatArray

# Feeders solved in one go, so that what is worked on stays in the cache.
BLOCK = 64


def filled_kwh(level: FloatArray, demand: FloatArray, power: FloatArray) -> FloatArray:
    """Energy that fits below each of some levels, sum_t min(max(L - D_t, 0), P_t).

    level (m, n_feeders), demand and power (n_hours, n_feeders) -> (m, n_feeders).
    """
    room = np.subtract(level[None, :, :], demand[:, None, :])
    np.maximum(room, 0.0, out=room)
    np.minimum(room, power[:, None, :], out=room)
    return np.asarray(room.sum(axis=0))


def shaved_kwh(level: FloatArray, demand: FloatArray, power: FloatArray) -> FloatArray:
    """Energy that it takes to come down to each level, sum_t min(max(D_t - L, 0), Q_t)."""
    return filled_kwh(-level, -demand, power)


def solve_levels(
    need_kwh: FloatArray,
    give_kwh: FloatArray,
    back: FloatArray,
    fill: tuple[FloatArray, FloatArray],
    shave: tuple[FloatArray, FloatArray],
) -> tuple[FloatArray, FloatArray]:
    """Level to fill the valley to and level to shave the peak to, (n_feeders,) each [kW].

    need_kwh, give_kwh, back: (n_feeders,), back as in `abm.fleet.expected_arrivals.Slack`. fill:
    demand that is filled and power that can charge; shave: demand that is shaved and power that can
    discharge; (n_hours, n_feeders) each. The fill level L is the least with

        filled(L) >= need + back x min(shaved(L), give).

    The shave level is L too, or as much higher as it takes for `give_kwh` to last.
    """
    n_feeders = len(need_kwh)
    level, peak = np.empty(n_feeders), np.empty(n_feeders)
    for first in range(0, n_feeders, BLOCK):
        block = slice(first, first + BLOCK)
        own_fill, own_shave = ([a[:, block] for a in pair] for pair in (fill, shave))
        give = give_kwh[block]
        least = _least_shave_level(give, *own_shave)
        level[block] = _fill_level(need_kwh[block], give, back[block], least, own_fill, own_shave)
        peak[block] = np.maximum(level[block], least)
    return level, peak


def _least_shave_level(give: FloatArray, demand: FloatArray, power: FloatArray) -> FloatArray:
    points = np.sort(np.concatenate((demand, demand - power)), axis=0)
    return _crossing(points, give - shaved_kwh(points, demand, power))


def _fill_level(
    need: FloatArray,
    give: FloatArray,
    back: FloatArray,
    least: FloatArray,
    fill: list[FloatArray],
    shave: list[FloatArray],
) -> FloatArray:
    # The balance is piecewise linear and never falls; it bends at these points only.
    (low, charge), (high, discharge) = fill, shave
    bends = (low, low + charge, high, high - discharge, least[None, :])
    points = np.sort(np.concatenate(bends), axis=0)
    put_back = back * np.minimum(shaved_kwh(points, *shave), give)
    return _crossing(points, filled_kwh(points, *fill) - put_back - need)


def _crossing(points: FloatArray, values: FloatArray) -> FloatArray:
    """Where values (m, n), which never fall along points (m, n), reach 0; the ends else."""
    below = (values < 0.0).sum(axis=0)
    last = len(points) - 1
    right = np.minimum(below, last)
    left = np.maximum(right - 1, 0)
    column = np.arange(points.shape[1])
    x0, x1 = points[left, column], points[right, column]
    v0, v1 = values[left, column], values[right, column]
    inside = (below > 0) & (below <= last)
    rise = np.where(inside, v1 - v0, 1.0)
    found: FloatArray = np.where(inside, x0 - v0 / rise * (x1 - x0), x1)
    return found
