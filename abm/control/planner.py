"""What the strategy `coordinated` plans: each quarter of an hour one demand level to keep.

docs/coordinated.md derives it. No optimiser and no knowledge of who comes: the EVs plugged in with
their target and departure, the expected arrivals, the day-ahead forecast, and the broadcast.

Slots of a quarter of an hour along the first axis of arrays, feeders along the last:
(n_slots, n_feeders), from the slot that is planned in. Demands, powers and levels in kW, energies
in kWh at the grid side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from abm.control.level import SLOT_MIN, Energies, solve_levels
from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.battery import printed_goal
from abm.fleet import Fleet, group_sums
from abm.fleet import expected_arrivals as expected
from abm.fleet.expected_arrivals import WINDOW_H
from abm.signals import Broadcast, Outlook

SLOTS_PER_H = 60 // SLOT_MIN
# Share of the count of those who came in what is still expected. Chosen by us: with 0 the peak is
# 10 % above the optimum where arrivals are believed two hours too late, with 1 it is 6 % above it
# where EVs are believed to be 30 % too many; so neither is much above 5 %.
COUNTED = 0.6


@dataclass(frozen=True)
class Plan:
    """What was worked out at the beginning of a slot, (n_feeders,) each [kW].

    level_kw, shave_kw: demand to fill up to and to shave down to. fill_offset_kw, shave_offset_kw:
    what the hour's price adds to its demand. base_kw: the base demand of the slot as forecast.
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


class Planner:
    """Plans of one model under the strategy `coordinated`, made when first asked for.

    slot: of the horizon, that `plans` are for; plans: by the hour of the message they were made
    with. margin_min: how long before its departure an EV is planned to be through. price_weight:
    0 for the lowest peak, 1 for the lowest cost. ValueError for either out of its range.
    """

    def __init__(self, margin_min: float = 5.0, price_weight: float = 0.0) -> None:
        if not 0.0 <= margin_min <= 1440.0:
            raise ValueError(f"margin_min = {margin_min!r}: 0 to 1440 minutes")
        if not 0.0 <= price_weight <= 1.0:
            raise ValueError(f"price_weight = {price_weight!r}: 0 to 1")
        self.margin_min, self.price_weight = margin_min, price_weight
        self.slot = -1
        self.plans: dict[int, Plan] = {}
        self._outlook: Outlook | None = None
        self._energies: Energies | None = None
        self._orders: dict[int, tuple[Broadcast, Orders]] = {}

    def orders(self, fleet: Fleet, broadcast: Broadcast, minute: float) -> Orders:
        """How far EVs are to charge or discharge in the slot of `minute`.

        The plan is made once a slot for the messages of each hour that are in use; a broadcast of
        another hour than the present one leaves the aggregator with its forecast. ValueError for a
        broadcast without an outlook.
        """
        if broadcast.outlook is None:
            raise ValueError("the strategy coordinated needs a broadcast with an outlook")
        slot = int(minute // SLOT_MIN)
        if slot != self.slot or broadcast.outlook is not self._outlook:
            self.slot, self._outlook, self._energies = slot, broadcast.outlook, None
            self.plans, self._orders = {}, {}
        sent, known = self._orders.get(broadcast.hour, (None, None))
        if known is not None and sent is broadcast:
            return known
        if broadcast.hour not in self.plans:
            self.plans[broadcast.hour] = self._plan(fleet, broadcast, broadcast.outlook, minute)
        plan = self.plans[broadcast.hour]
        this_hour = broadcast.hour == slot // SLOTS_PER_H
        base = broadcast.base_mw * 1e3 if this_hour else plan.base_kw
        found = Orders(
            np.maximum(plan.level_kw - (base + plan.fill_offset_kw), 0.0),
            np.maximum(base + plan.shave_offset_kw - plan.shave_kw, 0.0),
        )
        self._orders[broadcast.hour] = (broadcast, found)
        return found

    def _plan(self, fleet: Fleet, broadcast: Broadcast, outlook: Outlook, minute: float) -> Plan:
        """The level of this slot, from its beginning on."""
        n_slots = min(WINDOW_H * SLOTS_PER_H, outlook.n_hours * SLOTS_PER_H - self.slot)
        hour = (self.slot + np.arange(n_slots)) // SLOTS_PER_H
        first, last = int(hour[0]), int(hour[-1])
        ahead = outlook.base_mw(broadcast.hour, slice(first, last + 1)) * 1e3
        forecast = ahead[0].copy()
        if broadcast.hour == first:
            ahead[0] = broadcast.base_mw * 1e3
        # A message heard within the slot changes what is known of demand. What the EVs need stays
        # that of its beginning: the room of the whole slot is set against it.
        if self._energies is None:
            self._energies = energies_of(
                fleet, outlook, self.slot, n_slots, minute, self.margin_min
            )
        back = self._energies.back
        low, high = _offsets(outlook, ahead, back, slice(first, last + 1), self.price_weight)
        level, shave = solve_levels(
            (ahead + low)[hour - first], (ahead + high)[hour - first], self._energies
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


# --- what EVs need and can give ----------------------------------------------------------------


@dataclass(frozen=True)
class _Demand:
    """EVs to plan for, arrays (n,): feeder, and times in slots from the one that is planned in."""

    feeder: IntArray
    arrival: FloatArray
    departure: FloatArray
    need_kwh: FloatArray
    give_kwh: FloatArray
    charge_kw: FloatArray
    discharge_kw: FloatArray

    def energies(
        self, n_feeders: int, n_slots: int, margin_min: float, back: FloatArray
    ) -> Energies:
        """Of these EVs; back: see there."""
        slot_h = SLOT_MIN / 60.0
        # What an EV needs that stays longer than the window counts in proportion.
        length = np.maximum(self.departure - self.arrival, 1e-9)
        share = np.minimum((n_slots - self.arrival) / length, 1.0)
        need = self.need_kwh * share
        departure = np.minimum(self.departure, float(n_slots))
        charging = need / np.maximum(self.charge_kw, 1e-9) / slot_h
        # Through by the margin before it leaves, where that leaves it time enough.
        through = np.minimum(self.arrival + charging, departure)
        through = np.maximum(departure - margin_min / SLOT_MIN, through)
        latest = np.maximum(through - charging, self.arrival)
        discharge_kw = np.where(self.give_kwh > 0.0, self.discharge_kw, 0.0)
        giving = self.give_kwh / np.maximum(discharge_kw, 1e-9) / slot_h
        given = np.minimum(self.arrival + giving, departure)

        def at(time: FloatArray, value: FloatArray) -> FloatArray:
            """Values by slot edge, those of a time between two split, (n_slots + 2, n_feeders)."""
            edge = time.astype(np.int64)
            part, size = time - edge, (n_slots + 2) * n_feeders
            place = edge * n_feeders + self.feeder
            found = group_sums(value * (1.0 - part), place, size)
            found += group_sums(value * part, place + n_feeders, size)
            return found.reshape(-1, n_feeders)

        def between(begin: FloatArray, end: FloatArray, power: FloatArray) -> FloatArray:
            """Mean power of each slot of what is on from begin to end."""
            return (at(begin, power) - at(end, power)).cumsum(axis=0)[:n_slots]

        left = at(departure, self.give_kwh).cumsum(axis=0)
        return Energies(
            due=between(latest, through, self.charge_kw).cumsum(axis=0) * slot_h,
            have=between(self.arrival, given, discharge_kw).cumsum(axis=0) * slot_h,
            later=left[-1] - left[1 : n_slots + 1],
            charge_kw=between(self.arrival, departure, self.charge_kw),
            discharge_kw=between(self.arrival, departure, self.discharge_kw),
            back=back,
        )


def energies_of(
    fleet: Fleet, outlook: Outlook, slot: int, n_slots: int, minute: float, margin_min: float
) -> Energies:
    """Of the EVs plugged in when the slot began, and of those expected from then on."""
    n, begin = fleet.n_feeders, float(slot * SLOT_MIN)
    rows, soc, has_charged = _plugged_since(fleet, begin, minute)
    goal = fleet.soc_goal[rows]
    if fleet.as_printed:
        goal = np.where(has_charged, goal, printed_goal(soc, fleet.soc_required[rows]))
    # An EV that stays on after the departure it announced may leave any time.
    left_min = np.maximum(fleet.announced_min[rows] - begin, fleet.step_h * 60.0)
    p_max, feeder = fleet.p_max_kw[rows], fleet.feeder[rows]
    p_discharge = np.where(fleet.v2g[rows], fleet.p_discharge_kw[rows], 0.0)
    own = expected.slack(
        left_min / 60.0, soc, goal, fleet.soc_min[rows], fleet.capacity_kwh[rows], p_max,
        p_discharge, fleet.efficiency[rows], fleet.v2g[rows] & ~(fleet.as_printed & has_charged),
        fleet.as_printed,
    )  # fmt: skip
    here = _Demand(
        feeder, np.zeros(len(rows)), left_min / SLOT_MIN, own.need_kwh, own.give_kwh, p_max,
        p_discharge,
    )  # fmt: skip
    evs = np.bincount(feeder, minlength=n).astype(np.float64)
    back = group_sums(own.back, feeder, n)
    arrivals = outlook.arrivals
    coming = slice(*np.searchsorted(arrivals.arrival_min, (begin, begin + n_slots * SLOT_MIN)))
    days = arrivals.day[coming]
    parts: list[tuple[Energies, FloatArray]] = []
    for day in np.unique(days):
        chosen = np.arange(coming.start, coming.stop)[days == day]
        weight = expected_evs(fleet, outlook, int(day), begin)
        those = _Demand(
            np.zeros(len(chosen), dtype=np.int64),
            (arrivals.arrival_min[chosen] - begin) / SLOT_MIN,
            np.maximum(arrivals.departure_min[chosen] - begin, 1.0) / SLOT_MIN,
            arrivals.need_kwh[chosen],
            arrivals.give_kwh[chosen],
            arrivals.charge_kw[chosen],
            arrivals.discharge_kw[chosen],
        )
        parts.append((those.energies(1, n_slots, margin_min, np.ones(1)), weight))
        evs += weight * len(chosen)
        back += weight * float(arrivals.back[chosen].sum())
    # What a kWh shaved costs, mean over those plugged in and those expected.
    found = here.energies(
        n, n_slots, margin_min, np.divide(back, evs, out=np.ones(n), where=evs > 0.0)
    )
    for one, weight in parts:
        found = found.plus(one, weight)
    return found


def expected_evs(fleet: Fleet, outlook: Outlook, day: int, begin_min: float) -> FloatArray:
    """How many EVs each expected stay of a day stands for, (n_feeders,).

    Who has come is known. If how many come in all is believed rightly, the others are still to
    come, however wrong it is when; if when they come is believed rightly, as many are as were
    thought to come later, however wrong their number. Which is wrong cannot be told: a mean.
    """
    arrivals = outlook.arrivals
    of_day = arrivals.arrival_min[arrivals.day == day]
    later = int((of_day >= begin_min).sum())
    as_believed = np.full(fleet.n_feeders, arrivals.weight)
    if later == len(of_day) or later == 0:
        return as_believed
    came = fleet.plugs_in & (fleet.arrival_min < begin_min)
    came_evs = np.bincount(fleet.feeder[came], minlength=fleet.n_feeders)
    as_counted = np.maximum(arrivals.weight * len(of_day) - came_evs, 0.0) / later
    return np.asarray(COUNTED * as_counted + (1.0 - COUNTED) * as_believed)


def _plugged_since(
    fleet: Fleet, begin_min: float, minute: float
) -> tuple[IntArray, FloatArray, BoolArray]:
    """Rows plugged in since the step in which the slot begins or before, their SoC, has_charged.

    The compiled hour asks before the arrivals and departures of its first step are booked, so they
    are looked up here. Who comes later in the slot is expected, whenever the plan is made.
    """
    step_min = fleet.step_h * 60.0
    first, now = round(begin_min / step_min), round(minute / step_min)
    due = ~fleet.arrived & (fleet.departure_min > np.maximum(fleet.arrival_min, minute))
    here = (fleet.plugged | due) & (fleet.arrival_step <= first) & (fleet.departure_step > now)
    rows = np.flatnonzero(here)
    due = due[rows]
    soc = np.where(due, fleet.soc_arrival[rows], fleet.soc[rows])
    return rows, soc, fleet.has_charged[rows] & ~due
