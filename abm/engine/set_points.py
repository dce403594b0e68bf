"""The walk of one feeder whose EVs hold the powers that were set, see `abm.control.SetPoints`.

Nobody is asked between two settings, so that nothing passes between EVs: each is taken through all
steps before the next one is touched.
"""

from __future__ import annotations

import numpy as np

from abm.engine.hour import note_arrival, note_soc, note_way
from abm.engine.split import must_charge, set_powers
from abm.equations.admission import latest_start, minutes_until_set, slack
from abm.equations.battery import (
    above_upper_bound,
    below_lower_bound,
    charged_in,
    charging_minutes,
    discharged_in,
    mean_power,
    plugged_hours,
    printed_goal,
    soc_charged,
    soc_discharged,
    soc_drawn,
    soc_supplied,
    spare_soc,
    stored_energy,
)
from abm.equations.switching import can_move


def go_to(row, to, k, step, window, mode, request, switches, last_switch, sync_change):
    """Put an EV into a mode that is another, and write the change down: as `note_switch`.

    Only the columns that it needs are handed over: with all of them a call takes a microsecond.
    """
    mode[row] = to
    request[row] = to
    switches[row] += 1
    last = last_switch[row]
    sync_change[last + window if last > step - window else step, k] += 1
    sync_change[step + window, k] -= 1
    last_switch[row] = step


def mode_of(power_kw, can_charge, can_discharge, boost):
    """Mode of an EV under the power that it holds."""
    if can_charge and (power_kw > 0.0 or boost):
        return 1
    return -1 if power_kw < 0.0 and can_discharge else 0


def leave(row, soc, soc_departure, plugged, can_charge, can_discharge, mode, request, p_kw):
    """An EV departs."""
    soc_departure[row] = soc[row]
    plugged[row] = can_charge[row] = can_discharge[row] = False
    mode[row] = request[row] = 0
    p_kw[row] = 0.0


def come(row, soc, soc_arrival, plugged, arrived, has_charged, mode):
    """An EV arrives."""
    soc[row] = soc_arrival[row]
    plugged[row] = arrived[row] = True
    has_charged[row] = False
    mode[row] = 0


def meter_points(k, ev, orders, meter, point_kw):
    """Power of EVs at their points of a three-phase feeder; point_kw: by place and step."""
    begin = ev.first_row[k]
    for s in range(orders.n_steps):
        flow = (orders.first_step + s) % orders.steps_per_hour // orders.steps_per_flow
        for place in range(len(point_kw)):
            power, point = point_kw[place, s], ev.point[begin + place]
            if power > 0.0:
                meter.point_charge[flow, point] += power
            elif power < 0.0:
                meter.point_discharge[flow, point] -= power


def walk_set(k, ev, orders, meter, work):
    """`abm.engine.hour.walk_feeder` where powers are held.

    Columns have names of their own here, since each look at a tuple of arrays within a loop takes
    longer than what is computed.
    """
    held, power_kw, boost, history = orders.held, orders.held.power_kw, ev.boost, orders.history
    soc_arrival, soc_departure, announced_min = ev.soc_arrival, ev.soc_departure, ev.announced_min
    need_kwh, surplus_kwh, v2g, request = ev.need_kwh, ev.surplus_kwh, ev.v2g, ev.request
    switches, last_switch, sync_change = ev.switches, meter.last_switch, meter.sync_change
    can_charge, can_discharge = ev.can_charge, ev.can_discharge
    zone, plugged, arrived, mode = ev.zone, ev.plugged, ev.arrived, ev.mode
    arrival_step, departure_step = ev.arrival_step, ev.departure_step
    arrival_min, departure_min = ev.arrival_min, ev.departure_min
    soc, soc_goal, soc_min, has_charged = ev.soc, ev.soc_goal, ev.soc_min, ev.has_charged
    soc_required, capacity_kwh, efficiency = ev.soc_required, ev.capacity_kwh, ev.efficiency
    charge_kw, discharge_kw, p_kw = ev.p_max_kw, ev.p_discharge_kw, ev.p_kw
    charged_kwh, discharged_kwh = ev.charged_kwh, ev.discharged_kwh
    plugged_count, zone_plugged = ev.plugged_count, meter.zone_plugged
    hour_charge, hour_discharge = meter.hour_charge, meter.hour_discharge
    flow_charge, flow_discharge = meter.flow_charge, meter.flow_discharge
    finer = orders.steps_per_flow < orders.steps_per_hour
    as_printed, step_h, step_min = orders.as_printed, orders.step_h, orders.step_min
    lower, upper, window = orders.soc_lower, orders.soc_upper, orders.window
    n_steps, first_step = orders.n_steps, orders.first_step
    last_step = first_step + n_steps
    begin, end = ev.first_row[k], ev.first_row[k + 1]
    # As the clock has it: whole seconds first, so that no digit differs.
    minutes = np.arange(first_step, last_step) * orders.step_s / 60.0
    # By zone of the feeder and step: energy, and how many more are plugged in than just before.
    drawn, supplied = np.zeros((2, orders.n_zones, n_steps))
    more = np.zeros((orders.n_zones, n_steps), dtype=np.int64)
    # EVs out of bounds, by step.
    below, above = np.zeros((2, n_steps), dtype=np.int64)
    point_kw = np.zeros((end - begin if orders.points else 0, n_steps))
    lowest, highest = np.inf, -np.inf
    anybody = somebody_later = False
    for row in range(begin, end):
        if plugged[row] and departure_step[row] <= first_step:
            leave(row, soc, soc_departure, plugged, can_charge, can_discharge, mode, request, p_kw)
            more[zone[row], 0] -= 1
        elif not arrived[row] and arrival_step[row] < last_step:
            if arrival_step[row] > first_step:
                somebody_later = True
            elif departure_min[row] > max(arrival_min[row], minutes[0]):
                if history:
                    note_arrival(row, soc[row], soc_arrival[row], ev)
                come(row, soc, soc_arrival, plugged, arrived, has_charged, mode)
                lowest, highest = min(lowest, soc[row]), max(highest, soc[row])
                more[zone[row], 0] += 1
        anybody |= plugged[row]
    if anybody:
        set_powers(k, minutes[0], ev, orders, work)
    for row in range(begin if anybody or somebody_later else end, end):
        z, start = zone[row], first_step
        if not plugged[row]:
            start = arrival_step[row]
            if arrived[row] or start <= first_step or start >= last_step:
                continue
            t0 = minutes[start - first_step]
            if departure_min[row] <= max(arrival_min[row], t0):
                continue
            now, capacity = soc_arrival[row], capacity_kwh[row]
            if history:
                note_arrival(row, soc[row], now, ev)
            come(row, soc, soc_arrival, plugged, arrived, has_charged, mode)
            lowest, highest = min(lowest, now), max(highest, now)
            more[z, start - first_step] += 1
            # It waits until powers are set again, but for those that must charge.
            if as_printed:
                soc_goal[row] = printed_goal(now, soc_required[row])
            need = stored_energy(soc_goal[row] - now, capacity)
            surplus = stored_energy(spare_soc(now, soc_min[row]), capacity)
            need_kwh[row], surplus_kwh[row] = need, surplus
            can_charge[row] = can_move(need, True)
            can_discharge[row] = can_move(surplus, v2g[row])
            if np.isnan(power_kw[row]):
                left = charging_minutes(need, charge_kw[row], efficiency[row])
                must = must_charge(
                    can_charge[row], boost[row], held.guarantee,
                    slack(latest_start(announced_min[row], left), arrival_min[row], t0),
                    minutes_until_set(t0, held.interval_min),
                )  # fmt: skip
                power_kw[row] = charge_kw[row] if must else 0.0
        to = mode_of(power_kw[row], can_charge[row], can_discharge[row], boost[row])
        if to != mode[row]:
            go_to(row, to, k, start, window, mode, request, switches, last_switch, sync_change)
            p_kw[row] = 0.0
        charges, s, stop = to > 0, start - first_step, min(departure_step[row], last_step)
        stop -= first_step
        while to != 0 and s < stop:
            now, eta, capacity = soc[row], efficiency[row], capacity_kwh[row]
            if as_printed and not has_charged[row]:
                soc_goal[row] = printed_goal(now, soc_required[row])
            ends = soc_goal[row] if charges else soc_min[row]
            stored = stored_energy(ends - now if charges else spare_soc(now, ends), capacity)
            if not can_move(stored, True):
                # It is through, and rests until powers are set again.
                to = 0
                go_to(row, to, k, first_step + s, window, mode, request, switches, last_switch,
                      sync_change)  # fmt: skip
                p_kw[row] = 0.0
                break
            t0, t1, hours = minutes[s], minutes[s] + step_min, step_h
            if arrival_min[row] > t0 or departure_min[row] < t1:
                hours = plugged_hours(arrival_min[row], departure_min[row], t0, t1, step_h)
            power = abs(power_kw[row])
            if charges:
                e = charged_in(stored, min(charge_kw[row], power), eta, hours)
                after, each = soc_charged(now, e, eta, capacity, ends), soc_drawn(e, eta, capacity)
                has_charged[row] = True
                moved = charged_kwh[row] + e
            else:
                e = discharged_in(stored, min(discharge_kw[row], power), eta, hours)
                after = soc_discharged(now, e, eta, capacity, ends)
                each = soc_supplied(e, eta, capacity)
                moved = discharged_kwh[row] + e
            if history:
                note_way(row, now, after, ev)
                ev.moment[row] += (t0 + step_h * 30.0) / 60.0 * (after - now)
            first, begins = s, after
            s += 1
            if not history and hours == step_h and (charges or not as_printed):
                # Far from where it ends whole steps move what this one did.
                while s < stop and departure_min[row] >= minutes[s] + step_min:
                    if (ends - after if charges else after - ends) <= 2.0 * each:
                        break
                    after = after + each if charges else after - each
                    moved += e
                    s += 1
            least, most = min(begins, after), max(begins, after)
            lowest, highest = min(lowest, least), max(highest, most)
            if below_lower_bound(least, lower) or above_upper_bound(most, upper):
                for i in range(first, s):
                    below[i] += below_lower_bound(begins, lower)
                    above[i] += above_upper_bound(begins, upper)
                    begins = begins + each if charges else begins - each
            if charges:
                charged_kwh[row] = moved
                p_kw[row] = mean_power(e, step_h)
                for i in range(first, s):
                    drawn[z, i] += e
            else:
                discharged_kwh[row] = moved
                p_kw[row] = -mean_power(e, step_h)
                for i in range(first, s):
                    supplied[z, i] += e
            if orders.points:
                point_kw[row - begin, first:s] = p_kw[row]
            soc[row] = after
        if below_lower_bound(soc[row], lower):
            below[s:stop] += 1
        if above_upper_bound(soc[row], upper):
            above[s:stop] += 1
        if stop < n_steps:
            leave(row, soc, soc_departure, plugged, can_charge, can_discharge, mode, request, p_kw)
            more[z, stop] -= 1
    if orders.points:
        meter_points(k, ev, orders, meter, point_kw)
    if lowest <= highest:
        note_soc(k, lowest, meter)
        note_soc(k, highest, meter)
    # `abm.engine.hour.meter_zones`, of all steps.
    hour, c0, change = orders.hour, k * orders.n_zones, 0
    for s in range(n_steps if anybody or somebody_later or orders.by_step else 0):
        step, here, total_kw = first_step + s, 0, 0.0
        flow = step % orders.steps_per_hour // orders.steps_per_flow
        for z in range(orders.n_zones):
            c = c0 + z
            change += more[z, s]
            count = plugged_count[c] = plugged_count[c] + more[z, s]
            here += count
            zone_plugged[hour, c] = max(zone_plugged[hour, c], count)
            charge, discharge = mean_power(drawn[z, s], step_h), mean_power(supplied[z, s], step_h)
            total_kw += charge - discharge
            hour_charge[c] += charge
            hour_discharge[c] += discharge
            if finer:
                flow_charge[flow, c] += charge
                flow_discharge[flow, c] += discharge
            if orders.by_step:
                meter.plugged[step, c] = count
                meter.charge_kw[step, c] = charge
                meter.discharge_kw[step, c] = discharge
            elif orders.keep_zones:
                meter.net_kw[step % orders.steps_per_hour, c] = charge - discharge
        meter.plugged_peak[hour, k] = max(meter.plugged_peak[hour, k], here)
        meter.ev_kw[step, k] = total_kw
        meter.below_min[k] += step_min * below[s]
        meter.above_min[k] += step_min * above[s]
    return change
