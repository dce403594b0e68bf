"""The level of the strategy `coordinated`: the least at which all that is due is done in time.

One feeder by slots of a quarter of an hour, written as loops over numbers, so that Python walks
over lists and numba over arrays, and both find the same bits. Demands, powers and levels in kW,
energies in kWh at the grid side. docs/coordinated.md derives it.
"""

from __future__ import annotations

import math
from typing import Any

SLOT_MIN = 15
SLOT_H = SLOT_MIN / 60.0
# What stands in the rows of `slots`, (N_ROWS, n_slots): demand that is filled and that is shaved;
# what must have been charged by the end of the slot, what can have been discharged by then, what of
# that can be put back later; ratings plugged in, both ways; whether lower demand is still to come.
LOW, HIGH, DUE, HAVE, LATER, CHARGE, DISCHARGE, EVENING = range(8)
N_ROWS = 8
# And in `numbers`: kWh to charge again for each kWh discharged; half a charger, half a discharger.
BACK, HALF_CHARGER, HALF_DISCHARGER = range(3)
# Energies below this are rounding, kWh.
NOTHING_KWH = 1e-6
# Levels are whole multiples of 2^-16 of the power of two above the highest: some 0.06 kW in 4 MW.
# A search finds the same one wherever it begins.
GRAIN = 16
# First stride of a search from where the last one ended, in multiples of that.
STRIDE = 64


def covers(level, peak, strict, slots, numbers):
    """Whether EVs that fill demand up to level and shave it down to peak do all in time.

    What is due is charged whatever the level is; what goes beyond the peak then, others discharge,
    where an evening leaves time to put it back. strict: nothing may be due beyond the level.
    """
    low, high, due, have, later = slots[LOW], slots[HIGH], slots[DUE], slots[HAVE], slots[LATER]
    charge, discharge, evening = slots[CHARGE], slots[DISCHARGE], slots[EVENING]
    back, half_charger = numbers[BACK], numbers[HALF_CHARGER]
    half_discharger = numbers[HALF_DISCHARGER]
    charged = discharged = 0.0
    # Who leaves cannot give any more.
    most = math.inf
    for t in range(len(low)):
        # Whole chargers leave half of one free on average, and shave half of one too much.
        room = level - low[t] - half_charger
        fills = 0.0
        if room > 0.0:
            fills = min(room, charge[t]) * SLOT_H
            charged += fills
        over = high[t] - peak
        if over > 0.0:
            discharged += min(over + half_discharger, discharge[t]) * SLOT_H
        needed = due[t] + back * max(discharged - later[t], 0.0)
        if charged < needed - NOTHING_KWH:
            if strict or evening[t] == 0.0:
                return False
            beside = min(max(peak - low[t] - half_charger, 0.0), charge[t]) * SLOT_H - fills
            discharged += max(needed - charged - beside, 0.0)
            charged = needed
        if discharged > min(have[t], most) + NOTHING_KWH:
            return False
        most = min(most, discharged + later[t])
    return charged >= due[-1] + back * discharged - NOTHING_KWH


def least(first, last, guess, grain, peak, slots, numbers):
    """The least whole number from first to last whose multiple of grain covers; else last.

    peak: None where the level is the peak, which may rise with it; otherwise nothing may be due
    beyond the level. Whatever covers does so with all that are higher, so that guess, where to
    begin, changes nothing but the time.
    """
    strict = peak is not None
    stride = STRIDE
    at = min(max(guess, first), last)
    below = True
    while first < last:
        level = at * grain
        good = at == last or covers(level, level if peak is None else peak, strict, slots, numbers)
        if good:
            last = at
        else:
            first = at + 1
        # Away from the guess by longer and longer strides until the answer lies between.
        if stride == STRIDE:
            below = good
        if stride > 0 and good == below:
            at = max(first, last - stride) if good else min(first + stride, last)
            stride *= 4
        else:
            stride = 0
            at = (first + last) // 2
    return last


def levels_of(slots, numbers, reached_kw, guess_level_kw, guess_peak_kw):
    """Level to fill demand up to and level to shave it down to, on one feeder [kW].

    reached_kw: demand of the day so far, which it costs nothing to reach again. The guesses say
    where to begin to look.
    """
    low, high = slots[LOW], slots[HIGH]
    charge, discharge = slots[CHARGE], slots[DISCHARGE]
    bottom, top = math.inf, -math.inf
    for t in range(len(low)):
        bottom = min(bottom, high[t] - discharge[t], low[t])
        top = max(top, high[t], low[t] + charge[t] + numbers[HALF_CHARGER])
    grain = math.ldexp(1.0, math.frexp(max(abs(top), 1e-3))[1] - GRAIN)
    first, last = math.floor(bottom / grain), math.ceil(top / grain)
    guess = min(max(guess_peak_kw / grain, first), last)
    peak = max(least(first, last, int(guess), grain, None, slots, numbers) * grain, reached_kw)
    # No lower than it has to be for the peak, and no higher than the peak.
    last = math.ceil(peak / grain)
    first = min(first, last)
    guess = min(max(guess_level_kw / grain, first), last)
    level = least(first, last, int(guess), grain, peak, slots, numbers) * grain
    return min(level, peak), peak


def levels(slots: Any, numbers: Any, reached_kw: Any, guesses: Any, found: Any) -> None:
    """The levels of many feeders: `levels_of` of each, written to found, (2, n_feeders)."""
    for k in range(len(reached_kw)):
        level, peak = levels_of(slots[k], numbers[k], reached_kw[k], guesses[0][k], guesses[1][k])
        found[0][k] = level
        found[1][k] = peak
