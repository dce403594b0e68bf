"""The strategy `coordinated`: filled and shaved to the level of its plan, by least laxity.

docs/coordinated.md derives it; `abm.control.planner` works out the level.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from abm.control.admission import running_total
from abm.control.planner import Planner
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
from abm.fleet import Fleet, Mode, ModeArray
from abm.signals import Broadcast


class CoordinatedRule:
    """V2G while the hour's base demand is above the level, else G2V.

    As printed, an EV that has begun to charge does not discharge again, eq. (14). Options as in the
    scenario's section `coordinated`; margin_min is the admission's.
    """

    def __init__(self, margin_min: float = 5.0, price_weight: float = 0.0) -> None:
        check_margin(margin_min)
        self.planner = Planner(price_weight)

    def told_to_discharge(self, fleet: Fleet, broadcast: Broadcast, minute: float) -> BoolArray:
        """Whether EVs that can are to discharge in this hour, per feeder."""
        return self.planner.orders(fleet, broadcast, minute).give_kw > EPS_KW

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
        check_margin(margin_min)
        self.margin_min = margin_min
        self.planner = Planner(price_weight)

    def admit(
        self, fleet: Fleet, request: ModeArray, broadcast: Broadcast, minute: float
    ) -> ModeArray:
        """Grant what brings each feeder's demand to its level."""
        now = self.planner.orders(fleet, broadcast, minute)
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


def check_margin(margin_min: float) -> None:
    """ValueError for a margin that no day has."""
    if not 0.0 <= margin_min <= 1440.0:
        raise ValueError(f"margin_min = {margin_min!r}: 0 to 1440 minutes")
