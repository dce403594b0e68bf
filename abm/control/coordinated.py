"""The strategy `coordinated`: each hour one demand level, filled and shaved to by least laxity.

docs/coordinated.md derives it. No optimiser and no knowledge of who comes: the EVs plugged in with
their target and departure, the expected arrivals, the day-ahead forecast, and the broadcast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abm.control.admission import running_total
from abm.control.level import solve_levels
from abm.control.rules import switch
from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.admission import (
    EPS_KW,
    fits,
    latest_start,
    out_of_slack,
    reaches,
    room_left,
    slack,
    spent_discharging,
)
from abm.equations.battery import printed_goal
from abm.fleet import Fleet, Mode, ModeArray
from abm.fleet import expected_arrivals as expected
from abm.fleet.expected_arrivals import WINDOW_H
from abm.signals import Broadcast, Outlook


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


def orders(fleet: Fleet, broadcast: Broadcast, minute: float, price_weight: float) -> Orders:
    """How far EVs are to charge or discharge in the hour of `minute`.

    The plan is made once an hour for the messages of each hour that are in use; a broadcast of
    another hour than the present one leaves the aggregator with its forecast. ValueError for a
    broadcast without an outlook.
    """
    outlook = broadcast.outlook
    if outlook is None:
        raise ValueError("the strategy coordinated needs a broadcast with an outlook")
    hour = int(minute // 60.0)
    key = (hour, broadcast.hour, price_weight)
    known = outlook.memo.get(key)
    if known is not None and known[0] is broadcast:
        found: Orders = known[2]
        return found
    plan = known[1] if known is not None else make_plan(fleet, broadcast, minute, price_weight)
    base = broadcast.base_mw * 1e3 if broadcast.hour == hour else plan.base_kw
    found = Orders(
        np.maximum(plan.level_kw - (base + plan.fill_offset_kw), 0.0),
        np.maximum(base + plan.shave_offset_kw - plan.shave_kw, 0.0),
    )
    for old in [old for old in outlook.memo if old[0] < hour]:
        del outlook.memo[old]
    outlook.memo[key] = (broadcast, plan, found)
    return found


def make_plan(fleet: Fleet, broadcast: Broadcast, minute: float, price_weight: float) -> Plan:
    """The level of the hour of `minute`, from its beginning on. broadcast.outlook is there."""
    outlook = broadcast.outlook
    assert outlook is not None
    hour = int(minute // 60.0)
    window = min(WINDOW_H, outlook.n_hours - hour)
    base = outlook.base_mw(broadcast.hour, slice(hour, hour + window)) * 1e3
    forecast = base[0].copy()
    if broadcast.hour == hour:
        base[0] = broadcast.base_mw * 1e3
    # A message heard within the hour changes what is known of demand. What the EVs need stays that
    # of its beginning: the room of the whole hour is set against it.
    state = (hour, "energy")
    if state not in outlook.memo:
        outlook.memo[state] = _energy(fleet, outlook, hour, window, minute)
    need, give, back, charge, discharge = outlook.memo[state]
    low, high = _offsets(outlook, base, back, slice(hour, hour + window), price_weight)
    level, shave = solve_levels(need, give, back, (base + low, charge), (base + high, discharge))
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


def _energy(
    fleet: Fleet, outlook: Outlook, hour: int, window: int, minute: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
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


class CoordinatedRule:
    """V2G while the hour's base demand is above the level, else G2V.

    As printed, an EV that has begun to charge does not discharge again, eq. (14). Options as in the
    scenario's section `coordinated`; margin_min is the admission's.
    """

    def __init__(self, margin_min: float = 5.0, price_weight: float = 0.0) -> None:
        _check(margin_min, price_weight)
        self.price_weight = price_weight

    def told_to_discharge(self, fleet: Fleet, broadcast: Broadcast, minute: float) -> BoolArray:
        """Whether EVs that can are to discharge in this hour, per feeder."""
        return orders(fleet, broadcast, minute, self.price_weight).give_kw > EPS_KW

    def decide(
        self, fleet: Fleet, broadcast: Broadcast, minute: float
    ) -> NDArray[np.signedinteger]:
        """V2G or G2V for every EV."""
        told = self.told_to_discharge(fleet, broadcast, minute)
        if not told.any():
            return np.array([Mode.G2V], dtype=np.int8)
        return switch(fleet, broadcast.to_evs(told), one_discharge=fleet.as_printed)


class CoordinatedAdmission:
    """Charging up to the level by least laxity, discharging down to it by most.

    An EV without slack charges in any case, and then others discharge so much more. Who is at it
    goes on until the hour ends, so that nobody is switched to and fro; on the hour all are chosen
    anew. Laxity counts over the whole feeder, so no zone has an advantage but by need.
    """

    def __init__(self, margin_min: float = 5.0, price_weight: float = 0.0) -> None:
        _check(margin_min, price_weight)
        self.margin_min, self.price_weight = margin_min, price_weight

    def admit(
        self, fleet: Fleet, request: ModeArray, broadcast: Broadcast, minute: float
    ) -> ModeArray:
        """Grant what brings each feeder's demand to its level."""
        now = orders(fleet, broadcast, minute, self.price_weight)
        anew = minute % 60.0 == 0.0
        # The latest minute at which charging without a break would do. To order by it is to order
        # by laxity, and it does not change while an EV waits.
        latest = latest_start(fleet.announced_min, fleet.charging_minutes_left())
        left_min = slack(latest, fleet.arrival_min, minute)
        must = fleet.can_charge & out_of_slack(left_min, fleet.step_h * 60.0) & ~fleet.forced
        room_kw = room_left(now.room_kw, fleet.forced_kw)
        served = self._charge(fleet, request, room_kw, latest, must, anew)
        granted = served.view(np.int8)
        rows = np.flatnonzero((request < 0) & ~must)
        if len(rows):
            calm = now.give_kw <= EPS_KW
            forced_kw = fleet.rated_kw(np.flatnonzero(must))
            target_kw = np.where(calm, 0.0, now.give_kw + forced_kw + fleet.forced_kw)
            rows = rows[self._can_give(fleet, rows, left_min[rows])]
            granted[self._discharge(fleet, rows, target_kw, latest, anew)] = Mode.V2G
        return granted

    @staticmethod
    def _charge(
        fleet: Fleet,
        request: ModeArray,
        room_kw: FloatArray,
        latest: FloatArray,
        must: BoolArray,
        anew: bool,
    ) -> BoolArray:
        """Who charges: without slack all, of the others those at it, then by least laxity."""
        wants = request > 0
        served = must.copy()
        if not anew:
            served |= wants & (fleet.mode > 0)
            used_kw = fleet.rated_kw(np.flatnonzero(served))
            left_kw = room_kw - used_kw
            look = ~fits(0.0, left_kw) | fits(fleet.smallest_kw, left_kw)
            if not look.any():
                return served
            wants &= look[fleet.feeder]
        wants |= must
        rows = np.flatnonzero(wants)
        feeder = fleet.feeder[rows]
        turn = np.where(must[rows], 0, np.where(served[rows], 1, 2))
        order = np.lexsort((latest[rows], turn, feeder))
        rows, feeder = rows[order], feeder[order]
        if len(rows):
            total_kw = running_total(fleet.p_max_kw[rows], feeder)
            served[rows] = fits(total_kw, room_kw[feeder]) | must[rows]
        return served

    def _can_give(self, fleet: Fleet, rows: IntArray, slack_min: FloatArray) -> BoolArray:
        """Of `rows` those that keep the margin if they discharge for another step."""
        step_min, p = fleet.step_h * 60.0, fleet.p_discharge_kw[rows]
        spent = step_min
        if not fleet.as_printed:
            spent = spent_discharging(step_min, fleet.efficiency[rows], p, fleet.p_max_kw[rows])
        can: BoolArray = (slack_min - self.margin_min >= spent) & (p > EPS_KW)
        return can

    @staticmethod
    def _discharge(
        fleet: Fleet, rows: IntArray, target_kw: FloatArray, latest: FloatArray, anew: bool
    ) -> IntArray:
        """Rows that discharge: those at it, then by most slack, until the target is reached."""
        if not len(rows):
            return rows
        waits = (fleet.mode[rows] >= 0) | anew
        rows = rows[np.lexsort((-latest[rows], waits, fleet.feeder[rows]))]
        p, feeder = fleet.p_discharge_kw[rows], fleet.feeder[rows]
        before_kw = running_total(p, feeder) - p
        short: BoolArray = ~reaches(before_kw, target_kw[feeder])
        return rows[short]


def _check(margin_min: float, price_weight: float) -> None:
    if not 0.0 <= margin_min <= 1440.0:
        raise ValueError(f"margin_min = {margin_min!r}: 0 to 1440 minutes")
    if not 0.0 <= price_weight <= 1.0:
        raise ValueError(f"price_weight = {price_weight!r}: 0 to 1")
