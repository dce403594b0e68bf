"""`abm.control.SetPoints` on one feeder, and the walk of EVs that hold the powers they were given.

Nobody is asked between two settings, so only those that move energy are looked at in a step; the
others are when somebody comes or goes.
"""

from __future__ import annotations

import numpy as np

from abm.engine.hour import (
    NEVER,
    assess,
    come_and_go,
    exchange,
    meter_zones,
    note_soc,
    note_switch,
)
from abm.equations.admission import latest_start, out_of_slack, slack, spent_discharging
from abm.equations.battery import (
    above_upper_bound,
    below_lower_bound,
    charged_in,
    charging_minutes,
    discharged_in,
    mean_power,
)

# A charger is not set to less than this, kW: `abm.control.admission.LEAST_KW`.
LEAST_KW = 0.01


def span_left(t0, interval_min):
    """`abm.control.set_points.minutes_left`."""
    return (np.floor(t0 / interval_min + 1e-9) + 1.0) * interval_min - t0


def must_charge(row, latest, t0, span_min, ev, held):
    """Whether an EV charges at its rating whatever was set."""
    if not ev.can_charge[row]:
        return False
    if ev.boost[row]:
        return True
    return held.guarantee and out_of_slack(slack(latest, ev.arrival_min[row], t0), span_min)


def latest_of(row, ev):
    """The latest minute at which charging without a break would do."""
    left = charging_minutes(ev.need_kwh[row], ev.p_max_kw[row], ev.efficiency[row])
    return latest_start(ev.announced_min[row], left)


def may_give(row, latest, t0, span_min, ev, held, as_printed):
    """Whether an EV that need not charge may discharge until powers are set again."""
    able = ev.can_discharge[row] and not ev.boost[row]
    if not able or (as_printed and ev.has_charged[row]):
        return False
    left_min = slack(latest, ev.arrival_min[row], t0)
    ratings = ev.p_discharge_kw[row], ev.p_max_kw[row]
    return not held.guarantee or keeps_slack(
        left_min, span_min, ev.efficiency[row], ratings[0], ratings[1], as_printed
    )


def keeps_slack(left_min, span_min, efficiency, p_discharge_kw, p_max_kw, as_printed):
    """Whether discharging until powers are set again leaves time to put it back."""
    spent = span_min
    if not as_printed:
        spent = spent_discharging(span_min, efficiency, p_discharge_kw, p_max_kw)
    return not out_of_slack(left_min, spent)


def newcomers(n_live, t0, ev, orders, work):
    """Powers of those that came since powers were set."""
    held = orders.held
    span_min = span_left(t0, held.interval_min)
    for i in range(n_live):
        row = work.live[i]
        if np.isnan(held.power_kw[row]):
            must = must_charge(row, latest_of(row, ev), t0, span_min, ev, held)
            held.power_kw[row] = ev.p_max_kw[row] if must else 0.0


def set_each(n_live, t0, ev, orders, work):
    """Powers that were set for each EV, within what it can do."""
    held = orders.held
    span_min = span_left(t0, held.interval_min)
    for i in range(n_live):
        row = work.live[i]
        asked, power, latest = held.asked_kw[row], 0.0, latest_of(row, ev)
        if must_charge(row, latest, t0, span_min, ev, held):
            power = ev.p_max_kw[row]
        elif asked > 0.0 and ev.can_charge[row]:
            power = min(asked, ev.p_max_kw[row])
            if power < min(held.min_charge_kw[row], ev.p_max_kw[row]):
                power = 0.0
        elif asked < 0.0 and may_give(row, latest, t0, span_min, ev, held, orders.as_printed):
            power = max(asked, -ev.p_discharge_kw[row])
        held.power_kw[row] = power


def line_up_zone(first, last, latest, first_row, line):
    """Put line[first:last], rows of a zone, in order of their latest start, ties by row.

    It is nearly in order already: who waits keeps its latest start.
    """
    for i in range(first + 1, last):
        row, j = line[i], i - 1
        key = latest[row - first_row]
        while j >= first:
            other = line[j]
            before = latest[other - first_row]
            if before < key or (before == key and other < row):
                break
            line[j + 1] = other
            j -= 1
        line[j + 1] = row


def set_zones(k, n_live, t0, ev, orders, work):
    """Split the power that was set for each zone of feeder k among its EVs."""
    held, latest, line = orders.held, work.latest_min, orders.held.line
    span_min = span_left(t0, held.interval_min)
    span_h = span_min / 60.0
    begin, end = ev.first_row[k], ev.first_row[k + 1]
    for row in range(begin, end):
        latest[row - begin] = np.inf
    for i in range(n_live):
        row = work.live[i]
        latest[row - begin] = latest_of(row, ev)
        held.power_kw[row] = 0.0
    first = begin
    while first < end:
        zone, last = ev.zone[first], first
        must_kw = 0.0
        while last < end and ev.zone[last] == zone:
            row = last
            must = ev.plugged[row] and must_charge(
                row, latest[row - begin], t0, span_min, ev, held
            )
            work.served[row] = must
            if must:
                held.power_kw[row] = ev.p_max_kw[row]
                drawn = charged_in(ev.need_kwh[row], ev.p_max_kw[row], ev.efficiency[row], span_h)
                must_kw += mean_power(drawn, span_h)
            last += 1
        net_kw = held.asked_kw[k * orders.n_zones + zone] - must_kw
        line_up_zone(first, last, latest, begin, line)
        if net_kw > 0.0:
            total = 0.0
            for i in range(first, last):
                row = line[i]
                if not ev.plugged[row] or not ev.can_charge[row] or work.served[row]:
                    continue
                drawn = charged_in(ev.need_kwh[row], ev.p_max_kw[row], ev.efficiency[row], span_h)
                can_kw = mean_power(drawn, span_h)
                left_kw = net_kw - total
                least_kw = max(min(held.min_charge_kw[row], ev.p_max_kw[row]), LEAST_KW)
                if left_kw >= least_kw:
                    held.power_kw[row] = max(min(can_kw, left_kw), least_kw)
                total += can_kw
                if total > net_kw:
                    break
        elif net_kw < 0.0:
            total = 0.0
            for i in range(last - 1, first - 1, -1):
                row = line[i]
                if not ev.plugged[row] or work.served[row]:
                    continue
                if not may_give(row, latest[row - begin], t0, span_min, ev, held,
                                orders.as_printed):  # fmt: skip
                    continue
                given = discharged_in(
                    ev.surplus_kwh[row], ev.p_discharge_kw[row], ev.efficiency[row], span_h
                )
                can_kw = mean_power(given, span_h)
                part = min(can_kw, -net_kw - total)
                if part >= LEAST_KW:
                    held.power_kw[row] = -part
                total += can_kw
                if total > -net_kw:
                    break
        first = last


def walk_set(k, ev, orders, meter, work):
    """`abm.engine.hour.walk_feeder` where powers are held."""
    held = orders.held
    total_change = n_live = n_move = n_below = n_above = 0
    next_change = np.int64(-NEVER)
    for step in range(orders.first_step, orders.first_step + orders.n_steps):
        t0 = step * orders.step_s / 60.0
        changed = step == orders.first_step
        if step >= next_change:
            n_live, change, next_change = come_and_go(k, step, t0, ev, orders, meter, work)
            total_change += change
            changed = True
        if orders.by_step:
            for c in range(k * orders.n_zones, (k + 1) * orders.n_zones):
                meter.plugged[step, c] = ev.plugged_count[c]
        if n_live == 0:
            continue
        if changed:
            for i in range(n_live):
                assess(work.live[i], ev, orders.as_printed)
            if t0 != held.from_min:
                newcomers(n_live, t0, ev, orders, work)
            elif held.by_zone:
                set_zones(k, n_live, t0, ev, orders, work)
            else:
                set_each(n_live, t0, ev, orders, work)
            n_look = n_live
            n_below = n_above = 0
        else:
            n_look = n_move
        n_move = 0
        for i in range(n_look):
            row = work.live[i] if changed else work.cand[i]
            if not changed:
                assess(row, ev, orders.as_printed)
            power, to = held.power_kw[row], 0
            if ev.can_charge[row] and (power > 0.0 or ev.boost[row]):
                to = 1
            elif power < 0.0 and ev.can_discharge[row]:
                to = -1
            if to != ev.mode[row]:
                note_switch(row, k, step, orders.window, ev, meter)
            ev.request[row] = to
            ev.mode[row] = to
            if to != 0:
                work.cand[n_move] = row
                n_move += 1
                continue
            ev.p_kw[row] = 0.0
            note_soc(k, ev.soc[row], meter)
            if below_lower_bound(ev.soc[row], orders.soc_lower):
                n_below += 1
            if above_upper_bound(ev.soc[row], orders.soc_upper):
                n_above += 1
        out = exchange(k, n_move, step, t0, ev, orders, meter, work)
        meter_zones(k, step, orders, meter, work)
        meter.below_min[k] += orders.step_min * (n_below + out[0])
        meter.above_min[k] += orders.step_min * (n_above + out[1])
    return total_change
