"""What the strategy `coordinated` plans: each quarter of an hour one demand level to keep.

docs/coordinated.md derives it. No optimiser and no knowledge of who comes: the EVs plugged in with
their target and departure, the expected arrivals, the day-ahead forecast, and the broadcast.
Demands, powers and levels in kW, energies in kWh at the grid side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from abm.control import level
from abm.control.belief import Remaining
from abm.control.level import SLOT_H, SLOT_MIN
from abm.control.needs import Coming, Energies, plugged_in, plugged_since
from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.admission import EPS_KW
from abm.fleet import Fleet, group_sums
from abm.signals import Broadcast, Outlook

SLOTS_PER_H = 60 // SLOT_MIN


@dataclass(frozen=True)
class Plan:
    """What was worked out at the beginning of a slot, (n_feeders,) each [kW].

    level_kw, shave_kw: demand to fill up to and to shave down to. fill_offset_kw, shave_offset_kw:
    what the hour's price adds to its demand. base_kw: the base demand of the slot as forecast.
    due_kw: what is due within the slot and may be discharged for by others.
    """

    level_kw: FloatArray
    shave_kw: FloatArray
    fill_offset_kw: FloatArray
    shave_offset_kw: FloatArray
    base_kw: FloatArray
    due_kw: FloatArray


@dataclass(frozen=True)
class Orders:
    """What is asked of the EVs of each feeder, (n_feeders,) each.

    room_kw, keep_kw: charging power for those who begin, and, no less, with those who are at it,
    >= 0. over_kw: demand above the level to shave to, negative where it is below. told: whether EVs
    are to discharge if they can.
    """

    room_kw: FloatArray
    keep_kw: FloatArray
    over_kw: FloatArray
    told: BoolArray


class Reached:
    """The highest demand of the day so far over a quarter of an hour, by feeder, as metered.

    kw: (n_feeders,). Slots in which no EV was plugged in at the beginning do not count, and none
    for more than was planned: what drives demand beyond the plan, zones that heard nothing or a
    base demand that moves within the hour, comes on top of the next plan again.
    """

    def __init__(self, n_feeders: int) -> None:
        self.kw: FloatArray = np.zeros(n_feeders)
        self._kwh: FloatArray = np.zeros(n_feeders)
        self._slot: IntArray = np.full(n_feeders, -2)

    def note(
        self,
        fleet: Fleet,
        slot: int,
        base_kw: FloatArray | float,
        minute: float,
        planned_kw: FloatArray | float = np.inf,
    ) -> None:
        """A slot begins; base_kw: base demand of the last one, planned_kw: level of its plan."""
        n, feeder = fleet.n_feeders, fleet.feeder
        kwh = group_sums(fleet.charged_kwh - fleet.discharged_kwh, feeder, n)
        rows, _, _ = plugged_since(fleet, float(slot * SLOT_MIN), minute)
        here = np.bincount(feeder[rows], minlength=n) > 0
        demand = base_kw + (kwh - self._kwh) / SLOT_H
        known = here & (self._slot == slot - 1)
        reached = np.minimum(demand, planned_kw)
        self.kw = np.where(known, np.maximum(self.kw, reached), self.kw)
        self._kwh, self._slot = np.where(here, kwh, self._kwh), np.where(here, slot, self._slot)


class Planner:
    """Plans of one model under the strategy `coordinated`, made when first asked for.

    slot: of the horizon, that `plans` are for; plans: by the hour of the message they were made
    with. margin_min: how long before its departure an EV is planned to be through. price_weight:
    0 for the lowest peak, 1 for the lowest cost. ValueError for either out of its range.
    levels: `abm.control.level.levels`, or the same compiled, which the compiled hour puts here.
    """

    def __init__(self, margin_min: float = 5.0, price_weight: float = 0.0) -> None:
        if not 0.0 <= margin_min <= 1440.0:
            raise ValueError(f"margin_min = {margin_min!r}: 0 to 1440 minutes")
        if not 0.0 <= price_weight <= 1.0:
            raise ValueError(f"price_weight = {price_weight!r}: 0 to 1")
        self.margin_min, self.price_weight = margin_min, price_weight
        self.levels: Callable[..., None] | None = None
        self.slot = -1
        self.plans: dict[int, Plan] = {}
        self._outlook: Outlook | None = None
        self._energies: Energies | None = None
        self._orders: dict[int, tuple[Broadcast, Orders]] = {}
        self._day = -1
        self._guesses: FloatArray = np.zeros((2, 0))

    def orders(self, fleet: Fleet, broadcast: Broadcast, minute: float) -> Orders:
        """How far EVs are to charge or discharge in the slot of `minute`.

        The plan is made once a slot for the messages of each hour that are in use; a broadcast of
        another hour than the present one leaves the aggregator with its forecast. ValueError for a
        broadcast without an outlook.
        """
        outlook = broadcast.outlook
        if outlook is None:
            raise ValueError("the strategy coordinated needs a broadcast with an outlook")
        slot = int(minute // SLOT_MIN)
        if slot != self.slot or outlook is not self._outlook:
            self._begin(fleet, outlook, slot, minute)
        sent, known = self._orders.get(broadcast.hour, (None, None))
        if known is not None and sent is broadcast:
            return known
        if broadcast.hour not in self.plans:
            self.plans[broadcast.hour] = self._plan(fleet, broadcast, outlook, minute)
        plan = self.plans[broadcast.hour]
        this_hour = broadcast.hour == slot // SLOTS_PER_H
        base = broadcast.base_mw * 1e3 if this_hour else plan.base_kw
        over = base + plan.shave_offset_kw - plan.shave_kw
        filled = base + plan.fill_offset_kw
        found = Orders(
            np.maximum(plan.level_kw - filled, 0.0),
            np.maximum(plan.shave_kw - filled, 0.0),
            over,
            over + plan.due_kw > EPS_KW,
        )
        self._orders[broadcast.hour] = (broadcast, found)
        return found

    def _begin(self, fleet: Fleet, outlook: Outlook, slot: int, minute: float) -> None:
        """A slot begins, or another model is asked for."""
        day_slots = outlook.day_hours * SLOTS_PER_H
        day = slot // day_slots
        if outlook is not self._outlook or day != self._day:
            self._reached = Reached(fleet.n_feeders)
            self._coming: tuple[Coming, Remaining] | None = None
            self._guesses = np.full((2, fleet.n_feeders), np.inf)
        same_model = outlook is self._outlook and self.plans
        planned_kw = self.plans[max(self.plans)].shave_kw if same_model else np.inf
        self.slot, self._day, self._outlook = slot, day, outlook
        self._energies, self.plans, self._orders = None, {}, {}
        base_kw = outlook.metered_mw((slot - 1) // SLOTS_PER_H) * 1e3 if slot else 0.0
        self._reached.note(fleet, slot, base_kw, minute, planned_kw)

    def _plan(self, fleet: Fleet, broadcast: Broadcast, outlook: Outlook, minute: float) -> Plan:
        """The level of this slot, from its beginning on; every stay ends with its day."""
        day_slots = outlook.day_hours * SLOTS_PER_H
        n_slots = day_slots - self.slot % day_slots
        hour = (self.slot + np.arange(n_slots)) // SLOTS_PER_H
        first, last = int(hour[0]), int(hour[-1])
        ahead = outlook.base_mw(broadcast.hour, slice(first, last + 1)) * 1e3
        forecast = ahead[0].copy()
        if broadcast.hour == first:
            ahead[0] = broadcast.base_mw * 1e3
        # A message heard within the slot changes what is known of demand. What the EVs need stays
        # that of its beginning: the room of the whole slot is set against it.
        if self._energies is None:
            self._energies = self._needs(fleet, outlook, n_slots, minute)
        needs = self._energies
        weight, back = self.price_weight, needs.mean("back")
        low, high = _offsets(outlook, ahead, back, slice(first, last + 1), weight)
        slots = np.empty((fleet.n_feeders, level.N_ROWS, n_slots))
        slots[:, level.LOW] = (ahead + low)[hour - first].T
        slots[:, level.HIGH] = (ahead + high)[hour - first].T
        slots[:, level.DUE], slots[:, level.HAVE] = needs.due, needs.have
        slots[:, level.LATER] = needs.later
        slots[:, level.CHARGE], slots[:, level.DISCHARGE] = needs.charge_kw, needs.discharge_kw
        to_come = np.minimum.accumulate(slots[:, level.LOW, ::-1], axis=1)[:, ::-1]
        slots[:, level.EVENING] = to_come < slots[:, level.LOW] - EPS_KW
        halves = needs.mean("charger_kw") / 2.0, needs.mean("discharger_kw") / 2.0
        numbers = np.stack((back, *halves), axis=1)
        # With a weight on prices the levels are not demand alone.
        reached = self._reached.kw if weight == 0.0 else np.full(fleet.n_feeders, -np.inf)
        found = np.empty((2, fleet.n_feeders))
        given = slots, numbers, reached, self._guesses
        if self.levels is None:
            # Python is quicker with lists.
            lists = [values.tolist() for values in given]
            level.levels(lists[0], lists[1], lists[2], lists[3], found)
        else:
            self.levels(*given, found)
        self._guesses = found
        due_kw = slots[:, level.EVENING, 0] * needs.due[:, 0] / SLOT_H
        return Plan(found[0], found[1], low[0], high[0], forecast, due_kw)

    def _needs(self, fleet: Fleet, outlook: Outlook, n_slots: int, minute: float) -> Energies:
        """Of the EVs plugged in when the slot began, and of those expected from then on."""
        begin_min, arrivals = float(self.slot * SLOT_MIN), outlook.arrivals
        # An EV is switched for whole steps only.
        margin_min = max(self.margin_min, fleet.step_h * 60.0)
        needs = plugged_in(fleet, begin_min, minute, n_slots, margin_min)
        if not len(arrivals.day):
            return needs
        day, day_slots = self._day, outlook.day_hours * SLOTS_PER_H
        slot = day_slots - n_slots
        if self._coming is None:
            coming = Coming(arrivals, day, day_slots, margin_min)
            self._coming = coming, Remaining(arrivals, day, day_slots, fleet.n_feeders)
        coming, remaining = self._coming
        return needs.plus(coming.since(slot), *remaining.weight(fleet, begin_min))


def _offsets(
    outlook: Outlook, base: FloatArray, back: FloatArray, hours: slice, weight: float
) -> tuple[FloatArray, FloatArray]:
    """What prices add to the demand of each hour when filling and when shaving [kW].

    Weight w puts w / (1.1 - w) times the range of demand on the range of price, ten times at 1. A
    kWh sold earns the sale price and has to be bought back `back` times: shaving looks at that.
    """
    if weight <= 0.0:
        none = np.zeros_like(base)
        return none, none
    edges = np.arange(hours.start, hours.stop + 1) * 60.0
    price, sale = outlook.purchase_price(edges), outlook.sale_price(edges)
    spread = np.ptp(price, axis=0)
    factor = weight / (1.1 - weight)
    kw = factor * (base.max(axis=0) - base.min(axis=0))
    kw_per_price = np.divide(kw, spread, out=np.zeros_like(kw), where=spread > 0.0)
    mean = price.mean(axis=0)
    fill = (price - mean) * kw_per_price
    worth = sale / np.maximum(back, 1.0)
    return fill, np.minimum((worth - mean) * kw_per_price, fill)
