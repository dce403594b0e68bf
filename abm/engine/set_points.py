"""The walk of one feeder whose EVs hold the powers that were set, see `abm.control.SetPoints`.

Nobody is asked between two settings, so only those that move energy are looked at in a step; the
others are when somebody comes or goes.
"""

from __future__ import annotations

import numpy as np

from abm.engine.hour import NEVER, note_arrival, note_soc, note_way
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


def moves(row, movers, n_move):
    """Whether an EV is among those that moved energy in the last step."""
    for i in range(n_move):  # noqa: SIM110 - numba compiles a loop sooner than a generator
        if movers[i] == row:
            return True
    return False


def put_in(row, movers, n_move):
    """Put an EV among those that move energy, which are in the order of rows."""
    j = n_move
    while j > 0 and movers[j - 1] > row:
        movers[j] = movers[j - 1]
        j -= 1
    movers[j] = row


def note_point(row, step, orders, meter, ev):
    """Power of an EV at its point of a three-phase feeder."""
    flow = step % orders.steps_per_hour // orders.steps_per_flow
    if ev.mode[row] > 0:
        meter.point_charge[flow, ev.point[row]] += ev.p_kw[row]
    else:
        meter.point_discharge[flow, ev.point[row]] -= ev.p_kw[row]


def walk_set(k, ev, orders, meter, work):
    """`abm.engine.hour.walk_feeder` where powers are held.

    Columns have names of their own here, since each look at a tuple of arrays within a loop takes
    longer than what is computed.
    """
    held, events, movers, power_kw = orders.held, work.turn, work.cand, orders.held.power_kw
    soc_arrival, soc_departure, announced_min = ev.soc_arrival, ev.soc_departure, ev.announced_min
    need_kwh, surplus_kwh, v2g, request = ev.need_kwh, ev.surplus_kwh, ev.v2g, ev.request
    switches, last_switch, sync_change = ev.switches, meter.last_switch, meter.sync_change
    plugged_count, zone_plugged, plugged_peak = (
        ev.plugged_count, meter.zone_plugged, meter.plugged_peak,
    )  # fmt: skip
    window, hour, c0 = orders.window, orders.hour, k * orders.n_zones
    # By place on the feeder: energy of a step, positive = drawn, and until when each moves as much.
    step_kwh, until = work.power_kw, work.live
    below, above = np.zeros((2, orders.n_steps), dtype=np.int64)
    plain = not orders.points and not orders.history
    zone_in, zone_out, boost = work.zone_in, work.zone_out, ev.boost
    can_charge, can_discharge = ev.can_charge, ev.can_discharge
    zone, plugged, arrived, mode = ev.zone, ev.plugged, ev.arrived, ev.mode
    arrival_step, departure_step = ev.arrival_step, ev.departure_step
    arrival_min, departure_min = ev.arrival_min, ev.departure_min
    soc, soc_goal, soc_min, has_charged = ev.soc, ev.soc_goal, ev.soc_min, ev.has_charged
    soc_required, capacity_kwh, efficiency = ev.soc_required, ev.capacity_kwh, ev.efficiency
    charge_kw, discharge_kw, p_kw = ev.p_max_kw, ev.p_discharge_kw, ev.p_kw
    charged_kwh, discharged_kwh = ev.charged_kwh, ev.discharged_kwh
    hour_charge, hour_discharge, ev_kw = meter.hour_charge, meter.hour_discharge, meter.ev_kw
    flow_charge, flow_discharge, net_kw = meter.flow_charge, meter.flow_discharge, meter.net_kw
    step_charge, step_discharge = meter.charge_kw, meter.discharge_kw
    finer = orders.steps_per_flow < orders.steps_per_hour
    as_printed, step_h, step_min = orders.as_printed, orders.step_h, orders.step_min
    lower, upper, n_zones = orders.soc_lower, orders.soc_upper, orders.n_zones
    first_step, last_step = orders.first_step, orders.first_step + orders.n_steps
    begin, end = ev.first_row[k], ev.first_row[k + 1]
    n_events = n_move = n_below = n_above = total_change = n_plugged = 0
    for row in range(begin, end):
        if plugged[row]:
            n_plugged += 1
            if departure_step[row] < last_step:
                events[n_events] = row
                n_events += 1
        elif not arrived[row] and arrival_step[row] < last_step:
            events[n_events] = row
            n_events += 1
    next_event = np.int64(-NEVER)
    lowest, highest = np.inf, -np.inf
    for step in range(first_step, last_step):
        # As the clock has it: whole seconds first, so that no digit differs.
        t0 = step * orders.step_s / 60.0
        if step >= next_event:
            next_event = np.int64(NEVER)
            for i in range(n_events):
                row = events[i]
                c = c0 + zone[row]
                if plugged[row] and departure_step[row] <= step:
                    if step > first_step and not moves(row, movers, n_move):
                        n_below -= below_lower_bound(soc[row], lower)
                        n_above -= above_upper_bound(soc[row], upper)
                    soc_departure[row] = soc[row]
                    plugged[row] = can_charge[row] = can_discharge[row] = False
                    mode[row] = request[row] = 0
                    p_kw[row] = 0.0
                    plugged_count[c] -= 1
                    n_plugged -= 1
                    total_change -= 1
                elif not arrived[row] and arrival_step[row] > step:
                    next_event = min(next_event, arrival_step[row])
                elif not arrived[row] and departure_min[row] > max(arrival_min[row], t0):
                    now, capacity, eta = soc_arrival[row], capacity_kwh[row], efficiency[row]
                    if orders.history:
                        note_arrival(row, soc[row], now, ev)
                    soc[row] = now
                    plugged[row] = arrived[row] = True
                    has_charged[row] = False
                    mode[row] = 0
                    lowest, highest = min(lowest, now), max(highest, now)
                    plugged_count[c] += 1
                    n_plugged += 1
                    total_change += 1
                    if step > first_step:
                        zone_plugged[hour, c] = max(zone_plugged[hour, c], plugged_count[c])
                        # It waits until powers are set again, but for those that must charge.
                        if as_printed:
                            soc_goal[row] = printed_goal(now, soc_required[row])
                        need = stored_energy(soc_goal[row] - now, capacity)
                        surplus = stored_energy(spare_soc(now, soc_min[row]), capacity)
                        need_kwh[row], surplus_kwh[row] = need, surplus
                        can_charge[row] = can_move(need, True)
                        can_discharge[row] = can_move(surplus, v2g[row])
                        if np.isnan(power_kw[row]):
                            left = charging_minutes(need, charge_kw[row], eta)
                            latest = latest_start(announced_min[row], left)
                            must = must_charge(
                                can_charge[row], boost[row], held.guarantee,
                                slack(latest, arrival_min[row], t0),
                                minutes_until_set(t0, held.interval_min),
                            )  # fmt: skip
                            power_kw[row] = charge_kw[row] if must else 0.0
                        to = mode_of(power_kw[row], can_charge[row], can_discharge[row], boost[row])
                        if to != 0:
                            go_to(row, to, k, step, window, mode, request, switches, last_switch,
                                  sync_change)  # fmt: skip
                            put_in(row, movers, n_move)
                            until[row - begin] = 0
                            n_move += 1
                        else:
                            n_below += below_lower_bound(now, lower)
                            n_above += above_upper_bound(now, upper)
                if plugged[row]:
                    next_event = min(next_event, departure_step[row])
            if step == first_step:
                for c in range(c0, c0 + n_zones):
                    zone_plugged[hour, c] = max(zone_plugged[hour, c], plugged_count[c])
            plugged_peak[hour, k] = max(plugged_peak[hour, k], n_plugged)
        if orders.by_step:
            for c in range(c0, c0 + n_zones):
                meter.plugged[step, c] = plugged_count[c]
        if n_plugged == 0:
            n_move = n_below = n_above = 0
            continue
        if step == first_step:
            set_powers(k, t0, ev, orders, work)
            n_move = 0
            for row in range(begin, end):
                if not plugged[row]:
                    continue
                to = mode_of(power_kw[row], can_charge[row], can_discharge[row], boost[row])
                if to != mode[row]:
                    go_to(row, to, k, step, window, mode, request, switches, last_switch,
                          sync_change)  # fmt: skip
                    p_kw[row] = 0.0
                if to != 0:
                    movers[n_move] = row
                    n_move += 1
                    until[row - begin] = 0
                else:
                    n_below += below_lower_bound(soc[row], lower)
                    n_above += above_upper_bound(soc[row], upper)
        n_left = out_below = out_above = 0
        t1 = t0 + step_min
        for i in range(n_move):
            row = movers[i]
            place = row - begin
            if step < until[place]:
                # Its battery is there already; zones are summed up in the order of rows.
                energy = step_kwh[place]
                if energy > 0.0:
                    zone_in[zone[row]] += energy
                else:
                    zone_out[zone[row]] -= energy
                movers[n_left] = row
                n_left += 1
                continue
            if not plugged[row]:
                continue
            now, charges = soc[row], mode[row] > 0
            eta, capacity = efficiency[row], capacity_kwh[row]
            if as_printed and not has_charged[row]:
                soc_goal[row] = printed_goal(now, soc_required[row])
            if charges:
                stored = stored_energy(soc_goal[row] - now, capacity)
            else:
                stored = stored_energy(spare_soc(now, soc_min[row]), capacity)
            if not can_move(stored, True):
                # It is through, and rests until powers are set again.
                go_to(row, 0, k, step, window, mode, request, switches, last_switch,
                      sync_change)  # fmt: skip
                p_kw[row] = 0.0
                n_below += below_lower_bound(now, lower)
                n_above += above_upper_bound(now, upper)
                continue
            movers[n_left] = row
            n_left += 1
            hours = step_h
            if arrival_min[row] > t0 or departure_min[row] < t1:
                hours = plugged_hours(arrival_min[row], departure_min[row], t0, t1, step_h)
            power = abs(power_kw[row])
            steady = plain and hours == step_h and (charges or not as_printed)
            if charges:
                e = charged_in(stored, min(charge_kw[row], power), eta, hours)
                after = soc_charged(now, e, eta, capacity, soc_goal[row])
                has_charged[row] = True
                charged_kwh[row] += e
                zone_in[zone[row]] += e
                p_kw[row] = mean_power(e, step_h)
                each = soc_drawn(e, eta, capacity)
            else:
                e = discharged_in(stored, min(discharge_kw[row], power), eta, hours)
                after = soc_discharged(now, e, eta, capacity, soc_min[row])
                discharged_kwh[row] += e
                zone_out[zone[row]] += e
                p_kw[row] = -mean_power(e, step_h)
                each = soc_supplied(e, eta, capacity)
            if orders.points:
                note_point(row, step, orders, meter, ev)
            if orders.history:
                note_way(row, now, after, ev)
                ev.moment[row] += (t0 + step_h * 30.0) / 60.0 * (after - now)
            lowest, highest = min(lowest, after), max(highest, after)
            out_below += below_lower_bound(after, lower)
            out_above += above_upper_bound(after, upper)
            if steady:
                # Far from where it ends whole steps move what this one did.
                step_kwh[place] = e if charges else -e
                moved = charged_kwh[row] if charges else discharged_kwh[row]
                ends, leaves = soc_goal[row] if charges else soc_min[row], departure_min[row]
                ahead = step + 1
                while ahead < last_step:
                    room = ends - after if charges else after - ends
                    if room <= 2.0 * each or leaves < ahead * orders.step_s / 60.0 + step_min:
                        break
                    after = after + each if charges else after - each
                    moved += e
                    below[ahead - first_step] += below_lower_bound(after, lower)
                    above[ahead - first_step] += above_upper_bound(after, upper)
                    ahead += 1
                until[place] = ahead
                if charges:
                    charged_kwh[row] = moved
                else:
                    discharged_kwh[row] = moved
                lowest, highest = min(lowest, after), max(highest, after)
            soc[row] = after
        n_move = n_left
        out_below += below[step - first_step]
        out_above += above[step - first_step]
        # `abm.engine.hour.meter_zones`.
        total_kw = 0.0
        flow = step % orders.steps_per_hour // orders.steps_per_flow
        for z in range(n_zones):
            c = c0 + z
            charge, discharge = mean_power(zone_in[z], step_h), mean_power(zone_out[z], step_h)
            zone_in[z] = 0.0
            zone_out[z] = 0.0
            total_kw += charge - discharge
            hour_charge[c] += charge
            hour_discharge[c] += discharge
            if finer:
                flow_charge[flow, c] += charge
                flow_discharge[flow, c] += discharge
            if orders.by_step:
                step_charge[step, c] = charge
                step_discharge[step, c] = discharge
            elif orders.keep_zones:
                net_kw[step % orders.steps_per_hour, c] = charge - discharge
        ev_kw[step, k] = total_kw
        meter.below_min[k] += step_min * (n_below + out_below)
        meter.above_min[k] += step_min * (n_above + out_above)
    if lowest <= highest:
        note_soc(k, lowest, meter)
        note_soc(k, highest, meter)
    return total_change
