"""The compiled minute: departures, arrivals, rule, admission, battery, record, feeder by feeder.

The same arithmetic as `abm.fleet`, `abm.control` and `abm.engine.meter`, which say what it
means; here it is written as loops for numba, and a property test holds the two together. A feeder
is walked through all the steps asked for before the next one is touched, so that its columns stay
in the cache: nothing passes between feeders within an hour. The assessment of an EV stands twice on
purpose: as a function of its own it made the whole seven times as slow (numba 0.68).
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from abm.engine.coordinated import coordinate

ALL_AT_ONCE, BELOW_LIMIT, FIRST_COME, LEAST_LAXITY, COORDINATED = 0, 1, 2, 3, 4
EPS_KWH = 1e-9
EPS_KW = 1e-6
# SHA-256 of coordinated.py, which is compiled into `advance`: when it changes, so does this
# file, and numba compiles anew.
COORDINATED_DIGEST = "dca9f06889ea64fc1842f843a4f0f499ff2d7d329cc792c4cf9745189243eece"

_jit: Any = numba.njit(cache=True, nogil=True, error_model="numpy")


@_jit
def fill(cand, n_cand, room_kw, p_max, arrival, zone, n_zones, served):
    """`abm.control.admission.fill` on one feeder. cand: rows in order; returns the kW served."""
    if n_cand == 0:
        return 0.0
    unit, least = 0.0, np.inf
    for i in range(n_cand):
        unit = max(unit, p_max[cand[i]])
        least = min(least, p_max[cand[i]])
    if room_kw < least - EPS_KW:
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
    chargers = min(math.floor(max(room_kw, 0.0) / unit + EPS_KW), n_cand)
    share = np.zeros(n_zones, dtype=np.int64)
    remainder = np.zeros(n_zones)
    missing = chargers
    for z in range(n_zones):
        quota = waiting[z] * (chargers / max(n_cand, 1))
        share[z] = math.floor(quota + 1e-9)
        remainder[z] = quota - share[z]
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
        if total <= share[now_zone] * unit + EPS_KW:
            served[row] = True
            given += p_max[row]
        else:
            cand[n_rest] = row
            n_rest += 1
    left = room_kw - given
    some_fit = False
    for i in range(n_rest):
        if left >= p_max[cand[i]] - EPS_KW:
            some_fit = True
    if some_fit:
        rest = cand[:n_rest].copy()
        rest = rest[np.argsort(arrival[rest], kind="mergesort")]
        total = 0.0
        for i in range(n_rest):
            total += p_max[rest[i]]
            if total <= left + EPS_KW:
                served[rest[i]] = True
                given += p_max[rest[i]]
    return given


@_jit
def admit(
    k, n_live, n_ask, live, ask, cand, laxity, served, mode, admission, closed, room_kw, guarantee,
    as_printed, t0, step_min, n_zones, zone, arrival_min, departure_min, p_max, p_discharge,
    efficiency, need, can_charge, forced,
):  # fmt: skip
    """`abm.control.admission` on feeder k: takes out of `ask` what is not granted."""
    if admission == BELOW_LIMIT and closed:
        for i in range(n_live):
            if ask[i] > 0:
                ask[i] = 0
    elif admission == FIRST_COME and n_ask > 0:
        room, used, n_keep, n_wait = max(room_kw, 0.0), 0.0, 0, 0
        for i in range(n_live):
            row = live[i]
            served[row] = ask[i] > 0 and mode[row] > 0
            if served[row]:
                used += p_max[row]
                cand[n_keep] = row
                n_keep += 1
        if used > room + EPS_KW:
            for i in range(n_keep):
                served[cand[i]] = False
            used = fill(cand, n_keep, room, p_max, arrival_min, zone, n_zones, served)
        for i in range(n_live):
            if ask[i] > 0 and mode[live[i]] <= 0:
                cand[n_wait] = live[i]
                n_wait += 1
        fill(cand, n_wait, room - used, p_max, arrival_min, zone, n_zones, served)
        for i in range(n_live):
            if ask[i] > 0 and not served[live[i]]:
                ask[i] = 0
    elif admission == LEAST_LAXITY:
        n_wait = 0
        for i in range(n_live):
            row = live[i]
            served[row] = False
            left = 60.0 * need[row] / (p_max[row] * efficiency[row])
            laxity[i] = departure_min[row] - max(arrival_min[row], t0) - max(left, 0.0)
            if guarantee and (can_charge[row] or ask[i] < 0) and not forced[row]:
                spent = step_min
                if not as_printed and ask[i] < 0:
                    back = p_discharge[row] / (efficiency[row] ** 2 * p_max[row])
                    spent += step_min * back
                if laxity[i] < spent - 1e-9:
                    ask[i] = 1 if can_charge[row] else 0
                    served[row] = can_charge[row]
            if ask[i] > 0:
                cand[n_wait] = i
                n_wait += 1
        order = cand[:n_wait][np.argsort(laxity[cand[:n_wait]], kind="mergesort")]
        room, total = max(room_kw, 0.0), 0.0
        for i in order:
            total += p_max[live[i]]
            if total <= room + EPS_KW:
                served[live[i]] = True
        for i in range(n_live):
            if ask[i] > 0 and not served[live[i]]:
                ask[i] = 0


@_jit
def note_switch(row, k, step, switches, last_switch, sync_change, sync_window):
    """A change of mode: `Fleet.switches` and `Meter._note_switches`."""
    switches[row] += 1
    last = last_switch[row]
    sync_change[last + sync_window if last > step - sync_window else step, k] += 1
    sync_change[step + sync_window, k] -= 1
    last_switch[row] = step


@_jit
def advance(
    first_feeder, last_feeder, first_step, n_steps, hour, step_s, step_min, step_h, n_zones,
    first_row, zone, arrival_min, departure_min, announced_min, arrival_step, departure_step,
    v2g_allowed, boost, forced, forced_kw, capacity, efficiency, p_max, p_discharge,
    soc_min, soc_arrival, soc_required, soc_goal,
    soc, soc_departure, arrived, plugged, has_charged, can_charge, can_discharge, request, mode,
    need, surplus, p_kw, charged, discharged, plugged_count,
    switches, as_printed, told, closed, room_kw, with_v2g, one_discharge, charge_above,
    admission, guarantee,
    minutes, charge_kw, discharge_kw, plugged_steps, hour_charge, hour_discharge,
    zone_plugged, plugged_peak, soc_lowest, soc_highest, below_min, above_min, soc_lower, soc_upper,
    ev_kw, sync_change, last_switch, sync_window,
    give_kw, margin_min, steps_per_hour,
):  # fmt: skip
    """Walk feeders first_feeder to last_feeder - 1 through n_steps steps of one hour.

    Columns as in `Fleet`, arrays as in `Meter`; told, closed (K,): whether eq. (13) tells to
    discharge, whether demand is at or above the limit; room_kw (K,): headroom for charging.
    give_kw (K,), margin_min: what the admission coordinated calls for and spares.
    Returns the change of the number of EVs plugged in.
    """
    change = 0
    largest = 0
    for k in range(first_feeder, last_feeder):
        largest = max(largest, first_row[k + 1] - first_row[k])
    live = np.empty(largest, dtype=np.int64)
    cand = np.empty(largest, dtype=np.int64)
    ask = np.zeros(largest, dtype=np.int8)
    laxity = np.zeros(largest)
    served = np.zeros(len(plugged), dtype=np.bool_)  # only rows of these feeders are touched
    zone_in = np.zeros(n_zones)
    zone_out = np.zeros(n_zones)
    never = np.int64(2) ** 62
    for k in range(first_feeder, last_feeder):
        r0, r1 = first_row[k], first_row[k + 1]
        c0 = k * n_zones
        n_live = n_move = here = 0
        # What the rule does not depend on within an hour: the broadcast.
        v2g_now = with_v2g and told[k]
        reassess, steady = True, False
        next_change, quiet_until = -never, never
        for step in range(first_step, first_step + n_steps):
            # As the clock has it: whole seconds first, so that no digit differs.
            t0 = step * step_s / 60.0
            t1 = t0 + step_min
            if step >= next_change:
                # Depart, arrive, and look for the next step in which anyone does.
                next_change = never
                n_live = 0
                reassess, steady = True, False
                for row in range(r0, r1):
                    if plugged[row] and departure_step[row] <= step:
                        soc_departure[row] = soc[row]
                        plugged[row] = False
                        can_charge[row] = False
                        can_discharge[row] = False
                        request[row] = 0
                        mode[row] = 0
                        p_kw[row] = 0.0
                        plugged_count[c0 + zone[row]] -= 1
                        change -= 1
                    elif not arrived[row]:
                        if arrival_step[row] > step:
                            next_change = min(next_change, arrival_step[row])
                        elif departure_min[row] > max(arrival_min[row], t0):
                            soc[row] = soc_arrival[row]
                            arrived[row] = True
                            plugged[row] = True
                            has_charged[row] = False
                            mode[row] = 0
                            soc_lowest[k] = min(soc[row], soc_lowest[k])
                            soc_highest[k] = max(soc[row], soc_highest[k])
                            plugged_count[c0 + zone[row]] += 1
                            change += 1
                    if plugged[row]:
                        live[n_live] = row
                        n_live += 1
                        next_change = min(next_change, departure_step[row])
                here = 0
                for z in range(n_zones):
                    count = plugged_count[c0 + z]
                    here += count
                    zone_plugged[hour, c0 + z] = max(zone_plugged[hour, c0 + z], count)
                plugged_peak[hour, k] = max(plugged_peak[hour, k], here)
            if minutes:
                for z in range(n_zones):
                    plugged_steps[step, c0 + z] = plugged_count[c0 + z]
            if n_live == 0:
                continue

            n_below = n_above = 0
            if step >= quiet_until:
                steady = False
            if steady:
                # In the last step everybody did what they had done before, so this one brings the
                # same requests and the same answers, unless one of those that move is through.
                for i in range(n_move):
                    row = cand[i]
                    if as_printed and not has_charged[row]:
                        soc_goal[row] = min(soc[row] + soc_required[row], 1.0)
                    need[row] = (soc_goal[row] - soc[row]) * capacity[row]
                    surplus[row] = (soc[row] - soc_min[row]) * capacity[row]
                    can_charge[row] = need[row] > EPS_KWH
                    can_discharge[row] = surplus[row] > EPS_KWH and v2g_allowed[row]
                    v2g = v2g_now and can_discharge[row] and not (boost[row] and can_charge[row])
                    if v2g and one_discharge and has_charged[row]:
                        v2g = False
                    if v2g != (mode[row] < 0) or not (v2g or can_charge[row]):
                        steady = False
            if not steady:
                # The home energy manager: Fleet.assess, the rule, Fleet.possible.
                n_ask = n_v2g = n_keep = n_forced = 0
                forced_kw[k] = 0.0
                for i in range(n_live):
                    row = live[i]
                    if reassess or mode[row] != 0:
                        if as_printed and not has_charged[row]:
                            soc_goal[row] = min(soc[row] + soc_required[row], 1.0)
                        need[row] = (soc_goal[row] - soc[row]) * capacity[row]
                        surplus[row] = (soc[row] - soc_min[row]) * capacity[row]
                        can_charge[row] = need[row] > EPS_KWH
                        can_discharge[row] = surplus[row] > EPS_KWH and v2g_allowed[row]
                    v2g = v2g_now and can_discharge[row]
                    if v2g and one_discharge and has_charged[row]:
                        v2g = False
                    forced[row] = boost[row] and can_charge[row]
                    if forced[row]:
                        # Not the RPZ's to grant: it sees an EV at rest and less room.
                        forced_kw[k] += p_max[row]
                        n_forced += 1
                        ask[n_keep] = 0
                        request[row] = 1
                        live[n_keep] = row
                        n_keep += 1
                        continue
                    if v2g:
                        ask[n_keep] = -1
                        n_v2g += 1
                    elif can_charge[row] and (
                        not with_v2g or charge_above or has_charged[row] or not can_discharge[row]
                    ):
                        ask[n_keep] = 1
                        n_ask += 1
                    elif can_charge[row] or soc[row] < soc_lower or soc[row] > soc_upper:
                        ask[n_keep] = 0
                    else:
                        # Nothing to charge and not told to discharge: at rest until the hour or the
                        # set of EVs changes.
                        if mode[row] != 0:
                            note_switch(
                                row, k, step, switches, last_switch, sync_change, sync_window
                            )
                        request[row] = 0
                        mode[row] = 0
                        p_kw[row] = 0.0
                        soc_lowest[k] = min(soc[row], soc_lowest[k])
                        soc_highest[k] = max(soc[row], soc_highest[k])
                        continue
                    request[row] = ask[n_keep]
                    live[n_keep] = row
                    n_keep += 1
                n_live = n_keep
                reassess = False
                if admission == COORDINATED:
                    quiet_until = step + coordinate(
                        n_live, live, ask, cand, laxity, served, mode, step % steps_per_hour == 0,
                        room_kw[k], give_kw[k], forced_kw[k], margin_min, as_printed, t0, step_min,
                        arrival_min, announced_min, p_max, p_discharge, efficiency, need,
                        can_charge, forced,
                    )  # fmt: skip
                admit(
                    k, n_live, n_ask, live, ask, cand, laxity, served, mode, admission, closed[k],
                    room_kw[k] - forced_kw[k], guarantee, as_printed, t0, step_min, n_zones, zone,
                    arrival_min, announced_min, p_max, p_discharge, efficiency, need, can_charge,
                    forced,
                )  # fmt: skip
                if n_forced > 0:
                    for i in range(n_live):
                        if forced[live[i]]:
                            ask[i] = 1
                # Laxity shrinks with time, so least laxity is steady only where it decides nothing.
                steady = admission != LEAST_LAXITY or n_v2g == 0
                n_move = 0
                for i in range(n_live):
                    row = live[i]
                    if ask[i] != mode[row]:
                        note_switch(row, k, step, switches, last_switch, sync_change, sync_window)
                        if admission != COORDINATED:
                            steady = False
                    elif admission == LEAST_LAXITY and ask[i] == 0:
                        steady = False
                    mode[row] = ask[i]
                    if ask[i] != 0:
                        cand[n_move] = row
                        n_move += 1
                    else:
                        p_kw[row] = 0.0
                        soc_lowest[k] = min(soc[row], soc_lowest[k])
                        soc_highest[k] = max(soc[row], soc_highest[k])
                        if soc[row] < soc_lower - 1e-9:
                            n_below += 1
                            steady = False
                        if soc[row] > soc_upper + 1e-9:
                            n_above += 1
                            steady = False

            # The batteries: Fleet.exchange. `cand` holds who moves energy.
            for z in range(n_zones):
                zone_in[z] = 0.0
                zone_out[z] = 0.0
            for i in range(n_move):
                row = cand[i]
                window = step_h
                if arrival_min[row] > t0 or departure_min[row] < t1:
                    begin, end = max(arrival_min[row], t0), min(departure_min[row], t1)
                    window = max((end - begin) / 60.0, 0.0)
                    if window > step_h * (1.0 - 1e-9):
                        window = step_h
                if mode[row] > 0:
                    e = min(need[row] / efficiency[row], p_max[row] * window)
                    soc[row] = min(soc[row] + e * efficiency[row] / capacity[row], soc_goal[row])
                    has_charged[row] = True
                    charged[row] += e
                    zone_in[zone[row]] += e
                    p_kw[row] = e / step_h
                else:
                    e = min(surplus[row] * efficiency[row], p_discharge[row] * window)
                    soc[row] = max(soc[row] - e / efficiency[row] / capacity[row], soc_min[row])
                    discharged[row] += e
                    zone_out[zone[row]] += e
                    p_kw[row] = -e / step_h
                soc_lowest[k] = min(soc[row], soc_lowest[k])
                soc_highest[k] = max(soc[row], soc_highest[k])
                if soc[row] < soc_lower - 1e-9:
                    n_below += 1
                if soc[row] > soc_upper + 1e-9:
                    n_above += 1
            net_kw = 0.0
            for z in range(n_zones):
                charge, discharge = zone_in[z] / step_h, zone_out[z] / step_h
                net_kw += charge - discharge
                hour_charge[c0 + z] += charge
                hour_discharge[c0 + z] += discharge
                if minutes:
                    charge_kw[step, c0 + z] = charge
                    discharge_kw[step, c0 + z] = discharge
            ev_kw[step, k] = net_kw
            below_min[k] += step_min * n_below
            above_min[k] += step_min * n_above
    return change
