"""What the strategy `coordinated` plans: each hour one demand level to fill and shave to.

docs/coordinated.md derives it. No optimiser and no knowledge of who comes: the EVs plugged in with
their target and departure, the expected arrivals, the day-ahead forecast, and the broadcast.

Hours of the window along the first axis of arrays, feeders along the last: (n_hours, n_feeders).
Demands, powers and levels in kW; an hour's mean power in kW is its energy in kWh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.battery import printed_goal
from abm.fleet import Fleet
from abm.fleet import expected_arrivals as expected
from abm.fleet.expected_arrivals import WINDOW_H
from abm.signals import Broadcast, Outlook

# Feeders solved in one go, so that what is worked on stays in the cache.
BLOCK = 64

# Need, gift and `back` (n_feeders,), charging and discharging power (window, n_feeders).
Energy: TypeAlias = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]


@dataclass(frozen=True)
class Plan:
    """What was worked out at the beginning of an hour, (n_feeders,) each [kW].

    level_kw, shave_kw: demand to fill up to and to shave down to. fill_offset_kw, shave_offset_kw:
    what the hour's price adds to its demand. base_kw: the hour's base demand as forecast.
    """

    level_kw: FloatArray
    shave_kw: FloatArray
    fill_offset_kw: FloatArray
    shave_offset_kw: FloatArray
    base_kw: FloatArray


@dataclass(frozen=True)
class Orders:
    """Charging power to admit and discharging power to call, >= 0, (n_feeders,) each [kW]."""

    room_kw: FloatArray
    give_kw: FloatArray


def check_margin(margin_min: float) -> None:
    """ValueError for a margin that no day has."""
    if not 0.0 <= margin_min <= 1440.0:
        raise ValueError(f"margin_min = {margin_min!r}: 0 to 1440 minutes")


class Planner:
    """Plans of one model under the strategy `coordinated`, made when first asked for.

    hour: of the horizon, that `plans` are for; plans: by the hour of the message they were made
    with. price_weight: 0 for the lowest peak, 1 for the lowest cost. ValueError outside of that.
    """

    def __init__(self, price_weight: float = 0.0) -> None:
        if not 0.0 <= price_weight <= 1.0:
            raise ValueError(f"price_weight = {price_weight!r}: 0 to 1")
        self.price_weight = price_weight
        self.hour = -1
        self.plans: dict[int, Plan] = {}
        self._outlook: Outlook | None = None
        self._energy: Energy | None = None
        self._orders: dict[int, tuple[Broadcast, Orders]] = {}

    def orders(self, fleet: Fleet, broadcast: Broadcast, minute: float) -> Orders:
        """How far EVs are to charge or discharge in the hour of `minute`.

        The plan is made once an hour for the messages of each hour that are in use; a broadcast of
        another hour than the present one leaves the aggregator with its forecast. ValueError for a
        broadcast without an outlook.
        """
        if broadcast.outlook is None:
            raise ValueError("the strategy coordinated needs a broadcast with an outlook")
        hour = int(minute // 60.0)
        if hour != self.hour or broadcast.outlook is not self._outlook:
            self.hour, self._outlook, self._energy = hour, broadcast.outlook, None
            self.plans, self._orders = {}, {}
        sent, known = self._orders.get(broadcast.hour, (None, None))
        if known is not None and sent is broadcast:
            return known
        if broadcast.hour not in self.plans:
            self.plans[broadcast.hour] = self._plan(fleet, broadcast, broadcast.outlook, minute)
        plan = self.plans[broadcast.hour]
        base = broadcast.base_mw * 1e3 if broadcast.hour == hour else plan.base_kw
        found = Orders(
            np.maximum(plan.level_kw - (base + plan.fill_offset_kw), 0.0),
            np.maximum(base + plan.shave_offset_kw - plan.shave_kw, 0.0),
        )
        self._orders[broadcast.hour] = (broadcast, found)
        return found

    def _plan(self, fleet: Fleet, broadcast: Broadcast, outlook: Outlook, minute: float) -> Plan:
        """The level of this hour, from its beginning on."""
        window = min(WINDOW_H, outlook.n_hours - self.hour)
        hours = slice(self.hour, self.hour + window)
        base = outlook.base_mw(broadcast.hour, hours) * 1e3
        forecast = base[0].copy()
        if broadcast.hour == self.hour:
            base[0] = broadcast.base_mw * 1e3
        # A message heard within the hour changes what is known of demand. What the EVs need stays
        # that of its beginning: the room of the whole hour is set against it.
        if self._energy is None:
            self._energy = _energy(fleet, outlook, self.hour, window, minute)
        need, give, back, charge, discharge = self._energy
        low, high = _offsets(outlook, base, back, hours, self.price_weight)
        level, shave = solve_levels(
            need, give, back, (base + low, charge), (base + high, discharge)
        )
        return Plan(level, shave, low[0], high[0], forecast)


def _offsets(
    outlook: Outlook, base: FloatArray, back: FloatArray, hours: slice, weight: float
) -> tuple[FloatArray, FloatArray]:
    """What prices add to the demand of each hour when filling and when shaving [kW].

    Weight w puts w / (1.1 - w) times the range of demand on the range of price, ten times at 1. A
    kWh sold earns sale_ratio x price and has to be bought back `back` times: shaving looks at that.
    """
    price = outlook.price[hours]
    spread = float(price.max() - price.min())
    if weight <= 0.0 or spread <= 0.0:
        none = np.zeros_like(base)
        return none, none
    factor = weight / (1.1 - weight)
    kw_per_price = factor * (base.max(axis=0) - base.min(axis=0)) / spread
    mean = float(price.mean())
    fill = (price - mean)[:, None] * kw_per_price
    worth = outlook.sale_ratio * price[:, None] / np.maximum(back, 1.0)
    return fill, np.minimum((worth - mean) * kw_per_price, fill)


def _energy(fleet: Fleet, outlook: Outlook, hour: int, window: int, minute: float) -> Energy:
    """Need, gift and `back` (n_feeders,), charging and discharging power (window, n_feeders).

    Of the EVs that were plugged in when the hour began, and of those expected from then on. What an
    EV needs that stays longer than the window counts in proportion.
    """
    n, begin = fleet.n_feeders, hour * 60.0
    rows, soc, has_charged = _plugged_since(fleet, begin, minute)
    feeder = fleet.feeder[rows]
    goal = fleet.soc_goal[rows]
    if fleet.as_printed:
        goal = np.where(has_charged, goal, printed_goal(soc, fleet.soc_required[rows]))
    # An EV that stays on after the departure it announced may leave any time.
    left = np.maximum(fleet.announced_min[rows] - begin, fleet.step_h * 60.0) / 60.0
    p_max = fleet.p_max_kw[rows]
    p_discharge = np.where(fleet.v2g[rows], fleet.p_discharge_kw[rows], 0.0)
    own = expected.slack(
        left, soc, goal, fleet.soc_min[rows], fleet.capacity_kwh[rows], p_max, p_discharge,
        fleet.efficiency[rows], fleet.v2g[rows] & ~(fleet.as_printed & has_charged),
        fleet.as_printed,
    )  # fmt: skip
    share = np.minimum(window / left, 1.0)
    (count, need, give), charge, discharge = outlook.arrivals.from_hour(hour, window)
    here = np.bincount(feeder, minlength=n)
    # What a kWh shaved costs, mean over those plugged in and those expected.
    back = np.bincount(feeder, own.back, n) + count * outlook.arrivals.back
    back = np.divide(back, here + count, out=np.ones(n), where=here + count > 0)
    # An EV is there in full hours and in a part of the one in which it leaves.
    last = np.minimum(left.astype(np.int64), window)
    place, part = feeder * (window + 1) + last, left - last

    def by_hour(rating: FloatArray) -> FloatArray:
        shape = (n, window + 1)
        full = np.bincount(place, rating, n * (window + 1)).reshape(shape)
        full = full[:, ::-1].cumsum(axis=1)[:, ::-1] - full
        cut = np.bincount(place, rating * part, n * (window + 1)).reshape(shape)
        return np.ascontiguousarray((full + cut)[:, :window].T)

    return (
        np.bincount(feeder, own.need_kwh * share, n) + need,
        np.bincount(feeder, own.give_kwh, n) + give,
        back,
        by_hour(p_max) + charge[:, None],
        by_hour(p_discharge) + discharge[:, None],
    )


def _plugged_since(
    fleet: Fleet, begin_min: float, minute: float
) -> tuple[IntArray, FloatArray, BoolArray]:
    """Rows plugged in since the step in which the hour begins or before, their SoC, has_charged.

    The compiled hour asks before the arrivals and departures of its first step are booked, so they
    are looked up here. Who comes later in the hour is expected, whenever the plan is made.
    """
    step_min = fleet.step_h * 60.0
    first, now = round(begin_min / step_min), round(minute / step_min)
    due = ~fleet.arrived & (fleet.departure_min > np.maximum(fleet.arrival_min, minute))
    here = (fleet.plugged | due) & (fleet.arrival_step <= first) & (fleet.departure_step > now)
    rows = np.flatnonzero(here)
    due = due[rows]
    soc = np.where(due, fleet.soc_arrival[rows], fleet.soc[rows])
    return rows, soc, fleet.has_charged[rows] & ~due


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
