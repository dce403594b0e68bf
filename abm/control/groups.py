"""EVs as a few batteries for a linear programme: who is alike counts as one.

Stays are grouped by when they end and how much they need. A group's limits are the sums of what
each stay has to keep to, so that whatever its stays can do the group can; the other way round is
almost so, as they are alike. Powers in kW, energies in kWh at the grid side of the chargers, times
in minutes from the start of the horizon.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from abm.control.level import SLOT_MIN
from abm.control.programme import Batteries
from abm.equations import BoolArray, FloatArray, IntArray
from abm.fleet import group_sums

# Windows are a quarter of an hour for so long ahead, min.
NEAR_MIN = 60.0
# Needs are that much less than what just fits, so that rounding leaves no programme without answer.
FITS = 1.0 - 1e-9
# Times and energies to divide by are no less.
TINY_MIN, TINY_KWH = 1e-6, 1e-6


@dataclass(frozen=True, eq=False)
class PlannedStays:
    """Stays to plan for, arrays (n,).

    arrival_min, departure_min: from when to when. need_kwh, give_kwh, back: see
    `abm.fleet.expected_arrivals.Slack`; need no more than fits, and below 0 for who may leave with
    less than it has: charging so much would give back that much. charge_kw, discharge_kw: ratings.
    evs: how many EVs each stands for. at_once: charges as soon as it comes, whatever is planned.
    """

    arrival_min: FloatArray
    departure_min: FloatArray
    need_kwh: FloatArray
    give_kwh: FloatArray
    back: FloatArray
    charge_kw: FloatArray
    discharge_kw: FloatArray
    evs: FloatArray
    at_once: BoolArray

    @property
    def through_min(self) -> FloatArray:
        """When each is to be through: by the quarter of an hour before it leaves, if it can.

        What is planned within a quarter is a mean over it, and who leaves in its midst needs more.
        """
        charging_min = 60.0 * np.maximum(self.need_kwh, 0.0) / self.charge_kw
        soonest = np.minimum(self.arrival_min + charging_min, self.departure_min)
        quarter = np.floor(self.departure_min / SLOT_MIN) * SLOT_MIN
        return np.asarray(np.maximum(soonest, quarter))

    def and_those(self, others: PlannedStays) -> PlannedStays:
        """These and others."""
        names = [field.name for field in fields(self)]
        both = ((getattr(self, name), getattr(others, name)) for name in names)
        return PlannedStays(*map(np.concatenate, both))


def window_edges(
    begin_min: float, end_min: float, through_min: FloatArray, quarters_only: bool = False
) -> FloatArray:
    """Edges of the windows of a plan, (n_windows + 1,).

    Quarters of an hour, the first what is left of the present one. An hour in which nobody has to
    be through is one window, as base demand is forecast by hours; not in the `NEAR_MIN` to come,
    and not where quarters_only, as for prices that change within the hour.
    """
    first, last = np.floor(begin_min / SLOT_MIN) + 1.0, np.ceil(end_min / SLOT_MIN)
    quarters = np.arange(first, last) * SLOT_MIN
    busy = np.isin(np.floor(quarters / 60.0), np.ceil(through_min / 60.0) - 1.0) | quarters_only
    kept = quarters[(quarters % 60.0 == 0.0) | busy | (quarters <= begin_min + NEAR_MIN)]
    return np.concatenate([[begin_min], kept, [end_min]])


def alike(stays: PlannedStays, edges: FloatArray, parts: int) -> IntArray:
    """Group of each stay, from 0, (n,).

    Those of a group have to be through in the same window. All in the order of that and of the time
    they need to charge are cut in so many parts of equal numbers, so up to `parts` stays each is a
    group of its own.
    """
    n = len(stays.evs)
    last = _window_of(stays.through_min, edges)
    order = np.lexsort((stays.need_kwh / stays.charge_kw, last))
    part = np.arange(n) * min(parts, n) // max(n, 1)
    last = last[order]
    begins = np.ones(n, dtype=np.bool_)
    begins[1:] = (last[1:] != last[:-1]) | (part[1:] != part[:-1])
    group = np.empty(n, dtype=np.int64)
    group[order] = np.cumsum(begins) - 1
    return group


def _window_of(through_min: FloatArray, edges: FloatArray) -> IntArray:
    return np.asarray(np.searchsorted(edges[1:-1], through_min, side="left"))


def as_batteries(
    stays: PlannedStays, group: IntArray, edges: FloatArray, buys: FloatArray, sells: FloatArray
) -> tuple[Batteries, BoolArray]:
    """Each group as a battery that holds what was charged less what is to be put back.

    buys, sells: what a kWh costs and earns by window, (n_windows,). -> batteries, and which windows
    each group can be used in, (n_groups, n_windows): its slots, in this order.

    An EV that has charged x, less `back` times what it has discharged, has to keep
    max(-back give, need - what it can still charge) <= x <= min(need, what it can have charged),
    need in the second being at least 0.
    """
    n_groups, n_windows = int(group.max()) + 1, len(edges) - 1
    begin, end, hours = edges[:-1], edges[1:], np.diff(edges) / 60.0
    arrival, through = stays.arrival_min[:, None], stays.through_min[:, None]
    length = np.maximum(through - arrival, TINY_MIN)
    # What an EV needs that stays longer than the plan counts in proportion.
    share = np.minimum((edges[-1] - arrival) / length, 1.0)
    need = FITS * share * stays.need_kwh[:, None]
    through = np.minimum(through, edges[-1])
    charge_kw = stays.charge_kw[:, None]
    may_give = (stays.give_kwh > 0.0) & ~stays.at_once
    give = np.where(may_give, stays.give_kwh, 0.0)[:, None]
    discharge_kw = np.where(may_give, stays.discharge_kw, 0.0)[:, None]
    back, at_once = stays.back[:, None], stays.at_once[:, None]

    there_h = _hours(np.maximum(arrival, begin), np.minimum(through, end))
    since_h = _hours(arrival, np.minimum(through, end))
    left_h = _hours(np.maximum(arrival, end), through)
    ceiling = np.minimum(np.maximum(need, 0.0), charge_kw * since_h)
    owed = -back * np.minimum(give, discharge_kw * since_h)
    floor = np.where(arrival < end, np.maximum(owed, need - charge_kw * left_h), 0.0)
    floor = np.minimum(np.where(at_once, ceiling, floor), ceiling)

    cell = (group[:, None] * n_windows + np.arange(n_windows)).ravel()

    def total(values: FloatArray) -> FloatArray:
        weighted = (values * stays.evs[:, None]).ravel()
        return group_sums(weighted, cell, n_groups * n_windows).reshape(n_groups, n_windows)

    power, give_power = total(charge_kw * there_h) / hours, total(discharge_kw * there_h) / hours
    usable = power + give_power > 0.0
    of_group, window = np.nonzero(usable)
    first = np.ones(len(of_group), dtype=np.bool_)
    first[1:] = of_group[1:] != of_group[:-1]
    loss = _mean(stays.back, np.maximum(stays.evs * give[:, 0], TINY_KWH), group)[of_group]
    buy, sell, none = buys[window], sells[window], np.zeros(len(window))
    floors, ceilings = total(floor), total(ceiling)
    charges, gives = power[usable], give_power[usable]
    return (
        Batteries(
            first=first,
            window=window,
            hours=hours[window],
            charge_kw=charges,
            discharge_kw=gives,
            gain=np.ones(len(window)),
            loss=loss,
            start=none,
            floor=np.minimum(floors, ceilings)[usable],
            ceiling=ceilings[usable],
            buys=buy,
            sells=sell,
            burns=(buy < sell / loss) & (charges > 0.0) & (gives > 0.0),
        ),
        usable,
    )


def _hours(since: FloatArray, until: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(until - since, 0.0) / 60.0)


def _mean(values: FloatArray, weight: FloatArray, group: IntArray) -> FloatArray:
    n_groups = int(group.max()) + 1
    return group_sums(values * weight, group, n_groups) / group_sums(weight, group, n_groups)


def spread(
    target: FloatArray, group: IntArray, weight: FloatArray, least: FloatArray, most: FloatArray
) -> FloatArray:
    """Powers of EVs that add up to their group's, as far as they can, in proportion to weight.

    target (n_groups,); the others (n,), who comes first in a group being the first to get
    something. Each has between `least` and `most`, or nothing.
    """
    n_groups = len(target)
    order = np.argsort(group, kind="stable")
    taken = np.cumsum(least[order])
    begins = np.searchsorted(group[order], group[order])
    taken -= (taken - least[order])[begins]
    on = np.empty(len(group), dtype=np.bool_)
    on[order] = taken <= target[group[order]]
    found = np.where(on, least, 0.0)
    for _ in range(len(group)):
        left = np.maximum(target - group_sums(found, group, n_groups), 0.0)
        wanting = np.where(on & (found < most), weight, 0.0)
        total = group_sums(wanting, group, n_groups)
        rate = np.divide(left, total, out=np.zeros(n_groups), where=total > 0.0)
        more = found + wanting * rate[group]
        full = more > most
        found = np.minimum(more, most)
        if not full.any():
            break
    return found
