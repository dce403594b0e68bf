"""The admission `coordinated` for numba, on one feeder; `abm.control.coordinated` says why.

numba keeps the compiled hour as long as hour.py stays the same, so hour.py holds the digest of this
file: a test says so when it is out of date.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

EPS_KW = 1e-6
# What an EV does: waits or does not ask, may discharge, may go on discharging, discharges, is at
# charging and goes on if there is room, charges in any case.
WAITS, MAY, GOES_ON, GIVES, CHARGES, MUST = 0, 1, 2, 3, 4, 5

_jit: Any = numba.njit(cache=True, nogil=True, error_model="numpy")


@_jit
def coordinate(
    n_live, live, ask, turn, latest, served, mode, anew, room_kw, give_kw, boost_kw, margin_min,
    as_printed, t0, step_min, arrival_min, announced_min, p_max, p_discharge, efficiency, need,
    can_charge, boosts,
):  # fmt: skip
    """Set `ask` to what is granted. Returns for how many steps nothing but events can change it.

    live: rows plugged in; ask, turn, latest: in the order of live; served: by row. An event is
    somebody who comes, goes, or has nothing left to charge or to give. Answers stand until then,
    or until the slack of somebody who waits or discharges is gone: the order of those who wait does
    not change with time, and nobody else fits. Where that is not sure 0 is returned.
    """
    room_kw = max(room_kw - boost_kw, 0.0)
    used, forced, small = 0.0, 0.0, np.inf
    best, least, slackest, most, quiet = -1, np.inf, -1, -np.inf, np.inf
    for i in range(n_live):
        row = live[i]
        left = 60.0 * need[row] / (p_max[row] * efficiency[row])
        start = announced_min[row] - max(left, 0.0)
        latest[i] = start
        served[row] = True
        if boosts[row]:
            # Charges in any case, and not by anything that is granted here.
            turn[i] = WAITS
            served[row] = False
        elif can_charge[row] and start - max(arrival_min[row], t0) < step_min - 1e-9:
            turn[i] = MUST
            used += p_max[row]
            forced += p_max[row]
        elif ask[i] > 0 and mode[row] > 0 and not anew:
            turn[i] = CHARGES
            used += p_max[row]
        else:
            turn[i] = WAITS
            served[row] = False
            if ask[i] > 0:
                small = min(small, p_max[row])
                if start < least:
                    best, least = i, start
            elif ask[i] < 0 and p_discharge[row] > EPS_KW:
                turn[i] = MAY
                if mode[row] < 0 and not anew:
                    turn[i] = GOES_ON
                elif start > most:
                    slackest, most = i, start
    if anew or (forced > 0.0 and give_kw > EPS_KW):
        quiet = 0.0

    # Charging.
    if anew or used > room_kw + EPS_KW:
        quiet = 0.0
        order = np.argsort(latest[:n_live], kind="mergesort")
        total = 0.0
        for now in (MUST, CHARGES, WAITS):
            for i in order:
                if turn[i] == now and (now != WAITS or ask[i] > 0):
                    total += p_max[live[i]]
                    served[live[i]] = now == MUST or total <= room_kw + EPS_KW
    else:
        # No room for the smallest of those who wait is no room for anyone.
        while best >= 0 and used + small <= room_kw + EPS_KW:
            used += p_max[live[best]]
            if used > room_kw + EPS_KW:
                break
            served[live[best]] = True
            best, least = -1, np.inf
            for i in range(n_live):
                if turn[i] == WAITS and ask[i] > 0 and latest[i] < least and not served[live[i]]:
                    best, least = i, latest[i]

    if give_kw > EPS_KW:
        quiet = min(quiet, call(
            n_live, live, turn, latest, slackest, anew, give_kw + forced + boost_kw,
            margin_min, as_printed, t0, step_min, arrival_min, p_max, p_discharge, efficiency,
        ))  # fmt: skip
    least = np.inf
    for i in range(n_live):
        row = live[i]
        if turn[i] == GIVES:
            ask[i] = -1
        elif served[row]:
            ask[i] = 1
        else:
            ask[i] = 0
            if can_charge[row] and not boosts[row]:
                least = min(least, latest[i])
    quiet = min(quiet, (least - t0) / step_min)
    # Two steps less, so that no rounding can matter.
    return np.int64(max(min(quiet, 1e6) - 2.0, 0.0))


@_jit
def call(
    n_live, live, turn, latest, slackest, anew, target_kw, margin_min, as_printed,
    t0, step_min, arrival_min, p_max, p_discharge, efficiency,
):  # fmt: skip
    """Mark in `turn` who discharges: GIVES. Returns as `coordinate`, two steps more.

    slackest: who has most slack of those who MAY, -1 where nobody does.
    """
    total, small, quiet = 0.0, np.inf, np.inf
    for i in range(n_live):
        if turn[i] == GOES_ON:
            row = live[i]
            spent = spent_min(row, step_min, as_printed, p_max, p_discharge, efficiency)
            slack = latest[i] - max(arrival_min[row], t0) - margin_min
            if slack >= spent:
                turn[i] = GIVES
                total += p_discharge[row]
                small = min(small, p_discharge[row])
                quiet = min(quiet, slack / spent)
            else:
                turn[i] = WAITS
    sort = anew or total - small >= target_kw - EPS_KW
    order = np.argsort(-latest[:n_live], kind="mergesort") if sort else np.empty(0, dtype=np.int64)
    if sort:
        total, quiet = 0.0, 0.0
        for i in order:
            if turn[i] == GIVES:
                if total >= target_kw - EPS_KW:
                    turn[i] = WAITS
                total += p_discharge[live[i]]
    at, best = 0, slackest
    while total < target_kw - EPS_KW:
        if sort:
            while at < n_live and turn[order[at]] != MAY:
                at += 1
            best = order[at] if at < n_live else -1
        if best < 0:
            break
        row = live[best]
        spent = spent_min(row, step_min, as_printed, p_max, p_discharge, efficiency)
        slack = latest[best] - max(arrival_min[row], t0) - margin_min
        turn[best] = WAITS
        if slack >= spent:
            turn[best] = GIVES
            total += p_discharge[row]
            small = min(small, p_discharge[row])
            quiet = min(quiet, slack / spent)
        if not sort and total < target_kw - EPS_KW:
            best, most = -1, -np.inf
            for i in range(n_live):
                if turn[i] == MAY and latest[i] > most:
                    best, most = i, latest[i]
    return 0.0 if total - small >= target_kw - EPS_KW else quiet


@_jit
def spent_min(row, step_min, as_printed, p_max, p_discharge, efficiency):
    """Slack that discharging for a step takes, min."""
    spent = step_min
    if not as_printed:
        spent += step_min * (p_discharge[row] / (efficiency[row] ** 2 * p_max[row]))
    return spent
