"""Who acts whatever is asked: boosting owners, and chargers that keep their mode for a time."""

from __future__ import annotations

import numpy as np

from abm.equations import FloatArray, IntArray
from abm.equations.admission import EPS_MIN, spent_discharging
from abm.fleet.columns import Mode
from abm.fleet.fleet import Fleet


def force(fleet: Fleet) -> None:
    """Set in `request` and `forced` who acts in this step whatever anybody asks.

    Boosting EVs that can charge do so. A charger that has not been in its mode for its least time,
    `ev.min_on_min` or `ev.min_off_min`, stays in it as long as there is something to move.
    """
    boosts = np.logical_and(fleet.boost, fleet.can_charge)
    if not fleet.holds:
        fleet.forced = boosts
        fleet.request[boosts] = Mode.G2V
        fleet.forced_power_kw = None
        fleet.forced_kw = fleet.summed_kw(fleet.p_max_kw, np.flatnonzero(boosts))
        return
    held = np.logical_and(fleet.plugged, fleet.held_min > EPS_MIN)
    kept = np.where(held, fleet.possible(fleet.mode), np.int8(Mode.IDLE))
    on, boosts = kept != 0, boosts & ~held
    # At the power asked for now, or at that of the last step where another mode is asked for.
    same = fleet.request == kept
    power = np.where(same, no_more_than(fleet.asked_kw), no_more_than(fleet.power_kw))
    power = np.where(boosts, np.inf, power)
    fleet.request = np.where(boosts, np.int8(Mode.G2V), np.where(held, kept, fleet.request))
    fleet.forced, fleet.forced_power_kw = on | boosts, power
    # Who is kept off can do nothing in this step, and is looked at again in the next.
    off = np.flatnonzero(held & (fleet.mode == 0))
    fleet.can_charge[off] = fleet.can_discharge[off] = False
    fleet.look_again(off)
    charge_kw, give_kw = np.minimum(fleet.p_max_kw, power), np.minimum(fleet.p_discharge_kw, power)
    fleet.forced_kw = fleet.summed_kw(charge_kw, np.flatnonzero(fleet.forced & (kept >= 0)))
    fleet.forced_give_kw = fleet.summed_kw(give_kw, np.flatnonzero(kept < 0))


def no_more_than(power_kw: FloatArray | None) -> FloatArray | float:
    """Powers that hold, or infinity where there are none."""
    return np.inf if power_kw is None else power_kw


def waiting_min(fleet: Fleet) -> float | FloatArray:
    """Minutes that an EV stays idle, at least, if it is so in this step; a number or (n,)."""
    step_min = 60.0 * fleet.step_h
    if not fleet.holds:
        return step_min
    return np.where(fleet.mode != 0, max(step_min, fleet.min_off_min), step_min)


def giving_min(fleet: Fleet) -> float | FloatArray:
    """Minutes that an EV discharges, at least, if it does so in this step; a number or (n,)."""
    step_min = 60.0 * fleet.step_h
    if not fleet.holds:
        return step_min
    return np.where(fleet.mode >= 0, max(step_min, fleet.min_on_min), step_min)


def spent_giving_min(fleet: Fleet, rows: IntArray | slice = slice(None)) -> FloatArray:
    """Slack that discharging takes, at least, if these EVs do so in this step, (n,) [min].

    The time it lasts, and putting the energy back; as printed nothing is put back, eq. (16).
    """
    minutes = np.broadcast_to(giving_min(fleet), (fleet.n,))[rows]
    if fleet.as_printed:
        return minutes
    efficiency, rating = fleet.efficiency[rows], fleet.p_max_kw[rows]
    power = fleet.p_discharge_kw[rows]
    if not fleet.taper:
        return np.asarray(spent_discharging(minutes, efficiency, power, rating))
    soc, capacity = fleet.soc[rows], fleet.capacity_kwh[rows]
    after = soc - power * minutes / 60.0 / efficiency / capacity
    return minutes + fleet.minutes_from(after, rows) - fleet.minutes_from(soc, rows)
