"""The admission `coordinated` for numba, on one feeder; `abm.control.coordinated` says why."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

EPS_KW = 1e-6

_jit: Any = numba.njit(cache=True, nogil=True, error_model="numpy")


@_jit
def coordinate(
    n_live, live, ask, cand, laxity, served, mode, anew, room_kw, give_kw, margin_min, as_printed,
    t0, step_min, arrival_min, departure_min, p_max, p_discharge, efficiency, need, can_charge,
):  # fmt: skip
    """Set `ask` to what is granted. Returns how many steps nothing but events can change it.

    live: rows plugged in; ask, laxity: in the order of live; served: by row. An event is somebody
    who comes, goes, is full, empty or without slack.
    """
    used, forced = 0.0, 0.0
    for i in range(n_live):
        row = live[i]
        left = 60.0 * need[row] / (p_max[row] * efficiency[row])
        laxity[i] = departure_min[row] - max(arrival_min[row], t0) - max(left, 0.0)
        # 2: charges in any case; 1: at it and goes on if there is room; 0: waits or does not ask.
        if can_charge[row] and laxity[i] < step_min - 1e-9:
            cand[i] = 2
        elif ask[i] > 0 and mode[row] > 0 and not anew:
            cand[i] = 1
        else:
            cand[i] = 0
        served[row] = cand[i] > 0
        if served[row]:
            used += p_max[row]
        if cand[i] == 2:
            forced += p_max[row]

    # Charging.
    if anew or used > room_kw + EPS_KW:
        order = np.argsort(laxity[:n_live], kind="mergesort")
        total = 0.0
        for turn in (2, 1, 0):
            for i in order:
                if cand[i] == turn and (turn > 0 or ask[i] > 0):
                    total += p_max[live[i]]
                    served[live[i]] = turn == 2 or total <= room_kw + EPS_KW
    else:
        while True:
            best, least = -1, np.inf
            for i in range(n_live):
                if ask[i] > 0 and not served[live[i]] and laxity[i] < least:
                    best, least = i, laxity[i]
            if best < 0:
                break
            used += p_max[live[best]]
            if used > room_kw + EPS_KW:
                break
            served[live[best]] = True

    # Discharging: cand marks who may, 3 of those at it.
    if give_kw > EPS_KW:
        target, total, n_may = give_kw + forced, 0.0, 0
        for i in range(n_live):
            row = live[i]
            may = ask[i] < 0 and cand[i] != 2 and p_discharge[row] > EPS_KW
            if may:
                spent = _spent(row, step_min, as_printed, p_max, p_discharge, efficiency)
                may = laxity[i] - spent >= margin_min
            cand[i] = 0
            if may:
                n_may += 1
                cand[i] = 3 if mode[row] < 0 and not anew else 4
                if cand[i] == 3:
                    total += p_discharge[row]
        if n_may > 0 and (anew or total >= target - EPS_KW):
            order = np.argsort(-laxity[:n_live], kind="mergesort")
            total = 0.0
            for turn in (3, 4):
                for i in order:
                    if cand[i] == turn:
                        if total < target - EPS_KW:
                            cand[i] = 5
                        total += p_discharge[live[i]]
        elif n_may > 0:
            for i in range(n_live):
                if cand[i] == 3:
                    cand[i] = 5
            while total < target - EPS_KW:
                best, most = -1, -np.inf
                for i in range(n_live):
                    if cand[i] == 4 and laxity[i] > most:
                        best, most = i, laxity[i]
                if best < 0:
                    break
                cand[best] = 5
                total += p_discharge[live[best]]
    else:
        for i in range(n_live):
            cand[i] = 0

    quiet = 0.0 if anew else np.inf
    for i in range(n_live):
        row = live[i]
        if cand[i] == 5:
            ask[i] = -1
            spent = _spent(row, step_min, as_printed, p_max, p_discharge, efficiency)
            quiet = min(quiet, (laxity[i] - margin_min) / spent)
        elif served[row]:
            ask[i] = 1
        else:
            ask[i] = 0
            if can_charge[row]:
                quiet = min(quiet, laxity[i] / step_min)
    # Two steps less, so that no rounding can matter.
    return np.int64(max(min(quiet, 1e6) - 2.0, 0.0))


@_jit
def _spent(row, step_min, as_printed, p_max, p_discharge, efficiency):
    """Slack that discharging for a step takes, min."""
    spent = step_min
    if not as_printed:
        spent += step_min * (p_discharge[row] / (efficiency[row] ** 2 * p_max[row]))
    return spent
