"""Powers that somebody outside sets for the zones or for single EVs, and that are held.

A controller that is trained, or any aggregator beyond the rules of this package, says every
`interval_min` what net power each zone is to have. `SetPoints` splits it among the EVs that are
plugged in, and each holds its part until the next time: nobody is asked in between.
"""

from __future__ import annotations

import numpy as np

from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.admission import (
    LEAST_KW,
    latest_start,
    minutes_until_set,
    out_of_slack,
    slack,
    spent_discharging,
)
from abm.equations.battery import charged_in, discharged_in, mean_power
from abm.fleet import Fleet, group_sums
from abm.scenario.fields import FLOW_INTERVALS_MIN
from abm.signals import Broadcast


class SetPoints:
    """A rule that gives each EV the power that was set for it or for its zone.

    A zone's net power is split when it is set. EVs that charge whatever is said come first: those
    that boost, and with `guarantee` those whose slack is less than the time until powers are set
    again. What is left of the zone's power goes to the others by least slack, each with the mean
    power that it can take until then, the last one with the rest. Where it is below zero others
    discharge so much, those with most slack first: who takes part in V2G, has energy above its
    threshold (as printed: has not charged yet), and with `guarantee` keeps slack enough to put it
    back. A power set for an EV is held to the same bounds. An EV that comes in between waits for
    the next time, but for those that charge whatever is said.

    interval_min: time between two settings, min. power_kw: what each EV holds, (n_evs,) [kW] at the
    grid side, positive = charging; NaN for one that was not plugged in when powers were set. line:
    rows in the order they were last served in, zone by zone.
    """

    def __init__(self, interval_min: int = 15, guarantee: bool = True) -> None:
        if interval_min not in FLOW_INTERVALS_MIN:
            raise ValueError(f"interval_min = {interval_min!r}: one of {FLOW_INTERVALS_MIN}")
        self.interval_min, self.guarantee = interval_min, guarantee
        self.power_kw: FloatArray = np.zeros(0)
        self.line: IntArray = np.zeros(0, dtype=np.int64)
        self.asked_kw: FloatArray = np.zeros(0)
        self.by_zone = True
        self.from_min = -1.0

    def ready(self, fleet: Fleet) -> None:
        """Make room for the powers of a fleet that it has not seen before."""
        if len(self.line) != fleet.n:
            self.power_kw = np.full(fleet.n, np.nan)
            self.line = np.arange(fleet.n)

    def set(self, fleet: Fleet, asked_kw: FloatArray, minute: float, by_zone: bool = True) -> None:
        """Say what is to be from `minute` on, the beginning of the next step.

        asked_kw: net power of each zone, (n_feeders x n_zones,), or of each EV, (n_evs,) in the
        order of rows [kW]; positive = charging. minute: from the start of the horizon.
        """
        self.ready(fleet)
        self.asked_kw = np.array(asked_kw, dtype=np.float64).ravel()
        self.by_zone, self.from_min = by_zone, minute
        self.power_kw.fill(np.nan)

    def decide(self, fleet: Fleet, broadcast: Broadcast, minute: float) -> FloatArray:
        """Power of each EV in this step, (n_evs,) [kW]."""
        self.ready(fleet)
        waits = fleet.plugged & np.isnan(self.power_kw)
        if waits.any():
            span_min = minutes_until_set(minute, self.interval_min)
            latest = latest_start(fleet.announced_min, fleet.charging_minutes_left())
            left_min = slack(latest, fleet.arrival_min, minute)
            must = fleet.can_charge & fleet.boost
            if self.guarantee:
                must |= fleet.can_charge & out_of_slack(left_min, span_min)
            if minute == self.from_min:
                self._split(fleet, must, latest, left_min, span_min)
            else:
                self.power_kw[waits] = np.where(must, fleet.most_kw, 0.0)[waits]
        return np.nan_to_num(self.power_kw)

    def _split(
        self,
        fleet: Fleet,
        must: BoolArray,
        latest: FloatArray,
        left_min: FloatArray,
        span_min: float,
    ) -> None:
        """Set `power_kw` of all that are plugged in."""
        span_h, most_kw = span_min / 60.0, fleet.most_kw
        gives = fleet.can_discharge & ~must & ~fleet.boost
        if fleet.as_printed:
            # T = T_dg + T_cg of eq. (14).
            gives &= ~fleet.has_charged
        if self.guarantee:
            spent = span_min
            if not fleet.as_printed:
                ratings = fleet.p_discharge_kw, fleet.p_max_kw
                spent = spent_discharging(span_min, fleet.efficiency, *ratings)
            gives &= ~out_of_slack(left_min, spent)
        takes = fleet.can_charge & ~must
        least_kw = np.minimum(fleet.min_charge_kw, fleet.p_max_kw)
        if not self.by_zone:
            asked = self.asked_kw
            charge = np.where(takes & (asked > 0.0), np.minimum(asked, most_kw), 0.0)
            charge = np.where(charge < least_kw, 0.0, charge)
            give = np.where(gives & (asked < 0.0), np.maximum(asked, -fleet.p_discharge_kw), 0.0)
            power = np.where(must, most_kw, charge + give)
            self.power_kw[:] = np.where(fleet.plugged, power, np.nan)
            return
        drawn = charged_in(fleet.need_kwh, most_kw, fleet.efficiency, span_h)
        can_kw = np.asarray(mean_power(drawn, span_h))
        n_cells = len(self.asked_kw)
        without = np.flatnonzero(must)
        net_kw = self.asked_kw - group_sums(can_kw[without], fleet.cell[without], n_cells)
        power = np.where(must, most_kw, 0.0)
        where = np.where(fleet.plugged, latest, np.inf)
        rows = np.flatnonzero(takes & (net_kw > 0.0)[fleet.cell])
        rows = rows[np.lexsort((rows, where[rows], fleet.cell[rows]))]
        before = _before(can_kw[rows], fleet.cell[rows])
        left_kw = net_kw[fleet.cell[rows]] - before
        least_kw = np.maximum(least_kw, LEAST_KW)[rows]
        part = np.minimum(can_kw[rows], left_kw)
        power[rows] = np.where(left_kw < least_kw, 0.0, np.maximum(part, least_kw))
        supplied = discharged_in(fleet.surplus_kwh, fleet.p_discharge_kw, fleet.efficiency, span_h)
        can_kw = np.asarray(mean_power(supplied, span_h))
        rows = np.flatnonzero(gives & (net_kw < 0.0)[fleet.cell])
        rows = rows[np.lexsort((-rows, -where[rows], fleet.cell[rows]))]
        left_kw = -net_kw[fleet.cell[rows]] - _before(can_kw[rows], fleet.cell[rows])
        part = np.minimum(can_kw[rows], left_kw)
        power[rows] = np.where(part < LEAST_KW, 0.0, -part)
        self.power_kw[:] = np.where(fleet.plugged, power, np.nan)


def _before(values: FloatArray, group: IntArray) -> FloatArray:
    """Sum of the values before each in its group; rows are sorted by group.

    Each group is added up from zero, so that no sum depends on the groups before it.
    """
    if not len(values):
        return values
    _, first, count = np.unique(group, return_index=True, return_counts=True)
    place = np.arange(len(values)) - np.repeat(first, count)
    number = np.repeat(np.arange(len(first)), count)
    table = np.zeros((len(first), int(count.max()) + 1))
    table[number, place + 1] = values
    return np.asarray(np.cumsum(table, axis=1)[number, place])
