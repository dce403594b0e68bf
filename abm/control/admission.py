"""Admission: which of the EVs' requests an RPZ serves in this minute.

An admission is any object with `admit`. Requests to discharge pass all of these, since the paper's
rule asks for all that the EVs can give. Power is in kW at the grid side; an EV counts with its full
rating, or with the power that its rule asks for, also in the minute in which it needs less.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from abm.control.planner import Planner
from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.admission import (
    EPS_KW,
    LEAST_KW,
    fits,
    latest_start,
    out_of_slack,
    place_in_line,
    quota,
    reaches,
    room_left,
    slack,
    whole_chargers,
    whole_part,
)
from abm.equations.battery import discharging_energy, mean_power
from abm.equations.switching import mode
from abm.fleet import Fleet, Mode, ModeArray, group_sums
from abm.fleet.chargers import spent_giving_min, waiting_min
from abm.signals import Broadcast


class Admission(Protocol):
    """What the RPZs apply to the requests of their EVs."""

    def admit(
        self, fleet: Fleet, request: ModeArray, broadcast: Broadcast, minute: float
    ) -> ModeArray | FloatArray:
        """What is granted to each EV, given the mode that each asks for and can do, (n_evs,).

        Integers are modes: the power that the rule asked for, or the rating. Floats are powers in
        kW at the grid side, positive = charging.
        """


class AllAtOnce:
    """Every request is served."""

    def admit(
        self, fleet: Fleet, request: ModeArray, broadcast: Broadcast, minute: float
    ) -> ModeArray:
        """The requests as they are."""
        return request


class BelowLimit:
    """Charging is served while the broadcast demand is below the limit: each home for itself."""

    def admit(
        self, fleet: Fleet, request: ModeArray, broadcast: Broadcast, minute: float
    ) -> ModeArray:
        """The requests, without charging on feeders at or above their limit."""
        closed = broadcast.at_or_above_limit
        if not closed.any():
            return request
        held_back = np.logical_and(request > 0, broadcast.to_evs(closed))
        return np.where(held_back, np.int8(Mode.IDLE), request)


class FirstCome:
    """Charging within the broadcast headroom, first come first served.

    Who charges keeps charging as long as there is room. The room is split over the RPZs by their
    waiting EVs, in whole chargers by largest remainder; what differing ratings leave over goes to
    the next in line on the feeder.
    """

    def admit(
        self, fleet: Fleet, request: ModeArray, broadcast: Broadcast, minute: float
    ) -> ModeArray:
        """Grant charging up to the headroom, and every discharge."""
        wants = request > 0
        room_kw = room_of(fleet, broadcast)
        served = np.logical_and(wants, fleet.mode > 0)
        charging_kw = fleet.charging_kw
        used_kw = fleet.summed_kw(charging_kw, np.flatnonzero(served))
        waits = np.logical_and(wants, fleet.mode <= 0)
        if not fits(used_kw, room_kw).all():
            served = fill(fleet, served, room_kw)
            used_kw = fleet.summed_kw(charging_kw, np.flatnonzero(served))
        served |= fill(fleet, waits, room_kw - used_kw)
        return np.asarray(mode(served, request < 0))


class LeastLaxity:
    """Charging within the broadcast headroom, the EV with least slack first.

    With `guarantee`, an EV that could no longer reach its goal if it waited, or went on
    discharging, for another step charges in any case, also beyond the headroom; and who is at it
    goes on while there is room. Who waits loses slack and who charges does not, so that EVs chosen
    anew in every step take turns by the minute.
    """

    def __init__(self, guarantee: bool = False) -> None:
        self.guarantee = guarantee

    def room_mw(self, broadcast: Broadcast) -> FloatArray:
        """Room for charging, boosting EVs among it, per feeder."""
        return broadcast.headroom_mw

    def admit(
        self, fleet: Fleet, request: ModeArray, broadcast: Broadcast, minute: float
    ) -> ModeArray | FloatArray:
        """Grant charging up to the headroom by least laxity, and discharge where slack allows."""
        room_kw = np.asarray(room_left(self.room_mw(broadcast) * 1e3, fleet.forced_kw))
        laxity = fleet.laxity_min(minute)
        must = np.zeros(fleet.n, dtype=np.bool_)
        if self.guarantee:
            must = self._must_act(fleet, request, laxity) & ~fleet.forced
            request = np.where(must, fleet.can_charge.view(np.int8), request)
            must &= fleet.can_charge
        rows = np.flatnonzero(request > 0)
        if not len(rows):
            return at_full_power(fleet, request, must)
        goes_on = self.guarantee & (fleet.mode[rows] > 0)
        turn = np.where(must[rows], 0, np.where(goes_on, 1, 2))
        rows = rows[np.lexsort((rows, laxity[rows], turn, fleet.feeder[rows]))]
        served = np.zeros(fleet.n, dtype=np.bool_)
        power_kw = np.where(must[rows], fleet.most_kw[rows], fleet.charging_kw[rows])
        total_kw = running_total(power_kw, fleet.feeder[rows])
        served[rows] = fits(total_kw, room_kw[fleet.feeder[rows]])
        served |= must
        return at_full_power(fleet, np.asarray(mode(served, request < 0)), must)

    @staticmethod
    def _must_act(fleet: Fleet, request: ModeArray, laxity: FloatArray) -> BoolArray:
        """EVs that charging from the next step on would no longer bring to their goal."""
        spent = np.where(request < 0, spent_giving_min(fleet), waiting_min(fleet))
        waits_or_gives = np.logical_or(fleet.can_charge, request < 0)
        return np.logical_and(waits_or_gives, out_of_slack(laxity, spent))


class CoordinatedAdmission:
    """Charging up to the level by least laxity, discharging down to it by most energy to give.

    An EV without slack charges in any case, and then others discharge so much more. Who is at it
    goes on while there is room below the level to shave to, and gives its place up only to one
    with much less slack, so that nobody is switched to and fro. What counts is what an EV will
    draw or supply in this step, less than its rating where it is through, comes or leaves within
    it. Laxity counts over the whole feeder, so no zone has an advantage but by need.

    With `modulate` the answer is one of powers: the first in line whose rating does not fit charges
    with what room there is, the last one that discharges supplies what is still missing.
    """

    def __init__(
        self, margin_min: float = 5.0, price_weight: float = 0.0, modulate: bool = False
    ) -> None:
        self.margin_min, self.modulate = margin_min, modulate
        self.planner = Planner(margin_min, price_weight)

    def admit(
        self, fleet: Fleet, request: ModeArray, broadcast: Broadcast, minute: float
    ) -> ModeArray | FloatArray:
        """Grant what brings each feeder's demand to its level."""
        now = self.planner.orders(fleet, broadcast, minute)
        # The latest minute at which charging without a break would do. To order by it is to order
        # by laxity, and it does not change while an EV waits.
        latest = latest_start(fleet.announced_min, fleet.charging_minutes_left())
        left_min = slack(latest, fleet.arrival_min, minute)
        must = fleet.can_charge & out_of_slack(left_min, waiting_min(fleet)) & ~fleet.forced
        draws_kw = fleet.draws_kw(must)
        room_kw = room_left(now.room_kw + fleet.forced_give_kw, fleet.forced_kw)
        keep_kw = room_left(now.keep_kw + fleet.forced_give_kw, fleet.forced_kw)
        charge_kw = self._charge(fleet, request, room_kw, keep_kw, latest, must, draws_kw)
        granted = (charge_kw > 0.0).astype(np.int8)
        give_kw = np.zeros(fleet.n)
        rows = np.flatnonzero((request < 0) & ~must)
        if len(rows):
            without = np.flatnonzero(must)
            must_kw = group_sums(draws_kw[without], fleet.feeder[without], fleet.n_feeders)
            target_kw = now.over_kw + must_kw + fleet.forced_kw - fleet.forced_give_kw
            rows = rows[self._can_give(fleet, rows, left_min[rows])]
            rows, power_kw = self._discharge(fleet, rows, target_kw)
            granted[rows], give_kw[rows] = Mode.V2G, power_kw
        if self.modulate:
            return charge_kw - give_kw
        return at_full_power(fleet, granted, must)

    def _charge(
        self,
        fleet: Fleet,
        request: ModeArray,
        room_kw: FloatArray,
        keep_kw: FloatArray,
        latest: FloatArray,
        must: BoolArray,
        draws_kw: FloatArray,
    ) -> FloatArray:
        """Powers to charge with, (n,): without slack all, then by place in line as there is room.

        room_kw: for those who begin; keep_kw, no less: for those at it.
        """
        charge_kw = np.where(must, fleet.most_kw, 0.0)
        rows = np.flatnonzero((request > 0) | must)
        if len(rows):
            place = place_in_line(latest[rows], fleet.mode[rows] > 0)
            rows = rows[np.lexsort((place, ~must[rows], fleet.feeder[rows]))]
            feeder, draws = fleet.feeder[rows], draws_kw[rows]
            limit_kw = np.where(fleet.mode[rows] > 0, keep_kw[feeder], room_kw[feeder])
            total_kw = running_total(draws, feeder)
            served = fits(total_kw, limit_kw)
            charge_kw[rows[served]] = np.maximum(fleet.charging_kw, charge_kw)[rows[served]]
            if self.modulate:
                left_kw = limit_kw - (total_kw - draws)
                least_kw = np.maximum(fleet.min_charge_kw[rows], LEAST_KW)
                part = ~served & ~must[rows] & (left_kw > least_kw)
                charge_kw[rows[part]] = left_kw[part]
        return charge_kw

    def _can_give(self, fleet: Fleet, rows: IntArray, slack_min: FloatArray) -> BoolArray:
        """Of `rows` those that keep the margin if they discharge for another step."""
        spent = spent_giving_min(fleet, rows)
        can: BoolArray = (slack_min - self.margin_min >= spent) & (
            fleet.p_discharge_kw[rows] > EPS_KW
        )
        return can

    def _discharge(
        self, fleet: Fleet, rows: IntArray, target_kw: FloatArray
    ) -> tuple[IntArray, FloatArray]:
        """Who discharges: those at it, then by most to give, until the target is reached.

        -> rows, and the powers that they are set to.
        """
        if not len(rows):
            return rows, np.zeros(0)
        give_kwh = discharging_energy(fleet.surplus_kwh[rows], fleet.efficiency[rows])
        give_h = give_kwh / fleet.p_discharge_kw[rows]
        order = np.lexsort((-give_h, fleet.mode[rows] >= 0, fleet.feeder[rows]))
        rows, give_kwh = rows[order], give_kwh[order]
        most_kwh = fleet.p_discharge_kw[rows] * fleet.window_h[rows]
        supplies_kw = mean_power(np.minimum(give_kwh, most_kwh), fleet.step_h)
        feeder = fleet.feeder[rows]
        before_kw = running_total(supplies_kw, feeder) - supplies_kw
        short = ~reaches(before_kw, target_kw[feeder])
        give_kw = fleet.discharging_kw[rows]
        if self.modulate:
            give_kw = np.minimum(give_kw, target_kw[feeder] - before_kw)
        return rows[short], give_kw[short]


def room_of(fleet: Fleet, broadcast: Broadcast) -> FloatArray:
    """Headroom for charging that boosting EVs leave, (n_feeders,) [kW], at least 0."""
    return np.asarray(room_left(broadcast.headroom_mw * 1e3, fleet.forced_kw))


def at_full_power(fleet: Fleet, granted: ModeArray, full: BoolArray) -> ModeArray | FloatArray:
    """Modes as they are; where the rule asks for powers these, and the rating for those in `full`.

    An EV out of slack cannot do with less than its rating. Answers are of one kind in every minute.
    """
    if fleet.asked_kw is None:
        return granted
    power = np.where(granted > 0, fleet.charging_kw, -fleet.discharging_kw)
    return np.where(full, fleet.p_max_kw, np.where(granted != 0, power, 0.0))


def fill(fleet: Fleet, candidates: BoolArray, room_kw: FloatArray) -> BoolArray:
    """Which candidates fit into room_kw (n_feeders,), first come first served, fair over zones.

    Each feeder's room, in whole chargers of its largest candidate rating, is split over its zones
    by largest remainder of their candidates; each zone serves in order of arrival up to its share;
    what is left of the room goes to the next by arrival on the whole feeder.
    """
    served = np.zeros(fleet.n, dtype=np.bool_)
    # Feeders without room for anyone are most of them, most of the time.
    rated = fleet.asked_kw is None and not fleet.taper
    smallest_kw = fleet.smallest_kw if rated else 0.0
    open_feeders = fits(smallest_kw, room_kw)
    if not open_feeders.any():
        return served
    if not open_feeders.all():
        candidates = np.logical_and(candidates, open_feeders[fleet.feeder])
    rows = np.flatnonzero(candidates)
    if not len(rows):
        return served
    n_cells = fleet.n_feeders * fleet.n_zones
    if fleet.out_of_order:
        rows = rows[np.lexsort((fleet.arrival_min[rows], fleet.cell[rows]))]
    charging_kw = fleet.charging_kw
    rating, cell, feeder = charging_kw[rows], fleet.cell[rows], fleet.feeder[rows]
    unit_kw = np.zeros(fleet.n_feeders)
    np.maximum.at(unit_kw, feeder, rating)
    unit_kw[unit_kw == 0.0] = 1.0  # a feeder without candidates has nothing to divide
    chargers = whole_chargers(room_kw, unit_kw).astype(np.int64)
    waiting = np.bincount(cell, minlength=n_cells).reshape(fleet.n_feeders, fleet.n_zones)
    share = split_by_largest_remainder(chargers, waiting)
    share_kw = (share * unit_kw[:, None]).reshape(n_cells)
    within = fits(running_total(rating, cell), share_kw[cell])
    served[rows[within]] = True

    rest = rows[~within]
    if len(rest):
        left_kw = room_kw - fleet.summed_kw(charging_kw, rows[within])
        if fits(charging_kw[rest], left_kw[fleet.feeder[rest]]).any():
            rest = rest[np.lexsort((rest, fleet.arrival_min[rest], fleet.feeder[rest]))]
            total_kw = running_total(charging_kw[rest], fleet.feeder[rest])
            served[rest[fits(total_kw, left_kw[fleet.feeder[rest]])]] = True
    return served


def split_by_largest_remainder(chargers: IntArray, waiting: IntArray) -> IntArray:
    """Split chargers (n_feeders,) over zones in proportion to waiting (n_feeders, n_zones).

    Whole numbers that add up to min(chargers, all waiting); ties go to the lower zone. No zone gets
    more than it has waiting.
    """
    total = waiting.sum(axis=1)
    chargers = np.minimum(chargers, total)
    each = quota(waiting, chargers[:, None], total[:, None])
    share = whole_part(each).astype(np.int64)
    missing = chargers - share.sum(axis=1)
    by_remainder = np.argsort(-(each - share), axis=1, kind="stable")
    rank = np.argsort(by_remainder, axis=1, kind="stable")
    extra: IntArray = (rank < missing[:, None]).astype(np.int64)
    return np.asarray(share + extra, dtype=np.int64)


def running_total(values: FloatArray, group: IntArray) -> FloatArray:
    """Running total of values within each group; rows are sorted by group."""
    total = np.cumsum(values)
    first = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1])))
    before = np.concatenate(([0.0], total[first[1:] - 1]))
    return np.asarray(total - np.repeat(before, np.diff(np.concatenate((first, [len(group)])))))
