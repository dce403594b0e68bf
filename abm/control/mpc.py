"""The strategy `mpc`: a rolling-horizon linear programme with what `coordinated` knows.

docs/mpc.md derives it. Every `interval_min` the aggregator of each feeder plans up to a day ahead
for the EVs plugged in and those it expects: the lowest peak, then the lowest cost, by HiGHS. What
it plans for the present is what EVs do until it plans again. Powers in kW, energies in kWh at the
grid side of the chargers, times in minutes from the start of the horizon.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from abm.control.belief import Remaining
from abm.control.groups import PlannedStays, alike, as_batteries, spread, window_edges
from abm.control.level import SLOT_MIN
from abm.control.programme import PEAK_ROOM, Batteries, Programme
from abm.equations import BoolArray, FloatArray, IntArray
from abm.equations.admission import EPS_KW, latest_start, out_of_slack, slack
from abm.equations.battery import charging_energy, discharging_energy, mean_power, put_back
from abm.errors import OptimiserError
from abm.fleet import Fleet, group_sums
from abm.fleet import expected_arrivals as expected
from abm.fleet.chargers import spent_giving_min, waiting_min
from abm.fleet.expected_arrivals import WINDOW_H
from abm.scenario.fields import FLOW_INTERVALS_MIN
from abm.signals import Broadcast, Outlook

# Groups that EVs plugged in are put in, and some more; up to so many EVs each is one of its own.
GROUPS = 60
# A power of an EV below it is what HiGHS leaves within its tolerances, kW.
NOTHING_KW = 1e-3
# Of a base demand in MW: messages that say the same but for rounding lead to one plan.
DIGITS = 9


@dataclass(frozen=True, eq=False)
class FeederPlan:
    """What was planned for a feeder.

    rows: of the fleet, EVs that were plugged in, and the group of each. edges_min: of the windows,
    (n_windows + 1,). net_kw: what groups draw less what they supply, (n_groups, n_windows), those
    of EVs expected last. peak_kw: highest demand of any window with an EV in it.
    """

    rows: IntArray
    group: IntArray
    edges_min: FloatArray
    net_kw: FloatArray
    peak_kw: float

    def called_kw(self, begin_min: float, end_min: float) -> FloatArray:
        """Mean power of each group over a step, (n_groups,)."""
        since = np.maximum(self.edges_min[:-1], begin_min)
        until = np.minimum(self.edges_min[1:], end_min)
        share = np.maximum(until - since, 0.0) / (end_min - begin_min)
        return np.asarray((self.net_kw * share).sum(axis=1))


class MPCRule:
    """Power of each EV by a plan that is made anew every interval_min.

    An EV without slack for another step of waiting charges at its rating whatever is planned; one
    that came since the plan was made waits for the next. slot: of interval_min, that `plans` are
    for; plans: of each feeder, by what the message says that they were made with.
    """

    def __init__(self, interval_min: int = 15) -> None:
        if interval_min not in FLOW_INTERVALS_MIN:
            raise ValueError(f"interval_min = {interval_min!r}: one of {FLOW_INTERVALS_MIN}")
        self.interval_min = interval_min
        self.slot = -1
        self.plans: list[dict[tuple[int, float], FeederPlan]] = []
        self._horizons: list[FeederHorizon | None] = []
        self._remaining: dict[int, Remaining] = {}
        self._outlook: Outlook | None = None

    def decide(self, fleet: Fleet, broadcast: Broadcast, minute: float) -> FloatArray:
        """Power that each EV asks for, (n_evs,) [kW].

        ValueError for a broadcast without an outlook, OptimiserError where HiGHS finds no optimum.
        """
        outlook = broadcast.outlook
        if outlook is None:
            raise ValueError("the strategy mpc needs a broadcast with an outlook")
        slot = int(minute // self.interval_min)
        if outlook is not self._outlook:
            self.slot, self._outlook, self._remaining = -1, outlook, {}
        if slot != self.slot:
            self.slot = slot
            # What is planned for is how things were when the slot began, whoever asks when: so a
            # feeder's plans do not depend on when others have EVs plugged in, or messages come.
            feeders, step_min = range(fleet.n_feeders), 60.0 * fleet.step_h
            begin_min = math.ceil(slot * self.interval_min / step_min) * step_min
            end_min = min(begin_min + 60.0 * WINDOW_H, 60.0 * outlook.n_hours)
            coming, day = still_to_come(outlook, begin_min, end_min, self.interval_min)
            evs = np.zeros((len(day), fleet.n_feeders))
            for one in np.unique(day):
                evs[day == one] = self._evs(fleet, outlook, int(one), begin_min)
            self._horizons = [
                horizon_of(fleet, k, outlook, (begin_min, end_min), replace(coming, evs=evs[:, k]))
                for k in feeders
            ]
            self.plans = [{} for _ in feeders]
        base_mw = np.round(broadcast.base_mw, DIGITS)
        found = []
        for k, horizon in enumerate(self._horizons):
            if horizon is None:
                continue
            told = broadcast.hour, float(base_mw[k])
            if told not in self.plans[k]:
                self.plans[k][told] = horizon.plan(outlook, *told)
            found.append(self.plans[k][told])
        return powers(fleet, found, minute)

    def _evs(self, fleet: Fleet, outlook: Outlook, day: int, begin_min: float) -> FloatArray:
        """How many EVs each stay expected on a day stands for, (n_feeders,): the mean."""
        arrivals = outlook.arrivals
        if begin_min < 60.0 * outlook.day_hours * day:
            return np.full(fleet.n_feeders, arrivals.weight)
        if day not in self._remaining:
            slots = outlook.day_hours * 60 // SLOT_MIN
            self._remaining[day] = Remaining(arrivals, day, slots, fleet.n_feeders)
        mean, _ = self._remaining[day].weight(fleet, begin_min)
        return mean


@dataclass(frozen=True, eq=False)
class FeederHorizon:
    """What there is to plan for on a feeder, from one moment on.

    rows: of the fleet, EVs plugged in, and the group of each. edges_min: of the windows. window: of
    each slot of the groups, batteries among them those of EVs expected; usable: which windows each
    group, (n_groups, n_windows).
    """

    feeder: int
    rows: IntArray
    group: IntArray
    edges_min: FloatArray
    batteries: Batteries
    usable: BoolArray

    def plan(self, outlook: Outlook, hour: int, base_mw: float) -> FeederPlan:
        """The lowest peak, then the lowest cost, with a message of `hour` that says base_mw.

        OptimiserError where HiGHS finds no optimum.
        """
        hours = (self.edges_min[:-1] // 60.0).astype(np.int64)
        base = outlook.base_mw(hour, slice(hours[0], hours[-1] + 1))[:, self.feeder] * 1e3
        if hour == hours[0]:
            base[0] = base_mw * 1e3
        # The peak is that of windows with somebody in them.
        there, window_h = self.usable.any(axis=0), np.diff(self.edges_min) / 60.0
        own = self.batteries
        placed = replace(own, window=(np.cumsum(there) - 1)[own.window])
        programme = Programme(placed, base[hours - hours[0]][there], window_h[there])
        try:
            peak, _, _ = programme.lowest_peak()
            _, c, d = programme.lowest_cost(peak.value + PEAK_ROOM * abs(peak.value))
        except OptimiserError as error:
            where = f"mpc at minute {self.edges_min[0]:g}, feeder {self.feeder + 1}"
            raise OptimiserError(f"{where}: {error}") from error
        # Both at once is what differing EVs of a group do, or rounding: the difference counts.
        gained = c - own.loss * d
        net_kw = np.zeros(self.usable.shape)
        net_kw[self.usable] = np.where(gained > 0.0, gained, gained / own.loss) / own.hours
        return FeederPlan(self.rows, self.group, self.edges_min, net_kw, peak.value)


def horizon_of(
    fleet: Fleet, k: int, outlook: Outlook, span_min: tuple[float, float], coming: PlannedStays
) -> FeederHorizon | None:
    """What there is to plan for on feeder k from when to when; None for nothing."""
    begin_min, end_min = span_min
    mine = slice(int(fleet.first_row[k]), int(fleet.first_row[k + 1]))
    here = fleet.can_charge[mine] | fleet.can_discharge[mine]
    here &= fleet.arrival_step[mine] <= round(begin_min / (60.0 * fleet.step_h))
    rows = np.flatnonzero(here) + mine.start
    if not len(rows):
        return None
    own = plugged_in(fleet, rows, begin_min)
    every = own.and_those(coming)
    edges = window_edges(begin_min, end_min, every.through_min, outlook.prices.step_s < 3600)
    group = alike(own, edges, GROUPS)
    groups = np.concatenate([group, int(group.max()) + 1 + alike(coming, edges, 1)])
    buys, sells = (price[:, min(k, price.shape[1] - 1)] for price in (
        outlook.purchase_price(edges), outlook.sale_price(edges)
    ))  # fmt: skip
    batteries, usable = as_batteries(every, groups, edges, buys, sells)
    return FeederHorizon(k, rows, group, edges, batteries, usable) if usable.any() else None


def plugged_in(fleet: Fleet, rows: IntArray, minute: float) -> PlannedStays:
    """EVs plugged in, from now to the departure they announced."""
    # An EV that stays on after the departure it announced may leave any time.
    left_min = np.maximum(fleet.announced_min[rows] - minute, 60.0 * fleet.step_h)
    p_max, v2g = fleet.p_max_kw[rows], fleet.v2g[rows]
    p_discharge = np.where(v2g, fleet.p_discharge_kw[rows], 0.0)
    own = expected.slack(
        left_min / 60.0, fleet.soc[rows], fleet.soc_goal[rows], fleet.soc_min[rows],
        fleet.capacity_kwh[rows], p_max, p_discharge, fleet.efficiency[rows],
        v2g & ~(fleet.as_printed & fleet.has_charged[rows]), fleet.as_printed,
    )  # fmt: skip
    # Who has more than it wants need not put all of it back, nor does that limit what it gives.
    beyond = np.minimum(fleet.need_kwh[rows], 0.0)
    need = own.need_kwh + charging_energy(beyond, fleet.efficiency[rows])
    all_of_it = discharging_energy(fleet.surplus_kwh[rows], fleet.efficiency[rows])
    give = np.where((beyond < 0.0) & (own.give_kwh > 0.0), all_of_it, own.give_kwh)
    n = len(rows)
    return PlannedStays(
        np.full(n, minute), minute + left_min, need, give,
        put_back(fleet.efficiency[rows]), p_max, p_discharge, np.ones(n), fleet.boost[rows],
    )  # fmt: skip


def still_to_come(
    outlook: Outlook, minute: float, end_min: float, interval_min: int
) -> tuple[PlannedStays, IntArray]:
    """Stays expected after now on one feeder, and the day that each belongs to.

    Who comes between two plans waits for the second.
    """
    arrivals = outlook.arrivals
    since = np.ceil(arrivals.arrival_min / interval_min) * interval_min
    chosen = np.flatnonzero((arrivals.arrival_min > minute) & (since < end_min))
    day, arrival, charge_kw = arrivals.day[chosen], since[chosen], arrivals.charge_kw[chosen]
    departure = np.maximum(arrivals.departure_min[chosen], arrival + 1.0)
    need = np.minimum(arrivals.need_kwh[chosen], charge_kw * (departure - arrival) / 60.0)
    # As printed nothing is put back; a plan that counts on less to give is on the safe side.
    back, never = np.maximum(arrivals.back[chosen], 1.0), np.zeros(len(chosen), dtype=np.bool_)
    stays = PlannedStays(
        arrival, departure, need, arrivals.give_kwh[chosen], back, charge_kw,
        arrivals.discharge_kw[chosen], np.ones(len(chosen)), never,
    )  # fmt: skip
    return stays, day


def powers(fleet: Fleet, plans: list[FeederPlan], minute: float) -> FloatArray:
    """What the EVs do in a step under these plans, (n_evs,) [kW].

    A group's power is shared by what its EVs need or can give. Only who keeps slack discharges.
    """
    end_min = minute + 60.0 * fleet.step_h
    latest = latest_start(fleet.announced_min, fleet.charging_minutes_left())
    left_min = slack(latest, fleet.arrival_min, minute)
    must = fleet.can_charge & (out_of_slack(left_min, waiting_min(fleet)) | fleet.boost)
    gives = fleet.can_discharge & ~must & ~out_of_slack(left_min, spent_giving_min(fleet))
    if fleet.as_printed:
        # T = T_dg + T_cg of eq. (14).
        gives &= ~fleet.has_charged
    draws_kw = fleet.draws_kw()
    need_kwh = charging_energy(fleet.need_kwh, fleet.efficiency)
    give_kwh = discharging_energy(fleet.surplus_kwh, fleet.efficiency)
    supplies_kw = np.minimum(fleet.p_discharge_kw, mean_power(give_kwh, fleet.step_h))
    setting_kw = np.minimum(fleet.min_charge_kw, fleet.p_max_kw)
    least_kw = np.minimum(setting_kw, draws_kw)
    power = np.where(must, fleet.p_max_kw, 0.0)
    for plan in plans:
        called = plan.called_kw(minute, end_min)
        forced = group_sums(np.where(must, draws_kw, 0.0)[plan.rows], plan.group, len(called))
        room = np.where(called > 0.0, np.maximum(called - forced, 0.0), 0.0)

        asked = fleet.can_charge[plan.rows] & ~must[plan.rows] & (room > EPS_KW)[plan.group]
        rows, group = plan.rows[asked], plan.group[asked]
        order = np.argsort(latest[rows], kind="stable")
        rows, group = rows[order], group[order]
        drawn = spread(room, group, need_kwh[rows], least_kw[rows], draws_kw[rows])
        power[rows] = np.where(drawn > NOTHING_KW, np.maximum(drawn, setting_kw[rows]), 0.0)

        asked = gives[plan.rows] & (called < -EPS_KW)[plan.group]
        rows, group = plan.rows[asked], plan.group[asked]
        none = np.zeros(len(rows))
        given = spread(np.maximum(-called, 0.0), group, give_kwh[rows], none, supplies_kw[rows])
        power[rows] = np.where(given > NOTHING_KW, -given, 0.0)
    return power
