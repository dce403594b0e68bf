"""The compiled minute: departures, arrivals, rule, admission, battery, meter, feeder by feeder.

The order of `abm.fleet`, `abm.control` and `abm.engine.meter` once more, as loops for numba; what
is computed is said by `abm.equations` alone, which both ways call, and a property test holds the
two orders together. A feeder is walked through all the steps asked for before the next one is
touched, so that its columns stay in the cache: nothing passes between feeders within a stretch.
"""

from __future__ import annotations

import numpy as np

from abm.engine.admit import (
    BELOW_LIMIT,
    COORDINATED,
    FIRST_COME,
    LEAST_LAXITY,
    below_limit,
    coordinate,
    first_come,
    least_laxity,
)
from abm.equations.admission import room_left
from abm.equations.battery import (
    above_upper_bound,
    below_lower_bound,
    charged_in,
    discharged_in,
    mean_power,
    plugged_hours,
    printed_goal,
    soc_charged,
    soc_discharged,
    spare_soc,
    stored_energy,
)
from abm.equations.switching import can_move, charges, discharges

NEVER = 2**62


def assess(row, ev, as_printed):
    """`Fleet.assess` of one EV that is plugged in."""
    soc, capacity = ev.soc[row], ev.capacity_kwh[row]
    if as_printed and not ev.has_charged[row]:
        ev.soc_goal[row] = printed_goal(soc, ev.soc_required[row])
    need = stored_energy(ev.soc_goal[row] - soc, capacity)
    surplus = stored_energy(spare_soc(soc, ev.soc_min[row]), capacity)
    ev.need_kwh[row] = need
    ev.surplus_kwh[row] = surplus
    ev.can_charge[row] = can_move(need, True)
    ev.can_discharge[row] = can_move(surplus, ev.v2g[row])


def note_switch(row, k, step, window, ev, meter):
    """A change of mode: `Fleet.switches` and `Meter._note_switches`."""
    ev.switches[row] += 1
    last = meter.last_switch[row]
    meter.sync_change[last + window if last > step - window else step, k] += 1
    meter.sync_change[step + window, k] -= 1
    meter.last_switch[row] = step


def note_soc(k, soc, meter):
    """The extremes of the SoC: `Meter.note_soc`."""
    meter.soc_lowest[k] = min(soc, meter.soc_lowest[k])
    meter.soc_highest[k] = max(soc, meter.soc_highest[k])


def note_way(row, soc, to, ev):
    """`Cycles.go` of one EV; its turn waits in ev.turn_soc."""
    way = 1 if to > soc else -1 if to < soc else 0
    if way * ev.direction[row] < 0:
        ev.turn_soc[ev.n_turns[row], row] = soc
        ev.n_turns[row] += 1
    if way != 0:
        ev.direction[row] = way


def note_arrival(row, last, soc, ev):
    """`SocHistory.arrive` of one EV."""
    if np.isnan(last):
        ev.turn_soc[ev.n_turns[row], row] = soc
        ev.n_turns[row] += 1
    else:
        note_way(row, last, soc, ev)


def come_and_go(k, step, t0, ev, orders, meter, work):
    """Departures and arrivals of feeder k.

    Returns how many are plugged in now, how many more than before, and the next step in which
    anyone comes or goes.
    """
    next_change, n_live, change = np.int64(NEVER), 0, 0
    c0 = k * orders.n_zones
    for row in range(ev.first_row[k], ev.first_row[k + 1]):
        if ev.plugged[row] and ev.departure_step[row] <= step:
            ev.soc_departure[row] = ev.soc[row]
            ev.plugged[row] = False
            ev.can_charge[row] = False
            ev.can_discharge[row] = False
            ev.request[row] = 0
            ev.mode[row] = 0
            ev.p_kw[row] = 0.0
            ev.plugged_count[c0 + ev.zone[row]] -= 1
            change -= 1
        elif not ev.arrived[row]:
            if ev.arrival_step[row] > step:
                next_change = min(next_change, ev.arrival_step[row])
            elif ev.departure_min[row] > max(ev.arrival_min[row], t0):
                if orders.history:
                    note_arrival(row, ev.soc[row], ev.soc_arrival[row], ev)
                ev.soc[row] = ev.soc_arrival[row]
                ev.arrived[row] = True
                ev.plugged[row] = True
                ev.has_charged[row] = False
                ev.mode[row] = 0
                note_soc(k, ev.soc[row], meter)
                ev.plugged_count[c0 + ev.zone[row]] += 1
                change += 1
        if ev.plugged[row]:
            work.live[n_live] = row
            n_live += 1
            next_change = min(next_change, ev.departure_step[row])
    here = 0
    for c in range(c0, c0 + orders.n_zones):
        here += ev.plugged_count[c]
        meter.zone_plugged[orders.hour, c] = max(
            meter.zone_plugged[orders.hour, c], ev.plugged_count[c]
        )
    meter.plugged_peak[orders.hour, k] = max(meter.plugged_peak[orders.hour, k], here)
    return n_live, change, next_change


def still_moves(n_move, told, ev, orders, work):
    """Whether those who moved energy in the last step would do the same again."""
    same = True
    for i in range(n_move):
        row = work.cand[i]
        assess(row, ev, orders.as_printed)
        v2g = discharges(told, ev.can_discharge[row], ev.has_charged[row], orders.one_discharge)
        v2g = v2g and not (ev.boost[row] and ev.can_charge[row])
        if v2g != (ev.mode[row] < 0) or not (v2g or ev.can_charge[row]):
            same = False
    return same


def switch(k, n_live, step, reassess, ev, orders, meter, work):
    """The home energy manager: `Fleet.assess`, the rule, `Fleet.possible`, `Fleet.force`.

    Returns of how many the admission is to hear, and how many of them ask for G2V, for V2G, or
    boost. Who is at rest until the stretch or the set of EVs changes drops out of work.live.
    """
    told = orders.told[k]
    n_keep = n_ask = n_v2g = n_forced = 0
    ev.forced_kw[k] = 0.0
    for i in range(n_live):
        row = work.live[i]
        if reassess or ev.mode[row] != 0:
            assess(row, ev, orders.as_printed)
        can_charge, can_discharge = ev.can_charge[row], ev.can_discharge[row]
        v2g = discharges(told, can_discharge, ev.has_charged[row], orders.one_discharge)
        ev.forced[row] = ev.boost[row] and can_charge
        if ev.forced[row]:
            # Not the RPZ's to grant: it sees an EV at rest and less room.
            ev.forced_kw[k] += ev.p_max_kw[row]
            n_forced += 1
            ev.request[row] = 1
            work.ask[n_keep] = 0
            work.live[n_keep] = row
            n_keep += 1
            continue
        if v2g:
            asked = -1
            n_v2g += 1
        elif can_charge and charges(v2g, can_discharge, ev.has_charged[row], orders.charge_above):
            asked = 1
            n_ask += 1
        elif can_charge or ev.soc[row] < orders.soc_lower or ev.soc[row] > orders.soc_upper:
            asked = 0
        else:
            # Nothing to charge and not told to discharge.
            if ev.mode[row] != 0:
                note_switch(row, k, step, orders.window, ev, meter)
            ev.request[row] = 0
            ev.mode[row] = 0
            ev.p_kw[row] = 0.0
            note_soc(k, ev.soc[row], meter)
            continue
        ev.request[row] = asked
        work.ask[n_keep] = asked
        work.live[n_keep] = row
        n_keep += 1
    return n_keep, n_ask, n_v2g, n_forced


def exchange(k, n_move, step, t0, ev, orders, meter, work):
    """The batteries: `Fleet.exchange` for the rows in work.cand. Returns who is out of bounds."""
    t1, step_h = t0 + orders.step_min, orders.step_h
    n_below = n_above = 0
    flow = step % orders.steps_per_hour // orders.steps_per_flow
    for i in range(n_move):
        row = work.cand[i]
        hours = step_h
        if ev.arrival_min[row] > t0 or ev.departure_min[row] < t1:
            hours = plugged_hours(ev.arrival_min[row], ev.departure_min[row], t0, t1, step_h)
        soc, efficiency, capacity = ev.soc[row], ev.efficiency[row], ev.capacity_kwh[row]
        if ev.mode[row] > 0:
            e = charged_in(ev.need_kwh[row], ev.p_max_kw[row], efficiency, hours)
            soc = soc_charged(soc, e, efficiency, capacity, ev.soc_goal[row])
            ev.has_charged[row] = True
            ev.charged_kwh[row] += e
            work.zone_in[ev.zone[row]] += e
            if orders.points:
                meter.point_charge[flow, ev.point[row]] += mean_power(e, step_h)
            ev.p_kw[row] = mean_power(e, step_h)
        else:
            e = discharged_in(ev.surplus_kwh[row], ev.p_discharge_kw[row], efficiency, hours)
            soc = soc_discharged(soc, e, efficiency, capacity, ev.soc_min[row])
            ev.discharged_kwh[row] += e
            work.zone_out[ev.zone[row]] += e
            if orders.points:
                meter.point_discharge[flow, ev.point[row]] += mean_power(e, step_h)
            ev.p_kw[row] = -mean_power(e, step_h)
        if orders.history:
            note_way(row, ev.soc[row], soc, ev)
            ev.moment[row] += (t0 + step_h * 30.0) / 60.0 * (soc - ev.soc[row])
        ev.soc[row] = soc
        note_soc(k, soc, meter)
        if below_lower_bound(soc, orders.soc_lower):
            n_below += 1
        if above_upper_bound(soc, orders.soc_upper):
            n_above += 1
    return n_below, n_above


def meter_zones(k, step, orders, meter, work):
    """`Meter.record` of what the zones of feeder k took and gave in a step."""
    net_kw = 0.0
    finer = orders.steps_per_flow < orders.steps_per_hour
    flow = step % orders.steps_per_hour // orders.steps_per_flow
    for z in range(orders.n_zones):
        c = k * orders.n_zones + z
        charge = mean_power(work.zone_in[z], orders.step_h)
        discharge = mean_power(work.zone_out[z], orders.step_h)
        work.zone_in[z] = 0.0
        work.zone_out[z] = 0.0
        net_kw += charge - discharge
        meter.hour_charge[c] += charge
        meter.hour_discharge[c] += discharge
        if finer:
            meter.flow_charge[flow, c] += charge
            meter.flow_discharge[flow, c] += discharge
        if orders.by_step:
            meter.charge_kw[step, c] = charge
            meter.discharge_kw[step, c] = discharge
        elif orders.keep_zones:
            meter.net_kw[step % orders.steps_per_hour, c] = charge - discharge
    meter.ev_kw[step, k] = net_kw


def walk_feeder(k, ev, orders, meter, work):
    """Feeder k through the steps of a stretch. Returns how many more are plugged in than before."""
    total_change = n_live = n_move = 0
    reassess, steady = True, False
    next_change, quiet_until = np.int64(-NEVER), np.int64(NEVER)
    for step in range(orders.first_step, orders.first_step + orders.n_steps):
        # As the clock has it: whole seconds first, so that no digit differs.
        t0 = step * orders.step_s / 60.0
        if step >= next_change:
            n_live, change, next_change = come_and_go(k, step, t0, ev, orders, meter, work)
            total_change += change
            reassess, steady = True, False
        if orders.by_step:
            for c in range(k * orders.n_zones, (k + 1) * orders.n_zones):
                meter.plugged[step, c] = ev.plugged_count[c]
        if n_live == 0:
            continue
        n_below = n_above = 0
        # In the last step everybody did what they had done before, so this one brings the same
        # requests and the same answers, unless one of those that move is through.
        if steady:
            calm = bool(step < quiet_until)
            steady = calm and still_moves(n_move, orders.told[k], ev, orders, work)
        if not steady:
            n_live, n_ask, n_v2g, n_forced = switch(
                k, n_live, step, reassess, ev, orders, meter, work
            )
            reassess = False
            if orders.admission == COORDINATED:
                quiet_until = step + coordinate(k, n_live, t0, ev, orders, work)
            elif orders.admission == FIRST_COME and n_ask > 0:
                room_kw = room_left(orders.room_kw[k], ev.forced_kw[k])
                first_come(n_live, room_kw, ev, orders.n_zones, work)
            elif orders.admission == LEAST_LAXITY:
                room_kw = room_left(orders.room_kw[k], ev.forced_kw[k])
                least_laxity(n_live, room_kw, t0, ev, orders, work)
            elif orders.admission == BELOW_LIMIT and orders.closed[k]:
                below_limit(n_live, work.ask)
            # Laxity shrinks with time, so least laxity is steady only where it decides nothing.
            steady = orders.admission != LEAST_LAXITY or n_v2g == 0
            n_move = 0
            for i in range(n_live):
                row = work.live[i]
                granted = 1 if n_forced > 0 and ev.forced[row] else work.ask[i]
                if granted != ev.mode[row]:
                    note_switch(row, k, step, orders.window, ev, meter)
                    if orders.admission != COORDINATED:
                        steady = False
                elif orders.admission == LEAST_LAXITY and granted == 0:
                    steady = False
                ev.mode[row] = granted
                if granted != 0:
                    work.cand[n_move] = row
                    n_move += 1
                else:
                    ev.p_kw[row] = 0.0
                    note_soc(k, ev.soc[row], meter)
                    if below_lower_bound(ev.soc[row], orders.soc_lower):
                        n_below += 1
                        steady = False
                    if above_upper_bound(ev.soc[row], orders.soc_upper):
                        n_above += 1
                        steady = False
        out = exchange(k, n_move, step, t0, ev, orders, meter, work)
        meter_zones(k, step, orders, meter, work)
        meter.below_min[k] += orders.step_min * (n_below + out[0])
        meter.above_min[k] += orders.step_min * (n_above + out[1])
    return total_change
