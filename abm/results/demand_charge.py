"""The demand charge of EVs that charge at once on arrival, for the reference of eq. (22)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abm.equations import FloatArray
from abm.equations.economics import asked_energy, charged_at_once, demand_charge
from abm.fleet.demand_charge import periods, shared
from abm.scenario import Scenario

Columns = Mapping[str, NDArray[Any]]


def reference_demand_charge(
    scenario: Scenario, ev: Columns, stays: Columns, base_kw: FloatArray, n_zones: int
) -> FloatArray:
    """What each EV owes if all charge at once on arrival, shared as in a run, (n,) [$].

    ev: columns (n,); stays: (D, n). base_kw: mean base demand of each window of the charge on each
    feeder, (W, K).
    """
    charge, window_min = scenario.tariff.demand_charge, scenario.tariff.demand_charge.window_min
    energy = asked_energy(stays, ev["capacity_kwh"], ev["efficiency"], scenario.requirement)
    begin = stays["arrival_min"]
    end = charged_at_once(begin, stays["departure_min"], energy, ev["p_max_kw"])
    end = np.where(stays["arrived"], end, begin)
    rating = np.broadcast_to(ev["p_max_kw"], begin.shape)
    owes = np.zeros(len(ev["feeder"]))
    feeders = base_kw.shape[1]
    for period in periods(charge, scenario.calendar):
        first, last = period.begin_s / 60.0, period.end_s / 60.0
        since, until = np.clip(begin, first, last), np.clip(end, first, last)
        usd = charge.usd_per_kw * period.part
        if charge.of == "ev":
            peak = (rating * fullest_window(since, until, float(window_min))).max(axis=0)
            owes += demand_charge(peak, 0.0, usd)
            continue
        of_zone = ev["feeder"] * n_zones + ev["zone"]
        group = of_zone if charge.of == "zone" else ev["feeder"]
        groups = feeders * n_zones if charge.of == "zone" else feeders
        here = slice(period.begin_s // (60 * window_min), period.end_s // (60 * window_min))
        n = here.stop - here.start
        power = mean_powers(since - first, until - first, rating, group, groups, window_min, n)
        base = base_kw[here] if charge.of == "feeder" else np.zeros((n, groups))
        total = base + power
        at = total.argmax(axis=0)
        owed = demand_charge(total[at, np.arange(groups)], base.max(axis=0), usd)
        # What each draws in the window of its group's peak.
        window = first + at[group] * window_min
        overlap = np.minimum(until, window + window_min) - np.maximum(since, window)
        drew = (rating * np.maximum(overlap, 0.0)).sum(axis=0)
        owes += shared(owed, drew, group)
    return owes


def fullest_window(begin: FloatArray, end: FloatArray, window: float) -> FloatArray:
    """Largest part of a window, of all that lie on multiples of it, between begin and end."""
    edge = np.ceil(begin / window) * window
    before = np.minimum(end, edge) - begin
    after = np.clip(end - edge, 0.0, window)
    return np.asarray(np.maximum(np.maximum(before, after), 0.0) / window)


def mean_powers(
    begin: FloatArray,
    end: FloatArray,
    power: FloatArray,
    group: NDArray[np.int64],
    n_groups: int,
    window: float,
    n: int,
) -> FloatArray:
    """Mean power of groups over windows in a row from 0, of what draws from begin to end, (n, G).

    begin, end, power: (D, N); group: (N,).
    """
    within = np.zeros((n + 1) * n_groups)
    from_then_on = np.zeros((n + 1) * n_groups)
    for moments, sign in ((begin, 1.0), (end, -1.0)):
        at = np.minimum((moments // window).astype(np.int64), n)
        cell = at * n_groups + group
        rest = np.maximum((at + 1) * window - moments, 0.0) / window
        within += np.bincount(cell.ravel(), (sign * power * rest).ravel(), len(within))
        from_then_on += np.bincount(cell.ravel(), (sign * power).ravel(), len(within))
    steady = np.cumsum(from_then_on.reshape(n + 1, n_groups), axis=0)
    whole = np.concatenate([np.zeros((1, n_groups)), steady[:-1]])
    return np.asarray(within.reshape(n + 1, n_groups) + whole)[:n]
