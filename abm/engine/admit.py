"""The admissions on one feeder, for the compiled hour; `abm.control` says what they do.

Whom they look at, and in which order, is written here as loops; what fits is said by
`abm.equations.admission`, which both ways through the day call.
"""

from __future__ import annotations

import numpy as np

from abm.equations.admission import (
    EPS_KW,
    fits,
    latest_start,
    laxity,
    out_of_slack,
    place_in_line,
    quota,
    reaches,
    room_left,
    slack,
    spent_discharging,
    whole_chargers,
    whole_part,
)
from abm.equations.battery import (
    charged_in,
    charging_minutes,
    discharging_energy,
    mean_power,
    plugged_hours,
)

ALL_AT_ONCE, BELOW_LIMIT, FIRST_COME, LEAST_LAXITY, COORDINATED = 0, 1, 2, 3, 4
# No admission: EVs hold the powers that were set for them.
SET_POINTS = 5
# What an EV does: waits or does not ask, may discharge, may go on discharging, discharges, is at
# charging and goes on if there is room, charges in any case.
WAITS, MAY, GOES_ON, GIVES, CHARGES, MUST = 0, 1, 2, 3, 4, 5


def fill(cand, n_cand, room_kw, p_max, zone, arrival, n_zones, served):
    """`abm.control.admission.fill` on one feeder. cand: rows in order; returns the kW served."""
    if n_cand == 0:
        return 0.0
    unit, least = 0.0, np.inf
    for i in range(n_cand):
        unit = max(unit, p_max[cand[i]])
        least = min(least, p_max[cand[i]])
    if not fits(least, room_kw):
        return 0.0
    # Rows come by zone and, as a rule, by arrival; an owner who changed plans is moved up or down.
    for i in range(1, n_cand):
        row, j = cand[i], i - 1
        while j >= 0 and zone[cand[j]] == zone[row] and arrival[cand[j]] > arrival[row]:
            cand[j + 1] = cand[j]
            j -= 1
        cand[j + 1] = row
    if unit == 0.0:
        unit = 1.0
    waiting = np.zeros(n_zones, dtype=np.int64)
    for i in range(n_cand):
        waiting[zone[cand[i]]] += 1
    chargers = min(np.int64(whole_chargers(room_kw, unit)), n_cand)
    share = np.zeros(n_zones, dtype=np.int64)
    remainder = np.zeros(n_zones)
    missing = chargers
    for z in range(n_zones):
        each = quota(waiting[z], chargers, n_cand)
        share[z] = np.int64(whole_part(each))
        remainder[z] = each - share[z]
        missing -= share[z]
    for _ in range(missing):
        best = 0
        for z in range(1, n_zones):
            if remainder[z] > remainder[best]:
                best = z
        share[best] += 1
        remainder[best] = -np.inf
    given, total, n_rest, now_zone = 0.0, 0.0, 0, -1
    for i in range(n_cand):
        row = cand[i]
        if zone[row] != now_zone:
            now_zone, total = zone[row], 0.0
        total += p_max[row]
        if fits(total, share[now_zone] * unit):
            served[row] = True
            given += p_max[row]
        else:
            cand[n_rest] = row
            n_rest += 1
    left = room_kw - given
    some_fit = False
    for i in range(n_rest):
        if fits(p_max[cand[i]], left):
            some_fit = True
    if some_fit:
        for i in range(1, n_rest):
            row, j = cand[i], i - 1
            while j >= 0 and arrival[cand[j]] > arrival[row]:
                cand[j + 1] = cand[j]
                j -= 1
            cand[j + 1] = row
        total = 0.0
        for i in range(n_rest):
            total += p_max[cand[i]]
            if fits(total, left):
                served[cand[i]] = True
                given += p_max[cand[i]]
    return given


def first_come(n_live, room_kw, ev, n_zones, work):
    """`abm.control.FirstCome`: takes out of work.ask what is not granted."""
    live, ask, cand, served = work.live, work.ask, work.cand, work.served
    p_max, zone, arrival = ev.p_max_kw, ev.zone, ev.arrival_min
    used, n_keep, n_wait = 0.0, 0, 0
    for i in range(n_live):
        row = live[i]
        served[row] = ask[i] > 0 and ev.mode[row] > 0
        if served[row]:
            used += p_max[row]
            cand[n_keep] = row
            n_keep += 1
    if not fits(used, room_kw):
        for i in range(n_keep):
            served[cand[i]] = False
        used = fill(cand, n_keep, room_kw, p_max, zone, arrival, n_zones, served)
    for i in range(n_live):
        if ask[i] > 0 and ev.mode[live[i]] <= 0:
            cand[n_wait] = live[i]
            n_wait += 1
    fill(cand, n_wait, room_kw - used, p_max, zone, arrival, n_zones, served)
    for i in range(n_live):
        if ask[i] > 0 and not served[live[i]]:
            ask[i] = 0


def least_laxity(n_live, room_kw, t0, ev, orders, work):
    """`abm.control.LeastLaxity`: takes out of work.ask what is not granted."""
    live, ask, cand, served, turn = work.live, work.ask, work.cand, work.served, work.turn
    n_wait = 0
    for i in range(n_live):
        row = live[i]
        served[row] = False
        turn[i] = CHARGES if orders.guarantee and ev.mode[row] > 0 else WAITS
        left = charging_minutes(ev.need_kwh[row], ev.p_max_kw[row], ev.efficiency[row])
        lax = laxity(ev.announced_min[row], ev.arrival_min[row], t0, left)
        work.latest_min[i] = lax
        if orders.guarantee and (ev.can_charge[row] or ask[i] < 0) and not ev.forced[row]:
            spent = orders.step_min
            if not orders.as_printed and ask[i] < 0:
                spent = spent_discharging(
                    orders.step_min, ev.efficiency[row], ev.p_discharge_kw[row], ev.p_max_kw[row]
                )
            if out_of_slack(lax, spent):
                ask[i] = 1 if ev.can_charge[row] else 0
                served[row] = ev.can_charge[row]
                turn[i] = MUST
        if ask[i] > 0:
            cand[n_wait] = i
            n_wait += 1
    order = cand[:n_wait][np.argsort(work.latest_min[cand[:n_wait]], kind="mergesort")]
    total = 0.0
    for now in (MUST, CHARGES, WAITS):
        for i in order:
            if turn[i] == now:
                total += ev.p_max_kw[live[i]]
                if fits(total, room_kw):
                    served[live[i]] = True
    for i in range(n_live):
        if ask[i] > 0 and not served[live[i]]:
            ask[i] = 0


def below_limit(n_live, ask):
    """`abm.control.BelowLimit` where demand is at or above the limit: nobody charges."""
    for i in range(n_live):
        if ask[i] > 0:
            ask[i] = 0


def coordinate(k, n_live, t0, ev, orders, work):
    """Set work.ask to what is granted on feeder k. Returns for how many steps that stands.

    It stands until an event, somebody who comes, goes, or has nothing left to charge or to give,
    until the slack of somebody who waits or discharges is gone, or until somebody at it comes
    behind one that waits: the order of those who wait does not change with time, and those at it
    fall back by a minute each minute. Where that is not sure 0 is returned.
    """
    live, ask, turn, latest, served = work.live, work.ask, work.turn, work.latest_min, work.served
    draws, step_min = work.power_kw, orders.step_min
    room_kw = room_left(orders.room_kw[k], ev.forced_kw[k])
    keep_kw = room_left(orders.keep_kw[k], ev.forced_kw[k])
    used, must_kw, quiet = 0.0, 0.0, np.inf
    best, first, last = -1, np.inf, -np.inf
    for i in range(n_live):
        row = live[i]
        left = charging_minutes(ev.need_kwh[row], ev.p_max_kw[row], ev.efficiency[row])
        latest[i] = latest_start(ev.announced_min[row], left)
        hours = hours_of(row, t0, ev, orders)
        drawn = charged_in(ev.need_kwh[row], ev.p_max_kw[row], ev.efficiency[row], hours)
        draws[i] = mean_power(drawn, orders.step_h)
        turn[i] = WAITS
        served[row] = False
        slack_min = slack(latest[i], ev.arrival_min[row], t0)
        if ev.forced[row]:
            # Charges in any case, and not by anything that is granted here.
            ask[i] = 0
            continue
        if ev.can_charge[row] and out_of_slack(slack_min, step_min):
            turn[i] = MUST
            must_kw += draws[i]
        elif ask[i] > 0 and ev.mode[row] > 0:
            turn[i] = CHARGES
            last = max(last, place_in_line(latest[i], 1.0))
        elif ask[i] > 0:
            if latest[i] < first:
                best, first = i, latest[i]
        elif ask[i] < 0 and ev.p_discharge_kw[row] > EPS_KW:
            turn[i] = GOES_ON if ev.mode[row] < 0 else MAY
        if turn[i] == MUST or turn[i] == CHARGES:
            used += draws[i]
            served[row] = True
            # In the step in which it ends or leaves it draws less, and somebody else may fit.
            stays = (ev.departure_min[row] - t0) / step_min
            quiet = min(quiet, left / step_min - 1.0, stays)
            if hours < orders.step_h:
                quiet = 0.0

    # Charging. Those at it come first and go on, and no room for the first of those who wait is no
    # room for anyone: nearly always.
    as_before = fits(used, keep_kw)
    if best >= 0:
        as_before = as_before and first > last and not fits(used + draws[best], room_kw)
        quiet = min(quiet, (first - last) / step_min)
    if not as_before:
        quiet = min(quiet, line_up(n_live, room_kw, keep_kw, ev, orders, work))

    target_kw = orders.over_kw[k] + must_kw + ev.forced_kw[k]
    if target_kw > EPS_KW:
        quiet = min(quiet, call(n_live, target_kw, t0, ev, orders, work))
    least = np.inf
    for i in range(n_live):
        row = live[i]
        if turn[i] == GIVES:
            ask[i] = -1
        elif served[row]:
            ask[i] = 1
        else:
            ask[i] = 0
            if ev.can_charge[row] and not ev.forced[row]:
                least = min(least, latest[i])
    quiet = min(quiet, (least - t0) / step_min)
    # Two steps less, so that no rounding can matter.
    return np.int64(max(min(quiet, 1e6) - 2.0, 0.0))


def line_up(n_live, room_kw, keep_kw, ev, orders, work):
    """Mark in work.served who charges, by place in line. Returns as `coordinate`, two more."""
    live, ask, turn, latest, served = work.live, work.ask, work.turn, work.latest_min, work.served
    place = np.empty(n_live)
    for i in range(n_live):
        place[i] = place_in_line(latest[i], 1.0 if ev.mode[live[i]] > 0 else 0.0)
    order = np.argsort(place, kind="mergesort")
    total = 0.0
    for i in order:
        if turn[i] == MUST:
            total += work.power_kw[i]
    changed, quiet, behind = False, np.inf, -np.inf
    for i in order:
        row = live[i]
        charges = turn[i] == CHARGES
        if charges or (turn[i] == WAITS and ask[i] > 0):
            total += work.power_kw[i]
            served[row] = fits(total, keep_kw if charges else room_kw)
            changed = changed or served[row] != charges
            if charges:
                behind = place[i]
            else:
                quiet = min(quiet, (place[i] - behind) / orders.step_min)
    return 0.0 if changed else quiet


def hours_of(row, t0, ev, orders):
    """Hours of the step that an EV is plugged in."""
    t1 = t0 + orders.step_min
    if ev.arrival_min[row] > t0 or ev.departure_min[row] < t1:
        return plugged_hours(ev.arrival_min[row], ev.departure_min[row], t0, t1, orders.step_h)
    return orders.step_h


def call(n_live, target_kw, t0, ev, orders, work):
    """Mark in work.turn who discharges: GIVES. Returns as `coordinate`, two steps more."""
    live, turn, latest, powers = work.live, work.turn, work.latest_min, work.power_kw
    quiet = np.inf
    hours = np.empty(n_live)
    for i in range(n_live):
        hours[i] = -np.inf
        if turn[i] == GOES_ON or turn[i] == MAY:
            row = live[i]
            spent = spent_min(row, ev, orders)
            spare = slack(latest[i], ev.arrival_min[row], t0) - orders.margin_min
            if spare >= spent:
                give_kwh = discharging_energy(ev.surplus_kwh[row], ev.efficiency[row])
                hours[i] = give_kwh / ev.p_discharge_kw[row]
                here_h = hours_of(row, t0, ev, orders)
                most_kwh = ev.p_discharge_kw[row] * here_h
                powers[i] = mean_power(min(give_kwh, most_kwh), orders.step_h)
                stays = (ev.departure_min[row] - t0) / orders.step_min
                quiet = min(quiet, spare / spent, hours[i] / orders.step_h - 1.0, stays)
                if here_h < orders.step_h:
                    quiet = 0.0
            else:
                turn[i] = WAITS
    by_most = np.argsort(-hours, kind="mergesort")
    total, changed = 0.0, False
    for now in (GOES_ON, MAY):
        for i in by_most:
            if turn[i] == now:
                gives = not reaches(total, target_kw)
                changed = changed or gives != (now == GOES_ON)
                total += powers[i]
                turn[i] = GIVES if gives else WAITS
    return 0.0 if changed else quiet


def spent_min(row, ev, orders):
    """Slack that discharging for a step takes, min."""
    if orders.as_printed:
        return orders.step_min
    return spent_discharging(
        orders.step_min, ev.efficiency[row], ev.p_discharge_kw[row], ev.p_max_kw[row]
    )
