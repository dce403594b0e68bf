"""`abm.control.SetPoints` on one feeder, for the compiled hour: powers of zones split among EVs.

`set_powers` and what it calls once take whole columns, and give them names of their own: each look
at a tuple of arrays within a loop takes longer than what is computed there.
"""

from __future__ import annotations

import numpy as np

from abm.equations.admission import (
    LEAST_KW,
    latest_start,
    minutes_until_set,
    out_of_slack,
    slack,
    spent_discharging,
)
from abm.equations.battery import (
    charged_in,
    charging_minutes,
    discharged_in,
    mean_power,
    printed_goal,
    spare_soc,
    stored_energy,
)
from abm.equations.switching import can_move


def must_charge(can_charge, boost, guarantee, slack_min, span_min):
    """Whether an EV charges at its rating whatever was set."""
    return can_charge and (boost or (guarantee and out_of_slack(slack_min, span_min)))


def keeps_slack(left_min, span_min, efficiency, p_discharge_kw, p_max_kw, as_printed):
    """Whether discharging until powers are set again leaves time to put it back."""
    spent = span_min
    if not as_printed:
        spent = spent_discharging(span_min, efficiency, p_discharge_kw, p_max_kw)
    return not out_of_slack(left_min, spent)


def set_powers(k, t0, ev, orders, work):
    """What all that are plugged in need and can give, and their powers if those are set now.

    Leaves in work.latest_min, by place on the feeder, the latest minute at which charging without a
    break would do, infinity for who is not plugged in; in work.served who charges whatever was set;
    in work.ask who else may charge, 1, may give, -1, or both, 2.
    """
    held, latest_min, served, ask = orders.held, work.latest_min, work.served, work.ask
    guarantee, power_kw, as_printed = held.guarantee, held.power_kw, orders.as_printed
    plugged, soc, soc_goal, soc_min = ev.plugged, ev.soc, ev.soc_goal, ev.soc_min
    soc_required, has_charged, capacity_kwh = ev.soc_required, ev.has_charged, ev.capacity_kwh
    need_kwh, surplus_kwh, v2g, boost = ev.need_kwh, ev.surplus_kwh, ev.v2g, ev.boost
    can_charge, can_discharge, efficiency = ev.can_charge, ev.can_discharge, ev.efficiency
    charge_kw, discharge_kw = ev.p_max_kw, ev.p_discharge_kw
    announced_min, arrival_min = ev.announced_min, ev.arrival_min
    span_min, begin = minutes_until_set(t0, held.interval_min), ev.first_row[k]
    decides = t0 == held.from_min
    for row in range(begin, ev.first_row[k + 1]):
        place = row - begin
        latest_min[place] = np.inf
        served[row] = False
        ask[place] = 0
        if not plugged[row]:
            continue
        now, capacity, eta = soc[row], capacity_kwh[row], efficiency[row]
        if as_printed and not has_charged[row]:
            soc_goal[row] = printed_goal(now, soc_required[row])
        need = stored_energy(soc_goal[row] - now, capacity)
        surplus = stored_energy(spare_soc(now, soc_min[row]), capacity)
        need_kwh[row], surplus_kwh[row] = need, surplus
        charges, gives = can_move(need, True), can_move(surplus, v2g[row])
        can_charge[row], can_discharge[row] = charges, gives
        latest = latest_start(announced_min[row], charging_minutes(need, charge_kw[row], eta))
        latest_min[place] = latest
        slack_min = slack(latest, arrival_min[row], t0)
        must = must_charge(charges, boost[row], guarantee, slack_min, span_min)
        if decides or (must and np.isnan(power_kw[row])):
            power_kw[row] = charge_kw[row] if must else 0.0
        elif np.isnan(power_kw[row]):
            power_kw[row] = 0.0
        served[row] = must
        if not decides or must:
            continue
        ask[place] = 1 if charges else 0
        gives = gives and not boost[row] and not (as_printed and has_charged[row])
        if gives and (not guarantee or keeps_slack(
            slack_min, span_min, eta, discharge_kw[row], charge_kw[row], as_printed
        )):  # fmt: skip
            ask[place] = 2 if charges else -1
    if decides and held.by_zone:
        set_zones(k, span_min / 60.0, ev, orders, work)
    elif decides:
        set_each(k, ev, orders, work)


def set_each(k, ev, orders, work):
    """Powers that were set for each EV, within what it can do."""
    held, ask, begin = orders.held, work.ask, ev.first_row[k]
    asked_kw, power_kw, least_kw = held.asked_kw, held.power_kw, held.min_charge_kw
    charge_kw, discharge_kw = ev.p_max_kw, ev.p_discharge_kw
    for row in range(begin, ev.first_row[k + 1]):
        asked, may = asked_kw[row], ask[row - begin]
        if asked > 0.0 and may > 0:
            power = min(asked, charge_kw[row])
            power_kw[row] = 0.0 if power < min(least_kw[row], charge_kw[row]) else power
        elif asked < 0.0 and (may < 0 or may == 2):
            power_kw[row] = max(asked, -discharge_kw[row])


def line_up_zone(first, last, latest, first_row, line):
    """Put line[first:last], rows of a zone, in order of their latest start, ties by row.

    It is nearly in order already: who waits keeps its latest start.
    """
    ahead = line[first]
    ahead_key = latest[ahead - first_row]
    for i in range(first + 1, last):
        row, j = line[i], i - 1
        key = latest[row - first_row]
        if ahead_key < key or (ahead_key == key and ahead < row):
            ahead, ahead_key = row, key
            continue
        while j >= first:
            other = line[j]
            before = latest[other - first_row]
            if before < key or (before == key and other < row):
                break
            line[j + 1] = other
            j -= 1
        line[j + 1] = row


def set_zones(k, span_h, ev, orders, work):
    """Split the power that was set for each zone of feeder k among its EVs."""
    held, latest_min, ask, served = orders.held, work.latest_min, work.ask, work.served
    line, power_kw, least_kw, asked_kw = (
        held.line, held.power_kw, held.min_charge_kw, held.asked_kw,
    )  # fmt: skip
    need_kwh, surplus_kwh, efficiency = ev.need_kwh, ev.surplus_kwh, ev.efficiency
    charge_kw, discharge_kw, zone = ev.p_max_kw, ev.p_discharge_kw, ev.zone
    begin, end = ev.first_row[k], ev.first_row[k + 1]
    first = begin
    while first < end:
        here, last, must_kw = zone[first], first, 0.0
        while last < end and zone[last] == here:
            if served[last]:
                drawn = charged_in(need_kwh[last], charge_kw[last], efficiency[last], span_h)
                must_kw += mean_power(drawn, span_h)
            last += 1
        net_kw = asked_kw[k * orders.n_zones + here] - must_kw
        if net_kw != 0.0:
            line_up_zone(first, last, latest_min, begin, line)
        total = 0.0
        if net_kw > 0.0:
            for i in range(first, last):
                row = line[i]
                if ask[row - begin] <= 0:
                    continue
                drawn = charged_in(need_kwh[row], charge_kw[row], efficiency[row], span_h)
                can_kw, left_kw = mean_power(drawn, span_h), net_kw - total
                least = max(min(least_kw[row], charge_kw[row]), LEAST_KW)
                if left_kw >= least:
                    power_kw[row] = max(min(can_kw, left_kw), least)
                total += can_kw
                if total > net_kw:
                    break
        elif net_kw < 0.0:
            for i in range(last - 1, first - 1, -1):
                row = line[i]
                if ask[row - begin] == 0 or ask[row - begin] == 1:
                    continue
                given = discharged_in(surplus_kwh[row], discharge_kw[row], efficiency[row], span_h)
                can_kw = mean_power(given, span_h)
                part = min(can_kw, -net_kw - total)
                if part >= LEAST_KW:
                    power_kw[row] = -part
                total += can_kw
                if total > -net_kw:
                    break
        first = last
